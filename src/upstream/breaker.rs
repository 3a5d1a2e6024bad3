//! Circuit breaker: closed, open, probing; and the most that may be under way at once.
//!
//! Relied on by `upstream`; configured by `upstreams.<name>.circuit_breaker:`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Percent, Span};

/// When calls are refused instead of sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerConfig {
    /// Most connections.
    pub max_connections: u32,
    /// Most calls that wait for a connection.
    pub max_pending_requests: u32,
    /// Most calls under way.
    pub max_requests: u32,
    /// Most retries under way.
    pub max_retries: u32,
    /// Share of failed calls that opens the breaker; it never opens when absent.
    pub error_threshold: Option<Percent>,
    /// Fewest calls in the last ten seconds for that share to mean something.
    pub volume_threshold: u32,
    /// How long it stays open before a call probes whether things are better.
    pub sleep: Span,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            max_pending_requests: 1024,
            max_requests: 1024,
            max_retries: 3,
            error_threshold: None,
            volume_threshold: 20,
            sleep: Span::seconds(10),
        }
    }
}
