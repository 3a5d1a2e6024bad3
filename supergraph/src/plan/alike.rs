//! Whether the objects of two fetches are represented alike, by the names of the merged answer too: then one `_entities` field of a
//! request, and one item of the plan's JSON, serves both.
//!
//! The layouts differ, so slots are compared by their keys. Relied on by `assemble`.

use super::assemble::{Member, Ready};
use super::{RepresentationField, RepresentationValue};
use crate::ids::{Id, TypeId};

/// The fields of a representation, and the layout in whose slots they are.
type Fields<'f> = (usize, &'f [RepresentationField]);

/// The fields of a representation for objects of these types.
type Meant<'f> = (usize, &'f [RepresentationField], &'f [TypeId]);

/// Whether one item of the plan's JSON says of both what is required.
pub(super) fn are_alike(ready: &Ready<'_, '_>, first: &Member, second: &Member) -> bool {
    first.arrivals.len() == second.arrivals.len()
        && first.arrivals.iter().zip(&second.arrivals).all(|((a, of_a), (b, of_b))| {
            let of = |member: &Member, arrival| super::json::conditions(ready, member.layout, arrival);
            let (a, b) = (of(first, a), of(second, b));
            a.len() == b.len()
                && a.iter().zip(&b).all(|((on, types), (also_on, also_types))| {
                    on == also_on && fields(ready, (first.layout, of_a, types), (second.layout, of_b, also_types))
                })
        })
}

/// Whether the same is represented of objects of one layout and these types as of objects of the other.
fn fields(ready: &Ready<'_, '_>, first: Meant<'_>, second: Meant<'_>) -> bool {
    let (of_a, of_b) = (first.0, second.0);
    let (mut a, mut b) = (meant(first), meant(second));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if field(ready, (of_a, a), (of_b, b)) => {}
            _ => return false,
        }
    }
}

fn meant<'f>((_, fields, types): Meant<'f>) -> impl Iterator<Item = &'f RepresentationField> {
    fields.iter().filter(|field| field.types.as_ref().is_none_or(|of| types.iter().any(|id| of.contains(*id))))
}

fn field(ready: &Ready<'_, '_>, (of_a, a): (usize, &RepresentationField), (of_b, b): (usize, &RepresentationField)) -> bool {
    let slot = |layout: usize, field: &RepresentationField| ready.draft.layouts.get(layout)?.slots.get(field.slot.index());
    let (slot_a, slot_b) = (slot(of_a, a), slot(of_b, b));
    let have_names = a.key == b.key && slot_a.map(|slot| &slot.key) == slot_b.map(|slot| &slot.key);
    match (&a.value, &b.value) {
        (RepresentationValue::Typename, RepresentationValue::Typename) => a.key == b.key,
        (RepresentationValue::Leaf, RepresentationValue::Leaf) => have_names,
        (RepresentationValue::Object(below_a), RepresentationValue::Object(below_b)) => {
            let child = |slot: Option<&super::fetches::SlotDraft>| slot.and_then(|slot| slot.below).unwrap_or(0);
            have_names && below(ready, (child(slot_a), below_a), (child(slot_b), below_b))
        }
        _ => false,
    }
}

/// Whether the same is represented of an object within a representation, whatever its type.
fn below(ready: &Ready<'_, '_>, first: Fields<'_>, second: Fields<'_>) -> bool {
    first.1.len() == second.1.len()
        && first.1.iter().zip(second.1).all(|(a, b)| a.types == b.types && field(ready, (first.0, a), (second.0, b)))
}
