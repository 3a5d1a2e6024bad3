//! Copies of requests: complete, as many as asked for, and never felt by the client.

use std::time::{Duration, Instant};

use crate::support::{Router, Scripted, Step, answer};

async fn router(main: &Scripted, mirror: &Scripted, settings: &str) -> Router {
    Router::start(&format!(
        "routes: [{{ name: all, upstream: main, mirror: {{ upstream: copy {settings} }} }}]\n\
         upstreams:\n  main: {{ endpoints: [{{ url: \"{}\" }}] }}\n  copy: {{ endpoints: [{{ url: \"{}\" }}] }}\n",
        main.url(),
        mirror.url()
    ))
    .await
}

/// Waits until the mirror has seen so many requests.
async fn seen(mirror: &Scripted, count: usize) {
    let started = Instant::now();
    while mirror.requests().len() < count {
        assert!(started.elapsed() < Duration::from_secs(30), "{} of {count}", mirror.requests().len());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn copies_are_whole_and_answers_to_them_are_dropped() {
    let main = Scripted::start(|_| answer(200, "", "main")).await;
    let mirror = Scripted::start(|_| answer(500, "", "mirror")).await;
    let router = router(&main, &mirror, "").await;
    for (count, (path, body)) in [("/a?b=%2F", ""), ("/c", "payload")].into_iter().enumerate() {
        let response = router.client.post(router.url(path)).header("x-custom", "1").body(body).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.text().await.unwrap().as_str()), (200, "main"));
        // Copies are sent side by side: only one that has come is surely before the next.
        seen(&mirror, count + 1).await;
    }
    for (copy, original) in mirror.take().iter().zip(main.take()) {
        assert_eq!((copy.line(), &copy.body), (original.line(), &original.body));
        assert_eq!(copy.field("x-custom"), ["1"]);
    }
}

#[tokio::test]
async fn a_share_is_copied_and_large_bodies_are_not() {
    let main = Scripted::start(|_| answer(200, "", "main")).await;
    let mirror = Scripted::start(|_| answer(200, "", "mirror")).await;
    let router = router(&main, &mirror, ", percent: 20%, max_body_bytes: 1KiB").await;
    for _ in 0..100 {
        assert_eq!(router.get("/").send().await.unwrap().status(), 200);
    }
    seen(&mirror, 20).await;
    for _ in 0..20 {
        let response = router.client.post(router.url("/large")).body("x".repeat(2_000)).send().await.unwrap();
        assert_eq!(response.status(), 200);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(mirror.take().len(), 20);
}

#[tokio::test]
async fn a_mirror_that_hangs_or_is_gone_is_not_felt() {
    let main = Scripted::start(|_| answer(200, "", "main")).await;
    let hangs = Scripted::start(|_| vec![Step::Wait(Duration::from_secs(30))]).await;
    let router = router(&main, &hangs, "").await;
    let started = Instant::now();
    for round in 0..300 {
        assert_eq!(router.get("/").send().await.unwrap().status(), 200, "{round}");
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}: nobody waits for one that hangs for 30 s", started.elapsed());
    assert!(hangs.requests().len() <= 128, "copies under way are bounded");
    drop(hangs);
    assert_eq!(router.get("/").send().await.unwrap().status(), 200);
}
