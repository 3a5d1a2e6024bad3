//! Typed indexes and the vectors they index, so that the hot path compares numbers and never names.
//!
//! Relied on by `model`, `plan` and the gateway's executor.

use std::marker::PhantomData;

/// A typed `u32` index.
pub trait Id: Copy {
    /// The id of the element at `index`.
    fn new(index: usize) -> Self;
    /// The position of the element.
    fn index(self) -> usize;
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u32);

        impl Id for $name {
            fn new(index: usize) -> Self {
                Self(u32::try_from(index).unwrap_or(u32::MAX))
            }
            fn index(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

ids! {
    /// A subgraph of one supergraph, in the order of its join graph enum.
    SubgraphId
    /// A named type of the supergraph.
    TypeId
    /// A fetch of one plan.
    FetchId
    /// A row layout of one plan: one selection set of the answer.
    LayoutId
    /// A slot in the rows of one layout.
    SlotId
    /// A read (a selection set of a subgraph's answer) of one plan.
    ReadId
    /// A condition of one plan.
    ConditionId
    /// An enum's set of values that clients may see.
    EnumId
}

/// A vector indexed by a typed id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdVec<I, T> {
    items: Vec<T>,
    id: PhantomData<I>,
}

impl<I, T> Default for IdVec<I, T> {
    fn default() -> Self {
        Self { items: Vec::new(), id: PhantomData }
    }
}

impl<I: Id, T> IdVec<I, T> {
    /// Appends `item` and returns its id.
    pub fn push(&mut self, item: T) -> I {
        self.items.push(item);
        I::new(self.items.len() - 1)
    }

    /// The element with this id.
    pub fn get(&self, id: I) -> Option<&T> {
        self.items.get(id.index())
    }

    /// The element with this id, to change it.
    pub fn get_mut(&mut self, id: I) -> Option<&mut T> {
        self.items.get_mut(id.index())
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The elements with their ids, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (I, &T)> + DoubleEndedIterator {
        self.items.iter().enumerate().map(|(index, item)| (I::new(index), item))
    }
}
