//! Slow start: an endpoint that is new, or back after it was left out, gets its share of the calls little by little.
//!
//! Relied on by `upstream`; configured by `upstreams.<name>.slow_start:`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Percent, Span};

/// How an endpoint that is new or back gets to its share. Calls that a hash places are placed as ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SlowStartConfig {
    /// How long it takes to its whole share, evenly.
    pub window: Span,
    /// The part of its share that it begins with.
    pub min_weight_percent: Percent,
}

impl Default for SlowStartConfig {
    fn default() -> Self {
        Self { window: Span::seconds(30), min_weight_percent: Percent(10) }
    }
}

impl SlowStartConfig {
    /// The part of its share, in percent, that an endpoint gets so many milliseconds after it came; at least 1.
    pub fn share(&self, millis: u64) -> u32 {
        let window = u64::try_from(self.window.0.as_millis()).unwrap_or(u64::MAX);
        let reached = millis.saturating_mul(100).checked_div(window).unwrap_or(100).min(100);
        u32::try_from(reached).unwrap_or(100).max(self.min_weight_percent.0.into()).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_grows_evenly_from_the_least() {
        let slow = SlowStartConfig { window: Span::seconds(10), min_weight_percent: Percent(20) };
        let shares = [0, 1_000, 2_000, 5_000, 9_990, 10_000, u64::MAX].map(|millis| slow.share(millis));
        assert_eq!(shares, [20, 20, 20, 50, 99, 100, 100]);
        let none = SlowStartConfig { window: Span::seconds(0), min_weight_percent: Percent(0) };
        assert_eq!(none.share(0), 100, "no window is none at all");
    }
}
