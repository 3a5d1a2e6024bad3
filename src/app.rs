//! App: the composition root. A configuration becomes listeners, a snapshot that is kept up to date, and an orderly end.
//!
//! Relies on everything; the command line calls [`serve`].

mod listeners;

use std::{io, net::SocketAddr, sync::Arc};

use arc_swap::ArcSwap;
use axum::Router;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::listeners::Listeners;
use crate::{
    admin,
    config::{Config, Given, problem::Refused},
    reload::{Commit, Readable, Reload, SharedStatus, Status},
    server::{Drain, tls},
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
    let foundation = Arc::new(Foundation::new(&config).map_err(Failure::Start)?);
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let drain = Drain { stop: stop.clone(), limit: config.shutdown.drain.0 };
    let listeners = Arc::new(Listeners::new(tasks.clone(), drain, foundation.metrics.clone()));
    check_files(&config)?;
    let ready = listeners.prepare(&config).map_err(Failure::Start)?;
    let address = ready.address(&config);
    let reload = Reload::start(given, config.clone(), foundation.clone()).await.map_err(Failure::Input)?;
    let (served, status) = (reload.served(), reload.status());
    for (key, address, router) in operators(&config, &foundation, &status) {
        tasks.spawn(attend(bind(key, address).await?, router, stop.clone()));
    }
    listeners.take(ready, &served, &served.load_full());
    let reload = reload.with_renewal(move |config: &Config| renew(&listeners, &served, config));
    tasks.spawn(reload.run(stop.clone()));
    announce(address, &config);
    tracing::info!(%address, "listening");
    tokio::spawn(end_on_signal(stop.clone(), status, foundation.clone()));
    stop.cancelled().await;
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
    Ok(())
}

/// Makes ready what clients connect to, as `config` wants it, to be taken with the rest of the configuration.
fn renew(listeners: &Arc<Listeners>, served: &Arc<ArcSwap<Snapshot>>, config: &Config) -> Result<Commit, String> {
    let ready = listeners.prepare(config)?;
    let (listeners, served, before) = (listeners.clone(), served.clone(), served.load_full());
    Ok(Box::new(move || listeners.take(ready, &served, &before)))
}

/// Finds what of a configuration would keep [`serve`] from starting, without listening and without asking anybody. Must be called
/// inside a Tokio runtime.
///
/// # Errors
/// Says what cannot be used.
pub fn check(config: &Config) -> Result<(), Failure> {
    check_files(config)?;
    Snapshot::build(config, None, &Foundation::silent()).map(drop).map_err(Failure::Input)
}

/// Finds certificates that cannot be used.
fn check_files(config: &Config) -> Result<(), Failure> {
    let mut all = config.all_listeners().filter_map(|listener| listener.tls);
    all.try_for_each(|tls| tls::prepare(tls).map(drop)).map_err(Failure::Input)
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
