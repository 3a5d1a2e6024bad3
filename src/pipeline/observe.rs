//! What metrics, traces and the access log learn of every exchange, whatever becomes of it.
//!
//! Counted when the response's head is there; logged, and the span ended, when its body has ended. A client that leaves earlier is
//! counted and logged as well, with nginx's status 499. Relied on by `pipeline::handle`.

use std::{sync::Arc, time::Instant};

use http::StatusCode;

use super::access_log::{AccessLog, Outcome};
use crate::{
    error::ErrorKind,
    exchange::{Exchange, Planning},
    telemetry::{
        metrics::{Active, ExchangeFacts, Metrics},
        traces::{RequestSpan, Tracer},
    },
};

/// The ears of the pipeline.
#[derive(Clone, Debug)]
pub struct Observer {
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Where the exchanges came in, where there are several places.
    pub listener: Option<Arc<str>>,
    /// Lines, unless they are off.
    pub access_log: Option<Arc<AccessLog>>,
    /// Spans, unless they are off.
    pub tracer: Option<Arc<Tracer>>,
}

/// An exchange under observation. It is logged when this is dropped: hold it in the response's body.
#[derive(Debug)]
pub struct Observed {
    /// The exchange.
    pub exchange: Exchange,
    observer: Arc<Observer>,
    outcome: Option<Outcome>,
    _active: Active,
}

impl Observer {
    /// Begins to observe an exchange; starts its span. From here on it stays where it is in memory until its end.
    pub fn begin(self: &Arc<Self>, mut exchange: Exchange) -> Box<Observed> {
        exchange.span = self.tracer.as_ref().map(|tracer| tracer.start(&exchange.headers, exchange.started));
        Box::new(Observed { exchange, observer: self.clone(), outcome: None, _active: self.metrics.request() })
    }
}

impl Observed {
    /// Counts the exchange: the head of its response is there.
    pub fn answered(&mut self, status: StatusCode, error: Option<ErrorKind>) {
        self.outcome = Some(Outcome { status, error });
        let exchange = &self.exchange;
        let duration = exchange.started.elapsed();
        let metrics = &self.observer.metrics;
        metrics.exchange(&ExchangeFacts {
            listener: self.observer.listener.as_ref(),
            method: &exchange.method,
            route: &exchange.route,
            status,
            consumer: exchange.identity.as_ref().map_or("", |identity| &identity.subject),
            duration,
            error,
        });
        if let Some(operation) = &exchange.operation {
            metrics.operation(operation.name.as_ref(), operation.kind, operation.errors, duration);
            if let Some(cost) = operation.cost {
                metrics.operation_cost(cost);
            }
            if let Some(planning) = operation.planning {
                metrics.cache("plan", matches!(planning, Planning::Cached | Planning::Shared));
            }
            match operation.planning {
                Some(Planning::Made(duration)) => metrics.planning(true, duration),
                Some(Planning::Failed(duration)) => metrics.planning(false, duration),
                Some(Planning::Cached | Planning::Shared) | None => {}
            }
        }
        if let Some(is_cached) = exchange.is_document_cached {
            metrics.cache("document", is_cached);
        }
        if let Some(mut span) = self.exchange.span.take() {
            describe(&mut span, &self.exchange, status, error);
            if let Some(listener) = &self.observer.listener {
                span.set("listener", &**listener);
            }
            self.exchange.span = Some(span);
        }
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        if self.outcome.is_none() {
            self.answered(client_left(), None);
        }
        if self.observer.access_log.is_none() && self.exchange.span.is_none() {
            return;
        }
        let ended = Instant::now();
        if let (Some(log), Some(outcome)) = (&self.observer.access_log, self.outcome) {
            log.write(&self.exchange, self.observer.listener.as_deref(), outcome, ended);
        }
        if let Some(span) = self.exchange.span.take() {
            span.end(ended);
        }
    }
}

/// The status that nginx logs when the client closed before it was answered.
fn client_left() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)
}

/// The attributes of OpenTelemetry's HTTP conventions, and the shorter ones that gateways' dashboards look for.
fn describe(span: &mut RequestSpan, exchange: &Exchange, status: StatusCode, error: Option<ErrorKind>) {
    let (method, route) = (exchange.method.as_str(), &*exchange.route);
    let status_code = i64::from(status.as_u16());
    match exchange.operation.as_ref().map(|operation| (operation.kind, operation.name.as_deref())) {
        Some((kind, Some(name))) => span.name(&[method, route, kind, name]),
        _ => span.name(&[method, route]),
    }
    span.set("http.request.method", method);
    span.set("http.method", method);
    span.set("http.url", exchange.uri.path());
    span.set("http.route", route);
    span.set("http.response.status_code", status_code);
    span.set("http.status_code", status_code);
    if let Some(identity) = &exchange.identity {
        span.set("consumer", &*identity.subject);
    }
    if let Some(operation) = &exchange.operation {
        span.set("graphql.operation.type", operation.kind);
        span.set("graphql.operation.name", operation.name.as_deref().unwrap_or_default());
    }
    if let Some(kind) = error.filter(|_| status.is_server_error()) {
        span.fail(kind.code());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::exchange::Peer;

    #[test]
    fn an_exchange_is_counted_once_and_also_when_its_client_leaves() {
        let metrics = Metrics::new();
        let observer = Arc::new(Observer { metrics: metrics.clone(), listener: None, access_log: None, tracer: None });
        let begin = || {
            let (head, ()) = http::Request::get("/").body(()).unwrap().into_parts();
            let peer = Peer { address: "127.0.0.1:1".parse().unwrap(), is_tls: false };
            observer.begin(Exchange::new(peer, head, Duration::from_secs(1)))
        };
        let mut answered = begin();
        answered.answered(StatusCode::OK, None);
        drop(answered);
        assert!(metrics.encode().contains("api_active_requests 0"));
        let left = begin();
        assert!(metrics.encode().contains("api_active_requests 1"));
        drop(left);
        let text = metrics.encode();
        for status in ["200", "499"] {
            let line = format!(r#"api_requests_total{{method="GET",route="",status_code="{status}",consumer=""}} 1"#);
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
    }
}
