//! Plans: one planner run per new operation, kept in a bounded cache.
//!
//! Planning happens off the threads that serve requests, a few operations at a time, and has limits of time, choices and memory.
//! Requests for one new operation share one run, which ends when all of them have left. Relies on `supergraph::plan`; relied on by `graphql`.

#[cfg(test)]
mod tests;

use std::{hash::Hash, sync::Arc};

use moka::future::Cache;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use supergraph::{
    ids::{LabelId, RequirementId},
    model::Supergraph,
    plan::{Limits, Pace, PlanError, PlanOptions, Tables, plan},
};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use super::{
    authz::{self, Denied},
    flights::Flights,
    introspection,
    operation::Operation,
};
use crate::{
    busy,
    error::{Error, ErrorKind},
    execute::prepared::Prepared,
    units::{Size, Span},
};

/// `supergraph.query_planning`: how operations are planned and how many plans are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QueryPlanningConfig {
    /// The plan cache.
    pub cache: PlanCacheConfig,
    /// Time that planning one operation may take. After half of it nothing more is tried, and what there is must do.
    pub timeout: Span,
    /// How many choices planning one operation tries before what there is must do.
    pub max_states: usize,
    /// Memory that planning one operation may take, as it is estimated.
    pub max_memory: Size,
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
    /// Memory that they take together, as it is estimated: fewer are kept where they are large. An operation of fifty fields on four
    /// subgraphs takes some 40 KiB.
    pub max_size: Size,
}

impl Default for QueryPlanningConfig {
    fn default() -> Self {
        let Limits { states, memory } = Limits::default();
        Self {
            cache: PlanCacheConfig::default(),
            timeout: Span::seconds(2),
            max_states: states,
            max_memory: Size(memory),
            warm_up: 100,
        }
    }
}

impl Default for InMemoryConfig {
    fn default() -> Self {
        Self { limit: 512, max_size: Size(16 << 20) }
    }
}

impl InMemoryConfig {
    /// A cache for the share `part` of what all kept operations take: values are as heavy as `bytes` says, and as many as `limit`
    /// says when they are light.
    pub fn cache<K, V>(&self, part: u64, bytes: impl Fn(&K, &V) -> usize + Send + Sync + 'static) -> Cache<K, V>
    where
        K: Hash + Eq + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        let all = self.max_size.0 as u64 / PARTS * part;
        let least = all.checked_div(self.limit).unwrap_or(u64::MAX);
        let weight = move |key: &K, value: &V| u32::try_from(least.max(bytes(key, value) as u64)).unwrap_or(u32::MAX);
        Cache::builder().max_capacity(all).weigher(weight).build()
    }
}

/// Lets a cache drop at once what it does not keep, after something large has come into it: of its own accord it does so after a while.
pub async fn settle<K, V>(cache: &Cache<K, V>, bytes: usize)
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    if bytes > ORDINARY {
        cache.run_pending_tasks().await;
    }
}

/// Memory that an operation takes which is not large.
const ORDINARY: usize = 64 << 10;
/// Of five parts of what operations take, plans take these,
const PLAN: u64 = 4;
/// and documents this one.
pub const DOCUMENT: u64 = 1;
const PARTS: u64 = PLAN + DOCUMENT;

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
    pub plan: Arc<Prepared>,
    /// What is answered from the client schema.
    pub introspection: Option<introspection::Prepared>,
    /// Where in the answer fields are denied, as far as they are looked at.
    pub denied: Vec<Denied>,
    /// What all this takes.
    bytes: usize,
}

/// How a plan was had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// It was there already.
    Cache,
    /// It was made for whoever asked.
    Made,
    /// It was being made for somebody else.
    Shared,
}

/// The plans of one supergraph.
#[derive(Debug)]
pub struct Plans {
    planner: Arc<Planner>,
    flights: Flights<Key, Arc<Ready>>,
}

#[derive(Debug)]
struct Planner {
    supergraph: Arc<Supergraph>,
    tables: Tables,
    cache: Cache<Key, Arc<Ready>>,
    timeout: Span,
    limits: Limits,
    /// Held by each run until its thread has ended.
    runs: Arc<Semaphore>,
}

impl Plans {
    /// An empty cache for the plans of a supergraph.
    pub fn new(supergraph: Arc<Supergraph>, config: &QueryPlanningConfig) -> Self {
        let planner = Planner {
            tables: Tables::new(&supergraph),
            supergraph,
            cache: config.cache.in_memory.cache(PLAN, |_, ready: &Arc<Ready>| ready.bytes),
            timeout: config.timeout,
            limits: Limits { states: config.max_states, memory: config.max_memory.0 },
            runs: Arc::new(Semaphore::new(busy::at_once())),
        };
        Self { planner: Arc::new(planner), flights: Flights::default() }
    }

    /// The plan of an operation for someone who does not meet the requirements `denied`, and how it was had. `seed` decides which share
    /// of progressive overrides this request belongs to.
    ///
    /// # Errors
    /// The operation cannot be planned, or not in time.
    pub async fn get(
        &self,
        operation: &Arc<Operation>,
        denied: Vec<RequirementId>,
        seed: &str,
    ) -> (Result<Arc<Ready>, Error>, Source) {
        let key = Key { operation: operation.id, labels: active_labels(&self.planner.supergraph, seed), denied };
        if let Some(ready) = self.planner.cache.get(&key).await {
            return (Ok(ready), Source::Cache);
        }
        let (planner, operation) = (self.planner.clone(), operation.clone());
        let run = |pace| planner.run(operation, key.clone(), pace);
        let (outcome, is_ours) = self.flights.share(key.clone(), run).await;
        (outcome, if is_ours { Source::Made } else { Source::Shared })
    }
}

impl Planner {
    /// Plans on a thread of its own, within the time limit.
    async fn run(self: Arc<Self>, operation: Arc<Operation>, key: Key, pace: Arc<Pace>) -> Result<Arc<Ready>, Error> {
        let late = || Error::new(ErrorKind::PlanningFailed, "planning took too long");
        let options = PlanOptions {
            labels: key.labels.iter().copied().collect(),
            denied: key.denied.iter().copied().collect(),
            // Nothing is deferred here, so there is nothing that a request could leave undeferred, and the key has no need of it.
            undeferred: Default::default(),
            limits: self.limits,
            pace: pace.clone(),
        };
        // It may have been made since it was looked for.
        if let Some(ready) = self.cache.get(&key).await {
            return Ok(ready);
        }
        let deadline = Instant::now() + self.timeout.0;
        let permit = timeout_at(deadline, self.runs.clone().acquire_owned()).await.map_err(|_| late())?;
        let half = Instant::now() + deadline.saturating_duration_since(Instant::now()) / 2;
        let planner = self.clone();
        let mut planning = Box::pin(busy::run(move || {
            let _permit = permit;
            planner.plan(&operation, &options)
        }));
        let in_half = timeout_at(half, &mut planning).await;
        let planned = match in_half {
            Ok(planned) => planned,
            Err(_) => {
                pace.hurry();
                timeout_at(deadline, planning).await.map_err(|_| {
                    pace.stop();
                    late()
                })?
            }
        };
        let ready = planned.map_err(|_| Error::bug("the planner stopped"))??;
        self.cache.insert(key, ready.clone()).await;
        settle(&self.cache, ready.bytes).await;
        Ok(ready)
    }

    fn plan(&self, operation: &Operation, options: &PlanOptions) -> Result<Arc<Ready>, Error> {
        let plan = plan(&self.supergraph, &self.tables, &operation.planned, options).map_err(|error| match error {
            PlanError::InvalidFetch { .. } => Error::bug(error.to_string()),
            PlanError::TooDeep | PlanError::TooLarge => Error::new(ErrorKind::OperationTooLarge, format!("{error}.")),
            PlanError::NoRoot | PlanError::Stopped => Error::new(ErrorKind::PlanningFailed, error.to_string()),
        })?;
        for (_, field, what) in plan.shape.unreachable().take(MAX_TOLD) {
            let operation = operation.name.as_deref().unwrap_or_default();
            tracing::warn!(operation, key = &*field.key, field = &*what.coordinate, "no subgraph can be asked for a field");
        }
        let part = |part| introspection::Prepared::new(&self.supergraph.client, part);
        let introspection = plan.introspection.as_ref().map(part).transpose()?;
        let denied = if options.denied.is_empty() { Vec::new() } else { authz::denied_in(&plan.shape) };
        let plan = Arc::new(Prepared::new(plan));
        let introspected = plan.plan.introspection.as_ref().map_or(0, |part| part.document.len() * introspection::BYTES_PER_BYTE);
        let bytes = plan.bytes() + introspected + denied.iter().map(Denied::bytes).sum::<usize>();
        Ok(Arc::new(Ready { plan, introspection, denied, bytes }))
    }
}

/// The labels that are active for a request: `percent(x)` for x of a hundred seeds. Others need a coprocessor to be decided and are
/// off, which keeps the field where it was.
fn active_labels(supergraph: &Supergraph, seed: &str) -> Vec<LabelId> {
    if supergraph.labels.is_empty() {
        return Vec::new();
    }
    // FNV-1a: spread well enough over shares, the same for one seed in every process. Labels have up to eight decimals.
    let hash =
        seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let share = ((hash >> 16) % 10_000_000_000) as f64;
    let is_active = |label: &str| {
        let percent = label.strip_prefix("percent(").and_then(|label| label.strip_suffix(')'));
        percent.and_then(|percent| percent.trim().parse::<f64>().ok()).is_some_and(|percent| share < percent * 1e8)
    };
    supergraph.labels.iter().filter(|(_, label)| is_active(label)).map(|(id, _)| id).collect()
}
