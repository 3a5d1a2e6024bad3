//! Exchange: the facts of one request and its response, known to every step of the pipeline and to nothing else.
//!
//! A leaf: plain public fields, no type map, no string keys. Spec: <https://www.rfc-editor.org/rfc/rfc9110#name-message-abstraction>

mod interim;
pub mod websocket;

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures_util::task::AtomicWaker;
use http::{HeaderMap, HeaderValue, Method, Uri, Version};
use hyper::upgrade::OnUpgrade;
use serde_json::{Map, Value};
use tokio::time::timeout_at;

pub use self::interim::{Gate, Interim, Voice};
use self::websocket::Handshake;
use crate::telemetry::traces::RequestSpan;

/// The connection that a request came over.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The other end's address.
    pub address: SocketAddr,
    /// Whether it is encrypted.
    pub is_tls: bool,
}

/// How a request came.
#[derive(Debug)]
pub struct Arrival {
    /// Over which connection.
    pub peer: Peer,
    /// The address of the connection's other end in words, which all its requests tell upstreams.
    pub from: HeaderValue,
    /// The certificate that the client has shown and that was verified, as `Client-Cert` writes it (RFC 9440).
    pub certificate: Option<HeaderValue>,
    /// Whether two parsers could read its head differently.
    pub is_ambiguous: bool,
    /// The way to tell the client something before the answer. As long as there is one, the connection is not idle.
    pub voice: Option<Voice>,
}

impl Arrival {
    /// A request over this connection, of which nothing else is known.
    pub fn over(peer: Peer) -> Self {
        let address = peer.address.ip().to_canonical().to_string();
        let from = HeaderValue::try_from(address).unwrap_or(HeaderValue::from_static("unknown"));
        Self { peer, from, certificate: None, is_ambiguous: false, voice: None }
    }
}

/// One request and its response.
#[derive(Debug)]
pub struct Exchange {
    /// `X-Request-ID`: the client's when it is acceptable, ours otherwise.
    pub id: Arc<str>,
    /// When its head had arrived.
    pub started: Instant,
    /// When it must be answered, unless its body is still arriving then.
    pub deadline: Instant,
    /// When all of its answer must have been given, where the client says so (gRPC).
    pub latest: Option<Instant>,
    /// How far its body is, when it did not come with the head.
    pub upload: Option<Arc<Upload>>,
    /// The peer of the connection.
    pub peer: SocketAddr,
    /// The peer's address in words.
    pub from: HeaderValue,
    /// The client's address by the trusted-proxy rule.
    pub client_ip: IpAddr,
    /// Whether the peer is a proxy whose word about the client is believed.
    pub is_peer_trusted: bool,
    /// Whether it came over TLS.
    pub is_tls: bool,
    /// Method of the request.
    pub method: Method,
    /// Target of the request, exactly as sent.
    pub uri: Uri,
    /// HTTP version of the request.
    pub version: Version,
    /// Headers of the request.
    pub headers: HeaderMap,
    /// The verified certificate of the client.
    pub certificate: Option<HeaderValue>,
    /// Whether its head can be read in two ways.
    pub is_ambiguous: bool,
    /// The way to tell the client something before the answer.
    pub voice: Option<Voice>,
    /// Name of the route that matched; empty before routing.
    pub route: Arc<str>,
    /// Who asks, after authentication.
    pub identity: Option<Arc<Identity>>,
    /// Headers that steps add to whatever response is given (rate limits, deprecation).
    pub response_headers: HeaderMap,
    /// The GraphQL operation, when there is one.
    pub operation: Option<OperationFacts>,
    /// Whether a GraphQL document was known already, once it was looked for.
    pub is_document_cached: Option<bool>,
    /// The upstream that a REST route chose.
    pub upstream: Option<Arc<str>>,
    /// Time spent waiting for upstreams, the longest chain only.
    pub upstream_time: Duration,
    /// The span of the exchange, when it is traced.
    pub span: Option<RequestSpan>,
    /// Resolves to the bare connection, when the client asked for another protocol on it.
    pub upgrade: Option<OnUpgrade>,
    /// The handshake for a WebSocket that was asked for over HTTP/2.
    pub websocket: Option<Box<Handshake>>,
}

impl Exchange {
    /// An exchange that begins now, with the peer for client and no request id yet.
    pub fn new(peer: Peer, head: http::request::Parts, time: Duration) -> Self {
        Self::arrived(Arrival::over(peer), head, time)
    }

    /// The same, of a request that came so.
    pub fn arrived(arrival: Arrival, head: http::request::Parts, time: Duration) -> Self {
        let Arrival { peer, from, certificate, is_ambiguous, voice } = arrival;
        let started = Instant::now();
        Self {
            id: Arc::default(),
            started,
            deadline: started + time,
            latest: None,
            upload: None,
            peer: peer.address,
            from,
            client_ip: peer.address.ip().to_canonical(),
            is_peer_trusted: false,
            is_tls: peer.is_tls,
            method: head.method,
            uri: head.uri,
            version: head.version,
            headers: head.headers,
            certificate,
            is_ambiguous,
            voice,
            route: Arc::default(),
            identity: None,
            response_headers: HeaderMap::new(),
            operation: None,
            is_document_cached: None,
            upstream: None,
            upstream_time: Duration::ZERO,
            span: None,
            upgrade: None,
            websocket: None,
        }
    }
}

/// A request's body on its way in. The time for an answer counts from the last that came of it, so that a large body is no
/// slow answer.
#[derive(Debug)]
pub struct Upload {
    started: Instant,
    /// How long a request may take.
    time: Duration,
    /// When everything must be over, however the body goes on.
    latest: Option<Instant>,
    /// Milliseconds from `started` to the last bytes.
    moved: AtomicU64,
    is_awaited: AtomicBool,
    is_over: AtomicBool,
    is_stopped: AtomicBool,
    reader: AtomicWaker,
}

impl Upload {
    /// One that begins now, of a request that may take so long.
    pub fn new(time: Duration, latest: Option<Instant>) -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            time,
            latest,
            moved: AtomicU64::new(0),
            is_awaited: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            is_stopped: AtomicBool::new(false),
            reader: AtomicWaker::new(),
        })
    }

    /// Something arrived.
    pub fn moves(&self) {
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(millis, Ordering::Relaxed);
        self.is_awaited.store(false, Ordering::Relaxed);
    }

    /// More of it is wanted than there is.
    pub fn waits(&self) {
        self.is_awaited.store(true, Ordering::Relaxed);
    }

    /// All of it has arrived.
    pub fn ends(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    /// Whether all of it has arrived.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Nobody wants the rest of it any more: its reader is told so, and drops it.
    pub fn stop(&self) {
        if !self.is_over() {
            self.is_stopped.store(true, Ordering::Release);
            self.reader.wake();
        }
    }

    /// Ready when it was stopped.
    pub fn poll_stopped(&self, context: &mut Context<'_>) -> Poll<()> {
        self.reader.register(context.waker());
        if self.is_stopped.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether it is the client that is waited for, not the upstream.
    pub fn is_awaited(&self) -> bool {
        self.is_awaited.load(Ordering::Relaxed)
    }

    /// When the answer must be there, by what has arrived so far.
    pub fn deadline(&self) -> Instant {
        let deadline = self.started + Duration::from_millis(self.moved.load(Ordering::Relaxed)) + self.time;
        self.latest.map_or(deadline, |latest| deadline.min(latest))
    }
}

/// Waits for `work` until `deadline`, or longer while a body arrives; nothing when it was too late.
pub async fn within<T>(mut deadline: Instant, upload: Option<&Upload>, work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    loop {
        match timeout_at(deadline.into(), work.as_mut()).await {
            Ok(output) => return Some(output),
            Err(_) => deadline = upload.map(Upload::deadline).filter(|later| *later > Instant::now())?,
        }
    }
}

impl Exchange {
    /// An exchange for one of several requests that came in this one.
    pub fn part(&self) -> Self {
        Self {
            id: self.id.clone(),
            route: self.route.clone(),
            identity: self.identity.clone(),
            certificate: self.certificate.clone(),
            from: self.from.clone(),
            upload: self.upload.clone(),
            voice: None,
            upstream: None,
            span: self.span.as_ref().map(|span| span.child(Instant::now())),
            upgrade: None,
            websocket: None,
            headers: self.headers.clone(),
            uri: self.uri.clone(),
            method: self.method.clone(),
            response_headers: HeaderMap::new(),
            operation: None,
            ..*self
        }
    }

    /// Takes what was done for one of several requests as done for this one.
    pub fn take_part(&mut self, part: Self) {
        let mut last = None;
        for (name, value) in part.response_headers {
            // The map gives a name once, and then its further values.
            last = name.or(last);
            if let Some(name) = &last {
                self.response_headers.append(name.clone(), value);
            }
        }
        if let Some(mut span) = part.span {
            span.name(&["operation"]);
        }
        self.upstream_time = self.upstream_time.max(part.upstream_time);
        match (&mut self.operation, part.operation) {
            (Some(facts), Some(more)) => {
                facts.errors += more.errors;
                facts.cost = match (facts.cost, more.cost) {
                    (Some(cost), Some(more)) => Some(Cost { estimated: cost.estimated.saturating_add(more.estimated), ..cost }),
                    (cost, more) => cost.or(more),
                };
            }
            (facts @ None, more) => *facts = more,
            (Some(_), None) => {}
        }
    }
}

/// Who asks.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The subject (`sub`), or the consumer's id.
    pub subject: Arc<str>,
    /// Scopes granted.
    pub scopes: Vec<Box<str>>,
    /// All verified claims, for keys, header values and directives.
    pub claims: Map<String, Value>,
}

/// How the plan of an operation was had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planning {
    /// It was in the cache.
    Cached,
    /// It was being made for another exchange.
    Shared,
    /// It was made, which took so long.
    Made(Duration),
    /// It could not be made, which took so long.
    Failed(Duration),
}

/// What metrics and logs say of a GraphQL operation.
#[derive(Clone, Debug)]
pub struct OperationFacts {
    /// Its name, if any.
    pub name: Option<Arc<str>>,
    /// `query`, `mutation` or `subscription`.
    pub kind: &'static str,
    /// How its plan was had, once it was wanted.
    pub planning: Option<Planning>,
    /// What it was estimated to cost.
    pub cost: Option<Cost>,
    /// Number of errors in its answer.
    pub errors: usize,
}

/// What an operation was estimated to cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The estimate.
    pub estimated: u64,
    /// `COST_OK`, or the code of what is wrong with it.
    pub outcome: &'static str,
}
