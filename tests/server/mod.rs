//! Sockets and the life of the process.

mod connection;
mod drain;
mod framing;
mod listeners;
mod proxy_protocol;
mod tls;

use reqwest::Version;
use subgraphs_example::{Addresses, Example};

use crate::support::Router;

#[tokio::test]
async fn http1_and_http2_share_one_port() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let router = Router::start_with(&example, "").await;
    let http2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let response = http2.get(router.url("/api/v1/orders/1")).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, Version::HTTP_2));
    let response = router.get("/api/v1/orders/1").send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, Version::HTTP_11));
}
