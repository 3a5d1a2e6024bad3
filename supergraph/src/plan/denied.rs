//! Denied: fields that whoever asks must not see. They are not fetched, and null in the answer with an error.
//!
//! An object of which only such fields are selected is not fetched either: whether it exists is known to nobody then, so it is
//! null too. Relied on by `selections`, and by `rows`, which says in the shape what is denied.

use super::condition::ALWAYS;
use super::selections::SelectionSet;
use apollo_compiler::Name;
use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;

/// Most paths that are told below one field.
const MAX_PATHS: usize = 100;

/// Why a field is not fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Denied {
    /// Response keys from the field down to each field below it that is denied, where the field itself is not.
    pub below: Vec<Vec<Name>>,
}

/// Denies every field below which everything is denied, whatever the variables. Selection sets come after those that they are
/// selected in.
pub(super) fn prune(sets: &mut [SelectionSet]) {
    for index in (0..sets.len()).rev() {
        let Some(set) = sets.get(index) else { continue };
        let mut pruned = Vec::new();
        for (place, field) in set.fields.iter().enumerate() {
            let Some(below) = field.below.and_then(|below| sets.get(below.0 as usize)) else { continue };
            if below.fields.is_empty() || !below.fields.iter().all(|field| field.denied.is_some() && field.guard == ALWAYS) {
                continue;
            }
            // Nobody knows how many items a list would have had, so paths end at it.
            let paths = if field.wrap.lists > 0 { vec![Vec::new()] } else { paths(below) };
            pruned.push((place, Denied { below: paths }));
        }
        let Some(set) = sets.get_mut(index) else { continue };
        for (place, denied) in pruned {
            if let Some(field) = set.fields.get_mut(place) {
                (field.below, field.denied) = (None, Some(denied));
            }
        }
    }
}

/// The paths to what is denied in a selection set, each once.
fn paths(set: &SelectionSet) -> Vec<Vec<Name>> {
    let mut paths: IndexSet<Vec<Name>, FxBuildHasher> = IndexSet::default();
    for field in &set.fields {
        let Some(denied) = &field.denied else { continue };
        let own = vec![Vec::new()];
        for rest in if denied.below.is_empty() { &own } else { &denied.below } {
            if paths.len() < MAX_PATHS {
                paths.insert(std::iter::once(&field.key).chain(rest).cloned().collect());
            }
        }
    }
    paths.into_iter().collect()
}
