//! GraphQL, the first kind of target: a request becomes an operation, a plan, an execution and a response.
//!
//! Relies on `execute`, `upstream` and the crate `supergraph`; relied on by `pipeline` (to serve) and `snapshot` (to build).
//! Spec: <https://spec.graphql.org/September2025/>

pub mod budget;
pub mod persisted;
pub mod plans;

use std::{collections::BTreeMap, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use supergraph::{
    ids::{IdVec, SubgraphId},
    model::Supergraph,
};

use crate::{
    body::Body,
    error::{Error, ErrorKind},
    exchange::Exchange,
    execute::Subgraph,
};

/// What `router.yaml` says about the endpoint.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Whether `__schema` and `__type` are answered.
    pub introspection: bool,
    /// Limits of an operation.
    pub budget: budget::Budget,
    /// Planning and its cache.
    pub planning: plans::QueryPlanningConfig,
    /// Persisted documents.
    pub persisted: persisted::PersistedQueriesConfig,
}

/// `include_subgraph_errors`: which errors of subgraphs clients see in full. The others keep their path and lose message and
/// extensions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IncludeSubgraphErrorsConfig {
    /// Those of all subgraphs.
    pub all: bool,
    /// By subgraph; overrides `all`.
    pub subgraphs: BTreeMap<String, bool>,
}

/// One supergraph with the subgraphs that answer for it, in the order of its subgraph ids.
#[derive(Debug)]
pub struct Graph {
    /// Types, resolvers and the schema that clients see.
    pub supergraph: Arc<Supergraph>,
    /// Who is called for each subgraph.
    pub subgraphs: IdVec<SubgraphId, Subgraph>,
}

/// The GraphQL endpoint of one snapshot.
#[derive(Debug)]
pub struct Endpoint {
    settings: Settings,
    graph: Option<Graph>,
}

impl Endpoint {
    /// An endpoint; without a graph it answers `SUPERGRAPH_UNAVAILABLE`.
    pub fn new(settings: Settings, graph: Option<Graph>) -> Self {
        Self { settings, graph }
    }

    /// Answers one request. Field errors are part of the answer; request errors are the error returned.
    ///
    /// # Errors
    /// Everything that keeps the operation from being executed.
    pub async fn serve(&self, exchange: &mut Exchange, body: Body) -> Result<http::Response<Body>, Error> {
        let _ = (&self.settings, exchange, body);
        let Some(_graph) = &self.graph else { return Err(Error::new(ErrorKind::SupergraphUnavailable, "")) };
        Err(Error::bug("the endpoint is not built yet"))
    }
}
