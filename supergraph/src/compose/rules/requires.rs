//! REQUIRES_INVALID_FIELDS after the merge: a `@requires` is sent to other subgraphs, so its arguments must fit what all of them
//! accept: an argument that was left out cannot be given, and one that became mandatory must be.

use crate::compose::merged::{Map, Merged, MergedArgument};
use crate::diagnostics::Diagnostic;
use crate::subgraph::{Selection, Subgraph};
use apollo_compiler::ast::Argument;
use apollo_compiler::{Name, Node};

/// Checks every `@requires` of every subgraph.
pub(super) fn check(subgraphs: &[Subgraph], merged: &Merged) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    for subgraph in subgraphs {
        for (name, definition) in subgraph.types() {
            for field in crate::subgraph::facts::fields_of(definition).into_iter().flat_map(|fields| fields.values()) {
                let Some(requires) = &subgraph.field_facts(name, &field.name).requires else { continue };
                let Ok(set) = &requires.fields else { continue };
                if let Err(fault) = check_selections(merged, name, &set.selections) {
                    let message = format!(
                        "On field \"{name}.{}\", @requires(fields: \"{}\") cannot be sent to other subgraphs: {fault}",
                        field.name, requires.text
                    );
                    errors.push(subgraph.error("REQUIRES_INVALID_FIELDS", &message, requires.directive.location()));
                }
            }
        }
    }
    errors
}

/// Recursion is bounded by the depth that the parser allows.
fn check_selections(merged: &Merged, parent: &Name, selections: &[Selection]) -> Result<(), String> {
    for selection in selections {
        match selection {
            Selection::Field { name, arguments, selections } => {
                let Some(field) = merged.types.get(parent).and_then(|ty| ty.fields.get(name)) else { continue };
                check_arguments(&format!("{parent}.{name}"), arguments, &field.arguments)?;
                check_selections(merged, field.ty.inner_named_type(), selections)?;
            }
            Selection::Fragment { on, selections } => check_selections(merged, on.as_ref().unwrap_or(parent), selections)?,
        }
    }
    Ok(())
}

fn check_arguments(coordinate: &str, given: &[Node<Argument>], accepted: &Map<Name, MergedArgument>) -> Result<(), String> {
    if let Some(unknown) = given.iter().find(|argument| !accepted.contains_key(&argument.name)) {
        return Err(format!(
            "it gives the argument \"{}\" of \"{coordinate}\", which not every subgraph has. Add the argument there.",
            unknown.name
        ));
    }
    let is_missing = |name: &Name, argument: &MergedArgument| {
        let is_given = given.iter().any(|given| given.name == *name);
        !is_given && argument.ty.is_non_null() && argument.default.is_none()
    };
    match accepted.iter().find(|(name, argument)| is_missing(name, argument)) {
        Some((name, _)) => Err(format!(
            "it gives no value for the argument \"{name}\" of \"{coordinate}\", which another subgraph requires. Give it."
        )),
        None => Ok(()),
    }
}
