//! The join specification's directives as typed values.
//!
//! Relied on by the other files of `read`; relies on the names that the SDL gives the directives.
//! Spec: <https://specs.apollo.dev/join/v0.3/>

use apollo_compiler::ast::{Directive, DirectiveList, Value};
use apollo_compiler::{Name, Node};

/// `@join__type`
pub(super) struct JoinType<'a> {
    pub graph: &'a Name,
    pub key: Option<&'a str>,
    pub resolvable: bool,
    pub extension: bool,
    pub interface_object: bool,
}

/// `@join__field`
pub(super) struct JoinField<'a> {
    pub graph: Option<&'a Name>,
    pub requires: Option<&'a str>,
    pub provides: Option<&'a str>,
    pub ty: Option<&'a str>,
    pub external: bool,
    pub override_from: Option<&'a str>,
    pub used_overridden: bool,
    pub override_label: Option<&'a str>,
    pub context_arguments: Vec<JoinContextArgument<'a>>,
}

/// One of `@join__field(contextArguments:)`.
pub(super) struct JoinContextArgument<'a> {
    pub context: &'a str,
    pub name: &'a str,
    pub ty: &'a str,
    pub selection: &'a str,
}

/// Every `@join__type` of a type.
pub(super) fn types<'a>(directives: &'a DirectiveList, name: &'a str) -> impl Iterator<Item = JoinType<'a>> {
    directives.get_all(name).filter_map(|directive| {
        Some(JoinType {
            graph: name_of(directive, "graph")?,
            key: text(directive, "key"),
            resolvable: flag(directive, "resolvable", true),
            extension: flag(directive, "extension", false),
            interface_object: flag(directive, "isInterfaceObject", false),
        })
    })
}

/// Every `@join__field` of a field.
pub(super) fn fields<'a>(directives: &'a DirectiveList, name: &'a str) -> impl Iterator<Item = JoinField<'a>> {
    directives.get_all(name).map(|directive| JoinField {
        graph: name_of(directive, "graph"),
        requires: text(directive, "requires"),
        provides: text(directive, "provides"),
        ty: text(directive, "type"),
        external: flag(directive, "external", false),
        override_from: text(directive, "override"),
        used_overridden: flag(directive, "usedOverridden", false),
        override_label: text(directive, "overrideLabel"),
        context_arguments: context_arguments(directive),
    })
}

/// Pairs of a subgraph's graph value and a name, as in `@join__implements(graph:, interface:)`.
pub(super) fn pairs<'a>(
    directives: &'a DirectiveList,
    name: &'a str,
    argument: &'a str,
) -> impl Iterator<Item = (&'a Name, &'a str)> {
    directives.get_all(name).filter_map(move |directive| Some((name_of(directive, "graph")?, text(directive, argument)?)))
}

/// The `graph` argument of a directive.
pub(super) fn graph(directive: &Directive) -> Option<&Name> {
    name_of(directive, "graph")
}

/// A string argument of a directive.
pub(super) fn text<'a>(directive: &'a Directive, argument: &str) -> Option<&'a str> {
    directive.specified_argument_by_name(argument)?.as_str()
}

fn name_of<'a>(directive: &'a Directive, argument: &str) -> Option<&'a Name> {
    directive.specified_argument_by_name(argument)?.as_enum()
}

fn flag(directive: &Directive, argument: &str, default: bool) -> bool {
    directive.specified_argument_by_name(argument).and_then(|value| value.to_bool()).unwrap_or(default)
}

fn context_arguments(directive: &Directive) -> Vec<JoinContextArgument<'_>> {
    let list = directive.specified_argument_by_name("contextArguments").and_then(|value| value.as_list());
    list.unwrap_or_default().iter().filter_map(|value| context_argument(value)).collect()
}

fn context_argument(value: &Value) -> Option<JoinContextArgument<'_>> {
    let object: &[(Name, Node<Value>)] = value.as_object()?;
    let part = |key: &str| object.iter().find(|(name, _)| name == key).and_then(|(_, value)| value.as_str());
    Some(JoinContextArgument { context: part("context")?, name: part("name")?, ty: part("type")?, selection: part("selection")? })
}
