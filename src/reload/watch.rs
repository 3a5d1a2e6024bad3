//! Watch: tells when files of the configuration may have changed.
//!
//! Directories are watched, not files, since editors and orchestrators put a new file in the old one's place. What is told is only
//! a hint: whoever gets it reads and compares. Relied on by `reload`.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

use crate::config::Config;

/// How long after an event others are waited for: saving a file makes several.
const QUIET: Duration = Duration::from_millis(100);

/// Watches files.
pub struct Watch {
    watcher: Option<RecommendedWatcher>,
    directories: BTreeSet<PathBuf>,
    names: Arc<RwLock<BTreeSet<OsString>>>,
    event: Arc<Notify>,
}

impl Watch {
    /// Watches nothing yet. Where the system cannot watch, polling goes on without.
    pub fn new() -> Self {
        let event = Arc::new(Notify::new());
        let names = Arc::new(RwLock::new(BTreeSet::new()));
        let (tell, known) = (event.clone(), names.clone());
        let watcher = notify::recommended_watcher(move |outcome: notify::Result<notify::Event>| {
            let known = known.read().unwrap_or_else(PoisonError::into_inner);
            if outcome.is_ok_and(|event| !event.kind.is_access() && event.paths.iter().any(|path| is_meant(path, &known))) {
                tell.notify_one();
            }
        });
        let watcher = watcher.inspect_err(|error| tracing::warn!(%error, "files cannot be watched, only polled")).ok();
        Self { watcher, directories: BTreeSet::new(), names, event }
    }

    /// Watches the configuration's file and those it names.
    pub fn aim_at(&mut self, file: Option<&Path>, config: &Config) {
        let schemas = config.subgraphs.values().filter_map(|subgraph| subgraph.schema.as_ref()?.file.as_deref());
        let files: Vec<_> =
            file.into_iter().chain(config.supergraph.schema.as_deref()).chain(schemas).chain(config.files()).collect();
        let names = files.iter().filter_map(|file| file.file_name()).map(ToOwned::to_owned).collect();
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = names;
        let Some(watcher) = &mut self.watcher else { return };
        for directory in files.iter().filter_map(|file| file.parent()) {
            let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
            if self.directories.contains(directory) {
                continue;
            }
            match watcher.watch(directory, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.directories.insert(directory.to_owned())),
                Err(error) => tracing::warn!(directory = %directory.display(), %error, "cannot be watched, only polled"),
            }
        }
    }

    /// Waits until something may have changed and things are quiet again.
    pub async fn changed(&self) {
        self.event.notified().await;
        while tokio::time::timeout(QUIET, self.event.notified()).await.is_ok() {}
    }
}

/// Whether an event is about one of our files, or about the link that orchestrators turn to a whole new directory (`..data`).
fn is_meant(path: &Path, names: &BTreeSet<OsString>) -> bool {
    path.file_name().is_some_and(|name| names.contains(name) || name.as_encoded_bytes().starts_with(b".."))
}
