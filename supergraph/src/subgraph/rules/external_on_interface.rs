//! Fields of interfaces are not `@external`: interfaces resolve nothing.
//!
//! Spec: <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/directives#external>

use crate::diagnostics::Diagnostic;
use crate::subgraph::Subgraph;
use apollo_compiler::schema::ExtendedType;

/// Reports the interface fields that are external.
pub fn check(subgraph: &Subgraph, errors: &mut Vec<Diagnostic>) {
    for (name, definition) in &subgraph.schema.types {
        let ExtendedType::Interface(interface) = definition else { continue };
        for field in interface.fields.values().filter(|field| subgraph.is_external(name, &field.name)) {
            let message = format!(
                "The field \"{name}.{}\" of an interface is @external. Mark the fields of the implementations instead.",
                field.name
            );
            errors.push(subgraph.error("EXTERNAL_ON_INTERFACE", &message, field.location()));
        }
    }
}
