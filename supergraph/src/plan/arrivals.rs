//! How objects arrive at an entity fetch: under which name, and with which field sets in their representations.
//!
//! Relied on by `fetches` and by what reads a draft.

use super::options::Naming;
use super::selections::{Selections, SetId};
use super::shape::TypeSet;
use crate::ids::TypeId;

/// Objects of some types with one kind of representation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ArrivalDraft {
    /// The types.
    pub types: TypeSet,
    /// How the type is named.
    pub naming: Naming,
    /// Whether the objects' own type is known before; if not, all objects are sent.
    pub type_known: bool,
    /// Field sets to be sent.
    pub needs: Vec<SetId>,
}

/// Adds an arrival: to one with the same types and naming, or of its own.
pub(super) fn merge_arrival(arrivals: &mut Vec<ArrivalDraft>, mut arrival: ArrivalDraft) {
    if let Some(same) = arrivals.iter_mut().find(|known| known.types == arrival.types && known.naming == arrival.naming) {
        let new: Vec<SetId> = arrival.needs.into_iter().filter(|need| !same.needs.contains(need)).collect();
        same.needs.extend(new);
        same.type_known &= arrival.type_known;
        return;
    }
    // Types that are there already get what they lack; the others of the same arrival must not.
    let mut rest = Vec::new();
    for known in arrivals.iter_mut().filter(|known| known.naming == arrival.naming) {
        let (both, only): (Vec<TypeId>, Vec<TypeId>) = known.types.iter().partition(|id| arrival.types.contains(*id));
        if both.is_empty() {
            continue;
        }
        let needs = known.needs.clone();
        known.needs.extend(arrival.needs.iter().copied().filter(|need| !needs.contains(need)));
        arrival.types = TypeSet::new(arrival.types.iter().filter(|id| !both.contains(id)).collect());
        known.types = TypeSet::new(both);
        let type_known = known.type_known;
        known.type_known &= arrival.type_known;
        if !only.is_empty() {
            rest.push(ArrivalDraft { types: TypeSet::new(only), naming: known.naming, type_known, needs });
        }
    }
    arrivals.extend(rest);
    if !arrival.types.is_empty() {
        arrivals.push(arrival);
    }
}

/// Whether an arrival brings nothing that these do not bring.
pub(super) fn is_among(arrival: &ArrivalDraft, all: &[ArrivalDraft]) -> bool {
    arrival.types.iter().all(|id| {
        all.iter().any(|known| {
            known.naming == arrival.naming
                && known.types.contains(id)
                && arrival.needs.iter().all(|need| known.needs.contains(need))
        })
    })
}

/// Whether two lists of arrivals would send different values under one name for the same type.
pub(super) fn contradict(selections: &Selections<'_>, first: &[ArrivalDraft], second: &[ArrivalDraft]) -> bool {
    first.iter().any(|a| {
        let overlapping = second.iter().filter(|b| b.types.iter().any(|id| a.types.contains(id)));
        overlapping.flat_map(|b| &b.needs).any(|need| a.needs.iter().any(|known| selections.differ(*known, *need)))
    })
}
