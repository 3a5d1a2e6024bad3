//! Store: a response under construction. The plan fixes each selection set's row layout, so a field is a slot number, not a key.
//!
//! Relied on by everything in `execute`; relies on the plan's ids only. It holds no references, only ids and offsets.

use bytes::Bytes;
use rustc_hash::FxHashMap;
use supergraph::{
    ids::{Id, IdVec, LayoutId, SlotId, TypeId},
    plan::shape::Shape,
};

/// Size of a body that room is made for.
const LARGE: usize = 1 << 20;

/// A response under construction.
#[derive(Debug, Default)]
pub struct Store {
    /// Subgraph bodies, alive until the client has its answer.
    bodies: Vec<Bytes>,
    /// All rows, one after another.
    slots: Vec<Value>,
    objects: Vec<Object>,
    lists: Vec<List>,
    /// List items, one list after another.
    items: Vec<Value>,
    /// Objects by layout, in the order they were met: the input of entity fetches.
    by_layout: IdVec<LayoutId, Vec<ObjectId>>,
    /// What subgraphs said about values.
    pub faults: FxHashMap<Place, Vec<FailureId>>,
}

/// The value of one slot or list item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Value {
    /// Not fetched.
    #[default]
    Absent,
    /// Its fetch failed, for this reason.
    Failed(FailureId),
    /// `null`.
    Null,
    /// A leaf, exactly as the subgraph wrote it.
    Raw(Raw),
    /// An object.
    Object(ObjectId),
    /// A list.
    List(ListId),
}

/// A piece of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw {
    start: u32,
    len: u32,
    body: BodyId,
    spare: Spare,
}

/// A byte of one value: the others tell the kinds of [`Value`], which so needs no word of its own for that.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spare {
    Raw,
}

/// A body that the store keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyId(u16);

/// An object of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(u32);

/// A list of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListId(u32);

/// One reason why values are missing; `errors::Failures` has its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FailureId(pub u32);

/// One object: a row of its layout, and its concrete type when that is known.
#[derive(Clone, Copy, Debug)]
pub struct Object {
    /// Its row layout.
    pub layout: LayoutId,
    /// Its concrete type, once known.
    pub concrete: Option<TypeId>,
    row: u32,
}

/// One list: a range of the items.
#[derive(Clone, Copy, Debug)]
struct List {
    start: u32,
    len: u32,
}

/// Where a value stands in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// An object itself, wherever it is written.
    Object(ObjectId),
    /// A slot, by its number over all rows.
    Slot(u32),
    /// A list item, by its number over all lists.
    Item(u32),
}

/// How much the store held at some time; what came later can be told from it.
#[derive(Clone, Copy, Debug)]
pub struct Checkpoint {
    objects: u32,
    lists: u32,
}

impl Store {
    /// An empty store with one root object, the first of the shape's first layout.
    pub fn new(shape: &Shape, slots: usize) -> Self {
        let mut store = Self { slots: Vec::with_capacity(slots), ..Self::default() };
        for _ in 0..shape.layouts.len() {
            store.by_layout.push(Vec::new());
        }
        store.add_object(shape, LayoutId::new(0));
        store
    }

    /// The root object.
    pub fn root(&self) -> ObjectId {
        ObjectId(0)
    }

    /// Size of all bodies: most answers are written in about as many bytes.
    pub fn bytes(&self) -> usize {
        self.bodies.iter().map(Bytes::len).sum()
    }

    /// Number of slots in use, to size the next store of the same plan.
    pub fn size(&self) -> usize {
        self.slots.len()
    }

    /// Makes room for what a body of this size may hold. Vectors that grow hold their values twice meanwhile; room that is never used
    /// takes no memory, being a mapping of its own when it is large.
    pub fn expect(&mut self, bytes: usize) {
        if bytes >= LARGE {
            self.slots.reserve(bytes / 8);
            self.items.reserve(bytes / 16);
            self.objects.reserve(bytes / 32);
        }
    }

    /// Keeps a body; `None` when there are too many or it is too large to be addressed.
    pub fn add_body(&mut self, body: Bytes) -> Option<BodyId> {
        let id = u16::try_from(self.bodies.len()).ok()?;
        u32::try_from(body.len()).ok()?;
        self.bodies.push(body);
        Some(BodyId(id))
    }

    /// A new object with an empty row.
    pub fn add_object(&mut self, shape: &Shape, layout: LayoutId) -> ObjectId {
        let id = ObjectId(position(self.objects.len()));
        let row = position(self.slots.len());
        let (slots, concrete) = shape.layouts.get(layout).map_or((0, None), |layout| (layout.slots, layout.object_type));
        self.slots.resize(self.slots.len() + slots, Value::Absent);
        self.objects.push(Object { layout, concrete, row });
        if let Some(ids) = self.by_layout.get_mut(layout) {
            ids.push(id);
        }
        id
    }

    /// Takes back the object that was added last: no later fetch finds it.
    pub fn withdraw(&mut self, id: ObjectId) {
        let layout = self.object(id).layout;
        if let Some(ids) = self.by_layout.get_mut(layout) {
            ids.pop_if(|last| *last == id);
        }
    }

    /// A new list of these items.
    pub fn add_list(&mut self, items: impl ExactSizeIterator<Item = Value>) -> ListId {
        let id = ListId(position(self.lists.len()));
        self.lists.push(List { start: position(self.items.len()), len: position(items.len()) });
        self.items.extend(items);
        id
    }

    /// The objects of a layout.
    pub fn objects_of(&self, layout: LayoutId) -> &[ObjectId] {
        self.by_layout.get(layout).map_or(&[], Vec::as_slice)
    }

    /// The object with this id.
    #[inline]
    pub fn object(&self, id: ObjectId) -> Object {
        self.objects.get(id.0 as usize).copied().unwrap_or(Object { layout: LayoutId::new(0), concrete: None, row: u32::MAX })
    }

    /// States the concrete type of an object.
    pub fn set_concrete(&mut self, id: ObjectId, concrete: TypeId) {
        if let Some(object) = self.objects.get_mut(id.0 as usize) {
            object.concrete = Some(concrete);
        }
    }

    /// The place of an object's slot.
    #[inline]
    pub fn slot(&self, object: &Object, slot: SlotId) -> Place {
        Place::Slot(object.row.saturating_add(position(slot.index())))
    }

    /// The places of a list's items.
    #[inline]
    pub fn items(&self, list: ListId) -> impl ExactSizeIterator<Item = Place> + use<> {
        let List { start, len } = self.lists.get(list.0 as usize).copied().unwrap_or(List { start: 0, len: 0 });
        ItemPlaces { next: start, end: start.saturating_add(len) }
    }

    /// The value at a place.
    #[inline]
    pub fn get(&self, place: Place) -> Value {
        match place {
            Place::Slot(at) => self.slots.get(at as usize).copied().unwrap_or_default(),
            Place::Item(at) => self.items.get(at as usize).copied().unwrap_or_default(),
            Place::Object(id) => Value::Object(id),
        }
    }

    /// Sets the value at a place.
    #[inline]
    pub fn set(&mut self, place: Place, value: Value) {
        let cell = match place {
            Place::Slot(at) => self.slots.get_mut(at as usize),
            Place::Item(at) => self.items.get_mut(at as usize),
            Place::Object(_) => None,
        };
        if let Some(cell) = cell {
            *cell = value;
        }
    }

    /// The text of a leaf.
    #[inline]
    pub fn text(&self, raw: Raw) -> &[u8] {
        let start = raw.start as usize;
        self.bodies.get(usize::from(raw.body.0)).and_then(|body| body.get(start..start + raw.len as usize)).unwrap_or_default()
    }

    /// What there is now.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { objects: position(self.objects.len()), lists: position(self.lists.len()) }
    }

    /// Takes the objects that came after the checkpoint out of every layout, so that no later fetch is sent for them.
    pub fn forget_since(&mut self, checkpoint: Checkpoint, layouts: usize) {
        for layout in (0..layouts).map(LayoutId::new) {
            if let Some(ids) = self.by_layout.get_mut(layout) {
                let kept = ids.partition_point(|id| id.0 < checkpoint.objects);
                ids.truncate(kept);
            }
        }
    }
}

impl Raw {
    /// The piece of `body` from `start` to `end`; bodies are never larger than `u32` can tell.
    #[inline]
    pub fn new(body: BodyId, start: usize, end: usize) -> Self {
        let start = position(start);
        Self { start, len: position(end).saturating_sub(start), body, spare: Spare::Raw }
    }

    /// Whether it is a piece of `body`.
    pub fn is_of(self, body: BodyId) -> bool {
        self.body == body
    }
}

impl Checkpoint {
    /// Whether the object or list came after the checkpoint.
    pub fn precedes(self, value: Value) -> bool {
        match value {
            Value::Object(id) => id.0 >= self.objects,
            Value::List(id) => id.0 >= self.lists,
            _ => false,
        }
    }
}

struct ItemPlaces {
    next: u32,
    end: u32,
}

impl Iterator for ItemPlaces {
    type Item = Place;

    #[inline]
    fn next(&mut self) -> Option<Place> {
        let at = self.next;
        (at < self.end).then(|| {
            self.next += 1;
            Place::Item(at)
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.end - self.next) as usize;
        (left, Some(left))
    }
}

impl ExactSizeIterator for ItemPlaces {}

/// A count as the store's 32-bit number. Bodies are bounded far below that, so the bound is never met.
#[inline]
fn position(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_small() {
        assert_eq!(size_of::<Value>(), 12);
        assert!(size_of::<Option<TypeId>>() <= 8);
    }
}
