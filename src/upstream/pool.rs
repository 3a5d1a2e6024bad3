//! Pool: connections to one endpoint, kept alive and shared.
//!
//! Relied on by `upstream`; configured by `upstreams.<name>.pool:`. HTTP/1.1 connections carry one request at a time and wait in
//! a stack, the one used last on top; one HTTP/2 connection carries all. A connection comes back when its answer's body has
//! ended, and only then.

use std::{
    fmt, io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header, uri::Authority};
use http_body::{Body as _, Frame, SizeHint};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::{
    net::TcpStream,
    time::{Instant, Sleep, sleep_until, timeout},
};

use super::{Failure, Fault, Reply, Slot};
use crate::{
    body::{Body, BoxError},
    error::{Error, ErrorKind},
    units::Span,
};

/// Connections of an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PoolConfig {
    /// Most idle connections per endpoint.
    pub max_idle: usize,
    /// How long a connection may be idle.
    pub idle_timeout: Span,
    /// Which HTTP is spoken.
    pub http2: Http2,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { max_idle: 64, idle_timeout: Span::seconds(30), http2: Http2::Auto }
    }
}

/// Whether HTTP/2 is spoken to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Http2 {
    /// When TLS negotiates it.
    Auto,
    /// Always, also without TLS.
    Always,
    /// Never.
    Never,
}

/// Most header fields of an answer.
const MAX_HEADERS: usize = 200;
/// How long the body of an answer may stand still.
const BODY_IDLE: Duration = Duration::from_secs(60);
/// How often a silent HTTP/2 connection is asked whether it is still there, and how long it has to answer.
const PING: Duration = Duration::from_secs(20);

/// The connections to one endpoint.
pub struct Pool {
    /// Host (without brackets) and port.
    address: (Box<str>, u16),
    config: PoolConfig,
    connect_timeout: Duration,
    idle: Mutex<Vec<Idle>>,
    shared: Mutex<Option<http2::SendRequest<Body>>>,
}

struct Idle {
    sender: http1::SendRequest<Body>,
    since: Instant,
}

enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

impl Pool {
    /// An empty pool for an endpoint.
    pub fn new(host: &str, port: u16, config: PoolConfig, connect_timeout: Duration) -> Arc<Self> {
        let address = (host.trim_matches(['[', ']']).into(), port);
        Arc::new(Self { address, config, connect_timeout, idle: Mutex::default(), shared: Mutex::default() })
    }

    /// Sends a request whose URI is its target and which has a `Host`. A connection that turns out to be closed before anything
    /// was written costs nothing but another connection.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn send(self: &Arc<Self>, mut request: Request<Body>, slot: Slot) -> Result<Reply, Failure> {
        /// Connections that may turn out to be closed before a new one is made.
        const STALE: usize = 3;
        let is_upgrade = request.headers().contains_key(header::UPGRADE);
        let mut tries = 0;
        loop {
            let idle = if tries < STALE { self.take() } else { None };
            let is_reused = idle.is_some();
            let mut sender = match idle {
                Some(sender) => sender,
                None => self.connect().await?,
            };
            let sent = match &mut sender {
                Sender::Http1(sender) => sender.try_send_request(request).await,
                Sender::Http2(sender) => sender.try_send_request(with_authority(request)).await,
            };
            match sent {
                Ok(response) => return self.reply(response, sender, slot, is_upgrade),
                Err(mut error) => match error.take_message() {
                    Some(unsent) if is_reused => request = unsent,
                    _ => return Err(fault_of(error, is_reused)),
                },
            }
            tries += 1;
        }
    }

    /// A connection that is there already.
    fn take(&self) -> Option<Sender> {
        if self.config.http2 == Http2::Always {
            let shared = lock(&self.shared);
            return shared.as_ref().filter(|sender| !sender.is_closed()).cloned().map(Sender::Http2);
        }
        let mut idle = lock(&self.idle);
        while let Some(candidate) = idle.pop() {
            if !candidate.sender.is_closed() && candidate.since.elapsed() < self.config.idle_timeout.0 {
                return Some(Sender::Http1(candidate.sender));
            }
        }
        None
    }

    fn put_back(&self, sender: http1::SendRequest<Body>) {
        let mut idle = lock(&self.idle);
        let is_old = |oldest: &Idle| oldest.since.elapsed() >= self.config.idle_timeout.0;
        if idle.len() >= self.config.max_idle || idle.first().is_some_and(is_old) {
            idle.retain(|candidate| !is_old(candidate) && !candidate.sender.is_closed());
        }
        if idle.len() < self.config.max_idle && !sender.is_closed() {
            idle.push(Idle { sender, since: Instant::now() });
        }
    }

    async fn connect(&self) -> Result<Sender, Failure> {
        let connected = timeout(self.connect_timeout, self.open()).await;
        match connected {
            Ok(Ok(sender)) => Ok(sender),
            Ok(Err(error)) => Err(self.unreachable(&error)),
            Err(_) => Err(self.unreachable(&io::ErrorKind::TimedOut)),
        }
    }

    fn unreachable(&self, error: &dyn fmt::Display) -> Failure {
        let (host, port) = &self.address;
        let error = Error::new(ErrorKind::UpstreamUnreachable, format!("cannot connect to {host} port {port}: {error}"));
        Failure { fault: Fault::Connect, error: error.retryable() }
    }

    async fn open(&self) -> Result<Sender, BoxError> {
        let (host, port) = &self.address;
        let stream = TcpStream::connect((&**host, *port)).await?;
        stream.set_nodelay(true)?;
        let io = TokioIo::new(stream);
        if self.config.http2 == Http2::Always {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.timer(TokioTimer::new()).keep_alive_interval(PING).keep_alive_timeout(PING).keep_alive_while_idle(true);
            let (sender, connection) = builder.handshake(io).await?;
            tokio::spawn(connection);
            *lock(&self.shared) = Some(sender.clone());
            return Ok(Sender::Http2(sender));
        }
        let (sender, connection) = http1::Builder::new().max_headers(MAX_HEADERS).handshake(io).await?;
        tokio::spawn(connection.with_upgrades());
        Ok(Sender::Http1(sender))
    }

    /// Checks an answer's head and gives its body the duty to bring the connection back.
    fn reply(
        self: &Arc<Self>,
        response: http::Response<Incoming>,
        sender: Sender,
        slot: Slot,
        is_upgrade: bool,
    ) -> Result<Reply, Failure> {
        let (mut head, body) = response.into_parts();
        let invalid = |reason| Err(Failure { fault: Fault::Invalid, error: Error::new(ErrorKind::UpstreamInvalid, reason) });
        if head.headers.contains_key(header::TRANSFER_ENCODING) && head.headers.contains_key(header::CONTENT_LENGTH) {
            return invalid("the answer has both Content-Length and Transfer-Encoding");
        }
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return if is_upgrade {
                Ok(Reply::from_parts(head, Body::empty()))
            } else {
                invalid("nobody had asked to switch protocols")
            };
        }
        head.version = http::Version::HTTP_11;
        let mut arriving =
            Arriving { body, timer: None, is_moving: false, lease: Some(Lease { pool: self.clone(), sender, slot }) };
        if arriving.body.is_end_stream() {
            arriving.end();
            return Ok(Reply::from_parts(head, Body::empty()));
        }
        Ok(Reply::from_parts(head, Body::stream(arriving)))
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Pool").field("address", &self.address).field("idle", &lock(&self.idle).len()).finish_non_exhaustive()
    }
}

/// A poisoned lock still guards a list that is whole: nothing can panic while it is held half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The request as HTTP/2 wants it: scheme and authority in the URI, no `Host`.
fn with_authority(mut request: Request<Body>) -> Request<Body> {
    let host = request.headers_mut().remove(header::HOST);
    let authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    if let Some(authority) = authority {
        let path = request.uri().path_and_query().cloned();
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(http::uri::Scheme::HTTP);
        parts.authority = Some(authority);
        parts.path_and_query = path.or_else(|| Some(http::uri::PathAndQuery::from_static("/")));
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}

/// What a failed send was: our request body's own error, a broken connection, or an answer that is not HTTP.
fn fault_of(error: TrySendError<Request<Body>>, is_reused: bool) -> Failure {
    let is_unsent = error.message().is_some();
    let error = error.into_error();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        if let Some(own) = cause.downcast_ref::<Error>() {
            return Failure { fault: Fault::Request, error: own.clone() };
        }
        source = cause.source();
    }
    if error.is_parse() || error.is_parse_too_large() {
        let error = Error::new(ErrorKind::UpstreamInvalid, format!("the answer is not HTTP: {error}"));
        return Failure { fault: Fault::Invalid, error };
    }
    let fault = if is_unsent { Fault::Connect } else { Fault::Reset { is_reused } };
    Failure {
        fault,
        error: Error::new(ErrorKind::UpstreamUnreachable, format!("the connection broke before an answer: {error}")),
    }
}

/// What an answer holds until its body has ended: its connection, and its place among the calls under way.
struct Lease {
    pool: Arc<Pool>,
    sender: Sender,
    slot: Slot,
}

/// The body of an answer.
struct Arriving {
    body: Incoming,
    lease: Option<Lease>,
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether something has arrived since the timer was set.
    is_moving: bool,
}

impl Arriving {
    /// The body has ended well: the connection can be used again.
    fn end(&mut self) {
        if let Some(Lease { pool, sender: Sender::Http1(sender), slot }) = self.lease.take() {
            pool.put_back(sender);
            drop(slot);
        }
    }

    /// Ready when nothing has arrived for too long. The timer is set when the body is first waited for, and only set anew when
    /// it fires: a body that flows costs no timers.
    fn poll_idle(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + BODY_IDLE)));
        while timer.as_mut().poll(context).is_ready() {
            if !std::mem::take(&mut self.is_moving) {
                return Poll::Ready(());
            }
            timer.as_mut().reset(Instant::now() + BODY_IDLE);
        }
        Poll::Pending
    }
}

impl http_body::Body for Arriving {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                self.is_moving = true;
                if self.body.is_end_stream() {
                    self.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.lease = None;
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => {
                self.end();
                Poll::Ready(None)
            }
            Poll::Pending => self.poll_idle(context).map(|()| {
                self.lease = None;
                Some(Err(Box::new(Error::new(ErrorKind::UpstreamTimeout, "the body of the answer stood still")) as BoxError))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
