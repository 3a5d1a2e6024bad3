//! Sizes of requests, on both kinds of route.

use crate::support::on_both;

#[tokio::test]
async fn a_body_over_its_limit_is_refused_whether_announced_or_not() {
    on_both("limits: { http_max_request_bytes: 1KiB }\n", async |side| {
        assert_eq!(side.send().await.status(), 200);
        side.arrived_once();
        let large = format!(r#"{{"query":"{{ me {{ id }} }}","pad":"{}"}}"#, "x".repeat(2000));
        let announced = side.request().body(large.clone()).send().await.unwrap();
        assert_eq!(announced.status(), 413);
        assert_eq!(side.router.chunked(side.path(), &large).await, 413);
        assert_eq!(side.send().await.status(), 200, "the next request is served");
    })
    .await;
}

#[tokio::test]
async fn a_header_section_over_its_limit_is_refused() {
    on_both("limits: { http_max_header_bytes: 8KiB }\n", async |side| {
        assert_eq!(side.request().header("x-large", "x".repeat(4000)).send().await.unwrap().status(), 200);
        assert_eq!(side.request().header("x-large", "x".repeat(9000)).send().await.unwrap().status(), 431);
    })
    .await;
}
