//! Which route a request takes.

use subgraphs_example::{Addresses, Example, Upstream};

use crate::support::{Kind, Router, header, jwt_config, on_both, on_both_with};

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

#[tokio::test]
async fn what_no_route_takes_is_told_apart() {
    on_both("", async |side| {
        let send = |method: &str, path: &str| side.router.client.request(method.parse().unwrap(), side.router.url(path)).send();
        let refused = send("DELETE", side.path()).await.unwrap();
        assert_eq!(refused.status(), 405);
        let allow = header(&refused, "allow");
        assert!(allow.contains("GET") && allow.contains("POST"), "{allow:?}");
        assert_eq!(send("POST", "/nowhere").await.unwrap().status(), 404);
        let doubtful =
            format!("POST {}/%2e%2e/x HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", side.path());
        assert!(side.router.raw(&doubtful).await.starts_with("HTTP/1.1 400 "));
        assert!(side.arrived().is_empty());
    })
    .await;
}

/// The blocks at the top hold for both kinds; a route's own block replaces them for that route alone.
#[tokio::test]
async fn a_route_can_override_any_policy() {
    let general = "limits: { http_max_request_bytes: 10 }\nratelimit: { rules: [{ name: none, key: [client_ip], rate: 1/1h }] }\n\
                   authorization: { deny_ips: [127.0.0.1] }\ncors: { origins: [\"https://app.example\"] }\n\
                   headers: { all: { request: [{ insert: { name: x-from, value: top } }] } }\n";
    let own = "limits: { http_max_request_bytes: 1KiB }, ratelimit: { rules: [] }, authorization: { deny_ips: [] }, authentication: { require: false }, \
               cors: { origins: [\"https://other.example\"] }, headers: { request: [{ insert: { name: x-from, value: own } }] }";
    on_both_with(own, &format!("{general}{}", jwt_config()), async |side| {
        for _ in 0..2 {
            let response = side.request().header("origin", "https://other.example").send().await.unwrap();
            if side.kind == Kind::Graphql {
                assert_ne!(response.status(), 200);
                assert_eq!(header(&response, "access-control-allow-origin"), "");
                assert!(side.arrived().is_empty());
            } else {
                assert_eq!(response.status(), 200);
                assert_eq!(header(&response, "access-control-allow-origin"), "https://other.example");
                assert_eq!(side.arrived_once().field("x-from"), ["own"]);
            }
        }
    })
    .await;
}
