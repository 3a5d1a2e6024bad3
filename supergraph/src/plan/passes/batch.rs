//! Entity fetches of one stage to one subgraph become one request with several `_entities` fields.
//!
//! Input: a draft. Output: groups of its fetches, in an order in which everything comes after what it waits for. Fetches of one stage
//! never wait for each other, so a group waits for nothing of its own; the number of stages stays as it is.
//! A fetch that nothing waits for soon may run later with others of its subgraph, as long as the last stage stays where it is.

use crate::ids::SubgraphId;
use crate::plan::choose::Stage;
use crate::plan::fetches::{Draft, FetchDraft};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// Groups of fetches that are sent together.
pub(in crate::plan) fn batch(draft: &mut Draft) -> Vec<Vec<usize>> {
    settle(draft);
    let mut groups: BTreeMap<(Stage, usize, SubgraphId, Option<usize>), Vec<usize>> = BTreeMap::new();
    let mut first: BTreeMap<(Stage, SubgraphId, usize), usize> = BTreeMap::new();
    for (index, fetch) in draft.fetches.iter().enumerate() {
        // A root's fetch stands alone, and one whose objects may have different values of a context; others with objects to
        // represent come together, where the first of them stands.
        let alone = (fetch.arrivals.is_empty() || !fetch.contexts.is_empty()).then_some(index);
        let place = alone.unwrap_or_else(|| *first.entry((fetch.stage, fetch.subgraph, fetch.part)).or_insert(index));
        groups.entry((fetch.stage, place, fetch.subgraph, alone)).or_default().push(index);
    }
    groups.into_values().collect()
}

/// Moves every fetch to its earliest stage, then those that nobody waits for to a later stage of their subgraph.
fn settle(draft: &mut Draft) {
    let mut order: Vec<usize> = (0..draft.fetches.len()).collect();
    order.sort_by_key(|index| draft.fetches.get(*index).map(|fetch| fetch.stage));
    for index in &order {
        let earliest = draft.fetches.get(*index).map_or(0, |fetch| {
            let stages = fetch.after.iter().filter_map(|other| draft.fetches.get(*other)).map(|other| other.stage + 1);
            stages.max().unwrap_or(0)
        });
        if let Some(fetch) = draft.fetches.get_mut(*index) {
            fetch.stage = earliest;
        }
    }
    let last = draft.fetches.iter().map(|fetch| fetch.stage).max().unwrap_or(0);
    order.sort_by_key(|index| std::cmp::Reverse(draft.fetches.get(*index).map(|fetch| fetch.stage)));
    let waiting = draft.waiting();
    let mut there: FxHashMap<(SubgraphId, Stage, usize), usize> = FxHashMap::default();
    for fetch in draft.fetches.iter().filter(|fetch| can_join(fetch)) {
        *there.entry((fetch.subgraph, fetch.stage, fetch.part)).or_default() += 1;
    }
    for index in order {
        let Some(fetch) = draft.fetches.get(index).filter(|fetch| can_join(fetch)) else { continue };
        let (subgraph, now, part) = (fetch.subgraph, fetch.stage, fetch.part);
        let waiting = waiting.get(index).into_iter().flatten().filter_map(|other| draft.fetches.get(*other));
        let latest = waiting.map(|other| other.stage.saturating_sub(1)).min().unwrap_or(last);
        let beside = |stage: &Stage| {
            let own = usize::from(*stage == now);
            there.get(&(subgraph, *stage, part)).is_some_and(|count| *count > own)
        };
        if let (Some(stage), Some(fetch)) = ((now..=latest).find(beside), draft.fetches.get_mut(index)) {
            fetch.stage = stage;
            there.entry((subgraph, now, part)).and_modify(|count| *count -= 1);
            *there.entry((subgraph, stage, part)).or_default() += 1;
        }
    }
}

/// Whether a fetch can be sent with others: it asks for entities, all of them with the same variables.
fn can_join(fetch: &FetchDraft) -> bool {
    !fetch.arrivals.is_empty() && fetch.contexts.is_empty()
}
