//! Pool: connections to endpoints, kept alive and shared.
//!
//! Relied on by `upstream`; configured by `upstreams.<name>.pool:`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Span;

/// Connections of an upstream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PoolConfig {
    /// Most idle connections per endpoint.
    pub max_idle: usize,
    /// How long a connection may be idle.
    pub idle_timeout: Span,
    /// Which HTTP is spoken.
    pub http2: Http2,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { max_idle: 64, idle_timeout: Span::seconds(30), http2: Http2::Auto }
    }
}

/// Whether HTTP/2 is spoken to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Http2 {
    /// When TLS negotiates it.
    Auto,
    /// Always, also without TLS.
    Always,
    /// Never.
    Never,
}
