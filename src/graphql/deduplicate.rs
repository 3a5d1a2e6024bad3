//! De-duplication: identical queries of clients in flight share one execution.
//!
//! Relied on by `graphql`; configured by `traffic_shaping.router.deduplicate`. Identical means everything that can shape an
//! answer: the plan, the variables, who asks, the target and every header but those that only name the request, so that nobody gets
//! an answer that was made for somebody else.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use apollo_compiler::response::JsonMap;
use futures_util::{FutureExt as _, future::Shared};
use http::{HeaderName, HeaderValue, Uri, header::CONTENT_LENGTH};
use tokio::sync::oneshot;

use super::{Executed, plans::Ready};
use crate::{error::Error, exchange::Exchange};

/// What an execution ends with.
type Outcome = Result<Arc<Executed>, Error>;
type Waiting = Shared<oneshot::Receiver<Outcome>>;

/// Headers that differ from request to request and say nothing about its answer.
const NAMING: [&str; 4] = ["x-request-id", "traceparent", "tracestate", "baggage"];

/// The queries in flight.
#[derive(Debug, Default)]
pub struct Deduplicate {
    flights: Mutex<HashMap<Key, Waiting>>,
}

/// Everything that can shape an answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The plan's place in memory. Who executes it holds it for as long as the key is listed, so no other can take its place.
    plan: usize,
    /// The identity's place in memory, which the exchange holds for as long: tokens are not always in the headers or the target,
    /// and what is inserted for an upstream may come from their claims.
    identity: Option<usize>,
    variables: Vec<u8>,
    uri: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Key {
    /// The key of a request that is answered by this plan with these variables.
    pub fn new(exchange: &Exchange, plan: &Arc<Ready>, variables: &JsonMap) -> Self {
        let is_kept = |name: &HeaderName| *name != CONTENT_LENGTH && !NAMING.contains(&name.as_str());
        let headers = exchange.headers.iter().filter(|(name, _)| is_kept(name));
        Self {
            plan: Arc::as_ptr(plan).addr(),
            identity: exchange.identity.as_ref().map(|identity| Arc::as_ptr(identity).addr()),
            // Writing what was read as JSON cannot fail.
            variables: serde_json::to_vec(variables).unwrap_or_default(),
            uri: exchange.uri.clone(),
            headers: headers.map(|(name, value)| (name.clone(), value.clone())).collect(),
        }
    }
}

impl Deduplicate {
    /// The result of `work`, or of identical work that is under way. When whoever does that work leaves, one of those who wait
    /// does its own.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn share(&self, key: Key, work: impl Future<Output = Result<Executed, Error>>) -> Outcome {
        loop {
            let waiting = match self.join(&key) {
                Flight::Theirs(waiting) => waiting,
                Flight::Ours(landing) => {
                    let outcome = work.await.map(Arc::new);
                    landing.land(outcome.clone());
                    return outcome;
                }
            };
            if let Ok(outcome) = waiting.await {
                return outcome;
            }
        }
    }

    /// The flight of this key; ours when there is none yet.
    fn join(&self, key: &Key) -> Flight<'_> {
        let mut flights = self.lock();
        if let Some(waiting) = flights.get(key) {
            return Flight::Theirs(waiting.clone());
        }
        let (sender, receiver) = oneshot::channel();
        flights.insert(key.clone(), receiver.shared());
        Flight::Ours(Landing { flights: self, key: key.clone(), sender: Some(sender) })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Waiting>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who does the work.
enum Flight<'a> {
    Ours(Landing<'a>),
    Theirs(Waiting),
}

/// A flight of ours: off the list when it ends or is given up.
struct Landing<'a> {
    flights: &'a Deduplicate,
    key: Key,
    sender: Option<oneshot::Sender<Outcome>>,
}

impl Landing<'_> {
    fn land(mut self, outcome: Outcome) {
        if let Some(sender) = self.sender.take() {
            // Nobody may be waiting.
            let _ = sender.send(outcome);
        }
    }
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.key);
    }
}
