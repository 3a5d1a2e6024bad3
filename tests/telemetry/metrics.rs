//! After a known load the metrics count exactly what was sent.

use subgraphs_example::{Addresses, Example, Upstream};

use crate::support::Router;

#[tokio::test]
async fn counts_are_exact_after_a_known_load() {
    let mut example = Example::start(Addresses::any_port()).await.unwrap();
    let router = Router::start_with(&example, "traffic_shaping: { all: { deduplicate_query: false } }\n").await;
    let operations = (0..40).map(|_| router.graphql("query Me { me { id } }"));
    let calls = (0..30).map(|_| async { router.get("/api/v1/orders").send().await.unwrap().bytes().await.unwrap() });
    futures_util::future::join(futures_util::future::join_all(operations), futures_util::future::join_all(calls)).await;
    for _ in 0..5 {
        assert_eq!(router.get("/nowhere").send().await.unwrap().status(), 404);
        assert_eq!(router.get("/api/v1/status/503").send().await.unwrap().status(), 503);
        router.graphql("{ nonsense }").await;
    }

    let requests = async |labels: &[&str]| router.metric("api_requests_total", labels).await;
    assert_eq!(requests(&["route=\"graphql\"", "status_code=\"200\"", "method=\"POST\""]).await, 40.0);
    assert_eq!(requests(&["route=\"graphql\"", "status_code=\"400\""]).await, 5.0);
    assert_eq!(requests(&["route=\"orders\"", "status_code=\"200\"", "method=\"GET\""]).await, 30.0);
    assert_eq!(requests(&["route=\"orders\"", "status_code=\"503\""]).await, 5.0);
    assert_eq!(requests(&["status_code=\"404\""]).await, 5.0);
    assert_eq!(requests(&[]).await, 85.0);
    assert_eq!(router.metric("api_request_duration_seconds_count", &[]).await, 85.0);
    assert_eq!(router.metric("api_request_duration_seconds_bucket", &["le=\"+Inf\""]).await, 85.0);
    assert_eq!(router.metric("api_upstream_latency_seconds_count", &["service=\"accounts\"", "status=\"200\""]).await, 40.0);
    assert_eq!(router.metric("api_upstream_latency_seconds_count", &["service=\"orders\"", "status=\"200\""]).await, 30.0);

    // 45 documents of two kinds, of which one is not valid and so never kept; plans are wanted for the valid one.
    let cache =
        async |what: &str, cache: &str| router.metric(&format!("api_cache_{what}_total"), &[&format!("cache=\"{cache}\"")]).await;
    assert_eq!(cache("hits", "document").await + cache("misses", "document").await, 45.0);
    assert!(cache("misses", "document").await >= 6.0);
    assert_eq!(cache("hits", "plan").await + cache("misses", "plan").await, 40.0);
    let planned = router.metric("graphql_planning_duration_seconds_count", &[]).await;
    assert_eq!(planned, cache("misses", "plan").await);

    let before = router.metric("api_upstream_errors_total", &["service=\"orders\""]).await;
    example.stop(Upstream::Orders);
    for _ in 0..3 {
        assert!(router.get("/api/v1/orders").send().await.unwrap().status().is_server_error());
    }
    assert!(router.metric("api_upstream_errors_total", &["service=\"orders\""]).await > before);
    assert!(router.metric("api_errors_total", &["route=\"orders\""]).await >= 3.0);
}

#[tokio::test]
async fn planning_that_fails_is_counted_as_such() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let more = "supergraph: { query_planning: { timeout: 1ms } }\n";
    let router = Router::start_with(&example, more).await;
    // Far more than can be planned in that time.
    let fields: String =
        (0..20).map(|index| format!(" u{index}: users {{ reviews {{ product {{ name inStock }} }} }}")).collect();
    let answer = router.graphql(&format!("{{ {fields} }}")).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "PLANNING_FAILED", "{answer}");
    let planned = async |outcome: &str| router.metric("graphql_planning_duration_seconds_count", &[outcome]).await;
    assert_eq!((planned("outcome=\"error\"").await, planned("outcome=\"ok\"").await), (1.0, 0.0));
}
