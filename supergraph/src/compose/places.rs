//! Where the elements of the merged supergraph stand in the SDL of the subgraphs, for errors that only show after the merge.
//!
//! Relied on by `inaccessible`, by the rules about the merged schema and, through a function, by `satisfiable`.

use super::sources::{fields_of, input_fields_of};
use crate::diagnostics::Place;
use crate::subgraph::Subgraph;
use apollo_compiler::parser::SourceSpan;

/// The subgraphs to look in.
#[derive(Clone, Copy)]
pub(super) struct Places<'a>(pub &'a [Subgraph]);

impl Places<'_> {
    /// The place of a type in one subgraph, or of its field where it has it.
    pub(super) fn in_subgraph(self, subgraph: &str, ty: &str, field: Option<&str>) -> Place {
        let unknown = Place { subgraph: Some(subgraph.to_owned()), at: None };
        let Some(found) = self.0.iter().find(|known| known.name == subgraph) else { return unknown };
        let location = field.and_then(|field| field_location(found, ty, field)).or_else(|| type_location(found, ty));
        found.place(location)
    }

    /// Every place of `Type`, `Type.field` or `@directive`, in the order of the subgraphs.
    pub(super) fn everywhere(self, ty: &str, field: Option<&str>) -> Vec<Place> {
        let located = self.0.iter().filter_map(|subgraph| {
            if let Some(directive) = ty.strip_prefix('@') {
                let definition = subgraph.schema.directive_definitions.get(directive).filter(|found| !found.is_built_in())?;
                return definition.location().map(|location| subgraph.place(Some(location)));
            }
            let location = match field {
                Some(field) => field_location(subgraph, ty, field),
                None => type_location(subgraph, ty),
            };
            location.map(|location| subgraph.place(Some(location)))
        });
        located.collect()
    }
}

fn type_location(subgraph: &Subgraph, ty: &str) -> Option<SourceSpan> {
    subgraph.schema.types.get(ty)?.location()
}

fn field_location(subgraph: &Subgraph, ty: &str, field: &str) -> Option<SourceSpan> {
    let definition = subgraph.schema.types.get(ty)?;
    let output = fields_of(definition).and_then(|fields| fields.get(field)).and_then(|field| field.location());
    output.or_else(|| input_fields_of(definition).and_then(|fields| fields.get(field)).and_then(|field| field.location()))
}
