//! Concurrency: how many requests may be in flight, and how long one may take in all.
//!
//! Relied on by `pipeline`; configured by `traffic_shaping.router:`.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use http::{HeaderValue, header::RETRY_AFTER};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, ErrorKind},
    units::Span,
};

/// What holds for every client request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RouterShapingConfig {
    /// How long a request may take from its head to its answer's head. A route's `timeout` overrides it.
    pub timeout: Span,
    /// Most requests in flight; more are refused with 503.
    pub concurrency_limit: u32,
    /// Whether identical queries in flight share one execution.
    pub deduplicate: bool,
}

impl Default for RouterShapingConfig {
    fn default() -> Self {
        Self { timeout: Span::seconds(60), concurrency_limit: 10_000, deduplicate: false }
    }
}

/// Counts requests in flight, and refuses those over the cap.
#[derive(Clone, Debug)]
pub struct Concurrency {
    in_flight: Arc<AtomicU32>,
    limit: u32,
}

/// A place among the requests in flight, free again when this is dropped.
#[derive(Debug)]
pub struct Slot(Arc<AtomicU32>);

impl Concurrency {
    /// The cap of a configuration.
    pub fn new(config: &RouterShapingConfig) -> Self {
        Self { in_flight: Arc::default(), limit: config.concurrency_limit }
    }

    /// Takes a place.
    ///
    /// # Errors
    /// `Overloaded` when there is none.
    pub fn enter(&self) -> Result<Slot, Error> {
        let taken =
            self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| (now < self.limit).then_some(now + 1));
        match taken {
            Ok(_) => Ok(Slot(self.in_flight.clone())),
            Err(_) => {
                let error = Error::new(ErrorKind::Overloaded, format!("{} requests are in flight", self.limit));
                Err(error.with_header(RETRY_AFTER, HeaderValue::from_static("1")))
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_request_has_ended() {
        let cap = Concurrency::new(&RouterShapingConfig { concurrency_limit: 2, ..RouterShapingConfig::default() });
        let (first, _second) = (cap.enter().unwrap(), cap.enter().unwrap());
        let refused = cap.enter().unwrap_err();
        assert_eq!((refused.kind, refused.headers.len()), (ErrorKind::Overloaded, 1));
        drop(first);
        assert!(cap.enter().is_ok());
    }
}
