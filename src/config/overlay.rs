//! Overlays: what a block inherits from a more general one, and what relative paths are relative to.
//!
//! Both work on the tree, before types, so that an inherited value keeps the place where it is written. Relied on by `config`.

use std::path::Path;

use super::tree::{Entry, Node, Value};

/// Blocks that a route, or a listener, may override field by field.
pub const POLICIES: [&str; 8] =
    ["authentication", "authorization", "ratelimit", "limits", "cors", "csrf", "cache", "compression"];

/// Keys whose value is a path of the file system.
const PATHS: [&str; 25] = [
    "supergraph.last_good",
    "supergraph.schema",
    "subgraphs.*.schema.file",
    "upstreams.*.tls.ca",
    "upstreams.*.tls.client.cert",
    "upstreams.*.tls.client.key",
    "authentication.jwt.jwks.*.file",
    "authentication.api_keys.file",
    "authentication.basic.file",
    "routes.*.authentication.jwt.jwks.*.file",
    "routes.*.authentication.api_keys.file",
    "routes.*.authentication.basic.file",
    "listeners.*.authentication.jwt.jwks.*.file",
    "listeners.*.authentication.api_keys.file",
    "listeners.*.authentication.basic.file",
    "persisted_queries.manifests.*",
    "tls.certificates.*.cert",
    "tls.certificates.*.key",
    "tls.client_certificates.ca",
    "tls.client_certificates.crl",
    "listeners.*.tls.certificates.*.cert",
    "listeners.*.tls.certificates.*.key",
    "listeners.*.tls.client_certificates.ca",
    "listeners.*.tls.client_certificates.crl",
    "telemetry.access_log.path",
];

/// Makes relative paths relative to `directory`.
pub fn anchor_paths(tree: &mut Node, directory: &Path) {
    for pattern in PATHS {
        for (_, node) in tree.find(pattern) {
            let Value::Text(text) = &mut node.value else { continue };
            if text != "stdout" {
                let relative = text.strip_prefix("./").unwrap_or(text);
                *text = directory.join(relative).to_string_lossy().into_owned();
            }
        }
    }
}

/// Gives `rate_limit`, as routes and listeners may call it, its other name.
pub fn rename(tree: &mut Node) {
    for pattern in ["routes.*", "listeners.*"] {
        for entry in tree.find(pattern).into_iter().filter_map(|(_, own)| own.get_entry("rate_limit")) {
            entry.key = "ratelimit".into();
        }
    }
    if let Some(entry) = tree.get_entry("rate_limit") {
        entry.key = "ratelimit".into();
    }
}

/// Fills the blocks of routes and listeners from those at the top, and the shaping of each subgraph from that of all.
pub fn inherit(tree: &mut Node) {
    for policy in POLICIES {
        let Some(general) = tree.get(policy).cloned() else { continue };
        for block in ["routes", "listeners"] {
            for (_, own) in tree.find(&format!("{block}.*.{policy}")) {
                fill(own, &general);
            }
        }
    }
    let all = tree.get("traffic_shaping").and_then(|shaping| shaping.get("all")).cloned();
    if let Some(all) = all {
        for (_, own) in tree.find("traffic_shaping.subgraphs.*") {
            fill(own, &all);
        }
    }
}

/// Adds what `own` lacks of `general`, key by key; lists and scalars are taken whole. The depth of trees bounds the recursion.
fn fill(own: &mut Node, general: &Node) {
    if own.value == Value::Null {
        own.value = Value::Map(Vec::new());
    }
    let Value::Map(entries) = &mut own.value else { return };
    for inherited in general.entries() {
        match entries.iter_mut().find(|entry| entry.key == inherited.key) {
            Some(Entry { value, .. }) if matches!(inherited.value.value, Value::Map(_)) => fill(value, &inherited.value),
            Some(_) => {}
            None => entries.push(inherited.clone()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn a_route_keeps_what_it_does_not_override() {
        let mut tree = Node::parse(
            "limits: {max_depth: 3, warn_only: true}\nroutes:\n  - {name: a, limits: {max_depth: 5}}\n  - {name: b}\n",
        )
        .unwrap();
        inherit(&mut tree);
        let limits = tree.get("routes").unwrap().items()[0].get("limits").unwrap().clone();
        assert_eq!(limits.get("max_depth").unwrap().at.line, 3);
        assert_eq!(limits.get("warn_only").unwrap().value, Value::Bool(true));
        assert!(tree.get("routes").unwrap().items()[1].get("limits").is_none());
    }

    #[test]
    fn an_empty_block_stays_the_general_one() {
        let mut tree = Node::parse("ratelimit: {headers: false}\nroutes: [{name: a, rate_limit: }]\n").unwrap();
        rename(&mut tree);
        inherit(&mut tree);
        let own = tree.get("routes").unwrap().items()[0].get("ratelimit").unwrap();
        assert_eq!(own.get("headers").unwrap().value, Value::Bool(false));
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let mut tree = Node::parse("supergraph: {schema: ./s.graphql, last_good: /var/s}\n").unwrap();
        anchor_paths(&mut tree, Path::new("/etc/x"));
        let supergraph = tree.get("supergraph").unwrap();
        assert_eq!(supergraph.get("schema").unwrap().value, Value::Text("/etc/x/s.graphql".into()));
        assert_eq!(supergraph.get("last_good").unwrap().value, Value::Text("/var/s".into()));
    }
}
