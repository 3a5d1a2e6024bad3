//! Validation of one subgraph's schema as GraphQL, before any rule of federation. Everything found has the code `INVALID_GRAPHQL`.
//!
//! ```text
//! structure   every name means something of the right kind    (its faults end the reading of the subgraph)
//! types       names, emptiness, values, input cycles
//! implements  interfaces are implemented
//! directives  applications fit the definitions
//! ```
//! Relies on the schema only. `read` relies on it. Spec: <https://spec.graphql.org/draft/#sec-Type-System>
//!
//! The specification is followed as graphql-js 16 and the reference composition apply it: values of custom scalars are free, strings
//! and enum values may stand for each other, and the federation fields of the query root do not count as missing definitions.

mod directives;
mod implements;
mod structure;
mod types;
pub(super) mod values;

use apollo_compiler::Schema;
use apollo_compiler::parser::SourceSpan;

/// One violation.
pub struct Violation {
    /// What is wrong and what to do.
    pub message: String,
    /// Where.
    pub location: Option<SourceSpan>,
}

/// Collects violations.
#[derive(Default)]
pub struct Violations(pub Vec<Violation>);

/// Unknown names beyond which no close names are looked for: each look goes over all known names.
const MAX_HINTS: usize = 20;

impl Violations {
    /// Whether it is worth looking for names close to an unknown one.
    #[must_use]
    pub fn wants_hints(&self) -> bool {
        self.0.len() < MAX_HINTS
    }

    /// Adds one.
    pub fn push(&mut self, message: impl Into<String>, location: Option<SourceSpan>) {
        self.0.push(Violation { message: message.into(), location });
    }
}

/// Names that mean nothing: types and, on the schema itself, directives. While there are any, nothing else is worth reporting.
#[must_use]
pub fn unknown_names(schema: &Schema) -> Vec<Violation> {
    let mut found = Violations::default();
    structure::unknown_types(schema, &mut found);
    directives::unknown_on_schema(schema, &mut found);
    found.0
}

/// Types that the user's directive definitions refer to but nobody defines. What linked specifications define does not count: directive
/// definitions are read before links.
#[must_use]
pub fn unknown_types_of_directives(schema: &Schema) -> Vec<Violation> {
    let mut found = Violations::default();
    structure::unknown_types_of_directives(schema, &mut found);
    found.0
}

/// Names that mean something of the wrong kind.
#[must_use]
pub fn kinds(schema: &Schema) -> Vec<Violation> {
    let mut found = Violations::default();
    structure::kinds(schema, &mut found);
    found.0
}

/// Directives that mean nothing, on everything but the schema itself.
#[must_use]
pub fn unknown_directives(schema: &Schema) -> Vec<Violation> {
    let mut found = Violations::default();
    directives::unknown(schema, &mut found);
    found.0
}

/// Everything else. Assumes that the structure is sound.
#[must_use]
pub fn validate(schema: &Schema) -> Vec<Violation> {
    let mut found = Violations::default();
    types::check(schema, &mut found);
    implements::check(schema, &mut found);
    directives::check(schema, &mut found);
    found.0
}
