//! The steps of the pipeline, each on both kinds of route: what a client and an upstream see must be the same.

mod access;
mod auth;
mod compression;
mod concurrency;
mod cors;
mod csrf;
mod explorer;
mod limits;
mod order;
mod rate_limit;
mod route;
mod server_timing;

use crate::support::{header, on_both};

#[tokio::test]
async fn every_response_has_a_request_id_and_keeps_an_acceptable_one() {
    on_both("", async |side| {
        let response = side.send().await;
        assert_eq!(response.status(), 200);
        let made = header(&response, "x-request-id").to_owned();
        assert!(made.len() >= 16, "{made:?}");
        assert_ne!(header(&side.send().await, "x-request-id"), made);
        let response = side.request().header("x-request-id", "mine-1").send().await.unwrap();
        assert_eq!(header(&response, "x-request-id"), "mine-1");
        let refused = side.request().header("x-request-id", "mine 2\"").header("accept", "image/png").send().await.unwrap();
        assert_ne!(header(&refused, "x-request-id"), "mine 2\"");
    })
    .await;
}
