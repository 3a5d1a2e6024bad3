//! Root types under their default names, and the schema without what federation adds to the query root.
//!
//! Relies on the schema's data types; `read` relies on it.
//! Spec: <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/subgraph-spec>

use super::declarations::Declarations;
use apollo_compiler::ast::Type;
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::{Component, ComponentName, ExtendedType, FieldDefinition, InputValueDefinition};
use apollo_compiler::{Name, Node, Schema};
use rustc_hash::FxHashMap;

/// A type that carries the default name of a root type which has another name.
pub struct RootFault {
    /// `ROOT_QUERY_USED` and the like.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// The type in the way.
    pub location: Option<SourceSpan>,
}

const QUERY: Name = Name::new_static_unchecked("Query");
const MUTATION: Name = Name::new_static_unchecked("Mutation");
const SUBSCRIPTION: Name = Name::new_static_unchecked("Subscription");

/// Makes object types with a default root name root types, also where a schema definition does not list them.
#[must_use]
pub fn with_default_roots(mut schema: Schema) -> Schema {
    let is_object = |name: &Name| matches!(schema.types.get(name), Some(ExtendedType::Object(_)));
    let defaults = [QUERY, MUTATION, SUBSCRIPTION].map(|name| is_object(&name).then_some(name));
    let [query, mutation, subscription] = defaults;
    let root = schema.schema_definition.make_mut();
    for (slot, default) in [(&mut root.query, query), (&mut root.mutation, mutation), (&mut root.subscription, subscription)] {
        if let (None, Some(default)) = (&slot, default) {
            *slot = Some(ComponentName::from(default));
        }
    }
    schema
}

/// Removes `_service` and `_entities` from the query root.
pub fn remove_federation_fields(schema: &mut Schema) {
    let Some(query) = schema.schema_definition.query.clone() else { return };
    let Some(ExtendedType::Object(object)) = schema.types.get_mut(&query.name) else { return };
    if object.fields.contains_key("_service") || object.fields.contains_key("_entities") {
        object.make_mut().fields.retain(|name, _| name != "_service" && name != "_entities");
    }
}

/// The types that only those fields use.
const FEDERATION_TYPES: [&str; 3] = ["_Any", "_Service", "_Entity"];

/// `_Any` as something that is no input type, where there are entities to represent.
#[must_use]
pub fn misused_any(schema: &Schema) -> Option<(&'static str, Option<SourceSpan>)> {
    let is_entity = |definition: &ExtendedType| definition.directives().iter().any(|directive| directive.name.ends_with("key"));
    match schema.types.get("_Any")? {
        any @ (ExtendedType::Object(_) | ExtendedType::Interface(_) | ExtendedType::Union(_))
            if schema.types.values().any(is_entity) =>
        {
            Some(("The type \"_Any\" is federation's scalar for representations. Give this type another name.", any.location()))
        }
        _ => None,
    }
}

/// Removes the types that only those fields use.
pub fn remove_federation_types(schema: &mut Schema) {
    for name in FEDERATION_TYPES {
        schema.types.shift_remove(name);
    }
}

/// Renames the root types to `Query`, `Mutation` and `Subscription`. Where that is impossible nothing is renamed.
pub fn rename(schema: &mut Schema, declarations: &mut Declarations) -> Vec<RootFault> {
    let roots = &schema.schema_definition;
    let roots = [
        (&roots.query, QUERY, "ROOT_QUERY_USED"),
        (&roots.mutation, MUTATION, "ROOT_MUTATION_USED"),
        (&roots.subscription, SUBSCRIPTION, "ROOT_SUBSCRIPTION_USED"),
    ];
    let (mut faults, mut renames) = (Vec::new(), FxHashMap::default());
    for (root, default, code) in roots {
        let Some(root) = root.as_ref().filter(|root| root.name != default) else { continue };
        if let Some(existing) = schema.types.get(&default) {
            let message = format!(
                "The type \"{default}\" is not the root type of its name, which is \"{}\" here. Rename one of them: \
                 in the supergraph the root type is always called \"{default}\".",
                root.name
            );
            faults.push(RootFault { code, message, location: existing.location() });
        }
        renames.insert(root.name.clone(), default);
    }
    if faults.is_empty() && !renames.is_empty() {
        rename_types(schema, &renames);
        renames.iter().for_each(|(old, new)| declarations.rename(old, new));
    }
    faults
}

/// Renames types everywhere. Linear in the schema.
pub fn rename_types(schema: &mut Schema, renames: &FxHashMap<Name, Name>) {
    let root = schema.schema_definition.make_mut();
    for name in [&mut root.query, &mut root.mutation, &mut root.subscription].into_iter().flatten() {
        rename_component(name, renames);
    }
    for directive in schema.directive_definitions.values_mut().filter(|directive| !directive.is_built_in()) {
        if directive.arguments.iter().any(|argument| renames.contains_key(argument.ty.inner_named_type())) {
            rename_arguments(&mut directive.make_mut().arguments, renames);
        }
    }
    let types = std::mem::take(&mut schema.types);
    for (name, mut definition) in types {
        let new = renames.get(&name);
        rename_references(&mut definition, renames);
        if let Some(new) = new {
            rename_definition(&mut definition, new);
        }
        schema.types.insert(new.cloned().unwrap_or(name), definition);
    }
}

/// Object types and scalars are all that is ever renamed.
fn rename_definition(definition: &mut ExtendedType, name: &Name) {
    match definition {
        ExtendedType::Object(object) => object.make_mut().name = name.clone(),
        ExtendedType::Scalar(scalar) => scalar.make_mut().name = name.clone(),
        _ => {}
    }
}

fn rename_references(definition: &mut ExtendedType, renames: &FxHashMap<Name, Name>) {
    match definition {
        ExtendedType::Object(object) => object.make_mut().fields.values_mut().for_each(|field| rename_field(field, renames)),
        ExtendedType::Interface(interface) => {
            interface.make_mut().fields.values_mut().for_each(|field| rename_field(field, renames))
        }
        ExtendedType::InputObject(input) => {
            for field in input.make_mut().fields.values_mut().filter(|field| renames.contains_key(field.ty.inner_named_type())) {
                rename_type(field.make_mut().ty.make_mut(), renames);
            }
        }
        ExtendedType::Union(union) if union.members.iter().any(|member| renames.contains_key(&member.name)) => {
            let members = std::mem::take(&mut union.make_mut().members);
            let renamed = members.into_iter().map(|mut member| {
                rename_component(&mut member, renames);
                member
            });
            union.make_mut().members = renamed.collect();
        }
        ExtendedType::Union(_) | ExtendedType::Scalar(_) | ExtendedType::Enum(_) => {}
    }
}

fn rename_component(name: &mut ComponentName, renames: &FxHashMap<Name, Name>) {
    if let Some(new) = renames.get(&name.name) {
        name.name = new.clone();
    }
}

fn rename_name(name: &mut Name, renames: &FxHashMap<Name, Name>) {
    if let Some(new) = renames.get(name) {
        *name = new.clone();
    }
}

fn rename_field(field: &mut Component<FieldDefinition>, renames: &FxHashMap<Name, Name>) {
    if renames.contains_key(field.ty.inner_named_type()) {
        rename_type(&mut field.make_mut().ty, renames);
    }
    if field.arguments.iter().any(|argument| renames.contains_key(argument.ty.inner_named_type())) {
        rename_arguments(&mut field.make_mut().arguments, renames);
    }
}

fn rename_arguments(arguments: &mut [Node<InputValueDefinition>], renames: &FxHashMap<Name, Name>) {
    for argument in arguments.iter_mut().filter(|argument| renames.contains_key(argument.ty.inner_named_type())) {
        rename_type(argument.make_mut().ty.make_mut(), renames);
    }
}

fn rename_type(ty: &mut Type, renames: &FxHashMap<Name, Name>) {
    match ty {
        Type::Named(name) | Type::NonNullNamed(name) => rename_name(name, renames),
        Type::List(inner) | Type::NonNullList(inner) => rename_type(inner, renames),
    }
}
