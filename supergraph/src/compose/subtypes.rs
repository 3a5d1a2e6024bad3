//! Which of two types is a subtype of the other, in the merged schema.
//!
//! Relies on the merged interfaces and unions, which are merged before any field. Relied on by `types` and `external`.
//! Spec: <https://spec.graphql.org/draft/#IsValidImplementationFieldType()>

use super::merged::{Kind, Map, MergedType};
use apollo_compiler::Name;
use apollo_compiler::ast::Type;

/// Whether `sub` is a subtype of `ty` and another type. A list never is a subtype of anything but a list.
pub(crate) fn is_strict_subtype(types: &Map<Name, MergedType>, ty: &Type, sub: &Type) -> bool {
    ty != sub && is_subtype(types, ty, sub)
}

/// Whether `sub` is `ty` or a subtype of it.
pub(crate) fn is_subtype(types: &Map<Name, MergedType>, ty: &Type, sub: &Type) -> bool {
    match (ty, sub) {
        (Type::Named(ty), Type::Named(sub) | Type::NonNullNamed(sub)) | (Type::NonNullNamed(ty), Type::NonNullNamed(sub)) => {
            ty == sub || is_member(types, ty, sub)
        }
        (Type::List(ty), Type::List(sub) | Type::NonNullList(sub)) | (Type::NonNullList(ty), Type::NonNullList(sub)) => {
            is_subtype(types, ty, sub)
        }
        _ => false,
    }
}

/// Whether `sub` implements the interface or belongs to the union `ty`.
fn is_member(types: &Map<Name, MergedType>, ty: &Name, sub: &Name) -> bool {
    let (Some(ty_definition), Some(sub_definition)) = (types.get(ty), types.get(sub)) else { return false };
    match ty_definition.kind {
        Kind::Union => ty_definition.members.contains(sub),
        Kind::Interface => sub_definition.interfaces.contains(ty),
        _ => false,
    }
}
