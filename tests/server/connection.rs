//! How long connections of clients live: idle ones, old ones, and those that never ask anything.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    rest::router_to,
    support::{Scripted, answer},
};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Asks once more, and reads the answer; nothing when the connection is over.
async fn ask(stream: &mut TcpStream) -> Option<String> {
    stream.write_all(GET).await.ok()?;
    let mut answer = String::new();
    while !answer.ends_with("fine") {
        let mut buffer = [0; 1_024];
        match timeout(Duration::from_secs(5), stream.read(&mut buffer)).await.expect("no answer") {
            Ok(0) | Err(_) => return None,
            Ok(count) => answer.push_str(&String::from_utf8_lossy(&buffer[..count])),
        }
    }
    Some(answer)
}

#[tokio::test]
async fn an_idle_connection_ends_and_one_in_use_does_not() {
    let upstream = Scripted::start(|_| answer(200, "", "fine")).await;
    let router = router_to(&upstream, "", "connection: { idle_timeout: 500ms }\n").await;
    let mut stream = TcpStream::connect(router.address()).await.unwrap();
    for _ in 0..8 {
        ask(&mut stream).await.expect("ended in use");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let idle = Instant::now();
    let mut nothing = [0; 1];
    assert_eq!(timeout(Duration::from_secs(5), stream.read(&mut nothing)).await.expect("not ended").unwrap(), 0);
    assert!((200..2_000).contains(&idle.elapsed().as_millis()), "{:?}", idle.elapsed());
}

#[tokio::test]
async fn an_answer_that_takes_longer_than_idleness_may_is_waited_for() {
    let wait = Duration::from_millis(1_500);
    let upstream = Scripted::start(move |_| {
        let mut steps = vec![crate::support::Step::Wait(wait)];
        steps.extend(answer(200, "", "fine"));
        steps
    })
    .await;
    let router = router_to(&upstream, "", "connection: { idle_timeout: 200ms, max_age: 400ms }\n").await;
    let mut stream = TcpStream::connect(router.address()).await.unwrap();
    let last = ask(&mut stream).await.expect("cut while it waited");
    assert!(last.to_ascii_lowercase().contains("connection: close\r\n"), "too old to go on: {last}");
}

#[tokio::test]
async fn an_old_connection_says_that_it_ends() {
    let upstream = Scripted::start(|_| answer(200, "", "fine")).await;
    let router = router_to(&upstream, "", "connection: { max_age: 1s }\n").await;
    let mut stream = TcpStream::connect(router.address()).await.unwrap();
    let started = Instant::now();
    while ask(&mut stream).await.is_some() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(started.elapsed() < Duration::from_secs(5), "it lives on");
    }
    assert!((850..3_000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());

    let stream = TcpStream::connect(router.address()).await.unwrap();
    let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get(router.url("/")).body(()).unwrap();
    sender = sender.ready().await.unwrap();
    let (response, _) = sender.send_request(request, true).unwrap();
    assert_eq!(response.await.unwrap().status(), 200);
    let ended = timeout(Duration::from_secs(5), connection).await.expect("no GOAWAY").unwrap();
    assert!(ended.is_ok(), "in order: {ended:?}");
}
