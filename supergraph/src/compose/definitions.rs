//! The schema definition, and directive definitions: those that operations may use (in every subgraph, by intersection) and the
//! composed custom ones (from the newest version of their specification).
//!
//! Relies on `arguments`; runs before any type, because it decides what is repeatable.

use super::custom;
use super::features::BUILT_IN;
use super::merge::Merger;
use super::merged::{Graph, Map, MergedArgument, Set};
use apollo_compiler::ast::{DirectiveDefinition, DirectiveList, DirectiveLocation, InputValueDefinition};
use apollo_compiler::{Name, Node};

impl<'a> Merger<'a> {
    /// Merges description, directives and root operations of the schema.
    pub(crate) fn merge_schema(&mut self) {
        let subgraphs = self.subgraphs;
        let definitions = || subgraphs.iter().enumerate().map(|(graph, subgraph)| (graph, &subgraph.schema.schema_definition));
        self.find_roots();
        let described = definitions().map(|(graph, definition)| (graph, definition.description.as_ref(), definition.location()));
        self.merged.description = self.merge_description(|| "The schema".to_owned(), described);
        let found = self.mergeable(
            definitions()
                .flat_map(|(graph, definition)| definition.directives.iter().map(move |directive| (graph, &directive.node))),
        );
        self.merged.applied = self.merge_applied(&|| "schema".to_owned(), found);
        if self.features.has_joined {
            let carried = definitions()
                .map(|(graph, definition)| (graph, definition.directives.iter().map(|directive| &directive.node).collect()));
            let joined = self.join_directives(carried);
            self.merged.applied.extend(joined);
            self.merged.links.extend(super::features::connect_link(subgraphs));
        }
    }

    /// Merges directive definitions.
    pub(crate) fn merge_definitions(&mut self) {
        for name in custom::as_names(&self.features.custom) {
            let Some((graph, definition)) = self.features.custom.definition(&name, self.subgraphs, &mut self.diagnoses) else {
                continue;
            };
            let merged = DirectiveDefinition {
                name: name.clone(),
                description: definition.description.clone(),
                arguments: self.definition_arguments(&name, &[(graph, definition)]),
                repeatable: definition.repeatable,
                locations: definition.locations.clone(),
            };
            self.merged.directives.insert(name, Node::new(merged));
        }
        let mut executable: Set<&'a Name> = Set::default();
        for subgraph in self.subgraphs {
            let definitions = subgraph.schema.directive_definitions.values();
            let of_operations = definitions.filter(|definition| definition.locations.iter().any(is_executable));
            executable.extend(of_operations.map(|definition| &definition.name).filter(|name| !BUILT_IN.contains(&name.as_str())));
        }
        for name in executable {
            if !self.merged.directives.contains_key(name) && !self.features.custom.has(name) {
                self.merge_executable(name);
            }
        }
    }

    fn merge_executable(&mut self, name: &Name) {
        let subgraphs = self.subgraphs;
        let definitions: Vec<(Graph, &'a Node<DirectiveDefinition>)> = subgraphs
            .iter()
            .enumerate()
            .filter_map(|(graph, subgraph)| Some((graph, subgraph.schema.directive_definitions.get(name)?)))
            .collect();
        let at: Vec<_> = definitions.iter().map(|(graph, definition)| (*graph, definition.location())).collect();
        if definitions.len() < subgraphs.len() {
            let with = self.diagnoses.names(definitions.iter().map(|(graph, _)| *graph));
            let message =
                format!("Directive \"@{name}\" is left out: operations may carry it to any subgraph, but only {with} define it.");
            return self.diagnoses.hint("INCONSISTENT_EXECUTABLE_DIRECTIVE_PRESENCE", message, &at);
        }
        let lists: Vec<Vec<DirectiveLocation>> =
            definitions.iter().map(|(_, definition)| executable_locations(definition)).collect();
        let mut locations = lists.first().cloned().unwrap_or_default();
        locations.retain(|location| lists.iter().all(|list| list.contains(location)));
        let text = |list: &[DirectiveLocation]| list.iter().map(|location| location.name()).collect::<Vec<_>>().join(", ");
        let distribution =
            self.diagnoses.distribution(definitions.iter().zip(&lists).map(|((graph, _), list)| (*graph, text(list))));
        if locations.is_empty() {
            let message =
                format!("Directive \"@{name}\" is left out: no location is common to all its definitions: {distribution}.");
            return self.diagnoses.hint("NO_EXECUTABLE_DIRECTIVE_INTERSECTION", message, &at);
        }
        if lists.iter().any(|list| list.len() != locations.len()) {
            let message = format!(
                "Directive \"@{name}\" has different locations: {distribution}; the supergraph has {}.",
                text(&locations)
            );
            self.diagnoses.hint("INCONSISTENT_EXECUTABLE_DIRECTIVE_LOCATIONS", message, &at);
        }
        let repeatable = definitions.iter().all(|(_, definition)| definition.repeatable);
        if !repeatable && definitions.iter().any(|(_, definition)| definition.repeatable) {
            let message = format!("Directive \"@{name}\" is repeatable only in some subgraphs; it is not in the supergraph.");
            self.diagnoses.hint("INCONSISTENT_EXECUTABLE_DIRECTIVE_REPEATABLE", message, &at);
        }
        let described =
            definitions.iter().map(|(graph, definition)| (*graph, definition.description.as_ref(), definition.location()));
        let description = self.merge_description(|| format!("Directive \"@{name}\""), described);
        let arguments = self.definition_arguments(name, &definitions);
        let merged = DirectiveDefinition { name: name.clone(), description, arguments, repeatable, locations };
        self.merged.directives.insert(name.clone(), Node::new(merged));
    }

    fn definition_arguments(
        &mut self,
        name: &Name,
        definitions: &[(Graph, &'a Node<DirectiveDefinition>)],
    ) -> Vec<Node<InputValueDefinition>> {
        let lists: Vec<(Graph, &'a [Node<InputValueDefinition>])> =
            definitions.iter().map(|(graph, definition)| (*graph, definition.arguments.as_slice())).collect();
        let merged: Map<Name, MergedArgument> =
            self.merge_argument_lists(&|argument| format!("@{name}({argument}:)"), &lists, &[]);
        let argument = |(name, argument): (Name, MergedArgument)| {
            Node::new(InputValueDefinition {
                description: argument.description,
                name,
                ty: Node::new(argument.ty),
                default_value: argument.default,
                directives: DirectiveList(argument.applied),
            })
        };
        merged.into_iter().map(argument).collect()
    }
}

fn is_executable(location: &DirectiveLocation) -> bool {
    use DirectiveLocation as L;
    matches!(
        location,
        L::Query
            | L::Mutation
            | L::Subscription
            | L::Field
            | L::FragmentDefinition
            | L::FragmentSpread
            | L::InlineFragment
            | L::VariableDefinition
    )
}

/// The locations in operations, sorted by name.
fn executable_locations(definition: &DirectiveDefinition) -> Vec<DirectiveLocation> {
    let mut locations: Vec<DirectiveLocation> = definition.locations.iter().copied().filter(is_executable).collect();
    locations.sort_by_key(|location| location.name());
    locations.dedup();
    locations
}
