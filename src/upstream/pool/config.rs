//! What `upstreams.<name>.pool:` says.
//!
//! Relied on by `upstream::pool`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Span;

/// Connections of an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PoolConfig {
    /// Most idle connections per endpoint.
    pub max_idle: usize,
    /// How long a connection may be idle.
    pub idle_timeout: Span,
    /// How long a connection is used for new requests; for ever when absent.
    pub max_lifetime: Option<Span>,
    /// Which HTTP is spoken.
    pub http2: Http2,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { max_idle: 64, idle_timeout: Span::seconds(30), max_lifetime: None, http2: Http2::Auto }
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

impl Http2 {
    /// What TLS offers.
    pub const fn protocols(self) -> &'static [&'static [u8]] {
        match self {
            Self::Auto => &[b"h2", b"http/1.1"],
            Self::Always => &[b"h2"],
            Self::Never => &[b"http/1.1"],
        }
    }
}
