//! `@tag` on external fields: a tag belongs on the definition that resolves the field.

use super::{All, edit};
use crate::subgraph::facts::fields_of;
use crate::subgraph::{FederationDirective, Subgraph};
use apollo_compiler::Name;
use apollo_compiler::ast::Directive;
use apollo_compiler::schema::{Component, FieldDefinition};

/// Removes the tags of external fields that another subgraph's definition of the field carries too.
pub fn remove_from_external(all: &All<'_>, subgraph: &mut Subgraph) {
    let external = subgraph.directive(FederationDirective::External).cloned();
    let (Some(external), Some(tag)) = (external, subgraph.directive(FederationDirective::Tag).cloned()) else { return };
    let mut found: Vec<(Name, Name)> = Vec::new();
    for (name, definition) in &subgraph.schema.types {
        for field in fields_of(definition).into_iter().flat_map(|fields| fields.values()) {
            if field.directives.has(&external) && field.directives.has(&tag) {
                found.push((name.clone(), field.name.clone()));
            }
        }
    }
    for (parent, name) in found {
        let others: Vec<&Component<FieldDefinition>> =
            all.others(&subgraph.name, &parent).filter_map(|other| definition(other, &parent, &name)).collect();
        let Some(field) = edit::field_mut(&mut subgraph.schema, &parent, &name) else { continue };
        let is_elsewhere = |tag: &Directive| others.iter().any(|other| other.directives.iter().any(|found| **found == *tag));
        field.make_mut().directives.0.retain(|directive| directive.name != tag || !is_elsewhere(directive));
    }
}

/// The field in a subgraph that resolves it.
fn definition<'a>(subgraph: &'a Subgraph, parent: &Name, field: &Name) -> Option<&'a Component<FieldDefinition>> {
    let definition = subgraph.schema.types.get(parent).and_then(fields_of)?.get(field)?;
    (!definition.directives.has("external")).then_some(definition)
}
