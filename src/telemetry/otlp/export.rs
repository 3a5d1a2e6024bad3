//! Sends chunks of spans to a collector, over HTTP or gRPC.
//!
//! One task sends, one chunk at a time; what fails in passing is tried again, what fails for good is dropped and said in the log.
//! Relied on by `telemetry::traces`. Spec: <https://opentelemetry.io/docs/specs/otlp/#otlpgrpc>, `#otlphttp`, and the variables of
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::BodyExt as _;
use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{INTERVAL, Queue, encode::Envelope};
use crate::{
    percent::unescape,
    telemetry::{OtlpConfig, traces::Transport},
};

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(5);
/// How long the last chunks may take when the process ends.
const LAST: Duration = Duration::from_secs(5);
/// Attempts of a chunk, and the pause after the first, which doubles.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);
const GRPC_METHOD: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Sends what a [`Queue`] holds until it is shut down.
#[derive(Debug)]
pub struct Exporter {
    stop: CancellationToken,
    task: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Exporter {
    /// Starts to send. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// The endpoint is not a URL.
    pub fn start(config: &OtlpConfig, queue: Arc<Queue>) -> Result<Self, String> {
        let sender = Sender::new(config)?;
        let stop = CancellationToken::new();
        let task = tokio::spawn(send_all(sender, queue, stop.clone()));
        Ok(Self { stop, task: Some(task).into() })
    }

    /// Sends what is left; gives up after five seconds.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        let task = self.task.lock().ok().and_then(|mut task| task.take());
        if let Some(task) = task
            && tokio::time::timeout(LAST, task).await.is_err()
        {
            tracing::warn!("some spans could not be exported before the end");
        }
    }
}

async fn send_all(sender: Sender, queue: Arc<Queue>, stop: CancellationToken) {
    let mut is_failing = false;
    while !stop.is_cancelled() {
        let is_all = tokio::select! {
            () = queue.is_full.notified() => false,
            () = sleep(INTERVAL) => true,
            () = stop.cancelled() => true,
        };
        while let Some(chunk) = queue.take(is_all) {
            let (spans, body) = (chunk.spans, chunk.bytes.freeze());
            let outcome = sender.send(&body).await;
            if let Ok(memory) = body.try_into_mut() {
                queue.reuse(memory);
            }
            match &outcome {
                Err(error) if !is_failing => tracing::warn!(%error, spans, "spans cannot be exported"),
                Ok(()) if is_failing => tracing::info!("spans are exported again"),
                _ => {}
            }
            is_failing = outcome.is_err();
        }
        let dropped = queue.take_dropped();
        if dropped > 0 {
            tracing::warn!(dropped, "spans were dropped: the collector is too slow");
        }
    }
}

/// A client of one collector.
struct Sender {
    client: reqwest::Client,
    url: reqwest::Url,
    headers: HeaderMap,
}

/// Why a chunk did not arrive.
struct Refusal {
    reason: String,
    is_passing: bool,
}

impl Sender {
    fn new(config: &OtlpConfig) -> Result<Self, String> {
        let endpoint = config.endpoint.trim_end_matches('/');
        let mut headers = variable("OTEL_EXPORTER_OTLP_HEADERS").map_or_else(HeaderMap::new, |pairs| named(&pairs));
        let mut client = reqwest::Client::builder().timeout(ATTEMPT).no_proxy();
        let url = match config.protocol {
            Transport::Http => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
                format!("{}/v1/traces", endpoint.trim_end_matches("/v1/traces"))
            }
            Transport::Grpc => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                headers.insert(header::TE, HeaderValue::from_static("trailers"));
                client = client.http2_prior_knowledge();
                format!("{endpoint}{GRPC_METHOD}")
            }
        };
        let refuse = |error: &dyn std::fmt::Display| format!("spans cannot be exported to {endpoint}: {error}");
        let url = reqwest::Url::parse(&url).map_err(|error| refuse(&error))?;
        let client = client.build().map_err(|error| refuse(&error))?;
        Ok(Self { client, url, headers })
    }

    async fn send(&self, body: &Bytes) -> Result<(), String> {
        let mut attempt = 1;
        loop {
            match self.attempt(body.clone()).await {
                Ok(()) => return Ok(()),
                Err(refusal) if refusal.is_passing && attempt < ATTEMPTS => sleep(PAUSE * (1 << attempt) / 2).await,
                Err(refusal) => return Err(refusal.reason),
            }
            attempt += 1;
        }
    }

    async fn attempt(&self, body: Bytes) -> Result<(), Refusal> {
        let request = self.client.post(self.url.clone()).headers(self.headers.clone()).body(body);
        let passing = |error: reqwest::Error| Refusal { reason: chain(&error), is_passing: true };
        let response = request.send().await.map_err(passing)?;
        let status = response.status();
        if !status.is_success() {
            let is_passing = matches!(
                status,
                StatusCode::TOO_MANY_REQUESTS
                    | StatusCode::BAD_GATEWAY
                    | StatusCode::SERVICE_UNAVAILABLE
                    | StatusCode::GATEWAY_TIMEOUT
            );
            return Err(Refusal { reason: format!("the collector answered {status}"), is_passing });
        }
        let (head, body) = http::Response::from(response).into_parts();
        let body = body.collect().await.map_err(passing)?;
        match grpc_status(&head.headers).or_else(|| body.trailers().and_then(grpc_status)) {
            None | Some(0) => Ok(()),
            // CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS.
            Some(code) => {
                let is_passing = matches!(code, 1 | 4 | 10 | 11 | 14 | 15);
                Err(Refusal { reason: format!("the collector answered with gRPC's status {code}"), is_passing })
            }
        }
    }
}

/// An error and what it came from.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn grpc_status(headers: &HeaderMap) -> Option<u32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What every request to the collector of this configuration begins with.
pub fn envelope(config: &OtlpConfig) -> Envelope {
    Envelope::new(&facts(), config.protocol == Transport::Grpc)
}

/// What is said of this process: its name, its version and what `OTEL_RESOURCE_ATTRIBUTES` adds.
fn facts() -> Vec<(String, String)> {
    let mut facts = vec![
        ("service.name".to_owned(), "supergate".to_owned()),
        ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let given = variable("OTEL_RESOURCE_ATTRIBUTES").map(|text| pairs(&text)).unwrap_or_default();
    let name = variable("OTEL_SERVICE_NAME").map(|name| ("service.name".to_owned(), name));
    for (key, value) in given.into_iter().chain(name) {
        facts.retain(|(known, _)| *known != key);
        facts.push((key, value));
    }
    facts
}

/// The headers that `text` names; a name or a value that cannot be a header's is left out.
fn named(text: &str) -> HeaderMap {
    let header = |(name, value): (String, String)| Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?));
    pairs(text).into_iter().filter_map(header).map(secret).collect()
}

/// These values are keys of collectors as a rule: they must not show in a log.
fn secret((name, mut value): (HeaderName, HeaderValue)) -> (HeaderName, HeaderValue) {
    value.set_sensitive(true);
    (name, value)
}

/// `a=1,b=2`, with percent-encoded values, as in W3C's `baggage`.
fn pairs(text: &str) -> Vec<(String, String)> {
    // There a plus sign stands for itself.
    let decode = |value: &str| unescape(value).into_owned();
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=')?;
        Some((key.trim().to_owned(), decode(value.trim())))
    };
    text.split(',').filter_map(pair).filter(|(key, _)| !key.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_the_environment_are_read_as_baggage_is() {
        assert_eq!(
            pairs("a=1, b = x%20+y ,=3,c,d="),
            [("a", "1"), ("b", "x +y"), ("d", "")].map(|(k, v)| (k.to_owned(), v.to_owned()))
        );
        let headers = named("api-key=s%3Dt,not a name=1");
        assert_eq!(headers.len(), 1);
        assert_eq!(headers.get("api-key").map(HeaderValue::as_bytes), Some(b"s=t".as_slice()));
        assert!(headers.values().all(HeaderValue::is_sensitive));
    }
}
