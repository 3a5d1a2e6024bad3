//! `@external` fields are used: by a key, a `@requires`, a `@provides`, a context, or to satisfy an interface.
//!
//! Spec: <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/directives#external>

use crate::diagnostics::Diagnostic;
use crate::subgraph::{Subgraph, facts};

/// Reports the external fields that nothing uses.
pub fn check(subgraph: &Subgraph, errors: &mut Vec<Diagnostic>) {
    for (name, definition) in &subgraph.schema.types {
        for field in facts::fields_of(definition).into_iter().flat_map(|fields| fields.values()) {
            let facts = subgraph.field_facts(name, &field.name);
            if facts.is_external && !facts.is_used {
                let message = format!(
                    "The field \"{name}.{}\" is @external, but no @key, @requires or @provides of this subgraph selects it and no interface needs it. \
                     Remove the field, or the @external if this subgraph resolves it.",
                    field.name
                );
                errors.push(subgraph.error("EXTERNAL_UNUSED", &message, field.location()));
            }
        }
    }
}
