//! Keys, provides and requires on interfaces: Federation 1 ignored them, Federation 2 gives keys of interfaces a meaning.

use super::edit;
use crate::diagnostics::{Diagnostic, Level};
use crate::subgraph::{FederationDirective, Subgraph};
use apollo_compiler::Name;
use apollo_compiler::schema::ExtendedType;
use rustc_hash::FxHashMap;

/// Removes the directives.
pub fn remove_directives(subgraph: &mut Subgraph) {
    let name_of = |directive| subgraph.directive(directive).cloned();
    let key = name_of(FederationDirective::Key);
    let others: Vec<Name> =
        [FederationDirective::Provides, FederationDirective::Requires].into_iter().filter_map(name_of).collect();
    for definition in subgraph.schema.types.values_mut() {
        let ExtendedType::Interface(interface) = definition else { continue };
        if key.as_ref().is_some_and(|key| interface.directives.has(key)) {
            interface.make_mut().directives.0.retain(|directive| Some(&directive.name) != key.as_ref());
        }
        let has_any = |directives: &apollo_compiler::ast::DirectiveList| others.iter().any(|other| directives.has(other));
        if interface.fields.values().any(|field| has_any(&field.directives)) {
            for field in interface.make_mut().fields.values_mut().filter(|field| has_any(&field.directives)) {
                others.iter().for_each(|other| edit::remove(&mut field.make_mut().directives, other));
            }
        }
    }
}

/// Reports interface objects that would rely on an interface key of a Federation 1 subgraph.
pub fn check_interface_objects(before: &[Subgraph], upgraded: &FxHashMap<usize, Subgraph>, errors: &mut Vec<Diagnostic>) {
    let mut objects: Vec<(&Name, Vec<&str>)> = Vec::new();
    for subgraph in before.iter().filter(|subgraph| !subgraph.is_federation_1) {
        for name in subgraph.schema.types.keys().filter(|name| subgraph.is_interface_object(name)) {
            match objects.iter_mut().find(|(known, _)| *known == name) {
                Some((_, users)) => users.push(&subgraph.name),
                None => objects.push((name, vec![&subgraph.name])),
            }
        }
    }
    for (name, users) in objects {
        let has_key = |subgraph: &Subgraph| {
            matches!(subgraph.schema.types.get(name), Some(ExtendedType::Interface(_))) && !subgraph.keys(name).is_empty()
        };
        let keyed = before.iter().enumerate().filter(|(index, subgraph)| upgraded.contains_key(index) && has_key(subgraph));
        let keyed: Vec<&str> = keyed.map(|(_, subgraph)| subgraph.name.as_str()).collect();
        if !keyed.is_empty() {
            let message = format!(
                "The type \"{name}\" is an @interfaceObject in {}, so an interface @key must resolve its __typename elsewhere. The @key of the interface in {} \
                 cannot, because Federation 1 ignores it: upgrade that subgraph to Federation 2, or remove the @key.",
                users.join(", "),
                keyed.join(", ")
            );
            let involved = before.iter().filter(|subgraph| users.iter().chain(&keyed).any(|name| *name == subgraph.name));
            let places = involved.map(|subgraph| subgraph.place(subgraph.schema.types.get(name).and_then(|ty| ty.location())));
            errors.push(Diagnostic {
                code: "INTERFACE_OBJECT_USAGE_ERROR",
                level: Level::Error,
                message,
                places: places.collect(),
            });
        }
    }
}
