//! The names of a supergraph's types, as `__typename` tells them.
//!
//! Relied on by `decode`, `represent` and `write`; made once per supergraph.

use rustc_hash::FxHashMap;
use supergraph::{
    ids::{IdVec, TypeId},
    model::{Supergraph, TypeKind},
    plan::OperationKind,
};

/// Type names and ids, both ways.
#[derive(Debug, Default)]
pub struct TypeNames {
    names: IdVec<TypeId, Box<str>>,
    known: FxHashMap<Box<[u8]>, TypeName>,
    roots: Vec<TypeId>,
}

/// What a `__typename` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeName {
    /// An object type.
    Object(TypeId),
    /// Another type: an interface object names the interface and leaves the concrete type open.
    Abstract,
    /// No type of this supergraph.
    Unknown,
}

impl TypeNames {
    /// Names in the order of their ids, with whether each is an object type.
    pub fn new(names: impl IntoIterator<Item = (Box<str>, bool)>) -> Self {
        let mut types = Self::default();
        for (name, is_object) in names {
            let id = types.names.push(name.clone());
            types.known.insert(name.into_boxed_bytes(), if is_object { TypeName::Object(id) } else { TypeName::Abstract });
        }
        types
    }

    /// What a name means.
    pub fn find(&self, name: &[u8]) -> TypeName {
        self.known.get(name).copied().unwrap_or(TypeName::Unknown)
    }

    /// Whether operations begin at this type, which subgraphs may call by another name.
    pub fn is_root(&self, id: TypeId) -> bool {
        self.roots.contains(&id)
    }

    /// The name of a type.
    pub fn name(&self, id: TypeId) -> &str {
        self.names.get(id).map_or("", |name| name)
    }
}

impl From<&Supergraph> for TypeNames {
    fn from(supergraph: &Supergraph) -> Self {
        let name = |known: &supergraph::model::Type| (Box::from(known.name.as_str()), known.kind == TypeKind::Object);
        let roots = [OperationKind::Query, OperationKind::Mutation, OperationKind::Subscription];
        Self {
            roots: roots.into_iter().filter_map(|kind| supergraph.root(kind)).collect(),
            ..Self::new(supergraph.types.iter().map(|(_, known)| name(known)))
        }
    }
}
