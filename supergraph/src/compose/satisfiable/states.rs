//! The states of the exploration: a client type, and everywhere that an object of it may be held.
//!
//! Relied on by `explore`, which makes and follows them.

use super::contexts::ContextId;
use super::nodes::{Node, Provided};
use super::runtime_types;
use crate::ids::{FieldId, LabelId, SubgraphSet, TypeId};
use crate::plan::OperationKind;
use rustc_hash::{FxHashMap, FxHashSet};

/// How override labels were decided on a way. Sorted.
pub(super) type Labels = Vec<(LabelId, bool)>;

/// A node with the contexts set on the way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Position {
    pub node: Node,
    pub context: ContextId,
}

/// The types and subgraphs that keys open, for objects that carry the same contexts.
pub(super) type Opened = (ContextId, Vec<(TypeId, SubgraphSet)>);

/// One step of a client's operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// The root type of an operation.
    Root(OperationKind),
    /// A field.
    Field(FieldId),
    /// A fragment on an object type.
    Cast(TypeId),
}

/// A client type and everywhere that an object of it may be held.
pub(super) struct State {
    pub ty: TypeId,
    /// Sorted.
    pub at: Vec<Position>,
    /// How labels were decided on the way.
    pub labels: Labels,
    /// The state before this one; none for a root.
    pub from: Option<usize>,
    pub step: Step,
}

/// A step that cannot be taken from a state.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub state: usize,
    pub step: Step,
    pub labels: Labels,
    pub why: Why,
}

/// Why a step cannot be taken.
#[derive(Clone, Debug)]
pub(super) enum Why {
    /// No subgraph can go on.
    Unreachable,
    /// The subgraphs share the field but no object type that it may have.
    RuntimeTypes(runtime_types::PerSubgraph),
}

/// What was explored: the positions and labels of earlier states, by client type.
#[derive(Default)]
pub(super) struct Visited {
    by_type: FxHashMap<TypeId, Vec<(Vec<Position>, Labels)>>,
    exact: FxHashSet<(TypeId, Vec<Position>, Labels)>,
}

impl Visited {
    pub(super) fn add(&mut self, state: &State) {
        self.by_type.entry(state.ty).or_default().push((state.at.clone(), state.labels.clone()));
        self.exact.insert((state.ty, state.at.clone(), state.labels.clone()));
    }

    /// Whether the very same state was there before.
    pub(super) fn has(&self, state: &State) -> bool {
        self.exact.contains(&(state.ty, state.at.clone(), state.labels.clone()))
    }

    /// How many earlier states there are of the same type.
    pub(super) fn len(&self, state: &State) -> usize {
        self.by_type.get(&state.ty).map_or(0, Vec::len)
    }

    /// Whether an earlier state knew at most what this one knows, so that everything was checked under harder conditions.
    pub(super) fn covers(&self, state: &State) -> bool {
        let earlier = self.by_type.get(&state.ty).map(Vec::as_slice).unwrap_or_default();
        earlier.iter().any(|(at, labels)| {
            labels.iter().all(|decision| state.labels.contains(decision))
                && at.len() <= state.at.len()
                && at.iter().all(|position| {
                    state.at.binary_search(position).is_ok() || state.at.iter().any(|now| now.is_at_least(position))
                })
        })
    }
}

impl Position {
    /// Whether everything that `other` can go on to, `self` can too.
    fn is_at_least(&self, other: &Self) -> bool {
        let same_place = self.node.subgraph == other.node.subgraph && self.node.ty == other.node.ty;
        let provides = self.node.provided == other.node.provided || other.node.provided == Provided::NOTHING;
        same_place && provides && self.context == other.context
    }
}
