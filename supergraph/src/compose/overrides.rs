//! `@override`: which definitions are taken over by another subgraph, entirely or under a label.
//!
//! Relied on by `objects`, `interfaces`, `fields` and `sharing`.
//! Spec: <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/directives#override>

use super::merge::Merger;
use super::merged::{Graph, Kind};
use super::sources::{FieldSource, FieldSources};
use crate::subgraph::Override;
use apollo_compiler::Name;

const COLLISION: &str = "OVERRIDE_COLLISION_WITH_ANOTHER_DIRECTIVE";

/// What `@override` makes of one subgraph's definition.
#[derive(Clone, Default)]
pub(crate) struct State {
    /// Taken over, but still needed by the subgraph's field sets or interfaces.
    pub is_used: bool,
    /// Taken over and not needed any more.
    pub is_unused: bool,
    /// The label under which it overrides or is overridden.
    pub label: Option<String>,
    /// Overrides a subgraph that does not exist.
    pub has_unknown_source: bool,
}

/// What `@override` makes of the definitions of one field.
#[derive(Default)]
pub(crate) struct Overrides {
    states: Vec<(Graph, State)>,
}

impl Overrides {
    /// The state of one subgraph's definition.
    pub(crate) fn of(&self, graph: Graph) -> State {
        self.states.iter().find(|(other, _)| *other == graph).map(|(_, state)| state.clone()).unwrap_or_default()
    }

    /// Whether no definition is taken over and none has a label.
    pub(crate) fn is_empty(&self) -> bool {
        self.states.iter().all(|(_, state)| !state.is_used && !state.is_unused && state.label.is_none())
    }

    fn change(&mut self, graph: Graph, change: impl FnOnce(&mut State)) {
        if let Some((_, state)) = self.states.iter_mut().find(|(other, _)| *other == graph) {
            change(state);
        } else {
            let mut state = State::default();
            change(&mut state);
            self.states.push((graph, state));
        }
    }
}

impl<'a> Merger<'a> {
    /// Reads and checks the `@override`s of one field.
    pub(crate) fn overrides(&mut self, parent: &Name, sources: &FieldSources<'a>) -> Overrides {
        let mut overrides = Overrides::default();
        for source in &sources.definitions {
            if let Some(declared) = &source.facts.overrides {
                self.read_override(parent, source, declared, sources, &mut overrides);
            }
        }
        overrides
    }

    fn read_override(
        &mut self,
        parent: &Name,
        source: &FieldSource<'a>,
        declared: &Override,
        sources: &FieldSources<'a>,
        overrides: &mut Overrides,
    ) {
        let coordinate = format!("{parent}.{}", source.definition.name);
        let owner = self.diagnoses.name(source.graph);
        let at = [(source.graph, declared.directive.location())];
        if self.merged.types.get(parent).is_some_and(|ty| ty.kind == Kind::Interface) {
            let is_object = self.subgraphs.get(source.graph).is_some_and(|subgraph| subgraph.is_interface_object(parent));
            let (code, what) =
                if is_object { (COLLISION, "an @interfaceObject") } else { ("OVERRIDE_ON_INTERFACE", "an interface") };
            let message = format!(
                "@override on \"{coordinate}\" in subgraph \"{owner}\": fields of {what} cannot be overridden. Override the fields of the implementations."
            );
            return self.diagnoses.error(code, message, &at);
        }
        let from = &declared.from;
        let Some(from_graph) = self.subgraphs.iter().position(|subgraph| subgraph.name == *from) else {
            overrides.change(source.graph, |state| state.has_unknown_source = true);
            let message = format!(
                "\"{coordinate}\" in subgraph \"{owner}\" overrides subgraph \"{from}\", which does not exist. Correct the name or remove @override."
            );
            return self.diagnoses.hint("FROM_SUBGRAPH_DOES_NOT_EXIST", message, &at);
        };
        if from_graph == source.graph {
            let message = format!(
                "\"{coordinate}\" in subgraph \"{owner}\" overrides itself. Name the subgraph it is taken from, or remove @override."
            );
            return self.diagnoses.error("OVERRIDE_FROM_SELF_ERROR", message, &at);
        }
        if let Some(target) = sources.of(from_graph) {
            if target.facts.overrides.is_some() {
                let message = format!(
                    "\"{coordinate}\" in subgraph \"{owner}\" overrides subgraph \"{from}\", which overrides the field itself. Only one of them can have @override."
                );
                return self.diagnoses.error("OVERRIDE_SOURCE_HAS_OVERRIDE", message, &at);
            }
            return self.take_over(&coordinate, source, declared, target, overrides);
        }
        if let Some(abstracted) = sources.abstracted.iter().find(|other| other.graph == from_graph) {
            let message = format!(
                "\"{coordinate}\" in subgraph \"{owner}\" overrides subgraph \"{from}\", which has it only through the @interfaceObject \"{}\". Such fields cannot be overridden.",
                abstracted.parent
            );
            return self.diagnoses.error(COLLISION, message, &at);
        }
        let message = format!(
            "\"{coordinate}\" in subgraph \"{owner}\" overrides nothing: subgraph \"{from}\" has no such field. @override can be removed."
        );
        self.diagnoses.hint("OVERRIDE_DIRECTIVE_CAN_BE_REMOVED", message, &at);
    }

    fn take_over(
        &mut self,
        coordinate: &str,
        source: &FieldSource<'a>,
        declared: &Override,
        target: &FieldSource<'a>,
        overrides: &mut Overrides,
    ) {
        let owner = self.diagnoses.name(source.graph);
        let from = &declared.from;
        let at = [(source.graph, declared.directive.location())];
        let collision = match target.facts {
            facts if facts.requires.is_some() => Some(("@requires", from.as_str())),
            facts if facts.provides.is_some() => Some(("@provides", from.as_str())),
            _ if source.facts.is_external => Some(("@external", owner)),
            _ => None,
        };
        if let Some((directive, where_)) = collision {
            let message = format!(
                "\"{coordinate}\" cannot be overridden in subgraph \"{owner}\": it has {directive} in subgraph \"{where_}\". Remove one of them."
            );
            return self.diagnoses.error(COLLISION, message, &at);
        }
        if target.facts.is_external {
            let message = format!(
                "\"{coordinate}\" in subgraph \"{owner}\" overrides subgraph \"{from}\", where it is @external anyway. @override can be removed."
            );
            self.diagnoses.hint("OVERRIDE_DIRECTIVE_CAN_BE_REMOVED", message, &at);
        } else {
            let is_used = target.facts.is_used;
            overrides.change(target.graph, |state| if is_used { state.is_used = true } else { state.is_unused = true });
            if declared.label.is_none() {
                let advice = if is_used {
                    "mark it @external there, or remove it with the field sets that use it"
                } else {
                    "remove it there"
                };
                let message = format!("\"{coordinate}\" of subgraph \"{from}\" is overridden by subgraph \"{owner}\": {advice}.");
                self.diagnoses.hint("OVERRIDDEN_FIELD_CAN_BE_REMOVED", message, &[target.at()]);
            }
        }
        if let Some(label) = &declared.label {
            self.read_label(coordinate, label, source, target, overrides);
        }
    }

    fn read_label(
        &mut self,
        coordinate: &str,
        label: &str,
        source: &FieldSource<'a>,
        target: &FieldSource<'a>,
        overrides: &mut Overrides,
    ) {
        if is_label(label) {
            for graph in [source.graph, target.graph] {
                overrides.change(graph, |state| state.label = Some(label.to_owned()));
            }
        } else {
            let message = format!(
                "The label \"{label}\" of @override on \"{coordinate}\" in subgraph \"{}\" is invalid. Start it with a letter and use letters, digits and \"_-:./\", or write percent(x) with x from 0 to 100.",
                self.diagnoses.name(source.graph)
            );
            self.diagnoses.error("OVERRIDE_LABEL_INVALID", message, &[source.at()]);
        }
        let message = format!(
            "\"{coordinate}\" is moving from subgraph \"{}\" to \"{}\" under the label \"{label}\". Remove it there when the move is done.",
            self.diagnoses.name(target.graph),
            self.diagnoses.name(source.graph)
        );
        self.diagnoses.hint("OVERRIDE_MIGRATION_IN_PROGRESS", message, &[target.at()]);
    }
}

/// A name, or `percent(x)` with x from 0 to 100 and at most eight decimals.
fn is_label(label: &str) -> bool {
    let is_name = label.starts_with(|first: char| first.is_ascii_alphabetic())
        && label.chars().all(|character| character.is_ascii_alphanumeric() || "_-:./".contains(character));
    is_name || label.strip_prefix("percent(").and_then(|rest| rest.strip_suffix(')')).is_some_and(is_percentage)
}

fn is_percentage(text: &str) -> bool {
    let is_digits =
        |text: &str, most: usize| !text.is_empty() && text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('.') {
        _ if text == "100" => true,
        None => is_digits(text, 2),
        Some((whole, decimals)) => is_digits(whole, 2) && is_digits(decimals, 8),
    }
}

#[cfg(test)]
mod tests {
    use super::is_label;

    #[test]
    fn labels_are_names_or_percentages() {
        for label in ["a", "foo_bar-1:2.3/4", "percent(0)", "percent(100)", "percent(99.12345678)"] {
            assert!(is_label(label), "{label}");
        }
        for label in ["", "1a", "_a", "percent(101)", "percent(100.0)", "percent(1.123456789)", "percent()", "percent(.5)", "a b"]
        {
            assert!(!is_label(label), "{label}");
        }
    }
}
