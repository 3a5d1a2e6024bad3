//! Introspection: `__schema` and `__type`, answered from the client schema.
//!
//! Relies on the parser crate for documents and schemas, and on `meta` for what each field of a meta type is; relied on by `graphql`.
//! Spec: <https://spec.graphql.org/September2025/#sec-Introspection>
//!
//! Input: the introspection part of an operation and its variables. Output: the JSON of each root field. Cost: one pass over what is
//! asked for, then linear in what is written, which has a limit. Example: `{ __type(name: "Color") { kind } }` gives
//! `{"kind":"ENUM"}`.

mod meta;

use apollo_compiler::{
    ExecutableDocument, Name, Node, Schema,
    ast::Value,
    collections::IndexMap,
    executable::{DirectiveList, Field, Selection, SelectionSet},
    introspection::check_max_depth,
    response::{JsonMap, JsonValue},
    validation::Valid,
};
use bytes::Bytes;
use supergraph::{ids::SlotId, plan::Introspection};

use crate::error::{Error, ErrorKind};
use meta::{Answer, Meta};

/// Size up to which an answer is written. Even with few nested lists, aliases could ask for a large schema many times over.
const MAX_BYTES: usize = 64 << 20;

/// What a prepared document takes in memory for each byte of its text.
pub const BYTES_PER_BYTE: usize = 32;

/// The client schema, prepared for introspection.
#[derive(Debug)]
pub struct Introspector {
    /// All types, in the order in which they are listed.
    types: Vec<Name>,
    /// The object types that implement each interface, in the order of `types`.
    possible: IndexMap<Name, Vec<Name>>,
}

/// The introspection part of one plan.
#[derive(Debug)]
pub struct Prepared {
    document: Valid<ExecutableDocument>,
    slots: Vec<(Box<str>, SlotId)>,
}

/// One field that is asked for, fields of one response key being one.
#[derive(Debug)]
struct Asked<'a> {
    key: &'a str,
    name: &'a str,
    /// The argument `includeDeprecated`.
    includes_deprecated: bool,
    /// The argument `name` of `__type`.
    of: &'a str,
    below: Vec<Asked<'a>>,
}

impl Prepared {
    /// Prepares what the planner set apart.
    ///
    /// # Errors
    /// Its lists are nested too deep. Its document is not valid on the client schema, which it always should be.
    pub fn new(schema: &Valid<Schema>, part: &Introspection) -> Result<Self, Error> {
        if part.document.len() > Introspection::MAX_BYTES {
            return Err(Error::new(ErrorKind::OperationTooLarge, "It asks for too many fields of the schema."));
        }
        let document = ExecutableDocument::parse_and_validate(schema, &part.document, "introspection")
            .map_err(|failed| Error::bug(format!("the introspection part of a plan is invalid: {}", failed.errors)))?;
        for operation in document.operations.iter() {
            check_max_depth(&document, operation)
                .map_err(|error| Error::new(ErrorKind::OperationTooLarge, error.message().to_string()))?;
        }
        Ok(Self { document, slots: part.slots.clone() })
    }
}

impl Introspector {
    /// Prepares a schema.
    pub fn new(schema: &Schema) -> Self {
        let types = meta::in_order(schema);
        let mut possible: IndexMap<Name, Vec<Name>> = IndexMap::default();
        for object in types.iter().filter_map(|name| schema.get_object(name)) {
            for interface in &object.implements_interfaces {
                possible.entry(interface.name.clone()).or_default().push(object.name.clone());
            }
        }
        Self { types, possible }
    }

    /// The values of the root row's introspection fields.
    ///
    /// # Errors
    /// They are larger than anybody needs them.
    pub fn answer(
        &self,
        schema: &Valid<Schema>,
        part: &Prepared,
        variables: &Valid<JsonMap>,
    ) -> Result<Vec<(SlotId, Bytes)>, Error> {
        let roots: Vec<&SelectionSet> = part.document.operations.iter().map(|operation| &operation.selection_set).collect();
        let asked = collect(&part.document, variables, &roots);
        let mut left = MAX_BYTES;
        let mut values = Vec::with_capacity(part.slots.len());
        for asked in &asked {
            let Some((_, slot)) = part.slots.iter().find(|(key, _)| **key == *asked.key) else { continue };
            let mut writer = Writer { introspector: self, schema, out: Vec::new(), limit: left };
            let root = match asked.name {
                "__schema" => Some(Meta::Schema),
                _ => schema.types.get(asked.of).map(Meta::Type),
            };
            let written = match root {
                Some(root) => writer.object(root, &asked.below),
                None => writer.raw(b"null"),
            };
            written.map_err(|TooLarge| Error::new(ErrorKind::OperationTooLarge, "What it asks of the schema is too large."))?;
            left = left.saturating_sub(writer.out.len());
            values.push((*slot, writer.out.into()));
        }
        Ok(values)
    }
}

/// The fields of selection sets that are merged. Meta types are objects, so a fragment that is valid applies. The operation's own
/// limits bound the depth.
fn collect<'a>(document: &'a ExecutableDocument, variables: &'a JsonMap, sets: &[&'a SelectionSet]) -> Vec<Asked<'a>> {
    let mut groups: IndexMap<&str, Vec<&'a Field>> = IndexMap::default();
    for set in sets {
        gather(document, variables, set, &mut groups);
    }
    let asked = |(key, fields): (&'a str, Vec<&'a Field>)| {
        let below: Vec<&SelectionSet> = fields.iter().map(|field| &field.selection_set).collect();
        let first = fields.first()?;
        Some(Asked {
            key,
            name: &first.name,
            includes_deprecated: boolean(first.specified_argument_by_name("includeDeprecated"), variables).unwrap_or(false),
            of: text(first.specified_argument_by_name("name"), variables),
            below: collect(document, variables, &below),
        })
    };
    groups.into_iter().filter_map(asked).collect()
}

fn gather<'a>(
    document: &'a ExecutableDocument,
    variables: &'a JsonMap,
    set: &'a SelectionSet,
    groups: &mut IndexMap<&'a str, Vec<&'a Field>>,
) {
    for selection in set.selections.iter().filter(|selection| is_included(selection.directives(), variables)) {
        match selection {
            Selection::Field(field) => groups.entry(field.response_key()).or_default().push(field),
            Selection::InlineFragment(fragment) => gather(document, variables, &fragment.selection_set, groups),
            Selection::FragmentSpread(spread) => {
                if let Some(fragment) = document.fragments.get(&spread.fragment_name) {
                    gather(document, variables, &fragment.selection_set, groups);
                }
            }
        }
    }
}

fn is_included(directives: &DirectiveList, variables: &JsonMap) -> bool {
    let value = |name: &str| boolean(directives.get(name)?.specified_argument_by_name("if"), variables);
    value("skip") != Some(true) && value("include") != Some(false)
}

/// The value of a Boolean argument, if it has one.
fn boolean(argument: Option<&Node<Value>>, variables: &JsonMap) -> Option<bool> {
    match &**argument? {
        Value::Boolean(value) => Some(*value),
        Value::Variable(name) => variables.get(name.as_str())?.as_bool(),
        _ => None,
    }
}

fn text<'a>(argument: Option<&'a Node<Value>>, variables: &'a JsonMap) -> &'a str {
    match argument.map(|value| &**value) {
        Some(Value::String(value)) => value,
        Some(Value::Variable(name)) => variables.get(name.as_str()).and_then(JsonValue::as_str).unwrap_or_default(),
        _ => "",
    }
}

/// What was to be written is over its limit.
#[derive(Debug)]
struct TooLarge;

struct Writer<'a> {
    introspector: &'a Introspector,
    schema: &'a Schema,
    out: Vec<u8>,
    limit: usize,
}

impl<'a> Writer<'a> {
    fn object(&mut self, object: Meta<'a>, fields: &[Asked<'_>]) -> Result<(), TooLarge> {
        self.raw(b"{")?;
        for (index, field) in fields.iter().enumerate() {
            if index > 0 {
                self.raw(b",")?;
            }
            self.string(field.key)?;
            self.raw(b":")?;
            match object.field(field.name, field.includes_deprecated, (self.schema, self.introspector)) {
                Answer::Null => self.raw(b"null")?,
                Answer::Boolean(value) => self.raw(if value { b"true" } else { b"false" })?,
                Answer::Text(text) => self.string(&text)?,
                Answer::Names(names) => self.list(names, |writer, name| writer.string(name))?,
                Answer::One(below) => self.object(below, &field.below)?,
                Answer::Many(items) => self.list(items, |writer, below| writer.object(below, &field.below))?,
            }
        }
        self.raw(b"}")
    }

    fn list<T>(&mut self, items: Vec<T>, write: impl Fn(&mut Self, T) -> Result<(), TooLarge>) -> Result<(), TooLarge> {
        self.raw(b"[")?;
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.raw(b",")?;
            }
            write(self, item)?;
        }
        self.raw(b"]")
    }

    fn string(&mut self, text: &str) -> Result<(), TooLarge> {
        // Writing text into memory cannot fail.
        let _ = serde_json::to_writer(&mut self.out, text);
        self.raw(b"")
    }

    fn raw(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        self.out.extend_from_slice(bytes);
        if self.out.len() > self.limit { Err(TooLarge) } else { Ok(()) }
    }
}
