//! Arguments of fields and directives: those that every subgraph has.
//!
//! Relies on `types` and `directives`. Relied on by `fields` and `definitions`.

use super::diagnose::At;
use super::merge::Merger;
use super::merged::{Graph, Map, MergedArgument};
use super::sources::FieldSource;
use super::types::{Element, TypeSource};
use apollo_compiler::ast::InputValueDefinition;
use apollo_compiler::{Name, Node};

/// One argument in the subgraphs that have it.
type ArgumentSources<'a> = Vec<(Graph, &'a Node<InputValueDefinition>)>;

impl<'a> Merger<'a> {
    /// Merges the arguments of a field.
    pub(crate) fn merge_arguments(
        &mut self,
        parent: &Name,
        field: &Name,
        sources: &[FieldSource<'a>],
    ) -> Map<Name, MergedArgument> {
        if sources.iter().all(|source| source.definition.arguments.is_empty()) {
            return Map::default();
        }
        let lists: Vec<(Graph, &'a [Node<InputValueDefinition>])> =
            sources.iter().map(|source| (source.graph, source.definition.arguments.as_slice())).collect();
        let contextual: Vec<(Graph, &Name)> = sources
            .iter()
            .flat_map(|source| source.facts.context_arguments.iter().map(|argument| (source.graph, &argument.name)))
            .collect();
        self.merge_argument_lists(&|argument| format!("{parent}.{field}({argument}:)"), &lists, &contextual)
    }

    /// Merges argument lists, one for each subgraph. `contextual` names the arguments that a context fills, by subgraph.
    pub(crate) fn merge_argument_lists(
        &mut self,
        coordinate: &dyn Fn(&str) -> String,
        lists: &[(Graph, &'a [Node<InputValueDefinition>])],
        contextual: &[(Graph, &Name)],
    ) -> Map<Name, MergedArgument> {
        let mut found: Map<&'a Name, ArgumentSources<'a>> = Map::default();
        for (graph, arguments) in lists {
            for argument in *arguments {
                found.entry(&argument.name).or_default().push((*graph, argument));
            }
        }
        let mut merged = Map::default();
        for (name, sources) in found {
            let coordinate = || coordinate(name);
            if contextual.iter().any(|(_, other)| *other == name) {
                self.drop_contextual(&coordinate(), &sources, contextual);
            } else if sources.len() < lists.len() {
                let missing: Vec<Graph> = lists
                    .iter()
                    .map(|(graph, _)| *graph)
                    .filter(|graph| sources.iter().all(|(other, _)| other != graph))
                    .collect();
                self.drop_partial(&coordinate(), &sources, &missing);
            } else if let Some(argument) = self.merge_argument(&coordinate, &sources) {
                merged.insert(name.clone(), argument);
            }
        }
        merged
    }

    fn merge_argument(&mut self, coordinate: &dyn Fn() -> String, sources: &ArgumentSources<'a>) -> Option<MergedArgument> {
        let described = sources.iter().map(|(graph, argument)| (*graph, argument.description.as_ref(), argument.location()));
        let description = self.merge_description(|| format!("Argument \"{}\"", coordinate()), described);
        let found = self.mergeable(
            sources.iter().flat_map(|(graph, argument)| argument.directives.iter().map(|directive| (*graph, directive))),
        );
        let applied = self.merge_applied(coordinate, found);
        let typed: Vec<TypeSource<'_>> = sources
            .iter()
            .map(|(graph, argument)| TypeSource { graph: *graph, ty: &argument.ty, location: argument.location() })
            .collect();
        let (ty, _) = self.merge_types(Element::Argument, coordinate, &typed)?;
        let given: Vec<_> =
            sources.iter().map(|(graph, argument)| (*graph, argument.default_value.as_ref(), argument.location())).collect();
        let default = self.merge_defaults(Element::Argument, coordinate, &given);
        Some(MergedArgument { description, ty, default, applied })
    }

    /// An argument that a context fills anywhere is not the client's to give.
    fn drop_contextual(&mut self, coordinate: &str, sources: &ArgumentSources<'a>, contextual: &[(Graph, &Name)]) {
        const CODE: &str = "CONTEXTUAL_ARGUMENT_NOT_CONTEXTUAL_IN_ALL_SUBGRAPHS";
        for (graph, argument) in sources {
            if contextual.iter().any(|(other, name)| other == graph && **name == argument.name) {
                continue;
            }
            let owner = self.diagnoses.name(*graph);
            let at = [(*graph, argument.location())];
            if argument.is_required() {
                let message = format!(
                    "Argument \"{coordinate}\" is filled by a context elsewhere but is mandatory in subgraph \"{owner}\". Make it nullable, give it a default, or use @fromContext there too."
                );
                self.diagnoses.error(CODE, message, &at);
            } else {
                let message =
                    format!("Argument \"{coordinate}\" of subgraph \"{owner}\" is left out: a context fills it elsewhere.");
                self.diagnoses.hint(CODE, message, &at);
            }
        }
    }

    /// An argument that some subgraph lacks is left out, unless another insists on it.
    fn drop_partial(&mut self, coordinate: &str, sources: &ArgumentSources<'a>, missing: &[Graph]) {
        let at: Vec<At> = sources.iter().map(|(graph, argument)| (*graph, argument.location())).collect();
        let lacking = self.diagnoses.names(missing.iter().copied());
        let required: Vec<Graph> =
            sources.iter().filter(|(_, argument)| argument.is_required()).map(|(graph, _)| *graph).collect();
        if required.is_empty() {
            let having = self.diagnoses.names(sources.iter().map(|(graph, _)| *graph));
            let message = format!("The optional argument \"{coordinate}\" is left out: it is in {having} but not in {lacking}.");
            self.diagnoses.hint("INCONSISTENT_ARGUMENT_PRESENCE", message, &at);
        } else {
            let insisting = self.diagnoses.names(required);
            let message = format!(
                "Argument \"{coordinate}\" is mandatory in {insisting} but missing in {lacking}. Add it there, or make it optional."
            );
            self.diagnoses.error("REQUIRED_ARGUMENT_MISSING_IN_SOME_SUBGRAPH", message, &at);
        }
    }
}
