//! Fields that only somebody who knows the objects' types can give: with their response key goes another value for other types.
//!
//! An interface object is one type to its subgraph, so there both values must stand beside each other under different names, and
//! which of them belongs to an object is open until its type is known. Rows have a slot for each; an answer that is merged by
//! names, as plans for other executors assume, has nowhere to keep them apart.
//! ```text
//! { all { ... on A { x: f(of: 1) } ... on B { x: f(of: 2) } } }   => both x are ambiguous
//! ```
//! Cost: each selection set once for every selection set above it with such fields. Relied on by `selections`; the solver takes an
//! ambiguous field only from where the types are known.

use super::options::Options;
use super::selections::{SelectedField, SelectionSet, Selections, SetId, Signature};
use super::shape::Wrap;
use crate::ids::TypeId;
use apollo_compiler::Name;
use rustc_hash::FxHashMap;

/// What all fields at one path must agree on.
type Form = (Signature, Wrap, Option<TypeId>);

/// Marks the ambiguous fields of all selection sets so far. Nothing is if no subgraph has an interface object.
pub(super) fn mark(selections: &mut Selections<'_>, options: Options<'_>) {
    let mut found = Vec::new();
    for id in selections.ids() {
        let set = selections.set(id);
        if options.blurs(selections.types(set.types)).is_empty() {
            continue;
        }
        let mut by_key: FxHashMap<&Name, Vec<usize>> = FxHashMap::default();
        for (index, field) in set.fields.iter().enumerate().filter(|(_, field)| field.is_fetched()) {
            by_key.entry(&field.key).or_default().push(index);
        }
        let several = by_key.into_values().filter(|fields| fields.len() > 1 && contradict(selections, set, fields));
        found.extend(several.flatten().map(|index| (id, index)));
    }
    for (set, index) in found {
        if let Some(field) = selections.field_mut(set, index) {
            field.is_ambiguous = true;
        }
    }
}

/// Whether these fields of a selection set, or what is below them, could not stand in one object.
fn contradict(selections: &Selections<'_>, set: &SelectionSet, fields: &[usize]) -> bool {
    let mut forms: FxHashMap<(usize, &Name), (usize, Form)> = FxHashMap::default();
    let mut open: Vec<(usize, &SelectedField)> = fields.iter().filter_map(|index| Some((0, set.fields.get(*index)?))).collect();
    while let Some((above, field)) = open.pop() {
        let own: Form = (field.signature, field.wrap, field.below.is_none().then_some(field.named));
        let next = forms.len() + 1;
        let (place, known) = forms.entry((above, &field.key)).or_insert((next, own));
        if *known != own {
            return true;
        }
        let place = *place;
        let below: &[SelectedField] = field.below.map_or(&[], |below: SetId| &selections.set(below).fields);
        open.extend(below.iter().filter(|field| field.is_fetched()).map(|field| (place, field)));
    }
    false
}
