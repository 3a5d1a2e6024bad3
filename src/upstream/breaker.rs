//! Circuit breaker: closed, open, probing; and the most that may be under way at once.
//!
//! Relied on by `upstream`; configured by `upstreams.<name>.circuit_breaker:`.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use http::{HeaderValue, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::overloaded;
use crate::{
    error::{Error, ErrorKind},
    telemetry::metrics::Remaining,
    units::{Percent, Span},
};

/// When calls are refused instead of sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerConfig {
    /// Most connections to one endpoint.
    pub max_connections: u32,
    /// Most calls that wait for a connection to one endpoint.
    pub max_pending_requests: u32,
    /// Most calls under way.
    pub max_requests: u32,
    /// Most retries under way. With `retry.budget` it is how many may be under way however few calls are; 3 when absent.
    pub max_retries: Option<u32>,
    /// Share of failed calls, by 5xx or without an answer, that opens the breaker. Without any of the thresholds it never opens.
    pub error_threshold: Option<Percent>,
    /// Share of calls without an answer that opens it.
    pub network_error_threshold: Option<Percent>,
    /// Share of slow calls that opens it: 50% when the median is to be below `slow`, 5% for the 95th percentile.
    pub slow_threshold: Option<Percent>,
    /// From when on a call is slow.
    pub slow: Span,
    /// Fewest calls in the last ten seconds for these shares to mean something.
    pub volume_threshold: u32,
    /// How long it stays open before a call probes whether things are better.
    pub sleep: Span,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            max_pending_requests: 1024,
            max_requests: 1024,
            max_retries: None,
            error_threshold: None,
            network_error_threshold: None,
            slow_threshold: None,
            slow: Span::seconds(1),
            volume_threshold: 20,
            sleep: Span::seconds(10),
        }
    }
}

/// How long calls count towards the shares.
const WINDOW: Duration = Duration::from_secs(10);
/// Parts in which the window moves on.
const PARTS: usize = 10;

/// The breaker of one upstream.
#[derive(Debug)]
pub struct Breaker {
    config: BreakerConfig,
    under_way: AtomicU32,
    /// What is left of `max_requests`.
    remaining: Remaining,
    /// Only there when failures can open it.
    circuit: Option<Mutex<Circuit>>,
}

/// Closed, open, probing, as they are drawn in every book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Calls pass and are counted.
    Closed,
    /// One call is on its way to see whether things are better; others are refused.
    Probing,
    /// Calls are refused until the sleep is over.
    Open,
}

/// How a call went, for all that it says about the upstream.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// There was an answer, and no 5xx.
    pub is_good: bool,
    /// There was an answer.
    pub is_answered: bool,
    /// How long it took.
    pub took: Duration,
}

/// Lets one call pass. Dropped without [`record`](Self::record) it says nothing, and if it was a probe the next call is one.
#[derive(Debug)]
pub struct Pass<'a> {
    /// Nothing once it has been recorded, or where there is nothing to record.
    breaker: Option<&'a Breaker>,
    /// The round of the circuit in which it was given; what ends in a later one says nothing about that.
    round: u64,
    is_probe: bool,
}

#[derive(Debug)]
struct Circuit {
    state: State,
    /// Counts changes of state.
    round: u64,
    /// Until when calls have to wait, unless it is closed.
    until: Instant,
    parts: [Part; PARTS],
    at: usize,
    turned: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
struct Part {
    calls: u32,
    failures: u32,
    unanswered: u32,
    slow: u32,
}

impl Breaker {
    /// A closed one, which shows what is left of `max_requests`.
    pub fn new(config: &BreakerConfig, remaining: Remaining) -> Self {
        remaining.add(config.max_requests.into());
        let now = Instant::now();
        let circuit = Circuit { state: State::Closed, round: 0, until: now, parts: Default::default(), at: 0, turned: now };
        let thresholds = [config.error_threshold, config.network_error_threshold, config.slow_threshold];
        Self {
            under_way: AtomicU32::new(0),
            remaining,
            circuit: thresholds.iter().any(Option::is_some).then(|| Mutex::new(circuit)),
            config: config.clone(),
        }
    }

    /// Lets a call pass through the circuit.
    ///
    /// # Errors
    /// 503 when the circuit is open.
    pub fn admit(&self) -> Result<Pass<'_>, Error> {
        // Without a circuit not even the clock is read.
        if self.circuit.is_some() { self.admit_at(Instant::now()) } else { Ok(Pass { breaker: None, round: 0, is_probe: false }) }
    }

    fn admit_at(&self, now: Instant) -> Result<Pass<'_>, Error> {
        let Some(mut circuit) = self.circuit() else { return Ok(Pass { breaker: None, round: 0, is_probe: false }) };
        let is_probe = circuit.state != State::Closed;
        if is_probe {
            // A probe that takes longer than the sleep has a successor: whoever hangs must not keep the circuit open.
            let wait = circuit.until.saturating_duration_since(now);
            if !wait.is_zero() {
                return Err(refusal(wait));
            }
            circuit.enter(State::Probing, now + self.config.sleep.0);
        }
        Ok(Pass { breaker: Some(self), round: circuit.round, is_probe })
    }

    /// Begins a try, which must [`leave`](Self::leave) when its answer has ended.
    ///
    /// # Errors
    /// 503 when too many are under way.
    pub fn enter(&self) -> Result<(), Error> {
        if self.under_way.fetch_add(1, Ordering::Relaxed) >= self.config.max_requests {
            self.under_way.fetch_sub(1, Ordering::Relaxed);
            return Err(overloaded("as many calls are under way as may be"));
        }
        self.remaining.add(-1);
        Ok(())
    }

    /// A try that had entered is over, with the body of its answer.
    pub fn leave(&self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        self.remaining.add(1);
    }

    /// Tries under way.
    pub fn under_way(&self) -> u32 {
        self.under_way.load(Ordering::Relaxed)
    }

    /// The state now.
    pub fn state(&self) -> State {
        self.circuit().map_or(State::Closed, |circuit| circuit.state)
    }

    fn circuit(&self) -> Option<MutexGuard<'_, Circuit>> {
        self.circuit.as_ref().map(|circuit| circuit.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_slow(&self, outcome: Outcome) -> bool {
        self.config.slow_threshold.is_some() && outcome.took > self.config.slow.0
    }

    fn is_over_threshold(&self, circuit: &Circuit) -> bool {
        let sum = |of: fn(&Part) -> u32| circuit.parts.iter().map(of).sum::<u32>();
        let calls = sum(|part| part.calls);
        let is_over = |threshold: Option<Percent>, count: u32| {
            threshold.is_some_and(|share| count > 0 && f64::from(count) >= share.factor() * f64::from(calls))
        };
        calls >= self.config.volume_threshold
            && (is_over(self.config.error_threshold, sum(|part| part.failures))
                || is_over(self.config.network_error_threshold, sum(|part| part.unanswered))
                || is_over(self.config.slow_threshold, sum(|part| part.slow)))
    }
}

impl Drop for Breaker {
    fn drop(&mut self) {
        self.remaining.add(-i64::from(self.config.max_requests));
    }
}

impl Pass<'_> {
    /// Whether this is the call that sees whether things are better.
    pub fn is_probe(&self) -> bool {
        self.is_probe
    }

    /// Takes note of how the call went. The state, when it changed by it.
    pub fn record(self, outcome: Outcome) -> Option<State> {
        if self.breaker.is_some() { self.record_at(outcome, Instant::now()) } else { None }
    }

    fn record_at(mut self, outcome: Outcome, now: Instant) -> Option<State> {
        let breaker = self.breaker.take()?;
        let mut circuit = breaker.circuit()?;
        if circuit.round != self.round {
            return None;
        }
        circuit.turn(now);
        let (is_slow, at) = (breaker.is_slow(outcome), circuit.at);
        if let Some(part) = circuit.parts.get_mut(at) {
            part.calls += 1;
            part.failures += u32::from(!outcome.is_good);
            part.unanswered += u32::from(!outcome.is_answered);
            part.slow += u32::from(is_slow);
        }
        match circuit.state {
            State::Probing if outcome.is_good && !is_slow => circuit.enter(State::Closed, now),
            State::Closed if !breaker.is_over_threshold(&circuit) => return None,
            State::Probing | State::Closed => circuit.enter(State::Open, now + breaker.config.sleep.0),
            State::Open => return None,
        }
        Some(circuit.state)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let Some(mut circuit) = self.breaker.filter(|_| self.is_probe).and_then(Breaker::circuit) else { return };
        if circuit.round == self.round {
            circuit.enter(State::Open, Instant::now());
        }
    }
}

impl Circuit {
    fn enter(&mut self, state: State, until: Instant) {
        (self.state, self.until) = (state, until);
        self.round += 1;
        if state == State::Closed {
            self.parts = Default::default();
        }
    }

    /// Forgets the parts of the window that are over.
    fn turn(&mut self, now: Instant) {
        let part = WINDOW / PARTS as u32;
        for _ in 0..PARTS {
            if now.saturating_duration_since(self.turned) < part {
                return;
            }
            self.turned += part;
            self.at = (self.at + 1) % PARTS;
            if let Some(part) = self.parts.get_mut(self.at) {
                *part = Part::default();
            }
        }
        self.turned = now;
    }
}

fn refusal(wait: Duration) -> Error {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let error = Error::new(ErrorKind::UpstreamUnavailable, "the circuit is open");
    error.with_header(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    fn breaker(volume_threshold: u32) -> Breaker {
        Breaker::new(
            &BreakerConfig { error_threshold: Some(Percent(50)), volume_threshold, ..Default::default() },
            Remaining::default(),
        )
    }

    const fn outcome(is_good: bool) -> Outcome {
        Outcome { is_good, is_answered: is_good, took: Duration::ZERO }
    }

    fn call(breaker: &Breaker, is_good: bool, now: Instant) -> Result<Option<State>, Error> {
        Ok(breaker.admit_at(now)?.record_at(outcome(is_good), now))
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn half_of_enough_calls_open_it_and_a_good_probe_closes_it() {
        let (breaker, now) = (breaker(4), Instant::now());
        for is_success in [true, false, true] {
            call(&breaker, is_success, now).unwrap();
        }
        assert_eq!(breaker.state(), State::Closed, "three calls are too few to judge");
        assert_eq!(call(&breaker, false, now).unwrap(), Some(State::Open));
        let refused = call(&breaker, true, now).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::UpstreamUnavailable);
        assert_eq!(refused.headers, [(header::RETRY_AFTER, HeaderValue::from(10))]);
        let later = now + 10 * SECOND;
        let probe = breaker.admit_at(later).unwrap();
        assert_eq!((breaker.state(), probe.is_probe()), (State::Probing, true));
        assert!(breaker.admit_at(later).is_err(), "one probe at a time");
        assert_eq!(probe.record_at(outcome(true), later), Some(State::Closed));
        call(&breaker, false, later).unwrap();
        assert_eq!(breaker.state(), State::Closed, "old failures are forgotten");
    }

    #[test]
    fn a_bad_probe_opens_it_for_another_sleep_and_one_that_hangs_has_a_successor() {
        let (breaker, now) = (breaker(1), Instant::now());
        call(&breaker, false, now).unwrap();
        assert_eq!(call(&breaker, false, now + 10 * SECOND).unwrap(), Some(State::Open));
        assert!(breaker.admit_at(now + 19 * SECOND).is_err());
        let hangs = breaker.admit_at(now + 20 * SECOND).unwrap();
        assert!(breaker.admit_at(now + 29 * SECOND).is_err());
        let next = breaker.admit_at(now + 30 * SECOND).unwrap();
        assert_eq!(hangs.record_at(outcome(false), now + 31 * SECOND), None, "its time is over");
        assert_eq!(next.record_at(outcome(true), now + 31 * SECOND), Some(State::Closed));
    }

    #[test]
    fn only_the_probe_says_whether_things_are_better() {
        let (breaker, now) = (breaker(1), Instant::now());
        let (early, other) = (breaker.admit_at(now).unwrap(), breaker.admit_at(now).unwrap());
        call(&breaker, false, now).unwrap();
        assert_eq!(early.record_at(outcome(true), now), None);
        let probe = breaker.admit_at(now + 10 * SECOND).unwrap();
        assert_eq!(other.record_at(outcome(true), now + 10 * SECOND), None, "it was sent before things went wrong");
        assert_eq!(breaker.state(), State::Probing);
        drop(probe);
        assert_eq!(breaker.state(), State::Open);
        assert!(
            breaker.admit_at(Instant::now() + SECOND).unwrap().is_probe(),
            "a probe that says nothing has a successor at once"
        );
    }

    #[test]
    fn each_threshold_opens_it_by_what_it_is_about() {
        let half = Some(Percent(50));
        let config = || BreakerConfig { volume_threshold: 2, ..Default::default() };
        let by_network = BreakerConfig { network_error_threshold: half, ..config() };
        let by_time = BreakerConfig { slow_threshold: half, slow: Span::seconds(2), ..config() };
        let by_errors = BreakerConfig { error_threshold: half, ..config() };
        let good = outcome(true);
        let cases = [
            (good, [false, false, false]),
            (Outcome { is_good: false, ..good }, [true, false, false]),
            (outcome(false), [true, true, false]),
            (Outcome { took: 3 * SECOND, ..good }, [false, false, true]),
            (Outcome { took: 2 * SECOND, ..good }, [false, false, false]),
        ];
        for (bad, wanted) in cases {
            let is_opened = [&by_errors, &by_network, &by_time].map(|config| {
                let breaker = Breaker::new(config, Remaining::default());
                for outcome in [good, bad] {
                    breaker.admit().unwrap().record(outcome);
                }
                breaker.state() == State::Open
            });
            assert_eq!(is_opened, wanted, "{bad:?}");
        }
    }

    #[test]
    fn failures_count_for_ten_seconds() {
        let (breaker, now) = (breaker(2), Instant::now());
        call(&breaker, false, now).unwrap();
        for _ in 0..3 {
            call(&breaker, true, now + 11 * SECOND).unwrap();
        }
        assert_eq!(breaker.state(), State::Closed);
    }

    #[test]
    fn calls_under_way_are_limited() {
        let breaker = Breaker::new(&BreakerConfig { max_requests: 2, ..Default::default() }, Remaining::default());
        breaker.enter().unwrap();
        breaker.enter().unwrap();
        let refused = breaker.enter().unwrap_err();
        assert!(refused.headers.iter().any(|(name, _)| name == "x-supergate-overloaded"), "{refused:?}");
        breaker.leave();
        breaker.enter().unwrap();
    }
}
