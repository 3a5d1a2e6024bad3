//! A field with its arguments as a fetch document has it: the client's, and those that contexts fill.
//!
//! Relied on by `document`; relies on `contexts`.

use super::contexts::UseId;
use super::document::{Documents, Unit};
use super::fetches::{SlotDraft, VisitDraft};
use super::selections::Call;
use crate::ids::{SubgraphId, TypeId};
use apollo_compiler::Name;
use std::fmt::Write as _;

impl<'d> Documents<'d, '_> {
    /// Prints the field of a unit with its arguments; what these read from contexts.
    pub(super) fn call(
        &self,
        unit: &Unit<'d>,
        call: &Call,
        (visit, subgraph): (&VisitDraft, SubgraphId),
        text: &mut String,
    ) -> &'d [(Name, UseId)] {
        // Writing to a string cannot fail.
        if *unit.key != *call.name.as_str() {
            let _ = write!(text, "{}: ", unit.key);
        }
        let _ = write!(text, "{}{}", call.name, call.arguments);
        let read =
            unit.types.first().map_or(&[][..], |object| self.read_from_contexts(visit, subgraph, *object, unit.slot_draft));
        for (index, (name, id)) in read.iter().enumerate() {
            let is_first = index == 0 && call.arguments.is_empty();
            if index == 0 && !call.arguments.is_empty() {
                text.truncate(text.len() - 1);
            }
            let variable = self.contexts.get(*id).map_or("", |of| &*of.variable);
            let _ = write!(text, "{}{name}: ${variable}", if is_first { "(" } else { ", " });
        }
        if !read.is_empty() {
            text.push(')');
        }
        read
    }

    /// The arguments of a slot's field that contexts fill for objects of one type.
    pub(super) fn read_from_contexts(
        &self,
        visit: &VisitDraft,
        subgraph: SubgraphId,
        object: TypeId,
        slot: &SlotDraft,
    ) -> &'d [(Name, UseId)] {
        let set = self.draft.layouts.get(visit.layout).and_then(|layout| layout.set);
        let (Some(set), Some(call), false) = (set, self.selections.call(slot.signature), self.contexts.is_empty()) else {
            return &[];
        };
        self.contexts.arguments(set, object, subgraph, call.name_id)
    }
}
