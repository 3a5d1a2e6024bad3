//! The specifications that Apollo publishes, as tables: which versions exist, and which types and directives each version has.
//!
//! Relies on `document` to parse the definitions, once per process. Relied on by `link` (what may be imported) and by `definitions`
//! (what is added to a schema, and what a user's own definition must look like).

use super::link::Version;
use crate::document;
use apollo_compiler::ast::Definition;
use std::sync::LazyLock;

/// One element of a specification, present in versions `since ..= until`.
pub struct Element {
    identity: &'static str,
    since: Version,
    until: Version,
    /// Its definition, with the names of the specification.
    pub definition: Definition,
}

impl Element {
    /// Its name, with `@` for a directive, as it is written in an import.
    #[must_use]
    pub fn import_name(&self) -> String {
        let name = self.definition.name().map(ToString::to_string).unwrap_or_default();
        if matches!(self.definition, Definition::DirectiveDefinition(_)) { format!("@{name}") } else { name }
    }
}

/// Whether this version of the specification is known; unknown specifications have no known version.
#[must_use]
pub fn is_known(identity: &str, version: Version) -> bool {
    VERSIONS.iter().any(|(known, versions)| *known == identity && versions.contains(&(version.major, version.minor)))
}

/// The elements of a version of a specification, types first; empty for unknown ones and for link itself.
pub fn elements(identity: &str, version: Version) -> impl Iterator<Item = &'static Element> {
    let is_known = is_known(identity, version);
    let matching = move |element: &&Element| {
        is_known && element.identity == identity && element.since <= version && version <= element.until
    };
    ELEMENTS.iter().filter(matching)
}

const VERSIONS: &[(&str, &[(u32, u32)])] = &[
    (
        "https://specs.apollo.dev/federation",
        &[
            (2, 0),
            (2, 1),
            (2, 2),
            (2, 3),
            (2, 4),
            (2, 5),
            (2, 6),
            (2, 7),
            (2, 8),
            (2, 9),
            (2, 10),
            (2, 11),
            (2, 12),
            (2, 13),
            (2, 14),
        ],
    ),
    ("https://specs.apollo.dev/link", &[(1, 0)]),
    ("https://specs.apollo.dev/core", &[(0, 1), (0, 2)]),
    ("https://specs.apollo.dev/join", &[(0, 1), (0, 2), (0, 3), (0, 4), (0, 5)]),
    ("https://specs.apollo.dev/tag", &[(0, 1), (0, 2), (0, 3)]),
    ("https://specs.apollo.dev/inaccessible", &[(0, 1), (0, 2)]),
    ("https://specs.apollo.dev/authenticated", &[(0, 1)]),
    ("https://specs.apollo.dev/requiresScopes", &[(0, 1)]),
    ("https://specs.apollo.dev/policy", &[(0, 1)]),
    ("https://specs.apollo.dev/context", &[(0, 1)]),
    ("https://specs.apollo.dev/cost", &[(0, 1)]),
    ("https://specs.apollo.dev/connect", &[(0, 1), (0, 2), (0, 3), (0, 4)]),
];

/// Specification, first version, last version, definition.
type Row = (&'static str, (u32, u32), (u32, u32), &'static str);

/// What the specifications define. In each specification, types come before the directives that use them.
const DEFINITIONS: &[Row] = &[
    ("federation", (2, 0), LAST, "scalar FieldSet"),
    ("federation", (2, 5), LAST, "scalar Scope"),
    ("federation", (2, 6), LAST, "scalar Policy"),
    ("federation", (2, 8), LAST, "scalar ContextFieldValue"),
    (
        "federation",
        (2, 0),
        LAST,
        "directive @key(fields: FieldSet!, resolvable: Boolean = true) repeatable on OBJECT | INTERFACE",
    ),
    ("federation", (2, 0), LAST, "directive @requires(fields: FieldSet!) on FIELD_DEFINITION"),
    ("federation", (2, 0), LAST, "directive @provides(fields: FieldSet!) on FIELD_DEFINITION"),
    ("federation", (2, 0), LAST, "directive @external(reason: String) on OBJECT | FIELD_DEFINITION"),
    ("federation", (2, 0), (2, 2), TAG_2),
    ("federation", (2, 3), LAST, TAG_3),
    ("federation", (2, 0), LAST, "directive @extends on OBJECT | INTERFACE"),
    ("federation", (2, 0), (2, 1), "directive @shareable on OBJECT | FIELD_DEFINITION"),
    ("federation", (2, 2), LAST, "directive @shareable repeatable on OBJECT | FIELD_DEFINITION"),
    ("federation", (2, 0), LAST, INACCESSIBLE_2),
    ("federation", (2, 0), (2, 6), "directive @override(from: String!) on FIELD_DEFINITION"),
    ("federation", (2, 7), LAST, "directive @override(from: String!, label: String) on FIELD_DEFINITION"),
    ("federation", (2, 1), LAST, "directive @composeDirective(name: String) repeatable on SCHEMA"),
    ("federation", (2, 3), LAST, "directive @interfaceObject on OBJECT"),
    ("federation", (2, 5), LAST, AUTHENTICATED),
    ("federation", (2, 5), LAST, REQUIRES_SCOPES),
    ("federation", (2, 6), LAST, POLICY),
    ("federation", (2, 8), LAST, CONTEXT),
    ("federation", (2, 8), LAST, FROM_CONTEXT),
    ("federation", (2, 9), LAST, COST),
    ("federation", (2, 9), LAST, LIST_SIZE),
    ("federation", (2, 12), LAST, "directive @cacheTag(format: String!) repeatable on OBJECT | FIELD_DEFINITION"),
    ("link", (1, 0), LAST, "enum Purpose { SECURITY EXECUTION }"),
    ("link", (1, 0), LAST, "scalar Import"),
    ("link", (1, 0), LAST, "directive @link(url: String, as: String, for: Purpose, import: [Import]) repeatable on SCHEMA"),
    ("core", (0, 2), LAST, "enum Purpose { SECURITY EXECUTION }"),
    ("core", (0, 1), (0, 1), "directive @core(feature: String, as: String) repeatable on SCHEMA"),
    ("core", (0, 2), LAST, "directive @core(feature: String, as: String, for: Purpose) repeatable on SCHEMA"),
    ("tag", (0, 1), (0, 1), "directive @tag(name: String!) repeatable on FIELD_DEFINITION | OBJECT | INTERFACE | UNION"),
    ("tag", (0, 2), (0, 2), TAG_2),
    ("tag", (0, 3), LAST, TAG_3),
    ("inaccessible", (0, 1), (0, 1), "directive @inaccessible on FIELD_DEFINITION | OBJECT | INTERFACE | UNION"),
    ("inaccessible", (0, 2), LAST, INACCESSIBLE_2),
    ("authenticated", (0, 1), LAST, AUTHENTICATED),
    ("requiresScopes", (0, 1), LAST, "scalar Scope"),
    ("requiresScopes", (0, 1), LAST, REQUIRES_SCOPES),
    ("policy", (0, 1), LAST, "scalar Policy"),
    ("policy", (0, 1), LAST, POLICY),
    ("context", (0, 1), LAST, "scalar ContextFieldValue"),
    ("context", (0, 1), LAST, CONTEXT),
    ("context", (0, 1), LAST, FROM_CONTEXT),
    ("cost", (0, 1), LAST, COST),
    ("cost", (0, 1), LAST, LIST_SIZE),
    ("connect", (0, 1), LAST, "scalar URLPathTemplate"),
    ("connect", (0, 1), LAST, "scalar JSONSelection"),
    ("connect", (0, 1), LAST, "input ConnectorErrors { message: JSONSelection extensions: JSONSelection }"),
    ("connect", (0, 1), LAST, "input HTTPHeaderMapping { name: String! from: String value: String }"),
    ("connect", (0, 1), LAST, "input ConnectBatch { maxSize: Int }"),
    ("connect", (0, 1), LAST, SOURCE_HTTP),
    ("connect", (0, 1), LAST, CONNECT_HTTP),
    ("connect", (0, 1), LAST, CONNECT),
    ("connect", (0, 1), LAST, SOURCE),
];

const LAST: (u32, u32) = (u32::MAX, 0);
const TAG_2: &str = "directive @tag(name: String!) repeatable on FIELD_DEFINITION | OBJECT | INTERFACE | UNION | ARGUMENT_DEFINITION \
     | SCALAR | ENUM | ENUM_VALUE | INPUT_OBJECT | INPUT_FIELD_DEFINITION";
const TAG_3: &str = "directive @tag(name: String!) repeatable on FIELD_DEFINITION | OBJECT | INTERFACE | UNION | ARGUMENT_DEFINITION \
     | SCALAR | ENUM | ENUM_VALUE | INPUT_OBJECT | INPUT_FIELD_DEFINITION | SCHEMA";
const INACCESSIBLE_2: &str = "directive @inaccessible on FIELD_DEFINITION | OBJECT | INTERFACE | UNION | ARGUMENT_DEFINITION | SCALAR \
     | ENUM | ENUM_VALUE | INPUT_OBJECT | INPUT_FIELD_DEFINITION";
const AUTHENTICATED: &str = "directive @authenticated on FIELD_DEFINITION | OBJECT | INTERFACE | SCALAR | ENUM";
const REQUIRES_SCOPES: &str =
    "directive @requiresScopes(scopes: [[Scope!]!]!) on FIELD_DEFINITION | OBJECT | INTERFACE | SCALAR | ENUM";
const POLICY: &str = "directive @policy(policies: [[Policy!]!]!) on FIELD_DEFINITION | OBJECT | INTERFACE | SCALAR | ENUM";
const CONTEXT: &str = "directive @context(name: String!) repeatable on INTERFACE | OBJECT | UNION";
const FROM_CONTEXT: &str = "directive @fromContext(field: ContextFieldValue) on ARGUMENT_DEFINITION";
const COST: &str =
    "directive @cost(weight: Int!) on ARGUMENT_DEFINITION | ENUM | FIELD_DEFINITION | INPUT_FIELD_DEFINITION | OBJECT | SCALAR";
const LIST_SIZE: &str = "directive @listSize(assumedSize: Int, slicingArguments: [String!], sizedFields: [String!], \
     requireOneSlicingArgument: Boolean = true) on FIELD_DEFINITION";
const SOURCE_HTTP: &str =
    "input SourceHTTP { baseURL: String! headers: [HTTPHeaderMapping!] path: JSONSelection queryParams: JSONSelection }";
const CONNECT_HTTP: &str = "input ConnectHTTP { GET: URLPathTemplate POST: URLPathTemplate PUT: URLPathTemplate PATCH: URLPathTemplate \
     DELETE: URLPathTemplate body: JSONSelection headers: [HTTPHeaderMapping!] path: JSONSelection queryParams: JSONSelection }";
const CONNECT: &str = "directive @connect(source: String, id: String, http: ConnectHTTP, batch: ConnectBatch, errors: ConnectorErrors, \
     selection: JSONSelection!, entity: Boolean = false, isSuccess: JSONSelection) repeatable on FIELD_DEFINITION | OBJECT";
const SOURCE: &str =
    "directive @source(name: String!, http: SourceHTTP!, errors: ConnectorErrors, isSuccess: JSONSelection) repeatable on SCHEMA";

static ELEMENTS: LazyLock<Vec<Element>> = LazyLock::new(|| {
    let mut elements = Vec::new();
    for &(name, since, until, text) in DEFINITIONS {
        let Some((identity, _)) = VERSIONS.iter().find(|(identity, _)| identity.rsplit('/').next() == Some(name)) else {
            continue;
        };
        let Ok(document) = document::sdl(text, name) else { continue };
        for definition in &document.definitions {
            let (since, until) = (Version::new(since.0, since.1), Version::new(until.0, until.1));
            elements.push(Element { identity, since, until, definition: definition.clone() });
        }
    }
    elements
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_definition_parses() {
        assert_eq!(ELEMENTS.len(), DEFINITIONS.len());
    }

    #[test]
    fn a_version_has_only_its_own_elements() {
        let names = |minor| {
            elements(super::super::link::FEDERATION, Version::new(2, minor)).map(Element::import_name).collect::<Vec<_>>()
        };
        assert!(!names(0).contains(&"@composeDirective".to_owned()));
        assert!(names(14).contains(&"@cacheTag".to_owned()));
        assert_eq!(names(14).iter().filter(|name| *name == "@tag").count(), 1);
        assert_eq!(names(99), Vec::<String>::new());
    }
}
