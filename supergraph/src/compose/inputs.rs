//! Input object types: the fields that every subgraph has.
//!
//! Relies on `types` and `directives`.

use super::merge::Merger;
use super::merged::{Graph, JoinField, Map, MergedField};
use super::objects::places;
use super::sources::{self, TypeSources};
use super::types::{Element, TypeSource};
use apollo_compiler::Name;
use apollo_compiler::ast::InputValueDefinition;
use apollo_compiler::schema::Component;

/// One input field in the subgraphs that define it.
type InputSources<'a> = Vec<(Graph, &'a Component<InputValueDefinition>)>;

impl<'a> Merger<'a> {
    /// Merges an input object type.
    pub(crate) fn merge_input(&mut self, name: &Name, sources: &TypeSources<'a>) {
        let mut fields: Map<&'a Name, InputSources<'a>> = Map::default();
        for (graph, definition) in &sources.definitions {
            for field in sources::input_fields_of(definition).into_iter().flat_map(|fields| fields.values()) {
                fields.entry(&field.name).or_default().push((*graph, field));
            }
        }
        let mut merged = Map::default();
        for (field, field_sources) in &fields {
            let Some((field_merged, is_inaccessible)) = self.merge_input_field(name, sources, field_sources) else { continue };
            let is_partial = field_sources.len() < sources.len();
            if is_partial && !is_inaccessible {
                self.drop_input_field(name, field, sources, field_sources);
            } else {
                merged.insert((*field).clone(), field_merged);
            }
        }
        if merged.is_empty() {
            let message = format!(
                "Input \"{name}\" has no field that every subgraph defining it has, so nothing is left of it. Give it a common field."
            );
            self.diagnoses.error("EMPTY_MERGED_INPUT_TYPE", message, &places(sources));
        }
        if let Some(ty) = self.merged.types.get_mut(name) {
            ty.fields = merged;
        }
    }

    fn merge_input_field(
        &mut self,
        name: &Name,
        sources: &TypeSources<'a>,
        field_sources: &InputSources<'a>,
    ) -> Option<(MergedField, bool)> {
        let field = &field_sources.first()?.1.name;
        let coordinate = || format!("{name}.{field}");
        let described = field_sources.iter().map(|(graph, field)| (*graph, field.description.as_ref(), field.location()));
        let description = self.merge_description(|| format!("Input field \"{name}.{field}\""), described);
        let found = self.mergeable(
            field_sources.iter().flat_map(|(graph, field)| field.directives.iter().map(|directive| (*graph, directive))),
        );
        let is_inaccessible = found.iter().any(|(_, directive)| Some(&directive.name) == self.features.inaccessible.as_ref());
        let applied = self.merge_applied(&coordinate, found);
        let typed: Vec<TypeSource<'_>> = field_sources
            .iter()
            .map(|(graph, field)| TypeSource { graph: *graph, ty: &field.ty, location: field.location() })
            .collect();
        let (ty, is_equal) = self.merge_types(Element::InputField, &coordinate, &typed)?;
        let given: Vec<_> =
            field_sources.iter().map(|(graph, field)| (*graph, field.default_value.as_ref(), field.location())).collect();
        let default = self.merge_defaults(Element::InputField, &coordinate, &given);
        let mut joins = Vec::new();
        if !is_equal || field_sources.len() < sources.len() {
            joins.extend(field_sources.iter().map(|(graph, field)| JoinField {
                graph: Some(*graph),
                ty: (!is_equal).then(|| field.ty.as_ref().clone()),
                ..JoinField::default()
            }));
        }
        Some((MergedField { description, applied, default, joins, ..MergedField::new(ty) }, is_inaccessible))
    }

    /// A field that some subgraph lacks is left out, unless another insists on it.
    fn drop_input_field(&mut self, name: &Name, field: &Name, sources: &TypeSources<'a>, field_sources: &InputSources<'a>) {
        let has = |graph: Graph| field_sources.iter().any(|(other, _)| *other == graph);
        let lacking = self.diagnoses.names(sources.definitions.iter().map(|(graph, _)| *graph).filter(|graph| !has(*graph)));
        let at: Vec<_> = field_sources.iter().map(|(graph, field)| (*graph, field.location())).collect();
        let required: Vec<Graph> =
            field_sources.iter().filter(|(_, field)| field.is_required()).map(|(graph, _)| *graph).collect();
        if required.is_empty() {
            let having = self.diagnoses.names(field_sources.iter().map(|(graph, _)| *graph));
            let message = format!("Input field \"{name}.{field}\" is left out: it is in {having} but not in {lacking}.");
            self.diagnoses.hint("INCONSISTENT_INPUT_OBJECT_FIELD", message, &at);
        } else {
            let insisting = self.diagnoses.names(required);
            let message = format!(
                "Input field \"{name}.{field}\" is mandatory in {insisting} but missing in {lacking}. Add it there, or make it optional."
            );
            self.diagnoses.error("REQUIRED_INPUT_FIELD_MISSING_IN_SOME_SUBGRAPH", message, &at);
        }
    }
}
