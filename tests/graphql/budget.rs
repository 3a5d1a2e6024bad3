//! Documents made to be expensive are refused at once, and limits count what fragments hide.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Router, Scripted, answer};

const SDL: &str = "type Query { me: Me open: Int } type Me { id: ID me: Me other: Me name(a: Int): String }";

async fn limited(more: &str) -> (Router, Scripted) {
    let subgraph = Scripted::start(|_| answer(200, "", r#"{"data":{"open":1,"me":null}}"#)).await;
    let url = subgraph.url();
    let config = format!("subgraphs: {{ a: {{ url: \"{url}\", schema: {{ sdl: \"{SDL}\" }} }} }}\n{more}");
    (Router::start(&config).await, subgraph)
}

async fn ask(router: &Router, query: &str) -> (u16, Value) {
    let response = router.operation(query, json!({})).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// `count` fragments on `Me`, each with `body` in which `NEXT` is the name of the next; the last selects `id`.
fn fragments(count: usize, body: &str) -> String {
    let mut text = "{ me { ...F0 } }".to_owned();
    for number in 0..count {
        let _ = write!(text, " fragment F{number} on Me {{ {} }}", body.replace("NEXT", &format!("F{}", number + 1)));
    }
    text + &format!(" fragment F{count} on Me {{ id }}")
}

fn hostile() -> Vec<String> {
    let nested = |open: &str, middle: &str, count: usize| format!("{{ {} {middle} {} }}", open.repeat(count), "}".repeat(count));
    let all_to_all: String = (0..80)
        .map(|from| {
            let spreads: String = (from + 1..80).map(|to| format!(" ...F{to}")).collect();
            format!(" fragment F{from} on Me {{ id{spreads} }}")
        })
        .collect();
    vec![
        fragments(60, "x: me { ...NEXT } y: me { ...NEXT }"),
        fragments(60, "me { ...NEXT } me { ...NEXT }"),
        fragments(60, "me { ...NEXT } other { ...NEXT }"),
        fragments(14, "... on Me { ...NEXT } ... on Me { me { ...NEXT } }"),
        fragments(400, "...NEXT"),
        format!("{{ me {{ ...F0 }} }}{all_to_all}"),
        nested("me {", "id", 450),
        nested("me {", "id", 3000),
        nested("... {", "open", 3000),
        format!("{{ me {{ name(a: {}) }} }}", "[".repeat(5000)),
        format!("{{ {} }}", "open ".repeat(200_000)),
        format!("{{ {} }}", "me { id } ".repeat(1500)),
        format!("query {} {{ open }}", "@a ".repeat(3000)),
        format!("{{ {} }}", (0..60).map(|number| format!("a{number}: open ")).collect::<String>()),
    ]
}

#[tokio::test]
async fn documents_made_to_be_expensive_are_refused_at_once() {
    let (router, subgraph) = limited("").await;
    for text in hostile() {
        let started = Instant::now();
        let (status, answer) = ask(&router, &text).await;
        let code = answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_default();
        assert_eq!(status, 400, "{:.80}: {answer}", text);
        assert!(["OPERATION_TOO_LARGE", "GRAPHQL_VALIDATION_FAILED"].contains(&code), "{:.80}: {answer}", text);
        // A debug build on a busy machine takes its time; what grows exponentially would never end.
        assert!(started.elapsed() < Duration::from_secs(10), "{:.80}", text);
    }
    assert!(subgraph.take().is_empty());
    assert_eq!(ask(&router, "{ open }").await.0, 200);
}

#[tokio::test]
async fn limits_that_only_warn_leave_the_planner_its_own() {
    let more = "limits: { warn_only: true }\ndemand_control: { enabled: true, mode: measure }\n";
    let (router, _subgraph) = limited(more).await;
    for text in hostile() {
        let started = Instant::now();
        let (status, answer) = ask(&router, &text).await;
        assert!([200, 400, 500].contains(&status), "{:.80}: {answer}", text);
        assert!(started.elapsed() < Duration::from_secs(20), "{:.80} took {:?}", text, started.elapsed());
    }
    assert_eq!(ask(&router, "{ open }").await, (200, json!({ "data": { "open": 1 } })));
}

#[tokio::test]
async fn introspection_has_a_depth_of_its_own_and_its_absence_is_not_made_up_for() {
    let deep = "{ __schema { types { fields { type { fields { type { fields { type { name } } } } } } } } }";
    let (router, subgraph) = limited("supergraph: { introspection: true }\n").await;
    let (status, answer) = ask(&router, deep).await;
    assert_eq!((status, &answer["errors"][0]["extensions"]["code"]), (400, &json!("OPERATION_TOO_LARGE")), "{answer}");
    let shallow = "{ __type(name: \"Me\") { fields { name type { name ofType { name } } } } }";
    assert_eq!(ask(&router, shallow).await.0, 200);
    drop(router);
    let (router, _) = limited("").await;
    for (query, hidden) in [("{ me { idx } }", "`id`"), ("{ ope }", "open"), ("{ me { ... on M { id } } }", "`Me`?")] {
        let (status, answer) = ask(&router, query).await;
        let message = answer["errors"].to_string();
        assert_eq!(status, 400, "{answer}");
        assert!(!message.contains(hidden) && !message.to_lowercase().contains("did you mean"), "{message}");
    }
    assert!(subgraph.take().is_empty());
}
