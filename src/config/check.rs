//! Checks: contradictions that no single value shows, such as names that lead nowhere.
//!
//! Relies on the decoded `Config`; relied on by `config`, which finds the place of each path.

mod headers;
mod listeners;
mod policies;
mod routes;

use super::{Config, SubgraphConfig, problem::hint};
use crate::{
    units::Span,
    upstream::{
        UpstreamConfig,
        balance::{BalanceConfig, HashOn},
        discovery::{DnsRecord, EndpointConfig},
    },
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
    routes::check(config, &mut findings);
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
    for (index, name) in config.telemetry.access_log.fields.iter().enumerate() {
        headers::name(name, "telemetry.access_log", &format!("fields[{index}]"), findings);
    }
    if let Err(error) = tracing_subscriber::EnvFilter::try_new(&config.telemetry.logging.level) {
        findings.add("telemetry.logging", "level", format!("neither a level nor a filter: {error}"));
    }
}

fn subgraph_of(config: &Config, name: &str, subgraph: &SubgraphConfig, findings: &mut Findings) {
    let path = format!("subgraphs.{name}");
    match (&subgraph.url, &subgraph.upstream) {
        (Some(url), None) => upstream_url(findings, &path, url),
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
        let path = format!("{path}.endpoints[{index}]");
        upstream_url(findings, &path, url);
        if url.contains(['?', '#']) {
            findings.add(&path, "url", "an endpoint has no query: each request has its own");
        }
    }
    if upstream.dns.as_ref().is_some_and(|dns| dns.record == DnsRecord::Srv && dns.port.is_some()) {
        findings.add(&path, "dns.port", "SRV records have ports of their own");
    }
    numbers_of(upstream, &path, findings);
    if let BalanceConfig::Hash(hash) = &upstream.balance
        && let Err(error) = HashOn::new(&hash.on)
    {
        findings.add(&path, "balance.hash.on", error);
    }
    if !upstream.endpoints.is_empty() && upstream.endpoints.iter().all(|endpoint| endpoint.weight == 0) {
        findings.add(&path, "endpoints", "at least one endpoint needs a weight above 0");
    }
}

/// Times and thresholds with which nothing would ever work.
fn numbers_of(upstream: &UpstreamConfig, path: &str, findings: &mut Findings) {
    let check = upstream.health_check.as_ref();
    let times = [
        ("connect_timeout", Some(upstream.connect_timeout)),
        ("retry.per_try_timeout", upstream.retry.per_try_timeout),
        ("health_check.interval", check.map(|check| check.interval)),
        ("health_check.timeout", check.map(|check| check.timeout)),
        ("outlier_detection.interval", upstream.outlier_detection.as_ref().map(|outliers| outliers.interval)),
    ];
    for (key, _) in times.into_iter().filter(|(_, time)| *time == Some(Span::seconds(0))) {
        findings.add(path, key, "nothing can be done in no time");
    }
    let Some(check) = check else { return };
    for (key, threshold) in [("unhealthy_threshold", check.unhealthy_threshold), ("healthy_threshold", check.healthy_threshold)] {
        if threshold == 0 {
            findings.add(path, &format!("health_check.{key}"), "at least 1");
        }
    }
    if !check.path.starts_with('/') {
        findings.add(path, "health_check.path", "a path starts with `/`");
    }
}

/// An address that requests are sent to: what a client would make a header of is none of it.
fn upstream_url(findings: &mut Findings, path: &str, url: &str) {
    http_url(findings, path, "url", url);
    if url.parse::<http::Uri>().is_ok_and(|uri| uri.authority().is_some_and(|authority| authority.as_str().contains('@'))) {
        // The address holds a secret, so it is not repeated.
        findings.add(path, "url", "credentials are sent by a header rule: `insert: { name: Authorization, value: … }`");
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
