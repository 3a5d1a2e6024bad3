//! Requests that a web page could have forged. On for GraphQL; a REST route asks for it.

use serde_json::json;
use subgraphs_example::{Addresses, Example};

use crate::support::Router;

#[tokio::test]
async fn a_simple_request_needs_a_header_that_a_page_cannot_send_alone() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let router = Router::start_with(&example, "").await;
    let get = || router.get("/graphql?query=%7Bme%7Bid%7D%7D");
    assert_eq!(get().send().await.unwrap().status(), 400);
    assert_eq!(get().header("apollo-require-preflight", "1").send().await.unwrap().status(), 200);
    let post = |content_type: &str| {
        router
            .client
            .post(router.url("/graphql"))
            .header("content-type", content_type)
            .body(json!({ "query": "{ me { id } }" }).to_string())
            .send()
    };
    assert_eq!(post("application/json").await.unwrap().status(), 200);
    assert!(post("text/plain").await.unwrap().status().is_client_error());
    assert_eq!(router.get("/api/v1/orders").send().await.unwrap().status(), 200, "REST routes do not ask for it by default");
}
