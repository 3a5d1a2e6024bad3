//! Represent: the objects of an entity fetch as `representations`, each different one once.
//!
//! Relies on `store`, `contexts` and the plan; relied on by `fetch`. Cost: one pass over the objects, one hash of each one's values;
//! only what differs is written.

use std::hash::Hasher as _;

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

/// Capacity of a new list: few and short representations.
const CAPACITY: usize = 512;

/// The representations of one `_entities` field.
#[derive(Debug, Default)]
pub struct Representations {
    /// The JSON array.
    pub json: Vec<u8>,
    /// How many there are.
    pub count: u32,
    /// Whose they are, by representation and then by position.
    pub members: Vec<Member>,
    /// Where the members of each representation begin, and where the last one's end.
    starts: Vec<u32>,
    /// Objects that are left out because something that they need failed.
    pub failed: Vec<(Member, FailureId)>,
    /// The values that all of them have from contexts, in the order of the batch's variables.
    pub contexts: Vec<Vec<u8>>,
    /// The first member with each hash of values.
    known: FxHashMap<u64, Member>,
}

/// An object that a fetch fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// What an object's representation is made from.
#[derive(Clone, Copy)]
struct Subject<'a> {
    store: &'a Store,
    types: &'a TypeNames,
    what: &'a Representation,
    object: Object,
}

/// The representations of a batch's objects: one list for all that have the same values from contexts. At least one.
pub fn represent(store: &Store, types: &TypeNames, batch: &EntityBatch, conditions: &[bool]) -> Vec<Representations> {
    let mut lists = vec![Representations::new(Vec::new())];
    let mut numbers: FxHashMap<Vec<Vec<u8>>, usize> = FxHashMap::default();
    for (index, position) in batch.at.iter().enumerate() {
        if position.condition.is_some_and(|id| !super::holds(conditions, id)) {
            continue;
        }
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let contexts: Vec<Values> = position.contexts.iter().map(|value| Values::find(store, value)).collect();
        for id in store.objects_of(position.layout) {
            let object = store.object(id);
            if !applies(position.types.as_ref(), object.concrete) {
                continue;
            }
            let member = Member { representation: 0, position: index, object: id };
            match list_of(&mut lists, &mut numbers, &contexts, id) {
                Ok(list) => {
                    if let Some(all) = lists.get_mut(list) {
                        all.add(&batch.at, Subject { store, types, what: &position.representation, object }, member);
                    }
                }
                Err(missing) => leave_out(lists.first_mut(), member, missing),
            }
        }
    }
    for all in &mut lists {
        all.json.push(b']');
        all.group();
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
        None => lists.push(Representations::new(values)),
    }
    Ok(number)
}

fn leave_out(all: Option<&mut Representations>, member: Member, missing: Missing) {
    if let (Some(all), Missing::Failed(failure)) = (all, missing) {
        all.failed.push((member, failure));
    }
}

impl Representations {
    /// None yet, of objects with these values from contexts.
    fn new(contexts: Vec<Vec<u8>>) -> Self {
        let mut json = Vec::with_capacity(CAPACITY);
        json.push(b'[');
        Self { json, contexts, ..Self::default() }
    }

    /// Adds an object: to the representation that it shares, or with one of its own.
    fn add<'a>(&mut self, positions: &'a [EntityPosition], subject: Subject<'a>, mut member: Member) {
        let mut hasher = FxHasher::default();
        if let Err(missing) = subject.hash(&mut hasher) {
            return leave_out(Some(self), member, missing);
        }
        let first = *self.known.entry(hasher.finish()).or_insert(Member { representation: self.count, ..member });
        let of_first = positions.get(first.position as usize).map(|position| Subject {
            what: &position.representation,
            object: subject.store.object(first.object),
            ..subject
        });
        let is_new = first.representation == self.count;
        if !is_new && of_first.is_some_and(|of_first| of_first.is_same(&subject)) {
            member.representation = first.representation;
        } else {
            // Two that differ under one hash are both sent: nothing is lost but the saving.
            member.representation = self.count;
            if self.count > 0 {
                self.json.push(b',');
            }
            subject.write(&mut self.json);
            self.count += 1;
        }
        self.members.push(member);
    }

    /// Puts the members of each representation together; their order stays.
    fn group(&mut self) {
        if self.members.len() == self.count as usize {
            self.starts = (0..=self.count).collect();
            return;
        }
        let mut starts = vec![0; self.count as usize + 1];
        for member in &self.members {
            if let Some(size) = starts.get_mut(member.representation as usize + 1) {
                *size += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let (mut next, mut grouped) = (starts.clone(), self.members.clone());
        for member in &self.members {
            let Some(at) = next.get_mut(member.representation as usize) else { continue };
            if let Some(place) = grouped.get_mut(*at as usize) {
                *place = *member;
            }
            *at += 1;
        }
        (self.starts, self.members) = (starts, grouped);
    }

    /// The objects with the representation of this number.
    pub fn members_of(&self, representation: u32) -> &[Member] {
        let representation = representation as usize;
        let bounds = self.starts.get(representation).zip(self.starts.get(representation + 1));
        bounds.and_then(|(start, end)| self.members.get(*start as usize..*end as usize)).unwrap_or_default()
    }
}

impl<'a> Subject<'a> {
    /// Feeds everything that tells representations apart to a hasher.
    fn hash(&self, hasher: &mut FxHasher) -> Result<(), Missing> {
        hasher.write(self.name(&self.what.typename)?.as_bytes());
        self.hash_fields(&self.what.fields, hasher)
    }

    fn name(&self, typename: &'a RepresentationTypename) -> Result<&'a str, Missing> {
        match typename {
            RepresentationTypename::Fixed(name) => Ok(name),
            RepresentationTypename::Concrete => self.concrete(),
        }
    }

    fn concrete(&self) -> Result<&'a str, Missing> {
        self.object.concrete.map(|id| self.types.name(id)).ok_or(Missing::Absent)
    }

    /// The fields that the object has.
    fn applicable(&self, fields: &'a [RepresentationField]) -> impl Iterator<Item = &'a RepresentationField> + use<'a> {
        let concrete = self.object.concrete;
        fields.iter().filter(move |field| applies(field.types.as_ref(), concrete))
    }

    fn value(&self, field: &RepresentationField) -> Value {
        self.store.get(self.store.slot(&self.object, field.slot))
    }

    /// The same for an object below.
    fn below(&self, object: ObjectId) -> Self {
        Self { object: self.store.object(object), ..*self }
    }

    fn hash_fields(&self, fields: &'a [RepresentationField], hasher: &mut FxHasher) -> Result<(), Missing> {
        for field in self.applicable(fields) {
            match field.value {
                RepresentationValue::Typename => hasher.write(self.concrete()?.as_bytes()),
                _ => self.hash_value(field, self.value(field), hasher)?,
            }
        }
        Ok(())
    }

    fn hash_value(&self, field: &'a RepresentationField, value: Value, hasher: &mut FxHasher) -> Result<(), Missing> {
        match (value, &field.value) {
            (Value::Null, _) => hasher.write_u8(0),
            (Value::Raw(raw), _) => hasher.write(self.store.text(raw)),
            (Value::List(list), _) => {
                hasher.write_u8(1);
                for item in self.store.items(list) {
                    self.hash_value(field, self.store.get(item), hasher)?;
                }
            }
            (Value::Object(child), RepresentationValue::Object(fields)) => self.below(child).hash_fields(fields, hasher)?,
            (Value::Failed(failure), _) => return Err(Missing::Failed(failure)),
            (Value::Absent | Value::Object(_), _) => return Err(Missing::Absent),
        }
        Ok(())
    }

    /// Whether another object has the same representation. Both are complete.
    fn is_same(&self, other: &Self) -> bool {
        let names = (self.name(&self.what.typename), other.name(&other.what.typename));
        matches!(names, (Ok(one), Ok(two)) if one == two) && self.has_same_fields(&self.what.fields, (other, &other.what.fields))
    }

    fn has_same_fields(&self, fields: &'a [RepresentationField], (other, others): (&Self, &'a [RepresentationField])) -> bool {
        let (mut own, mut others) = (self.applicable(fields), other.applicable(others));
        loop {
            match (own.next(), others.next()) {
                (None, None) => return true,
                (Some(one), Some(two)) if one.key == two.key && self.has_same_field(one, (other, two)) => {}
                _ => return false,
            }
        }
    }

    fn has_same_field(&self, one: &'a RepresentationField, (other, two): (&Self, &'a RepresentationField)) -> bool {
        match (&one.value, &two.value) {
            (RepresentationValue::Typename, RepresentationValue::Typename) => self.object.concrete == other.object.concrete,
            (RepresentationValue::Typename, _) | (_, RepresentationValue::Typename) => false,
            _ => self.has_same_value((one, self.value(one)), (other, two, other.value(two))),
        }
    }

    fn has_same_value(
        &self,
        (one, value): (&'a RepresentationField, Value),
        (other, two, others): (&Self, &'a RepresentationField, Value),
    ) -> bool {
        match (value, others) {
            (Value::Null, Value::Null) => true,
            (Value::Raw(value), Value::Raw(others)) => self.store.text(value) == self.store.text(others),
            (Value::List(value), Value::List(others)) => {
                let (items, others) = (self.store.items(value), self.store.items(others));
                let get = |place| self.store.get(place);
                items.len() == others.len()
                    && items.zip(others).all(|(item, its)| self.has_same_value((one, get(item)), (other, two, get(its))))
            }
            (Value::Object(value), Value::Object(others)) => match (&one.value, &two.value) {
                (RepresentationValue::Object(fields), RepresentationValue::Object(its)) => {
                    self.below(value).has_same_fields(fields, (&other.below(others), its))
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// Writes the representation of an object that misses nothing.
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"__typename\":\"");
        out.extend_from_slice(self.name(&self.what.typename).unwrap_or_default().as_bytes());
        out.push(b'"');
        self.write_fields(&self.what.fields, out);
        out.push(b'}');
    }

    /// Writes the fields, each after a comma when anything stands before it.
    fn write_fields(&self, fields: &'a [RepresentationField], out: &mut Vec<u8>) {
        for field in self.applicable(fields) {
            if out.last() != Some(&b'{') {
                out.push(b',');
            }
            out.push(b'"');
            out.extend_from_slice(field.key.as_bytes());
            out.extend_from_slice(b"\":");
            if field.value == RepresentationValue::Typename {
                out.push(b'"');
                out.extend_from_slice(self.concrete().unwrap_or_default().as_bytes());
                out.push(b'"');
            } else {
                self.write_value(field, self.value(field), out);
            }
        }
    }

    fn write_value(&self, field: &'a RepresentationField, value: Value, out: &mut Vec<u8>) {
        match (value, &field.value) {
            (Value::Raw(raw), _) => out.extend_from_slice(self.store.text(raw)),
            (Value::List(list), _) => {
                out.push(b'[');
                for (index, item) in self.store.items(list).enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    self.write_value(field, self.store.get(item), out);
                }
                out.push(b']');
            }
            (Value::Object(child), RepresentationValue::Object(fields)) => {
                out.push(b'{');
                self.below(child).write_fields(fields, out);
                out.push(b'}');
            }
            _ => out.extend_from_slice(b"null"),
        }
    }
}
