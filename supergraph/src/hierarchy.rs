//! The interfaces that types declare, as sorted numbers, so that a deep hierarchy is compared cheaply.
//!
//! A type must declare what its interfaces declare. With n interfaces that each declare all before it, looking every pair up by name
//! takes n³ hash look-ups; walking two sorted lists of numbers takes a few hundred times less.
//! Relied on by the validation of subgraphs and of the merged schema; relies on nothing.

use rustc_hash::FxHashMap;
use std::hash::Hash;

/// What each type declares.
pub(crate) struct Hierarchy<N>(FxHashMap<N, Vec<usize>>);

impl<N: Hash + Eq> Hierarchy<N> {
    /// From each type's name and the numbers of the interfaces that it declares. A type of which one interface has no number is
    /// left out: it declares nothing for sure.
    pub(crate) fn new(types: impl Iterator<Item = (N, Vec<Option<usize>>)>) -> Self {
        let sorted = types.filter_map(|(name, numbers)| {
            let mut numbers = numbers.into_iter().collect::<Option<Vec<usize>>>()?;
            numbers.sort_unstable();
            (!numbers.is_empty()).then_some((name, numbers))
        });
        Self(sorted.collect())
    }

    /// Whether the type is known to declare every interface that the interface declares.
    pub(crate) fn has_all_of(&self, ty: &N, interface: &N) -> bool {
        let of = |name| self.0.get(name).map(Vec::as_slice).unwrap_or_default();
        let mut declared = of(ty).iter();
        of(interface).iter().all(|wanted| declared.by_ref().find(|number| *number >= wanted) == Some(wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::Hierarchy;

    #[test]
    fn a_type_has_all_of_an_interface_when_every_number_is_there() {
        let declared = [("T", vec![Some(3), Some(1)]), ("I", vec![Some(1)]), ("J", vec![Some(2)]), ("K", vec![None])];
        let hierarchy = Hierarchy::new(declared.into_iter());
        assert!(hierarchy.has_all_of(&"T", &"I"));
        assert!(!hierarchy.has_all_of(&"T", &"J"));
        assert!(hierarchy.has_all_of(&"none", &"none"));
    }

    #[test]
    fn an_interface_without_number_declares_nothing_for_sure() {
        let hierarchy = Hierarchy::new([("T", vec![]), ("K", vec![None])].into_iter());
        assert!(hierarchy.has_all_of(&"T", &"K"), "another rule tells that it does not exist");
    }
}
