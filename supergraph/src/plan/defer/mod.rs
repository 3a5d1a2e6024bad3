//! `@defer`: the parts of an answer that may be delivered after the rest.
//!
//! While selections are collected a deferred fragment is a condition like any other, on a variable that no operation can have: so a field
//! that is also selected outside belongs to what is not deferred, and of nested fragments the outer one wins. Here those conditions become
//! [`Parts`]. Each part is solved as an operation of its own, for which the fetches of the parts above it cost nothing; the fields that come
//! to stand in those fetches nonetheless are then moved to fetches of their own (`split`), where keys lead back to the same subgraph.
//! ```text
//! { t { a ... @defer { b c } } }   =>   {a}: s0 { t { a id } }     {b c}: s0 { _entities { b } }, s1 { _entities { c } }
//! ```
//! Whether a variable defers a fragment is known when a request is there, so a plan is for those variables that do (`PlanOptions`): what is
//! not deferred is then planned as if there were no `@defer`.
//! Cost: each part visits the selection sets on its way, and there are at most [`MAX_PARTS`]; fragments beyond that are not deferred.
//! Spec: <https://github.com/graphql/defer-stream-wg/discussions/69>

mod json;
mod split;

pub(super) use json::{Placed, node, print_each};

use super::condition::{ALWAYS, Guard};
use super::fetches::Drafter;
use super::operation::Operation;
use super::selections::{Selections, SetId};
use super::{OperationKind, PlanError, Test};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeSet;

/// Most parts of one operation.
const MAX_PARTS: usize = 100;

/// What is not deferred.
pub(super) const PRIMARY: usize = 0;

/// The parts of an operation.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// The first is what is not deferred. A part comes after the one that it is in.
    pub list: Vec<Part>,
    /// Fields that are not in the primary part.
    fields: FxHashMap<(SetId, usize), usize>,
    /// Parts of the fields in a selection set or below it.
    within: FxHashMap<SetId, BTreeSet<usize>>,
}

/// One part.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// The part that it is in.
    pub above: usize,
    /// The selection set whose fields are deferred.
    pub set: SetId,
    /// The fragments that defer it: alternatives of tests that `Operation::defers` explains.
    pub guard: Guard,
}

impl Parts {
    /// The parts of a client's selection sets, if there are any besides the primary one.
    pub fn find(
        selections: &mut Selections<'_>,
        (operation, undeferred): (&Operation, &FxHashSet<Box<str>>),
        root: SetId,
        is_deferrable: bool,
    ) -> Self {
        if operation.defers.is_empty() {
            return Self::default();
        }
        let condition = |test: &Test| number(test).and_then(|number| operation.defers.get(number)?.condition.as_ref());
        selections.take_deferred(|test| condition(test).is_none_or(|variable| !undeferred.contains(variable)));
        if !is_deferrable || (operation.kind == OperationKind::Mutation && has_choice(selections, root)) {
            return Self::default();
        }
        let mut parts = Self { list: vec![Part { above: PRIMARY, set: root, guard: ALWAYS }], ..Self::default() };
        let keeps_root = operation.kind == OperationKind::Mutation;
        let mut open = vec![(root, PRIMARY)];
        let mut order = Vec::new();
        while let Some((set, part)) = open.pop() {
            order.push(set);
            let fields: Vec<_> = selections.set(set).fields.iter().map(|field| (field.deferred, field.below)).collect();
            for (index, (deferred, below)) in fields.into_iter().enumerate() {
                let guard = if keeps_root && set == root { ALWAYS } else { deferred };
                let own = parts.part(selections, part, set, guard);
                if own != PRIMARY {
                    parts.fields.insert((set, index), own);
                }
                open.extend(below.map(|below| (below, own)));
            }
        }
        // What is below comes later in this order.
        for set in order.into_iter().rev() {
            let mut within = BTreeSet::new();
            for (index, field) in selections.set(set).fields.iter().enumerate() {
                within.insert(parts.of(set, index));
                within.extend(field.below.and_then(|below| parts.within.get(&below)).into_iter().flatten());
            }
            parts.within.insert(set, within);
        }
        if parts.list.len() > 1 { parts } else { Self::default() }
    }

    /// Whether nothing is deferred.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The part of a client's field.
    pub fn of(&self, set: SetId, field: usize) -> usize {
        self.fields.get(&(set, field)).copied().unwrap_or(PRIMARY)
    }

    /// A part and those that it is in, the primary one first.
    pub fn chain(&self, part: usize) -> Vec<usize> {
        let (mut chain, mut at) = (vec![part], part);
        while at != PRIMARY {
            at = self.list.get(at).map_or(PRIMARY, |part| part.above);
            chain.push(at);
        }
        chain.reverse();
        chain
    }

    /// The part of what this guard defers in a selection set that is in the part `above`.
    fn part(&mut self, selections: &mut Selections<'_>, mut above: usize, set: SetId, guard: Guard) -> usize {
        if guard == ALWAYS {
            return above;
        }
        // A fragment in a fragment defers from what the outer one defers.
        if let ([tests], [inner]) = (selections.guards.get(guard).any.as_slice(), uses(selections, guard).as_slice())
            && tests.len() > 1
        {
            let inner = format!("{MARK}{inner}");
            let outer = selections.guards.only(guard, |test| *test.variable != *inner);
            above = self.part(selections, above, set, outer);
        }
        let same = |part: &Part| part.above == above && part.set == set && part.guard == guard;
        if let Some(known) = self.list.iter().skip(1).position(same) {
            return known + 1;
        }
        if self.list.len() > MAX_PARTS {
            return above;
        }
        self.list.push(Part { above, set, guard });
        self.list.len() - 1
    }
}

/// Whether a field of a mutation's root could be resolved in another place when it is planned again.
fn has_choice(selections: &Selections<'_>, root: SetId) -> bool {
    let supergraph = selections.supergraph;
    let resolvers = |name: &str| {
        let field = supergraph.root(OperationKind::Mutation).and_then(|id| supergraph.field_of(id, name));
        field.map_or(0, |field| supergraph.field(field).subgraph_views().count())
    };
    selections.set(root).fields.iter().any(|field| resolvers(&field.name) > 1)
}

/// Lays out a root (or a part of a mutation's root), part by part. Returns the fetches of what is not deferred.
pub(super) fn place(drafter: &mut Drafter<'_, '_, '_>, set: SetId) -> Result<BTreeSet<usize>, PlanError> {
    let mut primary = None;
    let mut free = BTreeSet::new();
    for part in 0..drafter.deferred.list.len() {
        let Some(own) = restrict(drafter, set, part)? else { continue };
        drafter.chain = drafter.deferred.chain(part);
        let solution = drafter.chooser.solve_beside(own, &free)?;
        free.extend(solution.fetches.iter().copied());
        let used = drafter.place_root(&solution, own);
        if part == PRIMARY {
            primary = Some(used);
        }
    }
    drafter.chain = vec![PRIMARY];
    split::split(drafter)?;
    Ok(primary.unwrap_or_default())
}

/// A selection set with the fields of one part and what leads to them; `None` if a deferred part has nothing here.
fn restrict(drafter: &mut Drafter<'_, '_, '_>, set: SetId, part: usize) -> Result<Option<SetId>, PlanError> {
    let mut kept = Vec::new();
    for index in 0..drafter.chooser.selections.set(set).fields.len() {
        let (whole, place) = drafter.whole((set, index));
        let below = drafter.chooser.selections.field(set, index).and_then(|field| field.below);
        let leads = below.and_then(|below| drafter.deferred.within.get(&below)).is_some_and(|within| within.contains(&part));
        if drafter.deferred.of(whole, place) != part && !leads {
            continue;
        }
        let below = match below {
            Some(below) => Some(restrict(drafter, below, part)?.unwrap_or_else(|| empty(drafter, below))),
            None => None,
        };
        kept.push((index, place, below));
    }
    if kept.is_empty() && part != PRIMARY {
        return Ok(None);
    }
    let fields: Vec<(usize, Option<SetId>)> = kept.iter().map(|(index, _, below)| (*index, *below)).collect();
    let own = drafter.chooser.selections.restricted(set, &fields)?;
    let whole = if kept.is_empty() { set } else { drafter.whole((set, 0)).0 };
    drafter.parts.insert(own, (whole, kept.into_iter().map(|(_, place, _)| place).collect()));
    Ok(Some(own))
}

/// A selection set without fields, for an object of which a part wants only that it is there.
fn empty(drafter: &mut Drafter<'_, '_, '_>, set: SetId) -> SetId {
    let own = drafter.chooser.selections.part(set, &[]);
    drafter.parts.insert(own, (set, Vec::new()));
    own
}

/// Fragments that defer a part: their numbers, of each alternative the innermost.
pub(super) fn uses(selections: &Selections<'_>, guard: Guard) -> Vec<usize> {
    let innermost = |tests: &Vec<Test>| tests.iter().filter_map(number).max();
    let mut uses: Vec<usize> = selections.guards.get(guard).any.iter().filter_map(innermost).collect();
    uses.sort_unstable();
    uses.dedup();
    uses
}

/// The number of the fragment that a test stands for.
fn number(test: &Test) -> Option<usize> {
    test.variable.strip_prefix(MARK)?.parse().ok()
}

/// What the variables begin with that stand for deferred fragments. No variable of an operation does.
pub(super) const MARK: &str = "@defer:";
