//! One client connection: which HTTP it speaks, its limits, and its end.
//!
//! Relied on by `server`.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::FutureExt as _;
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};
use tokio_util::task::TaskTracker;

use super::{
    drain::{Phase, Phases},
    framing::Framing,
    life::Life,
    proxy_protocol, tls,
    wire::Wire,
};
use crate::{
    body::Body,
    exchange::{Arrival, Interim, Peer},
    units::{Network, Span},
};

/// How long a connection may take for what comes before its first request: a handshake, an introduction.
const GREETING: Duration = Duration::from_secs(10);
/// Most bytes of a header section whatever the route; routes have their own, lower limit.
const HEAD_BYTES: usize = 256 << 10;
/// Most requests of one HTTP/2 connection at a time.
const STREAMS: u32 = 100;
/// What an HTTP/2 client may send of one body before we have read any of it.
const STREAM_WINDOW: u32 = 256 << 10;
/// The same for all bodies of a connection.
const CONNECTION_WINDOW: u32 = 1 << 20;
/// How often a silent HTTP/2 connection is asked whether it is still there, and how long it has to answer.
const PING: Duration = Duration::from_secs(20);
/// The first bytes of HTTP/2 that no HTTP/1 request can have.
const PREFACE: &[u8] = b"PRI ";

/// How long connections of clients may live. Both ends are orderly: a request that is under way is answered first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionConfig {
    /// How long one may at least be idle, or take for a later head; it ends before twice that. The default is longer than the 60 s
    /// after which common load balancers close their side, so that it is they who close.
    pub idle_timeout: Span,
    /// How old one may become, less up to a tenth of it so that many do not end together; any age when absent.
    pub max_age: Option<Span>,
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self { idle_timeout: Span::seconds(75), max_age: None }
    }
}

/// The two protocols with their limits.
#[derive(Debug)]
pub struct Protocols {
    limits: ConnectionConfig,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Protocols {
    /// With these limits, and others that are the same for everybody.
    pub fn new(limits: &ConnectionConfig) -> Self {
        let mut http1 = http1::Builder::new();
        // How long a head may take is `Life`'s business: here it would be a timer for every request.
        http1.timer(TokioTimer::new()).header_read_timeout(None).max_header_size(HEAD_BYTES);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(HEAD_BYTES as u32)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(STREAM_WINDOW as usize)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .enable_connect_protocol();
        Self { limits: limits.clone(), http1, http2 }
    }
}

/// What all connections of a server share.
pub type Shared = (Arc<Protocols>, Arc<Phases>, TaskTracker);

/// Learns from a load balancer for whom a connection is; none when it does not say, or is not to be believed.
pub async fn introduced(mut stream: TcpStream, address: SocketAddr, proxies: &[Network]) -> Option<(TcpStream, SocketAddr)> {
    if !proxies.iter().any(|proxy| proxy.contains(address.ip())) {
        tracing::debug!(%address, "a connection that does not come from a trusted proxy is closed");
        return None;
    }
    let client = timeout(GREETING, proxy_protocol::read(&mut stream)).await.ok()?.ok()?;
    Some((stream, client.unwrap_or(address)))
}

/// Serves one connection to its end; its first bytes tell which HTTP it speaks.
pub async fn plain<H, F>(stream: TcpStream, address: SocketAddr, handler: H, shared: Shared)
where
    H: Fn(Arrival, Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    // Answers are written whole; waiting for more only delays them.
    let _ = stream.set_nodelay(true);
    let Ok(Some(is_http2)) = timeout(GREETING, speaks_http2(&stream)).await else { return };
    let peer = Peer { address, is_tls: false };
    run((stream, is_http2, None), peer, handler, shared).await;
}

/// Serves one connection over TLS, whose handshake tells which HTTP it speaks.
pub async fn encrypted<H, F>(stream: TcpStream, address: SocketAddr, handler: H, shared: Shared, tls: Arc<ServerConfig>)
where
    H: Fn(Arrival, Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = timeout(GREETING, TlsAcceptor::from(tls).accept(stream)).await else { return };
    let session = stream.get_ref().1;
    let is_http2 = session.alpn_protocol() == Some(b"h2");
    let certificate = session.peer_certificates().and_then(|chain| tls::client_cert(chain.first()?));
    let peer = Peer { address, is_tls: true };
    run((stream, is_http2, certificate), peer, handler, shared).await;
}

async fn run<S, H, F>(
    (stream, is_http2, certificate): (S, bool, Option<HeaderValue>),
    peer: Peer,
    handler: H,
    (protocols, phases, connections): Shared,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Arrival, Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let interim = Arc::<Interim>::default();
    let from = Arrival::over(peer).from;
    let arrive = {
        let interim = interim.clone();
        move |is_ambiguous: bool, is_mute: bool| {
            let (from, certificate, voice) = (from.clone(), certificate.clone(), Some(interim.begin(is_mute)));
            Arrival { peer, from, certificate, is_ambiguous, voice }
        }
    };
    if is_http2 {
        let service =
            service_fn(move |request: Request<Incoming>| handler(arrive(false, true), request).map(Ok::<_, Infallible>));
        let connection = protocols.http2.serve_connection(TokioIo::new(stream), service);
        return Life::new(Box::pin(connection), interim, phases, &protocols.limits).await;
    }
    let framing = Framing::new();
    let io = TokioIo::new(Wire::new(stream, framing.clone(), interim.clone(), connections.token()));
    let (server, held) = (phases.clone(), interim.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let arrival = arrive(framing.is_next_ambiguous(), request.version() < Version::HTTP_11);
        let (phases, framing, interim) = (server.clone(), framing.clone(), held.clone());
        // Chained rather than awaited in a block of its own: hyper moves this future, and a block would hold it twice.
        handler(arrival, request).then(move |mut response| {
            if phases.now() != Phase::Serving {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                framing.switch();
            }
            Held { response: Some(response), interim }
        })
    });
    let connection = protocols.http1.serve_connection(io, service).with_upgrades();
    Life::new(Box::pin(connection), interim, phases, &protocols.limits).await;
}

/// An answer that is held back until the interim answers before it are written; writing them wakes the connection.
struct Held {
    response: Option<Response<Body>>,
    interim: Arc<Interim>,
}

impl Future for Held {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if self.interim.is_waiting() {
            return Poll::Pending;
        }
        self.interim.end();
        self.response.take().map_or(Poll::Pending, |response| Poll::Ready(Ok(response)))
    }
}

/// Looks at the first bytes without taking them; `None` when there are none to come.
async fn speaks_http2(stream: &TcpStream) -> Option<bool> {
    /// Between looks at a preface that arrives in pieces; only somebody who plays with us sends it so.
    const PAUSE: Duration = Duration::from_millis(5);
    let mut start = [0; PREFACE.len()];
    loop {
        let count = stream.peek(&mut start).await.ok()?;
        let seen = start.get(..count)?;
        if seen.is_empty() {
            return None;
        }
        if seen == PREFACE || !PREFACE.starts_with(seen) {
            return Some(seen == PREFACE);
        }
        sleep(PAUSE).await;
    }
}
