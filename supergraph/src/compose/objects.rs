//! Object types, and what objects and interfaces share: implemented interfaces, `@join__type`, hints about partial fields.
//!
//! Relies on `fields`, `overrides` and `sharing`.

use super::merge::Merger;
use super::merged::{Graph, JoinType, Kind, Map, Root, Set};
use super::sources::{self, FieldSources, TypeSources};
use crate::subgraph::FederationDirective;
use apollo_compiler::Name;
use apollo_compiler::schema::ExtendedType;

impl<'a> Merger<'a> {
    /// Merges the interfaces that a type implements. Done before any field, because it decides what is a subtype of what.
    pub(crate) fn merge_implements(&mut self, name: &Name, sources: &TypeSources<'a>) {
        let mut interfaces = Set::default();
        let mut implements = Vec::new();
        for (graph, definition) in &sources.definitions {
            let declared = match definition {
                ExtendedType::Object(ty) => &ty.implements_interfaces,
                ExtendedType::Interface(ty) => &ty.implements_interfaces,
                _ => continue,
            };
            for interface in declared {
                interfaces.insert(interface.name.clone());
                implements.push((*graph, interface.name.clone()));
            }
        }
        if let Some(ty) = self.merged.types.get_mut(name) {
            ty.interfaces = interfaces;
            ty.implements = implements;
        }
    }

    /// One `@join__type` for each key, or one for a subgraph without keys.
    pub(crate) fn join_types(&self, name: &Name, sources: &TypeSources<'a>) -> Vec<JoinType> {
        let mut joins = Vec::with_capacity(sources.definitions.len());
        for (graph, _) in &sources.definitions {
            let Some(subgraph) = self.subgraphs.get(*graph) else { continue };
            let facts = subgraph.type_facts(name);
            let is_interface_object = facts.is_interface_object;
            let join = JoinType { graph: *graph, key: None, is_extension: false, resolvable: None, is_interface_object };
            if facts.keys.is_empty() {
                joins.push(join);
                continue;
            }
            joins.extend(facts.keys.iter().map(|key| JoinType {
                graph: *graph,
                key: Some(key.text.clone()),
                is_extension: key.is_extension,
                resolvable: (!key.is_resolvable).then_some(false),
                is_interface_object,
            }));
        }
        let implied = |graph: &Graph| JoinType {
            graph: *graph,
            key: None,
            is_extension: false,
            resolvable: None,
            is_interface_object: false,
        };
        joins.extend(sources.implied.iter().map(implied));
        joins.sort_by_key(|join| join.graph);
        joins
    }

    /// Merges an object type.
    pub(crate) fn merge_object(&mut self, name: &Name, sources: &TypeSources<'a>) {
        let interfaces = self.merged.types.get(name).map(|ty| ty.interfaces.clone()).unwrap_or_default();
        let fields = sources::fields(self.subgraphs, sources, &interfaces);
        if fields.is_empty() {
            // Only a query type that has nothing but federation's own fields.
            self.merged.types.shift_remove(name);
            return;
        }
        let is_entity = self.hint_partial_entity(name, sources);
        let is_root = self.is_root(name);
        let is_subscription = is_root && name == Root::Subscription.type_name();
        let mut merged = Map::with_capacity_and_hasher(fields.len(), rustc_hash::FxBuildHasher);
        for (field, field_sources) in &fields {
            if !is_entity && !is_root {
                self.hint_partial_field(name, sources, field, field_sources);
            }
            if is_subscription {
                self.refuse_shared_subscription(field_sources);
            }
            let overrides = self.overrides(name, field_sources);
            if let Some(field_merged) = self.merge_field(name, sources, field_sources, &overrides) {
                merged.insert((*field).clone(), field_merged);
            }
            self.check_sharing(name, field, field_sources, &overrides);
        }
        if let Some(ty) = self.merged.types.get_mut(name) {
            ty.fields = merged;
        }
    }

    /// Hints about a type that has keys only in some subgraphs; returns whether it has any.
    fn hint_partial_entity(&mut self, name: &Name, sources: &TypeSources<'a>) -> bool {
        let has_key = |graph: Graph| self.subgraphs.get(graph).is_some_and(|subgraph| !subgraph.keys(name).is_empty());
        let (with, without): (Vec<Graph>, Vec<Graph>) = sources
            .definitions
            .iter()
            .map(|(graph, _)| *graph)
            .chain(sources.implied.iter().copied())
            .partition(|graph| has_key(*graph));
        if !with.is_empty() && !without.is_empty() {
            let message = format!(
                "Type \"{name}\" is an entity in {} but has no @key in {}.",
                self.diagnoses.names(with.iter().copied()),
                self.diagnoses.names(without.iter().copied())
            );
            self.diagnoses.hint("INCONSISTENT_ENTITY", message, &places(sources));
        }
        !with.is_empty()
    }

    /// Hints about a field of a type without keys that some definitions of the type lack.
    pub(crate) fn hint_partial_field(
        &mut self,
        name: &Name,
        sources: &TypeSources<'a>,
        field: &Name,
        field_sources: &FieldSources<'a>,
    ) {
        if field_sources.definitions.len() == sources.definitions.len() {
            return;
        }
        let is_interface = sources.kind == Kind::Interface;
        let lacks = |graph: Graph, definition: &ExtendedType| {
            let Some(subgraph) = self.subgraphs.get(graph) else { return false };
            let is_interface_object = subgraph.is_interface_object(name);
            let all_external = || {
                let fields = sources::fields_of(definition).into_iter().flat_map(|fields| fields.keys());
                fields.into_iter().all(|field| subgraph.is_external(name, field))
            };
            field_sources.of(graph).is_none() && !is_interface_object && !all_external()
        };
        if !sources.definitions.iter().any(|(graph, definition)| lacks(*graph, definition)) {
            return;
        }
        let is_given = |source: &sources::FieldSource<'_>| {
            !source.facts.is_external
                && self.subgraphs.get(source.graph).is_some_and(|subgraph| subgraph.is_interface_object(name))
        };
        if is_interface && field_sources.definitions.iter().any(is_given) {
            return;
        }
        let missing = sources.definitions.iter().map(|(graph, _)| *graph).filter(|graph| field_sources.of(*graph).is_none());
        let (code, what) = if is_interface {
            ("INCONSISTENT_INTERFACE_VALUE_TYPE_FIELD", "interface")
        } else {
            ("INCONSISTENT_OBJECT_VALUE_TYPE_FIELD", "type without keys")
        };
        let message = format!(
            "Field \"{name}.{field}\" of a {what} is in {} but not in {}.",
            self.diagnoses.names(field_sources.definitions.iter().map(|source| source.graph)),
            self.diagnoses.names(missing)
        );
        self.diagnoses.hint(code, message, &field_sources.places());
    }

    fn refuse_shared_subscription(&mut self, sources: &FieldSources<'a>) {
        let is_marked = |source: &&sources::FieldSource<'a>| {
            let shareable =
                self.subgraphs.get(source.graph).and_then(|subgraph| subgraph.directive(FederationDirective::Shareable));
            shareable.is_some_and(|name| source.definition.directives.has(name))
        };
        let marked: Vec<_> = sources.definitions.iter().filter(is_marked).collect();
        let Some(first) = marked.first() else { return };
        let message = format!(
            "Field \"Subscription.{}\" is @shareable: a subscription comes from one subgraph. Remove @shareable.",
            first.definition.name
        );
        let at: Vec<_> = marked.iter().map(|source| source.at()).collect();
        self.diagnoses.error("INVALID_FIELD_SHARING", message, &at);
    }
}

/// Where all definitions of a type stand.
pub(crate) fn places(sources: &TypeSources<'_>) -> Vec<super::diagnose::At> {
    sources.definitions.iter().map(|(graph, definition)| (*graph, sources::location_of(definition))).collect()
}
