//! `@key`: its fields exist, have no arguments and no abstract types; on interfaces since federation v2.3.
//!
//! Spec: <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/directives#key>

use crate::diagnostics::Diagnostic;
use crate::subgraph::selects::{self, KEY};
use crate::subgraph::{Subgraph, Version};
use apollo_compiler::schema::ExtendedType;

/// The first version that knows keys of interfaces.
const ON_INTERFACES: Version = Version::new(2, 3);

/// Reports the keys that break the rule.
pub fn check(subgraph: &Subgraph, errors: &mut Vec<Diagnostic>) {
    let allows_interfaces = subgraph.effective_federation_version() >= ON_INTERFACES;
    for (name, definition) in &subgraph.schema.types {
        for key in subgraph.keys(name) {
            if matches!(definition, ExtendedType::Interface(_)) && !allows_interfaces {
                let message = format!(
                    "The interface \"{name}\" has a @key, which federation supports since {ON_INTERFACES}. Link that version or remove the @key."
                );
                errors.push(subgraph.error("KEY_UNSUPPORTED_ON_INTERFACE", &message, key.location));
            }
            selects::report(subgraph, &KEY, (&format!("type \"{name}\""), name), (&key.fields, &key.directive), errors);
        }
    }
}
