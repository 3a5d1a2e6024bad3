//! Pace: how far a planning run may go, and what it may use. Time is told from outside, while it runs: this crate has no clock.
//!
//! Relied on by `selections` and `choose`, which look at it wherever work may be long, and by the gateway, which sets it.

use std::sync::atomic::{AtomicU8, Ordering};

/// What a planning run may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Choices that are tried beyond the first covering one of each selection set. When they are used up the best so far stands: a plan
    /// that may be longer, never a wrong one.
    pub states: usize,
    /// Bytes of selection sets and solutions, as they are estimated. A run that needs more ends without a plan.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { states: 100_000, memory: 256 << 20 }
    }
}

/// How a planning run may go on. Shared with whoever waits for the plan.
#[derive(Debug, Default)]
pub struct Pace(AtomicU8);

const HURRYING: u8 = 1;
const STOPPED: u8 = 2;

impl Pace {
    /// Nothing more is tried: the run ends as soon as it has a plan.
    pub fn hurry(&self) {
        self.0.fetch_max(HURRYING, Ordering::Relaxed);
    }

    /// Nobody wants the plan any more: the run ends as soon as it looks.
    pub fn stop(&self) {
        self.0.fetch_max(STOPPED, Ordering::Relaxed);
    }

    /// Whether it has to come to an end with what it has.
    pub(super) fn is_hurrying(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= HURRYING
    }

    /// Whether it has to end without a plan.
    pub(super) fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= STOPPED
    }
}
