//! `@cost` is not for fields of interfaces.
//!
//! Spec: <https://ibm.github.io/graphql-specs/cost-spec.html#sec-The-Cost-Directive>

use crate::diagnostics::Diagnostic;
use crate::subgraph::{FederationDirective, Subgraph};
use apollo_compiler::schema::ExtendedType;

/// Reports the interface fields with a cost.
pub fn check(subgraph: &Subgraph, errors: &mut Vec<Diagnostic>) {
    let Some(cost) = subgraph.directive(FederationDirective::Cost) else { return };
    for (name, definition) in &subgraph.schema.types {
        let ExtendedType::Interface(interface) = definition else { continue };
        for field in interface.fields.values().filter(|field| field.directives.has(cost)) {
            let message = format!(
                "The field \"{name}.{}\" of an interface has @cost. Put it on the fields of the implementations.",
                field.name
            );
            errors.push(subgraph.error("COST_APPLIED_TO_INTERFACE_FIELD", &message, field.location()));
        }
    }
}
