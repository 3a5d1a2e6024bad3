//! Persisted documents: automatic persisted queries, and the safelist of registered ones.
//!
//! Relied on by `graphql`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `persisted_queries`: operations that clients name by hash.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PersistedQueriesConfig {
    /// Automatic persisted queries: a client sends the hash alone, and the document once.
    pub apq: bool,
}

impl Default for PersistedQueriesConfig {
    fn default() -> Self {
        Self { apq: true }
    }
}
