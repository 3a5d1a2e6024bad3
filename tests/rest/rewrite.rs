//! What of the path an upstream sees.

use super::router_to;
use crate::support::{Scripted, answer};

#[tokio::test]
async fn prefixes_are_stripped_and_paths_rewritten() {
    for (route, path, wanted) in [
        (", strip_prefix: /api/v1", "/api/v1/orders/1?x=1", "/orders/1?x=1"),
        (", strip_prefix: /api/v1", "/api/v1", "/"),
        (", strip_prefix: /api/v1", "/api/v10/x", "/api/v10/x"),
        (", rewrite: { path: \"/v2/{rest}\" }", "/a/b?c=%2F", "/v2/a/b?c=%2F"),
    ] {
        let upstream = Scripted::start(|_| answer(200, "", "{}")).await;
        let router = router_to(&upstream, route, "").await;
        assert_eq!(router.get(path).send().await.unwrap().status(), 200, "{path}");
        assert_eq!(upstream.take()[0].line().1, wanted, "{route}");
    }
}

#[tokio::test]
async fn methods_and_bodies_are_rewritten() {
    let upstream = Scripted::start(|request| {
        let kind = if request.line().1.starts_with("/text") { "content-type: text/plain\r\n" } else { "" };
        answer(200, &format!("etag: \"1\"\r\n{kind}"), "{\"id\":7,\"internal\":true,\"owner\":{\"mail\":\"x\",\"name\":\"ann\"}}")
    })
    .await;
    let route = ", rewrite: { path: \"/v2/{rest}\", method: PUT }, request_body: { deny: [admin], mapping: { user: customer }, \
                 set: { meta.via: gateway } }, response_body: { deny: [internal, owner.mail] }";
    let router = router_to(&upstream, route, "").await;
    let send = async |kind: &str, body: &str| {
        let response = router.client.post(router.url("/orders?x=1")).header("content-type", kind).body(body.to_owned());
        let response = response.send().await.unwrap();
        (
            response.status().as_u16(),
            response.headers()["content-length"].to_str().unwrap().to_owned(),
            response.text().await.unwrap(),
        )
    };
    let (status, length, text) = send("application/json", r#"{"user":"ann","admin":true,"n":1.50}"#).await;
    assert_eq!((status, &*text), (200, r#"{"id":7,"owner":{"name":"ann"}}"#));
    assert_eq!(length, text.len().to_string());
    let got = upstream.take().remove(0);
    assert_eq!(got.line(), ("PUT", "/v2/orders?x=1"));
    let sent: serde_json::Value = serde_json::from_slice(&got.body).unwrap();
    assert_eq!(sent, serde_json::json!({ "customer": "ann", "n": 1.5, "meta": { "via": "gateway" } }));
    assert_eq!(got.field("content-length"), [got.body.len().to_string()]);
    // What is no JSON passes as it is, and what only says so does not.
    assert_eq!(send("text/plain", "user=ann").await.0, 200);
    assert_eq!(upstream.take()[0].body, b"user=ann");
    assert_eq!(send("application/json", "{").await.0, 400);
    assert!(upstream.take().is_empty());
}
