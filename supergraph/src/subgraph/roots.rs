//! Root types under their default names, and the schema without what federation adds to the query root.
//!
//! Relies on the schema's data types; `read` relies on it.
//! Spec: <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/subgraph-spec>

use apollo_compiler::ast::Type;
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::{Component, ComponentName, ExtendedType, FieldDefinition};
use apollo_compiler::{Name, Schema};
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

/// Removes the types that only those fields use.
pub fn remove_federation_types(schema: &mut Schema) {
    for name in ["_Any", "_Service", "_Entity"] {
        schema.types.shift_remove(name);
    }
}

/// Renames the root types to `Query`, `Mutation` and `Subscription`. Where that is impossible nothing is renamed.
pub fn rename(schema: &mut Schema) -> Vec<RootFault> {
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
    }
    faults
}

/// Renames types everywhere. Linear in the schema.
fn rename_types(schema: &mut Schema, renames: &FxHashMap<Name, Name>) {
    let root = schema.schema_definition.make_mut();
    for name in [&mut root.query, &mut root.mutation, &mut root.subscription].into_iter().flatten() {
        rename_component(name, renames);
    }
    let types = std::mem::take(&mut schema.types);
    for (name, mut definition) in types {
        match &mut definition {
            ExtendedType::Object(object) => {
                let object = object.make_mut();
                rename_name(&mut object.name, renames);
                object.fields.values_mut().for_each(|field| rename_field(field, renames));
            }
            ExtendedType::Interface(interface) => {
                interface.make_mut().fields.values_mut().for_each(|field| rename_field(field, renames));
            }
            ExtendedType::Union(union) if union.members.iter().any(|member| renames.contains_key(&member.name)) => {
                let members = std::mem::take(&mut union.make_mut().members);
                union.make_mut().members = members
                    .into_iter()
                    .map(|mut member| {
                        rename_component(&mut member, renames);
                        member
                    })
                    .collect();
            }
            _ => {}
        }
        schema.types.insert(renames.get(&name).cloned().unwrap_or(name), definition);
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

/// Arguments never refer to a root type, which is an object type.
fn rename_field(field: &mut Component<FieldDefinition>, renames: &FxHashMap<Name, Name>) {
    if renames.contains_key(field.ty.inner_named_type()) {
        rename_type(&mut field.make_mut().ty, renames);
    }
}

fn rename_type(ty: &mut Type, renames: &FxHashMap<Name, Name>) {
    match ty {
        Type::Named(name) | Type::NonNullNamed(name) => rename_name(name, renames),
        Type::List(inner) | Type::NonNullList(inner) => rename_type(inner, renames),
    }
}
