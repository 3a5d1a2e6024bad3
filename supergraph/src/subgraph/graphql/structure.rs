//! Whether every type that is named exists and is of a kind that fits its place.
//!
//! Spec: <https://spec.graphql.org/draft/#sec-Types>

use super::Violations;
use crate::subgraph::suggest::did_you_mean;
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::{ExtendedType, FieldDefinition, InputValueDefinition};
use apollo_compiler::{Name, Node, Schema};

/// Reports types of fields, arguments and input fields that are not defined.
pub fn unknown_types(schema: &Schema, found: &mut Violations) {
    visit_references(schema, &mut |place, name, location, coordinate| {
        if place.is_type_of_value() {
            check_known(schema, name, location, &coordinate, found);
        }
    });
}

/// Reports types that directive definitions refer to but that are not defined.
pub fn unknown_types_of_directives(schema: &Schema, found: &mut Violations) {
    visit_directive_references(schema, &mut |_, name, location, coordinate| {
        check_known(schema, name, location, &Coordinate(coordinate), found)
    });
}

fn check_known(schema: &Schema, name: &Name, location: Option<SourceSpan>, coordinate: &Coordinate<'_>, found: &mut Violations) {
    if !schema.types.contains_key(name) {
        let known = schema.types.keys().map(Name::as_str).filter(|known| found.wants_hints() && !known.starts_with("__"));
        let hint = did_you_mean(name, known);
        found.push(format!("The type \"{name}\" of {coordinate} is not defined.{hint} Define it in this subgraph."), location);
    }
}

/// Reports references to types of the wrong kind, and unknown interfaces, union members and root types.
pub fn kinds(schema: &Schema, found: &mut Violations) {
    visit_references(schema, &mut |place, name, location, coordinate| {
        let Some(definition) = schema.types.get(name) else {
            return check_known(schema, name, location, &coordinate, found);
        };
        let (fits, wanted) = match place {
            Place::Output => (!definition.is_input_object(), "an output type"),
            Place::Input => (definition.is_input_type(), "an input type: a scalar, an enum or an input type"),
            Place::Interface => (definition.is_interface(), "an interface"),
            Place::Member | Place::Root => (definition.is_object(), "an object type"),
        };
        if !fits {
            found.push(
                format!("The type \"{name}\" of {coordinate} must be {wanted}, but it is {}.", describe(definition)),
                location,
            );
        }
    });
}

fn describe(definition: &ExtendedType) -> &'static str {
    match definition {
        ExtendedType::Scalar(_) => "a scalar",
        ExtendedType::Object(_) => "an object type",
        ExtendedType::Interface(_) => "an interface",
        ExtendedType::Union(_) => "a union",
        ExtendedType::Enum(_) => "an enum",
        ExtendedType::InputObject(_) => "an input type",
    }
}

/// Where a type is named.
enum Place {
    Output,
    Input,
    Interface,
    Member,
    Root,
}

impl Place {
    /// Whether the type is that of a field, an argument or an input field.
    fn is_type_of_value(&self) -> bool {
        matches!(self, Self::Output | Self::Input)
    }
}

type Visit<'a> = dyn FnMut(Place, &Name, Option<SourceSpan>, &dyn Fn() -> String) + 'a;

struct Coordinate<'a>(&'a dyn Fn() -> String);

impl std::fmt::Display for Coordinate<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&(self.0)())
    }
}

type Report<'a> = dyn FnMut(Place, &Name, Option<SourceSpan>, Coordinate<'_>) + 'a;

fn visit_references(schema: &Schema, report: &mut Report<'_>) {
    let visit: &mut Visit<'_> = &mut |place, name, location, coordinate| report(place, name, location, Coordinate(coordinate));
    let root = &schema.schema_definition;
    for name in [&root.query, &root.mutation, &root.subscription].into_iter().flatten() {
        visit(Place::Root, &name.name, name.location(), &|| "a root operation".to_owned());
    }
    visit_directive_references(schema, visit);
    for (parent, definition) in schema.types.iter().filter(|(_, definition)| !definition.is_built_in()) {
        match definition {
            ExtendedType::Object(object) => {
                object.fields.values().for_each(|field| visit_field(parent, field, visit));
                visit_interfaces(parent, &object.implements_interfaces, visit);
            }
            ExtendedType::Interface(interface) => {
                interface.fields.values().for_each(|field| visit_field(parent, field, visit));
                visit_interfaces(parent, &interface.implements_interfaces, visit);
            }
            ExtendedType::Union(union) => {
                for member in &union.members {
                    visit(Place::Member, &member.name, member.location(), &|| format!("a member of \"{parent}\""));
                }
            }
            ExtendedType::InputObject(input) => {
                for field in input.fields.values() {
                    visit(Place::Input, field.ty.inner_named_type(), field.location(), &|| {
                        format!("\"{parent}.{}\"", field.name)
                    });
                }
            }
            ExtendedType::Scalar(_) | ExtendedType::Enum(_) => {}
        }
    }
}

fn visit_directive_references(schema: &Schema, visit: &mut Visit<'_>) {
    for directive in schema.directive_definitions.values().filter(|directive| !directive.is_built_in()) {
        visit_arguments(&directive.arguments, &|| format!("@{}", directive.name), visit);
    }
}

fn visit_interfaces(
    parent: &Name,
    interfaces: &apollo_compiler::collections::IndexSet<apollo_compiler::schema::ComponentName>,
    visit: &mut Visit<'_>,
) {
    for interface in interfaces {
        visit(Place::Interface, &interface.name, interface.location(), &|| format!("an \"implements\" of \"{parent}\""));
    }
}

fn visit_field(parent: &Name, field: &Node<FieldDefinition>, visit: &mut Visit<'_>) {
    visit(Place::Output, field.ty.inner_named_type(), field.location(), &|| format!("\"{parent}.{}\"", field.name));
    visit_arguments(&field.arguments, &|| format!("{parent}.{}", field.name), visit);
}

fn visit_arguments(arguments: &[Node<InputValueDefinition>], owner: &dyn Fn() -> String, visit: &mut Visit<'_>) {
    for argument in arguments {
        visit(Place::Input, argument.ty.inner_named_type(), argument.location(), &|| {
            format!("\"{}({}:)\"", owner(), argument.name)
        });
    }
}
