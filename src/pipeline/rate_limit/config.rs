//! The words of `ratelimit:`.
//!
//! Relied on by the rest of `rate_limit`.

use std::{borrow::Cow, fmt, str::FromStr};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Rate, Span};

/// Quotas. Every rule that applies is charged; the one with the least left decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimitConfig {
    /// Where counts are kept: `memory` (this process), or `redis` (shared).
    pub store: StoreConfig,
    /// One bucket for all requests together.
    pub global: Option<GlobalLimitConfig>,
    /// Buckets per key.
    pub rules: Vec<RateLimitRuleConfig>,
    /// Rates by the consumer's plan.
    pub plans: IndexMap<String, Vec<Rate>>,
    /// Whether answers carry `RateLimit` and `RateLimit-Policy`. `Retry-After` always goes with 429.
    pub headers: bool,
}

impl Default for RateLimitConfig {
    fn default() -> Self {
        Self { store: StoreConfig::Memory, global: None, rules: Vec::new(), plans: IndexMap::new(), headers: true }
    }
}

/// Where counts are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoreConfig {
    /// In this process.
    Memory,
    /// In Redis, shared by all routers.
    Redis(RedisConfig),
}

/// A Redis server or cluster.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedisConfig {
    /// `redis://` or `rediss://` addresses; may hold a password.
    pub urls: Vec<String>,
    /// How long a call may take.
    #[serde(default = "redis_timeout")]
    pub timeout: Span,
    /// What happens when it fails.
    #[serde(default)]
    pub on_error: OnStoreError,
}

const fn redis_timeout() -> Span {
    Span(std::time::Duration::from_millis(50))
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The addresses may hold passwords.
        out.debug_struct("RedisConfig").field("timeout", &self.timeout).field("on_error", &self.on_error).finish_non_exhaustive()
    }
}

/// What happens to a request whose quota cannot be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnStoreError {
    /// Count in this process meanwhile.
    #[default]
    Local,
    /// Let it pass.
    Open,
    /// Refuse it.
    Closed,
}

/// One bucket for all requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GlobalLimitConfig {
    /// How many requests.
    pub capacity: u32,
    /// In how long.
    pub interval: Span,
}

/// A quota for each value of a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimitRuleConfig {
    /// Name in `RateLimit-Policy`, metrics and logs.
    pub name: String,
    /// What is counted apart: `client_ip`, `header:X-Name`, `claim:sub`, `route`; several make one key together.
    pub key: Vec<RateLimitKey>,
    /// How it is counted.
    #[serde(default)]
    pub algorithm: RateLimitAlgorithm,
    /// How many in how long: `100/1m`.
    pub rate: Rate,
    /// How many may come at once; `rate`'s count when absent.
    pub burst: Option<u32>,
    /// What one request costs.
    #[serde(default)]
    pub cost: RateLimitCost,
}

/// How a quota is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RateLimitAlgorithm {
    /// Refilled evenly, up to `burst`.
    #[default]
    TokenBucket,
    /// At most `rate` in any window of that length.
    SlidingWindow,
    /// At most `rate` from one full window to the next.
    FixedWindow,
    /// Served evenly, at most `burst` waiting.
    LeakyBucket,
    /// At most `rate`'s count in flight.
    Concurrency,
}

/// What one request costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RateLimitCost {
    /// One.
    #[default]
    #[serde(rename = "1")]
    One,
    /// The cost of the GraphQL operation.
    OperationCost,
}

/// One part of a quota's key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RateLimitKey {
    /// `client_ip`: the client's address by the trusted-proxy rule; IPv6 by /64.
    ClientIp,
    /// `route`: the name of the route.
    Route,
    /// `header:NAME`: a request header's value.
    Header(http::HeaderName),
    /// `claim:NAME`: a claim of the verified token.
    Claim(String),
}

impl FromStr for RateLimitKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "client_ip" => Ok(Self::ClientIp),
            None if text == "route" => Ok(Self::Route),
            Some(("header", name)) => name.parse().map(Self::Header).map_err(|_| format!("`{name}` is not the name of a header")),
            Some(("claim", name)) if !name.is_empty() => Ok(Self::Claim(name.into())),
            _ => Err(format!("`{text}` is not a key: write client_ip, route, header:NAME or claim:NAME")),
        }
    }
}

impl fmt::Display for RateLimitKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientIp => out.write_str("client_ip"),
            Self::Route => out.write_str("route"),
            Self::Header(name) => write!(out, "header:{name}"),
            Self::Claim(name) => write!(out, "claim:{name}"),
        }
    }
}

impl Serialize for RateLimitKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RateLimitKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for RateLimitKey {
    fn schema_name() -> Cow<'static, str> {
        "RateLimitKey".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^(client_ip|route|header:.+|claim:.+)$" })
    }
}
