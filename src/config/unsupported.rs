//! What the contract of `router.yaml` knows and this version cannot do: refused, rather than silently ignored.
//!
//! A feature that lands takes its line out. Relied on by `config`.

use super::{
    overlay::POLICIES,
    problem::Problem,
    tree::{Node, Value},
};

/// Keys that are refused unless they have one of the values given. `*` stands for any key or item. Keys of policy blocks are
/// refused in routes and listeners too.
const UNSUPPORTED: &[(&str, &[&str])] = &[
    ("authentication.api_keys", &[]),
    ("authentication.basic", &[]),
    ("authentication.forward", &[]),
    ("cache.enabled", &["false"]),
    ("ratelimit.store", &["memory"]),
    ("ratelimit.plans", &["{}"]),
    ("ratelimit.rules.*.algorithm", &["token_bucket", "sliding_window", "fixed_window"]),
    ("ratelimit.rules.*.cost", &["1"]),
];

/// Everything in `tree` that this version cannot do.
pub fn find(tree: &mut Node) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (pattern, allowed) in UNSUPPORTED {
        let is_policy = POLICIES.iter().any(|policy| pattern.starts_with(policy));
        let inside = ["routes.*.", "listeners.*."].into_iter().filter(|_| is_policy);
        for block in std::iter::once("").chain(inside) {
            let pattern = format!("{block}{pattern}");
            let refused = tree.find(&pattern).into_iter().filter(|(_, node)| !is_allowed(&node.value, allowed));
            problems.extend(refused.map(|(path, node)| {
                let message = match allowed {
                    [] => "not supported by this version".to_owned(),
                    _ => format!("not supported by this version, except as `{}`", allowed.join("` or `")),
                };
                Problem { at: Some(node.at), path, message }
            }));
        }
    }
    problems
}

fn is_allowed(value: &Value, allowed: &[&str]) -> bool {
    let text = match value {
        Value::Null => return true,
        Value::Bool(true) => "true",
        Value::Bool(false) => "false",
        Value::Number(_, text) | Value::Text(text) => text,
        Value::List(items) if items.is_empty() => "[]",
        Value::Map(entries) if entries.is_empty() => "{}",
        Value::List(_) | Value::Map(_) => return false,
    };
    allowed.contains(&text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn what_does_nothing_is_refused_wherever_it_stands() {
        let text =
            "cache: {enabled: false}\nroutes:\n  - cache: {enabled: true}\nratelimit:\n  rules: [{algorithm: leaky_bucket}]\n";
        let found = find(&mut Node::parse(text).unwrap());
        let places: Vec<_> = found.iter().map(|problem| (problem.path.as_str(), problem.at.unwrap().line)).collect();
        assert_eq!(places, [("routes[0].cache.enabled", 3), ("ratelimit.rules[0].algorithm", 5)]);
    }
}
