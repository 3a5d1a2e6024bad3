//! Enum types, by use: all values where the enum is only read, the common ones where it is only given, the same ones where both.
//!
//! Runs last, when every use is known.

use super::merge::Merger;
use super::merged::{Graph, Map, MergedValue};
use super::objects::places;
use super::sources::TypeSources;
use apollo_compiler::Name;
use apollo_compiler::ast::EnumValueDefinition;
use apollo_compiler::schema::{Component, ExtendedType};

/// Where an element uses an enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// As the type of an argument or input field.
    Input,
    /// As the type of a field.
    Output,
}

/// How an enum is used, with an example of each use.
#[derive(Default)]
pub(crate) struct EnumUse {
    input: Option<String>,
    output: Option<String>,
}

impl EnumUse {
    /// Records a use.
    pub(crate) fn add(&mut self, position: Position, coordinate: &dyn Fn() -> String) {
        let example = match position {
            Position::Input => &mut self.input,
            Position::Output => &mut self.output,
        };
        example.get_or_insert_with(coordinate);
    }
}

/// One value in the subgraphs that define it.
type ValueSources<'a> = Vec<(Graph, &'a Component<EnumValueDefinition>)>;

impl<'a> Merger<'a> {
    /// Merges an enum type.
    pub(crate) fn merge_enum(&mut self, name: &Name, sources: &TypeSources<'a>) {
        let usage = self.enum_uses.remove(name);
        if usage.is_none() {
            let message =
                format!("Enum \"{name}\" is used nowhere; the supergraph has all its values. Remove it if nothing needs it.");
            self.diagnoses.hint("UNUSED_ENUM_TYPE", message, &places(sources));
        }
        let usage = usage.unwrap_or_default();
        let mut values: Map<&'a Name, ValueSources<'a>> = Map::default();
        for (graph, definition) in &sources.definitions {
            let ExtendedType::Enum(ty) = definition else { continue };
            for value in ty.values.values() {
                values.entry(&value.value).or_default().push((*graph, value));
            }
        }
        let mut merged = Map::default();
        for (value, value_sources) in &values {
            if let Some(kept) = self.merge_value(name, value, sources, value_sources, &usage) {
                merged.insert((*value).clone(), kept);
            }
        }
        if merged.is_empty() {
            let message = format!(
                "Enum \"{name}\" has no value that every subgraph defining it has, so nothing is left of it. Give it a common value."
            );
            self.diagnoses.error("EMPTY_MERGED_ENUM_TYPE", message, &places(sources));
        }
        if let Some(ty) = self.merged.types.get_mut(name) {
            ty.values = merged;
        }
    }

    fn merge_value(
        &mut self,
        name: &Name,
        value: &Name,
        sources: &TypeSources<'a>,
        value_sources: &ValueSources<'a>,
        usage: &EnumUse,
    ) -> Option<MergedValue> {
        let coordinate = || format!("{name}.{value}");
        let described = value_sources.iter().map(|(graph, value)| (*graph, value.description.as_ref(), value.location()));
        let description = self.merge_description(|| format!("Enum value \"{name}.{value}\""), described);
        let found = self.mergeable(
            value_sources.iter().flat_map(|(graph, value)| value.directives.iter().map(|directive| (*graph, directive))),
        );
        let is_inaccessible = found.iter().any(|(_, directive)| Some(&directive.name) == self.features.inaccessible.as_ref());
        let applied = self.merge_applied(&coordinate, found);
        let joins = value_sources.iter().map(|(graph, _)| *graph).collect();
        let is_partial = value_sources.len() < sources.definitions.len();
        // A value marked @inaccessible may be missing anywhere: clients never see it.
        let is_kept = !is_partial || self.keeps_partial_value(name, value, sources, value_sources, (usage, is_inaccessible));
        is_kept.then_some(MergedValue { description, applied, joins })
    }

    /// Decides about a value that some subgraph lacks, and says so.
    fn keeps_partial_value(
        &mut self,
        name: &Name,
        value: &Name,
        sources: &TypeSources<'a>,
        value_sources: &ValueSources<'a>,
        (usage, is_inaccessible): (&EnumUse, bool),
    ) -> bool {
        let has = |graph: Graph| value_sources.iter().any(|(other, _)| *other == graph);
        let with = self.diagnoses.names(value_sources.iter().map(|(graph, _)| *graph));
        let without = self.diagnoses.names(sources.definitions.iter().map(|(graph, _)| *graph).filter(|graph| !has(*graph)));
        let at = places(sources);
        match (&usage.input, &usage.output) {
            (None, _) => {
                let message = format!("Enum value \"{name}.{value}\" is in {with} but not in {without}; the supergraph has it.");
                self.diagnoses.hint("INCONSISTENT_ENUM_VALUE_FOR_OUTPUT_ENUM", message, &at);
                true
            }
            _ if is_inaccessible => true,
            (Some(_), None) => {
                let message = format!(
                    "Enum value \"{name}.{value}\" is left out: it is in {with} but not in {without}, and the enum is an input."
                );
                self.diagnoses.hint("INCONSISTENT_ENUM_VALUE_FOR_INPUT_ENUM", message, &at);
                false
            }
            (Some(input), Some(output)) => {
                let message = format!(
                    "Enum value \"{name}.{value}\" is in {with} but not in {without}, and the enum is both input (\"{input}\") and output (\"{output}\"). Add the value everywhere, or mark it @inaccessible until it is."
                );
                self.diagnoses.error("ENUM_VALUE_MISMATCH", message, &at);
                true
            }
        }
    }
}
