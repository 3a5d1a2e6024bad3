//! Fields of an abstract type that several subgraphs share must be able to give the same object types in each of them.
//!
//! Relied on by `explore`; the wording is in `explain`.

use super::nodes::Nodes;
use super::states::Position;
use crate::ids::{FieldId, SubgraphId, TypeId};
use crate::plan::shape::TypeSet;
use std::collections::BTreeMap;

/// The object types that each subgraph may give, as it declares them.
pub(super) type PerSubgraph = BTreeMap<SubgraphId, TypeSet>;

/// How the subgraphs of a shared field compare.
pub(super) enum Verdict {
    /// Alike, or not shared, or not abstract.
    Same,
    /// Some types are only known to some subgraphs.
    Different(PerSubgraph),
    /// No type is known to all.
    Disjoint(PerSubgraph),
}

/// Compares the object types that a field's value may have at its positions.
pub(super) fn compare(nodes: &mut Nodes<'_>, field: FieldId, at: &[Position]) -> Verdict {
    let graph = nodes.graph;
    let definition = graph.field(field);
    let ty = graph.get_type(definition.ty.named);
    let is_abstract = |position: &&Position| !nodes.is_object(position.node);
    if !ty.is_abstract() || definition.resolvers.len() < 2 || at.iter().filter(is_abstract).count() < 2 {
        return Verdict::Same;
    }
    let visible: Vec<TypeId> = ty.possible.iter().filter(|id| !graph.get_type(*id).inaccessible).collect();
    let mut common = visible.clone();
    let mut types = PerSubgraph::new();
    for position in at {
        let possible = if nodes.is_interface_object(position.node) {
            TypeSet::new(vec![position.node.ty])
        } else {
            TypeSet::new(nodes.possible(position.node).collect())
        };
        // An interface object stands for whatever the others give.
        if possible.len() == 1 && possible.iter().all(|only| !visible.contains(&only)) {
            continue;
        }
        common.retain(|id| possible.contains(*id));
        types.insert(position.node.subgraph, possible);
    }
    let mut sets = types.values();
    let first = sets.next();
    if types.values().all(TypeSet::is_empty) || sets.all(|set| Some(set) == first) && !common.is_empty() {
        Verdict::Same
    } else if common.is_empty() {
        Verdict::Disjoint(types)
    } else {
        Verdict::Different(types)
    }
}
