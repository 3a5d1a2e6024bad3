//! Which other nodes an object can be taken to, and whether a field set can be obtained from a node.
//!
//! Input: the supergraph and goals asked one by one. Output: for a node, the subgraphs that keys (or root types) open from it; for a
//! node and a field set, whether every field of the set can be fetched from there on. Both depend on each other and on themselves (a
//! key may be fetched through another key), so they are computed together as a least fixed point: every goal starts at "nothing"
//! and is computed again when a goal that it looked at has grown.
//!
//! Users know one more rule: while the fields of a key that opens a subgraph are fetched, neither that subgraph nor that key may be
//! used. So such fields are looked for in a *world* in which both are closed.
//!
//! Cost: every goal grows at most (types of its closure × subgraphs) times, and is computed again only when a goal it looked at grew;
//! there is at most one world per key and subgraph, and only for keys that are not at hand in one subgraph.
//! Example: A has key `id`, B has keys `id` and `code`, C has key `code`. Closure of A: `id` opens B; now `code` can be had, so C.

use super::nodes::{Node, Nodes};
use crate::ids::{SubgraphId, SubgraphSet, TypeId};
use crate::model::field_set::{FieldSet, Selection};
use crate::model::{Supergraph, TypeKind};
use crate::plan::OperationKind;
use rustc_hash::{FxHashMap, FxHashSet};
use std::rc::Rc;
use std::sync::Arc;

/// Everywhere that an object can be taken to.
pub(super) type Closure = Vec<Reached>;

/// A type as which an object can be held in some subgraphs that one key opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reached {
    pub ty: TypeId,
    pub subgraphs: SubgraphSet,
    by: Option<KeyId>,
}

/// An interned key.
type KeyId = usize;

/// One key, and the subgraphs that it opens.
struct Jump {
    /// The type as which the object is held afterwards.
    to: TypeId,
    /// The key; `None` for root types, which need none.
    key: Option<(KeyId, Arc<FieldSet>)>,
    opens: SubgraphSet,
}

/// What is closed while a key's fields are looked for; an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct World(u32);

impl World {
    /// Nothing is closed.
    pub(super) const OPEN: Self = Self(0);
}

/// How hard to look for the fields of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effort {
    /// Only in single subgraphs that resolve them all.
    AtHand,
    /// Wherever keys lead.
    Full,
}

/// A question with a remembered answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Goal {
    /// What can be reached from a node.
    Closure(World, Node),
    /// Whether a field set (by its address) can be obtained at a node.
    Obtain(World, Node, usize),
}

/// The answers so far.
pub(super) struct Reach<'a> {
    pub nodes: Nodes<'a>,
    jumps: FxHashMap<TypeId, Rc<Vec<Jump>>>,
    keys: FxHashMap<Arc<FieldSet>, KeyId>,
    worlds: Vec<Option<(SubgraphId, KeyId)>>,
    world_ids: FxHashMap<(SubgraphId, KeyId), World>,
    closures: FxHashMap<(World, Node), Rc<Closure>>,
    obtained: FxHashMap<(World, Node, usize), bool>,
    sets: FxHashMap<usize, &'a FieldSet>,
    /// Sets whose fragments on other types than the node's do not count.
    selections_by_type: FxHashSet<usize>,
    waiting: Vec<Goal>,
    queued: FxHashSet<Goal>,
    dependents: FxHashMap<Goal, FxHashSet<Goal>>,
    /// How many more steps may be taken. When none is left, answers are incomplete and must not be told.
    pub budget: usize,
}

impl<'a> Reach<'a> {
    pub(super) fn new(graph: &'a Supergraph, budget: usize) -> Self {
        Self {
            nodes: Nodes::new(graph),
            jumps: FxHashMap::default(),
            keys: FxHashMap::default(),
            worlds: vec![None],
            world_ids: FxHashMap::default(),
            closures: FxHashMap::default(),
            obtained: FxHashMap::default(),
            sets: FxHashMap::default(),
            selections_by_type: FxHashSet::default(),
            waiting: Vec::new(),
            queued: FxHashSet::default(),
            dependents: FxHashMap::default(),
            budget,
        }
    }

    /// Where the object at `node` can be taken by keys, without its own subgraph.
    pub(super) fn closure(&mut self, node: Node) -> Rc<Closure> {
        if !self.closures.contains_key(&(World::OPEN, node)) {
            self.demand(Goal::Closure(World::OPEN, node));
            self.settle();
        }
        self.closures.get(&(World::OPEN, node)).cloned().unwrap_or_default()
    }

    /// Whether every field of `set` can be fetched for the object at `node`.
    pub(super) fn obtains(&mut self, node: Node, set: &'a FieldSet) -> bool {
        let goal = (World::OPEN, node, self.key_of(set));
        if !self.obtained.contains_key(&goal) {
            self.demand(Goal::Obtain(goal.0, goal.1, goal.2));
            self.settle();
        }
        self.obtained.get(&goal).copied().unwrap_or(false)
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

    /// Whether the object can be held somewhere under its own type or an interface of it.
    pub(super) fn has_typename(&self, closure: &Closure) -> bool {
        let interface_object_in = |ty| &self.nodes.graph.get_type(ty).interface_object_in;
        closure.iter().any(|reached| !reached.subgraphs.is_subset(interface_object_in(reached.ty)))
    }

    /// Whether a goal's field set chooses by the type of the object.
    pub(super) fn selects_by_type(&self, goal: Goal) -> bool {
        matches!(goal, Goal::Obtain(_, _, key) if self.selections_by_type.contains(&key))
    }

    /// The closure of a node as far as it is known, for `goal`, which is computed again when it grows.
    pub(super) fn look(&mut self, goal: Goal, world: World, node: Node) -> Rc<Closure> {
        let wanted = Goal::Closure(world, node);
        if wanted != goal {
            self.dependents.entry(wanted).or_default().insert(goal);
        }
        if !self.closures.contains_key(&(world, node)) {
            self.demand(wanted);
        }
        self.closures.get(&(world, node)).cloned().unwrap_or_default()
    }

    /// Whether a field set can be obtained as far as it is known, for `goal`.
    pub(super) fn look_obtained(&mut self, goal: Goal, world: World, node: Node, set: &'a FieldSet) -> bool {
        let key = self.key_of(set);
        let wanted = Goal::Obtain(world, node, key);
        self.dependents.entry(wanted).or_default().insert(goal);
        if !self.obtained.contains_key(&(world, node, key)) {
            self.demand(wanted);
        }
        self.obtained.get(&(world, node, key)).copied().unwrap_or(false)
    }

    fn key_of(&mut self, set: &'a FieldSet) -> usize {
        let key = std::ptr::from_ref::<FieldSet>(set) as usize;
        self.sets.insert(key, set);
        key
    }

    fn demand(&mut self, goal: Goal) {
        match goal {
            Goal::Closure(world, node) => drop(self.closures.insert((world, node), Rc::default())),
            Goal::Obtain(world, node, key) => drop(self.obtained.insert((world, node, key), false)),
        }
        self.enqueue(goal);
    }

    fn enqueue(&mut self, goal: Goal) {
        if self.queued.insert(goal) {
            self.waiting.push(goal);
        }
    }

    /// Counts work; whether there is any left to do it with.
    pub(super) fn spend(&mut self, steps: usize) -> bool {
        self.budget = self.budget.saturating_sub(steps);
        self.budget > 0
    }

    /// Computes waiting goals until none has changed, or the budget is spent.
    fn settle(&mut self) {
        while let Some(goal) = self.waiting.pop() {
            self.queued.remove(&goal);
            if !self.spend(1) {
                continue;
            }
            let grew = match goal {
                Goal::Closure(world, node) => self.grow_closure(world, node),
                Goal::Obtain(world, node, key) => self.try_obtain(world, node, key),
            };
            if grew {
                for dependent in self.dependents.remove(&goal).unwrap_or_default() {
                    self.enqueue(dependent);
                }
            }
        }
    }

    fn try_obtain(&mut self, world: World, node: Node, key: usize) -> bool {
        let Some(set) = self.sets.get(&key).copied() else { return false };
        let holds = self.holds(Goal::Obtain(world, node, key), world, node, set);
        self.obtained.insert((world, node, key), holds) == Some(false) && holds
    }

    fn grow_closure(&mut self, world: World, node: Node) -> bool {
        let before = self.closures.get(&(world, node)).cloned().unwrap_or_default();
        let mut reached = (*before).clone();
        let mut grew = true;
        while grew {
            grew = false;
            let mut types = vec![node.ty];
            for entry in &reached {
                if !types.contains(&entry.ty) {
                    types.push(entry.ty);
                }
            }
            // What is at hand is cheap to see and mostly all there is, so it comes first.
            for effort in [Effort::AtHand, Effort::Full] {
                if effort == Effort::Full && grew {
                    break;
                }
                for ty in &types {
                    grew |= self.jump_from((world, node), *ty, effort, &mut reached);
                }
            }
        }
        reached != *before
    }

    /// Takes the keys that lead on from one type; whether any did.
    fn jump_from(&mut self, of: (World, Node), ty: TypeId, effort: Effort, reached: &mut Closure) -> bool {
        let mut grew = false;
        let jumps = self.jumps(ty);
        for jump in jumps.iter() {
            let opened = self.try_jump(of, (ty, jump), effort, reached);
            if !opened.is_empty() {
                grew = true;
                add(reached, jump, &opened);
                self.closures.insert(of, Rc::new(reached.clone()));
            }
        }
        grew
    }

    /// The further subgraphs that a key opens for an object that is held as `ty` at some of the places reached so far.
    fn try_jump(&mut self, of: (World, Node), (ty, jump): (TypeId, &Jump), effort: Effort, reached: &Closure) -> SubgraphSet {
        let (world, node) = of;
        let closed = self.worlds.get(world.0 as usize).copied().flatten();
        let mut new = jump.opens.clone();
        new.remove(node.subgraph);
        if let Some((subgraph, _)) = closed {
            new.remove(subgraph);
        }
        // A subgraph may hold the object as several interface objects, each with fields of its own.
        reached.iter().filter(|entry| entry.ty == jump.to).for_each(|entry| new.subtract(&entry.subgraphs));
        let Some((id, key)) = &jump.key else { return new };
        if new.is_empty() || closed.is_some_and(|(_, closed)| closed == *id) {
            return SubgraphSet::new();
        }
        // Whoever came by this key could have gone on from there at once.
        let from = reached.iter().filter(|entry| entry.ty == ty && entry.by != Some(*id));
        if self.is_at_hand(node, ty, from.clone(), key) {
            return new;
        }
        if effort == Effort::AtHand {
            return SubgraphSet::new();
        }
        let goal = Goal::Closure(world, node);
        let mut heads: Vec<Node> = Vec::new();
        heads.extend((node.ty == ty).then_some(node));
        heads.extend(from.flat_map(|entry| entry.subgraphs.iter().map(|subgraph| Nodes::plain(subgraph, ty))));
        if !heads.iter().any(|head| self.holds(goal, world, *head, key)) {
            return SubgraphSet::new();
        }
        if closed.is_some() {
            return new;
        }
        new.iter()
            .filter(|subgraph| {
                let world = self.world(*subgraph, *id);
                heads.iter().any(|head| head.subgraph != *subgraph && self.holds(goal, world, *head, key))
            })
            .collect()
    }

    /// Whether one subgraph alone resolves all fields of a key.
    fn is_at_hand<'r>(&self, node: Node, ty: TypeId, from: impl Iterator<Item = &'r Reached>, key: &FieldSet) -> bool {
        let mut at_hand: Option<SubgraphSet> = None;
        for selection in &key.selections {
            let Selection::Field { field, below, .. } = selection else { return false };
            let own = self.nodes.own_field(Nodes::plain(node.subgraph, ty), *field);
            let Some(resolvers) = own.filter(|_| below.selections.is_empty()).and_then(|own| self.nodes.unconditional(own))
            else {
                return false;
            };
            at_hand = Some(at_hand.map_or_else(|| resolvers.clone(), |so_far| so_far.intersection(resolvers)));
        }
        let Some(mut at_hand) = at_hand else { return false };
        // An interface's field says nothing about its implementations.
        let target = self.nodes.graph.get_type(ty);
        if target.kind != TypeKind::Object {
            at_hand.retain_in(&target.interface_object_in);
        }
        node.ty == ty && at_hand.contains(node.subgraph) || from.into_iter().any(|entry| entry.subgraphs.intersects(&at_hand))
    }

    /// The world in which a subgraph and a key are closed.
    fn world(&mut self, subgraph: SubgraphId, key: KeyId) -> World {
        let next = World(u32::try_from(self.worlds.len()).unwrap_or(0));
        let world = *self.world_ids.entry((subgraph, key)).or_insert(next);
        if world == next {
            self.worlds.push(Some((subgraph, key)));
        }
        world
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
        self.add_jumps(ty, &mut jumps, false);
        if graph.get_type(ty).kind == TypeKind::Object {
            for interface in &graph.get_type(ty).interfaces {
                self.add_jumps(*interface, &mut jumps, true);
            }
        }
        let jumps = Rc::new(jumps);
        self.jumps.insert(ty, Rc::clone(&jumps));
        jumps
    }

    /// Adds the resolvable keys of `to`, those of interface objects only when an object enters through its interface.
    fn add_jumps(&mut self, to: TypeId, jumps: &mut Vec<Jump>, only_interface_objects: bool) {
        for (subgraph, at) in self.nodes.graph.get_type(to).subgraph_views() {
            if only_interface_objects && !at.interface_object {
                continue;
            }
            for key in at.keys.iter().filter(|key| key.resolvable) {
                let next = self.keys.len();
                let id = *self.keys.entry(Arc::clone(&key.fields)).or_insert(next);
                match jumps.iter_mut().find(|jump| jump.to == to && jump.key.as_ref().is_some_and(|(known, _)| *known == id)) {
                    Some(jump) => drop(jump.opens.insert(subgraph)),
                    None => jumps.push(Jump { to, key: Some((id, Arc::clone(&key.fields))), opens: SubgraphSet::of(subgraph) }),
                }
            }
        }
    }
}

fn add(reached: &mut Closure, jump: &Jump, opened: &SubgraphSet) {
    let by = jump.key.as_ref().map(|(id, _)| *id);
    match reached.iter_mut().find(|entry| entry.ty == jump.to && entry.by == by) {
        Some(entry) => entry.subgraphs.extend_with(opened),
        None => reached.push(Reached { ty: jump.to, subgraphs: opened.clone(), by }),
    }
}
