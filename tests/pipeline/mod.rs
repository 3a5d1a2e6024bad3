//! The steps of the pipeline, each on both kinds of route: what a client and an upstream see must be the same.

mod access;
mod auth;
mod compression;
mod concurrency;
mod cors;
mod csrf;
mod explorer;
mod limits;
mod rate_limit;
mod route;
mod server_timing;

use serde_json::json;

use crate::support::{Kind, header, jwt_config, on_both, token};

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

#[tokio::test]
async fn each_step_comes_before_the_next_on_both_kinds_of_route() {
    let config = format!(
        "{}limits: {{ http_max_request_bytes: 200 }}\nratelimit: {{ rules: [{{ name: few, key: [client_ip], rate: 2/1h }}] }}\n\
         cors: {{ origins: [\"https://app.example\"] }}\n\
         headers: {{ all: {{ response: [{{ insert: {{ name: X-Served-By, value: supergate }} }}] }} }}\n",
        jwt_config()
    );
    on_both(&config, async |side| {
        let status = async |request: reqwest::RequestBuilder| request.send().await.unwrap().status().as_u16();
        let large = || side.request().body(format!("{{\"query\":\"{{ me {{ id }} }}\",\"x\":\"{}\"}}", "x".repeat(300)));
        let known = |request: reqwest::RequestBuilder| request.bearer_auth(token(json!({})));
        // The route is found before anything is asked of it.
        if side.kind == Kind::Rest {
            assert_eq!(status(side.router.client.delete(side.router.url(side.path()))).await, 405);
        }
        assert_eq!(status(side.router.get("/nowhere")).await, 404);
        // A preflight has no credentials, and counts for nothing.
        let preflight = side.router.client.request(reqwest::Method::OPTIONS, side.router.url(side.path()));
        let preflight = preflight.header("origin", "https://app.example").header("access-control-request-method", "POST");
        let preflight = preflight.send().await.unwrap();
        assert!(preflight.status().is_success() && header(&preflight, "access-control-allow-origin") == "https://app.example");
        // Sizes before credentials, credentials before quotas: whoever is refused has used nothing up.
        assert_eq!(status(large()).await, 413);
        for _ in 0..3 {
            assert_eq!(status(side.request()).await, 401);
            assert_eq!(status(known(large())).await, 413);
        }
        assert!(side.arrived().is_empty());
        for wanted in [200, 200, 429] {
            let response = known(side.request()).header("origin", "https://app.example").send().await.unwrap();
            assert_eq!(response.status(), wanted);
            // On the way back: what is added to answers is added to refusals as well, the rules for an upstream's answer are not.
            assert_eq!(header(&response, "access-control-allow-origin"), "https://app.example");
            if side.kind == Kind::Rest {
                assert_eq!(header(&response, "x-served-by") == "supergate", wanted == 200);
            }
        }
        assert_eq!(status(side.request()).await, 401, "still before the quota");
        assert_eq!(side.arrived().len(), 2);
    })
    .await;
}
