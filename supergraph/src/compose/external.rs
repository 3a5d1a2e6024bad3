//! `@external` definitions: they are left out of merging and must agree with what was merged.
//!
//! Relied on by `fields`.

use super::diagnose::At;
use super::merge::Merger;
use super::merged::{Graph, MergedField};
use super::sources::{FieldSource, FieldSources};
use super::subtypes::{is_strict_subtype, is_subtype};
use super::values;

impl<'a> Merger<'a> {
    /// Directives that the supergraph would take cannot stand on a definition that it leaves out.
    pub(crate) fn refuse_merged_directives_on_external(&mut self, coordinate: &str, sources: &FieldSources<'a>) {
        for source in sources.definitions.iter().filter(|source| source.facts.is_external) {
            for directive in source.definition.directives.iter() {
                let is_federation = self.features.is_merged(source.graph, &directive.name)
                    && !self.features.custom.is_composed(source.graph, &directive.name);
                if is_federation {
                    let message = format!(
                        "[{}] \"{coordinate}\" is @external, so {directive} has no effect on it. Apply it where the field is resolved.",
                        self.diagnoses.name(source.graph)
                    );
                    self.diagnoses.error(
                        "MERGED_DIRECTIVE_APPLICATION_ON_EXTERNAL",
                        message,
                        &[(source.graph, directive.location())],
                    );
                }
            }
        }
    }

    /// Checks the external definitions of a field against the merged one.
    pub(crate) fn check_external(&mut self, coordinate: &str, sources: &FieldSources<'a>, field: &MergedField, is_equal: bool) {
        let external: Vec<FieldSource<'a>> =
            sources.definitions.iter().filter(|source| source.facts.is_external).copied().collect();
        let fits = |source: &FieldSource<'_>| {
            source.definition.ty == field.ty
                || (!is_equal && is_strict_subtype(&self.merged.types, &field.ty, &source.definition.ty))
        };
        if !external.iter().all(fits) {
            let said = sources.definitions.iter().map(|source| (source.graph, format!("\"{}\"", source.definition.ty)));
            let message = format!(
                "The @external definition of \"{coordinate}\" has another type than the field: {}. Declare it with the type it has where it is resolved.",
                self.diagnoses.distribution(said)
            );
            self.diagnoses.error("EXTERNAL_TYPE_MISMATCH", message, &sources.places());
        }
        for name in field.arguments.keys() {
            self.check_external_argument(coordinate, name, &external, field);
        }
    }

    fn check_external_argument(&mut self, coordinate: &str, name: &str, external: &[FieldSource<'a>], field: &MergedField) {
        let Some(merged) = field.arguments.get(name) else { return };
        let coordinate = format!("{coordinate}({name}:)");
        let (mut missing, mut mistyped, mut other_default) = (Vec::new(), Vec::new(), Vec::new());
        for source in external {
            let Some(argument) = source.definition.argument_by_name(name) else {
                missing.push(source.at());
                continue;
            };
            let at = (source.graph, argument.location());
            if !is_subtype(&self.merged.types, &argument.ty, &merged.ty) {
                mistyped.push(at);
            }
            if !values::same_default(merged.default.as_ref(), argument.default_value.as_ref()) {
                other_default.push(at);
            }
        }
        let names = |merger: &Self, at: &[At]| merger.diagnoses.names(at.iter().map(|(graph, _): &(Graph, _)| *graph));
        if !missing.is_empty() {
            let message =
                format!("The @external definition in {} lacks the argument \"{coordinate}\". Add it.", names(self, &missing));
            self.diagnoses.error("EXTERNAL_ARGUMENT_MISSING", message, &missing);
        }
        if !mistyped.is_empty() {
            let message = format!(
                "Argument \"{coordinate}\" of the @external definition in {} does not accept \"{}\", the argument's type. Give it that type.",
                names(self, &mistyped),
                merged.ty
            );
            self.diagnoses.error("EXTERNAL_ARGUMENT_TYPE_MISMATCH", message, &mistyped);
        }
        if !other_default.is_empty() {
            let default = merged.default.as_ref().map_or("none".to_owned(), ToString::to_string);
            let message = format!(
                "Argument \"{coordinate}\" of the @external definition in {} has another default than the field, which has {default}. Write the same.",
                names(self, &other_default)
            );
            self.diagnoses.error("EXTERNAL_ARGUMENT_DEFAULT_MISMATCH", message, &other_default);
        }
    }
}
