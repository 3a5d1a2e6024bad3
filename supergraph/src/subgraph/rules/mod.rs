//! The rules of federation that one subgraph must keep on its own, one file each, in the order of the specification.
//!
//! Each rule looks at a [`Subgraph`] that is valid GraphQL and reports everything that it finds. A Federation 1 subgraph is checked
//! after its upgrade. Relied on by `read` and by the upgrade. Spec: <https://specs.apollo.dev/federation/v2.9>

mod access_control;
mod context;
mod cost;
mod external;
mod external_on_interface;
mod interface_key;
mod interface_object;
mod key;
mod list_size;
mod provides;
mod requires;
mod shareable;

use super::Subgraph;
use crate::diagnostics::Diagnostic;

/// One rule: reports what breaks it.
type Rule = fn(&Subgraph, &mut Vec<Diagnostic>);

const RULES: [Rule; 12] = [
    key::check,
    requires::check,
    provides::check,
    context::check,
    external_on_interface::check,
    external::check,
    interface_key::check,
    interface_object::check,
    shareable::check,
    cost::check,
    list_size::check,
    access_control::check,
];

/// Everything in the subgraph that breaks a rule. Nothing is checked in Federation 1 dialect, whose rules were looser.
#[must_use]
pub fn check(subgraph: &Subgraph) -> Vec<Diagnostic> {
    if subgraph.is_federation_1 && !subgraph.is_upgraded() {
        return Vec::new();
    }
    // Misplaced `@provides` and broken interface keys hide everything else: the reference gives up on them.
    for decisive in [provides::check_places as Rule, interface_key::check_field_sets] {
        let mut errors = Vec::new();
        decisive(subgraph, &mut errors);
        if !errors.is_empty() {
            return errors;
        }
    }
    let mut errors = Vec::new();
    for rule in RULES {
        rule(subgraph, &mut errors);
    }
    errors
}
