//! Admin: liveness, readiness and metrics, each on its own listener.
//!
//! Relied on by `app`; configured by `health_check:` and `admin:`.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The listener for liveness and readiness.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HealthConfig {
    /// Whether it listens.
    pub enabled: bool,
    /// Its address.
    pub listen: SocketAddr,
    /// The path of its answers, with `/live` and `/ready` below it.
    pub path: String,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self { enabled: true, listen: SocketAddr::from(([127, 0, 0, 1], 8088)), path: "/health".into() }
    }
}

/// The listener for operators.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdminConfig {
    /// Its address.
    pub listen: SocketAddr,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9000)) }
    }
}
