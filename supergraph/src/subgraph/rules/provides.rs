//! `@provides`: on fields of composite types that this subgraph resolves; its fields exist, are external and have no arguments.
//!
//! Spec: <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/directives#provides>

use crate::diagnostics::Diagnostic;
use crate::subgraph::facts::{self, FieldSetUse};
use crate::subgraph::selects::{self, Policy};
use crate::subgraph::{FederationDirective, Subgraph};
use apollo_compiler::Name;
use apollo_compiler::schema::{Component, ExtendedType, FieldDefinition};

const POLICY: Policy = Policy {
    directive: FederationDirective::Provides,
    allows_arguments: false,
    wants_external: true,
    allows_abstract: true,
    invalid: "PROVIDES_INVALID_FIELDS",
    not_a_string: "PROVIDES_INVALID_FIELDS_TYPE",
    has_arguments: "PROVIDES_FIELDS_HAS_ARGS",
    has_directive: "PROVIDES_DIRECTIVE_IN_FIELDS_ARG",
    missing_external: "PROVIDES_FIELDS_MISSING_EXTERNAL",
};

type Application<'a> = (&'a Name, &'a ExtendedType, &'a Component<FieldDefinition>, &'a FieldSetUse);

fn applications(subgraph: &Subgraph) -> impl Iterator<Item = Application<'_>> {
    subgraph.schema.types.iter().flat_map(move |(parent, definition)| {
        let fields = facts::fields_of(definition).into_iter().flat_map(|fields| fields.values());
        fields.filter_map(move |field| {
            let provides = subgraph.field_facts(parent, &field.name).provides.as_ref()?;
            Some((parent, definition, field, provides))
        })
    })
}

/// Reports `@provides` on external fields and on fields of scalar and enum types.
pub fn check_places(subgraph: &Subgraph, errors: &mut Vec<Diagnostic>) {
    for (parent, _, field, provides) in applications(subgraph) {
        let coordinate = format!("{parent}.{}", field.name);
        if subgraph.is_external(parent, &field.name) {
            let message = format!(
                "The field \"{coordinate}\" has both @external and @provides, but a field that is not resolved here provides nothing. Remove one of them."
            );
            errors.push(subgraph.error("EXTERNAL_COLLISION_WITH_ANOTHER_DIRECTIVE", &message, provides.directive.location()));
        } else if !is_composite(subgraph, field) {
            let message = format!(
                "The field \"{coordinate}\" has @provides, but its type \"{}\" has no fields. Remove the @provides.",
                field.ty
            );
            errors.push(subgraph.error("PROVIDES_ON_NON_OBJECT_FIELD", &message, provides.directive.location()));
        }
    }
}

fn is_composite(subgraph: &Subgraph, field: &FieldDefinition) -> bool {
    let definition = subgraph.schema.types.get(field.ty.inner_named_type());
    matches!(definition, Some(ExtendedType::Object(_) | ExtendedType::Interface(_) | ExtendedType::Union(_)))
}

/// Reports the applications that break the rest of the rule.
pub fn check(subgraph: &Subgraph, errors: &mut Vec<Diagnostic>) {
    for (parent, definition, field, provides) in applications(subgraph) {
        let owner = format!("field \"{parent}.{}\"", field.name);
        if matches!(definition, ExtendedType::Interface(_)) {
            let message = format!(
                "The {owner} of an interface has @provides, which only fields of object types can have. Move it to the implementations."
            );
            errors.push(subgraph.error("PROVIDES_UNSUPPORTED_ON_INTERFACE", &message, provides.directive.location()));
        }
        let target = field.ty.inner_named_type();
        selects::report(subgraph, &POLICY, (&owner, target), (&provides.fields, &provides.directive), errors);
    }
}
