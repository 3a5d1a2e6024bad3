//! Type extensions: in Federation 1 an entity of another subgraph is extended; afterwards every subgraph just defines its part.

use super::{All, edit};
use crate::diagnostics::Diagnostic;
use crate::subgraph::facts::{self, visit_fields};
use crate::subgraph::{FederationDirective, Subgraph};
use apollo_compiler::Name;
use apollo_compiler::schema::ExtendedType;

/// Reports extensions of types that no other subgraph defines.
pub fn check_bases(all: &All<'_>, subgraph: &Subgraph, errors: &mut Vec<Diagnostic>) {
    for name in extended_types(subgraph).filter(|name| !is_root(name)) {
        let is_defined = all.others(&subgraph.name, name).any(|other| other.is_defined(name));
        if !is_defined {
            let message = format!(
                "The type \"{name}\" is an extension, but no subgraph defines it. Remove \"extend\" (or @extends), or define it in another subgraph."
            );
            errors.push(subgraph.error(
                "EXTENSION_WITH_NO_BASE",
                &message,
                subgraph.schema.types.get(name).and_then(first_location),
            ));
        }
    }
}

/// The definition's location, or that of the first field of an extension.
fn first_location(definition: &ExtendedType) -> Option<apollo_compiler::parser::SourceSpan> {
    definition.location().or_else(|| facts::fields_of(definition)?.values().next()?.location())
}

fn is_root(name: &str) -> bool {
    ["Query", "Mutation", "Subscription"].contains(&name)
}

/// Object and interface types that are only extended here, or carry `@extends`.
fn extended_types(subgraph: &Subgraph) -> impl Iterator<Item = &Name> {
    let with_fields = subgraph.schema.types.iter().filter(|(_, definition)| facts::fields_of(definition).is_some());
    with_fields
        .map(|(name, _)| name)
        .filter(|name| subgraph.type_facts(name).has_extends || (subgraph.is_extended(name) && !subgraph.is_defined(name)))
}

/// Key fields of extensions are resolved here although `extend type` syntax wanted `@external` on them. An extension without a key
/// uses the first key that each other subgraph gives the type.
pub fn remove_external_from_keys(all: &All<'_>, subgraph: &mut Subgraph) {
    let Some(external) = subgraph.directive(FederationDirective::External).cloned() else { return };
    let mut resolved: Vec<(Name, Name)> = Vec::new();
    for name in extended_types(subgraph) {
        if subgraph.keys(name).is_empty() {
            for other in all.others(&subgraph.name, name) {
                key_fields(other, name, 1, &mut resolved);
            }
        } else {
            key_fields(subgraph, name, usize::MAX, &mut resolved);
        }
    }
    for (parent, field) in resolved {
        edit::remove_from_field(&mut subgraph.schema, &parent, &field, &external);
    }
}

/// Adds the type's own fields that its first keys select.
fn key_fields(subgraph: &Subgraph, name: &Name, keys: usize, found: &mut Vec<(Name, Name)>) {
    for set in subgraph.keys(name).iter().take(keys).filter_map(|key| key.fields.as_ref().ok()) {
        visit_fields(&subgraph.schema, name, &set.selections, &mut |parent, field| {
            if parent == name {
                found.push((name.clone(), field.name.clone()));
            }
        });
    }
}

/// Makes the extended types definitions.
pub fn to_definitions(subgraph: &mut Subgraph) {
    let names: Vec<Name> = extended_types(subgraph).cloned().collect();
    for name in names {
        if subgraph.is_extended(&name) {
            edit::forget_extensions(&mut subgraph.schema, &name);
        }
        subgraph.declarations.set_defined(&name);
    }
}
