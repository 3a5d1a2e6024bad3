//! Failures: why a try has no answer, in the words that retries, breakers and health go by.
//!
//! Relied on by `upstream`.

use crate::{
    error::{Error, ErrorKind},
    exchange::Upload,
};

/// Why a try has no answer.
#[derive(Debug)]
pub struct Failure {
    /// What kind of thing went wrong.
    pub fault: Fault,
    /// What the caller is told.
    pub error: Error,
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
    /// It took too long: for want of an answer, or of the body that was to be sent.
    pub fn late(upload: Option<&Upload>) -> Self {
        if upload.is_some_and(Upload::is_awaited) {
            let error = Error::new(ErrorKind::RequestTimeout, "the request's body did not go on");
            return Self { fault: Fault::Request, error };
        }
        Self { fault: Fault::Timeout, error: late() }
    }
}

/// No answer in time.
pub fn late() -> Error {
    Error::new(ErrorKind::UpstreamTimeout, "no answer before the deadline")
}
