//! Retries: which failures are tried again, how often, and within which budget.
//!
//! Relied on by `upstream`; configured by `upstreams.<name>.retry:`.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Fault;
use crate::{
    telemetry::metrics::Remaining,
    units::{Percent, Span},
};

/// Which calls are sent again. A call that is not idempotent, or whose body is still arriving, is sent again only when nothing of
/// it was sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetryConfig {
    /// Failures that count.
    pub on: Vec<RetryOn>,
    /// Most tries after the first.
    pub attempts: u32,
    /// How long one try may take.
    pub per_try_timeout: Option<Span>,
    /// Retries under way, as a share of the calls under way; 20% when absent, unless `circuit_breaker.max_retries` is given, which
    /// then is the limit.
    pub budget: Option<Percent>,
    /// Whether requests of REST routes are sent again whatever their method. Mutations never are.
    pub non_idempotent: bool,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            on: vec![RetryOn::ConnectFailure, RetryOn::Reset],
            attempts: 1,
            per_try_timeout: None,
            budget: None,
            non_idempotent: false,
        }
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

/// Retries that may always be under way, however few calls are, when the configuration does not say.
const FEWEST: u32 = 3;
/// The share of calls under way that retries may be, when the configuration does not say.
const SHARE: Percent = Percent(20);
/// The longest pause before the first retry; it doubles with each, up to ten times as much.
const PAUSE: Duration = Duration::from_millis(25);

/// The rule of one upstream, with its budget.
#[derive(Debug)]
pub struct Retry {
    config: RetryConfig,
    /// The most that may be under way: at least so many, and this share of the first tries in percent.
    fewest: u32,
    share: u32,
    under_way: AtomicU32,
    /// What is left of that.
    remaining: Remaining,
}

/// A retry under way, until it is dropped.
#[derive(Debug)]
pub struct Ticket<'a>(&'a Retry);

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
        self.0.remaining.add(1);
    }
}

impl Retry {
    /// The rule of this configuration, with `circuit_breaker.max_retries`, which shows how many may still begin.
    pub fn new(config: &RetryConfig, max_retries: Option<u32>, remaining: Remaining) -> Self {
        let share = match (config.budget, max_retries) {
            (Some(budget), _) => budget,
            (None, Some(_)) => Percent(0),
            (None, None) => SHARE,
        };
        let fewest = max_retries.unwrap_or(FEWEST);
        remaining.set(fewest);
        Self { config: config.clone(), fewest, share: share.0.into(), under_way: AtomicU32::new(0), remaining }
    }

    /// How long one try may take.
    pub fn per_try_timeout(&self) -> Option<Duration> {
        self.config.per_try_timeout.map(|span| span.0)
    }

    /// Whether a call may be sent a second time at all after it was sent once: what costs a copy of it.
    pub fn is_possible(&self, is_idempotent: bool) -> bool {
        is_idempotent && self.config.attempts > 0 && !self.config.on.is_empty()
    }

    /// Whether such an outcome is worth another try, after `tries` retries; with room in the budget, which the ticket takes
    /// until it is dropped. The budget is a share of the first tries among `tries_under_way`: a share of the retries too would
    /// let them pay for each other.
    pub fn admit(&self, outcome: Result<StatusCode, Fault>, tries: u32, tries_under_way: u32) -> Option<Ticket<'_>> {
        if tries >= self.config.attempts || !self.config.on.iter().any(|on| on.covers(outcome)) {
            return None;
        }
        let before = self.under_way.fetch_add(1, Ordering::Relaxed);
        let most = self.fewest.max(tries_under_way.saturating_sub(before).saturating_mul(self.share) / 100);
        self.remaining.set(most.saturating_sub(before + 1));
        let ticket = Ticket(self);
        (before < most).then_some(ticket)
    }

    /// How long to wait before a retry: random up to a bound that doubles, so that many callers do not come back together.
    pub fn pause(tries: u32, random: u64) -> Duration {
        let bound = PAUSE.saturating_mul(1 << tries.min(8)).min(PAUSE * 10);
        bound.mul_f64((random >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

impl RetryOn {
    fn covers(self, outcome: Result<StatusCode, Fault>) -> bool {
        let is_gateway_error =
            matches!(outcome, Ok(StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT));
        let is_broken = matches!(outcome, Err(Fault::Connect | Fault::Reset { .. } | Fault::Invalid | Fault::Timeout));
        match self {
            Self::ServerError => is_broken || outcome.is_ok_and(|status| status.is_server_error()),
            Self::GatewayError => is_gateway_error,
            Self::ConnectFailure => outcome == Err(Fault::Connect),
            Self::Reset => matches!(outcome, Err(Fault::Reset { .. })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(on: &[RetryOn], attempts: u32) -> Retry {
        Retry::new(&RetryConfig { on: on.to_vec(), attempts, ..Default::default() }, None, Remaining::default())
    }

    #[test]
    fn each_word_covers_what_it_says() {
        use RetryOn::{ConnectFailure, GatewayError, Reset, ServerError};
        let outcomes = [
            (Ok(StatusCode::OK), [false, false, false, false]),
            (Ok(StatusCode::NOT_FOUND), [false, false, false, false]),
            (Ok(StatusCode::INTERNAL_SERVER_ERROR), [true, false, false, false]),
            (Ok(StatusCode::BAD_GATEWAY), [true, true, false, false]),
            (Err(Fault::Connect), [true, false, true, false]),
            (Err(Fault::Reset { is_reused: false }), [true, false, false, true]),
            (Err(Fault::Timeout), [true, false, false, false]),
            (Err(Fault::Request), [false, false, false, false]),
        ];
        for (outcome, expected) in outcomes {
            let covered = [ServerError, GatewayError, ConnectFailure, Reset].map(|on| on.covers(outcome));
            assert_eq!(covered, expected, "{outcome:?}");
        }
    }

    #[test]
    fn attempts_and_budget_end_it() {
        let retry = retry(&[RetryOn::ServerError], 2);
        let failed = Ok(StatusCode::SERVICE_UNAVAILABLE);
        assert!(retry.admit(failed, 1, 0).is_some());
        assert!(retry.admit(failed, 2, 0).is_none(), "two retries are all");
        let taken: Vec<_> = (0..100).filter_map(|_| retry.admit(failed, 0, 10)).collect();
        assert_eq!(taken.len(), 3, "three may always be under way");
        drop(taken);
        let taken: Vec<_> = (0..100_u32).filter_map(|_| retry.admit(failed, 0, 120)).collect();
        assert_eq!(taken.len(), 20, "a fifth of the first tries under way");
    }

    #[test]
    fn the_limit_is_the_budget_or_a_number() {
        for (budget, max_retries, calls, wanted) in [
            (None, None, 100, 20),
            (None, None, 0, 3),
            (None, Some(1), 100, 1),
            (None, Some(0), 100, 0),
            (Some(Percent(50)), Some(1), 100, 50),
            (Some(Percent(50)), Some(1), 0, 1),
            (Some(Percent(0)), Some(0), 100, 0),
        ] {
            let config = RetryConfig { on: vec![RetryOn::ServerError], budget, ..Default::default() };
            let retry = Retry::new(&config, max_retries, Remaining::default());
            let failed = Ok(StatusCode::SERVICE_UNAVAILABLE);
            let taken: Vec<_> = (0..wanted * 2 + 1).map_while(|at| retry.admit(failed, 0, calls + at)).collect();
            assert_eq!(taken.len(), wanted as usize, "{budget:?} {max_retries:?} {calls}");
        }
    }

    #[test]
    fn pauses_are_random_and_bounded() {
        assert_eq!(Retry::pause(0, 0), Duration::ZERO);
        assert!(Retry::pause(0, u64::MAX) <= PAUSE);
        assert!(Retry::pause(100, u64::MAX) <= PAUSE * 10);
    }
}
