//! The REST target: a request goes to an upstream as it came, streamed both ways.
//!
//! Relies on `upstream`; `pipeline` calls it.

pub mod aggregate;
pub mod body;
mod interim;
pub mod mirror;
pub mod rewrite;
pub mod split;
mod tunnel;

use std::{sync::Arc, time::Instant};

use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::Body as _;

use self::{body::BodyRewrite, mirror::Mirror, rewrite::Rewrite, split::Split};
use crate::{
    body::Body,
    error::{Error, ErrorKind},
    exchange::Exchange,
    telemetry::traces::RequestSpan,
    upstream::{self, Call, Remake, Reply, Upstream},
};

/// Where a route's requests go, and how they are rewritten on the way.
#[derive(Debug)]
pub struct Proxy {
    split: Split,
    rewrite: Rewrite,
    mirror: Option<Mirror>,
    /// What few routes have.
    changes: Option<Box<Changes>>,
}

/// What a proxy changes of requests and answers beyond targets and headers.
#[derive(Debug, Default, PartialEq)]
pub struct Changes {
    /// The method that requests have from here on.
    pub method: Option<Method>,
    /// What becomes of their bodies.
    pub request_body: Option<BodyRewrite>,
    /// What becomes of those of answers.
    pub response_body: Option<BodyRewrite>,
    /// Whether what fails with one upstream is sent to another one.
    pub retry_other: bool,
}

impl Proxy {
    /// A proxy to the upstreams of `split`.
    pub fn new(split: Split, rewrite: Rewrite, mirror: Option<Mirror>) -> Self {
        Self { split, rewrite, mirror, changes: None }
    }

    /// The same with these changes.
    #[must_use]
    pub fn with_changes(mut self, changes: Changes) -> Self {
        self.changes = (changes != Changes::default()).then(|| Box::new(changes));
        self
    }

    /// Whether nothing is waited for but the upstream's call, which has a deadline.
    pub fn is_punctual(&self) -> bool {
        self.mirror.is_none() && self.changes.is_none()
    }

    /// Passes a request on and its response back.
    ///
    /// # Errors
    /// What the upstream's call fails with.
    pub async fn serve(&self, exchange: &mut Exchange, body: Body) -> Result<Response<Body>, Error> {
        let mut upstream = self.split.choose(exchange).ok_or_else(|| Error::bug("a route without an upstream"))?;
        exchange.upstream = Some(upstream.name().clone());
        let mut request = self.request(exchange, body)?;
        if let Some(changes) = &self.changes {
            Box::pin(changes.apply_to_request(&mut request)).await?;
        }
        if let Some(mirror) = &self.mirror {
            request = Box::pin(mirror.copy(exchange, request)).await?;
        }
        interim::listen(exchange, &mut request);
        let started = Instant::now();
        let span = exchange.span.as_ref().map(|span| span.call(started));
        let is_idempotent = request.method().is_idempotent() || upstream.repeats_all();
        let (deadline, upload) = (exchange.deadline, exchange.upload.clone());
        let call = Call { request, deadline, upload, is_idempotent, trace: span.as_ref().map(RequestSpan::context) };
        let retries_other = is_idempotent && self.changes.as_ref().is_some_and(|changes| changes.retry_other);
        // Large, and moved once this way instead of with every step around it.
        let result = if retries_other {
            Box::pin(self.call_either(&mut upstream, exchange, call)).await
        } else {
            let again = |body| self.again(exchange, upstream, body);
            // What changes requests is not gone through once more.
            let remake = self.changes.is_none().then_some(&again as Remake<'_>);
            Box::pin(upstream.call(exchange, call, remake)).await
        };
        let ended = Instant::now();
        exchange.upstream_time = ended - started;
        if let Some(mut span) = span {
            describe(&mut span, upstream, &result);
            span.end(ended);
        }
        let mut response = result?;
        exchange.upstream = Some(upstream.name().clone());
        upstream.apply_to_response(response.headers_mut());
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            switch(exchange, &mut response)?;
        } else if leaves_body(exchange, response.status()) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        match self.changes.as_ref().and_then(|changes| changes.response_body.as_ref()) {
            Some(rewrite) => Box::pin(rewritten(rewrite, exchange, response)).await,
            None => Ok(response),
        }
    }

    /// What goes on of the exchange's request, with this body.
    fn request(&self, exchange: &Exchange, body: Body) -> Result<Request<Body>, Error> {
        let (uri, prefix) = self.rewrite.target(&exchange.uri)?;
        let is_empty = body.is_end_stream();
        let mut request = Request::new(body);
        *request.method_mut() = exchange.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = rewrite::request_headers(exchange, prefix);
        if is_empty && matches!(exchange.method, Method::POST | Method::PUT | Method::PATCH) {
            // Where a body is expected its absence is said (RFC 9110, section 8.6): there are servers that ask for it with a 411.
            request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(0));
        }
        Ok(request)
    }

    /// The same once more, ready to be sent.
    fn again(&self, exchange: &Exchange, upstream: &Upstream, body: Body) -> Option<Request<Body>> {
        let mut request = self.request(exchange, body).ok()?;
        interim::listen(exchange, &mut request);
        upstream.prepare(exchange, &mut request);
        Some(request)
    }

    /// Makes a call, and if it fails in a way that its upstream's rules for retries cover, makes it to another one.
    async fn call_either<'s>(
        &'s self,
        upstream: &mut &'s Arc<Upstream>,
        exchange: &Exchange,
        call: Call,
    ) -> Result<Reply, Error> {
        let (call, copy) = upstream::copy(call).await?;
        let (first, deadline) = (*upstream, call.deadline);
        let result = first.call(exchange, call, None).await;
        let other = self.split.other(first).filter(|_| Instant::now() < deadline);
        let (Some(other), Some(copy)) = (other, copy) else { return result };
        let Some(_ticket) = first.admit_other(&result) else { return result };
        *upstream = other;
        other.call(exchange, copy, None).await
    }
}

impl Changes {
    async fn apply_to_request(&self, request: &mut Request<Body>) -> Result<(), Error> {
        if let Some(method) = &self.method {
            request.method_mut().clone_from(method);
        }
        if self.response_body.is_some() {
            // A part of it could not be changed.
            request.headers_mut().remove(header::RANGE);
        }
        let Some(rewrite) = &self.request_body else { return Ok(()) };
        let body = std::mem::replace(request.body_mut(), Body::empty());
        let body = rewrite.apply(request.headers_mut(), body).await?;
        *request.body_mut() = body;
        Ok(())
    }
}

/// An answer with another body.
async fn rewritten(rewrite: &BodyRewrite, exchange: &Exchange, response: Response<Body>) -> Result<Response<Body>, Error> {
    let (mut head, body) = response.into_parts();
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Response::from_parts(head, body));
    }
    if exchange.method == Method::HEAD {
        // The length of what is not sent is not known.
        head.headers.remove(header::CONTENT_LENGTH);
        return Ok(Response::from_parts(head, body));
    }
    let body = rewrite.apply(&mut head.headers, body).await?;
    Ok(Response::from_parts(head, body))
}

/// Whether a client must be told that the rest of its body is not wanted: it was refused while it was being sent, or before.
/// Only HTTP/1 has no other way to stop it than to close the connection.
fn leaves_body(exchange: &Exchange, status: StatusCode) -> bool {
    let is_arriving = exchange.upload.as_ref().is_some_and(|upload| !upload.is_over());
    let is_error = status.is_client_error() || status.is_server_error();
    let is_refused = || is_error || exchange.headers.contains_key(header::EXPECT);
    is_arriving && exchange.version <= Version::HTTP_11 && is_refused()
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
    let mut voice = None;
    if let Some(handshake) = &exchange.websocket {
        if !handshake.is_accepted(headers) {
            return Err(Error::new(ErrorKind::UpstreamInvalid, "the upstream's answer to the WebSocket's key is wrong"));
        }
        for name in [header::CONNECTION, header::UPGRADE, header::SEC_WEBSOCKET_ACCEPT] {
            headers.remove(name);
        }
        *response.status_mut() = StatusCode::OK;
        // One of several streams: as long as there is a voice, their connection is not idle.
        voice = exchange.voice.clone();
    }
    tokio::spawn(async move {
        tunnel::join(client, upstream).await;
        drop(voice);
    });
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
    use std::time::Duration;

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
        let inner = std::mem::size_of_val(&upstream.call(&exchange, call, None));
        let size = std::mem::size_of_val(&proxy.serve(&mut exchange, Body::empty()));
        assert!(size < 1_500, "{size} bytes, of which the upstream's call has {inner}");
    }
}
