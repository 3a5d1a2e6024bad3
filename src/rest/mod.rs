//! The REST target: a request goes to an upstream as it came, streamed both ways.
//!
//! Relies on `upstream`; `pipeline` calls it.

pub mod aggregate;
mod interim;
pub mod mirror;
pub mod rewrite;
pub mod split;
mod tunnel;

use std::time::Instant;

use http::{HeaderValue, Request, Response, StatusCode, Version, header};

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

    /// Whether nothing is waited for but the upstream's call, which has a deadline.
    pub fn is_punctual(&self) -> bool {
        self.mirror.is_none()
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
            request = Box::pin(mirror.copy(exchange, request)).await?;
        }
        interim::listen(exchange, &mut request);
        let started = Instant::now();
        let span = exchange.span.as_ref().map(|span| span.call(started));
        let is_idempotent = exchange.method.is_idempotent() || upstream.repeats_all();
        let (deadline, upload) = (exchange.deadline, exchange.upload.clone());
        let call = Call { request, deadline, upload, is_idempotent, trace: span.as_ref().map(RequestSpan::context) };
        // Large, and moved once this way instead of with every step around it.
        let result = Box::pin(upstream.call(exchange, call)).await;
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
        } else if leaves_body(exchange, response.status()) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

/// Whether a client must be told that the rest of its body is not wanted: it was refused while it was being sent, or before.
/// Only HTTP/1 has no other way to stop it than to close the connection.
fn leaves_body(exchange: &Exchange, status: StatusCode) -> bool {
    let is_refused = status.is_client_error() || status.is_server_error() || exchange.headers.contains_key(header::EXPECT);
    let is_arriving = exchange.upload.as_ref().is_some_and(|upload| !upload.is_over());
    is_arriving && is_refused && exchange.version <= Version::HTTP_11
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::{exchange::Peer, telemetry::metrics::Metrics, upstream::UpstreamConfig};

    /// The future of a call is moved several times for every request: what is rare and large stays in boxes of its own.
    #[test]
    fn the_future_of_a_call_is_small() {
        let upstream = Upstream::new("one".into(), &UpstreamConfig::default(), Metrics::new()).unwrap();
        let proxy = Proxy::new(Split::one(Arc::new(upstream.clone())), Rewrite::default(), None);
        let (head, ()) = Request::get("/").body(()).unwrap().into_parts();
        let peer = Peer { address: "192.0.2.9:1".parse().unwrap(), is_tls: false };
        let mut exchange = Exchange::new(peer, head, Duration::ZERO);
        let request = Request::new(Body::empty());
        let call = Call { request, deadline: exchange.deadline, upload: None, is_idempotent: true, trace: None };
        let inner = std::mem::size_of_val(&upstream.call(&exchange, call));
        let size = std::mem::size_of_val(&proxy.serve(&mut exchange, Body::empty()));
        assert!(size < 1_500, "{size} bytes, of which the upstream's call has {inner}");
    }
}
