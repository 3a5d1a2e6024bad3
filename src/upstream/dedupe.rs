//! Deduplication: identical reads in flight share one answer.
//!
//! Relied on by `upstream`; configured by `traffic_shaping.<...>.deduplicate_query`. Identical means everything that is sent,
//! headers included, so that nobody gets an answer that was made for somebody else. The answer's body is shared, not copied.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64, atomic::Ordering},
};

use bytes::Bytes;
use futures_util::{
    FutureExt as _,
    future::{Shared, WeakShared},
};
use http::{HeaderName, HeaderValue, Method, Request, Uri};

use crate::{body::Body, error::Error};

/// What a read ends with.
pub type Answer = Result<http::Response<Bytes>, Error>;
type Pending = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// The reads in flight of one upstream. A flight lasts as long as somebody waits for it: when the one who started it leaves,
/// the others carry it on.
#[derive(Debug, Default)]
pub struct Flights {
    flights: Mutex<HashMap<Key, (u64, WeakShared<Pending>)>>,
    count: AtomicU64,
}

/// Everything that is sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    method: Method,
    uri: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Key {
    /// The key of a request, unless its body is not all there.
    pub fn of(request: &Request<Body>) -> Option<Self> {
        let headers = request.headers().iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let body = request.body().bytes()?.clone();
        Some(Self { method: request.method().clone(), uri: request.uri().clone(), headers, body })
    }
}

impl Flights {
    /// The flight of this key; `start` makes one when there is none.
    pub fn join(self: &Arc<Self>, key: Key, start: impl FnOnce() -> Pending) -> Shared<Pending> {
        let mut flights = self.lock();
        if let Some(flight) = flights.get(&key).and_then(|(_, flight)| flight.upgrade()) {
            return flight;
        }
        let id = self.count.fetch_add(1, Ordering::Relaxed);
        let landing = Landing { flights: self.clone(), key: key.clone(), id };
        let work = start();
        let pending: Pending = Box::pin(async move {
            let _landing = landing;
            work.await
        });
        let flight = pending.shared();
        if let Some(weak) = flight.downgrade() {
            flights.insert(key, (id, weak));
        }
        flight
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, (u64, WeakShared<Pending>)>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a flight off the list when it ends or is given up.
struct Landing {
    flights: Arc<Flights>,
    key: Key,
    id: u64,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut flights = self.flights.lock();
        if flights.get(&self.key).is_some_and(|(id, _)| *id == self.id) {
            flights.remove(&self.key);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(body: &'static str, user: &'static str) -> Key {
        let request = Request::post("/graphql").header("authorization", user).body(Body::full(body)).unwrap();
        Key::of(&request).unwrap()
    }

    fn flight(sent: &Arc<AtomicU64>) -> impl FnOnce() -> Pending + use<> {
        let sent = sent.clone();
        move || {
            Box::pin(async move {
                sent.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(10)).await;
                Ok(http::Response::new(Bytes::from_static(b"answer")))
            })
        }
    }

    #[tokio::test]
    async fn the_same_request_at_the_same_time_is_sent_once() {
        let (flights, sent) = (Arc::new(Flights::default()), Arc::default());
        let waiting: Vec<_> = (0..10).map(|_| flights.join(key("q", "ann"), flight(&sent))).collect();
        let other = flights.join(key("q", "bob"), flight(&sent));
        let answers = futures_util::future::join_all(waiting).await;
        let first = answers[0].as_ref().unwrap().body().as_ptr();
        assert!(answers.iter().all(|answer| answer.as_ref().unwrap().body().as_ptr() == first), "a body was copied");
        other.await.unwrap();
        assert_eq!(sent.load(Ordering::Relaxed), 2);
        flights.join(key("q", "ann"), flight(&sent)).await.unwrap();
        assert_eq!(sent.load(Ordering::Relaxed), 3, "a later one is sent again");
        assert!(flights.lock().is_empty());
    }

    #[tokio::test]
    async fn a_flight_outlives_the_one_who_started_it() {
        let (flights, sent) = (Arc::new(Flights::default()), Arc::default());
        let mut first = flights.join(key("q", "ann"), flight(&sent));
        assert!(futures_util::poll!(&mut first).is_pending());
        let second = flights.join(key("q", "ann"), flight(&sent));
        drop(first);
        second.await.unwrap();
        assert_eq!(sent.load(Ordering::Relaxed), 1);
        drop(flights.join(key("q", "ann"), flight(&sent)));
        assert!(flights.lock().is_empty(), "a flight that nobody waits for is forgotten");
    }
}
