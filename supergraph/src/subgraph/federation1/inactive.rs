//! `@provides` and `@requires` of fields that are not external: Federation 1 ignored them.

use super::edit;
use crate::subgraph::facts::fields_of;
use crate::subgraph::field_set::{FieldSet, Selection};
use crate::subgraph::selects::{self, Policy};
use crate::subgraph::{FederationDirective, FieldSetUse, Subgraph};
use apollo_compiler::ast::Value;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Name, Node};

/// The code of findings about what does not exist; it is never reported.
const UNREADABLE: &str = "";

/// Everything is allowed but what does not exist.
const EXISTS: Policy = Policy {
    directive: FederationDirective::Requires,
    allows_arguments: true,
    wants_external: false,
    allows_abstract: true,
    invalid: UNREADABLE,
    not_a_string: "",
    has_arguments: "allowed",
    has_directive: "allowed",
    missing_external: "allowed",
};

/// A directive application whose field set is to be replaced, or removed when nothing is left of it.
struct Change {
    parent: Name,
    field: Name,
    directive: Name,
    text: Option<String>,
}

/// Removes the selected leaves that are not external, and the directives that are left without any.
pub fn remove(subgraph: &mut Subgraph) {
    let mut changes = Vec::new();
    for (parent, definition) in &subgraph.schema.types {
        for field in fields_of(definition).into_iter().flat_map(|fields| fields.values()) {
            let facts = subgraph.field_facts(parent, &field.name);
            let uses = [(&facts.provides, field.ty.inner_named_type()), (&facts.requires, parent)];
            for (used, target) in uses {
                let Some(used) = used else { continue };
                if let Some(text) = trimmed(subgraph, used, target) {
                    let directive = used.directive.name.clone();
                    changes.push(Change { parent: parent.clone(), field: field.name.clone(), directive, text });
                }
            }
        }
    }
    for change in changes {
        apply(subgraph, &change);
    }
}

fn apply(subgraph: &mut Subgraph, change: &Change) {
    let Some(field) = edit::field_mut(&mut subgraph.schema, &change.parent, &change.field) else { return };
    let directives = &mut field.make_mut().directives;
    let Some(text) = &change.text else { return edit::remove(directives, &change.directive) };
    for directive in directives.0.iter_mut().filter(|directive| directive.name == change.directive) {
        for argument in directive.make_mut().arguments.iter_mut().filter(|argument| argument.name == "fields") {
            argument.make_mut().value = Node::new(Value::String(text.clone()));
        }
    }
}

/// `None` if the field set can stay; otherwise what is left of it.
fn trimmed(subgraph: &Subgraph, used: &FieldSetUse, target: &Name) -> Option<Option<String>> {
    let set = used.fields.as_ref().ok()?;
    let findings = selects::check(subgraph, target, set, &EXISTS);
    let is_sound = findings.iter().all(|finding| finding.code != UNREADABLE);
    if !is_sound || !selects_own_leaf(subgraph, target, &set.selections) {
        return None;
    }
    let kept = without_own_leaves(subgraph, target, &set.selections);
    Some((!kept.is_empty()).then(|| FieldSet::print(&kept)))
}

fn type_of(subgraph: &Subgraph, parent: &Name, field: &Name) -> Option<Name> {
    let definition = subgraph.schema.types.get(parent).and_then(fields_of)?.get(field)?;
    Some(definition.ty.inner_named_type().clone())
}

/// Whether the field or, for an interface's, that of an implementation is marked external.
fn is_external(subgraph: &Subgraph, parent: &Name, field: &Name) -> bool {
    let marked = |parent: &Name| {
        let definition = subgraph.schema.types.get(parent).and_then(fields_of).and_then(|fields| fields.get(field));
        let external = subgraph.directive(FederationDirective::External);
        definition.zip(external).is_some_and(|(definition, external)| definition.directives.has(external))
    };
    marked(parent) || subgraph.implementations(parent).iter().any(marked)
}

fn selects_own_leaf(subgraph: &Subgraph, parent: &Name, selections: &[Selection]) -> bool {
    selections.iter().any(|selection| match selection {
        Selection::Field { name, selections, .. } => {
            !is_external(subgraph, parent, name)
                && (selections.is_empty()
                    || type_of(subgraph, parent, name).is_some_and(|ty| selects_own_leaf(subgraph, &ty, selections)))
        }
        Selection::Fragment { on, selections } => selects_own_leaf(subgraph, on.as_ref().unwrap_or(parent), selections),
    })
}

fn without_own_leaves(subgraph: &Subgraph, parent: &Name, selections: &[Selection]) -> Vec<Selection> {
    let kept = selections.iter().filter_map(|selection| match selection {
        Selection::Field { name, .. } if is_external(subgraph, parent, name) => Some(selection.clone()),
        Selection::Field { name, arguments, selections } => {
            let selections = without_own_leaves(subgraph, &type_of(subgraph, parent, name)?, selections);
            (!selections.is_empty()).then(|| Selection::Field { name: name.clone(), arguments: arguments.clone(), selections })
        }
        Selection::Fragment { on, selections } => {
            let selections = without_own_leaves(subgraph, on.as_ref().unwrap_or(parent), selections);
            (!selections.is_empty()).then(|| Selection::Fragment { on: on.clone(), selections })
        }
    });
    kept.collect()
}

/// Removes `@provides` from fields of object types whose type has no fields.
pub fn remove_from_leaves(subgraph: &mut Subgraph) {
    let Some(provides) = subgraph.directive(FederationDirective::Provides).cloned() else { return };
    let mut found = Vec::new();
    for (name, definition) in &subgraph.schema.types {
        let ExtendedType::Object(object) = definition else { continue };
        for field in object.fields.values().filter(|field| field.directives.has(&provides)) {
            let target = subgraph.schema.types.get(field.ty.inner_named_type());
            if !matches!(target, Some(ExtendedType::Object(_) | ExtendedType::Interface(_) | ExtendedType::Union(_))) {
                found.push((name.clone(), field.name.clone()));
            }
        }
    }
    for (parent, field) in found {
        edit::remove_from_field(&mut subgraph.schema, &parent, &field, &provides);
    }
}
