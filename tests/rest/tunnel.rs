//! WebSocket through the gateway: after its policies, with its keys and frames untouched, until either side ends it.
//! Spec: <https://www.rfc-editor.org/rfc/rfc6455>

use std::{convert::Infallible, sync::Arc};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Empty, Full};
use hyper::{
    client::conn::http2::{self, SendRequest},
    ext::Protocol,
    server,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use crate::{
    rest::router_to,
    support::{Router, Scripted, answer, jwt_config, token},
};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// An upstream that does the handshake at `/chat?x=1` and then says everything back until the other side has ended; at other paths it
/// does it wrongly, or not at all.
async fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let head = head(&mut stream).await;
                stream.write_all(shaken(&head).as_bytes()).await.unwrap();
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
                let _ = write.shutdown().await;
            });
        }
    });
    url
}

/// What `echo` answers to a request.
fn shaken(head: &str) -> String {
    let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap_or_default();
    let lower = head.to_ascii_lowercase();
    let fields = ["upgrade: websocket", "connection: upgrade", "sec-websocket-protocol: chat"];
    let is_right = head.starts_with("GET /chat") && fields.iter().all(|field| lower.contains(field));
    let accept = match head.split(' ').nth(1) {
        Some("/chat?x=1") if is_right && STANDARD.decode(key).is_ok_and(|key| key.len() == 16) => {
            let guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
            STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{guid}").as_bytes()))
        }
        Some("/chat/wrong") => ACCEPT.to_owned(),
        Some("/chat/plain") => return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned(),
        _ => return "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno".to_owned(),
    };
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: chat\r\n\
         Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

/// Reads up to the empty line.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

async fn open(router: &Router, fields: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(router.address()).await.unwrap();
    let request = format!(
        "GET /chat?x=1 HTTP/1.1\r\nHost: a.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n{fields}\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = head(&mut stream).await;
    (stream, head)
}

/// A masked frame with an opcode.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode, 0x80 | 127];
    frame.extend((payload.len() as u64).to_be_bytes());
    frame.extend([1, 2, 3, 4]);
    frame.extend(payload.iter().zip([1, 2, 3, 4].into_iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

#[tokio::test]
async fn a_websocket_passes_once_its_request_may_and_ends_with_either_side() {
    let config = format!(
        "{}ratelimit: {{ rules: [{{ name: few, key: [client_ip], rate: 2/1h }}] }}\n\
         routes: [{{ name: chat, match: {{ path: /chat }}, upstream: one }}]\nupstreams: {{ one: {{ endpoints: [{{ url: \"{}\" }}] }} }}\n",
        jwt_config(),
        echo().await
    );
    let router = Router::start(&config).await;
    assert!(open(&router, "").await.1.starts_with("HTTP/1.1 401"), "credentials come first");
    let authorization = format!("Authorization: Bearer {}\r\n", token(json!({})));
    for _ in 0..2 {
        let (mut stream, head) = open(&router, &authorization).await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        for field in
            [ACCEPT, "sec-websocket-protocol: chat", "sec-websocket-extensions: permessage-deflate", "upgrade: websocket"]
        {
            assert!(head.contains(field), "{field} is not in {head}");
        }
        // Text, a ping, a mebibyte, and the close with its code: byte for byte there and back.
        let all = [frame(1, b"hello"), frame(9, b"ping"), frame(2, &vec![7; 1 << 20]), frame(8, &[0x03, 0xe8])].concat();
        let (mut read, mut write) = stream.split();
        let mut back = vec![0; all.len()];
        let (sent, got) = futures_util::future::join(write.write_all(&all), read.read_exact(&mut back)).await;
        sent.unwrap();
        got.unwrap();
        assert!(back == all);
        write.shutdown().await.unwrap();
        assert_eq!(read.read(&mut [0; 1]).await.unwrap(), 0, "one side has ended, and the other one learns of it");
    }
    assert!(open(&router, &authorization).await.1.starts_with("HTTP/1.1 429"), "quotas count switches too");
}

#[tokio::test]
async fn an_upstream_that_prefers_http2_is_asked_for_a_websocket_over_http1() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/tls");
    let chain = CertificateDer::pem_file_iter(format!("{folder}/localhost.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(format!("{folder}/localhost.key.pem")).unwrap();
    let builder =
        ServerConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            tokio::spawn(async move {
                if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                    let service = service_fn(async |_| Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"two")))));
                    let _ = server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                    return;
                }
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let answer = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: {ACCEPT}\r\n\r\nhello"
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
                let _ = stream.read_u8().await;
            });
        }
    });
    let router = Router::start(&format!(
        "routes: [{{ name: all, upstream: one }}]\n\
         upstreams: {{ one: {{ endpoints: [{{ url: \"https://localhost:{port}\" }}], tls: {{ ca: {folder}/authority.pem }} }} }}\n"
    ))
    .await;
    assert_eq!(router.get("/").send().await.unwrap().text().await.unwrap(), "two");
    let (mut stream, head) = open(&router, "").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let mut hello = [0; 5];
    stream.read_exact(&mut hello).await.unwrap();
    assert_eq!(&hello, b"hello");
    assert_eq!(router.get("/").send().await.unwrap().text().await.unwrap(), "two", "others go on over HTTP/2");
}

/// An HTTP/2 client's connection.
async fn http2(router: &Router) -> SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(router.address()).await.unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// What asks for a WebSocket over HTTP/2.
fn extended_connect(router: &Router, protocol: &'static str, path: &str) -> Request<Empty<Bytes>> {
    let mut request = Request::connect(format!("http://{}{path}", router.address())).body(Empty::new()).unwrap();
    request.extensions_mut().insert(Protocol::from_static(protocol));
    for (name, value) in [("sec-websocket-version", "13"), ("sec-websocket-protocol", "chat"), ("sec-websocket-key", "forged")] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request
}

#[tokio::test]
async fn a_websocket_over_http2_reaches_an_http1_upstream() {
    let config = format!(
        "routes: [{{ name: chat, match: {{ path: /chat, methods: [GET] }}, upstream: one }}]\n\
         upstreams: {{ one: {{ endpoints: [{{ url: \"{}\" }}] }} }}\n",
        echo().await
    );
    let router = Router::start(&config).await;
    let mut sender = http2(&router).await;
    // Whatever is answered first: with it has come that extended CONNECTs may be sent.
    let get = Request::get(format!("http://{}/elsewhere", router.address())).body(Empty::new()).unwrap();
    assert_eq!(sender.send_request(get).await.unwrap().status(), 404);
    // Two on one connection.
    for _ in 0..2 {
        let response = sender.send_request(extended_connect(&router, "websocket", "/chat?x=1")).await.unwrap();
        assert_eq!(response.status(), 200, "{:?}", response.headers());
        assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
        for name in ["upgrade", "connection", "sec-websocket-accept"] {
            assert!(!response.headers().contains_key(name), "{name} is not for HTTP/2");
        }
        let stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
        let (mut read, mut write) = tokio::io::split(stream);
        let all = [frame(1, b"hello"), frame(2, &vec![7; 1 << 20]), frame(8, &[0x03, 0xe8])].concat();
        let mut back = vec![0; all.len()];
        let (sent, got) = futures_util::future::join(write.write_all(&all), read.read_exact(&mut back)).await;
        sent.unwrap();
        got.unwrap();
        assert!(back == all);
        write.shutdown().await.unwrap();
        assert_eq!(read.read(&mut [0; 1]).await.unwrap(), 0, "one side has ended, and the other one learns of it");
    }
    for (protocol, path, status) in [
        ("websocket", "/chat/no", 403),
        ("websocket", "/chat/plain", 502),
        ("websocket", "/chat/wrong", 502),
        ("websocket", "/elsewhere", 404),
        ("connect-udp", "/chat", 405),
    ] {
        let response = sender.send_request(extended_connect(&router, protocol, path)).await.unwrap();
        assert_eq!(response.status(), status, "{protocol} {path}");
    }
    assert!(router.metric("api_requests_total", &["method=\"GET\"", "route=\"chat\"", "status_code=\"200\""]).await > 1.5);
}

/// What would come over such a connection are further requests, which no route and no policy would see.
#[tokio::test]
async fn a_protocol_that_carries_requests_is_not_asked_for() {
    let upstream = Scripted::start(|_| answer(200, "", "")).await;
    let router = router_to(&upstream, "", "").await;
    for (protocol, is_passed) in [
        ("websocket", true),
        ("SPDY/3.1", true),
        ("h2c", false),
        ("H2C", false),
        ("websocket, h2c", false),
        ("h2c\r\nUpgrade: websocket", false),
        ("HTTP/2.0", false),
        ("TLS/1.2", false),
    ] {
        let fields =
            format!("Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: {protocol}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n");
        let answer = router.raw(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{protocol}: {answer}");
        let got = upstream.take().remove(0);
        assert_eq!(
            (!got.field("upgrade").is_empty(), got.field("connection").contains(&"upgrade")),
            (is_passed, is_passed),
            "{protocol}"
        );
        assert!(got.field("http2-settings").is_empty(), "{protocol}");
    }
}
