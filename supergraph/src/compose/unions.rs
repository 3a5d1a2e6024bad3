//! Union types: the union of their members.
//!
//! Runs before any field, because membership decides what is a subtype of what.

use super::merge::Merger;
use super::merged::{Graph, Map};
use super::objects::places;
use super::sources::TypeSources;
use apollo_compiler::Name;
use apollo_compiler::schema::ExtendedType;

impl<'a> Merger<'a> {
    /// Merges the members of a union.
    pub(crate) fn merge_members(&mut self, name: &Name, sources: &TypeSources<'a>) {
        let mut members: Map<Name, Vec<Graph>> = Map::default();
        let mut joins: Vec<(Graph, Name)> = Vec::new();
        for (graph, definition) in &sources.definitions {
            let ExtendedType::Union(union) = definition else { continue };
            for member in &union.members {
                members.entry(member.name.clone()).or_default().push(*graph);
                joins.push((*graph, member.name.clone()));
            }
        }
        for (member, with) in &members {
            if with.len() < sources.definitions.len() {
                let without = sources.definitions.iter().map(|(graph, _)| *graph).filter(|graph| !with.contains(graph));
                let message = format!(
                    "Union \"{name}\" has the member \"{member}\" in {} but not in {}.",
                    self.diagnoses.names(with.iter().copied()),
                    self.diagnoses.names(without)
                );
                self.diagnoses.hint("INCONSISTENT_UNION_MEMBER", message, &places(sources));
            }
        }
        if let Some(ty) = self.merged.types.get_mut(name) {
            ty.members = members.into_keys().collect();
            ty.member_joins = joins;
        }
    }
}
