//! Failures: why a try has no answer, in the words that retries, breakers and health go by.
//!
//! Relied on by `upstream`.

use http::{HeaderName, HeaderValue, Request, header};

use crate::{
    body::Body,
    error::{Error, ErrorKind},
    exchange::Upload,
};

/// Says that a limit of `circuit_breaker` refused the call, not the upstream.
const OVERLOADED: HeaderName = HeaderName::from_static("x-supergate-overloaded");

/// Why a try has no answer.
#[derive(Debug)]
pub struct Failure {
    /// What kind of thing went wrong.
    pub fault: Fault,
    /// What the caller is told.
    pub error: Error,
    /// The request, when nothing of it was sent.
    pub unsent: Option<Box<Request<Body>>>,
}

/// What went wrong with a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No connection, so nothing was sent.
    Connect,
    /// The connection broke before an answer.
    Reset {
        /// It had been used before, so the upstream may have closed it in the moment we wrote.
        is_reused: bool,
    },
    /// What came is not an answer.
    Invalid,
    /// Nothing came in time.
    Timeout,
    /// The body that was to be sent broke.
    Request,
    /// It was not tried: too many are under way.
    Overflow,
}

impl Failure {
    /// This fault, and what the caller is told of it.
    pub fn new(fault: Fault, error: Error) -> Self {
        Self { fault, error, unsent: None }
    }

    /// The same, with the request of which nothing was sent.
    #[must_use]
    pub fn with_unsent(mut self, request: Request<Body>) -> Self {
        self.unsent = Some(Box::new(request));
        self
    }

    /// It took too long: for want of an answer, or of the body that was to be sent.
    pub fn late(upload: Option<&Upload>) -> Self {
        if upload.is_some_and(Upload::is_awaited) {
            let error = Error::new(ErrorKind::RequestTimeout, "the request's body did not go on");
            return Self::new(Fault::Request, error);
        }
        Self::new(Fault::Timeout, late())
    }
}

/// No answer in time.
pub fn late() -> Error {
    Error::new(ErrorKind::UpstreamTimeout, "no answer before the deadline")
}

/// A limit of ours is reached: refused at once, and worth another try soon.
pub fn overloaded(why: &'static str) -> Error {
    let error = Error::new(ErrorKind::UpstreamUnavailable, why);
    error.with_header(header::RETRY_AFTER, HeaderValue::from(1)).with_header(OVERLOADED, HeaderValue::from_static("true"))
}
