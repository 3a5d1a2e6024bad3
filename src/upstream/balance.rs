//! Balancing: which endpoint takes a call.
//!
//! Relied on by `upstream`; configured by `upstreams.<name>.balance:`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which endpoint takes a call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BalanceConfig {
    /// One after another, by weight.
    #[default]
    RoundRobin,
    /// The one of two random ones that has less to do.
    LeastRequest,
    /// The same one for the same key.
    Hash(HashConfig),
}

/// A key whose calls stay on one endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HashConfig {
    /// `header:NAME`, `cookie:NAME` or `client_ip`.
    pub on: String,
}
