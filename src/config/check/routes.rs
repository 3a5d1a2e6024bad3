//! Checks of REST routes: what they match, where they lead, and what they change.

use std::collections::HashSet;

use super::{Findings, headers};
use crate::{
    config::{Config, RouteConfig},
    pipeline::{
        deprecation::{Deprecation, DeprecationConfig},
        message::is_host,
        path::configured,
        route::MatchConfig,
    },
    rest::rewrite::PathRewrite,
    upstream::balance::HashOn,
};

/// All routes of a configuration.
pub fn check(config: &Config, findings: &mut Findings) {
    let mut seen = HashSet::new();
    for (index, route) in config.routes.iter().enumerate() {
        let path = format!("routes[{index}]");
        if !seen.insert(route.name.as_str()) {
            findings.add(&path, "name", format!("another route is called `{}` already", route.name));
        }
        aggregate_of(config, route, &path, findings);
        destination_of(config, route, &path, findings);
        for matches in std::iter::once(&route.matches).chain(&route.or) {
            target_of(route, matches, &path, findings);
        }
        match_of(&route.matches, &format!("{path}.match"), findings);
        for (index, matches) in route.or.iter().enumerate() {
            match_of(matches, &format!("{path}.or[{index}]"), findings);
        }
        changes_of(route, &path, findings);
        if route.headers.is_some() && config.headers.routes.contains_key(&route.name) {
            findings.add(&path, "headers", format!("`headers.routes.{}` has the rules of this route already", route.name));
        }
    }
}

fn destination_of(config: &Config, route: &RouteConfig, path: &str, findings: &mut Findings) {
    match (&route.upstream, route.split.as_slice()) {
        (None, []) if route.aggregate.is_some() => {}
        (Some(upstream), []) => findings.reference(path, "upstream", upstream, config.upstreams.keys()),
        (None, []) => findings.add(path, "", "a route needs `upstream`, `split` or `aggregate`"),
        (Some(_), _) => findings.add(path, "split", "a route has `upstream` or `split`, not both"),
        (None, shares) => {
            for (index, share) in shares.iter().enumerate() {
                let path = format!("{path}.split[{index}]");
                findings.reference(&path, "upstream", &share.upstream, config.upstreams.keys());
                for name in share.when.iter().flat_map(|when| when.headers.keys()) {
                    headers::name(name, &format!("{path}.when.headers"), name, findings);
                }
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
    if let Some(Err(error)) = route.sticky.as_ref().map(|sticky| HashOn::new(&sticky.on)) {
        findings.add(path, "sticky.on", error);
    }
    if route.sticky.is_some() && route.split.is_empty() && route.canary.is_none() {
        findings.add(path, "sticky", "only with `split` or `canary`: there is one upstream");
    }
    if let Some(canary) = route.canary.as_ref().filter(|canary| canary.target < canary.start || canary.steps == 0) {
        let key = if canary.steps == 0 { "canary.steps" } else { "canary.target" };
        findings.add(path, key, "a canary grows, in one step at least");
    }
    if route.retry_other && route.split.len() + usize::from(route.canary.is_some()) < 2 {
        findings.add(path, "retry_other", "only with `split` or `canary`: there is one upstream");
    }
}

fn match_of(matches: &MatchConfig, path: &str, findings: &mut Findings) {
    if !is_host_pattern(&matches.host) {
        let message = format!("`{}` is no host: write a name without a port, `*.suffix`, or `*` for any", matches.host);
        findings.add(path, "host", message);
    }
    let unread = configured(&matches.path).err();
    let problems = matches.problems().into_iter().filter(|(key, _)| unread.is_none() || key != "path");
    for (key, message) in problems {
        findings.add(path, &key, message);
    }
    if let Some(message) = unread {
        findings.add(path, "path", message);
    }
    for (index, method) in matches.methods.iter().enumerate() {
        method_of(method, path, &format!("methods[{index}]"), findings);
    }
    for name in matches.headers.keys() {
        headers::name(name, &format!("{path}.headers"), name, findings);
    }
}

/// What becomes of the targets of requests that match so.
fn target_of(route: &RouteConfig, matches: &MatchConfig, path: &str, findings: &mut Findings) {
    let template = route.rewrite.as_ref().and_then(|rewrite| rewrite.path.as_ref());
    if let Some(Err(error)) = template.map(|template| PathRewrite::compose(template, &matches.path)) {
        findings.add(path, "rewrite.path", error);
    }
    if route.strip_path && matches.path.starts_with('~') {
        findings.add(path, "strip_path", "a regular expression has no prefix: name one with `strip_prefix`");
    }
}

fn changes_of(route: &RouteConfig, path: &str, findings: &mut Findings) {
    if let Some(method) = route.rewrite.as_ref().and_then(|rewrite| rewrite.method.as_ref()) {
        method_of(method, path, "rewrite.method", findings);
    }
    if route.strip_prefix.as_ref().is_some_and(|prefix| !prefix.starts_with('/')) {
        findings.add(path, "strip_prefix", "a path starts with `/`");
    }
    let changes =
        [route.strip_prefix.is_some(), route.strip_path, route.rewrite.as_ref().is_some_and(|rewrite| rewrite.path.is_some())];
    if changes.iter().filter(|is_given| **is_given).count() > 1 {
        findings.add(path, "", "a route has one of `strip_prefix`, `strip_path` and `rewrite.path`");
    }
    let deprecation: Option<&DeprecationConfig> = route.deprecation.as_ref();
    if let Some(Err(error)) = deprecation.map(Deprecation::new) {
        findings.add(path, "deprecation.link", error);
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

/// Whether this is `*`, or a host without a port and perhaps with `*.` before it.
fn is_host_pattern(host: &str) -> bool {
    let name = host.strip_prefix("*.").unwrap_or(host);
    let has_port = name.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    host == "*" || (is_host(name.as_bytes()) && !has_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_no_port_and_stars_stand_for_whole_labels() {
        for (host, is_right) in [
            ("*", true),
            ("api.example.com", true),
            ("API.example.com.", true),
            ("*.example.com", true),
            ("localhost", true),
            ("[::1]", true),
            ("", false),
            ("*.", false),
            ("*example.com", false),
            ("api.*", false),
            ("api.example.com:8080", false),
            ("[::1]:80", false),
            ("https://api.example.com", false),
        ] {
            assert_eq!(is_host_pattern(host), is_right, "{host}");
        }
    }
}
