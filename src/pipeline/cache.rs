//! Cache: answers kept and shared between clients.
//!
//! Relied on by `pipeline`; configured by `cache:`. Spec: <https://www.rfc-editor.org/rfc/rfc9111>

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Size, Span};

/// Which answers are kept, and how long. Off by default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheConfig {
    /// Whether answers are kept.
    pub enabled: bool,
    /// How long an answer is kept that does not say so itself.
    pub ttl: Span,
    /// Methods whose answers are kept.
    pub methods: Vec<String>,
    /// Statuses that are kept.
    pub status: Vec<u16>,
    /// Media types that are kept.
    pub content_types: Vec<String>,
    /// Request headers that tell answers apart, beyond the answer's own `Vary`.
    pub vary_headers: Vec<String>,
    /// Query parameters that tell answers apart; empty means all.
    pub vary_query: Vec<String>,
    /// How long an old answer may be served while a new one is fetched.
    pub stale_while_revalidate: Option<Span>,
    /// Most bytes kept.
    pub max_size: Size,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            ttl: Span::seconds(300),
            methods: ["GET", "HEAD"].map(Into::into).into(),
            status: vec![200, 301],
            content_types: vec!["application/json".into()],
            vary_headers: Vec::new(),
            vary_query: Vec::new(),
            stale_while_revalidate: None,
            max_size: Size(256_000_000),
        }
    }
}
