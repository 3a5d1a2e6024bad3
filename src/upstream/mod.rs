//! Every request that we make: one order for subgraph fetches and REST alike.

use std::time::Instant;

use crate::{body::Body, error::Error, telemetry::traces::RequestSpan};

/// One outgoing request.
#[derive(Debug)]
pub struct Call {
    /// Method, path and query, headers and body. Scheme and authority are those of the endpoint that is chosen.
    pub request: http::Request<Body>,
    /// When the answer must be there.
    pub deadline: Instant,
    /// Whether it may be sent twice.
    pub is_idempotent: bool,
    /// The span under which the call is traced.
    pub span: Option<RequestSpan>,
}

/// The answer to a call; its body may still be arriving.
pub type Reply = http::Response<Body>;

/// A service that we call: its endpoints, its pool and its policies.
#[derive(Debug)]
pub struct Upstream {}

impl Upstream {
    /// Sends a call to one of the endpoints.
    ///
    /// # Errors
    /// One of the `Upstream…` kinds.
    pub async fn call(&self, call: Call) -> Result<Reply, Error> {
        let _ = call;
        Err(Error::bug("not built yet"))
    }
}
