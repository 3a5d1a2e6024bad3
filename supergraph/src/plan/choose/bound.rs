//! The least that a selection set can cost, so that a search ends once it has found that.
//!
//! A field that one subgraph alone gives needs a fetch to it, unless a door gives the field. Below a field, every subgraph that could
//! give the field is taken for a door, at the earliest stage at which it could be; so what is needed below is needed whatever is chosen
//! above. Fetches of one subgraph may be one, at the latest stage that any of them needs. A subgraph that alone gives some field is
//! needed at any rate, be it for what is above the field.
//! ```text
//! t { a next { b c } }   doors {s0};  next in s0, a in s1 | s2, b in s1, c in s2 and requires b
//!   => s1 at stage 1, s2 at stage 2
//! ```
//! Relied on by the search in `choose` and by `revise`; relies on `reach`.

use super::reach::Reach;
use super::{Chooser, Class, Cost, Door, NEVER, Provided, Solution, Stage};
use crate::ids::{SubgraphId, SubgraphSet};
use crate::plan::PlanError;
use crate::plan::selections::{SelectedField, SetId};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Fetches that every solution has.
#[derive(Clone, Debug, Default)]
pub(super) struct Bound {
    /// Subgraphs asked for fields of a root, which is only done at stage 0.
    roots: BTreeSet<SubgraphId>,
    /// Subgraphs asked for objects, and the stage that the latest of their fetches has at least.
    entities: BTreeMap<SubgraphId, Stage>,
    /// Subgraphs of which each alone gives some field: somebody asks them, or came through them.
    pub alone: BTreeSet<SubgraphId>,
}

/// What a solution has at least.
#[derive(Clone, Debug, Default)]
pub(super) struct Least {
    /// What every solution has.
    pub bound: Bound,
    /// What this one has.
    pub fetches: BTreeSet<(Stage, SubgraphId)>,
    /// Fields for which there is no way.
    pub unreachable: usize,
    /// The last stage known.
    pub complete: Stage,
}

impl Least {
    /// Adds a solution of a selection set below.
    pub fn add(&mut self, solution: &Solution) {
        self.fetches.extend(&solution.fetches);
        self.unreachable += solution.unreachable;
        self.complete = self.complete.max(solution.complete);
    }
}

/// Ways to a field: subgraphs outside the doors that give it, each with the earliest stage.
type Ways = Vec<(Stage, SubgraphId)>;

impl Bound {
    /// Whether one of a solution's fetches is needed as it is: no other stands for it, and it cannot be earlier. One that comes
    /// before the needed one of its subgraph is joined with that later (`passes::batch`), if it can be.
    pub fn needs(&self, (stage, subgraph): (Stage, SubgraphId), fetches: &BTreeSet<(Stage, SubgraphId)>) -> bool {
        if stage == 0 {
            let is_single = || fetches.iter().filter(|(_, of)| *of == subgraph).count() == 1;
            return self.roots.contains(&subgraph) || (self.alone.contains(&subgraph) && is_single());
        }
        let is_last = || !fetches.iter().any(|(other, of)| *of == subgraph && *other > stage);
        self.entities.get(&subgraph).is_some_and(|needed| stage < *needed || (stage == *needed && is_last()))
    }

    /// Subgraphs that somebody asks, or came through.
    pub fn subgraphs(&self) -> SubgraphSet {
        self.roots.iter().chain(self.entities.keys()).chain(&self.alone).copied().collect()
    }

    /// The last stage that every solution has.
    fn complete(&self) -> Stage {
        self.entities.values().copied().max().unwrap_or(0)
    }

    /// Whether a fetch of the subgraph is among those that every solution has.
    fn counts(&self, subgraph: SubgraphId) -> bool {
        self.roots.contains(&subgraph) || self.entities.contains_key(&subgraph)
    }

    fn add(&mut self, is_root: bool, stage: Stage, subgraph: SubgraphId) {
        if is_root {
            self.roots.insert(subgraph);
        } else {
            let known = self.entities.entry(subgraph).or_insert(stage);
            *known = stage.max(*known);
        }
    }

    pub fn merge(&mut self, other: &Self) {
        self.roots.extend(&other.roots);
        self.alone.extend(&other.alone);
        other.entities.iter().for_each(|(subgraph, stage)| self.add(false, *stage, *subgraph));
    }
}

impl Chooser<'_, '_> {
    /// What every solution of `set` through `doors` fetches. Arguments from contexts are not considered: with them it is nothing.
    pub(super) fn bound(&mut self, set: SetId, doors: &[Door]) -> Result<Rc<Bound>, PlanError> {
        if !self.options.supergraph.contexts.is_empty() || self.nesting >= super::MAX_NESTING {
            return Ok(Rc::default());
        }
        let set = self.representative(set);
        if let Some(known) = self.bounds.get(&set).and_then(|known| known.get(doors)) {
            return Ok(known.clone());
        }
        let doors: Rc<[Door]> = doors.into();
        // A requirement that leads back here needs nothing more.
        self.bounds.entry(set).or_default().insert(doors.clone(), Rc::default());
        self.nesting += 1;
        let bound = self.bound_of(set, &doors).map(Rc::new);
        self.nesting -= 1;
        let bound = bound?;
        self.bounds.entry(set).or_default().insert(doors, bound.clone());
        Ok(bound)
    }

    /// The least of what [`Chooser::cost`] tells of a solution with these fetches.
    pub(super) fn least(&self, least: &Least, doors: &[Door]) -> Cost {
        let Least { bound, fetches, unreachable, .. } = least;
        let there = || self.free.iter().chain(fetches);
        let mut weight: u64 = fetches.iter().map(|(stage, subgraph)| self.weight(*stage, *subgraph)).sum();
        for subgraph in bound.roots.iter().filter(|subgraph| !fetches.contains(&(0, **subgraph))) {
            weight += self.weight(0, *subgraph);
        }
        for (subgraph, stage) in &bound.entities {
            let is_there = there().any(|(other, of)| of == subgraph && other >= stage);
            weight += if is_there { 0 } else { self.weight(*stage, *subgraph) };
        }
        let first = doors.iter().map(|door| door.stage).min().unwrap_or(0);
        let earliest = first + Stage::from(!doors.is_empty());
        let last = fetches.last().map_or(0, |(stage, _)| *stage);
        let mut complete = bound.complete().max(first).max(last).max(least.complete);
        let is_door = |subgraph: SubgraphId| doors.iter().any(|door| door.subgraph == subgraph);
        for subgraph in bound.alone.iter().filter(|subgraph| !bound.counts(**subgraph) && !is_door(**subgraph)) {
            let is_there = there().any(|(_, of)| of == subgraph);
            weight += if is_there { 0 } else { self.weight(earliest, *subgraph) };
            complete = complete.max(earliest);
        }
        (*unreachable, weight, complete)
    }

    fn bound_of(&mut self, set: SetId, doors: &Rc<[Door]>) -> Result<Bound, PlanError> {
        self.selections.go_on()?;
        let mut bound = Bound::default();
        let mut below: FxHashMap<usize, Vec<Door>> = FxHashMap::default();
        for class in self.live_classes(set, doors).iter() {
            let names = self.names_beyond_doors(set, doors, class);
            let reach = self.reach((set, class.example), doors, &names)?;
            for index in &class.fields {
                let selections = &*self.selections;
                let Some(field) = selections.field(set, *index).filter(|field| field.is_fetched()) else { continue };
                let (field, is_given) = (field.clone(), self.given_by_door(doors, class, field));
                let ways = self.ways(class, &reach, &field);
                if let (false, [(stage, only)]) = (is_given, ways.as_slice()) {
                    bound.add(doors.is_empty(), *stage, *only);
                }
                bound.alone.extend(self.only_giver(class, doors, &field, &ways));
                if field.below.is_some() {
                    let open = self.all_doors_below(class, doors, &field, &ways);
                    below.entry(*index).or_default().extend(open);
                }
            }
        }
        for (index, doors) in below {
            let Some(set) = self.selections.field(set, index).and_then(|field| field.below) else { continue };
            if !doors.is_empty() {
                let needed = self.bound(set, &earliest(doors))?;
                bound.merge(&needed);
            }
        }
        Ok(bound)
    }

    /// Subgraphs that give a field once objects of the class are there.
    fn ways(&self, class: &Class, reach: &Reach, field: &SelectedField) -> Ways {
        let (object, name) = (class.example, field.name_id);
        let plain = self.options.plain_in(object, name).map(|subgraph| (reach.entry(subgraph).0, subgraph));
        let demanding = self.options.demanding_in(object, name).map(|subgraph| (reach.required(name, subgraph), subgraph));
        let mut ways: Ways = plain.chain(demanding).filter(|(stage, _)| *stage != NEVER).collect();
        ways.sort_unstable_by_key(|(_, subgraph)| *subgraph);
        ways
    }

    /// The subgraph of all doors and ways that give a field, if it is only one.
    fn only_giver(&self, class: &Class, doors: &[Door], field: &SelectedField, ways: &Ways) -> Option<SubgraphId> {
        let gives = |door: &&Door| self.given_by_door(std::slice::from_ref(*door), class, field);
        let mut givers = doors.iter().filter(gives).map(|door| door.subgraph).chain(ways.iter().map(|(_, subgraph)| *subgraph));
        let first = givers.next()?;
        givers.all(|other| other == first).then_some(first)
    }

    /// The doors below a field through every door and every way.
    fn all_doors_below(&mut self, class: &Class, doors: &[Door], field: &SelectedField, ways: &Ways) -> Vec<Door> {
        let object = class.example;
        let giving = doors.iter().filter(|door| self.opens(door, object));
        let mut from: Vec<(SubgraphId, Provided, Stage)> =
            giving.map(|door| (door.subgraph, door.provided, door.stage)).collect();
        from.extend(ways.iter().map(|(stage, subgraph)| (*subgraph, Provided::default(), *stage)));
        from.into_iter()
            .filter_map(|(subgraph, provided, stage)| self.door_below(object, subgraph, field.name_id, (provided, stage, None)))
            .collect()
    }
}

/// Each door once, at its earliest stage, in the order of the search.
fn earliest(mut doors: Vec<Door>) -> Vec<Door> {
    doors.sort_unstable_by_key(|door| (door.stage, door.subgraph));
    let mut kept: Vec<Door> = Vec::new();
    for door in doors {
        if !kept.iter().any(|known| Door { stage: door.stage, ..*known } == door) {
            kept.push(door);
        }
    }
    kept
}
