//! Meters: how much may come over a connection before an answer's head is there. Each interim answer is a sign of life to whoever
//! reads the connection, so that what ends a silent upstream does not end one that says `100 Continue` for ever; and hyper reads
//! them all before it asks anybody.
//!
//! Relied on by `upstream::pool`. Spec: <https://www.rfc-editor.org/rfc/rfc9110#section-15.2>

use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Most bytes of interim answers and a head together. Room for the largest head, and for what of the body hyper reads with it.
const MOST: usize = 512 << 10;
/// Stands for as much as there is.
const ANY: usize = usize::MAX;

/// How much more may come. Only who drives the connection changes it.
#[derive(Debug)]
pub struct Allowance(AtomicUsize);

impl Allowance {
    /// For a connection that waits for no answer yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(ANY)))
    }

    /// An answer is waited for.
    pub fn begin(&self) {
        self.0.store(MOST, Ordering::Relaxed);
    }

    /// Its head is there.
    pub fn end(&self) {
        self.0.store(ANY, Ordering::Relaxed);
    }

    fn take(&self, count: usize) -> io::Result<()> {
        let left = self.0.load(Ordering::Relaxed);
        if left == ANY {
            return Ok(());
        }
        let left = left.checked_sub(count).ok_or_else(|| io::Error::other(Endless))?;
        self.0.store(left, Ordering::Relaxed);
        Ok(())
    }
}

/// There is no end to the interim answers.
#[derive(Debug)]
pub struct Endless;

impl fmt::Display for Endless {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("there is no end to the interim answers")
    }
}

impl std::error::Error for Endless {}

impl Endless {
    /// Whether it is the reason of an error.
    pub fn is_cause(error: &(dyn std::error::Error + 'static)) -> bool {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        inner.is_some_and(|inner| inner.is::<Self>())
    }
}

/// A connection that is read within an allowance.
pub struct Meter<S> {
    stream: S,
    allowance: Arc<Allowance>,
}

impl<S> Meter<S> {
    /// Reads `stream` within `allowance`.
    pub fn new(stream: S, allowance: Arc<Allowance>) -> Self {
        Self { stream, allowance }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Meter<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        Poll::Ready(self.allowance.take(buffer.filled().len() - before))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Meter<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, all: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, all)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
