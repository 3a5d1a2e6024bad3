//! Codings: content codings of bodies, both ways: what is sent is encoded whole or as it comes, what is received is decoded up to
//! a limit.
//!
//! A leaf. Spec: <https://www.rfc-editor.org/rfc/rfc9110#name-content-codings>, <https://www.rfc-editor.org/rfc/rfc9659>

use std::{
    io::{self, Read, Write},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, header};
use http_body::{Body as _, Frame};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    body::{Body, BoxError},
    error::{Error, ErrorKind},
};

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// `zstd`
    Zstd,
    /// `br`
    Br,
    /// `gzip`
    Gzip,
}

/// Why a body cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecodable {
    /// In a coding that is not known, or in several.
    Unknown,
    /// It is not what its coding says.
    Broken,
    /// It would be larger than the limit.
    TooLarge,
}

/// How hard is tried, by coding: about as long as it takes to send what would be saved over a network of a gigabit.
const GZIP_LEVEL: u32 = 4;
const BROTLI_LEVEL: u32 = 4;
const ZSTD_LEVEL: i32 = 3;
/// Base-2 logarithm of the window that a brotli encoder looks back to, in bytes.
const BROTLI_WINDOW: u32 = 20;
/// Base-2 logarithm of the largest window that a zstd decoder must provide, in bytes: that of RFC 9659.
const ZSTD_WINDOW: u32 = 23;
/// Bytes encoded in one go.
const SLICE: usize = 32 << 10;
/// Slices encoded before other work on the thread gets its turn.
const TURN: u32 = 8;

impl Undecodable {
    /// As an error: of one kind when it is too large, of the other otherwise.
    pub fn error(self, too_large: ErrorKind, broken: ErrorKind) -> Error {
        match self {
            Self::Unknown => Error::new(broken, "The body is in a content coding that is not known."),
            Self::Broken => Error::new(broken, "The body is not in the content coding that it claims."),
            Self::TooLarge => Error::new(too_large, "The body is too large once it is decoded."),
        }
    }
}

impl Encoding {
    /// Its name in `Accept-Encoding` and `Content-Encoding`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Br => "br",
            Self::Gzip => "gzip",
        }
    }
}

/// Encodes a whole body.
///
/// # Errors
/// The encoder fails, which it does only for want of memory.
pub fn encode(encoding: Encoding, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = Encoder::new(encoding)?;
    encoder.writer().write_all(bytes)?;
    encoder.finish()
}

/// Decodes a whole body that came with these headers. What is not encoded stays as it is.
///
/// # Errors
/// It is in a coding that is not known, is broken, or has more than `limit` bytes.
pub fn decode(headers: &HeaderMap, bytes: Bytes, limit: usize) -> Result<Bytes, Undecodable> {
    let mut codings =
        headers.get_all(header::CONTENT_ENCODING).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let coding = codings.next().map(|coding| coding.trim_ascii().to_ascii_lowercase());
    if codings.next().is_some() {
        return Err(Undecodable::Unknown);
    }
    let text = bytes.as_ref();
    match coding.as_deref() {
        None | Some(b"" | b"identity") => Ok(bytes),
        Some(b"gzip" | b"x-gzip") => read(flate2::bufread::MultiGzDecoder::new(text), limit),
        Some(b"deflate") => read(flate2::bufread::ZlibDecoder::new(text), limit),
        Some(b"br") => read(brotli::Decompressor::new(text, SLICE), limit),
        Some(b"zstd") => {
            let decoder = zstd::stream::read::Decoder::with_buffer(text).and_then(|mut decoder| {
                decoder.window_log_max(ZSTD_WINDOW)?;
                Ok(decoder)
            });
            read(decoder.map_err(|_| Undecodable::Broken)?, limit)
        }
        Some(_) => Err(Undecodable::Unknown),
    }
}

fn read(decoder: impl Read, limit: usize) -> Result<Bytes, Undecodable> {
    let mut out = Vec::new();
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(bound).read_to_end(&mut out).map_err(|_| Undecodable::Broken)?;
    if out.len() > limit { Err(Undecodable::TooLarge) } else { Ok(out.into()) }
}

/// An encoder into memory.
enum Encoder {
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Br(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    fn new(encoding: Encoding) -> io::Result<Self> {
        Ok(match encoding {
            Encoding::Gzip => Self::Gzip(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL))),
            Encoding::Br => Self::Br(Box::new(brotli::CompressorWriter::new(Vec::new(), SLICE, BROTLI_LEVEL, BROTLI_WINDOW))),
            Encoding::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?),
        })
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Gzip(encoder) => encoder,
            Self::Br(encoder) => encoder,
            Self::Zstd(encoder) => encoder,
        }
    }

    /// What has come out since the last call.
    fn taken(&mut self) -> Vec<u8> {
        std::mem::take(match self {
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Br(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        })
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Br(encoder) => Ok(encoder.into_inner()),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

/// A body that is encoded as it comes. What has come is sent on when nothing more is there for the moment, so that streams flow.
pub struct Encoded {
    body: Body,
    /// Absent once the end is encoded.
    encoder: Option<Encoder>,
    /// What has come and is not encoded yet.
    waiting: Bytes,
    /// Whether the encoder holds something back.
    is_dirty: bool,
    /// Slices encoded since this was last polled anew.
    slices: u32,
    trailers: Option<Frame<Bytes>>,
}

impl Encoded {
    /// A body in this coding.
    ///
    /// # Errors
    /// The encoder fails, which it does only for want of memory.
    pub fn new(encoding: Encoding, body: Body) -> io::Result<Self> {
        let encoder = Some(Encoder::new(encoding)?);
        Ok(Self { body, encoder, waiting: Bytes::new(), is_dirty: false, slices: 0, trailers: None })
    }

    /// Encodes a slice of what waits; what has come out so far.
    fn advance(&mut self) -> io::Result<Vec<u8>> {
        let Some(encoder) = &mut self.encoder else { return Ok(Vec::new()) };
        let slice = self.waiting.split_to(self.waiting.len().min(SLICE));
        encoder.writer().write_all(&slice)?;
        (self.is_dirty, self.slices) = (true, self.slices + 1);
        Ok(encoder.taken())
    }

    /// What the encoder held back.
    fn flush(&mut self) -> io::Result<Vec<u8>> {
        let Some(encoder) = self.encoder.as_mut().filter(|_| self.is_dirty) else { return Ok(Vec::new()) };
        self.is_dirty = false;
        encoder.writer().flush()?;
        Ok(encoder.taken())
    }

    /// The end of the encoding; nothing when that has come already.
    fn end(&mut self) -> io::Result<Vec<u8>> {
        self.encoder.take().map_or(Ok(Vec::new()), Encoder::finish)
    }

    /// The next bytes, or what of the body is not bytes; nothing when this must be polled again.
    fn step(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Vec<u8>, BoxError>>> {
        if self.waiting.has_remaining() {
            return Poll::Ready(Some(self.advance().map_err(Into::into)));
        }
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(match frame.into_data() {
                Ok(data) => {
                    self.waiting = data;
                    Some(Ok(Vec::new()))
                }
                Err(trailers) => {
                    self.trailers = Some(trailers);
                    Some(self.end().map_err(Into::into))
                }
            }),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error))),
            Poll::Ready(None) if self.encoder.is_some() => Poll::Ready(Some(self.end().map_err(Into::into))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => match self.flush() {
                Ok(bytes) if bytes.is_empty() => Poll::Pending,
                flushed => Poll::Ready(Some(flushed.map_err(Into::into))),
            },
        }
    }
}

impl http_body::Body for Encoded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        loop {
            if this.encoder.is_none()
                && let Some(trailers) = this.trailers.take()
            {
                return Poll::Ready(Some(Ok(trailers)));
            }
            if this.slices >= TURN {
                this.slices = 0;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            match this.step(context) {
                Poll::Ready(Some(Ok(bytes))) if bytes.is_empty() => {}
                Poll::Ready(Some(Ok(bytes))) => return Poll::Ready(Some(Ok(Frame::data(bytes.into())))),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    this.slices = 0;
                    return Poll::Pending;
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use http::HeaderValue;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    const ALL: [Encoding; 3] = [Encoding::Zstd, Encoding::Br, Encoding::Gzip];

    fn said(coding: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_ENCODING, HeaderValue::from_static(coding))])
    }

    #[test]
    fn what_is_encoded_is_decoded_again_up_to_a_limit() {
        let text = Bytes::from("the same and the same and the same ".repeat(5_000));
        for encoding in ALL {
            let small = Bytes::from(encode(encoding, &text).unwrap());
            assert!(small.len() < text.len() / 20, "{encoding:?} made {}", small.len());
            let decoded = |bytes: Bytes, limit| decode(&said(encoding.name()), bytes, limit);
            assert_eq!(decoded(small.clone(), text.len()), Ok(text.clone()));
            assert_eq!(decoded(small.clone(), text.len() - 1), Err(Undecodable::TooLarge), "{encoding:?}");
            assert_eq!(decoded(small.slice(..small.len() - 4), text.len()), Err(Undecodable::Broken), "{encoding:?}");
            assert_eq!(decoded(Bytes::from_static(b"{\"data\":null}"), 100), Err(Undecodable::Broken), "{encoding:?}");
        }
    }

    #[test]
    fn only_one_known_coding_is_taken() {
        let bytes = Bytes::from_static(b"x");
        for known in ["identity", ""] {
            assert_eq!(decode(&said(known), bytes.clone(), 1), Ok(bytes.clone()));
        }
        for unknown in ["compress", "gzip, gzip", "aes128gcm"] {
            assert_eq!(decode(&said(unknown), bytes.clone(), 1), Err(Undecodable::Unknown), "{unknown}");
        }
    }

    #[tokio::test]
    async fn a_stream_is_encoded_as_it_comes() {
        for encoding in ALL {
            let (sender, mut receiver) = tokio::sync::mpsc::channel::<&'static str>(1);
            let parts = futures_util::stream::poll_fn(move |context| {
                receiver.poll_recv(context).map(|part| part.map(|part| Ok::<_, BoxError>(Frame::data(Bytes::from(part)))))
            });
            let mut encoded = Encoded::new(encoding, Body::stream(StreamBody::new(parts))).unwrap();
            let mut bytes = Vec::new();
            sender.send("first").await.unwrap();
            bytes.extend_from_slice(&encoded.frame().await.unwrap().unwrap().into_data().unwrap());
            assert!(!bytes.is_empty(), "{encoding:?} keeps the first part until the second comes");
            sender.send("second").await.unwrap();
            drop(sender);
            bytes.extend_from_slice(&encoded.collect().await.unwrap().to_bytes());
            assert_eq!(decode(&said(encoding.name()), bytes.into(), 100).unwrap(), "firstsecond");
        }
    }

    #[tokio::test]
    async fn a_large_body_is_encoded_in_turns() {
        let text: String = (0..200_000).map(|number| number.to_string()).collect();
        let encoded = Encoded::new(Encoding::Gzip, Body::full(text.clone())).unwrap();
        let bytes = encoded.collect().await.unwrap().to_bytes();
        assert_eq!(decode(&said("gzip"), bytes, text.len()).unwrap(), text);
    }
}
