//! Pool: connections to one endpoint, kept alive and shared.
//!
//! Relied on by `upstream`; configured by `upstreams.<name>.pool:`. HTTP/1.1 connections carry one request at a time, driven by its
//! call, and wait in a stack, the one used last on top; one HTTP/2 connection carries all, driven by a task of its own. A connection
//! comes back when its answer's body has ended, and only then.

mod arriving;
mod config;
mod line;
mod meter;

use std::{
    fmt, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Wake, Waker},
    time::Duration,
};

use http::{
    Request, StatusCode, Uri, header,
    uri::{Authority, PathAndQuery, Scheme},
};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    runtime::Handle,
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

pub use self::config::{Http2, PoolConfig};
use self::{
    arriving::{Arriving, Lease, is_framed_once},
    line::Line,
    meter::Endless,
};
use super::{Client, Failure, Fault, ProxyProtocol, Reply, Secure, Slot, overloaded};
use crate::{
    body::{Body, BoxError},
    error::{Error, ErrorKind},
    exchange::Gate,
    telemetry::metrics::Remaining,
};

/// How often idle connections are looked at, at the most.
const SHORTEST: Duration = Duration::from_millis(100);
/// How often a silent HTTP/2 connection is asked whether it is still there, and how long it has to answer.
const PING: Duration = Duration::from_secs(20);

/// The connections to one endpoint.
pub struct Pool {
    /// Host (without brackets) and port.
    address: (Box<str>, u16),
    secure: Option<Secure>,
    settings: Settings,
    idle: Mutex<IdleStack>,
    shared: Mutex<Option<(http2::SendRequest<Body>, Instant)>>,
    /// Connections that may still be made.
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    returned: Notify,
    /// Tells who tends idle connections that something has happened to one.
    alarm: Arc<Alarm>,
    tender: Waker,
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
    /// Where it is shown what is left of the limits.
    pub limits: Limits,
}

/// What is left of the limits of all pools of an upstream together.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Of connections.
    pub connections: Remaining,
    /// Of calls that wait for one.
    pub pending: Remaining,
}

/// One of the connections that there may be.
struct Place {
    limits: Limits,
    _permit: OwnedSemaphorePermit,
}

struct Idle {
    line: Box<Line>,
    since: Instant,
}

#[derive(Default)]
struct Alarm(Notify);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.notify_one();
    }
}

/// Idle connections, the one used last on top.
#[derive(Default)]
struct IdleStack {
    all: Vec<Idle>,
    /// Whether somebody closes those that are idle for too long.
    is_tended: bool,
}

enum Sender {
    Http1(Box<Line>),
    Http2(http2::SendRequest<Body>),
}

impl Pool {
    /// An empty pool for an endpoint.
    pub fn new(host: &str, port: u16, secure: Option<Secure>, settings: Settings) -> Arc<Self> {
        settings.limits.connections.add(settings.max_connections as i64);
        settings.limits.pending.add(settings.max_pending as i64);
        let alarm = Arc::<Alarm>::default();
        Arc::new(Self {
            address: (host.trim_matches(['[', ']']).into(), port),
            secure,
            idle: Mutex::default(),
            shared: Mutex::default(),
            free: Arc::new(Semaphore::new(settings.max_connections.min(Semaphore::MAX_PERMITS))),
            waiting: AtomicUsize::new(0),
            returned: Notify::new(),
            tender: alarm.clone().into(),
            alarm,
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
                None => match Box::pin(self.obtain(client)).await {
                    Ok(sender) => sender,
                    Err(failure) => return Err(unsent(failure, request, slot)),
                },
            };
            let sent = match &mut sender {
                Sender::Http1(line) => line.send(request).await,
                Sender::Http2(sender) => sender.try_send_request(self.with_authority(request)).await,
            };
            match sent {
                Ok(response) => return self.reply(response, sender, slot, is_upgrade),
                Err(mut error) => match error.take_message() {
                    Some(unsent) if is_reused => request = unsent,
                    Some(request) => return Err(unsent(self.unreachable(error.error()), request, slot)),
                    None => return Err(fault_of(error.error(), is_reused)),
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
            let mut shared = lock(&self.shared);
            shared.take_if(|(sender, born)| sender.is_closed() || self.is_old(*born, Instant::now()));
            if let Some((sender, _)) = &*shared {
                return Some(Sender::Http2(sender.clone()));
            }
        }
        let (mut idle, now) = (lock(&self.idle), Instant::now());
        while let Some(mut candidate) = idle.all.pop() {
            if self.is_usable(&mut candidate, now) {
                return Some(Sender::Http1(candidate.line));
            }
        }
        None
    }

    fn place(&self, permit: OwnedSemaphorePermit) -> Place {
        self.settings.limits.connections.add(-1);
        Place { limits: self.settings.limits.clone(), _permit: permit }
    }

    fn is_old(&self, born: Instant, now: Instant) -> bool {
        self.settings.config.max_lifetime.is_some_and(|limit| now.saturating_duration_since(born) >= limit.0)
    }

    fn is_usable(&self, idle: &mut Idle, now: Instant) -> bool {
        let is_fresh = now.saturating_duration_since(idle.since) < self.settings.config.idle_timeout.0;
        is_fresh && !self.is_old(idle.line.born(), now) && idle.line.is_open()
    }

    /// A new connection; when there are as many as may be, the next one that comes back.
    async fn obtain(&self, client: Option<Client>) -> Result<Sender, Failure> {
        if let Ok(permit) = self.free.clone().try_acquire_owned() {
            return self.connect(self.place(permit), client).await;
        }
        let _waiting = Waiting::enter(self)?;
        loop {
            let returned = self.returned.notified();
            if let Some(sender) = self.take() {
                return Ok(sender);
            }
            tokio::select! {
                () = returned => {}
                Ok(permit) = self.free.clone().acquire_owned() => return self.connect(self.place(permit), client).await,
            }
        }
    }

    fn put_back(self: &Arc<Self>, line: Box<Line>) {
        let now = Instant::now();
        line.watch(&self.tender);
        let mut returned = Idle { line, since: now };
        if self.settings.proxy_protocol.is_some() || !self.is_usable(&mut returned, now) {
            return self.part(vec![returned]);
        }
        let mut gone = Vec::new();
        let mut idle = lock(&self.idle);
        if idle.all.len() >= self.settings.config.max_idle {
            gone.extend(idle.all.extract_if(.., |candidate| !self.is_usable(candidate, now)));
        }
        let full = idle.all.len() >= self.settings.config.max_idle;
        if full {
            gone.push(returned)
        } else {
            idle.all.push(returned)
        }
        if !std::mem::replace(&mut idle.is_tended, true) {
            tokio::spawn(tend(Arc::downgrade(self), self.alarm.clone()));
        }
        drop(idle);
        self.part(gone);
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.returned.notify_one();
        }
    }

    /// Closes connections that are idle for too long, or that the upstream has closed. Whether any is left.
    fn prune(&self) -> bool {
        let (mut idle, now) = (lock(&self.idle), Instant::now());
        let gone = idle.all.extract_if(.., |candidate| !self.is_usable(candidate, now)).collect();
        idle.is_tended = !idle.all.is_empty();
        let is_any_left = idle.is_tended;
        drop(idle);
        self.part(gone);
        is_any_left
    }

    /// Ends connections that are not used any more.
    fn part(&self, gone: Vec<Idle>) {
        // Without TLS to close one says enough.
        if self.secure.is_some()
            && let Ok(runtime) = Handle::try_current()
        {
            for idle in gone {
                runtime.spawn(idle.line.end());
            }
        }
    }

    async fn connect(&self, place: Place, client: Option<Client>) -> Result<Sender, Failure> {
        let connected = timeout(self.settings.connect_timeout, self.open(place, client)).await;
        match connected {
            Ok(Ok(sender)) => Ok(sender),
            Ok(Err(error)) => Err(self.unreachable(&error)),
            Err(_) => Err(self.unreachable(&io::ErrorKind::TimedOut)),
        }
    }

    fn unreachable(&self, error: &dyn fmt::Display) -> Failure {
        let (host, port) = &self.address;
        let error = Error::new(ErrorKind::UpstreamUnreachable, format!("cannot connect to {host} port {port}: {error}"));
        Failure::new(Fault::Connect, error.retryable())
    }

    async fn open(&self, place: Place, client: Option<Client>) -> Result<Sender, BoxError> {
        let (host, port) = &self.address;
        let mut stream = TcpStream::connect((&**host, *port)).await?;
        stream.set_nodelay(true)?;
        if let Some(version) = self.settings.proxy_protocol {
            let header = version.header(client, stream.peer_addr()?);
            stream.write_all(&header).await?;
        }
        let http2 = self.settings.config.http2;
        let Some(secure) = &self.secure else { return self.greet(stream, http2 == Http2::Always, place).await };
        let stream = secure.connector.connect(secure.name.clone(), stream).await?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2") || http2 == Http2::Always;
        self.greet(stream, is_http2, place).await
    }

    /// Begins to speak HTTP. A connection with HTTP/2 lives in a task of its own, and its place with it.
    async fn greet<S>(&self, stream: S, is_http2: bool, place: Place) -> Result<Sender, BoxError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if is_http2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.timer(TokioTimer::new()).keep_alive_interval(PING).keep_alive_timeout(PING).keep_alive_while_idle(true);
            let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
            tokio::spawn(async move {
                // How it ends, its requests learn.
                let _ = connection.await;
                drop(place);
            });
            if self.settings.proxy_protocol.is_none() {
                *lock(&self.shared) = Some((sender.clone(), Instant::now()));
            }
            return Ok(Sender::Http2(sender));
        }
        Ok(Sender::Http1(Line::begin(stream, place).await?))
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
        mut sender: Sender,
        slot: Option<Slot>,
        is_upgrade: bool,
    ) -> Result<Reply, Failure> {
        let (mut head, body) = response.into_parts();
        let invalid = |reason| Err(Failure::new(Fault::Invalid, Error::new(ErrorKind::UpstreamInvalid, reason)));
        if !is_framed_once(&head.headers) {
            return invalid("the answer's body has more than one length");
        }
        if let Sender::Http1(line) = &mut sender
            && (head.status == StatusCode::SWITCHING_PROTOCOLS || slot.as_ref().is_some_and(|slot| !slot.is_sent()))
        {
            line.let_go();
        }
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return if is_upgrade {
                Ok(Reply::from_parts(head, Body::empty()))
            } else {
                invalid("nobody had asked to switch protocols")
            };
        }
        head.version = http::Version::HTTP_11;
        let body = Arriving::begin(&head.headers, body, Lease { pool: self.clone(), sender, slot });
        Ok(Reply::from_parts(head, body.map_or_else(Body::empty, Body::stream)))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.settings.limits.connections.add(-(self.settings.max_connections as i64));
        self.settings.limits.pending.add(-(self.settings.max_pending as i64));
        let gone = std::mem::take(&mut lock(&self.idle).all);
        self.part(gone);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.limits.connections.add(1);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Pool")
            .field("address", &self.address)
            .field("idle", &lock(&self.idle).all.len())
            .finish_non_exhaustive()
    }
}

/// Closes a pool's idle connections when their time is over or the upstream has closed them, as long as there are any.
async fn tend(pool: Weak<Pool>, alarm: Arc<Alarm>) {
    while let Some(pause) = pool.upgrade().map(|pool| pool.settings.config.idle_timeout.0) {
        // Woken or not, it is time to look.
        let _ = timeout(pause.max(SHORTEST), alarm.0.notified()).await;
        if pool.upgrade().is_none_or(|pool| !pool.prune()) {
            return;
        }
    }
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
        pool.settings.limits.pending.add(-1);
        let waiting = Self(pool);
        if before < pool.settings.max_pending {
            return Ok(waiting);
        }
        Err(Failure::new(Fault::Overflow, overloaded("as many calls wait for a connection as may")))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.settings.limits.pending.add(1);
    }
}

/// A failure before anything was sent: the request goes back whole, and so its body must go on.
fn unsent(failure: Failure, request: Request<Body>, slot: Option<Slot>) -> Failure {
    drop(slot.map(Slot::without_upload));
    failure.with_unsent(request)
}

/// What a failed send was: our request body's own error, a broken connection, or an answer that is not HTTP.
fn fault_of(error: &hyper::Error, is_reused: bool) -> Failure {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(own) = cause.downcast_ref::<Error>() {
            return Failure::new(Fault::Request, own.clone());
        }
        if Endless::is_cause(cause) {
            return Failure::new(Fault::Invalid, Error::new(ErrorKind::UpstreamInvalid, Endless.to_string()));
        }
        source = cause.source();
    }
    if error.is_parse() || error.is_parse_too_large() {
        let error = Error::new(ErrorKind::UpstreamInvalid, format!("the answer is not HTTP: {error}"));
        return Failure::new(Fault::Invalid, error);
    }
    let error = Error::new(ErrorKind::UpstreamUnreachable, format!("the connection broke before an answer: {error}"));
    Failure::new(Fault::Reset { is_reused }, error)
}
