//! Interim answers: what an upstream says before its answer (`100 Continue`, `103 Early Hints`), on its way to the client.
//!
//! A leaf, part of `exchange`. The connection of an HTTP/1.1 client has one [`Interim`], each exchange on it a [`Voice`]; whoever
//! hears an upstream speaks, and the connection writes it between two answers. Spec: <https://www.rfc-editor.org/rfc/rfc9110#section-15.2>

use std::{
    io::Write as _,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use futures_util::task::AtomicWaker;
use http::{HeaderMap, Request, StatusCode, header};

/// Most interim answers to one request that go on; further ones are dropped.
const MOST: usize = 16;
/// Most bytes of them.
const BYTES: usize = 64 << 10;

/// Where interim answers wait until a connection can write them.
#[derive(Debug, Default)]
pub struct Interim {
    /// The exchange that may be spoken to; each has its own number.
    now: AtomicU64,
    is_waiting: AtomicBool,
    waiting: Mutex<Waiting>,
    connection: AtomicWaker,
}

#[derive(Debug, Default)]
struct Waiting {
    exchange: u64,
    count: usize,
    bytes: Vec<u8>,
}

/// The way to the client of one exchange, which leads nowhere once that is answered.
#[derive(Clone, Debug)]
pub struct Voice {
    interim: Arc<Interim>,
    exchange: u64,
    is_mute: bool,
}

impl Interim {
    /// How many exchanges there were, or a little more.
    pub fn count(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// The next exchange of the connection begins; the one before is answered. `is_mute` says that its client understands nothing
    /// but the answer.
    pub fn begin(self: &Arc<Self>, is_mute: bool) -> Voice {
        // Only the task of the connection writes, so this need not be one step.
        let exchange = self.now.load(Ordering::Relaxed) + 1;
        self.now.store(exchange, Ordering::Relaxed);
        Voice { interim: self.clone(), exchange, is_mute }
    }

    /// The exchange is answered: what is said from now on is dropped.
    pub fn end(&self) {
        self.now.store(self.now.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Whether there is something to write.
    pub fn is_waiting(&self) -> bool {
        self.is_waiting.load(Ordering::Acquire)
    }

    /// Who is to be woken when there is.
    pub fn listen(&self, connection: &Waker) {
        self.connection.register(connection);
    }

    /// What is to be written now; nothing more waits when it is empty.
    pub fn take(&self) -> Vec<u8> {
        let mut waiting = self.lock();
        let bytes = std::mem::take(&mut waiting.bytes);
        if bytes.is_empty() {
            self.is_waiting.store(false, Ordering::Release);
        }
        // What was said to an exchange that is answered would stand between two others.
        if waiting.exchange == self.now.load(Ordering::Relaxed) { bytes } else { Vec::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Voice {
    /// Whether the client can be told anything.
    pub fn is_mute(&self) -> bool {
        self.is_mute
    }

    /// Tells the client what an upstream said before its answer. `headers` are those that may go on.
    pub fn say(&self, status: StatusCode, headers: &HeaderMap) {
        let mut waiting = self.interim.lock();
        if waiting.exchange != self.exchange {
            *waiting = Waiting { exchange: self.exchange, ..Waiting::default() };
        }
        if waiting.count >= MOST || waiting.bytes.len() >= BYTES {
            return;
        }
        waiting.count += 1;
        let (code, reason) = (status.as_str(), status.canonical_reason().unwrap_or_default());
        let start = waiting.bytes.len();
        let bytes = &mut waiting.bytes;
        let _ = write!(bytes, "HTTP/1.1 {code} {reason}\r\n");
        for (name, value) in headers {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        if bytes.len() > BYTES {
            bytes.truncate(start);
            return;
        }
        drop(waiting);
        self.interim.is_waiting.store(true, Ordering::Release);
        self.interim.connection.wake();
    }
}

/// What holds a request's body back until the upstream wants it.
#[derive(Debug, Default)]
pub struct Gate {
    is_open: AtomicBool,
    waiting: AtomicWaker,
}

impl Gate {
    /// Lets the body of a request go at once, where what is said before an answer is not heard: HTTP/2 has another way to stop it.
    pub fn waive<B>(request: &mut Request<B>) {
        if let Some(gate) = request.extensions_mut().remove::<Arc<Self>>() {
            request.headers_mut().remove(header::EXPECT);
            gate.open();
        }
    }

    /// The body may go.
    pub fn open(&self) {
        self.is_open.store(true, Ordering::Release);
        self.waiting.wake();
    }

    /// Ready once it is open.
    pub fn poll_open(&self, context: &mut Context<'_>) -> Poll<()> {
        self.waiting.register(context.waker());
        if self.is_open.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exchange_that_is_open_is_spoken_to_and_not_without_end() {
        let interim = Arc::new(Interim::default());
        let first = interim.begin(false);
        let mut headers = HeaderMap::new();
        headers.insert("link", http::HeaderValue::from_static("</a.css>; rel=preload"));
        first.say(StatusCode::EARLY_HINTS, &headers);
        assert!(interim.is_waiting());
        assert_eq!(interim.take(), b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n");
        assert_eq!((interim.take(), interim.is_waiting()), (Vec::new(), false));
        interim.end();
        let second = interim.begin(false);
        first.say(StatusCode::EARLY_HINTS, &headers);
        assert_eq!(interim.take(), b"", "the first is answered");
        for _ in 0..100 {
            second.say(StatusCode::PROCESSING, &HeaderMap::new());
        }
        assert_eq!(interim.take().len(), MOST * b"HTTP/1.1 102 Processing\r\n\r\n".len());
    }
}
