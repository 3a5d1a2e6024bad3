//! Flights: the planning runs in flight. Whoever asks for a plan that is being made waits for it; when nobody waits any more, the run
//! is given up.
//!
//! A run is a task of its own, so that it does not depend on who asked first. Relied on by `plans`; relies on `supergraph::plan::Pace`.

use std::{
    collections::HashMap,
    fmt::Debug,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use futures_util::{FutureExt as _, future::Shared};
use supergraph::plan::Pace;
use tokio::sync::oneshot;

use crate::error::Error;

/// Those in flight, as long as somebody waits.
type Waited<K, T> = Arc<Mutex<HashMap<K, Weak<Flight<K, T>>>>>;

/// Runs in flight by what they are for.
#[derive(Debug)]
pub struct Flights<K: Eq + Hash, T> {
    all: Waited<K, T>,
}

/// A run that somebody waits for.
#[derive(Debug)]
struct Flight<K: Eq + Hash, T> {
    key: K,
    outcome: Shared<oneshot::Receiver<Result<T, Error>>>,
    flights: Waited<K, T>,
}

/// The result of a run, and whether it was started for this caller.
pub type Landed<T> = (Result<T, Error>, bool);

impl<K: Eq + Hash, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self { all: Arc::default() }
    }
}

impl<K, T> Flights<K, T>
where
    K: Clone + Debug + Eq + Hash + Send + Sync + 'static,
    T: Clone + Debug + Send + Sync + 'static,
{
    /// The outcome of the run for `key`: of the one in flight, or of `run`, which is told through its pace when nobody waits any more.
    pub async fn share<F>(&self, key: K, run: impl FnOnce(Arc<Pace>) -> F) -> Landed<T>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let (flight, is_ours) = self.join(key, run);
        let outcome = flight.outcome.clone().await;
        (outcome.unwrap_or_else(|_| Err(Error::bug("a planning run ended without an outcome"))), is_ours)
    }

    /// The flight of this key, and whether it starts now.
    fn join<F>(&self, key: K, run: impl FnOnce(Arc<Pace>) -> F) -> (Arc<Flight<K, T>>, bool)
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let mut all = lock(&self.all);
        if let Some(flight) = all.get(&key).and_then(Weak::upgrade) {
            return (flight, false);
        }
        let (sender, receiver) = oneshot::channel();
        let pace = Arc::new(Pace::default());
        tokio::spawn(fly(run(pace.clone()), pace, sender));
        let flight = Arc::new(Flight { key: key.clone(), outcome: receiver.shared(), flights: self.all.clone() });
        all.insert(key, Arc::downgrade(&flight));
        (flight, true)
    }
}

/// Runs until there is an outcome, or nobody to tell it to.
async fn fly<T>(run: impl Future<Output = Result<T, Error>>, pace: Arc<Pace>, mut sender: oneshot::Sender<Result<T, Error>>) {
    let outcome = tokio::select! {
        outcome = run => outcome,
        () = sender.closed() => return pace.stop(),
    };
    // Whoever waited may have left just now.
    let _ = sender.send(outcome);
}

impl<K: Eq + Hash, T> Drop for Flight<K, T> {
    fn drop(&mut self) {
        let mut all = lock(&self.flights);
        // Another may have taken its place already.
        if all.get(&self.key).is_some_and(|flight| flight.strong_count() == 0) {
            all.remove(&self.key);
        }
    }
}

fn lock<T>(all: &Mutex<T>) -> MutexGuard<'_, T> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}
