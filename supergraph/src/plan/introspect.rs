//! The introspection part of an operation as a document of its own.
//!
//! Relied on by `rows`. Spec: <https://spec.graphql.org/September2025/#sec-Introspection>

use super::Introspection;
use super::operation::{ListId, Operation, Raw};
use std::fmt::Write as _;

/// An operation with only `__schema` and `__type` of the root. Fragments are written out; the operation's own depth limit and
/// this size bound them.
pub(super) fn document(operation: &Operation) -> String {
    let mut text = String::new();
    let mut used = Vec::new();
    root(operation, operation.root, &mut text, &mut used);
    let declared: Vec<String> = operation
        .variables
        .iter()
        .filter(|variable| used.iter().any(|name: &String| **name == *variable.name))
        .map(|variable| {
            let default = variable.default.as_ref().map(|value| format!(" = {value}")).unwrap_or_default();
            format!("${}: {}{default}", variable.name, variable.ty)
        })
        .collect();
    if declared.is_empty() { format!("query {{{text} }}") } else { format!("query({}) {{{text} }}", declared.join(", ")) }
}

/// The introspection fields of the root's lists.
fn root(operation: &Operation, list: ListId, text: &mut String, used: &mut Vec<String>) {
    for selection in operation.lists.get(list) {
        match selection {
            Raw::Field(field, _) if field.name == "__schema" || field.name == "__type" => {
                print(operation, std::slice::from_ref(selection), text, used);
            }
            Raw::Field(..) => {}
            Raw::Fragment { tests, below, .. } => {
                let mut inside = String::new();
                root(operation, *below, &mut inside, used);
                if !inside.is_empty() {
                    let _ = write!(text, " ...{} {{{inside} }}", directives(tests, used));
                }
            }
        }
    }
}

fn print(operation: &Operation, list: &[Raw], text: &mut String, used: &mut Vec<String>) {
    for selection in list {
        if text.len() > Introspection::MAX_BYTES {
            return;
        }
        match selection {
            Raw::Field(field, tests) => {
                used.extend(field.variables.iter().map(ToString::to_string));
                let directives = directives(tests, used);
                let _ = write!(text, " {}: {}{}{directives}", field.key, field.name, field.arguments);
                if let Some(below) = field.below {
                    text.push_str(" {");
                    print(operation, operation.lists.get(below), text, used);
                    text.push_str(" }");
                }
            }
            Raw::Fragment { tests, below, .. } => {
                let _ = write!(text, " ...{} {{", directives(tests, used));
                print(operation, operation.lists.get(*below), text, used);
                text.push_str(" }");
            }
        }
    }
}

fn directives(tests: &[super::Test], used: &mut Vec<String>) -> String {
    used.extend(tests.iter().map(|test| test.variable.to_string()));
    let name = |is| if is { "include" } else { "skip" };
    tests.iter().map(|test| format!(" @{}(if: ${})", name(test.is), test.variable)).collect()
}
