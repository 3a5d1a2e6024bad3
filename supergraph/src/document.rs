//! Text to syntax trees: the only file that calls the parser, with the limits that hostile text meets.
//!
//! Relies on apollo-compiler; `subgraph` and `model` rely on it. Spec: <https://spec.graphql.org/draft/#sec-Language>

mod executable;
mod reader;
mod tokens;
mod type_system;

pub use reader::Limits;

use crate::syntax;
use apollo_compiler::diagnostic::ToCliReport;
use apollo_compiler::parser::{Parser, SourceMap};
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{ExecutableDocument, Schema, ast};

/// Nesting of values, types and selection sets beyond which a document is refused.
pub const MAX_DEPTH: usize = 200;
/// Tokens beyond which an SDL document is refused (a schema of 100,000 fields has about a million).
pub const MAX_SDL_TOKENS: usize = 10_000_000;
/// Tokens beyond which a field set is refused.
pub const MAX_FIELD_SET_TOKENS: usize = 50_000;

/// Something wrong with a text: a sentence, and the line and column counted from 1 where they are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub message: String,
    /// Line and column.
    pub at: Option<(usize, usize)>,
}

/// Whether a document must know where in its text everything stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locations {
    /// Every node knows its location, for diagnostics.
    Keep,
    /// No node knows its location; reading is several times faster.
    Skip,
}

/// Parses a type system document without keeping locations; `None` if it is not one.
#[must_use]
pub fn sdl_without_locations(text: &str) -> Option<ast::Document> {
    type_system::parse(text)
}

/// Parses an executable document without keeping locations; `None` if it is not one, has descriptions or is beyond the limits.
#[must_use]
pub fn executable_without_locations(text: &str, limits: Limits) -> Option<ast::Document> {
    executable::parse(text, limits)
}

/// Parses a type system document. `name` is only used to tell sources apart.
///
/// # Errors
/// Every syntax error, in source order.
pub fn sdl(text: &str, name: &str) -> Result<ast::Document, Vec<Fault>> {
    let parsed = Parser::new().recursion_limit(MAX_DEPTH).token_limit(MAX_SDL_TOKENS).parse_ast(text, name);
    let document = parsed.map_err(|failed| faults(&failed.errors))?;
    match syntax::check(text, &document) {
        Some(fault) => Err(vec![fault]),
        None => Ok(document),
    }
}

/// Builds a schema: extensions are folded into their types, also where the type itself is defined in another subgraph. What is
/// wrong (names that are defined twice, extensions of another kind than their type, executable definitions) is left out of it.
#[must_use]
pub fn schema(document: &ast::Document) -> (Schema, Vec<Fault>) {
    let builder = Schema::builder().adopt_orphan_extensions().ignore_builtin_redefinitions();
    match builder.add_ast(document).build() {
        Ok(schema) => (schema, Vec::new()),
        Err(failed) => (failed.partial, faults(&failed.errors)),
    }
}

/// Parses the inside of a selection set; braces around it are optional, as in the `fields` arguments of federation directives.
///
/// # Errors
/// The first syntax error.
pub fn selections(text: &str) -> Result<Vec<ast::Selection>, Fault> {
    let text = text.trim();
    let braced = if text.starts_with('{') { text.to_owned() } else { format!("{{{text}\n}}") };
    let document = Parser::new()
        .recursion_limit(MAX_DEPTH)
        .token_limit(MAX_FIELD_SET_TOKENS)
        .parse_ast(braced, "fields")
        .map_err(|failed| first(faults(&failed.errors)))?;
    match document.definitions.as_slice() {
        [ast::Definition::OperationDefinition(operation)] => Ok(operation.selection_set.clone()),
        _ => Err(Fault { message: "it must be exactly one selection set".to_owned(), at: None }),
    }
}

/// What is wrong with an operation document on a schema; empty if it is valid.
#[must_use]
pub fn operation_faults(schema: &Valid<Schema>, text: &str) -> Vec<Fault> {
    match ExecutableDocument::parse_and_validate(schema, text, "operation") {
        Ok(_) => Vec::new(),
        Err(failed) => faults(&failed.errors),
    }
}

/// Line and column of a location, counted from 1.
#[must_use]
pub fn line_column(location: Option<apollo_compiler::parser::SourceSpan>, sources: &SourceMap) -> Option<(usize, usize)> {
    location?.line_column(sources).map(|at| (at.line, at.column))
}

/// The diagnostics of the parser or builder as faults.
pub fn faults(errors: &DiagnosticList) -> Vec<Fault> {
    errors
        .iter()
        .map(|diagnostic| Fault {
            message: diagnostic.error.to_string(),
            at: line_column(diagnostic.error.location(), diagnostic.sources),
        })
        .collect()
}

fn first(faults: Vec<Fault>) -> Fault {
    faults.into_iter().next().unwrap_or(Fault { message: "it cannot be parsed".to_owned(), at: None })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test may panic")]
    use super::*;

    #[test]
    fn braces_around_a_field_set_are_optional() {
        assert_eq!(selections("a b { c }").unwrap(), selections("{ a b { c } }").unwrap());
    }

    #[test]
    fn a_comment_at_the_end_of_a_field_set_does_not_swallow_the_brace() {
        assert_eq!(selections("a # comment").unwrap().len(), 1);
    }

    #[test]
    fn faults_carry_line_and_column() {
        let faults = sdl("type Query {\n  a: \n}", "a").unwrap_err();
        assert_eq!(faults[0].at.unwrap().0, 3);
    }

    #[test]
    fn deep_nesting_is_refused() {
        let text = format!("type Query {{ a: {}Int{} }}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(sdl(&text, "a").is_err());
        assert!(selections(&"a {".repeat(100_000)).is_err());
    }
}
