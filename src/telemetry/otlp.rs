//! Spans as OTLP: each is encoded once, where it ends, and appended to a chunk that goes out as it is.
//!
//! OpenTelemetry's SDK makes an owned tree of every span first and costs several times as much (`benches/numbers.md`), so this file
//! writes the few messages that a gateway needs itself. Relied on by `telemetry::traces`.
//! Spec: <https://opentelemetry.io/docs/specs/otlp/> and the `trace.proto` of its version 1.

mod encode;
mod export;

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use encode::{Kind, Record, Value};
pub use export::Exporter;
use tokio::sync::Notify;

/// Bytes of spans that are sent together. Receivers refuse messages above 4 MiB unless told otherwise.
const CHUNK: usize = 512 * 1024;
/// Chunks that may wait for a slow receiver; spans that come after are dropped.
const MOST_CHUNKS: usize = 16;
/// The longest that a span waits for company.
const INTERVAL: Duration = Duration::from_secs(1);

/// Ended spans that wait to be sent.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: Mutex<Waiting>,
    /// Rung when a chunk is full.
    is_full: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// The chunk that spans are appended to.
    open: Chunk,
    full: VecDeque<Chunk>,
    dropped: u64,
}

/// Encoded spans, each with the tag that it has among its siblings.
#[derive(Debug, Default)]
struct Chunk {
    bytes: Vec<u8>,
    spans: u64,
}

impl Queue {
    /// Takes in a span that has ended. What the receiver is too slow for is dropped and counted.
    pub fn push(&self, span: Record) {
        let mut waiting = self.lock();
        if waiting.full.len() >= MOST_CHUNKS {
            waiting.dropped += 1;
            return;
        }
        if waiting.open.bytes.capacity() == 0 {
            waiting.open.bytes.reserve(CHUNK);
        }
        span.end(&mut waiting.open.bytes);
        waiting.open.spans += 1;
        if waiting.open.bytes.len() >= CHUNK - encode::LONGEST_USUAL {
            let chunk = std::mem::take(&mut waiting.open);
            waiting.full.push_back(chunk);
            drop(waiting);
            self.is_full.notify_one();
        }
    }

    /// The next full chunk, or with `is_all` whatever there is.
    fn take(&self, is_all: bool) -> Option<Chunk> {
        let mut waiting = self.lock();
        let open = |waiting: &mut Waiting| std::mem::take(&mut waiting.open);
        waiting.full.pop_front().or_else(|| is_all.then(|| open(&mut waiting))).filter(|chunk| chunk.spans > 0)
    }

    /// How many spans were dropped since the last call.
    fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.lock().dropped)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_wait_in_bounded_chunks() {
        let queue = Queue::default();
        let span = || {
            let mut span = Record::new(Kind::Client, [1; 16], 2, 3);
            span.set("text", "x".repeat(encode::LONGEST_TEXT).as_str());
            span
        };
        assert!(queue.take(true).is_none());
        queue.push(span());
        assert!(queue.take(false).is_none(), "a chunk that is not full waits for company");
        assert_eq!(queue.take(true).map(|chunk| chunk.spans), Some(1));
        for _ in 0..MOST_CHUNKS * CHUNK / encode::LONGEST_TEXT + 100 {
            queue.push(span());
        }
        assert!(queue.take_dropped() > 0);
        let chunks: Vec<_> = std::iter::from_fn(|| queue.take(true)).collect();
        assert_eq!(chunks.len(), MOST_CHUNKS);
        assert!(chunks.iter().all(|chunk| chunk.bytes.len() < 2 * CHUNK));
        queue.push(span());
        assert_eq!(queue.take(true).map(|chunk| chunk.spans), Some(1), "there is room again");
    }
}
