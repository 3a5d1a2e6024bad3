//! Reading a supergraph SDL: join v0.1 (Federation 1) to v0.5, as Apollo, Hive or we write it.
//!
//! Stages: links and subgraphs, names of types, types, fields, field sets, client schema. All errors are collected.
//! Relies on the parser crate and on the sibling modules; `Supergraph::read` is what everybody else calls.
//! Spec: <https://specs.apollo.dev/join/v0.3/>

mod federation1;
mod field_sets;
mod fields;
mod joins;
#[cfg(test)]
mod tests;
mod types;

use super::access::Access;
use super::declared::Declared;
use super::features::{DirectiveNames, Features};
use super::{NameMap, Subgraph, Supergraph, Type, client, nothing};
use crate::diagnostics::{Diagnostic, Level, Place};
use crate::document::{self, Fault};
use crate::ids::{FieldId, IdVec, LabelId, SubgraphId, TypeId};
use apollo_compiler::ast::{Definition, Document, OperationType};
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Schema};

use rustc_hash::FxHashMap;

/// The code of everything that is wrong with a supergraph SDL as such.
pub(super) const INVALID: &str = "INVALID_FEDERATION_SUPERGRAPH";

impl Supergraph {
    /// Reads a supergraph SDL.
    ///
    /// # Errors
    /// Everything that keeps the SDL from being a supergraph: syntax, unknown names, field sets that do not fit, a client schema
    /// that is not valid GraphQL.
    pub fn read(sdl: &str) -> Result<Self, Vec<Diagnostic>> {
        match document::sdl(sdl, "supergraph") {
            Ok(document) => Self::from_document(&document),
            Err(faults) => Err(faults.into_iter().map(syntax_error).collect()),
        }
    }

    /// Reads a parsed supergraph SDL.
    ///
    /// # Errors
    /// As [`Supergraph::read`].
    pub fn from_document(document: &Document) -> Result<Self, Vec<Diagnostic>> {
        match (Self::without_client(document), client::client_schema(document)) {
            (Ok(graph), Ok(client)) => Ok(Self { client, ..graph }),
            (Ok(_), Err(errors)) | (Err(errors), Ok(_)) => Err(errors),
            (Err(mut errors), Err(more)) => {
                errors.extend(more);
                Err(errors)
            }
        }
    }

    /// Reads a parsed supergraph SDL and leaves the client schema empty: for composition, which has its own rules for that schema and
    /// only looks at what the subgraphs can do.
    ///
    /// # Errors
    /// As [`Supergraph::read`], but for the client schema.
    pub(crate) fn without_client(document: &Document) -> Result<Self, Vec<Diagnostic>> {
        let mut reader = Reader::new(document);
        reader.read_types();
        reader.read_fields();
        reader.read_inputs_and_values();
        if reader.federation1 {
            reader.complete_federation1();
        }
        reader.index_possible_types();
        reader.resolve_field_sets();
        if !reader.errors.is_empty() {
            return Err(reader.errors);
        }
        let mut graph = reader.finish(document);
        graph.access =
            Access::read(&graph).map_err(|messages| messages.into_iter().map(unreadable_access).collect::<Vec<_>>())?;
        Ok(graph)
    }
}

fn syntax_error(fault: Fault) -> Diagnostic {
    Diagnostic {
        code: INVALID,
        level: Level::Error,
        message: format!("The supergraph SDL does not parse: {}", fault.message),
        places: vec![Place { subgraph: None, at: fault.at }],
    }
}

fn unreadable_access(message: String) -> Diagnostic {
    Diagnostic { code: INVALID, level: Level::Error, message, places: Vec::new() }
}

/// A supergraph under construction.
struct Reader {
    names: DirectiveNames,
    features: Features,
    /// Join v0.1: types have an owner, and other subgraphs' keys and external fields are not written down.
    federation1: bool,
    declared: NameMap<Declared>,
    type_ids: FxHashMap<Name, TypeId>,
    graph_ids: FxHashMap<Name, SubgraphId>,
    subgraphs: IdVec<SubgraphId, Subgraph>,
    types: IdVec<TypeId, Type>,
    fields: IdVec<FieldId, super::Field>,
    labels: IdVec<LabelId, Box<str>>,
    contexts: FxHashMap<Box<str>, Vec<TypeId>>,
    pending: field_sets::Pending,
    errors: Vec<Diagnostic>,
    /// What an unknown id gives.
    no_type: Type,
}

impl Reader {
    fn new(document: &Document) -> Self {
        let features = Features::of(document);
        let names = DirectiveNames::of(&features);
        let declared = super::declared::declared(document, &features);
        let type_ids = declared.keys().enumerate().map(|(index, name)| (name.clone(), crate::ids::Id::new(index))).collect();
        let version = features.apollo("join").and_then(|join| join.version.clone());
        let mut reader = Self {
            names,
            features,
            federation1: version.as_deref() == Some("v0.1"),
            declared,
            type_ids,
            graph_ids: FxHashMap::default(),
            subgraphs: IdVec::default(),
            types: IdVec::default(),
            fields: IdVec::default(),
            labels: IdVec::default(),
            contexts: FxHashMap::default(),
            pending: field_sets::Pending::default(),
            errors: Vec::new(),
            no_type: Type::default(),
        };
        reader.read_subgraphs(document);
        reader
    }

    fn read_subgraphs(&mut self, document: &Document) {
        let graphs = document.definitions.iter().filter_map(Definition::as_enum_type_definition);
        for value in graphs.filter(|graphs| graphs.name == self.names.graph_enum.as_str()).flat_map(|graphs| &graphs.values) {
            let directive = value.directives.get(&self.names.join_graph);
            let text = |argument| directive.and_then(|directive| joins::text(directive, argument));
            let subgraph = Subgraph {
                name: text("name").unwrap_or(&value.value).into(),
                url: text("url").unwrap_or_default().into(),
                graph: value.value.clone(),
            };
            let id = self.subgraphs.push(subgraph);
            self.graph_ids.insert(value.value.clone(), id);
        }
        if self.subgraphs.is_empty() {
            self.error(format!(
                "The supergraph SDL names no subgraph: it needs an enum `{}` with one value per subgraph. Is this a supergraph?",
                self.names.graph_enum
            ));
        }
    }

    /// The subgraph of a value of the graph enum.
    fn graph(&mut self, value: &Name, of: &str) -> Option<SubgraphId> {
        let id = self.graph_ids.get(value).copied();
        if id.is_none() {
            self.error(format!("`{of}` names the subgraph `{value}`, which `{}` does not have.", self.names.graph_enum));
        }
        id
    }

    fn error(&mut self, message: String) {
        self.errors.push(Diagnostic { code: INVALID, level: Level::Error, message, places: Vec::new() });
    }

    fn finish(self, document: &Document) -> Supergraph {
        let root = |kind| root_name(document, kind).and_then(|name| self.type_ids.get(name.as_str()).copied());
        let roots = [root(OperationType::Query), root(OperationType::Mutation), root(OperationType::Subscription)];
        let schema_parts = document
            .definitions
            .iter()
            .filter(|definition| definition.as_schema_definition().is_some() || definition.as_schema_extension().is_some());
        let directives = schema_parts
            .flat_map(|definition| definition.directives().iter())
            .filter(|directive| !super::features::is_link(directive))
            .cloned()
            .collect();
        Supergraph {
            subgraphs: self.subgraphs,
            types: self.types,
            fields: self.fields,
            labels: self.labels,
            contexts: self.contexts,
            features: self.features,
            directives: apollo_compiler::ast::DirectiveList(directives),
            access: Access::default(),
            client: Valid::assume_valid(Schema::new()),
            names: self.type_ids,
            roots,
            nothing: nothing(),
        }
    }
}

/// The name of a root type: as the schema definition says, or the default name when there is none.
fn root_name(document: &Document, kind: OperationType) -> Option<Name> {
    let mut explicit = false;
    for definition in &document.definitions {
        let operations = match definition {
            Definition::SchemaDefinition(schema) => &schema.root_operations,
            Definition::SchemaExtension(schema) => &schema.root_operations,
            _ => continue,
        };
        explicit |= !operations.is_empty();
        if let Some(operation) = operations.iter().find(|operation| operation.0 == kind) {
            return Some(operation.1.clone());
        }
    }
    (!explicit).then(|| kind.default_type_name())
}
