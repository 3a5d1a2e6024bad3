//! Which endpoint takes a call: in turn, by load, by a key; and what changes when an endpoint leaves.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use reqwest::header::{COOKIE, HeaderName};

use super::{eventually, router_before};
use crate::support::{Router, Scripted, Step, answer};

async fn endpoints<const N: usize>() -> [Scripted; N] {
    let mut all = Vec::new();
    for number in 0..N {
        all.push(Scripted::start(move |_| answer(200, "", &number.to_string())).await);
    }
    all.try_into().unwrap_or_else(|_| unreachable!())
}

async fn ask(request: reqwest::RequestBuilder) -> usize {
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.text().await.unwrap().parse().unwrap()
}

#[tokio::test]
async fn turns_are_exact_and_weighted() {
    let all = endpoints::<3>().await;
    let router = router_before(&all.iter().collect::<Vec<_>>(), "", "").await;
    let mut turns = Vec::new();
    for _ in 0..9 {
        turns.push(ask(router.get("/")).await);
    }
    assert_eq!(turns, [0, 1, 2, 0, 1, 2, 0, 1, 2]);

    let [a, b, _] = &all;
    let config = format!(
        "routes: [{{ name: all, upstream: one }}]\n\
         upstreams: {{ one: {{ endpoints: [{{ url: \"{}\", weight: 3 }}, {{ url: \"{}\", weight: 1 }}] }} }}\n",
        a.url(),
        b.url()
    );
    let weighted = Router::start(&config).await;
    let mut turns = Vec::new();
    for _ in 0..8 {
        turns.push(ask(weighted.get("/")).await);
    }
    assert_eq!(turns, [0, 0, 1, 0, 0, 0, 1, 0], "smooth: no endpoint gets all of its turns at once");
}

#[tokio::test]
async fn a_slow_endpoint_gets_less_where_load_decides() {
    let slow = Scripted::start(|_| [vec![Step::Wait(Duration::from_millis(200))], answer(200, "", "0")].concat()).await;
    let fast = Scripted::start(|_| [vec![Step::Wait(Duration::from_millis(10))], answer(200, "", "1")].concat()).await;
    let router = router_before(&[&slow, &fast], ", balance: least_request", "").await;
    let work = async || {
        for _ in 0..25 {
            ask(router.get("/")).await;
        }
    };
    join_all((0..8).map(|_| work())).await;
    let (slow, fast) = (slow.requests().len(), fast.requests().len());
    assert_eq!(slow + fast, 200);
    assert!(slow < 80, "{slow} of 200 went to the slow one");
}

/// Where each of these keys goes.
async fn places(router: &Router, name: &HeaderName, value: impl Fn(usize) -> String, count: usize) -> Vec<usize> {
    let mut places = Vec::new();
    for key in 0..count {
        places.push(ask(router.get("/").header(name, value(key))).await);
    }
    places
}

#[tokio::test]
async fn a_key_stays_where_it_is_and_only_those_of_an_endpoint_that_leaves_move() {
    const KEYS: usize = 200;
    for (on, name) in [("header:X-User", HeaderName::from_static("x-user")), ("cookie:user", COOKIE)] {
        let value = |key: usize| if name == COOKIE { format!("a=b; user=u{key}; c=d") } else { format!("u{key}") };
        let all = endpoints::<4>().await;
        let settings = format!(", balance: {{ hash: {{ on: \"{on}\" }} }}");
        let router = router_before(&all.iter().collect::<Vec<_>>(), &settings, "").await;
        let before = places(&router, &name, value, KEYS).await;
        assert_eq!(before, places(&router, &name, value, KEYS).await, "{on}");
        let mut shares = BTreeMap::new();
        before.iter().for_each(|place| *shares.entry(*place).or_insert(0) += 1);
        assert!(shares.len() == 4 && shares.values().all(|share| (25..80).contains(share)), "{on}: {shares:?}");

        let config = router.config();
        router.rewrite_config(&config.replace(&format!("{{ url: \"{}\" }}, ", all[1].url()), ""));
        eventually("the end of an endpoint", async || !places(&router, &name, value, KEYS).await.contains(&1)).await;
        let after = places(&router, &name, value, KEYS).await;
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
        assert_eq!(moved, shares[&1], "{on}: all that were there, and no others");
    }
}

#[tokio::test]
async fn a_client_stays_by_its_address() {
    let all = endpoints::<4>().await;
    let settings = ", balance: { hash: { on: client_ip } }";
    let router = router_before(&all.iter().collect::<Vec<_>>(), settings, "").await;
    let first = ask(router.get("/")).await;
    for _ in 0..10 {
        assert_eq!(ask(router.get("/")).await, first);
    }
}

#[tokio::test]
async fn an_endpoint_leaves_and_returns_by_its_health_while_others_serve() {
    let [stays, leaves] = endpoints::<2>().await;
    let address = leaves.address();
    let settings = ", health_check: { path: /, interval: 200ms, timeout: 100ms, unhealthy_threshold: 3, healthy_threshold: 2 }";
    let router = router_before(&[&stays, &leaves], settings, "").await;
    let healthy = async || router.metric("api_upstream_healthy_count", &[]).await;
    assert_eq!(healthy().await, 2.0);
    drop(leaves);
    let started = Instant::now();
    while healthy().await != 1.0 {
        assert_eq!(ask(router.get("/")).await, 0, "what cannot be reached is tried elsewhere");
        assert!(started.elapsed() < Duration::from_secs(5));
    }
    let back = Scripted::start_on(address, |_| answer(200, "", "1")).await;
    let returned = Instant::now();
    while ask(router.get("/")).await == 0 {
        // Two checks are needed, and each may be a tenth of an interval late; the rest is slack for a busy machine.
        assert!(returned.elapsed() < Duration::from_millis(1_500), "not used after two good checks");
    }
    drop(back);
}

/// Which of these endpoints calls go to once two of them fail their checks, and how often.
async fn shares(router: &Router, calls: usize) -> BTreeMap<u16, usize> {
    let mut statuses = BTreeMap::new();
    for _ in 0..calls {
        *statuses.entry(router.get("/").send().await.unwrap().status().as_u16()).or_insert(0) += 1;
    }
    statuses
}

#[tokio::test]
async fn below_the_panic_threshold_all_are_called() {
    // Only the checks fail, so that it can be seen who is called.
    let bad = |request: &crate::support::Recorded| answer(if request.line().1 == "/health" { 500 } else { 202 }, "", "bad");
    let (one, two) = (Scripted::start(bad).await, Scripted::start(bad).await);
    let good = Scripted::start(|_| answer(200, "", "good")).await;
    let check = "health_check: { path: /health, interval: 100ms, timeout: 90ms, unhealthy_threshold: 2 }";
    for (threshold, wanted) in [
        ("", vec![(200, 30)]),
        (", panic_threshold: 30%", vec![(200, 30)]),
        (", panic_threshold: 50%", vec![(200, 10), (202, 20)]),
    ] {
        let router = router_before(&[&one, &two, &good], &format!(", {check}{threshold}"), "").await;
        eventually("two endpoints fail", async || router.metric("api_upstream_healthy_count", &[]).await == 1.0).await;
        assert_eq!(shares(&router, 30).await.into_iter().collect::<Vec<_>>(), wanted, "{threshold}");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_back_gets_its_share_little_by_little() {
    let [stays, leaves] = endpoints::<2>().await;
    let address = leaves.address();
    let settings = ", health_check: { path: /, interval: 100ms, timeout: 90ms, unhealthy_threshold: 2, healthy_threshold: 1 }, \
                    slow_start: { window: 6s, min_weight_percent: 5% }";
    let router = router_before(&[&stays, &leaves], settings, "").await;
    let healthy = async || router.metric("api_upstream_healthy_count", &[]).await;
    let mut at_first = 0;
    for _ in 0..40 {
        at_first += ask(router.get("/")).await;
    }
    assert_eq!(at_first, 20, "those of the beginning have their shares at once");
    drop(leaves);
    eventually("the endpoint leaves", async || healthy().await == 1.0).await;
    let _back = Scripted::start_on(address, |_| answer(200, "", "1")).await;
    eventually("the endpoint is back", async || healthy().await == 2.0).await;
    let (returned, mut early, mut calls) = (Instant::now(), 0, 0);
    while returned.elapsed() < Duration::from_millis(1_000) {
        early += ask(router.get("/")).await;
        calls += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(early * 100 < calls * 35, "{early} of {calls} within the first second, where half is its share");
    tokio::time::sleep(Duration::from_millis(5_500)).await;
    let mut late = 0;
    for _ in 0..40 {
        late += ask(router.get("/")).await;
    }
    assert_eq!(late, 20, "after the window it has its share");
}
