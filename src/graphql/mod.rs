//! GraphQL, the first kind of target: a request becomes an operation, a plan, an execution and a response.
//!
//! Relies on `execute`, `upstream` and the crate `supergraph`; relied on by `pipeline` (to serve) and `snapshot` (to build).
//! Spec: <https://spec.graphql.org/September2025/>

pub mod authz;
pub mod batching;
pub mod budget;
pub mod deduplicate;
pub mod demand_control;
pub mod file_uploads;
mod flights;
pub mod http;
pub mod introspection;
pub mod literals;
pub mod merging;

pub mod operation;
pub mod persisted;
pub mod plans;
pub mod variables;
mod warm_up;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use ::http::{HeaderMap, Method, Response, header::CACHE_CONTROL};
use apollo_compiler::{response::JsonMap, validation::Valid};
use bytes::Bytes;
use futures_util::{FutureExt as _, future::join_all};
use moka::future::Cache;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use supergraph::{
    ids::{IdVec, RequirementId, SubgraphId},
    model::Supergraph,
    plan::OperationKind,
};
use tokio::sync::Semaphore;

use crate::{
    body::Body,
    busy,
    error::{Error, ErrorKind},
    exchange::{Exchange, OperationFacts, Planning},
    execute::{self, Subgraph, errors::Service, types::TypeNames, uploads::Uploads},
};
use deduplicate::{Deduplicate, Key};
use demand_control::DemandControl;
use http::{Request, Requests};
use introspection::Introspector;
use operation::{Document, Operation, Rules};
use persisted::Persisted;
use plans::{Plans, Source};

/// Size up to which an answer is written. Entities that stand in many places are fetched once and written often, so the limits on
/// subgraph answers do not bound it.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// What `router.yaml` says about the endpoint.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Whether `__schema` and `__type` are answered.
    pub introspection: bool,
    /// How the schema's authorization directives are enforced.
    pub authorization: authz::AuthorizationDirectivesConfig,
    /// Limits of an operation.
    pub budget: budget::Budget,
    /// What an operation may cost.
    pub demand_control: demand_control::DemandControlConfig,
    /// Planning and its cache.
    pub planning: plans::QueryPlanningConfig,
    /// Persisted documents.
    pub persisted: persisted::PersistedQueriesConfig,
    /// Several requests in one.
    pub batching: batching::BatchingConfig,
    /// Whether identical queries in flight share one execution.
    pub deduplicate: bool,
    /// How requests are read.
    pub reading: http::Reading,
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
    persisted: Persisted,
    batching: batching::BatchingConfig,
    reading: http::Reading,
    engine: Option<Engine>,
}

/// A graph with everything that is computed from it once.
#[derive(Debug)]
struct Engine {
    graph: Graph,
    services: IdVec<SubgraphId, Service>,
    types: Arc<TypeNames>,
    introspector: Introspector,
    authorization: authz::AuthorizationDirectivesConfig,
    rules: Rules,
    documents: Cache<Arc<str>, Arc<Document>>,
    /// Held by each run of the parser until its thread has ended.
    parsing: Arc<Semaphore>,
    plans: Plans,
    deduplicate: Option<Deduplicate>,
}

/// An operation that has been executed: its answer, and what the response and its observers get beside it.
#[derive(Debug)]
pub struct Executed {
    json: Bytes,
    headers: HeaderMap,
    errors: usize,
    upstream_time: Duration,
}

impl Endpoint {
    /// An endpoint; without a graph it answers `SUPERGRAPH_UNAVAILABLE`.
    ///
    /// # Errors
    /// A manifest of persisted documents cannot be used.
    pub fn new(settings: Settings, graph: Option<Graph>) -> Result<Self, String> {
        Ok(Self {
            persisted: Persisted::new(&settings.persisted)?,
            batching: settings.batching.clone(),
            reading: settings.reading.clone(),
            engine: graph.map(|graph| Engine::new(settings, graph)),
        })
    }

    /// Answers one request, or a batch. Field errors are part of the answer; request errors are the error returned.
    ///
    /// # Errors
    /// Everything that keeps the operation from being executed.
    pub async fn serve(&self, exchange: &mut Exchange, body: Body) -> Result<Response<Body>, Error> {
        if exchange.method == Method::OPTIONS {
            return Ok(http::options());
        }
        let Some(engine) = &self.engine else { return Err(Error::new(ErrorKind::SupergraphUnavailable, "")) };
        let media = http::media(&exchange.headers)?;
        let requests = http::read(exchange, body, &self.reading).await?;
        if let Some(upload) = &exchange.upload {
            // The time for an answer counts from the request's last bytes.
            exchange.deadline = exchange.deadline.max(upload.deadline());
        }
        let json = match requests {
            Requests::One(request) => self.answer(engine, exchange, request).await?,
            Requests::Batch(requests) => {
                batching::check(&self.batching, requests.len())?;
                self.batch(engine, exchange, requests).await
            }
        };
        Ok(http::respond(media, json))
    }

    /// The answers to several requests, which are run at once, each as if it had come alone.
    async fn batch(&self, engine: &Engine, exchange: &mut Exchange, requests: Vec<Request>) -> Bytes {
        let mut parts: Vec<Exchange> = requests.iter().map(|_| exchange.part()).collect();
        let work = parts.iter_mut().zip(requests).map(|(part, request)| self.answer(engine, part, request).boxed());
        let answers = join_all(work).await;
        batching::join(exchange, parts, answers).into()
    }

    /// The answer to one request.
    async fn answer(&self, engine: &Engine, exchange: &mut Exchange, mut request: Request) -> Result<Bytes, Error> {
        let text = self.persisted.document(&mut request)?;
        let document = engine.document(exchange, text).await?;
        let operation = document.operation(request.operation_name.as_deref())?;
        operation.uses.fetch_add(1, Ordering::Relaxed);
        if operation.kind != OperationKind::Query && exchange.method != Method::POST {
            return Err(http::only_by_post());
        }
        if operation.kind == OperationKind::Subscription {
            return Err(Error::new(ErrorKind::OperationResolutionFailed, "Subscriptions are not served here."));
        }
        let (name, kind) = (operation.name.clone(), operation.kind_name());
        exchange.operation = Some(OperationFacts { name, kind, planning: None, cost: None, errors: 0 });
        let variables = variables::coerce(&engine.graph.supergraph.client, operation, request.variables)?;
        engine.check_cost(exchange, operation, &variables)?;
        let plan = engine.authorized_plan(exchange, operation, &variables).await?;
        let uploads = request.uploads.as_deref();
        if let Some(uploads) = uploads {
            file_uploads::check(uploads, &plan)?;
        }
        let work = engine.execute(exchange, &plan, &variables, uploads);
        let is_shared = operation.kind == OperationKind::Query && uploads.is_none();
        Ok(match engine.deduplicate.as_ref().filter(|_| is_shared) {
            Some(deduplicate) => deduplicate.share(Key::new(exchange, &plan, &variables), work).await?.note(exchange),
            None => work.await?.note(exchange),
        })
    }
}

impl Executed {
    /// States in an exchange what was done for it; the answer.
    fn note(&self, exchange: &mut Exchange) -> Bytes {
        let is_personal = exchange.response_headers.get(CACHE_CONTROL) == Some(&authz::PERSONAL);
        for (name, value) in self.headers.iter().filter(|(name, _)| !is_personal || **name != CACHE_CONTROL) {
            exchange.response_headers.append(name.clone(), value.clone());
        }
        exchange.upstream_time += self.upstream_time;
        if let Some(facts) = &mut exchange.operation {
            facts.errors = self.errors;
        }
        self.json.clone()
    }
}

impl Engine {
    fn new(settings: Settings, graph: Graph) -> Self {
        let service = |subgraph: &Subgraph| Service::new(subgraph.name.clone(), subgraph.are_errors_included);
        let mut services = IdVec::default();
        for (_, subgraph) in graph.subgraphs.iter() {
            services.push(service(subgraph));
        }
        Self {
            services,
            types: Arc::new(TypeNames::from(&*graph.supergraph)),
            introspector: Introspector::new(&graph.supergraph.client),
            rules: Rules {
                budget: settings.budget,
                introspection: settings.introspection,
                demand_control: DemandControl::new(&settings.demand_control, &graph.supergraph).map(Arc::new),
            },
            authorization: settings.authorization,
            parsing: Arc::new(Semaphore::new(busy::at_once())),
            documents: settings
                .planning
                .cache
                .in_memory
                .cache(plans::DOCUMENT, |text: &Arc<str>, document: &Arc<Document>| text.len() + document.bytes()),
            plans: Plans::new(graph.supergraph.clone(), &settings.planning),
            deduplicate: settings.deduplicate.then(Deduplicate::default),
            graph,
        }
    }

    /// The valid document with this text. Requests for one new document share one run of the parser.
    async fn document(&self, exchange: &mut Exchange, text: Arc<str>) -> Result<Arc<Document>, Error> {
        let known = self.documents.get(&*text).await;
        exchange.is_document_cached = Some(known.is_some());
        if let Some(document) = known {
            return Ok(document);
        }
        let parsed = self.documents.try_get_with(text.clone(), self.parse(text)).await;
        if let Ok(document) = &parsed {
            plans::settle(&self.documents, document.bytes()).await;
        }
        parsed.map_err(|error| Error::clone(&error))
    }

    /// Parses and validates. Large documents take milliseconds, which no other request should wait for; and only so many are read
    /// at a time, since each takes memory.
    async fn parse(&self, text: Arc<str>) -> Result<Arc<Document>, Error> {
        let permit = self.parsing.clone().acquire_owned().await.map_err(|_| Error::bug("nobody may parse"))?;
        let (supergraph, rules) = (self.graph.supergraph.clone(), self.rules.clone());
        let parsing = busy::run(move || {
            let _permit = permit;
            Document::new(&text, &supergraph, &rules)
        });
        parsing.await.map_err(|_| Error::bug("the validator stopped"))?.map(Arc::new)
    }

    /// Refuses an operation that costs too much.
    fn check_cost(&self, exchange: &mut Exchange, operation: &Operation, variables: &JsonMap) -> Result<(), Error> {
        let Some((control, formula)) = self.rules.demand_control.as_ref().zip(operation.cost.as_ref()) else { return Ok(()) };
        control.check(&self.graph.supergraph, formula, variables, exchange)
    }

    /// The plan of an operation without what the one who asks must not see.
    async fn authorized_plan(
        &self,
        exchange: &mut Exchange,
        operation: &Arc<Operation>,
        variables: &JsonMap,
    ) -> Result<Arc<plans::Ready>, Error> {
        let (config, access) = (&self.authorization, &self.graph.supergraph.access);
        if !operation.planned.requirements.is_empty() {
            // Others get another answer to the same request, whatever the subgraphs allow caches to do.
            exchange.response_headers.insert(CACHE_CONTROL, authz::PERSONAL);
        }
        let denied = authz::unmet(config, access, &operation.planned.requirements, exchange.identity.as_deref());
        let is_anything_denied = !denied.is_empty();
        let plan = self.plan(exchange, operation, denied).await?;
        if is_anything_denied && config.dry_run {
            authz::log(&plan, variables, exchange);
            return self.plan(exchange, operation, Vec::new()).await;
        }
        if is_anything_denied && config.reject_unauthorized {
            authz::reject(&plan, variables)?;
        }
        Ok(plan)
    }

    /// The plan of an operation for someone who does not meet these requirements. How it was had is stated in the exchange, also
    /// when there is none.
    async fn plan(
        &self,
        exchange: &mut Exchange,
        operation: &Arc<Operation>,
        denied: Vec<RequirementId>,
    ) -> Result<Arc<plans::Ready>, Error> {
        let started = Instant::now();
        let span = exchange.span.as_ref().map(|span| span.child(started));
        let (planned, source) = self.plans.get(operation, denied, &exchange.id).await;
        if let Some(mut span) = span {
            span.name(&["plan"]);
            match &planned {
                Ok(_) => span.set("plan.cached", source == Source::Cache),
                Err(error) => span.fail(error.kind.code()),
            }
        }
        if let Some(facts) = &mut exchange.operation {
            facts.planning = Some(match (&planned, source) {
                (_, Source::Cache) => Planning::Cached,
                (_, Source::Shared) => Planning::Shared,
                (Ok(_), Source::Made) => Planning::Made(started.elapsed()),
                (Err(_), Source::Made) => Planning::Failed(started.elapsed()),
            });
        }
        planned
    }

    /// The answer of an operation.
    async fn execute(
        &self,
        exchange: &Exchange,
        ready: &plans::Ready,
        variables: &Valid<JsonMap>,
        uploads: Option<&Uploads>,
    ) -> Result<Executed, Error> {
        let seeds = match &ready.introspection {
            Some(part) => self.introspector.answer(&self.graph.supergraph.client, part, variables)?,
            None => Vec::new(),
        };
        let request = execute::Request {
            exchange,
            plan: &ready.plan,
            services: &self.services,
            types: &self.types,
            variables,
            seeds: &seeds,
            limit: MAX_ANSWER_BYTES,
        };
        let outcome = execute::execute(request, &self.graph.subgraphs, uploads).await?;
        let mut headers = HeaderMap::new();
        for (subgraph, answered) in &outcome.headers {
            if let Some(subgraph) = self.graph.subgraphs.get(*subgraph) {
                subgraph.upstream.propagate_response(answered, &mut headers);
            }
        }
        let execute::Answer { json, errors } = outcome.answer;
        Ok(Executed { json, headers, errors, upstream_time: outcome.upstream_time })
    }
}
