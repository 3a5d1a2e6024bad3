//! Answers on their way: their bodies, and the duty to bring the connection back.
//!
//! Relied on by `upstream::pool`.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use super::{Pool, Sender, Slot};
use crate::{
    body::{BoxError, Idle},
    error::{Error, ErrorKind},
    grpc,
};

/// How long the body of an answer may stand still.
const BODY_IDLE: Duration = Duration::from_secs(60);
/// The same for streams of messages (gRPC, Server-Sent Events), whose pauses mean something.
const STREAM_IDLE: Duration = Duration::from_secs(300);

/// What an answer holds until its body has ended: its connection, and its place among the calls under way.
pub struct Lease {
    /// Where the connection comes back to.
    pub pool: Arc<Pool>,
    /// The connection.
    pub sender: Sender,
    /// The place among the calls under way.
    pub slot: Option<Slot>,
}

/// The body of an answer.
pub struct Arriving {
    body: Incoming,
    lease: Option<Lease>,
    idle: Idle,
    /// Why it goes no further.
    failure: Option<BoxError>,
}

impl Arriving {
    /// The body of an answer with these headers; nothing when it has none, and the connection can be used again.
    pub fn begin(headers: &HeaderMap, body: Incoming, lease: Lease) -> Option<Self> {
        let idle = if grpc::is_stream(headers) { STREAM_IDLE } else { BODY_IDLE };
        let mut arriving = Self { body, idle: Idle::new(idle), lease: Some(lease), failure: None };
        if arriving.body.is_end_stream() {
            arriving.end();
            return None;
        }
        Some(arriving)
    }

    /// The body has ended well: the connection can be used again.
    fn end(&mut self) {
        // Answered before the request was whole, a connection is of no further use: what is still sent belongs to that request.
        if let Some(Lease { pool, sender: Sender::Http1(line), slot }) = self.lease.take()
            && slot.as_ref().is_none_or(Slot::is_sent)
        {
            line.retire(&pool);
        }
    }

    /// The body goes no further. That is said when it is asked for once more: what came before, and be it the head alone, is to go
    /// on to the client first, whose connection ends with it.
    fn fail(&mut self, error: BoxError, context: &Context<'_>) {
        self.lease = None;
        self.failure = Some(error);
        context.waker().wake_by_ref();
    }

    fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match &mut self.lease {
            Some(Lease { sender: Sender::Http1(line), .. }) => line.poll_body(&mut self.body, context),
            _ => Pin::new(&mut self.body).poll_frame(context),
        }
    }
}

impl http_body::Body for Arriving {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(failure) = self.failure.take() {
            return Poll::Ready(Some(Err(failure)));
        }
        match self.poll_body(context) {
            Poll::Ready(Some(Ok(frame))) => {
                self.idle.moves();
                if self.body.is_end_stream() {
                    self.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.fail(error.into(), context);
                Poll::Pending
            }
            Poll::Ready(None) => {
                self.end();
                Poll::Ready(None)
            }
            Poll::Pending => self.idle.poll(context).map(|()| {
                self.lease = None;
                Some(Err(Box::new(Error::new(ErrorKind::UpstreamTimeout, "the body of the answer stood still")) as BoxError))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Whether a body's length is said once at most, so that all who read it on its way find the same end.
pub fn is_framed_once(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else {
        // Only one coding leaves a length to be known.
        let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
        return codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
            && codings.next().is_none();
    };
    let is_number = !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit);
    is_number && lengths.next().is_none() && !headers.contains_key(header::TRANSFER_ENCODING)
}
