//! Variables: coercion of their values, and `@oneOf`, which the parser crate does not know.
//!
//! Relied on by `graphql`. Spec: <https://spec.graphql.org/September2025/#sec-Coercing-Variable-Values>

use apollo_compiler::{
    Schema,
    ast::Type,
    request::coerce_variable_values,
    response::{JsonMap, JsonValue},
    schema::ExtendedType,
    validation::Valid,
};

use super::operation::{Operation, problem};
use crate::error::{Error, ErrorKind};

/// The values of an operation's variables: those given and those by default. A variable without either is not among them.
///
/// # Errors
/// A value does not fit its type, or is missing.
pub fn coerce(schema: &Valid<Schema>, operation: &Operation, given: Option<JsonMap>) -> Result<Valid<JsonMap>, Error> {
    if operation.parsed.variables.is_empty() {
        return Ok(Valid::assume_valid(JsonMap::new()));
    }
    let given = given.unwrap_or_default();
    let coerced = coerce_variable_values(schema, &operation.parsed, &given).map_err(|error| {
        // The document's text is not at hand here, and the variable is named in the message.
        let problem = problem(error.to_graphql_error(&Default::default()));
        Error::new(ErrorKind::BadUserInput, problem.message)
    })?;
    for variable in &operation.parsed.variables {
        if let Some(value) = coerced.get(variable.name.as_str()) {
            check_one_of(schema, &variable.ty, value).map_err(|reason| {
                Error::new(ErrorKind::BadUserInput, format!("The value of variable ${} is wrong: {reason}", variable.name))
            })?;
        }
    }
    Ok(coerced)
}

/// Exactly one field of a `@oneOf` input object is given, and not null. Values are no deeper than the JSON parser lets them be.
fn check_one_of(schema: &Schema, ty: &Type, value: &JsonValue) -> Result<(), String> {
    let fields = match value {
        JsonValue::Array(items) => return items.iter().try_for_each(|item| check_one_of(schema, ty.item_type(), item)),
        JsonValue::Object(fields) => fields,
        _ => return Ok(()),
    };
    let Some(ExtendedType::InputObject(input)) = schema.types.get(ty.inner_named_type()) else { return Ok(()) };
    if input.directives.has("oneOf") && (fields.len() != 1 || fields.values().any(JsonValue::is_null)) {
        return Err(format!("exactly one field of {} must be given, and not null.", input.name));
    }
    for (name, value) in fields {
        if let Some(field) = input.fields.get(name.as_str()) {
            check_one_of(schema, &field.ty, value)?;
        }
    }
    Ok(())
}
