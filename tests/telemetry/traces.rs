//! Spans as a collector gets them, with the right parents, and the caller's trace continued upstream.

use serde_json::json;
use subgraphs_example::{Addresses, Example};

use crate::support::{Collector, Router};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

fn config(collector: &Collector, protocol: &str) -> String {
    format!(
        "telemetry: {{ exporters: {{ metrics: {{ prometheus: {{ listen: \"${{env.METRICS}}\" }} }}, \
         tracing: {{ otlp: {{ enabled: true, endpoint: \"{}\", protocol: {protocol} }} }} }} }}\n",
        collector.endpoint()
    )
}

#[tokio::test]
async fn spans_have_the_right_parents() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let collector = Collector::start().await;
    let router = Router::start_with(&example, &config(&collector, "http")).await;
    let traceparent = format!("00-{TRACE}-{CALLER}-01");
    let request = router.operation("query Two { me { id reviews { id } } }", json!({})).header("traceparent", &traceparent);
    assert_eq!(request.send().await.unwrap().status(), 200);
    let echo: serde_json::Value =
        router.get("/api/v1/echo").header("traceparent", &traceparent).send().await.unwrap().json().await.unwrap();

    // The operation: a server's span, one for planning, two fetches. The REST call: a server's span and a call.
    let spans = collector.spans(|spans| spans.iter().filter(|span| span.trace == TRACE).count() >= 6).await;
    let own: Vec<_> = spans.iter().filter(|span| span.trace == TRACE).collect();
    let servers: Vec<_> = own.iter().filter(|span| span.kind == 2).collect();
    assert_eq!(servers.len(), 2, "{own:#?}");
    assert!(servers.iter().all(|span| span.parent == CALLER));
    assert!(own.iter().any(|span| span.name == "plan" && servers.iter().any(|server| server.id == span.parent)), "{own:#?}");
    assert!(servers.iter().any(|span| span.name.contains("Two")), "the operation names its span: {servers:#?}");
    let calls: Vec<_> = own.iter().filter(|span| span.kind == 3).collect();
    assert_eq!(calls.len(), 3, "{own:#?}");
    for call in &calls {
        assert!(own.iter().any(|span| span.id == call.parent), "a call's parent is one of ours: {call:#?}");
    }
    let fields = echo["headers"].as_array().unwrap();
    let sent: Vec<_> = fields.iter().filter(|field| field[0] == "traceparent").map(|field| field[1].as_str().unwrap()).collect();
    assert_eq!(sent.len(), 1);
    assert!(calls.iter().any(|call| sent[0] == format!("00-{TRACE}-{}-01", call.id)), "{sent:?}");
}

#[tokio::test]
async fn spans_arrive_over_grpc_also_when_the_collector_refuses_them_at_first() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let collector = Collector::start_grpc().await;
    let router = Router::start_with(&example, &config(&collector, "grpc")).await;
    assert_eq!(router.get("/api/v1/echo").send().await.unwrap().status(), 200);
    let spans = collector.spans(|spans| spans.len() >= 2).await;
    let server = spans.iter().find(|span| span.kind == 2).unwrap();
    assert!(spans.iter().any(|span| span.kind == 3 && span.parent == server.id && span.trace == server.trace), "{spans:#?}");
}
