//! Limits: how large a request may be, and how long it may take.
//!
//! Relied on by `pipeline`; the limits of operations are enforced by `graphql`, that of answers by `upstream`'s callers. Configured by `limits:`.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, header};
use http_body::{Body as _, Frame, SizeHint};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    body::{Body, BoxError, Idle},
    error::{Error, ErrorKind},
    exchange::{Exchange, Upload},
    grpc,
    units::Size,
};

/// Sizes of requests, operations and answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Deepest nesting of fields in an operation.
    pub max_depth: u32,
    /// Most fields of an operation, each counted where it is selected, fragments expanded.
    pub max_height: u32,
    /// Most aliases of an operation.
    pub max_aliases: u32,
    /// Most fields at the root of an operation.
    pub max_root_fields: u32,
    /// Most directives of an operation.
    pub max_directives: u32,
    /// Most tokens of a document.
    pub parser_max_tokens: usize,
    /// Deepest nesting of anything in a document.
    pub parser_max_recursion: usize,
    /// Most bytes of a request body.
    pub http_max_request_bytes: Size,
    /// Most bytes of a request's header section.
    pub http_max_header_bytes: Size,
    /// Most bytes of one subgraph's answer.
    pub max_subgraph_response_bytes: Size,
    /// Whether operations over `max_depth`, `max_height`, `max_aliases`, `max_root_fields` or `max_directives` are only logged and counted.
    pub warn_only: bool,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            max_depth: 15,
            max_height: 200,
            max_aliases: 30,
            max_root_fields: 20,
            max_directives: 50,
            parser_max_tokens: 15_000,
            parser_max_recursion: 500,
            http_max_request_bytes: Size(2_000_000),
            http_max_header_bytes: Size(64 << 10),
            max_subgraph_response_bytes: Size(64_000_000),
            warn_only: false,
        }
    }
}

/// Longest request target.
const TARGET: usize = 8 << 10;
/// Most header fields.
const FIELDS: usize = 200;
/// How long a request's body may stand still.
const BODY_IDLE: Duration = Duration::from_secs(30);
/// The same for gRPC, where a body is a stream of messages with pauses that mean something.
const STREAM_IDLE: Duration = Duration::from_secs(300);

/// The limits of one route.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    header_bytes: usize,
    body_bytes: usize,
    time: Duration,
}

impl Limits {
    /// Those of the configuration; `time` is how long a request may take up to its answer's head.
    pub fn new(config: &LimitsConfig, time: Duration) -> Self {
        Self { header_bytes: config.http_max_header_bytes.bytes(), body_bytes: config.http_max_request_bytes.bytes(), time }
    }

    /// Checks what the head tells, and sets the deadline.
    ///
    /// # Errors
    /// 413, 414 or 431.
    pub fn check(&self, exchange: &mut Exchange) -> Result<(), Error> {
        exchange.deadline = exchange.started + self.time;
        // Calls of gRPC are always this method.
        if let Some(timeout) = (exchange.method == Method::POST).then(|| grpc::timeout(&exchange.headers)).flatten() {
            let latest = exchange.started + timeout;
            exchange.latest = Some(latest);
            exchange.deadline = exchange.deadline.min(latest);
        }
        if exchange.uri.path_and_query().is_some_and(|target| target.as_str().len() > TARGET) {
            return Err(Error::new(ErrorKind::UriTooLong, format!("the request target is longer than {TARGET} bytes")));
        }
        let bytes: usize = exchange.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if bytes > self.header_bytes || exchange.headers.len() > FIELDS {
            let detail = format!("the headers are more than {} bytes or {FIELDS} fields", self.header_bytes);
            return Err(Error::new(ErrorKind::HeadersTooLarge, detail));
        }
        let length = exchange.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > self.body_bytes as u64) {
            return Err(self.too_large());
        }
        Ok(())
    }

    /// The body with its limits: it fails when it grows too large, or stands still. From now on the exchange knows of it.
    pub fn guard(&self, exchange: &mut Exchange, body: Body) -> Body {
        if body.is_end_stream() || body.bytes().is_some_and(|bytes| bytes.len() <= self.body_bytes) {
            return body;
        }
        let upload = Upload::new(self.time, exchange.latest);
        exchange.upload = Some(upload.clone());
        let idle = if grpc::is_grpc(&exchange.headers) { STREAM_IDLE } else { BODY_IDLE };
        Body::stream(Guarded { body, left: self.body_bytes, limits: *self, upload, idle: Idle::new(idle) })
    }

    fn too_large(&self) -> Error {
        Error::new(ErrorKind::BodyTooLarge, format!("the body is larger than {} bytes", self.body_bytes))
    }
}

struct Guarded {
    body: Body,
    left: usize,
    limits: Limits,
    upload: Arc<Upload>,
    idle: Idle,
}

impl http_body::Body for Guarded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                self.idle.moves();
                self.upload.moves();
                let size = frame.data_ref().map_or(0, Bytes::len);
                Poll::Ready(Some(match self.left.checked_sub(size) {
                    Some(left) => {
                        self.left = left;
                        if self.body.is_end_stream() {
                            self.upload.ends();
                        }
                        Ok(frame)
                    }
                    None => Err(self.limits.too_large().into()),
                }))
            }
            Poll::Pending => {
                self.upload.waits();
                if self.upload.poll_stopped(context).is_ready() {
                    return Poll::Ready(Some(Err(Error::new(ErrorKind::BadRequest, "the answer came before the body").into())));
                }
                self.idle
                    .poll(context)
                    .map(|()| Some(Err(Error::new(ErrorKind::RequestTimeout, "the request's body stood still").into())))
            }
            Poll::Ready(ended) => {
                self.upload.moves();
                if ended.is_none() {
                    self.upload.ends();
                }
                Poll::Ready(ended)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
