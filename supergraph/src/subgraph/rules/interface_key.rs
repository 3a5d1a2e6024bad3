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
        errors.extend(unreadable(subgraph, interface).into_iter().map(|(_, error)| error));
        for implementation in subgraph.implementations(interface) {
            let mut unreadable = unreadable(subgraph, implementation);
            if unreadable.is_empty() {
                continue;
            }
            let matches =
                subgraph.keys(interface).iter().map(|key| match_of(subgraph, implementation, key).unwrap_or(usize::MAX));
            let last_read = matches.max().unwrap_or_default();
            unreadable.retain(|(index, _)| *index < last_read);
            errors.extend(unreadable.into_iter().map(|(_, error)| error));
        }
    }
}

/// The errors of a type's keys that cannot be read, each with the key's index.
fn unreadable(subgraph: &Subgraph, name: &Name) -> Vec<(usize, Diagnostic)> {
    let mut errors = Vec::new();
    for (index, key) in subgraph.keys(name).iter().enumerate() {
        let is_readable = key.fields.as_ref().is_ok_and(|set| selects::unreadable(subgraph, name, set).is_none());
        if is_readable {
            continue;
        }
        let mut found = Vec::new();
        let owner = format!("type \"{name}\"");
        selects::report(subgraph, &selects::KEY, (&owner, name), (&key.fields, &key.directive), &mut found);
        errors.extend(found.into_iter().map(|error| (index, error)));
    }
    errors
}

/// The index of the type's first key that selects the same as `key`.
fn match_of(subgraph: &Subgraph, name: &Name, key: &Key) -> Option<usize> {
    let fields = key.fields.as_ref().ok()?;
    subgraph.keys(name).iter().position(|other| other.fields.as_ref().is_ok_and(|other| other.selects_same(fields)))
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
    let (mut missing, mut unresolvable) = (Vec::new(), Vec::new());
    for implementation in subgraph.implementations(interface) {
        match match_of(subgraph, implementation, key).and_then(|index| subgraph.keys(implementation).get(index)) {
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
