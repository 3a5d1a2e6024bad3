//! `@shareable`: in Federation 1 value types and root fields could be resolved anywhere, and nobody had to say so.

use super::{All, edit};
use crate::subgraph::facts::fields_of;
use crate::subgraph::{FederationDirective, Subgraph};
use apollo_compiler::ast::Directive;
use apollo_compiler::schema::{Component, ExtendedType};
use apollo_compiler::{Name, Node};

/// Adds it to value types that other subgraphs have too, and to fields of entities and root types that other subgraphs resolve too.
/// Subscriptions are never shared. `original` is the subgraph before the upgrade.
pub fn add_shareable(all: &All<'_>, original: &Subgraph, subgraph: &mut Subgraph) {
    let Some(shareable) = subgraph.directive(FederationDirective::Shareable).cloned() else { return };
    let (mut types, mut fields) = (Vec::new(), Vec::new());
    for (name, definition) in &subgraph.schema.types {
        let ExtendedType::Object(object) = definition else { continue };
        if name == "Subscription" {
            continue;
        }
        if subgraph.keys(name).is_empty() && !["Query", "Mutation"].contains(&name.as_str()) {
            if !object.directives.has(&shareable) && all.others(&original.name, name).next().is_some() {
                types.push(name.clone());
            }
            continue;
        }
        for (field, definition) in object.fields.iter().filter(|(field, _)| !original.is_shareable(name, field)) {
            let is_resolved_elsewhere = all.others(&original.name, name).any(|other| resolves(other, name, field));
            if is_resolved_elsewhere && !definition.directives.has(&shareable) {
                fields.push((name.clone(), field.clone()));
            }
        }
    }
    let application = || Directive { name: shareable.clone(), arguments: Vec::new() };
    for name in types {
        if let Some(directives) = edit::type_directives_mut(&mut subgraph.schema, &name) {
            directives.push(Component::new(application()));
        }
    }
    for (parent, field) in fields {
        if let Some(field) = edit::field_mut(&mut subgraph.schema, &parent, &field) {
            field.make_mut().directives.0.push(Node::new(application()));
        }
    }
}

/// Whether the subgraph resolves the field, at least along a `@provides`.
fn resolves(subgraph: &Subgraph, parent: &Name, field: &Name) -> bool {
    let has_field = subgraph.schema.types.get(parent).and_then(fields_of).is_some_and(|fields| fields.contains_key(field));
    has_field && !subgraph.is_fully_external(parent, field)
}
