//! Verbatim: subgraph answers that are what the client gets, so that they are neither decoded nor written.
//!
//! Where one fetch answers a whole operation and its document has the client's fields in the client's order, a right answer of the
//! subgraph is a right answer for the client. Only a `__typename` that the plan knows is not in it, and is put in. Whether a plan is
//! such a one is settled when it is made; whether an answer is right is checked on its text, while it arrives: the keys in order,
//! nothing else, nulls only where they may be, leaves that would be written as they stand. Everything else goes the way of all answers.
//! Relies on `scan` and `leaf`; relied on by `prepared`, `fetch` and `run`.

mod check;

use supergraph::{
    ids::{Id, LayoutId, ReadId, TypeId},
    plan::{
        Plan, Target,
        shape::{LeafKind, OutputField, OutputValue, ReadField, ReadValue, Shape, Wrap},
    },
};

use super::short;
pub use check::{Check, Checked};

/// What an answer must look like.
#[derive(Debug)]
pub struct Verbatim {
    /// The fields of each selection set; the root's are the last.
    sets: Box<[Box<[Field]>]>,
    /// Whether anything is put in.
    is_completed: bool,
}

#[derive(Debug)]
struct Field {
    name: Box<str>,
    /// The same as it mostly stands in the text.
    key: short::Expected,
    wrap: Wrap,
    value: Expected,
}

/// What stands inside a field's lists.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// The name of this type.
    Typename(TypeId),
    /// Nothing: there the name of this type is put in.
    Missing(TypeId),
    Leaf(LeafKind),
    /// An object with the fields of this set.
    Object(u32),
}

impl Verbatim {
    /// What the answer of a plan's only fetch must look like; `None` when it is never the client's.
    pub fn of(plan: &Plan) -> Option<Self> {
        let mut fetches = plan.fetches.iter();
        let (Some((_, fetch)), None, None) = (fetches.next(), fetches.next(), &plan.introspection) else { return None };
        let Target::Root { layout, read } = fetch.target else { return None };
        if fetch.condition.is_some() || layout != LayoutId::new(0) {
            return None;
        }
        let mut sets = Vec::new();
        set(&plan.shape, layout, read, &mut sets)?;
        let is_completed = sets.iter().flatten().any(|field| matches!(field.value, Expected::Missing(_)));
        Some(Self { sets: sets.into(), is_completed })
    }

    /// The bytes that it holds.
    pub fn bytes(&self) -> usize {
        let set = |set: &[Field]| size_of_val(set) + set.iter().map(|field| field.name.len()).sum::<usize>();
        self.sets.iter().map(|fields| size_of_val(fields) + set(fields)).sum()
    }

    fn field(&self, set: u32, field: u32) -> Option<&Field> {
        self.sets.get(set as usize)?.get(field as usize)
    }
}

/// Adds a selection set after those below it; `None` when its answer cannot be the client's. Plans are as deep as the operation.
fn set(shape: &Shape, layout: LayoutId, read: ReadId, sets: &mut Vec<Box<[Field]>>) -> Option<u32> {
    let (layout, read) = (shape.layouts.get(layout)?, shape.reads.get(read)?);
    let object_type = layout.object_type.filter(|_| layout.orders.is_empty())?;
    let mut taken = read.fields.iter();
    let mut fields = Vec::with_capacity(layout.fields.len());
    let is_told = |at: usize, field: &OutputField| at == 0 && read.typename.as_ref() == Some(&field.key);
    for (at, shown) in layout.fields.iter().enumerate() {
        let value = match &shown.value {
            OutputValue::Typename if is_told(at, shown) => Expected::Typename(object_type),
            OutputValue::Typename => Expected::Missing(object_type),
            OutputValue::Leaf(kind) => taken
                .next()
                .filter(|taken| is_same(shown, taken) && taken.value == ReadValue::Leaf)
                .map(|_| Expected::Leaf(*kind))?,
            OutputValue::Object(layout) => match taken.next().filter(|taken| is_same(shown, taken))?.value {
                ReadValue::Object(read) => Expected::Object(set(shape, *layout, read, sets)?),
                ReadValue::Leaf => return None,
            },
            OutputValue::Denied(_) => return None,
        };
        fields.push(plain(shown, value)?);
    }
    let is_in_text = |field: &Field| !matches!(field.value, Expected::Missing(_));
    let is_told = fields.first().is_some_and(|field| matches!(field.value, Expected::Typename(_)));
    if taken.next().is_some() || read.typename.is_some() != is_told || !fields.iter().any(is_in_text) {
        return None;
    }
    sets.push(fields.into());
    u32::try_from(sets.len() - 1).ok()
}

/// A field that is written for every object.
fn plain(field: &OutputField, value: Expected) -> Option<Field> {
    let is_plain = field.types.is_none() && field.condition.is_none() && field.unreachable.is_none();
    is_plain.then(|| Field { name: field.key.clone(), key: short::Expected::new(&field.key), wrap: field.wrap, value })
}

fn is_same(shown: &OutputField, taken: &ReadField) -> bool {
    shown.key == taken.key && shown.slot == taken.slot && taken.types.is_none() && shown.wrap.lists == taken.lists
}
