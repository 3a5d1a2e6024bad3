//! How many requests may be in flight and how long one may take, on both kinds of route.

use std::time::{Duration, Instant};

use crate::support::on_both_after;

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_with_504() {
    on_both_after(Duration::from_secs(20), "traffic_shaping: { router: { timeout: 300ms } }\n", async |side| {
        let started = Instant::now();
        assert_eq!(side.send().await.status(), 504);
        assert!(started.elapsed() < Duration::from_secs(5));
    })
    .await;
}

#[tokio::test]
async fn beyond_the_limit_requests_are_refused_at_once() {
    on_both_after(
        Duration::from_millis(500),
        "traffic_shaping: { router: { concurrency_limit: 2 }, all: { deduplicate_query: false } }\n",
        async |side| {
            let sent = (0..6).map(|_| async { side.send().await.status().as_u16() });
            let mut statuses = futures_util::future::join_all(sent).await;
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 200, 503, 503, 503, 503]);
            assert_eq!(side.send().await.status(), 200, "places are given back");
        },
    )
    .await;
}
