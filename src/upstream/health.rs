//! Health: endpoints that fail their check, or too many calls, are left out for a while.
//!
//! Relied on by `upstream`; configured by `upstreams.<name>.health_check:` and `outlier_detection:`.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Percent, Span};

/// Active checks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HealthCheckConfig {
    /// What is asked for with GET.
    pub path: String,
    /// The `Host` that is asked for; the endpoint's own when absent.
    pub host: Option<String>,
    /// Statuses that are healthy; any 2xx when empty.
    pub expected_statuses: Vec<u16>,
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
            host: None,
            expected_statuses: Vec::new(),
            interval: Span::seconds(10),
            timeout: Span::seconds(3),
            unhealthy_threshold: 3,
            healthy_threshold: 2,
        }
    }
}

impl HealthCheckConfig {
    /// Whether a check with this status is a success.
    pub fn is_expected(&self, status: StatusCode) -> bool {
        if self.expected_statuses.is_empty() { status.is_success() } else { self.expected_statuses.contains(&status.as_u16()) }
    }
}

/// What calls tell about an endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OutlierDetectionConfig {
    /// Answers of 5xx, or none, in a row that eject an endpoint.
    pub consecutive_5xx: u32,
    /// How often the rates of success are compared; each interval without an ejection makes up for an earlier one.
    pub interval: Span,
    /// How long the first ejection lasts; it grows by as much with each one in a row.
    pub base_ejection_time: Span,
    /// Largest share of endpoints that may be ejected.
    pub max_ejection_percent: Percent,
    /// Fewest endpoints with enough calls in an interval for their rates of success to be compared.
    pub success_rate_minimum_hosts: u32,
    /// Fewest calls in an interval that make a rate.
    pub success_rate_request_volume: u32,
    /// How many thousandths of the standard deviation a rate may be below the mean.
    pub success_rate_stdev_factor: u32,
}

impl Default for OutlierDetectionConfig {
    fn default() -> Self {
        Self {
            consecutive_5xx: 5,
            interval: Span::seconds(10),
            base_ejection_time: Span::seconds(30),
            max_ejection_percent: Percent(50),
            success_rate_minimum_hosts: 5,
            success_rate_request_volume: 100,
            success_rate_stdev_factor: 1_900,
        }
    }
}

/// The longest ejection, however often an endpoint was ejected before.
const LONGEST_EJECTION: Duration = Duration::from_secs(300);

/// Which endpoints of an upstream may be called.
#[derive(Debug)]
pub struct Health {
    outliers: Option<OutlierDetectionConfig>,
    started: Instant,
    endpoints: Vec<Arc<Verdict>>,
    /// Ejections are decided one at a time, so that together they stay within their share.
    ejecting: Mutex<()>,
    /// When rates were compared last.
    compared: AtomicU64,
}

/// What is known of one endpoint. Times are milliseconds since `Health::started`.
#[derive(Debug, Default)]
struct Verdict {
    fails_checks: AtomicBool,
    /// Checks in a row that said the opposite of `fails_checks`.
    contrary: AtomicU32,
    /// Failed calls in a row.
    failures: AtomicU32,
    ejected_until: AtomicU64,
    /// When it came, or came back; 0 for those of the beginning.
    came: AtomicU64,
    /// Ejections in a row, as of the last one.
    ejections: AtomicU32,
    /// Calls of this interval, and the good ones among them.
    calls: AtomicU32,
    successes: AtomicU32,
}

impl Health {
    /// So many endpoints, all well.
    pub fn new(outliers: Option<&OutlierDetectionConfig>, count: usize) -> Self {
        let endpoints = std::iter::repeat_with(Arc::default).take(count).collect();
        Self {
            outliers: outliers.cloned(),
            started: Instant::now(),
            endpoints,
            ejecting: Mutex::default(),
            compared: AtomicU64::new(1),
        }
    }

    /// The same for another list of endpoints, of which each either was at an index before or is new.
    #[must_use]
    pub fn next(&self, endpoints: &[Option<usize>]) -> Self {
        // Who comes when there was nobody has nobody to leave the calls to.
        let came = if self.endpoints.is_empty() { 0 } else { self.millis(Instant::now()) };
        let fresh = || Arc::new(Verdict { came: AtomicU64::new(came), ..Verdict::default() });
        let verdict = |known: &Option<usize>| known.and_then(|index| self.endpoints.get(index)).cloned().unwrap_or_else(fresh);
        let endpoints = endpoints.iter().map(verdict).collect();
        let compared = AtomicU64::new(self.compared.load(Ordering::Relaxed));
        Self { outliers: self.outliers.clone(), started: self.started, endpoints, ejecting: Mutex::default(), compared }
    }

    /// Whether an endpoint may be called.
    pub fn is_available(&self, index: usize) -> bool {
        self.is_available_at(index, Instant::now())
    }

    /// For how many milliseconds an endpoint has been there, or back; nothing for those of the beginning.
    pub fn age(&self, index: usize) -> Option<u64> {
        let endpoint = self.endpoints.get(index)?;
        let came = endpoint.came.load(Ordering::Relaxed).max(endpoint.ejected_until.load(Ordering::Relaxed));
        (came > 0).then(|| self.millis(Instant::now()).saturating_sub(came))
    }

    /// How many may be called.
    pub fn available(&self) -> usize {
        (0..self.endpoints.len()).filter(|index| self.is_available(*index)).count()
    }

    /// Takes note of how a call went. Whether the endpoint was ejected for it.
    pub fn record(&self, index: usize, is_success: bool) -> bool {
        self.record_at(index, is_success, Instant::now())
    }

    /// Takes note of a check. The new state, if it made a difference.
    pub fn check(&self, config: &HealthCheckConfig, index: usize, is_success: bool) -> Option<bool> {
        let endpoint = self.endpoints.get(index)?;
        if is_success {
            // A good check ends an ejection at once.
            let until = endpoint.ejected_until.swap(0, Ordering::Relaxed);
            endpoint.came.fetch_max(until.min(self.millis(Instant::now())), Ordering::Relaxed);
            endpoint.failures.store(0, Ordering::Relaxed);
        }
        let was_failing = endpoint.fails_checks.load(Ordering::Relaxed);
        if is_success != was_failing {
            endpoint.contrary.store(0, Ordering::Relaxed);
            return None;
        }
        let needed = if is_success { config.healthy_threshold } else { config.unhealthy_threshold };
        if endpoint.contrary.fetch_add(1, Ordering::Relaxed) + 1 < needed {
            return None;
        }
        endpoint.contrary.store(0, Ordering::Relaxed);
        endpoint.fails_checks.store(!is_success, Ordering::Relaxed);
        if is_success {
            endpoint.came.store(self.millis(Instant::now()), Ordering::Relaxed);
        }
        Some(is_success)
    }

    fn is_available_at(&self, index: usize, now: Instant) -> bool {
        self.endpoints.get(index).is_some_and(|endpoint| {
            let until = endpoint.ejected_until.load(Ordering::Relaxed);
            !endpoint.fails_checks.load(Ordering::Relaxed) && (until == 0 || self.millis(now) >= until)
        })
    }

    fn record_at(&self, index: usize, is_success: bool, now: Instant) -> bool {
        let (Some(config), Some(endpoint)) = (&self.outliers, self.endpoints.get(index)) else { return false };
        if endpoint.ejected_until.load(Ordering::Relaxed) > self.millis(now) {
            // It was begun before the ejection, and says nothing about how things are after it.
            return false;
        }
        endpoint.calls.fetch_add(1, Ordering::Relaxed);
        endpoint.successes.fetch_add(u32::from(is_success), Ordering::Relaxed);
        let is_below = self.compare(config, now);
        if is_success {
            endpoint.failures.store(0, Ordering::Relaxed);
            return is_below;
        }
        let failures = endpoint.failures.fetch_add(1, Ordering::Relaxed) + 1;
        let is_out = failures >= config.consecutive_5xx && self.is_available_at(index, now) && self.eject(config, endpoint, now);
        is_out || is_below
    }

    /// Once an interval: ejects endpoints whose rate of success is far below that of the others. Whether there were any.
    fn compare(&self, config: &OutlierDetectionConfig, now: Instant) -> bool {
        let (before, at) = (self.compared.load(Ordering::Relaxed), self.millis(now));
        let is_time = at.saturating_sub(before) >= millis(config.interval.0);
        if !is_time || self.compared.compare_exchange(before, at, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return false;
        }
        let rate = |endpoint: &Arc<Verdict>| {
            let (calls, good) = (endpoint.calls.swap(0, Ordering::Relaxed), endpoint.successes.swap(0, Ordering::Relaxed));
            (calls >= config.success_rate_request_volume.max(1)).then(|| f64::from(good) / f64::from(calls))
        };
        let rates: Vec<Option<f64>> = self.endpoints.iter().map(rate).collect();
        let known: Vec<f64> = rates.iter().copied().flatten().collect();
        if known.is_empty() || known.len() < config.success_rate_minimum_hosts as usize {
            return false;
        }
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        let variance = known.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / known.len() as f64;
        let least = mean - variance.sqrt() * f64::from(config.success_rate_stdev_factor) / 1_000.0;
        let below = self.endpoints.iter().zip(rates).filter(|(_, rate)| rate.is_some_and(|rate| rate < least));
        below.filter(|(endpoint, _)| self.eject(config, endpoint, now)).count() > 0
    }

    fn eject(&self, config: &OutlierDetectionConfig, endpoint: &Verdict, now: Instant) -> bool {
        let _one_at_a_time: MutexGuard<'_, ()> = self.ejecting.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.millis(now);
        let is_out = |endpoint: &&Arc<Verdict>| endpoint.ejected_until.load(Ordering::Relaxed) > now;
        let out = self.endpoints.iter().filter(is_out).count();
        if (out + 1) * 100 > usize::from(config.max_ejection_percent.0) * self.endpoints.len() {
            return false;
        }
        // Each interval without an ejection makes up for one of the past.
        let before = endpoint.ejected_until.load(Ordering::Relaxed);
        let well = now.saturating_sub(before) / millis(config.interval.0).max(1);
        let past = endpoint.ejections.load(Ordering::Relaxed).saturating_sub(u32::try_from(well).unwrap_or(u32::MAX));
        let base = config.base_ejection_time.0;
        let time = base.saturating_mul(past + 1).min(LONGEST_EJECTION.max(base));
        endpoint.ejections.store(past + 1, Ordering::Relaxed);
        endpoint.failures.store(0, Ordering::Relaxed);
        endpoint.ejected_until.store(now + millis(time), Ordering::Relaxed);
        true
    }

    /// At least 1, since 0 stands for never.
    fn millis(&self, now: Instant) -> u64 {
        millis(now.saturating_duration_since(self.started)) + 1
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn fail(health: &Health, index: usize, times: usize, now: Instant) -> Vec<bool> {
        (0..times).map(|_| health.record_at(index, false, now)).collect()
    }

    #[test]
    fn the_fifth_failure_in_a_row_ejects_for_longer_each_time() {
        let health = Health::new(Some(&OutlierDetectionConfig::default()), 2);
        let mut now = Instant::now();
        fail(&health, 0, 4, now);
        health.record_at(0, true, now);
        assert_eq!(fail(&health, 0, 5, now), [false, false, false, false, true]);
        for round in 1..=3 {
            assert!(!health.is_available_at(0, now + 30 * SECOND * round - SECOND), "round {round}");
            now += 30 * SECOND * round;
            assert!(health.is_available_at(0, now), "round {round}");
            assert_eq!(fail(&health, 0, 5, now).last(), Some(&true), "round {round}");
        }
        now += 120 * SECOND + 40 * SECOND;
        fail(&health, 0, 5, now);
        assert!(health.is_available_at(0, now + 30 * SECOND), "four quiet intervals make up for four ejections");
    }

    #[test]
    fn never_more_than_its_share_is_ejected_and_never_longer_than_five_minutes() {
        let health = Health::new(Some(&OutlierDetectionConfig::default()), 3);
        let mut now = Instant::now();
        assert_eq!(fail(&health, 0, 5, now).last(), Some(&true));
        assert_eq!(fail(&health, 1, 20, now).last(), Some(&false), "two of three are more than half");
        for _ in 0..20 {
            now += LONGEST_EJECTION;
            assert!(health.is_available_at(0, now));
            fail(&health, 0, 5, now);
        }
        let alone = Health::new(Some(&OutlierDetectionConfig::default()), 1);
        assert!(!fail(&alone, 0, 10, now).contains(&true));
    }

    #[test]
    fn an_endpoint_whose_rate_is_far_below_the_others_is_ejected_after_an_interval() {
        let config = OutlierDetectionConfig { success_rate_minimum_hosts: 3, ..OutlierDetectionConfig::default() };
        // Four good ones and one of which every second call fails: the mean is 0.9, the deviation 0.2, so the least is 0.52.
        for (volume, interval, is_out) in [(100, 11, true), (98, 11, false), (100, 9, false)] {
            let health = Health::new(Some(&config), 5);
            let now = Instant::now();
            for call in 0..volume {
                for index in 0..5 {
                    health.record_at(index, index < 4 || call % 2 == 0, now);
                }
            }
            let later = now + interval * SECOND;
            assert_eq!(health.record_at(0, true, later), is_out, "{volume} calls, after {interval} s");
            assert_eq!(health.is_available_at(4, later), !is_out);
            assert!((0..4).all(|index| health.is_available_at(index, later)));
        }
    }

    #[test]
    fn checks_decide_after_their_thresholds_and_end_ejections() {
        let config = HealthCheckConfig::default();
        let health = Health::new(Some(&OutlierDetectionConfig::default()), 2);
        let check = |is_success| health.check(&config, 0, is_success);
        assert_eq!([check(false), check(false), check(true), check(false), check(false)], [None; 5]);
        assert_eq!(check(false), Some(false));
        assert_eq!((health.available(), health.is_available(0)), (1, false));
        assert_eq!([check(true), check(false), check(true)], [None; 3]);
        assert_eq!(check(true), Some(true));
        assert!(health.is_available(0));
        fail(&health, 0, 5, Instant::now());
        assert!(!health.is_available(0));
        check(true);
        assert!(health.is_available(0));
    }
}
