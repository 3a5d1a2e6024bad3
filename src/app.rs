//! App: the composition root. A configuration becomes listeners, a snapshot that is kept up to date, and an orderly end.
//!
//! Relies on everything; the command line calls [`serve`].

use std::{io, net::SocketAddr, sync::Arc};

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    admin,
    config::{Config, Given, problem::Refused},
    exchange::Arrival,
    reload::{Commit, Readable, Reload, SharedStatus, Status},
    server::{
        self, Drain, Front,
        redirect::to_https,
        tls::{self, Acceptor},
    },
    snapshot::{Foundation, Snapshot},
    telemetry::logs,
};

/// Why the process does not run.
#[derive(Debug)]
pub enum Failure {
    /// The configuration, or what it names, is wrong.
    Input(String),
    /// Something failed that is not the configuration's fault.
    Start(String),
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::Input(refused.to_string())
    }
}

/// Serves until SIGTERM or SIGINT, and then until the requests in flight are answered. `announce` is called once everything
/// listens, with the address that clients connect to.
///
/// # Errors
/// The process cannot start.
pub async fn serve(given: Given, announce: impl FnOnce(SocketAddr, &Config)) -> Result<(), Failure> {
    let config = given.load()?;
    let logging = &config.telemetry.logging;
    logs::start(logging.format, &logging.level).map_err(Failure::Input)?;
    let listener = bind("supergraph.listen", config.supergraph.listen).await?;
    let address = listener.local_addr().map_err(|error| Failure::Start(error.to_string()))?;
    let foundation = Arc::new(Foundation::new(&config).map_err(Failure::Start)?);
    let tls = config.tls.as_ref().map(Acceptor::new).transpose().map_err(Failure::Input)?.map(Arc::new);
    let proxies = config.proxy_protocol.then(|| config.trusted_proxies.clone().into());
    let plain = match config.tls.as_ref().and_then(|tls| tls.redirect_from) {
        Some(from) => Some(bind("tls.redirect_from", from).await?),
        None => None,
    };
    let front = Front {
        listener,
        tls: tls.clone(),
        proxies: proxies.clone(),
        limits: config.connection.clone(),
        metrics: foundation.metrics.clone(),
    };
    let reload = Reload::start(given, config.clone(), foundation.clone()).await.map_err(Failure::Input)?;
    let reload = reload.with_renewal(move |config: &Config| renew(tls.as_ref(), config));
    let (served, status) = (reload.served(), reload.status());

    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    for (key, address, router) in operators(&config, &foundation, &status) {
        tasks.spawn(attend(bind(key, address).await?, router, stop.clone()));
    }
    tasks.spawn(reload.run(stop.clone()));
    announce(address, &config);
    tracing::info!(%address, "listening");
    tokio::spawn(end_on_signal(stop.clone(), status, foundation.clone()));

    let handler = move |arrival: Arrival, request: Request<Incoming>| served.load_full().handle(arrival, request);
    let drain = Drain { stop: stop.clone(), limit: config.shutdown.drain.0 };
    if let Some(listener) = plain {
        let plain =
            Front { listener, tls: None, proxies, limits: config.connection.clone(), metrics: foundation.metrics.clone() };
        let redirect = move |_, request: Request<Incoming>| std::future::ready(to_https(&request, address.port()));
        tasks.spawn(server::serve(plain, redirect, drain.clone()));
    }
    let outcome = server::serve(front, handler, drain).await;
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    let ears = foundation.observer.clone();
    let flushed = tokio::task::spawn_blocking(move || {
        ears.access_log.iter().for_each(|log| log.flush());
    });
    let _ = flushed.await;
    if let Some(tracer) = &foundation.observer.tracer {
        tracer.shutdown().await;
    }
    outcome.map_err(|error| Failure::Start(error.to_string()))
}

/// Reads the files of `tls:` again. What is good is taken with the rest of the configuration.
fn renew(tls: Option<&Arc<Acceptor>>, config: &Config) -> Result<Commit, String> {
    let Some((acceptor, config)) = tls.zip(config.tls.as_ref()) else { return Ok(Box::new(|| {})) };
    let (ready, acceptor) = (tls::prepare(config)?, acceptor.clone());
    Ok(Box::new(move || acceptor.replace(ready)))
}

/// Finds what of a configuration would keep [`serve`] from starting, without listening and without asking anybody. Must be called
/// inside a Tokio runtime.
///
/// # Errors
/// Says what cannot be used.
pub fn check(config: &Config) -> Result<(), Failure> {
    config.tls.as_ref().map(Acceptor::new).transpose().map_err(Failure::Input)?;
    Snapshot::build(config, None, &Foundation::silent()).map(drop).map_err(Failure::Input)
}

/// The listeners of operators: who configures them, where, and what they answer.
fn operators(config: &Config, foundation: &Foundation, status: &SharedStatus) -> Vec<(&'static str, SocketAddr, Router)> {
    let prometheus = &config.telemetry.exporters.metrics.prometheus;
    let health = || admin::health(&config.health_check.path, Arc::new(Readable(status.clone())));
    let metrics = || admin::metrics(&prometheus.path, foundation.metrics.clone());
    let mut listeners = Vec::new();
    if config.health_check.enabled {
        listeners.push(("health_check.listen", config.health_check.listen, health()));
    }
    if prometheus.enabled {
        listeners.push(("telemetry.exporters.metrics.prometheus.listen", prometheus.listen, metrics()));
    }
    if let Some(admin) = &config.admin {
        listeners.push(("admin.listen", admin.listen, health().merge(metrics())));
    }
    listeners
}

async fn bind(key: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| Failure::Start(format!("{key}: cannot listen on {address}: {error}")))
}

/// Serves operators until the end. Readiness answers while requests drain.
async fn attend(listener: TcpListener, router: Router, stop: CancellationToken) {
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "a listener of operators ended");
    }
}

/// The first SIGTERM or SIGINT begins the end, the second one is it. SIGHUP opens the access log anew, for rotation.
async fn end_on_signal(stop: CancellationToken, status: SharedStatus, foundation: Arc<Foundation>) -> io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {
                if let Some(log) = &foundation.observer.access_log {
                    log.reopen();
                }
                continue;
            }
        }
        if stop.is_cancelled() {
            std::process::exit(1);
        }
        tracing::info!("no new connections are taken, requests in flight are answered");
        status.rcu(|now| Status { draining: true, ..Status::clone(now) });
        stop.cancel();
    }
}
