//! Requests that two parsers could read differently: refused, with nothing of them passed on and the connection closed.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc9112#name-security-considerations>

use std::time::Duration;

use crate::{
    rest::router_to,
    support::{Scripted, Step, answer},
};

/// A request inside a request: what must never reach an upstream.
const INNER: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// What an honest client could have sent before, on the same connection.
const HONEST: &str = "POST /honest HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok";

fn post(fields: &str, body: &str) -> String {
    format!("POST /outer HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}{INNER}")
}

/// Everything that is refused with 400 (or 501 for codings that nobody knows).
fn refused() -> Vec<String> {
    let length = format!("Content-Length: {}\r\n", INNER.len());
    let mut all: Vec<String> = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 1_0\r\n",
        "Content-Length: 5.0\r\n",
        "Content-Length:\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length: \u{b}5\r\n",
        "Content-Length : 5\r\n",
        " Content-Length: 5\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: \u{b}chunked\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "X: a\r\n folded\r\n",
        "X: a\rb\r\n",
        "X: a\nTransfer-Encoding: chunked\r\n",
        "X: a\n",
        "X\0: a\r\n",
        "X: a\0\r\n",
        ": empty\r\n",
        "no colon\r\n",
    ]
    .map(|fields| post(fields, "0\r\n\r\n"))
    .into();
    all.push(format!("POST /outer HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{INNER}"));
    all.push(format!("POST /outer HTTP/1.1\nHost: a\n{length}\n{INNER}"));
    all.push(format!("POST /outer HTTP/1.1\r\nHost: a\r\n{length}\n{INNER}"));
    all.push(format!("POST  /outer HTTP/1.1\r\nHost: a\r\n{length}\r\n{INNER}"));
    all.push(format!("POST /outer HTTP/1.1 \r\nHost: a\r\n{length}\r\n{INNER}"));
    all.push(format!("POST /out\0er HTTP/1.1\r\nHost: a\r\n{length}\r\n{INNER}"));
    all
}

fn statuses(answers: &str) -> Vec<&str> {
    answers.split("HTTP/1.1 ").skip(1).map(|answer| answer.get(..3).unwrap_or(answer)).collect()
}

#[tokio::test]
async fn heads_with_two_readings_are_refused_and_the_connection_is_closed() {
    let upstream = Scripted::start(|_| answer(200, "", "{}")).await;
    let router = router_to(&upstream, "", "").await;
    for request in refused() {
        for before in ["", HONEST] {
            let answers = router.raw_within(&format!("{before}{request}"), Duration::from_secs(3)).await;
            let (answers, is_closed) = answers;
            let mut wanted = if before.is_empty() { vec![] } else { vec!["200"] };
            wanted.push("400");
            assert_eq!(statuses(&answers), wanted, "{request:?} after {before:?}: {answers}");
            assert!(is_closed, "{request:?} after {before:?}");
            let seen: Vec<String> = upstream.take().iter().map(|request| request.line().1.to_owned()).collect();
            assert!(seen.iter().all(|target| target == "/honest"), "{request:?} after {before:?}: {seen:?}");
        }
    }
}

#[tokio::test]
async fn bodies_with_two_readings_never_end_well() {
    let upstream = Scripted::start(|_| answer(200, "", "{}")).await;
    let router = router_to(&upstream, "", "").await;
    for body in [
        "3\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "-3\r\nabc\r\n0\r\n\r\n",
        " 3\r\nabc\r\n0\r\n\r\n",
        "\r\nabc\r\n0\r\n\r\n",
        "1_0\r\nabcdefghijklmnop\r\n0\r\n\r\n",
        "10000000000000003\r\nabc\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        "3\r\nabcde\r\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3;a\nabc\r\n0\r\n\r\n",
        "3;a\rabc\r\n0\r\n\r\n",
        "3\r\nabc\r\n0\n\n",
    ] {
        let request = post("Transfer-Encoding: chunked\r\n", body);
        let (answers, is_closed) = router.raw_within(&request, Duration::from_secs(3)).await;
        assert!(statuses(&answers).iter().all(|status| *status == "400" || *status == "502"), "{body:?}: {answers}");
        assert!(is_closed, "{body:?}");
        assert!(upstream.take().is_empty(), "{body:?}");
    }
}

#[tokio::test]
async fn extensions_of_chunks_and_trailers_that_frame_go_no_further() {
    let upstream = Scripted::start(|_| answer(200, "", "{}")).await;
    let router = router_to(&upstream, "", "").await;
    let body = "3;ext=\"value\"\r\nabc\r\n0\r\nContent-Length: 50\r\nHost: evil\r\nAuthorization: evil\r\n\r\n";
    let request = format!("POST /outer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{body}");
    let answers = router.raw(&request).await;
    assert_eq!(statuses(&answers), ["200"], "{answers}");
    let got = upstream.take().remove(0);
    assert_eq!(got.body, b"abc");
    assert!(got.field("content-length").is_empty() && got.field("authorization").is_empty(), "{}", got.head);
}

#[tokio::test]
async fn a_request_behind_an_upgrade_waits_for_its_answer() {
    let refuses = Scripted::start(|_| answer(200, "", "{}")).await;
    let router = router_to(&refuses, "", "").await;
    let upgrade = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let next = "GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answers = router.raw(&format!("{upgrade}{next}")).await;
    assert_eq!(statuses(&answers), ["200", "200"], "{answers}");
    let seen: Vec<String> = refuses.take().iter().map(|request| request.line().1.to_owned()).collect();
    assert_eq!(seen, ["/chat", "/next"], "not switched: the next request is one");

    let switches = Scripted::start(|_| {
        let head = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
        vec![Step::Wait(Duration::from_millis(200)), Step::Send(head.into()), Step::Send(b"hello".to_vec()), Step::Close]
    })
    .await;
    let router = router_to(&switches, "", "").await;
    let answers = router.raw(&format!("{upgrade}{next}")).await;
    assert!(answers.starts_with("HTTP/1.1 101") && answers.ends_with("hello"), "{answers}");
    assert_eq!(switches.take().len(), 1, "switched: what follows is no request of ours");
}

/// A refusal before the body was read must not leave the rest of the body to be read as a request.
#[tokio::test]
async fn the_body_of_a_refused_request_is_no_request() {
    let upstream = Scripted::start(|_| answer(200, "", "{}")).await;
    let router = router_to(&upstream, "", "").await;
    for target in ["/a%2fb", "/a/../b"] {
        let request = format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n{INNER}");
        let (answers, is_closed) = router.raw_within(&request, Duration::from_secs(3)).await;
        assert_eq!(statuses(&answers), ["400"], "{target}: {answers}");
        assert!(is_closed || upstream.take().is_empty(), "{target}");
    }
    assert!(upstream.take().is_empty());
}
