//! `@key`: its fields exist, have no arguments and no abstract types; on interfaces since federation v2.3.
//!
//! Spec: <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/directives#key>

use crate::diagnostics::Diagnostic;
use crate::subgraph::selects::{self, Policy};
use crate::subgraph::{FederationDirective, Subgraph, Version};
use apollo_compiler::schema::ExtendedType;

/// The first version that knows keys of interfaces.
const ON_INTERFACES: Version = Version::new(2, 3);

pub(super) const POLICY: Policy = Policy {
    directive: FederationDirective::Key,
    allows_arguments: false,
    wants_external: false,
    allows_abstract: false,
    invalid: "KEY_INVALID_FIELDS",
    not_a_string: "KEY_INVALID_FIELDS_TYPE",
    has_arguments: "KEY_FIELDS_HAS_ARGS",
    has_directive: "KEY_DIRECTIVE_IN_FIELDS_ARG",
    missing_external: "",
};

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
            selects::report(subgraph, &POLICY, (&format!("type \"{name}\""), name), (&key.fields, &key.directive), errors);
        }
    }
}
