//! One subgraph's SDL to a [`Subgraph`]: parsed, its `@link`s resolved, validated and normalised; and the reading of all subgraphs,
//! which upgrades those in Federation 1 dialect.
//!
//! ```text
//! text ──► document ──► Schema ──► links ──► definitions ──► rules ──► root names ──► facts ──► Subgraph
//! ```
//! Relies on `document` for parsing. `compose` relies on it.

mod context;
mod declarations;
mod definitions;
pub mod directives;
pub mod element;
pub mod facts;
mod federation1;
pub mod field_set;
mod graphql;
pub mod link;
mod link_names;
mod linking;
mod read;
mod roots;
mod rules;
mod selects;
mod shadowing;
mod specs;
mod suggest;

pub use directives::FederationDirective;
pub use facts::{ContextArgument, FieldFacts, FieldSetUse, Key, Override, TypeFacts};
pub use field_set::{FieldSet, Selection};
pub use link::{Import, Link, Links, Origin, Purpose, Version};

use crate::compose::Source;
use crate::diagnostics::{Diagnostic, Level, Place};
use crate::document::{self, Locations};
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Name, Schema};
use declarations::Declarations;
use facts::{DirectiveNames, Facts};

/// A validated and normalised subgraph.
///
/// What is normalised: root types are called `Query`, `Mutation` and `Subscription`; the type extensions are folded into their types
/// (each component's `origin` says which declaration it came from); `_service`, `_entities`, `_Any`, `_Entity` and `_Service` are gone;
/// definitions of the linked specifications that Apollo publishes are present, under the names that this schema uses; a subgraph in
/// Federation 1 dialect has been upgraded (it is then like one that links federation v2.4).
///
/// What is not: directives keep the names that the schema gives them (`@federation__key`, or `@id` after a rename). Ask
/// [`Subgraph::directive`] for a federation directive's name here, [`Links::origin_of_directive`] for what a name means.
/// Anything about keys, sharing and the like is in the facts, which already follow the rules about extensions, provided fields and so on.
#[derive(Clone)]
pub struct Subgraph {
    /// The name that users gave it.
    pub name: String,
    /// Where it answers GraphQL.
    pub url: String,
    /// The schema. It holds the directive definitions and the types of linked specifications too; [`Subgraph::types`] leaves
    /// those out that are never merged.
    pub schema: Schema,
    /// The linked specifications. A Federation 1 subgraph has (after the upgrade) an implied link to federation v2.4.
    pub links: Links,
    /// Whether the SDL was in Federation 1 dialect.
    pub is_federation_1: bool,
    names: DirectiveNames,
    facts: Facts,
    declarations: Declarations,
}

impl Subgraph {
    /// The name of a federation directive in this subgraph's schema, or `None` when its federation version does not have it.
    #[must_use]
    pub fn directive(&self, directive: FederationDirective) -> Option<&Name> {
        self.names.get(directive)
    }

    /// The version of the federation specification that the SDL links; v2.4 for an upgraded Federation 1 subgraph.
    #[must_use]
    pub fn federation_version(&self) -> Option<Version> {
        self.links.by_identity(link::FEDERATION).map(|link| link.version)
    }

    /// Whether the subgraph has a definition of the type, not only extensions. The upgrade makes the extensions of object types and
    /// interfaces definitions; `@extends` on a definition does not matter here.
    #[must_use]
    pub fn is_defined(&self, name: &str) -> bool {
        self.declarations.is_defined(name)
    }

    /// Whether the subgraph has an extension of the type.
    #[must_use]
    pub fn is_extended(&self, name: &str) -> bool {
        self.declarations.is_extended(name)
    }

    /// The version whose rules apply: the linked one, or that of the upgrade for Federation 1.
    pub(crate) fn effective_federation_version(&self) -> Version {
        self.links.by_identity(link::FEDERATION).map_or(Version::new(2, 0), |link| link.version)
    }

    /// Whether a Federation 1 subgraph has been upgraded.
    fn is_upgraded(&self) -> bool {
        self.links.by_identity(link::FEDERATION).is_some()
    }

    /// The types that take part in merging, in source order: no introspection types, no built-in scalars, no types of the link,
    /// federation and connect specifications.
    pub fn types(&self) -> impl Iterator<Item = (&Name, &ExtendedType)> {
        self.schema.types.iter().filter(|(name, definition)| {
            !definition.is_built_in()
                && !self.links.origin_of_type(name).is_some_and(|origin| {
                    [link::FEDERATION, link::LINK, link::CORE, link::CONNECT].contains(&origin.link.identity.as_str())
                })
        })
    }

    /// Facts about an object or interface type: keys, interface object and so on. Empty when there is nothing to say.
    #[must_use]
    pub fn type_facts(&self, name: &str) -> &TypeFacts {
        self.facts.of_type(name)
    }

    /// Facts about a field of an object or interface type. Empty when there is nothing to say.
    #[must_use]
    pub fn field_facts(&self, parent: &str, field: &str) -> &FieldFacts {
        self.facts.of_field(parent, field)
    }

    /// The keys of a type, in source order.
    #[must_use]
    pub fn keys(&self, name: &str) -> &[Key] {
        &self.facts.of_type(name).keys
    }

    /// Whether the type is an `@interfaceObject`.
    #[must_use]
    pub fn is_interface_object(&self, name: &str) -> bool {
        self.facts.of_type(name).is_interface_object
    }

    /// Whether the field is external: declared for field sets only, not resolved here (except along a `@provides`).
    #[must_use]
    pub fn is_external(&self, parent: &str, field: &str) -> bool {
        self.facts.of_field(parent, field).is_external
    }

    /// Whether the field is external and a `@provides` of this subgraph selects it.
    #[must_use]
    pub fn is_partially_external(&self, parent: &str, field: &str) -> bool {
        let facts = self.facts.of_field(parent, field);
        facts.is_external && facts.is_provided
    }

    /// Whether the field is external and no `@provides` of this subgraph selects it.
    #[must_use]
    pub fn is_fully_external(&self, parent: &str, field: &str) -> bool {
        let facts = self.facts.of_field(parent, field);
        facts.is_external && !facts.is_provided
    }

    /// Whether other subgraphs may resolve the field too.
    #[must_use]
    pub fn is_shareable(&self, parent: &str, field: &str) -> bool {
        self.facts.of_field(parent, field).is_shareable
    }

    /// Whether a field set or an interface of this subgraph needs the field.
    #[must_use]
    pub fn is_used(&self, parent: &str, field: &str) -> bool {
        self.facts.of_field(parent, field).is_used
    }

    /// The object types that implement the interface in this subgraph, in source order.
    #[must_use]
    pub fn implementations(&self, interface: &str) -> &[Name] {
        self.facts.implementations(interface)
    }

    /// The place of a location (`node.location()`) for a diagnostic.
    #[must_use]
    pub fn place(&self, location: Option<SourceSpan>) -> Place {
        Place { subgraph: Some(self.name.clone()), at: document::line_column(location, &self.schema.sources) }
    }

    /// An error about one place of this subgraph. The message is prefixed with the subgraph's name.
    #[must_use]
    pub fn error(&self, code: &'static str, message: &str, location: Option<SourceSpan>) -> Diagnostic {
        Diagnostic {
            code,
            level: Level::Error,
            message: format!("[{}] {message}", self.name),
            places: vec![self.place(location)],
        }
    }
}

/// Reads, validates and upgrades all subgraphs; they come back sorted by name. Without locations, errors and hints have no places:
/// what reports them reads again with locations.
///
/// # Errors
/// Every error of every subgraph; those of the upgrade only when each subgraph on its own is valid.
pub fn read_all(sources: &[Source], locations: Locations) -> Result<Vec<Subgraph>, Vec<Diagnostic>> {
    let mut sorted: Vec<&Source> = sources.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let (mut subgraphs, mut errors) = (Vec::with_capacity(sorted.len()), Vec::new());
    for source in sorted {
        match read::read(source, locations) {
            Ok(subgraph) => subgraphs.push(subgraph),
            Err(found) => errors.extend(found),
        }
    }
    if errors.is_empty() { federation1::upgrade(subgraphs) } else { Err(errors) }
}
