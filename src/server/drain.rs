//! Drain: how the server ends: no new connections, then time for the requests in flight.
//!
//! Relied on by `server`; configured by `shutdown:`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Span;

/// How the process ends on SIGTERM and SIGINT.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ShutdownConfig {
    /// How long requests in flight may take to finish.
    pub drain: Span,
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self { drain: Span::seconds(60) }
    }
}
