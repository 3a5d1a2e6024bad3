//! What the command line gives: where the configuration stands, and what overrides it.
//!
//! Relied on by `app` and by `reload`, which reads the file again with the same overrides.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{
    Config,
    problem::{Problem, Refused},
};

/// Where the configuration stands, and what overrides it.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Where it stands.
    pub source: ConfigSource,
    /// Instead of `supergraph.schema`.
    pub supergraph: Option<PathBuf>,
    /// Instead of `supergraph.listen`.
    pub listen: Option<SocketAddr>,
    /// Whether to turn on what helps while developing.
    pub is_development: bool,
}

/// Where a configuration stands.
#[derive(Clone, Debug, Default)]
pub enum ConfigSource {
    /// In a file, which is watched.
    File(PathBuf),
    /// In the program.
    BuiltIn(&'static str),
    /// Nowhere: every value is the default.
    #[default]
    Nowhere,
}

impl Given {
    /// The configuration as it is now.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(&self) -> Result<Config, Refused> {
        let mut config = match &self.source {
            ConfigSource::File(path) => Config::load(path)?,
            ConfigSource::BuiltIn(text) => Config::parse(text, Path::new(""), &|_| None)
                .map_err(|problems| Refused::new(Path::new("built-in configuration"), problems))?,
            ConfigSource::Nowhere => Config::default(),
        };
        if let Some(schema) = &self.supergraph {
            config.supergraph.schema = Some(schema.clone());
        }
        if let Some(listen) = self.listen {
            config.supergraph.listen = listen;
        }
        if self.is_development {
            config = config.for_development();
        }
        if config.has_graph() || !config.routes.is_empty() {
            return Ok(config);
        }
        let message = "there is nothing to serve: add `subgraphs`, `supergraph.schema` or `routes`".to_owned();
        Err(Refused::new(&self.name(), vec![Problem { at: None, path: String::new(), message }]))
    }

    /// The file that is watched, if there is one.
    pub fn file(&self) -> Option<&Path> {
        match &self.source {
            ConfigSource::File(path) => Some(path),
            ConfigSource::BuiltIn(_) | ConfigSource::Nowhere => None,
        }
    }

    fn name(&self) -> PathBuf {
        self.file().unwrap_or(Path::new("configuration")).to_owned()
    }
}
