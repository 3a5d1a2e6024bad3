//! Every request that we make: one order for subgraph fetches and REST alike.
//!
//! Relies on the leaves only. The targets (`graphql`, `rest`) call it; `snapshot` builds it.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http::{HeaderMap, Uri};

use crate::{
    body::Body,
    error::{Error, ErrorKind},
    exchange::Exchange,
    telemetry::traces::RequestSpan,
};

/// One outgoing request.
#[derive(Debug)]
pub struct Call {
    /// Method, path and query, the target's own headers, and body. Scheme and authority are those of the endpoint that is
    /// chosen; a `Host` header is kept when there is one.
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
pub struct Upstream {
    name: Arc<str>,
    uri: Uri,
}

impl Upstream {
    /// The name in `router.yaml`.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Path (and query) of its GraphQL endpoint, for subgraphs: the target that a fetch's request must have.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Sends a call to one of the endpoints.
    ///
    /// # Errors
    /// One of the `Upstream…` kinds.
    pub async fn call(&self, exchange: &Exchange, call: Call) -> Result<Reply, Error> {
        let _ = (exchange, call);
        Err(Error::bug("not built yet"))
    }

    /// Sends a call and reads its whole answer, at most `limit` bytes. Where `deduplicate_query` is on, identical idempotent
    /// calls in flight share one answer: identical in everything that is sent, headers included.
    ///
    /// # Errors
    /// One of the `Upstream…` kinds.
    pub async fn fetch(&self, exchange: &Exchange, call: Call, limit: usize) -> Result<http::Response<Bytes>, Error> {
        let reply = self.call(exchange, call).await?;
        let (head, body) = reply.into_parts();
        let body = body.collect(limit, ErrorKind::UpstreamTooLarge, ErrorKind::UpstreamInvalid).await?;
        Ok(http::Response::from_parts(head, body))
    }

    /// Applies the `response` header rules: what of a reply's headers the client's response gets. For GraphQL, called once per
    /// fetch with the `response_headers` of the exchange; rules say whether the first, the last or all values count.
    pub fn propagate_response(&self, reply: &HeaderMap, response: &mut HeaderMap) {
        let _ = (reply, response);
    }
}
