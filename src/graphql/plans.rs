//! Plans: one planner run per new operation, kept in a bounded cache.
//!
//! Planning happens off the threads that serve requests, a few operations at a time, and has a time limit. Requests for one new
//! operation share one run. Relies on `supergraph::plan`; relied on by `graphql`.

use std::{sync::Arc, time::Instant};

use moka::future::Cache;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use supergraph::{
    ids::{LabelId, RequirementId},
    model::Supergraph,
    plan::{PlanError, PlanOptions, Tables, plan},
};
use tokio::sync::Semaphore;

use super::{
    authz::{self, Denied},
    introspection,
    operation::Operation,
};
use crate::{
    error::{Error, ErrorKind},
    execute::prepared::Prepared,
    units::Span,
};

/// `supergraph.query_planning`: how operations are planned and how many plans are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QueryPlanningConfig {
    /// The plan cache.
    pub cache: PlanCacheConfig,
    /// Time that planning one operation may take.
    pub timeout: Span,
    /// How many of the most used operations are planned again before a new supergraph takes over.
    pub warm_up: usize,
}

/// `supergraph.query_planning.cache`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PlanCacheConfig {
    /// The cache in this process.
    pub in_memory: InMemoryConfig,
}

/// `supergraph.query_planning.cache.in_memory`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InMemoryConfig {
    /// Number of operations kept.
    pub limit: u64,
}

impl Default for QueryPlanningConfig {
    fn default() -> Self {
        Self { cache: PlanCacheConfig::default(), timeout: Span::seconds(2), warm_up: 100 }
    }
}

impl Default for InMemoryConfig {
    fn default() -> Self {
        Self { limit: 512 }
    }
}

/// Fields of one operation that nobody can be asked for, as far as they are logged.
const MAX_TOLD: usize = 10;

/// What a plan depends on besides the supergraph.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    operation: u64,
    /// Active labels of progressive overrides, in order.
    labels: Vec<LabelId>,
    /// What whoever asks must not see, in the operation's order.
    denied: Vec<RequirementId>,
}

/// A plan with its introspection part.
#[derive(Debug)]
pub struct Ready {
    /// The plan.
    pub plan: Prepared,
    /// What is answered from the client schema.
    pub introspection: Option<introspection::Prepared>,
    /// Where in the answer fields are denied, as far as they are looked at.
    pub denied: Vec<Denied>,
}

/// The plans of one supergraph.
#[derive(Debug)]
pub struct Plans {
    cache: Cache<Key, Arc<Ready>>,
    planner: Arc<Planner>,
    timeout: Span,
    runs: Semaphore,
}

#[derive(Debug)]
struct Planner {
    supergraph: Arc<Supergraph>,
    tables: Tables,
}

impl Plans {
    /// An empty cache for the plans of a supergraph.
    pub fn new(supergraph: Arc<Supergraph>, config: &QueryPlanningConfig) -> Self {
        let tables = Tables::new(&supergraph);
        Self {
            cache: Cache::new(config.cache.in_memory.limit),
            planner: Arc::new(Planner { supergraph, tables }),
            timeout: config.timeout,
            runs: Semaphore::new(crate::busy::at_once()),
        }
    }

    /// The plan of an operation for someone who does not meet the requirements `denied`, and whether it was there already. `seed`
    /// decides which share of progressive overrides this request belongs to.
    ///
    /// # Errors
    /// The operation cannot be planned, or not in time.
    pub async fn get(
        &self,
        operation: &Arc<Operation>,
        denied: Vec<RequirementId>,
        seed: &str,
    ) -> Result<(Arc<Ready>, bool), Error> {
        let key = Key { operation: operation.id, labels: active_labels(&self.planner.supergraph, seed), denied };
        if let Some(ready) = self.cache.get(&key).await {
            return Ok((ready, true));
        }
        let options = PlanOptions { labels: key.labels.iter().copied().collect(), denied: key.denied.iter().copied().collect() };
        let ready = self.cache.try_get_with(key, self.run(operation.clone(), options)).await;
        ready.map(|ready| (ready, false)).map_err(|error| Error::clone(&error))
    }

    async fn run(&self, operation: Arc<Operation>, options: PlanOptions) -> Result<Arc<Ready>, Error> {
        let late = || Error::new(ErrorKind::PlanningFailed, "planning took too long");
        let deadline = tokio::time::Instant::from_std(Instant::now() + self.timeout.0);
        let _permit = tokio::time::timeout_at(deadline, self.runs.acquire()).await.map_err(|_| late())?;
        let planner = self.planner.clone();
        let planning = tokio::task::spawn_blocking(move || planner.plan(&operation, &options));
        let planned = tokio::time::timeout_at(deadline, planning).await.map_err(|_| late())?;
        planned.map_err(|error| Error::bug(format!("the planner stopped: {error}")))?
    }
}

impl Planner {
    fn plan(&self, operation: &Operation, options: &PlanOptions) -> Result<Arc<Ready>, Error> {
        let plan = plan(&self.supergraph, &self.tables, &operation.planned, options).map_err(|error| match error {
            PlanError::InvalidFetch { .. } => Error::bug(error.to_string()),
            _ => Error::new(ErrorKind::PlanningFailed, error.to_string()),
        })?;
        for (_, field, what) in plan.shape.unreachable().take(MAX_TOLD) {
            let operation = operation.name.as_deref().unwrap_or_default();
            tracing::warn!(operation, key = &*field.key, field = &*what.coordinate, "no subgraph can be asked for a field");
        }
        let part = |part| introspection::Prepared::new(&self.supergraph.client, part);
        let introspection = plan.introspection.as_ref().map(part).transpose()?;
        let denied = if options.denied.is_empty() { Vec::new() } else { authz::denied_in(&plan.shape) };
        Ok(Arc::new(Ready { plan: Prepared::new(plan), introspection, denied }))
    }
}

/// The labels that are active for a request: `percent(x)` for x of a hundred seeds. Others need a coprocessor to be decided and are
/// off, which keeps the field where it was.
fn active_labels(supergraph: &Supergraph, seed: &str) -> Vec<LabelId> {
    if supergraph.labels.is_empty() {
        return Vec::new();
    }
    // FNV-1a: spread well enough over a few thousand shares, the same for one seed in every process.
    let hash =
        seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let share = (hash >> 16) % 10_000;
    let is_active = |label: &str| {
        let percent = label.strip_prefix("percent(").and_then(|label| label.strip_suffix(')'));
        percent.and_then(|percent| percent.trim().parse::<f64>().ok()).is_some_and(|percent| (share as f64) < percent * 100.0)
    };
    supergraph.labels.iter().filter(|(_, label)| is_active(label)).map(|(id, _)| id).collect()
}
