//! Compression: response encodings by what the client accepts.
//!
//! Relied on by `pipeline`; configured by `compression:`. Spec: <https://www.rfc-editor.org/rfc/rfc9110#name-accept-encoding>

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Size;

/// How answers are compressed. Off unless `response` names an encoding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompressionConfig {
    /// Encodings, the preferred one first.
    pub response: Vec<Encoding>,
    /// Answers smaller than this are sent as they are.
    pub min_size: Size,
}

impl Default for CompressionConfig {
    fn default() -> Self {
        Self { response: Vec::new(), min_size: Size(1 << 10) }
    }
}

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// `zstd`
    Zstd,
    /// `br`
    Br,
    /// `gzip`
    Gzip,
}
