//! Rules about the merged supergraph, in order. They run only when the merge found no error.
//!
//! Rely on `merged`; each file is one rule.

mod access;
mod interface_fields;
pub(super) mod known_types;
mod requires;
mod schema;

use super::merge::Outcome;
use crate::diagnostics::Diagnostic;
use crate::subgraph::Subgraph;

/// Checks the merged supergraph; the last rule only runs when those before it found nothing.
pub(crate) fn check(subgraphs: &[Subgraph], outcome: &Outcome) -> Vec<Diagnostic> {
    let mut errors = interface_fields::check(subgraphs, &outcome.merged);
    errors.extend(requires::check(subgraphs, &outcome.merged));
    errors.extend(access::check(subgraphs, outcome));
    if errors.is_empty() { schema::check(subgraphs, &outcome.merged) } else { errors }
}
