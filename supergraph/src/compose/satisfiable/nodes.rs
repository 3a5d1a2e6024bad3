//! Where an object can be held while a client's operation runs: in a subgraph, as a type of it, with what a path provides.
//!
//! Relied on by the other files of `satisfiable`; relies on the model alone.

use crate::ids::{FieldId, IdVec, LabelId, SubgraphId, SubgraphSet, TypeId};
use crate::model::field_set::{FieldSet, Selection};
use crate::model::{Field, FieldAt, Supergraph, TypeKind};
use rustc_hash::FxHashMap;

/// What is provided although external: an interned list of field sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Provided(u32);

impl Provided {
    /// Nothing more than the subgraph resolves anyway.
    pub(super) const NOTHING: Self = Self(0);
}

/// One way to hold an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Node {
    /// The subgraph.
    pub subgraph: SubgraphId,
    /// The type there: the object's own, an abstract type of it, or an interface object of it.
    pub ty: TypeId,
    /// What the path to here provides.
    pub provided: Provided,
}

/// A field that a subgraph resolves at a node.
#[derive(Clone, Copy)]
pub(super) struct Edge<'a> {
    /// What the subgraph makes of the field.
    pub at: &'a FieldAt,
    /// Where its value is held.
    pub child: Node,
}

/// Nodes and the edges between them inside one subgraph.
pub(super) struct Nodes<'a> {
    /// The supergraph.
    pub graph: &'a Supergraph,
    /// Per field, the subgraphs that resolve it without conditions.
    unconditional: IdVec<FieldId, SubgraphSet>,
    provided: Vec<Vec<&'a FieldSet>>,
    provided_ids: FxHashMap<Vec<usize>, Provided>,
}

impl<'a> Nodes<'a> {
    pub(super) fn new(graph: &'a Supergraph) -> Self {
        let mut unconditional = IdVec::default();
        for (_, field) in graph.fields.iter() {
            unconditional.push(resolves_unconditionally(field));
        }
        Self { graph, unconditional, provided: vec![Vec::new()], provided_ids: FxHashMap::default() }
    }

    /// The plain node of a type in a subgraph.
    pub(super) fn plain(subgraph: SubgraphId, ty: TypeId) -> Node {
        Node { subgraph, ty, provided: Provided::NOTHING }
    }

    /// The subgraphs that resolve a field without requirements, contexts or labels.
    pub(super) fn unconditional(&self, field: FieldId) -> Option<&SubgraphSet> {
        self.unconditional.get(field)
    }

    /// Those of the subgraphs that may resolve `field` for an object held as `ty`, which no path provides anything for.
    pub(super) fn may_resolve(&self, ty: TypeId, field: FieldId, among: &SubgraphSet) -> SubgraphSet {
        if self.graph.get_type(ty).kind != TypeKind::Object {
            return among.clone();
        }
        let wanted = self.graph.field(field);
        let own = if wanted.parent == ty { Some(field) } else { self.graph.field_of(ty, &wanted.name) };
        own.map_or_else(SubgraphSet::new, |own| among.intersection(&self.graph.field(own).resolvers))
    }

    /// Whether `field` may be taken at `node`, as far as a quick look says.
    pub(super) fn may_take(&self, node: Node, field: FieldId) -> bool {
        let wanted = self.graph.field(field);
        wanted.parent != node.ty || node.provided != Provided::NOTHING || wanted.resolvers.contains(node.subgraph)
    }

    /// Whether the subgraph holds a node's type as an interface object.
    pub(super) fn is_interface_object(&self, node: Node) -> bool {
        self.graph.get_type(node.ty).interface_object_in.contains(node.subgraph)
    }

    /// Whether a node has an object type (or an interface object) in its subgraph.
    pub(super) fn is_object(&self, node: Node) -> bool {
        self.graph.get_type(node.ty).kind == TypeKind::Object || self.is_interface_object(node)
    }

    /// The field of a node's type that is called like `field`.
    pub(super) fn own_field(&self, node: Node, field: FieldId) -> Option<FieldId> {
        let wanted = self.graph.field(field);
        if wanted.parent == node.ty { Some(field) } else { self.graph.field_of(node.ty, &wanted.name) }
    }

    /// The field called like `field`, if the subgraph resolves it at this node (which has an object type there). Conditions are
    /// for the caller to check.
    pub(super) fn edge(&mut self, node: Node, field: FieldId) -> Option<Edge<'a>> {
        let field = self.own_field(node, field)?;
        let graph = self.graph;
        let at = graph.field(field).at(node.subgraph)?;
        let below = self.provided_below(node.provided, field);
        if (at.external || at.overridden) && below.is_none() {
            return None;
        }
        let mut sets = below.unwrap_or_default();
        sets.extend(at.provides.as_deref());
        let provided = self.intern(sets);
        Some(Edge { at, child: Node { subgraph: node.subgraph, ty: at.ty.named, provided } })
    }

    /// The field of an interface, asked for without looking at its implementations: only where each of them resolves it, or where the
    /// path provides it.
    pub(super) fn interface_edge(&mut self, node: Node, field: FieldId) -> Option<Edge<'a>> {
        let field = self.own_field(node, field)?;
        let is_provided = self.provided_below(node.provided, field).is_some();
        if !is_provided && !self.implementations_resolve(node, field) {
            return None;
        }
        self.edge(node, field)
    }

    fn implementations_resolve(&self, node: Node, field: FieldId) -> bool {
        let name = &self.graph.field(field).name;
        let visible = self.graph.get_type(node.ty).possible.iter().filter(|&object| !self.graph.get_type(object).inaccessible);
        visible.filter(|&object| self.graph.get_type(object).subgraphs.contains(node.subgraph)).all(|object| {
            let at = self.graph.field_of(object, name).and_then(|field| self.graph.field(field).at(node.subgraph));
            at.is_some_and(|at| !at.external && !at.overridden && at.requires.is_none())
        })
    }

    /// The node of the same object once it is known to be an `object`: through an abstract type of the subgraph.
    pub(super) fn cast(&mut self, node: Node, object: TypeId) -> Option<Node> {
        if node.ty == object {
            return Some(node);
        }
        if !self.possible(node).any(|possible| possible == object) {
            return None;
        }
        let provided = self.provided_for(node.provided, object);
        Some(Node { subgraph: node.subgraph, ty: object, provided })
    }

    /// Object types that an object at this node may have, as its subgraph knows them. None for an interface object.
    pub(super) fn possible(&self, node: Node) -> impl Iterator<Item = TypeId> + use<'a> {
        let at = self.graph.get_type(node.ty).at(node.subgraph);
        at.into_iter().flat_map(|at| at.possible.iter())
    }

    /// The field sets below `field`, if the list provides it.
    fn provided_below(&self, provided: Provided, field: FieldId) -> Option<Vec<&'a FieldSet>> {
        let mut found = None;
        for set in self.provided.get(provided.0 as usize)? {
            collect_below(set, field, &mut found);
        }
        found
    }

    /// What the list provides for objects of one type.
    fn provided_for(&mut self, provided: Provided, object: TypeId) -> Provided {
        let sets = self.provided.get(provided.0 as usize).cloned().unwrap_or_default();
        let fragments = sets.iter().flat_map(|set| &set.selections).filter_map(|selection| match selection {
            Selection::Fragment { on, below } if *on == object => Some(below),
            _ => None,
        });
        let sets = fragments.collect();
        self.intern(sets)
    }

    fn intern(&mut self, sets: Vec<&'a FieldSet>) -> Provided {
        if sets.is_empty() {
            return Provided::NOTHING;
        }
        let key: Vec<usize> = sets.iter().map(|set| std::ptr::from_ref::<FieldSet>(set) as usize).collect();
        if let Some(known) = self.provided_ids.get(&key) {
            return *known;
        }
        let id = Provided(u32::try_from(self.provided.len()).unwrap_or(0));
        self.provided.push(sets);
        self.provided_ids.insert(key, id);
        id
    }

    /// How one label decides between subgraphs of a field, if one does.
    pub(super) fn label(&self, field: FieldId) -> Option<LabelId> {
        self.graph.field(field).subgraph_views().find_map(|(_, at)| at.label).map(|(label, _)| label)
    }

    /// Whether the subgraph can be entered again at this node, with a key of which no field is external.
    pub(super) fn has_local_key(&self, node: Node) -> bool {
        let at = self.graph.get_type(node.ty).at(node.subgraph);
        at.is_some_and(|at| at.keys.iter().any(|key| !self.selects_external(&key.fields, node.subgraph)))
    }

    fn selects_external(&self, set: &FieldSet, subgraph: SubgraphId) -> bool {
        set.selections.iter().any(|selection| match selection {
            Selection::Typename => false,
            Selection::Fragment { below, .. } => self.selects_external(below, subgraph),
            Selection::Field { field, below, .. } => {
                self.graph.field(*field).external.contains(subgraph) || self.selects_external(below, subgraph)
            }
        })
    }
}

/// Adds what is selected below `field` in `set` to `found`, looking through fragments on the same type.
fn collect_below<'a>(set: &'a FieldSet, wanted: FieldId, found: &mut Option<Vec<&'a FieldSet>>) {
    for selection in &set.selections {
        if let Selection::Field { field, below, .. } = selection
            && *field == wanted
        {
            let list = found.get_or_insert_default();
            if !below.selections.is_empty() {
                list.push(below);
            }
        }
    }
}

fn resolves_unconditionally(field: &Field) -> SubgraphSet {
    let conditional = field
        .subgraph_views()
        .filter(|(_, at)| at.requires.is_some() || at.label.is_some() || !at.context_arguments.is_empty())
        .map(|(subgraph, _)| subgraph)
        .collect();
    field.resolvers.difference(&conditional)
}
