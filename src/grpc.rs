//! gRPC: what the gateway has to know of it, which is how long a call may take and how it is told that it took too long.
//!
//! A leaf. Spec: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Sleep, sleep_until};

use crate::body::{Body, BoxError};

/// How long a client gives its call, from when it sends it.
pub const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// How a call ended: zero, or what went wrong.
pub const STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// In words.
pub const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// `DEADLINE_EXCEEDED`.
const LATE: u16 = 4;
/// Most digits of a timeout.
const DIGITS: usize = 8;

/// Whether these are the headers of a gRPC message.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let base = media_type.split(['+', ';']).next().unwrap_or_default().trim();
    base.eq_ignore_ascii_case("application/grpc")
}

/// Whether the body of an answer is a stream of messages, of gRPC or of events, whose pauses mean something.
pub fn is_stream(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    media_type.starts_with(b"application/grpc") || media_type.starts_with(b"text/event-stream")
}

/// How long the client of this request gives its call, if it says so.
pub fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3_600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// Where a call has a timeout, sets it to what is left until `deadline`.
pub fn pass_on(deadline: Instant, headers: &mut HeaderMap) {
    if let Some(timeout) = headers.get_mut(TIMEOUT) {
        let left = deadline.saturating_duration_since(Instant::now());
        // The finest unit in which it can be written.
        let most = 10_u128.pow(DIGITS as u32);
        let text = match (left.as_micros(), left.as_millis()) {
            (micros, _) if micros < most => format!("{micros}u"),
            (_, millis) if millis < most => format!("{millis}m"),
            _ => format!("{}S", left.as_secs().min(most as u64 - 1)),
        };
        if let Ok(value) = HeaderValue::try_from(text) {
            *timeout = value;
        }
    }
}

/// The body of a call's answer, which ends at `deadline` at the latest: then with the status that says so.
pub fn until(deadline: Instant, body: Body) -> Body {
    if body.is_end_stream() {
        return body;
    }
    Body::stream(Bounded { body: Some(body), timer: Box::pin(sleep_until(deadline.into())) })
}

struct Bounded {
    body: Option<Body>,
    timer: Pin<Box<Sleep>>,
}

impl http_body::Body for Bounded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        self.timer.as_mut().poll(context).map(|()| {
            self.body = None;
            let mut trailers = HeaderMap::new();
            trailers.insert(STATUS, HeaderValue::from(LATE));
            trailers.insert(MESSAGE, HeaderValue::from_static("the deadline of the call passed"));
            Some(Ok(Frame::trailers(trailers)))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), |body| SizeHint::clone(&body.size_hint()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Duration> {
        timeout(&HeaderMap::from_iter([(TIMEOUT, text.parse().unwrap())]))
    }

    #[test]
    fn timeouts_have_a_unit_and_eight_digits_at_most() {
        for (text, seconds) in
            [("2H", 7_200.0), ("3M", 180.0), ("10S", 10.0), ("250m", 0.25), ("7u", 7e-6), ("99999999n", 0.099_999_999)]
        {
            assert_eq!(of(text), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        for bad in ["", "S", "10", "10s", "-1S", "1.5S", "123456789S", "1 S", "+1S"] {
            assert_eq!(of(bad), None, "{bad}");
        }
        assert_eq!(of("99999999H").unwrap().as_secs(), 99_999_999 * 3_600);
    }

    #[test]
    fn what_is_left_is_passed_on() {
        for (left, least) in
            [(Duration::from_millis(1_500), 1.4), (Duration::from_secs(3_600), 3_599.0), (Duration::from_secs(1 << 30), 9e7)]
        {
            let mut headers = HeaderMap::from_iter([(TIMEOUT, HeaderValue::from_static("9H"))]);
            pass_on(Instant::now() + left, &mut headers);
            let told = timeout(&headers).unwrap();
            assert!(told <= left && told.as_secs_f64() >= least, "{left:?}: {:?}", headers[TIMEOUT]);
        }
        let mut headers = HeaderMap::new();
        pass_on(Instant::now(), &mut headers);
        assert!(headers.is_empty(), "who set none gets none");
    }
}
