//! One try to answer a selection set with given subgraphs preferred: leaves first, then the fields with selections below.
//!
//! Relies on `place`, which finds a source for one field at a time; relied on by the search in `choose`.

use super::bound::Least;
use super::place::Fact;
use super::task::{Pending, Task};
use super::{Arrival, Chooser, Class, Cost, Door, Reach, Solution, Stage, Step, Visit};
use crate::ids::{NameId, SubgraphId};
use crate::plan::PlanError;
use crate::plan::contexts::UseId;
use crate::plan::selections::{SelectedField, SetId, Signature};
use indexmap::IndexMap;
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use std::collections::BTreeSet;
use std::rc::Rc;

/// What a try is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// Subgraphs to be asked before others.
    pub prefer: Vec<SubgraphId>,
    /// Whether an early visit of a subgraph that nobody waits for is joined with a later one.
    pub late: bool,
}

/// A solution under construction.
pub(super) struct Attempt<'c, 'a, 's> {
    pub chooser: &'c mut Chooser<'a, 's>,
    pub set: SetId,
    pub doors: Rc<[Door]>,
    pub classes: Rc<Vec<Class>>,
    pub choice: &'c Choice,
    pub reach: Vec<Rc<Reach>>,
    pub visits: Vec<Visit>,
    pub steps: Vec<Step>,
    /// Placed fields by class and value; the client's own also by their place, since several may have one value.
    pub facts: FxHashMap<(usize, Signature, Option<SetId>, Option<usize>), Fact>,
    /// Visits that give a required field.
    pub required: FxHashMap<(usize, Signature), usize>,
    /// Ambiguous fields of classes that nobody who knows the types gives: they are taken from who does not.
    pub blurred: FxHashSet<(usize, Signature)>,
    pub unreachable: usize,
    /// Steps that the client's fields need.
    pub wanted: Vec<usize>,
    /// Values for uses of contexts below, and the steps that give them.
    pub contexts: Vec<(UseId, Vec<usize>)>,
}

/// A field with the visits that give it and the doors that they open below.
type Opened = (usize, Vec<usize>, Vec<Door>);

/// What a try came to.
pub(super) struct Tried {
    /// `None` if it was given up.
    pub solution: Option<Solution>,
    /// Whether objects are brought to a subgraph at two stages.
    pub visits_twice: bool,
}

impl Chooser<'_, '_> {
    /// Tries to do a task as `choice` says. It is given up once it is certain that it costs no less than `limit`.
    pub(super) fn attempt(&mut self, task: &mut Task, choice: &Choice, limit: Option<Cost>) -> Result<Tried, PlanError> {
        self.selections.go_on()?;
        let reach = self.reach_of(task, !choice.prefer.is_empty())?;
        let visits = task.doors.iter().map(|door| Visit {
            subgraph: door.subgraph,
            stage: door.stage,
            provided: door.provided,
            door: Some(door.ty),
            entered: door.entered,
            arrivals: Vec::new(),
            used: false,
        });
        let mut attempt = Attempt {
            visits: visits.collect(),
            chooser: self,
            set: task.set,
            doors: task.doors.clone(),
            classes: task.classes.clone(),
            choice,
            reach,
            steps: Vec::new(),
            facts: FxHashMap::default(),
            required: FxHashMap::default(),
            blurred: FxHashSet::default(),
            unreachable: 0,
            wanted: Vec::new(),
            contexts: Vec::new(),
        };
        if !attempt.run(task, limit)? {
            return Ok(Tried { visits_twice: visits_twice(&attempt.visits, task.doors.len()), solution: None });
        }
        let solution = attempt.finish();
        Ok(Tried { visits_twice: visits_twice(&solution.visits, task.doors.len()), solution: Some(solution) })
    }

    /// Names of the fields of a class that no door gives.
    pub(super) fn names_beyond_doors(&self, set: SetId, doors: &[Door], class: &Class) -> Vec<NameId> {
        let fields = class.fields.iter().filter_map(|index| self.selections.field(set, *index));
        let beyond = fields.filter(|field| field.is_fetched() && !self.given_by_door(doors, class, field));
        let mut names: Vec<NameId> = beyond.map(|field| field.name_id).collect();
        let setters = self.contexts.demands(set).iter().flat_map(|(_, setters)| setters);
        for (_, demanded) in setters.filter(|(setter, _)| *setter == class.example) {
            let fields = self.selections.set(*demanded).fields.iter();
            let beyond = fields.filter(|field| !field.is_typename() && !self.given_by_door(doors, class, field));
            names.extend(beyond.map(|field| field.name_id));
        }
        names
    }

    /// Whether some door gives a field.
    pub(super) fn given_by_door(&self, doors: &[Door], class: &Class, field: &SelectedField) -> bool {
        doors.iter().any(|door| {
            self.opens(door, class.example)
                && self.gives(class.example, door.subgraph, door.provided, field.name_id)
                && (!field.is_ambiguous || self.tells_type(door, class.example))
        })
    }
}

impl Attempt<'_, '_, '_> {
    /// Whether it came to an end below the limit.
    fn run(&mut self, task: &Task, limit: Option<Cost>) -> Result<bool, PlanError> {
        let classes = self.classes.clone();
        self.enter_preferred(&classes)?;
        for (class, field) in task.leaves.iter() {
            match self.obtain(*class, self.set, *field, super::NEVER)? {
                Some(fact) => self.wanted.push(fact.step),
                None => self.unreachable += 1,
            }
        }
        for (class, field) in task.pending.iter() {
            self.ensure_source(*class, *field)?;
        }
        self.tell_types(&classes)?;
        if self.choice.late {
            self.join_late();
        }
        self.supply_contexts()?;
        self.descend(&task.pending, limit)
    }

    /// Enters preferred subgraphs that give a field with selections below, so that those find the door open.
    fn enter_preferred(&mut self, classes: &[Class]) -> Result<(), PlanError> {
        for subgraph in self.choice.prefer.clone() {
            for (index, class) in classes.iter().enumerate() {
                let useful =
                    class.fields.iter().filter_map(|field| self.chooser.selections.field(self.set, *field)).any(|field| {
                        field.below.is_some() && self.chooser.options.is_plain(class.example, subgraph, field.name_id)
                    });
                if useful && self.source_in(index, subgraph).is_none() {
                    self.enter(index, subgraph, None)?;
                }
            }
        }
        Ok(())
    }

    /// The types must be known where the client can see them.
    fn tell_types(&mut self, classes: &[Class]) -> Result<(), PlanError> {
        let several = classes.iter().map(|class| class.types.len()).sum::<usize>() > 1;
        let set = self.chooser.selections.set(self.set);
        let all = set.types;
        let visible = set.fields.iter().any(|field| field.is_typename() || field.types != all);
        if !several || !visible || self.doors.is_empty() {
            return Ok(());
        }
        for class in 0..classes.len() {
            match self.typename(class, true, super::NEVER)? {
                Some(fact) => self.wanted.push(fact.step),
                None => self.unreachable += 1,
            }
        }
        Ok(())
    }

    /// Moves what an early visit gives to a later visit of the same subgraph, unless another visit waits for it.
    fn join_late(&mut self) {
        for early in self.doors.len()..self.visits.len() {
            if self.is_input(early) {
                continue;
            }
            let Some(visit) = self.visits.get(early).cloned() else { continue };
            let later =
                self.visits.iter().enumerate().skip(self.doors.len()).find(|(_, other)| {
                    other.subgraph == visit.subgraph && other.stage > visit.stage && !other.arrivals.is_empty()
                });
            let Some((late, _)) = later else { continue };
            if visit.arrivals.iter().any(|arrival| arrival.needs.iter().any(|need| self.contradicts(late, arrival.class, *need)))
            {
                continue;
            }
            for step in &mut self.steps {
                if let Step::Leaf { visit, .. } | Step::Typename { visit, .. } = step
                    && *visit == early
                {
                    *visit = late;
                }
            }
            self.required.values_mut().filter(|visit| **visit == early).for_each(|visit| *visit = late);
            for arrival in visit.arrivals {
                self.add_arrival(late, arrival);
            }
            if let Some(visit) = self.visits.get_mut(early) {
                visit.arrivals.clear();
            }
        }
    }

    /// Whether a visit's representations need what this one gives.
    fn is_input(&self, index: usize) -> bool {
        let inputs = self.visits.iter().flat_map(|visit| &visit.arrivals).flat_map(|arrival| &arrival.inputs);
        inputs.filter_map(|step| self.steps.get(*step)).any(|step| match step {
            Step::Leaf { visit, .. } | Step::Typename { visit, .. } => *visit == index,
            Step::Object { doors, .. } => doors.contains(&index),
        })
    }

    /// Solves the selection sets below, once per group of classes with the same doors. Whether it came to an end below the limit.
    fn descend(&mut self, pending: &[Pending], limit: Option<Cost>) -> Result<bool, PlanError> {
        let mut groups: IndexMap<Opened, Vec<usize>, FxBuildHasher> = IndexMap::default();
        for (class, field) in pending {
            let (visits, doors) = self.doors_below(*class, self.set, *field);
            if doors.is_empty() {
                self.unreachable += 1;
                continue;
            }
            groups.entry((*field, visits, doors)).or_default().push(*class);
        }
        let mut least = match limit {
            None => None,
            Some(limit) => Some((limit, self.least_below(groups.keys())?)),
        };
        if least.as_ref().is_some_and(|(limit, least)| self.least_cost(least) >= *limit) {
            return Ok(false);
        }
        for ((field, visits, doors), classes) in groups {
            let Some(below) = self.chooser.selections.field(self.set, field).and_then(|field| field.below) else { continue };
            let solution = self.chooser.solve(below, &doors)?;
            if let Some((limit, least)) = &mut least {
                least.add(&solution);
                if self.least_cost(least) >= *limit {
                    return Ok(false);
                }
            }
            self.wanted.push(self.steps.len());
            self.steps.push(Step::Object { classes, set: self.set, field, doors: visits, solution });
        }
        Ok(true)
    }

    /// What this try costs at least: what its leaves are taken from, and what every solution below has.
    fn least_below<'g>(&mut self, groups: impl Iterator<Item = &'g Opened>) -> Result<Least, PlanError> {
        let mut least = Least { unreachable: self.unreachable, ..Least::default() };
        for step in self.wanted.iter().filter_map(|step| self.steps.get(*step)) {
            if let Step::Leaf { visit, .. } | Step::Typename { visit, .. } = step
                && *visit >= self.doors.len()
                && let Some(visit) = self.visits.get(*visit)
            {
                least.fetches.insert((visit.stage, visit.subgraph));
            }
        }
        for (field, _, doors) in groups {
            if let Some(below) = self.chooser.selections.field(self.set, *field).and_then(|field| field.below) {
                let bound = self.chooser.bound(below, doors)?;
                least.bound.merge(&bound);
            }
        }
        Ok(least)
    }

    fn least_cost(&self, least: &Least) -> Cost {
        self.chooser.least(least, &self.doors)
    }

    /// Keeps what the wanted steps need, and adds up.
    fn finish(mut self) -> Solution {
        let mut live = vec![false; self.steps.len()];
        let mut used: FxHashSet<(usize, usize)> = FxHashSet::default();
        let mut open = std::mem::take(&mut self.wanted);
        while let Some(step) = open.pop() {
            if live.get(step).copied() != Some(false) {
                continue;
            }
            if let Some(flag) = live.get_mut(step) {
                *flag = true;
            }
            for (visit, class) in self.steps.get(step).map(uses).unwrap_or_default() {
                if !used.insert((visit, class)) {
                    continue;
                }
                let arrivals = self.visits.get(visit).map_or(&[][..], |visit| &visit.arrivals);
                open.extend(arrivals.iter().filter(|arrival| arrival.class == class).flat_map(|arrival| &arrival.inputs));
            }
        }
        let mut kept = Vec::with_capacity(live.len());
        let mut steps = Vec::new();
        for (step, is_live) in self.steps.drain(..).zip(&live) {
            kept.push(steps.len());
            if *is_live {
                steps.push(step);
            }
        }
        for (index, visit) in self.visits.iter_mut().enumerate() {
            visit.arrivals.retain(|arrival| used.contains(&(index, arrival.class)));
            for arrival in &mut visit.arrivals {
                arrival.inputs = arrival.inputs.iter().filter_map(|step| kept.get(*step).copied()).collect();
            }
            visit.used = used.iter().any(|(visit, _)| *visit == index);
        }
        for (_, inputs) in &mut self.contexts {
            *inputs = inputs.iter().filter_map(|step| kept.get(*step).copied()).collect();
        }
        let mut solution = Solution {
            set: Some(self.set),
            contexts: self.contexts,
            classes: self.classes,
            visits: self.visits,
            steps,
            fetches: BTreeSet::new(),
            unreachable: self.unreachable,
            complete: self.doors.iter().map(|door| door.stage).min().unwrap_or(0),
            least: 0,
        };
        solution.add_up(self.doors.len());
        solution
    }

    /// Adds an arrival, or its needs to that of the same class.
    pub fn add_arrival(&mut self, visit: usize, arrival: Arrival) {
        let Some(visit) = self.visits.get_mut(visit) else { return };
        match visit.arrivals.iter_mut().find(|known| known.class == arrival.class) {
            Some(known) => {
                let needs: Vec<SetId> = arrival.needs.into_iter().filter(|need| !known.needs.contains(need)).collect();
                known.needs.extend(needs);
                known.inputs.extend(arrival.inputs);
                known.type_known |= arrival.type_known;
            }
            None => visit.arrivals.push(arrival),
        }
    }

    /// The visits that give an object field of a class, with the doors that they open below.
    pub fn doors_below(&mut self, class: usize, set: SetId, field: usize) -> (Vec<usize>, Vec<Door>) {
        let Some(field) = self.chooser.wanted(set, field) else { return Default::default() };
        let Some(example) = self.classes.get(class).map(|class| class.example) else { return Default::default() };
        let mut sources = self.sources(class, field);
        if let Some(visit) = self.required.get(&(class, field.signature)) {
            sources.push(*visit);
        }
        let mut found: Vec<(usize, Door)> = Vec::new();
        for index in sources {
            let Some(visit) = self.visits.get(index) else { continue };
            let (subgraph, from) = (visit.subgraph, (visit.provided, visit.stage, visit.entered));
            let Some(door) = self.chooser.door_below(example, subgraph, field.name_id, from) else { continue };
            // A second visit of the same subgraph opens nothing that an earlier one does not.
            if !found.iter().any(|(_, known)| Door { stage: door.stage, ..*known } == door && known.stage <= door.stage) {
                found.push((index, door));
            }
        }
        found.sort_by_key(|(index, door)| (door.stage, *index));
        found.into_iter().unzip()
    }

    /// Stage of a visit.
    pub fn stage(&self, visit: usize) -> Stage {
        self.visits.get(visit).map_or(super::NEVER, |visit| visit.stage)
    }
}

/// Whether objects are brought to a subgraph at two stages.
pub(super) fn visits_twice(visits: &[Visit], doors: usize) -> bool {
    let entered = || visits.iter().skip(doors).filter(|visit| !visit.arrivals.is_empty());
    entered().any(|visit| entered().any(|other| other.subgraph == visit.subgraph && other.stage > visit.stage))
}

impl Solution {
    /// Fills in fetches, unreachable fields and the last stage from the visits and steps.
    fn add_up(&mut self, doors: usize) {
        for visit in self.visits.iter().skip(doors).filter(|visit| visit.used) {
            self.fetches.insert((visit.stage, visit.subgraph));
            self.complete = self.complete.max(visit.stage);
        }
        for step in &self.steps {
            match step {
                Step::Object { solution, .. } => {
                    self.fetches.extend(solution.fetches.iter().copied());
                    self.unreachable += solution.unreachable;
                    self.complete = self.complete.max(solution.complete);
                }
                Step::Leaf { visit, .. } | Step::Typename { visit, .. } => {
                    let stage = self.visits.get(*visit).map_or(super::NEVER, |visit| visit.stage);
                    self.complete = self.complete.max(stage);
                }
            }
        }
    }

    /// Which of the doors given to this solution have to be selected: those that it uses, or else the first.
    pub(in crate::plan) fn selected_doors(&self, count: usize) -> Vec<usize> {
        let used: Vec<usize> = (0..count).filter(|index| self.uses_door(*index)).collect();
        if used.is_empty() && count > 0 { vec![0] } else { used }
    }
}

/// The visits and classes that a step takes something from.
fn uses(step: &Step) -> Vec<(usize, usize)> {
    match step {
        Step::Leaf { class, visit, .. } => vec![(*visit, *class)],
        Step::Typename { class, visit } => vec![(*visit, *class)],
        Step::Object { classes, doors, solution, .. } => {
            let chosen = solution.selected_doors(doors.len());
            let visits = chosen.into_iter().filter_map(|index| doors.get(index).copied());
            visits.flat_map(|visit| classes.iter().map(move |class| (visit, *class))).collect()
        }
    }
}
