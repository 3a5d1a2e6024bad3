//! Walking over everything in a schema that directives can be applied to.
//!
//! Relied on by the GraphQL checks of directive applications and by the rules that look for applications of one directive.

use apollo_compiler::ast::{self, DirectiveLocation};
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::{
    Component, Directive, DirectiveDefinition, EnumValueDefinition, ExtendedType, FieldDefinition, InputValueDefinition,
};
use apollo_compiler::{Node, Schema};
use std::fmt;

/// An element of a schema that can carry directives. Its `Display` is its coordinate.
#[derive(Clone, Copy)]
pub enum Element<'a> {
    /// The schema definition and its extensions.
    Schema(&'a Schema),
    /// A type.
    Type(&'a ExtendedType),
    /// A field of an object or interface type.
    Field(&'a ExtendedType, &'a Component<FieldDefinition>),
    /// An argument of a field.
    Argument(&'a ExtendedType, &'a Component<FieldDefinition>, &'a Node<InputValueDefinition>),
    /// A field of an input type.
    InputField(&'a ExtendedType, &'a Component<InputValueDefinition>),
    /// A value of an enum.
    EnumValue(&'a ExtendedType, &'a Component<EnumValueDefinition>),
    /// An argument of a directive definition.
    DirectiveArgument(&'a Node<DirectiveDefinition>, &'a Node<InputValueDefinition>),
}

impl<'a> Element<'a> {
    /// The directives applied to it; the origin is only meaningful for the schema and for types.
    pub fn directives(self) -> Box<dyn Iterator<Item = &'a Node<Directive>> + 'a> {
        match self {
            Self::Schema(schema) => Box::new(schema.schema_definition.directives.iter().map(|directive| &directive.node)),
            Self::Type(definition) => Box::new(definition.directives().iter().map(|directive| &directive.node)),
            Self::Field(_, field) => Box::new(list(&field.directives)),
            Self::Argument(_, _, argument) | Self::DirectiveArgument(_, argument) => Box::new(list(&argument.directives)),
            Self::InputField(_, field) => Box::new(list(&field.directives)),
            Self::EnumValue(_, value) => Box::new(list(&value.directives)),
        }
    }

    /// The directive location that it is.
    pub fn kind(self) -> DirectiveLocation {
        match self {
            Self::Schema(_) => DirectiveLocation::Schema,
            Self::Type(ExtendedType::Scalar(_)) => DirectiveLocation::Scalar,
            Self::Type(ExtendedType::Object(_)) => DirectiveLocation::Object,
            Self::Type(ExtendedType::Interface(_)) => DirectiveLocation::Interface,
            Self::Type(ExtendedType::Union(_)) => DirectiveLocation::Union,
            Self::Type(ExtendedType::Enum(_)) => DirectiveLocation::Enum,
            Self::Type(ExtendedType::InputObject(_)) => DirectiveLocation::InputObject,
            Self::Field(..) => DirectiveLocation::FieldDefinition,
            Self::Argument(..) | Self::DirectiveArgument(..) => DirectiveLocation::ArgumentDefinition,
            Self::InputField(..) => DirectiveLocation::InputFieldDefinition,
            Self::EnumValue(..) => DirectiveLocation::EnumValue,
        }
    }

    /// Where it is declared.
    pub fn location(self) -> Option<SourceSpan> {
        match self {
            Self::Schema(schema) => schema.schema_definition.location(),
            Self::Type(definition) => definition.location(),
            Self::Field(_, field) => field.location(),
            Self::Argument(_, _, argument) | Self::DirectiveArgument(_, argument) => argument.location(),
            Self::InputField(_, field) => field.location(),
            Self::EnumValue(_, value) => value.location(),
        }
    }
}

fn list(directives: &ast::DirectiveList) -> impl Iterator<Item = &Node<Directive>> {
    directives.iter()
}

impl fmt::Display for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schema(_) => f.write_str("schema"),
            Self::Type(definition) => write!(f, "{}", definition.name()),
            Self::Field(parent, field) => write!(f, "{}.{}", parent.name(), field.name),
            Self::Argument(parent, field, argument) => write!(f, "{}.{}({}:)", parent.name(), field.name, argument.name),
            Self::InputField(parent, field) => write!(f, "{}.{}", parent.name(), field.name),
            Self::EnumValue(parent, value) => write!(f, "{}.{}", parent.name(), value.value),
            Self::DirectiveArgument(directive, argument) => write!(f, "@{}({}:)", directive.name, argument.name),
        }
    }
}

/// Calls `visit` with every element of the schema, without built-in types and directives.
pub fn visit<'a>(schema: &'a Schema, visit: &mut impl FnMut(Element<'a>)) {
    visit(Element::Schema(schema));
    for definition in schema.types.values().filter(|definition| !definition.is_built_in()) {
        visit(Element::Type(definition));
        visit_members(definition, visit);
    }
    for directive in schema.directive_definitions.values().filter(|directive| !directive.is_built_in()) {
        for argument in &directive.arguments {
            visit(Element::DirectiveArgument(directive, argument));
        }
    }
}

fn visit_members<'a>(definition: &'a ExtendedType, visit: &mut impl FnMut(Element<'a>)) {
    let fields = match definition {
        ExtendedType::Object(object) => object.fields.values(),
        ExtendedType::Interface(interface) => interface.fields.values(),
        ExtendedType::Enum(enumeration) => {
            return enumeration.values.values().for_each(|value| visit(Element::EnumValue(definition, value)));
        }
        ExtendedType::InputObject(input) => {
            return input.fields.values().for_each(|field| visit(Element::InputField(definition, field)));
        }
        ExtendedType::Scalar(_) | ExtendedType::Union(_) => return,
    };
    for field in fields {
        visit(Element::Field(definition, field));
        for argument in &field.arguments {
            visit(Element::Argument(definition, field, argument));
        }
    }
}
