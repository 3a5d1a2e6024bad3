//! Store: a response under construction. The plan fixes each selection set's row layout, so a field is a slot number, not a key.
//!
//! Relied on by everything in `execute`; relies on the plan's ids only. It holds no references, only ids and offsets.

use std::{
    iter,
    sync::atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use rustc_hash::{FxHashMap, FxHashSet};
use supergraph::{
    ids::{Id, IdVec, LayoutId, SlotId, TypeId},
    plan::shape::Shape,
};

/// Size of a body that room is made for.
const LARGE: usize = 1 << 20;
/// Most values that are reserved ahead: one huge answer must not make all later ones expensive.
const MAX_RESERVED: usize = 1 << 20;

/// A response under construction.
#[derive(Debug, Default)]
pub struct Store {
    /// Subgraph bodies, alive until the client has its answer.
    bodies: Vec<Bytes>,
    /// All rows, one after another.
    slots: Vec<Value>,
    objects: Vec<Object>,
    /// For each object the next one of its layout.
    next: Vec<Option<ObjectId>>,
    lists: Vec<List>,
    /// List items, one list after another.
    items: Vec<Value>,
    /// Objects by layout, in the order they were met: the input of entity fetches.
    by_layout: IdVec<LayoutId, Option<Chain>>,
    /// Objects that no fetch finds any more.
    withdrawn: FxHashSet<ObjectId>,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// The objects of one layout.
#[derive(Clone, Copy, Debug)]
struct Chain {
    first: ObjectId,
    last: ObjectId,
}

/// How much a store held, to make room in the next one of the same plan.
#[derive(Debug, Default)]
pub struct Sizes {
    slots: AtomicUsize,
    objects: AtomicUsize,
    items: AtomicUsize,
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
    pub fn new(shape: &Shape, sizes: &Sizes) -> Self {
        let latest = |size: &AtomicUsize| size.load(Ordering::Relaxed).min(MAX_RESERVED);
        let mut store = Self {
            slots: Vec::with_capacity(latest(&sizes.slots)),
            objects: Vec::with_capacity(latest(&sizes.objects)),
            next: Vec::with_capacity(latest(&sizes.objects)),
            items: Vec::with_capacity(latest(&sizes.items)),
            ..Self::default()
        };
        for _ in 0..shape.layouts.len() {
            store.by_layout.push(None);
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

    /// Remembers what the next store of the same plan will need.
    pub fn measure(&self, sizes: &Sizes) {
        sizes.slots.store(self.slots.len(), Ordering::Relaxed);
        sizes.objects.store(self.objects.len(), Ordering::Relaxed);
        sizes.items.store(self.items.len(), Ordering::Relaxed);
    }

    /// Makes room for what a body of this size may hold. Vectors that grow hold their values twice meanwhile; room that is never used
    /// takes no memory, being a mapping of its own when it is large.
    pub fn expect(&mut self, bytes: usize) {
        if bytes >= LARGE {
            self.slots.reserve(bytes / 8);
            self.items.reserve(bytes / 16);
            self.objects.reserve(bytes / 32);
            self.next.reserve(bytes / 32);
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
        self.next.push(None);
        let Some(chain) = self.by_layout.get_mut(layout) else { return id };
        let before = chain.map(|chain| chain.last);
        *chain = Some(Chain { first: chain.map_or(id, |chain| chain.first), last: id });
        if let Some(next) = before.and_then(|before| self.next.get_mut(before.0 as usize)) {
            *next = Some(id);
        }
        id
    }

    /// Takes an object back: no later fetch finds it.
    pub fn withdraw(&mut self, id: ObjectId) {
        self.withdrawn.insert(id);
    }

    /// A new list of these items.
    pub fn add_list(&mut self, items: impl ExactSizeIterator<Item = Value>) -> ListId {
        let id = ListId(position(self.lists.len()));
        self.lists.push(List { start: position(self.items.len()), len: position(items.len()) });
        self.items.extend(items);
        id
    }

    /// The objects of a layout, in the order they were met.
    pub fn objects_of(&self, layout: LayoutId) -> impl Iterator<Item = ObjectId> + '_ {
        let first = self.by_layout.get(layout).copied().flatten().map(|chain| chain.first);
        let all = iter::successors(first, |id| self.next.get(id.0 as usize).copied().flatten());
        all.filter(|id| self.withdrawn.is_empty() || !self.withdrawn.contains(id))
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
        self.text_on(raw).get(..raw.len()).unwrap_or_default()
    }

    /// The text of a leaf, and all that follows it.
    #[inline]
    pub fn text_on(&self, raw: Raw) -> &[u8] {
        self.bodies.get(usize::from(raw.body.0)).and_then(|body| body.get(raw.start as usize..)).unwrap_or_default()
    }

    /// What there is now.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { objects: position(self.objects.len()), lists: position(self.lists.len()) }
    }

    /// Takes back all objects that came after the checkpoint.
    pub fn forget_since(&mut self, checkpoint: Checkpoint) {
        self.withdrawn.extend((checkpoint.objects..position(self.objects.len())).map(ObjectId));
    }
}

impl Raw {
    /// The piece of `body` from `start` to `end`; bodies are never larger than `u32` can tell.
    #[inline]
    pub fn new(body: BodyId, start: usize, end: usize) -> Self {
        let start = position(start);
        Self { start, len: position(end).saturating_sub(start), body, spare: Spare::Raw }
    }

    /// Its length.
    #[inline]
    pub fn len(self) -> usize {
        self.len as usize
    }

    /// Whether it is empty.
    pub fn is_empty(self) -> bool {
        self.len == 0
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
