//! REST routes as `routes:` lists them.
//!
//! Relied on by `config`, `check` and `snapshot`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    pipeline::{
        access::AuthorizationConfig,
        auth::AuthenticationConfig,
        cache::CacheConfig,
        compression::CompressionConfig,
        cors::CorsConfig,
        csrf::CsrfConfig,
        deprecation::DeprecationConfig,
        limits::LimitsConfig,
        rate_limit::RateLimitConfig,
        route::{MatchConfig, RewriteConfig},
    },
    rest::{
        aggregate::AggregateConfig,
        body::BodyConfig,
        mirror::MirrorConfig,
        split::{CanaryConfig, SplitConfig},
    },
    units::Span,
    upstream::{balance::HashConfig, headers::HeaderRulesConfig},
};

/// A REST route: what it matches, where it leads, and what differs from the blocks of the same names at the top. A field that
/// is absent from one of these blocks keeps the value that it has at the top.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// Name in metrics, logs and `headers.routes`; unique.
    pub name: String,
    /// Which requests it takes.
    #[serde(rename = "match", default)]
    pub matches: MatchConfig,
    /// Further requests that it takes: those that any of these matches.
    #[serde(default)]
    pub or: Vec<MatchConfig>,
    /// The listeners that have it; all when absent. `default` is the one at `supergraph.listen`.
    pub listeners: Option<Vec<String>>,
    /// The upstream that it leads to; or `split`, or `aggregate`.
    pub upstream: Option<String>,
    /// Several upstreams with their shares; or `upstream`.
    #[serde(default)]
    pub split: Vec<SplitConfig>,
    /// Whether a request that failed with one share of `split`, or one side of `canary`, and that the `retry` of that upstream covers,
    /// is sent once more, to another one.
    #[serde(default)]
    pub retry_other: bool,
    /// Several upstreams whose answers become one.
    pub aggregate: Option<AggregateConfig>,
    /// What keeps a caller on one share of `split`, or on one side of `canary`; chance when absent.
    pub sticky: Option<HashConfig>,
    /// An upstream that takes more and more of the requests.
    pub canary: Option<CanaryConfig>,
    /// An upstream that gets copies of requests.
    pub mirror: Option<MirrorConfig>,
    /// This prefix is taken off the path.
    pub strip_prefix: Option<String>,
    /// The prefix that `match.path` matched is taken off the path.
    #[serde(default)]
    pub strip_path: bool,
    /// The path, or the method, is replaced.
    pub rewrite: Option<RewriteConfig>,
    /// The fields of JSON in requests are picked, renamed or added on their way to the upstream.
    pub request_body: Option<BodyConfig>,
    /// The same for answers, on their way to the client.
    pub response_body: Option<BodyConfig>,
    /// Query parameters that the upstream does not get.
    #[serde(default)]
    pub strip_query: Vec<String>,
    /// Says that the route is on its way out.
    pub deprecation: Option<DeprecationConfig>,
    /// How long a request may take from its head, or the last bytes of its body, to its answer's head;
    /// `traffic_shaping.router.timeout` when absent.
    pub timeout: Option<Span>,
    /// Who may be asking.
    pub authentication: Option<AuthenticationConfig>,
    /// What a request needs beyond credentials.
    pub authorization: Option<AuthorizationConfig>,
    /// Quotas. `rate_limit` is the same.
    pub ratelimit: Option<RateLimitConfig>,
    /// Sizes.
    pub limits: Option<LimitsConfig>,
    /// Header rules, applied after those of `headers.all`; the same as `headers.routes.<name>`.
    pub headers: Option<HeaderRulesConfig>,
    /// Which web pages of other origins may call.
    pub cors: Option<CorsConfig>,
    /// Protection against requests that a web page could forge; off unless given here.
    pub csrf: Option<CsrfConfig>,
    /// Answers kept and shared between clients.
    pub cache: Option<CacheConfig>,
    /// How answers are compressed.
    pub compression: Option<CompressionConfig>,
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq)]
pub enum Destination<'a> {
    /// To one upstream.
    One(&'a str),
    /// To several, each with its share.
    Split(&'a [SplitConfig]),
    /// To several at once.
    Aggregate(&'a AggregateConfig),
}

impl RouteConfig {
    /// Where the route leads.
    pub fn destination(&self) -> Destination<'_> {
        match (&self.upstream, &self.aggregate) {
            (Some(upstream), _) => Destination::One(upstream),
            (None, Some(aggregate)) => Destination::Aggregate(aggregate),
            (None, None) => Destination::Split(&self.split),
        }
    }
}
