//! SIGTERM under load: what was begun is finished, and the process ends by itself.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use subgraphs_example::{Addresses, Example};

use crate::support::{Router, Scripted, Step};

#[tokio::test]
async fn no_request_in_flight_is_lost() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let mut router = Router::start_with(&example, "").await;
    let slow = futures_util::future::join_all((0..20).map(|_| tokio::spawn(router.get("/api/v1/slow?ms=1500").send())));
    tokio::time::sleep(Duration::from_millis(700)).await;
    router.terminate();
    for response in slow.await {
        let response = response.unwrap().unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.text().await.unwrap(), "{\"slept_ms\":1500}");
    }
    assert!(router.ended().await.success());
}

#[tokio::test]
async fn under_load_a_request_is_answered_or_never_accepted() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let mut router = Router::start_with(&example, "").await;
    let answered = AtomicUsize::new(0);
    let ask = async || {
        let client = reqwest::Client::new();
        loop {
            let sent = client
                .post(router.url("/graphql"))
                .json(&serde_json::json!({ "query": "{ topProducts { name inStock } }" }))
                .send()
                .await;
            match sent {
                Ok(response) => {
                    assert_eq!(response.status(), 200);
                    let text = response.text().await.expect("an answer that began must be complete");
                    assert!(text.ends_with("}]}}"), "{text}");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                // A new connection is refused once the router has stopped listening; nothing was sent on it.
                Err(error) => return error,
            }
        }
    };
    let stop = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        router.terminate();
    };
    let (errors, ()) = futures_util::future::join(futures_util::future::join_all((0..16).map(|_| ask())), stop).await;
    assert!(answered.load(Ordering::Relaxed) > 16);
    for error in errors {
        assert!(error.is_connect(), "a request that was sent must be answered: {error:?}");
    }
    let started = Instant::now();
    assert!(router.ended().await.success());
    assert!(started.elapsed() < Duration::from_secs(10));
}

/// A tunnel is work in flight too: it goes on after SIGTERM, up to the limit.
#[tokio::test]
async fn tunnels_are_waited_for_up_to_the_limit() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    for (drain, is_whole) in [("10s", true), ("1s", false)] {
        let upstream = Scripted::start(move |_| {
            vec![Step::Send(switch.into()), Step::Wait(Duration::from_millis(2_500)), Step::Send(b"late".to_vec()), Step::Close]
        })
        .await;
        let url = upstream.url();
        let mut router = Router::start(&format!(
            "shutdown: {{ drain: {drain} }}\nroutes: [{{ name: all, upstream: one }}]\nupstreams: {{ one: {{ endpoints: [{{ url: \"{url}\" }}] }} }}\n"
        ))
        .await;
        let upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
        let stop = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            router.terminate();
        };
        let (answer, ()) = futures_util::future::join(router.raw(upgrade), stop).await;
        assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
        assert_eq!(answer.ends_with("late"), is_whole, "{drain}: {answer}");
        assert!(router.ended().await.success());
    }
}
