//! Aggregates: one answer out of several services' answers, asked for side by side, or one after another where one needs what
//! another said.
//!
//! Relied on by `rest`; configured by `aggregate:` of a route. Nothing of the client's request goes on by itself: what the
//! templates and the header rules name does.

pub mod shape;
mod template;

use std::time::Instant;

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use http::{HeaderName, HeaderValue, Method, Request, Response, header};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::{
    shape::Shape,
    template::{Answers, Template},
};
use crate::{
    body::Body,
    error::{Error, ErrorKind},
    exchange::Exchange,
    telemetry::traces::RequestSpan,
    units::Span,
    upstream::{Call, Upstream},
};

/// Says whether all parts are in the answer.
const COMPLETED: HeaderName = HeaderName::from_static("x-supergate-completed");
/// Most parts of an aggregate.
const MOST: usize = 32;
/// The part of the time that is kept for putting an answer together without what did not come: a twentieth of it.
const RESERVE: u32 = 20;

/// One answer out of several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AggregateConfig {
    /// What is asked for. A part that names an earlier one waits for it; all others are asked at once.
    pub parts: Vec<PartConfig>,
    /// What a part that fails makes of the answer. When all fail, the answer is a 502.
    #[serde(default)]
    pub on_failure: OnFailure,
}

/// What a failed part makes of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// A failure.
    #[default]
    Fail,
    /// An answer without it, and `X-Supergate-Completed: false`.
    Omit,
    /// An answer with null in its place, and `X-Supergate-Completed: false`.
    Nullify,
}

/// One part of an aggregate. In `path`, `headers` and `body`, `{name}` is a segment that `match.path` names and `{part.field}` a
/// value of an earlier part's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartConfig {
    /// Its name: its key in the answer, and what later parts call it.
    pub name: String,
    /// Name of an upstream.
    pub upstream: String,
    /// Path and query of the request.
    pub path: String,
    /// Its method; `GET` when absent.
    pub method: Option<String>,
    /// How long it may take; when absent, as long as there is time for an answer.
    pub timeout: Option<Span>,
    /// Its headers.
    #[serde(default)]
    pub headers: IndexMap<String, String>,
    /// Its body, as JSON.
    pub body: Option<Value>,
    /// The field of the answer that is meant, instead of all of it: `data.user`.
    pub target: Option<String>,
    /// The fields that are taken, with those below them; all when empty.
    #[serde(default)]
    pub allow: Vec<String>,
    /// The fields that are left out.
    #[serde(default)]
    pub deny: Vec<String>,
    /// Fields and their new names.
    #[serde(default)]
    pub mapping: IndexMap<String, String>,
    /// The key in the answer, instead of the name.
    pub group: Option<String>,
    /// Whether its fields stand in the answer itself, not below a key.
    #[serde(default)]
    pub flat: bool,
}

/// Answers with an aggregate.
#[derive(Debug)]
pub struct Aggregate {
    parts: Vec<Part>,
    on_failure: OnFailure,
    /// Most bytes of one part's answer.
    limit: usize,
}

#[derive(Debug)]
struct Part {
    upstream: Upstream,
    method: Method,
    path: Template,
    headers: Vec<(HeaderName, Template)>,
    body: Option<template::Json>,
    shape: Shape,
    timeout: Option<Span>,
    /// Nothing when it is flat.
    key: Option<String>,
    /// The parts that it waits for.
    needs: Vec<usize>,
}

impl Aggregate {
    /// The aggregate of a route whose `match.path` is `pattern`; `upstream` finds the upstreams.
    ///
    /// # Errors
    /// Says which part cannot be used.
    pub fn new(
        config: &AggregateConfig,
        pattern: &str,
        limit: usize,
        mut upstream: impl FnMut(&str) -> Result<Upstream, String>,
    ) -> Result<Self, String> {
        if config.parts.is_empty() || config.parts.len() > MOST {
            return Err(format!("an aggregate has between 1 and {MOST} parts"));
        }
        let mut parts = Vec::new();
        let mut known: Vec<&str> = Vec::new();
        for part in &config.parts {
            if known.contains(&part.name.as_str()) || part.name.contains(['.', '{', '}']) || part.name.is_empty() {
                return Err(format!("`{}` is not a name of its own for a part", part.name));
            }
            let built = Part::new(part, (pattern, &known), upstream(&part.upstream)?);
            let built = built.map_err(|error| format!("part `{}`: {error}", part.name))?;
            if built.key.is_some() && parts.iter().any(|other: &Part| other.key == built.key) {
                return Err(format!("part `{}`: another part has its key in the answer already", part.name));
            }
            parts.push(built);
            known.push(&part.name);
        }
        Ok(Self { parts, on_failure: config.on_failure, limit })
    }

    /// Asks for all parts and puts the answer together.
    ///
    /// # Errors
    /// What a part fails with, where that fails the whole.
    pub async fn serve(&self, exchange: &mut Exchange) -> Result<Response<Body>, Error> {
        if !matches!(exchange.method, Method::GET | Method::HEAD) {
            let allow = HeaderValue::from_static("GET, HEAD");
            return Err(Error::new(ErrorKind::MethodNotAllowed, "").with_header(header::ALLOW, allow));
        }
        let started = Instant::now();
        let results = self.ask(exchange).await;
        exchange.upstream_time = started.elapsed();
        let (answer, is_complete) = self.merge(results)?;
        let mut response = Response::new(Body::full(serde_json::to_vec(&answer).unwrap_or_default()));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(COMPLETED, HeaderValue::from_static(if is_complete { "true" } else { "false" }));
        Ok(response)
    }

    /// Every part's answer, as soon as those that it needs are there.
    async fn ask(&self, exchange: &Exchange) -> Vec<Result<Value, Error>> {
        let mut answers: Answers = self.parts.iter().map(|_| None).collect();
        let mut is_asked = vec![false; self.parts.len()];
        let mut running = FuturesUnordered::new();
        let latest = self.latest(exchange);
        loop {
            for (index, part) in self.parts.iter().enumerate() {
                let is_ready = part.needs.iter().all(|need| answers.get(*need).is_some_and(Option::is_some));
                let Some(is_asked) = is_asked.get_mut(index).filter(|is_asked| !**is_asked && is_ready) else { continue };
                *is_asked = true;
                let request = part.request(exchange, &answers);
                running.push(async move {
                    match request {
                        Ok(request) => (index, part.fetch(exchange, request, (latest, self.limit)).await),
                        Err(error) => (index, Err(error)),
                    }
                });
            }
            let Some((index, result)) = running.next().await else { break };
            if let (Err(error), OnFailure::Fail) = (&result, self.on_failure) {
                // What the others say makes no difference any more; they are cancelled.
                return vec![Err(error.clone())];
            }
            if let Some(answer) = answers.get_mut(index) {
                *answer = Some(result);
            }
        }
        let missing = || Err(Error::bug("a part of an aggregate was not asked for"));
        answers.into_iter().map(|answer| answer.unwrap_or_else(missing)).collect()
    }

    /// When what has come by then must become an answer, where one part may be missing: a little before there must be one.
    fn latest(&self, exchange: &Exchange) -> Instant {
        match self.on_failure {
            OnFailure::Fail => exchange.deadline,
            OnFailure::Omit | OnFailure::Nullify => {
                let time = exchange.deadline.saturating_duration_since(Instant::now());
                exchange.deadline.checked_sub(time / RESERVE).unwrap_or(exchange.deadline)
            }
        }
    }

    /// One answer out of those of the parts, and whether they are all in it.
    fn merge(&self, results: Vec<Result<Value, Error>>) -> Result<(Value, bool), Error> {
        let (mut answer, mut failures, mut count) = (Map::new(), 0, 0);
        let mut first = None;
        for (part, result) in self.parts.iter().zip(results) {
            count += 1;
            let value = match result {
                Ok(value) => Some(part.shape.apply(value)),
                Err(error) if self.on_failure == OnFailure::Fail => return Err(error),
                Err(error) => {
                    tracing::warn!(part = part.key, %error, "a part of an aggregate failed");
                    failures += 1;
                    first.get_or_insert(error);
                    (self.on_failure == OnFailure::Nullify).then_some(Value::Null)
                }
            };
            match (value, &part.key) {
                (Some(value), Some(key)) => drop(answer.insert(key.clone(), value)),
                (Some(Value::Object(fields)), None) => answer.extend(fields),
                (Some(_), None) | (None, _) => {}
            }
        }
        match first {
            Some(error) if failures == count => Err(error),
            _ => Ok((Value::Object(answer), failures == 0)),
        }
    }
}

impl Part {
    fn new(config: &PartConfig, (pattern, known): (&str, &[&str]), upstream: Upstream) -> Result<Self, String> {
        let method = config.method.as_deref().unwrap_or("GET");
        let read = |text: &str| Template::new(text, pattern, known);
        let headers = config.headers.iter().map(|(name, value)| {
            let name = HeaderName::try_from(name).map_err(|_| format!("`{name}` is not the name of a header"))?;
            Ok::<_, String>((name, read(value)?))
        });
        if !config.path.starts_with('/') {
            return Err(format!("the path `{}` does not begin with a slash", config.path));
        }
        let mut part = Self {
            upstream,
            method: Method::from_bytes(method.as_bytes()).map_err(|_| format!("`{method}` is not a method"))?,
            path: read(&config.path)?,
            headers: headers.collect::<Result<_, _>>()?,
            body: config.body.as_ref().map(|body| template::Json::new(body, &read)).transpose()?,
            shape: Shape::new(config.target.as_deref(), (&config.allow, &config.deny), &config.mapping),
            key: (!config.flat).then(|| config.group.clone().unwrap_or_else(|| config.name.clone())),
            timeout: config.timeout,
            needs: Vec::new(),
        };
        part.needs.extend(part.path.needs());
        part.needs.extend(part.headers.iter().flat_map(|(_, template)| template.needs()));
        part.needs.extend(part.body.iter().flat_map(template::Json::needs));
        Ok(part)
    }

    fn request(&self, exchange: &Exchange, answers: &Answers) -> Result<Request<Body>, Error> {
        let uri = self.path.target(&exchange.uri, answers)?;
        let body = match &self.body {
            Some(body) => Body::full(serde_json::to_vec(&body.fill(&exchange.uri, answers)?).unwrap_or_default()),
            None => Body::empty(),
        };
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if self.body.is_some() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, template) in &self.headers {
            let text = template.text(&exchange.uri, answers)?;
            let value = HeaderValue::try_from(text).map_err(|_| unfit("a value cannot stand in a header"))?;
            headers.insert(name, value);
        }
        Ok(request)
    }

    async fn fetch(
        &self,
        exchange: &Exchange,
        request: Request<Body>,
        (latest, limit): (Instant, usize),
    ) -> Result<Value, Error> {
        let span = exchange.span.as_ref().map(|span| span.call(Instant::now()));
        let call = Call {
            request,
            deadline: self.timeout.map_or(latest, |timeout| latest.min(Instant::now() + timeout.0)),
            upload: None,
            is_idempotent: self.method.is_idempotent(),
            trace: span.as_ref().map(RequestSpan::context),
        };
        let answer = self.upstream.fetch(exchange, call, limit).await?;
        if !answer.status().is_success() {
            return Err(unfit(format!("{} answered with {}", self.upstream.name(), answer.status())));
        }
        read(answer.body()).map_err(|error| unfit(format!("{} did not answer with JSON: {error}", self.upstream.name())))
    }
}

/// The parser bounds how deep JSON may be.
fn read(body: &Bytes) -> serde_json::Result<Value> {
    serde_json::from_slice(body)
}

fn unfit(reason: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::UpstreamInvalid, reason)
}
