//! Retries, breakers, limits, ejections and checks, as the upstream sees them: how often it is asked, when, and by which connection.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use reqwest::Method;

use super::{eventually, router_before};
use crate::support::{Recorded, Router, Scripted, Step, answer};

/// One that answers everything with this status, after so many milliseconds.
async fn service(status: u16, millis: u64) -> Scripted {
    Scripted::start(move |_| [vec![Step::Wait(Duration::from_millis(millis))], answer(status, "", "")].concat()).await
}

/// One that nobody listens on any more.
async fn gone() -> Scripted {
    let gone = service(200, 0).await;
    let address = gone.address();
    drop(gone);
    let refused = async || tokio::net::TcpStream::connect(address).await.is_err();
    eventually("the end of a listener", refused).await;
    Scripted::absent(address)
}

async fn status(router: &Router, method: Method) -> u16 {
    router.client.request(method, router.url("/")).body("body").send().await.unwrap().status().as_u16()
}

/// Nothing was sent where no connection was made, so another endpoint may have the request, whatever it would do, body and all.
#[tokio::test]
async fn what_was_never_sent_goes_to_another_endpoint_whatever_its_method() {
    let (dead, alive) = (gone().await, service(200, 0).await);
    let router = router_before(&[&dead, &alive], "", "").await;
    for _ in 0..10 {
        for method in [Method::GET, Method::POST, Method::PATCH] {
            assert_eq!(status(&router, method).await, 200);
        }
        assert_eq!(router.chunked("/", &"x".repeat(5_000)).await, 200, "a body that is still arriving");
    }
    let requests = alive.take();
    assert_eq!(requests.len(), 40);
    let own = alive.address().to_string();
    assert!(requests.iter().all(|request| request.field("host").len() == 1), "{own}");
    assert!(requests.iter().filter(|request| request.line().0 == "PATCH").all(|request| request.body == b"body"));
}

#[tokio::test]
async fn a_post_is_sent_again_only_when_that_is_allowed() {
    for (allowed, method, tries) in [
        ("", Method::PUT, 3),
        ("", Method::POST, 1),
        (", non_idempotent: true", Method::POST, 3),
        (", non_idempotent: true", Method::PATCH, 3),
    ] {
        let upstream = service(503, 0).await;
        let router = router_before(&[&upstream], &format!(", retry: {{ on: [5xx], attempts: 2 {allowed} }}"), "").await;
        let sizes = [0, 10, 50_000];
        for size in sizes {
            let request = router.client.request(method.clone(), router.url("/")).body("x".repeat(size));
            assert_eq!(request.send().await.unwrap().status(), 503);
        }
        let got = upstream.take();
        assert_eq!(got.len(), tries * sizes.len(), "{method} {allowed}");
        let wanted: Vec<usize> = sizes.iter().flat_map(|size| vec![*size; tries]).collect();
        assert_eq!(got.iter().map(|request| request.body.len()).collect::<Vec<_>>(), wanted);
        let large = router.client.request(method.clone(), router.url("/")).body("x".repeat(500_000));
        assert_eq!(large.send().await.unwrap().status(), 503);
        assert_eq!(upstream.take().len(), 1, "{method}: what is not kept is not sent again");
    }
}

#[tokio::test]
async fn a_retry_prefers_another_endpoint_and_each_try_has_its_time() {
    let hangs = service(200, 5_000).await;
    let works = service(200, 0).await;
    let settings = ", retry: { on: [5xx], attempts: 3, per_try_timeout: 300ms }";
    let router = router_before(&[&hangs, &works], settings, ", timeout: 2s").await;
    for _ in 0..4 {
        let started = Instant::now();
        assert_eq!(router.get("/").send().await.unwrap().status(), 200);
        assert!(started.elapsed() < Duration::from_millis(900), "{:?}: at most one try of 300 ms in vain", started.elapsed());
    }
    assert_eq!((hangs.requests().len(), works.requests().len()), (2, 4), "turn by turn, and what hangs is not asked twice");
    assert_eq!(hangs.left(), 2, "a try that is given up is cancelled");

    let all_hang = service(200, 5_000).await;
    let router = router_before(&[&all_hang], settings, ", timeout: 700ms").await;
    let started = Instant::now();
    assert_eq!(router.get("/").send().await.unwrap().status(), 504);
    let off = started.elapsed().abs_diff(Duration::from_millis(700));
    assert!(off < Duration::from_millis(250), "{off:?} off the deadline of all tries together");
    assert!((2..=3).contains(&all_hang.requests().len()), "two whole tries and what was left of the time");
}

#[tokio::test]
async fn at_most_so_many_retries_are_under_way() {
    for (limits, most) in [("circuit_breaker: { max_retries: 2 }", 2), ("retry_budget", 10)] {
        let tries = Arc::new(AtomicUsize::new(0));
        let count = tries.clone();
        // Every first try fails at once; the retries hang, so that they add up.
        let upstream = Scripted::start(move |_| {
            let is_retry = count.fetch_add(1, Ordering::Relaxed) >= 50;
            let wait = Step::Wait(Duration::from_millis(if is_retry { 1_000 } else { 400 }));
            [vec![wait], answer(503, "", "")].concat()
        })
        .await;
        let settings = match limits {
            "retry_budget" => ", retry: { on: [5xx], attempts: 1, budget: 20% }".to_owned(),
            limits => format!(", retry: {{ on: [5xx], attempts: 1 }}, {limits}"),
        };
        let router = router_before(&[&upstream], &settings, "").await;
        let all = join_all((0..50).map(|_| router.get("/").send())).await;
        assert!(all.into_iter().all(|response| response.unwrap().status() == 503));
        let retries = tries.load(Ordering::Relaxed) - 50;
        assert!((1..=most).contains(&retries), "{retries} retries of 50 calls with {limits}");
    }
}

#[tokio::test]
async fn what_is_one_too_many_is_refused_at_once_and_says_so() {
    let hangs = service(200, 6_000).await;
    let settings = ", circuit_breaker: { max_requests: 5 }, retry: { on: [5xx], attempts: 3 }";
    let router = router_before(&[&hangs], settings, "").await;
    let remaining = async |limit: &str| router.metric("api_upstream_remaining", &[&format!("limit=\"{limit}\"")]).await;
    assert_eq!((remaining("requests").await, remaining("retries").await), (5.0, 3.0));
    let slow = join_all((0..5).map(|_| router.get("/").send()));
    let refused = async {
        eventually("five calls", async || hangs.requests().len() == 5).await;
        assert_eq!((remaining("requests").await, remaining("connections").await), (0.0, 1_019.0));
        for _ in 0..10 {
            let started = Instant::now();
            let response = router.get("/").send().await.unwrap();
            assert_eq!(response.status(), 503);
            assert_eq!(response.headers()["x-supergate-overloaded"], "true");
            assert_eq!(response.headers()["retry-after"], "1");
            assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
        }
    };
    let (slow, ()) = futures_util::future::join(slow, refused).await;
    assert!(slow.into_iter().all(|response| response.unwrap().status() == 200));
    assert_eq!(hangs.requests().len(), 5, "what is refused is not tried again");
    eventually("room again", async || remaining("requests").await == 5.0).await;
}

#[tokio::test]
async fn a_breaker_goes_round_and_lets_one_probe_through() {
    let is_well = Arc::new(AtomicUsize::new(0));
    let well = is_well.clone();
    let upstream = Scripted::start(move |_| {
        let status = if well.load(Ordering::Relaxed) == 1 { 200 } else { 500 };
        [vec![Step::Wait(Duration::from_millis(100))], answer(status, "", "")].concat()
    })
    .await;
    let settings = ", circuit_breaker: { error_threshold: 50%, volume_threshold: 4, sleep: 1s }";
    let router = router_before(&[&upstream], settings, "").await;
    let state = async || router.metric("api_circuit_breaker_state", &["service=\"one\""]).await;
    let is_shown = router.metrics().await.iter().any(|line| line == "api_circuit_breaker_state{service=\"one\"} 0");
    assert!(is_shown, "a breaker that never opens is closed, not absent");
    for _ in 0..4 {
        assert_eq!(status(&router, Method::GET).await, 500);
    }
    assert_eq!(state().await, 2.0, "open");
    let refused = router.get("/").send().await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (503, "1"));
    assert_eq!(upstream.take().len(), 4);
    let round = async || {
        tokio::time::sleep(Duration::from_millis(1_050)).await;
        let statuses = join_all((0..10).map(|_| status(&router, Method::GET))).await;
        (statuses.iter().filter(|status| **status != 503).copied().collect::<Vec<_>>(), upstream.take().len())
    };
    assert_eq!(round().await, (vec![500], 1), "one probe, which fails");
    assert_eq!(state().await, 2.0);
    is_well.store(1, Ordering::Relaxed);
    assert_eq!(round().await, (vec![200], 1), "one probe, which succeeds");
    assert_eq!((state().await, status(&router, Method::GET).await), (0.0, 200));
}

#[tokio::test]
async fn slow_answers_open_a_breaker_that_is_about_time() {
    let upstream = service(200, 150).await;
    let settings = ", circuit_breaker: { slow_threshold: 50%, slow: 100ms, volume_threshold: 3 }";
    let router = router_before(&[&upstream], settings, "").await;
    let statuses = [status(&router, Method::GET).await, status(&router, Method::GET).await, status(&router, Method::GET).await];
    assert_eq!((statuses, status(&router, Method::GET).await), ([200; 3], 503));
}

#[tokio::test]
async fn checks_ask_as_configured_and_do_not_wait_for_calls() {
    let upstream = Scripted::start(|request: &Recorded| match (request.line().1, request.field("host").as_slice()) {
        ("/healthz?deep=1", ["checks.example"]) => answer(418, "", "fine"),
        ("/slow", _) => [vec![Step::Wait(Duration::from_millis(1_500))], answer(200, "", "")].concat(),
        (target, _) => panic!("{target}"),
    })
    .await;
    let other = service(500, 0).await;
    let settings = ", circuit_breaker: { max_connections: 1 }, health_check: { path: \"/healthz?deep=1\", host: checks.example, \
                    expected_statuses: [418], interval: 100ms, timeout: 50ms, unhealthy_threshold: 2, healthy_threshold: 1 }";
    let router = router_before(&[&upstream, &other], settings, "").await;
    let healthy = async || router.metric("api_upstream_healthy_count", &[]).await;
    eventually("the end of the other one", async || healthy().await == 1.0).await;
    let slow = router.get("/slow").send();
    let checked = async {
        eventually("a call", async || upstream.requests().iter().any(|request| request.line().1 == "/slow")).await;
        upstream.take();
        tokio::time::sleep(Duration::from_millis(1_000)).await;
        assert_eq!(healthy().await, 1.0, "its one connection is taken, and it is healthy");
        let checks = upstream.take().len();
        assert!((4..=11).contains(&checks), "{checks} checks in ten intervals");
    };
    let (slow, ()) = futures_util::future::join(slow, checked).await;
    assert_eq!(slow.unwrap().status(), 200);
}

#[tokio::test]
async fn connections_are_shared_and_end_when_they_are_idle_or_old() {
    let upstream = service(200, 0).await;
    let router = router_before(&[&upstream], ", pool: { idle_timeout: 300ms, max_lifetime: 1s }", "").await;
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(900) {
        assert_eq!(status(&router, Method::GET).await, 200);
    }
    assert_eq!((upstream.accepted(), upstream.open()), (1, 1), "one after another, they need one");
    while started.elapsed() < Duration::from_millis(1_900) {
        assert_eq!(status(&router, Method::GET).await, 200);
    }
    assert_eq!(upstream.accepted(), 2, "the first one is too old");
    eventually("the end of an idle connection", async || upstream.open() == 0).await;
    let many = router_before(&[&upstream], ", pool: { max_idle: 2 }", "").await;
    join_all((0..10).map(|_| many.get("/").send())).await;
    eventually("two idle connections", async || upstream.open() <= 2).await;
}
