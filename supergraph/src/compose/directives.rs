//! Merging what is applied to one element in several subgraphs: repeatable directives as the union of distinct applications,
//! others by strategy or majority; and what is carried along as `@join__directive`.
//!
//! Relies on `features` for what is composed and on `values` for what is the same.

use super::merge::Merger;
use super::merged::Graph;
use super::specs::SpecDirective;
use super::values;
use crate::subgraph::link;
use apollo_compiler::ast::{Argument, Directive, DirectiveDefinition, Value};
use apollo_compiler::{Name, Node, name};
use rustc_hash::FxHashMap;

/// Applications of one or more directives to one element, in subgraph order.
pub(crate) type Applications<'a> = Vec<(Graph, &'a Node<Directive>)>;

impl<'a> Merger<'a> {
    /// Those applications that are merged.
    pub(crate) fn mergeable(&self, all: impl Iterator<Item = (Graph, &'a Node<Directive>)>) -> Applications<'a> {
        all.filter(|(graph, directive)| self.features.is_merged(*graph, &directive.name)).collect()
    }

    /// Merges the applications to one element; `element` names it in hints.
    pub(crate) fn merge_applied(&mut self, element: &dyn Fn() -> String, found: Applications<'a>) -> Vec<Node<Directive>> {
        let mut merged = Vec::new();
        let mut rest = found;
        while let Some((_, first)) = rest.first() {
            let name = first.name.clone();
            let (of_name, others) = rest.into_iter().partition(|(_, directive)| directive.name == name);
            rest = others;
            self.merge_directive(element, &of_name, &mut merged);
        }
        merged
    }

    fn merge_directive(&mut self, element: &dyn Fn() -> String, found: &Applications<'a>, merged: &mut Vec<Node<Directive>>) {
        let mut distinct: Vec<(Graph, &'a Node<Directive>, usize)> = Vec::new();
        let mut known: FxHashMap<(Option<Graph>, String), usize> = FxHashMap::default();
        for &(graph, directive) in found {
            // Contexts of different subgraphs are different ones, whatever their names.
            let is_context = self.features.federation.get(&directive.name).is_some_and(|known| known.name == "context");
            let key = values::key_of(directive, self.definition(graph, &directive.name));
            let at = *known.entry((is_context.then_some(graph), key)).or_insert(distinct.len());
            match distinct.get_mut(at) {
                Some((_, _, count)) => *count += 1,
                None => distinct.push((graph, directive, 1)),
            }
        }
        let Some(&(_, first, _)) = distinct.first() else { return };
        let federation = self.features.federation.get(&first.name).copied();
        if self.merged.directives.get(&first.name).is_some_and(|definition| definition.repeatable) {
            merged.extend(distinct.iter().map(|(graph, directive, _)| self.transform(*graph, directive, federation)));
        } else if distinct.len() == 1 {
            merged.push(first.clone());
        } else if let Some(federation) = federation.filter(|directive| !directive.strategies.is_empty()) {
            merged.push(self.by_strategy(&distinct, federation));
            self.hint_strategies(element, found, federation);
        } else {
            // The first of those that most subgraphs have: `max_by_key` would take the last.
            let most = distinct.iter().map(|(.., count)| *count).max().unwrap_or_default();
            let winner = distinct.iter().find(|(.., count)| *count == most).map_or(first, |(_, directive, _)| *directive);
            merged.push(winner.clone());
            self.hint_majority(element, found, winner);
        }
    }

    fn definition(&self, graph: Graph, name: &str) -> Option<&'a DirectiveDefinition> {
        self.subgraphs.get(graph)?.schema.directive_definitions.get(name).map(|definition| definition.as_ref())
    }

    /// Contexts of different subgraphs are different contexts: their names are prefixed.
    fn transform(&self, graph: Graph, directive: &Node<Directive>, federation: Option<&SpecDirective>) -> Node<Directive> {
        if federation.is_none_or(|federation| federation.name != "context") {
            return directive.clone();
        }
        let context = values::written(directive, "name").and_then(|value| values::text(value)).unwrap_or_default();
        let context = format!("{}__{context}", self.diagnoses.name(graph));
        values::application(directive.name.clone(), vec![(name!("name"), values::string(context))])
    }

    fn by_strategy(&self, distinct: &[(Graph, &'a Node<Directive>, usize)], federation: &SpecDirective) -> Node<Directive> {
        let name = distinct.first().map_or(name!("_"), |(_, directive, _)| directive.name.clone());
        let mut arguments = Vec::new();
        for (argument, strategy) in federation.strategies {
            let given: Vec<&Node<Value>> = distinct
                .iter()
                .filter_map(|(graph, directive, _)| {
                    values::effective(directive, self.definition(*graph, &directive.name), argument)
                })
                .collect();
            if let (Some(value), Ok(name)) = (strategy.merge(&given), Name::new(argument)) {
                arguments.push(Node::new(Argument { name, value }));
            }
        }
        Node::new(Directive { name, arguments })
    }

    fn hint_strategies(&mut self, element: &dyn Fn() -> String, found: &Applications<'a>, federation: &SpecDirective) {
        let rules: Vec<String> =
            federation.strategies.iter().map(|(argument, strategy)| format!("{argument}: {}", strategy.name())).collect();
        let message = format!(
            "@{} is applied to \"{}\" with different arguments; they are merged ({}).",
            federation.name,
            element(),
            rules.join(", ")
        );
        self.diagnoses.hint("MERGED_NON_REPEATABLE_DIRECTIVE_ARGUMENTS", message, &places(found));
    }

    fn hint_majority(&mut self, element: &dyn Fn() -> String, found: &Applications<'a>, winner: &Node<Directive>) {
        let distribution = self.diagnoses.distribution(found.iter().map(|(graph, directive)| (*graph, directive.to_string())));
        let message = format!(
            "\"{}\" has {distribution}; the supergraph takes {winner}. Apply it with the same arguments everywhere.",
            element()
        );
        self.diagnoses.hint("INCONSISTENT_NON_REPEATABLE_DIRECTIVE_ARGUMENTS", message, &places(found));
    }

    /// What is carried along as `@join__directive`: everything of the connect specification, and what `features` says.
    pub(crate) fn join_directives(
        &self,
        sources: impl Iterator<Item = (Graph, Vec<&'a Node<Directive>>)>,
    ) -> Vec<Node<Directive>> {
        let mut joined: Vec<Joined<'a>> = Vec::new();
        let mut known: FxHashMap<(String, String), usize> = FxHashMap::default();
        for (graph, directives) in sources {
            for directive in directives {
                let Some(name) = self.joined_name(graph, directive) else { continue };
                let key = (name, values::key_of(directive, None));
                let next = joined.len();
                let at = *known.entry(key.clone()).or_insert(next);
                match joined.get_mut(at) {
                    Some(other) => other.graphs.push(graph),
                    None => joined.push(Joined { name: key.0, directive, graphs: vec![graph] }),
                }
            }
        }
        joined.iter().map(|joined| self.join_directive(joined)).collect()
    }

    /// The name under which an application is carried along, if it is.
    fn joined_name(&self, graph: Graph, directive: &Node<Directive>) -> Option<String> {
        let links = &self.subgraphs.get(graph)?.links;
        let is_link_to_connect = links.by_identity(link::CONNECT).is_some_and(|link| link.directive.as_ref() == Some(directive));
        let origin = links.origin_of_directive(&directive.name);
        if is_link_to_connect || origin.is_some_and(|origin| origin.link.identity == link::CONNECT) {
            return Some(directive.name.to_string());
        }
        if !self.features.is_joined(&directive.name) {
            return None;
        }
        Some(match origin.and_then(|origin| Some((origin.link, origin.name?))) {
            Some((link, name)) if link.name != name => format!("{}__{name}", link.name),
            Some((_, name)) => name.to_owned(),
            None => directive.name.to_string(),
        })
    }

    fn join_directive(&self, joined: &Joined<'a>) -> Node<Directive> {
        let graphs = joined.graphs.iter().filter_map(|graph| self.merged.graphs.get(*graph));
        let graphs = graphs.map(|graph| Node::new(Value::Enum(graph.value.clone()))).collect();
        let arguments =
            joined.directive.arguments.iter().map(|argument| (argument.name.clone(), argument.value.clone())).collect();
        values::application(
            name!("join__directive"),
            vec![
                (name!("graphs"), Node::new(Value::List(graphs))),
                (name!("name"), values::string(joined.name.clone())),
                (name!("args"), Node::new(Value::Object(arguments))),
            ],
        )
    }
}

struct Joined<'a> {
    name: String,
    directive: &'a Node<Directive>,
    graphs: Vec<Graph>,
}

fn places(found: &Applications<'_>) -> Vec<super::diagnose::At> {
    found.iter().map(|(graph, directive)| (*graph, directive.location())).collect()
}
