//! Keys of interfaces: every implementation in the subgraph has the same key, resolvable if the interface's is.
//!
//! Spec: <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/entities/interfaces>

use crate::diagnostics::Diagnostic;
use crate::subgraph::{Key, Subgraph, selects};
use apollo_compiler::Name;
use apollo_compiler::schema::ExtendedType;

fn interfaces(subgraph: &Subgraph) -> impl Iterator<Item = &Name> {
    let interfaces = subgraph.schema.types.iter().filter(|(_, definition)| matches!(definition, ExtendedType::Interface(_)));
    interfaces.map(|(name, _)| name).filter(|name| !subgraph.keys(name).is_empty())
}

/// Reports keys of such interfaces and of their implementations that cannot be compared, because they select what does not exist.
/// Keys of an implementation are read until one equals the interface's.
pub fn check_field_sets(subgraph: &Subgraph, errors: &mut Vec<Diagnostic>) {
    for interface in interfaces(subgraph) {
        for key in subgraph.keys(interface) {
            check_readable(subgraph, interface, key, errors);
            let Ok(fields) = &key.fields else { continue };
            for implementation in subgraph.implementations(interface) {
                let is_other = |other: &&Key| !other.fields.as_ref().is_ok_and(|other| other.selects_same(fields));
                for other in subgraph.keys(implementation).iter().take_while(is_other) {
                    check_readable(subgraph, implementation, other, errors);
                }
            }
        }
    }
}

fn check_readable(subgraph: &Subgraph, name: &Name, key: &Key, errors: &mut Vec<Diagnostic>) {
    let mut found = Vec::new();
    selects::report(subgraph, &selects::KEY, (&format!("type \"{name}\""), name), (&key.fields, &key.directive), &mut found);
    errors.extend(
        found
            .into_iter()
            .filter(|error| error.code.starts_with("KEY_INVALID_FIELDS") && !errors.contains(error))
            .collect::<Vec<_>>(),
    );
}

/// Reports implementations that lack a key, or have it with `resolvable: false`.
pub fn check(subgraph: &Subgraph, errors: &mut Vec<Diagnostic>) {
    for interface in interfaces(subgraph) {
        for key in subgraph.keys(interface) {
            check_key(subgraph, interface, key, errors);
        }
    }
}

fn check_key(subgraph: &Subgraph, interface: &Name, key: &Key, errors: &mut Vec<Diagnostic>) {
    let Ok(fields) = &key.fields else { return };
    let (mut missing, mut unresolvable) = (Vec::new(), Vec::new());
    for implementation in subgraph.implementations(interface) {
        let mut keys = subgraph.keys(implementation).iter();
        match keys.find(|other| other.fields.as_ref().is_ok_and(|other| other.selects_same(fields))) {
            None => missing.push(implementation.as_str()),
            Some(same) if key.is_resolvable && !same.is_resolvable => unresolvable.push(implementation.as_str()),
            Some(_) => {}
        }
    }
    let message = if !missing.is_empty() {
        format!(
            "The interface \"{interface}\" has the key \"{}\", so each of its implementations must have it; add it to {}.",
            key.text,
            missing.join(", ")
        )
    } else if !unresolvable.is_empty() {
        format!(
            "The interface \"{interface}\" has the resolvable key \"{}\", but it has \"resolvable: false\" on {}. Remove that, or make the interface's key unresolvable too.",
            key.text,
            unresolvable.join(", ")
        )
    } else {
        return;
    };
    errors.push(subgraph.error("INTERFACE_KEY_NOT_ON_IMPLEMENTATION", &message, key.location));
}
