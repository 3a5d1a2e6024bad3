//! Checks of the policy blocks, at the top and in routes.

use super::Findings;
use crate::{
    config::Config,
    pipeline::{
        auth::{AuthenticationConfig, config::Require},
        cors::CorsConfig,
        jwks::JwksConfig,
        rate_limit::{GLOBAL, RateLimitConfig},
    },
    units::Span,
};

const ZERO: Span = Span::seconds(0);

/// All policy blocks of a configuration.
pub fn check(config: &Config, findings: &mut Findings) {
    authentication(config.authentication.as_ref(), "authentication", findings);
    rate_limit(config.ratelimit.as_ref(), "ratelimit", findings);
    cors(config.cors.as_ref(), "cors", findings);
    for (index, listener) in config.listeners.iter().enumerate() {
        authentication(listener.authentication.as_ref(), &format!("listeners[{index}].authentication"), findings);
        rate_limit(listener.ratelimit.as_ref(), &format!("listeners[{index}].ratelimit"), findings);
        cors(listener.cors.as_ref(), &format!("listeners[{index}].cors"), findings);
    }
    for (index, route) in config.routes.iter().enumerate() {
        authentication(route.authentication.as_ref(), &format!("routes[{index}].authentication"), findings);
        rate_limit(route.ratelimit.as_ref(), &format!("routes[{index}].ratelimit"), findings);
        cors(route.cors.as_ref(), &format!("routes[{index}].cors"), findings);
        if route.timeout == Some(ZERO) {
            findings.add(&format!("routes[{index}]"), "timeout", "nothing can be done in no time");
        }
    }
    let mut timeouts = vec![
        ("traffic_shaping.router".to_owned(), config.traffic_shaping.router.timeout),
        ("traffic_shaping.all".to_owned(), config.traffic_shaping.all.timeout),
    ];
    let of_subgraphs = config.traffic_shaping.subgraphs.iter();
    timeouts.extend(of_subgraphs.map(|(name, shaping)| (format!("traffic_shaping.subgraphs.{name}"), shaping.timeout)));
    for (path, timeout) in timeouts {
        if timeout == ZERO {
            findings.add(&path, "timeout", "nothing can be done in no time");
        }
    }
    if config.supergraph.poll_interval == ZERO {
        findings.add("supergraph", "poll_interval", "longer than nothing");
    }
    if config.traffic_shaping.router.concurrency_limit == 0 {
        findings.add("traffic_shaping.router", "concurrency_limit", "at least 1");
    }
}

fn authentication(config: Option<&AuthenticationConfig>, path: &str, findings: &mut Findings) {
    let Some(config) = config else { return };
    let has_any = config.jwt.is_some() || config.api_keys.is_some() || config.basic.is_some() || config.forward.is_some();
    if !has_any && config.require != Require::Nothing {
        findings.add(path, "require", "no way to authenticate is configured: add `jwt`, or set `require: false`");
    }
    let Some(jwt) = &config.jwt else { return };
    let path = format!("{path}.jwt");
    if jwt.jwks.is_empty() {
        findings.add(&path, "jwks", "at least one key set is needed");
    }
    if jwt.sources.is_empty() {
        findings.add(&path, "sources", "at least one place of tokens is needed");
    }
    for (index, JwksConfig { url, file, algorithms, .. }) in jwt.jwks.iter().enumerate() {
        let path = format!("{path}.jwks[{index}]");
        match (url, file) {
            (Some(url), None) => super::http_url(findings, &path, "url", url),
            (None, Some(_)) => {}
            _ => findings.add(&path, "", "a key set has one of `url` and `file`"),
        }
        if algorithms.is_empty() {
            findings.add(&path, "algorithms", "at least one algorithm is needed");
        }
    }
}

fn rate_limit(config: Option<&RateLimitConfig>, path: &str, findings: &mut Findings) {
    let Some(config) = config else { return };
    if let Some(global) = &config.global {
        if global.capacity == 0 {
            findings.add(path, "global.capacity", "at least 1");
        }
        if global.interval == ZERO {
            findings.add(path, "global.interval", "longer than nothing");
        }
    }
    for (index, rule) in config.rules.iter().enumerate() {
        let path = format!("{path}.rules[{index}]");
        let is_taken = rule.name == GLOBAL && config.global.is_some();
        if is_taken || config.rules.iter().take(index).any(|earlier| earlier.name == rule.name) {
            findings.add(&path, "name", format!("another rule is called `{}` already", rule.name));
        }
        if rule.key.is_empty() {
            let advice =
                "at least one of client_ip, route, header:NAME and claim:NAME; `ratelimit.global` counts all requests together";
            findings.add(&path, "key", advice);
        }
        if rule.name.is_empty() || !rule.name.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            findings.add(&path, "name", "clients are told it in `RateLimit`: printable ASCII is needed");
        }
        if rule.burst == Some(0) {
            findings.add(&path, "burst", "at least 1");
        }
    }
}

fn cors(config: Option<&CorsConfig>, path: &str, findings: &mut Findings) {
    let Some(config) = config else { return };
    for (index, origin) in config.origins.iter().enumerate() {
        let key = format!("origins[{index}]");
        if origin == "*" {
            if config.allow_credentials {
                findings.add(path, &key, "`*` cannot be combined with `allow_credentials`: name the origins");
            }
            continue;
        }
        let has_path = origin.split_once("://").is_none_or(|(_, host)| host.is_empty() || host.contains('/'));
        if has_path && origin != "null" {
            findings.add(
                path,
                &key,
                format!("`{origin}` is not an origin: scheme and host without a path, as in https://app.example"),
            );
        }
    }
}
