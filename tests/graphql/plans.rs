//! Plans as clients see them: one run of the planner for a new operation, and progressive overrides decided for each request.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Router, VirtualSubgraph};

const LINK: &str = r#"extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key", "@override"])"#;
const OLD: &str = r#"type Query { t: T } type T @key(fields: "id") { id: ID! never: Int always: Int half: Int }"#;
const NEW: &str = r#"type T @key(fields: "id") { id: ID!
    never: Int @override(from: "old", label: "percent(0)")
    always: Int @override(from: "old", label: "percent(100)")
    half: Int @override(from: "old", label: "percent(50)") }"#;

struct Moving {
    router: Router,
    old: VirtualSubgraph,
    new: VirtualSubgraph,
}

impl Moving {
    async fn start() -> Self {
        Self::start_with("").await
    }

    /// With more configuration.
    async fn start_with(more: &str) -> Self {
        let entities = json!({ "T:1": { "id": "1", "never": 1, "always": 2, "half": 3 } });
        let world = Arc::new(json!({ "Query": { "t": "$T:1" }, "entities": entities }));
        let old = VirtualSubgraph::start(&format!("{LINK}{OLD}"), world.clone()).await;
        let new = VirtualSubgraph::start(&format!("{LINK}{NEW}"), world).await;
        let config = format!("subgraphs: {{ old: {{ url: \"{}\" }}, new: {{ url: \"{}\" }} }}\n{more}", old.url(), new.url());
        let router = Router::start(&config).await;
        old.take();
        new.take();
        Self { router, old, new }
    }

    /// Whether `new` was asked for a field in a request with this id.
    async fn is_moved(&self, field: &str, id: &str) -> bool {
        let request = self.router.operation(&format!("{{ t {{ {field} }} }}"), json!({})).header("x-request-id", id);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert!(answer["data"]["t"][field].is_number() && answer.get("errors").is_none(), "{answer}");
        let is_asked = |asked: &[String]| asked.iter().any(|document| document.contains(field));
        let (old, new) = (is_asked(&self.old.take()), is_asked(&self.new.take()));
        assert_ne!(old, new, "one of them has the field");
        new
    }
}

#[tokio::test]
async fn overrides_by_percent_are_decided_for_each_request() {
    let moving = Moving::start().await;
    let mut moved = 0;
    for turn in 0..60 {
        let id = format!("request-{turn}");
        assert!(!moving.is_moved("never", &id).await);
        assert!(moving.is_moved("always", &id).await);
        let first = moving.is_moved("half", &id).await;
        assert_eq!(moving.is_moved("half", &id).await, first, "one request is always in the same share");
        moved += usize::from(first);
    }
    assert!((15..=45).contains(&moved), "{moved} of 60");
}

#[tokio::test]
async fn clients_that_ask_for_a_new_operation_at_once_share_a_run() {
    let moving = Moving::start().await;
    for turn in 0..5 {
        let operation = format!("query New{turn} {{ t {{ id never }} }}");
        let ask = async || moving.router.operation(&operation, json!({})).header("x-request-id", "same").send().await.unwrap();
        let answers = join_all((0..40).map(|_| ask())).await;
        assert!(answers.iter().all(|answer| answer.status() == 200));
    }
    assert_eq!(moving.router.metric("graphql_planning_duration_seconds_count", &[]).await, 5.0);
    let looks = async |what: &str| moving.router.metric(&format!("api_cache_{what}_total"), &["cache=\"plan\""]).await;
    assert_eq!((looks("misses").await, looks("hits").await), (5.0, 195.0));
}

#[tokio::test]
async fn however_large_new_operations_are_those_that_are_kept_take_no_more_memory() {
    let moving = Moving::start_with("limits: { max_aliases: 2000, max_height: 2000 }\n").await;
    let ask = async |numbers: std::ops::Range<usize>| {
        for number in numbers {
            // Some 700 KB each as they are kept, of which 512 would take 350 MB.
            let fields: String = (0..1000).map(|field| format!(" a{field}: id")).collect();
            let answer = moving.router.graphql(&format!("query Q{number} {{ t {{{fields} }} }}")).await;
            assert_eq!(answer["data"]["t"]["a999"], "1", "{answer}");
        }
    };
    ask(0..60).await;
    let (before, _) = moving.router.memory();
    ask(60..260).await;
    let (after, _) = moving.router.memory();
    assert!(after < before + (20 << 20), "memory grew from {before} to {after} bytes");
}
