//! Which slot of a layout holds a field: the client's own, or an internal one for what only keys and requirements use.
//!
//! A key or requirement takes the client's slots where they have its value, and one internal slot for the types that have none there.
//! A field that some interface object gives is never spread over slots like that: whoever fetches it may not know the objects' types
//! yet, nor may whoever puts it into a representation.
//! ```text
//! { all { ... on A { id } } }   all: [A | B], where some subgraph knows only their interface
//!   => slot `id` for A, which the client sees; slot `_id_1` for A | B, which keys use
//! ```
//! Relied on by `fetches` and by what makes representations.

use super::fetches::{Drafter, LayoutDraft, SlotDraft};
use super::options::Options;
use super::selections::{Call, SelectedField, SetId, Signature};
use super::shape::TypeSet;
use crate::ids::TypeId;

/// Slots, each with the types that it is for.
type Slots = Vec<(usize, TypeSet)>;

impl LayoutDraft {
    /// The slots that hold a field for each of these types, and the types without one.
    pub fn slots_of(&self, signature: Signature, types: &TypeSet, is_blurred: bool) -> (Slots, TypeSet) {
        let mut found: Vec<(usize, Vec<TypeId>)> = Vec::new();
        let mut missing = Vec::new();
        let holds = |slot: &SlotDraft, id: TypeId| {
            slot.signature == signature && slot.types.contains(id) && (!is_blurred || slot.types.len() == self.types.len())
        };
        for id in types.iter() {
            match self.slots.iter().position(|slot| holds(slot, id)) {
                None => missing.push(id),
                Some(slot) => match found.iter_mut().find(|(known, _)| *known == slot) {
                    Some((_, types)) => types.push(id),
                    None => found.push((slot, vec![id])),
                },
            }
        }
        (found.into_iter().map(|(slot, types)| (slot, TypeSet::new(types))).collect(), TypeSet::new(missing))
    }

    /// Whether an interface object gives this field to objects that it cannot tell apart.
    pub fn is_blurred(&self, options: Options<'_>, call: Option<&Call>) -> bool {
        call.is_some_and(|call| self.blurs.iter().any(|id| options.has_as_interface_object(*id, call.name_id)))
    }
}

impl Drafter<'_, '_, '_> {
    /// The slots of a field for these types: the client's own, those with the same value, or a new internal one.
    pub(super) fn slots_for(&mut self, layout: usize, types: TypeSet, set: SetId, field: usize) -> Slots {
        let (whole, place) = self.whole((set, field));
        let Some(draft) = self.draft.layouts.get(layout) else { return Vec::new() };
        if draft.set == Some(whole) {
            // The client's fields have the first slots, in their order.
            let slot = draft.slots.get(place).filter(|slot| slot.client == Some(place));
            return slot.map(|_| (place, types)).into_iter().collect();
        }
        let Some(selected) = self.chooser.selections.field(set, field).cloned() else { return Vec::new() };
        let call = self.chooser.selections.call(selected.signature);
        let is_blurred = draft.is_blurred(self.chooser.options, call);
        let (mut found, missing) = draft.slots_of(selected.signature, &types, is_blurred);
        if !missing.is_empty() {
            let all = if is_blurred { draft.types.clone() } else { missing.clone() };
            found.push((self.internal_slot(layout, &selected, &all), missing));
        }
        found
    }

    fn internal_slot(&mut self, layout: usize, selected: &SelectedField, types: &TypeSet) -> usize {
        let Some(draft) = self.draft.layouts.get_mut(layout) else { return 0 };
        let same =
            draft.slots.iter_mut().enumerate().find(|(_, slot)| slot.signature == selected.signature && slot.client.is_none());
        if let Some((index, slot)) = same {
            slot.types = TypeSet::new(slot.types.iter().chain(types.iter()).collect());
            return index;
        }
        let mut key = selected.name.to_string();
        let mut number = 1;
        while draft.slots.iter().any(|slot| slot.key == key) {
            key = format!("_{}_{number}", selected.name);
            number += 1;
        }
        let (signature, types, wrap) = (selected.signature, types.clone(), selected.wrap);
        draft.slots.push(SlotDraft { key, signature, types, below: None, wrap, client: None });
        draft.slots.len() - 1
    }
}
