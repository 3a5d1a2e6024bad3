//! Field errors: why values are missing, and where subgraphs say that something went wrong, in terms of the client's answer.
//!
//! Subgraph paths are walked through the plan's reads to places of the store; `write` knows the client's path when it comes to
//! such a place. Locations point into documents that clients never see and are dropped. Relied on by `fetch` and `write`.
//! Spec: <https://spec.graphql.org/September2025/#sec-Errors>

use std::sync::Arc;

use serde_json::{Map, Value as Json};
use supergraph::{
    ids::{LayoutId, ReadId, TypeId},
    plan::shape::{OutputField, Read, ReadField, ReadValue, Shape},
};

use super::{
    decode::applies,
    store::{FailureId, ObjectId, Place, Store, Value},
};
use crate::error::{Error, ErrorKind};

/// Errors of one subgraph answer that are looked at; the rest is dropped.
pub const MAX_ERRORS_PER_ANSWER: usize = 100;
/// How often one failure is reported in one answer, however many values it hits.
pub const MAX_REPORTS_PER_FAILURE: u16 = 10;
/// Errors in one answer.
pub const MAX_ERRORS: usize = 1000;

/// The code of errors that a subgraph reported without one of its own.
const SUBGRAPH_ERROR: &str = "SUBGRAPH_ERROR";
/// The code of values that the schema does not allow where they stand.
const INVALID_VALUE: &str = "SUBGRAPH_INVALID_VALUE";

/// The kind of errors about fields that no subgraph can be asked for.
const UNREACHABLE: ErrorKind = ErrorKind::FieldUnreachable;

/// The kind of errors about fields that whoever asks must not see.
pub const UNAUTHORIZED: ErrorKind = ErrorKind::UnauthorizedField;

/// One step of a path in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A response key.
    Key(Box<str>),
    /// A position in a list.
    Index(u64),
}

/// One reason why values are missing.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What the client is told.
    pub message: Box<str>,
    /// `extensions` of the error.
    pub extensions: Map<String, Json>,
    /// Steps below the place where it is reported.
    pub below: Vec<Step>,
    /// Values are missing because of it, but the error itself is reported elsewhere.
    pub is_silent: bool,
}

/// All failures of one execution.
#[derive(Debug, Default)]
pub struct Failures(Vec<Arc<Failure>>);

impl Failures {
    /// Keeps a failure.
    pub fn add(&mut self, failure: impl Into<Arc<Failure>>) -> FailureId {
        self.0.push(failure.into());
        FailureId(u32::try_from(self.0.len() - 1).unwrap_or(u32::MAX))
    }

    /// The failure with this id.
    pub fn get(&self, id: FailureId) -> Option<&Failure> {
        self.0.get(id.0 as usize).map(|failure| &**failure)
    }

    /// Number of failures.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing failed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Who answered, and how much of its errors clients may see.
#[derive(Clone, Debug)]
pub struct Service {
    /// The subgraph's name.
    pub name: Arc<str>,
    /// Whether its own messages and extensions are shown.
    are_errors_included: bool,
    /// What is said of values that do not fit: made once, since every answer is ready to say it.
    mismatch: Arc<Failure>,
}

impl Service {
    /// The subgraph of this name, and whether clients see its own messages and extensions.
    pub fn new(name: Arc<str>, are_errors_included: bool) -> Self {
        let mismatch = Failure {
            message: format!("The subgraph `{name}` answered with a value that does not fit the schema.").into(),
            extensions: extensions_with(INVALID_VALUE, &name),
            below: Vec::new(),
            is_silent: false,
        };
        Self { name, are_errors_included, mismatch: Arc::new(mismatch) }
    }

    fn extensions(&self, code: &str) -> Map<String, Json> {
        extensions_with(code, &self.name)
    }

    /// A call that failed.
    pub fn unanswered(&self, error: &Error) -> Failure {
        Failure {
            message: format!("The subgraph `{}` could not answer: {}", self.name, error.kind.message()).into(),
            extensions: self.extensions(error.kind.code()),
            below: Vec::new(),
            is_silent: false,
        }
    }

    /// A value of a kind that the schema does not have there.
    pub fn mismatch(&self) -> Arc<Failure> {
        self.mismatch.clone()
    }

    /// The failure of values whose error is reported elsewhere.
    pub fn silent(&self) -> Failure {
        Failure { is_silent: true, ..Failure::clone(&self.mismatch) }
    }

    /// An error as the subgraph reported it; its message and extensions only where they may be seen.
    pub fn reported(&self, error: &Json) -> Failure {
        let said = |key: &str| error.get(key).filter(|_| self.are_errors_included);
        let message = match said("message").and_then(Json::as_str) {
            Some(message) => message.into(),
            None => format!("The subgraph `{}` reported an error.", self.name).into(),
        };
        let mut extensions = self.extensions(SUBGRAPH_ERROR);
        if let Some(Json::Object(own)) = said("extensions") {
            // A code is a string, whatever a subgraph makes of it.
            let is_kept = |key: &str, value: &Json| key != "service" && (key != "code" || value.is_string());
            extensions
                .extend(own.iter().filter(|(key, value)| is_kept(key, value)).map(|(key, value)| (key.clone(), value.clone())));
        }
        Failure { message, extensions, below: Vec::new(), is_silent: false }
    }
}

fn extensions_with(code: &str, service: &str) -> Map<String, Json> {
    Map::from_iter([("code".to_owned(), code.into()), ("service".to_owned(), service.into())])
}

/// The `extensions` of an error about a value that may not stand where it does.
pub fn invalid_value() -> Map<String, Json> {
    Map::from_iter([("code".to_owned(), INVALID_VALUE.into())])
}

/// The `extensions` of an error about a field that whoever asks must not see.
pub fn unauthorized() -> Map<String, Json> {
    extensions_of(UNAUTHORIZED)
}

/// Message and `extensions` of an error about a field that no subgraph can be asked for.
pub fn unreachable(coordinate: &str) -> (String, Map<String, Json>) {
    let message = format!(
        "No subgraph can be asked for `{coordinate}` here: what leads to it (a key, required fields, a context) cannot be had. Give \
         its type a key that can be resolved there, or let a subgraph that is asked anyway share the field."
    );
    (message, extensions_of(UNREACHABLE))
}

/// The same about an object whose type no subgraph tells.
pub fn untold() -> (String, Map<String, Json>) {
    let message = "No subgraph can be asked for the type of this object: give the interface a key in a subgraph that has its \
                   implementations.";
    (message.to_owned(), extensions_of(UNREACHABLE))
}

fn extensions_of(kind: ErrorKind) -> Map<String, Json> {
    Map::from_iter([("code".to_owned(), kind.code().into())])
}

/// The path of a reported error.
pub fn path_of(error: &Json) -> Vec<Step> {
    let steps = error.get("path").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let step = |step: &Json| match step {
        Json::String(key) => Some(Step::Key(key.as_str().into())),
        Json::Number(index) => index.as_u64().map(Step::Index),
        _ => None,
    };
    steps.iter().map_while(step).collect()
}

/// Follows `path` from `object` through what `read` decoded, as far as there are values; returns the place and the steps below it
/// in the client's terms.
pub fn locate(store: &Store, shape: &Shape, (read, object): (ReadId, ObjectId), path: &[Step]) -> (Place, Vec<Step>) {
    let nowhere = (Place::Object(object), Vec::new());
    let Some(read) = shape.reads.get(read) else { return nowhere };
    let row = store.object(object);
    let Some((field, rest)) = step_into(read, row.concrete, path) else { return nowhere };
    if output_of(shape, row.layout, field, row.concrete).is_none() {
        return nowhere;
    }
    let (mut place, mut rest) = (store.slot(&row, field.slot), rest);
    loop {
        match (store.get(place), rest) {
            (Value::List(list), [Step::Index(index), below @ ..]) => {
                let item = usize::try_from(*index).ok().and_then(|index| store.items(list).nth(index));
                let Some(item) = item else { return (place, Vec::new()) };
                (place, rest) = (item, below);
            }
            (Value::Object(child), [Step::Key(_), ..]) => {
                let ReadValue::Object(read) = field.value else { return (place, Vec::new()) };
                return locate(store, shape, (read, child), rest);
            }
            _ => return (place, translate(shape, field, rest)),
        }
    }
}

/// The steps below a missing value, with the client's response keys; ends at the first that the client did not ask for.
fn translate<'a>(shape: &'a Shape, mut field: &'a ReadField, path: &[Step]) -> Vec<Step> {
    let mut below = Vec::new();
    let mut rest = path;
    while let Some((step, tail)) = rest.split_first() {
        if let Step::Index(_) = step {
            below.push(step.clone());
            rest = tail;
            continue;
        }
        let ReadValue::Object(read) = field.value else { break };
        let next = shape.reads.get(read).and_then(|read| {
            let (field, _) = step_into(read, None, rest)?;
            Some((field, output_of(shape, read.layout, field, None)?))
        });
        let Some((child, output)) = next else { break };
        field = child;
        below.push(Step::Key(output.key.clone()));
        rest = tail;
    }
    below
}

/// The field that the first step names (any one of several when the concrete type is not known), and the rest of the path.
fn step_into<'a, 'b>(read: &'a Read, concrete: Option<TypeId>, path: &'b [Step]) -> Option<(&'a ReadField, &'b [Step])> {
    let [Step::Key(key), rest @ ..] = path else { return None };
    let field =
        read.fields.iter().find(|field| field.key == *key && (concrete.is_none() || applies(field.types.as_ref(), concrete)))?;
    Some((field, rest))
}

/// The client's field that shows a slot.
fn output_of<'a>(shape: &'a Shape, layout: LayoutId, field: &ReadField, concrete: Option<TypeId>) -> Option<&'a OutputField> {
    let shows = |output: &&OutputField| {
        output.slot == field.slot
            && output.value != supergraph::plan::shape::OutputValue::Typename
            && (concrete.is_none() || applies(output.types.as_ref(), concrete))
    };
    shape.layouts.get(layout)?.fields.iter().find(shows)
}
