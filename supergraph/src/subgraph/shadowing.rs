//! Names that mean nothing because an import took their meaning: `@federation__key` in a schema that imports `@key`.
//!
//! Relies on `link`. `read` relies on it.

use super::element;
use super::link::Links;
use super::linking::LinkFault;
use apollo_compiler::ast::Type;
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::{ExtendedType, FieldDefinition, InputValueDefinition};
use apollo_compiler::{Name, Node, Schema};
use rustc_hash::FxHashSet;

/// Reports the shadowed directives that are applied and the shadowed types that unshadowed elements refer to.
#[must_use]
pub fn check(schema: &Schema, links: &Links) -> Vec<LinkFault> {
    let directives = schema.directive_definitions.values().filter(|definition| is_shadowed_directive(links, &definition.name));
    let directives: Vec<_> = directives.collect();
    let types: Vec<_> = schema.types.values().filter(|definition| is_shadowed_type(links, definition.name())).collect();
    if directives.is_empty() && types.is_empty() {
        return Vec::new();
    }
    let applied = applied_directives(schema);
    let referred = referred_types(schema, links);
    let used_directives = directives.into_iter().filter(|definition| applied.contains(&definition.name));
    let used_types = types.into_iter().filter(|definition| referred.contains(definition.name()));
    used_directives
        .map(|definition| fault(&format!("@{}", definition.name), definition.location()))
        .chain(used_types.map(|definition| fault(definition.name(), definition.location())))
        .collect()
}

fn fault(name: &str, location: Option<SourceSpan>) -> LinkFault {
    let message = format!(
        "\"{name}\" is used, but its element is imported under another name. Use the imported name and remove the definition of \"{name}\"."
    );
    LinkFault { code: "INVALID_LINK_DIRECTIVE_USAGE", message, location }
}

fn is_shadowed_directive(links: &Links, name: &str) -> bool {
    links.origin_of_directive(name).is_some_and(|origin| origin.name.is_none())
}

fn is_shadowed_type(links: &Links, name: &str) -> bool {
    links.origin_of_type(name).is_some_and(|origin| origin.name.is_none())
}

fn applied_directives(schema: &Schema) -> FxHashSet<Name> {
    let mut applied = FxHashSet::default();
    element::visit(schema, &mut |element| applied.extend(element.directives().map(|directive| directive.name.clone())));
    applied
}

/// The types that elements refer to which are not themselves shadowed.
fn referred_types(schema: &Schema, links: &Links) -> FxHashSet<Name> {
    let mut referred: FxHashSet<Name> = FxHashSet::default();
    for (_, definition) in schema.types.iter().filter(|(name, _)| !is_shadowed_type(links, name)) {
        match definition {
            ExtendedType::Object(object) => {
                object.fields.values().for_each(|field| refer_field(field, &mut referred));
                referred.extend(object.implements_interfaces.iter().map(|interface| interface.name.clone()));
            }
            ExtendedType::Interface(interface) => {
                interface.fields.values().for_each(|field| refer_field(field, &mut referred));
                referred.extend(interface.implements_interfaces.iter().map(|interface| interface.name.clone()));
            }
            ExtendedType::Union(union) => referred.extend(union.members.iter().map(|member| member.name.clone())),
            ExtendedType::InputObject(input) => input.fields.values().for_each(|field| refer(&field.ty, &mut referred)),
            ExtendedType::Scalar(_) | ExtendedType::Enum(_) => {}
        }
    }
    for definition in schema.directive_definitions.values().filter(|definition| !is_shadowed_directive(links, &definition.name)) {
        refer_arguments(&definition.arguments, &mut referred);
    }
    let root = &schema.schema_definition;
    referred.extend([&root.query, &root.mutation, &root.subscription].into_iter().flatten().map(|root| root.name.clone()));
    referred
}

fn refer(ty: &Type, referred: &mut FxHashSet<Name>) {
    referred.insert(ty.inner_named_type().clone());
}

fn refer_arguments(arguments: &[Node<InputValueDefinition>], referred: &mut FxHashSet<Name>) {
    arguments.iter().for_each(|argument| refer(&argument.ty, referred));
}

fn refer_field(field: &Node<FieldDefinition>, referred: &mut FxHashSet<Name>) {
    refer(&field.ty, referred);
    refer_arguments(&field.arguments, referred);
}
