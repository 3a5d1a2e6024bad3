//! Interface types, in which interface objects take part; and the fields that interface objects give to implementations.
//!
//! Relies on `fields`; runs before `objects`, and the copies after everything.
//! Spec: <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/entities/interfaces>

use super::merge::Merger;
use super::merged::{JoinField, Kind, Map, MergedField};
use super::overrides::Overrides;
use super::sources::{self, TypeSources};
use apollo_compiler::ast::Directive;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Name, Node};

impl<'a> Merger<'a> {
    /// Merges an interface type.
    pub(crate) fn merge_interface(&mut self, name: &Name, sources: &TypeSources<'a>) {
        let implementations = self.implementations(name);
        let has_key = self.check_interface_keys(name, sources, &implementations);
        self.check_interface_objects(name, sources, &implementations);
        let interfaces = self.merged.types.get(name).map(|ty| ty.interfaces.clone()).unwrap_or_default();
        let fields = sources::fields(self.subgraphs, sources, &interfaces);
        let mut merged = Map::default();
        for (field, field_sources) in &fields {
            if !has_key {
                self.hint_partial_field(name, sources, field, field_sources);
            }
            let overrides = self.overrides(name, field_sources);
            if let Some(field_merged) = self.merge_field(name, sources, field_sources, &overrides) {
                merged.insert((*field).clone(), field_merged);
            }
        }
        if let Some(ty) = self.merged.types.get_mut(name) {
            ty.fields = merged;
        }
    }

    /// The object types that implement an interface in the supergraph.
    fn implementations(&self, interface: &Name) -> Vec<Name> {
        let objects = self.merged.types.iter().filter(|(_, ty)| ty.kind == Kind::Object && ty.interfaces.contains(interface));
        objects.map(|(name, _)| name.clone()).collect()
    }

    /// A subgraph that resolves an interface by key must know every implementation. Returns whether there is any key.
    fn check_interface_keys(&mut self, name: &Name, sources: &TypeSources<'a>, implementations: &[Name]) -> bool {
        let mut has_key = false;
        for (graph, definition) in &sources.definitions {
            let Some(subgraph) = self.subgraphs.get(*graph).filter(|_| matches!(definition, ExtendedType::Interface(_))) else {
                continue;
            };
            let keys = subgraph.keys(name);
            has_key |= !keys.is_empty();
            let Some(key) = keys.iter().find(|key| key.is_resolvable) else { continue };
            let known = subgraph.implementations(name);
            let missing: Vec<String> = implementations
                .iter()
                .filter(|implementation| !known.contains(implementation))
                .map(|name| format!("\"{name}\""))
                .collect();
            if missing.is_empty() {
                continue;
            }
            let message = format!(
                "[{}] Interface \"{name}\" has a resolvable @key(fields: \"{}\"), so this subgraph must define all its implementations, but it lacks {}. Define them, or write resolvable: false.",
                subgraph.name,
                key.text,
                missing.join(", ")
            );
            self.diagnoses.error("INTERFACE_KEY_MISSING_IMPLEMENTATION_TYPE", message, &[(*graph, key.location)]);
        }
        has_key
    }

    /// A subgraph has an interface object or implementations of the interface, not both.
    fn check_interface_objects(&mut self, name: &Name, sources: &TypeSources<'a>, implementations: &[Name]) {
        for (graph, definition) in &sources.definitions {
            let Some(subgraph) = self.subgraphs.get(*graph).filter(|subgraph| subgraph.is_interface_object(name)) else {
                continue;
            };
            let defined: Vec<&Name> = implementations.iter().filter(|name| subgraph.schema.types.contains_key(*name)).collect();
            let Some(first) = defined.first() else { continue };
            let message = format!(
                "[{}] \"{name}\" is an @interfaceObject here, so this subgraph must not define implementations of it, but it defines {}. Remove those or make \"{name}\" an interface.",
                subgraph.name,
                defined.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
            );
            let first = subgraph.schema.types.get(*first).and_then(sources::location_of);
            self.diagnoses.error(
                "INTERFACE_OBJECT_USAGE_ERROR",
                message,
                &[(*graph, sources::location_of(definition)), (*graph, first)],
            );
        }
    }

    /// Gives every implementation the fields that an interface object adds to its interface.
    pub(crate) fn copy_interface_object_fields(&mut self, types: &Map<Name, TypeSources<'a>>) {
        let given = self.given_fields(types);
        if given.is_empty() {
            return;
        }
        for (name, sources) in types.iter().filter(|(_, sources)| sources.kind == Kind::Object) {
            let interfaces = self.merged.types.get(name).map(|ty| ty.interfaces.clone()).unwrap_or_default();
            for interface in &interfaces {
                for field in given.get(interface).into_iter().flatten() {
                    self.copy_field(name, sources, interface, field);
                }
            }
        }
    }

    /// For each interface, its fields that some interface object resolves.
    fn given_fields(&self, types: &Map<Name, TypeSources<'a>>) -> Map<Name, Vec<Name>> {
        let mut given: Map<Name, Vec<Name>> = Map::default();
        for (name, sources) in types.iter().filter(|(_, sources)| sources.kind == Kind::Interface) {
            let Some(merged) = self.merged.types.get(name) else { continue };
            let is_given = |field: &&Name| {
                sources.definitions.iter().any(|(graph, definition)| {
                    let subgraph = self.subgraphs.get(*graph).filter(|subgraph| subgraph.is_interface_object(name));
                    let has_field = sources::fields_of(definition).is_some_and(|fields| fields.contains_key(*field));
                    has_field && subgraph.is_some_and(|subgraph| !subgraph.is_external(name, field))
                })
            };
            let fields: Vec<Name> = merged.fields.keys().filter(is_given).cloned().collect();
            if !fields.is_empty() {
                given.insert(name.clone(), fields);
            }
        }
        given
    }

    fn copy_field(&mut self, name: &Name, sources: &TypeSources<'a>, interface: &Name, field: &Name) {
        let Some(original) = self.merged.types.get(interface).and_then(|ty| ty.fields.get(field)).cloned() else { return };
        let existing = self.merged.types.get(name).and_then(|ty| ty.fields.get(field));
        if let Some(existing) = existing {
            // Declared by the implementation only to be required: the interface object's field is the real one.
            if !existing.joins.is_empty() && existing.joins.iter().all(|join| join.is_external) {
                let copied = self.copied_directives(name, field, &original.applied);
                if let Some(existing) = self.merged.types.get_mut(name).and_then(|ty| ty.fields.get_mut(field)) {
                    existing.applied.extend(copied);
                }
            }
            return;
        }
        let applied = self.copied_directives(name, field, &original.applied);
        let copy = MergedField { applied, joins: vec![JoinField::default()], ..original };
        if let Some(ty) = self.merged.types.get_mut(name) {
            ty.fields.insert(field.clone(), copy);
        }
        let interfaces = self.merged.types.get(name).map(|ty| ty.interfaces.clone()).unwrap_or_default();
        let abstracted = sources::abstracted(self.subgraphs, sources, &interfaces, field);
        self.check_sharing(name, field, &abstracted, &Overrides::default());
    }

    /// What a copied field takes from the interface's field. Access control is not copied: it is what the interface objects
    /// say, without what flowed up from other implementations.
    fn copied_directives(&mut self, parent: &Name, field: &Name, original: &[Node<Directive>]) -> Vec<Node<Directive>> {
        let mut found = Vec::new();
        self.access.extend_field(parent, field, &mut found);
        let mut applied = self.merge_applied(&|| format!("{parent}.{field}"), found);
        let is_copied =
            |directive: &&Node<Directive>| directive.name != "join__directive" && !self.access.is_access(&directive.name);
        applied.extend(original.iter().filter(is_copied).cloned());
        applied
    }
}
