//! Reading fields: their types and arguments, and what each subgraph makes of them.
//!
//! Relied on by the stages of `read`.

use super::super::declared::Declared;
use super::super::{Argument, ContextArgument, Field, FieldAt, TypeRef};
use super::field_sets::{PendingContext, PendingSet, Use};
use super::{Reader, joins};
use crate::ids::{FieldId, Id, LabelId, SubgraphId, TypeId};
use crate::plan::shape::Wrap;
use apollo_compiler::Name;
use apollo_compiler::ast::{self, FieldDefinition};
use rustc_hash::FxHashMap;

impl Reader {
    /// Makes a [`Field`] of every field of object and interface types.
    pub(super) fn read_fields(&mut self) {
        let declared = std::mem::take(&mut self.declared);
        for (index, (name, declared)) in declared.iter().enumerate() {
            let parent = TypeId::new(index);
            for definition in &declared.fields {
                self.read_field(parent, name, declared, definition);
            }
        }
        self.declared = declared;
    }

    fn read_field(&mut self, parent: TypeId, parent_name: &Name, declared: &Declared, definition: &FieldDefinition) {
        let Some(ty) = self.type_ref(&definition.ty, parent_name, &definition.name) else { return };
        let mut field = Field::new(definition.name.clone(), parent, ty);
        field.inaccessible = self.names.hides(&definition.directives);
        field.directives = self.names.others(&definition.directives);
        for argument in &definition.arguments {
            let Some(ty) = self.type_ref(&argument.ty, parent_name, &definition.name) else { continue };
            let read = Argument {
                ty,
                default: argument.default_value.clone(),
                inaccessible: self.names.hides(&argument.directives),
                directives: argument.directives.clone(),
            };
            field.arguments.insert(argument.name.clone(), read);
        }
        let id = FieldId::new(self.fields.len());
        self.read_field_joins(id, &mut field, declared, definition);
        field.index();
        self.fields.push(field);
        if let Some(parent) = self.types.get_mut(parent) {
            parent.fields.insert(definition.name.clone(), id);
        }
    }

    fn read_field_joins(&mut self, id: FieldId, field: &mut Field, declared: &Declared, definition: &FieldDefinition) {
        let join_field = self.names.join_field.clone();
        let mut joined = false;
        for join in joins::fields(&definition.directives, &join_field) {
            joined = true;
            let Some(subgraph) = join.graph.and_then(|graph| self.graph(graph, &definition.name)) else { continue };
            let at = self.read_join(id, field.ty, subgraph, &join);
            field.set(subgraph, at);
        }
        if joined {
            return;
        }
        for subgraph in self.subgraphs_without_join(field.parent, declared).iter() {
            field.set(subgraph, FieldAt::plain(field.ty));
        }
    }

    fn read_join(&mut self, id: FieldId, ty: TypeRef, subgraph: SubgraphId, join: &joins::JoinField<'_>) -> FieldAt {
        for (text, of) in [(join.requires, Use::Requires), (join.provides, Use::Provides)] {
            if let Some(text) = text {
                self.pending.sets.push(PendingSet { of: id, subgraph, text: text.into(), used_as: of });
            }
        }
        for argument in &join.context_arguments {
            let text = argument.selection.into();
            let argument = ContextArgument {
                context: argument.context.into(),
                name: Name::new(argument.name).unwrap_or(Name::new_static_unchecked("_")),
                ty: argument.ty.into(),
                selections: Vec::new(),
            };
            self.pending.contexts.push(PendingContext { of: id, subgraph, argument, text });
        }
        let label = join.override_label.map(|label| (self.label(label), join.override_from.is_some()));
        FieldAt {
            ty: join.ty.and_then(|text| type_ref(text, &self.type_ids)).unwrap_or(ty),
            external: join.external,
            // With a label, the overridden subgraph still resolves the field when the label is decided against.
            overridden: join.used_overridden && label.is_none(),
            override_from: join.override_from.map(Into::into),
            label,
            ..FieldAt::plain(ty)
        }
    }

    fn label(&mut self, label: &str) -> LabelId {
        let known = self.labels.iter().find(|(_, known)| ***known == *label).map(|(id, _)| id);
        known.unwrap_or_else(|| self.labels.push(label.into()))
    }

    /// The ids and wrappers of a type of the SDL, or an error.
    pub(super) fn type_ref(&mut self, ty: &ast::Type, parent: &Name, field: &Name) -> Option<TypeRef> {
        let found = self.type_ids.get(ty.inner_named_type()).map(|named| TypeRef { named: *named, wrap: wrap(ty) });
        if found.is_none() {
            self.error(format!("`{parent}.{field}` has the type `{ty}`, which the supergraph SDL does not define."));
        }
        found
    }
}

impl FieldAt {
    /// A field that a subgraph resolves without further ado.
    pub(super) fn plain(ty: TypeRef) -> Self {
        Self {
            ty,
            external: false,
            overridden: false,
            requires: None,
            provides: None,
            override_from: None,
            label: None,
            context_arguments: Vec::new(),
        }
    }
}

impl Field {
    /// Sets what a subgraph makes of the field.
    pub(super) fn set(&mut self, subgraph: SubgraphId, at: FieldAt) {
        match self.at.binary_search_by_key(&subgraph, |(id, _)| *id) {
            Ok(index) => self.at[index].1 = at,
            Err(index) => self.at.insert(index, (subgraph, at)),
        }
    }

    /// What a subgraph makes of the field, to change it.
    pub(super) fn at_mut(&mut self, subgraph: SubgraphId) -> Option<&mut FieldAt> {
        let index = self.at.binary_search_by_key(&subgraph, |(id, _)| *id).ok()?;
        self.at.get_mut(index).map(|(_, at)| at)
    }

    /// Computes the sets of subgraphs from the entries.
    pub(super) fn index(&mut self) {
        let is_external = |at: &FieldAt| at.external || at.overridden;
        self.subgraphs = self.at.iter().map(|(id, _)| *id).collect();
        self.external = self.at.iter().filter(|(_, at)| is_external(at)).map(|(id, _)| *id).collect();
        self.resolvers = self.subgraphs.difference(&self.external);
    }
}

/// Lists and nullability of a type.
fn wrap(ty: &ast::Type) -> Wrap {
    let mut wrap = Wrap { lists: 0, non_null: 0 };
    let mut ty = ty;
    loop {
        if ty.is_non_null() {
            wrap.non_null |= 1_u32.checked_shl(u32::from(wrap.lists)).unwrap_or(0);
        }
        if !ty.is_list() {
            return wrap;
        }
        wrap.lists = wrap.lists.saturating_add(1);
        ty = ty.item_type();
    }
}

/// A type written as text, e.g. `[String!]!`.
pub(super) fn type_ref(text: &str, type_ids: &FxHashMap<Name, TypeId>) -> Option<TypeRef> {
    let mut wrap = Wrap { lists: 0, non_null: 0 };
    let mut inner = text.trim();
    loop {
        if let Some(nullable) = inner.strip_suffix('!') {
            wrap.non_null |= 1_u32.checked_shl(u32::from(wrap.lists)).unwrap_or(0);
            inner = nullable.trim_end();
        }
        let Some(list) = inner.strip_prefix('[') else { break };
        inner = list.strip_suffix(']')?.trim();
        wrap.lists = wrap.lists.checked_add(1)?;
    }
    type_ids.get(inner).map(|named| TypeRef { named: *named, wrap })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Id;

    #[test]
    fn types_are_read_from_text_with_their_lists_and_non_nulls() {
        let ids = FxHashMap::from_iter([(Name::new_static_unchecked("A"), TypeId::new(3))]);
        let read = |text| type_ref(text, &ids).map(|ty| (ty.named.index(), ty.wrap.lists, ty.wrap.non_null));
        assert_eq!(read("A"), Some((3, 0, 0)));
        assert_eq!(read(" [ A! ]! "), Some((3, 1, 0b11)));
        assert_eq!(read("[[A!]]"), Some((3, 2, 0b100)));
        assert_eq!(read("[A"), None);
        assert_eq!(read("B!"), None);
        assert_eq!(read(&format!("{}A{}", "[".repeat(300), "]".repeat(300))), None);
    }
}
