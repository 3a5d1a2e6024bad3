//! Shape: the rows and slots of an answer, how subgraph answers are decoded into them and how they are written to the client.
//!
//! The planner makes it, the executor's `decode`, `represent` and `write` follow it. A *layout* is one selection set of the
//! answer: all objects at one path of the client's operation share it, whatever their concrete type. A fetch therefore finds its
//! objects by layout, and no path is ever walked.

use super::order::Order;
use crate::ids::{ConditionId, EnumId, IdVec, LayoutId, PartId, ReadId, SlotId, TypeId};

/// Rows, slots, and how they are read and written.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// One per selection set of the answer; the first is the root's.
    pub layouts: IdVec<LayoutId, Layout>,
    /// One per selection set of the fetch documents.
    pub reads: IdVec<ReadId, Read>,
    /// Values that clients may see, per enum type used in the operation; sorted.
    pub enums: IdVec<EnumId, Vec<Box<str>>>,
}

impl Shape {
    /// The fields that nobody can be asked for, each with the layout that it stands in.
    pub fn unreachable(&self) -> impl Iterator<Item = (&Layout, &OutputField, &Unreachable)> {
        let fields = self.layouts.iter().flat_map(|(_, layout)| layout.fields.iter().map(move |field| (layout, field)));
        let certain = |(layout, field)| Some((layout, field, OutputField::lacking(field)?));
        fields.filter_map(certain)
    }
}

impl OutputField {
    fn lacking(&self) -> Option<&Unreachable> {
        self.unreachable.as_deref().filter(|what| what.is_certain)
    }
}

/// The row layout of one selection set.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Number of slots of a row: client fields, keys and required fields alike.
    pub slots: usize,
    /// Where it stands in the answer.
    pub path: Vec<PathElement>,
    /// The type of its objects when there is only one possible.
    pub object_type: Option<TypeId>,
    /// Object types that may stand here for a client to see; an object of another type becomes null with an error.
    pub possible: TypeSet,
    /// What the client gets, in the operation's order.
    pub fields: Vec<OutputField>,
    /// Types for which the operation has `fields` in another order; each type in one of them at most whose condition holds.
    pub orders: Vec<Order>,
    /// Nobody tells the types of its objects, where there are several.
    pub is_untold: bool,
    /// Its objects have one parent each, even where entities are the same: what is fetched for them depends on a context above.
    pub has_one_parent: bool,
}

/// One step of a layout's path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathElement {
    /// The field with this response key.
    Field(Box<str>),
    /// Every item of a list.
    Items,
}

/// One field of the client's answer.
#[derive(Clone, Debug)]
pub struct OutputField {
    /// Response key.
    pub key: Box<str>,
    /// Where its value stands in the row. `Absent` there means null (an error if non-null).
    pub slot: SlotId,
    /// Only for objects of these concrete types (`None`: all).
    pub types: Option<TypeSet>,
    /// Left out unless this holds.
    pub condition: Option<ConditionId>,
    /// Lists and nullability, as in the client schema.
    pub wrap: Wrap,
    /// What is written.
    pub value: OutputValue,
    /// What of it nobody can be asked for; looked at when its value is missing.
    pub unreachable: Option<Box<Unreachable>>,
    /// The part that it belongs to; `None` if it is not deferred.
    pub part: Option<PartId>,
}

/// Objects of which a field cannot be had: no subgraph that has it can be reached from where they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// Their types.
    pub types: TypeSet,
    /// Whether the subgraphs that they come from have such objects. Others are the subgraphs' mistake.
    pub is_certain: bool,
    /// Type and name of the field.
    pub coordinate: Box<str>,
}

/// What an output field holds inside its lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputValue {
    /// The name of the object's concrete type; the slot is not used.
    Typename,
    /// A scalar or an enum.
    Leaf(LeafKind),
    /// Objects of this layout.
    Object(LayoutId),
    /// Nothing: whoever asks must not see it. It is null with an error, or with one for each of these paths below it.
    Denied(Box<[Box<[Box<str>]>]>),
}

/// The JSON that a leaf may be, for result coercion.
/// Spec: <https://spec.graphql.org/September2025/#sec-Scalars.Result-Coercion>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeafKind {
    /// A 32-bit integer.
    Int,
    /// A number.
    Float,
    /// A string.
    String,
    /// A Boolean.
    Boolean,
    /// A string or an integer (written as a string).
    Id,
    /// One of these names.
    Enum(EnumId),
    /// Any JSON value.
    Any,
}

/// Lists and nullability of a field's type, from the outside in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Wrap {
    /// How many lists are around the named type.
    pub lists: u8,
    /// Bit *i*: the type under *i* lists is non-null (bit 0: the field's own value).
    pub non_null: u32,
}

/// How one selection set of a subgraph's answer is decoded into rows.
#[derive(Clone, Debug)]
pub struct Read {
    /// The layout of the rows it fills.
    pub layout: LayoutId,
    /// Response key of the `__typename` that tells the objects' concrete type, when the document asks for it. It stands first in
    /// the document's selection set. An interface object's answer names the interface: then the type stays unknown.
    pub typename: Option<Box<str>>,
    /// The concrete type, when the subgraph's answer can have only one.
    pub object_type: Option<TypeId>,
    /// The fields, in the document's order. Several may have one key, for disjoint `types`.
    pub fields: Vec<ReadField>,
}

/// One field of a subgraph's answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReadField {
    /// Response key in the answer.
    pub key: Box<str>,
    /// Where its value goes.
    pub slot: SlotId,
    /// Only for objects of these concrete types (`None`: all).
    pub types: Option<TypeSet>,
    /// How many lists are around the value.
    pub lists: u8,
    /// What is decoded.
    pub value: ReadValue,
}

/// What a read field holds inside its lists.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReadValue {
    /// A scalar or an enum, kept as raw JSON. Its kind is checked when it is written to the client.
    Leaf,
    /// Objects, decoded by this read. An occupied slot is descended into: rows merge, lists item by item.
    Object(ReadId),
}

/// A set of object types, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TypeSet(Vec<TypeId>);

impl TypeSet {
    /// The set of these types.
    pub fn new(mut types: Vec<TypeId>) -> Self {
        types.sort_unstable();
        types.dedup();
        Self(types)
    }

    /// The empty set.
    pub const fn empty() -> Self {
        Self(Vec::new())
    }

    /// Whether `id` is in the set. Sets are small or searched by halving.
    pub fn contains(&self, id: TypeId) -> bool {
        self.0.binary_search(&id).is_ok()
    }

    /// The types in order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = TypeId> + '_ {
        self.0.iter().copied()
    }

    /// The types in order of their ids.
    pub fn as_slice(&self) -> &[TypeId] {
        &self.0
    }

    /// Number of types.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
