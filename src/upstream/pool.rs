//! Pool: connections to one endpoint, kept alive and shared.
//!
//! Relied on by `upstream`; configured by `upstreams.<name>.pool:`. HTTP/1.1 connections carry one request at a time and wait in
//! a stack, the one used last on top; one HTTP/2 connection carries all. A connection comes back when its answer's body has
//! ended, and only then.

use std::{
    fmt, io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, Request, StatusCode, Uri, header,
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body::{Body as _, Frame, SizeHint};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep_until, timeout},
};

use super::{Client, Failure, Fault, ProxyProtocol, Reply, Secure, Slot};
use crate::{
    body::{Body, BoxError},
    error::{Error, ErrorKind},
    exchange::Gate,
    grpc,
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

impl Http2 {
    /// What TLS offers.
    pub const fn protocols(self) -> &'static [&'static [u8]] {
        match self {
            Self::Auto => &[b"h2", b"http/1.1"],
            Self::Always => &[b"h2"],
            Self::Never => &[b"http/1.1"],
        }
    }
}

/// Most header fields of an answer.
const MAX_HEADERS: usize = 200;
/// How long the body of an answer may stand still.
const BODY_IDLE: Duration = Duration::from_secs(60);
/// The same for streams of messages (gRPC, Server-Sent Events), whose pauses mean something.
const STREAM_IDLE: Duration = Duration::from_secs(300);
/// How often a silent HTTP/2 connection is asked whether it is still there, and how long it has to answer.
const PING: Duration = Duration::from_secs(20);

/// The connections to one endpoint.
pub struct Pool {
    /// Host (without brackets) and port.
    address: (Box<str>, u16),
    secure: Option<Secure>,
    settings: Settings,
    idle: Mutex<Vec<Idle>>,
    shared: Mutex<Option<http2::SendRequest<Body>>>,
    /// Connections that may still be made.
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    returned: Notify,
}

/// What holds for the connections of an upstream.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How they are kept.
    pub config: PoolConfig,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// Most connections to one endpoint.
    pub max_connections: usize,
    /// Most calls that wait for one of them.
    pub max_pending: usize,
    /// Whether each begins with whom it is for, and so is for one call.
    pub proxy_protocol: Option<ProxyProtocol>,
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
    pub fn new(host: &str, port: u16, secure: Option<Secure>, settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            address: (host.trim_matches(['[', ']']).into(), port),
            secure,
            idle: Mutex::default(),
            shared: Mutex::default(),
            free: Arc::new(Semaphore::new(settings.max_connections.min(Semaphore::MAX_PERMITS))),
            waiting: AtomicUsize::new(0),
            returned: Notify::new(),
            settings,
        })
    }

    /// Sends a request whose URI is its target and which has a `Host`. A connection that turns out to be closed before anything
    /// was written costs nothing but another connection.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn send(self: &Arc<Self>, mut request: Request<Body>, slot: Option<Slot>) -> Result<Reply, Failure> {
        /// Connections that may turn out to be closed before a new one is made.
        const STALE: usize = 3;
        let is_upgrade = request.headers().contains_key(header::UPGRADE);
        let client = self.settings.proxy_protocol.and_then(|_| request.extensions().get::<Client>().copied());
        let mut tries = 0;
        loop {
            let idle = if tries < STALE { self.take() } else { None };
            let is_reused = idle.is_some();
            let mut sender = match idle {
                Some(sender) => sender,
                // Rare and large: kept out of the future of every call, which is moved several times.
                None => Box::pin(self.obtain(client)).await?,
            };
            let sent = match &mut sender {
                Sender::Http1(sender) => sender.try_send_request(request).await,
                Sender::Http2(sender) => sender.try_send_request(self.with_authority(request)).await,
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
        if self.settings.proxy_protocol.is_some() {
            return None;
        }
        if self.settings.config.http2 != Http2::Never {
            let shared = lock(&self.shared).as_ref().filter(|sender| !sender.is_closed()).cloned();
            if shared.is_some() {
                return shared.map(Sender::Http2);
            }
        }
        let mut idle = lock(&self.idle);
        while let Some(candidate) = idle.pop() {
            if !candidate.sender.is_closed() && candidate.since.elapsed() < self.settings.config.idle_timeout.0 {
                return Some(Sender::Http1(candidate.sender));
            }
        }
        None
    }

    /// A new connection; when there are as many as may be, the next one that comes back.
    async fn obtain(&self, client: Option<Client>) -> Result<Sender, Failure> {
        if let Ok(permit) = self.free.clone().try_acquire_owned() {
            return self.connect(permit, client).await;
        }
        let _waiting = Waiting::enter(self)?;
        loop {
            let returned = self.returned.notified();
            if let Some(sender) = self.take() {
                return Ok(sender);
            }
            tokio::select! {
                () = returned => {}
                Ok(permit) = self.free.clone().acquire_owned() => return self.connect(permit, client).await,
            }
        }
    }

    fn put_back(&self, sender: http1::SendRequest<Body>) {
        if self.settings.proxy_protocol.is_some() {
            return;
        }
        let (mut idle, now) = (lock(&self.idle), Instant::now());
        let is_old = |oldest: &Idle| now - oldest.since >= self.settings.config.idle_timeout.0;
        if idle.len() >= self.settings.config.max_idle || idle.first().is_some_and(is_old) {
            idle.retain(|candidate| !is_old(candidate) && !candidate.sender.is_closed());
        }
        if idle.len() < self.settings.config.max_idle && !sender.is_closed() {
            idle.push(Idle { sender, since: now });
        }
        drop(idle);
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.returned.notify_one();
        }
    }

    async fn connect(&self, permit: OwnedSemaphorePermit, client: Option<Client>) -> Result<Sender, Failure> {
        let connected = timeout(self.settings.connect_timeout, self.open(permit, client)).await;
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

    async fn open(&self, permit: OwnedSemaphorePermit, client: Option<Client>) -> Result<Sender, BoxError> {
        let (host, port) = &self.address;
        let mut stream = TcpStream::connect((&**host, *port)).await?;
        stream.set_nodelay(true)?;
        if let Some(version) = self.settings.proxy_protocol {
            let header = version.header(client, stream.peer_addr()?);
            stream.write_all(&header).await?;
        }
        let http2 = self.settings.config.http2;
        let Some(secure) = &self.secure else { return self.greet(stream, http2 == Http2::Always, permit).await };
        let stream = secure.connector.connect(secure.name.clone(), stream).await?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2") || http2 == Http2::Always;
        self.greet(stream, is_http2, permit).await
    }

    /// Begins to speak HTTP; the connection lives in a task of its own, and its permit with it.
    async fn greet<S>(&self, stream: S, is_http2: bool, permit: OwnedSemaphorePermit) -> Result<Sender, BoxError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(stream);
        if is_http2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.timer(TokioTimer::new()).keep_alive_interval(PING).keep_alive_timeout(PING).keep_alive_while_idle(true);
            let (sender, connection) = builder.handshake(io).await?;
            tokio::spawn(async move {
                // How it ends, its requests learn.
                let _ = connection.await;
                drop(permit);
            });
            if self.settings.proxy_protocol.is_none() {
                *lock(&self.shared) = Some(sender.clone());
            }
            return Ok(Sender::Http2(sender));
        }
        let (sender, connection) = http1::Builder::new().max_headers(MAX_HEADERS).handshake(io).await?;
        tokio::spawn(async move {
            let _ = connection.with_upgrades().await;
            drop(permit);
        });
        Ok(Sender::Http1(sender))
    }

    /// The request as HTTP/2 wants it: scheme and authority in the URI, no `Host`.
    fn with_authority(&self, mut request: Request<Body>) -> Request<Body> {
        let host = request.headers_mut().remove(header::HOST);
        Gate::waive(&mut request);
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(if self.secure.is_some() { Scheme::HTTPS } else { Scheme::HTTP });
        parts.authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
        parts.path_and_query = request.uri().path_and_query().cloned().or(Some(PathAndQuery::from_static("/")));
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
        request
    }

    /// Checks an answer's head and gives its body the duty to bring the connection back.
    fn reply(
        self: &Arc<Self>,
        response: http::Response<Incoming>,
        sender: Sender,
        slot: Option<Slot>,
        is_upgrade: bool,
    ) -> Result<Reply, Failure> {
        let (mut head, body) = response.into_parts();
        let invalid = |reason| Err(Failure { fault: Fault::Invalid, error: Error::new(ErrorKind::UpstreamInvalid, reason) });
        if !is_framed_once(&head.headers) {
            return invalid("the answer's body has more than one length");
        }
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return if is_upgrade {
                Ok(Reply::from_parts(head, Body::empty()))
            } else {
                invalid("nobody had asked to switch protocols")
            };
        }
        head.version = http::Version::HTTP_11;
        let lease = Some(Lease { pool: self.clone(), sender, slot });
        let idle = if grpc::is_stream(&head.headers) { STREAM_IDLE } else { BODY_IDLE };
        let mut arriving = Arriving { body, idle, timer: None, is_moving: false, lease };
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

/// Whether a body's length is said once at most, so that all who read it on its way find the same end.
fn is_framed_once(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else {
        // Only one coding leaves a length to be known.
        let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
        return codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
            && codings.next().is_none();
    };
    let is_number = !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit);
    is_number && lengths.next().is_none() && !headers.contains_key(header::TRANSFER_ENCODING)
}

/// A poisoned lock still guards a list that is whole: nothing can panic while it is held half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A call that waits for a connection, until it is dropped.
struct Waiting<'a>(&'a Pool);

impl<'a> Waiting<'a> {
    fn enter(pool: &'a Pool) -> Result<Self, Failure> {
        let before = pool.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Self(pool);
        if before < pool.settings.max_pending {
            return Ok(waiting);
        }
        let error = Error::new(ErrorKind::UpstreamUnavailable, "as many calls wait for a connection as may");
        Err(Failure { fault: Fault::Overflow, error })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
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
    slot: Option<Slot>,
}

/// The body of an answer.
struct Arriving {
    body: Incoming,
    lease: Option<Lease>,
    idle: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether something has arrived since the timer was set.
    is_moving: bool,
}

impl Arriving {
    /// The body has ended well: the connection can be used again.
    fn end(&mut self) {
        // Answered before the request was whole, a connection is of no further use: what is still sent belongs to that request.
        if let Some(Lease { pool, sender: Sender::Http1(sender), slot }) = self.lease.take()
            && slot.as_ref().is_none_or(Slot::is_sent)
        {
            pool.put_back(sender);
        }
    }

    /// Ready when nothing has arrived for too long. The timer is set when the body is first waited for, and only set anew when
    /// it fires: a body that flows costs no timers.
    fn poll_idle(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let idle = self.idle;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + idle)));
        while timer.as_mut().poll(context).is_ready() {
            if !std::mem::take(&mut self.is_moving) {
                return Poll::Ready(());
            }
            timer.as_mut().reset(Instant::now() + idle);
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
