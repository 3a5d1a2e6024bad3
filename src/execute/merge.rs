//! Merge: what decoding one object means for others - the same entity elsewhere in the answer, or rows whose fetch failed.
//!
//! Relies on `store` and the plan's reads; relied on by `fetch`. Recursion follows the plan's reads, never the data.

use supergraph::{
    ids::ReadId,
    plan::shape::{ReadField, ReadValue, Shape},
};

use super::{
    decode::applies,
    store::{BodyId, Checkpoint, FailureId, ObjectId, Store, Value},
};

/// Gives `to` what `read` filled in `from`, a row of the same layout for the same entity. Objects and lists are shared, so what
/// is fetched for them later is there for both.
pub fn share(store: &mut Store, shape: &Shape, read: ReadId, from: ObjectId, to: ObjectId) {
    let Some(read) = shape.reads.get(read).filter(|_| from != to) else { return };
    let (source, target) = (store.object(from), store.object(to));
    if let (Some(concrete), None) = (source.concrete, target.concrete) {
        store.set_concrete(to, concrete);
    }
    for field in read.fields.iter().filter(|field| source.concrete.is_none() || applies(field.types.as_ref(), source.concrete)) {
        let new = store.get(store.slot(&source, field.slot));
        let place = store.slot(&target, field.slot);
        let value = share_value(store, shape, field, (new, store.get(place)));
        store.set(place, value);
    }
}

fn share_value(store: &mut Store, shape: &Shape, field: &ReadField, (new, old): (Value, Value)) -> Value {
    match (new, old) {
        (Value::Object(from), Value::Object(to)) => {
            if let ReadValue::Object(read) = field.value {
                share(store, shape, read, from, to);
            }
            old
        }
        (Value::List(from), Value::List(to)) if from != to => {
            for (from, to) in store.items(from).zip(store.items(to)) {
                let value = share_value(store, shape, field, (store.get(from), store.get(to)));
                store.set(to, value);
            }
            old
        }
        (Value::Object(from), Value::Absent | Value::Null | Value::Failed(_)) => child_of(store, shape, field, from),
        (Value::List(from), Value::Absent | Value::Null | Value::Failed(_)) if has_one_parent(shape, field) => {
            let places: Vec<_> = store.items(from).collect();
            let mut items = Vec::with_capacity(places.len());
            for place in places {
                items.push(share_value(store, shape, field, (store.get(place), Value::Absent)));
            }
            Value::List(store.add_list(items.into_iter()))
        }
        (Value::Absent, old) | (_, old @ (Value::Raw(_) | Value::Object(_) | Value::List(_))) => old,
        (new, _) => new,
    }
}

/// The object that a row gets from another of the same entity: the same one, or one like it where each has one parent.
fn child_of(store: &mut Store, shape: &Shape, field: &ReadField, from: ObjectId) -> Value {
    let ReadValue::Object(read) = field.value else { return Value::Object(from) };
    if !has_one_parent(shape, field) {
        return Value::Object(from);
    }
    let to = store.add_object(shape, store.object(from).layout);
    share(store, shape, read, from, to);
    Value::Object(to)
}

/// Whether the objects of a field must not stand at two places.
fn has_one_parent(shape: &Shape, field: &ReadField) -> bool {
    let ReadValue::Object(read) = field.value else { return false };
    let layout = shape.reads.get(read).and_then(|read| shape.layouts.get(read.layout));
    layout.is_some_and(|layout| layout.has_one_parent)
}

/// How much of what a fetch filled is taken back.
#[derive(Clone, Copy)]
pub struct Blame {
    /// Why.
    pub failure: FailureId,
    /// The body that is not believed, with what there was before it. Without it, only what is absent is marked.
    pub since: Option<(BodyId, Checkpoint)>,
}

/// Marks what `read` would have filled in `object` as failed, as far as no other answer filled it.
pub fn fail(store: &mut Store, shape: &Shape, read: ReadId, object: ObjectId, blame: Blame) {
    let Some(read) = shape.reads.get(read) else { return };
    let row = store.object(object);
    for field in read.fields.iter().filter(|field| row.concrete.is_none() || applies(field.types.as_ref(), row.concrete)) {
        let place = store.slot(&row, field.slot);
        let value = fail_value(store, shape, field, store.get(place), blame);
        store.set(place, value);
    }
}

fn fail_value(store: &mut Store, shape: &Shape, field: &ReadField, old: Value, blame: Blame) -> Value {
    let failed = Value::Failed(blame.failure);
    match (old, blame.since) {
        (Value::Absent, _) => failed,
        (Value::Raw(raw), Some((body, _))) if raw.is_of(body) => failed,
        (Value::Null, Some(_)) => failed,
        (Value::Object(_) | Value::List(_), Some((_, checkpoint))) if checkpoint.precedes(old) => failed,
        (Value::Object(id), _) => {
            if let ReadValue::Object(read) = field.value {
                fail(store, shape, read, id, blame);
            }
            old
        }
        (Value::List(id), _) => {
            for place in store.items(id) {
                let value = fail_value(store, shape, field, store.get(place), blame);
                store.set(place, value);
            }
            old
        }
        _ => old,
    }
}
