//! From draft to plan: layouts, reads, representations, requests, conditions.
//!
//! Relies on `fetches`, the passes and `document`; relied on by `plan()` and `json`, which prints what is assembled here.

use super::alike;
use super::arrivals::ArrivalDraft;
use super::condition::{ALWAYS, Guard};
use super::contexts::{Contexts, UseId};
use super::defer::Parts;
use super::document::{Body, Documents, Rename};
use super::fetches::{Draft, FetchDraft};
use super::operation::Operation;
use super::options::{Naming, Options};
use super::selections::{Selections, SetId};
use super::shape::{Shape, TypeSet};
use super::told::Told;
use super::{
    Condition, ContextValue, ContextVariable, EntityBatch, EntityPosition, Fetch, OperationKind, Plan, PlanError, Representation,
    RepresentationField, RepresentationTypename, RepresentationValue, Target, request, rows,
};
use crate::ids::{ConditionId, FetchId, Id, IdVec, LayoutId, SlotId, TypeId};
use apollo_compiler::Name;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A draft with its passes done.
pub(super) struct Ready<'r, 'a> {
    /// The operation.
    pub operation: &'r Operation,
    /// Who has which field.
    pub options: Options<'a>,
    /// The selection sets.
    pub selections: &'r Selections<'a>,
    /// Its parts.
    pub parts: &'r Parts,
    /// What is read from contexts.
    pub contexts: &'r Contexts,
    /// The draft.
    pub draft: &'r Draft,
    /// Fetches that are sent together, in order.
    pub groups: &'r [Vec<usize>],
    /// Who tells the objects' own types. A field set that does not depend on them is not worth a fetch to a subgraph that knows them.
    pub told: Told,
}

/// A plan with what printing it needs.
pub(super) struct Assembled {
    /// The plan.
    pub plan: Plan,
    /// Per fetch of the plan.
    pub explained: Vec<Explained>,
}

/// What JSON says of a fetch beyond the plan.
pub(super) enum Explained {
    /// A request at a root.
    Root {
        /// The layout of the root.
        layout: usize,
        /// The fetch in the draft.
        fetch: usize,
        /// Internal aliases.
        renames: Vec<Rename>,
    },
    /// A request for entities, one item per `_entities` field.
    Entities(Vec<ExplainedBatch>),
}

/// One `_entities` field.
pub(super) struct ExplainedBatch {
    /// The layouts whose objects it asks for, each with the fetch in the draft.
    pub layouts: Vec<(usize, usize)>,
    /// How they are represented.
    pub arrivals: Vec<(ArrivalDraft, Vec<RepresentationField>)>,
    /// What is read from contexts.
    pub contexts: BTreeSet<UseId>,
    /// Internal aliases in the answer.
    pub renames: Vec<Rename>,
}

/// Conditions of the plan by guard.
pub(super) struct Conditions<'g> {
    guards: &'g super::condition::Guards,
    list: IdVec<ConditionId, Condition>,
    known: FxHashMap<Guard, ConditionId>,
}

impl Conditions<'_> {
    /// The condition of a guard; `None` if it always holds.
    pub fn get(&mut self, guard: Guard) -> Option<ConditionId> {
        if guard == ALWAYS {
            return None;
        }
        if let Some(id) = self.known.get(&guard) {
            return Some(*id);
        }
        let id = self.list.push(self.guards.get(guard).clone());
        self.known.insert(guard, id);
        Some(id)
    }
}

/// Makes the plan.
///
/// # Errors
/// Planning was stopped.
pub(super) fn assemble(ready: &Ready<'_, '_>) -> Result<Assembled, PlanError> {
    let mut conditions = Conditions { guards: &ready.selections.guards, list: IdVec::default(), known: FxHashMap::default() };
    let mut shape = rows::layouts(ready, &mut conditions);
    let mut documents = Documents {
        options: ready.options,
        selections: ready.selections,
        contexts: ready.contexts,
        draft: ready.draft,
        reads: IdVec::default(),
    };
    let mut numbers = vec![FetchId::new(0); ready.draft.fetches.len()];
    let mut fetches = IdVec::default();
    let mut explained = Vec::new();
    for (number, group) in ready.groups.iter().enumerate() {
        ready.selections.go_on()?;
        for index in group {
            if let Some(place) = numbers.get_mut(*index) {
                *place = FetchId::new(number);
            }
        }
        let Some((fetch, how)) = request(ready, &mut documents, &mut conditions, &numbers, group) else { continue };
        fetches.push(fetch);
        explained.push(how);
    }
    shape.reads = documents.reads;
    let introspection = rows::introspection(ready, &mut shape);
    let parts = rows::parts(ready);
    let plan = Plan { kind: ready.operation.kind, fetches, shape, conditions: conditions.list, introspection, parts };
    Ok(Assembled { plan, explained })
}

/// One request for a group of fetches.
fn request(
    ready: &Ready<'_, '_>,
    documents: &mut Documents<'_, '_>,
    conditions: &mut Conditions<'_>,
    numbers: &[FetchId],
    group: &[usize],
) -> Option<(Fetch, Explained)> {
    let drafts: Vec<(usize, &FetchDraft)> =
        group.iter().filter_map(|index| Some((*index, ready.draft.fetches.get(*index)?))).collect();
    let (first_index, first) = *drafts.first()?;
    let own = numbers.get(first_index).copied()?;
    let mut after: Vec<FetchId> =
        drafts.iter().flat_map(|(_, draft)| &draft.after).filter_map(|index| numbers.get(*index).copied()).collect();
    after.sort_unstable();
    after.dedup();
    let operation_name = ready.operation.name.as_ref().map(|name| {
        let subgraph = &ready.options.supergraph.subgraph(first.subgraph).name;
        let subgraph: String = subgraph.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        format!("{name}__{subgraph}__{}", own.index())
    });
    let mut variables = Vec::new();
    let all = drafts.iter().map(|(_, draft)| draft.guard).reduce(|a, b| if a == b { a } else { ALWAYS });
    let (selection, target, explained) = if first.arrivals.is_empty() {
        let body = documents.body(first_index, &[], first.guard)?;
        variables.extend(body.variables);
        let layout = ready.layout_of(first);
        let target = Target::Root { layout: LayoutId::new(layout), read: body.read };
        (body.text, target, Explained::Root { layout, fetch: first_index, renames: body.renames })
    } else {
        entities(ready, documents, conditions, &drafts, &mut variables)
    };
    let kind = match (&target, ready.operation.kind) {
        (Target::Root { layout, .. }, kind) if layout.index() == 0 => kind,
        _ => OperationKind::Query,
    };
    let variables = request::used_variables(ready.operation, &variables);
    let condition = all.and_then(|guard| conditions.get(guard));
    let document = String::new();
    let (subgraph, part) = (first.subgraph, rows::part_id(first.part));
    let mut fetch = Fetch { subgraph, kind, document, opening: None, operation_name, variables, target, after, condition, part };
    fetch.document = request::document(ready.operation, &fetch, &selection);
    fetch.opening = (!first.contexts.is_empty()).then(|| request::opening(ready.operation, &fetch).into());
    Some((fetch, explained))
}

/// The `_entities` fields of a request.
fn entities(
    ready: &Ready<'_, '_>,
    documents: &mut Documents<'_, '_>,
    conditions: &mut Conditions<'_>,
    drafts: &[(usize, &FetchDraft)],
    variables: &mut Vec<Name>,
) -> (String, Target, Explained) {
    let batches = batches(ready, documents, drafts);
    let (mut text, is_single) = (String::from("{"), batches.len() == 1);
    let representations = request::representations(batches.iter().flat_map(|batch| &batch.body.variables), batches.len());
    let (mut list, mut explained) = (Vec::new(), Vec::new());
    for (number, (Batch { body, members, .. }, variable)) in batches.into_iter().zip(representations).enumerate() {
        let key = if is_single { "_entities".to_owned() } else { format!("_e{number}") };
        let alias = if is_single { String::new() } else { format!("{key}: ") };
        // Writing to a string cannot fail.
        let _ = write!(text, " {alias}_entities(representations: ${variable}) {}", body.text);
        variables.extend(body.variables);
        let mut at = Vec::new();
        let (mut layouts, mut arrivals) = (Vec::new(), Vec::new());
        for member in members {
            let condition = if drafts.len() > 1 { conditions.get(member.guard) } else { None };
            layouts.push((member.layout, member.fetch));
            let contexts: Vec<ContextValue> = body.contexts.iter().map(|id| ready.context_value(member.layout, *id)).collect();
            for (arrival, fields) in &member.arrivals {
                let mut position = position(ready, &member, arrival, fields.clone(), condition);
                position.contexts.clone_from(&contexts);
                at.push(position);
            }
            // Members look alike, so the first stands for all.
            if layouts.len() == 1 {
                arrivals = member.arrivals;
            }
        }
        let contexts: Vec<ContextVariable> = body.contexts.iter().filter_map(|id| ready.context_variable(*id)).collect();
        let selection = if contexts.is_empty() { "".into() } else { body.text.as_str().into() };
        list.push(EntityBatch { key: key.into(), variable: variable.into(), at, contexts, selection });
        explained.push(ExplainedBatch { layouts, arrivals, contexts: body.contexts, renames: body.renames });
    }
    text.push_str(" }");
    (text, Target::Entities(list), Explained::Entities(explained))
}

/// An `_entities` field and the fetches that share it.
struct Batch {
    body: Body,
    members: Vec<Member>,
}

/// One fetch within an `_entities` field.
pub(super) struct Member {
    /// The layout whose objects it asks for.
    pub layout: usize,
    fetch: usize,
    read: crate::ids::ReadId,
    guard: Guard,
    /// How they are represented.
    pub arrivals: Vec<(ArrivalDraft, Vec<RepresentationField>)>,
}

/// One `_entities` field per selection set and representation.
fn batches(ready: &Ready<'_, '_>, documents: &mut Documents<'_, '_>, drafts: &[(usize, &FetchDraft)]) -> Vec<Batch> {
    let mut batches = Batches::default();
    let known = |draft: &FetchDraft| if drafts.len() == 1 { draft.guard } else { ALWAYS };
    for (index, draft) in drafts {
        let layout = ready.layout_of(draft);
        for part in ready.parts(draft) {
            let Some(body) = documents.body(*index, &part, known(draft)) else { continue };
            batches.add(ready, (layout, *index, draft.guard), part, body);
        }
    }
    batches.list
}

/// The `_entities` fields of a request while they are gathered.
#[derive(Default)]
struct Batches {
    list: Vec<Batch>,
    /// Those with the same selection set, by its text.
    by_text: FxHashMap<String, Vec<usize>>,
}

impl Batches {
    /// Adds an `_entities` field, or more objects to one that selects the same for objects that look alike.
    fn add(&mut self, ready: &Ready<'_, '_>, (layout, fetch, guard): (usize, usize, Guard), part: Vec<ArrivalDraft>, body: Body) {
        let mut arrivals: Vec<(ArrivalDraft, Vec<RepresentationField>)> = Vec::new();
        for arrival in &part {
            let fields = fields(ready, (layout, Some(fetch)), &arrival.types, &arrival.needs);
            match arrivals.iter_mut().find(|(known, list)| known.naming == arrival.naming && *list == fields) {
                Some((known, _)) => {
                    known.types = union(&known.types, &arrival.types);
                    known.type_known &= arrival.type_known;
                }
                None => arrivals.push((arrival.clone(), fields)),
            }
        }
        let member = Member { layout, fetch, read: body.read, guard, arrivals };
        let same_text = self.by_text.entry(body.text.clone()).or_default();
        for index in same_text.iter() {
            let Some(batch) = self.list.get_mut(*index) else { continue };
            if batch.members.first().is_some_and(|first| alike::are_alike(ready, first, &member)) {
                batch.members.push(member);
                return;
            }
        }
        same_text.push(self.list.len());
        self.list.push(Batch { body, members: vec![member] });
    }
}

impl Ready<'_, '_> {
    /// The layout whose objects a fetch fills.
    pub fn layout_of(&self, fetch: &FetchDraft) -> usize {
        self.draft.visits.get(fetch.visit).map_or(0, |visit| visit.layout)
    }

    /// Arrivals of a fetch that can share an `_entities` field. A subgraph that knows only the interface object cannot tell types
    /// apart, so types of which different required fields are asked go separately.
    fn parts(&self, fetch: &FetchDraft) -> Vec<Vec<ArrivalDraft>> {
        let mut parts: Vec<(Vec<usize>, Vec<ArrivalDraft>)> = Vec::new();
        for arrival in &fetch.arrivals {
            let Naming::Interface(interface) = arrival.naming else {
                push_part(&mut parts, Vec::new(), arrival.clone());
                continue;
            };
            if !self.options.is_interface_object(interface, fetch.subgraph) {
                push_part(&mut parts, Vec::new(), arrival.clone());
                continue;
            }
            for id in arrival.types.iter() {
                let required = self.required_picks(fetch, id);
                push_part(&mut parts, required, ArrivalDraft { types: TypeSet::new(vec![id]), ..arrival.clone() });
            }
        }
        parts.into_iter().map(|(_, part)| part).collect()
    }

    /// Slots with a requirement that are picked for objects of a type.
    fn required_picks(&self, fetch: &FetchDraft, object: TypeId) -> Vec<usize> {
        let Some(visit) = self.draft.visits.get(fetch.visit) else { return Vec::new() };
        let Some(layout) = self.draft.layouts.get(visit.layout) else { return Vec::new() };
        let picks = visit.picks.iter().filter(|(_, pick)| pick.types.contains(&object)).map(|((slot, _), _)| *slot);
        picks
            .filter(|slot| {
                let signature = layout.slots.get(*slot).map(|slot| slot.signature);
                let call = signature.and_then(|signature| self.selections.call(signature));
                call.is_some_and(|call| self.options.requirement(object, fetch.subgraph, call.name_id).is_some())
            })
            .collect()
    }
}

/// Adds an arrival to the part with the same required fields.
fn push_part(parts: &mut Vec<(Vec<usize>, Vec<ArrivalDraft>)>, required: Vec<usize>, arrival: ArrivalDraft) {
    match parts.iter_mut().find(|(known, _)| *known == required) {
        Some((_, part)) => match part.iter_mut().find(|known| {
            known.naming == arrival.naming && known.needs == arrival.needs && known.type_known == arrival.type_known
        }) {
            Some(known) => known.types = union(&known.types, &arrival.types),
            None => part.push(arrival),
        },
        None => parts.push((required, vec![arrival])),
    }
}

fn union(a: &TypeSet, b: &TypeSet) -> TypeSet {
    TypeSet::new(a.iter().chain(b.iter()).collect())
}

fn position(
    ready: &Ready<'_, '_>,
    member: &Member,
    arrival: &ArrivalDraft,
    fields: Vec<RepresentationField>,
    condition: Option<ConditionId>,
) -> EntityPosition {
    let types = if covers(ready, member.layout, arrival) { None } else { Some(arrival.types.clone()) };
    let typename = match arrival.naming {
        Naming::Interface(id) => RepresentationTypename::Fixed(ready.options.supergraph.get_type(id).name.as_str().into()),
        Naming::Concrete | Naming::Root => match arrival.types.iter().next() {
            Some(only) if arrival.types.len() == 1 => {
                RepresentationTypename::Fixed(ready.options.supergraph.get_type(only).name.as_str().into())
            }
            _ => RepresentationTypename::Concrete,
        },
    };
    let representation = Representation { typename, fields };
    let contexts = Vec::new();
    EntityPosition { layout: LayoutId::new(member.layout), types, condition, representation, read: member.read, contexts }
}

/// Whether the arrival is for every object of the layout (or every one that the interface can stand for).
pub(super) fn covers(ready: &Ready<'_, '_>, layout: usize, arrival: &ArrivalDraft) -> bool {
    let Some(layout) = ready.draft.layouts.get(layout) else { return false };
    let mut all = layout.types.iter();
    if !arrival.type_known && matches!(arrival.naming, Naming::Interface(_)) {
        return true;
    }
    match arrival.naming {
        Naming::Interface(id) => {
            let possible = &ready.options.supergraph.get_type(id).possible;
            all.all(|id| arrival.types.contains(id) && possible.contains(id))
        }
        _ => all.all(|id| arrival.types.contains(id)),
    }
}

/// The fields of a representation for a fetch, or of a context (which no fetch needs types for): those of all field sets, each once.
pub(super) fn fields(
    ready: &Ready<'_, '_>,
    (layout, fetch): (usize, Option<usize>),
    types: &TypeSet,
    sets: &[SetId],
) -> Vec<RepresentationField> {
    let mut list: Vec<RepresentationField> = Vec::new();
    let Some(draft) = ready.draft.layouts.get(layout) else { return list };
    for set in sets {
        for field in &ready.selections.set(*set).fields {
            if field.is_typename() {
                continue;
            }
            // Alike types share one field set, collected for one of them.
            let applying = ready.selections.types(field.types);
            let on: Vec<TypeId> = types.iter().filter(|id| applying.contains(*id)).collect();
            let on = if on.is_empty() {
                types.clone()
            } else if is_shared(ready, *set) {
                TypeSet::new(on)
            } else {
                types.clone()
            };
            let is_blurred = draft.is_blurred(ready.options, ready.selections.call(field.signature));
            let (slots, _) = draft.slots_of(field.signature, &on, is_blurred);
            for (slot, of) in slots {
                let value = match (field.below, draft.slots.get(slot).and_then(|slot| slot.below)) {
                    (Some(below), Some(child)) => RepresentationValue::Object(nested(ready, (child, fetch), below)),
                    _ => RepresentationValue::Leaf,
                };
                let types = if of.iter().eq(types.iter()) { None } else { Some(of) };
                add(&mut list, RepresentationField { key: field.name.as_str().into(), slot: SlotId::new(slot), types, value });
            }
        }
    }
    list
}

/// Whether a field set is on several object types, so that its fields say which they are for.
fn is_shared(ready: &Ready<'_, '_>, set: SetId) -> bool {
    ready.selections.types(ready.selections.set(set).types).len() > 1
}

/// The fields of a nested object.
fn nested(ready: &Ready<'_, '_>, (layout, fetch): (usize, Option<usize>), set: SetId) -> Vec<RepresentationField> {
    let types = ready.selections.types(ready.selections.set(set).types).clone();
    let mut list = Vec::new();
    if types.len() > 1 && fetch.is_some_and(|fetch| ready.told.is_known(ready.draft, layout, fetch)) {
        list.push(RepresentationField {
            key: "__typename".into(),
            slot: SlotId::new(0),
            types: None,
            value: RepresentationValue::Typename,
        });
    }
    for field in fields(ready, (layout, fetch), &types, &[set]) {
        add(&mut list, field);
    }
    list
}

/// Adds a field, or what is below it to the same field.
fn add(list: &mut Vec<RepresentationField>, field: RepresentationField) {
    let same = list.iter_mut().find(|known| known.key == field.key && known.slot == field.slot && known.types == field.types);
    match (same, field) {
        (Some(known), field) => {
            if let (RepresentationValue::Object(known), RepresentationValue::Object(more)) = (&mut known.value, field.value) {
                for field in more {
                    add(known, field);
                }
            }
        }
        (None, field) => list.push(field),
    }
}

/// The shape without anything, for callers that fill it.
pub(super) fn empty_shape() -> Shape {
    Shape::default()
}
