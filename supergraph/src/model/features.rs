//! The specifications that a supergraph SDL links (`@link`, or `@core` in old ones), and the names that their elements have in it.
//!
//! Relied on by reading (which directive is `join__type` here?) and by the client schema (which elements are not for clients?).
//! Spec: <https://specs.apollo.dev/link/v1.0/>

use apollo_compiler::Name;
use apollo_compiler::ast::{Directive, DirectiveList, Document, Value};

/// The linked specifications of one SDL.
#[derive(Clone, Debug, Default)]
pub struct Features {
    links: Vec<Feature>,
}

/// One linked specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Its URL without version, e.g. `https://specs.apollo.dev/join`.
    pub identity: Box<str>,
    /// Its version as written, e.g. `v0.3`, if any.
    pub version: Option<Box<str>>,
    /// Its own name, e.g. `join`.
    pub name: Box<str>,
    /// Its name in this SDL: prefix of its elements, and name of the directive called like it.
    pub namespace: Box<str>,
    /// Imported elements: what it calls them and what this SDL calls them, without `@`.
    pub imports: Vec<(Box<str>, Box<str>)>,
    /// What it is needed for (`SECURITY` or `EXECUTION`); who does not know it must not serve the graph then.
    pub purpose: Option<Box<str>>,
}

/// Apollo's specifications that a graph is served by.
const SERVED: [&str; 11] =
    ["link", "core", "join", "tag", "inaccessible", "authenticated", "requiresScopes", "policy", "context", "cost", "cacheTag"];

impl Features {
    /// The links of a document's schema definition and extensions.
    pub fn of(document: &Document) -> Self {
        let links = document
            .definitions
            .iter()
            .filter(|definition| definition.as_schema_definition().is_some() || definition.as_schema_extension().is_some())
            .flat_map(|definition| definition.directives().iter())
            .filter_map(|directive| Feature::of(directive))
            .collect();
        Self { links }
    }

    /// Every link, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Feature> {
        self.links.iter()
    }

    /// The link of an Apollo specification, e.g. `join`.
    pub fn apollo(&self, name: &str) -> Option<&Feature> {
        self.links.iter().find(|link| link.identity.strip_prefix("https://specs.apollo.dev/") == Some(name))
    }

    /// A link whose graph must not be served by who does not know it, and we do not.
    pub fn unserved(&self) -> Option<&Feature> {
        let is_served =
            |link: &Feature| link.identity.strip_prefix("https://specs.apollo.dev/").is_some_and(|name| SERVED.contains(&name));
        self.links.iter().find(|link| link.purpose.is_some() && !is_served(link))
    }

    /// What the SDL calls `@feature__directive` (or `@feature`, when `directive` has the feature's name).
    pub fn directive(&self, feature: &str, directive: &str) -> String {
        match self.apollo(feature) {
            Some(link) => link.name_here(directive),
            None if feature == directive => feature.to_owned(),
            None => format!("{feature}__{directive}"),
        }
    }

    /// Whether a directive comes with a linked specification.
    pub fn owns_directive(&self, name: &str) -> bool {
        self.owns(name) || self.links.iter().any(|link| *link.namespace == *name) || matches!(name, "link" | "core")
    }

    /// Whether a type comes with a linked specification.
    pub fn owns_type(&self, name: &str) -> bool {
        self.owns(name)
    }

    fn owns(&self, name: &str) -> bool {
        let prefix = name.split_once("__").map(|(prefix, _)| prefix);
        prefix.is_some_and(|prefix| matches!(prefix, "join" | "link" | "core"))
            || self
                .links
                .iter()
                .any(|link| prefix == Some(&link.namespace) || link.imports.iter().any(|(_, here)| **here == *name))
    }
}

impl Feature {
    fn of(directive: &Directive) -> Option<Self> {
        let url = match directive.name.as_str() {
            "link" => directive.specified_argument_by_name("url").or_else(|| directive.specified_argument_by_name("feature")),
            "core" => directive.specified_argument_by_name("feature"),
            _ => directive.specified_argument_by_name("url").filter(|url| is_link_spec(url)),
        }?
        .as_str()?;
        let (identity, version) = split_version(url);
        let name = identity.rsplit('/').next().unwrap_or(identity);
        let namespace = directive.specified_argument_by_name("as").and_then(|value| value.as_str()).unwrap_or(name);
        let imports = directive.specified_argument_by_name("import").and_then(|value| value.as_list()).unwrap_or_default();
        Some(Self {
            identity: identity.into(),
            version: version.map(Into::into),
            name: name.into(),
            namespace: namespace.into(),
            imports: imports.iter().filter_map(|value| import(value)).collect(),
            purpose: directive
                .specified_argument_by_name("for")
                .and_then(|value| value.as_enum())
                .map(|name| name.as_str().into()),
        })
    }

    /// What the SDL calls an element of this feature.
    pub fn name_here(&self, element: &str) -> String {
        if let Some((_, here)) = self.imports.iter().find(|(there, _)| **there == *element) {
            return here.to_string();
        }
        if *element == *self.name {
            return self.namespace.to_string();
        }
        format!("{}__{element}", self.namespace)
    }
}

/// Whether an applied directive is a link.
pub(super) fn is_link(directive: &Directive) -> bool {
    Feature::of(directive).is_some()
}

/// Whether a URL is that of the link specification, whose directive may have another name.
fn is_link_spec(url: &Value) -> bool {
    url.as_str().is_some_and(|url| url.starts_with("https://specs.apollo.dev/link/"))
}

/// `https://specs.apollo.dev/join/v0.3` is the identity `https://specs.apollo.dev/join` and the version `v0.3`.
fn split_version(url: &str) -> (&str, Option<&str>) {
    let url = url.trim_end_matches('/');
    match url.rsplit_once('/') {
        Some((identity, version)) if is_version(version) => (identity, Some(version)),
        _ => (url, None),
    }
}

fn is_version(text: &str) -> bool {
    text.strip_prefix('v').and_then(|version| version.split_once('.')).is_some_and(|(major, minor)| {
        !major.is_empty() && !minor.is_empty() && major.chars().chain(minor.chars()).all(|c| c.is_ascii_digit())
    })
}

/// One item of an import list: `"@key"` or `{name: "@key", as: "@mykey"}`.
fn import(value: &Value) -> Option<(Box<str>, Box<str>)> {
    let plain = |text: &str| -> Box<str> { text.trim_start_matches('@').into() };
    if let Some(text) = value.as_str() {
        return Some((plain(text), plain(text)));
    }
    let object = value.as_object()?;
    let part = |key: &str| object.iter().find(|(name, _)| name == key).and_then(|(_, value)| value.as_str());
    let name = part("name")?;
    Some((plain(name), plain(part("as").unwrap_or(name))))
}

/// Names of the directives that reading looks for, as this SDL calls them.
#[derive(Clone, Debug)]
pub struct DirectiveNames {
    /// `@join__type`
    pub join_type: String,
    /// `@join__field`
    pub join_field: String,
    /// `@join__implements`
    pub join_implements: String,
    /// `@join__unionMember`
    pub join_union_member: String,
    /// `@join__enumValue`
    pub join_enum_value: String,
    /// `@join__graph`
    pub join_graph: String,
    /// `@join__owner`, of join v0.1
    pub join_owner: String,
    /// The enum of subgraphs.
    pub graph_enum: String,
    /// `@inaccessible`
    pub inaccessible: String,
    /// `@context`
    pub context: String,
}

impl DirectiveNames {
    /// The names in an SDL with these links.
    pub fn of(features: &Features) -> Self {
        let join = |name: &str| features.directive("join", name);
        Self {
            join_type: join("type"),
            join_field: join("field"),
            join_implements: join("implements"),
            join_union_member: join("unionMember"),
            join_enum_value: join("enumValue"),
            join_graph: join("graph"),
            join_owner: join("owner"),
            graph_enum: join("Graph"),
            inaccessible: features.directive("inaccessible", "inaccessible"),
            context: features.directive("context", "context"),
        }
    }

    /// Applied directives without those that the model keeps in another form.
    pub fn others(&self, directives: &DirectiveList) -> DirectiveList {
        let known = [
            &self.join_type,
            &self.join_field,
            &self.join_implements,
            &self.join_union_member,
            &self.join_enum_value,
            &self.join_graph,
            &self.join_owner,
        ];
        let is_known = |name: &Name| known.iter().any(|known| name == known.as_str());
        DirectiveList(directives.iter().filter(|directive| !is_known(&directive.name)).cloned().collect())
    }

    /// Whether `@inaccessible` is among them.
    pub fn hides(&self, directives: &DirectiveList) -> bool {
        directives.has(&self.inaccessible)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails may panic")]
    use super::*;

    #[test]
    fn what_a_graph_needs_and_nobody_here_knows_is_found() {
        let unserved = |link: &str| {
            let sdl = format!(
                "schema @link(url: \"https://specs.apollo.dev/link/v1.0\") \
                 @link(url: \"https://specs.apollo.dev/join/v0.3\", for: EXECUTION) @link({link}) {{ query: Query }}"
            );
            let features = Features::of(&crate::document::sdl(&sdl, "supergraph").unwrap());
            features.unserved().map(|feature| feature.name.clone())
        };
        assert_eq!(unserved(r#"url: "https://specs.apollo.dev/policy/v0.1", for: SECURITY"#), None);
        assert_eq!(unserved(r#"url: "https://example.com/stamp/v1.0""#), None);
        assert_eq!(unserved(r#"url: "https://example.com/policy/v1.0", for: SECURITY"#).as_deref(), Some("policy"));
        assert_eq!(unserved(r#"url: "https://specs.apollo.dev/connect/v0.1", for: EXECUTION"#).as_deref(), Some("connect"));
    }
}
