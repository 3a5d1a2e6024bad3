//! Who defines what: for every type of the supergraph, the definitions of it in the subgraphs, gathered in one pass.
//!
//! Relies on `subgraph`; every merging file relies on it.

use super::diagnose::At;
use super::join;
use super::merged::{Graph, Kind, Map, Root, Set};
use crate::subgraph::{FieldFacts, Subgraph};
use apollo_compiler::ast::{Directive, FieldDefinition, InputValueDefinition};
use apollo_compiler::collections::IndexMap;
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::{Component, ExtendedType, ObjectType};
use apollo_compiler::{Name, Node};

/// The definitions of one type, in subgraph order.
pub(crate) struct TypeSources<'a> {
    /// The kind of the first definition.
    pub kind: Kind,
    /// The definitions of that kind.
    pub definitions: Vec<(Graph, &'a ExtendedType)>,
    /// The definitions of another kind (an error).
    pub others: Vec<(Graph, &'a ExtendedType)>,
    /// Subgraphs that have the type without defining it: every subgraph has a query type, for federation's own fields.
    pub implied: Vec<Graph>,
}

impl TypeSources<'_> {
    /// Whether this subgraph has the type, as whatever kind.
    pub(crate) fn is_in(&self, graph: Graph) -> bool {
        self.definitions.iter().chain(&self.others).any(|(other, _)| *other == graph) || self.implied.contains(&graph)
    }

    /// Number of subgraphs that have the type, as whatever kind.
    pub(crate) fn len(&self) -> usize {
        self.definitions.len() + self.others.len() + self.implied.len()
    }
}

/// Gathers the sources of every merged type, in order of appearance.
pub(crate) fn gather(subgraphs: &[Subgraph]) -> Map<Name, TypeSources<'_>> {
    let mut types: Map<Name, TypeSources<'_>> = Map::default();
    for (graph, subgraph) in subgraphs.iter().enumerate() {
        for (name, definition) in subgraph.types().filter(|(name, _)| !join::has_type(name)) {
            let kind = kind_of(subgraph, name, definition);
            let entry = types.entry(name.clone());
            let sources =
                entry.or_insert_with(|| TypeSources { kind, definitions: Vec::new(), others: Vec::new(), implied: Vec::new() });
            let list = if sources.kind == kind { &mut sources.definitions } else { &mut sources.others };
            list.push((graph, definition));
        }
    }
    if let Some(query) = types.get_mut(Root::Query.type_name()) {
        query.implied = (0..subgraphs.len()).filter(|graph| !query.is_in(*graph)).collect();
    }
    types
}

/// The kind that a definition has for the supergraph: an interface object counts as an interface.
pub(crate) fn kind_of(subgraph: &Subgraph, name: &str, definition: &ExtendedType) -> Kind {
    match definition {
        ExtendedType::Scalar(_) => Kind::Scalar,
        ExtendedType::Object(_) if subgraph.is_interface_object(name) => Kind::Interface,
        ExtendedType::Object(_) => Kind::Object,
        ExtendedType::Interface(_) => Kind::Interface,
        ExtendedType::Union(_) => Kind::Union,
        ExtendedType::Enum(_) => Kind::Enum,
        ExtendedType::InputObject(_) => Kind::Input,
    }
}

/// One definition of a field.
#[derive(Clone, Copy)]
pub(crate) struct FieldSource<'a> {
    /// The subgraph.
    pub graph: Graph,
    /// The type that has the field: the field's own parent, or an interface object that stands for it.
    pub parent: &'a Name,
    /// The definition.
    pub definition: &'a Component<FieldDefinition>,
    /// What the subgraph says about it.
    pub facts: &'a FieldFacts,
}

impl<'a> FieldSource<'a> {
    fn new(graph: Graph, subgraph: &'a Subgraph, parent: &'a Name, definition: &'a Component<FieldDefinition>) -> Self {
        Self { graph, parent, definition, facts: subgraph.field_facts(parent, &definition.name) }
    }

    /// External, and not even resolved along a `@provides`.
    pub(crate) fn is_fully_external(&self) -> bool {
        self.facts.is_external && !self.facts.is_provided
    }

    /// Where it stands.
    pub(crate) fn at(&self) -> At {
        (self.graph, self.definition.location())
    }
}

/// One field in the subgraphs that know it.
#[derive(Default)]
pub(crate) struct FieldSources<'a> {
    /// The definitions, in subgraph order.
    pub definitions: Vec<FieldSource<'a>>,
    /// Fields of interface objects that stand for it, in subgraphs that do not define its parent type.
    pub abstracted: Vec<FieldSource<'a>>,
}

impl<'a> FieldSources<'a> {
    /// The definition in this subgraph.
    pub(crate) fn of(&self, graph: Graph) -> Option<&FieldSource<'a>> {
        self.definitions.iter().find(|source| source.graph == graph)
    }

    /// Where all definitions stand.
    pub(crate) fn places(&self) -> Vec<At> {
        self.definitions.iter().map(FieldSource::at).collect()
    }
}

/// The fields of an object or interface type, in order of appearance.
pub(crate) fn fields<'a>(
    subgraphs: &'a [Subgraph],
    ty: &TypeSources<'a>,
    interfaces: &Set<Name>,
) -> Map<&'a Name, FieldSources<'a>> {
    let mut fields: Map<&'a Name, FieldSources<'a>> = Map::default();
    for &(graph, definition) in &ty.definitions {
        let Some(subgraph) = subgraphs.get(graph) else { continue };
        for field in fields_of(definition).into_iter().flat_map(|fields| fields.values()) {
            let source = FieldSource::new(graph, subgraph, definition.name(), field);
            fields.entry(&field.name).or_default().definitions.push(source);
        }
    }
    if ty.kind == Kind::Object {
        for (graph, subgraph, object) in interface_objects(subgraphs, ty, interfaces) {
            for field in object.fields.values() {
                if let Some(sources) = fields.get_mut(&field.name) {
                    sources.abstracted.push(FieldSource::new(graph, subgraph, &object.name, field));
                }
            }
        }
    }
    fields
}

/// What interface objects say about a field of an object type that no subgraph defines itself.
pub(crate) fn abstracted<'a>(
    subgraphs: &'a [Subgraph],
    ty: &TypeSources<'a>,
    interfaces: &Set<Name>,
    field: &Name,
) -> FieldSources<'a> {
    let mut sources = FieldSources::default();
    for (graph, subgraph, object) in interface_objects(subgraphs, ty, interfaces) {
        if let Some(field) = object.fields.get(field) {
            sources.abstracted.push(FieldSource::new(graph, subgraph, &object.name, field));
        }
    }
    sources
}

/// Interface objects for the interfaces of an object type, in subgraphs that do not define the type itself.
fn interface_objects<'a>(
    subgraphs: &'a [Subgraph],
    ty: &TypeSources<'a>,
    interfaces: &Set<Name>,
) -> Vec<(Graph, &'a Subgraph, &'a Node<ObjectType>)> {
    let mut found = Vec::new();
    if interfaces.is_empty() {
        return found;
    }
    for (graph, subgraph) in subgraphs.iter().enumerate().filter(|(graph, _)| !ty.is_in(*graph)) {
        for interface in interfaces.iter().filter(|interface| subgraph.is_interface_object(interface)) {
            if let Some(ExtendedType::Object(object)) = subgraph.schema.types.get(interface) {
                found.push((graph, subgraph, object));
            }
        }
    }
    found
}

/// The fields of an object or interface definition.
pub(crate) fn fields_of(definition: &ExtendedType) -> Option<&IndexMap<Name, Component<FieldDefinition>>> {
    crate::subgraph::facts::fields_of(definition)
}

/// The fields of an input object definition.
pub(crate) fn input_fields_of(definition: &ExtendedType) -> Option<&IndexMap<Name, Component<InputValueDefinition>>> {
    match definition {
        ExtendedType::InputObject(input) => Some(&input.fields),
        _ => None,
    }
}

/// The directives applied to a definition.
pub(crate) fn directives_of(definition: &ExtendedType) -> impl Iterator<Item = &Node<Directive>> {
    definition.directives().0.iter().map(|component| &component.node)
}

/// The description of a definition.
pub(crate) fn description_of(definition: &ExtendedType) -> Option<&Node<str>> {
    match definition {
        ExtendedType::Scalar(ty) => ty.description.as_ref(),
        ExtendedType::Object(ty) => ty.description.as_ref(),
        ExtendedType::Interface(ty) => ty.description.as_ref(),
        ExtendedType::Union(ty) => ty.description.as_ref(),
        ExtendedType::Enum(ty) => ty.description.as_ref(),
        ExtendedType::InputObject(ty) => ty.description.as_ref(),
    }
}

/// Where a definition stands; a type that is only ever extended has the place of its name.
pub(crate) fn location_of(definition: &ExtendedType) -> Option<SourceSpan> {
    definition.name().location()
}
