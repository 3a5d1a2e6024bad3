//! Every request that we make: one order for subgraph fetches and REST alike.
//!
//! Relies on the leaves only. The targets (`graphql`, `rest`) call it; `snapshot` builds it.

pub mod balance;
pub mod breaker;
pub mod dedupe;
pub mod discovery;
mod failure;
pub mod headers;
pub mod health;
pub mod pool;
pub mod retry;
mod shaping;
pub mod tls;

use std::{
    fmt,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header, uri::PathAndQuery};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::timeout_at;
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

use self::{
    balance::{Balance, Candidate},
    breaker::Breaker,
    dedupe::{Flights, Key},
    failure::late,
    headers::Rules,
    health::{Health, HealthCheckConfig},
    pool::Pool,
    retry::Retry,
};
pub use self::{
    failure::{Failure, Fault},
    shaping::{RequestCompression, ShapingConfig},
};
use crate::{
    body::Body,
    coding::{self, Encoding},
    error::{Error, ErrorKind},
    exchange::{Exchange, Upload, within},
    telemetry::{metrics::Metrics, traces::RequestSpan},
    units::Span,
};

/// A service that we call, as `upstreams:` describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamConfig {
    /// Its addresses; or `dns`.
    pub endpoints: Vec<discovery::EndpointConfig>,
    /// A name whose addresses are its endpoints; or `endpoints`.
    pub dns: Option<discovery::DnsConfig>,
    /// Which endpoint takes a call.
    pub balance: balance::BalanceConfig,
    /// How long connecting may take.
    pub connect_timeout: Span,
    /// Connections kept alive.
    pub pool: pool::PoolConfig,
    /// Active checks; none when absent.
    pub health_check: Option<health::HealthCheckConfig>,
    /// Leave out endpoints that fail; none when absent.
    pub outlier_detection: Option<health::OutlierDetectionConfig>,
    /// The most that may be under way, and when calls are refused.
    pub circuit_breaker: breaker::BreakerConfig,
    /// Which calls are sent again.
    pub retry: retry::RetryConfig,
    /// TLS of `https` endpoints.
    pub tls: tls::UpstreamTlsConfig,
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            dns: None,
            balance: balance::BalanceConfig::default(),
            connect_timeout: Span::seconds(5),
            pool: pool::PoolConfig::default(),
            health_check: None,
            outlier_detection: None,
            circuit_breaker: breaker::BreakerConfig::default(),
            retry: retry::RetryConfig::default(),
            tls: tls::UpstreamTlsConfig::default(),
        }
    }
}

/// One outgoing request.
#[derive(Debug)]
pub struct Call {
    /// Method, path and query, the target's own headers, and body. Scheme and authority are those of the endpoint that is
    /// chosen; a `Host` header is kept when there is one.
    pub request: Request<Body>,
    /// When the answer must be there, unless the body is still arriving then.
    pub deadline: Instant,
    /// How far the body is, when it still arrives.
    pub upload: Option<Arc<Upload>>,
    /// Whether it may be sent twice.
    pub is_idempotent: bool,
    /// The span under which the call is traced.
    pub span: Option<RequestSpan>,
}

/// The answer to a call; its body may still be arriving.
pub type Reply = http::Response<Body>;

/// A service that we call: its endpoints, its pools and its policies.
#[derive(Clone, Debug)]
pub struct Upstream {
    name: Arc<str>,
    uri: Uri,
    rules: Rules,
    /// How request bodies are encoded.
    encoding: Option<Encoding>,
    flights: Option<Arc<Flights>>,
    service: Arc<Service>,
}

/// What all users of an upstream share.
#[derive(Debug)]
struct Service {
    name: Arc<str>,
    endpoints: Vec<Endpoint>,
    balance: Balance,
    health: Health,
    breaker: Breaker,
    retry: Retry,
    metrics: Arc<Metrics>,
}

/// One address of a service.
#[derive(Debug)]
struct Endpoint {
    host: HeaderValue,
    /// Goes before the path of every request; empty, or without a slash at its end.
    base: Box<str>,
    weight: u32,
    under_way: AtomicUsize,
    pool: Arc<Pool>,
}

/// TLS to one endpoint.
#[derive(Clone)]
pub struct Secure {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl fmt::Debug for Secure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Secure").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A call's place among those under way, until the body of its answer has ended.
#[derive(Debug)]
pub struct Slot {
    service: Arc<Service>,
    endpoint: usize,
}

impl Upstream {
    /// The upstream of this configuration. With health checks it must be made inside a Tokio runtime.
    ///
    /// # Errors
    /// Says what of the configuration cannot be used.
    pub fn new(name: Arc<str>, config: &UpstreamConfig, metrics: Arc<Metrics>) -> Result<Self, String> {
        let endpoints = config.endpoints.iter().map(|endpoint| Endpoint::new(endpoint, config)).collect::<Result<Vec<_>, _>>()?;
        let weights: Vec<u32> = endpoints.iter().map(|endpoint| endpoint.weight).collect();
        let uri = config.endpoints.first().and_then(|endpoint| endpoint.url.parse().ok()).unwrap_or_default();
        let service = Arc::new(Service {
            balance: Balance::new(&config.balance, &weights)?,
            health: Health::new(config.outlier_detection.as_ref(), endpoints.len()),
            breaker: Breaker::new(&config.circuit_breaker),
            retry: Retry::new(&config.retry),
            name: name.clone(),
            endpoints,
            metrics,
        });
        service.metrics.upstream_healthy(&service.name, service.endpoints.len());
        if let Some(check) = &config.health_check {
            tokio::spawn(check_health(Arc::downgrade(&service), check.clone()));
        }
        Ok(Self { name, uri, rules: Rules::default(), encoding: None, flights: None, service })
    }

    /// The same service as a route calls it.
    #[must_use]
    pub fn for_route(&self, rules: Rules) -> Self {
        Self { rules, flights: None, ..self.clone() }
    }

    /// The same service as a subgraph: its requests go to `uri`'s path.
    #[must_use]
    pub fn for_subgraph(&self, name: Arc<str>, uri: Uri, rules: Rules, shaping: &ShapingConfig) -> Self {
        let path = uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        Self {
            name,
            uri: path.into(),
            rules,
            encoding: shaping.compression.map(|RequestCompression::Gzip| Encoding::Gzip),
            flights: shaping.deduplicate_query.then(Arc::default),
            service: self.service.clone(),
        }
    }

    /// The name in `router.yaml`.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Path (and query) of its GraphQL endpoint, for subgraphs: the target that a fetch's request must have.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Sends a call to one of the endpoints: headers, then `Service::call`.
    ///
    /// # Errors
    /// One of the `Upstream…` kinds.
    pub async fn call(&self, exchange: &Exchange, mut call: Call) -> Result<Reply, Error> {
        self.rules.apply_to_request(&exchange.headers, call.request.headers_mut());
        let key = self.service.balance.key(exchange);
        self.service.call(call, key).await
    }

    /// Sends a call and reads its whole answer, at most `limit` bytes. Where `deduplicate_query` is on, identical idempotent
    /// calls in flight share one answer: identical in everything that is sent, headers included.
    ///
    /// # Errors
    /// One of the `Upstream…` kinds.
    pub async fn fetch(&self, exchange: &Exchange, mut call: Call, limit: usize) -> Result<http::Response<Bytes>, Error> {
        self.rules.apply_to_request(&exchange.headers, call.request.headers_mut());
        let deadline = call.deadline;
        let hash = self.service.balance.key(exchange);
        let flights = self.flights.as_ref().filter(|_| call.is_idempotent);
        let shared = flights.and_then(|flights| Some((flights, Key::of(&call.request)?)));
        if let Some(encoding) = self.encoding {
            shaping::encode(encoding, &mut call.request)?;
        }
        let work = self.service.clone().fetch(call, hash, limit);
        match shared {
            None => work.await,
            Some((flights, key)) => {
                let flight = flights.join(key, || Box::pin(work));
                timeout_at(deadline.into(), flight).await.unwrap_or_else(|_| Err(late()))
            }
        }
    }

    /// Applies the rules for responses to an answer that goes to the client as it is otherwise.
    pub fn apply_to_response(&self, response: &mut HeaderMap) {
        self.rules.apply_to_response(response);
    }

    /// Applies the rules for responses to one of several answers: what of `reply`'s headers the client's response gets. For
    /// GraphQL, called once per fetch with the `response_headers` of the exchange; the rules say whether the first, the last or
    /// all values count.
    pub fn propagate_response(&self, reply: &HeaderMap, response: &mut HeaderMap) {
        self.rules.collect_response(reply, response);
    }
}

impl Service {
    /// Breaker, then tries. Every try chooses an endpoint, takes a connection and sends.
    async fn call(self: &Arc<Self>, call: Call, key: Option<u64>) -> Result<Reply, Error> {
        let started = Instant::now();
        self.breaker.admit().inspect_err(|error| self.metrics.upstream_error(&self.name, error.kind))?;
        let result = self.try_all(call, key).await;
        if let Some(state) = self.breaker.record(is_good(&result)) {
            self.metrics.circuit_breaker_state(&self.name, state as i64);
            tracing::info!(upstream = %self.name, ?state, "the circuit breaker changes");
        }
        match result {
            Ok(mut reply) => {
                self.metrics.upstream_answer(&self.name, reply.status(), started.elapsed());
                if reply.status() != StatusCode::SWITCHING_PROTOCOLS {
                    headers::strip_hop_by_hop(reply.headers_mut());
                }
                Ok(reply)
            }
            Err(failure) => {
                self.metrics.upstream_error(&self.name, failure.error.kind);
                Err(failure.error)
            }
        }
    }

    async fn fetch(self: Arc<Self>, call: Call, key: Option<u64>, limit: usize) -> Result<http::Response<Bytes>, Error> {
        let deadline = call.deadline;
        let (head, body) = self.call(call, key).await?.into_parts();
        let body = body.collect(limit, ErrorKind::UpstreamTooLarge, ErrorKind::UpstreamInvalid);
        let body = timeout_at(deadline.into(), body).await.unwrap_or_else(|_| Err(late()))?;
        let body = coding::decode(&head.headers, body, limit)
            .map_err(|reason| reason.error(ErrorKind::UpstreamTooLarge, ErrorKind::UpstreamInvalid))?;
        Ok(http::Response::from_parts(head, body))
    }

    async fn try_all(self: &Arc<Self>, call: Call, key: Option<u64>) -> Result<Reply, Failure> {
        let Call { mut request, deadline, upload, is_idempotent, span } = call;
        let time = (deadline, upload.as_deref());
        if let Some(span) = &span {
            span.inject(request.headers_mut());
        }
        let is_replayable = self.retry.is_possible(is_idempotent);
        let mut avoid = None;
        let mut tries = 0;
        let mut ticket = None;
        loop {
            let spare = if is_replayable { replay(&request) } else { None };
            let endpoint = self.choose(key, avoid);
            let result = self.try_one(request, endpoint, time).await;
            let outcome = result.as_ref().map(http::Response::status).map_err(|failure| failure.fault);
            let Some(next) = spare else { return result };
            let is_stale = tries == 0 && outcome == Err(Fault::Reset { is_reused: true });
            drop(ticket.take());
            if !is_stale {
                let admitted = self.retry.admit(outcome, tries, self.breaker.under_way());
                if admitted.is_none() {
                    return result;
                }
                // Held until the retry's outcome is there.
                ticket = admitted;
                let pause = Retry::pause(tries, random());
                if Instant::now() + pause >= deadline {
                    return result;
                }
                tokio::time::sleep(pause).await;
            }
            (request, avoid, tries) = (next, Some(endpoint), tries + 1);
        }
    }

    fn choose(&self, key: Option<u64>, avoid: Option<usize>) -> usize {
        if self.endpoints.len() <= 1 {
            return 0;
        }
        let candidate = |(index, endpoint): (usize, &Endpoint)| Candidate {
            weight: endpoint.weight,
            load: endpoint.under_way.load(Ordering::Relaxed),
            is_available: self.health.is_available(index),
        };
        let candidates: Vec<_> = self.endpoints.iter().enumerate().map(candidate).collect();
        self.balance.choose(&candidates, key, avoid).unwrap_or_default()
    }

    async fn try_one(
        self: &Arc<Self>,
        mut request: Request<Body>,
        index: usize,
        (deadline, upload): (Instant, Option<&Upload>),
    ) -> Result<Reply, Failure> {
        let Some(endpoint) = self.endpoints.get(index) else {
            let error = Error::new(ErrorKind::UpstreamUnavailable, "there is no endpoint");
            return Err(Failure { fault: Fault::Connect, error });
        };
        self.breaker.enter().map_err(|error| Failure { fault: Fault::Overflow, error })?;
        endpoint.under_way.fetch_add(1, Ordering::Relaxed);
        let slot = Slot { service: self.clone(), endpoint: index };
        endpoint.address(&mut request)?;
        let until = self.retry.per_try_timeout().map_or(deadline, |limit| deadline.min(Instant::now() + limit));
        let sent = within(until, upload, endpoint.pool.send(request, Some(slot))).await;
        let result = sent.unwrap_or_else(|| Err(Failure::late(upload)));
        if self.health.record(index, is_good(&result)) {
            let available = self.health.available();
            self.metrics.upstream_healthy(&self.name, available);
            tracing::warn!(upstream = %self.name, host = ?endpoint.host, available, "an endpoint is ejected");
        }
        result
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.service.breaker.leave();
        if let Some(endpoint) = self.service.endpoints.get(self.endpoint) {
            endpoint.under_way.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Endpoint {
    fn new(config: &discovery::EndpointConfig, upstream: &UpstreamConfig) -> Result<Self, String> {
        let url: Uri = config.url.parse().map_err(|_| format!("`{}` is not a URL", config.url))?;
        let authority = url.authority().ok_or_else(|| format!("`{}` has no host", config.url))?;
        let (port, secure) = match url.scheme_str() {
            Some("http") => (80, None),
            Some("https") => (443, Some(tls::secure(&upstream.tls, authority.host(), upstream.pool.http2.protocols())?)),
            _ => return Err(format!("`{}` is neither http:// nor https://", config.url)),
        };
        let port = url.port_u16().unwrap_or(port);
        let settings = pool::Settings {
            config: upstream.pool.clone(),
            connect_timeout: upstream.connect_timeout.0,
            max_connections: upstream.circuit_breaker.max_connections as usize,
            max_pending: upstream.circuit_breaker.max_pending_requests as usize,
        };
        Ok(Self {
            host: authority.as_str().parse().map_err(|_| format!("`{authority}` is not a host"))?,
            base: url.path().trim_end_matches('/').into(),
            weight: config.weight,
            under_way: AtomicUsize::new(0),
            pool: Pool::new(authority.host(), port, secure, settings),
        })
    }

    /// One check.
    async fn is_healthy(&self, config: &HealthCheckConfig) -> bool {
        let request = Request::get(config.path.as_str()).header(header::HOST, &self.host).body(Body::empty());
        let Ok(request) = request else { return false };
        let answer = tokio::time::timeout(config.timeout.0, self.pool.send(request, None)).await;
        answer.is_ok_and(|answer| answer.is_ok_and(|answer| answer.status().is_success()))
    }

    /// Completes a request for this endpoint: its target, and `Host` unless there is one.
    fn address(&self, request: &mut Request<Body>) -> Result<(), Failure> {
        if !request.headers().contains_key(header::HOST) {
            request.headers_mut().insert(header::HOST, self.host.clone());
        }
        let target = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
        if self.base.is_empty() && request.uri().scheme().is_none() {
            return Ok(());
        }
        let uri = format!("{}{target}", self.base).parse::<Uri>().map_err(|error| {
            let error = Error::bug(format!("the target `{target}` does not fit behind `{}`: {error}", self.base));
            Failure { fault: Fault::Request, error }
        })?;
        *request.uri_mut() = uri;
        Ok(())
    }
}

/// Whether the endpoint is well, for all that this outcome says.
fn is_good(result: &Result<Reply, Failure>) -> bool {
    match result {
        Ok(reply) => !reply.status().is_server_error(),
        Err(failure) => matches!(failure.fault, Fault::Request | Fault::Overflow),
    }
}

/// Checks every endpoint over and over, as long as the service is used.
async fn check_health(service: Weak<Service>, config: HealthCheckConfig) {
    /// The part of an interval by which checks of many gateways are spread.
    const JITTER: f64 = 0.1;
    while let Some(service) = service.upgrade() {
        let checks = service.endpoints.iter().enumerate().map(|(index, endpoint)| {
            let (service, config) = (&service, &config);
            async move {
                let is_success = endpoint.is_healthy(config).await;
                if let Some(is_healthy) = service.health.check(config, index, is_success) {
                    tracing::info!(upstream = %service.name, host = ?endpoint.host, is_healthy, "an endpoint's health changes");
                }
            }
        });
        futures_util::future::join_all(checks).await;
        service.metrics.upstream_healthy(&service.name, service.health.available());
        drop(service);
        let jitter = config.interval.0.mul_f64(JITTER * (random() >> 11) as f64 / (1_u64 << 53) as f64);
        tokio::time::sleep(config.interval.0 + jitter).await;
    }
}

/// A copy of a request whose body is all there.
fn replay(request: &Request<Body>) -> Option<Request<Body>> {
    let mut copy = Request::new(request.body().try_clone()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// A number that differs each time; for spreading load, not for secrets.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
