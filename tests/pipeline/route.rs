//! Which route a request takes.

use subgraphs_example::{Addresses, Example, Upstream};

use crate::support::{Router, header};

#[tokio::test]
async fn paths_match_by_segment_and_methods_are_checked() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let orders = example.url(Upstream::Orders);
    let router = Router::start(&format!(
        "subgraphs: {{ accounts: {{ url: \"{}\" }} }}\n\
         routes:\n\
         \x20 - {{ name: read, match: {{ path: /api/v1/orders, methods: [GET] }}, upstream: orders, strip_prefix: /api/v1 }}\n\
         \x20 - {{ name: echo, match: {{ path: /echo }}, upstream: orders }}\n\
         upstreams: {{ orders: {{ endpoints: [{{ url: \"{orders}\" }}] }} }}\n",
        example.url(Upstream::Accounts),
    ))
    .await;
    let status = async |path: &str| router.get(path).send().await.unwrap().status().as_u16();
    assert_eq!(status("/api/v1/orders").await, 200);
    assert_eq!(status("/api/v1/orders/3").await, 200);
    assert_eq!(status("/api/v1/ordersx").await, 404);
    assert_eq!(status("/nowhere").await, 404);
    let refused = router.client.post(router.url("/api/v1/orders")).send().await.unwrap();
    assert_eq!((refused.status().as_u16(), header(&refused, "allow").contains("GET")), (405, true));
    let echo: serde_json::Value = router.get("/echo/a?x=1&x=2&y=%20").send().await.unwrap().json().await.unwrap();
    assert_eq!(echo["target"], "/echo/a?x=1&x=2&y=%20");
}

#[tokio::test]
async fn a_path_that_could_be_read_in_two_ways_is_refused() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let router = Router::start_with(&example, "").await;
    for path in ["/api/v1/..%2forders", "/api/v1/%2e%2e/x", "/api/v1/a%00b", "/api/v1/a%5cb", "/api/v1/a%2fb"] {
        let answer = router.raw(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
    }
}
