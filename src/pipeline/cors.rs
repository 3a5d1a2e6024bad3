//! CORS: which web pages of other origins may call us, and the answers to their preflights.
//!
//! Relied on by `pipeline`; configured by `cors:`. Spec: <https://fetch.spec.whatwg.org/#http-cors-protocol>

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Span;

/// Which origins may read answers. Without this block none may.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CorsConfig {
    /// Origins (`https://app.example`), or `*` for any (not together with `allow_credentials`).
    pub origins: Vec<String>,
    /// Methods that preflights allow.
    pub methods: Vec<String>,
    /// Request headers that preflights allow; empty means whatever is asked for.
    pub allow_headers: Vec<String>,
    /// Response headers that pages may read.
    pub expose_headers: Vec<String>,
    /// Whether cookies and other credentials may be sent.
    pub allow_credentials: bool,
    /// How long a preflight's answer may be kept.
    pub max_age: Option<Span>,
    /// Other settings for other origins; the first policy that names the origin counts, then the settings above.
    pub policies: Vec<CorsPolicyConfig>,
}

impl Default for CorsConfig {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            methods: ["GET", "POST", "OPTIONS"].map(Into::into).into(),
            allow_headers: Vec::new(),
            expose_headers: Vec::new(),
            allow_credentials: false,
            max_age: None,
            policies: Vec::new(),
        }
    }
}

/// Settings for some origins; what is absent is taken from the block around it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CorsPolicyConfig {
    /// Origins (`https://app.example`).
    pub origins: Vec<String>,
    /// Methods that preflights allow.
    pub methods: Option<Vec<String>>,
    /// Request headers that preflights allow.
    pub allow_headers: Option<Vec<String>>,
    /// Response headers that pages may read.
    pub expose_headers: Option<Vec<String>>,
    /// Whether cookies and other credentials may be sent.
    pub allow_credentials: Option<bool>,
    /// How long a preflight's answer may be kept.
    pub max_age: Option<Span>,
}
