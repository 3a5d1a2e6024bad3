//! Server-Timing: how long an answer took and where, told to clients that ask.
//!
//! Relied on by `pipeline`; configured by `telemetry.server_timing`. Spec: <https://www.w3.org/TR/server-timing/>

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::exchange::{Exchange, Planning};

/// Who is told how long an answer took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServerTiming {
    /// Nobody.
    Never,
    /// Clients that send `X-Server-Timing`.
    #[default]
    OnRequest,
    /// Everybody.
    Always,
}

const ASKED: HeaderName = HeaderName::from_static("x-server-timing");
const TOLD: HeaderName = HeaderName::from_static("server-timing");

impl ServerTiming {
    /// Tells the client of an exchange whose response's head is complete.
    pub fn tell(self, exchange: &Exchange, headers: &mut HeaderMap) {
        let is_wanted = match self {
            Self::Never => false,
            Self::OnRequest => exchange.headers.contains_key(ASKED),
            Self::Always => true,
        };
        if let Some(value) = is_wanted.then(|| HeaderValue::try_from(times(exchange)).ok()).flatten() {
            headers.append(TOLD, value);
        }
    }
}

/// The whole time, and of it the longest chain of calls to upstreams and the making of a plan, in milliseconds.
fn times(exchange: &Exchange) -> String {
    let mut value = String::new();
    let planning = match exchange.operation.as_ref().and_then(|operation| operation.planning) {
        Some(Planning::Made(time) | Planning::Failed(time)) => Some(time),
        _ => None,
    };
    let upstream = (exchange.upstream_time > Duration::ZERO).then_some(exchange.upstream_time);
    for (name, time) in [("total", Some(exchange.started.elapsed())), ("upstream", upstream), ("plan", planning)] {
        if let Some(time) = time {
            let separator = if value.is_empty() { "" } else { ", " };
            value.push_str(&format!("{separator}{name};dur={:.3}", time.as_secs_f64() * 1000.0));
        }
    }
    value
}
