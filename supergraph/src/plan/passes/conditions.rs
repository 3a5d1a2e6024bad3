//! Conditions of fetches: a fetch is left out when nothing that it gives is wanted.
//!
//! What the client selects in the topmost selection set of a fetch says when it is wanted; a key or required field is wanted when a
//! fetch that waits for it is, and the objects' types also when something is selected of some types only. The result may be weaker than the truth, never stronger.

use crate::plan::condition::{ALWAYS, Guard, Guards};
use crate::plan::fetches::Draft;
use crate::plan::selections::{SelectedField, Selections};

/// Fills in the condition of every fetch.
pub(in crate::plan) fn hoist(draft: &mut Draft, selections: &mut Selections<'_>) {
    let mut order: Vec<usize> = (0..draft.fetches.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(draft.fetches.get(*index).map(|fetch| fetch.stage)));
    let waiting = draft.waiting();
    for index in order {
        let waiting = waiting.get(index).map_or(&[][..], Vec::as_slice);
        let types = told_types(draft, selections, index);
        let guard = wanted(draft, &mut selections.guards, (index, &types), waiting);
        if let Some(fetch) = draft.fetches.get_mut(index) {
            fetch.guard = guard;
        }
    }
}

/// When the client's fields need to know the types that a fetch tells.
fn told_types(draft: &Draft, selections: &Selections<'_>, index: usize) -> Vec<Guard> {
    let visit = draft.fetches.get(index).and_then(|fetch| draft.visits.get(fetch.visit)).filter(|visit| visit.typename);
    let layout = visit.and_then(|visit| draft.layouts.get(visit.layout)).filter(|layout| layout.types.len() > 1);
    let Some(set) = layout.and_then(|layout| layout.set).map(|set| selections.set(set)) else { return Vec::new() };
    let depends = |field: &&SelectedField| field.is_typename() || field.types != set.types;
    set.fields.iter().filter(depends).map(|field| field.guard).collect()
}

/// When a fetch is wanted, given that this is known of all that wait for it.
fn wanted(draft: &Draft, guards: &mut Guards, (index, types): (usize, &[Guard]), waiting: &[usize]) -> Guard {
    let Some(visit) = draft.fetches.get(index).and_then(|fetch| draft.visits.get(fetch.visit)) else { return ALWAYS };
    let layout = draft.layouts.get(visit.layout).map_or(ALWAYS, |layout| layout.guard);
    let mut all: Option<Guard> = None;
    let add = |guards: &mut Guards, all: Option<Guard>, guard: Guard| Some(all.map_or(guard, |all| guards.or_weak(all, guard)));
    for guard in visit.picks.values().filter_map(|pick| pick.guard).chain(types.iter().copied()) {
        let guard = guards.and_weak(layout, guard);
        all = add(guards, all, guard);
    }
    let has_internal = visit.typename || visit.picks.values().any(|pick| pick.internal);
    if has_internal {
        let waiting: Vec<Guard> = waiting.iter().filter_map(|other| draft.fetches.get(*other)).map(|fetch| fetch.guard).collect();
        if waiting.is_empty() {
            all = add(guards, all, layout);
        }
        for guard in waiting {
            all = add(guards, all, guard);
        }
    }
    all.unwrap_or(layout)
}
