//! The supergraph: its types and fields, and for each subgraph what it has, resolves, needs and provides.
//!
//! Everything is decided when a supergraph SDL is read (`read`), so that planning and the check of satisfiability compare numbers
//! and never parse. Relied on by `plan`, `compose::satisfiable` and the gateway; relies on the parser crate and on `ids`.
//! Spec: <https://specs.apollo.dev/join/v0.3/>

pub mod access;
pub mod client;
pub(crate) mod declared;
pub mod features;
pub mod field_set;
mod meta;
mod read;
pub(crate) mod subgraph_schema;

use crate::ids::{FieldId, Id, IdVec, LabelId, SubgraphId, SubgraphSet, TypeId};
use crate::plan::OperationKind;
use crate::plan::shape::{TypeSet, Wrap};
use access::Access;
use apollo_compiler::ast::{DirectiveList, Value};
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Node, Schema};
use features::Features;
use field_set::FieldSet;
use indexmap::IndexMap;
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::sync::Arc;

/// A map that keeps the order of the SDL.
pub type NameMap<T> = IndexMap<Name, T, FxBuildHasher>;

/// One composed supergraph.
#[derive(Clone, Debug)]
pub struct Supergraph {
    /// In the order of the join graph enum.
    pub subgraphs: IdVec<SubgraphId, Subgraph>,
    /// Every type but those of linked features; built-in scalars are there too.
    pub types: IdVec<TypeId, Type>,
    /// Fields of object and interface types.
    pub fields: IdVec<FieldId, Field>,
    /// Labels of progressive overrides.
    pub labels: IdVec<LabelId, Box<str>>,
    /// Types that set a context, by the context's name.
    pub contexts: FxHashMap<Box<str>, Vec<TypeId>>,
    /// What the SDL links, and under which names.
    pub features: Features,
    /// Directives applied to the schema, without links.
    pub directives: DirectiveList,
    /// Who may use what.
    pub access: Access,
    /// The schema that clients see.
    pub client: Valid<Schema>,
    names: FxHashMap<Name, TypeId>,
    roots: [Option<TypeId>; 3],
    /// What an id of another supergraph gives.
    nothing: Box<(Subgraph, Type, Field)>,
}

/// One subgraph.
#[derive(Clone, Debug)]
pub struct Subgraph {
    /// The name that users gave it.
    pub name: Box<str>,
    /// Where it answers, as the SDL says.
    pub url: Box<str>,
    /// Its value in the join graph enum.
    pub graph: Name,
}

/// What a type is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TypeKind {
    /// A scalar, built in or custom.
    Scalar,
    /// An object type.
    Object,
    /// An interface.
    Interface,
    /// A union.
    Union,
    /// An enum.
    Enum,
    /// An input object type.
    Input,
}

/// One named type.
#[derive(Clone, Debug)]
pub struct Type {
    /// Its name.
    pub name: Name,
    /// What it is.
    pub kind: TypeKind,
    /// Clients must not see it.
    pub inaccessible: bool,
    /// Object types that a value of it may have: itself, a union's members, an interface's implementations. Inaccessible ones too.
    pub possible: TypeSet,
    /// Interfaces that it implements in any subgraph.
    pub interfaces: Vec<TypeId>,
    /// Fields of an object or interface type.
    pub fields: NameMap<FieldId>,
    /// Fields of an input object type.
    pub inputs: NameMap<InputField>,
    /// Values of an enum.
    pub values: NameMap<EnumValue>,
    /// Subgraphs that have it.
    pub subgraphs: SubgraphSet,
    /// Subgraphs where it is an interface object.
    pub interface_object_in: SubgraphSet,
    /// Its applied directives, without `join__type` and the like. `join__directive` is kept.
    pub directives: DirectiveList,
    /// What each subgraph makes of it, in subgraph order.
    at: Vec<(SubgraphId, TypeAt)>,
}

/// A type as one subgraph has it.
#[derive(Clone, Debug, Default)]
pub struct TypeAt {
    /// Its keys, in order.
    pub keys: Vec<Key>,
    /// An interface of the supergraph that this subgraph defines as an object type.
    pub interface_object: bool,
    /// The subgraph only extends it.
    pub extension: bool,
    /// Interfaces that it implements there.
    pub interfaces: Vec<TypeId>,
    /// Object types that a value of it may have there. Empty for an interface object.
    pub possible: TypeSet,
}

/// One `@key`.
#[derive(Clone, Debug)]
pub struct Key {
    /// The fields.
    pub fields: Arc<FieldSet>,
    /// Whether the subgraph can be entered with it.
    pub resolvable: bool,
}

/// A type with its lists and non-nulls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TypeRef {
    /// The named type inside.
    pub named: TypeId,
    /// What is around it.
    pub wrap: Wrap,
}

/// One field of an object or interface type.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name.
    pub name: Name,
    /// The type that has it.
    pub parent: TypeId,
    /// Its type in the supergraph.
    pub ty: TypeRef,
    /// Its arguments.
    pub arguments: NameMap<Argument>,
    /// Clients must not see it.
    pub inaccessible: bool,
    /// Subgraphs whose schema has it, resolvable there or not.
    pub subgraphs: SubgraphSet,
    /// Subgraphs that can resolve it: neither external nor overridden there. With `requires` and labels in [`FieldAt`].
    pub resolvers: SubgraphSet,
    /// Subgraphs that have it only as `@external` or overridden: resolvable there only on a path that provides it.
    pub external: SubgraphSet,
    /// Its applied directives, without `join__field`. `join__directive` is kept.
    pub directives: DirectiveList,
    /// What each subgraph makes of it, in subgraph order.
    at: Vec<(SubgraphId, FieldAt)>,
}

/// A field as one subgraph has it.
#[derive(Clone, Debug)]
pub struct FieldAt {
    /// Its type there.
    pub ty: TypeRef,
    /// `@external`.
    pub external: bool,
    /// Overridden by another subgraph and kept only because keys, requirements or interfaces use it.
    pub overridden: bool,
    /// What must be in the representation to resolve it.
    pub requires: Option<Arc<FieldSet>>,
    /// What can be resolved below it although external.
    pub provides: Option<Arc<FieldSet>>,
    /// The subgraph it is taken from, by name.
    pub override_from: Option<Box<str>>,
    /// It is resolved here only when the label is decided like this.
    pub label: Option<(LabelId, bool)>,
    /// Arguments that are filled from a context.
    pub context_arguments: Vec<ContextArgument>,
}

/// An argument filled from a context (`@fromContext`).
#[derive(Clone, Debug)]
pub struct ContextArgument {
    /// The context.
    pub context: Box<str>,
    /// The argument, which only the subgraph knows.
    pub name: Name,
    /// Its type in that subgraph, as text.
    pub ty: Box<str>,
    /// What is selected on each type that sets the context.
    pub selections: Vec<(TypeId, Arc<FieldSet>)>,
}

/// One argument of a field.
#[derive(Clone, Debug)]
pub struct Argument {
    /// Its type.
    pub ty: TypeRef,
    /// Its default.
    pub default: Option<Node<Value>>,
    /// Clients must not see it.
    pub inaccessible: bool,
    /// Its applied directives.
    pub directives: DirectiveList,
}

/// One field of an input object type.
#[derive(Clone, Debug)]
pub struct InputField {
    /// Its type.
    pub ty: TypeRef,
    /// Its default.
    pub default: Option<Node<Value>>,
    /// Clients must not see it.
    pub inaccessible: bool,
    /// Its type in each subgraph that has it.
    pub at: Vec<(SubgraphId, TypeRef)>,
    /// Its applied directives, without `join__field`.
    pub directives: DirectiveList,
}

/// One value of an enum.
#[derive(Clone, Debug)]
pub struct EnumValue {
    /// Clients must not see it.
    pub inaccessible: bool,
    /// Subgraphs that have it.
    pub subgraphs: SubgraphSet,
}

impl Supergraph {
    /// The schema that clients see, with `@defer`.
    pub fn client_with_defer(&self) -> Valid<Schema> {
        client::with_defer(&self.client)
    }

    /// The subgraph with this id.
    pub fn subgraph(&self, id: SubgraphId) -> &Subgraph {
        self.subgraphs.get(id).unwrap_or(&self.nothing.0)
    }

    /// The type with this id.
    pub fn get_type(&self, id: TypeId) -> &Type {
        self.types.get(id).unwrap_or(&self.nothing.1)
    }

    /// The field with this id.
    pub fn field(&self, id: FieldId) -> &Field {
        self.fields.get(id).unwrap_or(&self.nothing.2)
    }

    /// The type with this name.
    pub fn type_named(&self, name: &str) -> Option<TypeId> {
        self.names.get(name).copied()
    }

    /// The field `name` of an object or interface type.
    pub fn field_of(&self, parent: TypeId, name: &str) -> Option<FieldId> {
        self.get_type(parent).fields.get(name).copied()
    }

    /// The root type of this kind of operation.
    pub fn root(&self, kind: OperationKind) -> Option<TypeId> {
        self.roots.get(kind as usize).copied().flatten()
    }

    /// All subgraphs.
    pub fn all_subgraphs(&self) -> SubgraphSet {
        SubgraphSet::first(self.subgraphs.len())
    }
}

impl Type {
    /// What `subgraph` makes of it, if it has it.
    pub fn at(&self, subgraph: SubgraphId) -> Option<&TypeAt> {
        find(&self.at, subgraph)
    }

    /// What each subgraph makes of it, in subgraph order.
    pub fn subgraph_views(&self) -> impl Iterator<Item = (SubgraphId, &TypeAt)> {
        self.at.iter().map(|(id, at)| (*id, at))
    }

    /// Whether values of it have fields or members: an object, interface or union type.
    pub fn is_composite(&self) -> bool {
        matches!(self.kind, TypeKind::Object | TypeKind::Interface | TypeKind::Union)
    }

    /// Whether it stands for several object types: an interface or union.
    pub fn is_abstract(&self) -> bool {
        matches!(self.kind, TypeKind::Interface | TypeKind::Union)
    }
}

impl Field {
    /// What `subgraph` makes of it, if it has it.
    pub fn at(&self, subgraph: SubgraphId) -> Option<&FieldAt> {
        find(&self.at, subgraph)
    }

    /// What each subgraph makes of it, in subgraph order.
    pub fn subgraph_views(&self) -> impl Iterator<Item = (SubgraphId, &FieldAt)> {
        self.at.iter().map(|(id, at)| (*id, at))
    }
}

/// The entry of `subgraph` in a list in subgraph order.
fn find<T>(list: &[(SubgraphId, T)], subgraph: SubgraphId) -> Option<&T> {
    let index = list.binary_search_by_key(&subgraph, |(id, _)| *id).ok()?;
    list.get(index).map(|(_, item)| item)
}

impl Default for Type {
    fn default() -> Self {
        Self {
            name: Name::new_static_unchecked("_"),
            kind: TypeKind::Scalar,
            inaccessible: false,
            possible: TypeSet::default(),
            interfaces: Vec::new(),
            fields: NameMap::default(),
            inputs: NameMap::default(),
            values: NameMap::default(),
            subgraphs: SubgraphSet::new(),
            interface_object_in: SubgraphSet::new(),
            directives: DirectiveList::default(),
            at: Vec::new(),
        }
    }
}

impl Field {
    fn new(name: Name, parent: TypeId, ty: TypeRef) -> Self {
        Self {
            name,
            parent,
            ty,
            arguments: NameMap::default(),
            inaccessible: false,
            subgraphs: SubgraphSet::new(),
            resolvers: SubgraphSet::new(),
            external: SubgraphSet::new(),
            directives: DirectiveList::default(),
            at: Vec::new(),
        }
    }
}

fn nothing() -> Box<(Subgraph, Type, Field)> {
    let name = Name::new_static_unchecked("_");
    let ty = TypeRef { named: TypeId::new(usize::MAX), wrap: Wrap { lists: 0, non_null: 0 } };
    Box::new((
        Subgraph { name: "".into(), url: "".into(), graph: name.clone() },
        Type::default(),
        Field::new(name, TypeId::new(usize::MAX), ty),
    ))
}
