//! The supergraph while it is being composed: merged elements with the subgraphs they come from.
//!
//! Relies on the parser's names, types and values. The merging files (`objects`, `fields`, ...) write it, the post-merge
//! `rules` check it, `print` turns it into SDL.

use apollo_compiler::ast::{Directive, DirectiveDefinition, Type, Value};
use apollo_compiler::{Name, Node};
use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

/// An index map with the house hasher.
pub(crate) type Map<K, V> = IndexMap<K, V, FxBuildHasher>;
/// An index set with the house hasher.
pub(crate) type Set<K> = indexmap::IndexSet<K, FxBuildHasher>;

/// Position of a subgraph in the list sorted by name; also its position in the `join__Graph` enum.
pub(crate) type Graph = usize;

/// The whole supergraph.
#[derive(Default)]
pub(crate) struct Merged {
    /// Description of the schema.
    pub description: Option<Node<str>>,
    /// What is applied to the schema besides `@link`: composed directives and `@join__directive`.
    pub applied: Vec<Node<Directive>>,
    /// The `@link`s after those of link and join.
    pub links: Vec<Link>,
    /// Which of query, mutation and subscription exist (their types have the default names).
    pub roots: Vec<Root>,
    /// The enum value of each subgraph.
    pub graphs: Vec<GraphName>,
    /// Version of the join specification, e.g. `(0, 5)`.
    pub join: (u32, u32),
    /// Directive definitions except those of link and join.
    pub directives: Map<Name, Node<DirectiveDefinition>>,
    /// Types except those of link and join.
    pub types: Map<Name, MergedType>,
}

/// One `@link` of the supergraph.
pub(crate) struct Link {
    /// The url with its version.
    pub url: String,
    /// `as:`
    pub alias: Option<String>,
    /// `for:`
    pub purpose: Option<&'static str>,
    /// `import:`, as (name in the specification, name here), both with `@`.
    pub imports: Vec<(String, String)>,
}

/// A root operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// `query: Query`
    Query,
    /// `mutation: Mutation`
    Mutation,
    /// `subscription: Subscription`
    Subscription,
}

impl Root {
    /// All, in the order in which they are printed.
    pub(crate) const ALL: [Self; 3] = [Self::Query, Self::Mutation, Self::Subscription];

    /// The name of its type, in every subgraph after reading and in the supergraph.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::Query => "Query",
            Self::Mutation => "Mutation",
            Self::Subscription => "Subscription",
        }
    }

    /// Its keyword.
    pub(crate) fn keyword(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Mutation => "mutation",
            Self::Subscription => "subscription",
        }
    }
}

/// One value of the `join__Graph` enum.
pub(crate) struct GraphName {
    /// The enum value.
    pub value: Name,
    /// The subgraph's name.
    pub name: String,
    /// Its url.
    pub url: String,
}

/// The kind of a merged type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// `scalar`
    Scalar,
    /// `type`
    Object,
    /// `interface`; an object with `@interfaceObject` counts as one.
    Interface,
    /// `union`
    Union,
    /// `enum`
    Enum,
    /// `input`
    Input,
}

/// A type of the supergraph.
pub(crate) struct MergedType {
    /// Its kind.
    pub kind: Kind,
    /// Its description.
    pub description: Option<Node<str>>,
    /// Composed directives and `@join__directive`.
    pub applied: Vec<Node<Directive>>,
    /// `@join__type`, in subgraph order.
    pub joins: Vec<JoinType>,
    /// Interfaces, in order of appearance.
    pub interfaces: Set<Name>,
    /// `@join__implements`
    pub implements: Vec<(Graph, Name)>,
    /// Union members, in order of appearance.
    pub members: Set<Name>,
    /// `@join__unionMember`
    pub member_joins: Vec<(Graph, Name)>,
    /// Fields of objects, interfaces and input objects.
    pub fields: Map<Name, MergedField>,
    /// Enum values.
    pub values: Map<Name, MergedValue>,
}

impl MergedType {
    /// An empty type.
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            description: None,
            applied: Vec::new(),
            joins: Vec::new(),
            interfaces: Set::default(),
            implements: Vec::new(),
            members: Set::default(),
            member_joins: Vec::new(),
            fields: Map::default(),
            values: Map::default(),
        }
    }
}

/// `@join__type`
pub(crate) struct JoinType {
    /// `graph:`
    pub graph: Graph,
    /// `key:`
    pub key: Option<String>,
    /// `extension:`
    pub is_extension: bool,
    /// `resolvable:`, when written.
    pub resolvable: Option<bool>,
    /// `isInterfaceObject:`
    pub is_interface_object: bool,
}

/// A field of an object, interface or input object.
#[derive(Clone)]
pub(crate) struct MergedField {
    /// Its description.
    pub description: Option<Node<str>>,
    /// Its arguments (none on input fields).
    pub arguments: Map<Name, MergedArgument>,
    /// Its type.
    pub ty: Type,
    /// Default of an input field.
    pub default: Option<Node<Value>>,
    /// Composed directives and `@join__directive`.
    pub applied: Vec<Node<Directive>>,
    /// `@join__field`
    pub joins: Vec<JoinField>,
}

impl MergedField {
    /// A field of this type and nothing else.
    pub(crate) fn new(ty: Type) -> Self {
        Self { description: None, arguments: Map::default(), ty, default: None, applied: Vec::new(), joins: Vec::new() }
    }
}

/// An argument.
#[derive(Clone)]
pub(crate) struct MergedArgument {
    /// Its description.
    pub description: Option<Node<str>>,
    /// Its type.
    pub ty: Type,
    /// Its default.
    pub default: Option<Node<Value>>,
    /// Composed directives.
    pub applied: Vec<Node<Directive>>,
}

/// `@join__field`; without a graph when an interface object gives the field to an implementation.
#[derive(Clone, Default)]
pub(crate) struct JoinField {
    /// `graph:`
    pub graph: Option<Graph>,
    /// `requires:`
    pub requires: Option<String>,
    /// `provides:`
    pub provides: Option<String>,
    /// `type:`
    pub ty: Option<Type>,
    /// `external:`
    pub is_external: bool,
    /// `override:`
    pub overrides: Option<String>,
    /// `usedOverridden:`
    pub is_used_overridden: bool,
    /// `overrideLabel:`
    pub override_label: Option<String>,
    /// `contextArguments:`
    pub context_arguments: Vec<ContextArgument>,
}

/// One of `@join__field(contextArguments:)`.
#[derive(Clone)]
pub(crate) struct ContextArgument {
    /// The argument that the context fills.
    pub name: Name,
    /// Its type in the subgraph.
    pub ty: Type,
    /// The context, prefixed with the subgraph's name.
    pub context: String,
    /// What is selected at the context.
    pub selection: String,
}

/// An enum value.
pub(crate) struct MergedValue {
    /// Its description.
    pub description: Option<Node<str>>,
    /// Composed directives.
    pub applied: Vec<Node<Directive>>,
    /// `@join__enumValue`
    pub joins: Vec<Graph>,
}
