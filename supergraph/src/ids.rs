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
    /// A field of an object or interface type of the supergraph.
    FieldId
    /// A name that fields of the supergraph have.
    NameId
    /// A progressive `@override` label of the supergraph.
    LabelId
    /// What the schema asks of those who use a field or a type.
    RequirementId
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
    /// A part of an answer that may be delivered after the rest.
    PartId
}

impl NameId {
    /// `__typename`.
    pub const TYPENAME: Self = Self(0);
    /// A name that no field of the supergraph has.
    pub const UNKNOWN: Self = Self(u32::MAX);
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

    /// Number of elements that there is room for.
    pub fn capacity(&self) -> usize {
        self.items.capacity()
    }

    /// Gives room back in which no element stands.
    pub fn shrink_to_fit(&mut self) {
        self.items.shrink_to_fit();
    }

    /// The elements in order, to change them.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.items.iter_mut()
    }

    /// The elements with their ids, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (I, &T)> + DoubleEndedIterator {
        self.items.iter().enumerate().map(|(index, item)| (I::new(index), item))
    }
}

/// A set of subgraphs: one bit each, without allocation for the first 64.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubgraphSet {
    first: u64,
    /// Bits of the subgraphs from 64 on. The last word is never zero, so equal sets are equal values.
    rest: Vec<u64>,
}

impl SubgraphSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// The set of one subgraph.
    pub fn of(id: SubgraphId) -> Self {
        let mut set = Self::new();
        set.insert(id);
        set
    }

    /// The set of the first `count` subgraphs.
    pub fn first(count: usize) -> Self {
        (0..count).map(SubgraphId::new).collect()
    }

    /// Adds `id`; whether it was new.
    pub fn insert(&mut self, id: SubgraphId) -> bool {
        let (word, bit) = (id.index() / 64, 1_u64 << (id.index() % 64));
        if word > self.rest.len() {
            self.rest.resize(word, 0);
        }
        let Some(bits) = self.word_mut(word) else { return false };
        let new = *bits & bit == 0;
        *bits |= bit;
        new
    }

    /// Takes `id` out; whether it was there.
    pub fn remove(&mut self, id: SubgraphId) -> bool {
        let (word, bit) = (id.index() / 64, 1_u64 << (id.index() % 64));
        let Some(bits) = self.word_mut(word) else { return false };
        let there = *bits & bit != 0;
        *bits &= !bit;
        self.trim();
        there
    }

    /// Whether `id` is in the set.
    pub fn contains(&self, id: SubgraphId) -> bool {
        self.word(id.index() / 64) & (1 << (id.index() % 64)) != 0
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.first == 0 && self.rest.is_empty()
    }

    /// Number of subgraphs.
    pub fn len(&self) -> usize {
        self.words().map(|word| word.count_ones() as usize).sum()
    }

    /// The subgraphs in order.
    pub fn iter(&self) -> impl Iterator<Item = SubgraphId> + '_ {
        self.words().enumerate().flat_map(|(index, word)| Bits(word).map(move |bit| SubgraphId::new(index * 64 + bit)))
    }

    /// The subgraph that comes first.
    pub fn lowest(&self) -> Option<SubgraphId> {
        self.iter().next()
    }

    /// Whether every subgraph of `self` is in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.words().enumerate().all(|(index, word)| word & !other.word(index) == 0)
    }

    /// Whether some subgraph is in both.
    pub fn intersects(&self, other: &Self) -> bool {
        self.words().enumerate().any(|(index, word)| word & other.word(index) != 0)
    }

    /// Adds every subgraph of `other`.
    pub fn extend_with(&mut self, other: &Self) {
        if other.rest.len() > self.rest.len() {
            self.rest.resize(other.rest.len(), 0);
        }
        self.first |= other.first;
        self.rest.iter_mut().zip(&other.rest).for_each(|(bits, more)| *bits |= more);
    }

    /// Keeps only the subgraphs that are in `other` too.
    pub fn retain_in(&mut self, other: &Self) {
        self.first &= other.first;
        self.rest.truncate(other.rest.len());
        self.rest.iter_mut().zip(&other.rest).for_each(|(bits, kept)| *bits &= kept);
        self.trim();
    }

    /// Takes every subgraph of `other` out.
    pub fn subtract(&mut self, other: &Self) {
        self.first &= !other.first;
        self.rest.iter_mut().zip(&other.rest).for_each(|(bits, gone)| *bits &= !gone);
        self.trim();
    }

    /// The subgraphs of either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut set = self.clone();
        set.extend_with(other);
        set
    }

    /// The subgraphs of both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut set = self.clone();
        set.retain_in(other);
        set
    }

    /// The subgraphs of `self` that are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut set = self.clone();
        set.subtract(other);
        set
    }

    fn words(&self) -> impl Iterator<Item = u64> + '_ {
        std::iter::once(self.first).chain(self.rest.iter().copied())
    }

    fn word(&self, index: usize) -> u64 {
        match index.checked_sub(1) {
            None => self.first,
            Some(index) => self.rest.get(index).copied().unwrap_or(0),
        }
    }

    fn word_mut(&mut self, index: usize) -> Option<&mut u64> {
        match index.checked_sub(1) {
            None => Some(&mut self.first),
            Some(index) => self.rest.get_mut(index),
        }
    }

    fn trim(&mut self) {
        while self.rest.last() == Some(&0) {
            self.rest.pop();
        }
    }
}

impl FromIterator<SubgraphId> for SubgraphSet {
    fn from_iter<T: IntoIterator<Item = SubgraphId>>(ids: T) -> Self {
        let mut set = Self::new();
        for id in ids {
            set.insert(id);
        }
        set
    }
}

/// The positions of the ones of a word, lowest first.
struct Bits(u64);

impl Iterator for Bits {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let bit = self.0.trailing_zeros();
        self.0 &= self.0.wrapping_sub(1);
        (bit < 64).then_some(bit as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ids: &[usize]) -> SubgraphSet {
        ids.iter().map(|&id| SubgraphId::new(id)).collect()
    }

    #[test]
    fn sets_hold_any_number_of_subgraphs_and_equal_sets_are_equal() {
        let mut big = set(&[0, 63, 64, 200]);
        assert_eq!(big.iter().map(Id::index).collect::<Vec<_>>(), [0, 63, 64, 200]);
        assert!(
            big.contains(SubgraphId::new(200)) && !big.contains(SubgraphId::new(199)) && !big.contains(SubgraphId::new(4000))
        );
        assert!(big.remove(SubgraphId::new(200)) && big.remove(SubgraphId::new(64)) && !big.remove(SubgraphId::new(5)));
        assert_eq!(big, set(&[63, 0]));
        assert_eq!(SubgraphSet::first(66).len(), 66);
    }

    #[test]
    fn set_algebra_works_over_sets_of_different_sizes() {
        let (small, large) = (set(&[1, 5]), set(&[5, 70, 140]));
        assert_eq!(small.union(&large), set(&[1, 5, 70, 140]));
        assert_eq!(large.intersection(&small), set(&[5]));
        assert_eq!(large.difference(&set(&[140])), set(&[5, 70]));
        assert!(set(&[70]).is_subset(&large) && !large.is_subset(&small) && small.intersects(&large));
        assert!(!set(&[70]).intersects(&small) && set(&[]).is_subset(&small) && set(&[]).is_empty());
    }
}
