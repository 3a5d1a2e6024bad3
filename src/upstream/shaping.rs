//! Shaping: how subgraphs are called.
//!
//! Relied on by `upstream`; configured by `traffic_shaping.all:` and `traffic_shaping.subgraphs:`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Span;

/// How subgraphs are called (`traffic_shaping.all`, and by name in `traffic_shaping.subgraphs`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ShapingConfig {
    /// How long a call may take, retries included.
    pub timeout: Span,
    /// Whether identical queries in flight share one call.
    pub deduplicate_query: bool,
    /// How request bodies are compressed; not at all when absent.
    pub compression: Option<RequestCompression>,
}

impl Default for ShapingConfig {
    fn default() -> Self {
        Self { timeout: Span::seconds(30), deduplicate_query: true, compression: None }
    }
}

/// A content coding of request bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RequestCompression {
    /// `gzip`
    Gzip,
}
