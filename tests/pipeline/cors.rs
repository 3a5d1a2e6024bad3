//! Requests of web pages of other origins, on both kinds of route.

use reqwest::{Method, RequestBuilder};

use crate::support::{header, jwt_config, on_both};

const CONFIG: &str = "cors: { origins: [\"https://app.example\"], methods: [GET, POST], allow_headers: [Authorization, Content-Type], max_age: 2h }\n";

fn preflight(router: &crate::support::Router, path: &str, origin: &str) -> RequestBuilder {
    let request = router.client.request(Method::OPTIONS, router.url(path)).header("origin", origin);
    request.header("access-control-request-method", "POST").header("access-control-request-headers", "content-type")
}

#[tokio::test]
async fn a_preflight_is_answered_before_authentication_and_never_passed_on() {
    on_both(&format!("{CONFIG}{}", jwt_config()), async |side| {
        let response = preflight(&side.router, side.path(), "https://app.example").send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        assert_eq!(header(&response, "access-control-allow-origin"), "https://app.example");
        assert!(header(&response, "access-control-allow-methods").contains("POST"));
        assert!(header(&response, "access-control-allow-headers").to_lowercase().contains("content-type"));
        assert_eq!(header(&response, "access-control-max-age"), "7200");
        assert!(header(&response, "vary").to_lowercase().contains("origin"));
        assert!(side.arrived().is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_unknown_origin_gets_no_permission() {
    on_both(CONFIG, async |side| {
        for origin in ["https://evil.example", "https://app.example.evil", "http://app.example", "null"] {
            let response = preflight(&side.router, side.path(), origin).send().await.unwrap();
            assert_eq!(header(&response, "access-control-allow-origin"), "", "{origin}");
            let response = side.request().header("origin", origin).send().await.unwrap();
            assert_eq!(header(&response, "access-control-allow-origin"), "", "{origin}");
        }
    })
    .await;
}

#[tokio::test]
async fn answers_and_refusals_carry_the_permission() {
    on_both(&format!("{CONFIG}ratelimit: {{ global: {{ capacity: 1, interval: 1m }} }}\n"), async |side| {
        for status in [200, 429] {
            let response = side.request().header("origin", "https://app.example").send().await.unwrap();
            assert_eq!(response.status(), status);
            assert_eq!(header(&response, "access-control-allow-origin"), "https://app.example", "{status}");
        }
    })
    .await;
}
