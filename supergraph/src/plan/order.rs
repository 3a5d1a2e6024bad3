//! The order of an answer's fields where it depends on the object's type: fragments on several types may name the same fields in
//! different orders.
//!
//! Relied on by `selections`. Spec: <https://spec.graphql.org/September2025/#sec-Field-Collection>

use super::selections::{Appearances, SelectedField, Selections, TypesId};
use crate::ids::TypeId;
use crate::plan::shape::TypeSet;
use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

/// The fields of a selection set in another order than its own, for objects of some types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The types.
    pub types: TypeSet,
    /// Indices of the fields.
    pub fields: Vec<usize>,
}

/// The orders that differ from that of `fields`, which is that of their first appearances for any type.
pub(super) fn orders(
    selections: &Selections<'_>,
    types: TypesId,
    appearances: &Appearances<'_>,
    fields: &[SelectedField],
) -> Vec<Order> {
    if appearances.values().flatten().all(|appearance| appearance.types == types) {
        return Vec::new();
    }
    let mut groups: IndexMap<Vec<usize>, Vec<TypeId>, FxBuildHasher> = IndexMap::default();
    for object in selections.types(types).iter() {
        let applies = |types: TypesId| selections.types(types).contains(object);
        let place = |field: &SelectedField| {
            let list = appearances.get(&&field.key).map_or(&[][..], Vec::as_slice);
            list.iter().filter(|appearance| applies(appearance.types)).map(|appearance| appearance.place).min()
        };
        let own = fields.iter().enumerate().filter(|(_, field)| applies(field.types));
        let mut order: Vec<(Option<usize>, usize)> = own.map(|(index, field)| (place(field), index)).collect();
        if !order.is_sorted() {
            order.sort_unstable();
            groups.entry(order.into_iter().map(|(_, index)| index).collect()).or_default().push(object);
        }
    }
    groups.into_iter().map(|(fields, types)| Order { types: TypeSet::new(types), fields }).collect()
}
