//! When things are wrong with the sources of a snapshot: subgraphs that are down or do not compose, a broken `router.yaml`.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use subgraphs_example::{Addresses, Example, Upstream};

use crate::support::{Recorded, Router, Scripted, answer};

/// Waits until `is_so`, for ten seconds at most.
async fn eventually(what: &str, router: &Router, is_so: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < Duration::from_secs(10), "{what} did not happen:\n{}", router.log());
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// A subgraph whose SDL can be exchanged; it answers every operation with `{"name": <its SDL's first field>}`.
async fn changing(sdl: Arc<Mutex<String>>) -> Scripted {
    Scripted::start(move |request: &Recorded| {
        let body = if String::from_utf8_lossy(&request.body).contains("_service") {
            json!({ "data": { "_service": { "sdl": *sdl.lock().unwrap() } } })
        } else {
            json!({ "data": { "old": "old", "new": "new" } })
        };
        answer(200, "", &body.to_string())
    })
    .await
}

#[tokio::test]
async fn with_a_subgraph_down_at_start_it_is_unready_says_so_and_recovers() {
    let mut example = Example::start(Addresses::any_port()).await.unwrap();
    example.stop(Upstream::Reviews);
    let router = Router::spawn_with(&example, "supergraph: { poll_interval: 100ms, last_good: ./none.graphql }\n");
    let is_named = async || router.readiness().await.is_some_and(|(status, body)| status == 503 && body.contains("reviews"));
    eventually("a readiness answer that names the subgraph", &router, is_named).await;
    let response = router.operation("{ me { id } }", json!({})).send().await.unwrap();
    assert_eq!(response.status(), 503);
    let refused: Value = response.json().await.unwrap();
    assert_eq!(refused["errors"][0]["extensions"]["code"], "SUPERGRAPH_UNAVAILABLE", "{refused}");
    assert_eq!(router.get("/api/v1/orders/1").send().await.unwrap().status(), 200, "REST does not need the graph");
    example.restart(Upstream::Reviews).await.unwrap();
    eventually("recovery", &router, async || router.is_ready().await).await;
    assert_eq!(router.graphql("{ me { reviews { id } } }").await["data"]["me"]["reviews"][0]["id"], "1");
}

#[tokio::test]
async fn with_a_subgraph_down_at_start_it_serves_from_the_last_good_supergraph() {
    let mut example = Example::start(Addresses::any_port()).await.unwrap();
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("last-good-{}.graphql", std::process::id()));
    let more = format!("supergraph: {{ poll_interval: 100ms, last_good: {file:?} }}\n");
    drop(Router::start_with(&example, &more).await);
    assert!(std::fs::read_to_string(&file).unwrap().contains("join__graph"));
    example.stop(Upstream::Reviews);
    let router = Router::start_with(&example, &more).await;
    let partial = router.graphql("{ me { name reviews { id } } }").await;
    assert_eq!(partial["data"]["me"], json!({ "name": "Ada Lovelace", "reviews": null }), "{partial}");
    assert!(router.readiness().await.unwrap().1.contains("reviews"));
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn an_sdl_that_does_not_compose_replaces_nothing_and_a_good_one_does() {
    let sdl = Arc::new(Mutex::new("type Query { old: String }".to_owned()));
    let subgraph = changing(sdl.clone()).await;
    let config = format!("supergraph: {{ poll_interval: 100ms }}\nsubgraphs: {{ one: {{ url: \"{}\" }} }}\n", subgraph.url());
    let router = Router::start(&config).await;
    assert_eq!(router.graphql("{ old }").await, json!({ "data": { "old": "old" } }));
    for broken in ["type Query { old: Missing }", "type Query {", "type Query @key(fields: \"x\") { old: String }"] {
        *sdl.lock().unwrap() = broken.to_owned();
        eventually("a complaint", &router, async || router.readiness().await.unwrap().1.contains("one")).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(router.graphql("{ old }").await, json!({ "data": { "old": "old" } }), "{broken}");
        assert!(router.is_ready().await);
    }
    *sdl.lock().unwrap() = "type Query { old: String new: String }".to_owned();
    eventually("the swap", &router, async || router.graphql("{ new }").await == json!({ "data": { "new": "new" } })).await;
}

#[tokio::test]
async fn a_changed_configuration_is_swapped_in_and_a_broken_one_refused() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let router = Router::start_with(&example, "").await;
    let status = async |path: &str| router.get(path).send().await.unwrap().status().as_u16();
    assert_eq!(status("/api/v2/orders/1").await, 404);
    let changed = router.config().replace("/api/v1", "/api/v2");
    router.rewrite_config(&changed);
    eventually("the swap", &router, async || status("/api/v2/orders/1").await == 200).await;
    assert_eq!(status("/api/v1/orders/1").await, 404);
    router.rewrite_config(&changed.replace("strip_prefix", "strip_prefixx"));
    eventually("a complaint", &router, async || router.readiness().await.unwrap().1.contains("strip_prefixx")).await;
    assert_eq!(status("/api/v2/orders/1").await, 200);
    assert!(router.is_ready().await);
}
