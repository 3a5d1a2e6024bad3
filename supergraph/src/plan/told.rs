//! Which objects' own types are known when a fetch starts. A subgraph that has only an interface object does not tell them.
//!
//! Relied on by `assemble` (a `__typename` inside of a representation is sent only if it is known by then) and by `json` (a path is
//! narrowed to types only where they can be compared). Relies on `fetches`.

use super::fetches::{Draft, VisitDraft};
use super::options::Options;
use rustc_hash::FxHashSet;

/// Who tells the types of the objects of each layout.
pub(super) struct Told {
    layouts: Vec<Tellers>,
}

/// Who tells the types of one layout's objects.
#[derive(Clone, Debug)]
enum Tellers {
    /// Whoever gives the objects, if anybody does.
    All { are_any: bool },
    /// These fetches.
    Some(Vec<usize>),
}

impl Told {
    /// Looks at every visit.
    pub fn find(options: Options<'_>, draft: &Draft) -> Self {
        let mut layouts = vec![Tellers::All { are_any: false }; draft.layouts.len()];
        let (telling, silent): (Vec<&VisitDraft>, Vec<_>) = draft.visits.iter().partition(|visit| tells(options, draft, visit));
        for visit in silent.into_iter().filter(|visit| visit.ty.is_some()) {
            if let Some(tellers) = layouts.get_mut(visit.layout) {
                *tellers = Tellers::Some(Vec::new());
            }
        }
        for visit in telling {
            match layouts.get_mut(visit.layout) {
                Some(Tellers::Some(fetches)) => fetches.push(visit.fetch),
                Some(Tellers::All { are_any }) => *are_any = true,
                None => {}
            }
        }
        Self { layouts }
    }

    /// Whether somebody tells the types of a layout's objects.
    pub fn is_told(&self, layout: usize) -> bool {
        match self.layouts.get(layout) {
            None => false,
            Some(Tellers::All { are_any }) => *are_any,
            Some(Tellers::Some(fetches)) => !fetches.is_empty(),
        }
    }

    /// Whether a fetch starts after some fetch that tells the types of a layout's objects. Cost: what that fetch waits for, where
    /// some visit of the layout does not tell them.
    pub fn is_known(&self, draft: &Draft, layout: usize, fetch: usize) -> bool {
        let tellers = match self.layouts.get(layout) {
            None | Some(Tellers::All { .. }) => return true,
            Some(Tellers::Some(fetches)) => fetches,
        };
        let (mut seen, mut open) = (FxHashSet::default(), vec![fetch]);
        while let (Some(next), false) = (open.pop(), tellers.is_empty()) {
            let before = draft.fetches.get(next).into_iter().flat_map(|fetch| &fetch.after);
            for other in before.filter(|other| seen.insert(**other)) {
                if tellers.contains(other) {
                    return true;
                }
                open.push(*other);
            }
        }
        false
    }
}

/// Whether a visit tells the own types of its objects.
fn tells(options: Options<'_>, draft: &Draft, visit: &VisitDraft) -> bool {
    let (Some(fetch), Some(layout)) = (draft.fetches.get(visit.fetch), draft.layouts.get(visit.layout)) else { return false };
    match visit.ty {
        Some(ty) => !options.is_interface_object(ty, fetch.subgraph),
        None => visit.typename && layout.types.iter().any(|id| options.known_as(id, fetch.subgraph) == Some(id)),
    }
}
