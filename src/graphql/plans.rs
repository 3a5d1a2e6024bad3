//! Plans: one planner run per new operation, kept in a bounded cache.
//!
//! Relies on `supergraph::plan`; relied on by `graphql`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Span;

/// `supergraph.query_planning`: how operations are planned and how many plans are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QueryPlanningConfig {
    /// The plan cache.
    pub cache: PlanCacheConfig,
    /// Time that planning one operation may take.
    pub timeout: Span,
    /// How many of the most used operations are planned again before a new supergraph takes over.
    pub warm_up: usize,
}

/// `supergraph.query_planning.cache`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PlanCacheConfig {
    /// The cache in this process.
    pub in_memory: InMemoryConfig,
}

/// `supergraph.query_planning.cache.in_memory`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InMemoryConfig {
    /// Number of operations kept.
    pub limit: u64,
}

impl Default for QueryPlanningConfig {
    fn default() -> Self {
        Self { cache: PlanCacheConfig::default(), timeout: Span::seconds(2), warm_up: 100 }
    }
}

impl Default for InMemoryConfig {
    fn default() -> Self {
        Self { limit: 512 }
    }
}
