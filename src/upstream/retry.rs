//! Retries: which failures are tried again, how often, and within which budget.
//!
//! Relied on by `upstream`; configured by `upstreams.<name>.retry:`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Percent, Span};

/// Which calls are sent again. Calls that are not idempotent are sent again only when nothing of them was sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetryConfig {
    /// Failures that count.
    pub on: Vec<RetryOn>,
    /// Most tries after the first.
    pub attempts: u32,
    /// How long one try may take.
    pub per_try_timeout: Option<Span>,
    /// Retries under way, as a share of the calls under way; at least three may be.
    pub budget: Percent,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self { on: vec![RetryOn::ConnectFailure, RetryOn::Reset], attempts: 1, per_try_timeout: None, budget: Percent(20) }
    }
}

/// A failure that is worth another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RetryOn {
    /// Any 5xx, and whatever the other kinds cover.
    #[serde(rename = "5xx")]
    ServerError,
    /// 502, 503 and 504.
    GatewayError,
    /// No connection.
    ConnectFailure,
    /// The connection broke before an answer.
    Reset,
}
