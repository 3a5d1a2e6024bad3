//! Whether types implement the interfaces that they say they implement.
//!
//! Spec: <https://spec.graphql.org/draft/#IsValidImplementation()>

use super::Violations;
use crate::hierarchy::Hierarchy;
use crate::subgraph::facts::fields_of;
use apollo_compiler::ast::Type;
use apollo_compiler::collections::IndexSet;
use apollo_compiler::schema::{ComponentName, ExtendedType, FieldDefinition};
use apollo_compiler::{Name, Node, Schema};

/// Checks every object type and interface.
pub fn check(schema: &Schema, found: &mut Violations) {
    let number = |interface: &ComponentName| schema.types.get_index_of(&interface.name);
    let declared = schema.types.iter().filter_map(|(name, definition)| Some((name, interfaces_of(definition)?)));
    let declared = Hierarchy::new(declared.map(|(name, interfaces)| (name, interfaces.iter().map(number).collect())));
    for definition in schema.types.values().filter(|definition| !definition.is_built_in()) {
        let Some(interfaces) = interfaces_of(definition) else { continue };
        for interface in interfaces {
            if let Some(ExtendedType::Interface(_)) = schema.types.get(&interface.name) {
                check_implementation(schema, definition, interface, found);
                if !declared.has_all_of(&definition.name(), &&interface.name) {
                    check_inherited(schema, definition, interface, found);
                }
            }
        }
    }
}

/// The interfaces that a type declares.
fn interfaces_of(definition: &ExtendedType) -> Option<&IndexSet<ComponentName>> {
    match definition {
        ExtendedType::Object(object) => Some(&object.implements_interfaces),
        ExtendedType::Interface(interface) => Some(&interface.implements_interfaces),
        _ => None,
    }
}

fn check_implementation(schema: &Schema, definition: &ExtendedType, interface: &ComponentName, found: &mut Violations) {
    let (name, location) = (definition.name(), definition.location());
    if interface.name == *name {
        found.push(format!("The interface \"{name}\" cannot implement itself."), interface.location());
    }
    let Some(implemented) = schema.types.get(&interface.name) else { return };
    let (Some(expected), Some(fields)) = (fields_of(implemented), fields_of(definition)) else { return };
    for (field_name, expected) in expected {
        match fields.get(field_name) {
            Some(field) => check_field(schema, definition.name(), field, (&interface.name, expected), found),
            None => found.push(
                format!(
                    "The type \"{name}\" implements \"{}\" but lacks its field \"{field_name}\". Add the field.",
                    interface.name
                ),
                location,
            ),
        }
    }
}

/// Whether a type says that it implements what its interface implements.
fn check_inherited(schema: &Schema, definition: &ExtendedType, interface: &ComponentName, found: &mut Violations) {
    let (name, location) = (definition.name(), definition.location());
    let Some(implemented) = schema.types.get(&interface.name) else { return };
    let declared = interfaces_of(definition);
    for inherited in interfaces_of(implemented).into_iter().flatten() {
        if !declared.is_some_and(|declared| declared.contains(inherited.name.as_str())) {
            let message = format!(
                "The type \"{name}\" implements \"{}\", which implements \"{}\", so it must say that it implements \"{1}\" too.",
                interface.name, inherited.name
            );
            found.push(message, location);
        }
    }
}

fn check_field(
    schema: &Schema,
    parent: &Name,
    field: &Node<FieldDefinition>,
    (interface, expected): (&Name, &Node<FieldDefinition>),
    found: &mut Violations,
) {
    let name = &field.name;
    if !is_subtype(schema, &expected.ty, &field.ty) {
        let message = format!(
            "The field \"{parent}.{name}\" has the type \"{}\", which is no subtype of \"{}\", the type of \"{interface}.{name}\".",
            field.ty, expected.ty
        );
        found.push(message, field.location());
    }
    for wanted in &expected.arguments {
        match field.argument_by_name(&wanted.name) {
            None => found.push(
                format!("The field \"{parent}.{name}\" lacks the argument \"{}\" of \"{interface}.{name}\".", wanted.name),
                field.location(),
            ),
            Some(argument) if argument.ty != wanted.ty => {
                let message = format!(
                    "The argument \"{parent}.{name}({}:)\" has the type \"{}\" instead of \"{}\", as in \"{interface}.{name}\".",
                    wanted.name, argument.ty, wanted.ty
                );
                found.push(message, argument.location());
            }
            Some(_) => {}
        }
    }
    for extra in
        field.arguments.iter().filter(|argument| argument.is_required() && expected.argument_by_name(&argument.name).is_none())
    {
        let message = format!(
            "The argument \"{parent}.{name}({}:)\" is required, but \"{interface}.{name}\" does not have it.",
            extra.name
        );
        found.push(message, extra.location());
    }
}

/// Whether every value of `ty` is one of `wanted`.
fn is_subtype(schema: &Schema, wanted: &Type, ty: &Type) -> bool {
    match (wanted, ty) {
        (Type::NonNullNamed(wanted), Type::NonNullNamed(ty))
        | (Type::Named(wanted), Type::Named(ty) | Type::NonNullNamed(ty)) => wanted == ty || is_possible(schema, wanted, ty),
        (Type::NonNullList(wanted), Type::NonNullList(ty)) | (Type::List(wanted), Type::List(ty) | Type::NonNullList(ty)) => {
            is_subtype(schema, wanted, ty)
        }
        _ => false,
    }
}

fn is_possible(schema: &Schema, wanted: &Name, ty: &Name) -> bool {
    match schema.types.get(wanted) {
        Some(ExtendedType::Union(union)) => union.members.contains(ty.as_str()),
        Some(ExtendedType::Interface(_)) => {
            schema.types.get(ty).and_then(interfaces_of).is_some_and(|interfaces| interfaces.contains(wanted.as_str()))
        }
        _ => false,
    }
}
