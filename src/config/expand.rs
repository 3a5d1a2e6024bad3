//! Expansion of `${env.NAME}`, `${env.NAME:-default}` and `${file.path}` in values. `$${` stands for `${` itself.
//!
//! It happens after YAML is parsed, so what a variable holds can never become a key or another value. Relied on by `config`.

use std::path::Path;

use super::{
    problem::Problem,
    tree::{Node, Value},
};

/// Largest file that `${file.…}` takes, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Where expansions get their values.
pub struct Surroundings<'a> {
    /// A variable of the environment.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// What relative paths are relative to.
    pub directory: &'a Path,
}

/// Expands every text of `tree` in place; what cannot be expanded is a problem each.
pub fn expand(tree: &mut Node, surroundings: &Surroundings<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    walk(tree, String::new(), surroundings, &mut problems);
    problems
}

/// Recursion is bounded by the depth that a tree can have.
fn walk(node: &mut Node, path: String, surroundings: &Surroundings<'_>, problems: &mut Vec<Problem>) {
    match &mut node.value {
        Value::Text(text) if text.contains("${") => match expanded(text, surroundings) {
            Ok(value) => node.written = Some(std::mem::replace(text, value)),
            Err(message) => problems.push(Problem { at: Some(node.at), path, message }),
        },
        Value::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                walk(item, format!("{path}[{index}]"), surroundings, problems);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                let dot = if path.is_empty() { "" } else { "." };
                walk(&mut entry.value, format!("{path}{dot}{}", entry.key), surroundings, problems);
            }
        }
        _ => {}
    }
}

fn expanded(text: &str, surroundings: &Surroundings<'_>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        let Some((inside, after)) = after.split_once('}') else {
            return Err("`${` has no `}`; write `$${` for a literal `${`".into());
        };
        out.push_str(&value(inside, surroundings)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn value(inside: &str, surroundings: &Surroundings<'_>) -> Result<String, String> {
    if let Some(name) = inside.strip_prefix("env.") {
        let (name, default) = match name.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (name, None),
        };
        // As in a shell, `:-` also stands in for an empty value.
        let found = (surroundings.variable)(name).filter(|value| !(value.is_empty() && default.is_some()));
        found.or_else(|| default.map(str::to_owned)).ok_or_else(|| format!("the environment variable `{name}` is not set"))
    } else if let Some(path) = inside.strip_prefix("file.") {
        let path = surroundings.directory.join(path);
        let read = || {
            if std::fs::metadata(&path)?.len() > MAX_FILE {
                return Err(std::io::Error::other(format!("it is larger than {MAX_FILE} bytes")));
            }
            std::fs::read_to_string(&path)
        };
        let content = read().map_err(|error| format!("the file `{}` cannot be read: {error}", path.display()))?;
        Ok(content.trim_end_matches(['\r', '\n']).to_owned())
    } else {
        Err(format!("`${{{inside}}}` is not an expansion: write `${{env.NAME}}`, `${{env.NAME:-default}}` or `${{file.path}}`"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    fn with_environment(text: &str) -> Result<String, String> {
        let variable = |name: &str| match name {
            "HOST" => Some("db: {x: 1}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        expanded(text, &Surroundings { variable: &variable, directory: Path::new(".") })
    }

    #[test]
    fn variables_defaults_and_literals() {
        for (text, wanted) in [
            ("http://${env.HOST}/", "http://db: {x: 1}/"),
            ("${env.NONE:-4000}", "4000"),
            ("${env.EMPTY:-x}${env.EMPTY}", "x"),
            ("$${env.HOST} $5 $", "${env.HOST} $5 $"),
        ] {
            assert_eq!(with_environment(text).as_deref(), Ok(wanted));
        }
        for text in ["${env.NONE}", "${env.HOST", "${HOST}", "${file.no/such/file}"] {
            assert!(with_environment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_a_variable_holds_never_becomes_structure() {
        let mut tree = Node::parse("a: ${env.HOST}\n").unwrap();
        let variable = |_: &str| Some("1\nb: 2".to_owned());
        assert!(expand(&mut tree, &Surroundings { variable: &variable, directory: Path::new(".") }).is_empty());
        assert_eq!(tree.entries().len(), 1);
        assert_eq!(tree.get("a").unwrap().value, Value::Text("1\nb: 2".into()));
    }
}
