//! Persisted documents: automatic persisted queries, and the safelist of registered ones.
//!
//! Relied on by `graphql`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `persisted_queries`: operations that clients name by hash.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PersistedQueriesConfig {
    /// Automatic persisted queries: a client sends the hash alone, and the document once.
    pub apq: bool,
    /// Whether only listed documents may run.
    pub safelist: SafelistConfig,
    /// Files with listed documents.
    pub manifests: Vec<PathBuf>,
}

/// Whether only listed documents may run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SafelistConfig {
    /// Refuse documents that are on no list.
    pub enabled: bool,
    /// Refuse documents that are sent in full, even when they are listed.
    pub require_id: bool,
}

impl Default for PersistedQueriesConfig {
    fn default() -> Self {
        Self { apq: true, safelist: SafelistConfig::default(), manifests: Vec::new() }
    }
}
