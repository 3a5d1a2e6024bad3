//! Sockets and the life of the process.

mod connection;
mod drain;
mod framing;
mod listeners;
mod proxy_protocol;
mod tls;

use reqwest::Version;
use subgraphs_example::{Addresses, Example};

use crate::{
    rest::router_to,
    support::{Router, Scripted, answer},
};

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

/// RFC 9113, section 8.2.3: browsers send each cookie in a line of its own, which HTTP/1.1 does not know.
#[tokio::test]
async fn cookies_of_http2_go_on_in_one_line() {
    let upstream = Scripted::start(|_| answer(200, "", "")).await;
    let router = router_to(&upstream, "", "").await;
    let http2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let crumbs = ["a=1", "b=\"2\"", "c=3; d=4"];
    let request = crumbs.iter().fold(http2.get(router.url("/")), |request, crumb| request.header("cookie", *crumb));
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert_eq!(upstream.take().remove(0).field("cookie"), ["a=1; b=\"2\"; c=3; d=4"]);
}
