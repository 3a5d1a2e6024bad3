//! The type of a field or argument: the common supertype where it is read, the strictest where it is given; and defaults.
//!
//! Relies on `subtypes`; records how enums are used. Relied on by `fields`, `arguments` and `inputs`.

use super::diagnose::At;
use super::enums::Position;
use super::merge::Merger;
use super::merged::{Graph, Kind};
use super::subtypes;
use super::values;
use apollo_compiler::Node;
use apollo_compiler::ast::{Type, Value};
use apollo_compiler::parser::SourceSpan;

/// The type that one subgraph gives an element.
#[derive(Clone, Copy)]
pub(crate) struct TypeSource<'t> {
    /// The subgraph.
    pub graph: Graph,
    /// The type.
    pub ty: &'t Type,
    /// Where it stands.
    pub location: Option<SourceSpan>,
}

/// The default that one subgraph gives an element, and where it stands.
pub(crate) type DefaultSource<'t> = (Graph, Option<&'t Node<Value>>, Option<SourceSpan>);

/// What kind of element has the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    /// A field of an object or interface.
    Field,
    /// A field of an input object.
    InputField,
    /// An argument of a field or directive.
    Argument,
}

impl Merger<'_> {
    /// Merges the types that subgraphs give an element. Returns the type and whether all were equal.
    pub(crate) fn merge_types(
        &mut self,
        element: Element,
        coordinate: &dyn Fn() -> String,
        sources: &[TypeSource<'_>],
    ) -> Option<(Type, bool)> {
        let is_input = element != Element::Field;
        let mut merged = sources.first()?.ty;
        let (mut is_equal, mut is_compatible) = (true, true);
        for source in sources.iter().skip(1) {
            if source.ty == merged {
                continue;
            }
            is_equal = false;
            if subtypes::is_strict_subtype(&self.merged.types, merged, source.ty) {
                merged = if is_input { source.ty } else { merged };
            } else if subtypes::is_strict_subtype(&self.merged.types, source.ty, merged) {
                merged = if is_input { merged } else { source.ty };
            } else {
                is_compatible = false;
            }
        }
        let base = merged.inner_named_type();
        if self.merged.types.get(base).is_some_and(|ty| ty.kind == Kind::Enum) {
            let position = if is_input { Position::Input } else { Position::Output };
            self.enum_uses.entry(base.clone()).or_default().add(position, coordinate);
        }
        if !is_equal {
            self.say_types_differ(element, &coordinate(), merged, sources, is_compatible);
        }
        Some((merged.clone(), is_equal))
    }

    fn say_types_differ(
        &mut self,
        element: Element,
        coordinate: &str,
        merged: &Type,
        sources: &[TypeSource<'_>],
        is_compatible: bool,
    ) {
        let what = if element == Element::Argument { "argument" } else { "field" };
        let distribution = self.diagnoses.distribution(sources.iter().map(|source| (source.graph, format!("\"{}\"", source.ty))));
        let at: Vec<At> = sources.iter().map(|source| (source.graph, source.location)).collect();
        if is_compatible {
            let code = if element == Element::Argument {
                "INCONSISTENT_BUT_COMPATIBLE_ARGUMENT_TYPE"
            } else {
                "INCONSISTENT_BUT_COMPATIBLE_FIELD_TYPE"
            };
            let message = format!(
                "The {what} \"{coordinate}\" has different but compatible types: {distribution}; the supergraph uses \"{merged}\"."
            );
            self.diagnoses.hint(code, message, &at);
        } else {
            let code = if element == Element::Argument { "FIELD_ARGUMENT_TYPE_MISMATCH" } else { "FIELD_TYPE_MISMATCH" };
            let message = format!(
                "The {what} \"{coordinate}\" has types that do not fit together: {distribution}. Give it the same type everywhere."
            );
            self.diagnoses.error(code, message, &at);
        }
    }

    /// Merges the defaults of an input element: the same everywhere, or none.
    pub(crate) fn merge_defaults(
        &mut self,
        element: Element,
        coordinate: &dyn Fn() -> String,
        given: &[DefaultSource<'_>],
    ) -> Option<Node<Value>> {
        let first = given.iter().find_map(|(_, default, _)| *default)?;
        let all_have_one = given.iter().all(|(_, default, _)| default.is_some());
        let all_equal = given.iter().filter_map(|(_, default, _)| *default).all(|default| values::same(default, first));
        if all_have_one && all_equal {
            return Some(first.clone());
        }
        let what = if element == Element::Argument { "argument" } else { "input field" };
        let text = |default: Option<&Node<Value>>| default.map_or("no default".to_owned(), |value| format!("default {value}"));
        let distribution = self.diagnoses.distribution(given.iter().map(|(graph, default, _)| (*graph, text(*default))));
        let at: Vec<At> = given.iter().map(|(graph, _, location)| (*graph, *location)).collect();
        if all_equal {
            let message = format!(
                "The {what} \"{}\" has {distribution}; the supergraph has none. Give it the default everywhere.",
                coordinate()
            );
            self.diagnoses.hint("INCONSISTENT_DEFAULT_VALUE_PRESENCE", message, &at);
        } else {
            let code =
                if element == Element::Argument { "FIELD_ARGUMENT_DEFAULT_MISMATCH" } else { "INPUT_FIELD_DEFAULT_MISMATCH" };
            let message = format!(
                "The {what} \"{}\" has different defaults: {distribution}. Give it the same default everywhere.",
                coordinate()
            );
            self.diagnoses.error(code, message, &at);
        }
        None
    }
}
