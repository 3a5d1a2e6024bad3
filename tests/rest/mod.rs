//! REST routes: requests go through as they came, and a broken answer never looks complete.

mod aggregate;
mod interim;
mod mirror;
mod rewrite;
mod split;
mod tunnel;

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::{Recorded, Router, Scripted, Step, answer};

/// A router with one route, everything to the scripted upstream.
pub async fn router_to(upstream: &Scripted, route: &str, more: &str) -> Router {
    let config = format!(
        "subgraphs: {{ accounts: {{ url: \"http://127.0.0.1:9/graphql\", schema: {{ sdl: \"type Query {{ me: ID }}\" }} }} }}\n\
         routes: [{{ name: all, match: {{ path: / }}, upstream: scripted {route} }}]\n\
         upstreams: {{ scripted: {{ endpoints: [{{ url: \"{}\" }}] }} }}\n{more}",
        upstream.url()
    );
    Router::start(&config).await
}

#[tokio::test]
async fn a_request_arrives_as_it_was_sent() {
    let upstream = Scripted::start(|_| answer(201, "x-answer: 1\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n", "done")).await;
    let router = router_to(&upstream, "", "").await;
    let request = router.client.put(router.url("/a%20b/c;d=1?e=%2F&&f")).header("x-custom", "va l").body("payload");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
    assert_eq!(response.text().await.unwrap(), "done");
    let got = upstream.take().remove(0);
    assert_eq!(got.line(), ("PUT", "/a%20b/c;d=1?e=%2F&&f"));
    assert_eq!((got.field("x-custom"), got.field("host").len()), (vec!["va l"], 1));
    assert_eq!(got.body, b"payload");
}

#[tokio::test]
async fn a_body_that_is_expected_and_empty_has_a_length() {
    let upstream = Scripted::start(|_| answer(200, "", "")).await;
    let router = router_to(&upstream, "", "").await;
    for (method, length, wanted) in [
        ("POST", "Content-Length: 0\r\n", vec!["0"]),
        ("POST", "", vec!["0"]),
        ("PUT", "", vec!["0"]),
        ("PATCH", "", vec!["0"]),
        ("GET", "", vec![]),
        ("DELETE", "", vec![]),
    ] {
        router.raw(&format!("{method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{length}\r\n")).await;
        let got = upstream.take().remove(0);
        assert_eq!((got.field("content-length"), got.field("transfer-encoding").len()), (wanted, 0), "{method} {length}");
    }
}

/// RFC 9110, section 7.6.2: whoever passes OPTIONS on counts, and answers when there is nothing left.
#[tokio::test]
async fn options_goes_as_far_as_it_may() {
    let upstream = Scripted::start(|_| answer(200, "", "theirs")).await;
    let router = router_to(&upstream, "", "").await;
    let ask = async |target: &str, fields: &str| {
        let answer = router.raw(&format!("OPTIONS {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n")).await;
        let left: Vec<_> = upstream.take().iter().map(|got| got.field("max-forwards").join(",")).collect();
        (answer.starts_with("HTTP/1.1 200 ") && answer.contains("content-length: 0\r\n"), left)
    };
    assert_eq!(ask("/", "Max-Forwards: 0\r\n").await, (true, vec![]));
    assert_eq!(ask("*", "").await, (true, vec![]));
    assert_eq!(ask("/", "Max-Forwards: 7\r\n").await, (false, vec!["6".into()]));
    assert_eq!(ask("/", "Max-Forwards: many\r\n").await, (false, vec!["many".into()]));
    assert_eq!(ask("/", "").await, (false, vec![String::new()]));
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let upstream = Scripted::start(|request: &Recorded| answer(200, "", &"y".repeat(request.body.len()))).await;
    let router = router_to(&upstream, "", "limits: { http_max_request_bytes: 16MiB }\n").await;
    for size in [0, 1, 70_000, 5_000_000] {
        let response = router.client.post(router.url("/")).body("x".repeat(size)).send().await.unwrap();
        assert_eq!(response.bytes().await.unwrap().len(), size);
    }
}

#[tokio::test]
async fn an_upstream_that_breaks_before_its_answer_is_a_502() {
    let upstream = Scripted::start(|request: &Recorded| match request.line().1 {
        "/reset" => vec![Step::Reset],
        "/close" => vec![Step::Close],
        "/garbage" => vec![Step::Send(b"not http at all\r\n\r\n".to_vec()), Step::Close],
        _ => vec![Step::Send(b"HTTP/1.1 200 OK\r\ncontent-le".to_vec()), Step::Close],
    })
    .await;
    let router = router_to(&upstream, "", "").await;
    for path in ["/reset", "/close", "/garbage", "/head"] {
        let response = router.client.post(router.url(path)).body("x").send().await.unwrap();
        assert_eq!(response.status(), 502, "{path}");
        assert!(!response.text().await.unwrap().contains("127.0.0.1"), "{path}: addresses are nobody's business");
    }
    assert_eq!(upstream.take().len(), 4, "a POST that may have been acted upon is not sent again");
}

#[tokio::test]
async fn an_answer_that_ends_early_never_looks_complete() {
    let upstream = Scripted::start(|request: &Recorded| {
        let head = match request.line().1 {
            "/length" => "content-length: 100\r\n\r\nhello",
            _ => "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        };
        vec![Step::Send(format!("HTTP/1.1 200 OK\r\n{head}").into_bytes()), Step::Wait(Duration::from_millis(50)), Step::Close]
    })
    .await;
    let router = router_to(&upstream, "", "").await;
    for path in ["/length", "/chunked"] {
        let response = router.get(path).send().await.unwrap();
        assert!(response.bytes().await.is_err(), "{path}");
    }
}

/// 256 MiB each way, or as many as `SUPERGATE_TEST_MIB` says (10240 for 10 GiB); a side that reads or writes slowly holds the
/// other back, not the router's memory.
#[tokio::test]
async fn large_bodies_pass_at_flat_memory() {
    const PIECE: usize = 1 << 20;
    let pieces = std::env::var("SUPERGATE_TEST_MIB").map_or(256, |mebibytes| mebibytes.parse().unwrap());
    let total = PIECE * pieces;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut seen, mut buffer) = (0, vec![0; PIECE]);
                // Whatever comes is read, as much as was announced, and as much is sent back.
                while seen < total {
                    seen += stream.read(&mut buffer).await.unwrap();
                    if seen > total / 2 && seen < total / 2 + PIECE {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {total}\r\n\r\n");
                stream.write_all(head.as_bytes()).await.unwrap();
                for _ in 0..pieces {
                    stream.write_all(&buffer).await.unwrap();
                }
                let _ = stream.read(&mut buffer).await;
            });
        }
    });
    let router = Router::start(&format!(
        "routes: [{{ name: all, upstream: one }}]\nupstreams: {{ one: {{ endpoints: [{{ url: \"{url}\" }}] }} }}\nlimits: {{ http_max_request_bytes: 1TiB }}\n"
    ))
    .await;
    let before = router.resident();
    let mut stream = TcpStream::connect(router.address()).await.unwrap();
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {total}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = vec![b'x'; PIECE];
    let mut most = 0;
    for _ in 0..pieces {
        stream.write_all(&piece).await.unwrap();
        most = most.max(router.resident());
    }
    // Nothing is read for a while: what the upstream sends has to wait there.
    tokio::time::sleep(Duration::from_millis(500)).await;
    most = most.max(router.resident());
    let (mut read, mut buffer) = (0, vec![0; PIECE]);
    while read < total {
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "the answer ended after {read} bytes");
        if read / PIECE != (read + count) / PIECE {
            most = most.max(router.resident());
        }
        read += count;
    }
    println!("{pieces} MiB each way: from {} to {} MiB", before >> 20, most >> 20);
    assert!(most - before < 24 << 20, "from {} to {} MiB", before >> 20, most >> 20);
    assert!(most < 64 << 20, "{} MiB", most >> 20);
}
