//! Drain: how the server ends: no new connections, then time for the requests in flight.
//!
//! Relied on by `server`; configured by `shutdown:`.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, futures::OwnedNotified};

use crate::units::Span;

/// How the process ends on SIGTERM and SIGINT.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ShutdownConfig {
    /// How long requests in flight may take to finish.
    pub drain: Span,
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self { drain: Span::seconds(60) }
    }
}

/// What the server is doing, for all of its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Everything as usual.
    Serving,
    /// Each connection ends with its next answer; idle ones live on for a moment.
    Draining,
    /// Idle connections end now, the others with the answers they owe.
    Closing,
    /// Everything ends.
    Cut,
}

/// The phase now, and a signal for its changes.
#[derive(Debug)]
pub struct Phases {
    now: AtomicU8,
    change: Arc<Notify>,
}

impl Phases {
    /// Serving.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { now: AtomicU8::new(Phase::Serving as u8), change: Arc::default() })
    }

    /// The phase now.
    pub fn now(&self) -> Phase {
        match self.now.load(Ordering::Acquire) {
            0 => Phase::Serving,
            1 => Phase::Draining,
            2 => Phase::Closing,
            _ => Phase::Cut,
        }
    }

    /// Goes on to a later phase and wakes all who wait for it.
    pub fn enter(&self, phase: Phase) {
        self.now.fetch_max(phase as u8, Ordering::AcqRel);
        self.change.notify_waiters();
    }

    /// Ready with the first change after this call.
    pub fn changed(&self) -> OwnedNotified {
        self.change.clone().notified_owned()
    }
}
