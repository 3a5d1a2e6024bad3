//! Represent: the objects of an entity fetch as `representations`, each different one once.
//!
//! Relies on `store`, `contexts` and the plan; relied on by `fetch`. Cost: one pass over the objects, one hash of each representation.

use std::hash::Hasher;

use rustc_hash::{FxHashMap, FxHasher};
use supergraph::plan::{
    EntityBatch, EntityPosition, Representation, RepresentationField, RepresentationTypename, RepresentationValue,
};

use super::{
    contexts::Values,
    decode::applies,
    store::{FailureId, Object, ObjectId, Store, Value},
    types::TypeNames,
};

/// The representations of one `_entities` field.
#[derive(Debug, Default)]
pub struct Representations {
    /// The JSON array.
    pub json: Vec<u8>,
    /// How many there are.
    pub count: u32,
    /// Whose they are, by representation and then by position.
    pub members: Vec<Member>,
    /// Objects that are left out because something that they need failed.
    pub failed: Vec<(Member, FailureId)>,
    /// The values that all of them have from contexts, in the order of the batch's variables.
    pub contexts: Vec<Vec<u8>>,
    /// Representations by hash: number and place in `json`.
    known: FxHashMap<u64, (u32, usize, usize)>,
}

/// An object that a fetch fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Its representation.
    pub representation: u32,
    /// Its position in the batch.
    pub position: u32,
    /// The object.
    pub object: ObjectId,
}

/// Why an object has no representation.
#[derive(Clone, Copy, Debug)]
pub enum Missing {
    /// What it needs was not fetched.
    Absent,
    /// What it needs failed.
    Failed(FailureId),
}

/// The representations of a batch's objects: one list for all that have the same values from contexts. At least one.
pub fn represent(store: &Store, types: &TypeNames, batch: &EntityBatch, conditions: &[bool]) -> Vec<Representations> {
    let mut lists = vec![Representations { json: vec![b'['], ..Representations::default() }];
    let mut numbers: FxHashMap<Vec<Vec<u8>>, usize> = FxHashMap::default();
    for (index, position) in batch.at.iter().enumerate() {
        if position.condition.is_some_and(|id| !super::holds(conditions, id)) {
            continue;
        }
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let contexts: Vec<Values> = position.contexts.iter().map(|value| Values::find(store, value)).collect();
        for &id in store.objects_of(position.layout) {
            if !applies(position.types.as_ref(), store.object(id).concrete) {
                continue;
            }
            let list = match list_of(&mut lists, &mut numbers, &contexts, id) {
                Ok(list) => list,
                Err(missing) => {
                    leave_out(lists.first_mut(), Member { representation: 0, position: index, object: id }, missing);
                    continue;
                }
            };
            if let Some(all) = lists.get_mut(list) {
                add(all, (store, types), (index, position, id));
            }
        }
    }
    for all in &mut lists {
        all.json.push(b']');
        all.members.sort_unstable();
    }
    lists
}

/// The list for an object's values from contexts.
fn list_of(
    lists: &mut Vec<Representations>,
    numbers: &mut FxHashMap<Vec<Vec<u8>>, usize>,
    contexts: &[Values],
    id: ObjectId,
) -> Result<usize, Missing> {
    if contexts.is_empty() {
        return Ok(0);
    }
    let values = contexts.iter().map(|values| values.get(id).map(<[u8]>::to_vec)).collect::<Result<Vec<_>, _>>()?;
    if let Some(number) = numbers.get(&values) {
        return Ok(*number);
    }
    let number = numbers.len();
    numbers.insert(values.clone(), number);
    match lists.get_mut(number) {
        Some(first) => first.contexts = values,
        None => lists.push(Representations { json: vec![b'['], contexts: values, ..Representations::default() }),
    }
    Ok(number)
}

fn leave_out(all: Option<&mut Representations>, member: Member, missing: Missing) {
    if let (Some(all), Missing::Failed(failure)) = (all, missing) {
        all.failed.push((member, failure));
    }
}

fn add(all: &mut Representations, (store, types): (&Store, &TypeNames), (position, at, id): (u32, &EntityPosition, ObjectId)) {
    let object = store.object(id);
    let before = all.json.len();
    if all.count > 0 {
        all.json.push(b',');
    }
    let start = all.json.len();
    let mut member = Member { representation: all.count, position, object: id };
    if let Err(missing) = write(&mut all.json, (store, types), &at.representation, object) {
        all.json.truncate(before);
        leave_out(Some(all), member, missing);
        return;
    }
    let (head, new) = all.json.split_at(start);
    let mut hasher = FxHasher::default();
    hasher.write(new);
    let hash = hasher.finish();
    match all.known.get(&hash) {
        Some(&(same, from, to)) if head.get(from..to) == Some(new) => {
            member.representation = same;
            all.json.truncate(before);
        }
        // Two that differ under one hash are both sent: nothing is lost but the saving.
        Some(_) => all.count += 1,
        None => {
            all.known.insert(hash, (all.count, start, all.json.len()));
            all.count += 1;
        }
    }
    all.members.push(member);
}

fn write(out: &mut Vec<u8>, (store, types): (&Store, &TypeNames), what: &Representation, object: Object) -> Result<(), Missing> {
    out.extend_from_slice(b"{\"__typename\":\"");
    match &what.typename {
        RepresentationTypename::Fixed(name) => out.extend_from_slice(name.as_bytes()),
        RepresentationTypename::Concrete => out.extend_from_slice(concrete(types, object)?.as_bytes()),
    }
    out.push(b'"');
    write_fields(out, (store, types), &what.fields, object)?;
    out.push(b'}');
    Ok(())
}

fn concrete(types: &TypeNames, object: Object) -> Result<&str, Missing> {
    object.concrete.map(|id| types.name(id)).ok_or(Missing::Absent)
}

/// Writes the fields, each after a comma when anything stands before it.
fn write_fields(
    out: &mut Vec<u8>,
    (store, types): (&Store, &TypeNames),
    fields: &[RepresentationField],
    object: Object,
) -> Result<(), Missing> {
    for field in fields.iter().filter(|field| applies(field.types.as_ref(), object.concrete)) {
        if out.last() != Some(&b'{') {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(field.key.as_bytes());
        out.extend_from_slice(b"\":");
        if field.value == RepresentationValue::Typename {
            out.push(b'"');
            out.extend_from_slice(concrete(types, object)?.as_bytes());
            out.push(b'"');
        } else {
            write_value(out, (store, types), field, store.get(store.slot(&object, field.slot)))?;
        }
    }
    Ok(())
}

fn write_value(
    out: &mut Vec<u8>,
    (store, types): (&Store, &TypeNames),
    field: &RepresentationField,
    value: Value,
) -> Result<(), Missing> {
    match (value, &field.value) {
        (Value::Null, _) => out.extend_from_slice(b"null"),
        (Value::Raw(raw), _) => out.extend_from_slice(store.text(raw)),
        (Value::List(list), _) => {
            out.push(b'[');
            for (index, item) in store.items(list).enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_value(out, (store, types), field, store.get(item))?;
            }
            out.push(b']');
        }
        (Value::Object(child), RepresentationValue::Object(fields)) => {
            out.push(b'{');
            write_fields(out, (store, types), fields, store.object(child))?;
            out.push(b'}');
        }
        (Value::Failed(failure), _) => return Err(Missing::Failed(failure)),
        (Value::Absent | Value::Object(_), _) => return Err(Missing::Absent),
    }
    Ok(())
}
