//! The wire: the socket of an HTTP/1 connection as hyper sees it. What comes in is watched, interim answers go out between two
//! answers, and a client that is still sending when we have said enough can read to the end what we said.
//!
//! Relied on by `server::connection`. Spec: <https://www.rfc-editor.org/rfc/rfc9112#section-9.6>

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::framing::{Framing, Scan};
use crate::exchange::Interim;

/// How long a client may go on sending after we have closed our side. Closed at once, what it sends would be answered with a
/// reset, which can take our answer away before the client has read it.
const LINGER: Duration = Duration::from_secs(2);

/// A client's connection.
#[derive(Debug)]
pub struct Wire<S> {
    stream: S,
    scan: Scan,
    framing: Arc<Framing>,
    interim: Arc<Interim>,
    is_listening: bool,
    /// Of interim answers, what is being written, and how much of it is.
    out: (Vec<u8>, usize),
    linger: Option<Pin<Box<Sleep>>>,
    /// Counts the connection as open as long as there are bytes, which after a switch of protocols is longer than its requests.
    _open: TaskTrackerToken,
}

impl<S> Wire<S> {
    /// Watches `stream`, tells `framing`, and writes what waits in `interim`.
    pub fn new(stream: S, framing: Arc<Framing>, interim: Arc<Interim>, open: TaskTrackerToken) -> Self {
        let (scan, out) = (Scan::default(), (Vec::new(), 0));
        Self { stream, scan, framing, interim, is_listening: false, out, linger: None, _open: open }
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    /// Writes what is left of the interim answers that were begun.
    fn poll_begun(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(left) = self.out.0.get(self.out.1..).filter(|left| !left.is_empty()) {
            let count = ready!(Pin::new(&mut self.stream).poll_write(context, left))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.1 += count;
        }
        self.out = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }

    /// Writes the interim answers that wait. Hyper has written everything that it has, and the answer is held back until here is
    /// nothing more: so this is the place between two answers.
    fn poll_interim(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_begun(context))?;
            if !self.interim.is_waiting() {
                return Poll::Ready(Ok(()));
            }
            self.out = (self.interim.take(), 0);
            if !self.interim.is_waiting() {
                // The answer may be waiting for this.
                context.waker().wake_by_ref();
            }
        }
    }
}

impl<S: AsyncRead + Unpin> Wire<S> {
    /// Reads what nobody wants any more, for a while.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut nowhere = [0; 8 << 10];
        let timer = self.linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        loop {
            if timer.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            let mut buffer = ReadBuf::new(&mut nowhere);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.is_listening {
            // One task has the connection until its end, or until it switches protocols: its waker stays the same.
            self.interim.listen(context.waker());
            self.is_listening = true;
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Some(fresh) = buffer.filled().get(before..).filter(|fresh| !fresh.is_empty())
            && !self.framing.is_switched()
            && let Some(index) = self.scan.feed(fresh)
        {
            self.framing.doubt(index);
        }
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_begun(context))?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, all: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        ready!(self.poll_begun(context))?;
        Pin::new(&mut self.stream).poll_write_vectored(context, all)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.interim.is_waiting() || !self.out.0.is_empty() {
            ready!(self.poll_interim(context))?;
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            if self.framing.is_switched() || self.scan.is_between_requests() {
                return Poll::Ready(Ok(()));
            }
        }
        self.poll_linger(context).map(Ok)
    }
}
