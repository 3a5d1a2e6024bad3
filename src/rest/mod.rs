//! The REST target: a request goes to an upstream as it came, streamed both ways.
//!
//! Relies on `upstream`; `pipeline` calls it.

use std::sync::Arc;

use http::Response;

use crate::{
    body::Body,
    error::Error,
    exchange::Exchange,
    upstream::{Call, Upstream},
};

/// Where a route's requests go, and how they are rewritten on the way.
#[derive(Debug)]
pub struct Proxy {
    upstream: Arc<Upstream>,
}

impl Proxy {
    /// Passes a request on and its response back.
    ///
    /// # Errors
    /// What the upstream's call fails with.
    pub async fn serve(&self, exchange: &mut Exchange, body: Body) -> Result<Response<Body>, Error> {
        let mut request = http::Request::new(body);
        *request.method_mut() = exchange.method.clone();
        *request.uri_mut() = exchange.uri.clone();
        let call = Call { request, deadline: exchange.deadline, is_idempotent: exchange.method.is_idempotent(), span: None };
        self.upstream.call(exchange, call).await
    }
}
