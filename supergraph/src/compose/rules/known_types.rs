//! INVALID_GRAPHQL: a field or an argument has a type of federation or of another specification (`_Service`, `_Any`,
//! `federation__FieldSet`), which is defined in the subgraph but is no part of the supergraph.
//!
//! Spec: <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/subgraph-spec>

use crate::compose::merged::Merged;
use crate::diagnostics::Diagnostic;
use crate::subgraph::Subgraph;
use crate::subgraph::element::{self, Element};
use apollo_compiler::Name;
use apollo_compiler::schema::ExtendedType;

/// Checks the type of every field and argument of every subgraph. Run only when the merged schema turned out to lack a type, which
/// costs nothing otherwise.
pub(crate) fn check(subgraphs: &[Subgraph], merged: &Merged) -> Vec<Diagnostic> {
    let is_known = |name: &Name| merged.types.contains_key(name) || BUILT_IN.contains(&name.as_str());
    let mut errors = Vec::new();
    for subgraph in subgraphs {
        element::visit(&subgraph.schema, &mut |element| {
            let (parent, ty) = match element {
                Element::Field(parent, field) => (parent, &field.ty),
                Element::Argument(parent, _, argument) => (parent, argument.ty.as_ref()),
                Element::InputField(parent, field) => (parent, field.ty.as_ref()),
                Element::Type(ExtendedType::Union(union)) => {
                    for member in union.members.iter().filter(|member| !is_known(&member.name)) {
                        let message = format!("\"{}\" has the member \"{}\", {WHY}", union.name, member.name);
                        errors.push(subgraph.error("INVALID_GRAPHQL", &message, member.name.location()));
                    }
                    return;
                }
                _ => return,
            };
            let ty = ty.inner_named_type();
            if merged.types.contains_key(parent.name()) && !is_known(ty) {
                let message = format!("\"{element}\" has the type \"{ty}\", {WHY}");
                errors.push(subgraph.error("INVALID_GRAPHQL", &message, ty.location()));
            }
        });
    }
    errors
}

const WHY: &str = "which belongs to a specification and is not composed. Use a type of yours.";
const BUILT_IN: [&str; 5] = ["Int", "Float", "String", "Boolean", "ID"];
