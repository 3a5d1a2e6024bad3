//! Health: endpoints that fail their check, or too many calls, are left out for a while.
//!
//! Relied on by `upstream`; configured by `upstreams.<name>.health_check:` and `outlier_detection:`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Percent, Span};

/// Active checks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HealthCheckConfig {
    /// What is asked for with GET; any 2xx is healthy.
    pub path: String,
    /// How often.
    pub interval: Span,
    /// How long the answer may take.
    pub timeout: Span,
    /// Failures in a row that make an endpoint unhealthy.
    pub unhealthy_threshold: u32,
    /// Successes in a row that make it healthy again.
    pub healthy_threshold: u32,
}

impl Default for HealthCheckConfig {
    fn default() -> Self {
        Self {
            path: "/health".into(),
            interval: Span::seconds(10),
            timeout: Span::seconds(3),
            unhealthy_threshold: 3,
            healthy_threshold: 2,
        }
    }
}

/// What calls tell about an endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OutlierDetectionConfig {
    /// Answers of 5xx, or none, in a row that eject an endpoint.
    pub consecutive_5xx: u32,
    /// How often ejections are looked at.
    pub interval: Span,
    /// How long the first ejection lasts; it grows by as much with each one in a row.
    pub base_ejection_time: Span,
    /// Largest share of endpoints that may be ejected.
    pub max_ejection_percent: Percent,
}

impl Default for OutlierDetectionConfig {
    fn default() -> Self {
        Self {
            consecutive_5xx: 5,
            interval: Span::seconds(10),
            base_ejection_time: Span::seconds(30),
            max_ejection_percent: Percent(50),
        }
    }
}
