//! The GraphQL endpoint: what it accepts, and how it says what is wrong.

mod authz;
mod batching;
mod budget;
mod deduplicate;
mod demand_control;
mod file_uploads;
mod http;
mod introspection;
mod persisted;
mod plans;

use serde_json::{Value, json};
use subgraphs_example::{Addresses, Example};

use crate::support::{Recorded, Router, Scripted, Step, answer};

#[tokio::test]
async fn an_operation_that_is_not_valid_is_a_400_with_locations_and_reaches_no_subgraph() {
    let upstream = Scripted::start(|_| answer(200, "", "{}")).await;
    let router = Router::start(&format!(
        "subgraphs: {{ one: {{ url: \"{}\", schema: {{ sdl: \"type Query {{ me(id: ID!): Me }} type Me {{ id: ID! }}\" }} }} }}\n",
        upstream.url()
    ))
    .await;
    for (query, variables, code) in [
        ("{ me(id: 1) { id ", json!({}), "GRAPHQL_PARSE_FAILED"),
        ("{ you }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
        ("{ me { id } }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
        ("{ me(id: 1) }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
        ("query($id: ID!) { me(id: $id) { id } }", json!({}), "BAD_USER_INPUT"),
        ("query($id: ID!) { me(id: $id) { id } }", json!({ "id": [1] }), "BAD_USER_INPUT"),
        ("query A { me(id: 1) { id } } query B { me(id: 2) { id } }", json!({}), "OPERATION_RESOLUTION_FAILURE"),
    ] {
        let request = router.operation(query, variables).header("accept", "application/graphql-response+json");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 400, "{query}");
        let answer: Value = response.json().await.unwrap();
        assert!(answer.get("data").is_none(), "{answer}");
        assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{query}: {answer}");
        if code == "GRAPHQL_VALIDATION_FAILED" {
            assert!(answer["errors"][0]["locations"][0]["line"].is_u64(), "{answer}");
        }
    }
    assert!(upstream.requests().is_empty());
}

/// What is left out of a document because it names nothing must not look as if the client had left it out.
#[tokio::test]
async fn a_field_that_does_not_exist_is_one_error_where_it_stands() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let router = Router::start_with(&example, "").await;
    for (query, column) in
        [("{ topProducts { nme } }", 17), ("{ ...F } fragment F on Query { me { nme } }", 37), ("{ me(ident: 1) { id } }", 6)]
    {
        let answer: Value = router.operation(query, json!({})).send().await.unwrap().json().await.unwrap();
        let errors = answer["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "{query}: {answer}");
        assert_eq!(errors[0]["locations"], json!([{ "line": 1, "column": column }]), "{query}: {answer}");
    }
    // Faults that have nothing to do with one another are all told.
    let answer: Value =
        router.operation("{ me { nme } users { nobody } }", json!({})).send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["errors"].as_array().unwrap().len(), 2, "{answer}");
}

#[tokio::test]
async fn budgets_of_an_operation_are_enforced() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let limits = "limits: { max_depth: 4, max_aliases: 2, max_root_fields: 2, max_height: 8, max_directives: 2 }\n";
    let router = Router::start_with(&example, limits).await;
    assert!(router.graphql("{ me { reviews { product { upc } } } }").await.get("errors").is_none());
    for query in [
        "{ me { reviews { product { reviews { id } } } } }",
        "{ a: me { id } b: me { id } c: me { id } }",
        "{ me { id } users { id } topProducts { upc } }",
        "{ me { a: id b: id c: id } }",
        "{ me { id name username birthday reviews { id body product { upc } } } }",
        "{ me { id @skip(if: false) name @skip(if: false) username @skip(if: false) } }",
        "fragment F on User { reviews { product { ...G } } } fragment G on Product { reviews { id } } { me { ...F } }",
    ] {
        let response = router.operation(query, json!({})).send().await.unwrap();
        let status = response.status().as_u16();
        let answer: Value = response.json().await.unwrap();
        assert_eq!(
            (status, &answer["errors"][0]["extensions"]["code"]),
            (400, &json!("OPERATION_TOO_LARGE")),
            "{query}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_subgraph_that_breaks_leaves_null_and_an_error_with_path_and_code() {
    let upstream = Scripted::start(|request: &Recorded| match request.line().1 {
        "/reset" => vec![Step::Reset],
        "/500" => answer(500, "", "oops"),
        "/garbage" => answer(200, "", "{\"data\": {\"a\": "),
        "/text" => answer(200, "", "\"text\""),
        "/errors" => answer(200, "", r#"{"data":null,"errors":[{"message":"secret","extensions":{"code":"OWN"}}]}"#),
        _ => answer(200, "", r#"{"data":{"fine":"yes"}}"#),
    })
    .await;
    for path in ["reset", "500", "garbage", "text", "errors"] {
        let url = upstream.url();
        let config = format!(
            "subgraphs:\n  bad: {{ url: \"{url}/{path}\", schema: {{ sdl: \"type Query {{ a: String }}\" }} }}\n  \
             good: {{ url: \"{url}/good\", schema: {{ sdl: \"type Query {{ fine: String }}\" }} }}\n"
        );
        let router = Router::start(&config).await;
        let response = router.operation("{ x: a fine }", json!({})).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["data"], json!({ "x": null, "fine": "yes" }), "{path}");
        assert!(answer["errors"][0]["extensions"]["code"].is_string(), "{path}: {answer}");
        assert_eq!(answer["errors"][0]["path"], json!(["x"]), "{path}: {answer}");
        let text = answer.to_string();
        assert!(!text.contains("secret") && !text.contains("127.0.0.1"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn exactly_one_field_of_a_one_of_input_is_given_in_literals_and_variables() {
    let subgraph = Scripted::start(|_| answer(200, "", r#"{"data":{"find":1}}"#)).await;
    // Composition knows no `@oneOf`, as little as Apollo's does; supergraphs from elsewhere may have it.
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/graphql/one_of.graphql");
    let config = format!("supergraph: {{ schema: \"{schema}\" }}\nsubgraphs: {{ a: {{ url: \"{}\" }} }}\n", subgraph.url());
    let router = Router::start(&config).await;
    for (query, variables) in [
        ("{ find(by: {id: 1}) }", json!({})),
        ("query($by: By!) { find(by: $by) }", json!({"by":{"name":"x"}})),
        ("query($id: ID!) { find(by: {id: $id}) }", json!({"id":"1"})),
    ] {
        let answer: Value = router.operation(query, variables).send().await.unwrap().json().await.unwrap();
        assert_eq!(answer, json!({"data":{"find":1}}), "{query}");
    }
    for (query, variables, code) in [
        ("{ find(by: {}) }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
        ("{ find(by: {id: 1, name: \"x\"}) }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
        ("{ find(by: {id: null}) }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
        ("query($id: ID) { find(by: {id: $id}) }", json!({"id":"1"}), "GRAPHQL_VALIDATION_FAILED"),
        ("query($by: By!) { find(by: $by) }", json!({"by":{"name":"x","id":"1"}}), "BAD_USER_INPUT"),
        ("query($by: By!) { find(by: $by) }", json!({"by":{"name":null}}), "BAD_USER_INPUT"),
        ("query($by: By!) { find(by: $by) }", json!({"by":{}}), "BAD_USER_INPUT"),
    ] {
        let answer: Value = router.operation(query, variables).send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{query}: {answer}");
    }
}

#[tokio::test]
async fn a_field_stands_where_it_is_first_named_and_not_skipped() {
    let subgraph = Scripted::start(|_| answer(200, "", r#"{"data":{"t":{"a":1,"b":2,"c":3,"t":{"a":4,"b":5}}}}"#)).await;
    let sdl = "type Query { t: T } type T { a: Int b: Int c: Int t: T }";
    let router =
        Router::start(&format!("subgraphs: {{ a: {{ url: \"{}\", schema: {{ sdl: \"{sdl}\" }} }} }}\n", subgraph.url())).await;
    let table = [
        ("{ t { a @skip(if: $x) b a } }", false, r#"{"a":1,"b":2}"#),
        ("{ t { a @skip(if: $x) b a } }", true, r#"{"b":2,"a":1}"#),
        ("{ t { ... @include(if: $x) { c b } a c } }", true, r#"{"c":3,"b":2,"a":1}"#),
        ("{ t { ... @include(if: $x) { c b } a c } }", false, r#"{"a":1,"c":3}"#),
        (
            "{ t @skip(if: $x) { a } t { b ...F } } fragment F on T { t { b } a t @include(if: $x) { a b } }",
            false,
            r#"{"a":1,"b":2,"t":{"b":5}}"#,
        ),
        (
            "{ t @skip(if: $x) { a } t { b ...F } } fragment F on T { t { b } a t @include(if: $x) { a b } }",
            true,
            r#"{"b":2,"t":{"b":5,"a":4},"a":1}"#,
        ),
        ("{ t { t @include(if: $x) { a } b t { b a } } }", true, r#"{"t":{"a":4,"b":5},"b":2}"#),
        ("{ t { t @include(if: $x) { a } b t { b a } } }", false, r#"{"b":2,"t":{"b":5,"a":4}}"#),
    ];
    for (query, value, expected) in table {
        let request = router.operation(&format!("query($x: Boolean!) {query}"), json!({ "x": value }));
        let text = request.send().await.unwrap().text().await.unwrap();
        assert_eq!(text, format!(r#"{{"data":{{"t":{expected}}}}}"#), "{query} {value}");
    }
}
