//! What the specification has of every schema and the parser crate has not: `@oneOf`, and the newer fields of the meta types.
//!
//! Relied on by `client`. Names, order and descriptions are those of the reference implementation, so that tools that compare schemas
//! see no difference. Spec: <https://spec.graphql.org/draft/#sec-Schema-Introspection.Schema-Introspection-Schema>

use apollo_compiler::ast::{
    Definition, DirectiveDefinition, DirectiveList, DirectiveLocation, Document, EnumValueDefinition, FieldDefinition,
    InputValueDefinition, Type, Value,
};
use apollo_compiler::collections::IndexMap;
use apollo_compiler::schema::{Component, ExtendedType};
use apollo_compiler::{Name, Node, Schema};

/// Defines `@oneOf`, unless the schema does. Spec: <https://spec.graphql.org/September2025/#sec--oneOf>
pub(super) fn define_one_of(document: &mut Document) {
    let name = Name::new_static_unchecked("oneOf");
    let is_it = |definition: &Definition| matches!(definition, Definition::DirectiveDefinition(known) if known.name == name);
    if !document.definitions.iter().any(is_it) {
        document.definitions.push(Definition::DirectiveDefinition(Node::new(DirectiveDefinition {
            description: Some(Node::new_str("Indicates exactly one field must be supplied and this field must not be `null`.")),
            name,
            arguments: Vec::new(),
            repeatable: false,
            locations: vec![DirectiveLocation::InputObject],
        })));
    }
}

/// Gives a schema's meta types what they lack.
pub(super) fn complete(schema: &mut Schema) {
    bring_forward(&mut schema.directive_definitions, "include", 0);
    if let Some(fields) = fields_of(schema, "__Schema")
        && let Some(directives) = fields.get_mut("directives")
    {
        directives.make_mut().arguments.push(Node::new(InputValueDefinition {
            description: None,
            name: Name::new_static_unchecked("includeDeprecated"),
            ty: Node::new(Type::NonNullNamed(Name::new_static_unchecked("Boolean"))),
            default_value: Some(Node::new(Value::Boolean(false))),
            directives: DirectiveList::new(),
        }));
    }
    if let Some(fields) = fields_of(schema, "__Type") {
        bring_forward(fields, "specifiedByURL", 3);
        add(fields, "isOneOf", Type::Named(Name::new_static_unchecked("Boolean")));
    }
    if let Some(fields) = fields_of(schema, "__Directive") {
        bring_forward(fields, "isRepeatable", 2);
        add(fields, "isDeprecated", Type::NonNullNamed(Name::new_static_unchecked("Boolean")));
        add(fields, "deprecationReason", Type::Named(Name::new_static_unchecked("String")));
    }
    if let Some(ExtendedType::Enum(locations)) = schema.types.get_mut("__DirectiveLocation") {
        let value = Name::new_static_unchecked("DIRECTIVE_DEFINITION");
        let description = Some(Node::new_str("Location adjacent to a directive definition."));
        let definition = EnumValueDefinition { description, value: value.clone(), directives: DirectiveList::new() };
        locations.make_mut().values.insert(value, Component::new(definition));
    }
}

fn fields_of<'a>(schema: &'a mut Schema, name: &str) -> Option<&'a mut IndexMap<Name, Component<FieldDefinition>>> {
    match schema.types.get_mut(name) {
        Some(ExtendedType::Object(object)) => Some(&mut object.make_mut().fields),
        _ => None,
    }
}

/// Moves an entry to a place before its own.
fn bring_forward<T>(entries: &mut IndexMap<Name, T>, name: &str, place: usize) {
    if let Some(index) = entries.get_index_of(name).filter(|index| *index > place) {
        entries.move_index(index, place);
    }
}

fn add(fields: &mut IndexMap<Name, Component<FieldDefinition>>, name: &'static str, ty: Type) {
    let name = Name::new_static_unchecked(name);
    let directives = DirectiveList::new();
    let definition = FieldDefinition { description: None, name: name.clone(), arguments: Vec::new(), ty, directives };
    fields.insert(name, Component::new(definition));
}
