//! Receivers of spans: OTLP over HTTP with protobuf and over gRPC, decoded.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tokio::net::{TcpListener, TcpStream};

use super::{Recorded, Scripted, Step};

/// One span, ids in hexadecimal; `parent` is empty for a root.
#[derive(Debug, Clone)]
pub struct Span {
    /// What was done.
    pub name: String,
    /// The trace that it belongs to.
    pub trace: String,
    /// Its own id.
    pub id: String,
    /// The span it nests under.
    pub parent: String,
    /// 2 is a server's span, 3 a client's, 1 an internal one.
    pub kind: i32,
}

/// A running receiver.
pub struct Collector {
    endpoint: String,
    /// Dropped last: it is what listens.
    _upstream: Option<Scripted>,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    pub async fn start() -> Self {
        let spans = Arc::new(Mutex::new(Vec::new()));
        let received = spans.clone();
        let upstream = Scripted::start(move |request: &Recorded| {
            assert_eq!(request.line(), ("POST", "/v1/traces"));
            received.lock().unwrap().extend(decode(&request.body));
            vec![Step::Send(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n".to_vec())]
        });
        let upstream = upstream.await;
        Self { endpoint: upstream.url(), _upstream: Some(upstream), spans }
    }

    /// One that speaks gRPC and refuses the first call in passing.
    pub async fn start_grpc() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let spans = Arc::new(Mutex::new(Vec::new()));
        let received = spans.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(answer_grpc(socket, received.clone()));
            }
        });
        Self { endpoint, _upstream: None, spans }
    }

    /// What `telemetry.exporters.tracing.otlp.endpoint` is to be.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Waits until the spans that have arrived satisfy `is_enough`.
    pub async fn spans(&self, is_enough: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let started = Instant::now();
        loop {
            let spans = self.spans.lock().unwrap().clone();
            if is_enough(&spans) {
                return spans;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "these spans are not enough: {spans:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Answers calls of the export method: the first with UNAVAILABLE, the others with OK.
async fn answer_grpc(socket: TcpStream, received: Arc<Mutex<Vec<Span>>>) {
    const UNAVAILABLE: &str = "14";
    let mut status = UNAVAILABLE;
    let mut connection = h2::server::handshake(socket).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let received = received.clone();
        let status = std::mem::replace(&mut status, "0");
        tokio::spawn(async move {
            let (head, mut body) = request.into_parts();
            assert_eq!(head.uri.path(), "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
            assert_eq!(head.headers.get("content-type").unwrap(), "application/grpc");
            assert_eq!(head.headers.get("te").unwrap(), "trailers");
            let mut message = Vec::new();
            while let Some(part) = body.data().await {
                let part: Bytes = part.unwrap();
                body.flow_control().release_capacity(part.len()).unwrap();
                message.extend(part);
            }
            let (frame, message) = message.split_at(5);
            assert_eq!((frame[0], u32::from_be_bytes(frame[1..].try_into().unwrap()) as usize), (0, message.len()));
            if status == "0" {
                received.lock().unwrap().extend(decode(message));
            }
            let response = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
            let mut stream = respond.send_response(response, false).unwrap();
            stream.send_data(Bytes::from_static(&[0; 5]), false).unwrap();
            stream
                .send_trailers(HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static(status))]))
                .unwrap();
        });
    }
}

fn decode(message: &[u8]) -> Vec<Span> {
    let export = ExportTraceServiceRequest::decode(message).unwrap();
    let spans = export.resource_spans.into_iter().flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans);
    spans
        .map(|span| Span {
            name: span.name,
            trace: hexadecimal(&span.trace_id),
            id: hexadecimal(&span.span_id),
            parent: hexadecimal(&span.parent_span_id),
            kind: span.kind,
        })
        .collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
