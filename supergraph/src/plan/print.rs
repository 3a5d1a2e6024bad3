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
    for field in plan.get("unreachable").and_then(Value::as_array).into_iter().flatten() {
        let name = field.get("field").and_then(Value::as_str).unwrap_or_default();
        let _ = writeln!(text, "  Unreachable(path: \"{}\", field: \"{name}\")", path(field.get("path")));
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
        "Subscription" => {
            let _ = writeln!(text, "{indent}Subscription {{");
            for (part, name) in [("primary", "Primary"), ("rest", "Rest")] {
                if let Some(node) = node.get(part) {
                    let _ = writeln!(text, "{indent}  {name} {{");
                    print(node, depth + 2, text);
                    let _ = writeln!(text, "{indent}  }}");
                }
            }
            let _ = writeln!(text, "{indent}}}");
        }
        "Condition" => {
            for (clause, keyword) in [("ifClause", "Include"), ("elseClause", "Skip")] {
                if let Some(node) = node.get(clause) {
                    let _ = writeln!(text, "{indent}{keyword}(if: ${}) {{", of("condition"));
                    print(node, depth + 1, text);
                    let _ = writeln!(text, "{indent}}}");
                }
            }
        }
        "Defer" => {
            let _ = writeln!(text, "{indent}Defer {{");
            print_parts(node, depth, text);
            let _ = writeln!(text, "{indent}}}");
        }
        kind => {
            let id = node.get("id").and_then(Value::as_str).map(|id| format!(", id: {id}")).unwrap_or_default();
            let _ = writeln!(text, "{indent}{kind}(service: \"{}\"{id}) {{", of("serviceName"));
            print_fetch(node, depth + 1, text);
            let _ = writeln!(text, "\n{indent}}}");
        }
    }
}

/// What is not deferred, and each part that is.
fn print_parts(node: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    // Writing to a string cannot fail.
    let mut block = |title: String, part: Option<&Value>| {
        let selection = part.and_then(|part| part.get("subselection")).and_then(Value::as_str);
        let _ = writeln!(text, "{indent}  {title} {{");
        if let Some(selection) = selection {
            let _ = writeln!(text, "{indent}    {selection}");
        }
        if let Some(node) = part.and_then(|part| part.get("node")) {
            print(node, depth + 2, text);
        }
        let _ = writeln!(text, "{indent}  }}");
    };
    let names = |part: &Value, key: &str, name: &str| -> Vec<String> {
        let all = part.get(key).and_then(Value::as_array).into_iter().flatten();
        all.filter_map(|one| if name.is_empty() { one.as_str() } else { one.get(name)?.as_str() }).map(str::to_owned).collect()
    };
    block("Primary".to_owned(), node.get("primary"));
    for part in node.get("deferred").and_then(Value::as_array).into_iter().flatten() {
        let mut title =
            format!("Deferred(path: \"{}\", depends: [{}]", path(part.get("queryPath")), names(part, "depends", "id").join(", "));
        if let Some(label) = part.get("label") {
            let _ = write!(title, ", label: {label}");
        }
        let conditions = names(part, "if", "");
        if !conditions.is_empty() {
            let _ = write!(title, ", if: ${}", conditions.join(" and $"));
        }
        block(title + ")", Some(part));
    }
}

/// What a fetch sends: representations, values from contexts, the operation.
fn print_fetch(node: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    let list = |of: &'_ Value, key: &str| of.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    // Writing to a string cannot fail.
    for alias in node.pointer("/entityBatch/aliases").and_then(Value::as_array).into_iter().flatten() {
        for at in list(alias, "paths") {
            let key = alias.get("alias").and_then(Value::as_str).unwrap_or_default();
            let _ = writeln!(text, "{indent}{key} at {}", path(Some(&at)));
            lay_out(&selections(alias.get("requires")), depth, text);
            let _ = writeln!(text, " =>");
        }
    }
    if let Some(requires) = node.get("requires") {
        lay_out(&selections(Some(requires)), depth, text);
        let _ = writeln!(text, " =>");
    }
    for from in list(node, "contextRewrites") {
        let variable = from.get("renameKeyTo").and_then(Value::as_str).unwrap_or_default();
        let steps = list(&from, "path");
        let steps: Vec<&str> = steps.iter().filter_map(Value::as_str).collect();
        let _ = writeln!(text, "{indent}${variable} from \"{}\"", steps.join("/"));
    }
    lay_out(node.get("operation").and_then(Value::as_str).unwrap_or_default(), depth, text);
}

/// Lays out an operation, which comes on one line: a field a line, selection sets indented. Ends without a line break.
fn lay_out(operation: &str, depth: usize, text: &mut String) {
    let mut depth = depth;
    let (mut is_in_set, mut is_joined) = (false, false);
    text.push_str(&"  ".repeat(depth));
    for word in words(operation) {
        let is_break = is_in_set && !is_joined && !matches!(word, "{") && !word.starts_with('@');
        depth -= usize::from(word == "}").min(depth);
        if is_break {
            text.push('\n');
            text.push_str(&"  ".repeat(depth));
        } else if !text.ends_with(' ') {
            text.push(' ');
        }
        text.push_str(word);
        depth += usize::from(word == "{");
        is_in_set |= word == "{";
        // What stays on the line of the word before it: a field after its alias, a type condition after its dots.
        is_joined = word == "..." || word == "on" || word.ends_with(':');
    }
}

/// The words of an operation. What stands in parentheses or quotes belongs to the word it stands in.
fn words(operation: &str) -> impl Iterator<Item = &str> {
    let (mut parentheses, mut is_quoted, mut is_escaped) = (0_usize, false, false);
    let is_end = move |c: char| {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '(' if !is_quoted => parentheses += 1,
            ')' if !is_quoted => parentheses = parentheses.saturating_sub(1),
            ' ' => return parentheses == 0 && !is_quoted,
            _ => {}
        }
        false
    };
    operation.split(is_end).filter(|word| !word.is_empty())
}

fn path(path: Option<&Value>) -> String {
    let steps: Vec<&str> = path.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    steps.join(".")
}

/// Selections of representations.
fn selections(list: Option<&Value>) -> String {
    let mut text = String::from("{");
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
            text.push(' ');
            text.push_str(&selections(Some(below)));
        }
    }
    text.push_str(" }");
    text
}
