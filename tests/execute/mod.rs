//! Executions under load: what clients leave behind when they go, and how much memory an answer takes.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Recorded, Router, Scripted, Step, answer};

/// A router in front of a subgraph that answers `echo(n:)`, under whatever key it is asked for, with what it was asked.
async fn echoing() -> (Router, Scripted) {
    let subgraph = Scripted::start(|request: &Recorded| {
        let asked: Value = serde_json::from_slice(&request.body).unwrap();
        let query = asked["query"].as_str().unwrap();
        let key = query.split(['{', ' ', ':', '(']).find(|word| word.starts_with("of")).unwrap();
        let n = asked["variables"]["n"].as_i64().unwrap();
        let body = json!({"data":{key:{"n":n,"text":format!("{n} ").repeat(20)}}}).to_string();
        [vec![Step::Wait(Duration::from_millis(3))], answer(200, "", &body)].concat()
    })
    .await;
    let sdl = "type Query { echo(n: Int!): Echo } type Echo { n: Int! text: String }";
    let router = Router::start(&format!(
        "subgraphs: {{ a: {{ url: \"{}\", schema: {{ sdl: \"{sdl}\" }} }} }}\n\
         supergraph: {{ query_planning: {{ cache: {{ in_memory: {{ limit: 128 }} }} }} }}\n\
         telemetry: {{ access_log: {{ enabled: false }}, exporters: {{ metrics: {{ prometheus: {{ listen: \"${{env.METRICS}}\" }} }} }} }}\n",
        subgraph.url()
    ))
    .await;
    (router, subgraph)
}

/// Asks one of 500 operations and checks that the answer is its own; when `leave` is given, leaves by then.
async fn ask(router: &Router, number: usize, leave: Option<Duration>) {
    let key = format!("of{}", number % 500);
    let query = format!("query Q{}($n: Int!) {{ {key}: echo(n: $n) {{ n text }} }}", number % 500);
    let request = router.operation(&query, json!({ "n": number }));
    let answer = async { request.send().await.unwrap().json::<Value>().await.unwrap() };
    let answer = match leave {
        Some(time) => tokio::time::timeout(time, answer).await.ok(),
        None => Some(answer.await),
    };
    if let Some(answer) = answer {
        assert_eq!(answer, json!({"data":{key:{"n":number,"text":format!("{number} ").repeat(20)}}}));
    }
}

/// Asks `count` times on 40 connections; every second client leaves half-way.
async fn load(router: &Router, count: usize) {
    const WIDTH: usize = 40;
    let one = async |lane: usize| {
        for number in (lane..count).step_by(WIDTH) {
            // Between at once and a little later than the subgraph takes.
            let leave = (number % 2 == 1).then(|| Duration::from_micros((number as u64 * 7919) % 6000));
            ask(router, number, leave).await;
        }
    };
    join_all((0..WIDTH).map(one)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_leave_leave_nothing_behind_and_get_nobody_elses_answer() {
    let (router, _subgraph) = echoing().await;
    load(&router, 2_000).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (before, _) = router.memory();
    load(&router, 10_000).await;
    let started = Instant::now();
    // The request for metrics is none of those in flight.
    while router.metric("api_active_requests", &[]).await > 0.0 {
        assert!(started.elapsed() < Duration::from_secs(5), "requests are still in flight");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (after, _) = router.memory();
    // Less than half a kilobyte for each of them. On its level, it goes up and down by a megabyte and a half.
    assert!(after < before + (4 << 20), "memory grew from {before} to {after} bytes");
    // What is open is the pool's idle connections and those of the clients that stayed.
    assert!(router.open_files() < 250, "{} files are open", router.open_files());
    ask(&router, 7, None).await;
}

#[tokio::test]
async fn a_large_answer_takes_twice_its_size_and_little_more() {
    const MEGABYTES: usize = 7;
    let text = "x".repeat(1000);
    let items: Vec<String> = (0..MEGABYTES * 1000).map(|n| format!(r#"{{"n":{n},"text":"{text}"}}"#)).collect();
    let body = format!(r#"{{"data":{{"all":[{}]}}}}"#, items.join(","));
    let few = format!(r#"{{"data":{{"few":[{}]}}}}"#, items[..50].join(","));
    let size = body.len() as u64;
    let subgraph = Scripted::start(move |request: &Recorded| {
        let is_small = String::from_utf8_lossy(&request.body).contains("few");
        answer(200, "", if is_small { &few } else { &body })
    })
    .await;
    let sdl = "type Query { all: [Echo!] few: [Echo!] } type Echo { n: Int! text: String }";
    let router =
        Router::start(&format!("subgraphs: {{ a: {{ url: \"{}\", schema: {{ sdl: \"{sdl}\" }} }} }}\n", subgraph.url())).await;
    let take = async |fields: &str| {
        // What is done for the first time takes memory for its code.
        router.graphql(&format!("{{ few {{ {fields} }} }}")).await;
        let (before, _) = router.memory();
        let response = router.operation(&format!("{{ all {{ {fields} }} }}"), json!({})).send().await.unwrap();
        let answer = response.bytes().await.unwrap();
        assert!(answer.len() as u64 > size / 2);
        router.memory().1.saturating_sub(before)
    };
    // Passed on as it came; besides it buffers of sockets.
    let taken = take("n text").await;
    assert!(taken <= size + (3 << 20), "{taken} bytes for an answer of {size} that is passed on");
    // In another order than it came: as it came and as it goes; besides them the store's rows.
    let taken = take("text n").await;
    assert!(taken <= 2 * size + (3 << 20), "{taken} bytes for an answer of {size}");
}
