//! The upgrade of subgraphs in Federation 1 dialect: what was implied, tolerated or ignored there is written down as Federation 2
//! wants it. It needs all subgraphs, because what a type extension extends and what a field shares lies in others.
//!
//! Each step is a file; the order is [`upgrade_one`]'s. Steps read the subgraphs as they were before the upgrade (`all`) and change
//! one schema. Relied on by `subgraph::read_all`.
//! Spec: <https://www.apollographql.com/docs/graphos/reference/migration/to-federation-version-2>

mod arguments;
mod edit;
mod extensions;
mod external;
mod inactive;
mod interfaces;
mod sharing;
mod tags;

use super::definitions::{self, DefinitionFault};
use super::facts::{Facts, fields_of};
use super::link::{Import, Link, Links, Version};
use super::link_names::LinkNames;
use super::{FederationDirective, Subgraph, graphql, linking, read, rules};
use crate::diagnostics::Diagnostic;
use apollo_compiler::{Name, Schema};
use rustc_hash::FxHashMap;

/// The federation version that an upgraded subgraph behaves like.
const VERSION: Version = Version::new(2, 4);

/// The subgraphs before the upgrade, and where each object and interface type is.
struct All<'a> {
    subgraphs: &'a [Subgraph],
    types: FxHashMap<&'a Name, Vec<usize>>,
}

impl<'a> All<'a> {
    /// The subgraphs other than `own` that have the object or interface type.
    fn others(&self, own: &'a str, name: &Name) -> impl Iterator<Item = &'a Subgraph> {
        let indexes = self.types.get(name).map(Vec::as_slice).unwrap_or_default().to_vec();
        let subgraphs = self.subgraphs;
        indexes.into_iter().filter_map(move |index| subgraphs.get(index)).filter(move |other| other.name != own)
    }
}

/// Upgrades the subgraphs that need it; the others come back as they are.
///
/// # Errors
/// Extensions of types that nobody defines, types that are left empty, and everything that breaks the rules after the upgrade.
pub fn upgrade(subgraphs: Vec<Subgraph>) -> Result<Vec<Subgraph>, Vec<Diagnostic>> {
    if !subgraphs.iter().any(|subgraph| subgraph.is_federation_1) {
        return Ok(subgraphs);
    }
    let mut types: FxHashMap<&Name, Vec<usize>> = FxHashMap::default();
    for (index, subgraph) in subgraphs.iter().enumerate() {
        for (name, _) in
            subgraph.schema.types.iter().filter(|(_, definition)| fields_of(definition).is_some() && !definition.is_built_in())
        {
            types.entry(name).or_default().push(index);
        }
    }
    let all = All { subgraphs: &subgraphs, types };
    let mut errors = Vec::new();
    let mut upgraded: FxHashMap<usize, Subgraph> = FxHashMap::default();
    for (index, subgraph) in subgraphs.iter().enumerate().filter(|(_, subgraph)| subgraph.is_federation_1) {
        match upgrade_one(&all, subgraph) {
            Ok(changed) => drop(upgraded.insert(index, changed)),
            Err(found) => errors.extend(found),
        }
    }
    interfaces::check_interface_objects(&subgraphs, &upgraded, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    let result = subgraphs.into_iter().enumerate();
    Ok(result.map(|(index, subgraph)| upgraded.remove(&index).unwrap_or(subgraph)).collect())
}

fn upgrade_one(all: &All<'_>, original: &Subgraph) -> Result<Subgraph, Vec<Diagnostic>> {
    let mut subgraph = original.clone();
    link_federation_2(&mut subgraph)?;
    let mut errors = Vec::new();
    extensions::check_bases(all, &subgraph, &mut errors);
    arguments::to_strings(&mut subgraph);
    external::remove_ineffective(&mut subgraph);
    extensions::remove_external_from_keys(all, &mut subgraph);
    inactive::remove(&mut subgraph);
    extensions::to_definitions(&mut subgraph);
    interfaces::remove_directives(&mut subgraph);
    inactive::remove_from_leaves(&mut subgraph);
    subgraph.facts = Facts::of(&subgraph.schema, &subgraph.names, true);
    external::remove_unused(&mut subgraph, &mut errors);
    sharing::add_shareable(all, original, &mut subgraph);
    tags::remove_from_external(all, &mut subgraph);
    if !errors.is_empty() {
        return Err(errors);
    }
    for violation in graphql::validate(&subgraph.schema) {
        errors.push(subgraph.error("INVALID_GRAPHQL", &violation.message, violation.location));
    }
    if errors.is_empty() {
        subgraph.facts = Facts::of(&subgraph.schema, &subgraph.names, true);
        errors = rules::check(&subgraph);
    }
    if errors.is_empty() { Ok(subgraph) } else { Err(errors) }
}

/// Gives the schema the link that a Federation 2 schema has, and the definitions behind it.
fn link_federation_2(subgraph: &mut Subgraph) -> Result<(), Vec<Diagnostic>> {
    let mut names = LinkNames::default();
    let mut existing: Vec<Link> = subgraph.links.iter().cloned().collect();
    if existing.is_empty() {
        let mut implied = linking::implied_link();
        if subgraph.schema.directive_definitions.contains_key("link") {
            implied.name_in_schema = "link1".to_owned();
        }
        existing.push(implied);
    }
    existing.into_iter().for_each(|link| names.add(link));
    let link = federation_2_link();
    if let Err(message) = names.check(&link) {
        return Err(vec![subgraph.error("INVALID_LINK_DIRECTIVE_USAGE", &message, None)]);
    }
    names.add(link.clone());
    remove_federation_1_definitions(&mut subgraph.schema);
    let faults = definitions::complete(&mut subgraph.schema, &link);
    if !faults.is_empty() {
        return Err(faults.into_iter().map(|fault| definition_error(subgraph, fault)).collect());
    }
    subgraph.links = Links::new(names.links);
    subgraph.names = read::directive_names(&subgraph.links);
    Ok(())
}

fn definition_error(subgraph: &Subgraph, fault: DefinitionFault) -> Diagnostic {
    let message = format!(
        "{} (A Federation 1 schema can use the directives of federation {VERSION} but not redefine them.)",
        fault.message
    );
    subgraph.error(fault.code, &message, fault.location)
}

/// A link to federation that imports every directive of its version.
fn federation_2_link() -> Link {
    let known = FederationDirective::ALL.into_iter().filter(|directive| directive.since() <= VERSION);
    let imports = known.map(|directive| Import { name: format!("@{}", directive.name()), alias: None }).collect();
    Link { imports, ..definitions::federation_link(VERSION) }
}

/// Removes the fixed definitions of Federation 1; those of Federation 2 take their place. The applications stay.
fn remove_federation_1_definitions(schema: &mut Schema) {
    for directive in FederationDirective::ALL.into_iter().filter(|directive| directive.is_federation_1()) {
        schema.directive_definitions.shift_remove(directive.name());
    }
    edit::rename_type(schema, "_FieldSet", "federation__FieldSet");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test may panic")]
    use crate::compose::Source;
    use crate::document::Locations;
    use crate::subgraph::{Subgraph, read_all};

    /// Upgrades subgraphs called a, b, c ...
    fn upgrade(sdls: &[&str]) -> Result<Vec<Subgraph>, Vec<&'static str>> {
        let names = ["a", "b", "c"];
        let sources = sdls.iter().zip(names).map(|(sdl, name)| Source {
            name: name.to_owned(),
            url: String::new(),
            sdl: (*sdl).to_owned(),
        });
        let sources: Vec<Source> = sources.collect();
        read_all(&sources, Locations::Skip).map_err(|errors| errors.iter().map(|error| error.code).collect())
    }

    const ENTITY: &str = "type Query { t: T } type T @key(fields: \"id\") { id: ID! name: String @tag(name: \"x\") }";

    #[test]
    fn extensions_become_definitions_whose_keys_are_resolved() {
        let subgraphs = upgrade(&[ENTITY, "extend type T @key(fields: \"id\") { id: ID! @external more: Int }"]).unwrap();
        let b = &subgraphs[1];
        assert!(b.is_federation_1 && b.is_defined("T") && !b.is_extended("T"));
        assert!(!b.field_facts("T", "id").is_marked_external);
        assert!(!b.keys("T")[0].is_extension);
        assert_eq!(b.federation_version().unwrap().to_string(), "v2.4");
    }

    #[test]
    fn extensions_without_key_use_the_key_of_others() {
        let subgraphs = upgrade(&[ENTITY, "extend type T { id: ID! @external more: Int }"]).unwrap();
        assert!(!subgraphs[1].field_facts("T", "id").is_marked_external);
    }

    #[test]
    fn unused_externals_disappear_with_types_that_they_leave_empty() {
        let extension =
            "extend type T @key(fields: \"id\") { id: ID! @external name: String @external } type Gone { a: Int @external }";
        let subgraphs = upgrade(&[ENTITY, extension]).unwrap();
        let fields = crate::subgraph::facts::fields_of(&subgraphs[1].schema.types["T"]).unwrap();
        assert_eq!(fields.keys().map(|name| name.as_str()).collect::<Vec<_>>(), ["id"]);
        assert!(!subgraphs[1].schema.types.contains_key("Gone"));
    }

    #[test]
    fn requirements_of_own_fields_are_dropped_or_trimmed() {
        let extension = "extend type T @key(fields: \"id\") { id: ID! @external name: String @external own: Int
             a: Int @requires(fields: \"own\") b: Int @requires(fields: \"own name\") }";
        let b = upgrade(&[ENTITY, extension]).unwrap().remove(1);
        assert!(b.field_facts("T", "a").requires.is_none());
        assert_eq!(b.field_facts("T", "b").requires.as_ref().unwrap().text, "name");
    }

    #[test]
    fn value_types_and_repeated_entity_fields_become_shareable() {
        let value = "type V { a: Int } extend type T @key(fields: \"id\") { id: ID! @external name: String own: V }";
        let b = upgrade(&[&format!("{ENTITY} type V {{ a: Int }}"), value]).unwrap().remove(1);
        let shareable = [("V", "a"), ("T", "name"), ("T", "own")].map(|(parent, field)| b.is_shareable(parent, field));
        assert_eq!(shareable, [true, true, false]);
    }

    #[test]
    fn a_tag_on_an_external_field_moves_to_the_definition() {
        let extension = "extend type T @key(fields: \"id\") { id: ID! @external name: String @external @tag(name: \"x\") a: Int @requires(fields: \"name\") }";
        let b = upgrade(&[ENTITY, extension]).unwrap().remove(1);
        let fields = crate::subgraph::facts::fields_of(&b.schema.types["T"]).unwrap();
        assert!(!fields["name"].directives.has("tag"));
    }

    #[test]
    fn what_cannot_be_upgraded_is_refused() {
        assert_eq!(upgrade(&["type Query { t: T } extend type T { id: ID! }"]).err(), Some(vec!["EXTENSION_WITH_NO_BASE"]));
        let used = "type Query { t: T } type T { a: Int @external }";
        assert_eq!(upgrade(&[used]).err(), Some(vec!["TYPE_WITH_ONLY_UNUSED_EXTERNAL"]));
    }
}
