//! Listeners for clients: opened, changed and ended as the configuration says, while requests are served.
//!
//! What a configuration needs is bound first and taken after its snapshot is in place, so that a configuration with an address that
//! cannot be had changes nothing. Relies on `server`; relied on by `app`.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
};

use arc_swap::{ArcSwap, ArcSwapOption};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    body::Body,
    config::{Config, listeners::Listener},
    exchange::Arrival,
    server::{self, Drain, Front, Manner, connection::Protocols, redirect::to_https, tls},
    snapshot::Snapshot,
    telemetry::metrics::Metrics,
};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Every listener for clients that is open.
#[derive(Debug)]
pub struct Listeners {
    open: Mutex<HashMap<String, Open>>,
    tasks: TaskTracker,
    drain: Drain,
    metrics: Arc<Metrics>,
}

/// A listener that is open.
#[derive(Clone, Debug)]
struct Open {
    manner: Arc<ArcSwap<Manner>>,
    stop: CancellationToken,
    /// Its port, and where plain requests are sent if it is there to send them.
    ports: Arc<(u16, AtomicU16)>,
    /// What its last requests are served by once no new snapshot knows it.
    last: Arc<ArcSwapOption<Snapshot>>,
}

/// A listener as a configuration wants it.
#[derive(Debug)]
struct Wanted {
    place: String,
    manner: Manner,
    /// The socket, when it is not open yet.
    fresh: Option<TcpListener>,
    open: Open,
    /// The place of the listener where its requests are sent, if that is all that it does.
    redirect: Option<String>,
}

/// What a configuration wants, and everything that it takes is there.
#[derive(Debug)]
pub struct Ready(Vec<Wanted>);

impl Ready {
    /// Where the first listener listens, its port chosen.
    pub fn address(&self, config: &Config) -> SocketAddr {
        let port = self.0.first().map_or(0, |first| first.open.ports.0);
        SocketAddr::new(config.supergraph.listen.ip(), port)
    }
}

impl Listeners {
    /// None yet; all end with `drain`, in tasks of `tasks`.
    pub fn new(tasks: TaskTracker, drain: Drain, metrics: Arc<Metrics>) -> Self {
        Self { open: Mutex::default(), tasks, drain, metrics }
    }

    /// Binds what is new and reads the files of TLS; changes nothing that is served.
    ///
    /// # Errors
    /// Says which address or file cannot be used.
    pub fn prepare(&self, config: &Config) -> Result<Ready, String> {
        let mut all = Vec::new();
        for listener in config.all_listeners() {
            let said = |error| match listener.own {
                None => format!("supergraph.listen: {error}"),
                Some(own) => format!("listeners, `{}`: {error}", own.name),
            };
            let manner = manner(listener)?;
            let plain = Manner { tls: None, ..manner.clone() };
            all.push(self.wanted(listener.place(), listener.listen, manner).map_err(said)?);
            if let Some(from) = listener.tls.and_then(|tls| tls.redirect_from) {
                let place = format!("redirect {}", Listener { listen: from, ..listener }.place());
                let redirect = Some(listener.place());
                let wanted = self.wanted(place, from, plain).map_err(|error| format!("tls.redirect_from: {error}"))?;
                all.push(Wanted { redirect, ..wanted });
            }
        }
        Ok(Ready(all))
    }

    fn wanted(&self, place: String, address: SocketAddr, manner: Manner) -> Result<Wanted, String> {
        let known = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(&place).cloned();
        if let Some(open) = known {
            return Ok(Wanted { place, manner, fresh: None, open, redirect: None });
        }
        let cannot = |error: std::io::Error| format!("cannot listen on {address}: {error}");
        let fresh = bind(address).map_err(cannot)?;
        let open = Open {
            manner: Arc::new(ArcSwap::from_pointee(manner.clone())),
            stop: self.drain.stop.child_token(),
            ports: Arc::new((fresh.local_addr().map_err(cannot)?.port(), AtomicU16::new(0))),
            last: Arc::default(),
        };
        Ok(Wanted { place, manner, fresh: Some(fresh), open, redirect: None })
    }

    /// Serves what is wanted, and ends what no longer is: its requests in flight are answered, by `before`.
    pub fn take(&self, ready: Ready, served: &Arc<ArcSwap<Snapshot>>, before: &Arc<Snapshot>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let ports: HashMap<_, _> = ready.0.iter().map(|wanted| (wanted.place.clone(), wanted.open.ports.0)).collect();
        let mut former = std::mem::take(&mut *open);
        for wanted in ready.0 {
            former.remove(&wanted.place);
            wanted.open.manner.store(Arc::new(wanted.manner));
            if let Some(port) = wanted.redirect.as_ref().and_then(|place| ports.get(place)) {
                wanted.open.ports.1.store(*port, Ordering::Relaxed);
            }
            if let Some(listener) = wanted.fresh {
                let front = Front { listener, manner: wanted.open.manner.clone(), metrics: self.metrics.clone() };
                match wanted.redirect {
                    Some(_) => self.redirect(front, wanted.open.clone()),
                    None => self.serve(front, wanted.place.clone(), (wanted.open.clone(), served.clone())),
                }
            }
            open.insert(wanted.place, wanted.open);
        }
        for (place, gone) in former {
            tracing::info!(place, "nobody can connect there any more, requests in flight are answered");
            gone.last.store(Some(before.clone()));
            gone.stop.cancel();
        }
    }

    fn serve(&self, front: Front, place: String, (open, served): (Open, Arc<ArcSwap<Snapshot>>)) {
        let drain = Drain { stop: open.stop, limit: self.drain.limit };
        let last = open.last;
        let handler = move |arrival: Arrival, request: Request<Incoming>| {
            // Outside of the future, which is moved several times and would have room for the request beside the exchange.
            let newest = served.load_full();
            let found = match newest.find(&place) {
                Some(at) => Some((newest, at)),
                None => last.load_full().and_then(|last| last.find(&place).map(|at| (last, at))),
            };
            let pipeline = found.as_ref().and_then(|(snapshot, at)| snapshot.pipeline(*at));
            let received = pipeline.map(|pipeline| pipeline.receive(arrival, request));
            async move {
                let pipeline = found.as_ref().and_then(|(snapshot, at)| snapshot.pipeline(*at));
                match pipeline.zip(received) {
                    Some((pipeline, received)) => pipeline.handle(received).await,
                    None => gone(),
                }
            }
        };
        self.spawn(server::serve(front, handler, drain));
    }

    fn redirect(&self, front: Front, open: Open) {
        let drain = Drain { stop: open.stop, limit: self.drain.limit };
        let ports = open.ports;
        let handler =
            move |_, request: Request<Incoming>| std::future::ready(to_https(&request, ports.1.load(Ordering::Relaxed)));
        self.spawn(server::serve(front, handler, drain));
    }

    fn spawn(&self, serving: impl Future<Output = std::io::Result<()>> + Send + 'static) {
        self.tasks.spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "a listener of clients ended");
            }
        });
    }
}

fn manner(listener: Listener<'_>) -> Result<Manner, String> {
    Ok(Manner {
        tls: listener.tls.map(tls::prepare).transpose()?,
        proxies: listener.proxy_protocol.then(|| listener.trusted_proxies.into()),
        protocols: Arc::new(Protocols::new(listener.connection)),
    })
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As a restart would otherwise wait for connections of before to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The answer to a request that came in the moment between two configurations, where only the older one knew its listener.
fn gone() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}
