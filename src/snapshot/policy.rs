//! Policies: the steps of each route, from its own blocks or the ones at the top.

use super::{Builder, GRAPHQL};
use crate::{
    config::RouteConfig,
    pipeline::{
        Policy,
        access::{Access, AuthorizationConfig},
        auth::{Auth, AuthenticationConfig},
        compression::{Compression, CompressionConfig},
        cors::{Cors, CorsConfig},
        csrf::{Csrf, CsrfConfig},
        deprecation::{Deprecation, DeprecationConfig},
        limits::{Limits, LimitsConfig},
        rate_limit::{RateLimit, RateLimitConfig},
    },
    units::Span,
};

/// The scope of counters that belong to no route.
const DEFAULT: &str = "default";

/// The blocks of one route.
struct Blocks<'a> {
    has_explorer: bool,
    timeout: Span,
    limits: &'a LimitsConfig,
    cors: Option<&'a CorsConfig>,
    csrf: Option<&'a CsrfConfig>,
    authentication: Option<&'a AuthenticationConfig>,
    authorization: &'a AuthorizationConfig,
    compression: &'a CompressionConfig,
    deprecation: Option<&'a DeprecationConfig>,
    /// The quotas, and the scope of their counters.
    ratelimit: Option<(&'a RateLimitConfig, &'a str)>,
}

/// The policy of the GraphQL endpoint: the blocks at the top.
pub fn of_graphql(builder: &Builder<'_>) -> Result<Policy, String> {
    let config = builder.config;
    let blocks = Blocks {
        has_explorer: config.explorer.enabled,
        timeout: config.traffic_shaping.router.timeout,
        limits: &config.limits,
        cors: config.cors.as_ref(),
        csrf: Some(&config.csrf),
        authentication: config.authentication.as_ref(),
        authorization: &config.authorization,
        compression: &config.compression,
        deprecation: None,
        ratelimit: config.ratelimit.as_ref().map(|own| (own, DEFAULT)),
    };
    policy(builder, &blocks).map_err(|error| format!("{GRAPHQL}: {error}"))
}

/// The policy of a REST route.
pub fn of_route(builder: &Builder<'_>, route: &RouteConfig) -> Result<Policy, String> {
    let config = builder.config;
    let own_quotas = route.ratelimit.as_ref().map(|own| (own, route.name.as_str()));
    let blocks = Blocks {
        has_explorer: false,
        timeout: route.timeout.unwrap_or(config.traffic_shaping.router.timeout),
        limits: route.limits.as_ref().unwrap_or(&config.limits),
        cors: route.cors.as_ref().or(config.cors.as_ref()),
        csrf: route.csrf.as_ref(),
        authentication: route.authentication.as_ref().or(config.authentication.as_ref()),
        authorization: route.authorization.as_ref().unwrap_or(&config.authorization),
        compression: route.compression.as_ref().unwrap_or(&config.compression),
        deprecation: route.deprecation.as_ref(),
        ratelimit: own_quotas.or_else(|| config.ratelimit.as_ref().map(|general| (general, DEFAULT))),
    };
    policy(builder, &blocks)
}

fn policy(builder: &Builder<'_>, blocks: &Blocks<'_>) -> Result<Policy, String> {
    let foundation = builder.foundation;
    let quota = |(config, scope)| RateLimit::new(config, scope, &foundation.counters, foundation.metrics.clone());
    Ok(Policy {
        has_explorer: blocks.has_explorer,
        cors: blocks.cors.map(Cors::new).transpose()?,
        limits: Limits::new(blocks.limits, blocks.timeout.0),
        csrf: blocks.csrf.map(Csrf::new).transpose()?.flatten(),
        auth: blocks.authentication.map(|config| Auth::new(config, &foundation.key_sets)).transpose()?,
        access: Access::new(blocks.authorization),
        rate_limit: blocks.ratelimit.map(quota).transpose()?,
        concurrency: Some(builder.concurrency.clone()),
        compression: Compression::new(blocks.compression),
        deprecation: blocks.deprecation.map(Deprecation::new).transpose()?,
    })
}
