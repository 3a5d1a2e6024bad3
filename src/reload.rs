//! Reload: watches the configuration and the subgraphs' schemas, and puts a new snapshot in place when both are good.
//!
//! ```text
//! router.yaml ──► Config ─────────────────────────┐
//!                    └─► sources ──► compose ──► Supergraph ──► Snapshot ──► served from the next request on
//! ```
//! Whatever is bad replaces nothing: it goes to the log, to a metric and into the [`Status`] that readiness shows. Relies on
//! `config` and `snapshot`; `app` starts it; `admin` shows the status.

mod last_good;
pub mod sources;
mod status;
mod watch;

use std::{collections::HashMap, hash::BuildHasher, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use supergraph::{
    compose::{Source, compose},
    diagnostics::{Diagnostic, Place},
    model::Supergraph,
};
use tokio_util::sync::CancellationToken;

use sources::Sources;
pub use status::{Failure, Origin, Readable, Served, SharedStatus, Status};
use watch::Watch;

use crate::{
    config::{Config, Given},
    snapshot::{Foundation, Snapshot, Stamp, stamp},
};

/// The first pause after a subgraph could not be asked; it doubles up to the poll interval.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// What is said of a subgraph until it was asked for the first time.
const NOT_ASKED: &str = "its schema has not been asked for yet";

/// Keeps a snapshot up to date.
pub struct Reload {
    given: Given,
    sources: Sources,
    config: Arc<Config>,
    foundation: Arc<Foundation>,
    /// What requests are served by.
    served: Arc<ArcSwap<Snapshot>>,
    status: SharedStatus,
    supergraph: Option<Arc<Supergraph>>,
    /// The newest schema of each subgraph.
    known: HashMap<String, Source>,
    /// What was composed last, well or badly.
    composed: Vec<Source>,
    /// The text of the supergraph that was read last, well or badly.
    read: String,
    /// The files that the configuration names as they were when they were taken.
    files: Vec<Stamp>,
    /// The text of the configuration when it was last found good, unless other files are part of it.
    text: Option<String>,
    renewal: Option<Renewal>,
}

/// Makes ready what belongs to a configuration and is none of the snapshot's business, such as certificates.
type Renewal = Box<dyn Fn(&Config) -> Result<Commit, String> + Send + Sync>;
/// Puts it in place.
pub type Commit = Box<dyn FnOnce() + Send>;

impl Reload {
    /// The first snapshot: with a supergraph when a ready one is configured, otherwise still without.
    ///
    /// # Errors
    /// The configuration, or the ready supergraph, cannot be used.
    pub async fn start(given: Given, config: Config, foundation: Arc<Foundation>) -> Result<Self, String> {
        let snapshot = Snapshot::build(&config, None, &foundation)?;
        let waiting = || Failure::new(vec![NOT_ASKED.to_owned()], None);
        let subgraphs = config.subgraphs.keys().filter(|_| config.supergraph.schema.is_none());
        let status = Status {
            is_graph_wanted: config.has_graph(),
            subgraphs: subgraphs.map(|name| (name.clone(), waiting())).collect(),
            ..Status::default()
        };
        let mut reload = Self {
            given,
            sources: Sources::default(),
            foundation,
            served: Arc::new(ArcSwap::from_pointee(snapshot)),
            status: SharedStatus::new(ArcSwap::from_pointee(status)),
            supergraph: None,
            known: HashMap::new(),
            composed: Vec::new(),
            read: String::new(),
            files: stamps(&config),
            text: None,
            renewal: None,
            config: Arc::new(config),
        };
        if reload.config.supergraph.schema.is_some() {
            reload.read_supergraph().await.map_err(|errors| errors.join("\n"))?;
        }
        Ok(reload)
    }

    /// Has `renewal` prepare, too, whatever is new.
    #[must_use]
    pub fn with_renewal(mut self, renewal: impl Fn(&Config) -> Result<Commit, String> + Send + Sync + 'static) -> Self {
        self.renewal = Some(Box::new(renewal));
        self
    }

    /// What requests are served by, always the newest.
    pub fn served(&self) -> Arc<ArcSwap<Snapshot>> {
        self.served.clone()
    }

    /// What is served and what is wrong, always the newest.
    pub fn status(&self) -> SharedStatus {
        self.status.clone()
    }

    /// Watches and polls until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut watch = Watch::new();
        let mut pause = FIRST_PAUSE;
        loop {
            watch.aim_at(self.given.file(), &self.config);
            let is_complete = self.refresh().await;
            let interval = self.config.supergraph.poll_interval.0;
            pause = if is_complete { FIRST_PAUSE } else { pause };
            let next = if is_complete { interval } else { pause.min(interval) };
            pause = (pause * 2).min(interval.max(FIRST_PAUSE));
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(next) => {}
                () = watch.changed() => {}
            }
            self.reconfigure().await;
        }
    }

    /// Reads the configuration again and takes it when it is good.
    async fn reconfigure(&mut self) {
        let Some(file) = self.given.file() else { return };
        let text = tokio::fs::read_to_string(file).await.ok().filter(|text| !text.contains("${file."));
        // A large file is not decoded each time for nothing.
        if text.is_some() && text == self.text && stamps(&self.config) == self.files {
            return;
        }
        self.text = None;
        let given = self.given.clone();
        let config = match tokio::task::spawn_blocking(move || given.load()).await {
            Ok(Ok(config)) => config,
            Ok(Err(refused)) => return self.refuse_config(refused.lines()),
            Err(error) => return self.refuse_config(vec![error.to_string()]),
        };
        let files = stamps(&config);
        if config == *self.config && files == self.files {
            self.text = text;
            return self.update(|status| status.config = None);
        }
        let commit = match self.renewal.as_ref().map(|renewal| renewal(&config)).transpose() {
            Ok(commit) => commit,
            Err(error) => return self.refuse_config(vec![error]),
        };
        if let Err(error) = self.take(Arc::new(config.clone()), self.supergraph.clone()).await {
            return self.refuse_config(vec![error]);
        }
        if let Some(commit) = commit {
            commit();
        }
        (self.files, self.text) = (files, text);
        for block in needing_restart(&self.config, &config) {
            tracing::warn!(block, "the change takes effect when the process starts again");
        }
        self.config = Arc::new(config);
        let is_graph_wanted = self.config.has_graph();
        self.update(|status| {
            status.config = None;
            status.is_graph_wanted = is_graph_wanted;
        });
        self.foundation.metrics.reload(true);
        tracing::info!("the new configuration is in place");
    }

    fn refuse_config(&self, errors: Vec<String>) {
        let earlier = self.status.load().config.clone();
        let failure = Failure::new(errors, earlier.as_ref());
        if earlier.as_ref() != Some(&failure) {
            for error in &failure.errors {
                tracing::error!(error, "the new configuration is refused, the old one stays");
            }
            self.foundation.metrics.reload(false);
        }
        self.update(|status| status.config = Some(failure));
    }

    /// Fetches schemas and takes what they compose to; whether every subgraph could be asked.
    async fn refresh(&mut self) -> bool {
        if self.config.supergraph.schema.is_some() {
            let result = self.read_supergraph().await;
            return self.judge(result).is_ok();
        }
        if self.config.subgraphs.is_empty() {
            return true;
        }
        let mut failures = Vec::new();
        for (name, fetched) in self.sources.fetch_all(&self.config).await {
            match fetched {
                Ok(source) => drop(self.known.insert(name, source)),
                Err(error) => failures.push((name, error)),
            }
        }
        self.note(&failures);
        // A subgraph that is down now goes on with the schema that it had.
        let names = self.config.subgraphs.keys();
        let sources: Option<Vec<Source>> = names.map(|name| self.known.get(name).cloned()).collect();
        match sources {
            Some(sources) if sources != self.composed => {
                let result = self.compose(sources).await;
                let _ = self.judge(result);
            }
            Some(_) => {}
            None if self.supergraph.is_none() => self.take_last_good().await,
            None => {}
        }
        failures.is_empty()
    }

    /// Reads the ready supergraph, and takes it when it is new.
    async fn read_supergraph(&mut self) -> Result<(), Vec<String>> {
        let Some(path) = self.config.supergraph.schema.clone() else { return Ok(()) };
        let unreadable = |error: std::io::Error| vec![format!("the supergraph {} cannot be read: {error}", path.display())];
        let text = tokio::fs::read_to_string(&path).await.map_err(unreadable)?;
        if text == self.read {
            return Ok(());
        }
        self.read.clone_from(&text);
        self.take_sdl(text, Origin::File).await
    }

    /// Composes, off the threads that serve requests, and takes the result.
    async fn compose(&mut self, sources: Vec<Source>) -> Result<(), Vec<String>> {
        self.composed.clone_from(&sources);
        let composition = tokio::task::spawn_blocking(move || compose(&sources)).await;
        let composition = composition.map_err(|error| vec![format!("composition stopped: {error}")])?.map_err(told)?;
        for hint in &composition.hints {
            tracing::debug!(code = hint.code, message = hint.message, "a hint of composition");
        }
        self.take_sdl(composition.supergraph.clone(), Origin::Composed).await?;
        last_good::write(&self.config.supergraph.last_good, composition.supergraph);
        Ok(())
    }

    /// Serves from what was served before this process started.
    async fn take_last_good(&mut self) {
        let path = self.config.supergraph.last_good.clone();
        let Some(text) = last_good::read(&path, &self.config) else { return };
        match self.take_sdl(text, Origin::LastGood).await {
            Ok(()) => tracing::warn!(path = %path.display(), "served from the last good supergraph while subgraphs are down"),
            Err(errors) => tracing::error!(path = %path.display(), ?errors, "the last good supergraph cannot be used"),
        }
    }

    async fn take_sdl(&mut self, text: String, origin: Origin) -> Result<(), Vec<String>> {
        let id = format!("{:016x}", rustc_hash::FxBuildHasher.hash_one(&text));
        let read = tokio::task::spawn_blocking(move || Supergraph::read(&text)).await;
        let supergraph = Arc::new(read.map_err(|error| vec![error.to_string()])?.map_err(told)?);
        self.take(self.config.clone(), Some(supergraph.clone())).await.map_err(|error| vec![error])?;
        let subgraphs: Vec<String> = supergraph.subgraphs.iter().map(|(_, subgraph)| subgraph.name.to_string()).collect();
        tracing::info!(id, ?origin, subgraphs = subgraphs.len(), "a new supergraph is in place");
        self.supergraph = Some(supergraph);
        let served = Served { origin, since: std::time::SystemTime::now(), id, subgraphs };
        self.update(|status| status.supergraph = Some(served));
        Ok(())
    }

    /// Builds a snapshot, off the threads that serve requests, and puts it in place.
    async fn take(&self, config: Arc<Config>, supergraph: Option<Arc<Supergraph>>) -> Result<(), String> {
        let (foundation, warm_up) = (self.foundation.clone(), config.supergraph.query_planning.warm_up);
        let built = tokio::task::spawn_blocking(move || Snapshot::build(&config, supergraph, &foundation)).await;
        let snapshot = built.map_err(|error| error.to_string())??;
        snapshot.warm_up(&self.served.load_full(), warm_up).await;
        self.served.store(Arc::new(snapshot));
        Ok(())
    }

    /// Counts and shows how the newest schemas fared.
    fn judge(&self, result: Result<(), Vec<String>>) -> Result<(), ()> {
        let earlier = self.status.load().composition.clone();
        let failure = result.err().map(|errors| Failure::new(errors, earlier.as_ref()));
        if failure != earlier || failure.is_none() {
            self.foundation.metrics.composition(failure.is_none());
        }
        if let Some(failure) = failure.as_ref().filter(|failure| Some(*failure) != earlier.as_ref()) {
            for error in &failure.errors {
                tracing::error!(error, "the new schemas cannot be served");
            }
        }
        let outcome = if failure.is_none() { Ok(()) } else { Err(()) };
        self.update(|status| status.composition = failure);
        outcome
    }

    /// Shows which subgraphs cannot be asked now.
    fn note(&self, failures: &[(String, String)]) {
        let earlier = self.status.load().subgraphs.clone();
        let failure = |(name, error): &(String, String)| {
            let failure = Failure::new(vec![error.clone()], earlier.get(name));
            if earlier.get(name) != Some(&failure) {
                tracing::warn!(subgraph = name, error, "the schema of a subgraph cannot be had");
            }
            (name.clone(), failure)
        };
        let now = failures.iter().map(failure).collect();
        let is_down = |name: &String| failures.iter().any(|(failed, _)| failed == name);
        let was_down = earlier.iter().filter(|(_, failure)| failure.errors != [NOT_ASKED]).map(|(name, _)| name);
        for name in was_down.filter(|name| !is_down(name)) {
            tracing::info!(subgraph = name, "the schema of the subgraph can be had again");
        }
        self.update(|status| status.subgraphs = now);
    }

    fn update(&self, change: impl FnOnce(&mut Status)) {
        // `app` writes too, when the process ends; the change is small enough to be lost to nobody's harm but that one's.
        let mut status = Status::clone(&self.status.load());
        change(&mut status);
        self.status.rcu(|now| Status { draining: now.draining, ..status.clone() });
    }
}

/// The files that the configuration names and that are read once, as they are now.
fn stamps(config: &Config) -> Vec<Stamp> {
    config.files().map(stamp).collect()
}

/// Blocks whose change a running process does not follow.
fn needing_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let (old_telemetry, new_telemetry) = (&old.telemetry, &new.telemetry);
    let changes = [
        ("health_check", old.health_check != new.health_check),
        ("admin", old.admin != new.admin),
        ("shutdown", old.shutdown != new.shutdown),
        ("telemetry.exporters", old_telemetry.exporters != new_telemetry.exporters),
        ("telemetry.logging", old_telemetry.logging != new_telemetry.logging),
        ("telemetry.access_log", old_telemetry.access_log != new_telemetry.access_log),
    ];
    changes.into_iter().filter(|(_, is_changed)| *is_changed).map(|(block, _)| block).collect()
}

/// `FIELD_TYPE_MISMATCH: … (in accounts 12:3, products)`.
fn told(diagnostics: Vec<Diagnostic>) -> Vec<String> {
    let tell = |place: Place| match (place.subgraph, place.at) {
        (Some(name), Some((line, column))) => Some(format!("{name} {line}:{column}")),
        (name, _) => name,
    };
    let tell = |diagnostic: Diagnostic| {
        let mut places: Vec<_> = diagnostic.places.into_iter().filter_map(tell).collect();
        places.dedup();
        let places = if places.is_empty() { String::new() } else { format!(" (in {})", places.join(", ")) };
        format!("{}: {}{places}", diagnostic.code, diagnostic.message)
    };
    diagnostics.into_iter().map(tell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_once_asks_for_a_restart_and_nothing_else_does() {
        let old = Config::default();
        let mut new = old.clone();
        new.telemetry.logging.level = "debug".into();
        new.shutdown.drain = crate::units::Span::seconds(7);
        assert_eq!(needing_restart(&old, &new), ["shutdown", "telemetry.logging"]);
        new = old.clone();
        new.supergraph.introspection = true;
        assert!(needing_restart(&old, &new).is_empty());
    }
}
