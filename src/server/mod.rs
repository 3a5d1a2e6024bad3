//! Sockets to requests: the accept loop, HTTP/1.1 and HTTP/2 on one port, and draining.
//!
//! Relies on the leaves. `app` calls it with a handler.
//! Spec: <https://www.rfc-editor.org/rfc/rfc9112>, <https://www.rfc-editor.org/rfc/rfc9113>

pub mod connection;
pub mod drain;
pub mod framing;
pub mod life;
pub mod proxy_protocol;
pub mod redirect;
pub mod tls;
pub mod wire;

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::ServerConfig;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    connection::Protocols,
    drain::{Phase, Phases},
};
use crate::{body::Body, exchange::Arrival, telemetry::metrics::Metrics, units::Network};

/// How long the accept loop rests when the system refuses it a socket (no file descriptors, no memory).
const REST: Duration = Duration::from_millis(20);
/// How long idle connections live on while draining, so that a request that is already on its way still gets its answer.
const LINGER: Duration = Duration::from_millis(1_000);

/// How a listener ends: `stop` asks it to, and after `limit` what still runs is cut.
#[derive(Clone, Debug)]
pub struct Drain {
    /// Cancelled when no new work shall be taken.
    pub stop: CancellationToken,
    /// The most time that requests in flight get.
    pub limit: Duration,
}

/// What clients connect to.
pub struct Front {
    /// The socket.
    pub listener: TcpListener,
    /// How connections are treated, from the next one on.
    pub manner: Arc<ArcSwap<Manner>>,
    /// Where connections are counted.
    pub metrics: Arc<Metrics>,
}

/// How connections are treated.
#[derive(Clone, Debug)]
pub struct Manner {
    /// TLS, unless they are plain.
    pub tls: Option<Arc<ServerConfig>>,
    /// The proxies of which every connection comes and says for whom, where that is so.
    pub proxies: Option<Arc<[Network]>>,
    /// HTTP, and how long they live.
    pub protocols: Arc<Protocols>,
}

/// Serves a listener until it is told to stop and its requests are answered.
///
/// # Errors
/// When the listener cannot be used at all.
pub async fn serve<H, F>(front: Front, handler: H, drain: Drain) -> io::Result<()>
where
    H: Fn(Arrival, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let Front { listener, manner, metrics } = front;
    let connections = TaskTracker::new();
    let phases = Phases::new();
    let take = |stream: TcpStream, address: SocketAddr| {
        let Manner { tls, proxies, protocols } = Manner::clone(&manner.load());
        let (shared, open) = ((protocols, phases.clone(), connections.clone()), metrics.connection());
        let handler = handler.clone();
        connections.spawn(async move {
            let introduced = match &proxies {
                None => Some((stream, address)),
                Some(proxies) => connection::introduced(stream, address, proxies).await,
            };
            match (introduced, tls) {
                (Some((stream, address)), None) => connection::plain(stream, address, handler, shared).await,
                (Some((stream, address)), Some(tls)) => connection::encrypted(stream, address, handler, shared, tls).await,
                (None, _) => {}
            }
            drop(open);
        });
    };
    loop {
        tokio::select! {
            biased;
            () = drain.stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => take(stream, address),
                Err(error) => rest(&error).await,
            },
        }
    }
    phases.enter(Phase::Draining);
    for (stream, address) in queued(&listener.into_std()?) {
        take(TcpStream::from_std(stream)?, address);
    }
    connections.close();
    let all_closed = async {
        let _ = tokio::time::timeout(LINGER, connections.wait()).await;
        phases.enter(Phase::Closing);
        connections.wait().await;
    };
    if tokio::time::timeout(drain.limit, all_closed).await.is_err() {
        tracing::warn!(connections = connections.len(), "requests still in flight at the end of the drain are cut");
        phases.enter(Phase::Cut);
    }
    Ok(())
}

/// A failed accept is a fault of one connection, or of the system for a while; never a reason to stop.
async fn rest(error: &io::Error) {
    let is_of_connection =
        matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted);
    if !is_of_connection {
        tracing::warn!(%error, "no connection could be accepted");
        tokio::time::sleep(REST).await;
    }
}

/// Connections that the system had accepted for us before we stopped: their clients have a right to an answer.
fn queued(listener: &StdListener) -> impl Iterator<Item = (std::net::TcpStream, SocketAddr)> + '_ {
    std::iter::from_fn(|| {
        let (stream, address) = listener.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        Some((stream, address))
    })
}
