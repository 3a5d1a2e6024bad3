//! Walking the paths of a field set over nodes: whether each of its leaves can be fetched.
//!
//! Every path from the root of the field set to a leaf is walked on its own, since each may be fetched another way. Relied on by
//! `reach`, which remembers the answers.

use super::nodes::{Edge, Node, Nodes};
use super::reach::{Goal, Reach, World};
use crate::ids::{FieldId, TypeId};
use crate::model::TypeKind;
use crate::model::field_set::{FieldSet, Selection};
use rustc_hash::FxHashMap;

/// One walk along a path of a field set.
struct Walk<'p, 'a> {
    goal: Goal,
    world: World,
    path: &'p [&'a Selection],
    seen: FxHashMap<Spot, Outcome>,
}

/// Where a walk stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Spot {
    node: Node,
    /// The node was just entered by a key.
    entered: bool,
    /// How many selections of the path are behind it.
    index: usize,
}

impl Spot {
    /// The same object after a type condition, or the value of a field.
    fn on(self, node: Node, index: usize) -> Self {
        Self { node, entered: false, index }
    }
}

/// How a walk ends. Of several ways, the greatest counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// Some field cannot be had.
    Stuck,
    /// The path asks for a type that the object cannot have here.
    Never,
    /// The leaf can be had.
    Reached,
}

impl<'a> Reach<'a> {
    /// Whether every path of the field set can be walked from `node`.
    pub(super) fn holds(&mut self, goal: Goal, world: World, node: Node, set: &FieldSet) -> bool {
        let mut paths = Vec::new();
        collect_paths(set, &mut Vec::new(), &mut paths);
        if self.selects_by_type(goal) {
            paths.retain(|path| !path.first().is_some_and(|selection| self.is_for_others(selection, node)));
        }
        paths.iter().all(|path| {
            let mut walk = Walk { goal, world, path, seen: FxHashMap::default() };
            self.walk(&mut walk, Spot { node, entered: true, index: 0 }) == Outcome::Reached
        })
    }

    /// Whether a selection is a fragment on an object type that the object at `node` cannot have.
    fn is_for_others(&self, selection: &Selection, node: Node) -> bool {
        let Selection::Fragment { on, .. } = selection else { return false };
        let graph = self.nodes.graph;
        graph.get_type(*on).kind == TypeKind::Object && !graph.get_type(node.ty).possible.contains(*on)
    }

    /// How the rest of the path goes from a spot.
    fn walk(&mut self, walk: &mut Walk<'_, '_>, spot: Spot) -> Outcome {
        let Some(selection) = walk.path.get(spot.index).copied() else { return Outcome::Reached };
        if let Some(known) = walk.seen.get(&spot) {
            return *known;
        }
        walk.seen.insert(spot, Outcome::Stuck);
        if !self.spend(1) {
            return Outcome::Stuck;
        }
        let outcome = match selection {
            Selection::Typename => {
                let known = !self.nodes.is_interface_object(spot.node) || {
                    let closure = self.look(walk.goal, walk.world, spot.node);
                    self.has_typename(&closure)
                };
                if known { Outcome::Reached } else { Outcome::Stuck }
            }
            Selection::Field { field, .. } => self.walk_field(walk, spot, *field),
            Selection::Fragment { on, .. } => self.walk_fragment(walk, spot, *on),
        };
        walk.seen.insert(spot, outcome);
        outcome
    }

    fn walk_field(&mut self, walk: &mut Walk<'_, '_>, spot: Spot, field: FieldId) -> Outcome {
        let mut best = self.walk_field_here(walk, spot, field);
        if best == Outcome::Reached {
            return best;
        }
        let closure = self.look(walk.goal, walk.world, spot.node);
        for reached in closure.iter() {
            for subgraph in reached.subgraphs.iter() {
                let there = Spot { node: Nodes::plain(subgraph, reached.ty), entered: true, index: spot.index };
                best = best.max(self.walk_field_here(walk, there, field));
                if best == Outcome::Reached {
                    return best;
                }
            }
        }
        best
    }

    fn walk_field_here(&mut self, walk: &mut Walk<'_, '_>, spot: Spot, field: FieldId) -> Outcome {
        let node = spot.node;
        if self.nodes.is_object(node) {
            let Some(edge) = self.nodes.edge(node, field) else { return Outcome::Stuck };
            let may_take = self.may_take(walk, spot, &edge);
            return if may_take { self.walk(walk, spot.on(edge.child, spot.index + 1)) } else { Outcome::Stuck };
        }
        if self.nodes.graph.get_type(node.ty).kind != TypeKind::Interface {
            return Outcome::Stuck;
        }
        let parent = self.nodes.graph.field(field).parent;
        if parent != node.ty && self.nodes.graph.get_type(parent).kind == TypeKind::Object {
            return self.walk_each(walk, spot, vec![parent]);
        }
        let whole = match self.nodes.interface_edge(node, field) {
            Some(edge) => self.walk(walk, spot.on(edge.child, spot.index + 1)),
            None => Outcome::Stuck,
        };
        if whole == Outcome::Reached {
            return whole;
        }
        let objects = self.nodes.possible(node).collect();
        whole.max(self.walk_each(walk, spot, objects))
    }

    /// The path must go on for each of these object types, but for those that it never asks for.
    fn walk_each(&mut self, walk: &mut Walk<'_, '_>, spot: Spot, objects: Vec<TypeId>) -> Outcome {
        let mut all = Outcome::Never;
        for object in objects {
            let outcome = match self.nodes.cast(spot.node, object) {
                Some(object) => self.walk(walk, spot.on(object, spot.index)),
                None => Outcome::Stuck,
            };
            if outcome == Outcome::Stuck {
                return Outcome::Stuck;
            }
            all = all.max(outcome);
        }
        all
    }

    /// Whether the conditions of a field hold. Nothing decides labels inside a condition, and a context is not known there.
    fn may_take(&mut self, walk: &Walk<'_, '_>, spot: Spot, edge: &Edge<'a>) -> bool {
        if edge.at.label.is_some() || !edge.at.context_arguments.is_empty() {
            return false;
        }
        let Some(requires) = edge.at.requires.as_deref() else { return true };
        let obtained = self.look_obtained(walk.goal, walk.world, spot.node, requires);
        obtained && (spot.entered || self.nodes.has_local_key(spot.node))
    }

    fn walk_fragment(&mut self, walk: &mut Walk<'_, '_>, spot: Spot, on: TypeId) -> Outcome {
        let graph = self.nodes.graph;
        let node = spot.node;
        let inside = Spot { index: spot.index + 1, ..spot };
        if node.ty == on {
            return self.walk(walk, inside);
        }
        if self.nodes.is_interface_object(node) {
            let closure = self.look(walk.goal, walk.world, node);
            return match graph.get_type(node.ty).possible.contains(on) {
                true if self.has_typename(&closure) => self.walk(walk, inside),
                true => Outcome::Stuck,
                false => Outcome::Never,
            };
        }
        if graph.get_type(node.ty).kind == TypeKind::Object {
            let is_one = graph.get_type(on).possible.contains(node.ty);
            return if is_one { self.walk(walk, inside) } else { Outcome::Never };
        }
        let wanted = &graph.get_type(on).possible;
        let objects = self.nodes.possible(node).filter(|&object| wanted.contains(object)).collect();
        self.walk_each(walk, inside, objects)
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
