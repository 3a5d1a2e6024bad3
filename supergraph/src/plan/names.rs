//! Fields by type and number of their name, with the subgraphs that resolve them: so that nothing is looked up by name while planning.
//!
//! Computed once per supergraph, in time and memory linear in its fields. Relies on `model`; relied on by `options`, which decides
//! override labels, and through it by all stages.

use crate::ids::{FieldId, Id, IdVec, NameId, SubgraphId, SubgraphSet, TypeId};
use crate::model::{FieldAt, Supergraph, TypeKind};
use apollo_compiler::Name;
use rustc_hash::FxHashMap;

/// All fields of a supergraph.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    numbers: FxHashMap<Name, NameId>,
    of_field: IdVec<FieldId, NameId>,
    rows: FxHashMap<(TypeId, NameId), Row>,
    nothing: Row,
}

/// A field of an object type or interface.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    /// The type's own field.
    pub own: Option<FieldId>,
    /// Subgraphs that know an object type only by an interface, and the interface's field.
    by_interface: Vec<(SubgraphId, FieldId)>,
    /// Subgraphs that resolve it without anything in the representation.
    pub plain: SubgraphSet,
    /// Subgraphs that resolve it only with something in the representation.
    pub demanding: SubgraphSet,
    /// Who has it depends on labels too.
    pub is_labelled: bool,
}

impl Names {
    /// Numbers all names in their order, and fills the rows.
    pub fn new(supergraph: &Supergraph) -> Self {
        let mut all: Vec<&Name> = supergraph.fields.iter().map(|(_, field)| &field.name).collect();
        all.sort_unstable();
        all.dedup();
        let numbers: FxHashMap<Name, NameId> =
            all.into_iter().enumerate().map(|(index, name)| (name.clone(), NameId::new(index + 1))).collect();
        let mut names = Self { numbers, ..Self::default() };
        for (_, field) in supergraph.fields.iter() {
            names.of_field.push(names.numbers.get(&field.name).copied().unwrap_or(NameId::UNKNOWN));
        }
        for (id, ty) in supergraph.types.iter() {
            for field in ty.fields.values() {
                names.rows.insert((id, names.of(*field)), Row::of(supergraph, *field));
            }
        }
        for (id, ty) in supergraph.types.iter().filter(|(_, ty)| ty.kind == TypeKind::Object) {
            let mut met = ty.subgraphs.clone();
            for interface in &ty.interfaces {
                for subgraph in supergraph.get_type(*interface).interface_object_in.iter() {
                    if met.insert(subgraph) {
                        names.add_interface_object(supergraph, (id, *interface), subgraph);
                    }
                }
            }
        }
        names
    }

    /// Adds the fields that a subgraph has on an interface object, for one of the object types that it stands for.
    fn add_interface_object(&mut self, supergraph: &Supergraph, (object, interface): (TypeId, TypeId), subgraph: SubgraphId) {
        for field in supergraph.get_type(interface).fields.values() {
            let Some(at) = supergraph.field(*field).at(subgraph) else { continue };
            let row = self.rows.entry((object, self.of(*field))).or_default();
            row.by_interface.push((subgraph, *field));
            row.add(subgraph, at);
        }
    }

    /// The number of a name.
    pub fn number(&self, name: &str) -> NameId {
        if name == "__typename" { NameId::TYPENAME } else { self.numbers.get(name).copied().unwrap_or(NameId::UNKNOWN) }
    }

    /// The number of a field's name.
    pub fn of(&self, field: FieldId) -> NameId {
        self.of_field.get(field).copied().unwrap_or(NameId::UNKNOWN)
    }

    /// A field of an object type or interface.
    pub fn row(&self, ty: TypeId, name: NameId) -> &Row {
        self.rows.get(&(ty, name)).unwrap_or(&self.nothing)
    }
}

impl Row {
    fn of(supergraph: &Supergraph, field: FieldId) -> Self {
        let mut row = Self { own: Some(field), ..Self::default() };
        let field = supergraph.field(field);
        let known_in = &supergraph.get_type(field.parent).subgraphs;
        for (subgraph, at) in field.subgraph_views().filter(|(subgraph, _)| known_in.contains(*subgraph)) {
            row.add(subgraph, at);
        }
        row
    }

    fn add(&mut self, subgraph: SubgraphId, at: &FieldAt) {
        self.is_labelled |= at.label.is_some();
        if at.external || at.overridden {
            return;
        }
        let is_plain = at.requires.is_none() && at.context_arguments.is_empty();
        let set = if is_plain { &mut self.plain } else { &mut self.demanding };
        set.insert(subgraph);
    }

    /// The field as a subgraph has it, whatever the labels say.
    pub fn at<'a>(&self, supergraph: &'a Supergraph, subgraph: SubgraphId) -> Option<&'a FieldAt> {
        if let Some((_, field)) = self.by_interface.iter().find(|(of, _)| *of == subgraph) {
            return supergraph.field(*field).at(subgraph);
        }
        let field = supergraph.field(self.own?);
        field.at(subgraph).filter(|_| supergraph.get_type(field.parent).subgraphs.contains(subgraph))
    }
}
