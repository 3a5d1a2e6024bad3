//! Who can resolve what: for each object type and subgraph, under which name the subgraph knows it, which fields it resolves
//! there, with which requirement, and with which keys it is entered.
//!
//! `@external`, `@override` and its labels, `@provides` and `@interfaceObject` are applied here, so that `choose` only compares.
//! Relies on `model`; relied on by `choose` and `fetches`. What depends on the schema alone is computed once per supergraph
//! ([`Tables`]).

use crate::ids::{Id, IdVec, LabelId, NameId, SubgraphId, SubgraphSet, TypeId};
use crate::model::field_set::{FieldSet, Selection};
use crate::model::subgraph_schema::subgraph_schema;
use crate::model::{Field, FieldAt, Key, Supergraph, TypeKind};
use crate::plan::names::{Names, Row};
use crate::plan::shape::TypeSet;
use apollo_compiler::Schema;
use apollo_compiler::validation::Valid;
use rustc_hash::{FxHashMap, FxHashSet};
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

/// What planning knows of a supergraph beyond its model.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// Object types with the same number look the same to the planner in every respect but their name.
    alike: Vec<u32>,
    /// Subgraphs' schemas, each made when it is first asked for.
    schemas: IdVec<SubgraphId, OnceLock<Valid<Schema>>>,
    /// Fields by the numbers of their names.
    pub(super) names: Names,
}

impl Tables {
    /// Computes the tables of a supergraph.
    pub fn new(supergraph: &Supergraph) -> Self {
        let mut seen: FxHashMap<String, u32> = FxHashMap::default();
        let mut alike = Vec::with_capacity(supergraph.types.len());
        for (id, _) in supergraph.types.iter() {
            let next = u32::try_from(seen.len()).unwrap_or(u32::MAX);
            alike.push(*seen.entry(signature(supergraph, id)).or_insert(next));
        }
        let mut schemas = IdVec::default();
        supergraph.subgraphs.iter().for_each(|_| {
            schemas.push(OnceLock::new());
        });
        Self { alike, schemas, names: Names::new(supergraph) }
    }

    /// The schema of a subgraph, for the check of fetch documents.
    pub(super) fn schema(&self, supergraph: &Supergraph, subgraph: SubgraphId) -> Option<&Valid<Schema>> {
        Some(self.schemas.get(subgraph)?.get_or_init(|| subgraph_schema(supergraph, subgraph)))
    }

    /// The number that alike types share.
    pub(super) fn alike(&self, id: TypeId) -> u32 {
        self.alike.get(id.index()).copied().unwrap_or(u32::MAX)
    }
}

/// Everything about an object type that planning looks at, as text.
fn signature(supergraph: &Supergraph, id: TypeId) -> String {
    let ty = supergraph.get_type(id);
    if ty.kind != TypeKind::Object {
        return format!("#{}", id.index());
    }
    let mut text = String::new();
    // Writing to a string cannot fail.
    for (subgraph, at) in ty.subgraph_views() {
        let _ = write!(text, "@{}", subgraph.index());
        for key in &at.keys {
            let _ = write!(text, " key {} {}", key.resolvable, set_text(supergraph, &key.fields));
        }
        for (other, there) in supergraph.types.iter() {
            if there.is_abstract() && there.at(subgraph).is_some_and(|at| at.possible.contains(id)) {
                let _ = write!(text, " in {}", other.index());
            }
        }
    }
    let _ = write!(text, " implements {:?}", ty.interfaces);
    for (name, field) in &ty.fields {
        let field = supergraph.field(*field);
        let _ = write!(text, " {name}:{:?}", field.ty);
        for (subgraph, at) in field.subgraph_views() {
            let _ = write!(text, "@{}", subgraph.index());
            add_field(&mut text, supergraph, at);
            if !at.context_arguments.is_empty() {
                let _ = write!(text, " context {}", id.index());
            }
        }
    }
    if supergraph.contexts.values().flatten().any(|setter| supergraph.get_type(*setter).possible.contains(id)) {
        let _ = write!(text, " sets {}", id.index());
    }
    text
}

/// A field as one subgraph has it.
fn add_field(text: &mut String, supergraph: &Supergraph, at: &FieldAt) {
    let _ = write!(text, " {:?} {} {} {:?}", at.ty, at.external, at.overridden, at.label);
    for (what, set) in [("requires", &at.requires), ("provides", &at.provides)] {
        if let Some(set) = set {
            let _ = write!(text, " {what} {}", set_text(supergraph, set));
        }
    }
}

fn set_text(supergraph: &Supergraph, set: &FieldSet) -> String {
    let mut text = String::from("{");
    for selection in &set.selections {
        match selection {
            Selection::Typename => text.push_str(" __typename"),
            Selection::Field { field, arguments, below } => {
                let _ = write!(text, " {} {arguments:?} {}", supergraph.field(*field).name, set_text(supergraph, below));
            }
            Selection::Fragment { on, below } => {
                let _ = write!(text, " on {} {}", on.index(), set_text(supergraph, below));
            }
        }
    }
    text.push('}');
    text
}

/// The supergraph as one request sees it: override labels are decided.
#[derive(Clone, Copy)]
pub(super) struct Options<'a> {
    /// The supergraph.
    pub supergraph: &'a Supergraph,
    /// Its tables.
    pub tables: &'a Tables,
    /// Labels that are active.
    pub labels: &'a FxHashSet<LabelId>,
}

/// How representations of a type name it for a subgraph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Naming {
    /// No representation: the root type, entered freely.
    Root,
    /// By the object's own type, which must be known.
    Concrete,
    /// By the name of an interface (an interface object's, or one with a key).
    Interface(TypeId),
}

impl<'a> Options<'a> {
    /// The name under which `subgraph` knows objects of type `object`: the type itself, or an interface object's interface.
    pub fn known_as(&self, object: TypeId, subgraph: SubgraphId) -> Option<TypeId> {
        let ty = self.supergraph.get_type(object);
        if ty.subgraphs.contains(subgraph) {
            return Some(object);
        }
        ty.interfaces.iter().copied().find(|id| self.is_interface_object(*id, subgraph))
    }

    /// Whether `subgraph` defines this interface as an object type.
    pub fn is_interface_object(&self, id: TypeId, subgraph: SubgraphId) -> bool {
        self.supergraph.get_type(id).interface_object_in.contains(subgraph)
    }

    /// Interfaces of these types, if there are several, that some subgraph defines as an object type: it cannot tell them apart.
    pub fn blurs(&self, types: &TypeSet) -> Vec<TypeId> {
        if types.len() < 2 {
            return Vec::new();
        }
        let all = types.iter().flat_map(|id| &self.supergraph.get_type(id).interfaces);
        let mut found: Vec<TypeId> =
            all.copied().filter(|id| !self.supergraph.get_type(*id).interface_object_in.is_empty()).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Whether some subgraph that defines this interface as an object type has the field there.
    pub fn has_as_interface_object(&self, id: TypeId, name: NameId) -> bool {
        let field = self.row(id, name).own.map(|field| self.supergraph.field(field));
        field.is_some_and(|field| self.supergraph.get_type(id).interface_object_in.iter().any(|at| field.at(at).is_some()))
    }

    /// Object types that a value of type `id` may have in `subgraph`.
    pub fn possible(&self, id: TypeId, subgraph: SubgraphId) -> &'a TypeSet {
        let ty = self.supergraph.get_type(id);
        match ty.at(subgraph) {
            Some(at) if ty.is_abstract() && !at.interface_object => &at.possible,
            _ => &ty.possible,
        }
    }

    /// Field `name` of a type, as all subgraphs together have it.
    fn row(&self, ty: TypeId, name: NameId) -> &'a Row {
        self.tables.names.row(ty, name)
    }

    /// The field `name` of an object or interface type.
    pub fn field_of(&self, ty: TypeId, name: NameId) -> Option<&'a Field> {
        self.row(ty, name).own.map(|field| self.supergraph.field(field))
    }

    /// Field `name` of `object` as `subgraph` has it, if the labels leave it there.
    pub fn field(&self, object: TypeId, subgraph: SubgraphId, name: NameId) -> Option<&'a FieldAt> {
        let at = self.row(object, name).at(self.supergraph, subgraph)?;
        at.label.is_none_or(|(label, active)| self.labels.contains(&label) == active).then_some(at)
    }

    /// The same, if the subgraph resolves it without being provided by a parent.
    pub fn resolved(&self, object: TypeId, subgraph: SubgraphId, name: NameId) -> Option<&'a FieldAt> {
        self.field(object, subgraph, name).filter(|at| !at.external && !at.overridden)
    }

    /// Whether `subgraph` resolves field `name` of `object` without anything in the representation.
    pub fn is_plain(&self, object: TypeId, subgraph: SubgraphId, name: NameId) -> bool {
        let row = self.row(object, name);
        row.plain.contains(subgraph) && (!row.is_labelled || self.field(object, subgraph, name).is_some())
    }

    /// Subgraphs that resolve field `name` of `object` without anything in the representation, before labels are decided.
    pub fn all_plain_in(self, object: TypeId, name: NameId) -> &'a SubgraphSet {
        &self.row(object, name).plain
    }

    /// Subgraphs that resolve field `name` of `object` without anything in the representation.
    pub fn plain_in(self, object: TypeId, name: NameId) -> impl Iterator<Item = SubgraphId> + use<'a> {
        let row = self.row(object, name);
        row.plain.iter().filter(move |subgraph| !row.is_labelled || self.field(object, *subgraph, name).is_some())
    }

    /// Subgraphs that resolve field `name` of `object` only with something in the representation.
    pub fn demanding_in(self, object: TypeId, name: NameId) -> impl Iterator<Item = SubgraphId> + use<'a> {
        let row = self.row(object, name);
        row.demanding.iter().filter(move |subgraph| !row.is_labelled || self.field(object, *subgraph, name).is_some())
    }

    /// Subgraphs that resolve field `name` of `object`, in order.
    pub fn resolved_in(self, object: TypeId, name: NameId) -> Vec<SubgraphId> {
        let mut all: Vec<SubgraphId> = self.plain_in(object, name).chain(self.demanding_in(object, name)).collect();
        all.sort_unstable();
        all
    }

    /// What the field requires in this subgraph.
    pub fn requirement(&self, object: TypeId, subgraph: SubgraphId, name: NameId) -> Option<&'a Arc<FieldSet>> {
        if !self.row(object, name).demanding.contains(subgraph) {
            return None;
        }
        self.resolved(object, subgraph, name)?.requires.as_ref()
    }

    /// The ways into `subgraph` for objects of this type, each with the key it takes.
    pub fn entries(&self, object: TypeId, subgraph: SubgraphId, type_known: bool) -> Vec<(Naming, &'a Key)> {
        let mut entries = Vec::new();
        let mut add = |naming, id: TypeId| {
            let keys = self.supergraph.get_type(id).at(subgraph).map_or(&[][..], |at| &at.keys);
            entries.extend(keys.iter().filter(|key| key.resolvable).map(|key| (naming, key)));
        };
        match self.known_as(object, subgraph) {
            Some(name) if name != object => add(Naming::Interface(name), name),
            Some(_) => {
                add(Naming::Concrete, object);
                if !type_known {
                    for id in &self.supergraph.get_type(object).interfaces {
                        add(Naming::Interface(*id), *id);
                    }
                }
            }
            None => {}
        }
        entries
    }
}

/// What a set of provided field sets says about field `name` of `object`: `None` if it is not provided, else what is provided
/// below it.
pub(super) fn provided<'a>(
    options: Options<'_>,
    sets: &[&'a FieldSet],
    object: TypeId,
    name: NameId,
) -> Option<Vec<&'a FieldSet>> {
    let mut found: Option<Vec<&'a FieldSet>> = None;
    let mut add = |below: &'a FieldSet| found.get_or_insert_default().extend((!below.selections.is_empty()).then_some(below));
    let is_wanted = |field| options.tables.names.of(field) == name;
    let applies = |on| options.supergraph.get_type(on).possible.contains(object);
    let mut open: Vec<&'a FieldSet> = sets.to_vec();
    while let Some(set) = open.pop() {
        for selection in &set.selections {
            match selection {
                Selection::Field { field, below, .. } if is_wanted(*field) => add(below),
                Selection::Fragment { on, below } if applies(*on) => open.push(below),
                _ => {}
            }
        }
    }
    found
}

/// Names of the fields at the top of a field set, below fragments too.
pub(super) fn top_names(options: Options<'_>, set: &FieldSet) -> Vec<NameId> {
    let (mut names, mut open) = (Vec::new(), vec![set]);
    while let Some(set) = open.pop() {
        for selection in &set.selections {
            match selection {
                Selection::Field { field, .. } => names.push(options.tables.names.of(*field)),
                Selection::Fragment { below, .. } => open.push(below),
                Selection::Typename => {}
            }
        }
    }
    names
}
