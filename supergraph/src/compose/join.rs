//! The header of a supergraph: the link and join specifications it uses, with their definitions, and the names of its graphs.
//!
//! Relied on by `print`. Spec: <https://specs.apollo.dev/join/v0.5>, <https://specs.apollo.dev/link/v1.0>

use super::merged::{GraphName, Link, Merged};
use super::values;
use crate::subgraph::Subgraph;
use crate::subgraph::Version;
use apollo_compiler::Name;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The join version that the newest federation version in use asks for.
pub(crate) fn version_for(federation: Version) -> (u32, u32) {
    if federation >= Version::new(2, 8) {
        (0, 5)
    } else if federation >= Version::new(2, 7) {
        (0, 4)
    } else {
        (0, 3)
    }
}

/// The applications of `@link`, in order: link itself, join, then the merged ones.
pub(crate) fn links(merged: &Merged) -> Vec<String> {
    let (major, minor) = merged.join;
    let mut links = vec![
        "@link(url: \"https://specs.apollo.dev/link/v1.0\")".to_owned(),
        format!("@link(url: \"https://specs.apollo.dev/join/v{major}.{minor}\", for: EXECUTION)"),
    ];
    links.extend(merged.links.iter().map(link));
    links
}

fn link(link: &Link) -> String {
    let mut out = String::from("@link(url: ");
    values::quote(&mut out, &link.url);
    if let Some(alias) = &link.alias {
        let _ = write!(out, ", as: \"{alias}\"");
    }
    if let Some(purpose) = link.purpose {
        let _ = write!(out, ", for: {purpose}");
    }
    if !link.imports.is_empty() {
        let imports: Vec<String> = link.imports.iter().map(|(name, alias)| import(name, alias)).collect();
        let _ = write!(out, ", import: [{}]", imports.join(", "));
    }
    out.push(')');
    out
}

fn import(name: &str, alias: &str) -> String {
    if name == alias { format!("\"{name}\"") } else { format!("{{name: \"{name}\", as: \"{alias}\"}}") }
}

/// The definitions of the directives of link and join, by name.
pub(crate) fn directives(version: (u32, u32)) -> BTreeMap<&'static str, &'static str> {
    let field = match version {
        (0, 3) => {
            "directive @join__field(graph: join__Graph, requires: join__FieldSet, provides: join__FieldSet, type: String, \
             external: Boolean, override: String, usedOverridden: Boolean) repeatable on FIELD_DEFINITION | INPUT_FIELD_DEFINITION"
        }
        (0, 4) => {
            "directive @join__field(graph: join__Graph, requires: join__FieldSet, provides: join__FieldSet, type: String, \
             external: Boolean, override: String, usedOverridden: Boolean, overrideLabel: String) \
             repeatable on FIELD_DEFINITION | INPUT_FIELD_DEFINITION"
        }
        _ => {
            "directive @join__field(graph: join__Graph, requires: join__FieldSet, provides: join__FieldSet, type: String, \
             external: Boolean, override: String, usedOverridden: Boolean, overrideLabel: String, \
             contextArguments: [join__ContextArgument!]) repeatable on FIELD_DEFINITION | INPUT_FIELD_DEFINITION"
        }
    };
    let mut definitions = BTreeMap::from([
        ("join__enumValue", "directive @join__enumValue(graph: join__Graph!) repeatable on ENUM_VALUE"),
        ("join__field", field),
        ("join__graph", "directive @join__graph(name: String!, url: String!) on ENUM_VALUE"),
        (
            "join__implements",
            "directive @join__implements(graph: join__Graph!, interface: String!) repeatable on OBJECT | INTERFACE",
        ),
        (
            "join__type",
            "directive @join__type(graph: join__Graph!, key: join__FieldSet, extension: Boolean! = false, resolvable: Boolean! = true, \
             isInterfaceObject: Boolean! = false) repeatable on OBJECT | INTERFACE | UNION | ENUM | INPUT_OBJECT | SCALAR",
        ),
        ("join__unionMember", "directive @join__unionMember(graph: join__Graph!, member: String!) repeatable on UNION"),
        ("link", "directive @link(url: String, as: String, for: link__Purpose, import: [link__Import]) repeatable on SCHEMA"),
    ]);
    if version >= (0, 4) {
        definitions.insert(
            "join__directive",
            "directive @join__directive(graphs: [join__Graph!], name: String!, args: join__DirectiveArguments) \
             repeatable on SCHEMA | OBJECT | INTERFACE | FIELD_DEFINITION",
        );
    }
    definitions
}

/// Whether a type of this name is one of link and join, which no subgraph can contribute to.
pub(crate) fn has_type(name: &str) -> bool {
    ["join__", "link__"].iter().any(|namespace| name.starts_with(namespace)) && TYPES.contains(&name)
}

const TYPES: [&str; 7] = [
    "join__ContextArgument",
    "join__DirectiveArguments",
    "join__FieldSet",
    "join__FieldValue",
    "join__Graph",
    "link__Import",
    "link__Purpose",
];

/// The definitions of the types of link and join, by name.
pub(crate) fn types(merged: &Merged) -> BTreeMap<String, String> {
    let mut graphs = String::from("enum join__Graph {");
    for graph in &merged.graphs {
        let _ = write!(graphs, "\n  {} @join__graph(name: ", graph.value);
        values::quote(&mut graphs, &graph.name);
        graphs.push_str(", url: ");
        values::quote(&mut graphs, &graph.url);
        graphs.push(')');
    }
    graphs.push_str("\n}");
    let purpose = "enum link__Purpose {\n  \"\"\"Needed to keep data safe.\"\"\"\n  SECURITY\n  \"\"\"Needed to resolve fields.\"\"\"\n  EXECUTION\n}";
    let mut types = BTreeMap::from([
        ("join__FieldSet".to_owned(), "scalar join__FieldSet".to_owned()),
        ("join__Graph".to_owned(), graphs),
        ("link__Import".to_owned(), "scalar link__Import".to_owned()),
        ("link__Purpose".to_owned(), purpose.to_owned()),
    ]);
    if merged.join >= (0, 4) {
        types.insert("join__DirectiveArguments".to_owned(), "scalar join__DirectiveArguments".to_owned());
    }
    if merged.join >= (0, 5) {
        let argument = "input join__ContextArgument {\n  name: String!\n  type: String!\n  context: String!\n  selection: join__FieldValue!\n}";
        types.insert("join__ContextArgument".to_owned(), argument.to_owned());
        types.insert("join__FieldValue".to_owned(), "scalar join__FieldValue".to_owned());
    }
    types
}

/// The enum value of each subgraph. Names that become the same value are numbered.
pub(crate) fn graph_names(subgraphs: &[Subgraph]) -> Vec<GraphName> {
    let sanitized: Vec<String> = subgraphs.iter().map(|subgraph| sanitize(&subgraph.name)).collect();
    let mut totals: BTreeMap<&str, usize> = BTreeMap::new();
    for name in &sanitized {
        *totals.entry(name).or_default() += 1;
    }
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut names = Vec::with_capacity(subgraphs.len());
    for (subgraph, name) in subgraphs.iter().zip(&sanitized) {
        let position = seen.entry(name).or_default();
        *position += 1;
        let is_unique = totals.get(name.as_str()) == Some(&1);
        let value = if is_unique { name.clone() } else { format!("{name}_{position}") };
        let value = Name::new(&value).unwrap_or_else(|_| Name::new_unchecked("_"));
        names.push(GraphName { value, name: subgraph.name.clone(), url: subgraph.url.clone() });
    }
    names
}

/// A GraphQL name in upper case: other characters become `_`, a leading digit is prefixed, and a trailing `_<digits>` is
/// closed with `_` so that it cannot be taken for the number of a collision.
fn sanitize(name: &str) -> String {
    let word = |character: char| if character.is_ascii_alphanumeric() || character == '_' { character } else { '_' };
    // The length of the result follows UTF-16 units, because the tools that wrote the first supergraphs counted so.
    let mut value: String =
        name.chars().flat_map(|character| std::iter::repeat_n(word(character), character.len_utf16())).collect();
    if value.starts_with(|first: char| first.is_ascii_digit()) {
        value.insert(0, '_');
    }
    let without_digits = value.trim_end_matches(|last: char| last.is_ascii_digit());
    if without_digits.len() < value.len() && without_digits.ends_with('_') {
        value.push('_');
    }
    value.to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::sanitize;

    #[test]
    fn graph_names_are_graphql_names() {
        assert_eq!(sanitize("accounts"), "ACCOUNTS");
        assert_eq!(sanitize("my-service.v2"), "MY_SERVICE_V2");
        assert_eq!(sanitize("1st"), "_1ST");
        assert_eq!(sanitize("part_2"), "PART_2_");
    }
}
