//! The merge of validated subgraphs: the stages in order, and the state they share.
//!
//! ```text
//! features ──► kinds ──► interfaces, unions ──► roots, directives ──► scalars, inputs, interfaces, objects ──► enums ──► copies
//! ```
//! Errors accumulate over all types; only trouble with linked specifications ends the merge at once.
//! Relied on by `compose`.

use super::access::Access;
use super::diagnose::Diagnoses;
use super::enums::EnumUse;
use super::features::{self, Features};
use super::merged::{Graph, Kind, Map, Merged, MergedType, Root};
use super::normal;
use super::sources::{self, TypeSources};
use crate::diagnostics::Diagnostic;
use crate::subgraph::Subgraph;
use apollo_compiler::Name;
use apollo_compiler::ast::OperationType;
use apollo_compiler::schema::ExtendedType;
use rustc_hash::FxHashMap;

/// What a successful merge gives.
pub(crate) struct Outcome {
    /// The supergraph.
    pub merged: Merged,
    /// Remarks.
    pub hints: Vec<Diagnostic>,
    /// The composed directives, which the post-merge rules ask for.
    pub features: Features,
}

/// The state of a merge.
pub(crate) struct Merger<'a> {
    /// The subgraphs, sorted by name.
    pub subgraphs: &'a [Subgraph],
    /// What has been merged.
    pub merged: Merged,
    /// Which directives are composed.
    pub features: Features,
    /// Access-control applications that flow between interfaces and their implementations.
    pub access: Access<'a>,
    /// How each enum is used by merged elements.
    pub enum_uses: FxHashMap<Name, EnumUse>,
    /// Errors and hints.
    pub diagnoses: Diagnoses<'a>,
}

/// Merges subgraphs that are sorted by name.
///
/// # Errors
/// Every error of the merge.
pub(crate) fn merge(subgraphs: &[Subgraph]) -> Result<Outcome, Vec<Diagnostic>> {
    let mut diagnoses = Diagnoses::new(subgraphs);
    let mut merged = Merged::default();
    let features = features::prepare(subgraphs, &mut merged, &mut diagnoses);
    if !diagnoses.errors.is_empty() {
        return Err(diagnoses.errors);
    }
    let mut merger =
        Merger { subgraphs, merged, features, access: Access::default(), enum_uses: FxHashMap::default(), diagnoses };
    let types = sources::gather(subgraphs);
    merger.run(&types);
    if merger.diagnoses.errors.is_empty() {
        Ok(Outcome { merged: merger.merged, hints: merger.diagnoses.hints, features: merger.features })
    } else {
        Err(merger.diagnoses.errors)
    }
}

impl<'a> Merger<'a> {
    fn run(&mut self, types: &Map<Name, TypeSources<'a>>) {
        for (name, sources) in types {
            self.check_kind(name, sources);
            self.merged.types.entry(name.clone()).or_insert_with(|| MergedType::new(sources.kind));
        }
        for kind in [Kind::Object, Kind::Interface, Kind::Union] {
            for (name, sources) in types.iter().filter(|(_, sources)| sources.kind == kind) {
                if kind == Kind::Union { self.merge_members(name, sources) } else { self.merge_implements(name, sources) }
            }
        }
        self.access = Access::read(self.subgraphs, &self.features, &self.merged);
        self.merge_schema();
        self.merge_definitions();
        for kind in [Kind::Scalar, Kind::Input, Kind::Interface, Kind::Object, Kind::Union, Kind::Enum] {
            for (name, sources) in types.iter().filter(|(_, sources)| sources.kind == kind) {
                self.merge_type(name, sources);
            }
        }
        if !self.merged.roots.contains(&Root::Query) {
            let message =
                "No subgraph has a query field, and a supergraph needs one. Add a field to \"type Query\" in a subgraph.";
            self.diagnoses.error("NO_QUERIES", message.to_owned(), &[]);
        }
        self.copy_interface_object_fields(types);
        normal::normalise(&mut self.merged);
    }

    /// What all kinds of types have in common, then what each kind has.
    fn merge_type(&mut self, name: &Name, sources: &TypeSources<'a>) {
        self.check_extensions(name, sources);
        let description = self.merge_description(
            || format!("Type \"{name}\""),
            sources
                .definitions
                .iter()
                .map(|(graph, definition)| (*graph, sources::description_of(definition), sources::location_of(definition))),
        );
        let mut found = self.mergeable(
            sources
                .definitions
                .iter()
                .flat_map(|(graph, definition)| sources::directives_of(definition).map(|directive| (*graph, directive))),
        );
        if sources.kind == Kind::Interface {
            self.access.extend_type(name, &mut found);
        }
        let mut applied = self.merge_applied(&|| name.to_string(), found);
        if self.features.has_joined {
            applied.extend(self.join_directives(
                sources.definitions.iter().map(|(graph, definition)| (*graph, sources::directives_of(definition).collect())),
            ));
        }
        let joins = self.join_types(name, sources);
        if let Some(ty) = self.merged.types.get_mut(name) {
            ty.description = description;
            ty.applied = applied;
            ty.joins = joins;
        }
        match sources.kind {
            Kind::Scalar | Kind::Union => {}
            Kind::Object => self.merge_object(name, sources),
            Kind::Interface => self.merge_interface(name, sources),
            Kind::Enum => self.merge_enum(name, sources),
            Kind::Input => self.merge_input(name, sources),
        }
    }

    fn check_kind(&mut self, name: &Name, sources: &TypeSources<'a>) {
        if !sources.others.is_empty() {
            let all = || sources.definitions.iter().chain(&sources.others);
            let said = all().map(|(graph, definition)| (*graph, self.kind_text(*graph, name, definition)));
            let message = format!(
                "Type \"{name}\" has different kinds: it is {}. Make it the same kind everywhere, or rename one of them.",
                self.diagnoses.distribution(said)
            );
            let at: Vec<_> = all().map(|(graph, definition)| (*graph, sources::location_of(definition))).collect();
            self.diagnoses.error("TYPE_KIND_MISMATCH", message, &at);
            return;
        }
        let is_interface_object =
            |(graph, _): &(Graph, _)| self.subgraphs.get(*graph).is_some_and(|subgraph| subgraph.is_interface_object(name));
        if sources.kind == Kind::Interface && sources.definitions.iter().all(is_interface_object) {
            let message = format!(
                "Type \"{name}\" is an @interfaceObject in {} and an interface nowhere. Define the interface in a subgraph that knows its implementations.",
                self.diagnoses.names(sources.definitions.iter().map(|(graph, _)| *graph))
            );
            let at: Vec<_> =
                sources.definitions.iter().map(|(graph, definition)| (*graph, sources::location_of(definition))).collect();
            self.diagnoses.error("INTERFACE_OBJECT_USAGE_ERROR", message, &at);
        }
    }

    fn kind_text(&self, graph: Graph, name: &str, definition: &ExtendedType) -> String {
        let is_interface_object = self.subgraphs.get(graph).is_some_and(|subgraph| subgraph.is_interface_object(name));
        match definition {
            _ if is_interface_object => "an object with @interfaceObject",
            ExtendedType::Scalar(_) => "a scalar",
            ExtendedType::Object(_) => "an object",
            ExtendedType::Interface(_) => "an interface",
            ExtendedType::Union(_) => "a union",
            ExtendedType::Enum(_) => "an enum",
            ExtendedType::InputObject(_) => "an input object",
        }
        .to_owned()
    }

    /// A type other than a root type must be defined somewhere, not only extended.
    fn check_extensions(&mut self, name: &Name, sources: &TypeSources<'a>) {
        let subgraph = |graph: Graph| self.subgraphs.get(graph);
        let is_defined = |graph: Graph| subgraph(graph).is_some_and(|subgraph| subgraph.is_defined(name));
        let is_root = sources.kind == Kind::Object && Root::ALL.iter().any(|root| root.type_name() == name.as_str());
        if is_root || sources.definitions.iter().any(|(graph, _)| is_defined(*graph)) {
            return;
        }
        let is_extended = |graph: Graph| subgraph(graph).is_some_and(|subgraph| subgraph.is_extended(name));
        for (graph, definition) in sources.definitions.iter().filter(|(graph, _)| is_extended(*graph)) {
            let message = format!(
                "[{}] Type \"{name}\" is only ever extended: no subgraph defines it. Write \"{name}\" without \"extend\" in one subgraph.",
                self.diagnoses.name(*graph)
            );
            self.diagnoses.error("EXTENSION_WITH_NO_BASE", message, &[(*graph, sources::location_of(definition))]);
        }
    }

    /// Whether the type is a root type of the supergraph.
    pub(crate) fn is_root(&self, name: &Name) -> bool {
        self.merged.roots.iter().any(|root| root.type_name() == name.as_str())
    }

    /// The root operations that some subgraph has a field for.
    pub(crate) fn find_roots(&mut self) {
        for root in Root::ALL {
            let operation = match root {
                Root::Query => OperationType::Query,
                Root::Mutation => OperationType::Mutation,
                Root::Subscription => OperationType::Subscription,
            };
            let has_fields = |subgraph: &Subgraph| {
                let name = subgraph.schema.root_operation(operation);
                let ty = name.and_then(|name| subgraph.schema.types.get(name));
                ty.and_then(sources::fields_of).is_some_and(|fields| !fields.is_empty())
            };
            if self.subgraphs.iter().any(has_fields) {
                self.merged.roots.push(root);
            }
        }
    }
}
