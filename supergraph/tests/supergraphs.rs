//! Supergraph SDL from elsewhere gives the same model whatever version of the join specification it is written in, and however
//! much a composer writes out that others leave to the rules: `@join__field` on every field, keys as a list of their own, `extend schema`.
//!
//! Spec: <https://specs.apollo.dev/join/v0.3/>
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test may panic")]

use supergraph::ids::SubgraphSet;
use supergraph::model::Supergraph;

const GRAPHS: &str = "enum join__Graph { A @join__graph(name: \"a\", url: \"http://a\") B @join__graph(name: \"b\", url: \"http://b\") } \
     scalar join__FieldSet directive @join__graph(name: String!, url: String!) on ENUM_VALUE ";

/// The definitions that all versions from 0.2 on have in common, with what each adds.
fn header(version: &str) -> String {
    format!(
        "schema @link(url: \"https://specs.apollo.dev/link/v1.0\") @link(url: \"https://specs.apollo.dev/join/v{version}\", for: EXECUTION) \
         {{ query: Query }} {GRAPHS}"
    )
}

/// What joins say implicitly, as Apollo's composition prints it. Versions before 0.3 know neither `@join__implements` nor
/// `@join__unionMember` nor `@join__enumValue`.
fn terse(version: &str) -> String {
    let (implements, members, values) = if version == "0.2" {
        ("", "", ["", ""])
    } else {
        (
            "@join__implements(graph: A, interface: \"Named\")",
            "@join__unionMember(graph: A, member: \"Item\") @join__unionMember(graph: A, member: \"Maker\")",
            ["@join__enumValue(graph: A)", "@join__enumValue(graph: A)"],
        )
    };
    format!(
        "{} type Query @join__type(graph: A) @join__type(graph: B) {{ items: [Item!]! @join__field(graph: A) found: Found @join__field(graph: A) }} \
         type Item implements Named {implements} @join__type(graph: A, key: \"id\") @join__type(graph: B, key: \"id\") {{ id: ID! \
         name: String @join__field(graph: A) weight: Int @join__field(graph: A) @join__field(graph: B, external: true) \
         tax: Int @join__field(graph: B, requires: \"weight\") color: Color @join__field(graph: A) }} \
         type Maker @join__type(graph: A) {{ name: String }} \
         interface Named @join__type(graph: A) {{ name: String }} \
         union Found @join__type(graph: A) {members} = Item | Maker \
         enum Color @join__type(graph: A) {{ RED {} BLUE {} }}",
        header(version),
        values[0],
        values[1],
    )
}

/// The same with everything written out, in another order, with block strings and a schema extension.
const WRITTEN_OUT: &str = r#"
"""A supergraph."""
schema @link(url: "https://specs.apollo.dev/link/v1.0") { query: Query }
extend schema @link(url: "https://specs.apollo.dev/join/v0.3", for: EXECUTION)
directive @join__field(graph: join__Graph, requires: join__FieldSet, external: Boolean, type: String) repeatable on FIELD_DEFINITION
union Found @join__type(graph: A) @join__unionMember(graph: A, member: "Item") @join__unionMember(graph: A, member: "Maker") = | Maker | Item
enum Color @join__type(graph: A) { BLUE @join__enumValue(graph: A) RED @join__enumValue(graph: A) }
interface Named @join__type(graph: A, extension: false) { name: String @join__field(graph: A, type: "String") }
type Maker @join__type(graph: A) { "A name." name: String @join__field(graph: A, type: "String", external: false) }
type Item implements Named @join__type(graph: B, key: "id", resolvable: true) @join__type(graph: A, key: "{ id }")
  @join__implements(graph: A, interface: "Named") {
  id: ID! @join__field(graph: A, type: "ID!") @join__field(graph: B, type: "ID!")
  name: String @join__field(graph: A, external: null)
  weight: Int @join__field(graph: B, external: true) @join__field(graph: A)
  tax: Int @join__field(graph: B, requires: """
  weight
  """)
  color: Color @join__field(graph: A)
}
type Query @join__type(graph: B) @join__type(graph: A) { found: Found @join__field(graph: A) items: [Item!]! @join__field(graph: A) }
"#;

/// What matters of a supergraph, as text: who resolves each field under which conditions, keys and possible types by subgraph.
fn told(sdl: &str) -> Vec<String> {
    let graph = Supergraph::read(sdl).unwrap_or_else(|errors| panic!("{errors:?}\n{sdl}"));
    let names = |set: &SubgraphSet| set.iter().map(|id| graph.subgraph(id).name.to_string()).collect::<Vec<_>>().join(" ");
    let mut told = Vec::new();
    for (_, ty) in graph.types.iter() {
        for (subgraph, at) in ty.subgraph_views() {
            let mut possible: Vec<_> = at.possible.iter().map(|id| graph.get_type(id).name.to_string()).collect();
            possible.sort();
            told.push(format!("{} in {}: {} keys, possible {possible:?}", ty.name, graph.subgraph(subgraph).name, at.keys.len()));
        }
        for (value, definition) in &ty.values {
            told.push(format!("{}.{value} in {}", ty.name, names(&definition.subgraphs)));
        }
    }
    for (_, field) in graph.fields.iter() {
        let requiring = field.subgraph_views().filter(|(_, at)| at.requires.is_some()).count();
        let (resolvers, external) = (names(&field.resolvers), names(&field.external));
        let parent = &graph.get_type(field.parent).name;
        told.push(format!("{parent}.{} from {resolvers}, external in {external}, {requiring} requires", field.name));
    }
    told.sort();
    told
}

#[test]
fn every_version_of_join_gives_the_same_model() {
    let expected = told(&terse("0.3"));
    assert!(expected.contains(&"Item.weight from a, external in b, 0 requires".to_owned()), "{expected:#?}");
    assert!(expected.contains(&"Named in a: 0 keys, possible [\"Item\"]".to_owned()), "{expected:#?}");
    for version in ["0.2", "0.4", "0.5"] {
        assert_eq!(told(&terse(version)), expected, "join v{version}");
    }
}

#[test]
fn what_is_written_out_says_the_same_as_what_is_left_out() {
    assert_eq!(told(&format!("{WRITTEN_OUT} {GRAPHS}")), told(&terse("0.3")));
}
