//! When things are wrong with the sources of a snapshot: subgraphs that are down or do not compose, a broken `router.yaml`.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
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
    let is_logged = |line: &str| line.contains("the schema of a subgraph cannot be had") && line.contains("reviews");
    eventually("a line in the log", &router, async || router.log().lines().any(is_logged)).await;
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
    let report: Value = serde_json::from_str(&router.readiness().await.unwrap().1).unwrap();
    assert_eq!((&report["status"], &report["supergraph"]["origin"]), (&json!("UP"), &json!("last_good")), "{report}");
    assert!(report["subgraphs"]["reviews"]["errors"][0].as_str().unwrap().contains("does not answer"), "{report}");
    let log = router.log();
    assert!(log.contains("served from the last good supergraph") && log.contains("reviews"), "{log}");
    example.restart(Upstream::Reviews).await.unwrap();
    let is_composed = async || router.readiness().await.is_some_and(|(_, body)| body.contains(r#""origin":"composed""#));
    eventually("composition once all subgraphs are there", &router, is_composed).await;
    assert_eq!(router.graphql("{ me { reviews { id } } }").await["data"]["me"]["reviews"][0]["id"], "1");
    std::fs::remove_file(file).unwrap();
}

/// Whoever has a supergraph can answer: with the fields that are left, or with errors that say which subgraph does not. Taking the
/// router out of traffic would turn these into no answer at all, and REST routes with them, so it stays ready and says what is down.
#[tokio::test]
async fn with_every_subgraph_dead_it_stays_ready_and_names_them() {
    let mut example = Example::start(Addresses::any_port()).await.unwrap();
    let router = Router::start_with(&example, "supergraph: { poll_interval: 100ms, last_good: ./good.graphql }\n").await;
    for subgraph in Upstream::SUBGRAPHS {
        example.stop(subgraph);
    }
    let names: Vec<&str> = Upstream::SUBGRAPHS.iter().map(|subgraph| subgraph.name()).collect();
    let down = async || {
        let (status, body) = router.readiness().await.unwrap();
        assert_eq!(status, 200, "{body}");
        let report: Value = serde_json::from_str(&body).unwrap();
        report["subgraphs"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    eventually("a report of all four", &router, async || down().await.len() == 4).await;
    for name in names {
        assert!(down().await.iter().any(|it| it == name));
        let log = router.log();
        assert!(log.lines().any(|line| line.contains("cannot be had") && line.contains(name)), "{log}");
    }
    let answer = router.graphql("{ me { name } topProducts { name } }").await;
    assert_eq!(answer["errors"].as_array().unwrap().len(), 2, "{answer}");
    assert_eq!(router.get("/api/v1/orders/1").send().await.unwrap().status(), 200);
    for subgraph in Upstream::SUBGRAPHS {
        example.restart(subgraph).await.unwrap();
    }
    eventually("an empty report", &router, async || down().await.is_empty()).await;
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

/// What a team sees that breaks the graph: every error with its code, subgraph, line and what to do, and a graph that serves on.
#[tokio::test]
async fn a_broken_change_of_a_live_subgraph_is_refused_while_requests_are_served() {
    let sdl = Arc::new(Mutex::new("type Query { old: String }".to_owned()));
    let (one, two) = (changing(sdl.clone()).await, changing(Arc::new(Mutex::new("type Query { new: String }".to_owned()))).await);
    let config = format!(
        "supergraph: {{ poll_interval: 100ms, last_good: ./good.graphql }}\nsubgraphs:\n  one: {{ url: \"{}\" }}\n  two: {{ url: \"{}\" }}\n",
        one.url(),
        two.url()
    );
    let router = Router::start(&config).await;
    let good = json!({ "data": { "old": "old", "new": "new" } });
    assert_eq!(router.graphql("{ old new }").await, good);
    let before: Value = serde_json::from_str(&router.readiness().await.unwrap().1).unwrap();

    let is_refused = AtomicBool::new(false);
    let served = async {
        let mut answers = 0;
        while !is_refused.load(Ordering::Relaxed) {
            assert_eq!(router.graphql("{ old new }").await, good);
            answers += 1;
        }
        answers
    };
    let refused = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        *sdl.lock().unwrap() = "type Query {\n  old: String\n  new: Int\n}".to_owned();
        let is_told = async || router.readiness().await.is_some_and(|(_, body)| body.contains("FIELD_TYPE_MISMATCH"));
        eventually("a refusal", &router, is_told).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        is_refused.store(true, Ordering::Relaxed);
    };
    let (answers, ()) = futures_util::future::join(served, refused).await;
    assert!(answers > 5, "{answers} requests were served meanwhile");

    let after: Value = serde_json::from_str(&router.readiness().await.unwrap().1).unwrap();
    assert_eq!((&after["status"], &after["supergraph"]["id"]), (&json!("UP"), &before["supergraph"]["id"]), "{after}");
    let error = after["composition"]["errors"][0].as_str().unwrap();
    for part in ["FIELD_TYPE_MISMATCH", "Query.new", "one 3:", "two 1:", "Int", "String"] {
        assert!(error.contains(part), "{part:?} is not in {error}");
    }
    assert!(router.log().contains("FIELD_TYPE_MISMATCH") && router.log().contains("one 3:"), "{}", router.log());
    *sdl.lock().unwrap() = "type Query { old: String new: String }".to_owned();
    let is_mended = async || router.readiness().await.is_some_and(|(_, body)| !body.contains("FIELD_TYPE_MISMATCH"));
    eventually("the end of the refusal", &router, is_mended).await;
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

/// Routes and endpoints change over and over while clients ask: each request is answered, by an upstream that is configured.
#[tokio::test]
async fn reloads_under_load_fail_no_request() {
    const RELOADS: usize = 100;
    let one = Scripted::start(|_| answer(200, "", "one")).await;
    let two = Scripted::start(|_| answer(200, "", "two")).await;
    let config = |turn: usize| {
        let endpoints = match turn % 3 {
            0 => format!("{{ url: \"{}\" }}", one.url()),
            1 => format!("{{ url: \"{}\" }}", two.url()),
            _ => format!("{{ url: \"{}\" }}, {{ url: \"{}\" }}", one.url(), two.url()),
        };
        let routes: String =
            (0..turn % 7).map(|it| format!("  - {{ name: r{it}, match: {{ path: /r{it} }}, upstream: all }}\n")).collect();
        format!(
            "routes:\n  - {{ name: all, match: {{ path: /all }}, upstream: all }}\n  - {{ name: turn, match: {{ path: /turn-{turn} }}, upstream: all }}\n{routes}\
             upstreams:\n  all: {{ endpoints: [{endpoints}] }}\n\
             health_check: {{ listen: \"${{env.HEALTH}}\" }}\nadmin: {{ listen: \"${{env.ADMIN}}\" }}\n\
             telemetry: {{ exporters: {{ metrics: {{ prometheus: {{ listen: \"${{env.METRICS}}\" }} }} }}, access_log: {{ enabled: false }} }}\n"
        )
    };
    let router = Router::start(&config(0)).await;
    let is_over = AtomicBool::new(false);
    let ask = async || {
        let (client, mut count) = (reqwest::Client::new(), 0);
        while !is_over.load(Ordering::Relaxed) {
            let response = client.get(router.url("/all")).send().await.expect("a request while reloading");
            assert_eq!(response.status(), 200);
            assert!(["one", "two"].contains(&response.text().await.unwrap().as_str()));
            count += 1;
        }
        count
    };
    let reload = async {
        for turn in 1..=RELOADS {
            router.rewrite_config(&config(turn));
            let path = format!("/turn-{turn}");
            let is_in_place = async || router.get(&path).send().await.unwrap().status() == 200;
            eventually("a reload", &router, is_in_place).await;
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let (counts, ()) = futures_util::future::join(futures_util::future::join_all((0..8).map(|_| ask())), reload).await;
    let count: usize = counts.iter().sum();
    assert!(count > RELOADS, "{count} requests during {RELOADS} reloads");
}

/// What clients ask for most is planned before a new supergraph takes over, so that nobody waits for it then.
#[tokio::test]
async fn the_most_used_operations_are_planned_before_a_new_supergraph_takes_over() {
    let sdl = Arc::new(Mutex::new("type Query { old: String }".to_owned()));
    let subgraph = changing(sdl.clone()).await;
    let supergraph = "supergraph: { poll_interval: 100ms, query_planning: { warm_up: 2 } }\n";
    let config = format!("{supergraph}subgraphs: {{ one: {{ url: \"{}\" }} }}\n", subgraph.url());
    let router = Router::start(&config).await;
    let used = ["{ old }", "query Twice { old }", "query Once { old }"];
    for (operation, times) in used.iter().zip([3, 2, 1]) {
        for _ in 0..times {
            assert_eq!(router.graphql(operation).await["data"]["old"], "old");
        }
    }
    let misses = async || router.metric("api_cache_misses_total", &["cache=\"plan\""]).await;
    assert_eq!(misses().await, 3.0);
    *sdl.lock().unwrap() = "type Query { old: String new: String }".to_owned();
    eventually("the swap", &router, async || {
        router.log().contains("a new supergraph is in place") && router.log().contains("operations are planned")
    })
    .await;
    for operation in &used[..2] {
        router.graphql(operation).await;
    }
    assert_eq!(misses().await, 3.0, "both are there:\n{}", router.log());
    router.graphql(used[2]).await;
    assert_eq!(misses().await, 4.0, "the third was one too many");
}
