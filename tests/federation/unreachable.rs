//! A supergraph that came from elsewhere and leaves fields without a way to them: the client gets an error at each such field and
//! everything else, never a null that nobody explains.

use std::sync::Arc;

use serde_json::{Value, json};
use supergraph::compose::{Source, compose};

use crate::support::{Router, VirtualSubgraph};

const LINK: &str =
    r#"extend schema @link(url: "https://specs.apollo.dev/federation/v2.5", import: ["@key", "@interfaceObject"])"#;
const A: &str = r#"
    type Query { t: T ts: [T] n: [N] media: [Media] }
    type T @key(fields: "id") { id: ID! name: String other: T }
    interface N { id: ID! }
    type A implements N @key(fields: "id") { id: ID! }
    type B implements N @key(fields: "id") { id: ID! }
    type Media @interfaceObject @key(fields: "id") { id: ID! }"#;
const B: &str = r#"
    type T @key(fields: "id") { id: ID! price: Int must: Int! }
    type A @key(fields: "id") { id: ID! f: Int }
    type B @key(fields: "id") { id: ID! f: Int }
    interface Media @key(fields: "id") { id: ID! }
    type Book implements Media @key(fields: "id") { id: ID! pages: Int }
    type Film implements Media @key(fields: "id") { id: ID! minutes: Int }"#;

fn world() -> Value {
    json!({
        "Query": { "t": "$T:1", "ts": ["$T:1", "$T:2"], "n": ["$A:1", "$B:1", "$A:2"], "media": ["$Book:1"] },
        "entities": {
            "T:1": { "id": "1", "name": "one", "other": "$T:2", "price": 10, "must": 1 },
            "T:2": { "id": "2", "name": "two", "other": null, "price": 20, "must": 2 },
            "A:1": { "__typename": "A", "id": "a1", "f": 1 },
            "A:2": { "__typename": "A", "id": "a2", "f": 2 },
            "B:1": { "__typename": "B", "id": "b1", "f": 3 },
            "Book:1": { "__typename": "Book", "id": "m", "pages": 100 }
        }
    })
}

/// A router with a supergraph in which `b` can be entered by none of these types.
async fn start(closed: &[&str]) -> Router {
    let world = Arc::new(world());
    let (mut sources, mut subgraphs) = (Vec::new(), Vec::new());
    for (name, sdl) in [("a", A), ("b", B)] {
        let sdl = format!("{LINK}{sdl}");
        let subgraph = VirtualSubgraph::start(&sdl, world.clone()).await;
        sources.push(Source { name: name.into(), url: subgraph.url(), sdl });
        subgraphs.push(subgraph);
    }
    let mut text = compose(&sources).unwrap().supergraph;
    for name in closed {
        let start = text.find(name).unwrap();
        let (before, after) = text.split_at(start);
        let (open, shut) = ("(graph: B, key: \"id\")", "(graph: B, key: \"id\", resolvable: false)");
        text = format!("{before}{}", after.replacen(open, shut, 1));
    }
    let file =
        std::env::temp_dir().join(format!("unreachable-{}-{}.graphql", std::process::id(), closed.join("-").replace(' ', "")));
    std::fs::write(&file, text).unwrap();
    let router = Router::start(&format!("supergraph: {{ schema: \"{}\" }}\n", file.display())).await;
    std::fs::remove_file(file).unwrap();
    // They answer for as long as the process runs.
    std::mem::forget(subgraphs);
    router
}

/// `data`, and path and code of each error.
async fn ask(router: &Router, operation: &str) -> (Value, Value) {
    let response = router.operation(operation, json!({})).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let answer: Value = response.json().await.unwrap();
    let error = |error: &Value| json!([error["path"], error["extensions"]["code"]]);
    let errors = answer["errors"].as_array().into_iter().flatten().map(error).collect();
    (answer["data"].clone(), errors)
}

const CODE: &str = "FIELD_UNREACHABLE";

#[tokio::test]
async fn a_field_without_a_way_is_an_error_at_its_path_and_the_rest_is_answered() {
    let router = start(&["type T", "type A"]).await;
    let (data, errors) = ask(&router, "{ t { name cost: price other { id price } } }").await;
    assert_eq!(data, json!({ "t": { "name": "one", "cost": null, "other": { "id": "2", "price": null } } }));
    assert_eq!(errors, json!([[["t", "cost"], CODE], [["t", "other", "price"], CODE]]));
    // Null goes up to where it may stand, in each item for itself.
    let (data, errors) = ask(&router, "{ ts { name must } t { name } }").await;
    assert_eq!(data, json!({ "ts": [null, null], "t": { "name": "one" } }));
    assert_eq!(errors, json!([[["ts", 0, "must"], CODE], [["ts", 1, "must"], CODE]]));
    // Of several types only those without a way; what nobody asks for is no error.
    let (data, errors) = ask(&router, "{ n { id ... on A { f } ... on B { f } } }").await;
    assert_eq!(data, json!({ "n": [{ "id": "a1", "f": null }, { "id": "b1", "f": 3 }, { "id": "a2", "f": null }] }));
    assert_eq!(errors, json!([[["n", 0, "f"], CODE], [["n", 2, "f"], CODE]]));
    let (data, errors) = ask(&router, "{ t { name price @skip(if: true) } n { ... on B { f } } }").await;
    assert_eq!(data, json!({ "t": { "name": "one" }, "n": [{}, { "f": 3 }, {}] }));
    assert_eq!(errors, json!([]));
    let answer = router.graphql("{ t { price } }").await;
    let message = answer["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("T.price") && message.contains("key"), "{message}");
    assert!(router.log().contains("no subgraph can be asked for a field"), "{}", router.log());
}

#[tokio::test]
async fn an_object_whose_type_nobody_tells_is_an_error_at_its_path() {
    let router = start(&["interface Media", "type Book", "type Film"]).await;
    let (data, errors) = ask(&router, "{ media { id } t { name } }").await;
    assert_eq!((data, errors), (json!({ "media": [{ "id": "m" }], "t": { "name": "one" } }), json!([])));
    let (data, errors) = ask(&router, "{ media { __typename id } t { name } }").await;
    assert_eq!(data, json!({ "media": [null], "t": { "name": "one" } }));
    assert_eq!(errors, json!([[["media", 0], CODE]]));
    let (data, errors) = ask(&router, "{ media { ... on Book { pages } } }").await;
    assert_eq!((data, errors), (json!({ "media": [null] }), json!([[["media", 0], CODE]])));
}
