//! Names, emptiness, default values, required and deprecated inputs, cycles of input types.
//!
//! Spec: <https://spec.graphql.org/draft/#sec-Type-System>

use super::{Violations, values};
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::{ExtendedType, FieldDefinition, InputObjectType, InputValueDefinition};
use apollo_compiler::{Name, Node, Schema};
use rustc_hash::{FxHashMap, FxHashSet};

/// Checks every type and directive definition.
pub fn check(schema: &Schema, found: &mut Violations) {
    let query = schema.schema_definition.query.as_ref().map(|name| &name.name);
    for (name, definition) in schema.types.iter().filter(|(_, definition)| !definition.is_built_in()) {
        check_name(name, "type", definition.location(), found);
        // The query root always has the field `_service`, which no one writes down.
        if is_empty(definition) && query != Some(name) {
            found.push(
                format!("The type \"{name}\" is empty. Give it at least one {}, or remove it.", member(definition)),
                definition.location(),
            );
        }
        match definition {
            ExtendedType::Object(object) => object.fields.values().for_each(|field| check_field(schema, name, field, found)),
            ExtendedType::Interface(interface) => {
                interface.fields.values().for_each(|field| check_field(schema, name, field, found))
            }
            ExtendedType::Enum(enumeration) => {
                for value in enumeration.values.values() {
                    check_name(&value.value, "enum value", value.location(), found);
                }
            }
            ExtendedType::InputObject(input) => {
                for field in input.fields.values() {
                    check_input(schema, field, &|| format!("{name}.{}", field.name), found);
                }
            }
            ExtendedType::Scalar(_) | ExtendedType::Union(_) => {}
        }
    }
    for directive in schema.directive_definitions.values().filter(|directive| !directive.is_built_in()) {
        check_name(&directive.name, "directive", directive.location(), found);
        check_arguments(schema, &directive.arguments, &|| format!("@{}", directive.name), found);
    }
    check_cycles(schema, found);
}

fn check_name(name: &Name, what: &str, location: Option<SourceSpan>, found: &mut Violations) {
    if name.starts_with("__") {
        found.push(
            format!("The name of the {what} \"{name}\" starts with \"__\", which is reserved for introspection. Rename it."),
            location,
        );
    }
}

fn is_empty(definition: &ExtendedType) -> bool {
    match definition {
        ExtendedType::Object(object) => object.fields.is_empty(),
        ExtendedType::Interface(interface) => interface.fields.is_empty(),
        ExtendedType::Union(union) => union.members.is_empty(),
        ExtendedType::Enum(enumeration) => enumeration.values.is_empty(),
        ExtendedType::InputObject(input) => input.fields.is_empty(),
        ExtendedType::Scalar(_) => false,
    }
}

fn member(definition: &ExtendedType) -> &'static str {
    match definition {
        ExtendedType::Union(_) => "member",
        ExtendedType::Enum(_) => "value",
        _ => "field",
    }
}

fn check_field(schema: &Schema, parent: &Name, field: &Node<FieldDefinition>, found: &mut Violations) {
    check_name(&field.name, "field", field.location(), found);
    check_arguments(schema, &field.arguments, &|| format!("{parent}.{}", field.name), found);
}

fn check_arguments(
    schema: &Schema,
    arguments: &[Node<InputValueDefinition>],
    owner: &dyn Fn() -> String,
    found: &mut Violations,
) {
    let mut seen: FxHashSet<&Name> = FxHashSet::default();
    for argument in arguments {
        check_input(schema, argument, &|| format!("{}({}:)", owner(), argument.name), found);
        if !seen.insert(&argument.name) {
            let message =
                format!("The argument \"{}({}:)\" is defined twice. Remove one of the definitions.", owner(), argument.name);
            found.push(message, argument.location());
        }
    }
}

fn check_input(schema: &Schema, input: &Node<InputValueDefinition>, coordinate: &dyn Fn() -> String, found: &mut Violations) {
    check_name(&input.name, "input value", input.location(), found);
    if input.is_required() && input.directives.has("deprecated") {
        let message = format!(
            "\"{}\" is required, so it cannot be @deprecated. Make its type nullable or give it a default value first.",
            coordinate()
        );
        found.push(message, input.location());
    }
    if let Some(value) = input.default_value.as_ref().filter(|value| !values::fits(schema, value, &input.ty)) {
        let shown = value.serialize().no_indent();
        let message = format!("The default value {shown} of \"{}\" is no value of its type \"{}\".", coordinate(), input.ty);
        found.push(message, value.location());
    }
}

/// Reports input types that contain themselves through required fields only. Depth-first without recursion, linear in all fields.
fn check_cycles(schema: &Schema, found: &mut Violations) {
    let mut done: FxHashSet<&Name> = FxHashSet::default();
    for (name, definition) in &schema.types {
        if let ExtendedType::InputObject(input) = definition
            && !done.contains(name)
        {
            let path = Path { steps: vec![(name, required_inputs(schema, input))], positions: FxHashMap::from_iter([(name, 0)]) };
            check_cycles_from(schema, path, &mut done, found);
        }
    }
}

/// A path through required fields: each type with the types that are still to be visited from it, and each type's position.
struct Path<'a> {
    steps: Vec<(&'a Name, std::vec::IntoIter<&'a Name>)>,
    positions: FxHashMap<&'a Name, usize>,
}

fn check_cycles_from<'a>(schema: &'a Schema, mut path: Path<'a>, done: &mut FxHashSet<&'a Name>, found: &mut Violations) {
    while let Some((current, rest)) = path.steps.last_mut() {
        let Some(next) = rest.next() else {
            done.insert(*current);
            path.positions.remove(*current);
            path.steps.pop();
            continue;
        };
        if let Some(start) = path.positions.get(next) {
            let cycle: Vec<&str> = path.steps.iter().skip(*start).take(SHOWN_STEPS).map(|(name, _)| name.as_str()).collect();
            let message = format!(
                "The input type \"{next}\" contains itself through required fields ({}), so it has no value. Make one of them nullable.",
                cycle.join(" > ")
            );
            found.push(message, schema.types.get(next).and_then(ExtendedType::location));
        } else if let Some(ExtendedType::InputObject(input)) = schema.types.get(next).filter(|_| !done.contains(next)) {
            path.positions.insert(next, path.steps.len());
            path.steps.push((next, required_inputs(schema, input)));
        }
    }
}

/// Types of a cycle that a message names.
const SHOWN_STEPS: usize = 8;

/// The input types of the fields that need a value and are no lists.
fn required_inputs<'a>(schema: &'a Schema, input: &'a InputObjectType) -> std::vec::IntoIter<&'a Name> {
    let names = input.fields.values().filter_map(|field| match field.ty.as_ref() {
        apollo_compiler::ast::Type::NonNullNamed(name) => {
            schema.types.get(name).filter(|ty| ty.is_input_object()).map(ExtendedType::name)
        }
        _ => None,
    });
    names.collect::<Vec<_>>().into_iter()
}
