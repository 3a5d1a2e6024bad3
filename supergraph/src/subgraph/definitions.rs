//! Completing a schema with the definitions of the specifications that it links, and comparing the user's own definitions with them.
//!
//! Relies on `specs` for what each version defines. `read` and the Federation 1 upgrade rely on it.

use super::link::{self, Import, Link, Version};
use super::specs::{self, Element};
use apollo_compiler::ast::{Definition, DirectiveDefinition, InputValueDefinition, Type};
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::{Component, ComponentOrigin, EnumType, ExtendedType, InputObjectType, ScalarType};
use apollo_compiler::{Name, Node, Schema};

/// A user's definition that differs from the specification's.
pub struct DefinitionFault {
    /// `DIRECTIVE_DEFINITION_INVALID` or `TYPE_DEFINITION_INVALID`.
    pub code: &'static str,
    /// What differs.
    pub message: String,
    /// The user's definition.
    pub location: Option<SourceSpan>,
}

const DIRECTIVE: &str = "DIRECTIVE_DEFINITION_INVALID";
/// The code for a type that differs from its specification.
pub const TYPE: &str = "TYPE_DEFINITION_INVALID";

/// Adds the elements of a linked specification that the schema lacks, under their names in the schema; checks those it has.
#[must_use]
pub fn complete(schema: &mut Schema, link: &Link) -> Vec<DefinitionFault> {
    let mut faults = Vec::new();
    for element in specs::elements(&link.identity, link.version) {
        add_or_check(schema, link, element, &mut faults);
    }
    faults
}

/// The same for the fixed directives of Federation 1, which no link names. Definitions of `@key`, `@requires` and `@provides` that
/// libraries of that time wrote (no argument, or a nullable one) are replaced.
#[must_use]
pub fn complete_federation_1(schema: &mut Schema) -> Vec<DefinitionFault> {
    for name in ["key", "requires", "provides"] {
        let is_known_mistake =
            schema.directive_definitions.get(name).is_some_and(|definition| match definition.arguments.as_slice() {
                [] => true,
                [only] => only.name == "fields" && ["String", "_FieldSet", "FieldSet"].contains(&only.ty.to_string().as_str()),
                _ => false,
            });
        if is_known_mistake {
            schema.directive_definitions.shift_remove(name);
        }
    }
    let link = federation_1_names();
    let mut faults = Vec::new();
    for element in specs::elements(link::FEDERATION, link.version) {
        if link.imports.iter().any(|import| import.name == element.import_name()) {
            add_or_check(schema, &link, element, &mut faults);
        }
    }
    faults
}

/// A link that gives the elements of Federation 1 the names that they have there.
fn federation_1_names() -> Link {
    let mut imports = vec![Import { name: "FieldSet".to_owned(), alias: Some("_FieldSet".to_owned()) }];
    for directive in super::FederationDirective::ALL.into_iter().filter(|directive| directive.is_federation_1()) {
        imports.push(Import { name: format!("@{}", directive.name()), alias: None });
    }
    Link { imports, version: Version::new(2, 0), ..federation_link(Version::new(2, 0)) }
}

/// A link to federation without imports, as if it were written in the schema.
#[must_use]
pub fn federation_link(version: Version) -> Link {
    Link {
        identity: link::FEDERATION.to_owned(),
        name: "federation".to_owned(),
        version,
        name_in_schema: "federation".to_owned(),
        imports: Vec::new(),
        purpose: None,
        directive: None,
    }
}

/// Directives of GraphQL itself that not every server has.
const OPTIONAL_BUILT_IN: [&str; 2] = ["defer", "stream"];

fn name_taken(link: &Link, imported: &Name, name: &Name) -> DefinitionFault {
    let message = format!(
        "\"@{imported}\" cannot be imported as \"@{name}\", which is a directive of GraphQL itself. Choose another name with \"as\"."
    );
    let location = link.directive.as_ref().and_then(|directive| directive.location());
    DefinitionFault { code: DIRECTIVE, message, location }
}

fn add_or_check(schema: &mut Schema, link: &Link, element: &Element, faults: &mut Vec<DefinitionFault>) {
    match &element.definition {
        Definition::DirectiveDefinition(expected) => {
            let Ok(name) = Name::new(&link.directive_in_schema(&expected.name)) else { return };
            let is_taken = schema.directive_definitions.get(&name).is_some_and(|actual| actual.is_built_in());
            if is_taken || OPTIONAL_BUILT_IN.contains(&name.as_str()) {
                faults.push(name_taken(link, &expected.name, &name));
                return;
            }
            let expected = rename_directive(expected, link, &name);
            match schema.directive_definitions.get(&name) {
                Some(actual) => check_directive(schema, &expected, actual, faults),
                None => drop(schema.directive_definitions.insert(name, Node::new(expected))),
            }
        }
        definition => {
            let Some(Ok(name)) = definition.name().map(|name| Name::new(&link.type_in_schema(name))) else { return };
            let Some(expected) = rename_type(definition, link, &name) else { return };
            match schema.types.get(&name) {
                Some(actual) => check_type(&expected, actual, faults),
                None => drop(schema.types.insert(name, expected)),
            }
        }
    }
}

fn rename_directive(definition: &DirectiveDefinition, link: &Link, name: &Name) -> DirectiveDefinition {
    let mut renamed = definition.clone();
    renamed.name = name.clone();
    for argument in &mut renamed.arguments {
        let mut value = argument.as_ref().clone();
        value.ty = Node::new(rename_reference(&value.ty, link));
        *argument = Node::new(value);
    }
    renamed
}

/// The same type with the name that the schema gives it.
fn rename_reference(ty: &Type, link: &Link) -> Type {
    let named = |name: &Name| {
        let is_built_in = ["Int", "Float", "String", "Boolean", "ID"].contains(&name.as_str());
        if is_built_in { name.clone() } else { Name::new(&link.type_in_schema(name)).unwrap_or_else(|_| name.clone()) }
    };
    match ty {
        Type::Named(name) => Type::Named(named(name)),
        Type::NonNullNamed(name) => Type::NonNullNamed(named(name)),
        Type::List(inner) => Type::List(Box::new(rename_reference(inner, link))),
        Type::NonNullList(inner) => Type::NonNullList(Box::new(rename_reference(inner, link))),
    }
}

fn rename_type(definition: &Definition, link: &Link, name: &Name) -> Option<ExtendedType> {
    let name = name.clone();
    match definition {
        Definition::ScalarTypeDefinition(_) => {
            Some(ExtendedType::Scalar(Node::new(ScalarType { description: None, name, directives: <_>::default() })))
        }
        Definition::EnumTypeDefinition(definition) => {
            let values =
                definition.values.iter().map(|value| (value.value.clone(), value.to_component(ComponentOrigin::Definition)));
            let values = values.collect();
            Some(ExtendedType::Enum(Node::new(EnumType { description: None, name, directives: <_>::default(), values })))
        }
        Definition::InputObjectTypeDefinition(definition) => {
            let fields = definition.fields.iter().map(|field| {
                let mut renamed = field.as_ref().clone();
                renamed.ty = Node::new(rename_reference(&renamed.ty, link));
                (renamed.name.clone(), Component { origin: ComponentOrigin::Definition, node: Node::new(renamed) })
            });
            let fields = fields.collect();
            Some(ExtendedType::InputObject(Node::new(InputObjectType {
                description: None,
                name,
                directives: <_>::default(),
                fields,
            })))
        }
        _ => None,
    }
}

fn check_directive(
    schema: &Schema,
    expected: &DirectiveDefinition,
    actual: &Node<DirectiveDefinition>,
    faults: &mut Vec<DefinitionFault>,
) {
    let name = &expected.name;
    let mut refuse = |message: String, location: Option<SourceSpan>| {
        let message = format!(
            "{message}. Remove the definition of \"@{name}\", or write it as in its specification: {}.",
            one_line(expected)
        );
        faults.push(DefinitionFault { code: DIRECTIVE, message, location });
    };
    for argument in &expected.arguments {
        match actual.argument_by_name(&argument.name) {
            None if argument.is_required() => {
                refuse(format!("The directive \"@{name}\" lacks the required argument \"{}\"", argument.name), actual.location());
            }
            None => {}
            Some(found) => {
                if let Some(difference) = argument_difference(schema, argument, found) {
                    refuse(format!("The argument \"{}\" of \"@{name}\" {difference}", argument.name), found.location());
                }
            }
        }
    }
    for unknown in actual.arguments.iter().filter(|found| expected.argument_by_name(&found.name).is_none()) {
        refuse(format!("The directive \"@{name}\" has no argument \"{}\"", unknown.name), unknown.location());
    }
    if actual.repeatable && !expected.repeatable {
        refuse(format!("The directive \"@{name}\" is not repeatable"), actual.location());
    }
    if let Some(location) = actual.locations.iter().find(|location| !expected.locations.contains(location)) {
        refuse(format!("The directive \"@{name}\" cannot be applied on {location}"), actual.location());
    }
}

fn one_line(definition: &DirectiveDefinition) -> String {
    definition.serialize().no_indent().to_string()
}

/// How the user's argument differs from the specification's in a way that matters. A stricter type is fine, and so is any type but a
/// custom scalar in place of the specification's scalar.
fn argument_difference(schema: &Schema, expected: &InputValueDefinition, found: &InputValueDefinition) -> Option<String> {
    let relaxed = if expected.ty.is_non_null() { found.ty.as_ref().clone() } else { found.ty.as_ref().clone().nullable() };
    if relaxed != *expected.ty && !replaces_scalar(schema, &expected.ty, &relaxed) {
        return Some(format!("has the type \"{}\" instead of \"{}\"", found.ty, expected.ty));
    }
    if !found.ty.is_non_null() && found.default_value != expected.default_value {
        let shown =
            |value: &Option<Node<apollo_compiler::ast::Value>>| value.as_ref().map_or("none".to_owned(), ToString::to_string);
        return Some(format!(
            "has the default value {} instead of {}",
            shown(&found.default_value),
            shown(&expected.default_value)
        ));
    }
    None
}

fn replaces_scalar(schema: &Schema, expected: &Type, found: &Type) -> bool {
    match (expected, found) {
        (Type::List(expected), Type::List(found)) | (Type::NonNullList(expected), Type::NonNullList(found)) => {
            replaces_scalar(schema, expected, found)
        }
        (Type::NonNullNamed(expected), Type::NonNullNamed(found)) | (Type::Named(expected), Type::Named(found)) => {
            is_custom_scalar(schema, expected) && !is_custom_scalar(schema, found)
        }
        (Type::NonNullNamed(expected), Type::NonNullList(_)) | (Type::Named(expected), _) => is_custom_scalar(schema, expected),
        _ => false,
    }
}

fn is_custom_scalar(schema: &Schema, name: &Name) -> bool {
    matches!(schema.types.get(name), Some(ExtendedType::Scalar(scalar)) if !scalar.is_built_in())
}

fn check_type(expected: &ExtendedType, actual: &ExtendedType, faults: &mut Vec<DefinitionFault>) {
    let name = expected.name();
    let mut refuse =
        |message: String, location: Option<SourceSpan>| faults.push(DefinitionFault { code: TYPE, message, location });
    match (expected, actual) {
        (ExtendedType::Scalar(_), ExtendedType::Scalar(_)) => {}
        (ExtendedType::Enum(expected), ExtendedType::Enum(found)) => {
            let same = expected.values.len() == found.values.len()
                && expected.values.keys().all(|value| found.values.contains_key(value));
            if !same {
                let values: Vec<&str> = expected.values.keys().map(Name::as_str).collect();
                refuse(
                    format!("The enum \"{name}\" must have exactly the values {} of its specification.", values.join(", ")),
                    found.location(),
                );
            }
        }
        (ExtendedType::InputObject(expected), ExtendedType::InputObject(found)) => check_input(expected, found, &mut refuse),
        _ => refuse(
            format!(
                "The type \"{name}\" is {} in its specification but {} here. Remove its definition.",
                kind(expected),
                kind(actual)
            ),
            actual.location(),
        ),
    }
}

fn check_input(expected: &InputObjectType, found: &Node<InputObjectType>, refuse: &mut impl FnMut(String, Option<SourceSpan>)) {
    let name = &expected.name;
    for (field, expected) in &expected.fields {
        match found.fields.get(field) {
            None if expected.is_required() => {
                refuse(format!("The input type \"{name}\" lacks the field \"{field}\" of its specification."), found.location())
            }
            None => {}
            Some(actual) => {
                let relaxed =
                    if expected.ty.is_non_null() { actual.ty.as_ref().clone() } else { actual.ty.as_ref().clone().nullable() };
                if relaxed != *expected.ty {
                    refuse(
                        format!("The field \"{name}.{field}\" must have the type \"{}\" as in its specification.", expected.ty),
                        actual.location(),
                    );
                } else if actual.default_value != expected.default_value {
                    refuse(
                        format!("The field \"{name}.{field}\" must have no default value, as in its specification."),
                        actual.location(),
                    );
                }
            }
        }
    }
    for (field, actual) in found.fields.iter().filter(|(field, _)| !expected.fields.contains_key(*field)) {
        refuse(format!("The input type \"{name}\" has no field \"{field}\" in its specification."), actual.location());
    }
}

fn kind(definition: &ExtendedType) -> &'static str {
    match definition {
        ExtendedType::Scalar(_) => "a scalar",
        ExtendedType::Object(_) => "an object type",
        ExtendedType::Interface(_) => "an interface",
        ExtendedType::Union(_) => "a union",
        ExtendedType::Enum(_) => "an enum",
        ExtendedType::InputObject(_) => "an input type",
    }
}
