//! The draft of a plan: a solution laid out as rows, visits of them and fetches, before documents are printed.
//!
//! Input: the solution of the root. Output: [`Draft`]: one layout per response path with its slots, one visit per selection set of
//! a fetch with the slots that it fills, one fetch per subgraph and stage of a layout. Cost: linear in the solution.
//! Relies on `choose`; relied on by the passes, `document` and `rows`.

use super::arrivals::{ArrivalDraft, contradict, is_among, merge_arrival};
use super::choose::{Chooser, Solution, Stage, Step, Visit};
use super::condition::{ALWAYS, Guard};
use super::contexts::UseId;
use super::defer::{PRIMARY, Parts};
use super::options::Naming;
use super::selections::{SelectedField, SetId, Signature};
use super::shape::{TypeSet, Wrap};
use crate::ids::{SubgraphId, TypeId};
use indexmap::IndexMap;
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::collections::BTreeSet;
use std::ops::Range;
use std::rc::Rc;

/// A plan under construction.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    /// One per response path, and one per path that only keys and requirements use; the first is the root's.
    pub layouts: Vec<LayoutDraft>,
    /// One per selection set of a fetch document.
    pub visits: Vec<VisitDraft>,
    /// One per subgraph, stage and layout.
    pub fetches: Vec<FetchDraft>,
    /// What is laid out: one solution, or one for each part of a mutation.
    pub solutions: Vec<Rc<Solution>>,
}

/// A row layout.
#[derive(Clone, Debug)]
pub(super) struct LayoutDraft {
    /// What the client selects; `None` for internal layouts.
    pub set: Option<SetId>,
    /// Layout and slot above.
    pub parent: Option<(usize, usize)>,
    /// Types of its objects.
    pub types: TypeSet,
    /// Its slots: the client's fields first.
    pub slots: Vec<SlotDraft>,
    /// When it can be there at all; never stronger than that.
    pub guard: Guard,
    /// Interfaces of its types that are interface objects in some subgraph, where a client's layout has several types.
    pub blurs: Vec<TypeId>,
    /// Entity visits.
    visits: Vec<usize>,
}

/// A slot of a layout.
#[derive(Clone, Debug)]
pub(super) struct SlotDraft {
    /// Name in the merged answer; unlike that of any other slot for the same type.
    pub key: String,
    /// Field and arguments.
    pub signature: Signature,
    /// Types of the objects that it is for.
    pub types: TypeSet,
    /// The layout below.
    pub below: Option<usize>,
    /// Lists around its value.
    pub wrap: Wrap,
    /// Index of the client's field; `None` for internal slots.
    pub client: Option<usize>,
}

/// A selection set of a fetch document.
#[derive(Clone, Debug)]
pub(super) struct VisitDraft {
    /// The layout that it fills.
    pub layout: usize,
    /// The fetch.
    pub fetch: usize,
    /// Static type in the subgraph; `None` below `_entities` and at a root.
    pub ty: Option<TypeId>,
    /// `__typename` is needed.
    pub typename: bool,
    /// What is selected, by slot and static type below.
    pub picks: IndexMap<(usize, Option<TypeId>), Pick, FxBuildHasher>,
}

/// A selected field.
#[derive(Clone, Debug)]
pub(super) struct Pick {
    /// Types that it is selected on.
    pub types: Vec<TypeId>,
    /// When the client wants it, given the selection set; `None` if only keys and requirements do.
    pub guard: Option<Guard>,
    /// A key or a requirement needs it.
    pub internal: bool,
    /// Its selection set.
    pub below: Option<usize>,
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct FetchDraft {
    /// Who is asked.
    pub subgraph: SubgraphId,
    /// Distance from the root.
    pub stage: Stage,
    /// Its topmost selection set.
    pub visit: usize,
    /// How objects enter; empty for a root.
    pub arrivals: Vec<ArrivalDraft>,
    /// What it reads from contexts.
    pub contexts: BTreeSet<UseId>,
    /// Fetches that give what it needs.
    pub after: BTreeSet<usize>,
    /// When it is needed.
    pub guard: Guard,
    /// The part that it is for.
    pub part: usize,
}

/// Lays solutions out.
pub(super) struct Drafter<'c, 'a, 's> {
    /// The solver, for options and selection sets.
    pub chooser: &'c mut Chooser<'a, 's>,
    /// What has been laid out.
    pub draft: Draft,
    /// Selection sets that are parts of others, with the places of their fields there.
    pub parts: FxHashMap<SetId, (SetId, Vec<usize>)>,
    /// The operation's parts.
    pub deferred: Parts,
    /// The part that is laid out and those that it is in, the primary one first.
    pub chain: Vec<usize>,
    /// Added to every stage.
    pub shift: Stage,
    pub entered: FxHashMap<(usize, usize, TypeId), usize>,
    /// Fetches that give values to uses of contexts.
    supplied: FxHashMap<UseId, BTreeSet<usize>>,
}

impl Draft {
    /// For each fetch, those that wait for it.
    pub fn waiting(&self) -> Vec<Vec<usize>> {
        let mut waiting = vec![Vec::new(); self.fetches.len()];
        for (index, fetch) in self.fetches.iter().enumerate() {
            for other in &fetch.after {
                if let Some(list) = waiting.get_mut(*other) {
                    list.push(index);
                }
            }
        }
        waiting
    }
}

impl<'c, 'a, 's> Drafter<'c, 'a, 's> {
    /// A draft with the client's layouts.
    pub fn new(chooser: &'c mut Chooser<'a, 's>, root: SetId, deferred: Parts) -> Self {
        let mut drafter = Self {
            chooser,
            draft: Draft::default(),
            parts: FxHashMap::default(),
            deferred,
            chain: vec![PRIMARY],
            shift: 0,
            entered: FxHashMap::default(),
            supplied: FxHashMap::default(),
        };
        drafter.client_layouts(root);
        drafter
    }

    /// One layout per selection set of the client, top down.
    fn client_layouts(&mut self, root: SetId) {
        let mut open = vec![(root, None, ALWAYS)];
        while let Some((set, parent, guard)) = open.pop() {
            let layout = self.draft.layouts.len();
            if let Some((above, slot)) = parent
                && let Some(slot) = self.slot_mut(above, slot)
            {
                slot.below = Some(layout);
            }
            let selections = &*self.chooser.selections;
            let selection = selections.set(set);
            let types = selections.types(selection.types).clone();
            let blurs = self.chooser.options.blurs(&types);
            let slot = |(index, field): (usize, &SelectedField)| SlotDraft {
                key: field.key.to_string(),
                signature: field.signature,
                types: selections.types(field.types).clone(),
                below: None,
                wrap: field.wrap,
                client: Some(index),
            };
            let slots = selection.fields.iter().enumerate().map(slot).collect();
            let below: Vec<(usize, SetId, Guard)> = selection
                .fields
                .iter()
                .enumerate()
                .filter_map(|(index, field)| Some((index, field.below?, field.guard)))
                .collect();
            self.draft.layouts.push(LayoutDraft { set: Some(set), parent, types, slots, guard, blurs, visits: Vec::new() });
            let first = open.len();
            for (slot, set, own) in below {
                let guard = self.chooser.selections.guards.and_weak(guard, own);
                open.push((set, Some((layout, slot)), guard));
            }
            open.get_mut(first..).unwrap_or_default().reverse();
        }
    }

    /// Lays out the solution of a root, or of a part of it. Returns the fetches that it uses.
    pub fn place_root(&mut self, solution: &Rc<Solution>, set: SetId) -> BTreeSet<usize> {
        self.draft.solutions.push(solution.clone());
        let mut used = Vec::new();
        self.place((solution, set), 0, &[], &mut used);
        used.into_iter().collect()
    }

    /// Lays out the solution of a selection set for the objects of `layout`, which are reached in these visits (by door; `None` if not
    /// used). Adds the fetches that it uses.
    fn place(&mut self, (solution, set): (&Solution, SetId), layout: usize, doors: &[Option<usize>], used: &mut Vec<usize>) {
        let start = used.len();
        let mut visits: Vec<Option<usize>> = doors.to_vec();
        for visit in solution.visits.iter().skip(doors.len()) {
            let made = visit.used.then(|| self.entity_visit(solution, layout, visit));
            visits.push(made);
        }
        // Where what each step uses stands among what is used.
        let mut suppliers: Vec<Range<usize>> = Vec::with_capacity(solution.steps.len());
        for (index, step) in solution.steps.iter().enumerate() {
            let before = used.len();
            self.step((solution, set, layout), step, &visits, used);
            suppliers.push(before..used.len());
            // Selection sets below are laid out by later steps.
            for (id, _) in solution.contexts.iter().filter(|(_, inputs)| inputs.contains(&index)) {
                self.supplied.entry(*id).or_default().extend(used.get(before..).unwrap_or_default());
            }
        }
        for (visit, made) in solution.visits.iter().zip(&visits).skip(doors.len()) {
            let Some(fetch) = made.and_then(|made| self.draft.visits.get(made)).map(|visit| visit.fetch) else { continue };
            for arrival in &visit.arrivals {
                let inputs = arrival.inputs.iter().filter_map(|step| used.get(suppliers.get(*step)?.clone())).flatten().copied();
                // A root below another type is entered without a key, but only where it is.
                let from = if arrival.naming == Naming::Root { self.first_fetch(doors) } else { None };
                let after: Vec<usize> =
                    inputs.chain(from).filter(|other| *other != fetch && !self.is_deferred_from(*other, fetch)).collect();
                if let Some(fetch) = self.draft.fetches.get_mut(fetch) {
                    fetch.after.extend(after);
                }
            }
        }
        used.extend(visits.iter().flatten().filter_map(|visit| self.draft.visits.get(*visit)).map(|visit| visit.fetch));
        // Each once, so that what is used above does not grow with what is below.
        if used.len() > start + 1 {
            let mut own = used.split_off(start);
            own.sort_unstable();
            own.dedup();
            used.append(&mut own);
        }
    }

    /// The earliest fetch of these visits.
    fn first_fetch(&self, visits: &[Option<usize>]) -> Option<usize> {
        let fetches = visits.iter().flatten().filter_map(|visit| self.draft.visits.get(*visit)).map(|visit| visit.fetch);
        fetches.min_by_key(|fetch| self.draft.fetches.get(*fetch).map(|fetch| fetch.stage))
    }

    /// Takes one step for the objects of a layout; adds the fetches that it uses.
    fn step(
        &mut self,
        (solution, own, layout): (&Solution, SetId, usize),
        step: &Step,
        visits: &[Option<usize>],
        used: &mut Vec<usize>,
    ) {
        let made = |index: &usize| visits.get(*index).copied().flatten();
        // It may have been solved for another selection set that is the same.
        let actual = |set: SetId| if solution.set == Some(set) { own } else { set };
        match step {
            Step::Typename { visit, .. } => {
                if let Some(visit) = made(visit).and_then(|visit| self.draft.visits.get_mut(visit)) {
                    visit.typename = true;
                    used.push(visit.fetch);
                }
            }
            Step::Leaf { class, set, field, visit } => {
                let types = Chooser::types_of(&solution.classes, std::iter::once(*class));
                let (Some(visit), set) = (made(visit), actual(*set)) else { return };
                for (slot, types) in self.slots_for(layout, types, set, *field) {
                    self.pick(visit, slot, &types, (set, *field), None);
                }
                used.extend(self.draft.visits.get(visit).map(|visit| visit.fetch));
            }
            Step::Object { classes, set, field, doors, solution: below } => {
                let types = Chooser::types_of(&solution.classes, classes.iter().copied());
                let parents: Vec<Option<usize>> = doors.iter().map(made).collect();
                let from = (actual(*set), *field);
                for slot in self.slots_for(layout, types, from.0, *field) {
                    self.object((layout, slot), from, &parents, below, used);
                }
            }
        }
    }

    /// Selects an object field in the doors that its solution uses and lays out what is below.
    fn object(
        &mut self,
        (layout, (slot, types)): (usize, (usize, TypeSet)),
        from: (SetId, usize),
        parents: &[Option<usize>],
        below: &Solution,
        used: &mut Vec<usize>,
    ) {
        let Some(child) = self.layout_below(layout, slot, from.0, from.1) else { return };
        let Some(set) = self.chooser.selections.field(from.0, from.1).and_then(|field| field.below) else { return };
        let mut entered = vec![None; parents.len()];
        for index in below.selected_doors(parents.len()) {
            let ty = below.visits.get(index).and_then(|visit| visit.door);
            let (Some(parent), Some(ty)) = (parents.get(index).copied().flatten(), ty) else { continue };
            let visit = self.visit_below(parent, slot, child, ty);
            self.pick(parent, slot, &types, from, Some((ty, visit)));
            if let Some(place) = entered.get_mut(index) {
                *place = Some(visit);
            }
        }
        self.place((below, set), child, &entered, used);
    }

    /// Selects a slot in a visit.
    pub fn pick(&mut self, visit: usize, slot: usize, types: &TypeSet, from: (SetId, usize), below: Option<(TypeId, usize)>) {
        self.read_contexts(visit, slot, types);
        let layout = self.draft.visits.get(visit).and_then(|visit| self.draft.layouts.get(visit.layout));
        let is_client = layout.is_some_and(|layout| layout.set.is_some() && layout.set == Some(self.whole(from).0));
        let guard = self.chooser.selections.field(from.0, from.1).filter(|_| is_client).map(|field| field.guard);
        let Some(visit) = self.draft.visits.get_mut(visit) else { return };
        let key = (slot, below.map(|(ty, _)| ty));
        match visit.picks.get_mut(&key) {
            Some(pick) => {
                pick.types.extend(types.iter());
                pick.types.sort_unstable();
                pick.types.dedup();
                pick.guard = match (pick.guard, guard) {
                    (Some(known), Some(guard)) => Some(self.chooser.selections.guards.or_weak(known, guard)),
                    (known, guard) => known.or(guard),
                };
                pick.internal |= !is_client;
            }
            None => {
                let pick =
                    Pick { types: types.iter().collect(), guard, internal: !is_client, below: below.map(|(_, visit)| visit) };
                visit.picks.insert(key, pick);
            }
        }
    }

    /// Notes what a field that is selected in a visit reads from contexts.
    fn read_contexts(&mut self, visit: usize, slot: usize, types: &TypeSet) {
        let contexts = self.chooser.contexts.clone();
        let Some(visit) = self.draft.visits.get(visit).filter(|_| !contexts.is_empty()) else { return };
        let Some(layout) = self.draft.layouts.get(visit.layout) else { return };
        let signature = layout.slots.get(slot).map(|slot| slot.signature);
        let call = signature.and_then(|signature| self.chooser.selections.call(signature));
        let (Some(set), Some(call), Some(fetch)) = (layout.set, call, self.draft.fetches.get_mut(visit.fetch)) else { return };
        for object in types.iter() {
            for (_, id) in contexts.arguments(set, object, fetch.subgraph, call.name_id) {
                fetch.contexts.insert(*id);
                let suppliers = self.supplied.get(id).into_iter().flatten().copied();
                fetch.after.extend(suppliers.filter(|other| *other != visit.fetch));
            }
        }
    }

    /// The selection set that a part belongs to, and the field's place there.
    pub(super) fn whole(&self, (set, field): (SetId, usize)) -> (SetId, usize) {
        match self.parts.get(&set) {
            Some((whole, places)) => (*whole, places.get(field).copied().unwrap_or(field)),
            None => (set, field),
        }
    }

    /// The layout below a slot; made for an internal one.
    pub fn layout_below(&mut self, layout: usize, slot: usize, set: SetId, field: usize) -> Option<usize> {
        let below = self.chooser.selections.field(set, field)?.below?;
        let types = self.chooser.selections.types(self.chooser.selections.set(below).types).clone();
        if let Some(child) = self.slot_mut(layout, slot)?.below {
            let child_draft = self.draft.layouts.get_mut(child)?;
            if child_draft.set.is_none() && types.iter().any(|id| !child_draft.types.contains(id)) {
                child_draft.types = TypeSet::new(child_draft.types.iter().chain(types.iter()).collect());
            }
            return Some(child);
        }
        let child = self.draft.layouts.len();
        let parent = Some((layout, slot));
        let guard = self.draft.layouts.get(layout)?.guard;
        let (slots, blurs, visits) = (Vec::new(), Vec::new(), Vec::new());
        self.draft.layouts.push(LayoutDraft { set: None, parent, types, slots, guard, blurs, visits });
        self.slot_mut(layout, slot)?.below = Some(child);
        Some(child)
    }

    pub(super) fn slot_mut(&mut self, layout: usize, slot: usize) -> Option<&mut SlotDraft> {
        self.draft.layouts.get_mut(layout)?.slots.get_mut(slot)
    }

    /// The selection set below a slot in a visit.
    pub fn visit_below(&mut self, parent: usize, slot: usize, layout: usize, ty: TypeId) -> usize {
        if let Some(visit) = self.entered.get(&(parent, slot, ty)) {
            return *visit;
        }
        let fetch = self.draft.visits.get(parent).map_or(0, |visit| visit.fetch);
        let visit = self.draft.visits.len();
        self.draft.visits.push(VisitDraft { layout, fetch, ty: Some(ty), typename: false, picks: IndexMap::default() });
        self.entered.insert((parent, slot, ty), visit);
        visit
    }

    /// The visit of a layout by a fetch of its own: one per subgraph and stage, unless representations contradict each other.
    fn entity_visit(&mut self, solution: &Solution, layout: usize, visit: &Visit) -> usize {
        let stage = visit.stage.saturating_add(self.shift);
        let arrivals: Vec<ArrivalDraft> = visit
            .arrivals
            .iter()
            .filter(|arrival| arrival.naming != Naming::Root)
            .map(|arrival| ArrivalDraft {
                types: Chooser::types_of(&solution.classes, std::iter::once(arrival.class)),
                naming: arrival.naming,
                type_known: arrival.type_known,
                needs: arrival.needs.clone(),
            })
            .collect();
        let known = self.draft.layouts.get(layout).map_or(&[][..], |layout| &layout.visits);
        let same = known.iter().copied().find(|known| {
            let fetch = self.draft.visits.get(*known).and_then(|known| self.draft.fetches.get(known.fetch));
            fetch.is_some_and(|fetch| fetch.subgraph == visit.subgraph && fetch.stage == stage && self.takes(fetch, &arrivals))
        });
        let made = same.unwrap_or_else(|| self.push_fetch(layout, visit.subgraph, stage));
        let fetch = self.draft.visits.get(made).map_or(0, |visit| visit.fetch);
        if let Some(fetch) = self.draft.fetches.get_mut(fetch) {
            for arrival in arrivals {
                merge_arrival(&mut fetch.arrivals, arrival);
            }
        }
        made
    }

    /// Whether a fetch can bring these objects too. One of a part above takes only what it brings anyway: it must not wait for more.
    fn takes(&self, fetch: &FetchDraft, arrivals: &[ArrivalDraft]) -> bool {
        if self.chain.last() != Some(&fetch.part) {
            return self.chain.contains(&fetch.part) && arrivals.iter().all(|arrival| is_among(arrival, &fetch.arrivals));
        }
        !contradict(self.chooser.selections, &fetch.arrivals, arrivals)
    }

    /// Whether a fetch is for a part below that of another, which then does not wait for it.
    fn is_deferred_from(&self, fetch: usize, from: usize) -> bool {
        let rank = |index: usize| {
            let part = self.draft.fetches.get(index).map(|fetch| fetch.part);
            self.chain.iter().position(|known| Some(*known) == part)
        };
        rank(fetch) > rank(from)
    }

    fn push_fetch(&mut self, layout: usize, subgraph: SubgraphId, stage: Stage) -> usize {
        let (visit, fetch) = (self.draft.visits.len(), self.draft.fetches.len());
        self.draft.visits.push(VisitDraft { layout, fetch, ty: None, typename: false, picks: IndexMap::default() });
        self.draft.fetches.push(FetchDraft {
            subgraph,
            stage,
            visit,
            arrivals: Vec::new(),
            contexts: BTreeSet::new(),
            after: BTreeSet::new(),
            guard: ALWAYS,
            part: self.chain.last().copied().unwrap_or(PRIMARY),
        });
        if let Some(layout) = self.draft.layouts.get_mut(layout) {
            layout.visits.push(visit);
        }
        visit
    }
}
