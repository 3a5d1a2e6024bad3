//! Small changes of schemas that the steps of the upgrade share.

use crate::subgraph::roots;
use apollo_compiler::ast::DirectiveList;
use apollo_compiler::schema::{Component, ComponentOrigin, Directive, ExtendedType, FieldDefinition};
use apollo_compiler::{Name, Schema};
use rustc_hash::FxHashMap;

/// Renames a type, and every reference to it.
pub fn rename_type(schema: &mut Schema, old: &'static str, new: &'static str) {
    if schema.types.contains_key(old) && !schema.types.contains_key(new) {
        let renames = FxHashMap::from_iter([(Name::new_static_unchecked(old), Name::new_static_unchecked(new))]);
        roots::rename_types(schema, &renames);
    }
}

/// The fields of an object or interface type, to change them.
pub fn field_mut<'a>(schema: &'a mut Schema, parent: &str, field: &str) -> Option<&'a mut Component<FieldDefinition>> {
    match schema.types.get_mut(parent)? {
        ExtendedType::Object(object) => object.make_mut().fields.get_mut(field),
        ExtendedType::Interface(interface) => interface.make_mut().fields.get_mut(field),
        _ => None,
    }
}

/// Removes a field.
pub fn remove_field(schema: &mut Schema, parent: &str, field: &str) {
    match schema.types.get_mut(parent) {
        Some(ExtendedType::Object(object)) => drop(object.make_mut().fields.shift_remove(field)),
        Some(ExtendedType::Interface(interface)) => drop(interface.make_mut().fields.shift_remove(field)),
        _ => {}
    }
}

/// Removes the applications of a directive from a field.
pub fn remove_from_field(schema: &mut Schema, parent: &str, field: &str, directive: &str) {
    if let Some(field) = field_mut(schema, parent, field) {
        remove(&mut field.make_mut().directives, directive);
    }
}

/// Removes the applications of a directive.
pub fn remove(directives: &mut DirectiveList, name: &str) {
    directives.0.retain(|directive| directive.name != name);
}

/// The directives of a type, to change them.
pub fn type_directives_mut<'a>(schema: &'a mut Schema, name: &str) -> Option<&'a mut Vec<Component<Directive>>> {
    Some(match schema.types.get_mut(name)? {
        ExtendedType::Scalar(scalar) => &mut scalar.make_mut().directives.0,
        ExtendedType::Object(object) => &mut object.make_mut().directives.0,
        ExtendedType::Interface(interface) => &mut interface.make_mut().directives.0,
        ExtendedType::Union(union) => &mut union.make_mut().directives.0,
        ExtendedType::Enum(enumeration) => &mut enumeration.make_mut().directives.0,
        ExtendedType::InputObject(input) => &mut input.make_mut().directives.0,
    })
}

/// Forgets which extension the components of an object or interface type came from.
pub fn forget_extensions(schema: &mut Schema, name: &str) {
    if let Some(directives) = type_directives_mut(schema, name) {
        directives.iter_mut().for_each(|directive| directive.origin = ComponentOrigin::Definition);
    }
    let (fields, interfaces) = match schema.types.get_mut(name) {
        Some(ExtendedType::Object(object)) => {
            let object = object.make_mut();
            (&mut object.fields, &mut object.implements_interfaces)
        }
        Some(ExtendedType::Interface(interface)) => {
            let interface = interface.make_mut();
            (&mut interface.fields, &mut interface.implements_interfaces)
        }
        _ => return,
    };
    fields.values_mut().for_each(|field| field.origin = ComponentOrigin::Definition);
    *interfaces = std::mem::take(interfaces)
        .into_iter()
        .map(|mut interface| {
            interface.origin = ComponentOrigin::Definition;
            interface
        })
        .collect();
}
