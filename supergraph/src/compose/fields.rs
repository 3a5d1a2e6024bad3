//! Fields of objects and interfaces: what is merged from the definitions that resolve the field, and its `@join__field`s.
//!
//! Relies on `types`, `arguments`, `directives` and `external` for the parts. Relied on by `objects` and `interfaces`.

use super::merge::Merger;
use super::merged::{ContextArgument, JoinField, MergedField};
use super::overrides::Overrides;
use super::sources::{FieldSource, FieldSources, TypeSources};
use super::types::{Element, TypeSource};
use apollo_compiler::Name;

impl<'a> Merger<'a> {
    /// Merges one field. `None` when no subgraph resolves it, which has been reported.
    pub(crate) fn merge_field(
        &mut self,
        parent: &Name,
        ty: &TypeSources<'a>,
        sources: &FieldSources<'a>,
        overrides: &Overrides,
    ) -> Option<MergedField> {
        let name = &sources.definitions.first()?.definition.name;
        let coordinate = || format!("{parent}.{name}");
        let all = || sources.definitions.iter().chain(&sources.abstracted);
        if all().all(|source| source.facts.is_external) {
            self.refuse_all_external(&coordinate(), sources);
            return None;
        }
        let resolving: Vec<FieldSource<'a>> =
            sources.definitions.iter().filter(|source| !source.facts.is_external).copied().collect();
        let has_external = resolving.len() < sources.definitions.len();
        if has_external {
            self.refuse_merged_directives_on_external(&coordinate(), sources);
        }
        // With an interface object giving the field, all definitions may be external; their type is all there is then.
        let typed = if resolving.is_empty() { &sources.definitions } else { &resolving };
        let typed: Vec<TypeSource<'_>> = typed
            .iter()
            .map(|source| TypeSource { graph: source.graph, ty: &source.definition.ty, location: source.definition.location() })
            .collect();
        let (merged_type, is_equal) = self.merge_types(Element::Field, &coordinate, &typed)?;
        let mut field = MergedField::new(merged_type);
        if !resolving.is_empty() {
            let described = resolving
                .iter()
                .map(|source| (source.graph, source.definition.description.as_ref(), source.definition.location()));
            field.description = self.merge_description(|| format!("Field \"{parent}.{name}\""), described);
            let mut found = self.mergeable(
                resolving
                    .iter()
                    .flat_map(|source| source.definition.directives.iter().map(|directive| (source.graph, directive))),
            );
            self.access.extend_field(parent, name, &mut found);
            field.applied = self.merge_applied(&coordinate, found);
            field.arguments = self.merge_arguments(parent, name, &resolving);
        }
        if has_external {
            self.check_external(&coordinate(), sources, &field, is_equal);
        }
        if needs_join(ty, sources, is_equal, overrides) {
            field.joins = sources.definitions.iter().filter_map(|source| self.join_field(source, is_equal, overrides)).collect();
        }
        if self.features.has_joined {
            let carried = sources.definitions.iter().map(|source| (source.graph, source.definition.directives.iter().collect()));
            field.applied.extend(self.join_directives(carried));
        }
        Some(field)
    }

    fn join_field(&self, source: &FieldSource<'a>, is_equal: bool, overrides: &Overrides) -> Option<JoinField> {
        let state = overrides.of(source.graph);
        if state.is_unused && state.label.is_none() {
            return None;
        }
        let facts = source.facts;
        let subgraph = self.diagnoses.name(source.graph);
        let context_arguments = facts.context_arguments.iter().filter_map(|argument| {
            let definition = source.definition.argument_by_name(&argument.name)?;
            Some(ContextArgument {
                name: argument.name.clone(),
                ty: definition.ty.as_ref().clone(),
                context: format!("{subgraph}__{}", argument.context.as_deref()?),
                selection: argument.selection.clone(),
            })
        });
        Some(JoinField {
            graph: Some(source.graph),
            requires: facts.requires.as_ref().map(|used| used.text.clone()),
            provides: facts.provides.as_ref().map(|used| used.text.clone()),
            ty: (!is_equal).then(|| source.definition.ty.clone()),
            is_external: facts.is_external,
            overrides: facts.overrides.as_ref().map(|overrides| overrides.from.clone()),
            is_used_overridden: state.is_used,
            override_label: state.label.clone(),
            context_arguments: context_arguments.collect(),
        })
    }

    fn refuse_all_external(&mut self, coordinate: &str, sources: &FieldSources<'a>) {
        let graphs = sources.definitions.iter().chain(&sources.abstracted).map(|source| source.graph);
        let message = format!(
            "Field \"{coordinate}\" is @external in every subgraph that has it ({}). One of them must resolve it: remove @external there.",
            self.diagnoses.names(graphs)
        );
        self.diagnoses.error("EXTERNAL_MISSING_ON_BASE", message, &sources.places());
    }
}

/// Whether the field needs `@join__field`: it is not in every subgraph that has its parent, or there is more to say about it
/// than its type.
fn needs_join(ty: &TypeSources<'_>, sources: &FieldSources<'_>, is_equal: bool, overrides: &Overrides) -> bool {
    let has_more = |source: &FieldSource<'_>| {
        let facts = source.facts;
        facts.is_external || facts.provides.is_some() || facts.requires.is_some() || !facts.context_arguments.is_empty()
    };
    !is_equal || sources.definitions.len() < ty.len() || !overrides.is_empty() || sources.definitions.iter().any(has_more)
}
