//! Memory: what an operation and its plan hold while they are kept, so that a cache of them can be bounded by bytes.
//!
//! Input: a plan or an operation. Output: the bytes that it holds, as far as they grow with the operation. Cost: one look at
//! each part. Example: a field of the answer counts with its own size and with what its key takes from the heap.
//! Relied on by the gateway's caches.

use super::operation::{DeferUse, Operation, Raw, RawField, Variable};
use super::order::Order;
use super::shape::{Layout, OutputField, OutputValue, PathElement, Read, ReadField, Shape, TypeSet, Unreachable};
use super::{
    Condition, ContextLevel, ContextValue, ContextVariable, EntityBatch, EntityPosition, Fetch, Introspection, Part, Plan,
    Representation, RepresentationField, RepresentationTypename, RepresentationValue, Target, Test,
};
use crate::ids::{FetchId, Id, IdVec, RequirementId, SlotId, TypeId};
use apollo_compiler::Name;

/// What allocations are rounded up to.
const GRAIN: usize = 16;

/// Counts besides what is allocated with an `Arc`.
const COUNTS: usize = 16;

/// What holds memory besides its own size.
trait Held {
    /// So many bytes.
    fn held(&self) -> usize;
}

impl Plan {
    /// The bytes that the plan holds.
    pub fn bytes(&self) -> usize {
        let Self { kind: _, fetches, shape, conditions, introspection, parts } = self;
        let heap = fetches.held() + shape.held() + conditions.held() + introspection.held() + parts.held();
        size_of::<Self>() + heap
    }

    /// Leaves out what only printing needs, and room in which nothing stands: hundreds of plans are kept.
    pub fn slim(&mut self) {
        for fetch in self.fetches.values_mut() {
            fetch.document = String::new();
        }
        for layout in self.shape.layouts.values_mut() {
            layout.fields.shrink_to_fit();
            layout.path.shrink_to_fit();
        }
        self.fetches.shrink_to_fit();
        self.shape.layouts.shrink_to_fit();
        self.shape.reads.shrink_to_fit();
    }
}

impl Operation {
    /// The bytes that the operation holds.
    pub fn bytes(&self) -> usize {
        let Self { kind: _, name, variables, requirements, lists, root: _, defers } = self;
        size_of::<Self>() + name.held() + variables.held() + requirements.held() + lists.own().held() + defers.held()
    }
}

/// An allocation.
fn allocated(bytes: usize) -> usize {
    bytes.next_multiple_of(GRAIN)
}

macro_rules! nothing {
    ($($name:ty)*) => {$(
        impl Held for $name {
            fn held(&self) -> usize {
                0
            }
        }
    )*};
}

macro_rules! parts {
    ($($name:ident { $($part:ident)* })*) => {$(
        impl Held for $name {
            fn held(&self) -> usize {
                [$(self.$part.held()),*].into_iter().sum()
            }
        }
    )*};
}

nothing! { u8 usize TypeId FetchId SlotId RequirementId }

parts! {
    Fetch { document opening operation_name variables target after }
    EntityBatch { key variable at contexts selection }
    EntityPosition { types representation contexts }
    ContextVariable { name ty }
    ContextValue { levels }
    ContextLevel { setters fields }
    Representation { typename fields }
    RepresentationField { key types value }
    Shape { layouts reads enums }
    Layout { path possible fields orders }
    Order { types fields }
    OutputField { key types value unreachable }
    Unreachable { types coordinate }
    Read { typename fields }
    ReadField { key types }
    Condition { any }
    Test { variable }
    Introspection { document slots }
    Part { fragments }
    DeferUse { label condition }
    Variable { name ty default }
}

impl Held for Target {
    fn held(&self) -> usize {
        match self {
            Self::Root { .. } => 0,
            Self::Entities(batches) => batches.held(),
        }
    }
}

impl Held for RepresentationTypename {
    fn held(&self) -> usize {
        match self {
            Self::Fixed(name) => name.held(),
            Self::Concrete => 0,
        }
    }
}

impl Held for RepresentationValue {
    fn held(&self) -> usize {
        match self {
            Self::Leaf | Self::Typename => 0,
            Self::Object(fields) => fields.held(),
        }
    }
}

impl Held for PathElement {
    fn held(&self) -> usize {
        match self {
            Self::Field(key) => key.held(),
            Self::Items => 0,
        }
    }
}

impl Held for OutputValue {
    fn held(&self) -> usize {
        match self {
            Self::Typename | Self::Leaf(_) | Self::Object(_) => 0,
            Self::Denied(below) => below.held(),
        }
    }
}

impl Held for Raw {
    fn held(&self) -> usize {
        match self {
            Self::Field(field, tests) => field.held() + tests.held(),
            Self::Fragment { tests, .. } => tests.held(),
        }
    }
}

impl Held for RawField {
    fn held(&self) -> usize {
        let Self { key, name, arguments, variables, .. } = self;
        let key = if key.as_ptr() == name.as_ptr() { 0 } else { key.held() };
        // The empty ones are shared.
        let arguments = if arguments.is_empty() { 0 } else { allocated(COUNTS + arguments.len()) };
        let names = variables.iter().map(|name| size_of::<Name>() + name.held()).sum::<usize>();
        key + name.held() + arguments + names
    }
}

impl Held for TypeSet {
    fn held(&self) -> usize {
        allocated(size_of_val(self.as_slice()))
    }
}

impl Held for Name {
    fn held(&self) -> usize {
        allocated(COUNTS + self.len())
    }
}

impl Held for Box<str> {
    fn held(&self) -> usize {
        allocated(self.len())
    }
}

impl Held for String {
    fn held(&self) -> usize {
        allocated(self.capacity())
    }
}

impl Held for Box<Unreachable> {
    fn held(&self) -> usize {
        allocated(size_of::<Unreachable>()) + (**self).held()
    }
}

impl<T: Held> Held for Box<[T]> {
    fn held(&self) -> usize {
        allocated(size_of_val(&**self)) + self.iter().map(Held::held).sum::<usize>()
    }
}

impl<T: Held> Held for Vec<T> {
    fn held(&self) -> usize {
        allocated(self.capacity() * size_of::<T>()) + self.iter().map(Held::held).sum::<usize>()
    }
}

impl<T: Held> Held for Option<T> {
    fn held(&self) -> usize {
        self.as_ref().map_or(0, Held::held)
    }
}

impl<A: Held, B: Held> Held for (A, B) {
    fn held(&self) -> usize {
        self.0.held() + self.1.held()
    }
}

impl<I: Id, T: Held> Held for IdVec<I, T> {
    fn held(&self) -> usize {
        allocated(self.capacity() * size_of::<T>()) + self.iter().map(|(_, item)| item.held()).sum::<usize>()
    }
}
