//! `@interfaceObject` types are entities.
//!
//! Spec: <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/directives#interfaceobject>

use crate::diagnostics::Diagnostic;
use crate::subgraph::Subgraph;

/// Reports interface objects without a key.
pub fn check(subgraph: &Subgraph, errors: &mut Vec<Diagnostic>) {
    for (name, definition) in &subgraph.schema.types {
        if subgraph.is_interface_object(name) && subgraph.keys(name).is_empty() {
            let message = format!(
                "The type \"{name}\" is an @interfaceObject but has no @key. Add the key that the interface has in the other subgraphs."
            );
            errors.push(subgraph.error("INTERFACE_OBJECT_USAGE_ERROR", &message, definition.location()));
        }
    }
}
