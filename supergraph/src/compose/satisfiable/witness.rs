//! The client operation that leads to a state and one step further, with example arguments.
//!
//! Relied on by `explain`.

use super::explore::Explorer;
use super::states::Step;
use crate::ids::FieldId;
use crate::model::{Supergraph, TypeKind, TypeRef};
use crate::plan::OperationKind;

/// Deepest input object that an example argument fills in.
const DEPTH: usize = 4;

/// The operation as text.
pub(super) fn operation(explorer: &Explorer<'_>, state: usize, step: Step) -> String {
    let graph = explorer.graph;
    let mut steps = vec![step];
    let mut next = Some(state);
    while let Some(state) = next.and_then(|index| explorer.states.get(index)) {
        steps.push(state.step);
        next = state.from;
    }
    let mut lines = Vec::new();
    for (depth, step) in steps.iter().rev().enumerate() {
        let line = match step {
            Step::Root(OperationKind::Query) => String::new(),
            Step::Root(OperationKind::Mutation) => "mutation".to_owned(),
            Step::Root(OperationKind::Subscription) => "subscription".to_owned(),
            Step::Field(field) => format!("{}{}", graph.field(*field).name, arguments(graph, *field)),
            Step::Cast(ty) => format!("... on {}", graph.get_type(*ty).name),
        };
        lines.push(format!("{}{line}", "  ".repeat(depth)));
    }
    let is_leaf = matches!(step, Step::Field(field) if !graph.get_type(graph.field(field).ty.named).is_composite());
    render(&lines, is_leaf)
}

/// Nests the lines: every line but a leaf opens a selection set.
fn render(lines: &[String], is_leaf: bool) -> String {
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        let is_last = index + 1 == lines.len();
        let suffix = match (is_last, is_leaf, line.is_empty()) {
            (true, true, _) => "",
            (true, false, _) => " { ... }",
            (false, _, true) => "{",
            (false, _, false) => " {",
        };
        text.push_str(line);
        text.push_str(suffix);
        text.push('\n');
    }
    for depth in (0..lines.len().saturating_sub(1)).rev() {
        text.push_str(&"  ".repeat(depth));
        text.push('}');
        text.push_str(if depth == 0 { "" } else { "\n" });
    }
    text
}

fn arguments(graph: &Supergraph, field: FieldId) -> String {
    let required = graph.field(field).arguments.iter().filter(|(_, argument)| argument.ty.wrap.non_null & 1 == 1);
    let given: Vec<String> = required
        .filter(|(_, argument)| argument.default.is_none())
        .map(|(name, argument)| format!("{name}: {}", value(graph, argument.ty, 0)))
        .collect();
    if given.is_empty() { String::new() } else { format!("({})", given.join(", ")) }
}

/// An example of an input value.
fn value(graph: &Supergraph, ty: TypeRef, depth: usize) -> String {
    if ty.wrap.lists > 0 {
        return "[]".to_owned();
    }
    let named = graph.get_type(ty.named);
    match (named.kind, named.name.as_str()) {
        (TypeKind::Enum, _) => named.values.keys().next().map(ToString::to_string).unwrap_or_default(),
        (TypeKind::Input, _) if depth < DEPTH => {
            let required = named.inputs.iter().filter(|(_, input)| input.ty.wrap.non_null & 1 == 1 && input.default.is_none());
            let fields: Vec<String> =
                required.map(|(name, input)| format!("{name}: {}", value(graph, input.ty, depth + 1))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        (TypeKind::Input, _) => "{}".to_owned(),
        (_, "Int") => "0".to_owned(),
        (_, "Float") => "0.5".to_owned(),
        (_, "Boolean") => "true".to_owned(),
        (_, "ID") => "\"id\"".to_owned(),
        (_, "String") => "\"text\"".to_owned(),
        _ => "\"value\"".to_owned(),
    }
}
