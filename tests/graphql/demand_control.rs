//! Operations that cost too much: refused or only counted, before any subgraph is called.

use serde_json::{Value, json};

use crate::support::{Router, Scripted, answer};

const SDL: &str = r#"
    extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@cost", { name: "@listSize", as: "@size" }])
    type Query { me: User users(first: Int, last: Int): [User!] @size(slicingArguments: ["first", "last"]) dear: Int @cost(weight: 50) }
    type Mutation { touch: Int }
    type User { id: ID friends: [User] @size(assumedSize: 4) }
"#;

async fn controlled(mode: &str) -> (Router, Scripted) {
    let subgraph =
        Scripted::start(|_| answer(200, "", r#"{"data":{"me":{"id":"1","friends":[]},"users":[],"dear":1,"touch":2}}"#)).await;
    let sdl = SDL.replace('\n', " ").replace('"', "\\\"");
    let router = Router::start(&format!(
        "subgraphs: {{ a: {{ url: \"{}\", schema: {{ sdl: \"{sdl}\" }} }} }}\n\
         demand_control: {{ enabled: true, mode: {mode}, strategy: {{ static_estimated: {{ list_size: 3, max: 40 }} }} }}\n",
        subgraph.url()
    ))
    .await;
    (router, subgraph)
}

async fn ask(router: &Router, query: &str, variables: Value) -> (u16, Value) {
    let response = router.operation(query, variables).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn what_costs_too_much_is_refused_before_any_subgraph_is_called() {
    let (router, subgraph) = controlled("enforce").await;
    let by_variable = "query ($first: Int) { users(first: $first) { id } }";
    for (query, variables, code) in [
        ("{ dear }", json!({}), Some("COST_ESTIMATED_TOO_EXPENSIVE")),
        ("{ me { id friends { id } } }", json!({}), None),
        ("{ me { friends { friends { friends { id } } } } }", json!({}), Some("COST_ESTIMATED_TOO_EXPENSIVE")),
        ("{ users(first: 41) { id } }", json!({}), Some("COST_ESTIMATED_TOO_EXPENSIVE")),
        ("{ users(first: 40) { id } }", json!({}), None),
        (by_variable, json!({ "first": 40 }), None),
        (by_variable, json!({ "first": 41 }), Some("COST_ESTIMATED_TOO_EXPENSIVE")),
        (by_variable, json!({ "first": 40 }), None),
        (by_variable, json!({}), Some("COST_QUERY_PARSE_FAILURE")),
        ("{ users(first: 1, last: 1) { id } }", json!({}), Some("COST_QUERY_PARSE_FAILURE")),
        ("mutation { touch }", json!({}), None),
    ] {
        let (status, answer) = ask(&router, query, variables.clone()).await;
        let found = answer["errors"][0]["extensions"]["code"].as_str();
        assert_eq!((status, found), (if code.is_some() { 400 } else { 200 }, code), "{query} {variables}: {answer}");
        assert_eq!(answer.get("data").is_some(), code.is_none(), "{answer}");
        assert_eq!(subgraph.take().is_empty(), code.is_some(), "{query}");
    }
    for (name, outcome, expected) in [
        ("count", "COST_ESTIMATED_TOO_EXPENSIVE", 4.0),
        ("count", "COST_QUERY_PARSE_FAILURE", 2.0),
        ("sum", "COST_OK", 5.0 + 3.0 * 40.0 + 10.0),
    ] {
        let name = format!("graphql_operation_cost_estimated_{name}");
        let found = router.metric(&name, &[&format!("outcome=\"{outcome}\"")]).await;
        assert!((found - expected).abs() < 0.1, "{name} of {outcome} is {found}");
    }
}

#[tokio::test]
async fn measuring_refuses_nothing() {
    let (router, subgraph) = controlled("measure").await;
    for query in ["{ dear }", "{ users { id } }", "{ me { id } }"] {
        let (status, answer) = ask(&router, query, json!({})).await;
        assert_eq!((status, answer.get("errors")), (200, None), "{query}: {answer}");
    }
    assert_eq!(subgraph.take().len(), 3);
    let label = "outcome=\"COST_ESTIMATED_TOO_EXPENSIVE\"";
    assert!((router.metric("graphql_operation_cost_estimated_sum", &[label]).await - 50.0).abs() < 0.1);
    assert!(router.log().contains("\"operation_cost\":50"));
}
