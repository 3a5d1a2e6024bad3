//! Fetch: one subgraph request of a plan, from what it needs in the store to what it leaves there.
//!
//! Relies on `represent`, `answer`, `errors` and `upstream`; relied on by `execute`.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use apollo_compiler::response::JsonMap;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use serde_json::Value as Json;
use supergraph::{
    ids::{FetchId, ReadId, SubgraphId},
    plan::{Fetch, OperationKind, Target},
};

use super::{
    Subgraph,
    answer::{self, Data, Part, Targets, filled},
    decode::Input,
    errors::{self, MAX_ERRORS_PER_ANSWER, Service, Step},
    merge::Blame,
    prepared,
    represent::represent,
    run::Run,
    store::{BodyId, Checkpoint, FailureId, ObjectId},
    uploads::Uploads,
    verbatim::{Check, Checked},
};
use crate::{
    body::{Body, Reader},
    error::{Error, ErrorKind},
    exchange::Exchange,
    telemetry::traces::RequestSpan,
    upstream::{Call, Taking},
};

/// A fetch that can be sent.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// Which.
    pub id: FetchId,
    /// Its request body.
    pub body: Bytes,
    /// What its answer fills.
    pub targets: Targets<'a>,
    /// Whether it can be passed on is found out while it arrives.
    pub check: Option<Box<Check>>,
}

/// A fetch that has been answered, or not.
#[derive(Debug)]
pub struct Incoming<'a> {
    /// Which.
    pub id: FetchId,
    /// What the answer fills.
    pub targets: Targets<'a>,
    /// The answer.
    pub reply: Result<http::Response<Bytes>, Error>,
    /// How long it took.
    pub time: Duration,
}

/// Most `_entities` fields of one request that differ in the values of a context; more go into further requests.
const MAX_PARTS: usize = 50;

/// Builds the requests of a fetch: none when there is nothing to ask, several when contexts have many values.
pub fn build<'a>(run: &mut Run<'a>, id: FetchId) -> Vec<Outgoing<'a>> {
    let plan = run.request.plan;
    let Some(fetch) = plan.plan.fetches.get(id) else { return Vec::new() };
    if fetch.condition.is_some_and(|id| !super::holds(&run.conditions, id)) {
        return Vec::new();
    }
    let batches = match &fetch.target {
        Target::Root { layout, read } => {
            let objects: Vec<_> = run.store.objects_of(*layout).collect();
            if objects.is_empty() {
                return Vec::new();
            }
            let body = body(plan.head_of(id), fetch, run.request.variables, &[]);
            return vec![Outgoing { id, body, targets: Targets::Root(*read, objects), check: run.check().map(Box::new) }];
        }
        Target::Entities(batches) => batches,
    };
    let mut parts = Vec::with_capacity(batches.len());
    for batch in batches {
        let lists = represent(&run.store, run.request.types, batch, &run.conditions);
        parts.extend(lists.into_iter().map(|all| Part { batch, number: None, all }));
    }
    leave_out(run, &parts);
    if !parts.iter().any(|part| part.all.count > 0) {
        return Vec::new();
    }
    let variables = run.request.variables;
    match &fetch.opening {
        Some(opening) if parts.len() > 1 => apart(id, (fetch, opening), variables, parts),
        _ => {
            let body = body(plan.head_of(id), fetch, variables, &parts);
            vec![Outgoing { id, body, targets: Targets::Entities(parts), check: None }]
        }
    }
}

/// Requests in which every value of a context has an `_entities` field of its own.
fn apart<'a>(id: FetchId, (fetch, opening): (&Fetch, &str), variables: &JsonMap, mut parts: Vec<Part<'a>>) -> Vec<Outgoing<'a>> {
    parts.retain(|part| part.all.count > 0);
    let mut requests = Vec::new();
    while !parts.is_empty() {
        let rest = parts.split_off(parts.len().min(MAX_PARTS));
        let mut these = std::mem::replace(&mut parts, rest);
        for (number, part) in these.iter_mut().enumerate() {
            part.number = Some(number);
        }
        let head = prepared::head(&document(opening, &these), fetch.operation_name.as_deref());
        let body = body(&head, fetch, variables, &these);
        requests.push(Outgoing { id, body, targets: Targets::Entities(these), check: None });
    }
    requests
}

/// A document with one `_entities` field for each part.
fn document(opening: &str, parts: &[Part<'_>]) -> String {
    let (mut variables, mut fields) = (String::from(opening), String::new());
    for (index, part) in parts.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let (key, representations) = (part.key(), part.name(&part.batch.variable));
        let mut selection = part.batch.selection.to_string();
        // Writing to a string cannot fail.
        let _ = write!(variables, "{comma}${representations}: [_Any!]!");
        for context in &part.batch.contexts {
            let name = part.name(&context.name);
            let _ = write!(variables, ", ${name}: {}", context.ty);
            selection = selection.replace(&*context.name, &name);
        }
        let _ = write!(fields, " {key}: _entities(representations: ${representations}) {selection}");
    }
    format!("{variables}) {{{fields} }}")
}

/// Marks what objects without a representation miss because something that they need failed.
fn leave_out(run: &mut Run<'_>, parts: &[Part<'_>]) {
    for part in parts {
        for (member, failure) in &part.all.failed {
            if let Some((read, object)) = filled(part.batch, *member) {
                run.fail((read, object), Blame { failure: *failure, since: None });
            }
        }
    }
}

/// The request body: the head, the client's variables that the document uses, the representations and the values of contexts.
fn body(head: &[u8], fetch: &Fetch, variables: &JsonMap, parts: &[Part<'_>]) -> Bytes {
    let size: usize = parts.iter().map(|part| part.batch.variable.len() + part.all.json.len() + 8).sum();
    let mut out = Vec::with_capacity(head.len() + size + 32);
    out.extend_from_slice(head);
    let mut is_first = true;
    let mut name = |out: &mut Vec<u8>, name: &str| {
        out.extend_from_slice(if is_first { b",\"variables\":{\"" } else { b",\"" });
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        is_first = false;
    };
    for (key, value) in fetch.variables.iter().filter_map(|key| variables.get(&**key).map(|value| (key, value))) {
        name(&mut out, key);
        // Writing JSON into memory cannot fail.
        let _ = serde_json::to_writer(&mut out, value);
    }
    for part in parts {
        name(&mut out, &part.name(&part.batch.variable));
        out.extend_from_slice(&part.all.json);
        for (context, value) in part.batch.contexts.iter().zip(&part.all.contexts) {
            name(&mut out, &part.name(&context.name));
            out.extend_from_slice(value);
        }
    }
    if !is_first {
        out.push(b'}');
    }
    out.push(b'}');
    out.into()
}

/// Sends a fetch and waits for its whole answer.
pub async fn send<'a>(
    exchange: &Exchange,
    subgraph: &Subgraph,
    kind: OperationKind,
    outgoing: Outgoing<'a>,
    uploads: Option<&Uploads>,
) -> Incoming<'a> {
    let started = Instant::now();
    let span = exchange.span.as_ref().map(|span| {
        let mut span = span.call(started);
        span.name(&["fetch", &subgraph.name]);
        span.set("subgraph.name", &*subgraph.name);
        span
    });
    let (id, targets) = (outgoing.id, outgoing.targets);
    let reader = outgoing.check.map(|check| check as Box<dyn Reader>);
    let reply = match request(subgraph, outgoing.body, uploads) {
        Ok(request) => {
            let deadline = exchange.deadline.min(started + subgraph.timeout);
            let trace = span.as_ref().map(RequestSpan::context);
            let upload = uploads.and(exchange.upload.clone());
            let is_idempotent = kind == OperationKind::Query && uploads.is_none();
            let call = Call { request, deadline, upload, is_idempotent, trace };
            let taking = Taking { limit: subgraph.max_response_bytes, reader };
            subgraph.upstream.fetch(exchange, call, taking).await.and_then(readable)
        }
        Err(error) => Err(error),
    };
    let ended = Instant::now();
    if let Some(mut span) = span {
        if let Err(error) = &reply {
            span.fail(error.kind.code());
        }
        span.end(ended);
    }
    Incoming { id, targets, reply, time: ended - started }
}

/// The HTTP request of a fetch.
fn request(subgraph: &Subgraph, body: Bytes, uploads: Option<&Uploads>) -> Result<Request<Body>, Error> {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/graphql-response+json, application/json;q=0.9"));
    let body = match uploads {
        None => Body::full(body),
        Some(uploads) => uploads.wrap(&body, &mut headers)?,
    };
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = subgraph.upstream.uri().clone();
    *request.headers_mut() = headers;
    Ok(request)
}

/// Refuses an answer that does not claim to be JSON: a page of some machine in between, whatever is written on it.
fn readable(reply: http::Response<Bytes>) -> Result<http::Response<Bytes>, Error> {
    let Some(media) = reply.headers().get(header::CONTENT_TYPE) else { return Ok(reply) };
    let essence = media.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    if essence.ends_with(b"/json") || essence.ends_with(b"+json") {
        return Ok(reply);
    }
    Err(Error::new(ErrorKind::UpstreamInvalid, format!("its answer is {media:?} with status {}", reply.status())))
}

/// Takes what a subgraph answered into the store.
pub fn finish(run: &mut Run<'_>, subgraph: SubgraphId, targets: &Targets<'_>, reply: Result<http::Response<Bytes>, Error>) {
    let Some(service) = run.request.services.get(subgraph) else { return };
    let taken = reply.and_then(|reply| {
        let status = reply.status();
        let checked = reply.extensions().get().cloned();
        take(run, service, targets, (reply.into_body(), checked)).map_err(|reason| {
            let detail = if status.is_success() { reason.to_owned() } else { format!("{reason}; its status was {status}") };
            Error::new(ErrorKind::UpstreamInvalid, detail)
        })
    });
    if let Err(error) = taken {
        tracing::warn!(subgraph = &*service.name, %error, "a fetch failed");
        let failure = run.failures.add(service.unanswered(&error));
        blame_all(run, targets, failure, None);
    }
}

/// Decodes an answer; when it is none, everything that came from it is taken back.
fn take(
    run: &mut Run<'_>,
    service: &Service,
    targets: &Targets<'_>,
    (text, checked): (Bytes, Option<Checked>),
) -> Result<(), &'static str> {
    if run.pass_on(&text, checked) {
        return Ok(());
    }
    std::str::from_utf8(&text).map_err(|_| "its answer is not UTF-8")?;
    let body = run.store.add_body(text.clone()).ok_or("its answer is too large")?;
    run.store.expect(text.len());
    let mismatch = run.failures.add(service.mismatch());
    let before = run.store.checkpoint();
    let input = Input { text: &text, body, plan: run.request.plan, types: run.request.types, mismatch };
    let envelope = answer::decode(input, &mut run.store, targets);
    let errors = match &envelope {
        Ok(envelope) => envelope.errors.map_or(Ok(Vec::new()), serde_json::from_slice::<Vec<Json>>),
        Err(_) => Ok(Vec::new()),
    };
    let (Ok(envelope), Ok(errors)) = (envelope, errors) else {
        run.store.forget_since(before);
        let failure = run.failures.add(service.unanswered(&Error::new(ErrorKind::UpstreamInvalid, "")));
        blame_all(run, targets, failure, Some((body, before)));
        tracing::warn!(subgraph = &*service.name, "a subgraph's answer is not a GraphQL response");
        return Ok(());
    };
    if errors.is_empty() {
        return if envelope.data == Data::Taken { Ok(()) } else { Err("its answer has neither data nor errors") };
    }
    report(run, service, targets, (errors, envelope.data));
    Ok(())
}

/// Marks everything that the fetch should have filled and did not.
fn blame_all(run: &mut Run<'_>, targets: &Targets<'_>, failure: FailureId, since: Option<(BodyId, Checkpoint)>) {
    for (read, object) in targets.iter() {
        run.fail((read, object), Blame { failure, since });
    }
}

/// Puts the errors of an answer where they belong.
fn report(run: &mut Run<'_>, service: &Service, targets: &Targets<'_>, (errors, data): (Vec<Json>, Data)) {
    let silent = run.failures.add(service.silent());
    let mut unplaced = Vec::new();
    for error in errors.iter().take(MAX_ERRORS_PER_ANSWER) {
        let path = errors::path_of(error);
        let hit: Vec<(ReadId, ObjectId)> = match (targets, path.as_slice()) {
            (Targets::Root(..), [_, ..]) => targets.iter().collect(),
            (Targets::Entities(_), [Step::Key(key), Step::Index(index), ..]) => targets.members(key, *index).collect(),
            _ => Vec::new(),
        };
        let below = match targets {
            Targets::Root(..) => &path[..],
            Targets::Entities(_) => path.get(2..).unwrap_or_default(),
        };
        let failure = service.reported(error);
        if hit.is_empty() {
            unplaced.push(run.failures.add(failure));
            continue;
        }
        let mut latest: Option<FailureId> = None;
        for target in hit {
            let (place, below) = errors::locate(&run.store, run.shape(), target, below);
            // Objects that share an entity share its error, which is then reported a limited number of times.
            let same = latest.filter(|id| run.failures.get(*id).is_some_and(|failure| failure.below == below));
            let id = same.unwrap_or_else(|| run.failures.add(errors::Failure { below, ..failure.clone() }));
            latest = Some(id);
            run.store.faults.entry(place).or_default().push(id);
            if let Targets::Entities(_) = targets {
                run.fail(target, Blame { failure: silent, since: None });
            }
        }
    }
    if data == Data::Taken {
        run.loose.extend(unplaced);
        return;
    }
    // Nothing came: what an error without a place explains, and what others have explained already.
    let failure = unplaced.first().copied().unwrap_or(silent);
    blame_all(run, targets, failure, None);
    run.loose.extend(unplaced.into_iter().skip(1));
}
