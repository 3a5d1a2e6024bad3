//! Moves deferred fields out of fetches of the parts above: the same subgraph is asked for them once more, later.
//!
//! A root is asked again, entities are represented again, and objects below another field come back by a key of their own, which is
//! then selected where they stand. What has no way back stays where it is, and so does what a key or a requirement needs.
//! Cost: linear in the draft, times the depth of what is moved.

use super::PRIMARY;
use crate::ids::{SubgraphId, TypeId};
use crate::plan::PlanError;
use crate::plan::arrivals::ArrivalDraft;
use crate::plan::condition::ALWAYS;
use crate::plan::fetches::{Drafter, FetchDraft, Pick, VisitDraft};
use crate::plan::selections::SetId;
use crate::plan::shape::TypeSet;
use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;
use std::collections::{BTreeMap, BTreeSet};

/// A pick of a visit: a slot and the static type below it.
type PickKey = (usize, Option<TypeId>);

/// Gives every part the fields that are its own, as far as that is possible.
pub(super) fn split(drafter: &mut Drafter<'_, '_, '_>) -> Result<(), PlanError> {
    // Visits of what is below come after the visit that leads there, and what is moved is looked at again where it comes to stand.
    let mut visit = 0;
    while visit < drafter.draft.visits.len() {
        drafter.chooser.selections.go_on()?;
        for (part, picks) in drafter.deferred_picks(visit) {
            drafter.move_out(visit, part, picks)?;
        }
        visit += 1;
    }
    drafter.raise_stages();
    Ok(())
}

impl Drafter<'_, '_, '_> {
    /// Picks of a visit that belong to parts below that of its fetch.
    fn deferred_picks(&self, visit: usize) -> BTreeMap<usize, Vec<PickKey>> {
        let mut found: BTreeMap<usize, Vec<PickKey>> = BTreeMap::new();
        let Some(draft) = self.draft.visits.get(visit) else { return found };
        let Some(layout) = self.draft.layouts.get(draft.layout) else { return found };
        let own = self.draft.fetches.get(draft.fetch).map_or(PRIMARY, |fetch| fetch.part);
        for (key, pick) in &draft.picks {
            let client = layout.slots.get(key.0).and_then(|slot| slot.client);
            let (Some(set), Some(field), false) = (layout.set, client, pick.internal) else { continue };
            let part = self.deferred.of(set, field);
            if part != own && self.deferred.chain(part).contains(&own) {
                found.entry(part).or_default().push(*key);
            }
        }
        found
    }

    /// Moves picks of a visit to a fetch of their own.
    fn move_out(&mut self, visit: usize, part: usize, mut picks: Vec<PickKey>) -> Result<(), PlanError> {
        let Some(from) = self.draft.visits.get(visit).map(|draft| draft.fetch) else { return Ok(()) };
        let Some(fetch) = self.draft.fetches.get(from).cloned() else { return Ok(()) };
        let is_top = fetch.visit == visit;
        let mut arrivals = fetch.arrivals.clone();
        if is_top {
            let types = self.picked_types(visit, &picks);
            arrivals.iter_mut().for_each(|arrival| arrival.types = both(&arrival.types, &types));
            arrivals.retain(|arrival| !arrival.types.is_empty());
        } else {
            picks.retain(|key| self.is_plain(visit, key, fetch.subgraph));
            let Some(found) = self.way_back(visit, fetch.subgraph, &picks)? else { return Ok(()) };
            arrivals = found;
            // What the key needs stays.
            let is_internal =
                |key: &PickKey| self.draft.visits.get(visit).and_then(|v| v.picks.get(key)).is_none_or(|pick| pick.internal);
            picks.retain(|key| !is_internal(key));
        }
        if picks.is_empty() {
            return Ok(());
        }
        let (stage, after) = if is_top { (fetch.stage, fetch.after) } else { (fetch.stage + 1, BTreeSet::from([from])) };
        let number = self.draft.fetches.len();
        let subgraph = fetch.subgraph;
        let (moved, layouts) = self.take(visit, number, &picks);
        let layout = self.draft.visits.get(visit).map_or(0, |draft| draft.layout);
        let top = self.draft.visits.len();
        self.draft.visits.push(VisitDraft { layout, fetch: number, ty: None, typename: false, picks: moved });
        for waiting in self.draft.fetches.iter_mut().filter(|waiting| waiting.after.contains(&from)) {
            let of = self.draft.visits.get(waiting.visit).map(|visit| visit.layout);
            if of.is_some_and(|layout| layouts.contains(&layout)) {
                waiting.after.insert(number);
            }
        }
        let contexts = BTreeSet::new();
        self.draft.fetches.push(FetchDraft { subgraph, stage, visit: top, arrivals, contexts, after, guard: ALWAYS, part });
        Ok(())
    }

    fn picked_types(&self, visit: usize, picks: &[PickKey]) -> TypeSet {
        let picks = picks.iter().filter_map(|key| self.draft.visits.get(visit)?.picks.get(key));
        TypeSet::new(picks.flat_map(|pick| pick.types.iter().copied()).collect())
    }

    /// Whether the subgraph gives a pick, and all below, to whoever enters by a key.
    fn is_plain(&self, visit: usize, key: &PickKey, subgraph: SubgraphId) -> bool {
        let Some(draft) = self.draft.visits.get(visit) else { return false };
        let slot = self.draft.layouts.get(draft.layout).and_then(|layout| layout.slots.get(key.0));
        let call = slot.and_then(|slot| self.chooser.selections.call(slot.signature));
        let (Some(pick), Some(call)) = (draft.picks.get(key), call) else { return false };
        let options = self.chooser.options;
        let is_given = pick.types.iter().all(|id| options.is_plain(*id, subgraph, call.name_id));
        let below = pick.below.and_then(|below| Some((below, self.draft.visits.get(below)?)));
        is_given && below.is_none_or(|(below, draft)| draft.picks.keys().all(|key| self.is_plain(below, key, subgraph)))
    }

    /// How objects of a visit come back to its subgraph; their keys are selected. `None` if some of them cannot.
    fn way_back(
        &mut self,
        visit: usize,
        subgraph: SubgraphId,
        picks: &[PickKey],
    ) -> Result<Option<Vec<ArrivalDraft>>, PlanError> {
        let Some((ty, layout)) = self.draft.visits.get(visit).and_then(|draft| Some((draft.ty?, draft.layout))) else {
            return Ok(None);
        };
        let options = self.chooser.options;
        let is_told = !options.is_interface_object(ty, subgraph);
        let mut arrivals = Vec::new();
        for id in self.picked_types(visit, picks).iter() {
            let entries = options.entries(id, subgraph, is_told);
            let Some((naming, key)) = entries.first() else { return Ok(None) };
            let set = self.chooser.selections.field_set(&key.fields, id)?;
            let fields = &self.chooser.selections.set(set).fields;
            if !fields.iter().all(|field| field.is_typename() || options.field(id, subgraph, field.name_id).is_some()) {
                return Ok(None);
            }
            let types = TypeSet::new(vec![id]);
            arrivals.push(ArrivalDraft { types, naming: *naming, type_known: is_told, needs: vec![set] });
        }
        for arrival in &arrivals {
            for set in &arrival.needs {
                self.pick_set(visit, subgraph, *set, &arrival.types);
            }
        }
        let has_several = self.draft.layouts.get(layout).is_some_and(|layout| layout.types.len() > 1);
        if let Some(draft) = self.draft.visits.get_mut(visit) {
            draft.typename |= is_told && has_several;
        }
        Ok(Some(arrivals))
    }

    /// Selects a key in a visit.
    fn pick_set(&mut self, visit: usize, subgraph: SubgraphId, set: SetId, types: &TypeSet) {
        let Some(layout) = self.draft.visits.get(visit).map(|draft| draft.layout) else { return };
        for index in 0..self.chooser.selections.set(set).fields.len() {
            let Some(field) = self.chooser.selections.field(set, index).cloned() else { continue };
            if field.is_typename() {
                continue;
            }
            for (slot, types) in self.slots_for(layout, types.clone(), set, index) {
                let ty =
                    types.iter().find_map(|id| self.chooser.options.field(id, subgraph, field.name_id)).map(|at| at.ty.named);
                let child = field.below.and_then(|below| Some((below, self.layout_below(layout, slot, set, index)?, ty?)));
                let Some((below, child, ty)) = child else {
                    self.pick(visit, slot, &types, (set, index), None);
                    continue;
                };
                let inner = self.visit_below(visit, slot, child, ty);
                self.pick(visit, slot, &types, (set, index), Some((ty, inner)));
                let possible = self.chooser.options.possible(ty, subgraph);
                let all = self.chooser.selections.types(self.chooser.selections.set(below).types);
                let types = both(all, possible);
                self.pick_set(inner, subgraph, below, &types);
            }
        }
    }

    /// Takes picks out of a visit, for fetch `number`; and the layouts that are filled below them.
    fn take(
        &mut self,
        visit: usize,
        number: usize,
        picks: &[PickKey],
    ) -> (IndexMap<PickKey, Pick, FxBuildHasher>, BTreeSet<usize>) {
        let mut moved = IndexMap::default();
        let mut open = Vec::new();
        for key in picks {
            let Some(pick) = self.draft.visits.get_mut(visit).and_then(|draft| draft.picks.shift_remove(key)) else { continue };
            if let Some(ty) = key.1 {
                self.entered.remove(&(visit, key.0, ty));
            }
            open.extend(pick.below);
            moved.insert(*key, pick);
        }
        let mut layouts = BTreeSet::new();
        while let Some(below) = open.pop() {
            let Some(draft) = self.draft.visits.get_mut(below) else { continue };
            draft.fetch = number;
            layouts.insert(draft.layout);
            open.extend(draft.picks.values().filter_map(|pick| pick.below));
        }
        (moved, layouts)
    }

    /// Brings every fetch to a stage after all that it waits for.
    fn raise_stages(&mut self) {
        for _ in 0..self.draft.fetches.len() {
            let mut is_changed = false;
            for index in 0..self.draft.fetches.len() {
                let after = self.draft.fetches.get(index).into_iter().flat_map(|fetch| &fetch.after);
                let stages = after.filter_map(|other| self.draft.fetches.get(*other)).map(|other| other.stage + 1);
                let earliest = stages.max().unwrap_or(0);
                if let Some(fetch) = self.draft.fetches.get_mut(index).filter(|fetch| fetch.stage < earliest) {
                    (fetch.stage, is_changed) = (earliest, true);
                }
            }
            if !is_changed {
                break;
            }
        }
    }
}

fn both(some: &TypeSet, others: &TypeSet) -> TypeSet {
    TypeSet::new(some.iter().filter(|id| others.contains(*id)).collect())
}
