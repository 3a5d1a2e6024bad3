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
    service::{HttpService, service_fn},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::futures::OwnedNotified,
    time::{Instant, Sleep, sleep, timeout},
};
use tokio_util::task::TaskTracker;

use super::{
    drain::{Phase, Phases},
    framing::Framing,
    proxy_protocol, tls,
    wire::Wire,
};
use crate::{
    body::Body,
    exchange::{Arrival, Interim, Peer},
    units::Network,
};

/// How long a new connection has for its first request's head.
const FIRST_HEAD: Duration = Duration::from_secs(10);
/// How long a connection may at least be idle, or take for a later head. Longer than the 60 s after which common load balancers close
/// their side, so that it is they who close.
const IDLE: Duration = Duration::from_secs(75);
/// How long a client may take to notice that an idle connection ends.
const FAREWELL: Duration = Duration::from_secs(1);
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

/// The two protocols with their limits.
#[derive(Debug)]
pub struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Default for Protocols {
    fn default() -> Self {
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
            .keep_alive_timeout(PING);
        Self { http1, http2 }
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
    let client = timeout(FIRST_HEAD, proxy_protocol::read(&mut stream)).await.ok()?.ok()?;
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
    let Ok(Some(is_http2)) = timeout(FIRST_HEAD, speaks_http2(&stream)).await else { return };
    let peer = Peer { address, is_tls: false };
    run((stream, is_http2, None), peer, handler, shared).await;
}

/// Serves one connection over TLS, whose handshake tells which HTTP it speaks.
pub async fn encrypted<H, F>(stream: TcpStream, address: SocketAddr, handler: H, shared: Shared, tls: Arc<tls::Acceptor>)
where
    H: Fn(Arrival, Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = timeout(FIRST_HEAD, tls.accept(stream)).await else { return };
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
        return Life::new(Box::pin(connection), interim, phases).await;
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
    Life::new(Box::pin(connection), interim, phases).await;
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

/// A connection that can be asked to end after the requests it has.
trait Connection: Future {
    fn finish(self: Pin<&mut Self>);
}

impl<I, S> Connection for http1::UpgradeableConnection<TokioIo<I>, S>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService<Incoming, ResBody = Body>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S> Connection for http2::Connection<TokioIo<I>, S, TokioExecutor>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService<Incoming, ResBody = Body>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Send + 'static,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// A connection with its patience and the server's phases. Apart from the connection itself a poll costs two loads: the timer
/// and the signal are polled once each, to leave their wakers, and again only when they have fired. Nothing is done for a request:
/// each holds a voice, so whether there is one can be seen from outside when it is asked for.
struct Life<C> {
    connection: Pin<Box<C>>,
    interim: Arc<Interim>,
    /// Who knows of `interim` without being a request.
    residents: usize,
    /// When it is looked again whether the client still wants something.
    patience: Pin<Box<Sleep>>,
    is_patience_begun: bool,
    /// Requests when it was looked last.
    count: u64,
    is_finishing: bool,
    phases: Arc<Phases>,
    seen: Phase,
    signal: Option<Pin<Box<OwnedNotified>>>,
}

impl<C> Life<C> {
    /// Of a connection on which nothing has happened yet.
    fn new(connection: Pin<Box<C>>, interim: Arc<Interim>, phases: Arc<Phases>) -> Self {
        let residents = Arc::strong_count(&interim);
        let patience = Box::pin(sleep(FIRST_HEAD));
        let (is_patience_begun, is_finishing, count) = (false, false, 0);
        let (seen, signal) = (Phase::Serving, None);
        Self { connection, interim, residents, patience, is_patience_begun, count, is_finishing, phases, seen, signal }
    }
}

impl<C: Connection> Future for Life<C> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.connection.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        if (!self.is_patience_begun || self.patience.is_elapsed()) && self.is_given_up(context) {
            return Poll::Ready(());
        }
        self.heed(context)
    }
}

impl<C: Connection> Life<C> {
    /// Waits on; true when the client has neither had nor begun a request for as long as it may. That is found out between one and
    /// two times `IDLE` after the last one.
    fn is_given_up(&mut self, context: &mut Context<'_>) -> bool {
        self.is_patience_begun = true;
        while self.patience.as_mut().poll(context).is_ready() {
            let (before, is_busy) = (self.count, Arc::strong_count(&self.interim) > self.residents);
            self.count = self.interim.count();
            if is_busy || self.count != before {
                self.patience.as_mut().reset(Instant::now() + IDLE);
                continue;
            }
            if self.is_finishing || self.count == 0 {
                return true;
            }
            self.is_finishing = true;
            self.connection.as_mut().finish();
            if self.connection.as_mut().poll(context).is_ready() {
                return true;
            }
            self.patience.as_mut().reset(Instant::now() + FAREWELL);
        }
        false
    }
}

impl<C: Connection> Life<C> {
    /// Follows the server's phases; ready when the connection shall end now.
    fn heed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.signal.is_none() || self.phases.now() != self.seen {
            // The signal is armed before the phase is read, so no change can be missed; one that has fired is armed anew.
            let mut signal = Box::pin(self.phases.changed());
            self.signal = signal.as_mut().poll(context).is_pending().then_some(signal);
            let before = std::mem::replace(&mut self.seen, self.phases.now());
            if self.seen == Phase::Cut {
                return Poll::Ready(());
            }
            if self.seen == Phase::Closing && before != Phase::Closing {
                self.connection.as_mut().finish();
                if self.connection.as_mut().poll(context).is_ready() {
                    return Poll::Ready(());
                }
            }
        }
        Poll::Pending
    }
}
