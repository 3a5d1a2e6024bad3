//! `@requires`: its fields exist and are external; not on interfaces.
//!
//! Spec: <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/directives#requires>

use crate::diagnostics::Diagnostic;
use crate::subgraph::selects::{self, Policy};
use crate::subgraph::{FederationDirective, Subgraph, facts};
use apollo_compiler::schema::ExtendedType;

const POLICY: Policy = Policy {
    directive: FederationDirective::Requires,
    allows_arguments: true,
    wants_external: true,
    allows_abstract: true,
    invalid: "REQUIRES_INVALID_FIELDS",
    not_a_string: "REQUIRES_INVALID_FIELDS_TYPE",
    has_arguments: "",
    has_directive: "REQUIRES_DIRECTIVE_IN_FIELDS_ARG",
    missing_external: "REQUIRES_FIELDS_MISSING_EXTERNAL",
};

/// Reports the applications that break the rule.
pub fn check(subgraph: &Subgraph, errors: &mut Vec<Diagnostic>) {
    for (parent, definition) in &subgraph.schema.types {
        for field in facts::fields_of(definition).into_iter().flat_map(|fields| fields.values()) {
            let Some(requires) = &subgraph.field_facts(parent, &field.name).requires else { continue };
            let owner = format!("field \"{parent}.{}\"", field.name);
            if matches!(definition, ExtendedType::Interface(_)) {
                let message = format!(
                    "The {owner} of an interface has @requires, which only fields of object types can have. Move it to the implementations."
                );
                errors.push(subgraph.error("REQUIRES_UNSUPPORTED_ON_INTERFACE", &message, requires.directive.location()));
            }
            selects::report(subgraph, &POLICY, (&owner, parent), (&requires.fields, &requires.directive), errors);
        }
    }
}
