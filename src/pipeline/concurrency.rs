//! Concurrency: how many requests may be in flight, and how long one may take in all.
//!
//! Relied on by `pipeline`; configured by `traffic_shaping.router:`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Span;

/// What holds for every client request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RouterShapingConfig {
    /// How long a request may take from its head to its answer's head. A route's `timeout` overrides it.
    pub timeout: Span,
    /// Most requests in flight; more are refused with 503.
    pub concurrency_limit: u32,
    /// Whether identical queries in flight share one execution.
    pub deduplicate: bool,
}

impl Default for RouterShapingConfig {
    fn default() -> Self {
        Self { timeout: Span::seconds(60), concurrency_limit: 10_000, deduplicate: false }
    }
}
