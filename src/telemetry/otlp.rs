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
    time::{Duration, Instant},
};

use bytes::BytesMut;
use encode::Envelope;
pub use encode::{Kind, Record, Value};
pub use export::Exporter;
use tokio::sync::Notify;

use super::OtlpConfig;

/// Bytes of spans that are sent together. Receivers refuse messages above 4 MiB unless told otherwise; one that stays in the
/// processor's cache is cheaper to fill.
const CHUNK: usize = 64 * 1024;
/// Chunks that may wait for a slow receiver; spans that come after are dropped.
const MOST_CHUNKS: usize = 128;
/// The longest that a span waits for company.
const INTERVAL: Duration = Duration::from_secs(1);

/// Ended spans that wait to be sent.
#[derive(Debug)]
pub struct Queue {
    waiting: Mutex<Waiting>,
    /// Rung when a chunk is full.
    is_full: Notify,
    /// What every chunk begins with.
    envelope: Envelope,
}

#[derive(Debug, Default)]
struct Waiting {
    /// The chunk that spans are appended to.
    open: Chunk,
    full: VecDeque<Chunk>,
    /// A chunk that was sent: its memory serves again.
    spare: BytesMut,
    dropped: u64,
}

/// An export request in the making.
#[derive(Debug, Default)]
struct Chunk {
    bytes: BytesMut,
    spans: u64,
}

impl Queue {
    /// A queue for the sender of this configuration.
    pub fn new(config: &OtlpConfig) -> Self {
        Self { waiting: Mutex::default(), is_full: Notify::new(), envelope: export::envelope(config) }
    }

    /// Takes in a span that has ended. What the receiver is too slow for is dropped and counted.
    pub fn push(&self, span: Record, ended: Instant) {
        let mut waiting = self.lock();
        if waiting.full.len() >= MOST_CHUNKS {
            waiting.dropped += 1;
            return;
        }
        if waiting.open.bytes.is_empty() {
            waiting.open.bytes = std::mem::take(&mut waiting.spare);
            waiting.open.bytes.reserve(CHUNK);
            waiting.open.bytes.extend_from_slice(self.envelope.open());
        }
        span.end(ended, &mut waiting.open.bytes);
        waiting.open.spans += 1;
        if waiting.open.bytes.len() >= CHUNK - encode::LONGEST_USUAL {
            let chunk = std::mem::take(&mut waiting.open);
            waiting.full.push_back(chunk);
            drop(waiting);
            self.is_full.notify_one();
        }
    }

    /// The next full chunk, or with `is_all` whatever there is, ready to be sent.
    fn take(&self, is_all: bool) -> Option<Chunk> {
        let mut waiting = self.lock();
        let open = |waiting: &mut Waiting| std::mem::take(&mut waiting.open);
        let next = waiting.full.pop_front().or_else(|| is_all.then(|| open(&mut waiting)));
        drop(waiting);
        let mut chunk = next.filter(|chunk| chunk.spans > 0)?;
        self.envelope.close(&mut chunk.bytes);
        Some(chunk)
    }

    /// Takes back the memory of a chunk that was sent.
    fn reuse(&self, mut sent: BytesMut) {
        sent.clear();
        self.lock().spare = sent;
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
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn spans_wait_in_bounded_chunks() {
        let (queue, now) = (Queue::new(&OtlpConfig::default()), Instant::now());
        let span = || {
            let mut span = Record::new(Kind::Client, [1; 16], 2, 3, now);
            span.set("text", "x".repeat(encode::LONGEST_TEXT).as_str());
            span
        };
        assert!(queue.take(true).is_none());
        queue.push(span(), now);
        assert!(queue.take(false).is_none(), "a chunk that is not full waits for company");
        let chunk = queue.take(true).unwrap();
        assert_eq!(chunk.spans, 1);
        let memory = chunk.bytes.as_ptr();
        queue.reuse(chunk.bytes.freeze().try_into_mut().unwrap());
        queue.push(span(), now);
        let chunk = queue.take(true).unwrap();
        assert_eq!((chunk.spans, chunk.bytes.as_ptr()), (1, memory), "the memory of a chunk serves again");
        for _ in 0..MOST_CHUNKS * CHUNK / encode::LONGEST_TEXT + 100 {
            queue.push(span(), now);
        }
        assert!(queue.take_dropped() > 0);
        let chunks: Vec<_> = std::iter::from_fn(|| queue.take(true)).collect();
        assert_eq!(chunks.len(), MOST_CHUNKS);
        assert!(chunks.iter().all(|chunk| chunk.bytes.len() < 2 * CHUNK));
        queue.push(span(), now);
        assert_eq!(queue.take(true).map(|chunk| chunk.spans), Some(1), "there is room again");
    }
}
