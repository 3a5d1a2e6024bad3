//! Body: the bytes of a request or response, whole or still arriving, with whatever must live until its end.
//!
//! A leaf. Spec: <https://www.rfc-editor.org/rfc/rfc9110#name-content>

use std::{
    any::Any,
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::Extensions;
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::error::{Error, ErrorKind};

/// What a body's stream may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Most that is reserved for a body because of its announced length.
const MAX_RESERVED: usize = 16 << 20;

/// Size of a body of unknown length for which much room is made,
const LARGE: usize = 1 << 20;
/// and how many times its size that is.
const GROWTH: usize = 16;

/// How long a body may stand still while it arrives. The timer is set when the body is first waited for, and only set anew when it
/// fires: a body that flows costs no timers.
#[derive(Debug)]
pub struct Idle {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether something has arrived since the timer was set.
    is_moving: bool,
}

impl Idle {
    /// A body may stand still for this long.
    pub fn new(limit: Duration) -> Self {
        Self { limit, timer: None, is_moving: false }
    }

    /// Something has arrived.
    pub fn moves(&mut self) {
        self.is_moving = true;
    }

    /// Ready when nothing has arrived for too long. To be asked while the body is waited for.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        if self.timer.is_none() {
            // What came before says nothing of what is waited for from now on.
            self.is_moving = false;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + limit)));
        while timer.as_mut().poll(context).is_ready() {
            if !std::mem::take(&mut self.is_moving) {
                return Poll::Ready(());
            }
            timer.as_mut().reset(Instant::now() + limit);
        }
        Poll::Pending
    }
}

/// Looks at a body that is collected while it arrives. A body that is there at once is not shown to it.
pub trait Reader: Send {
    /// More has arrived, and stands at the end of `text`. What is taken away here must come back at the end.
    fn more(&mut self, text: &mut Vec<u8>);

    /// Everything has arrived; returns what it was, or what it has become.
    fn end(&mut self, text: Vec<u8>) -> Bytes;

    /// States what was found out, if the body was shown.
    fn tell(&self, extensions: &mut Extensions);
}

/// The content of a message.
pub struct Body {
    content: Content,
    held: Vec<Box<dyn Any + Send>>,
}

enum Content {
    Empty,
    Full(Bytes),
    Incoming(hyper::body::Incoming),
    Stream(UnsyncBoxBody<Bytes, BoxError>),
}

impl Body {
    /// No content.
    pub fn empty() -> Self {
        Self::of(Content::Empty)
    }

    /// Content that is all there.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self::of(Content::Full(bytes.into()))
    }

    /// Content of some other body type.
    pub fn stream<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self::of(Content::Stream(body.map_err(Into::into).boxed_unsync()))
    }

    fn of(content: Content) -> Self {
        Self { content, held: Vec::new() }
    }

    /// Keeps `thing` (a permit, a gauge's decrement) until the body has ended or is dropped.
    pub fn hold(&mut self, thing: impl Any + Send) {
        self.keep(Box::new(thing));
    }

    /// The same for what is in a box of its own already.
    pub fn keep(&mut self, thing: Box<dyn Any + Send>) {
        self.held.push(thing);
    }

    /// The bytes, when they are all there already.
    pub fn bytes(&self) -> Option<&Bytes> {
        match &self.content {
            Content::Full(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The same content once more, when it is all there.
    pub fn try_clone(&self) -> Option<Self> {
        match &self.content {
            Content::Empty => Some(Self::empty()),
            Content::Full(bytes) => Some(Self::full(bytes.clone())),
            _ => None,
        }
    }

    /// Reads the whole body.
    ///
    /// # Errors
    /// The two kinds given: `too_large` over `limit` bytes, `broken` when it ends before its time. An error of ours that the body
    /// itself ends with is passed on.
    pub async fn collect(self, limit: usize, too_large: ErrorKind, broken: ErrorKind) -> Result<Bytes, Error> {
        self.read(limit, (too_large, broken), None).await
    }

    /// The same, with somebody who looks at it meanwhile.
    ///
    /// # Errors
    /// The same.
    pub async fn read(
        self,
        limit: usize,
        (too_large, broken): (ErrorKind, ErrorKind),
        mut reader: Option<&mut dyn Reader>,
    ) -> Result<Bytes, Error> {
        let over = || Error::new(too_large, format!("the body is larger than {limit} bytes"));
        if http_body::Body::size_hint(&self).lower() > limit as u64 {
            return Err(over());
        }
        if let Content::Full(bytes) = self.content {
            return Ok(bytes);
        }
        // What is announced is believed up to a bound: to announce much costs nothing.
        let announced = usize::try_from(http_body::Body::size_hint(&self).lower()).unwrap_or(limit).min(MAX_RESERVED);
        let mut first = Bytes::new();
        let mut all = Vec::new();
        let mut arrived = 0;
        let mut body = self;
        while let Some(frame) = body.frame().await {
            let data = frame.map_err(|error| failed(error, broken))?.into_data().unwrap_or_default();
            arrived += data.len();
            if arrived > limit {
                return Err(over());
            }
            if first.is_empty() {
                first = data;
                continue;
            }
            if all.capacity() == 0 {
                all.reserve_exact(announced.max(first.len() + data.len()));
                all.extend_from_slice(&first);
            }
            make_room(&mut all, data.len(), limit);
            // Copied at once, so that what it was received into can be used again.
            all.extend_from_slice(&data);
            drop(data);
            if let Some(reader) = &mut reader {
                reader.more(&mut all);
            }
        }
        if all.capacity() == 0 {
            return Ok(first);
        }
        Ok(match reader {
            Some(reader) => reader.end(all),
            None => all.into(),
        })
    }
}

/// Makes room for more of a body whose length is not known. To double a large one would have it in memory twice meanwhile; room that is
/// never used takes none, being a mapping of its own.
fn make_room(all: &mut Vec<u8>, more: usize, limit: usize) {
    let needed = all.len() + more;
    if needed > all.capacity() && needed >= LARGE {
        all.reserve_exact(limit.min(all.len().saturating_mul(GROWTH)).max(needed) - all.len());
    }
}

/// Why a body could not be read to its end.
fn failed(error: BoxError, broken: ErrorKind) -> Error {
    match error.downcast::<Error>() {
        // A step that guards the body knows better what is wrong with it.
        Ok(known) => *known,
        Err(error) => Error::new(broken, format!("the body ended early: {error}")),
    }
}

impl From<hyper::body::Incoming> for Body {
    fn from(incoming: hyper::body::Incoming) -> Self {
        Self::of(Content::Incoming(incoming))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = match &mut self.content {
            Content::Empty => Poll::Ready(None),
            Content::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.content = Content::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Content::Incoming(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
            Content::Stream(body) => Pin::new(body).poll_frame(context),
        };
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.held.clear();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty => true,
            Content::Full(bytes) => bytes.is_empty(),
            Content::Incoming(body) => body.is_end_stream(),
            Content::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Incoming(body) => body.size_hint(),
            Content::Stream(body) => body.size_hint(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Body").field("size", &http_body::Body::size_hint(self)).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_that_stops_has_so_long_from_when_it_is_waited_for() {
        let limit = Duration::from_secs(1);
        let mut idle = Idle::new(limit);
        idle.moves();
        let started = Instant::now();
        std::future::poll_fn(|context| idle.poll(context)).await;
        assert_eq!(started.elapsed().as_secs(), 1, "not twice as long");
    }
}
