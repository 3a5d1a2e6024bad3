//! Checks of listeners: addresses that two would share, names that lead nowhere.

use std::net::SocketAddr;

use super::Findings;
use crate::{
    config::{
        Config,
        listeners::{DEFAULT, ListenerConfig},
    },
    pipeline::limits::LimitsConfig,
};

/// All listeners, of clients and of operators, and who names them.
pub fn check(config: &Config, findings: &mut Findings) {
    addresses(config, findings);
    names(config, findings);
    for (listener, path) in config.all_listeners().zip(paths(config)) {
        if listener.proxy_protocol && listener.trusted_proxies.is_empty() {
            findings.add(&path, "proxy_protocol", "it is believed of `trusted_proxies` only, and there are none");
        }
        if let Some(own) = listener.own {
            of_operations(config, own, &path, findings);
        }
    }
}

/// One graph serves all listeners, so that what it asks of operations is the same at all of them.
fn of_operations(config: &Config, own: &ListenerConfig, path: &str, findings: &mut Findings) {
    if let Some(limits) = &own.limits {
        let general = LimitsConfig {
            http_max_request_bytes: limits.http_max_request_bytes,
            http_max_header_bytes: limits.http_max_header_bytes,
            ..config.limits.clone()
        };
        if *limits != general {
            findings.add(
                path,
                "limits",
                "a listener has `http_max_request_bytes` and `http_max_header_bytes`; the others are the same at all",
            );
        }
    }
    if own.authorization.as_ref().is_some_and(|own| own.directives != config.authorization.directives) {
        findings.add(
            path,
            "authorization.directives",
            "they are the same at all listeners: see `authorization.directives` at the top",
        );
    }
}

/// The path of each listener of clients; the first one's keys are at the top.
fn paths(config: &Config) -> impl Iterator<Item = String> {
    std::iter::once(String::new()).chain((0..config.listeners.len()).map(|index| format!("listeners[{index}]")))
}

fn addresses(config: &Config, findings: &mut Findings) {
    let prometheus = &config.telemetry.exporters.metrics.prometheus;
    let mut all: Vec<(SocketAddr, String)> = Vec::new();
    for (listener, path) in config.all_listeners().zip(paths(config)) {
        let key = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        all.push((listener.listen, if path.is_empty() { "supergraph.listen".into() } else { key("listen") }));
        all.extend(listener.tls.and_then(|tls| tls.redirect_from).map(|from| (from, key("tls.redirect_from"))));
    }
    let operators = [
        (config.health_check.enabled.then_some(config.health_check.listen), "health_check.listen"),
        (prometheus.enabled.then_some(prometheus.listen), "telemetry.exporters.metrics.prometheus.listen"),
        (config.admin.as_ref().map(|admin| admin.listen), "admin.listen"),
    ];
    all.extend(operators.into_iter().filter_map(|(address, key)| Some((address?, key.to_owned()))));
    for (index, (address, key)) in all.iter().enumerate() {
        let earlier = all.iter().take(index).find(|(other, _)| other == address && address.port() != 0);
        if let Some((_, other)) = earlier {
            findings.add("", key, format!("`{other}` has the same address"));
        }
    }
}

fn names(config: &Config, findings: &mut Findings) {
    for (index, listener) in config.listeners.iter().enumerate() {
        let path = format!("listeners[{index}]");
        match listener.name.as_str() {
            "" => findings.add(&path, "name", "a listener needs a name"),
            DEFAULT => findings.add(&path, "name", format!("`{DEFAULT}` is the listener at `supergraph.listen`")),
            name if config.listeners.iter().take(index).any(|earlier| earlier.name == name) => {
                findings.add(&path, "name", format!("another listener is called `{name}` already"));
            }
            _ => {}
        }
    }
    let default = DEFAULT.to_owned();
    let known = || std::iter::once(&default).chain(config.listeners.iter().map(|listener| &listener.name));
    let graph = config.supergraph.listeners.as_deref().map(|names| ("supergraph".to_owned(), names));
    let routes = config.routes.iter().enumerate();
    let routes = routes.filter_map(|(index, route)| Some((format!("routes[{index}]"), route.listeners.as_deref()?)));
    for (path, names) in graph.into_iter().chain(routes) {
        if names.is_empty() {
            findings.add(&path, "listeners", "nobody can get there; leave it out for all listeners");
        }
        for (index, name) in names.iter().enumerate() {
            findings.reference(&path, &format!("listeners[{index}]"), name, known());
        }
    }
}
