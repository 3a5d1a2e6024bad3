//! Placing one field: from a visit that is there already, from a new visit, or after what it requires.
//!
//! A new visit only relies on what is there or is brought one stage nearer to the doors (`reach`), so nothing waits in circles.
//! Relied on by `attempt`.

use super::attempt::Attempt;
use super::{Arrival, NEVER, Provided, Stage, Step, Visit};
use crate::ids::{NameId, SubgraphId};
use crate::plan::PlanError;
use crate::plan::options::Naming;
use crate::plan::selections::{SetId, Wanted};

/// A placed field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fact {
    /// The step that takes it.
    pub step: usize,
    /// When it is there.
    pub stage: Stage,
}

/// Field sets to be sent, the steps that give them, and when they are there.
#[derive(Clone, Debug, Default)]
pub(super) struct Needs {
    pub sets: Vec<SetId>,
    pub inputs: Vec<usize>,
    pub stage: Stage,
    /// The objects' own type is among the inputs.
    pub type_known: bool,
}

impl Attempt<'_, '_, '_> {
    /// Places a field for the objects of a class; new visits must be reachable before stage `bound`.
    pub fn obtain(&mut self, class: usize, set: SetId, field: usize, bound: Stage) -> Result<Option<Fact>, PlanError> {
        let Some(selected) = self.chooser.selections.field(set, field) else { return Ok(None) };
        if selected.is_typename() {
            return self.typename(class, true, bound);
        }
        let below = selected.below;
        let key = (class, selected.signature, below, (set == self.set).then_some(field));
        if let Some(fact) = self.facts.get(&key) {
            return Ok(Some(*fact));
        }
        let fact = match below {
            None => self.leaf(class, set, field, bound)?,
            Some(below) => self.object(class, set, field, below, bound)?,
        };
        if let Some(fact) = fact {
            self.facts.insert(key, fact);
        }
        Ok(fact)
    }

    fn leaf(&mut self, class: usize, set: SetId, field: usize, bound: Stage) -> Result<Option<Fact>, PlanError> {
        let Some(selected) = self.chooser.wanted(set, field) else { return Ok(None) };
        let there = self.sources(class, selected).into_iter().min_by_key(|visit| (self.stage(*visit), *visit));
        let visit = match there {
            Some(visit) => Some(visit),
            None => self.open_source(class, set, field, bound)?,
        };
        Ok(visit.map(|visit| {
            let stage = self.stage(visit);
            self.steps.push(Step::Leaf { class, set, field, visit });
            Fact { step: self.steps.len() - 1, stage }
        }))
    }

    fn object(&mut self, class: usize, set: SetId, field: usize, below: SetId, bound: Stage) -> Result<Option<Fact>, PlanError> {
        let (mut visits, mut doors) = self.doors_below(class, set, field);
        let mut solution = if doors.is_empty() { None } else { Some(self.chooser.solve(below, &doors)?) };
        let Some(name) = self.chooser.wanted(set, field).map(|field| field.name_id) else { return Ok(None) };
        for subgraph in self.candidates(class, name, bound) {
            if solution.as_ref().is_some_and(|solution| solution.unreachable == 0) {
                break;
            }
            if self.enter(class, subgraph, None)?.is_some() {
                (visits, doors) = self.doors_below(class, set, field);
                solution = Some(self.chooser.solve(below, &doors)?);
            }
        }
        if solution.is_none() && self.open_source(class, set, field, bound)?.is_some() {
            (visits, doors) = self.doors_below(class, set, field);
            solution = Some(self.chooser.solve(below, &doors)?);
        }
        let Some(solution) = solution.filter(|solution| solution.unreachable == 0) else { return Ok(None) };
        let stage = solution.complete;
        self.steps.push(Step::Object { classes: vec![class], set, field, doors: visits, solution });
        Ok(Some(Fact { step: self.steps.len() - 1, stage }))
    }

    /// Opens a source for a client field with selections below, if it has none.
    pub fn ensure_source(&mut self, class: usize, field: usize) -> Result<(), PlanError> {
        let Some(wanted) = self.chooser.wanted(self.set, field) else { return Ok(()) };
        let is_there = |visit: usize| self.gives(class, wanted, visit);
        if !(0..self.visits.len()).any(is_there) && !self.required.contains_key(&(class, wanted.signature)) {
            self.open_source(class, self.set, field, NEVER)?;
        }
        Ok(())
    }

    /// Makes a visit that gives a field: without requirement if possible, preferred subgraphs first, then the earliest.
    fn open_source(&mut self, class: usize, set: SetId, field: usize, bound: Stage) -> Result<Option<usize>, PlanError> {
        let Some(selected) = self.chooser.wanted(set, field) else { return Ok(None) };
        let types = if selected.is_ambiguous { self.types_first(class)? } else { None };
        for subgraph in self.candidates(class, selected.name_id, bound) {
            if let Some(visit) = self.enter(class, subgraph, types.clone())? {
                return Ok(Some(visit));
            }
        }
        let Some(example) = self.classes.get(class).map(|class| class.example) else { return Ok(None) };
        let Some(reach) = self.reach.get(class).cloned() else { return Ok(None) };
        let mut ways: Vec<(bool, Stage, SubgraphId)> = Vec::new();
        for subgraph in self.chooser.options.demanding_in(example, selected.name_id) {
            let stage = reach.required(selected.name_id, subgraph);
            if stage < bound {
                ways.push((!self.choice.prefer.contains(&subgraph), stage, subgraph));
            }
        }
        ways.sort_unstable();
        for (_, stage, subgraph) in ways {
            let mut needs = Needs::default();
            if let Some(required) = self.chooser.options.requirement(example, subgraph, selected.name_id) {
                let required = self.chooser.selections.field_set(required, example)?;
                let Some(found) = self.needs(class, required, stage)? else { continue };
                needs = found;
            }
            let arguments = self.chooser.contexts.arguments(self.set, example, subgraph, selected.name_id);
            let contexts = arguments.iter().map(|(_, id)| self.chooser.context_stage(*id)).max();
            needs.stage = needs.stage.max(contexts.unwrap_or(0));
            if let Some(visit) = self.enter(class, subgraph, Some(needs))? {
                self.required.insert((class, selected.signature), visit);
                return Ok(Some(visit));
            }
        }
        Ok(self.blurred_source(class, selected))
    }

    /// A visit that gives an ambiguous field without knowing the types, if there is no other.
    fn blurred_source(&mut self, class: usize, field: Wanted) -> Option<usize> {
        if field.is_ambiguous {
            self.blurred.insert((class, field.signature));
        }
        self.sources(class, field).into_iter().min_by_key(|visit| (self.stage(*visit), *visit))
    }

    /// Where the types of a class's objects are fetched, as something that a visit needs.
    fn types_first(&mut self, class: usize) -> Result<Option<Needs>, PlanError> {
        let fact = self.typename(class, true, NEVER)?;
        Ok(fact.map(|fact| Needs { sets: Vec::new(), inputs: vec![fact.step], stage: fact.stage, type_known: true }))
    }

    /// Subgraphs outside the visits that give a field without requirement, best first.
    fn candidates(&self, class: usize, name: NameId, bound: Stage) -> Vec<SubgraphId> {
        let (Some(example), Some(reach)) = (self.classes.get(class).map(|class| class.example), self.reach.get(class)) else {
            return Vec::new();
        };
        let mut found: Vec<(bool, Stage, SubgraphId)> = Vec::new();
        for subgraph in self.chooser.options.plain_in(example, name) {
            let stage = reach.entry(subgraph).0;
            if stage < bound {
                found.push((!self.choice.prefer.contains(&subgraph), stage, subgraph));
            }
        }
        found.sort_unstable();
        found.into_iter().map(|(.., subgraph)| subgraph).collect()
    }

    /// Visits that give a field of a class without requirement.
    pub fn sources(&self, class: usize, field: Wanted) -> Vec<usize> {
        let Some(example) = self.classes.get(class).map(|class| class.example) else { return Vec::new() };
        let plain = self.chooser.options.all_plain_in(example, field.name_id);
        let may_give = |visit: &Visit| {
            visit.provided != Provided::default() || plain.contains(visit.subgraph) || !self.chooser.contexts.is_empty()
        };
        let visits = self.visits.iter().enumerate().filter(|(_, visit)| may_give(visit));
        visits.map(|(index, _)| index).filter(|index| self.gives(class, field, *index)).collect()
    }

    /// Whether a visit gives a field of a class without requirement.
    fn gives(&self, class: usize, field: Wanted, index: usize) -> bool {
        let (Some(example), Some(visit)) = (self.classes.get(class).map(|class| class.example), self.visits.get(index)) else {
            return false;
        };
        self.has_class(index, class)
            && (self.chooser.gives(example, visit.subgraph, visit.provided, field.name_id)
                || self.chooser.gives_in_context(self.set, example, visit, field.name_id))
            && (!field.is_ambiguous
                || self.blurred.contains(&(class, field.signature))
                || self.tells_type(index, class)
                || enters_by_type(visit, class))
    }

    /// Whether objects of a class are there in a visit.
    pub fn has_class(&self, index: usize, class: usize) -> bool {
        match self.doors.get(index) {
            Some(door) => self.classes.get(class).is_some_and(|class| self.chooser.opens(door, class.example)),
            None => self.visits.get(index).is_some_and(|visit| visit.arrivals.iter().any(|arrival| arrival.class == class)),
        }
    }

    /// A visit of this subgraph with objects of this class.
    pub fn source_in(&self, class: usize, subgraph: SubgraphId) -> Option<usize> {
        let there = |index: &usize| {
            self.visits.get(*index).is_some_and(|visit| visit.subgraph == subgraph) && self.has_class(*index, class)
        };
        (0..self.visits.len()).find(there)
    }

    /// Places all fields of a field set.
    pub fn needs(&mut self, class: usize, set: SetId, bound: Stage) -> Result<Option<Needs>, PlanError> {
        let mut needs = Needs { sets: vec![set], ..Needs::default() };
        for index in 0..self.chooser.selections.set(set).fields.len() {
            let Some(fact) = self.obtain(class, set, index, bound)? else { return Ok(None) };
            needs.inputs.push(fact.step);
            needs.stage = needs.stage.max(fact.stage);
        }
        Ok(Some(needs))
    }

    /// Brings objects of a class to a subgraph by an entity visit, with more in the representation where needed.
    pub fn enter(&mut self, class: usize, subgraph: SubgraphId, more: Option<Needs>) -> Result<Option<usize>, PlanError> {
        if more.is_none() {
            let entities = self.doors.len()..self.visits.len();
            let there = entities.clone().find(|index| {
                self.visits.get(*index).is_some_and(|visit| visit.subgraph == subgraph) && self.has_class(*index, class)
            });
            if there.is_some() {
                return Ok(there);
            }
        }
        let Some((naming, mut needs)) = self.key(class, subgraph)? else { return Ok(None) };
        if let Some(more) = more {
            needs.stage = needs.stage.max(more.stage);
            needs.sets.extend(more.sets);
            needs.inputs.extend(more.inputs);
        }
        let stage = match naming {
            Naming::Root => self.reach.get(class).map_or(0, |reach| reach.entry(subgraph).0),
            _ => self.chooser.with_free(needs.stage.saturating_add(1), subgraph),
        };
        let fits = |index: &usize| {
            self.visits.get(*index).is_some_and(|visit| visit.subgraph == subgraph && visit.stage >= stage)
                && !needs.sets.iter().any(|set| self.contradicts(*index, class, *set))
        };
        let there = (self.doors.len()..self.visits.len()).filter(fits).min_by_key(|index| self.stage(*index));
        let visit = there.unwrap_or_else(|| {
            let entered = (naming != Naming::Root && !self.chooser.contexts.is_empty()).then_some(self.set);
            let provided = Default::default();
            let visit = Visit { subgraph, stage, provided, door: None, entered, arrivals: Vec::new(), used: false };
            self.visits.push(visit);
            self.visits.len() - 1
        });
        self.add_arrival(visit, Arrival { class, naming, type_known: needs.type_known, needs: needs.sets, inputs: needs.inputs });
        Ok(Some(visit))
    }

    /// Chooses a key of a subgraph whose fields are there, or else the one that is complete first, and places its fields.
    fn key(&mut self, class: usize, subgraph: SubgraphId) -> Result<Option<(Naming, Needs)>, PlanError> {
        let (Some(example), Some(reach)) = (self.classes.get(class).map(|class| class.example), self.reach.get(class).cloned())
        else {
            return Ok(None);
        };
        let (stage, way) = reach.entry(subgraph);
        if stage == NEVER {
            return Ok(None);
        }
        let Some((mut naming, mut key)) = way else { return Ok(Some((Naming::Root, Needs::default()))) };
        let mut best: Option<Stage> = None;
        for (other, candidate) in self.chooser.options.entries(example, subgraph, self.type_known(class)) {
            let set = self.chooser.selections.field_set(&candidate.fields, example)?;
            let ready = self.ready(class, set, other)?;
            if ready.is_some_and(|stage| best.is_none_or(|known| stage < known)) {
                (naming, key, best) = (other, set, ready);
            }
        }
        let Some(mut needs) = self.needs(class, key, stage)? else { return Ok(None) };
        needs.type_known = self.type_known(class);
        if let Some(fact) = self.typename(class, needs.type_known || naming == Naming::Concrete, stage)? {
            needs.inputs.push(fact.step);
            needs.stage = needs.stage.max(fact.stage);
        } else {
            return Ok(None);
        }
        Ok(Some((naming, needs)))
    }

    /// Stage at which a key is complete with what is there; `None` if something would have to be fetched for it.
    fn ready(&mut self, class: usize, key: SetId, naming: Naming) -> Result<Option<Stage>, PlanError> {
        if naming == Naming::Concrete && !self.type_known(class) {
            return Ok(None);
        }
        let mut latest = 0;
        for index in 0..self.chooser.selections.set(key).fields.len() {
            let Some(field) = self.chooser.wanted(key, index) else { return Ok(None) };
            if field.name_id == NameId::TYPENAME {
                continue;
            }
            let stage = match (self.facts.get(&(class, field.signature, field.below, None)), field.below) {
                (Some(fact), _) => Some(fact.stage),
                (None, None) => self.sources(class, field).into_iter().map(|visit| self.stage(visit)).min(),
                (None, Some(below)) => {
                    let (_, doors) = self.doors_below(class, key, index);
                    let solution = self.chooser.solve(below, &doors)?;
                    let is_free = !doors.is_empty() && solution.unreachable == 0 && solution.fetches.is_empty();
                    is_free.then_some(solution.complete)
                }
            };
            let Some(stage) = stage else { return Ok(None) };
            latest = latest.max(stage);
        }
        Ok(Some(latest))
    }

    /// Whether a visit tells the own type of a class's objects.
    fn type_known(&self, class: usize) -> bool {
        (0..self.visits.len()).any(|index| self.tells_type(index, class))
    }

    fn tells_type(&self, index: usize, class: usize) -> bool {
        let (Some(visit), Some(example)) = (self.visits.get(index), self.classes.get(class).map(|class| class.example)) else {
            return false;
        };
        self.has_class(index, class) && self.chooser.options.known_as(example, visit.subgraph) == Some(example)
    }

    /// Takes `__typename` from a visit; from one that tells the object's own type if it `must_tell`.
    pub fn typename(&mut self, class: usize, must_tell: bool, bound: Stage) -> Result<Option<Fact>, PlanError> {
        let there: Vec<usize> = (0..self.visits.len()).filter(|index| self.has_class(*index, class)).collect();
        let telling = there.iter().copied().filter(|index| self.tells_type(*index, class));
        let mut found = telling.min_by_key(|index| (self.stage(*index), *index));
        if found.is_none() && !must_tell {
            found = there.iter().copied().min_by_key(|index| (self.stage(*index), *index));
        }
        if found.is_none() && must_tell {
            found = self.open_telling(class, bound)?;
        }
        Ok(found.map(|visit| {
            let step = self.steps.iter().position(
                |step| matches!(step, Step::Typename { class: other, visit: known } if *other == class && *known == visit),
            );
            let step = step.unwrap_or_else(|| {
                self.steps.push(Step::Typename { class, visit });
                self.steps.len() - 1
            });
            Fact { step, stage: self.stage(visit) }
        }))
    }

    /// Enters a subgraph that has the interface with its implementations.
    fn open_telling(&mut self, class: usize, bound: Stage) -> Result<Option<usize>, PlanError> {
        let (Some(example), Some(reach)) = (self.classes.get(class).map(|class| class.example), self.reach.get(class).cloned())
        else {
            return Ok(None);
        };
        let mut ways: Vec<(bool, Stage, SubgraphId)> = Vec::new();
        for subgraph in self.chooser.options.supergraph.get_type(example).subgraphs.iter() {
            let (stage, way) = reach.entry(subgraph);
            if stage < bound && way.is_some_and(|(naming, _)| naming != Naming::Concrete) {
                ways.push((!self.choice.prefer.contains(&subgraph), stage, subgraph));
            }
        }
        ways.sort_unstable();
        for (.., subgraph) in ways {
            if let Some(visit) = self.enter(class, subgraph, None)? {
                return Ok(Some(visit));
            }
        }
        Ok(None)
    }

    /// Whether a representation of the visit already holds another value under a name of this field set.
    pub fn contradicts(&self, visit: usize, class: usize, set: SetId) -> bool {
        let arrivals = self.visits.get(visit).map_or(&[][..], |visit| &visit.arrivals);
        let same = arrivals.iter().filter(|arrival| arrival.class == class);
        same.flat_map(|arrival| &arrival.needs).any(|known| self.chooser.selections.differ(*known, set))
    }
}

/// Whether the objects of a class come to a visit after their types are known.
fn enters_by_type(visit: &Visit, class: usize) -> bool {
    visit.arrivals.iter().any(|arrival| arrival.class == class && arrival.type_known)
}
