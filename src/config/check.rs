//! Checks: contradictions that no single value shows, such as names that lead nowhere.
//!
//! Relies on the decoded `Config`; relied on by `config`, which finds the place of each path.

mod headers;
mod listeners;
mod policies;

use std::collections::HashSet;

use super::{Config, RouteConfig, SubgraphConfig, problem::hint};
use crate::{
    pipeline::route::MatchConfig,
    upstream::{UpstreamConfig, discovery::EndpointConfig},
};

/// What is wrong: the path of a key, and a message.
pub type Finding = (String, String);

/// All contradictions of a configuration.
pub fn check(config: &Config) -> Vec<Finding> {
    let mut findings = Findings::default();
    listeners::check(config, &mut findings);
    paths(config, &mut findings);
    for (name, subgraph) in &config.subgraphs {
        subgraph_of(config, name, subgraph, &mut findings);
    }
    for (name, upstream) in &config.upstreams {
        upstream_of(name, upstream, &mut findings);
    }
    names(config, &mut findings);
    let mut seen = HashSet::new();
    for (index, route) in config.routes.iter().enumerate() {
        let path = format!("routes[{index}]");
        if !seen.insert(route.name.as_str()) {
            findings.add(&path, "name", format!("another route is called `{}` already", route.name));
        }
        route_of(config, route, &path, &mut findings);
    }
    policies::check(config, &mut findings);
    headers::check(config, &mut findings);
    findings.0
}

/// Collects what is wrong.
#[derive(Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Something is wrong with `key` of the block at `path`.
    pub fn add(&mut self, path: &str, key: &str, message: impl Into<String>) {
        let path = match (path, key) {
            ("", key) => key.to_owned(),
            (path, "") => path.to_owned(),
            (path, key) => format!("{path}.{key}"),
        };
        self.0.push((path, message.into()));
    }

    /// `name` must be one of `known`.
    fn reference<'a>(&mut self, path: &str, key: &str, name: &str, known: impl Iterator<Item = &'a String> + Clone) {
        let known = known.map(String::as_str);
        if !known.clone().any(|known| known == name) {
            self.add(path, key, format!("there is no `{name}`{}", hint(name, known)));
        }
    }
}

fn paths(config: &Config, findings: &mut Findings) {
    let prometheus = &config.telemetry.exporters.metrics.prometheus;
    for (path, key) in [
        (&config.supergraph.path, "supergraph.path"),
        (&config.health_check.path, "health_check.path"),
        (&prometheus.path, "telemetry.exporters.metrics.prometheus.path"),
    ] {
        if !path.starts_with('/') {
            findings.add("", key, "a path starts with `/`");
        }
    }
    if let Err(error) = tracing_subscriber::EnvFilter::try_new(&config.telemetry.logging.level) {
        findings.add("telemetry.logging", "level", format!("neither a level nor a filter: {error}"));
    }
}

fn subgraph_of(config: &Config, name: &str, subgraph: &SubgraphConfig, findings: &mut Findings) {
    let path = format!("subgraphs.{name}");
    match (&subgraph.url, &subgraph.upstream) {
        (Some(url), None) => http_url(findings, &path, "url", url),
        (None, Some(upstream)) => findings.reference(&path, "upstream", upstream, config.upstreams.keys()),
        (Some(_), Some(_)) => findings.add(&path, "upstream", "a subgraph has `url` or `upstream`, not both"),
        (None, None) if config.supergraph.schema.is_some() => {}
        (None, None) => findings.add(&path, "", "a subgraph needs `url`, or `upstream` with `path`"),
    }
    if subgraph.path.is_some() && subgraph.upstream.is_none() {
        findings.add(&path, "path", "only with `upstream`; `url` has its own path");
    }
    if subgraph.path.as_ref().is_some_and(|path| !path.starts_with('/')) {
        findings.add(&path, "path", "a path starts with `/`");
    }
    let Some(schema) = &subgraph.schema else { return };
    let path = format!("{path}.schema");
    let sources = [schema.file.is_some(), schema.subgraph_url.is_some(), schema.sdl.is_some()];
    if sources.iter().filter(|is_given| **is_given).count() > 1 {
        findings.add(&path, "", "a schema comes from one of `file`, `subgraph_url` and `sdl`");
    }
    if let Some(url) = &schema.subgraph_url {
        http_url(findings, &path, "subgraph_url", url);
    }
    if !schema.headers.is_empty() && (schema.file.is_some() || schema.sdl.is_some()) {
        findings.add(&path, "headers", "nobody is asked when there is `file` or `sdl`");
    }
    headers::insertions(&schema.headers, &format!("{path}.headers"), findings);
}

fn upstream_of(name: &str, upstream: &UpstreamConfig, findings: &mut Findings) {
    let path = format!("upstreams.{name}");
    match (upstream.endpoints.as_slice(), &upstream.dns) {
        ([], None) => findings.add(&path, "", "an upstream needs `endpoints` or `dns`"),
        ([_, ..], Some(_)) => findings.add(&path, "dns", "an upstream has `endpoints` or `dns`, not both"),
        _ => {}
    }
    if upstream.dns.as_ref().is_some_and(|dns| dns.host.is_empty()) {
        findings.add(&path, "dns.host", "a name to ask for is needed");
    }
    for (index, EndpointConfig { url, .. }) in upstream.endpoints.iter().enumerate() {
        http_url(findings, &format!("{path}.endpoints[{index}]"), "url", url);
    }
    if !upstream.endpoints.is_empty() && upstream.endpoints.iter().all(|endpoint| endpoint.weight == 0) {
        findings.add(&path, "endpoints", "at least one endpoint needs a weight above 0");
    }
}

fn http_url(findings: &mut Findings, path: &str, key: &str, url: &str) {
    let uri: Option<http::Uri> = url.parse().ok();
    let is_right = uri
        .is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty()));
    if !is_right {
        findings.add(path, key, "an address starts with `http://` or `https://` and names a host");
    }
}

/// Blocks by name lead to what has that name. Without `subgraphs` the names are those of a ready supergraph.
fn names(config: &Config, findings: &mut Findings) {
    if !config.subgraphs.is_empty() && config.supergraph.schema.is_none() {
        let known = || config.subgraphs.keys();
        for name in config.traffic_shaping.subgraphs.keys() {
            findings.reference("traffic_shaping.subgraphs", name, name, known());
        }
        for name in config.headers.subgraphs.keys() {
            findings.reference("headers.subgraphs", name, name, known());
        }
        for name in config.include_subgraph_errors.subgraphs.keys() {
            findings.reference("include_subgraph_errors.subgraphs", name, name, known());
        }
    }
    for name in config.headers.routes.keys() {
        findings.reference("headers.routes", name, name, config.routes.iter().map(|route| &route.name));
    }
}

fn route_of(config: &Config, route: &RouteConfig, path: &str, findings: &mut Findings) {
    aggregate_of(config, route, path, findings);
    match (&route.upstream, route.split.as_slice()) {
        (None, []) if route.aggregate.is_some() => {}
        (Some(upstream), []) => findings.reference(path, "upstream", upstream, config.upstreams.keys()),
        (None, []) => findings.add(path, "", "a route needs `upstream`, `split` or `aggregate`"),
        (Some(_), _) => findings.add(path, "split", "a route has `upstream` or `split`, not both"),
        (None, shares) => {
            for (index, share) in shares.iter().enumerate() {
                findings.reference(&format!("{path}.split[{index}]"), "upstream", &share.upstream, config.upstreams.keys());
            }
            if shares.iter().all(|share| share.weight == 0) {
                findings.add(path, "split", "at least one share needs a weight above 0");
            }
        }
    }
    let others =
        [("canary", route.canary.as_ref().map(|it| &it.upstream)), ("mirror", route.mirror.as_ref().map(|it| &it.upstream))];
    for (block, upstream) in others {
        if let Some(upstream) = upstream {
            findings.reference(&format!("{path}.{block}"), "upstream", upstream, config.upstreams.keys());
        }
    }
    if route.sticky.is_some() && route.split.is_empty() && route.canary.is_none() {
        findings.add(path, "sticky", "only with `split` or `canary`: there is one upstream");
    }
    if let Some(canary) = route.canary.as_ref().filter(|canary| canary.target < canary.start || canary.steps == 0) {
        let key = if canary.steps == 0 { "canary.steps" } else { "canary.target" };
        findings.add(path, key, "a canary grows, in one step at least");
    }
    match_of(&route.matches, &format!("{path}.match"), findings);
    for (index, matches) in route.or.iter().enumerate() {
        match_of(matches, &format!("{path}.or[{index}]"), findings);
    }
    if route.retry_other && route.split.len() + usize::from(route.canary.is_some()) < 2 {
        findings.add(path, "retry_other", "only with `split` or `canary`: there is one upstream");
    }
    if let Some(method) = route.rewrite.as_ref().and_then(|rewrite| rewrite.method.as_ref()) {
        method_of(method, path, "rewrite.method", findings);
    }
    let changes =
        [route.strip_prefix.is_some(), route.strip_path, route.rewrite.as_ref().is_some_and(|rewrite| rewrite.path.is_some())];
    if changes.iter().filter(|is_given| **is_given).count() > 1 {
        findings.add(path, "", "a route has one of `strip_prefix`, `strip_path` and `rewrite.path`");
    }
    if route.headers.is_some() && config.headers.routes.contains_key(&route.name) {
        findings.add(path, "headers", format!("`headers.routes.{}` has the rules of this route already", route.name));
    }
}

fn match_of(matches: &MatchConfig, path: &str, findings: &mut Findings) {
    // `=` stands before an exact path, `~` before a regular expression.
    if !matches.path.starts_with(['/', '=', '~']) {
        findings.add(path, "path", "a path starts with `/`");
    }
    for (index, method) in matches.methods.iter().enumerate() {
        method_of(method, path, &format!("methods[{index}]"), findings);
    }
    for name in matches.headers.keys() {
        headers::name(name, &format!("{path}.headers"), name, findings);
    }
}

fn method_of(method: &str, path: &str, key: &str, findings: &mut Findings) {
    if http::Method::from_bytes(method.as_bytes()).is_err() || method.chars().any(|c| c.is_ascii_lowercase()) {
        findings.add(path, key, format!("`{method}` is not a method: they are written in capitals"));
    }
}

fn aggregate_of(config: &Config, route: &RouteConfig, path: &str, findings: &mut Findings) {
    let Some(aggregate) = &route.aggregate else { return };
    for (index, part) in aggregate.parts.iter().enumerate() {
        findings.reference(&format!("{path}.aggregate.parts[{index}]"), "upstream", &part.upstream, config.upstreams.keys());
    }
    let proxies = [route.upstream.is_some(), !route.split.is_empty(), route.canary.is_some(), route.mirror.is_some()];
    if proxies.contains(&true) {
        findings.add(path, "aggregate", "a route has `aggregate`, or `upstream` or `split` with what belongs to them");
    }
    let changes = [
        (route.request_body.is_some(), "request_body"),
        (route.response_body.is_some(), "response_body"),
        (route.rewrite.as_ref().is_some_and(|rewrite| rewrite.method.is_some()), "rewrite.method"),
    ];
    for (_, key) in changes.into_iter().filter(|(is_given, _)| *is_given) {
        findings.add(path, key, "not with `aggregate`, whose parts have methods, paths and shapes of their own");
    }
}
