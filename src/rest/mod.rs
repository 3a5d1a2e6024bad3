//! The REST target: a request goes to an upstream as it came, streamed both ways.
//!
//! Relies on `upstream`; `pipeline` calls it.

pub mod aggregate;
pub mod mirror;
pub mod rewrite;
pub mod split;
mod tunnel;

use std::time::Instant;

use http::{HeaderValue, Method, Request, Response, StatusCode, header};

use self::{mirror::Mirror, rewrite::Rewrite, split::Split};
use crate::{
    body::Body,
    error::{Error, ErrorKind},
    exchange::Exchange,
    telemetry::traces::RequestSpan,
    upstream::{Call, Upstream},
};

/// Where a route's requests go, and how they are rewritten on the way.
#[derive(Debug)]
pub struct Proxy {
    split: Split,
    rewrite: Rewrite,
    mirror: Option<Mirror>,
}

impl Proxy {
    /// A proxy to the upstreams of `split`.
    pub fn new(split: Split, rewrite: Rewrite, mirror: Option<Mirror>) -> Self {
        Self { split, rewrite, mirror }
    }

    /// Passes a request on and its response back.
    ///
    /// # Errors
    /// What the upstream's call fails with.
    pub async fn serve(&self, exchange: &mut Exchange, body: Body) -> Result<Response<Body>, Error> {
        let upstream = self.split.choose(exchange).ok_or_else(|| Error::bug("a route without an upstream"))?;
        exchange.upstream = Some(upstream.name().clone());
        let (uri, prefix) = self.rewrite.target(&exchange.uri)?;
        let mut request = Request::new(body);
        *request.method_mut() = exchange.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = rewrite::request_headers(exchange, prefix);
        if let Some(mirror) = &self.mirror {
            request = mirror.copy(exchange, request).await?;
        }
        let started = Instant::now();
        let span = exchange.span.as_ref().map(|span| span.call(started));
        let is_idempotent = exchange.method.is_idempotent() && exchange.method != Method::TRACE;
        let (deadline, upload) = (exchange.deadline, exchange.upload.clone());
        let call = Call { request, deadline, upload, is_idempotent, trace: span.as_ref().map(RequestSpan::context) };
        let result = upstream.call(exchange, call).await;
        let ended = Instant::now();
        exchange.upstream_time = ended - started;
        if let Some(mut span) = span {
            describe(&mut span, upstream, &result);
            span.end(ended);
        }
        let mut response = result?;
        upstream.apply_to_response(response.headers_mut());
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            switch(exchange, &mut response)?;
        }
        Ok(response)
    }
}

/// Joins the two connections once both sides have switched: from then on bytes pass as they come.
fn switch(exchange: &mut Exchange, response: &mut Response<Body>) -> Result<(), Error> {
    let Some(client) = exchange.upgrade.take() else {
        return Err(Error::new(ErrorKind::UpstreamInvalid, "nobody had asked to switch protocols"));
    };
    let upstream = hyper::upgrade::on(&mut *response);
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.remove(header::TRANSFER_ENCODING);
    headers.remove(header::CONTENT_LENGTH);
    tokio::spawn(tunnel::join(client, upstream));
    Ok(())
}

/// What the span of a call says.
fn describe(span: &mut RequestSpan, upstream: &Upstream, result: &Result<Response<Body>, Error>) {
    span.name(&["upstream", upstream.name()]);
    match result {
        Ok(response) => span.set("http.response.status_code", i64::from(response.status().as_u16())),
        Err(error) => span.fail(error.kind.code()),
    }
}
