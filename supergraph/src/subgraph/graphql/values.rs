//! Whether a constant value fits a type.
//!
//! Spec: <https://spec.graphql.org/draft/#sec-Values-of-Correct-Type>

use apollo_compiler::ast::{Type, Value};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Name, Schema};

/// Whether `value` can stand where `ty` is expected. Custom scalars take everything; strings and enum values may stand for each other,
/// and a required field of an input object may be missing: the reference, which looks at values without their syntax, has always
/// accepted that. Depth is bounded by the parser's limit.
#[must_use]
pub fn fits(schema: &Schema, value: &Value, ty: &Type) -> bool {
    if value.is_null() {
        return !ty.is_non_null();
    }
    if matches!(value, Value::Variable(_)) {
        return false;
    }
    match ty {
        Type::NonNullNamed(name) | Type::Named(name) => fits_named(schema, value, name),
        Type::List(item) | Type::NonNullList(item) => match value {
            Value::List(items) => items.iter().all(|value| fits(schema, value, item)),
            single => fits(schema, single, item),
        },
    }
}

fn fits_named(schema: &Schema, value: &Value, name: &Name) -> bool {
    match schema.types.get(name) {
        Some(ExtendedType::Enum(enumeration)) => match value {
            Value::String(text) => enumeration.values.contains_key(text.as_str()),
            Value::Enum(name) => enumeration.values.contains_key(name),
            _ => false,
        },
        Some(ExtendedType::InputObject(input)) => {
            let Value::Object(given) = value else { return false };
            given.iter().all(|(name, value)| input.fields.get(name).is_some_and(|field| fits(schema, value, &field.ty)))
        }
        Some(ExtendedType::Scalar(scalar)) if scalar.is_built_in() => fits_built_in(value, name),
        _ => true,
    }
}

fn fits_built_in(value: &Value, name: &str) -> bool {
    match name {
        "Boolean" => matches!(value, Value::Boolean(_)),
        "Int" => is_integer(value),
        "Float" => value.to_f64().is_some(),
        "ID" => is_integer(value) || matches!(value, Value::String(_) | Value::Enum(_)),
        _ => matches!(value, Value::String(_) | Value::Enum(_)),
    }
}

/// A number without fraction, however it is written.
fn is_integer(value: &Value) -> bool {
    const BOUND: f64 = 1e21;
    value.to_f64().is_some_and(|number| number.fract() == 0.0 && number.abs() < BOUND)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test may panic")]
    use super::*;
    use apollo_compiler::ast::Definition;

    fn default_fits(field: &str) -> bool {
        let text =
            format!("type Query {{ a: Int }} enum E {{ A B }} input I {{ a: Int b: [String!] }} scalar S input T {{ {field} }}");
        let document = crate::document::sdl(&text, "test").unwrap();
        let schema = Schema::builder().add_ast(&document).build().unwrap();
        let Some(Definition::InputObjectTypeDefinition(input)) = document.definitions.last() else { return false };
        let field = &input.fields[0];
        fits(&schema, field.default_value.as_ref().unwrap(), &field.ty)
    }

    #[test]
    fn values_fit_or_not() {
        for good in [
            "a: Int = 1",
            "a: Int = 1.0",
            "a: Float = 1",
            "a: ID = 7",
            "a: ID = \"x\"",
            "a: E = A",
            "a: E = \"A\"",
            "a: [Int] = 1",
            "a: [Int!] = [1, 2]",
            "a: Int = null",
            "a: I = { a: 1, b: \"x\" }",
            "a: S = { anything: [GOES] }",
            "a: Boolean = true",
        ] {
            assert!(default_fits(good), "{good}");
        }
        for bad in [
            "a: Int = 1.5",
            "a: Int = \"1\"",
            "a: Int! = null",
            "a: E = C",
            "a: String = 1",
            "a: Boolean = 0",
            "a: [Int!] = [null]",
            "a: I = { c: 1 }",
            "a: I = 1",
            "a: Float = \"1\"",
        ] {
            assert!(!default_fits(bad), "{bad}");
        }
    }
}
