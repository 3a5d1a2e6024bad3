//! Requests that a web page could have forged, on both kinds of route. On for GraphQL; a REST route asks for it.

use reqwest::{Method, header::CONTENT_TYPE};

use crate::support::{Kind, on_both, on_both_with};

const QUERY: &str = "?query=%7Bme%7Bid%7D%7D";

#[tokio::test]
async fn a_simple_request_needs_a_header_that_a_page_cannot_send_alone() {
    on_both_with("csrf: {}", "", async |side| {
        let url = side.router.url(&format!("{}{QUERY}", side.path()));
        let get = || side.router.client.get(&url);
        assert_eq!(get().send().await.unwrap().status(), 400);
        assert!(side.arrived().is_empty());
        for name in ["apollo-require-preflight", "x-apollo-operation-name"] {
            assert_eq!(get().header(name, "1").send().await.unwrap().status(), 200, "{name}");
        }
        side.arrived();
        assert_eq!(side.send().await.status(), 200, "a browser asks before it sends application/json");
        side.arrived_once();
        for simple in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
            let mut request = side.request().build().unwrap();
            request.headers_mut().insert(CONTENT_TYPE, simple.parse().unwrap());
            assert_eq!(side.router.client.execute(request).await.unwrap().status(), 400, "{simple}");
        }
        let put = side.router.client.request(Method::PUT, &url).send().await.unwrap();
        assert_eq!(put.status(), 405, "a method that browsers ask about cannot be forged; it is only not allowed");
        assert!(side.arrived().is_empty());
    })
    .await;
}

#[tokio::test]
async fn other_headers_can_be_required_and_a_rest_route_does_not_ask_by_default() {
    on_both_with("csrf: { required_headers: [x-mine] }", "csrf: { required_headers: [x-mine] }\n", async |side| {
        let get = |name: &'static str| {
            side.router.client.get(side.router.url(&format!("{}{QUERY}", side.path()))).header(name, "1").send()
        };
        assert_eq!(get("apollo-require-preflight").await.unwrap().status(), 400);
        assert_eq!(get("x-mine").await.unwrap().status(), 200);
    })
    .await;
    on_both("", async |side| {
        let status = side.router.get(&format!("{}{QUERY}", side.path())).send().await.unwrap().status();
        assert_eq!(status, if side.kind == Kind::Rest { 200 } else { 400 });
    })
    .await;
}
