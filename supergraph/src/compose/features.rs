//! Which directives are composed and how: those of federation's own specifications, those that subgraphs name with
//! `@composeDirective`, and the `@link`s and definitions that the supergraph gets for them.
//!
//! Relies on `specs` for the former and on `custom` for the latter; `directives` relies on it for every application.

use super::aliases::{Aliases, Candidate};
use super::custom::{self, Custom};
use super::diagnose::Diagnoses;
use super::join;
use super::merged::{Graph, Kind, Link, Map, Merged, MergedType};
use super::specs::{self, Composition, Spec, SpecDirective};
use crate::document;
use crate::subgraph::{Subgraph, Version, link};
use apollo_compiler::ast::{Definition, DirectiveDefinition};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Name, Node};
use rustc_hash::{FxHashMap, FxHashSet};

/// Directives that GraphQL itself defines: their definitions are never merged, their applications always.
pub(crate) const BUILT_IN: [&str; 6] = ["skip", "include", "deprecated", "specifiedBy", "defer", "stream"];

/// What is composed.
#[derive(Default)]
pub(crate) struct Features {
    /// Directives of federation's own specifications, by their name in the supergraph.
    pub federation: FxHashMap<Name, &'static SpecDirective>,
    /// Directives that `@composeDirective` names.
    pub custom: Custom,
    /// The name of `@inaccessible`.
    pub inaccessible: Option<Name>,
    /// Whether anything is carried along as `@join__directive`.
    pub has_joined: bool,
}

impl Features {
    /// Whether an application of this name in this subgraph is merged.
    pub(crate) fn is_merged(&self, graph: Graph, name: &str) -> bool {
        if self.custom.is_composed(graph, name) {
            return true;
        }
        match self.federation.get(name) {
            Some(directive) => directive.composition == Composition::Merged,
            None => BUILT_IN.contains(&name),
        }
    }

    /// Whether an application of this name is carried along because of its name.
    pub(crate) fn is_joined(&self, name: &str) -> bool {
        self.federation.get(name).is_some_and(|directive| directive.composition == Composition::Joined)
    }

    /// The access directives in use: (name in the specification, name in the supergraph).
    pub(crate) fn access(&self) -> Vec<(&'static str, Name)> {
        let mut found: Vec<(&'static str, Name)> = self
            .federation
            .iter()
            .filter(|(_, directive)| specs::ACCESS.contains(&directive.name))
            .map(|(name, directive)| (directive.name, name.clone()))
            .collect();
        found.sort();
        found
    }
}

/// A directive of a composed specification that some subgraphs use.
struct Used {
    spec: &'static Spec,
    directive: &'static SpecDirective,
    /// The name in each subgraph that uses it.
    names: Vec<(Graph, Name)>,
}

/// Decides what is composed, and writes links, versions, definitions and specification types into `merged`.
/// Errors are left in `diagnoses`; the merge cannot go on with them.
pub(crate) fn prepare(subgraphs: &[Subgraph], merged: &mut Merged, diagnoses: &mut Diagnoses<'_>) -> Features {
    let federation = federation_version(subgraphs, diagnoses);
    merged.join = join::version_for(federation);
    merged.graphs = join::graph_names(subgraphs);
    let used = used_directives(subgraphs);
    let mut features = Features { has_joined: has_joined(subgraphs, &used), ..Features::default() };
    if !have_one_name(&used, diagnoses) {
        return features;
    }
    features.custom = custom::read(subgraphs, diagnoses);
    if !diagnoses.errors.is_empty() {
        return features;
    }
    let composed = features.custom.links();
    let mut aliases = aliases(subgraphs, &used, &composed);
    add_specs(&used, merged, &mut features, (&mut aliases, diagnoses));
    for (linked, directives) in composed {
        let alias = aliases.choose(&linked.identity, &linked.name);
        let namespace = alias.clone().unwrap_or_else(|| linked.name.clone());
        for (here, there) in &directives {
            if let Err(fault) = aliases.import(&linked.identity, &namespace, (there, here)) {
                let message = format!(
                    "\"@{there}\" of {} cannot be composed under that name: {fault}. Import it under another name.",
                    linked.identity
                );
                diagnoses.error("INVALID_LINK_DIRECTIVE_USAGE", message, &[]);
            }
        }
        let imports = directives.into_iter().map(|(here, there)| (format!("@{there}"), format!("@{here}"))).collect();
        merged.links.push(Link { url: linked.url(), alias, purpose: None, imports });
    }
    features
}

/// The newest federation version in use, counting what linked specifications ask for.
fn federation_version(subgraphs: &[Subgraph], diagnoses: &mut Diagnoses<'_>) -> Version {
    let mut newest = None;
    for (graph, subgraph) in subgraphs.iter().enumerate() {
        let Some(linked) = subgraph.links.by_identity(link::FEDERATION).map(|link| link.version) else { continue };
        let minimum = |other: &crate::subgraph::Link| specs::minimum_federation(&other.identity, other.version);
        let cause = subgraph.links.iter().filter_map(|other| Some((minimum(other)?, other))).max_by_key(|(version, _)| *version);
        let mut version = linked;
        if let Some((implied, cause)) = cause
            && implied > linked
        {
            version = implied;
            let message = format!(
                "Subgraph \"{}\" links federation {linked} but also {}, which needs federation {implied}: it is read as {implied}. Link that version.",
                subgraph.name,
                cause.url()
            );
            let location = cause.directive.as_ref().and_then(|directive| directive.location());
            diagnoses.hint("IMPLICITLY_UPGRADED_FEDERATION_VERSION", message, &[(graph, location)]);
        }
        newest = newest.max(Some(version));
    }
    newest.unwrap_or(Version::new(2, 0))
}

/// Every directive of a composed specification that is applied somewhere, in the order of the table of specifications.
fn used_directives(subgraphs: &[Subgraph]) -> Vec<Used> {
    let mut found: Vec<Used> = Vec::new();
    for (graph, subgraph) in subgraphs.iter().enumerate() {
        let mut names: Vec<&Name> = applied_names(subgraph).into_iter().collect();
        names.sort();
        for name in names {
            let Some(origin) = subgraph.links.origin_of_directive(name) else { continue };
            let Some((spec, directive)) = specs::of(&origin) else { continue };
            let index =
                found.iter().position(|used| used.spec.identity == spec.identity && used.directive.name == directive.name);
            match index.and_then(|index| found.get_mut(index)) {
                Some(used) => used.names.push((graph, name.clone())),
                None => found.push(Used { spec, directive, names: vec![(graph, name.clone())] }),
            }
        }
    }
    found.sort_by_key(|used| specs::SPECS.iter().position(|spec| spec.identity == used.spec.identity));
    found
}

/// The names of all directives applied anywhere in a subgraph.
fn applied_names(subgraph: &Subgraph) -> FxHashSet<&Name> {
    let mut names = FxHashSet::default();
    names.extend(subgraph.schema.schema_definition.directives.iter().map(|directive| &directive.name));
    let definitions = subgraph.schema.directive_definitions.values().filter(|definition| !definition.is_built_in());
    let on_arguments =
        definitions.flat_map(|definition| definition.arguments.iter().flat_map(|argument| argument.directives.iter()));
    names.extend(on_arguments.map(|directive| &directive.name));
    for definition in subgraph.schema.types.values().filter(|definition| !definition.is_built_in()) {
        names.extend(definition.directives().iter().map(|directive| &directive.name));
        match definition {
            ExtendedType::Object(_) | ExtendedType::Interface(_) => {
                for field in super::sources::fields_of(definition).into_iter().flat_map(|fields| fields.values()) {
                    names.extend(field.directives.iter().map(|directive| &directive.name));
                    let arguments = field.arguments.iter().flat_map(|argument| argument.directives.iter());
                    names.extend(arguments.map(|directive| &directive.name));
                }
            }
            ExtendedType::Enum(ty) => {
                names.extend(ty.values.values().flat_map(|value| value.directives.iter()).map(|directive| &directive.name));
            }
            ExtendedType::InputObject(ty) => {
                names.extend(ty.fields.values().flat_map(|field| field.directives.iter()).map(|directive| &directive.name));
            }
            ExtendedType::Scalar(_) | ExtendedType::Union(_) => {}
        }
    }
    names
}

fn has_joined(subgraphs: &[Subgraph], used: &[Used]) -> bool {
    used.iter().any(|used| used.directive.composition == Composition::Joined)
        || subgraphs.iter().any(|subgraph| subgraph.links.by_identity(link::CONNECT).is_some())
}

/// A composed directive has one name in the supergraph, so every subgraph must know it under the same.
fn have_one_name(used: &[Used], diagnoses: &mut Diagnoses<'_>) -> bool {
    for used in used {
        let Some((_, first)) = used.names.first() else { continue };
        if used.names.iter().all(|(_, name)| name == first) {
            continue;
        }
        let distribution = diagnoses.distribution(used.names.iter().map(|(graph, name)| (*graph, format!("\"@{name}\""))));
        let message = format!(
            "The directive \"@{}\" of {} has different names: {distribution}. Import it under one name everywhere.",
            used.directive.name, used.spec.identity
        );
        let at: Vec<_> = used.names.iter().map(|(graph, name)| (*graph, name.location())).collect();
        diagnoses.error("LINK_IMPORT_NAME_MISMATCH", message, &at);
        return false;
    }
    true
}

fn aliases(subgraphs: &[Subgraph], used: &[Used], composed: &[(crate::subgraph::Link, Vec<(String, String)>)]) -> Aliases {
    let mut candidates: Map<String, Candidate> = Map::default();
    let mut add = |identity: &str, name: &str, imports: Vec<(String, String)>| {
        let candidate = || Candidate { identity: identity.to_owned(), name: name.to_owned(), imports: Vec::new() };
        candidates.entry(identity.to_owned()).or_insert_with(candidate).imports.extend(imports);
    };
    for used in used {
        let here = used.names.first().map(|(_, name)| name.to_string()).unwrap_or_default();
        add(used.spec.identity, used.spec.name, vec![(used.directive.name.to_owned(), here)]);
    }
    for (linked, directives) in composed {
        let imports = directives.iter().map(|(here, there)| (there.clone(), here.clone())).collect();
        add(&linked.identity, &linked.name, imports);
    }
    let names = subgraphs.iter().flat_map(|subgraph| {
        let types = subgraph.schema.types.keys();
        types.chain(subgraph.schema.directive_definitions.keys()).map(Name::to_string)
    });
    let candidates: Vec<Candidate> = candidates.into_values().collect();
    Aliases::new(
        &candidates,
        names.filter(|name| !name.starts_with("__") && !matches!(name.as_str(), "_Any" | "_Service" | "_Entity")),
    )
}

/// Links the specifications in use and defines all their directives.
fn add_specs(
    used: &[Used],
    merged: &mut Merged,
    features: &mut Features,
    (aliases, diagnoses): (&mut Aliases, &mut Diagnoses<'_>),
) {
    for spec in &specs::SPECS {
        let in_use: Vec<&Used> = used.iter().filter(|used| used.spec.identity == spec.identity).collect();
        if in_use.is_empty() {
            continue;
        }
        let alias = aliases.choose(spec.identity, spec.name);
        let namespace = alias.clone().unwrap_or_else(|| spec.name.to_owned());
        let mut imports = Vec::new();
        for used in &in_use {
            let Some((_, here)) = used.names.first() else { continue };
            features.federation.insert(here.clone(), used.directive);
            if used.directive.name == "inaccessible" {
                features.inaccessible = Some(here.clone());
            }
            if let Err(fault) = aliases.import(spec.identity, &namespace, (used.directive.name, here)) {
                let message = format!(
                    "\"@{}\" of {} cannot have that name: {fault}. Import it under another name.",
                    used.directive.name, spec.identity
                );
                let at: Vec<_> = used.names.iter().map(|(graph, name)| (*graph, name.location())).collect();
                diagnoses.error("INVALID_LINK_DIRECTIVE_USAGE", message, &at);
            }
            if used.directive.composition == Composition::Merged
                && here.as_str() != default_name(spec, &namespace, used.directive.name)
            {
                imports.push((format!("@{}", used.directive.name), format!("@{here}")));
            }
        }
        define(spec, &namespace, &imports, merged);
        merged.links.push(Link { url: format!("{}/{}", spec.identity, spec.version), alias, purpose: spec.purpose, imports });
    }
}

/// The name of a directive that is not imported.
fn default_name(spec: &Spec, namespace: &str, directive: &str) -> String {
    if spec.name == directive { namespace.to_owned() } else { format!("{namespace}__{directive}") }
}

fn define(spec: &Spec, namespace: &str, imports: &[(String, String)], merged: &mut Merged) {
    let scalar = format!("{namespace}__{}", spec.scalar.unwrap_or_default());
    for directive in spec.directives.iter().filter(|directive| directive.composition != Composition::Joined) {
        let imported = imports.iter().find(|(name, _)| name.strip_prefix('@') == Some(directive.name));
        let name = match imported {
            Some((_, here)) => here.trim_start_matches('@').to_owned(),
            None => default_name(spec, namespace, directive.name),
        };
        if let Some(definition) = parse_definition(&Spec::definition(directive, &name, &scalar)) {
            merged.directives.insert(definition.name.clone(), definition);
        }
    }
    if let (Some(_), Ok(scalar)) = (spec.scalar, Name::new(&scalar)) {
        merged.types.insert(scalar, MergedType::new(Kind::Scalar));
    }
}

fn parse_definition(text: &str) -> Option<Node<DirectiveDefinition>> {
    let document = document::sdl(text, "specification").ok()?;
    document.definitions.iter().find_map(|definition| match definition {
        Definition::DirectiveDefinition(definition) => Some(definition.clone()),
        _ => None,
    })
}

/// The `@link` for connect, when some subgraph links it: the newest known version that is not a preview, or the one that the first
/// subgraph links, if that is newer. (The versions of all subgraphs are in their `@join__directive`s.)
pub(crate) fn connect_link(subgraphs: &[Subgraph]) -> Option<Link> {
    const NEWEST: Version = Version::new(0, 3);
    let first = subgraphs.iter().find_map(|subgraph| subgraph.links.by_identity(link::CONNECT))?;
    let version = first.version.max(NEWEST);
    Some(Link { url: format!("{}/{version}", link::CONNECT), alias: None, purpose: Some("EXECUTION"), imports: Vec::new() })
}
