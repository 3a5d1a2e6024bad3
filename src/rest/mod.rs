//! The REST target: a request goes to an upstream as it came, streamed both ways.
//!
//! Relies on `upstream`; `pipeline` calls it.

pub mod rewrite;
mod tunnel;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use http::{HeaderValue, Method, Request, Response, StatusCode, header};

use self::rewrite::Rewrite;
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
    shares: Vec<(Arc<Upstream>, u32)>,
    total: u64,
    turn: AtomicU64,
    rewrite: Rewrite,
}

impl Proxy {
    /// A proxy to these upstreams, each with its share of the requests.
    ///
    /// # Errors
    /// When nobody has a share.
    pub fn new(shares: Vec<(Arc<Upstream>, u32)>, rewrite: Rewrite) -> Result<Self, String> {
        let total = shares.iter().map(|(_, weight)| u64::from(*weight)).sum();
        if total == 0 {
            return Err("no upstream has a weight".into());
        }
        Ok(Self { shares, total, turn: AtomicU64::new(0), rewrite })
    }

    /// Passes a request on and its response back.
    ///
    /// # Errors
    /// What the upstream's call fails with.
    pub async fn serve(&self, exchange: &mut Exchange, body: Body) -> Result<Response<Body>, Error> {
        let upstream = self.choose().ok_or_else(|| Error::bug("a route without an upstream"))?;
        exchange.upstream = Some(upstream.name().clone());
        let (uri, prefix) = self.rewrite.target(&exchange.uri)?;
        let mut request = Request::new(body);
        *request.method_mut() = exchange.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = rewrite::request_headers(exchange, prefix);
        let mut span = exchange.span.as_ref().map(RequestSpan::call);
        let is_idempotent = exchange.method.is_idempotent() && exchange.method != Method::TRACE;
        let (deadline, upload) = (exchange.deadline, exchange.upload.clone());
        let call = Call { request, deadline, upload, is_idempotent, trace: span.as_ref().map(RequestSpan::context) };
        let started = Instant::now();
        let result = upstream.call(exchange, call).await;
        exchange.upstream_time = started.elapsed();
        if let Some(span) = &mut span {
            describe(span, upstream, &result);
        }
        let mut response = result?;
        upstream.apply_to_response(response.headers_mut());
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            switch(exchange, &mut response)?;
        }
        Ok(response)
    }

    /// The upstream of the next request: every one gets its share, spread evenly over any stretch of requests. The multiples of
    /// the golden ratio, modulo one, are as even as a sequence can be.
    fn choose(&self) -> Option<&Arc<Upstream>> {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        if let [(only, _)] = self.shares.as_slice() {
            return Some(only);
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed).wrapping_mul(GOLDEN);
        let mut point = u64::try_from((u128::from(turn) * u128::from(self.total)) >> 64).unwrap_or_default();
        self.shares.iter().find_map(|(upstream, weight)| match point.checked_sub(u64::from(*weight)) {
            Some(left) => {
                point = left;
                None
            }
            None => Some(upstream),
        })
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
    span.name(format_args!("upstream {}", upstream.name()));
    match result {
        Ok(response) => span.set("http.response.status_code", i64::from(response.status().as_u16())),
        Err(error) => span.fail(error.kind.code()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;
    use crate::{telemetry::metrics::Metrics, upstream::UpstreamConfig};

    #[test]
    fn shares_are_exact_and_evenly_spread() {
        let upstream = |name: &str| Arc::new(Upstream::new(name.into(), &UpstreamConfig::default(), Metrics::new()).unwrap());
        let proxy = Proxy::new(vec![(upstream("v1"), 90), (upstream("v2"), 10)], Rewrite::Keep).unwrap();
        let picks: Vec<bool> = (0..10_000).map(|_| &**proxy.choose().unwrap().name() == "v2").collect();
        let count = picks.iter().filter(|is_second| **is_second).count();
        assert!((990..=1_010).contains(&count), "{count}");
        for stretch in picks.chunks(100) {
            let count = stretch.iter().filter(|is_second| **is_second).count();
            assert!((8..=12).contains(&count), "{count} of 100");
        }
        assert!(Proxy::new(Vec::new(), Rewrite::Keep).is_err());
    }
}
