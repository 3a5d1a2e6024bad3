//! Who may pass by token, on both kinds of route.

use reqwest::Response;
use serde_json::{Value, json};

use crate::support::{forged, header, jwt_config, jwt_config_with, now, on_both, token};

fn is_challenge(response: &Response) {
    assert_eq!(response.status(), 401);
    assert!(header(response, "www-authenticate").starts_with("Bearer"), "{:?}", response.headers());
}

#[tokio::test]
async fn a_valid_token_passes_and_none_does_not() {
    on_both(&jwt_config(), async |side| {
        is_challenge(&side.send().await);
        assert!(side.arrived().is_empty(), "a refused request must not reach the upstream");
        let response = side.request().bearer_auth(token(json!({}))).send().await.unwrap();
        assert_eq!(response.status(), 200);
        side.arrived_once();
    })
    .await;
}

#[tokio::test]
async fn a_token_that_is_wrong_in_one_way_is_refused() {
    let wrong: Vec<(&str, String)> = vec![
        ("another key", forged(json!({}))),
        ("expired", token(json!({ "exp": now() - 100 }))),
        ("not yet valid", token(json!({ "nbf": now() + 100 }))),
        ("another issuer", token(json!({ "iss": "somebody" }))),
        ("another audience", token(json!({ "aud": "something" }))),
        ("no issuer", token(json!({ "iss": Value::Null }))),
        ("no expiry", token(json!({ "exp": Value::Null }))),
        ("no signature", token(json!({})).rsplit_once('.').unwrap().0.to_owned() + "."),
        ("not a token", "abc".to_owned()),
        ("empty", String::new()),
    ];
    on_both(&jwt_config(), async |side| {
        for (what, token) in &wrong {
            let response = side.request().bearer_auth(token).send().await.unwrap();
            assert_eq!(response.status(), 401, "{what}");
            is_challenge(&response);
        }
        assert!(side.arrived().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_route_may_do_without() {
    on_both(&jwt_config_with("require: false"), async |side| {
        assert_eq!(side.send().await.status(), 200);
        // A token that is sent is checked all the same.
        is_challenge(&side.request().bearer_auth(forged(json!({}))).send().await.unwrap());
        // What is not of our scheme is not for us; the upstream of a REST route gets it.
        assert_eq!(side.request().basic_auth("ann", Some("secret")).send().await.unwrap().status(), 200);
    })
    .await;
}

/// RFC 6750, section 3.1: a client that did not know, or tried another scheme, is told which one and nothing of an error.
#[tokio::test]
async fn another_scheme_is_answered_with_ours_and_a_later_source_still_counts() {
    let config = jwt_config_with("").replace("jwt: {", "jwt: { sources: [{ header: Authorization }, { cookie: token }],");
    on_both(&config, async |side| {
        let refused = side.request().basic_auth("ann", Some("secret")).send().await.unwrap();
        assert_eq!((refused.status().as_u16(), header(&refused, "www-authenticate")), (401, r#"Bearer realm="supergate""#));
        let cookie = format!("token={}", token(json!({})));
        let response = side.request().basic_auth("ann", Some("secret")).header("cookie", cookie).send().await.unwrap();
        assert_eq!(response.status(), 200);
    })
    .await;
}
