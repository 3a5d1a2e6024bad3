//! The rules on `@inaccessible` for one type.
//!
//! Relied on by `inaccessible`.

use super::{Check, Finding, error, is_required, required};
use crate::model::TypeKind;
use crate::model::declared::Declared;
use apollo_compiler::Name;
use apollo_compiler::ast::{FieldDefinition, InputValueDefinition, Type};

/// The errors of one type that does not come with a linked feature.
pub(super) fn check(check: &Check, name: &Name, ty: &Declared) -> Vec<Finding> {
    let mut errors = Vec::new();
    if check.hides(&ty.directives) {
        return errors;
    }
    errors.extend(only_hidden_children(check, name, ty));
    for field in &ty.fields {
        if check.hides(&field.directives) {
            errors.extend(implements_visible_field(check, name, ty, field));
        } else {
            errors.extend(referenced(check, &format!("{name}.{}", field.name), &field.ty));
            for argument in &field.arguments {
                errors.extend(check_argument(check, (name, ty), field, argument));
            }
        }
    }
    for input in &ty.inputs {
        let coordinate = format!("{name}.{}", input.name);
        if !check.hides(&input.directives) {
            errors.extend(referenced(check, &coordinate, &input.ty));
        } else if is_required(input) {
            errors.push(required(&coordinate));
        }
    }
    errors
}

/// A visible type needs a visible child.
fn only_hidden_children(check: &Check, name: &Name, ty: &Declared) -> Option<Finding> {
    let (children, some_visible) = match ty.kind {
        TypeKind::Object | TypeKind::Interface => ("fields", ty.fields.iter().any(|field| !check.hides(&field.directives))),
        TypeKind::Input => ("input fields", ty.inputs.iter().any(|input| !check.hides(&input.directives))),
        TypeKind::Enum => ("values", ty.values.iter().any(|value| !check.hides(&value.directives))),
        TypeKind::Union => ("members", ty.members.iter().any(|member| !check.hides_type(member))),
        TypeKind::Scalar => return None,
    };
    let message =
        format!("All {children} of \"{name}\" are @inaccessible, but \"{name}\" is not. Hide it too, or show one of them.");
    (!some_visible).then(|| error("ONLY_INACCESSIBLE_CHILDREN", name, message))
}

/// A visible element must not have a hidden type.
pub(super) fn referenced(check: &Check, coordinate: &str, ty: &Type) -> Option<Finding> {
    let named = ty.inner_named_type();
    let message =
        format!("\"{coordinate}\" is visible to clients, but its type \"{named}\" is @inaccessible. Hide \"{coordinate}\" too.");
    check.hides_type(named).then(|| error("REFERENCED_INACCESSIBLE", coordinate, message))
}

/// A hidden field must not be one that a visible interface promises.
fn implements_visible_field(check: &Check, name: &Name, ty: &Declared, field: &FieldDefinition) -> Vec<Finding> {
    let promised = ty.interfaces.iter().filter(|interface| visible_field(check, interface, &field.name).is_some());
    promised.map(|interface| implemented(&format!("{name}.{}", field.name), &format!("{interface}.{}", field.name))).collect()
}

fn implemented(hidden: &str, promised: &str) -> Finding {
    error(
        "IMPLEMENTED_BY_INACCESSIBLE",
        hidden,
        format!("\"{hidden}\" is @inaccessible, but clients see \"{promised}\", which it implements. Hide both, or none."),
    )
}

/// The field of a visible type, if it is visible.
fn visible_field<'a>(check: &'a Check, ty: &str, field: &str) -> Option<&'a FieldDefinition> {
    let ty = check.types.get(ty).filter(|ty| !check.hides(&ty.directives))?;
    ty.fields.iter().find(|known| known.name == field && !check.hides(&known.directives)).map(|field| &**field)
}

fn check_argument(
    check: &Check,
    (name, ty): (&Name, &Declared),
    field: &FieldDefinition,
    argument: &InputValueDefinition,
) -> Vec<Finding> {
    let coordinate = |ty: &str| format!("{ty}.{}({}:)", field.name, argument.name);
    if !check.hides(&argument.directives) {
        return referenced(check, &coordinate(name), &argument.ty).into_iter().collect();
    }
    let mut errors = Vec::new();
    if is_required(argument) {
        errors.push(required(&coordinate(name)));
    }
    let visible = |ty: &str| {
        let arguments = visible_field(check, ty, &field.name).map(|field| field.arguments.as_slice()).unwrap_or_default();
        arguments.iter().find(|known| known.name == argument.name && !check.hides(&known.directives))
    };
    let implementations =
        check.types.iter().filter(|(_, other)| ty.kind == TypeKind::Interface && other.interfaces.contains(name));
    for (implementation, _) in implementations.filter(|(other, _)| visible(other).is_some_and(|argument| is_required(argument))) {
        errors.push(error(
            "REQUIRED_INACCESSIBLE",
            &coordinate(name),
            format!(
                "\"{}\" is @inaccessible, but \"{}\", which implements it, must be given. Make it nullable, or give it a default.",
                coordinate(name),
                coordinate(implementation)
            ),
        ));
    }
    for interface in ty.interfaces.iter().filter(|interface| visible(interface).is_some()) {
        errors.push(implemented(&coordinate(name), &coordinate(interface)));
    }
    errors
}
