//! Execution: runs one [`Plan`](supergraph::plan::Plan) against the subgraphs and writes the client's answer.
//!
//! Relies on `upstream` for the calls and on `supergraph::plan` for what to do; `graphql` relies on it.

use std::{sync::Arc, time::Duration};

use crate::upstream::Upstream;

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
