//! Versions of a service beside each other: by weight, rule, canary, path, header, media type and query.

use crate::support::{Router, Scripted, answer};

/// Two versions that say which one they are.
async fn versions() -> [Scripted; 2] {
    [Scripted::start(|_| answer(200, "", "v1")).await, Scripted::start(|_| answer(200, "", "v2")).await]
}

async fn router(versions: &[Scripted; 2], routes: &str) -> Router {
    let [one, two] = versions;
    Router::start(&format!(
        "routes:\n{routes}upstreams:\n  v1: {{ endpoints: [{{ url: \"{}\" }}] }}\n  v2: {{ endpoints: [{{ url: \"{}\" }}] }}\n",
        one.url(),
        two.url()
    ))
    .await
}

async fn text(request: reqwest::RequestBuilder) -> String {
    request.send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn weights_are_kept_exactly() {
    let versions = versions().await;
    let split = "split: [{ upstream: v1, weight: 90 }, { upstream: v2, weight: 10 }]";
    let router = router(&versions, &format!("  - {{ name: all, {split} }}\n")).await;
    for _ in 0..1_000 {
        assert_eq!(router.get("/").send().await.unwrap().status(), 200);
    }
    let new = versions[1].take().len();
    assert!((95..=105).contains(&new), "{new} of 1,000 at 10 %");
}

#[tokio::test]
async fn a_sticky_caller_stays_and_a_rule_comes_first() {
    let versions = versions().await;
    let split = "sticky: { on: header:X-User }, split: [{ upstream: v1, weight: 1 }, { upstream: v2, weight: 1, when: { headers: { X-Beta: \"1\" } } }]";
    let router = router(&versions, &format!("  - {{ name: all, {split} }}\n")).await;
    let mut new = 0;
    for user in 0..100 {
        let ask = async || text(router.get("/").header("X-User", user.to_string())).await;
        let first = ask().await;
        assert_eq!([ask().await, ask().await], [first.clone(), first.clone()]);
        new += usize::from(first == "v2");
        assert_eq!(text(router.get("/").header("X-User", user.to_string()).header("X-Beta", "1")).await, "v2");
    }
    assert!((30..70).contains(&new), "{new} of 100 users at one half");
}

#[tokio::test]
async fn a_canary_whose_time_is_over_has_everybody_and_one_to_come_nobody() {
    for (begin, wanted) in [("2020-01-01", "v2"), ("2999-01-01T00:00:00Z", "v1")] {
        let versions = versions().await;
        let route = format!("  - {{ name: all, upstream: v1, canary: {{ upstream: v2, begin: {begin}, duration: 1h }} }}\n");
        let router = router(&versions, &route).await;
        for _ in 0..20 {
            assert_eq!(text(router.get("/")).await, wanted, "{begin}");
        }
    }
}

#[tokio::test]
async fn versions_are_told_apart_by_path_header_media_type_and_query() {
    let versions = versions().await;
    let routes = "  - { name: v1-path, match: { path: /api/v1 }, upstream: v1 }\n  \
                  - { name: v2-path, match: { path: /api/v2 }, upstream: v2 }\n  \
                  - { name: stable, match: { path: /api/users }, upstream: v1 }\n  \
                  - { name: v2-header, match: { path: /api/users, headers: { X-API-Version: \"2\" } }, upstream: v2 }\n  \
                  - { name: v2-media, match: { path: /api/users, accept: application/vnd.company.v2+json }, upstream: v2 }\n  \
                  - { name: v1-media, match: { path: /api/users, accept: application/vnd.company.v1+json }, upstream: v1 }\n  \
                  - { name: v2-query, match: { path: /api/users, query: { version: \"2\" } }, upstream: v2, strip_query: [version] }\n";
    let router = router(&versions, routes).await;
    let get = |path: &str| router.get(path);
    let accept = |value: &str| router.get("/api/users").header("accept", value);
    for (request, wanted) in [
        (get("/api/v1/users"), "v1"),
        (get("/api/v2/users"), "v2"),
        (get("/api/users"), "v1"),
        (get("/api/users").header("x-api-version", "2"), "v2"),
        (get("/api/users").header("x-api-version", "3"), "v1"),
        (get("/api/users?version=2"), "v2"),
        (get("/api/users?version=1"), "v1"),
        (accept("application/vnd.company.v2+json"), "v2"),
        (accept("application/vnd.company.v1+json;q=0.8, application/vnd.company.v2+json;q=0.9"), "v2"),
        (accept("application/vnd.company.v1+json, application/vnd.company.v2+json;q=0.9"), "v1"),
        (accept("*/*"), "v1"),
    ] {
        let shown = format!("{request:?}");
        assert_eq!(text(request).await, wanted, "{shown}");
    }
    // What other paths offer is no competition.
    let elsewhere = routes.replace("/api/users", "/api/others")
        + "  - { name: csv, match: { path: /export, accept: text/csv }, upstream: v1 }\n";
    let others = self::router(&versions, &elsewhere).await;
    let request = others.get("/api/others").header("accept", "text/csv, application/vnd.company.v2+json;q=0.9");
    assert_eq!(text(request).await, "v2");
    let response = accept("*/*").send().await.unwrap();
    assert_eq!(response.headers()["vary"], "accept", "another Accept would have led elsewhere");
    assert!(!get("/api/v1").send().await.unwrap().headers().contains_key("vary"));
    versions[1].take();
    text(get("/api/users?a=1&version=2&b")).await;
    assert_eq!(versions[1].take()[0].line().1, "/api/users?a=1&b");
}

#[tokio::test]
async fn a_deprecated_route_says_so_on_every_answer() {
    let versions = versions().await;
    let deprecation = "deprecation: { since: 2026-01-01, sunset: 2026-12-31T00:00:00Z, link: \"https://api.example/v2\" }";
    let routes = format!(
        "  - {{ name: old, match: {{ path: /v1 }}, upstream: v1, {deprecation} }}\n  - {{ name: new, match: {{ path: /v2 }}, upstream: v2 }}\n"
    );
    let router = router(&versions, &routes).await;
    let response = router.get("/v1/x").send().await.unwrap();
    assert_eq!(response.headers()["deprecation"], "@1767225600");
    assert_eq!(response.headers()["sunset"], "Thu, 31 Dec 2026 00:00:00 GMT");
    assert_eq!(response.headers()["link"], "<https://api.example/v2>; rel=\"deprecation sunset\"");
    assert!(!router.get("/v2").send().await.unwrap().headers().contains_key("deprecation"));
}

/// What one version fails is no business of the other one's: it could not be told which of them does what.
#[tokio::test]
async fn a_retry_stays_with_its_version() {
    let fails = Scripted::start(|_| answer(503, "", "v1")).await;
    let works = Scripted::start(|_| answer(200, "", "v2")).await;
    let router = Router::start(&format!(
        "routes: [{{ name: all, split: [{{ upstream: v1, weight: 50 }}, {{ upstream: v2, weight: 50 }}] }}]\n\
         upstreams:\n  v1: {{ endpoints: [{{ url: \"{}\" }}], retry: {{ on: [5xx], attempts: 2 }} }}\n  v2: {{ endpoints: [{{ url: \"{}\" }}] }}\n",
        fails.url(),
        works.url()
    ))
    .await;
    let mut failed = 0;
    for _ in 0..20 {
        failed += usize::from(router.get("/").send().await.unwrap().status() == 503);
    }
    assert_eq!(failed, 10);
    assert_eq!((fails.take().len(), works.take().len()), (30, 10));
}

#[tokio::test]
async fn a_retry_goes_to_the_other_version_where_it_may() {
    let fails = Scripted::start(|_| answer(503, "", "v1")).await;
    let works = Scripted::start(|_| answer(200, "", "v2")).await;
    let router = Router::start(&format!(
        "routes: [{{ name: all, retry_other: true, split: [{{ upstream: v1, weight: 50 }}, {{ upstream: v2, weight: 50 }}] }}]\n\
         upstreams:\n  v1: {{ endpoints: [{{ url: \"{}\" }}], retry: {{ on: [5xx], attempts: 1 }} }}\n  v2: {{ endpoints: [{{ url: \"{}\" }}] }}\n",
        fails.url(),
        works.url()
    ))
    .await;
    for _ in 0..20 {
        let response = router.client.put(router.url("/")).body("the same twice").send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.text().await.unwrap()), (200, "v2".to_owned()));
    }
    let (failed, worked) = (fails.take(), works.take());
    assert_eq!((failed.len(), worked.len()), (20, 20), "ten begin with v1, are tried there twice, and go on to v2");
    assert!(failed.iter().chain(&worked).all(|request| request.body == b"the same twice"));
    // What is not idempotent is not sent twice, wherever to.
    let mut failed = 0;
    for _ in 0..10 {
        failed += usize::from(router.client.post(router.url("/")).body("x").send().await.unwrap().status() == 503);
    }
    assert_eq!((fails.take().len(), works.take().len()), (failed, 10 - failed));
    assert!((4..=6).contains(&failed), "{failed}");
}
