//! What every outgoing request goes through, and what happens when the other side fails.

mod balance;
mod discovery;
mod headers;
mod pool;
mod service;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use subgraphs_example::{Addresses, Example, Upstream};

use crate::support::{Router, Scripted, Step};

/// A router with everything to one upstream, which has these endpoints and settings (`, retry: {…}`); and these of the route.
pub async fn router_before(endpoints: &[&Scripted], settings: &str, route: &str) -> Router {
    let endpoints: Vec<String> = endpoints.iter().map(|endpoint| format!("{{ url: \"{}\" }}", endpoint.url())).collect();
    Router::start(&format!(
        "routes: [{{ name: all, match: {{ path: / }}, upstream: one {route} }}]\n\
         upstreams: {{ one: {{ endpoints: [{}] {settings} }} }}\n",
        endpoints.join(", ")
    ))
    .await
}

/// Waits until `is_so`, for ten seconds at most.
pub async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < Duration::from_secs(10), "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_subgraph_that_dies_under_load_fails_only_its_fields_and_only_meanwhile() {
    let mut example = Example::start(Addresses::any_port()).await.unwrap();
    let router = Router::start_with(&example, "traffic_shaping: { all: { deduplicate_query: false } }\n").await;
    let query = "{ users { name reviews { id } } topProducts(first: 2) { name inStock } }";
    let whole = router.graphql(query).await;
    assert!(whole.get("errors").is_none(), "{whole}");

    let is_over = AtomicBool::new(false);
    let ask = async || {
        let mut answers = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            answers.push(router.graphql(query).await);
        }
        answers
    };
    let outage = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        example.stop(Upstream::Reviews);
        tokio::time::sleep(Duration::from_millis(500)).await;
        example.restart(Upstream::Reviews).await.unwrap();
        for _ in 0..100 {
            if router.graphql(query).await == whole {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for _ in 0..20 {
            assert_eq!(router.graphql(query).await, whole, "once it has recovered it stays so");
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let (answers, ()) = futures_util::future::join(futures_util::future::join_all((0..8).map(|_| ask())), outage).await;

    let answers: Vec<Value> = answers.into_iter().flatten().collect();
    let partial: Vec<&Value> = answers.iter().filter(|answer| **answer != whole).collect();
    assert!(!partial.is_empty() && partial.len() < answers.len());
    for answer in partial {
        assert_eq!(answer["data"]["topProducts"], whole["data"]["topProducts"]);
        for (user, complete) in answer["data"]["users"].as_array().unwrap().iter().zip(whole["data"]["users"].as_array().unwrap())
        {
            assert_eq!((&user["name"], &user["reviews"]), (&complete["name"], &Value::Null));
        }
        for error in answer["errors"].as_array().unwrap() {
            assert_eq!(error["path"][0], "users", "{error}");
            assert!(error["extensions"]["code"].is_string(), "{error}");
        }
    }
}

#[tokio::test]
async fn requests_are_compressed_where_that_is_configured_and_their_answers_may_be() {
    let subgraph = Scripted::start(|_| {
        let mut body = Vec::new();
        let mut encoder = flate2::read::GzEncoder::new(&br#"{"data":{"me":"x"}}"#[..], flate2::Compression::default());
        std::io::Read::read_to_end(&mut encoder, &mut body).unwrap();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n";
        vec![Step::Send([format!("{head}content-length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat())]
    })
    .await;
    let config = |shaping: &str| {
        format!(
            "subgraphs: {{ a: {{ url: \"{}\", schema: {{ sdl: \"type Query {{ me: String }}\" }} }} }}\ntraffic_shaping: {shaping}\n",
            subgraph.url()
        )
    };
    for shaping in ["{ all: { compression: gzip } }", "{ subgraphs: { a: { compression: gzip } } }", "{}"] {
        let router = Router::start(&config(shaping)).await;
        assert_eq!(router.graphql("{ me }").await, serde_json::json!({"data":{"me":"x"}}));
        let sent = subgraph.take().pop().unwrap();
        if shaping == "{}" {
            assert!(sent.field("content-encoding").is_empty() && sent.field("accept-encoding").is_empty());
            continue;
        }
        assert_eq!((sent.field("content-encoding"), sent.field("accept-encoding")), (vec!["gzip"], vec!["gzip"]), "{shaping}");
        let body: Value = serde_json::from_reader(flate2::read::GzDecoder::new(&sent.body[..])).unwrap();
        assert!(body["query"].as_str().unwrap().contains("me"));
    }
}
