//! Internal aliases: fields with one response key whose answers would have different shapes cannot stand in one document.
//!
//! Two such fields are on different object types, so the client sees one of them at a time; a subgraph's types may differ where the
//! supergraph's agree. Relied on by `document`.
//! Spec: <https://spec.graphql.org/September2025/#sec-Field-Selection-Merging>

use super::document::{Documents, Unit};
use super::fetches::{SlotDraft, VisitDraft};
use crate::ids::SubgraphId;
use crate::model::TypeRef;

impl<'d> Documents<'d, '_> {
    /// Gives an alias to every unit that cannot stand beside an earlier one with the same key.
    pub(super) fn resolve_conflicts(&self, units: &mut [Unit<'_>], visit: &VisitDraft, subgraph: SubgraphId) {
        let layout = self.draft.layouts.get(visit.layout);
        for index in 1..units.len() {
            let (before, rest) = units.split_at_mut(index);
            let Some(unit) = rest.first_mut() else { continue };
            let mut number = 0;
            while before.iter().any(|other| other.key == unit.key && !self.can_merge(other, unit, subgraph))
                || (number > 0 && layout.is_some_and(|layout| layout.slots.iter().any(|slot| slot.key == unit.key)))
            {
                number += 1;
                unit.key = format!("_{}_{number}", unit.slot_draft.key);
            }
        }
    }

    fn can_merge(&self, first: &Unit<'_>, second: &Unit<'_>, subgraph: SubgraphId) -> bool {
        let types = (
            first.types.first().and_then(|id| self.type_in(*id, subgraph, first.slot_draft)),
            second.types.first().and_then(|id| self.type_in(*id, subgraph, second.slot_draft)),
        );
        self.same_shape(types, (first.pick.below, second.pick.below), subgraph)
    }

    /// Whether two fields with one response key have answers of the same shape, here and below.
    fn same_shape(
        &self,
        types: (Option<TypeRef>, Option<TypeRef>),
        below: (Option<usize>, Option<usize>),
        subgraph: SubgraphId,
    ) -> bool {
        let (Some(first), Some(second)) = types else { return false };
        let (first_visit, second_visit) = match below {
            (None, None) => return first == second,
            (Some(first), Some(second)) => (self.draft.visits.get(first), self.draft.visits.get(second)),
            _ => return false,
        };
        if first.wrap != second.wrap {
            return false;
        }
        let (Some(first), Some(second)) = (first_visit, second_visit) else { return false };
        if std::ptr::eq(first, second) {
            return true;
        }
        first.picks.iter().all(|((slot, _), pick)| {
            second.picks.iter().all(|((other_slot, _), other)| {
                let slots = (self.slot(first.layout, *slot), self.slot(second.layout, *other_slot));
                let (Some(slot), Some(other_slot)) = slots else { return false };
                slot.key != other_slot.key
                    || pick.types.iter().all(|id| {
                        other.types.iter().all(|other_id| {
                            let types = (self.type_in(*id, subgraph, slot), self.type_in(*other_id, subgraph, other_slot));
                            self.same_shape(types, (pick.below, other.below), subgraph)
                        })
                    })
            })
        })
    }

    fn slot(&self, layout: usize, slot: usize) -> Option<&'d SlotDraft> {
        self.draft.layouts.get(layout)?.slots.get(slot)
    }
}
