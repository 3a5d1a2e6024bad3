//! The exploration of all ways that a client's operation can take, one state per client type and set of nodes.
//!
//! Relied on by `satisfiable`; relies on `reach` for what keys and requirements allow.

use super::contexts::{ContextId, Contexts};
use super::nodes::{Edge, Node, Nodes};
use super::reach::Reach;
use super::states::{Failure, Labels, Opened, Position, State, Step, Visited, Why};
use super::{Locate, Satisfiability};
use super::{explain, runtime_types};
use crate::diagnostics::Diagnostic;
use crate::ids::{FieldId, LabelId, SubgraphId, SubgraphSet, TypeId};
use crate::model::{Supergraph, Type, TypeKind};
use crate::plan::OperationKind;
use std::collections::{BTreeMap, VecDeque};

/// Most steps over all states: attempts to take a field or a type condition at a node, comparisons of states, and steps through the
/// field sets of keys and requirements. About a second.
const BUDGET: usize = 5_000_000;

/// A mutation field that several subgraphs resolve: one of them must satisfy everything below it on its own.
struct SharedMutation {
    root: usize,
    field: FieldId,
    labels: Labels,
    by_subgraph: BTreeMap<SubgraphId, Vec<Position>>,
}

/// Whether a way remembers how it decided labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LabelMemory {
    /// It does: a label is decided once.
    Exact,
    /// It does not: more ways than there are, but not exponentially many.
    Forgetful,
}

/// The exploration.
pub(super) struct Explorer<'a> {
    pub graph: &'a Supergraph,
    pub locate: &'a Locate<'a>,
    pub reach: Reach<'a>,
    pub states: Vec<State>,
    contexts: Contexts,
    hints: BTreeMap<FieldId, Diagnostic>,
    shared_mutations: Vec<SharedMutation>,
    failures: Vec<Failure>,
    labels: LabelMemory,
}

impl<'a> Explorer<'a> {
    pub(super) fn new(graph: &'a Supergraph, locate: &'a Locate<'a>, labels: LabelMemory) -> Self {
        Self {
            graph,
            locate,
            reach: Reach::new(graph, BUDGET),
            states: Vec::new(),
            contexts: Contexts::new(graph),
            hints: BTreeMap::new(),
            shared_mutations: Vec::new(),
            failures: Vec::new(),
            labels,
        }
    }

    /// Explores everything.
    pub(super) fn run(mut self) -> Satisfiability {
        let mut visited = Visited::default();
        let mut queue = VecDeque::new();
        for kind in [OperationKind::Query, OperationKind::Mutation, OperationKind::Subscription] {
            let Some(ty) = self.graph.root(kind).filter(|ty| !self.graph.get_type(*ty).inaccessible) else { continue };
            let at = self
                .graph
                .get_type(ty)
                .subgraphs
                .iter()
                .map(|subgraph| Position { node: Nodes::plain(subgraph, ty), context: ContextId::NONE });
            let state = State { ty, at: at.collect(), labels: Vec::new(), from: None, step: Step::Root(kind) };
            queue.push_back(self.states.len());
            self.states.push(state);
        }
        let failures = self.explore(queue, &mut visited, None);
        if self.reach.budget == 0 {
            return Satisfiability { errors: vec![explain::over_budget(BUDGET)], hints: Vec::new() };
        }
        let mut errors = explain::errors(&mut self, &failures);
        for shared in std::mem::take(&mut self.shared_mutations) {
            errors.extend(self.check_shared_mutation(shared, &visited));
        }
        if self.reach.budget == 0 {
            errors.push(explain::over_budget(BUDGET));
        }
        Satisfiability { errors, hints: self.hints.into_values().collect() }
    }

    /// Explores from the queued states; a state that `visited` or `earlier` covers is skipped.
    fn explore(&mut self, mut queue: VecDeque<usize>, visited: &mut Visited, earlier: Option<&Visited>) -> Vec<Failure> {
        while let Some(index) = queue.pop_front() {
            let Some(state) = self.states.get(index) else { continue };
            let ty = state.ty;
            let first_new = self.states.len();
            if self.graph.get_type(ty).is_abstract() {
                self.cast_all(index, ty);
            } else {
                self.take_all(index, ty);
            }
            if self.reach.budget == 0 {
                break;
            }
            for new in first_new..self.states.len() {
                let Some(state) = self.states.get(new) else { continue };
                if visited.has(state) {
                    continue;
                }
                self.reach.spend(visited.len(state) + earlier.map_or(0, |earlier| earlier.len(state)));
                if earlier.is_some_and(|earlier| earlier.covers(state)) || visited.covers(state) {
                    continue;
                }
                visited.add(state);
                queue.push_back(new);
            }
        }
        std::mem::take(&mut self.failures)
    }

    /// Takes every field of an object type.
    fn take_all(&mut self, index: usize, ty: TypeId) {
        let opened = self.opened(index);
        let object: &'a Type = self.graph.get_type(ty);
        for field in object.fields.values().copied() {
            if self.graph.field(field).inaccessible {
                continue;
            }
            for labels in self.label_choices(index, field) {
                self.take(index, field, labels, &opened);
            }
        }
    }

    /// Everywhere that keys take the objects of a state, with the contexts that they carry there.
    pub(super) fn opened(&mut self, index: usize) -> Vec<Opened> {
        let positions = self.states.get(index).map(|state| state.at.clone()).unwrap_or_default();
        // At the root, every subgraph is a start of its own.
        let is_root = self.states.get(index).is_some_and(|state| state.from.is_none());
        let mut opened: Vec<Opened> = Vec::new();
        for position in positions.iter().filter(|_| !is_root) {
            let closure = self.reach.closure(position.node);
            let slot = match opened.iter().position(|(context, _)| *context == position.context) {
                Some(slot) => slot,
                None => {
                    opened.push((position.context, Vec::new()));
                    opened.len() - 1
                }
            };
            let Some((_, union)) = opened.get_mut(slot) else { continue };
            for reached in closure.iter() {
                match union.iter_mut().find(|(known, _)| *known == reached.ty) {
                    Some((_, known)) => known.extend_with(&reached.subgraphs),
                    None => union.push((reached.ty, reached.subgraphs.clone())),
                }
            }
        }
        opened
    }

    /// The ways to decide the label of a field, given how labels were decided before.
    fn label_choices(&self, index: usize, field: FieldId) -> Vec<Labels> {
        let labels = self.states.get(index).map(|state| state.labels.clone()).unwrap_or_default();
        match self.reach.nodes.label(field) {
            Some(label) if !labels.iter().any(|(known, _)| *known == label) => [true, false]
                .into_iter()
                .map(|decision| {
                    let mut labels = labels.clone();
                    labels.push((label, decision));
                    labels.sort_unstable();
                    labels
                })
                .collect(),
            _ => vec![labels],
        }
    }

    fn take(&mut self, index: usize, field: FieldId, labels: Labels, opened: &[Opened]) {
        let graph = self.graph;
        let (ty, step) = (graph.field(field).ty.named, Step::Field(field));
        let is_leaf = !graph.get_type(ty).is_composite();
        let Some(next) = self.nodes_after(index, field, &labels, opened) else { return };
        if next.is_empty() {
            self.failures.push(Failure { state: index, step, labels, why: Why::Unreachable });
            return;
        }
        if is_leaf {
            return;
        }
        match runtime_types::compare(&mut self.reach.nodes, field, &next) {
            runtime_types::Verdict::Same => {}
            runtime_types::Verdict::Different(types) => {
                if !self.hints.contains_key(&field) {
                    let hint = explain::runtime_types_hint(self, index, field, &types);
                    self.hints.insert(field, hint);
                }
            }
            runtime_types::Verdict::Disjoint(types) => {
                self.failures.push(Failure { state: index, step, labels, why: Why::RuntimeTypes(types) });
                return;
            }
        }
        let is_mutation = self.states.get(index).is_some_and(|state| state.step == Step::Root(OperationKind::Mutation));
        if is_mutation
            && next.iter().any(|position| Some(position.node.subgraph) != next.first().map(|first| first.node.subgraph))
        {
            let mut by_subgraph: BTreeMap<SubgraphId, Vec<Position>> = BTreeMap::new();
            next.iter().for_each(|position| by_subgraph.entry(position.node.subgraph).or_default().push(*position));
            self.shared_mutations.push(SharedMutation { root: index, field, labels, by_subgraph });
            return;
        }
        let labels = if self.labels == LabelMemory::Forgetful { Labels::new() } else { labels };
        self.states.push(State { ty, at: next, labels, from: Some(index), step });
    }

    /// The positions of a field's value; `None` for a leaf that can be had. Sorted; empty when no subgraph can go on.
    fn nodes_after(
        &mut self,
        index: usize,
        field: FieldId,
        labels: &[(LabelId, bool)],
        opened: &[Opened],
    ) -> Option<Vec<Position>> {
        let is_leaf = !self.graph.get_type(self.graph.field(field).ty.named).is_composite();
        let positions = self.states.get(index).map(|state| state.at.clone()).unwrap_or_default();
        let mut next = Vec::new();
        for position in positions {
            if !self.reach.nodes.may_take(position.node, field) {
                continue;
            }
            next.extend(self.try_take(position, field, labels, false));
            if is_leaf && !next.is_empty() {
                return None;
            }
        }
        for (context, closure) in opened {
            for (ty, subgraphs) in closure {
                let able = self.reach.nodes.may_resolve(*ty, field, subgraphs);
                let resolves = |all: &SubgraphSet| self.graph.field(field).parent == *ty && all.intersects(&able);
                if is_leaf && self.reach.nodes.unconditional(field).is_some_and(resolves) {
                    return None;
                }
                for subgraph in able.iter() {
                    let position = Position { node: Nodes::plain(subgraph, *ty), context: *context };
                    next.extend(self.try_take(position, field, labels, true));
                    if is_leaf && !next.is_empty() {
                        return None;
                    }
                }
            }
        }
        next.sort_unstable();
        next.dedup();
        Some(next)
    }

    /// The position of a field's value when it is taken at one position, if its subgraph resolves it and every condition holds.
    pub(super) fn try_take(
        &mut self,
        position: Position,
        field: FieldId,
        labels: &[(LabelId, bool)],
        entered: bool,
    ) -> Option<Position> {
        self.reach.spend(1);
        let object = self.graph.field(field).parent;
        let (node, entered) = if self.reach.nodes.is_object(position.node) {
            (position.node, entered)
        } else {
            (self.reach.nodes.cast(position.node, object)?, false)
        };
        let edge = self.reach.nodes.edge(node, field)?;
        if edge.at.label.is_some_and(|decision| !labels.contains(&decision)) {
            return None;
        }
        if let Some(requires) = edge.at.requires.as_deref()
            && !((entered || self.reach.nodes.has_local_key(node)) && self.reach.obtains(node, requires))
        {
            return None;
        }
        if !self.has_contexts(&edge, node, position.context) {
            return None;
        }
        Some(Position { node: edge.child, context: self.contexts.after(position.context, object, node) })
    }

    /// Whether every context that the field's arguments need was set on the way, with values that can be had.
    fn has_contexts(&mut self, edge: &Edge<'a>, node: Node, context: ContextId) -> bool {
        if edge.at.context_arguments.is_empty() {
            return true;
        }
        let graph = self.graph;
        let all = edge.at.context_arguments.iter().all(|argument| {
            let Some(setting) = self.contexts.find(context, &argument.context).cloned() else { return false };
            let is_setter = |setter: &TypeId| graph.get_type(*setter).possible.contains(setting.object);
            let selection = argument.selections.iter().find(|(setter, _)| is_setter(setter));
            selection.is_some_and(|(_, set)| self.reach.obtains_context(setting.node, set))
        });
        all && self.reach.nodes.has_local_key(node)
    }

    /// Takes every type condition on an abstract type.
    fn cast_all(&mut self, index: usize, ty: TypeId) {
        let opened = self.opened(index);
        let Some(state) = self.states.get(index) else { return };
        let (positions, labels) = (state.at.clone(), state.labels.clone());
        let graph = self.graph;
        let is_interface = graph.get_type(ty).kind == TypeKind::Interface;
        for object in graph.get_type(ty).possible.iter().filter(|object| !graph.get_type(*object).inaccessible) {
            if positions.iter().any(|position| self.can_never_be(position.node, object, is_interface)) {
                continue;
            }
            let mut next: Vec<Position> = positions.iter().filter_map(|position| self.try_cast(*position, object)).collect();
            for (context, closure) in &opened {
                let jumped = closure.iter().flat_map(|(ty, subgraphs)| subgraphs.iter().map(|id| Nodes::plain(id, *ty)));
                let jumped: Vec<_> = jumped.collect();
                next.extend(jumped.into_iter().filter_map(|node| self.try_cast(Position { node, context: *context }, object)));
            }
            next.sort_unstable();
            next.dedup();
            if next.is_empty() {
                let failure = self.cast_failure(index, object);
                self.failures.extend(failure);
                continue;
            }
            let (labels, step) = (labels.clone(), Step::Cast(object));
            self.states.push(State { ty: object, at: next, labels, from: Some(index), step });
        }
    }

    /// A subgraph that holds the object as an interface object must find out its type; one that holds it as another object type just
    /// never gives this one, which is no failure.
    fn cast_failure(&self, index: usize, object: TypeId) -> Option<Failure> {
        let state = self.states.get(index)?;
        let needs_type = state.at.iter().any(|position| {
            let nodes = &self.reach.nodes;
            nodes.is_interface_object(position.node) || !nodes.is_object(position.node)
        });
        let failure = Failure { state: index, step: Step::Cast(object), labels: state.labels.clone(), why: Why::Unreachable };
        needs_type.then_some(failure)
    }

    /// Whether the subgraph's type excludes the object type. All subgraphs that share a field must give the same objects, so that one
    /// that never gives this type proves that none does.
    fn can_never_be(&self, node: Node, object: TypeId, is_interface: bool) -> bool {
        let nodes = &self.reach.nodes;
        !(is_interface && nodes.is_object(node) || nodes.possible(node).any(|possible| possible == object))
    }

    /// The position of an object after a type condition.
    fn try_cast(&mut self, position: Position, object: TypeId) -> Option<Position> {
        self.reach.spend(1);
        if self.reach.nodes.is_interface_object(position.node) {
            let is_possible = self.graph.get_type(position.node.ty).possible.contains(object);
            return (is_possible && self.reach.knows_typename(position.node)).then_some(position);
        }
        let node = self.reach.nodes.cast(position.node, object)?;
        Some(Position { node, ..position })
    }

    fn check_shared_mutation(&mut self, shared: SharedMutation, visited: &Visited) -> Option<Diagnostic> {
        let mut by_subgraph = Vec::new();
        for (subgraph, at) in shared.by_subgraph {
            let ty = self.graph.field(shared.field).ty.named;
            let (labels, from) = (shared.labels.clone(), Some(shared.root));
            let queue = VecDeque::from([self.states.len()]);
            self.states.push(State { ty, at, labels, from, step: Step::Field(shared.field) });
            let failures = self.explore(queue, &mut Visited::default(), Some(visited));
            if failures.is_empty() {
                return None;
            }
            by_subgraph.push((subgraph, explain::errors(self, &failures)));
        }
        Some(explain::shared_mutation(self, shared.field, &by_subgraph))
    }
}
