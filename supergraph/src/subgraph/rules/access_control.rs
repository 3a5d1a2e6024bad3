//! `@authenticated`, `@requiresScopes` and `@policy` are for object types, their fields, scalars and enums: what interfaces demand
//! follows from their implementations.
//!
//! Spec: <https://www.apollographql.com/docs/graphos/routing/security/authorization>

use crate::diagnostics::Diagnostic;
use crate::subgraph::{FederationDirective, Subgraph};
use apollo_compiler::Name;
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::ExtendedType;

const DIRECTIVES: [FederationDirective; 3] =
    [FederationDirective::Authenticated, FederationDirective::RequiresScopes, FederationDirective::Policy];

/// Reports the applications on interfaces, interface fields and interface objects.
pub fn check(subgraph: &Subgraph, errors: &mut Vec<Diagnostic>) {
    for name in DIRECTIVES.into_iter().filter_map(|directive| subgraph.directive(directive)) {
        for definition in subgraph.schema.types.values() {
            check_type(subgraph, name, definition, errors);
        }
    }
}

fn check_type(subgraph: &Subgraph, directive: &Name, definition: &ExtendedType, errors: &mut Vec<Diagnostic>) {
    let name = definition.name();
    let is_interface = matches!(definition, ExtendedType::Interface(_));
    if (is_interface || subgraph.is_interface_object(name)) && definition.directives().has(directive) {
        let what = if is_interface { "interface" } else { "interface object" };
        errors.push(refusal(subgraph, directive, &format!("the {what} \"{name}\""), definition.location()));
    }
    let ExtendedType::Interface(interface) = definition else { return };
    for field in interface.fields.values().filter(|field| field.directives.has(directive)) {
        errors.push(refusal(subgraph, directive, &format!("the interface field \"{name}.{}\"", field.name), field.location()));
    }
}

fn refusal(subgraph: &Subgraph, directive: &str, what: &str, location: Option<SourceSpan>) -> Diagnostic {
    let message =
        format!("@{directive} cannot be applied to {what}. Apply it to the implementations; the interface follows them.");
    subgraph.error("AUTH_REQUIREMENTS_APPLIED_ON_INTERFACE", &message, location)
}
