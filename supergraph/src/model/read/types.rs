//! Reading types: which subgraphs have them, their keys, interfaces, members and values.
//!
//! Relied on by the stages of `read`.

use super::super::declared::Declared;
use super::super::{EnumValue, InputField, Type, TypeAt, TypeKind, TypeRef};
use super::field_sets::PendingKey;
use super::{Reader, fields::type_ref, joins};
use crate::ids::{Id, SubgraphId, SubgraphSet, TypeId};
use crate::plan::shape::TypeSet;
use apollo_compiler::Name;
use rustc_hash::FxHashMap;

impl Reader {
    /// Makes a [`Type`] of every declared type, without fields and possible types.
    pub(super) fn read_types(&mut self) {
        let declared = std::mem::take(&mut self.declared);
        for (index, (name, declared)) in declared.iter().enumerate() {
            let read = self.read_type(TypeId::new(index), name, declared);
            self.types.push(read);
        }
        for (index, declared) in declared.values().enumerate() {
            self.read_implemented(TypeId::new(index), declared);
        }
        self.declared = declared;
    }

    fn read_type(&mut self, id: TypeId, name: &Name, declared: &Declared) -> Type {
        let mut read = Type {
            name: name.clone(),
            kind: declared.kind,
            inaccessible: self.names.hides(&declared.directives),
            interfaces: declared.interfaces.iter().filter_map(|name| self.known_type(name)).collect(),
            directives: self.names.others(&declared.directives),
            ..Type::default()
        };
        let join_type = self.names.join_type.clone();
        for join in joins::types(&declared.directives, &join_type) {
            let Some(subgraph) = self.graph(join.graph, name) else { continue };
            read.subgraphs.insert(subgraph);
            let at = at_mut(&mut read.at, subgraph);
            at.extension |= join.extension;
            at.interface_object |= join.interface_object;
            if join.interface_object {
                read.interface_object_in.insert(subgraph);
            }
            if let Some(key) = join.key {
                self.pending.keys.push(PendingKey { of: id, subgraph, text: key.into(), resolvable: join.resolvable });
            }
        }
        if read.subgraphs.is_empty() {
            // A built-in scalar, or a value type of Federation 1: every subgraph may have it.
            read.subgraphs = SubgraphSet::first(self.subgraphs.len());
            read.at = read.subgraphs.iter().map(|subgraph| (subgraph, TypeAt::default())).collect();
        }
        let context = self.names.context.clone();
        for directive in declared.directives.get_all(&context) {
            if let Some(name) = joins::text(directive, "name") {
                self.contexts.entry(name.into()).or_default().push(id);
            }
        }
        read
    }

    /// Which interfaces the type implements in which subgraph.
    fn read_implemented(&mut self, id: TypeId, declared: &Declared) {
        let join_implements = self.names.join_implements.clone();
        let written: Vec<_> = joins::pairs(&declared.directives, &join_implements, "interface").collect();
        let mut implemented = Vec::new();
        for (graph, interface) in &written {
            let Some(subgraph) = self.graph(graph, interface) else { continue };
            if let Some(interface) = self.known_type(interface) {
                implemented.push((subgraph, interface));
            }
        }
        if written.is_empty() {
            for interface in self.type_at(id).interfaces.clone() {
                let both = self.type_at(id).subgraphs.intersection(&self.type_at(interface).subgraphs);
                implemented.extend(both.iter().map(|subgraph| (subgraph, interface)));
            }
        }
        let Some(read) = self.types.get_mut(id) else { return };
        for (subgraph, interface) in implemented {
            at_mut(&mut read.at, subgraph).interfaces.push(interface);
        }
    }

    /// Fields of input object types and values of enums.
    pub(super) fn read_inputs_and_values(&mut self) {
        let declared = std::mem::take(&mut self.declared);
        for (index, (name, declared)) in declared.iter().enumerate() {
            let id = TypeId::new(index);
            for input in &declared.inputs {
                let Some(field) = self.read_input(id, name, input) else { continue };
                if let Some(read) = self.types.get_mut(id) {
                    read.inputs.insert(input.name.clone(), field);
                }
            }
            let join_enum_value = self.names.join_enum_value.clone();
            for value in &declared.values {
                let graphs: Vec<_> = value.directives.get_all(&join_enum_value).filter_map(|join| joins::graph(join)).collect();
                let mut subgraphs: SubgraphSet = graphs.iter().filter_map(|graph| self.graph(graph, &value.value)).collect();
                if graphs.is_empty() {
                    subgraphs = self.type_at(id).subgraphs.clone();
                }
                let read = EnumValue { inaccessible: self.names.hides(&value.directives), subgraphs };
                if let Some(owner) = self.types.get_mut(id) {
                    owner.values.insert(value.value.clone(), read);
                }
            }
        }
        self.declared = declared;
    }

    fn read_input(
        &mut self,
        parent: TypeId,
        parent_name: &Name,
        input: &apollo_compiler::ast::InputValueDefinition,
    ) -> Option<InputField> {
        let ty = self.type_ref(&input.ty, parent_name, &input.name)?;
        let join_field = self.names.join_field.clone();
        let mut at: Vec<(SubgraphId, TypeRef)> = Vec::new();
        let mut joined = false;
        for join in joins::fields(&input.directives, &join_field) {
            joined = true;
            let Some(subgraph) = join.graph.and_then(|graph| self.graph(graph, &input.name)) else { continue };
            at.push((subgraph, join.ty.and_then(|text| type_ref(text, &self.type_ids)).unwrap_or(ty)));
        }
        if !joined {
            at = self.type_at(parent).subgraphs.iter().map(|subgraph| (subgraph, ty)).collect();
        }
        Some(InputField {
            ty,
            default: input.default_value.clone(),
            inaccessible: self.names.hides(&input.directives),
            at,
            directives: self.names.others(&input.directives),
        })
    }

    /// Sets the possible object types of every type, in all and in each subgraph.
    pub(super) fn index_possible_types(&mut self) {
        let members = self.members();
        let mut everywhere: FxHashMap<TypeId, Vec<TypeId>> = FxHashMap::default();
        let mut somewhere: FxHashMap<(TypeId, SubgraphId), Vec<TypeId>> = FxHashMap::default();
        for (id, object) in self.types.iter().filter(|(_, object)| object.kind == TypeKind::Object) {
            everywhere.entry(id).or_default().push(id);
            for interface in &object.interfaces {
                everywhere.entry(*interface).or_default().push(id);
            }
            for (subgraph, at) in object.subgraph_views() {
                somewhere.entry((id, subgraph)).or_default().push(id);
                for interface in &at.interfaces {
                    somewhere.entry((*interface, subgraph)).or_default().push(id);
                }
            }
        }
        for (union, member, subgraph) in members {
            everywhere.entry(union).or_default().push(member);
            somewhere.entry((union, subgraph)).or_default().push(member);
        }
        for index in 0..self.types.len() {
            let id = TypeId::new(index);
            let Some(read) = self.types.get_mut(id) else { continue };
            read.possible = TypeSet::new(everywhere.remove(&id).unwrap_or_default());
            for (subgraph, at) in &mut read.at {
                at.possible = TypeSet::new(somewhere.remove(&(id, *subgraph)).unwrap_or_default());
            }
        }
    }

    /// Every union with its members in each subgraph.
    fn members(&mut self) -> Vec<(TypeId, TypeId, SubgraphId)> {
        let declared = std::mem::take(&mut self.declared);
        let join_union_member = self.names.join_union_member.clone();
        let mut members = Vec::new();
        for (index, (name, union)) in declared.iter().enumerate().filter(|(_, (_, union))| union.kind == TypeKind::Union) {
            let id = TypeId::new(index);
            let written: Vec<_> = joins::pairs(&union.directives, &join_union_member, "member").collect();
            for (graph, member) in &written {
                let subgraph = self.graph(graph, name);
                members.extend(self.known_type(member).zip(subgraph).map(|(member, subgraph)| (id, member, subgraph)));
            }
            for member in union.members.iter().filter(|_| written.is_empty()) {
                let Some(member) = self.known_type(member) else { continue };
                let both = self.type_at(id).subgraphs.intersection(&self.type_at(member).subgraphs);
                members.extend(both.iter().map(|subgraph| (id, member, subgraph)));
            }
        }
        self.declared = declared;
        members
    }

    /// The type called `name`, or an error.
    pub(super) fn known_type(&mut self, name: &str) -> Option<TypeId> {
        let id = self.type_ids.get(name).copied();
        if id.is_none() {
            self.error(format!("The supergraph SDL refers to the type `{name}`, which it does not define."));
        }
        id
    }

    /// The type with an id of this reader.
    pub(super) fn type_at(&self, id: TypeId) -> &Type {
        self.types.get(id).unwrap_or(&self.no_type)
    }
}

/// The entry of `subgraph` in a list in subgraph order, made when missing.
pub(super) fn at_mut<T: Default>(list: &mut Vec<(SubgraphId, T)>, subgraph: SubgraphId) -> &mut T {
    let index = match list.binary_search_by_key(&subgraph, |(id, _)| *id) {
        Ok(index) => index,
        Err(index) => {
            list.insert(index, (subgraph, T::default()));
            index
        }
    };
    &mut list[index].1
}
