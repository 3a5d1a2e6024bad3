//! `@link`: which specifications a schema uses, and under which names their elements appear in it.
//!
//! Relies on nothing but the schema's data types. Relied on by everything that meets a directive or a type of a specification.
//! Spec: <https://specs.apollo.dev/link/v1.0>

use apollo_compiler::Node;
use apollo_compiler::schema::Directive;
use rustc_hash::FxHashMap;
use std::fmt;

/// Identity of the federation specification.
pub const FEDERATION: &str = "https://specs.apollo.dev/federation";
/// Identity of the link specification.
pub const LINK: &str = "https://specs.apollo.dev/link";
/// Identity of the core specification, the ancestor of link.
pub const CORE: &str = "https://specs.apollo.dev/core";
/// Identity of the connect specification.
pub const CONNECT: &str = "https://specs.apollo.dev/connect";

/// `v<major>.<minor>` at the end of a specification's URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    /// Before the dot.
    pub major: u32,
    /// After the dot.
    pub minor: u32,
}

impl Version {
    /// `v<major>.<minor>`.
    #[must_use]
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}", self.major, self.minor)
    }
}

/// The `for:` argument of `@link`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `SECURITY`
    Security,
    /// `EXECUTION`
    Execution,
}

/// One item of the `import:` argument of `@link`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The name in the specification; `@` in front says that it is a directive.
    pub name: String,
    /// The name in the schema (with `@` for a directive), where it was renamed.
    pub alias: Option<String>,
}

impl Import {
    /// The name in the schema, with `@` for a directive.
    #[must_use]
    pub fn name_in_schema(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.name)
    }
}

/// One `@link` of a schema.
#[derive(Clone, Debug)]
pub struct Link {
    /// The URL without the version, e.g. `https://specs.apollo.dev/federation`.
    pub identity: String,
    /// The last segment of the identity, e.g. `federation`.
    pub name: String,
    /// The version.
    pub version: Version,
    /// The namespace of its elements in the schema: `as:` or the name.
    pub name_in_schema: String,
    /// The elements that are known without namespace, or renamed.
    pub imports: Vec<Import>,
    /// `for:`
    pub purpose: Option<Purpose>,
    /// The application itself; `None` for a link that federation implies (that of link itself, or of an upgraded subgraph).
    pub directive: Option<Node<Directive>>,
}

impl Link {
    /// The URL with the version.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}/{}", self.identity, self.version)
    }

    /// The name that the specification's directive `name` (without `@`) has in the schema (without `@`).
    #[must_use]
    pub fn directive_in_schema(&self, name: &str) -> String {
        let import = self.imports.iter().find(|import| import.name.strip_prefix('@') == Some(name));
        match import {
            Some(import) => import.name_in_schema().trim_start_matches('@').to_owned(),
            None if name == self.name => self.name_in_schema.clone(),
            None => format!("{}__{name}", self.name_in_schema),
        }
    }

    /// The name that the specification's type `name` has in the schema.
    #[must_use]
    pub fn type_in_schema(&self, name: &str) -> String {
        match self.imports.iter().find(|import| import.name == name) {
            Some(import) => import.name_in_schema().to_owned(),
            None => format!("{}__{name}", self.name_in_schema),
        }
    }

    fn imports_element(&self, name: &str) -> bool {
        self.imports.iter().any(|import| import.name == name)
    }
}

/// What a name of the schema means: an element of a linked specification.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The specification.
    pub link: &'a Link,
    /// The name in the specification, without `@`; `None` for a namespaced name whose element was imported under another name
    /// (the schema then owns that name, but it means nothing).
    pub name: Option<&'a str>,
    /// Whether the name comes from an import rather than from the namespace.
    pub is_imported: bool,
}

/// All links of a schema.
#[derive(Clone, Debug, Default)]
pub struct Links {
    /// In source order; the link to link itself, if any, among them.
    links: Vec<Link>,
    /// Imported names in the schema, with `@` for directives: index of the link and of its import.
    imported: FxHashMap<String, (usize, usize)>,
    /// Namespaces: index of the link.
    namespaces: FxHashMap<String, usize>,
}

impl Links {
    /// A table of these links.
    #[must_use]
    pub fn new(links: Vec<Link>) -> Self {
        let mut table = Self::default();
        for link in links {
            table.push(link);
        }
        table
    }

    /// Adds a link.
    pub fn push(&mut self, link: Link) {
        let index = self.links.len();
        self.namespaces.entry(link.name_in_schema.clone()).or_insert(index);
        for (position, import) in link.imports.iter().enumerate() {
            self.imported.entry(import.name_in_schema().to_owned()).or_insert((index, position));
        }
        self.links.push(link);
    }

    /// Every link, in source order.
    pub fn iter(&self) -> impl Iterator<Item = &Link> {
        self.links.iter()
    }

    /// The link to a specification.
    #[must_use]
    pub fn by_identity(&self, identity: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.identity == identity)
    }

    /// What the directive `name` (without `@`) of the schema means.
    #[must_use]
    pub fn origin_of_directive<'a>(&'a self, name: &'a str) -> Option<Origin<'a>> {
        if let Some(&(link, import)) = self.imported.get(format!("@{name}").as_str()) {
            return self.imported_origin(link, import);
        }
        if let Some(&link) = self.namespaces.get(name) {
            let link = self.links.get(link)?;
            let canonical = link.name.as_str();
            let owned = link.imports_element(&format!("@{canonical}"));
            return Some(Origin { link, name: (!owned).then_some(canonical), is_imported: false });
        }
        let (link, element) = self.split(name)?;
        let owned = link.imports_element(&format!("@{element}"));
        Some(Origin { link, name: (!owned).then_some(element), is_imported: false })
    }

    /// What the type `name` of the schema means.
    #[must_use]
    pub fn origin_of_type<'a>(&'a self, name: &'a str) -> Option<Origin<'a>> {
        if let Some(&(link, import)) = self.imported.get(name) {
            return self.imported_origin(link, import);
        }
        let (link, element) = self.split(name)?;
        Some(Origin { link, name: (!link.imports_element(element)).then_some(element), is_imported: false })
    }

    fn imported_origin(&self, link: usize, import: usize) -> Option<Origin<'_>> {
        let link = self.links.get(link)?;
        let name = link.imports.get(import)?.name.trim_start_matches('@');
        Some(Origin { link, name: Some(name), is_imported: true })
    }

    /// `namespace__element` where the namespace is a link's.
    fn split<'a>(&'a self, name: &'a str) -> Option<(&'a Link, &'a str)> {
        let (namespace, element) = name.split_once("__")?;
        let link = self.links.get(*self.namespaces.get(namespace)?)?;
        (!element.is_empty()).then_some((link, element))
    }
}
