//! Reading one subgraph, before any other is looked at: the stages, and which errors hide which.
//!
//! ```text
//! parse ─► build ─► links ─► definitions ─► unknown names ─► structure ─► GraphQL ─► root names ─► facts ─► rules
//! ```
//! The errors of one stage hide those of the stages after it (links, definitions and structure are one stage). Users' tools know this
//! order, and errors of later stages would mostly be consequences of the earlier ones.
//!
//! Relies on `document` and on every stage of `subgraph`; `subgraph::read_all` relies on it.

use super::declarations::Declarations;
use super::definitions::{self, DefinitionFault};
use super::directives::FederationDirective;
use super::facts::{DirectiveNames, Facts};
use super::graphql::{self, Violation};
use super::link::{self, Links};
use super::linking::{self, Linked};
use super::{Subgraph, roots, rules};
use crate::compose::Source;
use crate::diagnostics::{Diagnostic, Level, Place};
use crate::document::{self, Fault, Locations};
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::{Name, Schema, ast};
use rustc_hash::FxHashSet;

/// The name that no subgraph can have: it would stand for the supergraph itself.
const RESERVED_NAME: &str = "_";

/// Reads one subgraph; one in Federation 1 dialect is not upgraded, and its rules are not checked, yet.
///
/// # Errors
/// Everything that is wrong with it on its own.
pub(super) fn read(source: &Source, locations: Locations) -> Result<Subgraph, Vec<Diagnostic>> {
    let mut report = Report { subgraph: &source.name, sources: None, errors: Vec::new() };
    let fast = (locations == Locations::Skip).then(|| document::sdl_without_locations(&source.sdl)).flatten();
    let document = match fast {
        Some(document) => document,
        None => document::sdl(&source.sdl, &source.name).map_err(|faults| report.faults(faults))?,
    };
    let (schema, build_faults) = document::schema(&document);
    report.sources = Some(schema.sources.clone());
    let mut schema = roots::with_default_roots(schema);
    let Linked { links, faults, is_explicit } = linking::read(&schema.schema_definition.directives);
    let unknown_of_definitions = graphql::unknown_types_of_directives(&schema);
    let reads_links = unknown_of_definitions.is_empty() && !has_type_twice(&document);
    let hides_the_rest = !faults.is_empty() && !is_explicit && reads_links;
    faults.into_iter().for_each(|fault| report.add(fault.code, &fault.message, fault.location));
    if hides_the_rest {
        return Err(report.errors);
    }
    if !build_faults.is_empty() {
        report.errors.clear();
        return Err(report.faults(build_faults));
    }
    if !unknown_of_definitions.is_empty() {
        report.errors.clear();
        return Err(report.violations(unknown_of_definitions));
    }
    let definition_faults = complete(&mut schema, &links, is_explicit);
    let is_federation_1 = links.by_identity(link::FEDERATION).is_none();
    if is_federation_1 {
        roots::remove_federation_fields(&mut schema);
    }
    let unknown = graphql::unknown_names(&schema);
    if !unknown.is_empty() {
        report.errors.clear();
        return Err(report.violations(unknown));
    }
    report.definition_faults(definition_faults);
    report.version_fault(&links);
    // A type of a specification that the user defines as something else is told once.
    if !report.errors.iter().any(|error| error.code == definitions::TYPE) {
        report.violations(graphql::kinds(&schema));
    }
    report.violations(graphql::unknown_directives(&schema));
    report.finish_stage()?;
    if source.name == RESERVED_NAME {
        report.add("INVALID_SUBGRAPH_NAME", "A subgraph cannot be called \"_\": the name is reserved. Choose another one.", None);
        return Err(report.errors);
    }
    report.violations(graphql::validate(&schema));
    report.shadowed(&schema, &links);
    report.finish_stage()?;
    roots::remove_federation_fields(&mut schema);
    finish(source, &document, schema, links, report)
}

/// The stages that read what federation says: root names, facts and rules.
fn finish(
    source: &Source,
    document: &ast::Document,
    mut schema: Schema,
    links: Links,
    mut report: Report<'_>,
) -> Result<Subgraph, Vec<Diagnostic>> {
    let mut declarations = Declarations::of(document);
    for fault in roots::rename(&mut schema, &mut declarations) {
        report.add(fault.code, &fault.message, fault.location);
    }
    let mut subgraph = assemble(source, schema, links, declarations);
    report.errors.extend(rules::check(&subgraph));
    report.finish_stage()?;
    if let Some((message, location)) = roots::misused_any(&subgraph.schema) {
        report.add("INVALID_GRAPHQL", message, location);
    }
    report.finish_stage()?;
    roots::remove_federation_types(&mut subgraph.schema);
    Ok(subgraph)
}

/// Whether a type is defined twice, which is found before links are looked at.
fn has_type_twice(document: &ast::Document) -> bool {
    let mut seen = FxHashSet::default();
    let types = document.definitions.iter().filter(|definition| {
        !definition.is_extension_definition()
            && !matches!(definition, ast::Definition::DirectiveDefinition(_) | ast::Definition::SchemaDefinition(_))
    });
    types.filter_map(ast::Definition::name).any(|name| !seen.insert(name))
}

/// The subgraph with its facts.
fn assemble(source: &Source, schema: Schema, links: Links, declarations: Declarations) -> Subgraph {
    let is_federation_1 = links.by_identity(link::FEDERATION).is_none();
    let names = directive_names(&links);
    let facts = Facts::of(&schema, &names, !is_federation_1);
    Subgraph { name: source.name.clone(), url: source.url.clone(), schema, links, is_federation_1, names, facts, declarations }
}

/// The names of the federation directives in a schema with these links.
pub(super) fn directive_names(links: &Links) -> DirectiveNames {
    let mut names = DirectiveNames::default();
    let federation = links.by_identity(link::FEDERATION);
    for directive in FederationDirective::ALL {
        let name = match federation {
            Some(federation) if directive.since() <= federation.version => federation.directive_in_schema(directive.name()),
            None if directive.is_federation_1() => directive.name().to_owned(),
            _ => continue,
        };
        if let Ok(name) = Name::new(&name) {
            names.set(directive, name);
        }
    }
    names
}

/// Adds what the linked specifications define.
fn complete(schema: &mut Schema, links: &Links, is_explicit: bool) -> Vec<DefinitionFault> {
    let mut faults = Vec::new();
    if links.iter().next().is_none() {
        let uses_link = schema.schema_definition.directives.has("link");
        if uses_link && !schema.directive_definitions.contains_key("link") {
            faults.extend(definitions::complete(schema, &linking::implied_link()));
        }
        faults.extend(definitions::complete_federation_1(schema));
        return faults;
    }
    let is_federation_2 = links.by_identity(link::FEDERATION).is_some();
    // Federation's own elements come first; while they have faults, other specifications are not looked at.
    let in_order = links.iter().enumerate().filter(|(_, link)| link.identity == link::FEDERATION);
    let in_order = in_order.chain(links.iter().enumerate().filter(|(_, link)| link.identity != link::FEDERATION));
    for (position, link) in in_order {
        if link.identity != link::LINK && (!faults.is_empty() || has_unknown_federation(links)) {
            continue;
        }
        let is_link_itself = position == 0;
        // A schema that links link itself and defines `@link` may define it as it likes.
        let is_own_definition = is_explicit && schema.directive_definitions.contains_key(link.name_in_schema.as_str());
        if !(is_link_itself && is_own_definition) {
            faults.extend(definitions::complete(schema, link));
        }
    }
    if !is_federation_2 {
        faults.extend(definitions::complete_federation_1(schema));
    }
    faults
}

fn has_unknown_federation(links: &Links) -> bool {
    links.by_identity(link::FEDERATION).is_some_and(|federation| !super::specs::is_known(link::FEDERATION, federation.version))
}

/// Collects the errors of one subgraph.
struct Report<'a> {
    subgraph: &'a str,
    sources: Option<apollo_compiler::parser::SourceMap>,
    errors: Vec<Diagnostic>,
}

impl Report<'_> {
    fn add(&mut self, code: &'static str, message: &str, location: Option<SourceSpan>) {
        let at = self.sources.as_ref().and_then(|sources| document::line_column(location, sources));
        self.push(code, message, at);
    }

    fn push(&mut self, code: &'static str, message: &str, at: Option<(usize, usize)>) {
        self.errors.push(Diagnostic {
            code,
            level: Level::Error,
            message: format!("[{}] {message}", self.subgraph),
            places: vec![Place { subgraph: Some(self.subgraph.to_owned()), at }],
        });
    }

    fn faults(&mut self, faults: Vec<Fault>) -> Vec<Diagnostic> {
        faults.into_iter().for_each(|fault| self.push("INVALID_GRAPHQL", &fault.message, fault.at));
        std::mem::take(&mut self.errors)
    }

    fn violations(&mut self, violations: Vec<Violation>) -> Vec<Diagnostic> {
        for violation in violations {
            self.add("INVALID_GRAPHQL", &violation.message, violation.location);
        }
        self.errors.clone()
    }

    fn definition_faults(&mut self, faults: Vec<DefinitionFault>) {
        for fault in faults {
            self.add(fault.code, &fault.message, fault.location);
        }
    }

    fn version_fault(&mut self, links: &Links) {
        let Some(federation) = links.by_identity(link::FEDERATION) else { return };
        if !super::specs::is_known(link::FEDERATION, federation.version) {
            let message = format!("The federation version {} is unknown. Link a version from v2.0 to v2.14.", federation.version);
            let location = federation.directive.as_ref().and_then(|directive| directive.location());
            self.add("UNKNOWN_FEDERATION_LINK_VERSION", &message, location);
        }
    }

    /// Reports namespaced names that are used although their element is imported under another name.
    fn shadowed(&mut self, schema: &Schema, links: &Links) {
        for fault in super::shadowing::check(schema, links) {
            self.add(fault.code, &fault.message, fault.location);
        }
    }

    fn finish_stage(&mut self) -> Result<(), Vec<Diagnostic>> {
        if self.errors.is_empty() { Ok(()) } else { Err(std::mem::take(&mut self.errors)) }
    }
}
