//! Fetch documents: the selection sets of a fetch as GraphQL that is valid for its subgraph, and how its answer is read.
//!
//! A field stands directly in its selection set when the subgraph's type has it and all its object types want it, else in a
//! fragment on an interface that covers exactly the types, or on each object type. Where two fields with one response key would
//! have types that cannot be merged in this subgraph, one gets an internal alias.
//! Relies on `fetches`; relied on by `assemble`.
//! Spec: <https://spec.graphql.org/September2025/#sec-Field-Selection-Merging>

use super::arrivals::ArrivalDraft;
use super::condition::{ALWAYS, Guard};
use super::contexts::{Contexts, UseId};
use super::fetches::{Draft, Pick, SlotDraft, VisitDraft};
use super::merging::Standing;
use super::options::{Naming, Options};
use super::selections::Selections;
use super::shape::{Read, ReadField, ReadValue, TypeSet};
use crate::ids::{Id, IdVec, LayoutId, ReadId, SlotId, SubgraphId, TypeId};
use crate::model::{TypeKind, TypeRef};
use apollo_compiler::Name;
use indexmap::{IndexMap, IndexSet};
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// What has to be changed in a subgraph's answer before it is merged; the executor's reads do so by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rename {
    /// Response keys from the top of the answer (of the entity, in an entity fetch) to the alias or value.
    pub path: Vec<String>,
    /// The key in the merged answer, or the value.
    pub to: String,
    /// Whether a value is set: the only possible type of an interface object.
    pub is_value: bool,
}

/// The printed selection set of one fetch.
#[derive(Clone, Debug)]
pub(super) struct Body {
    /// With its braces.
    pub text: String,
    /// How it is read.
    pub read: ReadId,
    /// Variables that it uses.
    pub variables: Vec<Name>,
    /// What it reads from contexts.
    pub contexts: BTreeSet<UseId>,
    /// Internal aliases, the deepest first.
    pub renames: Vec<Rename>,
}

/// Prints the documents of a draft.
pub(super) struct Documents<'d, 'a> {
    /// Who has which field.
    pub options: Options<'a>,
    /// The selection sets.
    pub selections: &'d Selections<'a>,
    /// What is read from contexts.
    pub contexts: &'d Contexts,
    /// The draft.
    pub draft: &'d Draft,
    /// The reads so far.
    pub reads: IdVec<ReadId, Read>,
}

/// What one document has gathered.
#[derive(Default)]
struct Gathered<'d> {
    variables: Vec<Name>,
    contexts: BTreeSet<UseId>,
    renames: Vec<Rename>,
    path: Vec<Cow<'d, str>>,
}

/// Where fields are printed: a type of the subgraph and the object types that may stand there.
#[derive(Clone)]
struct Scope {
    ty: Option<TypeId>,
    types: TypeSet,
}

/// Whose fields are printed: a visit, its subgraph, and the condition that holds there anyway.
#[derive(Clone, Copy)]
struct Place<'d> {
    visit: &'d VisitDraft,
    subgraph: SubgraphId,
    known: Guard,
}

/// A selection set as far as it is printed.
#[derive(Default)]
struct Printed<'d> {
    text: String,
    /// How its fields are read: a slot once per key, however many fragments print it.
    fields: IndexSet<ReadField, FxBuildHasher>,
    /// What stands under each response key.
    standing: Standing<'d>,
}

/// The type of a field in a subgraph, and its arguments from contexts.
type Form<'d> = (Option<TypeRef>, &'d [(Name, UseId)]);

/// One field as it is printed: a pick for some of its types, under a response key.
pub(super) struct Unit<'d> {
    pub slot: usize,
    pub slot_draft: &'d SlotDraft,
    pub pick: &'d Pick,
    pub types: Cow<'d, [TypeId]>,
    pub key: Cow<'d, str>,
    /// Stands at the top, outside fragments.
    pub is_plain: bool,
    /// No other has its response key.
    pub is_alone: bool,
    /// Its text, until it stands at the top.
    pub line: Option<String>,
}

impl<'d> Documents<'d, '_> {
    /// The selection set of a fetch for these arrivals (none at a root); fields under `known` need no condition of their own.
    pub fn body(&mut self, fetch: usize, arrivals: &[ArrivalDraft], known: Guard) -> Option<Body> {
        let draft = self.draft;
        let fetch = draft.fetches.get(fetch)?;
        let visit = draft.visits.get(fetch.visit)?;
        let mut gathered = Gathered::default();
        let mut printed = Printed { text: String::from("{"), ..Printed::default() };
        let place = Place { visit, subgraph: fetch.subgraph, known };
        if arrivals.is_empty() {
            let scope = Scope { ty: None, types: TypeSet::empty() };
            self.fields(place, &scope, &mut printed, &mut gathered);
        } else {
            self.entity_blocks(place, arrivals, &mut printed, &mut gathered);
        }
        let Printed { mut text, fields, .. } = printed;
        let fields = fields.into_iter().collect();
        if text == "{" {
            text.push_str(" __typename");
        }
        text.push_str(" }");
        let types: Vec<TypeId> = arrivals.iter().flat_map(|arrival| arrival.types.iter()).collect();
        let object_type = match types.as_slice() {
            [only] if arrivals.iter().all(|arrival| arrival.naming == Naming::Concrete) => Some(*only),
            _ => None,
        };
        let typename = visit.typename.then(|| "__typename".into());
        let read = self.reads.push(Read { layout: LayoutId::new(visit.layout), typename, object_type, fields });
        let Gathered { variables, contexts, renames, .. } = gathered;
        Some(Body { text, read, variables, contexts, renames })
    }

    /// Fragments of an `_entities` field: on the interface where the representation names it, else on the objects' types.
    fn entity_blocks(
        &mut self,
        place: Place<'d>,
        arrivals: &[ArrivalDraft],
        printed: &mut Printed<'d>,
        gathered: &mut Gathered<'d>,
    ) {
        let mut scopes: Vec<Scope> = Vec::new();
        for arrival in arrivals {
            let ty = match arrival.naming {
                Naming::Interface(id) => Some(id),
                _ => None,
            };
            match scopes.iter_mut().find(|scope| scope.ty == ty) {
                Some(scope) => scope.types = TypeSet::new(scope.types.iter().chain(arrival.types.iter()).collect()),
                None => scopes.push(Scope { ty, types: arrival.types.clone() }),
            }
        }
        for scope in scopes {
            let Some(id) = scope.ty else {
                self.fields(place, &scope, printed, gathered);
                continue;
            };
            let _ = write!(printed.text, " ... on {} {{", self.options.supergraph.get_type(id).name);
            let start = printed.text.len();
            if place.visit.typename {
                printed.text.push_str(" __typename");
            }
            self.fields(place, &scope, printed, gathered);
            if printed.text.len() == start {
                printed.text.push_str(" __typename");
            }
            printed.text.push_str(" }");
        }
    }

    /// Prints the fields of a visit in a scope.
    fn fields(&mut self, place: Place<'d>, scope: &Scope, printed: &mut Printed<'d>, gathered: &mut Gathered<'d>) {
        let mut units = self.units(place.visit, place.subgraph, scope);
        let together = scope.ty.is_some_and(|id| self.options.is_interface_object(id, place.subgraph));
        self.resolve_conflicts(&mut units, &mut printed.standing, place.visit.layout, (place.subgraph, together));
        find_alone(&mut units);
        printed.fields.reserve(units.len());
        for unit in &mut units {
            let start = printed.text.len();
            self.unit(unit, place, printed, gathered);
            if !unit.is_plain {
                unit.line = Some(printed.text.split_off(start));
            }
        }
        if scope.ty.is_some() && units.iter().all(|unit| unit.is_plain) {
            return;
        }
        for (types, chosen) in group(&units, scope) {
            if chosen.is_empty() && scope.ty.is_some() {
                continue;
            }
            let chosen: Vec<&Unit<'_>> = chosen.iter().filter_map(|index| units.get(*index)).collect();
            let alone = chosen.iter().all(|unit| unit.is_alone);
            let cover = if alone && types.len() > 1 { self.covering(&chosen, place.subgraph, scope, &types) } else { None };
            let names = cover.map_or(types, |id| vec![id]);
            let typename = (scope.ty.is_none() && place.visit.typename) || chosen.is_empty();
            self.blocks(&names, typename, &chosen, &mut printed.text);
        }
    }

    /// Prints the same units in a fragment on each of these types.
    fn blocks(&self, types: &[TypeId], typename: bool, units: &[&Unit<'_>], text: &mut String) {
        for id in types {
            let _ = write!(text, " ... on {} {{", self.options.supergraph.get_type(*id).name);
            if typename {
                text.push_str(" __typename");
            }
            units.iter().filter_map(|unit| unit.line.as_ref()).for_each(|line| text.push_str(line));
            text.push_str(" }");
        }
    }

    /// An interface of the subgraph whose objects here are exactly `types` and which has all these fields alike.
    fn covering(&self, units: &[&Unit<'_>], subgraph: SubgraphId, scope: &Scope, types: &[TypeId]) -> Option<TypeId> {
        let first = self.options.supergraph.get_type(*types.first()?);
        first.interfaces.iter().copied().find(|id| {
            let interface = self.options.supergraph.get_type(*id);
            let Some(at) = interface.at(subgraph) else { return false };
            if at.interface_object {
                return false;
            }
            let here: Vec<TypeId> = scope.types.iter().filter(|id| at.possible.contains(*id)).collect();
            here == types && units.iter().all(|unit| self.has_alike(*id, subgraph, unit))
        })
    }

    /// Whether a type of the subgraph has the unit's field so that what is below can be printed in the same way.
    fn has_alike(&self, ty: TypeId, subgraph: SubgraphId, unit: &Unit<'_>) -> bool {
        let Some(call) = self.selections.call(unit.slot_draft.signature) else { return false };
        let Some(at) = self.options.field_of(ty, call.name_id).and_then(|field| field.at(subgraph)) else { return false };
        match unit.pick.below {
            None => true,
            Some(below) => self.draft.visits.get(below).and_then(|visit| visit.ty) == Some(at.ty.named),
        }
    }

    /// The picks of a visit within a scope, split by the field's type in the subgraph where it is not printed directly.
    fn units(&self, visit: &'d VisitDraft, subgraph: SubgraphId, scope: &Scope) -> Vec<Unit<'d>> {
        let mut units: Vec<Unit<'d>> = Vec::with_capacity(visit.picks.len());
        let draft = self.draft;
        let Some(layout) = draft.layouts.get(visit.layout) else { return units };
        let is_single = scope.ty.map_or(scope.types.is_empty(), |id| {
            let is_object = self.options.supergraph.get_type(id).kind == TypeKind::Object;
            is_object || self.options.is_interface_object(id, subgraph)
        });
        for ((slot, _), pick) in &visit.picks {
            let Some(slot_draft) = layout.slots.get(*slot) else { continue };
            let key = Cow::Borrowed(slot_draft.key.as_str());
            let is_here = |id: &TypeId| scope.types.is_empty() || scope.types.contains(*id);
            let types = if pick.types.iter().all(is_here) {
                Cow::Borrowed(pick.types.as_slice())
            } else {
                pick.types.iter().copied().filter(is_here).collect()
            };
            if types.is_empty() {
                continue;
            }
            let mut unit = Unit { slot: *slot, slot_draft, pick, types, key, is_plain: is_single, is_alone: true, line: None };
            let covers = scope.ty.is_some() && *unit.types == *scope.types.as_slice();
            if is_single || (covers && scope.ty.is_some_and(|ty| self.has_alike(ty, subgraph, &unit))) {
                unit.is_plain = true;
                units.push(unit);
                continue;
            }
            // Objects with another type of the field, or with other arguments from contexts, have the field apart.
            let mut split: Vec<(Form<'_>, Vec<TypeId>)> = Vec::new();
            for id in unit.types.iter() {
                let how = (self.type_in(*id, subgraph, slot_draft), self.read_from_contexts(visit, subgraph, *id, slot_draft));
                match split.iter_mut().find(|(known, _)| *known == how) {
                    Some((_, types)) => types.push(*id),
                    None => split.push((how, vec![*id])),
                }
            }
            for (_, types) in split {
                let (types, key) = (types.into(), unit.key.clone());
                units.push(Unit { slot: *slot, slot_draft, pick, types, key, is_plain: false, is_alone: true, line: None });
            }
        }
        units
    }

    /// The type of a slot's field on an object type in a subgraph.
    pub fn type_in(&self, object: TypeId, subgraph: SubgraphId, slot: &SlotDraft) -> Option<TypeRef> {
        let call = self.selections.call(slot.signature)?;
        self.options.field(object, subgraph, call.name_id).map(|at| at.ty)
    }

    /// Prints one field with what is below it, and notes how it is read.
    fn unit(&mut self, unit: &Unit<'d>, place: Place<'d>, printed: &mut Printed<'d>, gathered: &mut Gathered<'d>) {
        let Some(call) = self.selections.call(unit.slot_draft.signature) else { return };
        let guard = self.guard(unit, place);
        if guard == ALWAYS {
            printed.text.push(' ');
        }
        let start = printed.text.len();
        let contexts = self.call(unit, call, (place.visit, place.subgraph), &mut printed.text);
        let end = printed.text.len();
        gathered.contexts.extend(contexts.iter().map(|(_, id)| *id));
        gathered.variables.extend(call.variables.iter().cloned());
        gathered.path.push(unit.key.clone());
        let below = unit.pick.below.and_then(|below| self.draft.visits.get(below));
        let read = below.and_then(|below| self.selection_set(below, place.subgraph, &mut printed.text, gathered));
        if *unit.key != unit.slot_draft.key {
            self.rename(unit, place.visit.layout, gathered);
        }
        gathered.path.pop();
        printed.fields.insert(ReadField {
            key: (&*unit.key).into(),
            slot: SlotId::new(unit.slot),
            types: (!unit.is_alone).then(|| TypeSet::new(unit.types.to_vec())),
            lists: unit.slot_draft.wrap.lists,
            value: read.map_or(ReadValue::Leaf, ReadValue::Object),
        });
        if guard != ALWAYS {
            let body = printed.text.split_off(end);
            let line = printed.text.split_off(start);
            printed.text.push_str(&self.guarded(&line, &body, guard, gathered));
        }
    }

    /// The condition that a field is printed with.
    fn guard(&self, unit: &Unit<'d>, place: Place<'d>) -> Guard {
        let layout_guard = self.draft.layouts.get(place.visit.layout).map_or(ALWAYS, |layout| layout.guard);
        let wanted = unit.pick.guard.unwrap_or(ALWAYS);
        let is_known = place.visit.ty.is_none() && layout_guard == ALWAYS && wanted == place.known;
        if unit.pick.internal || is_known { ALWAYS } else { wanted }
    }

    /// Notes an internal alias. Beside a field for other types, which an interface object gives to all, it counts for its own only.
    fn rename(&self, unit: &Unit<'d>, layout: usize, gathered: &mut Gathered<'d>) {
        let to = unit.slot_draft.key.clone();
        let path: Vec<String> = gathered.path.iter().map(Cow::to_string).collect();
        let types = self.draft.layouts.get(layout).map_or(0, |layout| layout.types.len());
        if !unit.is_plain || unit.types.len() == types {
            gathered.renames.push(Rename { path, to, is_value: false });
            return;
        }
        for id in unit.types.iter() {
            let mut path = path.clone();
            path.insert(path.len().saturating_sub(1), format!("... on {}", self.options.supergraph.get_type(*id).name));
            gathered.renames.push(Rename { path, to: to.clone(), is_value: false });
        }
    }

    /// A field under its condition. Alternatives are repeated for leaves; for objects that would repeat what is below, so
    /// they are asked for always and not written to the client.
    fn guarded(&self, line: &str, body: &str, guard: Guard, gathered: &mut Gathered<'d>) -> String {
        let condition = self.selections.guards.get(guard);
        if condition.any.len() > 1 && (condition.any.len() > 8 || !body.is_empty()) {
            return format!(" {line}{body}");
        }
        let mut text = String::new();
        for tests in &condition.any {
            let mut used = [false; 2];
            let (mut directives, mut open, mut close) = (String::new(), String::new(), String::new());
            for test in tests {
                let directive = if test.is { "include" } else { "skip" };
                let applied = format!(" @{directive}(if: ${})", test.variable);
                let taken = used.get_mut(usize::from(test.is));
                if taken.is_some_and(|taken| std::mem::replace(taken, true)) {
                    let _ = write!(open, " ...{applied} {{");
                    close.push_str(" }");
                } else {
                    directives.push_str(&applied);
                }
                if let Ok(name) = Name::new(&test.variable) {
                    gathered.variables.push(name);
                }
            }
            let _ = write!(text, "{open} {line}{directives}{body}{close}");
        }
        text
    }

    /// Prints the selection set below a field; how it is read.
    fn selection_set(
        &mut self,
        visit: &'d VisitDraft,
        subgraph: SubgraphId,
        text: &mut String,
        gathered: &mut Gathered<'d>,
    ) -> Option<ReadId> {
        let ty = visit.ty?;
        let types = self.options.possible(ty, subgraph).clone();
        let is_interface_object = self.options.is_interface_object(ty, subgraph);
        let is_abstract = self.options.supergraph.get_type(ty).is_abstract() && !is_interface_object;
        let mut printed = Printed { text: std::mem::take(text), ..Printed::default() };
        printed.text.push_str(" {");
        let start = printed.text.len();
        let typename = visit.typename || is_abstract;
        if typename {
            printed.text.push_str(" __typename");
        }
        let scope = Scope { ty: Some(ty), types };
        self.fields(Place { visit, subgraph, known: ALWAYS }, &scope, &mut printed, gathered);
        if printed.text.len() == start {
            printed.text.push_str(" __typename");
        }
        printed.text.push_str(" }");
        let object_type = if is_abstract || is_interface_object { None } else { Some(ty) };
        let possible = self.draft.layouts.get(visit.layout).map_or(&[][..], |layout| layout.types.as_slice());
        if let (true, [only]) = (is_interface_object, possible) {
            let path = gathered.path.iter().map(Cow::to_string).chain(["__typename".to_owned()]).collect();
            let to = self.options.supergraph.get_type(*only).name.to_string();
            gathered.renames.push(Rename { path, to, is_value: true });
        }
        let typename = typename.then(|| "__typename".into());
        let read =
            Read { layout: LayoutId::new(visit.layout), typename, object_type, fields: printed.fields.into_iter().collect() };
        *text = printed.text;
        Some(self.reads.push(read))
    }
}

/// Notes which units have a response key for themselves.
fn find_alone(units: &mut [Unit<'_>]) {
    let mut counts: FxHashMap<&str, usize> = FxHashMap::with_capacity_and_hasher(units.len(), FxBuildHasher);
    units.iter().for_each(|unit| *counts.entry(&*unit.key).or_default() += 1);
    let alone: Vec<bool> = units.iter().map(|unit| counts.get(&*unit.key) == Some(&1)).collect();
    units.iter_mut().zip(alone).for_each(|(unit, is_alone)| unit.is_alone = is_alone);
}

/// Object types of the scope by the units printed in their fragments.
fn group(units: &[Unit<'_>], scope: &Scope) -> Vec<(Vec<TypeId>, Vec<usize>)> {
    let mut lines: FxHashMap<TypeId, Vec<usize>> = FxHashMap::default();
    for (index, unit) in units.iter().enumerate().filter(|(_, unit)| unit.line.is_some()) {
        unit.types.iter().for_each(|id| lines.entry(*id).or_default().push(index));
    }
    let mut groups: IndexMap<Vec<usize>, Vec<TypeId>, FxBuildHasher> = IndexMap::default();
    for id in scope.types.iter() {
        groups.entry(lines.remove(&id).unwrap_or_default()).or_default().push(id);
    }
    groups.into_iter().map(|(lines, types)| (types, lines)).collect()
}
