//! Selection sets that are the same in everything: they share their solutions.
//!
//! Input: a selection set. Output: the first one seen that has the same types and the same fields, with the same below them. Cost: each
//! selection set is hashed and compared once. Arguments from contexts are told by where they stand, so with them nothing is shared.
//! ```text
//! { a { x { y } } b { x { y } } }   a and b of one type   =>   what is below b is solved as what is below a
//! ```
//! Relied on by the search in `choose`; `fetches` puts each selection set in the place of the one that was solved for it.

use super::Chooser;
use crate::plan::selections::{SelectedField, SetId};
use rustc_hash::{FxHashMap, FxHasher};
use std::hash::{Hash, Hasher};

/// What has been looked at.
#[derive(Debug, Default)]
pub(super) struct Same {
    /// What stands for each selection set.
    found: FxHashMap<SetId, SetId>,
    /// Those that stand for others, by what they hash to.
    first: FxHashMap<u64, Vec<SetId>>,
}

impl Chooser<'_, '_> {
    /// The selection set that is solved in place of this one. Nesting is bounded where selections are collected.
    pub(super) fn representative(&mut self, set: SetId) -> SetId {
        if !self.contexts.is_empty() {
            return set;
        }
        if let Some(known) = self.same.found.get(&set) {
            return *known;
        }
        let hash = self.hash_of(set);
        let known = self.same.first.get(&hash).into_iter().flatten().copied().find(|known| self.is_same(*known, set));
        let first = known.unwrap_or(set);
        if known.is_none() {
            self.same.first.entry(hash).or_default().push(set);
        }
        self.same.found.insert(set, first);
        first
    }

    /// The hash of a selection set, the same for those that are the same. What stands for those below is found.
    pub(super) fn hash_of(&mut self, set: SetId) -> u64 {
        let mut hasher = FxHasher::default();
        self.selections.set(set).types.hash(&mut hasher);
        for index in 0..self.selections.set(set).fields.len() {
            let Some(field) = self.selections.field(set, index) else { continue };
            let (below, own) = (field.below, (field.signature, field.types));
            (own, below.map(|set| self.representative(set))).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Whether two selection sets are the same, given what stands for those below.
    pub(super) fn is_same(&self, one: SetId, other: SetId) -> bool {
        let (one, other) = (self.selections.set(one), self.selections.set(other));
        let same_below = |a: &SelectedField, b: &SelectedField| match (a.below, b.below) {
            (Some(a), Some(b)) => self.same.found.get(&a).unwrap_or(&a) == self.same.found.get(&b).unwrap_or(&b),
            (a, b) => a == b,
        };
        one.types == other.types
            && one.fields.len() == other.fields.len()
            && one.fields.iter().zip(&other.fields).all(|(a, b)| a.is_same_but_below(b) && same_below(a, b))
    }
}
