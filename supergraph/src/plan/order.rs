//! The order of an answer's fields where it depends on the object's type or on variables: fragments on several types may name the same
//! fields in different orders, and a field that is skipped in one place stands where it is named next.
//!
//! Relied on by `selections`. Spec: <https://spec.graphql.org/September2025/#sec-Field-Collection>

use super::Test;
use super::condition::{ALWAYS, Guard};
use super::defer::MARK;
use super::selections::{Appearance, Appearances, SelectedField, Selections, TypesId};
use crate::ids::{ConditionId, TypeId};
use crate::plan::shape::TypeSet;
use indexmap::{IndexMap, IndexSet};
use rustc_hash::FxBuildHasher;

/// Most variables by whose values the fields of one selection set are ordered; with more, the order of the first appearances counts.
const MAX_VARIABLES: usize = 3;

/// The fields of a selection set in another order than its own, for objects of some types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The types.
    pub types: TypeSet,
    /// They have it when this holds.
    pub condition: Option<ConditionId>,
    /// Indices of the fields.
    pub fields: Vec<usize>,
}

/// The same while planning.
#[derive(Clone, Debug)]
pub(super) struct OrderDraft {
    /// The types.
    pub types: TypeSet,
    /// They have it when this holds.
    pub guard: Guard,
    /// Indices of the fields.
    pub fields: Vec<usize>,
}

/// The orders that differ from that of `fields`, which is that of their first appearances for any type.
pub(super) fn orders(
    selections: &mut Selections<'_>,
    types: TypesId,
    appearances: &Appearances<'_>,
    fields: &[SelectedField],
) -> Vec<OrderDraft> {
    let variables = variables(selections, appearances);
    if variables.is_empty() && appearances.values().flatten().all(|appearance| appearance.types == types) {
        return Vec::new();
    }
    let mut orders = Vec::new();
    for values in 0..1_u32 << variables.len() {
        let assumed = variables.iter().enumerate();
        let assumed: Vec<Test> =
            assumed.map(|(place, variable)| Test { variable: variable.clone(), is: values >> place & 1 == 1 }).collect();
        let groups = groups(selections, types, &assumed, (appearances, fields));
        let guard = if assumed.is_empty() { Some(ALWAYS) } else { selections.guards.all_of(assumed) };
        let Some(guard) = guard else { continue };
        orders.extend(groups.into_iter().map(|(fields, types)| OrderDraft { types: TypeSet::new(types), guard, fields }));
    }
    orders
}

/// The variables that decide where some field appears first. (A deferred fragment is in its place whether it comes later or not.)
fn variables(selections: &Selections<'_>, appearances: &Appearances<'_>) -> IndexSet<Box<str>, FxBuildHasher> {
    let mut variables = IndexSet::default();
    for list in appearances.values().filter(|list| is_moving(list)) {
        let tests = list.iter().flat_map(|appearance| selections.guards.get(appearance.guard).any.iter().flatten());
        variables.extend(tests.filter(|test| !test.variable.starts_with(MARK)).map(|test| test.variable.clone()));
        if variables.len() > MAX_VARIABLES {
            return IndexSet::default();
        }
    }
    variables
}

/// Whether a field appears under several conditions.
fn is_moving(list: &[Appearance<'_>]) -> bool {
    list.iter().any(|appearance| list.first().is_some_and(|first| first.guard != appearance.guard))
}

/// Object types by the order of their fields where that is not the fields' own, when these tests hold.
fn groups(
    selections: &Selections<'_>,
    types: TypesId,
    assumed: &[Test],
    (appearances, fields): (&Appearances<'_>, &[SelectedField]),
) -> IndexMap<Vec<usize>, Vec<TypeId>, FxBuildHasher> {
    let is_open = |test: &Test| assumed.iter().all(|known| known.variable != test.variable || known.is == test.is);
    let may_hold = |guard: Guard| selections.guards.get(guard).any.iter().any(|tests| tests.iter().all(is_open));
    let mut groups: IndexMap<Vec<usize>, Vec<TypeId>, FxBuildHasher> = IndexMap::default();
    for object in selections.types(types).iter() {
        let applies = |types: TypesId| selections.types(types).contains(object);
        let place = |field: &SelectedField| {
            let list = appearances.get(&&field.key).map_or(&[][..], Vec::as_slice);
            let here = list.iter().filter(|appearance| applies(appearance.types));
            // What is not there at all is kept in its place.
            here.map(|appearance| (!may_hold(appearance.guard), appearance.place)).min().map(|(_, place)| place)
        };
        let own = fields.iter().enumerate().filter(|(_, field)| applies(field.types));
        let mut order: Vec<(Option<usize>, usize)> = own.map(|(index, field)| (place(field), index)).collect();
        if !order.is_sorted() {
            order.sort_unstable();
            groups.entry(order.into_iter().map(|(_, index)| index).collect()).or_default().push(object);
        }
    }
    groups
}
