//! INTERFACE_FIELD_NO_IMPLEM: a type that implements an interface in one subgraph needs the fields that the interface has in others.
//!
//! Spec: <https://spec.graphql.org/draft/#IsValidImplementation()>

use crate::compose::merged::{Kind, Merged};
use crate::diagnostics::{Diagnostic, Level};
use crate::subgraph::Subgraph;
use crate::subgraph::facts::fields_of;
use apollo_compiler::Name;
use apollo_compiler::schema::ExtendedType;

/// Checks every implementation of every interface.
pub(super) fn check(subgraphs: &[Subgraph], merged: &Merged) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    for (name, ty) in merged.types.iter().filter(|(_, ty)| matches!(ty.kind, Kind::Object | Kind::Interface)) {
        for interface in &ty.interfaces {
            let Some(definition) = merged.types.get(interface) else { continue };
            for field in definition.fields.keys().filter(|field| !ty.fields.contains_key(*field)) {
                errors.push(missing(subgraphs, name, interface, field));
            }
        }
    }
    errors
}

fn missing(subgraphs: &[Subgraph], name: &Name, interface: &Name, field: &Name) -> Diagnostic {
    let mut places = Vec::new();
    let (mut with_field, mut implementing) = (Vec::new(), Vec::new());
    for subgraph in subgraphs {
        let definition = subgraph.schema.types.get(interface).and_then(fields_of).and_then(|fields| fields.get(field));
        if let Some(definition) = definition {
            with_field.push(format!("\"{}\"", subgraph.name));
            places.push(subgraph.place(definition.location()));
        }
        let ty = subgraph.schema.types.get(name).filter(|ty| implements(ty, interface));
        if let Some(ty) = ty {
            implementing.push(format!("\"{}\"", subgraph.name));
            places.push(subgraph.place(ty.name().location()));
        }
    }
    let message = format!(
        "Interface field \"{interface}.{field}\" is declared in subgraph {}, but \"{name}\", which implements the interface in subgraph {}, has no field \"{field}\". Add the field to \"{name}\" in some subgraph.",
        with_field.join(", "),
        implementing.join(", ")
    );
    Diagnostic { code: "INTERFACE_FIELD_NO_IMPLEM", level: Level::Error, message, places }
}

fn implements(ty: &ExtendedType, interface: &Name) -> bool {
    match ty {
        ExtendedType::Object(ty) => ty.implements_interfaces.contains(interface),
        ExtendedType::Interface(ty) => ty.implements_interfaces.contains(interface),
        _ => false,
    }
}
