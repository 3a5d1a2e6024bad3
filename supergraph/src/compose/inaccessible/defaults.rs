//! Default values that clients see must not mention hidden enum values or input fields.
//!
//! Relied on by `inaccessible`. Recursion is as deep as the values, which the parser bounds.

use super::{Check, Finding, error};
use crate::model::TypeKind;
use crate::model::declared::Declared;
use apollo_compiler::ast::{Definition, Document, InputValueDefinition, Type, Value};

/// The errors of every visible default value.
pub(super) fn check(check: &Check, supergraph: &Document) -> Vec<Finding> {
    let mut errors = Vec::new();
    for (name, ty) in check.types.iter().filter(|(_, ty)| !check.hides(&ty.directives)) {
        for field in ty.fields.iter().filter(|field| !check.hides(&field.directives)) {
            for argument in &field.arguments {
                default_of(check, &format!("{name}.{}({}:)", field.name, argument.name), argument, &mut errors);
            }
        }
        for input in &ty.inputs {
            default_of(check, &format!("{name}.{}", input.name), input, &mut errors);
        }
    }
    for directive in supergraph.definitions.iter().filter_map(Definition::as_directive_definition) {
        for argument in &directive.arguments {
            default_of(check, &format!("@{}({}:)", directive.name, argument.name), argument, &mut errors);
        }
    }
    errors
}

fn default_of(check: &Check, coordinate: &str, input: &InputValueDefinition, errors: &mut Vec<Finding>) {
    let Some(value) = input.default_value.as_ref().filter(|_| !check.hides(&input.directives)) else { return };
    let mut hidden = Vec::new();
    collect(check, value, &input.ty, &mut hidden);
    errors.extend(hidden.into_iter().map(|hidden| {
        error(
            "DEFAULT_VALUE_USES_INACCESSIBLE",
            coordinate,
            format!("The default of \"{coordinate}\", which clients see, uses \"{hidden}\", which is @inaccessible. Change the default."),
        )
    }));
}

/// Collects the hidden elements that a value mentions. A hidden type as a whole is another rule's matter.
fn collect(check: &Check, value: &Value, ty: &Type, hidden: &mut Vec<String>) {
    match (value, ty) {
        (Value::List(items), Type::List(item) | Type::NonNullList(item)) => {
            items.iter().for_each(|value| collect(check, value, item, hidden))
        }
        (_, Type::List(item) | Type::NonNullList(item)) => collect(check, value, item, hidden),
        (_, Type::Named(name) | Type::NonNullNamed(name)) => {
            if let Some(named) = check.types.get(name).filter(|named| !check.hides(&named.directives)) {
                collect_named(check, value, (name, named), hidden);
            }
        }
    }
}

fn collect_named(check: &Check, value: &Value, (name, ty): (&str, &Declared), hidden: &mut Vec<String>) {
    match value {
        Value::Object(fields) if ty.kind == TypeKind::Input => {
            for (key, value) in fields {
                let Some(input) = ty.inputs.iter().find(|input| input.name == *key) else { continue };
                if check.hides(&input.directives) {
                    hidden.push(format!("{name}.{key}"));
                }
                collect(check, value, &input.ty, hidden);
            }
        }
        Value::Enum(value) if ty.values.iter().any(|known| known.value == *value && check.hides(&known.directives)) => {
            hidden.push(format!("{name}.{value}"));
        }
        _ => {}
    }
}
