//! `fields` arguments that are lists of strings or names without quotes, which Federation 1 accepted.

use super::edit;
use crate::subgraph::facts::{Facts, fields_of};
use crate::subgraph::{FederationDirective, Subgraph};
use apollo_compiler::ast::{Directive, Value};
use apollo_compiler::{Name, Node};

/// Rewrites them as strings.
pub fn to_strings(subgraph: &mut Subgraph) {
    let names = [FederationDirective::Key, FederationDirective::Requires, FederationDirective::Provides];
    let names: Vec<Name> = names.into_iter().filter_map(|directive| subgraph.directive(directive).cloned()).collect();
    let needs_change = |directive: &Directive| names.contains(&directive.name) && text(directive).is_some();
    let (mut types, mut fields) = (Vec::new(), Vec::new());
    for (name, definition) in &subgraph.schema.types {
        if definition.directives().iter().any(|directive| needs_change(directive)) {
            types.push(name.clone());
        }
        for field in fields_of(definition).into_iter().flat_map(|fields| fields.values()) {
            if field.directives.iter().any(|directive| needs_change(directive)) {
                fields.push((name.clone(), field.name.clone()));
            }
        }
    }
    for name in &types {
        for directive in edit::type_directives_mut(&mut subgraph.schema, name).into_iter().flatten() {
            rewrite(&mut directive.node, &names);
        }
    }
    for (parent, field) in &fields {
        let Some(field) = edit::field_mut(&mut subgraph.schema, parent, field) else { continue };
        field.make_mut().directives.0.iter_mut().for_each(|directive| rewrite(directive, &names));
    }
    if !(types.is_empty() && fields.is_empty()) {
        subgraph.facts = Facts::of(&subgraph.schema, &subgraph.names, true);
    }
}

fn rewrite(directive: &mut Node<Directive>, names: &[Name]) {
    if !names.contains(&directive.name) {
        return;
    }
    let Some(text) = text(directive) else { return };
    for argument in directive.make_mut().arguments.iter_mut().filter(|argument| argument.name == "fields") {
        argument.make_mut().value = Node::new(Value::String(text.clone()));
    }
}

/// The string that the argument stands for, if it is not one already.
fn text(directive: &Directive) -> Option<String> {
    match directive.specified_argument_by_name("fields")?.as_ref() {
        Value::Enum(name) => Some(name.to_string()),
        Value::List(items) => {
            let words: Option<Vec<&str>> = items
                .iter()
                .map(|item| match item.as_ref() {
                    Value::String(text) => Some(text.as_str()),
                    Value::Enum(name) => Some(name.as_str()),
                    _ => None,
                })
                .collect();
            Some(words?.join(" "))
        }
        _ => None,
    }
}
