//! Who may use a route, by scope and by address, on both kinds of route.

use serde_json::json;

use crate::support::{header, jwt_config, jwt_config_with, on_both, token};

#[tokio::test]
async fn every_required_scope_is_needed() {
    let config = format!("{}authorization: {{ require_scopes: [read, write] }}\n", jwt_config());
    on_both(&config, async |side| {
        for (claims, status) in [
            (json!({}), 403),
            (json!({ "scope": "read" }), 403),
            (json!({ "scope": "readwrite" }), 403),
            (json!({ "scope": "write admin read" }), 200),
        ] {
            let response = side.request().bearer_auth(token(claims.clone())).send().await.unwrap();
            assert_eq!(response.status(), status, "{claims}");
        }
        assert_eq!(side.send().await.status(), 401, "who is not known is asked before what they may");
    })
    .await;
}

#[tokio::test]
async fn where_scopes_are_needed_nobody_is_asked_who_they_are() {
    let config = format!("{}authorization: {{ require_scopes: [read] }}\n", jwt_config_with("require: false"));
    on_both(&config, async |side| {
        let response = side.send().await;
        assert_eq!(
            (response.status().as_u16(), header(&response, "www-authenticate")),
            (401, r#"Bearer realm="supergate", scope="read""#)
        );
        assert_eq!(side.request().bearer_auth(token(json!({ "scope": "read" }))).send().await.unwrap().status(), 200);
    })
    .await;
}

#[tokio::test]
async fn addresses_are_allowed_and_denied() {
    for (config, status) in [
        ("deny_ips: [127.0.0.0/8]", 403),
        ("allow_ips: [192.0.2.0/24]", 403),
        ("allow_ips: [127.0.0.1]", 200),
        ("allow_ips: [127.0.0.1], deny_ips: [127.0.0.0/8]", 403),
    ] {
        on_both(&format!("authorization: {{ {config} }}\n"), async |side| {
            assert_eq!(side.send().await.status(), status, "{config}");
        })
        .await;
    }
}
