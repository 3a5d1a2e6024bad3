//! Every request that we make: one order for subgraph fetches and REST alike.
//!
//! Relies on the leaves only. The targets (`graphql`, `rest`) call it; `snapshot` builds it.

pub mod balance;
pub mod breaker;
pub mod discovery;
pub mod headers;
pub mod health;
pub mod pool;
pub mod retry;
pub mod tls;

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http::{HeaderMap, Uri};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    body::Body,
    error::{Error, ErrorKind},
    exchange::Exchange,
    telemetry::traces::RequestSpan,
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

/// How subgraphs are called (`traffic_shaping.all`, and by name in `traffic_shaping.subgraphs`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ShapingConfig {
    /// How long a call may take, retries included.
    pub timeout: Span,
    /// Whether identical queries in flight share one call.
    pub deduplicate_query: bool,
    /// How request bodies are compressed; not at all when absent.
    pub compression: Option<RequestCompression>,
}

impl Default for ShapingConfig {
    fn default() -> Self {
        Self { timeout: Span::seconds(30), deduplicate_query: true, compression: None }
    }
}

/// A content coding of request bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RequestCompression {
    /// `gzip`
    Gzip,
}

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
