//! Internal aliases: fields with one response key whose answers would have different shapes cannot stand in one document.
//!
//! Two such fields are on different object types, so the client sees one of them at a time; a subgraph's types may differ where the
//! supergraph's agree, and a subgraph with an interface object cannot tell the types apart at all. What stands under a key is
//! kept as one tree of shapes, into which each field is fitted, so the cost is the size of the selection sets that share a key.
//! Relied on by `document`. Spec: <https://spec.graphql.org/September2025/#sec-Field-Selection-Merging>

use super::document::{Documents, Unit};
use super::fetches::SlotDraft;
use super::selections::Signature;
use super::shape::Wrap;
use crate::ids::{SubgraphId, TypeId};
use rustc_hash::{FxHashMap, FxHashSet};
use std::borrow::Cow;

/// What stands in one selection set, by response key.
#[derive(Default)]
pub(super) struct Standing<'d> {
    /// Fields by response key; those of a key are fitted into its tree when a second one comes.
    keys: FxHashMap<Cow<'d, str>, Key<'d>>,
    /// The highest number of an alias so far, by the key that it replaces.
    numbers: FxHashMap<&'d str, usize>,
    below: FxHashMap<(usize, &'d str), usize>,
    nodes: Vec<Node>,
}

struct Key<'d> {
    node: usize,
    /// The first field, until it is fitted in.
    first: Option<Member<'d>>,
}

/// The fields at one path below a response key.
#[derive(Default)]
struct Node {
    shapes: Vec<Shape>,
    signatures: Vec<Signature>,
    /// Some of them may be asked of the same object, so they must have the same arguments.
    together: bool,
}

/// What has to be the same of fields with one response key: lists and nullability, and the type of a leaf.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shape {
    wrap: Wrap,
    leaf: Option<TypeId>,
}

/// A field that stands somewhere.
#[derive(Clone)]
struct Member<'d> {
    slot: &'d SlotDraft,
    below: Option<usize>,
    types: Cow<'d, [TypeId]>,
    together: bool,
}

impl<'d> Documents<'d, '_> {
    /// Gives an alias to every unit that cannot stand beside what stands there already. Units that stand `together` cannot be told
    /// apart by the objects' types.
    pub(super) fn resolve_conflicts(
        &self,
        units: &mut [Unit<'d>],
        standing: &mut Standing<'d>,
        layout: usize,
        (subgraph, together): (SubgraphId, bool),
    ) {
        let slots = self.draft.layouts.get(layout).map_or(&[][..], |layout| &layout.slots);
        let mut names: Option<FxHashSet<&str>> = None;
        standing.keys.reserve(units.len());
        for unit in units {
            let member = Member { slot: unit.slot_draft, below: unit.pick.below, types: unit.types.clone(), together };
            if self.stand(standing, unit.key.clone(), &member, subgraph) {
                continue;
            }
            let names = names.get_or_insert_with(|| slots.iter().map(|slot| slot.key.as_str()).collect());
            let mut number = standing.numbers.get(member.slot.key.as_str()).copied().unwrap_or(1);
            loop {
                unit.key = format!("_{}_{number}", member.slot.key).into();
                if !names.contains(&*unit.key) && self.stand(standing, unit.key.clone(), &member, subgraph) {
                    break;
                }
                number += 1;
            }
            standing.numbers.insert(&member.slot.key, number);
        }
    }

    /// Puts a field under a response key; whether it fits what is there.
    fn stand(&self, standing: &mut Standing<'d>, key: Cow<'d, str>, member: &Member<'d>, subgraph: SubgraphId) -> bool {
        let Some(known) = standing.keys.get_mut(&*key) else {
            let node = standing.push();
            standing.keys.insert(key, Key { node, first: Some(member.clone()) });
            return true;
        };
        let (node, first) = (known.node, known.first.take());
        if let Some(first) = first {
            self.fit(standing, &first, node, subgraph);
        }
        let fits = self.fits(standing, member, node, subgraph);
        if fits {
            self.fit(standing, member, node, subgraph);
        }
        fits
    }

    /// Whether nothing of a field and of what is below it has another shape than what is there.
    fn fits(&self, standing: &Standing<'d>, member: &Member<'d>, node: usize, subgraph: SubgraphId) -> bool {
        let mut open = vec![(member.slot, member.below, &*member.types, node)];
        while let Some((slot, below, types, number)) = open.pop() {
            let Some(node) = standing.nodes.get(number) else { continue };
            let shapes = self.shapes(slot, below.is_some(), types, subgraph);
            let same_shape = node.shapes.iter().all(|known| shapes.iter().all(|shape| known == shape));
            let same_value = node.signatures.iter().all(|known| *known == slot.signature);
            if !same_shape || (!same_value && (node.together || member.together)) {
                return false;
            }
            let children = self.children(below);
            open.extend(children.filter_map(|(slot, below, types)| {
                Some((slot, below, types, *standing.below.get(&(number, slot.key.as_str()))?))
            }));
        }
        true
    }

    /// Adds a field and what is below it.
    fn fit(&self, standing: &mut Standing<'d>, member: &Member<'d>, node: usize, subgraph: SubgraphId) {
        let mut open = vec![(member.slot, member.below, &*member.types, node)];
        while let Some((slot, below, types, number)) = open.pop() {
            let shapes = self.shapes(slot, below.is_some(), types, subgraph);
            if let Some(node) = standing.nodes.get_mut(number) {
                let new: Vec<Shape> = shapes.into_iter().filter(|shape| !node.shapes.contains(shape)).collect();
                node.shapes.extend(new);
                if !node.signatures.contains(&slot.signature) {
                    node.signatures.push(slot.signature);
                }
                node.together |= member.together;
            }
            for (slot, below, types) in self.children(below) {
                let child = match standing.below.get(&(number, slot.key.as_str())) {
                    Some(child) => *child,
                    None => {
                        let child = standing.push();
                        standing.below.insert((number, &slot.key), child);
                        child
                    }
                };
                open.push((slot, below, types, child));
            }
        }
    }

    /// The different shapes of a slot's field on these types in a subgraph.
    fn shapes(&self, slot: &SlotDraft, is_object: bool, types: &[TypeId], subgraph: SubgraphId) -> Vec<Shape> {
        let mut shapes = Vec::new();
        for ty in types.iter().filter_map(|id| self.type_in(*id, subgraph, slot)) {
            let shape = Shape { wrap: ty.wrap, leaf: (!is_object).then_some(ty.named) };
            if !shapes.contains(&shape) {
                shapes.push(shape);
            }
        }
        shapes
    }

    /// What is selected in a visit.
    fn children(&self, visit: Option<usize>) -> impl Iterator<Item = (&'d SlotDraft, Option<usize>, &'d [TypeId])> {
        let visit = visit.and_then(|visit| self.draft.visits.get(visit));
        let layout = visit.and_then(|visit| self.draft.layouts.get(visit.layout));
        let pairs = visit.zip(layout);
        pairs.into_iter().flat_map(|(visit, layout)| {
            let picks = visit.picks.iter();
            picks.filter_map(|((slot, _), pick)| Some((layout.slots.get(*slot)?, pick.below, pick.types.as_slice())))
        })
    }
}

impl Standing<'_> {
    fn push(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }
}
