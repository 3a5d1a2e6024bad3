//! Circuit breaker: closed, open, probing; and the most that may be under way at once.
//!
//! Relied on by `upstream`; configured by `upstreams.<name>.circuit_breaker:`.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use http::{HeaderValue, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, ErrorKind},
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
    /// Most retries under way.
    pub max_retries: u32,
    /// Share of failed calls that opens the breaker; it never opens when absent.
    pub error_threshold: Option<Percent>,
    /// Fewest calls in the last ten seconds for that share to mean something.
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
            max_retries: 3,
            error_threshold: None,
            volume_threshold: 20,
            sleep: Span::seconds(10),
        }
    }
}

/// How long calls count towards the share of failures.
const WINDOW: Duration = Duration::from_secs(10);
/// Parts in which the window moves on.
const PARTS: usize = 10;

/// The breaker of one upstream.
#[derive(Debug)]
pub struct Breaker {
    config: BreakerConfig,
    under_way: AtomicU32,
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

#[derive(Debug)]
struct Circuit {
    state: State,
    since: Instant,
    parts: [Part; PARTS],
    at: usize,
    turned: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
struct Part {
    calls: u32,
    failures: u32,
}

impl Breaker {
    /// A closed one.
    pub fn new(config: &BreakerConfig) -> Self {
        let now = Instant::now();
        let circuit = Circuit { state: State::Closed, since: now, parts: Default::default(), at: 0, turned: now };
        Self {
            under_way: AtomicU32::new(0),
            circuit: config.error_threshold.map(|_| Mutex::new(circuit)),
            config: config.clone(),
        }
    }

    /// Lets a call pass through the circuit; how it went is to be [recorded](Self::record).
    ///
    /// # Errors
    /// 503 when the circuit is open.
    pub fn admit(&self) -> Result<(), Error> {
        // Without a circuit not even the clock is read.
        if self.circuit.is_some() { self.admit_at(Instant::now()) } else { Ok(()) }
    }

    fn admit_at(&self, now: Instant) -> Result<(), Error> {
        let Some(circuit) = &self.circuit else { return Ok(()) };
        match self.wait(&mut circuit.lock().unwrap_or_else(PoisonError::into_inner), now) {
            None => Ok(()),
            Some(wait) => Err(refusal("the circuit is open", wait)),
        }
    }

    /// Begins a try, which must [`leave`](Self::leave) when its answer has ended.
    ///
    /// # Errors
    /// 503 when too many are under way.
    pub fn enter(&self) -> Result<(), Error> {
        if self.under_way.fetch_add(1, Ordering::Relaxed) >= self.config.max_requests {
            self.leave();
            return Err(refusal("as many calls are under way as may be", Duration::from_secs(1)));
        }
        Ok(())
    }

    /// A try that had entered is over, with the body of its answer.
    pub fn leave(&self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }

    /// Tries under way.
    pub fn under_way(&self) -> u32 {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Takes note of how a call went. The state, when it changed by it.
    pub fn record(&self, is_success: bool) -> Option<State> {
        self.circuit.as_ref().and_then(|_| self.record_at(is_success, Instant::now()))
    }

    fn record_at(&self, is_success: bool, now: Instant) -> Option<State> {
        let mut circuit = self.circuit.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let before = circuit.state;
        circuit.turn(now);
        let at = circuit.at;
        if let Some(part) = circuit.parts.get_mut(at) {
            part.calls += 1;
            part.failures += u32::from(!is_success);
        }
        match circuit.state {
            State::Probing if is_success => circuit.enter(State::Closed, now),
            State::Probing => circuit.enter(State::Open, now),
            State::Closed if self.is_over_threshold(&circuit) => circuit.enter(State::Open, now),
            State::Closed | State::Open => {}
        }
        (circuit.state != before).then_some(circuit.state)
    }

    /// The state now.
    pub fn state(&self) -> State {
        let circuit = self.circuit.as_ref().map(|circuit| circuit.lock().unwrap_or_else(PoisonError::into_inner).state);
        circuit.unwrap_or(State::Closed)
    }

    /// How long a call has to wait, if it has to; turns open into probing when the sleep is over.
    fn wait(&self, circuit: &mut Circuit, now: Instant) -> Option<Duration> {
        let (since, sleep) = (now - circuit.since, self.config.sleep.0);
        match circuit.state {
            State::Closed => None,
            // A probe whose caller went away says nothing; after another sleep the next call is the probe.
            State::Open | State::Probing if since >= sleep => {
                circuit.enter(State::Probing, now);
                None
            }
            State::Open | State::Probing => Some(sleep - since),
        }
    }

    fn is_over_threshold(&self, circuit: &Circuit) -> bool {
        let calls: u32 = circuit.parts.iter().map(|part| part.calls).sum();
        let failures: u32 = circuit.parts.iter().map(|part| part.failures).sum();
        let share = self.config.error_threshold.map_or(1.0, Percent::factor);
        calls >= self.config.volume_threshold && failures > 0 && f64::from(failures) >= share * f64::from(calls)
    }
}

impl Circuit {
    fn enter(&mut self, state: State, now: Instant) {
        self.state = state;
        self.since = now;
        if state == State::Closed {
            self.parts = Default::default();
        }
    }

    /// Forgets the parts of the window that are over.
    fn turn(&mut self, now: Instant) {
        let part = WINDOW / PARTS as u32;
        for _ in 0..PARTS {
            if now - self.turned < part {
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

fn refusal(why: &'static str, wait: Duration) -> Error {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Error::new(ErrorKind::UpstreamUnavailable, why).with_header(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    fn breaker(volume_threshold: u32) -> Breaker {
        Breaker::new(&BreakerConfig { error_threshold: Some(Percent(50)), volume_threshold, ..Default::default() })
    }

    fn call(breaker: &Breaker, is_success: bool, now: Instant) -> Result<Option<State>, Error> {
        breaker.admit_at(now)?;
        Ok(breaker.record_at(is_success, now))
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
        breaker.admit_at(later).unwrap();
        assert_eq!(breaker.state(), State::Probing);
        assert!(breaker.admit_at(later).is_err(), "one probe at a time");
        assert_eq!(breaker.record_at(true, later), Some(State::Closed));
        call(&breaker, false, later).unwrap();
        assert_eq!(breaker.state(), State::Closed, "old failures are forgotten");
    }

    #[test]
    fn a_bad_probe_opens_it_for_another_sleep_and_a_lost_one_is_replaced() {
        let (breaker, now) = (breaker(1), Instant::now());
        call(&breaker, false, now).unwrap();
        assert_eq!(call(&breaker, false, now + 10 * SECOND).unwrap(), Some(State::Open));
        assert!(breaker.admit_at(now + 19 * SECOND).is_err());
        breaker.admit_at(now + 20 * SECOND).unwrap();
        breaker.admit_at(now + 30 * SECOND).unwrap();
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
        let breaker = Breaker::new(&BreakerConfig { max_requests: 2, ..Default::default() });
        breaker.enter().unwrap();
        breaker.enter().unwrap();
        assert!(breaker.enter().is_err());
        breaker.leave();
        breaker.enter().unwrap();
    }
}
