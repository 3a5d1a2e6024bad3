//! Sentences about several subgraphs at once, and the places they point to.
//!
//! Relied on by the merging files for errors and hints.

use super::codes;
use super::merged::Graph;
use crate::diagnostics::{Diagnostic, Level, Place};
use crate::subgraph::Subgraph;
use apollo_compiler::parser::SourceSpan;

/// Where something stands: a subgraph and, where known, a location in its SDL.
pub(crate) type At = (Graph, Option<SourceSpan>);

/// Errors and hints about these subgraphs.
pub(crate) struct Diagnoses<'a> {
    subgraphs: &'a [Subgraph],
    /// What refuses the composition.
    pub errors: Vec<Diagnostic>,
    /// Remarks.
    pub hints: Vec<Diagnostic>,
}

impl<'a> Diagnoses<'a> {
    /// Nothing said yet.
    pub(crate) fn new(subgraphs: &'a [Subgraph]) -> Self {
        Self { subgraphs, errors: Vec::new(), hints: Vec::new() }
    }

    /// Adds an error.
    pub(crate) fn error(&mut self, code: &'static str, message: String, at: &[At]) {
        let places = self.places(at);
        self.errors.push(Diagnostic { code, level: Level::Error, message, places });
    }

    /// Adds a hint; its level comes from the table of codes.
    pub(crate) fn hint(&mut self, code: &'static str, message: String, at: &[At]) {
        let places = self.places(at);
        self.hints.push(Diagnostic { code, level: codes::hint_level(code), message, places });
    }

    fn places(&self, at: &[At]) -> Vec<Place> {
        let place = |(graph, location): &At| Some(self.subgraphs.get(*graph)?.place(*location));
        at.iter().filter_map(place).collect()
    }

    /// `subgraph "a"`, or `subgraphs "a" and "b"`.
    pub(crate) fn names(&self, graphs: impl IntoIterator<Item = Graph>) -> String {
        let names: Vec<String> = graphs.into_iter().map(|graph| format!("\"{}\"", self.name(graph))).collect();
        match names.as_slice() {
            [] => "no subgraph".to_owned(),
            [only] => format!("subgraph {only}"),
            [first @ .., last] => format!("subgraphs {} and {last}", first.join(", ")),
        }
    }

    /// The name of a subgraph.
    pub(crate) fn name(&self, graph: Graph) -> &'a str {
        self.subgraphs.get(graph).map_or("", |subgraph| subgraph.name.as_str())
    }

    /// What each group of subgraphs says: `"Int" in subgraph "a", "String" in subgraphs "b" and "c"`.
    pub(crate) fn distribution(&self, said: impl IntoIterator<Item = (Graph, String)>) -> String {
        let mut groups: Vec<(String, Vec<Graph>)> = Vec::new();
        for (graph, what) in said {
            match groups.iter_mut().find(|(other, _)| *other == what) {
                Some((_, graphs)) => graphs.push(graph),
                None => groups.push((what, vec![graph])),
            }
        }
        let parts: Vec<String> = groups.into_iter().map(|(what, graphs)| format!("{what} in {}", self.names(graphs))).collect();
        parts.join(", ")
    }
}
