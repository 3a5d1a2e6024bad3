//! A receiver of spans: OTLP over HTTP with protobuf, decoded.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

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
    upstream: Scripted,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    pub async fn start() -> Self {
        let spans = Arc::new(Mutex::new(Vec::new()));
        let received = spans.clone();
        let upstream = Scripted::start(move |request| {
            received.lock().unwrap().extend(decode(request));
            vec![Step::Send(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n".to_vec())]
        });
        Self { upstream: upstream.await, spans }
    }

    /// What `telemetry.exporters.tracing.otlp.endpoint` is to be.
    pub fn endpoint(&self) -> String {
        self.upstream.url()
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

fn decode(request: &Recorded) -> Vec<Span> {
    assert_eq!(request.line(), ("POST", "/v1/traces"));
    let export = ExportTraceServiceRequest::decode(request.body.as_slice()).unwrap();
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
