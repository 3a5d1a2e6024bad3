//! A plan as text, for people: the JSON form without its rewrites.
//!
//! Relied on by the command line and by the cases in `tests/plan`.

use serde_json::Value;
use std::fmt::Write as _;

/// The text of a plan in its JSON form.
pub(super) fn text(plan: &Value) -> String {
    let mut text = String::from("QueryPlan {\n");
    if let Some(node) = plan.get("node") {
        print(node, 1, &mut text);
    }
    text.push_str("}\n");
    text
}

/// One node. The nesting of a plan is bounded by its stages and conditions.
fn print(node: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    let of = |key: &str| node.get(key).and_then(Value::as_str).unwrap_or_default();
    // Writing to a string cannot fail.
    match of("kind") {
        kind @ ("Sequence" | "Parallel") => {
            let _ = writeln!(text, "{indent}{kind} {{");
            for node in node.get("nodes").and_then(Value::as_array).into_iter().flatten() {
                print(node, depth + 1, text);
            }
            let _ = writeln!(text, "{indent}}}");
        }
        "Flatten" => {
            let _ = writeln!(text, "{indent}Flatten(path: \"{}\") {{", path(node.get("path")));
            if let Some(node) = node.get("node") {
                print(node, depth + 1, text);
            }
            let _ = writeln!(text, "{indent}}}");
        }
        "Condition" => {
            for (clause, keyword) in [("ifClause", "Include"), ("elseClause", "Skip")] {
                if let Some(node) = node.get(clause) {
                    let _ = writeln!(text, "{indent}{keyword}(if: ${}) {{", of("condition"));
                    print(node, depth + 1, text);
                }
            }
            let _ = writeln!(text, "{indent}}}");
        }
        kind => {
            let _ = writeln!(text, "{indent}{kind}(service: \"{}\") {{", of("serviceName"));
            for alias in node.pointer("/entityBatch/aliases").and_then(Value::as_array).into_iter().flatten() {
                for at in alias.get("paths").and_then(Value::as_array).into_iter().flatten() {
                    let key = alias.get("alias").and_then(Value::as_str).unwrap_or_default();
                    let _ = writeln!(text, "{indent}  {key} at {} from{}", path(Some(at)), selections(alias.get("requires")));
                }
            }
            if let Some(requires) = node.get("requires") {
                let _ = writeln!(text, "{indent}  from{}", selections(Some(requires)));
            }
            let _ = writeln!(text, "{indent}  {}", of("operation"));
            let _ = writeln!(text, "{indent}}}");
        }
    }
}

fn path(path: Option<&Value>) -> String {
    let steps: Vec<&str> = path.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    steps.join(".")
}

/// Selections of representations.
fn selections(list: Option<&Value>) -> String {
    let mut text = String::from(" {");
    for selection in list.and_then(Value::as_array).into_iter().flatten() {
        let of = |key: &str| selection.get(key).and_then(Value::as_str);
        match (of("typeCondition"), of("name"), of("alias")) {
            (Some(on), ..) => {
                let _ = write!(text, " ... on {on}");
            }
            (None, Some(name), Some(alias)) => {
                let _ = write!(text, " {alias}: {name}");
            }
            (None, name, _) => {
                let _ = write!(text, " {}", name.unwrap_or_default());
            }
        }
        if let Some(below) = selection.get("selections") {
            text.push_str(&selections(Some(below)));
        }
    }
    text.push_str(" }");
    text
}
