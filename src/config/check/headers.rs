//! Checks of header rules: names, values and expressions that can be used, and choices that are made once.

use super::Findings;
use crate::{
    config::Config,
    upstream::headers::{HeaderRule, HeaderRulesConfig, InsertRule, is_hop_by_hop},
};

/// All header rules of a configuration.
pub fn check(config: &Config, findings: &mut Findings) {
    rules(&config.headers.all, "headers.all", findings);
    for (name, block) in &config.headers.subgraphs {
        rules(block, &format!("headers.subgraphs.{name}"), findings);
    }
    for (name, block) in &config.headers.routes {
        rules(block, &format!("headers.routes.{name}"), findings);
    }
    for (index, route) in config.routes.iter().enumerate() {
        if let Some(block) = &route.headers {
            rules(block, &format!("routes[{index}].headers"), findings);
        }
    }
}

fn rules(block: &HeaderRulesConfig, path: &str, findings: &mut Findings) {
    for (side, list) in [("request", &block.request), ("response", &block.response)] {
        for (index, rule) in list.iter().enumerate() {
            one(rule, &format!("{path}.{side}[{index}]"), side == "response", findings);
        }
    }
}

fn one(rule: &HeaderRule, path: &str, is_response: bool, findings: &mut Findings) {
    match rule {
        HeaderRule::Propagate(rule) => {
            let path = format!("{path}.propagate");
            selection(&rule.named, &rule.matching, &path, findings);
            if let Some(new) = &rule.rename {
                name(new, &path, "rename", findings);
            }
            of_message(rule.rename.as_ref().or(rule.named.as_ref()), &path, "named", findings);
            if let Some(default) = &rule.default {
                value(default, &path, "default", findings);
            }
            if rule.matching.is_some() && (rule.rename.is_some() || rule.default.is_some()) {
                findings.add(&path, "matching", "`rename` and `default` need `named`");
            }
            if rule.algorithm.is_some() && !is_response {
                findings.add(&path, "algorithm", "only responses can have several values from several answers");
            }
        }
        HeaderRule::Insert(rule) => {
            insertion(rule, &format!("{path}.insert"), findings);
            of_message(Some(&rule.name), &format!("{path}.insert"), "name", findings);
        }
        HeaderRule::Remove(rule) => selection(&rule.named, &rule.matching, &format!("{path}.remove"), findings),
        HeaderRule::Rename(rule) => {
            name(&rule.from, &format!("{path}.rename"), "from", findings);
            name(&rule.to, &format!("{path}.rename"), "to", findings);
            of_message(Some(&rule.to), &format!("{path}.rename"), "to", findings);
        }
    }
}

/// What says where a message ends, or is about one connection, is written anew with each message: no rule may.
fn of_message(name: Option<&String>, path: &str, key: &str, findings: &mut Findings) {
    let Some(name) = name.and_then(|name| http::HeaderName::from_bytes(name.as_bytes()).ok()) else { return };
    if is_hop_by_hop(&name) || name == http::header::CONTENT_LENGTH || name == http::header::TRAILER {
        findings.add(path, key, format!("`{name}` belongs to the connection: it is written for each message anew"));
    }
}

fn selection(named: &Option<String>, matching: &Option<String>, path: &str, findings: &mut Findings) {
    match (named, matching) {
        (Some(named), None) => name(named, path, "named", findings),
        (None, Some(matching)) => {
            if let Err(error) = regex::Regex::new(matching) {
                findings.add(path, "matching", format!("not a regular expression: {error}"));
            }
        }
        _ => findings.add(path, "", "one of `named` and `matching` is needed"),
    }
}

/// Headers that are set.
pub fn insertions(rules: &[InsertRule], path: &str, findings: &mut Findings) {
    for (index, rule) in rules.iter().enumerate() {
        insertion(rule, &format!("{path}[{index}]"), findings);
    }
}

fn insertion(rule: &InsertRule, path: &str, findings: &mut Findings) {
    name(&rule.name, path, "name", findings);
    value(&rule.value, path, "value", findings);
}

/// `text` must be the name of a header.
pub fn name(text: &str, path: &str, key: &str, findings: &mut Findings) {
    if http::HeaderName::from_bytes(text.as_bytes()).is_err() {
        findings.add(path, key, format!("`{text}` is not the name of a header"));
    }
}

fn value(text: &str, path: &str, key: &str, findings: &mut Findings) {
    if http::HeaderValue::from_str(text).is_err() {
        // The value may be a secret, so it is not repeated.
        findings.add(path, key, "the value has characters that a header cannot have");
    }
}
