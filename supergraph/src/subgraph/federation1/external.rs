//! `@external` that had no effect, and external fields that nothing uses.

use super::edit;
use crate::diagnostics::Diagnostic;
use crate::subgraph::facts::fields_of;
use crate::subgraph::{FederationDirective, Subgraph};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Name, Schema};

/// Removes `@external` from fields of interfaces and from object types, where Federation 1 ignored it.
pub fn remove_ineffective(subgraph: &mut Subgraph) {
    let Some(external) = subgraph.directive(FederationDirective::External).cloned() else { return };
    for definition in subgraph.schema.types.values_mut() {
        match definition {
            ExtendedType::Interface(interface) if interface.fields.values().any(|field| field.directives.has(&external)) => {
                interface.make_mut().fields.values_mut().filter(|field| field.directives.has(&external)).for_each(|field| {
                    edit::remove(&mut field.make_mut().directives, &external);
                });
            }
            ExtendedType::Object(object) if object.directives.has(&external) => {
                object.make_mut().directives.0.retain(|directive| directive.name != external);
            }
            _ => {}
        }
    }
}

/// Removes the external fields that nothing uses, and types that are empty without them. Reports such a type if something refers to it.
pub fn remove_unused(subgraph: &mut Subgraph, errors: &mut Vec<Diagnostic>) {
    let mut unused: Vec<(Name, Name)> = Vec::new();
    for (name, definition) in &subgraph.schema.types {
        for field in fields_of(definition).into_iter().flat_map(|fields| fields.keys()) {
            let facts = subgraph.field_facts(name, field);
            if facts.is_external && !facts.is_used {
                unused.push((name.clone(), field.clone()));
            }
        }
    }
    for (parent, field) in &unused {
        edit::remove_field(&mut subgraph.schema, parent, field);
    }
    unused.dedup_by(|a, b| a.0 == b.0);
    for (name, _) in unused {
        let is_empty = subgraph.schema.types.get(&name).and_then(fields_of).is_some_and(|fields| fields.is_empty());
        // The query root always has the field `_service`.
        if !is_empty || name == "Query" {
            continue;
        }
        // The union `_Entity`, which no one writes down, refers to every type with a key.
        if !subgraph.keys(&name).is_empty() || is_referenced(&subgraph.schema, &name) {
            let message = format!(
                "All fields of the type \"{name}\" are @external, and no @key, @provides or @requires selects any of them. Remove the type and what refers to it."
            );
            let location = subgraph.schema.types.get(&name).and_then(ExtendedType::location);
            errors.push(subgraph.error("TYPE_WITH_ONLY_UNUSED_EXTERNAL", &message, location));
        } else {
            subgraph.schema.types.shift_remove(&name);
        }
    }
}

fn is_referenced(schema: &Schema, name: &Name) -> bool {
    let root = &schema.schema_definition;
    let is_root = [&root.query, &root.mutation, &root.subscription].into_iter().flatten().any(|root| root.name == *name);
    is_root
        || schema.types.values().any(|definition| match definition {
            ExtendedType::Object(object) => {
                object.implements_interfaces.contains(name.as_str())
                    || object.fields.values().any(|field| field.ty.inner_named_type() == name)
            }
            ExtendedType::Interface(interface) => {
                interface.implements_interfaces.contains(name.as_str())
                    || interface.fields.values().any(|field| field.ty.inner_named_type() == name)
            }
            ExtendedType::Union(union) => union.members.contains(name.as_str()),
            _ => false,
        })
}
