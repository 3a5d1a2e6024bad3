//! Which subgraphs objects of one type can be brought to, through which key, and at which stage at the earliest.
//!
//! Input: an object type and the doors of its selection set. Output: [`Reach`], the least fixpoint of "a subgraph is entered one
//! stage after its key is complete" and "a required field is there one stage after its requirement". Cost: rounds (at most the
//! longest chain of keys) times keys. Keys that need other keys first, and fields that need others first, come out of the rounds.

use super::{Chooser, Door, NEVER, Provided, Stage};
use crate::ids::{Id, NameId, SubgraphId, TypeId};
use crate::plan::OperationKind;
use crate::plan::PlanError;
use crate::plan::options::{Naming, top_names};
use crate::plan::selections::SetId;
use rustc_hash::{FxHashMap, FxHashSet};
use std::rc::Rc;

/// A key of a subgraph, how its representations name the type, and the key's number.
type Entrance = (SubgraphId, Naming, SetId, usize);

/// The keys of a type.
#[derive(Debug)]
pub(super) struct Entrances {
    list: Vec<Entrance>,
    /// How many different ones there are.
    kinds: usize,
}

/// A field of a subgraph, what it requires of the object, and the stage at which its arguments from contexts are there.
type Requirement = (SubgraphId, NameId, Option<SetId>, Stage);

/// Fields of subgraphs with arguments from contexts, and the stage at which those are there.
pub(super) type ContextStages = Vec<(NameId, SubgraphId, Stage)>;

/// What can be reached for objects of one type.
#[derive(Clone, Debug, Default)]
pub(super) struct Reach {
    /// Per subgraph: stage and way of the first entity visit.
    entries: Vec<(Stage, Option<(Naming, SetId)>)>,
    /// Stage of required fields, by name and subgraph.
    required: FxHashMap<(NameId, SubgraphId), Stage>,
    /// Stage at which the objects' own type is known.
    pub known: Stage,
    /// Names whose requirements were looked at.
    names: FxHashSet<NameId>,
}

impl Reach {
    /// Stage and way of an entity visit.
    pub fn entry(&self, subgraph: SubgraphId) -> (Stage, Option<(Naming, SetId)>) {
        self.entries.get(subgraph.index()).copied().unwrap_or((NEVER, None))
    }

    /// Stage at which a field with a requirement is there.
    pub fn required(&self, name: NameId, subgraph: SubgraphId) -> Stage {
        self.required.get(&(name, subgraph)).copied().unwrap_or(NEVER)
    }
}

impl Chooser<'_, '_> {
    /// What objects of this type can reach through these doors, with the requirements of these fields considered.
    pub(super) fn reach(
        &mut self,
        (set, object): (SetId, TypeId),
        doors: &Rc<[Door]>,
        names: &[NameId],
    ) -> Result<Rc<Reach>, PlanError> {
        let key = (object, doors.clone(), self.context_stages(set, object));
        let mut known = FxHashSet::default();
        if let Some(reach) = self.reaches.get(&key) {
            if names.iter().all(|name| reach.names.contains(name)) {
                return Ok(reach.clone());
            }
            known.clone_from(&reach.names);
        }
        known.extend(names.iter().copied());
        let names = self.closure(object, known);
        let reach = Rc::new(self.fixpoint(object, doors, names, &key.2)?);
        self.reaches.insert(key, reach.clone());
        Ok(reach)
    }

    /// The names with those that they require and those that keys are made of.
    fn closure(&self, object: TypeId, names: FxHashSet<NameId>) -> FxHashSet<NameId> {
        let mut open: Vec<NameId> = names.into_iter().collect();
        for (_, at) in self.options.supergraph.get_type(object).subgraph_views() {
            open.extend(at.keys.iter().flat_map(|key| top_names(self.options, &key.fields)));
        }
        let mut found = FxHashSet::default();
        while let Some(name) = open.pop() {
            if !found.insert(name) {
                continue;
            }
            for subgraph in self.options.demanding_in(object, name) {
                if let Some(required) = self.options.requirement(object, subgraph, name) {
                    open.extend(top_names(self.options, required));
                }
            }
        }
        found
    }

    fn fixpoint(
        &mut self,
        object: TypeId,
        doors: &Rc<[Door]>,
        names: FxHashSet<NameId>,
        contexts: &ContextStages,
    ) -> Result<Reach, PlanError> {
        let count = self.options.supergraph.subgraphs.len();
        let mut reach = Reach { entries: vec![(NEVER, None); count], required: FxHashMap::default(), known: NEVER, names };
        for door in doors.iter().filter(|door| self.opens(door, object)) {
            if self.tells_type(door, object) {
                reach.known = reach.known.min(door.stage);
            }
        }
        let requirements = self.requirements(object, &reach.names, contexts)?;
        let supergraph = self.options.supergraph;
        let exists = doors.iter().filter(|door| self.opens(door, object)).map(|door| door.stage).min();
        let is_root = [OperationKind::Query, OperationKind::Mutation, OperationKind::Subscription]
            .iter()
            .any(|kind| supergraph.root(*kind) == Some(object) && (doors.is_empty() || *kind == OperationKind::Query));
        if is_root {
            let stage = exists.map_or(0, |stage| stage + 1);
            for subgraph in supergraph.get_type(object).subgraphs.iter() {
                if let Some(entry) = reach.entries.get_mut(subgraph.index()) {
                    *entry = (stage, None);
                }
            }
            reach.known = reach.known.min(stage);
            return Ok(reach);
        }
        let Some(exists) = exists else { return Ok(reach) };
        let entrances = self.entrances(object, reach.known != NEVER)?;
        // Each round that changes something brings at least one subgraph or field closer; the bound only guards against bugs.
        for _ in 0..(2 * (entrances.list.len() + requirements.len()) + 2) {
            if !self.round(object, doors, exists, (&entrances, &requirements), &mut reach)? {
                break;
            }
        }
        Ok(reach)
    }

    /// One round; whether anything came closer.
    fn round(
        &mut self,
        object: TypeId,
        doors: &Rc<[Door]>,
        exists: Stage,
        (entrances, requirements): (&Entrances, &[Requirement]),
        reach: &mut Reach,
    ) -> Result<bool, PlanError> {
        let mut changed = false;
        self.selections.go_on()?;
        // Keys with values as early as the objects. Nothing makes them earlier.
        let mut ready: Vec<bool> = vec![false; entrances.kinds];
        for (subgraph, naming, key, kind) in &entrances.list {
            let known = if *naming == Naming::Concrete { reach.known } else { 0 };
            let is_ready = ready.get(*kind).copied().unwrap_or_default();
            let values = if is_ready { exists } else { self.set_stage(object, *key, doors, reach)? };
            if let Some(ready) = ready.get_mut(*kind) {
                *ready |= values <= exists;
            }
            let stage = values.max(known).max(exists).saturating_add(1);
            if stage == NEVER || stage >= reach.entry(*subgraph).0 {
                continue;
            }
            if let Some(entry) = reach.entries.get_mut(subgraph.index()) {
                *entry = (stage, Some((*naming, *key)));
            }
            if self.options.known_as(object, *subgraph) == Some(object) {
                reach.known = reach.known.min(stage);
            }
            changed = true;
        }
        for (subgraph, name, required, contexts) in requirements {
            let values = match required {
                Some(required) => self.set_stage(object, *required, doors, reach)?.max(*contexts),
                None => *contexts,
            };
            let stage = values.saturating_add(1).max(reach.entry(*subgraph).0);
            if stage != NEVER && stage < reach.required(*name, *subgraph) {
                reach.required.insert((*name, *subgraph), stage);
                changed = true;
            }
        }
        Ok(changed)
    }

    /// Stage at which all fields of a field set are there.
    fn set_stage(&mut self, object: TypeId, set: SetId, doors: &Rc<[Door]>, reach: &Reach) -> Result<Stage, PlanError> {
        let mut latest = 0;
        for index in 0..self.selections.set(set).fields.len() {
            let Some(field) = self.wanted(set, index) else { continue };
            if field.name_id == NameId::TYPENAME {
                latest = latest.max(reach.known);
                continue;
            }
            let mut sources = Vec::new();
            for door in doors.iter() {
                if self.opens(door, object) && self.gives(object, door.subgraph, door.provided, field.name_id) {
                    sources.push((door.subgraph, door.provided, door.stage));
                }
            }
            let doors_count = sources.len();
            let plain = self.options.plain_in(object, field.name_id).map(|subgraph| (subgraph, reach.entry(subgraph).0));
            let demanding = self.options.demanding_in(object, field.name_id);
            let required = demanding.map(|subgraph| (subgraph, reach.required(field.name_id, subgraph)));
            let ways = plain.chain(required).filter(|(_, stage)| *stage != NEVER);
            sources.extend(ways.map(|(subgraph, stage)| (subgraph, Provided::default(), stage)));
            if let Some(ways) = sources.get_mut(doors_count..) {
                ways.sort_unstable_by_key(|(subgraph, ..)| *subgraph);
            }
            latest = latest.max(self.field_stage((object, field.name_id), field.below, &sources)?);
        }
        Ok(latest)
    }

    /// Earliest stage at which a field from one of these sources (or all together) is there with all below.
    fn field_stage(
        &mut self,
        (object, name): (TypeId, NameId),
        below: Option<SetId>,
        sources: &[(SubgraphId, Provided, Stage)],
    ) -> Result<Stage, PlanError> {
        let Some(below) = below else {
            return Ok(sources.iter().map(|source| source.2).min().unwrap_or(NEVER));
        };
        let mut all = Vec::new();
        let mut best = NEVER;
        for (subgraph, provided, stage) in sources {
            let Some(door) = self.door_below(object, *subgraph, name, (*provided, *stage, None)) else { continue };
            all.push(door);
            let solution = self.solve(below, &[door])?;
            if solution.unreachable == 0 {
                best = best.min(solution.complete);
            }
        }
        if best == NEVER && all.len() > 1 {
            let solution = self.solve(below, &all)?;
            if solution.unreachable == 0 {
                best = solution.complete;
            }
        }
        Ok(best)
    }

    /// Keys of the type in every subgraph. Those that are the same have one number, so that their values are looked for once.
    fn entrances(&mut self, object: TypeId, known: bool) -> Result<Rc<Entrances>, PlanError> {
        if let Some(entrances) = self.entrances.get(&(object, known)) {
            return Ok(entrances.clone());
        }
        let (mut list, mut kinds) = (Vec::new(), 0);
        let mut firsts: FxHashMap<u64, Vec<(SetId, usize)>> = FxHashMap::default();
        for subgraph in self.options.supergraph.all_subgraphs().iter() {
            for (naming, key) in self.options.entries(object, subgraph, known) {
                let set = self.selections.field_set(&key.fields, object)?;
                let firsts = firsts.entry(self.hash_of(set)).or_default();
                let known = firsts.iter().find(|(first, _)| self.is_same(*first, set)).map(|(_, kind)| *kind);
                if known.is_none() {
                    firsts.push((set, kinds));
                    kinds += 1;
                }
                list.push((subgraph, naming, set, known.unwrap_or(kinds - 1)));
            }
        }
        let entrances = Rc::new(Entrances { list, kinds });
        self.entrances.insert((object, known), entrances.clone());
        Ok(entrances)
    }

    /// Requirements of the named fields in every subgraph.
    fn requirements(
        &mut self,
        object: TypeId,
        names: &FxHashSet<NameId>,
        contexts: &ContextStages,
    ) -> Result<Vec<Requirement>, PlanError> {
        let mut found = Vec::new();
        let mut names: Vec<NameId> = names.iter().copied().collect();
        names.sort_unstable();
        for name in names {
            for subgraph in self.options.demanding_in(object, name) {
                let Some(at) = self.options.resolved(object, subgraph, name) else { continue };
                let known = contexts.iter().find(|field| field.0 == name && field.1 == subgraph).map(|field| field.2);
                let contexts = if at.context_arguments.is_empty() { Some(0) } else { known };
                let (Some(contexts), false) = (contexts, at.requires.is_none() && at.context_arguments.is_empty()) else {
                    continue;
                };
                let required = at.requires.as_ref().map(|required| self.selections.field_set(required, object)).transpose()?;
                found.push((subgraph, name, required, contexts));
            }
        }
        Ok(found)
    }
}
