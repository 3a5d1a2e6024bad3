//! The whole path in one process over real sockets: raw clients, the server, the pipeline, a REST target, an upstream that
//! records bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use arc_swap::ArcSwap;
use http::Version;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    rest::{
        rewrite::{PathRewrite, Rewrite},
        split::Split,
    },
    server::{
        self, Drain, Front, Manner,
        connection::{ConnectionConfig, Protocols},
        tls,
    },
    telemetry::metrics::Metrics,
    upstream::{Upstream, UpstreamConfig, headers::Rules},
};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// What an upstream got, one entry per connection.
type Seen = Arc<Mutex<Vec<String>>>;

/// An upstream that answers every request head with the same bytes, and closes after that if told to.
async fn upstream(answer: &'static str, closes: bool) -> (SocketAddr, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Seen::default());
    let record = seen.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let slot = record.lock().unwrap().len();
            record.lock().unwrap().push(String::new());
            tokio::spawn(converse(stream, answer, closes, slot, record.clone()));
        }
    });
    (address, seen)
}

async fn converse(mut stream: TcpStream, answer: &'static str, closes: bool, slot: usize, seen: Seen) {
    let (mut buffer, mut answered) = (vec![0; 65_536], 0);
    loop {
        let count = match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => count,
        };
        let heads = {
            let mut seen = seen.lock().unwrap();
            seen[slot].push_str(&String::from_utf8_lossy(&buffer[..count]));
            seen[slot].matches("HTTP/1.1\r\n").count()
        };
        while answered < heads {
            answered += 1;
            stream.write_all(answer.as_bytes()).await.unwrap();
            if closes {
                return;
            }
        }
    }
}

struct Gateway {
    address: SocketAddr,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
}

fn limits(time: Duration) -> Limits {
    Limits::new(&limits::LimitsConfig::default(), time)
}

/// A gateway with one route to an upstream, with these settings of it.
async fn gateway(matching: &str, settings: &str, rewrite: Rewrite, endpoint: SocketAddr) -> Gateway {
    let settings = format!("{{ endpoints: [{{ url: 'http://{endpoint}' }}], {settings} }}");
    gateway_with(matching, &settings, rewrite, None).await
}

async fn gateway_with(matching: &str, yaml: &str, rewrite: Rewrite, tls: Option<Arc<ServerConfig>>) -> Gateway {
    let metrics = Metrics::new();
    let config: UpstreamConfig = serde_saphyr::from_str(yaml).unwrap();
    let upstream = Upstream::new("orders".into(), &config, metrics.clone()).unwrap().for_route(Rules::default());
    let target = Target::Rest(Box::new(rest::Proxy::new(Split::one(Arc::new(upstream)), rewrite, None)));
    let limits = limits(Duration::from_secs(2));
    let policy = Policy {
        has_explorer: false,
        cors: None,
        limits,
        csrf: None,
        auth: None,
        access: None,
        rate_limit: None,
        concurrency: None,
        compression: None,
        deprecation: None,
    };
    let route = Route { name: "orders".into(), policy, target, varies_by_accept: false };
    let matching = serde_saphyr::from_str(matching).unwrap();
    let pipeline = Arc::new(Pipeline {
        routes: Routes::new(vec![(matching, route)]).unwrap(),
        trusted_proxies: TrustedProxies::default(),
        observer: Arc::new(Observer { metrics, listener: None, access_log: None, tracer: None }),
        server_timing: ServerTiming::default(),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let handler = move |arrival, request| {
        let pipeline = pipeline.clone();
        async move { pipeline.handle(pipeline.receive(arrival, request)).await }
    };
    let protocols = Arc::new(Protocols::new(&ConnectionConfig::default()));
    let manner = Arc::new(ArcSwap::from_pointee(Manner { tls, proxies: None, protocols }));
    let front = Front { listener, manner, metrics: Metrics::new() };
    let drain = Drain { stop: stop.clone(), limit: Duration::from_secs(3) };
    let served = tokio::spawn(server::serve(front, handler, drain));
    Gateway { address, stop, served }
}

async fn plain(answer: &'static str) -> (Gateway, Seen) {
    let (address, seen) = upstream(answer, false).await;
    (gateway("{}", "", Rewrite::default(), address).await, seen)
}

impl Gateway {
    /// Sends bytes and reads until the connection ends or nothing comes for a while.
    async fn send(&self, bytes: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let _ = stream.write_all(bytes.as_bytes()).await;
        read(&mut stream).await
    }

    async fn status(&self, bytes: &str) -> String {
        self.send(bytes).await.split(' ').nth(1).unwrap_or("closed").to_owned()
    }
}

async fn read(stream: &mut TcpStream) -> String {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 65_536]);
    while let Ok(Ok(count @ 1..)) = timeout(Duration::from_millis(300), stream.read(&mut buffer)).await {
        all.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test]
async fn requests_and_answers_pass_as_they_are() {
    let (gateway, seen) =
        plain("HTTP/1.1 201 Fine\r\nx-a: 1\r\nset-cookie: a\r\nset-cookie: b\r\ncontent-length: 2\r\n\r\nok").await;
    let answer =
        gateway.send("POST /a//b;c=%7e?q=%2F& HTTP/1.1\r\nHost: a.example:80\r\nX-B: 2\r\nContent-Length: 4\r\n\r\nbody").await;
    assert!(answer.starts_with("HTTP/1.1 201 Fine\r\nx-a: 1\r\nset-cookie: a\r\nset-cookie: b\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nok") && answer.contains("x-request-id: "), "{answer}");
    let seen = seen.lock().unwrap()[0].clone();
    assert!(seen.starts_with("POST /a//b;c=%7e?q=%2F& HTTP/1.1\r\n") && seen.ends_with("\r\n\r\nbody"), "{seen}");
    for field in [
        "host: a.example:80\r\n",
        "x-b: 2\r\n",
        "x-forwarded-for: 127.0.0.1\r\n",
        "via: 1.1 supergate\r\n",
        "content-length: 4\r\n",
    ] {
        assert!(seen.contains(field), "{field} is not in {seen}");
    }
}

#[tokio::test]
async fn nothing_that_two_parsers_could_read_differently_is_passed_on() {
    let (gateway, seen) = plain(OK).await;
    let post = |fields: &str, body: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}");
    let bad = [
        post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!"),
        post("Content-Length: 5, 6\r\n", "hello!"),
        post("Content-Length: +5\r\n", "hello"),
        post("Content-Length: 0x5\r\n", "hello"),
        post("Content-Length: -1\r\n", "hello"),
        post("Content-Length: 99999999999999999999\r\n", "hello"),
        post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: identity\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
        post("X-A: b\r\n folded\r\n", ""),
        post("Transfer-Encoding: chunked\r\n", "0x1\r\na\r\n0\r\n\r\n"),
        post("Transfer-Encoding: chunked\r\n", "+1\r\na\r\n0\r\n\r\n"),
        post("Transfer-Encoding: chunked\r\n", "ffffffffffffffffff\r\na\r\n0\r\n\r\n"),
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
        "GET / HTTP/1.1\r\n\r\n".into(),
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".into(),
        "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n".into(),
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n".into(),
        "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n".into(),
        "GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n".into(),
        "GET /x/../admin HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        "GET /x%2f..%2fadmin HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        "GET /\\admin HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n".into(),
        "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n".into(),
        "GET / HTTP/1.1 \r\nHost: a\r\nno colon\r\n\r\n".into(),
        "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n".into(),
    ];
    for request in bad {
        let status = gateway.status(&request).await;
        assert!(matches!(&*status, "400" | "405" | "501" | "closed" | "502"), "{status} for {request:?}");
        let passed = std::mem::take(&mut *seen.lock().unwrap());
        assert!(
            !passed.iter().any(|bytes| bytes.contains("\r\n\r\n") && bytes.ends_with("0\r\n\r\n")),
            "{request:?} became {passed:?}"
        );
    }
}

#[tokio::test]
async fn of_two_framings_none_goes_on() {
    let (gateway, seen) = plain(OK).await;
    for fields in ["Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"] {
        let status = gateway.status(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n1\r\na\r\n0\r\n\r\n")).await;
        assert_eq!(status, "400", "{fields}");
    }
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_a_body_was_framed_with_ends_here() {
    let (gateway, seen) = plain(OK).await;
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer_Encoding: x\r\n\r\n3;ext=\"1\"\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n";
    assert_eq!(gateway.status(chunked).await, "200");
    let seen = seen.lock().unwrap()[0].clone();
    assert!(seen.ends_with("3\r\nabc\r\n0\r\n\r\n"), "{seen}");
    assert!(!seen.contains('_') && !seen.contains("ext"), "{seen}");
}

#[tokio::test]
async fn an_upstream_that_speaks_nonsense_is_a_502_and_one_that_stops_is_never_a_whole_answer() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nhello",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n\r\n",
        "",
    ] {
        let (address, _) = upstream(answer, true).await;
        let gateway = gateway("{}", "", Rewrite::default(), address).await;
        assert_eq!(gateway.status("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await, "502", "{answer:?}");
    }
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        let (address, _) = upstream(answer, true).await;
        let gateway = gateway("{}", "", Rewrite::default(), address).await;
        let got = gateway.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(!got.contains("0\r\n\r\n") && !got.contains("content-length: 5\r\n"), "{got}");
    }
}

#[tokio::test]
async fn an_answers_connection_fields_stay_behind() {
    let (gateway, _) = plain("HTTP/1.1 200 OK\r\nconnection: X-Secret, keep-alive\r\nx-secret: s\r\nkeep-alive: timeout=9\r\nproxy-connection: x\r\ncontent-length: 0\r\nx-kept: 1\r\n\r\n").await;
    let answer = gateway.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(answer.contains("x-kept: 1") && !answer.contains("secret") && !answer.contains("timeout=9"), "{answer}");
}

#[tokio::test]
async fn heads_and_bodiless_answers_do_not_shift_the_next_one() {
    let (gateway, seen) = plain("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n").await;
    let head = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = gateway.send(&head.repeat(2)).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2, "{answer}");
    assert_eq!(answer.matches("content-length: 5").count(), 2, "{answer}");
    assert_eq!(seen.lock().unwrap().len(), 1, "the connection is used again");
    let (gateway, _) = plain("HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\netag: \"x\"\r\n\r\n").await;
    let answer = gateway.send(&"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2)).await;
    assert_eq!(answer.matches("HTTP/1.1 304").count(), 2, "{answer}");
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_meanwhile_costs_the_client_nothing() {
    let (address, seen) = upstream(OK, true).await;
    let gateway = gateway("{}", "", Rewrite::default(), address).await;
    for method in ["GET", "POST", "GET", "POST"] {
        let answer = gateway.status(&format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")).await;
        assert_eq!(answer, "200");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(seen.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn a_hanging_upstream_is_a_504_and_a_missing_one_a_502() {
    let (gateway, _) = plain("").await;
    let started = std::time::Instant::now();
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 504");
    let late = started.elapsed().abs_diff(Duration::from_secs(2));
    assert!(late < Duration::from_millis(200), "{late:?} off its deadline");
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let gateway = self::gateway("{}", "", Rewrite::default(), nobody).await;
    let answer = gateway.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 502") && answer.contains("application/problem+json"), "{answer}");
    assert!(answer.contains(r#""code":"UPSTREAM_UNREACHABLE""#) && !answer.contains("127.0.0.1"), "{answer}");
}

#[tokio::test]
async fn protocols_are_switched_when_both_sides_agree() {
    let (gateway, seen) =
        plain("HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: echo\r\nsec-websocket-accept: x\r\n\r\nfirst")
            .await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\nSec-WebSocket-Key: k\r\n\r\n")
        .await
        .unwrap();
    let answer = read(&mut stream).await;
    assert!(
        answer.starts_with("HTTP/1.1 101") && answer.contains("upgrade: echo") && answer.ends_with("\r\n\r\nfirst"),
        "{answer}"
    );
    stream.write_all(b"ping").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let seen = seen.lock().unwrap()[0].clone();
    assert!(seen.contains("upgrade: echo") && seen.contains("sec-websocket-key: k") && seen.ends_with("ping"), "{seen}");
}

#[tokio::test]
async fn retries_follow_the_rules() {
    let failing = "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n";
    for (method, tries) in [("GET", 3), ("POST", 1)] {
        let (address, seen) = upstream(failing, false).await;
        let gateway = gateway("{}", "retry: { on: [5xx], attempts: 2 }", Rewrite::default(), address).await;
        assert_eq!(gateway.status(&format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")).await, "503");
        assert_eq!(seen.lock().unwrap().iter().map(|bytes| bytes.matches(method).count()).sum::<usize>(), tries, "{method}");
    }
}

#[tokio::test]
async fn the_breaker_answers_for_an_upstream_that_fails() {
    let (address, seen) = upstream("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", false).await;
    let settings = "circuit_breaker: { error_threshold: 50%, volume_threshold: 2, sleep: 7s }";
    let gateway = gateway("{}", settings, Rewrite::default(), address).await;
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!([gateway.status(get).await, gateway.status(get).await], ["500", "500"]);
    let refused = gateway.send(get).await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after: 7"), "{refused}");
    assert_eq!(seen.lock().unwrap().iter().map(|bytes| bytes.matches("GET").count()).sum::<usize>(), 2);
}

#[tokio::test]
async fn paths_are_stripped_and_matched_by_segment() {
    let (address, seen) = upstream(OK, false).await;
    let gateway = gateway(
        "{ path: /api/v1, methods: [GET] }",
        "",
        Rewrite { path: PathRewrite::strip("/api/v1"), strip_query: vec![] },
        address,
    )
    .await;
    let status = async |target: &str| gateway.status(&format!("{target} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    assert_eq!(status("GET /api/v1/orders?x=%2F").await, "200");
    let first = seen.lock().unwrap()[0].clone();
    assert!(first.starts_with("GET /orders?x=%2F HTTP/1.1\r\n") && first.contains("x-forwarded-prefix: /api/v1\r\n"), "{first}");
    for (target, expected) in [
        ("GET /api/v1", "200"),
        ("GET /api/v12", "404"),
        ("GET /api", "404"),
        ("DELETE /api/v1/x", "405"),
        ("HEAD /api/v1/", "200"),
    ] {
        assert_eq!(status(target).await, expected, "{target}");
    }
    let refused = gateway.send("PUT /api/v1 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(refused.contains("allow: GET, HEAD\r\n"), "{refused}");
}

#[tokio::test]
async fn sizes_are_limited() {
    let (gateway, seen) = plain(OK).await;
    for (request, status) in [
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(9_000)), "414"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(70_000)), "431"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(700_000)), "431"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(10_000)), "431"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n".into(), "413"),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n".into(), "417"),
    ] {
        assert_eq!(gateway.status(&request).await, status, "{}", &request[..60]);
    }
    assert!(!seen.lock().unwrap().iter().any(|bytes| bytes.ends_with("0\r\n\r\n")));
}

#[tokio::test]
async fn a_drain_loses_nothing_that_was_sent() {
    let (gateway, _) = plain(OK).await;
    let mut idle = TcpStream::connect(gateway.address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(read(&mut idle).await.contains("200 OK"));
    // Connections that are in the queue of the listener, not yet accepted, count as well.
    let queued: Vec<_> = futures_util::future::join_all((0..20).map(|_| TcpStream::connect(gateway.address))).await;
    gateway.stop.cancel();
    tokio::time::sleep(Duration::from_millis(50)).await;
    idle.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let answer = read(&mut idle).await;
    assert!(answer.contains("200 OK") && answer.contains("connection: close"), "{answer}");
    for stream in queued {
        let mut stream = stream.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        assert!(timeout(Duration::from_secs(1), read(&mut stream)).await.unwrap().contains("200 OK"));
    }
    timeout(Duration::from_secs(3), gateway.served).await.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(gateway.address).await.is_err());
}

#[tokio::test]
async fn http_2_is_spoken_on_the_same_port() {
    let (gateway, seen) = plain(OK).await;
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let response = client.post(format!("http://{}/x", gateway.address)).body("data").send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, Version::HTTP_2));
    assert_eq!(response.text().await.unwrap(), "hello");
    let seen = seen.lock().unwrap()[0].clone();
    assert!(
        seen.starts_with("POST /x HTTP/1.1\r\n") && seen.contains("via: 2 supergate\r\n") && seen.ends_with("data"),
        "{seen}"
    );
    assert!(seen.contains(&format!("host: {}\r\n", gateway.address)), "{seen}");
}

/// A certificate of the tests, and its key.
fn certificate(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/tls");
    format!("{{ cert: '{folder}/{name}.pem', key: '{folder}/{name}.key.pem' }}")
}

const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/tls/authority.pem");

/// A gateway that speaks TLS, before a plain upstream.
async fn encrypted(endpoint: SocketAddr) -> Gateway {
    let config = format!("certificates: [{}, {}]", certificate("localhost"), certificate("other"));
    let tls = tls::prepare(&serde_saphyr::from_str(&config).unwrap()).unwrap();
    gateway_with("{}", &format!("endpoints: [{{ url: 'http://{endpoint}' }}]"), Rewrite::default(), Some(tls)).await
}

#[tokio::test]
async fn tls_is_spoken_to_clients_with_the_certificate_that_they_ask_for() {
    let (address, seen) = upstream(OK, false).await;
    let gateway = encrypted(address).await;
    let authority = reqwest::Certificate::from_pem(&std::fs::read(AUTHORITY).unwrap()).unwrap();
    for (host, is_http1) in [("localhost.example", true), ("other.example", false), ("localhost", false)] {
        let client = reqwest::Client::builder().tls_certs_only([authority.clone()]).resolve(host, gateway.address);
        let client = if is_http1 { client.http1_only() } else { client }.build().unwrap();
        let response = client.get(format!("https://{host}:{}/x", gateway.address.port())).send().await.unwrap();
        assert_eq!(response.version() == Version::HTTP_2, !is_http1, "{host}");
        assert_eq!(response.text().await.unwrap(), "hello", "{host}");
    }
    assert!(seen.lock().unwrap()[0].contains("x-forwarded-proto: https\r\n"));
    let client =
        reqwest::Client::builder().tls_certs_only([authority]).resolve("stranger.example", gateway.address).build().unwrap();
    assert!(client.get(format!("https://stranger.example:{}/", gateway.address.port())).send().await.is_err());
}

#[tokio::test]
async fn upstreams_are_called_over_tls_and_must_be_who_they_claim() {
    let (address, seen) = upstream(OK, false).await;
    let inner = encrypted(address).await;
    let port = inner.address.port();
    for (tls, http2, status) in [
        (format!("ca: '{AUTHORITY}', server_name: localhost"), "auto", "200"),
        (format!("ca: '{AUTHORITY}', server_name: other.example"), "never", "200"),
        (format!("ca: '{AUTHORITY}', server_name: other, client: {}", certificate("other")), "always", "200"),
        (format!("ca: '{AUTHORITY}', server_name: stranger.example"), "auto", "502"),
        (format!("ca: '{AUTHORITY}'"), "auto", "502"),
        ("server_name: localhost".to_owned(), "auto", "502"),
    ] {
        let settings =
            format!("{{ endpoints: [{{ url: 'https://127.0.0.1:{port}' }}], tls: {{ {tls} }}, pool: {{ http2: {http2} }} }}");
        let outer = gateway_with("{}", &settings, Rewrite::default(), None).await;
        for _ in 0..2 {
            let answer = outer.send("POST /y HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\n\r\nhi").await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{tls} {http2}: {answer}");
        }
    }
    let seen = seen.lock().unwrap().concat();
    assert_eq!(seen.matches("\r\nhost: a.example\r\n").count(), 6, "{seen}");
    assert_eq!(seen.matches("via: 2 supergate").count(), 4, "{seen}");
}

#[tokio::test]
async fn an_endpoint_that_fails_is_left_out() {
    let (good, _) = upstream(OK, false).await;
    let (bad, seen) = upstream("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", false).await;
    let settings = format!(
        "{{ endpoints: [{{ url: 'http://{good}' }}, {{ url: 'http://{bad}' }}], outlier_detection: {{ consecutive_5xx: 3 }} }}"
    );
    let gateway = gateway_with("{}", &settings, Rewrite::default(), None).await;
    let mut failed = 0;
    for _ in 0..20 {
        failed += u32::from(gateway.status("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await == "500");
    }
    assert_eq!(failed, 3);
    assert_eq!(seen.lock().unwrap().concat().matches("GET").count(), 3);
}

#[tokio::test]
async fn connections_are_limited_and_waited_for() {
    let (address, seen) = upstream(OK, false).await;
    let limits = "circuit_breaker: { max_connections: 1, max_pending_requests: 50 }";
    let gateway = gateway("{}", limits, Rewrite::default(), address).await;
    let statuses = futures_util::future::join_all((0..20).map(|_| gateway.status("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))).await;
    assert!(statuses.iter().all(|status| status == "200"), "{statuses:?}");
    assert_eq!(seen.lock().unwrap().len(), 1);
    let (slow, _) = upstream("", false).await;
    let none = "circuit_breaker: { max_connections: 1, max_pending_requests: 1 }";
    let gateway = self::gateway("{}", none, Rewrite::default(), slow).await;
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let statuses = futures_util::future::join_all((0..5).map(|_| gateway.status(get))).await;
    assert_eq!(statuses.iter().filter(|status| *status == "503").count(), 3, "{statuses:?}");
}
