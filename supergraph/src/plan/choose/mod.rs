//! The solver: for each selection set, the subgraphs that are asked beyond those already open, and who gives which field.
//!
//! Input: a selection set and its *doors* (the subgraphs in which the field that leads here is selected). Output: a [`Solution`]:
//! visits of subgraphs in stages, and for each field the visit that gives it; solutions of the selection sets below are part of it.
//! The cost of a solution is that of its distinct (stage, subgraph) pairs, since fetches of one stage to one subgraph are
//! batched. Solutions are remembered per selection set and doors; the number of tries per selection set is bounded, after which
//! the first covering choice stands. So the time is linear in the operation for a given supergraph.
//! ```text
//! t { a b next { c } }   doors {s0};  a in s1 | s2, b in s2, next in s0 | s2, c in s2
//!   => visit s2 by key; a, b from s2; next through both doors, c from s2: one fetch more
//! ```
//! Relies on `options` and `selections`; relied on by `fetches`.

mod attempt;
mod bound;
mod cover;
mod place;
mod reach;
mod revise;
mod same;
mod supply;
mod task;

use super::PlanError;
use super::contexts::{Contexts, UseId};
use super::options::{Naming, Options, provided};
use super::selections::{SelectedField, Selections, SetId, Wanted};
use crate::ids::{NameId, SubgraphId, TypeId};
use crate::model::field_set::FieldSet;
use crate::plan::shape::TypeSet;
use attempt::{Choice, Tried};
use bound::{Bound, Least};
use cover::subsets;
use indexmap::IndexMap;
use reach::{ContextStages, Entrances, Reach};
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use same::Same;
use std::collections::BTreeSet;
use std::rc::Rc;
use task::Task;

/// Distance from the root, in fetches that wait for each other.
pub(super) type Stage = u16;

/// A stage that is never reached.
pub(super) const NEVER: Stage = Stage::MAX;

/// Deepest nesting of selection sets and requirements in one another.
const MAX_NESTING: usize = 400;

/// A subgraph in which the objects of a selection set are reached through their parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Door {
    /// The subgraph.
    pub subgraph: SubgraphId,
    /// The type of the objects there.
    pub ty: TypeId,
    /// What is provided on this path.
    pub provided: Provided,
    /// Stage of its fetch.
    pub stage: Stage,
    /// Whose objects its fetch represents, where an argument from a context may depend on it.
    pub entered: Option<SetId>,
}

/// An interned list of provided field sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Provided(u32);

/// Object types of a selection set that are treated alike.
#[derive(Clone, Debug)]
pub(super) struct Class {
    /// One of them.
    pub example: TypeId,
    /// All of them.
    pub types: Vec<TypeId>,
    /// Fields of the selection set that apply to them.
    pub fields: Vec<usize>,
}

/// How one selection set is answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Solution {
    /// The selection set, or one that is the same in everything (`same`). Steps name its fields by it.
    pub set: Option<SetId>,
    /// Types that are treated alike.
    pub classes: Rc<Vec<Class>>,
    /// The doors, in order, then the entity visits in the order in which they were found necessary.
    pub visits: Vec<Visit>,
    /// What is taken from where; what a step relies on comes before it.
    pub steps: Vec<Step>,
    /// Values for uses of contexts below, and the steps that give them.
    pub contexts: Vec<(UseId, Vec<usize>)>,
    /// Fetches of this selection set and of those below, without the doors'.
    pub fetches: BTreeSet<(Stage, SubgraphId)>,
    /// Fields for which there is no way.
    pub unreachable: usize,
    /// The stage at which everything is there.
    pub complete: Stage,
    /// What its fetches weigh at least, whatever is chosen, as far as that is known.
    pub least: u64,
}

/// A subgraph asked about the objects of a selection set.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    /// The subgraph.
    pub subgraph: SubgraphId,
    /// Stage of its fetch.
    pub stage: Stage,
    /// What is provided on this path.
    pub provided: Provided,
    /// The type below the parent's field; `None` for an entity visit.
    pub door: Option<TypeId>,
    /// Whose objects its fetch represents, where an argument from a context may depend on it.
    pub entered: Option<SetId>,
    /// How the types get there; empty for a door.
    pub arrivals: Vec<Arrival>,
    /// Something is taken from it.
    pub used: bool,
}

/// How objects of one class enter a subgraph.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    /// The class.
    pub class: usize,
    /// How the representation names the type.
    pub naming: Naming,
    /// Whether the objects' own type is known before.
    pub type_known: bool,
    /// Field sets in the representation: a key, and requirements.
    pub needs: Vec<SetId>,
    /// Steps that give their values.
    pub inputs: Vec<usize>,
}

/// One decision.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A leaf is taken from a visit.
    Leaf { class: usize, set: SetId, field: usize, visit: usize },
    /// An object field is selected in the doors that its solution uses.
    Object { classes: Vec<usize>, set: SetId, field: usize, doors: Vec<usize>, solution: Rc<Solution> },
    /// The objects' own type is taken from a visit.
    Typename { class: usize, visit: usize },
}

/// A selection set, and the stages at which what it reads from contexts is there.
type SolutionKey = (SetId, Vec<Stage>);

/// What is known by doors.
type ByDoors<T> = FxHashMap<Rc<[Door]>, Rc<T>>;

/// An object type, its doors, and its fields with arguments from contexts.
type ReachKey = (TypeId, Rc<[Door]>, ContextStages);

/// The solver of one planning run.
pub(super) struct Chooser<'a, 's> {
    /// Who can resolve what.
    pub options: Options<'a>,
    /// The selection sets.
    pub selections: &'s mut Selections<'a>,
    /// What is read from contexts.
    pub contexts: Rc<Contexts>,
    /// The stage at which a selection set gives a context's value, in the try that is being made.
    supplied: FxHashMap<(UseId, SetId), Stage>,
    provided: IndexMap<Vec<usize>, Vec<&'a FieldSet>, FxBuildHasher>,
    solutions: FxHashMap<SolutionKey, ByDoors<Solution>>,
    /// Selection sets that were solved, each with its doors.
    solved: usize,
    reaches: FxHashMap<ReachKey, Rc<Reach>>,
    classes: FxHashMap<SetId, Rc<Vec<Class>>>,
    entrances: FxHashMap<(TypeId, bool), Rc<Entrances>>,
    bounds: FxHashMap<SetId, ByDoors<Bound>>,
    /// Selection sets that are being solved, to see requirements that go in circles.
    solving: FxHashSet<(SetId, Vec<(SubgraphId, Provided)>)>,
    same: Same,
    budget: Budget,
    nesting: usize,
    /// Fetches that cost nothing, since they are there anyway.
    free: BTreeSet<(Stage, SubgraphId)>,
}

/// What is compared of solutions: unreachable fields, weighted fetches, the last stage.
type Cost = (usize, u64, Stage);

/// A search for the best choice.
struct Search {
    task: Task,
    /// Subgraphs between which there is something to choose.
    contested: Vec<SubgraphId>,
    /// The best choice so far.
    chosen: Choice,
    /// What it leads to.
    best: Solution,
    /// What no choice can better.
    least: Cost,
    /// The best is as good as can be, or no tries are left.
    is_over: bool,
}

/// Up to so many subgraphs, every choice of them is tried.
const FEW: usize = 4;

/// Tries that are left.
#[derive(Clone, Debug)]
struct Budget {
    tries: usize,
    per_set: FxHashMap<SetId, usize>,
}

/// Tries per selection set beyond the first for each list of doors.
const TRIES_PER_SET: usize = 256;

impl Solution {
    /// What it takes, without the solutions below.
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.visits.len() * size_of::<Visit>() + self.steps.len() * size_of::<Step>()
    }

    /// Whether door `index` is used.
    pub fn uses_door(&self, index: usize) -> bool {
        self.visits.get(index).is_some_and(|visit| visit.used)
    }
}

impl<'a, 's> Chooser<'a, 's> {
    /// A solver over these selection sets.
    pub fn new(options: Options<'a>, selections: &'s mut Selections<'a>, contexts: Rc<Contexts>) -> Self {
        let mut provided = IndexMap::default();
        provided.insert(Vec::new(), Vec::new());
        let tries = selections.states();
        Self {
            options,
            selections,
            contexts,
            supplied: FxHashMap::default(),
            provided,
            solutions: FxHashMap::default(),
            solved: 0,
            entrances: FxHashMap::default(),
            reaches: FxHashMap::default(),
            classes: FxHashMap::default(),
            bounds: FxHashMap::default(),
            solving: FxHashSet::default(),
            same: Same::default(),
            budget: Budget { tries, per_set: FxHashMap::default() },
            nesting: 0,
            free: BTreeSet::new(),
        }
    }

    /// The best way found to answer `set` through `doors`; without doors it is a root, entered freely.
    pub fn solve(&mut self, set: SetId, doors: &[Door]) -> Result<Rc<Solution>, PlanError> {
        let set = self.representative(set);
        let key = (set, self.contexts.stages_within(set, &self.supplied));
        if let Some(known) = self.solutions.get(&key).and_then(|known| known.get(doors)) {
            return Ok(known.clone());
        }
        let doors: Rc<[Door]> = doors.into();
        let place = (set, doors.iter().map(|door| (door.subgraph, door.provided)).collect::<Vec<_>>());
        if self.nesting >= MAX_NESTING || !self.solving.insert(place.clone()) {
            return Ok(Rc::new(Solution { unreachable: 1, complete: NEVER, ..Solution::default() }));
        }
        self.nesting += 1;
        let solution = self.search(set, doors.clone());
        self.nesting -= 1;
        self.solving.remove(&place);
        let solution = Rc::new(solution?);
        self.selections.spend(solution.bytes())?;
        self.solutions.entry(key).or_default().insert(doors, solution.clone());
        self.solved += 1;
        Ok(solution)
    }

    /// The first covering choice, then every choice of the subgraphs that may help when they are few, else changes of one subgraph
    /// as long as they are better.
    fn search(&mut self, set: SetId, doors: Rc<[Door]>) -> Result<Solution, PlanError> {
        let mut task = self.task(set, doors)?;
        let cover = self.cover(&mut task)?;
        let chosen = cover.choice(std::iter::empty());
        let Some(mut best) = self.attempt(&mut task, &chosen, None)?.solution else { return Ok(Solution::default()) };
        // Without doors one fetch is the least there can be, with doors none.
        let is_least = best.fetches.len() <= usize::from(task.doors.is_empty()) || self.cost(&best).1 == 0;
        if best.unreachable == 0 && is_least {
            best.least = self.cost(&best).1;
            return Ok(best);
        }
        let bound = (*self.bound(set, &task.doors)?).clone();
        // Who is needed below at any rate may as well be asked here.
        let needed = cover.choice(bound.alone.iter().copied());
        let asked = bound.subgraphs();
        let mut least = self.least(&Least { bound, ..Least::default() }, &task.doors);
        // A fetch that is there anyway may be later than the first that could give a field.
        if self.free.is_empty() && self.contexts.is_empty() {
            least.1 += cover.least_beside(asked);
        }
        best.least = least.1;
        if self.cost(&best) <= least {
            return Ok(best);
        }
        let contested = cover.contested;
        let mut search = Search { task, contested, chosen, best, least, is_over: false };
        if needed != search.chosen {
            self.try_choice(&mut search, needed)?;
        }
        if search.is_over {
            return Ok(search.best);
        }
        let candidates = self.candidates(&search);
        if candidates.len() <= FEW {
            self.try_all(&mut search, &candidates)?;
            return Ok(search.best);
        }
        for _ in 0..8 {
            let before = search.chosen.clone();
            for choice in self.neighbours(&search) {
                if choice != before {
                    self.try_choice(&mut search, choice)?;
                }
            }
            if search.is_over || search.chosen == before {
                break;
            }
        }
        Ok(search.best)
    }

    /// Tries every choice between the candidates, and early visits joined with late ones where a choice has both.
    fn try_all(&mut self, search: &mut Search, candidates: &[SubgraphId]) -> Result<(), PlanError> {
        let first = search.chosen.prefer.clone();
        let (open, kept): (Vec<SubgraphId>, Vec<SubgraphId>) = first.iter().partition(|subgraph| candidates.contains(subgraph));
        // What is found first is most often only too early.
        if attempt::visits_twice(&search.best.visits, search.task.doors.len()) {
            self.try_choice(search, Choice { prefer: first, late: true })?;
        }
        for subset in subsets(candidates) {
            if subset.len() == open.len() && subset.iter().all(|subgraph| open.contains(subgraph)) {
                continue;
            }
            let prefer: Vec<SubgraphId> = kept.iter().copied().chain(subset).collect();
            if self.try_choice(search, Choice { prefer: prefer.clone(), late: false })? {
                self.try_choice(search, Choice { prefer, late: true })?;
            }
        }
        Ok(())
    }

    /// Tries a choice, unless the search is over; whether a subgraph is visited twice then.
    fn try_choice(&mut self, search: &mut Search, choice: Choice) -> Result<bool, PlanError> {
        search.is_over |= !self.take_try(search.task.set);
        if search.is_over {
            return Ok(false);
        }
        let limit = self.cost(&search.best);
        let Tried { solution, visits_twice } = self.attempt(&mut search.task, &choice, Some(limit))?;
        if let Some(solution) = solution
            && self.cost(&solution) < limit
        {
            (search.chosen, search.best) = (choice, Solution { least: search.least.1, ..solution });
            search.is_over = self.cost(&search.best) <= search.least;
        }
        Ok(visits_twice)
    }

    /// What is compared of solutions: unreachable fields, then weighted fetches, then the last stage.
    fn cost(&self, solution: &Solution) -> Cost {
        let weight = solution.fetches.iter().map(|(stage, subgraph)| self.weight(*stage, *subgraph)).sum();
        (solution.unreachable, weight, solution.complete)
    }

    /// The cost of a fetch: a stage weighs as much as ten fetches without waiting.
    fn weight(&self, stage: Stage, subgraph: SubgraphId) -> u64 {
        if self.free.contains(&(stage, subgraph)) { 0 } else { 10 + 100 * u64::from(stage) }
    }

    fn take_try(&mut self, set: SetId) -> bool {
        let used = self.budget.per_set.entry(set).or_insert(0);
        *used += 1;
        self.budget.tries = self.budget.tries.saturating_sub(1);
        *used <= TRIES_PER_SET && self.budget.tries > 0 && !self.selections.is_hurrying()
    }

    /// Classes of a selection set.
    fn classes(&mut self, set: SetId) -> Rc<Vec<Class>> {
        if let Some(classes) = self.classes.get(&set) {
            return classes.clone();
        }
        let mut groups: IndexMap<(u32, Vec<usize>), Vec<TypeId>, FxBuildHasher> = IndexMap::default();
        let selection = self.selections.set(set);
        for id in self.selections.types(selection.types).iter() {
            let applies = |field: &SelectedField| self.selections.types(field.types).contains(id);
            let fields: Vec<usize> =
                selection.fields.iter().enumerate().filter(|(_, field)| applies(field)).map(|(index, _)| index).collect();
            groups.entry((self.options.tables.alike(id), fields)).or_default().push(id);
        }
        let classes = groups.into_iter().filter_map(|((_, fields), types)| {
            let example = *types.first()?;
            Some(Class { example, types, fields })
        });
        let classes = Rc::new(classes.collect::<Vec<_>>());
        self.classes.insert(set, classes.clone());
        classes
    }

    /// Classes whose objects can come through some door.
    fn live_classes(&mut self, set: SetId, doors: &[Door]) -> Rc<Vec<Class>> {
        let classes = self.classes(set);
        let is_live = |class: &Class| doors.is_empty() || doors.iter().any(|door| self.opens(door, class.example));
        if classes.iter().all(is_live) {
            return classes;
        }
        Rc::new(classes.iter().filter(|class| is_live(class)).cloned().collect())
    }

    /// Whether objects of this type can come through the door.
    fn opens(&self, door: &Door, object: TypeId) -> bool {
        self.options.possible(door.ty, door.subgraph).contains(object)
    }

    /// Whether the door tells objects of this type by their own name.
    fn tells_type(&self, door: &Door, object: TypeId) -> bool {
        self.opens(door, object) && self.options.known_as(object, door.subgraph) == Some(object)
    }

    /// The door to what is below field `name` of `object`, coming from a subgraph in which the object is reached with `from`.
    fn door_below(
        &mut self,
        object: TypeId,
        subgraph: SubgraphId,
        name: NameId,
        from: (Provided, Stage, Option<SetId>),
    ) -> Option<Door> {
        let at = self.options.field(object, subgraph, name)?;
        let mut below = self.provided_below(from.0, object, name).unwrap_or_default();
        below.extend(at.provides.as_deref());
        let provided = if below.is_empty() { Provided::default() } else { self.intern_provided(below) };
        Some(Door { subgraph, ty: at.ty.named, provided, stage: from.1, entered: from.2 })
    }

    /// What is provided below a field, if the field itself is provided.
    fn provided_below(&self, sets: Provided, object: TypeId, name: NameId) -> Option<Vec<&'a FieldSet>> {
        if sets == Provided::default() {
            return None;
        }
        let (_, sets) = self.provided.get_index(sets.0 as usize)?;
        if sets.is_empty() { None } else { provided(self.options, sets, object, name) }
    }

    fn intern_provided(&mut self, mut sets: Vec<&'a FieldSet>) -> Provided {
        sets.sort_unstable_by_key(|set| std::ptr::from_ref(*set) as usize);
        sets.dedup_by_key(|set| std::ptr::from_ref(*set) as usize);
        let key = sets.iter().map(|set| std::ptr::from_ref(*set) as usize).collect();
        let entry = self.provided.entry(key);
        let index = entry.index();
        entry.or_insert(sets);
        Provided(u32::try_from(index).unwrap_or(0))
    }

    /// Field `index` of a selection set.
    fn wanted(&self, set: SetId, index: usize) -> Option<Wanted> {
        self.selections.field(set, index).map(SelectedField::wanted)
    }

    /// Whether a subgraph in which `object` is reached with these provided fields gives field `name` without any requirement.
    fn gives(&self, object: TypeId, subgraph: SubgraphId, sets: Provided, name: NameId) -> bool {
        self.options.is_plain(object, subgraph, name)
            || (sets != Provided::default()
                && self.options.field(object, subgraph, name).is_some()
                && self.provided_below(sets, object, name).is_some())
    }

    /// All object types of classes.
    pub fn types_of(classes: &[Class], chosen: impl Iterator<Item = usize>) -> TypeSet {
        TypeSet::new(chosen.filter_map(|index| classes.get(index)).flat_map(|class| class.types.iter().copied()).collect())
    }
}
