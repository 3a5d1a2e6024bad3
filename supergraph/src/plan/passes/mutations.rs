//! The root fields of a mutation in series: neighbours of one subgraph share a fetch, and everything below them is there before
//! the next fetch starts. Spec: <https://spec.graphql.org/September2025/#sec-Mutation>

use crate::ids::SubgraphId;
use crate::plan::PlanError;
use crate::plan::choose::Solution;
use crate::plan::defer;
use crate::plan::fetches::{Draft, Drafter};
use crate::plan::selections::SetId;
use std::collections::BTreeSet;

/// The layout of the root.
const ROOT: usize = 0;

/// Lays out a set of root fields. Returns the fetches that they need.
fn place(drafter: &mut Drafter<'_, '_, '_>, set: SetId) -> Result<BTreeSet<usize>, PlanError> {
    if !drafter.deferred.is_empty() {
        return defer::place(drafter, set);
    }
    let solution = drafter.chooser.solve_root(set)?;
    Ok(drafter.place_root(&solution, set))
}

/// Lays out a mutation, part by part.
pub(in crate::plan) fn place_in_series(drafter: &mut Drafter<'_, '_, '_>, root: SetId) -> Result<(), PlanError> {
    let mut before: BTreeSet<usize> = BTreeSet::new();
    for part in parts(drafter, root)? {
        let set = drafter.chooser.selections.part(root, &part);
        drafter.parts.insert(set, (root, part));
        let first = drafter.draft.fetches.len();
        let used = place(drafter, set)?;
        for fetch in drafter.draft.fetches.iter_mut().skip(first).filter(|fetch| fetch.arrivals.is_empty()) {
            fetch.after.extend(before.iter().copied());
        }
        keep_order(&mut drafter.draft, first);
        before.extend(used);
        let last = drafter.draft.fetches.iter().map(|fetch| fetch.stage + 1).max();
        drafter.shift = last.unwrap_or(0);
    }
    Ok(())
}

/// Brings what the fetches from `first` on select at the root into the order of the operation, in which a subgraph runs them. The
/// solver places leaves before fields with selections below.
fn keep_order(draft: &mut Draft, first: usize) {
    for fetch in draft.fetches.iter().skip(first).filter(|fetch| fetch.arrivals.is_empty()) {
        if let Some(visit) = draft.visits.get_mut(fetch.visit).filter(|visit| visit.layout == ROOT) {
            // The slots of a client's layout are its fields in order.
            visit.picks.sort_unstable_keys();
        }
    }
}

/// Fields in order, those of one subgraph together.
fn parts(drafter: &mut Drafter<'_, '_, '_>, root: SetId) -> Result<Vec<Vec<usize>>, PlanError> {
    let mut parts: Vec<(Option<SubgraphId>, Vec<usize>)> = Vec::new();
    for index in 0..drafter.chooser.selections.set(root).fields.len() {
        if drafter.chooser.selections.field(root, index).is_none_or(|field| !field.is_fetched()) {
            continue;
        }
        let alone = drafter.chooser.selections.part(root, &[index]);
        let subgraph = first_subgraph(&*drafter.chooser.solve(alone, &[])?);
        match parts.last_mut() {
            Some((last, part)) if *last == subgraph => part.push(index),
            _ => parts.push((subgraph, vec![index])),
        }
    }
    Ok(parts.into_iter().map(|(_, part)| part).collect())
}

/// The subgraph of the first fetch.
fn first_subgraph(solution: &Solution) -> Option<SubgraphId> {
    solution.visits.iter().find(|visit| visit.used).map(|visit| visit.subgraph)
}
