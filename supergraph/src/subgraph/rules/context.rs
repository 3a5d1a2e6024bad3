//! `@context` and `@fromContext`: names, places, and selections that yield exactly one value of the argument's type.
//!
//! Spec: <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/directives#context>

use crate::diagnostics::Diagnostic;
use crate::subgraph::element::{self, Element};
use crate::subgraph::facts::{fields_of, string_argument};
use crate::subgraph::field_set::{FieldSet, Selection};
use crate::subgraph::selects::{self, Policy};
use crate::subgraph::{FederationDirective, Subgraph, context};
use apollo_compiler::ast::Type;
use apollo_compiler::schema::{Component, Directive, ExtendedType, FieldDefinition, InputValueDefinition};
use apollo_compiler::{Name, Node};
use rustc_hash::{FxHashMap, FxHashSet};

const INVALID: &str = "CONTEXT_INVALID_SELECTION";
const NOT_SET: &str = "CONTEXT_NOT_SET";

const POLICY: Policy = Policy {
    directive: FederationDirective::FromContext,
    allows_arguments: true,
    wants_external: false,
    allows_abstract: true,
    invalid: INVALID,
    not_a_string: INVALID,
    has_arguments: INVALID,
    has_directive: INVALID,
    missing_external: INVALID,
};

/// Context name to the types that set it.
type Setters = FxHashMap<String, Vec<Name>>;

/// Reports the applications that break the rule.
pub fn check(subgraph: &Subgraph, errors: &mut Vec<Diagnostic>) {
    let Some(from_context) = subgraph.directive(FederationDirective::FromContext) else { return };
    let setters = check_names(subgraph, errors);
    element::visit(&subgraph.schema, &mut |element| {
        for directive in element.directives().filter(|directive| directive.name == *from_context) {
            check_application(subgraph, &setters, (element, directive), errors);
        }
    });
}

/// Reports malformed context names.
fn check_names(subgraph: &Subgraph, errors: &mut Vec<Diagnostic>) -> Setters {
    let mut setters = Setters::default();
    let Some(name) = subgraph.directive(FederationDirective::Context) else { return setters };
    for (parent, definition) in &subgraph.schema.types {
        for directive in definition.directives().iter().filter(|directive| directive.name == *name) {
            let context = string_argument(directive, "name").unwrap_or_default();
            let starts_well = context.starts_with(|c: char| c.is_ascii_alphabetic());
            if !starts_well || !context.chars().all(|c| c.is_ascii_alphanumeric()) {
                let message = format!(
                    "The context name \"{context}\" on \"{parent}\" must be a letter followed by letters and digits only."
                );
                errors.push(subgraph.error("CONTEXT_NAME_INVALID", &message, directive.location()));
            }
            setters.entry(context.to_owned()).or_default().push(parent.clone());
        }
    }
    setters
}

fn check_application(
    subgraph: &Subgraph,
    setters: &Setters,
    (element, directive): (Element<'_>, &Node<Directive>),
    errors: &mut Vec<Diagnostic>,
) {
    let mut refuse = |code: &'static str, message: String| errors.push(subgraph.error(code, &message, directive.location()));
    let (object, field, argument) = match element {
        Element::Argument(ExtendedType::Object(object), field, argument) => (object, field, argument),
        _ => {
            return refuse(
                NOT_SET,
                format!("@fromContext cannot be used on \"{element}\": it is only for arguments of fields of object types."),
            );
        }
    };
    check_place(
        subgraph,
        (&element.to_string(), field, argument),
        &object.implements_interfaces.iter().map(|name| &name.name).collect::<Vec<_>>(),
        &mut refuse,
    );
    let value = string_argument(directive, "field").unwrap_or_default();
    let (Some(context), selection) = context::split(value) else {
        return refuse(
            "NO_CONTEXT_IN_SELECTION",
            format!("The value \"{value}\" on \"{element}\" must name a context first, as in \"$context {{ field }}\"."),
        );
    };
    if selection.is_empty() {
        return refuse(
            "NO_CONTEXT_IN_SELECTION",
            format!("The value \"{value}\" on \"{element}\" must select a field, as in \"${context} {{ field }}\"."),
        );
    }
    match setters.get(&context) {
        None => refuse(
            NOT_SET,
            format!(
                "The context \"{context}\", which \"{element}\" uses, is set nowhere in this subgraph. Add @context(name: \"{context}\") to a type."
            ),
        ),
        Some(types) => {
            if let Err(reason) = check_selection(subgraph, types, &selection, &argument.ty) {
                refuse(INVALID, format!("The selection of context \"{context}\" on \"{element}\" is invalid: {reason}."));
            }
        }
    }
    if !subgraph.keys(&object.name).iter().any(|key| key.is_resolvable) {
        let message =
            format!("The type \"{}\" has a field with a contextual argument, so it needs a resolvable @key.", object.name);
        refuse("CONTEXT_NO_RESOLVABLE_KEY", message);
    }
}

type Argument<'a> = (&'a str, &'a Component<FieldDefinition>, &'a Node<InputValueDefinition>);

fn check_place(
    subgraph: &Subgraph,
    (coordinate, field, argument): Argument<'_>,
    interfaces: &[&Name],
    refuse: &mut impl FnMut(&'static str, String),
) {
    for interface in interfaces {
        if subgraph.schema.types.get(*interface).and_then(fields_of).is_some_and(|fields| fields.contains_key(&field.name)) {
            refuse(
                NOT_SET,
                format!(
                    "@fromContext cannot be used on \"{coordinate}\", because the field implements \"{interface}.{}\".",
                    field.name
                ),
            );
        }
    }
    if argument.default_value.is_some() {
        refuse(
            NOT_SET,
            format!(
                "The argument \"{coordinate}\" gets its value from a context, so it cannot have a default value. Remove one of them."
            ),
        );
    }
}

/// Whether the selection yields one value of the expected type wherever the context is set.
fn check_selection(subgraph: &Subgraph, setters: &[Name], selection: &str, expected: &Type) -> Result<(), String> {
    let set = FieldSet::parse(selection).map_err(|fault| fault.message)?;
    let conditions = type_conditions(&set)?;
    let mut used: FxHashSet<&Name> = FxHashSet::default();
    for setter in setters {
        if let Some(finding) = selects::check(subgraph, setter, &set, &POLICY).into_iter().next() {
            return Err(finding.message);
        }
        if conditions.is_empty() {
            check_value(subgraph, setter, &set.selections, expected)?;
            continue;
        }
        let mut applies = false;
        for (condition, selections) in &conditions {
            if !matches!(subgraph.schema.types.get(*condition), Some(ExtendedType::Object(_))) {
                return Err(format!("the type condition \"{condition}\" must be an object type"));
            }
            if is_possible(subgraph, setter, condition) {
                applies = true;
                used.insert(*condition);
                check_value(subgraph, condition, selections, expected)?;
            }
        }
        if !applies {
            return Err(format!("no type condition applies to \"{setter}\", which sets the context"));
        }
    }
    match conditions.iter().find(|(condition, _)| !used.contains(*condition)) {
        Some((condition, _)) => Err(format!("the type condition \"{condition}\" applies to no type that sets the context")),
        None => Ok(()),
    }
}

/// The type conditions of a selection of fragments; none for a selection of one field.
fn type_conditions(set: &FieldSet) -> Result<Vec<(&Name, &[Selection])>, String> {
    match set.selections.as_slice() {
        [Selection::Field { .. }] => return Ok(Vec::new()),
        [Selection::Field { .. }, ..] | [] => return Err("it must select exactly one field".to_owned()),
        _ => {}
    }
    let mut conditions: Vec<(&Name, &[Selection])> = Vec::new();
    for selection in &set.selections {
        match selection {
            Selection::Fragment { on: Some(on), selections } if !conditions.iter().any(|(name, _)| *name == on) => {
                conditions.push((on, selections))
            }
            Selection::Fragment { .. } => return Err("each fragment must have a type condition of its own".to_owned()),
            Selection::Field { .. } => return Err("it must select one field, or only fragments".to_owned()),
        }
    }
    Ok(conditions)
}

fn is_possible(subgraph: &Subgraph, parent: &Name, object: &Name) -> bool {
    match subgraph.schema.types.get(parent) {
        Some(ExtendedType::Interface(_)) => subgraph.implementations(parent).contains(object),
        Some(ExtendedType::Union(union)) => union.members.contains(object.as_str()),
        _ => parent == object,
    }
}

fn check_value(subgraph: &Subgraph, parent: &Name, selections: &[Selection], expected: &Type) -> Result<(), String> {
    let (depth, name) = value_type(subgraph, parent, selections)?;
    let matches = !has_non_null(expected) && list_depth(expected) == depth && *expected.inner_named_type() == name;
    if matches {
        return Ok(());
    }
    let found = format!("{}{name}{}", "[".repeat(depth), "]".repeat(depth));
    Err(format!("it yields \"{found}\" (which may be null), but the argument has the type \"{expected}\""))
}

/// Depth of lists and name of the one type that all leaves have.
fn value_type(subgraph: &Subgraph, parent: &Name, selections: &[Selection]) -> Result<(usize, Name), String> {
    if subgraph.is_interface_object(parent) {
        return Err(format!("\"{parent}\" is an interface object, whose fields cannot be selected"));
    }
    let mut types = Vec::new();
    for selection in selections {
        let Selection::Field { name, selections, .. } = selection else {
            return Err("fragments are only allowed at the top".to_owned());
        };
        let field = subgraph.schema.types.get(parent).and_then(fields_of).and_then(|fields| fields.get(name));
        let Some(field) = field else { return Err(format!("\"{parent}.{name}\" has no type to compare")) };
        let own = list_depth(&field.ty);
        types.push(if selections.is_empty() {
            (own, field.ty.inner_named_type().clone())
        } else {
            let (depth, name) = value_type(subgraph, field.ty.inner_named_type(), selections)?;
            (depth + own, name)
        });
    }
    match types.split_first() {
        Some((first, rest)) if rest.iter().all(|other| other == first) => Ok(first.clone()),
        _ => Err("it must select exactly one field".to_owned()),
    }
}

fn list_depth(ty: &Type) -> usize {
    match ty {
        Type::List(inner) | Type::NonNullList(inner) => 1 + list_depth(inner),
        _ => 0,
    }
}

fn has_non_null(ty: &Type) -> bool {
    match ty {
        Type::NonNullNamed(_) | Type::NonNullList(_) => true,
        Type::List(inner) => has_non_null(inner),
        Type::Named(_) => false,
    }
}
