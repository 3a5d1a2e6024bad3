//! The rows of a plan: the client's layouts as the executor writes them, and the introspection part.
//!
//! Relied on by `assemble`.

use super::assemble::{Conditions, Ready, empty_shape};
use super::fetches::{LayoutDraft, SlotDraft};
use super::order::{Order, OrderDraft};
use super::shape::{Layout, LeafKind, OutputField, OutputValue, PathElement, Shape, TypeSet, Wrap};
use super::unreachable::Given;
use super::{Introspection, Part, defer, introspect};
use crate::ids::{EnumId, Id, IdVec, LayoutId, PartId, SlotId, TypeId};
use crate::model::TypeKind;
use apollo_compiler::Name;
use rustc_hash::FxHashMap;

/// Layouts of a draft, in its order.
pub(super) fn layouts(ready: &Ready<'_, '_>, conditions: &mut Conditions<'_>) -> Shape {
    let under_contexts = ready.layouts_under_contexts();
    let given = Given::new(ready.options, ready.draft);
    let mut rows = Rows { ready, conditions, given, shape: empty_shape(), enums: FxHashMap::default() };
    for (index, draft) in ready.draft.layouts.iter().enumerate() {
        let fields = draft
            .slots
            .iter()
            .enumerate()
            .filter_map(|(slot, slot_draft)| rows.output((index, draft), slot, slot_draft))
            .collect();
        let mut types = draft.types.iter();
        let object_type = types.next().filter(|_| types.next().is_none());
        let visible = draft.types.iter().filter(|id| !ready.options.supergraph.get_type(*id).inaccessible);
        let layout = Layout {
            slots: draft.slots.len(),
            path: path(ready, index),
            object_type,
            possible: TypeSet::new(visible.collect()),
            fields,
            // The client's slots come first, in the order of its fields, and each of them is written.
            orders: draft.set.map(|set| rows.orders(&ready.selections.set(set).orders)).unwrap_or_default(),
            is_untold: object_type.is_none() && !ready.told.is_told(index),
            has_one_parent: under_contexts.contains(&index),
        };
        rows.shape.layouts.push(layout);
    }
    rows.shape
}

/// The shape while its rows are written.
struct Rows<'r, 'a, 'c, 'g> {
    ready: &'r Ready<'r, 'a>,
    conditions: &'c mut Conditions<'g>,
    given: Given,
    shape: Shape,
    /// Enum types that the shape has already.
    enums: FxHashMap<TypeId, EnumId>,
}

impl Rows<'_, '_, '_, '_> {
    /// A client field as it is written.
    fn output(&mut self, (index, layout): (usize, &LayoutDraft), slot: usize, draft: &SlotDraft) -> Option<OutputField> {
        let field = self.ready.selections.field(layout.set?, draft.client?)?;
        let value = if let Some(denied) = &field.denied {
            let path = |path: &Vec<Name>| path.iter().map(|key| key.as_str().into()).collect();
            OutputValue::Denied(denied.below.iter().map(path).collect())
        } else if field.is_typename() {
            OutputValue::Typename
        } else if let Some(below) = draft.below {
            OutputValue::Object(LayoutId::new(below))
        } else if field.name.starts_with("__") {
            // Introspection answers with what is right already.
            OutputValue::Leaf(LeafKind::Any)
        } else {
            OutputValue::Leaf(self.leaf(field.named))
        };
        let types = (draft.types != layout.types).then(|| draft.types.clone());
        let condition = self.conditions.get(field.guard);
        let unreachable = self.given.lacks(self.ready, (index, slot), draft).map(Box::new);
        let (key, slot) = (field.key.as_str().into(), SlotId::new(slot));
        let part = layout.set.zip(draft.client).and_then(|(set, index)| part_id(self.ready.parts.of(set, index)));
        Some(OutputField { key, slot, types, condition, wrap: field.wrap, value, unreachable, part })
    }

    /// Orders of a client's fields.
    fn orders(&mut self, drafts: &[OrderDraft]) -> Vec<Order> {
        let order = |OrderDraft { types, guard, fields }: &OrderDraft| Order {
            types: types.clone(),
            condition: self.conditions.get(*guard),
            fields: fields.clone(),
        };
        drafts.iter().map(order).collect()
    }

    /// What JSON a leaf of this type may be.
    fn leaf(&mut self, named: TypeId) -> LeafKind {
        let ty = self.ready.options.supergraph.get_type(named);
        match (ty.kind, ty.name.as_str()) {
            (TypeKind::Enum, _) => LeafKind::Enum(*self.enums.entry(named).or_insert_with(|| {
                let visible = ty.values.iter().filter(|(_, value)| !value.inaccessible);
                let mut values: Vec<Box<str>> = visible.map(|(name, _)| name.as_str().into()).collect();
                values.sort_unstable();
                self.shape.enums.push(values)
            })),
            (_, "Int") => LeafKind::Int,
            (_, "Float") => LeafKind::Float,
            (_, "String") => LeafKind::String,
            (_, "Boolean") => LeafKind::Boolean,
            (_, "ID") => LeafKind::Id,
            _ => LeafKind::Any,
        }
    }
}

/// The id of a part; `None` for what is not deferred.
pub(super) fn part_id(part: usize) -> Option<PartId> {
    part.checked_sub(1).map(PartId::new)
}

/// The parts of a plan that are deferred.
pub(super) fn parts(ready: &Ready<'_, '_>) -> IdVec<PartId, Part> {
    let mut parts = IdVec::default();
    for part in ready.parts.list.iter().skip(1) {
        let layout = ready.draft.layouts.iter().position(|layout| layout.set == Some(part.set)).unwrap_or(0);
        let fragments = defer::uses(ready.selections, part.guard);
        let fragments = fragments.into_iter().filter_map(|number| ready.operation.defers.get(number).cloned()).collect();
        parts.push(Part { above: part_id(part.above), layout: LayoutId::new(layout), fragments });
    }
    parts
}

/// Where a layout stands.
pub(super) fn path(ready: &Ready<'_, '_>, layout: usize) -> Vec<PathElement> {
    let mut path = Vec::new();
    let mut next = ready.draft.layouts.get(layout).and_then(|layout| layout.parent);
    while let Some((above, slot)) = next {
        let Some(layout) = ready.draft.layouts.get(above) else { break };
        let Some(slot) = layout.slots.get(slot) else { break };
        path.extend(std::iter::repeat_n(PathElement::Items, usize::from(slot.wrap.lists)));
        path.push(PathElement::Field(slot.key.as_str().into()));
        next = layout.parent;
    }
    path.reverse();
    path
}

/// The introspection fields at the root; their slots are read as they stand.
pub(super) fn introspection(ready: &Ready<'_, '_>, shape: &mut Shape) -> Option<Introspection> {
    let root = ready.draft.layouts.first()?;
    let set = root.set?;
    let mut slots = Vec::new();
    for (slot, draft) in root.slots.iter().enumerate() {
        let Some(field) = draft.client.and_then(|index| ready.selections.field(set, index)) else { continue };
        if field.name.starts_with("__") && !field.is_typename() && field.denied.is_none() {
            slots.push((Box::from(field.key.as_str()), SlotId::new(slot)));
        }
    }
    if slots.is_empty() {
        return None;
    }
    // What introspection gives is complete already, so nothing is checked when it is written.
    if let Some(layout) = shape.layouts.get_mut(LayoutId::new(0)) {
        for field in &mut layout.fields {
            if slots.iter().any(|(_, slot)| *slot == field.slot) {
                field.wrap = Wrap { lists: 0, non_null: 0 };
            }
        }
    }
    Some(Introspection { document: introspect::document(ready.operation), slots })
}
