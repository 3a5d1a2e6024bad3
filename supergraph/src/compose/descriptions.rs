//! Descriptions: the one that most subgraphs give; the first on a tie.
//!
//! Relied on by every file that merges a described element.

use super::merge::Merger;
use super::merged::Graph;
use apollo_compiler::Node;
use apollo_compiler::parser::SourceSpan;

impl Merger<'_> {
    /// Merges descriptions, in subgraph order; `element` names the element in the hint.
    pub(crate) fn merge_description<'d>(
        &mut self,
        element: impl Fn() -> String,
        given: impl Iterator<Item = (Graph, Option<&'d Node<str>>, Option<SourceSpan>)>,
    ) -> Option<Node<str>> {
        let mut all: Vec<(Graph, &'d Node<str>, Option<SourceSpan>)> = Vec::new();
        let mut distinct: Vec<(&'d Node<str>, usize)> = Vec::new();
        for (graph, description, location) in given {
            let Some(description) = description else { continue };
            all.push((graph, description, location));
            match distinct.iter_mut().find(|(other, _)| other.as_ref() == description.as_ref()) {
                Some((_, count)) => *count += 1,
                None => distinct.push((description, 1)),
            }
        }
        // An empty description only counts where there is no other.
        if distinct.iter().any(|(description, _)| !description.is_empty()) {
            distinct.retain(|(description, _)| !description.is_empty());
        }
        let most = distinct.iter().map(|(_, count)| *count).max()?;
        let winner = distinct.iter().find(|(_, count)| *count == most).map(|(description, _)| (*description).clone())?;
        if distinct.len() > 1 {
            let users = all.iter().filter(|(_, description, _)| description.as_ref() == winner.as_ref());
            let message = format!(
                "{} is described differently in {}; the supergraph takes the description of {}. Write the same one everywhere.",
                element(),
                self.diagnoses.names(all.iter().map(|(graph, ..)| *graph)),
                self.diagnoses.names(users.map(|(graph, ..)| *graph))
            );
            let at: Vec<_> = all.iter().map(|(graph, _, location)| (*graph, *location)).collect();
            self.diagnoses.hint("INCONSISTENT_DESCRIPTION", message, &at);
        }
        Some(winner)
    }
}
