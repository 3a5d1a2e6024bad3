//! Busy threads: where work that keeps a thread busy (parsing, planning) is done, and how much of it at a time.
//!
//! More of it at once than there are processors is no faster, and every thread keeps memory of its own: with as many threads as
//! requests came, a router that plans all the time took a tenth more CPU and memory, and with work going round between idle threads
//! another tenth (`benches/numbers.md`). So the thread that was busy last gets the next piece. Relied on by `graphql` and `cli::serve`.

use std::{
    num::NonZero,
    panic::{self, AssertUnwindSafe},
    sync::{Mutex, MutexGuard, PoisonError, mpsc},
    thread::{self, available_parallelism},
};

use tokio::sync::oneshot;

/// The least, so that one long piece of work does not hold up all others.
const LEAST: usize = 2;

/// Threads of the runtime for what waits: to compose, and to read and write files.
pub const WAITING: usize = 4;

/// A piece of work.
type Work = Box<dyn FnOnce() + Send>;

/// The threads of this process.
static THREADS: Threads = Threads(Mutex::new(Vec::new()));

/// Those without work, the one that was busy last at the end. There are never more than work was allowed at one time.
struct Threads(Mutex<Vec<mpsc::Sender<Work>>>);

/// The work ended without an outcome: it panicked, or no thread could be started for it.
#[derive(Clone, Copy, Debug)]
pub struct Stopped;

/// How many documents are parsed, and how many operations planned, at one time.
pub fn at_once() -> usize {
    available_parallelism().map_or(LEAST, NonZero::get).max(LEAST)
}

/// Does a piece of work on a thread where it holds up nobody. It is done even when nobody waits for its outcome any more.
///
/// # Errors
/// There is no outcome.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Stopped> {
    THREADS.run(work).await
}

impl Threads {
    async fn run<T: Send + 'static>(&'static self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Stopped> {
        let (sender, receiver) = oneshot::channel();
        let work: Work = Box::new(move || drop(sender.send(work())));
        let latest = self.idle().pop();
        match latest {
            Some(thread) => thread.send(work).map_err(|_| Stopped)?,
            None => drop(thread::Builder::new().name("busy".into()).spawn(|| self.labour(work)).map_err(|_| Stopped)?),
        }
        receiver.await.map_err(|_| Stopped)
    }

    /// Does a piece of work, and then whatever comes.
    fn labour(&self, first: Work) {
        let (sender, receiver) = mpsc::channel();
        let mut next = Some(first);
        while let Some(work) = next {
            // Whoever waits for it sees that there is no outcome.
            let _ = panic::catch_unwind(AssertUnwindSafe(work));
            self.idle().push(sender.clone());
            next = receiver.recv().ok();
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<mpsc::Sender<Work>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests may stop at the first surprise")]
mod tests {
    use std::{
        sync::{Arc, Barrier},
        time::Duration,
    };

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn work_at_one_time_has_threads_of_its_own_and_a_panic_ends_none() {
        static OWN: Threads = Threads(Mutex::new(Vec::new()));
        let both = Arc::new(Barrier::new(2));
        let meet = || {
            let both = both.clone();
            OWN.run(move || {
                both.wait();
                thread::current().id()
            })
        };
        let (one, two) = tokio::join!(meet(), meet());
        assert_ne!(one.unwrap(), two.unwrap());
        assert!(OWN.run(|| panic!("on purpose")).await.is_err());
        // Whoever is told the outcome may be so before the thread waits again.
        let mut latest = Vec::new();
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            latest.push(OWN.run(|| thread::current().id()).await.unwrap());
        }
        assert!(latest.iter().all(|id| *id == latest[0]), "{latest:?}");
    }
}
