//! What is said before the answer: `100 Continue` by the upstream's word alone, `103 Early Hints`, and answers that come before
//! the request's body is whole. Spec: <https://www.rfc-editor.org/rfc/rfc9110#section-15.2>

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::support::Router;

/// Longer than anything here takes that is not waited for.
const SOON: Duration = Duration::from_secs(5);
/// How long something is watched that must not happen.
const WHILE: Duration = Duration::from_millis(300);

/// A router in front of an upstream whose every byte is the test's business.
async fn bare(more: &str) -> (Router, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let config = format!(
        "routes: [{{ name: all, upstream: one }}]\nupstreams: {{ one: {{ endpoints: [{{ url: \"{url}\" }}] }} }}\n{more}"
    );
    (Router::start(&config).await, listener)
}

/// One side of a connection, with what has been read of it.
struct Side(TcpStream);

impl Side {
    async fn client(router: &Router) -> Self {
        Self(TcpStream::connect(router.address()).await.unwrap())
    }

    async fn upstream(listener: &TcpListener) -> Self {
        Self(timeout(SOON, listener.accept()).await.expect("nobody connects").unwrap().0)
    }

    async fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads up to and including `end`.
    async fn hear(&mut self, end: &str) -> String {
        let mut text = String::new();
        while !text.ends_with(end) {
            let byte = timeout(SOON, self.0.read_u8()).await.unwrap_or_else(|_| panic!("waiting for {end:?} after {text:?}"));
            text.push(char::from(byte.unwrap_or_else(|error| panic!("{error}, waiting for {end:?} after {text:?}"))));
        }
        text
    }

    async fn head(&mut self) -> String {
        self.hear("\r\n\r\n").await
    }

    async fn is_silent(&mut self) -> bool {
        timeout(WHILE, self.0.read_u8()).await.is_err()
    }

    /// What comes until the end, which must come.
    async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let _ = timeout(SOON, self.0.read_to_end(&mut rest)).await.expect("the connection is not closed");
        String::from_utf8_lossy(&rest).into_owned()
    }
}

const EXPECTS: &str = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn the_body_waits_for_the_upstreams_word() {
    let (router, listener) = bare("").await;
    let mut client = Side::client(&router).await;
    client.say(EXPECTS).await;
    let mut upstream = Side::upstream(&listener).await;
    let head = upstream.head().await.to_ascii_lowercase();
    assert!(head.contains("expect: 100-continue\r\n") && head.contains("content-length: 5\r\n"), "{head}");
    assert!(client.is_silent().await, "nobody has asked for the body yet");
    upstream.say("HTTP/1.1 100 Continue\r\n\r\n").await;
    assert_eq!(client.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.say("hello").await;
    assert_eq!(upstream.hear("hello").await, "hello");
    upstream.say(OK).await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(client.hear("ok").await, "ok");
    client.say("GET /next HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(upstream.head().await.starts_with("GET /next "), "both connections are used again");
}

#[tokio::test]
async fn a_refusal_comes_instead_and_closes_the_connection() {
    let (router, listener) = bare("").await;
    for status in ["413 Content Too Large", "401 Unauthorized", "200 OK"] {
        let mut client = Side::client(&router).await;
        client.say(EXPECTS).await;
        let mut upstream = Side::upstream(&listener).await;
        upstream.head().await;
        upstream.say(&format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nno")).await;
        let head = client.head().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")) && head.contains("connection: close\r\n"), "{head}");
        assert_eq!(client.rest().await, "no", "nothing asks for the body afterwards");
        assert_eq!(upstream.rest().await, "", "{status}: no byte of the body, and the connection is not used again");
    }
}

#[tokio::test]
async fn an_upstream_that_does_not_know_the_word_gets_the_body_all_the_same() {
    let (router, listener) = bare("").await;
    let mut client = Side::client(&router).await;
    let started = Instant::now();
    client.say(EXPECTS).await;
    let mut upstream = Side::upstream(&listener).await;
    upstream.head().await;
    assert_eq!(client.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    assert!((Duration::from_millis(900)..Duration::from_secs(4)).contains(&started.elapsed()), "{:?}", started.elapsed());
    client.say("hello").await;
    assert_eq!(upstream.hear("hello").await, "hello");
    upstream.say(OK).await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn we_refuse_before_the_body_too_and_know_no_other_expectation() {
    let (router, _listener) = bare("limits: { http_max_request_bytes: 4B }\n").await;
    for (request, status) in [(EXPECTS.to_owned(), "413"), (EXPECTS.replace("100-continue", "200-ok"), "417")] {
        let mut client = Side::client(&router).await;
        client.say(&request).await;
        let head = client.head().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")) && head.contains("connection: close\r\n"), "{head}");
        client.rest().await;
    }
}

#[tokio::test]
async fn hints_reach_the_client_before_the_answer() {
    let (router, listener) = bare("").await;
    let mut client = Side::client(&router).await;
    for is_slow in [true, false] {
        client.say("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let mut upstream = Side::upstream(&listener).await;
        upstream.head().await;
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n";
        let close = OK.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
        if is_slow {
            upstream.say(hints).await;
            assert_eq!(client.head().await, "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n");
            upstream.say(&close).await;
        } else {
            upstream.say(&format!("{hints}HTTP/1.1 102 Processing\r\n\r\n{close}")).await;
            assert_eq!(client.head().await, "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n");
            assert_eq!(client.head().await, "HTTP/1.1 102 Processing\r\n\r\n");
        }
        assert!(client.head().await.starts_with("HTTP/1.1 200 OK\r\n"));
        assert_eq!(client.hear("ok").await, "ok");
    }
}

#[tokio::test]
async fn a_flood_of_hints_is_cut_and_old_clients_get_none() {
    let (router, listener) = bare("").await;
    for (version, most) in [("1.1", 16), ("1.0", 0)] {
        let mut client = Side::client(&router).await;
        client.say(&format!("GET /x HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
        let mut upstream = Side::upstream(&listener).await;
        upstream.head().await;
        upstream.say(&"HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n".repeat(2_000)).await;
        upstream.say(&OK.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n")).await;
        let answers = client.rest().await;
        assert_eq!(answers.matches(" 103 ").count(), most, "HTTP/{version}");
        assert!(answers.contains(" 200 OK\r\n") && answers.ends_with("ok"), "{answers}");
    }
}

/// The client is still sending when the answer is there.
#[tokio::test]
async fn an_early_answer_reaches_a_client_that_still_sends() {
    let (router, listener) = bare("limits: { http_max_request_bytes: 1GiB }\n").await;
    for framing in ["Content-Length: 500000000", "Transfer-Encoding: chunked"] {
        for end in ["", "connection: close\r\n"] {
            let mut client = Side::client(&router).await;
            client.say(&format!("POST /x HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n")).await;
            client.say(&format!("{:x}\r\n{}", 400_000_000, "x".repeat(100_000))).await;
            let mut upstream = Side::upstream(&listener).await;
            upstream.head().await;
            upstream.hear("xxxxx").await;
            upstream.say(&format!("HTTP/1.1 413 Content Too Large\r\n{end}content-length: 3\r\n\r\nbig")).await;
            if !end.is_empty() {
                upstream.0.shutdown().await.unwrap();
            }
            let head = client.head().await;
            assert!(head.starts_with("HTTP/1.1 413 ") && head.contains("connection: close\r\n"), "{framing} {end}: {head}");
            // It sends on for a while, as clients do that read only when they have sent everything.
            for _ in 0..20 {
                let _ = client.0.write_all(&[b'x'; 10_000]).await;
            }
            assert_eq!(client.rest().await, "big", "{framing} {end}");
            drop(client);
            let mut nowhere = Vec::new();
            let _ = timeout(SOON, upstream.0.read_to_end(&mut nowhere)).await.expect("the upload goes on for nobody");
        }
    }
}

/// An upstream that answers as the body comes: both go on.
#[tokio::test]
async fn an_answer_may_run_beside_its_request() {
    let (router, listener) = bare("").await;
    let mut client = Side::client(&router).await;
    client.say("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n").await;
    let mut upstream = Side::upstream(&listener).await;
    upstream.head().await;
    upstream.hear("one\r\n").await;
    upstream.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nONE\r\n").await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && !head.contains("connection: close"), "{head}");
    client.hear("ONE\r\n").await;
    client.say("3\r\ntwo\r\n0\r\n\r\n").await;
    upstream.hear("two\r\n0\r\n\r\n").await;
    upstream.say("3\r\nTWO\r\n0\r\n\r\n").await;
    client.hear("TWO\r\n0\r\n\r\n").await;
    client.say("GET /next HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(upstream.head().await.starts_with("GET /next "), "both connections are used again");
}

/// A client that reads only when it has sent everything, of an upstream that answers as the body comes and waits for nobody.
#[tokio::test]
async fn a_request_goes_on_while_nobody_reads_its_answer() {
    const SIZE: usize = 32 << 20;
    let (router, listener) = bare("limits: { http_max_request_bytes: 1GiB }\n").await;
    let mut client = Side::client(&router).await;
    client.say(&format!("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\nx")).await;
    let mut upstream = Side::upstream(&listener).await;
    upstream.hear("\r\n\r\nx").await;
    let (mut read, mut write) = upstream.0.into_split();
    let answering = tokio::spawn(async move {
        write.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n").as_bytes()).await.unwrap();
        write.write_all(&vec![b'y'; SIZE]).await.unwrap();
        write
    });
    let taking = tokio::spawn(async move {
        let mut rest = vec![0; SIZE - 1];
        read.read_exact(&mut rest).await.unwrap();
        read
    });
    timeout(SOON, client.0.write_all(&vec![b'x'; SIZE - 1])).await.expect("the request stands still").unwrap();
    timeout(SOON, taking).await.expect("the request did not arrive").unwrap();
    client.head().await;
    let mut answer = vec![0; SIZE];
    timeout(SOON, client.0.read_exact(&mut answer)).await.expect("the answer stands still").unwrap();
    answering.await.unwrap();
}

/// A refusal of ours while a large body is on its way must not leave with a reset.
#[tokio::test]
async fn our_own_refusal_reaches_a_client_that_sends_everything_first() {
    let (router, _listener) = bare("limits: { http_max_request_bytes: 1KiB }\n").await;
    let mut client = Side::client(&router).await;
    let _ = client.0.write_all(format!("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 8 << 20).as_bytes()).await;
    for _ in 0..8 {
        client.0.write_all(&vec![b'x'; 1 << 20]).await.unwrap();
    }
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.to_ascii_lowercase().contains("connection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn interim_answers_without_end_end_the_call() {
    let (router, listener) = bare("").await;
    let flooding = tokio::spawn(async move {
        let mut connections = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.push(tokio::spawn(async move {
                let mut head = [0; 1_024];
                let _ = stream.read(&mut head).await;
                // As fast as they are taken, and until nobody takes them any more.
                while stream.write_all(&b"HTTP/1.1 102 Processing\r\n\r\n".repeat(200)).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }));
        }
    });
    let started = Instant::now();
    let mut client = Side::client(&router).await;
    client.say("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    let all = client.rest().await;
    assert!(all.contains("HTTP/1.1 502 "), "{all}");
    assert_eq!(all.matches("HTTP/1.1 102 Processing").count(), 16, "only so many go on");
    let http2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    assert_eq!(http2.post(router.url("/x")).send().await.unwrap().status(), 502, "nor are those endless that nobody is told of");
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    flooding.abort();
}
