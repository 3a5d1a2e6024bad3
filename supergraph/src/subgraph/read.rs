//! Reading one subgraph, before any other is looked at.
//!
//! Relies on `document` and on every stage of `subgraph`; `subgraph::read_all` relies on it.

use super::directives::FederationDirective;
use super::facts::{DirectiveNames, Facts};
use super::link::{self, Link, Links, Purpose, Version};
use super::{Import, Subgraph};
use crate::compose::Source;
use crate::diagnostics::{Diagnostic, Level, Place};
use crate::document::{self, Fault};
use apollo_compiler::ast::Value;
use apollo_compiler::schema::{Component, Directive};
use apollo_compiler::{Name, Schema};

/// Reads one subgraph; one in Federation 1 dialect is not upgraded yet.
///
/// # Errors
/// Everything that is wrong with it on its own.
pub(super) fn read(source: &Source) -> Result<Subgraph, Vec<Diagnostic>> {
    let refuse = |faults: Vec<Fault>| faults.into_iter().map(|fault| invalid_graphql(&source.name, fault)).collect::<Vec<_>>();
    let document = document::sdl(&source.sdl, &source.name).map_err(refuse)?;
    let schema = Schema::builder().adopt_orphan_extensions().add_ast(&document).build();
    let schema = schema.map_err(|failed| refuse(document::faults(&failed.errors)))?;
    let links = links(&schema);
    let is_federation_1 = links.by_identity(link::FEDERATION).is_none();
    let names = directive_names(&links, is_federation_1);
    let facts = Facts::of(&schema, &names, !is_federation_1);
    Ok(Subgraph { name: source.name.clone(), url: source.url.clone(), schema, links, is_federation_1, names, facts })
}

fn invalid_graphql(subgraph: &str, fault: Fault) -> Diagnostic {
    Diagnostic {
        code: "INVALID_GRAPHQL",
        level: Level::Error,
        message: format!("[{subgraph}] {}", fault.message),
        places: vec![Place { subgraph: Some(subgraph.to_owned()), at: fault.at }],
    }
}

fn directive_names(links: &Links, is_federation_1: bool) -> DirectiveNames {
    let mut names = DirectiveNames::default();
    let federation = links.by_identity(link::FEDERATION);
    for directive in FederationDirective::ALL {
        let name = match federation {
            Some(federation) if directive.since() <= federation.version => federation.directive_in_schema(directive.name()),
            None if is_federation_1 && directive.is_federation_1() => directive.name().to_owned(),
            _ => continue,
        };
        if let Ok(name) = Name::new(&name) {
            names.set(directive, name);
        }
    }
    names
}

fn links(schema: &Schema) -> Links {
    let directives = &schema.schema_definition.directives;
    Links::new(directives.iter().filter(|directive| directive.name == "link").filter_map(read_link).collect())
}

fn read_link(directive: &Component<Directive>) -> Option<Link> {
    let url = directive.specified_argument_by_name("url")?.as_str()?;
    let (identity, version) = url.rsplit_once("/v")?;
    let (major, minor) = version.split_once('.')?;
    let name = identity.rsplit('/').next()?.to_owned();
    let alias = directive.specified_argument_by_name("as").and_then(|value| value.as_str());
    let imports = directive.specified_argument_by_name("import").and_then(|value| value.as_list()).unwrap_or_default();
    Some(Link {
        identity: identity.to_owned(),
        name_in_schema: alias.unwrap_or(&name).to_owned(),
        name,
        version: Version::new(major.parse().ok()?, minor.parse().ok()?),
        imports: imports.iter().filter_map(|import| read_import(import)).collect(),
        purpose: match directive.specified_argument_by_name("for").and_then(|value| value.as_enum()).map(Name::as_str) {
            Some("SECURITY") => Some(Purpose::Security),
            Some("EXECUTION") => Some(Purpose::Execution),
            _ => None,
        },
        directive: Some(directive.node.clone()),
    })
}

fn read_import(value: &Value) -> Option<Import> {
    match value {
        Value::String(name) => Some(Import { name: name.clone(), alias: None }),
        Value::Object(fields) => {
            let field = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).and_then(|(_, value)| value.as_str());
            Some(Import { name: field("name")?.to_owned(), alias: field("as").map(str::to_owned) })
        }
        _ => None,
    }
}
