//! Groups: the appearances of a response key as fields, one for each group of object types on which they are alike.
//!
//! Part of `selections`, which collects the appearances.

use super::super::PlanError;
use super::super::condition::{ALWAYS, Guard};
use super::super::denied::Denied;
use super::super::operation::RawField;
use super::{Appearance, Appearances, Call, Open, SelectedField, Selections, Signature, Sources, TypesId};
use crate::ids::{NameId, TypeId};
use crate::plan::shape::{TypeSet, Wrap};
use apollo_compiler::Name;
use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

impl Selections<'_> {
    /// One field per response key and group of object types with the same appearances and the same type of the field.
    pub(super) fn merge(
        &mut self,
        named: TypeId,
        appearances: &Appearances<'_>,
        depth: usize,
        open: &mut Vec<Open>,
    ) -> Result<Vec<SelectedField>, PlanError> {
        let mut fields = Vec::with_capacity(appearances.len());
        for (key, list) in appearances {
            if let (Some(types), Some(first)) = (self.only_group(list), list.first()) {
                fields.extend(self.merge_group((named, key), types, &[first], open, depth));
                continue;
            }
            for (types, chosen) in self.groups(list) {
                let members: Vec<&Appearance<'_>> = chosen.iter().filter_map(|index| list.get(*index)).collect();
                fields.extend(self.merge_group((named, key), types, &members, open, depth));
            }
        }
        Ok(fields)
    }

    /// Object types by the appearances that apply to them and the field's type there. Of appearances that are alike the first
    /// stands for all, so that equal fields in fragments on several types are one field.
    fn groups(&mut self, list: &[Appearance<'_>]) -> Vec<(TypesId, Vec<usize>)> {
        let mut groups: IndexMap<(Vec<usize>, Wrap, TypeId), Vec<TypeId>, FxBuildHasher> = IndexMap::default();
        let mut all: Vec<TypeId> = Vec::new();
        let mut sets: Vec<TypesId> = list.iter().map(|appearance| appearance.types).collect();
        sets.dedup();
        for set in &sets {
            all.extend(self.types(*set).iter());
        }
        all.sort_unstable();
        all.dedup();
        let mut firsts: IndexMap<(&RawField, Guard), usize, FxBuildHasher> = IndexMap::default();
        let first_alike: Vec<usize> = list
            .iter()
            .enumerate()
            .map(|(index, appearance)| *firsts.entry((appearance.field, appearance.guard)).or_insert(index))
            .collect();
        for id in all {
            let applies = |appearance: &Appearance<'_>| sets.len() == 1 || self.types(appearance.types).contains(id);
            let mut applying: Vec<usize> =
                list.iter().zip(&first_alike).filter(|(appearance, _)| applies(appearance)).map(|(_, first)| *first).collect();
            applying.sort_unstable();
            applying.dedup();
            let Some(first) = applying.first().and_then(|index| list.get(*index)) else { continue };
            let (wrap, named) = self.type_of(id, self.names.number(&first.field.name));
            groups.entry((applying, wrap, named)).or_default().push(id);
        }
        groups.into_iter().map(|((chosen, ..), types)| (self.intern(TypeSet::new(types)), chosen)).collect()
    }

    /// The types of a field whose appearances are all alike, if it has one type on all of them. Most fields are like that.
    fn only_group(&self, list: &[Appearance<'_>]) -> Option<TypesId> {
        let (first, others) = list.split_first()?;
        let alike = |other: &Appearance<'_>| (other.types, other.guard, other.field) == (first.types, first.guard, first.field);
        let name = self.names.number(&first.field.name);
        let mut objects = self.types(first.types).iter().map(|object| self.type_of(object, name));
        let form = objects.next()?;
        (others.iter().all(alike) && objects.all(|other| other == form)).then_some(first.types)
    }

    fn merge_group(
        &mut self,
        (parent, key): (TypeId, &Name),
        types: TypesId,
        members: &[&Appearance<'_>],
        open: &mut Vec<Open>,
        depth: usize,
    ) -> Option<SelectedField> {
        let first = members.first()?;
        let guard = members.iter().skip(1).fold(first.guard, |guard, member| self.guards.or(guard, member.guard));
        let one = self.types(types).iter().next().unwrap_or(parent);
        let name_id = self.names.number(&first.field.name);
        let (wrap, named) = self.type_of(one, name_id);
        let alike = members.iter().all(|member| member.guard == first.guard);
        let mut sources: Sources = Vec::new();
        for member in members {
            let Some(list) = member.field.below else { continue };
            let source = (list, if alike { ALWAYS } else { member.guard });
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
        let introspects = first.field.name.starts_with("__");
        let is_denied = |member: &&Appearance<'_>| member.field.requirement.is_some_and(|id| self.denied().contains(&id));
        // Whoever may see it in one place may see it.
        let denied = (!self.denied().is_empty() && members.iter().all(is_denied)).then(Denied::default);
        if denied.is_some() {
            sources.clear();
        }
        let below = (!sources.is_empty() && !introspects).then(|| {
            let id = self.reserve(named);
            open.push(Open { id, named, sources, depth: depth + 1 });
            id
        });
        let call = Call {
            name: first.field.name.clone(),
            name_id,
            arguments: first.field.arguments.clone(),
            variables: first.field.variables.clone(),
        };
        let (index, _) = self.calls.insert_full(call);
        Some(SelectedField {
            key: key.clone(),
            name: first.field.name.clone(),
            name_id,
            signature: Signature(u32::try_from(index).unwrap_or(u32::MAX)),
            types,
            guard,
            wrap,
            named,
            below,
            deferred: ALWAYS,
            denied,
            is_ambiguous: false,
        })
    }

    /// Lists, nullability and named type of a field of an object type.
    fn type_of(&self, object: TypeId, name: NameId) -> (Wrap, TypeId) {
        match self.names.row(object, name).own {
            Some(field) => {
                let ty = self.supergraph.field(field).ty;
                (ty.wrap, ty.named)
            }
            None => (Wrap { lists: 0, non_null: 1 }, object),
        }
    }
}
