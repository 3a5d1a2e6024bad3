//! Which other nodes an object can be taken to, and whether a field set can be obtained from a node.
//!
//! Input: the supergraph and goals asked one by one. Output: for a node, the subgraphs that keys (or root types) open from it; for a
//! node and a field set, whether every field of the set can be fetched from there on. Both depend on each other and on themselves (a
//! key may be fetched through another key), so they are computed together as a least fixed point: every goal starts at "nothing"
//! and is computed again when a goal that it looked at has grown.
//!
//! Cost: every goal grows at most (types of its closure × subgraphs) times, and is computed again only when a goal it looked at grew.
//! Example: A has key `id`, B has keys `id` and `code`, C has key `code`. Closure of A: `id` opens B; now `code` can be had, so C.

use super::nodes::{Edge, Node, Nodes};
use crate::ids::{FieldId, SubgraphSet, TypeId};
use crate::model::field_set::{FieldSet, Selection};
use crate::model::{Supergraph, TypeKind};
use crate::plan::OperationKind;
use rustc_hash::{FxHashMap, FxHashSet};
use std::rc::Rc;
use std::sync::Arc;

/// Types and the subgraphs where the object can be held as that type.
pub(super) type Closure = Vec<(TypeId, SubgraphSet)>;

/// One key, and the subgraphs that it opens.
struct Jump {
    /// The type as which the object is held afterwards.
    to: TypeId,
    /// The key; `None` for root types, which need none.
    key: Option<Arc<FieldSet>>,
    opens: SubgraphSet,
}

/// A question with a remembered answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Goal {
    /// What can be reached from a node.
    Closure(Node),
    /// Whether a field set (by its address) can be obtained at a node.
    Obtain(Node, usize),
}

/// The answers so far.
pub(super) struct Reach<'a> {
    pub nodes: Nodes<'a>,
    jumps: FxHashMap<TypeId, Rc<Vec<Jump>>>,
    closures: FxHashMap<Node, Rc<Closure>>,
    obtained: FxHashMap<(Node, usize), bool>,
    sets: FxHashMap<usize, &'a FieldSet>,
    /// Sets whose fragments on other types than the node's do not count.
    selections_by_type: FxHashSet<usize>,
    waiting: Vec<Goal>,
    queued: FxHashSet<Goal>,
    dependents: FxHashMap<Goal, FxHashSet<Goal>>,
}

/// One walk along a path of a field set.
struct Walk<'p, 'a> {
    goal: Goal,
    path: &'p [&'a Selection],
    seen: FxHashMap<(Node, bool, usize), bool>,
}

impl<'a> Reach<'a> {
    pub(super) fn new(graph: &'a Supergraph) -> Self {
        Self {
            nodes: Nodes::new(graph),
            jumps: FxHashMap::default(),
            closures: FxHashMap::default(),
            obtained: FxHashMap::default(),
            sets: FxHashMap::default(),
            selections_by_type: FxHashSet::default(),
            waiting: Vec::new(),
            queued: FxHashSet::default(),
            dependents: FxHashMap::default(),
        }
    }

    /// Where the object at `node` can be taken by keys, without its own subgraph.
    pub(super) fn closure(&mut self, node: Node) -> Rc<Closure> {
        if !self.closures.contains_key(&node) {
            self.demand(Goal::Closure(node));
            self.settle();
        }
        self.closures.get(&node).cloned().unwrap_or_default()
    }

    /// Whether every field of `set` can be fetched for the object at `node`.
    pub(super) fn obtains(&mut self, node: Node, set: &'a FieldSet) -> bool {
        let key = self.key_of(set);
        if !self.obtained.contains_key(&(node, key)) {
            self.demand(Goal::Obtain(node, key));
            self.settle();
        }
        self.obtained.get(&(node, key)).copied().unwrap_or(false)
    }

    /// Whether what a context selects can be fetched for the object at `node`. It may select by type.
    pub(super) fn obtains_context(&mut self, node: Node, set: &'a FieldSet) -> bool {
        let key = self.key_of(set);
        self.selections_by_type.insert(key);
        self.obtains(node, set)
    }

    /// Whether the concrete type of the object at `node` can be found out.
    pub(super) fn knows_typename(&mut self, node: Node) -> bool {
        !self.nodes.is_interface_object(node) || {
            let closure = self.closure(node);
            self.has_typename(&closure)
        }
    }

    fn has_typename(&self, closure: &Closure) -> bool {
        closure.iter().any(|(ty, subgraphs)| !subgraphs.is_subset(&self.nodes.graph.get_type(*ty).interface_object_in))
    }

    fn key_of(&mut self, set: &'a FieldSet) -> usize {
        let key = std::ptr::from_ref::<FieldSet>(set) as usize;
        self.sets.insert(key, set);
        key
    }

    fn demand(&mut self, goal: Goal) {
        match goal {
            Goal::Closure(node) => drop(self.closures.insert(node, Rc::default())),
            Goal::Obtain(node, key) => drop(self.obtained.insert((node, key), false)),
        }
        self.enqueue(goal);
    }

    fn enqueue(&mut self, goal: Goal) {
        if self.queued.insert(goal) {
            self.waiting.push(goal);
        }
    }

    /// Computes waiting goals until none has changed.
    fn settle(&mut self) {
        while let Some(goal) = self.waiting.pop() {
            self.queued.remove(&goal);
            let grew = match goal {
                Goal::Closure(node) => self.grow_closure(node),
                Goal::Obtain(node, key) => self.try_obtain(node, key),
            };
            if grew {
                for dependent in self.dependents.remove(&goal).unwrap_or_default() {
                    self.enqueue(dependent);
                }
            }
        }
    }

    fn try_obtain(&mut self, node: Node, key: usize) -> bool {
        let Some(set) = self.sets.get(&key).copied() else { return false };
        let holds = self.holds(Goal::Obtain(node, key), node, set);
        self.obtained.insert((node, key), holds) == Some(false) && holds
    }

    fn grow_closure(&mut self, node: Node) -> bool {
        let before = self.closures.get(&node).cloned().unwrap_or_default();
        let mut reached = (*before).clone();
        let mut grew = true;
        while grew {
            grew = false;
            let mut types = vec![node.ty];
            types.extend(reached.iter().map(|(ty, _)| *ty).filter(|ty| *ty != node.ty));
            for ty in types {
                let jumps = self.jumps(ty);
                for jump in jumps.iter() {
                    grew |= self.try_jump(node, jump, &mut reached);
                }
            }
        }
        reached != *before
    }

    fn try_jump(&mut self, node: Node, jump: &Jump, reached: &mut Closure) -> bool {
        let mut new = jump.opens.clone();
        new.remove(node.subgraph);
        for (_, there) in reached.iter() {
            new.subtract(there);
        }
        if new.is_empty() || !jump.key.as_deref().is_none_or(|key| self.has_key(node, reached, key)) {
            return false;
        }
        match reached.iter_mut().find(|(ty, _)| *ty == jump.to) {
            Some((_, there)) => there.extend_with(&new),
            None => reached.push((jump.to, new)),
        }
        self.closures.insert(node, Rc::new(reached.clone()));
        true
    }

    /// Whether a key's fields can be obtained at `node` or where it was taken to so far.
    fn has_key(&mut self, node: Node, reached: &Closure, key: &FieldSet) -> bool {
        let quick = key.selections.iter().all(|selection| match selection {
            Selection::Field { field, below, .. } if below.selections.is_empty() => self.has_leaf(node, reached, *field),
            _ => false,
        });
        quick || self.holds(Goal::Closure(node), node, key)
    }

    fn has_leaf(&self, node: Node, reached: &Closure, field: FieldId) -> bool {
        let here = Nodes::plain(node.subgraph, node.ty);
        let resolves = |node: Node, field| {
            let own = self.nodes.own_field(node, field);
            own.and_then(|own| self.nodes.unconditional(own)).is_some_and(|set| set.contains(node.subgraph))
        };
        if self.nodes.is_object(here) && resolves(here, field) {
            return true;
        }
        reached.iter().any(|(ty, subgraphs)| {
            let any = subgraphs.lowest().map(|subgraph| Nodes::plain(subgraph, *ty));
            let own = any.and_then(|node| self.nodes.own_field(node, field));
            self.nodes.graph.get_type(*ty).kind == TypeKind::Object
                && own.and_then(|own| self.nodes.unconditional(own)).is_some_and(|set| set.intersects(subgraphs))
        })
    }

    /// Whether every path of the field set can be walked from `node`.
    fn holds(&mut self, goal: Goal, node: Node, set: &FieldSet) -> bool {
        let mut paths = Vec::new();
        collect_paths(set, &mut Vec::new(), &mut paths);
        if let Goal::Obtain(_, key) = goal
            && self.selections_by_type.contains(&key)
        {
            paths.retain(|path| !path.first().is_some_and(|selection| self.is_for_others(selection, node)));
        }
        paths.iter().all(|path| {
            let mut walk = Walk { goal, path, seen: FxHashMap::default() };
            self.walk(&mut walk, node, true, 0)
        })
    }

    /// Whether a selection is a fragment on an object type that the object at `node` cannot have.
    fn is_for_others(&self, selection: &Selection, node: Node) -> bool {
        let Selection::Fragment { on, .. } = selection else { return false };
        let graph = self.nodes.graph;
        graph.get_type(*on).kind == TypeKind::Object && !graph.get_type(node.ty).possible.contains(*on)
    }

    /// Whether the rest of the path can be walked from `node`, which was just entered by a key (`entered`) or not.
    fn walk(&mut self, walk: &mut Walk<'_, '_>, node: Node, entered: bool, index: usize) -> bool {
        let Some(selection) = walk.path.get(index).copied() else { return true };
        if let Some(known) = walk.seen.get(&(node, entered, index)) {
            return *known;
        }
        walk.seen.insert((node, entered, index), false);
        let holds = match selection {
            Selection::Typename => !self.nodes.is_interface_object(node) || {
                let closure = self.look(walk.goal, node);
                self.has_typename(&closure)
            },
            Selection::Field { field, .. } => self.walk_field(walk, node, entered, index, *field),
            Selection::Fragment { on, .. } => self.walk_fragment(walk, node, entered, index, *on),
        };
        walk.seen.insert((node, entered, index), holds);
        holds
    }

    fn walk_field(&mut self, walk: &mut Walk<'_, '_>, node: Node, entered: bool, index: usize, field: FieldId) -> bool {
        if self.walk_field_here(walk, node, entered, index, field) {
            return true;
        }
        let closure = self.look(walk.goal, node);
        closure.iter().any(|(ty, subgraphs)| {
            subgraphs.iter().any(|subgraph| self.walk_field_here(walk, Nodes::plain(subgraph, *ty), true, index, field))
        })
    }

    fn walk_field_here(&mut self, walk: &mut Walk<'_, '_>, node: Node, entered: bool, index: usize, field: FieldId) -> bool {
        if self.nodes.is_object(node) {
            let Some(edge) = self.nodes.edge(node, field) else { return false };
            return self.may_take(walk.goal, node, &edge, entered) && self.walk(walk, edge.child, false, index + 1);
        }
        if self.nodes.graph.get_type(node.ty).kind != TypeKind::Interface {
            return false;
        }
        let parent = self.nodes.graph.field(field).parent;
        if parent != node.ty && self.nodes.graph.get_type(parent).kind == TypeKind::Object {
            return self.nodes.cast(node, parent).is_some_and(|object| self.walk(walk, object, false, index));
        }
        if let Some(edge) = self.nodes.interface_edge(node, field)
            && self.walk(walk, edge.child, false, index + 1)
        {
            return true;
        }
        let mut objects = self.nodes.possible(node).peekable();
        objects.peek().is_some()
            && objects.all(|object| self.nodes.cast(node, object).is_some_and(|object| self.walk(walk, object, false, index)))
    }

    /// Whether the conditions of a field hold. Nothing decides labels inside a condition, and a context is not known there.
    fn may_take(&mut self, goal: Goal, node: Node, edge: &Edge<'a>, entered: bool) -> bool {
        if edge.at.label.is_some() || !edge.at.context_arguments.is_empty() {
            return false;
        }
        let Some(requires) = edge.at.requires.as_deref() else { return true };
        let key = self.key_of(requires);
        let wanted = Goal::Obtain(node, key);
        self.dependents.entry(wanted).or_default().insert(goal);
        if !self.obtained.contains_key(&(node, key)) {
            self.demand(wanted);
        }
        (entered || self.nodes.has_local_key(node)) && self.obtained.get(&(node, key)).copied().unwrap_or(false)
    }

    fn walk_fragment(&mut self, walk: &mut Walk<'_, '_>, node: Node, entered: bool, index: usize, on: TypeId) -> bool {
        let graph = self.nodes.graph;
        if node.ty == on {
            return self.walk(walk, node, entered, index + 1);
        }
        if self.nodes.is_interface_object(node) {
            let closure = self.look(walk.goal, node);
            let possible = graph.get_type(node.ty).possible.contains(on);
            return possible && self.has_typename(&closure) && self.walk(walk, node, entered, index + 1);
        }
        if graph.get_type(node.ty).kind == TypeKind::Object {
            return graph.get_type(on).possible.contains(node.ty) && self.walk(walk, node, entered, index + 1);
        }
        let wanted = &graph.get_type(on).possible;
        let mut objects = self.nodes.possible(node).filter(|&object| wanted.contains(object)).peekable();
        objects.peek().is_some()
            && objects.all(|object| self.nodes.cast(node, object).is_some_and(|object| self.walk(walk, object, false, index + 1)))
    }

    /// The closure of a node as far as it is known, for `goal`, which is computed again when it grows.
    fn look(&mut self, goal: Goal, node: Node) -> Rc<Closure> {
        let wanted = Goal::Closure(node);
        if wanted != goal {
            self.dependents.entry(wanted).or_default().insert(goal);
        }
        if !self.closures.contains_key(&node) {
            self.demand(wanted);
        }
        self.closures.get(&node).cloned().unwrap_or_default()
    }

    /// The keys that take an object held as `ty` somewhere else.
    fn jumps(&mut self, ty: TypeId) -> Rc<Vec<Jump>> {
        if let Some(known) = self.jumps.get(&ty) {
            return Rc::clone(known);
        }
        let graph = self.nodes.graph;
        let mut jumps = Vec::new();
        let kinds = [OperationKind::Query, OperationKind::Mutation, OperationKind::Subscription];
        if kinds.into_iter().any(|kind| graph.root(kind) == Some(ty)) {
            jumps.push(Jump { to: ty, key: None, opens: graph.get_type(ty).subgraphs.clone() });
        }
        add_jumps(graph, ty, &mut jumps, false);
        if graph.get_type(ty).kind == TypeKind::Object {
            for interface in &graph.get_type(ty).interfaces {
                add_jumps(graph, *interface, &mut jumps, true);
            }
        }
        let jumps = Rc::new(jumps);
        self.jumps.insert(ty, Rc::clone(&jumps));
        jumps
    }
}

/// Adds the resolvable keys of `to`, those of interface objects only when an object enters through its interface.
fn add_jumps(graph: &Supergraph, to: TypeId, jumps: &mut Vec<Jump>, only_interface_objects: bool) {
    let target = graph.get_type(to);
    for (subgraph, at) in target.subgraph_views() {
        if only_interface_objects && !at.interface_object {
            continue;
        }
        for key in at.keys.iter().filter(|key| key.resolvable) {
            match jumps.iter_mut().find(|jump| jump.to == to && jump.key.as_ref() == Some(&key.fields)) {
                Some(jump) => drop(jump.opens.insert(subgraph)),
                None => jumps.push(Jump { to, key: Some(Arc::clone(&key.fields)), opens: SubgraphSet::of(subgraph) }),
            }
        }
    }
}

/// Every way from the root of a field set to one of its leaves.
fn collect_paths<'a>(set: &'a FieldSet, prefix: &mut Vec<&'a Selection>, paths: &mut Vec<Vec<&'a Selection>>) {
    for selection in &set.selections {
        prefix.push(selection);
        match selection {
            Selection::Field { below, .. } | Selection::Fragment { below, .. } if !below.selections.is_empty() => {
                collect_paths(below, prefix, paths);
            }
            _ => paths.push(prefix.clone()),
        }
        prefix.pop();
    }
}
