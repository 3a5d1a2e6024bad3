//! Policies: the steps of each route, from its own blocks or the ones at the top.

use super::{Builder, GRAPHQL};
use crate::{
    config::{Config, RouteConfig, listeners::Listener},
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
    ratelimit: Option<(&'a RateLimitConfig, String)>,
}

/// The policy of the GraphQL endpoint at a listener: the listener's blocks, or those at the top.
pub fn of_graphql(builder: &Builder<'_>, listener: Listener<'_>) -> Result<Policy, String> {
    let csrf = listener.own.and_then(|own| own.csrf.as_ref()).unwrap_or(&builder.config.csrf);
    let blocks = Blocks { has_explorer: builder.config.explorer.enabled, csrf: Some(csrf), ..general(builder.config, listener) };
    policy(builder, &blocks).map_err(|error| format!("{GRAPHQL}: {error}"))
}

/// The policy of a REST route at a listener: its own blocks, or the listener's, or those at the top.
pub fn of_route(builder: &Builder<'_>, route: &RouteConfig, listener: Listener<'_>) -> Result<Policy, String> {
    let general = general(builder.config, listener);
    let own_quotas = route.ratelimit.as_ref().map(|own| (own, route.name.clone()));
    let blocks = Blocks {
        has_explorer: false,
        timeout: route.timeout.unwrap_or(general.timeout),
        limits: route.limits.as_ref().unwrap_or(general.limits),
        cors: route.cors.as_ref().or(general.cors),
        csrf: route.csrf.as_ref(),
        authentication: route.authentication.as_ref().or(general.authentication),
        authorization: route.authorization.as_ref().unwrap_or(general.authorization),
        compression: route.compression.as_ref().unwrap_or(general.compression),
        deprecation: route.deprecation.as_ref(),
        ratelimit: own_quotas.or(general.ratelimit),
    };
    policy(builder, &blocks)
}

/// What applies at a listener to whatever says nothing else of itself.
fn general<'a>(config: &'a Config, listener: Listener<'a>) -> Blocks<'a> {
    let own = listener.own;
    let quotas = own.and_then(|own| Some((own.ratelimit.as_ref()?, format!("listener {}", own.name))));
    Blocks {
        has_explorer: false,
        timeout: config.traffic_shaping.router.timeout,
        limits: own.and_then(|own| own.limits.as_ref()).unwrap_or(&config.limits),
        cors: own.and_then(|own| own.cors.as_ref()).or(config.cors.as_ref()),
        csrf: None,
        authentication: own.and_then(|own| own.authentication.as_ref()).or(config.authentication.as_ref()),
        authorization: own.and_then(|own| own.authorization.as_ref()).unwrap_or(&config.authorization),
        compression: own.and_then(|own| own.compression.as_ref()).unwrap_or(&config.compression),
        deprecation: None,
        ratelimit: quotas.or_else(|| Some((config.ratelimit.as_ref()?, DEFAULT.to_owned()))),
    }
}

fn policy(builder: &Builder<'_>, blocks: &Blocks<'_>) -> Result<Policy, String> {
    let foundation = builder.foundation;
    let quota = |(config, scope): &(&RateLimitConfig, String)| {
        RateLimit::new(config, scope, &foundation.counters, foundation.metrics.clone())
    };
    Ok(Policy {
        has_explorer: blocks.has_explorer,
        cors: blocks.cors.map(Cors::new).transpose()?,
        limits: Limits::new(blocks.limits, blocks.timeout.0),
        csrf: blocks.csrf.map(Csrf::new).transpose()?.flatten(),
        auth: blocks.authentication.map(|config| Auth::new(config, &foundation.key_sets)).transpose()?,
        access: Access::new(blocks.authorization),
        rate_limit: blocks.ratelimit.as_ref().map(quota).transpose()?,
        concurrency: Some(builder.concurrency.clone()),
        compression: Compression::new(blocks.compression),
        deprecation: blocks.deprecation.map(Deprecation::new).transpose()?,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use std::{collections::HashMap, path::Path};

    use super::*;
    use crate::{config::Config, pipeline::concurrency::Concurrency, snapshot::Foundation};

    /// RT-18: what is compiled for a route is what it uses, so that a step that it does not use costs it the branch of a `None`.
    #[tokio::test]
    async fn a_route_has_the_steps_that_it_uses_and_no_others() {
        let text = "upstreams: {u: {endpoints: [{url: 'http://127.0.0.1:1'}]}}\nroutes:\n\
                    - {name: plain, upstream: u}\n\
                    - name: guarded\n  upstream: u\n  match: {path: /g}\n  csrf: {}\n  cors: {origins: ['https://a.example']}\n\
                    \x20 compression: {response: [gzip]}\n  deprecation: {since: 2026-01-01}\n\
                    \x20 authorization: {deny_ips: [10.0.0.0/8]}\n\
                    \x20 ratelimit: {rules: [{name: r, key: [client_ip], rate: 1/1m}]}\n";
        let config = Config::parse(text, Path::new(""), &|_| None).unwrap();
        let foundation = Foundation::silent();
        let concurrency = Concurrency::new(&config.traffic_shaping.router);
        let builder =
            Builder { config: &config, foundation: &foundation, concurrency, upstreams: HashMap::new(), endpoint: None };
        let listener = config.all_listeners().next().unwrap();
        let steps = |route: &RouteConfig| {
            let policy = of_route(&builder, route, listener).unwrap();
            let Policy { has_explorer, cors, csrf, auth, access, rate_limit, compression, deprecation, .. } = policy;
            let others = [cors.is_some(), csrf.is_some(), access.is_some(), rate_limit.is_some()];
            (
                others,
                compression.is_some() && deprecation.is_some(),
                compression.is_some() || deprecation.is_some(),
                has_explorer || auth.is_some(),
            )
        };
        let found: Vec<_> = config.routes.iter().map(steps).collect();
        assert_eq!(found, [([false; 4], false, false, false), ([true; 4], true, true, false)]);
    }
}
