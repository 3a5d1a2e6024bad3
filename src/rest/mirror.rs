//! Mirrors: copies of a route's requests go to another upstream, whose answers nobody waits for.
//!
//! Relied on by `rest`; configured by `mirror:` of a route.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use http::{Request, header};
use http_body::Body as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::{
    body::Body,
    error::{Error, ErrorKind},
    exchange::Exchange,
    units::{Percent, Size},
    upstream::{Call, Upstream},
};

/// Where copies go. A request whose body is larger than `max_body_bytes`, or of unknown length, is not copied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MirrorConfig {
    /// Name of an upstream.
    pub upstream: String,
    /// The share of requests that are copied.
    #[serde(default = "all")]
    pub percent: Percent,
    /// Largest body of a request that is copied.
    #[serde(default = "small")]
    pub max_body_bytes: Size,
}

const fn all() -> Percent {
    Percent(100)
}

const fn small() -> Size {
    Size(64 << 10)
}

/// Most copies under way; what would be one more is not sent.
const MOST: usize = 128;
/// How much of an answer is read, so that its connection can be used again.
const ANSWER: usize = 1 << 20;

/// Sends copies.
#[derive(Debug)]
pub struct Mirror {
    config: MirrorConfig,
    upstream: Arc<Upstream>,
    turn: AtomicU64,
    places: Arc<Semaphore>,
}

impl Mirror {
    /// A mirror to this upstream.
    pub fn new(config: &MirrorConfig, upstream: Arc<Upstream>) -> Self {
        Self { config: config.clone(), upstream, turn: AtomicU64::new(0), places: Arc::new(Semaphore::new(MOST)) }
    }

    /// Sends a copy of `request` if it is its turn, and gives the request back with its body whole.
    ///
    /// # Errors
    /// The request's own body fails.
    pub async fn copy(&self, exchange: &Exchange, request: Request<Body>) -> Result<Request<Body>, Error> {
        let most = self.config.max_body_bytes.bytes();
        let is_small = request.body().size_hint().upper().is_some_and(|size| size <= most as u64);
        if !is_small || exchange.upgrade.is_some() || !self.is_next() {
            return Ok(request);
        }
        let Ok(place) = self.places.clone().try_acquire_owned() else { return Ok(request) };
        let (head, body) = request.into_parts();
        let bytes = body.collect(most, ErrorKind::BodyTooLarge, ErrorKind::BadRequest).await?;
        let body = || if bytes.is_empty() { Body::empty() } else { Body::full(bytes.clone()) };
        let mut copy = Request::from_parts(head.clone(), body());
        copy.headers_mut().remove(header::EXPECT);
        let call = Call {
            request: copy,
            deadline: exchange.deadline.max(Instant::now()),
            upload: None,
            is_idempotent: false,
            trace: None,
        };
        let sent = self.upstream.send_aside(exchange, call, ANSWER);
        tokio::spawn(async move {
            // How it went is counted with the upstream; nobody else is interested.
            let _ = sent.await;
            drop(place);
        });
        Ok(Request::from_parts(head, body()))
    }

    /// Whether the next request is one of the share: as evenly spread as can be.
    fn is_next(&self) -> bool {
        let (turn, share) = (self.turn.fetch_add(1, Ordering::Relaxed), u64::from(self.config.percent.0));
        (turn + 1).wrapping_mul(share) / 100 > turn.wrapping_mul(share) / 100
    }
}
