//! The sharing rule: a field that several subgraphs resolve must be shareable in all of them.
//!
//! Relied on by `objects` and by the copying of interface object fields.
//! Spec: <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/sharing-types>

use super::merge::Merger;
use super::overrides::Overrides;
use super::sources::{FieldSource, FieldSources};
use apollo_compiler::Name;

impl<'a> Merger<'a> {
    /// Checks one field of an object type. External and overridden definitions do not count; interface objects do.
    pub(crate) fn check_sharing(&mut self, parent: &Name, field: &Name, sources: &FieldSources<'a>, overrides: &Overrides) {
        let is_overridden = |source: &FieldSource<'_>| {
            let state = overrides.of(source.graph);
            state.is_used || state.is_unused
        };
        let own = sources.definitions.iter().filter(|source| !is_overridden(source));
        let resolving: Vec<&FieldSource<'a>> =
            own.chain(&sources.abstracted).filter(|source| !source.is_fully_external()).collect();
        let unshared: Vec<&FieldSource<'a>> = resolving.iter().copied().filter(|source| !source.facts.is_shareable).collect();
        if unshared.is_empty() || resolving.len() < 2 {
            return;
        }
        let through = |source: &FieldSource<'_>| {
            if source.parent == parent { String::new() } else { format!(" (through the @interfaceObject \"{}\")", source.parent) }
        };
        let name = |source: &&FieldSource<'a>| format!("\"{}\"{}", self.diagnoses.name(source.graph), through(source));
        let resolved_by: Vec<String> = resolving.iter().map(name).collect();
        let unshared_in: Vec<String> = unshared.iter().map(name).collect();
        let misspelt = unshared.iter().find(|source| overrides.of(source.graph).has_unknown_source);
        let note = misspelt.map_or(String::new(), |source| {
            format!(
                " Its @override in \"{}\" names a subgraph that does not exist: is that a typing error?",
                self.diagnoses.name(source.graph)
            )
        });
        let message = format!(
            "Field \"{parent}.{field}\" is resolved by {}, but is not @shareable in {}. Add @shareable there, or resolve it in one subgraph only.{note}",
            resolved_by.join(", "),
            unshared_in.join(", ")
        );
        let at: Vec<_> = resolving.iter().map(|source| source.at()).collect();
        self.diagnoses.error("INVALID_FIELD_SHARING", message, &at);
    }
}
