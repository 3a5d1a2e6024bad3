//! One answer out of several services': side by side, one after another, and when some of them fail.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Recorded, Router, Scripted, Step, answer};

/// An upstream that answers with what `body` says of a request's target, after so many milliseconds.
async fn service(millis: u64, body: impl Fn(&str) -> (u16, Value) + Send + Sync + 'static) -> Scripted {
    Scripted::start(move |request: &Recorded| {
        let (status, body) = body(request.line().1);
        [vec![Step::Wait(Duration::from_millis(millis))], answer(status, "", &body.to_string())].concat()
    })
    .await
}

async fn router(services: &[&Scripted], path: &str, aggregate: &str) -> Router {
    let upstreams: String = services
        .iter()
        .zip(["a", "b", "c"])
        .map(|(service, name)| format!("  {name}: {{ endpoints: [{{ url: \"{}\" }}] }}\n", service.url()))
        .collect();
    Router::start(&format!(
        "routes:\n  - name: all\n    match: {{ path: \"{path}\" }}\n    timeout: 2s\n    aggregate: {aggregate}\nupstreams:\n{upstreams}"
    ))
    .await
}

async fn get(router: &Router, path: &str) -> (u16, Option<String>, Value) {
    let response = router.get(path).header("authorization", "Bearer secret").send().await.unwrap();
    let completed = response.headers().get("x-supergate-completed").map(|value| value.to_str().unwrap().to_owned());
    (response.status().as_u16(), completed, response.json().await.unwrap())
}

const PARTS: &str = "{ name: profile, upstream: a, path: /user }, { name: orders, upstream: b, path: /orders }, { name: notes, upstream: c, path: /notes }";

#[tokio::test]
async fn parts_are_asked_side_by_side_and_only_what_is_listed_goes_on() {
    let a = service(300, |_| (200, json!({ "data": { "name": "Ada", "secret": 1 } }))).await;
    let b = service(600, |_| (200, json!([{ "id": 1, "internal": true }, { "id": 2 }]))).await;
    let c = service(900, |_| (200, json!({ "unread": 3 }))).await;
    let parts = "{ parts: [{ name: profile, upstream: a, path: /user, target: data, deny: [secret] }, \
                 { name: orders, upstream: b, path: /orders, allow: [id], mapping: { id: number } }, \
                 { name: notes, upstream: c, path: /notes, flat: true }] }";
    let router = router(&[&a, &b, &c], "/api/dashboard", parts).await;
    let started = Instant::now();
    let got = get(&router, "/api/dashboard?q=1").await;
    let took = started.elapsed();
    let wanted = json!({ "profile": { "name": "Ada" }, "orders": [{ "number": 1 }, { "number": 2 }], "unread": 3 });
    assert_eq!(got, (200, Some("true".into()), wanted));
    assert!(took < Duration::from_millis(1_200), "{took:?}: as long as the slowest, not the sum");
    let asked = a.take().remove(0);
    assert_eq!(asked.line(), ("GET", "/user"));
    assert!(asked.field("authorization").is_empty(), "nothing goes on unless it is listed");
    assert_eq!(router.client.post(router.url("/api/dashboard")).send().await.unwrap().status(), 405);
}

#[tokio::test]
async fn a_part_that_fails_does_what_the_policy_says() {
    let good = async |value: Value| service(0, move |_| (200, value.clone())).await;
    let (a, c) = (good(json!(1)).await, good(json!(3)).await);
    let broken = [
        service(0, |_| (500, json!({}))).await,
        Scripted::start(|_| vec![Step::Reset]).await,
        Scripted::start(|_| answer(200, "", "{\"half\":")).await,
        Scripted::start(|_| vec![Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}".to_vec()), Step::Close]).await,
        Scripted::start(|_| answer(200, "", &"[".repeat(100_000))).await,
        Scripted::start(|_| answer(200, "", "1e400")).await,
    ];
    for b in &broken {
        for (policy, wanted) in [
            ("fail", None),
            ("omit", Some(json!({ "profile": 1, "notes": 3 }))),
            ("nullify", Some(json!({ "profile": 1, "orders": null, "notes": 3 }))),
        ] {
            let router = router(&[&a, b, &c], "/", &format!("{{ on_failure: {policy}, parts: [{PARTS}] }}")).await;
            let (status, completed, body) = get(&router, "/").await;
            match wanted {
                Some(wanted) => assert_eq!((status, completed.as_deref(), body), (200, Some("false"), wanted), "{policy}"),
                None => assert_eq!((status, completed), (502, None), "{body}"),
            }
        }
    }
    let bad = &broken[0];
    let router = router(&[bad, bad, bad], "/", &format!("{{ on_failure: omit, parts: [{PARTS}] }}")).await;
    assert_eq!(get(&router, "/").await.0, 502, "nothing of all parts is no answer");
}

#[tokio::test]
async fn a_part_that_hangs_is_a_part_that_fails() {
    let a = service(0, |_| (200, json!(1))).await;
    let hangs = service(9_000, |_| (200, json!(2))).await;
    let c = service(0, |_| (200, json!(3))).await;
    for (policy, part, within, wanted) in [
        ("omit", "", 1_900..2_050, Some(json!({ "profile": 1, "notes": 3 }))),
        ("nullify", ", timeout: 300ms", 300..1_000, Some(json!({ "profile": 1, "orders": null, "notes": 3 }))),
        ("fail", ", timeout: 300ms", 300..1_000, None),
        ("fail", "", 2_000..2_500, None),
    ] {
        let parts = PARTS.replace("path: /orders", &format!("path: /orders {part}"));
        let router = router(&[&a, &hangs, &c], "/", &format!("{{ on_failure: {policy}, parts: [{parts}] }}")).await;
        let started = Instant::now();
        let (status, completed, body) = get(&router, "/").await;
        let took = started.elapsed().as_millis();
        match wanted {
            Some(wanted) => assert_eq!((status, completed.as_deref(), body), (200, Some("false"), wanted), "{policy} {part}"),
            None => assert_eq!((status, completed), (504, None), "{policy} {part}: {body}"),
        }
        assert!(within.contains(&took), "{policy} {part}: {took} ms");
    }
}

/// Nobody waits for the rest of an answer that has failed already.
#[tokio::test]
async fn a_failure_ends_the_other_parts_where_all_are_needed() {
    let bad = service(0, |_| (500, json!({}))).await;
    let slow = service(1_500, |_| (200, json!(2))).await;
    let router = router(&[&slow, &bad, &slow], "/", &format!("{{ parts: [{PARTS}] }}")).await;
    let started = Instant::now();
    assert_eq!(get(&router, "/").await.0, 502);
    assert!(started.elapsed() < Duration::from_millis(1_200), "{:?}", started.elapsed());
    while slow.left() < 2 {
        assert!(started.elapsed() < Duration::from_secs(5), "the other parts are cancelled");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_later_part_uses_an_earlier_ones_values_and_they_stay_values() {
    for (id, target) in [
        (json!(7), Some("/orders/7?for=7")),
        (json!("x/y?z&\r\n\"'"), Some("/orders/x%2Fy%3Fz%26%0D%0A%22%27?for=x%2Fy%3Fz%26%0D%0A%22%27")),
        (json!(".."), None),
        (json!(null), None),
    ] {
        let user = json!({ "user": { "id": id } });
        let a = service(0, move |_| (200, user.clone())).await;
        let b = service(0, |_| (200, json!("orders"))).await;
        let c = service(0, |_| (200, json!("found"))).await;
        let aggregate = "{ on_failure: omit, parts: [{ name: who, upstream: a, path: \"/users/{name}\" }, \
             { name: orders, upstream: b, path: \"/orders/{who.user.id}?for={who.user.id}\" }, \
             { name: search, upstream: c, path: /search, method: POST, body: { by: \"{who.user.id}\", size: 5 } }] }";
        let router = router(&[&a, &b, &c], "/of/{name}", aggregate).await;
        let (status, completed, body) = get(&router, "/of/ada%20l").await;
        assert_eq!((status, completed), (200, Some(target.is_some().to_string())), "{body}");
        assert_eq!(a.take()[0].line().1, "/users/ada%20l");
        let asked: Vec<String> = b.take().iter().map(|request| request.line().1.to_owned()).collect();
        assert_eq!(asked, target.into_iter().collect::<Vec<_>>());
        let search = c.take().remove(0);
        assert_eq!(serde_json::from_slice::<Value>(&search.body).unwrap(), json!({ "by": id, "size": 5 }));
    }
}

#[tokio::test]
async fn a_value_with_line_ends_never_gets_into_a_header() {
    let a = service(0, |_| (200, json!({ "id": "x\r\nx-evil: 1" }))).await;
    let b = service(0, |_| (200, json!(1))).await;
    let aggregate =
        "{ parts: [{ name: one, upstream: a, path: / }, { name: two, upstream: b, path: /, headers: { X-Id: \"{one.id}\" } }] }";
    let router = router(&[&a, &b], "/", aggregate).await;
    assert_eq!(get(&router, "/").await.0, 502);
    assert!(b.take().is_empty());
}
