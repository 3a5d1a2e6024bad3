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
pub mod proxy_protocol;
pub mod retry;
pub mod service;
mod shaping;
pub mod slow_start;
pub mod tls;

use std::{
    fmt,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Uri, uri::PathAndQuery};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::timeout_at;
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

use self::{
    dedupe::{Flights, Key},
    failure::{late, overloaded},
    headers::Rules,
    retry::Ticket,
    service::Service,
};
pub use self::{
    failure::{Failure, Fault},
    proxy_protocol::{Client, ProxyProtocol},
    service::{Remake, Slot, copy},
    shaping::{RequestCompression, ShapingConfig},
};
use crate::{
    body::{Body, Reader},
    coding::Encoding,
    error::Error,
    exchange::{Exchange, Upload},
    telemetry::{metrics::Metrics, traces::TraceContext},
    units::{Percent, Span},
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
    /// Where a smaller share of the endpoints is well, calls go to all of them, well or not: those that are left could not bear
    /// them. Unless given, that is done only when none is well.
    pub panic_threshold: Percent,
    /// Endpoints that are new or back get their share little by little; at once when absent.
    pub slow_start: Option<slow_start::SlowStartConfig>,
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
    /// Tells the upstream the client's address before everything else, on a connection for that call alone.
    pub proxy_protocol: Option<proxy_protocol::ProxyProtocol>,
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            dns: None,
            balance: balance::BalanceConfig::default(),
            panic_threshold: Percent(0),
            slow_start: None,
            connect_timeout: Span::seconds(5),
            pool: pool::PoolConfig::default(),
            health_check: None,
            outlier_detection: None,
            circuit_breaker: breaker::BreakerConfig::default(),
            retry: retry::RetryConfig::default(),
            tls: tls::UpstreamTlsConfig::default(),
            proxy_protocol: None,
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
    pub trace: Option<TraceContext>,
}

/// How the whole answer to a call is taken.
pub struct Taking {
    /// Up to which size.
    pub limit: usize,
    /// Who looks at it while it arrives, unless it is encoded. What is found out is in the answer's extensions.
    pub reader: Option<Box<dyn Reader>>,
}

impl From<usize> for Taking {
    fn from(limit: usize) -> Self {
        Self { limit, reader: None }
    }
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

impl Upstream {
    /// The upstream of this configuration. With health checks or DNS it must be made inside a Tokio runtime.
    ///
    /// # Errors
    /// Says what of the configuration cannot be used.
    pub fn new(name: Arc<str>, config: &UpstreamConfig, metrics: Arc<Metrics>) -> Result<Self, String> {
        let uri = config.endpoints.first().and_then(|endpoint| endpoint.url.parse().ok()).unwrap_or_default();
        let service = Service::start(name.clone(), config, metrics)?;
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

    /// Whether requests of REST routes may be sent twice whatever their method.
    pub fn repeats_all(&self) -> bool {
        self.service.repeats_all()
    }

    /// Whether a call that ended so may be made to another service instead, by the rules for retries of this one: with room in the
    /// budget, which the ticket takes until it is dropped.
    pub fn admit_other(&self, result: &Result<Reply, Error>) -> Option<Ticket<'_>> {
        self.service.admit_other(result)
    }

    /// Completes a request by the rules of this upstream: its headers, and for whom it is.
    pub fn prepare(&self, exchange: &Exchange, request: &mut Request<Body>) {
        self.rules.apply_to_request(&exchange.headers, request.headers_mut());
        self.service.introduce(exchange, request);
    }

    /// Sends a call to one of the endpoints: headers, then `Service::call`. Where the request must be sent again, `remake` makes and
    /// prepares it.
    ///
    /// # Errors
    /// One of the `Upstream…` kinds.
    pub fn call<'a>(
        &'a self,
        exchange: &Exchange,
        mut call: Call,
        remake: Option<Remake<'a>>,
    ) -> impl Future<Output = Result<Reply, Error>> + Send + use<'a> {
        self.prepare(exchange, &mut call.request);
        self.service.call(call, self.service.key(exchange), remake)
    }

    /// Sends a call and reads its whole answer. Where `deduplicate_query` is on, identical idempotent
    /// calls in flight share one answer: identical in everything that is sent, headers included.
    ///
    /// # Errors
    /// One of the `Upstream…` kinds.
    pub async fn fetch(
        &self,
        exchange: &Exchange,
        mut call: Call,
        taking: impl Into<Taking>,
    ) -> Result<http::Response<Bytes>, Error> {
        self.prepare(exchange, &mut call.request);
        let deadline = call.deadline;
        let hash = self.service.key(exchange);
        let flights = self.flights.as_ref().filter(|_| call.is_idempotent);
        let shared = flights.and_then(|flights| Some((flights, Key::of(&call.request)?)));
        if let Some(encoding) = self.encoding {
            shaping::encode(encoding, &mut call.request)?;
        }
        let work = self.service.clone().fetch(call, hash, taking.into());
        match shared {
            None => work.await,
            Some((flights, key)) => {
                let flight = flights.join(key, || Box::pin(work));
                timeout_at(deadline.into(), flight).await.unwrap_or_else(|_| Err(late()))
            }
        }
    }

    /// Sends a call that the exchange does not wait for: what it gives lives on by itself.
    pub fn send_aside(
        &self,
        exchange: &Exchange,
        mut call: Call,
        limit: usize,
    ) -> impl Future<Output = Result<http::Response<Bytes>, Error>> + Send + use<> {
        self.rules.apply_to_request(&exchange.headers, call.request.headers_mut());
        self.service.clone().fetch(call, self.service.key(exchange), limit.into())
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

/// A number that differs each time; for spreading load, not for secrets.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
