//! Introspection: `__schema` and `__type`, answered from the client schema.
//!
//! Relies on the parser crate; relied on by `graphql`. Spec: <https://spec.graphql.org/September2025/#sec-Introspection>

use apollo_compiler::{
    ExecutableDocument, Name, Schema,
    collections::HashMap,
    introspection::partial_execute,
    response::{JsonMap, JsonValue},
    schema::Implementers,
    validation::Valid,
};
use bytes::Bytes;
use supergraph::{ids::SlotId, plan::Introspection};

use crate::error::{Error, ErrorKind};

/// The client schema, prepared for introspection.
#[derive(Debug)]
pub struct Introspector {
    implementers: HashMap<Name, Implementers>,
}

/// The introspection part of one plan.
#[derive(Debug)]
pub struct Prepared {
    document: Valid<ExecutableDocument>,
    slots: Vec<(Box<str>, SlotId)>,
}

impl Prepared {
    /// Prepares what the planner set apart.
    ///
    /// # Errors
    /// Its document is not valid on the client schema, which it always should be.
    pub fn new(schema: &Valid<Schema>, part: &Introspection) -> Result<Self, Error> {
        let document = ExecutableDocument::parse_and_validate(schema, &part.document, "introspection")
            .map_err(|failed| Error::bug(format!("the introspection part of a plan is invalid: {}", failed.errors)))?;
        Ok(Self { document, slots: part.slots.clone() })
    }
}

impl Introspector {
    /// Prepares a schema.
    pub fn new(schema: &Schema) -> Self {
        Self { implementers: schema.implementers_map() }
    }

    /// The values of the root row's introspection fields.
    ///
    /// # Errors
    /// The fields cannot be executed.
    pub fn answer(
        &self,
        schema: &Valid<Schema>,
        part: &Prepared,
        variables: &Valid<JsonMap>,
    ) -> Result<Vec<(SlotId, Bytes)>, Error> {
        let failed = |message: String| Error::new(ErrorKind::GraphqlValidationFailed, message);
        let operation = part.document.operations.get(None).map_err(|error| failed(error.message().to_string()))?;
        let response = partial_execute(schema, &self.implementers, &part.document, operation, variables)
            .map_err(|error| failed(error.message().to_string()))?;
        if let Some(error) = response.errors.into_iter().next() {
            return Err(failed(error.message));
        }
        let data = response.data.unwrap_or_default();
        let value = |key: &str| data.get(key).map(|value: &JsonValue| Bytes::from(value.to_string()));
        Ok(part.slots.iter().filter_map(|(key, slot)| Some((*slot, value(key)?))).collect())
    }
}
