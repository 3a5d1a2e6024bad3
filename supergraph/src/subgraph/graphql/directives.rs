//! Whether applied directives exist, stand where they may, are repeated only if repeatable, and have the arguments that they need.
//!
//! Spec: <https://spec.graphql.org/draft/#sec-Validation.Directives>

use super::{Violations, values};
use crate::subgraph::element::{self, Element};
use crate::subgraph::suggest::did_you_mean;
use apollo_compiler::ast::Type;
use apollo_compiler::schema::{Directive, DirectiveDefinition, ExtendedType};
use apollo_compiler::{Name, Node, Schema};
use rustc_hash::{FxHashMap, FxHashSet};

/// Reports unknown directives on the schema itself.
pub fn unknown_on_schema(schema: &Schema, found: &mut Violations) {
    check_known(schema, Element::Schema(schema), found);
}

/// Reports unknown directives on everything but the schema itself.
pub fn unknown(schema: &Schema, found: &mut Violations) {
    element::visit(schema, &mut |element| {
        if !matches!(element, Element::Schema(_)) {
            check_known(schema, element, found);
        }
    });
}

fn check_known(schema: &Schema, element: Element<'_>, found: &mut Violations) {
    for directive in element.directives().filter(|directive| !schema.directive_definitions.contains_key(&directive.name)) {
        let name = &directive.name;
        let known = schema.directive_definitions.keys().map(Name::as_str).filter(|_| found.wants_hints());
        let hint = did_you_mean(name, known.filter(|known| !known.contains("__") || name.contains("__")));
        let hint = if hint.is_empty() { federation_hint(schema, name) } else { hint };
        found.push(format!("The directive \"@{name}\" on \"{element}\" is not defined.{hint}"), directive.location());
    }
}

/// What to do about a federation directive that is not imported.
fn federation_hint(schema: &Schema, name: &str) -> String {
    let Some(directive) = crate::subgraph::FederationDirective::ALL.into_iter().find(|directive| directive.name() == name) else {
        return " Define it, or import it with @link.".to_owned();
    };
    let since = directive.since();
    if schema.directive_definitions.keys().any(|known| known.ends_with(&format!("__{name}"))) {
        return format!(" Add \"@{name}\" to the \"import\" of the @link to the federation specification.");
    }
    format!(" It is part of the federation specification since {since}: link that version or a later one and import \"@{name}\".")
}

/// Checks every application of a known directive.
pub fn check(schema: &Schema, found: &mut Violations) {
    element::visit(schema, &mut |element| {
        let mut seen: FxHashSet<&Name> = FxHashSet::default();
        for directive in element.directives() {
            let Some(definition) = schema.directive_definitions.get(&directive.name) else { continue };
            check_application(schema, element, directive, definition, found);
            let is_first = seen.insert(&directive.name);
            if !definition.repeatable && !is_first {
                let message =
                    format!("The directive \"@{}\" is applied twice to \"{element}\", but it is not repeatable.", directive.name);
                found.push(message, directive.location());
            }
        }
    });
}

fn is_scalar(schema: &Schema, ty: &Type) -> bool {
    matches!(schema.types.get(ty.inner_named_type()), Some(ExtendedType::Scalar(scalar)) if !scalar.is_built_in())
}

fn check_application(
    schema: &Schema,
    element: Element<'_>,
    directive: &Node<Directive>,
    definition: &DirectiveDefinition,
    found: &mut Violations,
) {
    let name = &directive.name;
    if !definition.locations.contains(&element.kind()) {
        let locations: Vec<String> = definition.locations.iter().map(ToString::to_string).collect();
        let message =
            format!("The directive \"@{name}\" cannot be applied to \"{element}\": it is only for {}.", locations.join(", "));
        found.push(message, directive.location());
    }
    let known: FxHashMap<&str, _> = definition.arguments.iter().map(|argument| (argument.name.as_str(), &argument.ty)).collect();
    let mut given: FxHashSet<&str> = FxHashSet::default();
    for argument in &directive.arguments {
        if !given.insert(&argument.name) {
            let message = format!("The directive \"@{name}\" on \"{element}\" has the argument \"{}\" twice.", argument.name);
            found.push(message, argument.location());
        }
        match known.get(argument.name.as_str()) {
            None => {
                let hint = did_you_mean(&argument.name, definition.arguments.iter().map(|argument| argument.name.as_str()));
                found.push(
                    format!("The directive \"@{name}\" on \"{element}\" has no argument \"{}\".{hint}", argument.name),
                    argument.location(),
                );
            }
            // Federation's own rules tell that its field sets must be strings, with a code of their own.
            Some(expected) if argument.value.is_null() && argument.name == "fields" && is_scalar(schema, expected) => {}
            Some(expected) if !values::fits(schema, &argument.value, expected) => {
                let message = format!(
                    "The value {} of \"@{name}({}:)\" on \"{element}\" is no value of its type \"{}\".",
                    argument.value.serialize().no_indent(),
                    argument.name,
                    expected
                );
                found.push(message, argument.location());
            }
            Some(_) => {}
        }
    }
    for missing in definition.arguments.iter().filter(|argument| argument.is_required()) {
        if !given.contains(missing.name.as_str()) {
            found.push(
                format!("The directive \"@{name}\" on \"{element}\" lacks its required argument \"{}\".", missing.name),
                directive.location(),
            );
        }
    }
}
