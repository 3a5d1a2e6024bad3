//! Run: the state of one execution and the scheduler over its fetches.
//!
//! A fetch starts as soon as the fetches that it comes after have ended, well or badly. Everything happens in one task: when that is
//! dropped because the client has left, so is whatever is in flight. Relies on `fetch` and `write`; relied on by `execute`.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use apollo_compiler::response::JsonMap;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use http::HeaderMap;
use rustc_hash::FxHashMap;
use supergraph::{
    ids::{FetchId, Id, IdVec, ReadId, SlotId, SubgraphId},
    plan::{Condition, shape::Shape},
};

use super::{
    Subgraph,
    errors::{Failures, Service},
    fetch::{self, send},
    merge::{self, Blame},
    prepared::Prepared,
    store::{FailureId, ObjectId, Raw, Store, Value},
    types::TypeNames,
    uploads::Uploads,
    verbatim::{Check, Checked},
    write::{self, Answer},
};
use crate::{
    error::{Error, ErrorKind},
    exchange::Exchange,
};

/// What is executed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// For whom.
    pub exchange: &'a Exchange,
    /// The plan.
    pub plan: &'a Arc<Prepared>,
    /// Who answers.
    pub services: &'a IdVec<SubgraphId, Service>,
    /// The supergraph's types.
    pub types: &'a Arc<TypeNames>,
    /// The client's variables, coerced.
    pub variables: &'a JsonMap,
    /// Values of the root row that are known before any fetch: introspection.
    pub seeds: &'a [(SlotId, Bytes)],
    /// Size up to which an answer is written.
    pub limit: usize,
}

/// What an execution gave.
#[derive(Debug)]
pub struct Outcome {
    /// The client's answer.
    pub answer: Answer,
    /// The headers of the subgraphs' replies, in the plan's order.
    pub headers: Vec<(SubgraphId, HeaderMap)>,
    /// Time spent waiting for subgraphs along the longest chain.
    pub upstream_time: Duration,
}

/// The state of one execution.
#[derive(Debug)]
pub struct Run<'a> {
    /// What is executed.
    pub request: Request<'a>,
    /// Values so far.
    pub store: Store,
    /// Why values are missing.
    pub failures: Failures,
    /// Errors that belong to no place.
    pub loose: Vec<FailureId>,
    /// Which conditions hold.
    pub conditions: Vec<bool>,
    /// An answer that is passed on as it came.
    verbatim: Option<Bytes>,
    /// How many fetches each one still waits for.
    waiting: Vec<usize>,
    /// Requests in flight of the fetches that have several.
    unanswered: FxHashMap<FetchId, usize>,
    ready: VecDeque<FetchId>,
    /// How long each fetch and the longest chain before it took.
    times: Vec<Duration>,
    headers: Vec<(FetchId, HeaderMap)>,
}

/// Runs a plan.
///
/// # Errors
/// The answer is over its size limit. Whatever else goes wrong is in the answer.
pub async fn execute(
    request: Request<'_>,
    subgraphs: &IdVec<SubgraphId, Subgraph>,
    uploads: Option<&Uploads>,
) -> Result<Outcome, Error> {
    let mut run = Run::new(request);
    let mut pending = FuturesUnordered::new();
    loop {
        while let Some(id) = run.next_ready() {
            let fetch = request.plan.plan.fetches.get(id);
            let asked = fetch.and_then(|fetch| Some((fetch, subgraphs.get(fetch.subgraph)?)));
            let Some((fetch, subgraph)) = asked else {
                run.end(id, Duration::ZERO);
                continue;
            };
            let uploads = uploads.filter(|uploads| uploads.belong_to(fetch));
            for outgoing in run.start(id) {
                pending.push(send(request.exchange, subgraph, fetch.kind, outgoing, uploads));
            }
        }
        let Some(incoming) = pending.next().await else { break };
        run.receive(incoming);
    }
    run.write()
}

impl<'a> Run<'a> {
    /// An execution that is about to start.
    pub fn new(request: Request<'a>) -> Self {
        let plan = request.plan;
        let mut store = Store::new(&plan.plan.shape, &plan.sizes);
        for (slot, text) in request.seeds {
            if let Some(body) = store.add_body(text.clone()) {
                let place = store.slot(&store.object(store.root()), *slot);
                store.set(place, Value::Raw(Raw::new(body, 0, text.len())));
            }
        }
        let waiting = plan.waiting();
        let ready = waiting.iter().enumerate().filter(|(_, count)| **count == 0).map(|(index, _)| FetchId::new(index)).collect();
        Self {
            store,
            failures: Failures::default(),
            loose: Vec::new(),
            conditions: plan.plan.conditions.iter().map(|(_, condition)| evaluate(condition, request.variables)).collect(),
            times: vec![Duration::ZERO; waiting.len()],
            headers: Vec::new(),
            verbatim: None,
            unanswered: FxHashMap::default(),
            request,
            waiting,
            ready,
        }
    }

    /// The next fetch that can start.
    pub fn next_ready(&mut self) -> Option<FetchId> {
        self.ready.pop_front()
    }

    /// The plan's shape.
    pub fn shape(&self) -> &'a Shape {
        &self.request.plan.plan.shape
    }

    /// Marks what a read would have filled in an object as failed.
    pub fn fail(&mut self, (read, object): (ReadId, ObjectId), blame: Blame) {
        merge::fail(&mut self.store, &self.request.plan.plan.shape, read, object, blame);
    }

    /// The requests of a fetch; without any it has ended.
    pub fn start(&mut self, id: FetchId) -> Vec<fetch::Outgoing<'a>> {
        let requests = fetch::build(self, id);
        match requests.len() {
            0 => self.end(id, Duration::ZERO),
            1 => {}
            more => drop(self.unanswered.insert(id, more)),
        }
        requests
    }

    /// Takes an answer, and starts what waited for it.
    pub fn receive(&mut self, incoming: fetch::Incoming<'a>) {
        let fetch::Incoming { id, targets, mut reply, time } = incoming;
        let Some(fetch) = self.request.plan.plan.fetches.get(id) else { return };
        if let Ok(reply) = &mut reply {
            self.headers.push((id, std::mem::take(reply.headers_mut())));
        }
        fetch::finish(self, fetch.subgraph, &targets, reply);
        if let Some(left) = self.unanswered.get_mut(&id) {
            *left -= 1;
            if *left > 0 {
                return;
            }
        }
        self.end(id, time);
    }

    /// The check of an answer that may be the client's.
    pub fn check(&self) -> Option<Check> {
        let Request { plan, types, limit, .. } = self.request;
        plan.verbatim.is_some().then(|| Check::new(plan.clone(), types.clone(), limit))
    }

    /// Takes a subgraph's answer for the client's, if it is that. Checked for another plan, it may be complete for that one.
    pub fn pass_on(&mut self, text: &Bytes, checked: Option<Checked>) -> bool {
        let known = checked.filter(|checked| Arc::ptr_eq(&checked.plan, self.request.plan)).map(|checked| checked.is_passed);
        self.verbatim = match known {
            Some(true) => Some(text.clone()),
            Some(false) => None,
            None => self.check().and_then(|check| check.whole(text)),
        };
        self.verbatim.is_some()
    }

    /// A fetch has ended, or was not needed.
    pub fn end(&mut self, id: FetchId, time: Duration) {
        let total = self.times.get(id.index()).copied().unwrap_or_default() + time;
        if let Some(own) = self.times.get_mut(id.index()) {
            *own = total;
        }
        for next in self.request.plan.dependents_of(id) {
            if let Some(before) = self.times.get_mut(next.index()) {
                *before = (*before).max(total);
            }
            let Some(count) = self.waiting.get_mut(next.index()) else { continue };
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.ready.push_back(*next);
            }
        }
    }

    /// Writes the answer when all fetches have ended.
    ///
    /// # Errors
    /// It is over its size limit.
    pub fn write(mut self) -> Result<Outcome, Error> {
        let plan = self.request.plan;
        let answer = match self.verbatim.take() {
            Some(json) => Answer { json, errors: 0 },
            None => self.written()?,
        };
        self.headers.sort_by_key(|(id, _)| *id);
        let subgraph = |id| plan.plan.fetches.get(id).map(|fetch| fetch.subgraph);
        Ok(Outcome {
            answer,
            headers: self.headers.into_iter().filter_map(|(id, headers)| Some((subgraph(id)?, headers))).collect(),
            upstream_time: self.times.iter().max().copied().unwrap_or_default(),
        })
    }
}

impl Run<'_> {
    /// The answer from the store.
    fn written(&self) -> Result<Answer, Error> {
        let Request { plan, types, limit, .. } = self.request;
        let (store, failures) = (&self.store, &self.failures);
        let input = write::Input { store, failures, loose: &self.loose, plan, types, conditions: &self.conditions, limit };
        let answer = write::write(input).map_err(|write::TooLarge| {
            Error::new(ErrorKind::OperationTooLarge, format!("The answer is larger than {limit} bytes."))
        })?;
        plan.learn(answer.json.len(), store);
        Ok(answer)
    }
}

/// Whether a condition holds for these variables.
pub fn evaluate(condition: &Condition, variables: &JsonMap) -> bool {
    condition
        .any
        .iter()
        .any(|all| all.iter().all(|test| variables.get(&*test.variable).and_then(|value| value.as_bool()) == Some(test.is)))
}
