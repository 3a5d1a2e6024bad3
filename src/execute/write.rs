//! Write: the store as the client's JSON, in the operation's order, with nulls propagated by truncation.
//!
//! Relies on `store`, `leaf` and the plan's layouts; relied on by `execute`. Nulling never touches the store, so an object that is
//! shared by many parents is written for each.
//!
//! Input: a store that all fetches have ended for. Output: `{"data":…,"errors":…}`. Cost: one pass over what is written. Example:
//! while `{"me":{"id":1,"name":` is being written and `name!` turns out to be missing, everything from the `{` after `"me":` on
//! is cut off again and `null` stands there, `me` being nullable.
//! Spec: <https://spec.graphql.org/September2025/#sec-Handling-Execution-Errors>

use bytes::Bytes;
use rustc_hash::FxHashMap;
use supergraph::{
    ids::{ConditionId, Id, LayoutId, SlotId},
    plan::shape::{Layout, OutputField, OutputValue, Shape, Unreachable},
};

use super::{
    decode::applies,
    errors::{
        Failures, MAX_ERRORS, MAX_REPORTS_PER_FAILURE, Step, UNAUTHORIZED, invalid_value, unauthorized, unreachable, untold,
    },
    leaf,
    prepared::Prepared,
    short::{self, Written},
    store::{FailureId, ListId, Object, ObjectId, Place, Store, Value},
    types::TypeNames,
};

/// Most that is reserved for an answer because its subgraphs' answers are so large.
const MAX_RESERVED: usize = 64 << 20;

/// The client's answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The JSON text.
    pub json: Bytes,
    /// How many errors it has.
    pub errors: usize,
}

/// The answer is over its size limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

/// What an answer is written from.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The values.
    pub store: &'a Store,
    /// Why some are missing.
    pub failures: &'a Failures,
    /// Errors that belong to no place.
    pub loose: &'a [FailureId],
    /// The plan.
    pub plan: &'a Prepared,
    /// The supergraph's types.
    pub types: &'a TypeNames,
    /// Which conditions hold.
    pub conditions: &'a [bool],
    /// Size that the answer may have. Shared objects are written many times, so the subgraphs' answers do not bound it.
    pub limit: usize,
}

/// Writes the answer.
///
/// # Errors
/// It is over its limit.
pub fn write(input: Input<'_>) -> Result<Answer, TooLarge> {
    let mut writer = Writer {
        // Growing a large buffer would take half as much again while it is copied; the last piece is put as a whole block.
        out: Vec::with_capacity(input.plan.expected_bytes().max(input.store.bytes().min(MAX_RESERVED)) + short::BLOCK),
        shape: &input.plan.plan.shape,
        has_faults: !input.store.faults.is_empty(),
        input,
        path: Vec::new(),
        errors: Vec::new(),
        count: 0,
        reports: vec![0; input.failures.len()],
        denials: FxHashMap::default(),
        unreachable: FxHashMap::default(),
    };
    for failure in input.loose {
        writer.report(*failure, false);
    }
    writer.out.extend_from_slice(b"{\"data\":");
    let start = writer.out.len();
    match writer.object(LayoutId::new(0), input.store.root()) {
        Ok(()) => {}
        Err(Stop::Null) => {
            writer.out.truncate(start);
            writer.out.extend_from_slice(b"null");
        }
        Err(Stop::TooLarge) => return Err(TooLarge),
    }
    if writer.count > 0 {
        writer.out.extend_from_slice(b",\"errors\":[");
        writer.out.extend_from_slice(&writer.errors);
        writer.out.push(b']');
    }
    writer.out.push(b'}');
    Ok(Answer { json: writer.out.into(), errors: writer.count })
}

/// Why the writing of a value ended early.
#[derive(Clone, Copy)]
enum Stop {
    /// The value is null; its nearest nullable ancestor becomes null.
    Null,
    /// The answer is over its limit.
    TooLarge,
}

/// One step from the root to the value that is being written.
#[derive(Clone, Copy)]
enum PathStep<'a> {
    Key(&'a str),
    Index(usize),
}

struct Writer<'a> {
    out: Vec<u8>,
    input: Input<'a>,
    shape: &'a Shape,
    has_faults: bool,
    path: Vec<PathStep<'a>>,
    /// Errors so far, as JSON separated by commas.
    errors: Vec<u8>,
    count: usize,
    /// How often each failure was reported.
    reports: Vec<u16>,
    /// How often each denied field was reported.
    denials: FxHashMap<(LayoutId, SlotId), u16>,
    /// How often each field that nobody can be asked for was reported, by its coordinate.
    unreachable: FxHashMap<&'a str, u16>,
}

impl<'a> Writer<'a> {
    fn object(&mut self, id: LayoutId, object: ObjectId) -> Result<(), Stop> {
        let Some(layout) = self.shape.layouts.get(id) else { return Err(Stop::Null) };
        if self.out.len() > self.input.limit {
            return Err(Stop::TooLarge);
        }
        if self.has_faults {
            self.report_faults(Place::Object(object));
        }
        let mut object = self.input.store.object(object);
        object.concrete = object.concrete.or(layout.object_type);
        if layout.object_type != object.concrete && object.concrete.is_some_and(|concrete| !layout.possible.contains(concrete)) {
            return Err(self.invalid("An object of this type cannot stand here."));
        }
        if object.concrete.is_none() && self.needs_type(layout) {
            return Err(self.untyped(layout, &object));
        }
        let start = self.out.len();
        let keys = self.input.plan.keys_of(id);
        let is_meant = |condition: Option<ConditionId>| condition.is_none_or(|id| super::holds(self.input.conditions, id));
        let mut orders = layout.orders.iter();
        match orders.find(|order| is_meant(order.condition) && applies(Some(&order.types), object.concrete)) {
            None => {
                for (field, key) in layout.fields.iter().zip(keys) {
                    self.member((id, field), (key, start), &object)?;
                }
            }
            Some(order) => {
                for (field, key) in order.fields.iter().filter_map(|index| layout.fields.get(*index).zip(keys.get(*index))) {
                    self.member((id, field), (key, start), &object)?;
                }
            }
        }
        if self.out.len() == start {
            self.out.push(b'{');
        }
        self.out.push(b'}');
        Ok(())
    }

    /// Writes a field with its key into the object that begins at `start`, if it is there at all.
    #[inline]
    fn member(
        &mut self,
        (id, field): (LayoutId, &'a OutputField),
        (key, start): (&Written, usize),
        object: &Object,
    ) -> Result<(), Stop> {
        let is_left_out = field.condition.is_some_and(|id| !super::holds(self.input.conditions, id));
        if is_left_out || !applies(field.types.as_ref(), object.concrete) {
            return Ok(());
        }
        // A key comes with its comma, which is where the object is opened when it is the first.
        let before = self.out.len();
        key.put(&mut self.out);
        if let Some(comma) = self.out.get_mut(before).filter(|_| before == start) {
            *comma = b'{';
        }
        match &field.value {
            OutputValue::Denied(below) => self.denied((id, field), below),
            _ => self.field(field, object),
        }
    }

    /// Whether what is written of an object depends on its type.
    #[cold]
    fn needs_type(&self, layout: &Layout) -> bool {
        let is_written = |field: &OutputField| field.condition.is_none_or(|id| super::holds(self.input.conditions, id));
        layout.fields.iter().any(|field| (field.types.is_some() || field.value == OutputValue::Typename) && is_written(field))
    }

    /// Reports an object whose type nobody told: with what failed, where something did.
    #[cold]
    fn untyped(&mut self, layout: &Layout, object: &Object) -> Stop {
        let store = self.input.store;
        let failed = layout.fields.iter().find_map(|field| match store.get(store.slot(object, field.slot)) {
            Value::Failed(failure) => Some(failure),
            _ => None,
        });
        match failed {
            Some(failure) => self.report(failure, true),
            None if layout.is_untold => {
                let (message, extensions) = untold();
                self.error(&message, Some(&[]), &extensions);
            }
            None => return self.invalid("The type of an object is not known."),
        }
        Stop::Null
    }

    #[inline]
    fn field(&mut self, field: &'a OutputField, object: &Object) -> Result<(), Stop> {
        let place = self.input.store.slot(object, field.slot);
        let value = self.input.store.get(place);
        if let (OutputValue::Leaf(kind), Value::Raw(raw), 0, false) = (&field.value, value, field.wrap.lists, self.has_faults)
            && leaf::is_final(self.shape, *kind, self.input.store.text(raw))
        {
            short::put(&mut self.out, self.input.store.text_on(raw), raw.len());
            return Ok(());
        }
        if field.value == OutputValue::Typename
            && let Some(concrete) = object.concrete
        {
            self.out.push(b'"');
            self.out.extend_from_slice(self.input.types.name(concrete).as_bytes());
            self.out.push(b'"');
            return Ok(());
        }
        self.path.push(PathStep::Key(&field.key));
        let written = match &field.unreachable {
            Some(what) if value == Value::Absent && is_of(what, object) => self.unreachable(field, what),
            _ => self.position(field, 0, place),
        };
        self.path.pop();
        written
    }

    /// Writes null where no subgraph could be asked for a value.
    #[cold]
    fn unreachable(&mut self, field: &'a OutputField, what: &'a Unreachable) -> Result<(), Stop> {
        let reports = self.unreachable.entry(&what.coordinate).or_default();
        *reports = reports.saturating_add(1);
        if *reports <= MAX_REPORTS_PER_FAILURE {
            let (message, extensions) = unreachable(&what.coordinate);
            self.error(&message, Some(&[]), &extensions);
        }
        self.null(field)
    }

    /// Writes null as the value of a field, if it may be null.
    fn null(&mut self, field: &OutputField) -> Result<(), Stop> {
        if field.wrap.non_null & 1 == 1 {
            return Err(Stop::Null);
        }
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    /// Writes null where whoever asks must not see a value.
    #[cold]
    fn denied(&mut self, (layout, field): (LayoutId, &'a OutputField), below: &[Box<[Box<str>]>]) -> Result<(), Stop> {
        let reports = self.denials.entry((layout, field.slot)).or_default();
        *reports = reports.saturating_add(1);
        if *reports <= MAX_REPORTS_PER_FAILURE {
            self.path.push(PathStep::Key(&field.key));
            let here: [Box<[Box<str>]>; 1] = [Box::default()];
            for path in if below.is_empty() { &here } else { below } {
                let steps: Vec<_> = path.iter().cloned().map(Step::Key).collect();
                self.error(UNAUTHORIZED.message(), Some(&steps), &unauthorized());
            }
            self.path.pop();
        }
        self.null(field)
    }

    /// Writes the value at a place, under `level` lists of its field; null stays here when it may.
    fn position(&mut self, field: &'a OutputField, level: u8, place: Place) -> Result<(), Stop> {
        let start = self.out.len();
        let is_nullable = field.wrap.non_null >> level & 1 == 0;
        let is_explained = self.has_faults && self.report_faults(place);
        let written = match self.input.store.get(place) {
            Value::List(list) if level < field.wrap.lists => self.list(field, level, list),
            Value::Absent | Value::Null if is_nullable || is_explained => Err(Stop::Null),
            Value::Absent | Value::Null => Err(self.invalid("A value that cannot be null is missing.")),
            Value::Failed(failure) => {
                self.report(failure, true);
                Err(Stop::Null)
            }
            value if level == field.wrap.lists => self.named(field, value),
            _ => Err(self.invalid("A value does not fit the schema.")),
        };
        match written {
            Err(Stop::Null) if is_nullable => {
                self.out.truncate(start);
                self.out.extend_from_slice(b"null");
                Ok(())
            }
            written => written,
        }
    }

    /// Writes a value of a field's named type.
    fn named(&mut self, field: &'a OutputField, value: Value) -> Result<(), Stop> {
        match (&field.value, value) {
            (OutputValue::Object(layout), Value::Object(object)) => self.object(*layout, object),
            (OutputValue::Leaf(kind), Value::Raw(raw))
                if leaf::write(&mut self.out, self.shape, *kind, self.input.store.text(raw)) =>
            {
                Ok(())
            }
            _ => Err(self.invalid("A value does not fit the schema.")),
        }
    }

    fn list(&mut self, field: &'a OutputField, level: u8, list: ListId) -> Result<(), Stop> {
        self.out.push(b'[');
        for (index, place) in self.input.store.items(list).enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.path.push(PathStep::Index(index));
            let written = self.position(field, level + 1, place);
            self.path.pop();
            written?;
        }
        self.out.push(b']');
        Ok(())
    }

    /// Reports what subgraphs said about a place; whether they said anything.
    fn report_faults(&mut self, place: Place) -> bool {
        let Some(faults) = self.input.store.faults.get(&place) else { return false };
        for fault in faults {
            self.report(*fault, true);
        }
        true
    }

    fn report(&mut self, id: FailureId, has_path: bool) {
        let Some(failure) = self.input.failures.get(id).filter(|failure| !failure.is_silent) else { return };
        let Some(reports) = self.reports.get_mut(id.0 as usize).filter(|reports| **reports < MAX_REPORTS_PER_FAILURE) else {
            return;
        };
        *reports += 1;
        let below = has_path.then_some(&failure.below[..]);
        self.error(&failure.message, below, &failure.extensions);
    }

    #[cold]
    fn invalid(&mut self, message: &str) -> Stop {
        self.error(message, Some(&[]), &invalid_value());
        Stop::Null
    }

    /// Appends one error, at the present path and `below` it, or without a path.
    fn error(&mut self, message: &str, below: Option<&[Step]>, extensions: &serde_json::Map<String, serde_json::Value>) {
        if self.count >= MAX_ERRORS {
            return;
        }
        if self.count > 0 {
            self.errors.push(b',');
        }
        self.count += 1;
        self.errors.extend_from_slice(b"{\"message\":");
        append(&mut self.errors, message);
        // What belongs to the whole answer has no path.
        if let Some(below) = below.filter(|below| !self.path.is_empty() || !below.is_empty()) {
            self.errors.extend_from_slice(b",\"path\":[");
            let here = self.path.iter().map(|step| match step {
                PathStep::Key(key) => serde_json::Value::from(*key),
                PathStep::Index(index) => serde_json::Value::from(*index),
            });
            let below = below.iter().map(|step| match step {
                Step::Key(key) => serde_json::Value::from(&**key),
                Step::Index(index) => serde_json::Value::from(*index),
            });
            for (index, step) in here.chain(below).enumerate() {
                if index > 0 {
                    self.errors.push(b',');
                }
                append(&mut self.errors, &step);
            }
            self.errors.push(b']');
        }
        self.errors.extend_from_slice(b",\"extensions\":");
        append(&mut self.errors, extensions);
        self.errors.push(b'}');
    }
}

/// Whether an object is of those of which the field cannot be had.
fn is_of(what: &Unreachable, object: &Object) -> bool {
    object.concrete.map_or(what.is_certain, |concrete| what.types.contains(concrete))
}

/// Appends a value as JSON.
fn append<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Writing text and maps with text keys into memory cannot fail.
    let _ = serde_json::to_writer(out, value);
}
