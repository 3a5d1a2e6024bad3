//! `@composeDirective`: which custom directives the supergraph keeps, from which version of their specification, under which name.
//!
//! Relies on `subgraph`; `features` relies on it.
//! Spec: <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/directives#composedirective>

use super::diagnose::{At, Diagnoses};
use super::merged::{Graph, Map};
use crate::subgraph::{FederationDirective, Link, Subgraph, Version, link};
use apollo_compiler::ast::{Directive, DirectiveDefinition};
use apollo_compiler::{Name, Node};
use rustc_hash::FxHashSet;

const ERROR: &str = "DIRECTIVE_COMPOSITION_ERROR";

/// Specifications whose directives federation handles by itself.
const OWN: [&str; 9] = ["join", "tag", "inaccessible", "authenticated", "requiresScopes", "source", "context", "cost", "link"];
/// Federation directives that are composed without being asked for.
const COMPOSED_BY_DEFAULT: [FederationDirective; 6] = [
    FederationDirective::Tag,
    FederationDirective::Inaccessible,
    FederationDirective::Authenticated,
    FederationDirective::RequiresScopes,
    FederationDirective::Policy,
    FederationDirective::Context,
];

/// The custom directives that are composed.
#[derive(Default)]
pub(crate) struct Custom {
    /// Names whose applications are kept, for each subgraph.
    composed: Vec<FxHashSet<String>>,
    /// Every name that was validly asked for.
    directives: Map<String, Identified>,
    /// The newest link of each composed specification, and the subgraphs that have that version, last first.
    newest: Map<String, (Link, Vec<Graph>)>,
}

/// What a composed name means.
#[derive(Clone)]
struct Identified {
    identity: String,
    name: String,
}

impl Custom {
    /// Whether this subgraph exports the directive.
    pub(crate) fn is_composed(&self, graph: Graph, name: &str) -> bool {
        self.composed.get(graph).is_some_and(|names| names.contains(name))
    }

    /// Whether the supergraph has this custom directive.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.directives.contains_key(name)
    }

    /// The names of all custom directives of the supergraph.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.directives.keys()
    }

    /// The specifications to link, with their directives: (name in the supergraph, name in the specification).
    pub(crate) fn links(&self) -> Vec<(Link, Vec<(String, String)>)> {
        let directives = |identity: &str| {
            let own = self.directives.iter().filter(|(_, identified)| identified.identity == identity);
            own.map(|(here, identified)| (here.clone(), identified.name.clone())).collect()
        };
        self.newest.values().map(|(link, _)| (link.clone(), directives(&link.identity))).collect()
    }

    /// The definition of a composed directive in the newest version of its specification.
    pub(crate) fn definition<'a>(
        &self,
        name: &str,
        subgraphs: &'a [Subgraph],
        diagnoses: &mut Diagnoses<'_>,
    ) -> Option<(Graph, &'a Node<DirectiveDefinition>)> {
        let identified = self.directives.get(name)?;
        let (newest, graphs) = self.newest.get(&identified.identity)?;
        for graph in graphs {
            let subgraph = subgraphs.get(*graph)?;
            let linked = subgraph.links.by_identity(&identified.identity)?;
            let here = linked.directive_in_schema(&identified.name);
            if let Some(definition) = subgraph.schema.directive_definitions.get(here.as_str()) {
                return Some((*graph, definition));
            }
        }
        let message = format!(
            "{} has no definition of \"@{name}\" in {}, where its newest version is linked. Define it there or link the version that has it.",
            newest.url(),
            diagnoses.names(graphs.iter().copied())
        );
        diagnoses.error(ERROR, message, &[]);
        None
    }
}

/// One valid `@composeDirective`.
struct Item {
    graph: Graph,
    identity: String,
    /// The name in the specification.
    name: String,
    /// The name in the subgraph.
    here: String,
    at: At,
}

/// Reads every `@composeDirective`.
pub(crate) fn read(subgraphs: &[Subgraph], diagnoses: &mut Diagnoses<'_>) -> Custom {
    let mut items = Vec::new();
    for (graph, subgraph) in subgraphs.iter().enumerate() {
        let Some(name) = subgraph.directive(FederationDirective::ComposeDirective) else { continue };
        for application in subgraph.schema.schema_definition.directives.iter().filter(|directive| directive.name == *name) {
            match item(subgraphs, graph, application) {
                Ok(item) => items.push(item),
                Err(Refusal::Error(message)) => diagnoses.error(ERROR, message, &[(graph, application.location())]),
                Err(Refusal::Hint(message)) => {
                    diagnoses.hint("DIRECTIVE_COMPOSITION_INFO", message, &[(graph, application.location())])
                }
            }
        }
    }
    let mut custom = Custom { composed: vec![FxHashSet::default(); subgraphs.len()], ..Custom::default() };
    for identity in identities(subgraphs) {
        if let Some(newest) = newest(subgraphs, &identity, &items, diagnoses) {
            custom.newest.insert(identity, newest);
        }
    }
    let mut refused = clashing(&items, diagnoses);
    refused.extend(renamed(subgraphs, &items, diagnoses));
    for item in items {
        if custom.newest.contains_key(&item.identity)
            && !refused.contains(&item.here)
            && let Some(names) = custom.composed.get_mut(item.graph)
        {
            names.insert(item.here.clone());
        }
        custom.directives.insert(item.here, Identified { identity: item.identity, name: item.name });
    }
    custom
}

enum Refusal {
    Error(String),
    Hint(String),
}

fn item(subgraphs: &[Subgraph], graph: Graph, application: &Node<Directive>) -> Result<Item, Refusal> {
    let error = |message: String| Err(Refusal::Error(message));
    let Some(subgraph) = subgraphs.get(graph) else { return error(String::new()) };
    let owner = &subgraph.name;
    let argument = application.specified_argument_by_name("name").and_then(|value| value.as_str()).unwrap_or_default();
    if argument.is_empty() {
        return error(format!(
            "@composeDirective in subgraph \"{owner}\" names no directive. Write @composeDirective(name: \"@yours\")."
        ));
    }
    let Some(here) = argument.strip_prefix('@') else {
        return error(format!(
            "@composeDirective(name: \"{argument}\") in subgraph \"{owner}\" lacks the \"@\" of the directive. Write \"@{argument}\"."
        ));
    };
    if !subgraph.schema.directive_definitions.contains_key(here) {
        return error(format!(
            "@composeDirective(name: \"{argument}\") in subgraph \"{owner}\" names a directive that is not defined there. Define and import it."
        ));
    }
    let Some(origin) = subgraph.links.origin_of_directive(here) else {
        return error(format!(
            "\"{argument}\" in subgraph \"{owner}\" cannot be composed: it belongs to no linked specification. Import it with @link(url:, import: [\"{argument}\"])."
        ));
    };
    let Some(name) = origin.name else {
        return error(format!(
            "\"{argument}\" in subgraph \"{owner}\" cannot be composed: the specification's directive was imported under another name."
        ));
    };
    if is_own(&origin.link.identity) {
        let by_default =
            COMPOSED_BY_DEFAULT.into_iter().any(|directive| subgraph.directive(directive).is_some_and(|name| name == here));
        return Err(if by_default {
            Refusal::Hint(format!("\"{argument}\" in subgraph \"{owner}\" is composed anyway. Remove its @composeDirective."))
        } else {
            Refusal::Error(format!(
                "\"{argument}\" in subgraph \"{owner}\" cannot be composed: it is a directive of federation itself. Remove its @composeDirective."
            ))
        });
    }
    for directive in [FederationDirective::Tag, FederationDirective::Inaccessible] {
        let conflicting: Vec<&str> = subgraphs
            .iter()
            .filter(|other| other.directive(directive).is_some_and(|name| name == here))
            .map(|other| other.name.as_str())
            .collect();
        if !conflicting.is_empty() {
            return error(format!(
                "\"{argument}\" in subgraph \"{owner}\" cannot be composed: that is the name of federation's own @{} in {}. Import one of them under another name.",
                directive.name(),
                conflicting.join(", ")
            ));
        }
    }
    let (identity, name) = (origin.link.identity.clone(), name.to_owned());
    Ok(Item { graph, identity, name, here: here.to_owned(), at: (graph, application.location()) })
}

fn is_own(identity: &str) -> bool {
    let is_listed = || identity.strip_prefix("https://specs.apollo.dev/").is_some_and(|name| OWN.contains(&name));
    [link::FEDERATION, link::LINK, link::CORE].contains(&identity) || is_listed()
}

/// Every specification that any subgraph links.
fn identities(subgraphs: &[Subgraph]) -> Vec<String> {
    let mut seen: Map<String, ()> = Map::default();
    for link in subgraphs.iter().flat_map(|subgraph| subgraph.links.iter()) {
        seen.entry(link.identity.clone()).or_default();
    }
    seen.into_keys().collect()
}

/// The newest composed version of a specification, with the subgraphs that link exactly that one.
fn newest(subgraphs: &[Subgraph], identity: &str, items: &[Item], diagnoses: &mut Diagnoses<'_>) -> Option<(Link, Vec<Graph>)> {
    let linked: Vec<(Graph, &Link, bool)> = subgraphs
        .iter()
        .enumerate()
        .filter_map(|(graph, subgraph)| {
            let is_composed = items.iter().any(|item| item.graph == graph && item.identity == identity);
            Some((graph, subgraph.links.by_identity(identity)?, is_composed))
        })
        .collect();
    let at: Vec<At> = linked
        .iter()
        .map(|(graph, link, _)| (*graph, link.directive.as_ref().and_then(|directive| directive.location())))
        .collect();
    let mut all = linked.iter();
    let &(_, mut best, mut best_is_composed) = all.next()?;
    let mut has_hinted = false;
    for &(_, link, is_composed) in all {
        let differs = best.version.major != link.version.major;
        if differs && best_is_composed && is_composed {
            let message = format!(
                "{identity} is composed in several major versions. Link the same major version in every subgraph that composes its directives."
            );
            diagnoses.error(ERROR, message, &at);
            return None;
        }
        if differs && !has_hinted {
            let message =
                format!("{identity} is linked in several major versions; only the composed one goes into the supergraph.");
            diagnoses.hint("DIRECTIVE_COMPOSITION_INFO", message, &at);
            has_hinted = true;
        }
        let keeps = if differs {
            best_is_composed
        } else {
            match (best_is_composed, is_composed) {
                (true, false) => true,
                (false, true) => false,
                _ => best.version.minor > link.version.minor,
            }
        };
        if !keeps {
            (best, best_is_composed) = (link, is_composed);
        }
    }
    let version: Version = best.version;
    let graphs = linked.iter().rev().filter(|(_, link, _)| link.version == version).map(|(graph, ..)| *graph).collect();
    best_is_composed.then(|| (best.clone(), graphs))
}

/// Names that mean different directives in different subgraphs.
fn clashing(items: &[Item], diagnoses: &mut Diagnoses<'_>) -> Vec<String> {
    let mut refused = Vec::new();
    for (position, item) in items.iter().enumerate() {
        let earlier = items.iter().take(position).filter(|other| other.here == item.here);
        let clashes = earlier.into_iter().any(|other| other.name != item.name || other.identity != item.identity);
        if clashes && !refused.contains(&item.here) {
            let message = format!(
                "\"@{}\" is composed from different directives in different subgraphs. Import them under different names.",
                item.here
            );
            let at: Vec<At> = items.iter().filter(|other| other.here == item.here).map(|other| other.at).collect();
            diagnoses.error(ERROR, message, &at);
            refused.push(item.here.clone());
        }
    }
    refused
}

/// Directives that have different names in different subgraphs.
fn renamed(subgraphs: &[Subgraph], items: &[Item], diagnoses: &mut Diagnoses<'_>) -> Vec<String> {
    let mut groups: Map<(&str, &str), Vec<&Item>> = Map::default();
    for item in items {
        groups.entry((&item.identity, &item.name)).or_default().push(item);
    }
    let mut refused = Vec::new();
    for ((identity, name), group) in groups {
        let Some(first) = group.first() else { continue };
        if group.iter().any(|item| item.here != first.here) {
            let distribution = diagnoses.distribution(group.iter().map(|item| (item.graph, format!("\"@{}\"", item.here))));
            let message =
                format!("\"@{name}\" of {identity} is composed under different names: {distribution}. Import it under one name.");
            let at: Vec<At> = group.iter().map(|item| item.at).collect();
            diagnoses.error(ERROR, message, &at);
            refused.extend(group.iter().map(|item| item.here.clone()));
        }
        warn_of_other_names(subgraphs, &group, diagnoses);
    }
    refused
}

fn warn_of_other_names(subgraphs: &[Subgraph], group: &[&Item], diagnoses: &mut Diagnoses<'_>) {
    let Some(first) = group.first() else { return };
    let in_spec = format!("@{}", first.name);
    let others: Vec<At> = subgraphs
        .iter()
        .enumerate()
        .filter(|(graph, _)| group.iter().all(|item| item.graph != *graph))
        .filter_map(|(graph, subgraph)| {
            let link = subgraph.links.by_identity(&first.identity)?;
            let import = link.imports.iter().find(|import| import.name == in_spec)?;
            let is_other = import.name_in_schema().trim_start_matches('@') != first.here;
            is_other.then(|| (graph, link.directive.as_ref().and_then(|directive| directive.location())))
        })
        .collect();
    if !others.is_empty() {
        let message = format!(
            "\"@{}\" is composed, but {} imports it under another name without composing it. It would need the same name to be composed there.",
            first.here,
            diagnoses.names(others.iter().map(|(graph, _)| *graph))
        );
        diagnoses.hint("DIRECTIVE_COMPOSITION_WARN", message, &others);
    }
}

/// Names of all composed directives as GraphQL names.
pub(crate) fn as_names(custom: &Custom) -> Vec<Name> {
    custom.names().filter_map(|name| Name::new(name).ok()).collect()
}
