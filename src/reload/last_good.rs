//! The last good supergraph, kept in a file for a start while subgraphs are down.
//!
//! Relied on by `reload`.

use std::{io, path::Path};

use supergraph::model::Supergraph;

use crate::config::Config;

/// Largest file that is read, in bytes.
const MAX_BYTES: u64 = 256 << 20;

/// Writes it in the background: whoever reads sees the old one or the new one, whole. Failing is a warning, since it costs
/// nothing now.
pub fn write(path: &Path, text: String) {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || {
        if let Err(error) = replace(&path, &text) {
            tracing::warn!(path = %path.display(), %error, "the last good supergraph cannot be kept");
        }
    });
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    if std::fs::read_to_string(path).is_ok_and(|kept| kept == text) {
        return Ok(());
    }
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(format!(".{}", std::process::id()));
    std::fs::write(&fresh, text)?;
    std::fs::rename(&fresh, path)
}

/// The kept one, when its subgraphs are among those of the configuration.
pub fn read(path: &Path, config: &Config) -> Option<String> {
    let size = std::fs::metadata(path).ok()?.len();
    let text = std::fs::read_to_string(path).ok().filter(|_| size <= MAX_BYTES)?;
    let supergraph = Supergraph::read(&text).ok()?;
    let is_ours = supergraph.subgraphs.iter().all(|(_, subgraph)| config.subgraphs.contains_key(&*subgraph.name));
    if !is_ours {
        tracing::warn!(path = %path.display(), "the last good supergraph has other subgraphs than the configuration, it is not used");
    }
    is_ours.then_some(text)
}
