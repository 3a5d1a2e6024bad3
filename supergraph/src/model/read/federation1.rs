//! Join v0.1, as Federation 1 composed: what the SDL leaves out is put back.
//!
//! There, an entity has an owner that resolves every field without `join__field`; a key of another subgraph, and the fields that its
//! `requires` and `provides` name, are in that subgraph's schema without being written down. Relied on by `read`.
//! Spec: <https://specs.apollo.dev/join/v0.1/>

use super::super::declared::Declared;
use super::super::field_set;
use super::super::{FieldAt, field_set::Lookup};
use super::field_sets::Use;
use super::{Reader, joins};
use crate::ids::{FieldId, SubgraphId, SubgraphSet, TypeId};
use apollo_compiler::ast::Selection;

/// How a field that a field set names is in the subgraph's schema.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Resolved,
    External,
}

impl Reader {
    /// The subgraphs of a field without `join__field`.
    pub(super) fn subgraphs_without_join(&mut self, parent: TypeId, declared: &Declared) -> SubgraphSet {
        let owner = declared.directives.get(&self.names.join_owner).and_then(|owner| joins::graph(owner)).cloned();
        match owner.filter(|_| self.federation1) {
            Some(owner) => self.graph(&owner, "@join__owner").map(SubgraphSet::of).unwrap_or_default(),
            None => self.type_at(parent).subgraphs.clone(),
        }
    }

    /// Adds the fields that field sets show to be in a subgraph.
    pub(super) fn complete_federation1(&mut self) {
        let keys: Vec<_> = self.pending.keys.iter().map(|key| (key.text.clone(), key.of, key.subgraph)).collect();
        for (text, of, subgraph) in keys {
            self.complete(&text, of, subgraph, Presence::Resolved);
        }
        let sets: Vec<_> = self.pending.sets.iter().map(|set| (set.text.clone(), set.of, set.subgraph, set.used_as)).collect();
        for (text, of, subgraph, used_as) in sets {
            let Some(field) = self.fields.get(of) else { continue };
            let parent = if used_as == Use::Requires { field.parent } else { field.ty.named };
            self.complete(&text, parent, subgraph, Presence::External);
        }
    }

    fn complete(&mut self, text: &str, parent: TypeId, subgraph: SubgraphId, presence: Presence) {
        if let Ok(selections) = field_set::parse(text) {
            self.complete_selections(&selections, parent, subgraph, presence);
        }
    }

    fn complete_selections(&mut self, selections: &[Selection], parent: TypeId, subgraph: SubgraphId, presence: Presence) {
        for selection in selections {
            match selection {
                Selection::Field(field) => {
                    let Some((id, below)) = self.field(parent, &field.name) else { continue };
                    self.add(id, subgraph, presence);
                    self.complete_selections(&field.selection_set, below, subgraph, presence);
                }
                Selection::InlineFragment(fragment) => {
                    let on = fragment.type_condition.as_ref().and_then(|name| self.type_named(name)).unwrap_or(parent);
                    self.complete_selections(&fragment.selection_set, on, subgraph, presence);
                }
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    fn add(&mut self, id: FieldId, subgraph: SubgraphId, presence: Presence) {
        let Some(field) = self.fields.get_mut(id) else { return };
        if field.at(subgraph).is_none() {
            let at = FieldAt { external: presence == Presence::External, ..FieldAt::plain(field.ty) };
            field.set(subgraph, at);
            field.index();
        }
    }
}

impl Lookup for Reader {
    fn field(&self, parent: TypeId, name: &str) -> Option<(FieldId, TypeId)> {
        let id = self.type_at(parent).fields.get(name).copied()?;
        self.fields.get(id).map(|field| (id, field.ty.named))
    }

    fn type_named(&self, name: &str) -> Option<TypeId> {
        self.type_ids.get(name).copied()
    }
}
