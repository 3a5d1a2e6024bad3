//! Satisfiability: every field of the client schema can be reached, whatever way a client's operation takes to its parent.
//!
//! Input: a supergraph. Output: errors (`SATISFIABILITY_ERROR`, `SHAREABLE_HAS_MISMATCHED_RUNTIME_TYPES`) and hints.
//! The states are pairs of a client type and the set of nodes where an object of it may be held; they are explored breadth first, so
//! the first counter-example of a field is a shortest one, and a state that knows at least as many nodes as an earlier one of the same
//! type is skipped. Cost: states × fields × subgraphs, under a budget.
//! Example: `Query.a` is resolved by subgraph X, whose `A` lacks `A.f`; Y has it, but no key opens Y: the query `{ a { f } }` fails.
//!
//! Relied on by `compose`; relies on the model alone.

mod contexts;
mod explain;
mod explore;
mod nodes;
mod reach;
mod runtime_types;
mod states;
#[cfg(test)]
mod tests;
mod walk;
mod witness;

use crate::diagnostics::{Diagnostic, Place};
use crate::model::Supergraph;
use explore::{Explorer, LabelMemory};

/// What the check found.
#[derive(Clone, Debug, Default)]
pub struct Satisfiability {
    /// Why the supergraph must be refused.
    pub errors: Vec<Diagnostic>,
    /// Remarks.
    pub hints: Vec<Diagnostic>,
}

/// Labels of overrides beyond which ways are first checked without remembering how they decided a label: what holds for these more
/// ways holds for all. Only what does not is checked exactly.
const MAX_EXACT_LABELS: usize = 8;

/// Says where a type (or its field) stands in the SDL of a subgraph.
pub type Locate<'a> = dyn Fn(&str, &str, Option<&str>) -> Place + 'a;

/// Checks that every field of the client schema can be reached.
pub fn check(graph: &Supergraph, locate: &Locate<'_>) -> Satisfiability {
    if graph.labels.len() > MAX_EXACT_LABELS {
        let checked = Explorer::new(graph, locate, LabelMemory::Forgetful).run();
        if checked.errors.is_empty() {
            return checked;
        }
    }
    Explorer::new(graph, locate, LabelMemory::Exact).run()
}
