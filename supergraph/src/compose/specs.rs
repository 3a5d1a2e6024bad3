//! The specifications that federation composes by itself: what their directives look like in a supergraph and how differing
//! arguments are merged.
//!
//! A table and look-ups in it; relied on by `features`, `directives` and `access`.

use super::strategies::Strategy;
use crate::subgraph::{Origin, Version, link};

/// A specification whose directives are composed.
pub(crate) struct Spec {
    /// Its identity.
    pub identity: &'static str,
    /// Its name, the last segment of the identity.
    pub name: &'static str,
    /// The version that a supergraph links.
    pub version: Version,
    /// Versions that subgraphs may link directly.
    pub known: &'static [Version],
    /// `for:`
    pub purpose: Option<&'static str>,
    /// Its scalar, if it has one.
    pub scalar: Option<&'static str>,
    /// Its directives.
    pub directives: &'static [SpecDirective],
}

/// A directive of a composed specification.
pub(crate) struct SpecDirective {
    /// Its name.
    pub name: &'static str,
    /// Everything after the name of its definition; `%` stands for the scalar's name.
    pub definition: &'static str,
    /// How differing arguments are merged; empty: the majority's application is taken.
    pub strategies: &'static [(&'static str, Strategy)],
    /// What becomes of its applications.
    pub composition: Composition,
}

/// What becomes of the applications of a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Composition {
    /// They are merged.
    Merged,
    /// They are carried along as `@join__directive`.
    Joined,
    /// They are dropped; what they say is in `@join__field`.
    Dropped,
}

/// The directives that guard access, which obey the rules of `access`.
pub(crate) const ACCESS: [&str; 3] = ["authenticated", "requiresScopes", "policy"];

const GUARDED: &str = "on FIELD_DEFINITION | OBJECT | INTERFACE | SCALAR | ENUM";

const fn directive(
    name: &'static str,
    definition: &'static str,
    strategies: &'static [(&'static str, Strategy)],
) -> SpecDirective {
    SpecDirective { name, definition, strategies, composition: Composition::Merged }
}

const V0_1: Version = Version::new(0, 1);

/// All of them.
pub(crate) const SPECS: [Spec; 8] = [
    Spec {
        identity: "https://specs.apollo.dev/tag",
        name: "tag",
        version: Version::new(0, 3),
        known: &[V0_1, Version::new(0, 2), Version::new(0, 3)],
        purpose: None,
        scalar: None,
        directives: &[directive(
            "tag",
            "(name: String!) repeatable on FIELD_DEFINITION | OBJECT | INTERFACE | UNION | ARGUMENT_DEFINITION | SCALAR | ENUM | \
             ENUM_VALUE | INPUT_OBJECT | INPUT_FIELD_DEFINITION | SCHEMA",
            &[],
        )],
    },
    Spec {
        identity: "https://specs.apollo.dev/inaccessible",
        name: "inaccessible",
        version: Version::new(0, 2),
        known: &[V0_1, Version::new(0, 2)],
        purpose: Some("SECURITY"),
        scalar: None,
        directives: &[directive(
            "inaccessible",
            " on FIELD_DEFINITION | OBJECT | INTERFACE | UNION | ARGUMENT_DEFINITION | SCALAR | ENUM | ENUM_VALUE | INPUT_OBJECT | \
             INPUT_FIELD_DEFINITION",
            &[],
        )],
    },
    Spec {
        identity: "https://specs.apollo.dev/authenticated",
        name: "authenticated",
        version: V0_1,
        known: &[V0_1],
        purpose: Some("SECURITY"),
        scalar: None,
        directives: &[directive("authenticated", " ", &[])],
    },
    Spec {
        identity: "https://specs.apollo.dev/requiresScopes",
        name: "requiresScopes",
        version: V0_1,
        known: &[V0_1],
        purpose: Some("SECURITY"),
        scalar: Some("Scope"),
        directives: &[directive("requiresScopes", "(scopes: [[%!]!]!) ", &[("scopes", Strategy::Conjunction)])],
    },
    Spec {
        identity: "https://specs.apollo.dev/policy",
        name: "policy",
        version: V0_1,
        known: &[V0_1],
        purpose: Some("SECURITY"),
        scalar: Some("Policy"),
        directives: &[directive("policy", "(policies: [[%!]!]!) ", &[("policies", Strategy::Conjunction)])],
    },
    Spec {
        identity: "https://specs.apollo.dev/context",
        name: "context",
        version: V0_1,
        known: &[V0_1],
        purpose: Some("SECURITY"),
        scalar: Some("ContextFieldValue"),
        directives: &[
            directive("context", "(name: String!) repeatable on INTERFACE | OBJECT | UNION", &[]),
            SpecDirective {
                name: "fromContext",
                definition: "(field: %) on ARGUMENT_DEFINITION",
                strategies: &[],
                composition: Composition::Dropped,
            },
        ],
    },
    Spec {
        identity: "https://specs.apollo.dev/cost",
        name: "cost",
        version: V0_1,
        known: &[V0_1],
        purpose: None,
        scalar: None,
        directives: &[
            directive(
                "cost",
                "(weight: Int!) on ARGUMENT_DEFINITION | ENUM | FIELD_DEFINITION | INPUT_FIELD_DEFINITION | OBJECT | SCALAR",
                &[("weight", Strategy::Max)],
            ),
            directive(
                "listSize",
                "(assumedSize: Int, slicingArguments: [String!], sizedFields: [String!], requireOneSlicingArgument: Boolean = true) \
                 on FIELD_DEFINITION",
                &[
                    ("assumedSize", Strategy::Max),
                    ("slicingArguments", Strategy::Union),
                    ("sizedFields", Strategy::Union),
                    ("requireOneSlicingArgument", Strategy::And),
                ],
            ),
        ],
    },
    Spec {
        identity: "https://specs.apollo.dev/cacheTag",
        name: "cacheTag",
        version: V0_1,
        known: &[],
        purpose: Some("EXECUTION"),
        scalar: None,
        directives: &[SpecDirective {
            name: "cacheTag",
            definition: "(format: String!) repeatable on OBJECT | FIELD_DEFINITION",
            strategies: &[],
            composition: Composition::Joined,
        }],
    },
];

impl Spec {
    /// The definition of one of its directives under these names.
    pub(crate) fn definition(directive: &SpecDirective, name: &str, scalar: &str) -> String {
        let guarded = if ACCESS.contains(&directive.name) { GUARDED } else { "" };
        format!("directive @{name}{}{guarded}", directive.definition.replace('%', scalar))
    }
}

/// The composed specification that a subgraph's directive belongs to: by way of federation, or linked on its own.
pub(crate) fn of(origin: &Origin<'_>) -> Option<(&'static Spec, &'static SpecDirective)> {
    let name = origin.name?;
    let (spec, directive) =
        SPECS.iter().find_map(|spec| Some((spec, spec.directives.iter().find(|directive| directive.name == name)?)))?;
    let is_federation = origin.link.identity == link::FEDERATION;
    let is_own = origin.link.identity == spec.identity && spec.known.contains(&origin.link.version);
    (directive.composition != Composition::Dropped && (is_federation || is_own)).then_some((spec, directive))
}

/// The federation version that first knew a linked specification, where linking it asks for a newer one.
pub(crate) fn minimum_federation(identity: &str, version: Version) -> Option<Version> {
    let minor = match (identity, version.major, version.minor) {
        ("https://specs.apollo.dev/tag", 0, 3) | ("https://specs.apollo.dev/inaccessible", 0, 2) => 0,
        ("https://specs.apollo.dev/authenticated", 0, 1) => 5,
        ("https://specs.apollo.dev/cost", 0, 1) => 9,
        (link::CONNECT, 0, minor @ 1..=4) => minor + 9,
        _ => return None,
    };
    Some(Version::new(2, minor))
}
