//! `@listSize`: on lists, or naming the lists inside; slicing arguments exist and are integers; no negative size.
//!
//! Spec: <https://ibm.github.io/graphql-specs/cost-spec.html#sec-The-List-Size-Directive>

use crate::diagnostics::Diagnostic;
use crate::subgraph::{FederationDirective, Subgraph, facts};
use apollo_compiler::ast::{Type, Value};
use apollo_compiler::schema::{Component, Directive, ExtendedType, FieldDefinition};
use apollo_compiler::{Name, Node};

/// Reports the applications that break the rule.
pub fn check(subgraph: &Subgraph, errors: &mut Vec<Diagnostic>) {
    let Some(list_size) = subgraph.directive(FederationDirective::ListSize) else { return };
    for (parent, definition) in &subgraph.schema.types {
        for field in facts::fields_of(definition).into_iter().flat_map(|fields| fields.values()) {
            for directive in field.directives.iter().filter(|directive| directive.name == *list_size) {
                check_application(subgraph, (parent, field), directive, errors);
            }
        }
    }
}

fn check_application(
    subgraph: &Subgraph,
    (parent, field): (&Name, &Component<FieldDefinition>),
    directive: &Node<Directive>,
    errors: &mut Vec<Diagnostic>,
) {
    let coordinate = format!("{parent}.{}", field.name);
    let mut refuse = |code: &'static str, message: String| errors.push(subgraph.error(code, &message, directive.location()));
    let sized_fields = strings(directive, "sizedFields");
    if sized_fields.is_empty() && !is_list(&field.ty) {
        refuse(
            "LIST_SIZE_APPLIED_TO_NON_LIST",
            format!(
                "The field \"{coordinate}\" has @listSize but is no list. Name its list fields in \"sizedFields\", or remove the directive."
            ),
        );
    }
    if directive.specified_argument_by_name("assumedSize").and_then(|value| value.to_f64()).is_some_and(|size| size < 0.0) {
        refuse(
            "LIST_SIZE_INVALID_ASSUMED_SIZE",
            format!("The \"assumedSize\" of \"{coordinate}\" is negative. Give the expected number of items."),
        );
    }
    for name in strings(directive, "slicingArguments") {
        let code = "LIST_SIZE_INVALID_SLICING_ARGUMENT";
        match field.argument_by_name(name) {
            None => refuse(code, format!("The slicing argument \"{name}\" is no argument of \"{coordinate}\".")),
            Some(argument) if !is_int(&argument.ty) => {
                refuse(
                    code,
                    format!(
                        "The slicing argument \"{coordinate}({name}:)\" must be of type Int or Int!, not \"{}\".",
                        argument.ty
                    ),
                );
            }
            Some(_) => {}
        }
    }
    check_sized_fields(subgraph, (&coordinate, field), &sized_fields, &mut refuse);
}

fn check_sized_fields(
    subgraph: &Subgraph,
    (coordinate, field): (&str, &FieldDefinition),
    sized_fields: &[&str],
    refuse: &mut impl FnMut(&'static str, String),
) {
    let code = "LIST_SIZE_INVALID_SIZED_FIELD";
    let ty = field.ty.inner_named_type();
    let fields = match subgraph.schema.types.get(ty) {
        Some(definition @ (ExtendedType::Object(_) | ExtendedType::Interface(_))) => facts::fields_of(definition),
        _ => {
            if !sized_fields.is_empty() {
                refuse(code, format!("The field \"{coordinate}\" has \"sizedFields\", but its type \"{ty}\" has no fields."));
            }
            return;
        }
    };
    for name in sized_fields {
        match fields.and_then(|fields| fields.get(*name)) {
            None => refuse(code, format!("The sized field \"{name}\" is no field of \"{ty}\", the type of \"{coordinate}\".")),
            Some(sized) if !is_list(&sized.ty) => {
                refuse(
                    "LIST_SIZE_APPLIED_TO_NON_LIST",
                    format!("The sized field \"{ty}.{name}\" of \"{coordinate}\" is no list."),
                );
            }
            Some(_) => {}
        }
    }
}

/// The strings of a list argument; a single string counts as a list of one.
fn strings<'a>(directive: &'a Directive, argument: &str) -> Vec<&'a str> {
    match directive.specified_argument_by_name(argument).map(AsRef::as_ref) {
        Some(Value::List(items)) => items.iter().filter_map(|item| item.as_str()).collect(),
        Some(Value::String(single)) => vec![single.as_str()],
        _ => Vec::new(),
    }
}

fn is_list(ty: &Type) -> bool {
    matches!(ty, Type::List(_) | Type::NonNullList(_))
}

fn is_int(ty: &Type) -> bool {
    matches!(ty, Type::Named(name) | Type::NonNullNamed(name) if name == "Int")
}
