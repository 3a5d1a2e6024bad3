//! Execution: runs one [`Plan`](supergraph::plan::Plan) against the subgraphs and writes the client's answer.
//!
//! Relies on `upstream` for the calls and on `supergraph::plan` for what to do; `graphql` relies on it.

pub mod answer;
pub mod contexts;
pub mod decode;
pub mod errors;
pub mod fetch;
pub mod leaf;
pub mod merge;
pub mod prepared;
pub mod represent;
pub mod run;
pub mod scan;
pub mod short;
pub mod store;
#[cfg(test)]
mod tests;
pub mod types;
pub mod uploads;
pub mod verbatim;
pub mod write;

use std::{sync::Arc, time::Duration};

use supergraph::ids::{ConditionId, Id};

use crate::upstream::Upstream;
pub use run::{Outcome, Request, execute};
pub use write::Answer;

/// One subgraph as the executor calls it.
#[derive(Debug)]
pub struct Subgraph {
    /// Its name in the supergraph.
    pub name: Arc<str>,
    /// Where it is called.
    pub upstream: Arc<Upstream>,
    /// Time for one fetch, within the exchange's deadline.
    pub timeout: Duration,
    /// Size up to which an answer is taken (`limits.max_subgraph_response_bytes`).
    pub max_response_bytes: usize,
    /// Whether clients may see its error messages and extensions (`include_subgraph_errors`).
    pub are_errors_included: bool,
}

/// Whether a condition of the plan holds; one that the plan does not have does not.
fn holds(conditions: &[bool], id: ConditionId) -> bool {
    conditions.get(id.index()).copied().unwrap_or(false)
}
