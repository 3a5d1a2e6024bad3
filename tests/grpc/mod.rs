//! gRPC as it passes through: streams of messages both ways, trailers, and the client's deadline.
//!
//! Spec: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>

use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::{RecvStream, SendStream, client, server};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use crate::support::Router;

/// A message that is sent with its length before it, uncompressed.
fn message(text: &str) -> Bytes {
    [&[0, 0, 0, 0, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat().into()
}

/// The next piece of a body.
async fn next(body: &mut RecvStream) -> Option<Bytes> {
    let data = body.data().await?.unwrap();
    body.flow_control().release_capacity(data.len()).unwrap();
    Some(data)
}

/// An upstream that echoes each message as it comes, until the client has said enough; what it got is sent to the test. On
/// `/hang` it says nothing, and on `/stall` nothing after its headers.
async fn echo(seen: mpsc::UnboundedSender<HeaderMap>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = seen.clone();
            tokio::spawn(async move {
                let mut connection = server::handshake(stream).await.unwrap();
                while let Some(Ok((request, respond))) = connection.accept().await {
                    seen.send(request.headers().clone()).unwrap();
                    tokio::spawn(answer(request, respond));
                }
            });
        }
    });
    url
}

async fn answer(request: Request<RecvStream>, mut respond: server::SendResponse<Bytes>) {
    let (head, mut body) = request.into_parts();
    if head.uri.path() == "/hang" {
        return tokio::time::sleep(Duration::from_secs(20)).await;
    }
    let response = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let mut stream = respond.send_response(response, false).unwrap();
    if head.uri.path() == "/stall" {
        stream.send_data(message("first"), false).unwrap();
        return tokio::time::sleep(Duration::from_secs(20)).await;
    }
    while let Some(data) = next(&mut body).await {
        stream.send_data(data, false).unwrap();
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers.insert("x-checksum", HeaderValue::from_static("7"));
    stream.send_trailers(trailers).unwrap();
}

async fn router(url: &str) -> Router {
    let config = "routes: [{ name: all, upstream: one, timeout: 1s }]\n";
    Router::start(&format!("{config}upstreams: {{ one: {{ endpoints: [{{ url: \"{url}\" }}], pool: {{ http2: always }} }} }}\n"))
        .await
}

/// Begins a call.
async fn call(router: &Router, path: &str, timeout: Option<&str>) -> (client::ResponseFuture, SendStream<Bytes>) {
    let stream = TcpStream::connect(router.address()).await.unwrap();
    let (sender, connection) = client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::post(router.url(path)).header("content-type", "application/grpc").header("te", "trailers");
    if let Some(timeout) = timeout {
        request = request.header("grpc-timeout", timeout);
    }
    sender.ready().await.unwrap().send_request(request.body(()).unwrap(), false).unwrap()
}

#[tokio::test]
async fn messages_stream_both_ways_and_trailers_arrive() {
    let (tell, mut seen) = mpsc::unbounded_channel();
    let router = router(&echo(tell).await).await;
    let (response, mut stream) = call(&router, "/svc/Chat", Some("10S")).await;
    stream.send_data(message("one"), false).unwrap();
    let response = response.await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &HeaderValue::from_static("application/grpc"))
    );
    let mut body = response.into_body();
    assert_eq!(next(&mut body).await.unwrap(), message("one"), "before the request has ended");
    stream.send_data(message("two"), false).unwrap();
    assert_eq!(next(&mut body).await.unwrap(), message("two"));
    stream.send_data(message("end"), true).unwrap();
    assert_eq!(next(&mut body).await.unwrap(), message("end"));
    assert!(next(&mut body).await.is_none());
    let trailers = body.trailers().await.unwrap().unwrap();
    assert_eq!(
        (&trailers["grpc-status"], &trailers["x-checksum"]),
        (&HeaderValue::from_static("0"), &HeaderValue::from_static("7"))
    );
    let got = seen.recv().await.unwrap();
    assert_eq!(got["te"], "trailers");
}

#[tokio::test]
async fn the_shorter_of_two_deadlines_is_passed_on_and_ends_the_call() {
    let (tell, mut seen) = mpsc::unbounded_channel();
    let router = router(&echo(tell).await).await;
    for (timeout, most) in [(Some("300m"), 300_000), (Some("1H"), 1_000_000), (None, 1_000_000)] {
        let started = Instant::now();
        let (response, mut stream) = call(&router, "/hang", timeout).await;
        stream.send_data(message("one"), true).unwrap();
        let response = response.await.unwrap();
        let took = started.elapsed().as_micros();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["grpc-status"], "4", "{timeout:?}");
        assert!((most * 9 / 10..most + 300_000).contains(&took), "{timeout:?}: {took} µs");
        let told = seen.recv().await.unwrap().get("grpc-timeout").map(|it| it.to_str().unwrap().to_owned());
        match (timeout, told) {
            (None, told) => assert_eq!(told, None),
            (Some(_), told) => {
                let told: u128 = told.unwrap().strip_suffix('u').unwrap().parse().unwrap();
                assert!(told < most && told > most / 2, "{timeout:?}: {told}");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_has_begun_ends_at_the_deadline_with_its_status() {
    let (tell, _seen) = mpsc::unbounded_channel();
    let router = router(&echo(tell).await).await;
    let started = Instant::now();
    let (response, _stream) = call(&router, "/stall", Some("400m")).await;
    let mut body = response.await.unwrap().into_body();
    assert_eq!(next(&mut body).await.unwrap(), message("first"));
    assert!(next(&mut body).await.is_none());
    assert_eq!(body.trailers().await.unwrap().unwrap()["grpc-status"], "4");
    let took = started.elapsed().as_millis();
    assert!((350..900).contains(&took), "{took} ms");
}
