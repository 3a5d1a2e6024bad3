//! Reading supergraphs of several origins. Spec: <https://specs.apollo.dev/join/v0.3/>, <https://specs.apollo.dev/join/v0.1/>
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test fails by panicking.

use super::super::{Supergraph, TypeKind};
use crate::ids::{Id, SubgraphSet};
use crate::plan::OperationKind;

const FEDERATION_2: &str = r#"
schema
  @link(url: "https://specs.apollo.dev/link/v1.0")
  @link(url: "https://specs.apollo.dev/join/v0.3", for: EXECUTION)
  @link(url: "https://specs.apollo.dev/inaccessible/v0.2", for: SECURITY, import: [{name: "@inaccessible", as: "@hidden"}])
  @link(url: "https://custom.example/audit/v1.2", import: ["@audit"])
{ query: Query }
directive @hidden on FIELD_DEFINITION | OBJECT
directive @audit on FIELD_DEFINITION
directive @cached(ttl: Int) on QUERY
enum join__Graph { A @join__graph(name: "a", url: "http://a") B @join__graph(name: "b", url: "http://b") }
scalar join__FieldSet
scalar audit__Level
type Query @join__type(graph: A) @join__type(graph: B) {
  items: [Item!]! @join__field(graph: A, provides: "maker { name }") @audit
  found: Found @join__field(graph: B)
}
type Item implements Named
  @join__implements(graph: A, interface: "Named")
  @join__type(graph: A, key: "id")
  @join__type(graph: B, key: "id maker { id }", resolvable: false)
{
  id: ID!
  maker: Maker
  name: String @join__field(graph: A)
  price: Int @join__field(graph: A, override: "b", overrideLabel: "percent(5)") @join__field(graph: B, overrideLabel: "percent(5)")
  weight: Int @join__field(graph: A, external: true) @join__field(graph: B, type: "Int!")
  tax(rate: Float = 0.2): Int @join__field(graph: A, requires: "weight maker { ... on Maker { name } }")
  old: Int @join__field(graph: A) @join__field(graph: B, usedOverridden: true)
  secret: Int @join__field(graph: A) @hidden
}
type Maker @join__type(graph: A) @join__type(graph: B) { id: ID! name: String @join__field(graph: A, external: true) @join__field(graph: B) }
interface Named @join__type(graph: A) @join__type(graph: B, key: "name", isInterfaceObject: true) { name: String }
union Found @join__type(graph: A) @join__type(graph: B) @join__unionMember(graph: A, member: "Item") @join__unionMember(graph: B, member: "Item") @join__unionMember(graph: B, member: "Maker") = Item | Maker
enum Color @join__type(graph: A) @join__type(graph: B) { RED @join__enumValue(graph: A) @join__enumValue(graph: B) BLUE @join__enumValue(graph: B) }
"#;

fn names(graph: &Supergraph, set: &SubgraphSet) -> String {
    set.iter().map(|id| graph.subgraph(id).name.to_string()).collect::<Vec<_>>().join(" ")
}

fn field<'a>(graph: &'a Supergraph, ty: &str, name: &str) -> &'a super::super::Field {
    graph.field(graph.field_of(graph.type_named(ty).unwrap(), name).unwrap())
}

#[test]
fn fields_know_who_resolves_them_and_how() {
    let graph = Supergraph::read(FEDERATION_2).unwrap();
    let (a, b) = (Id::new(0), Id::new(1));
    assert_eq!(names(&graph, &field(&graph, "Item", "id").resolvers), "a b", "without join__field in every subgraph of the type");
    assert_eq!(names(&graph, &field(&graph, "Item", "weight").resolvers), "b");
    assert_eq!(names(&graph, &field(&graph, "Item", "weight").external), "a");
    assert_eq!(names(&graph, &field(&graph, "Item", "old").resolvers), "a", "an overridden field is not resolved");
    let price = field(&graph, "Item", "price");
    assert_eq!(names(&graph, &price.resolvers), "a b", "a label leaves both");
    assert_eq!(price.at(a).unwrap().label.map(|label| label.1), Some(true));
    assert_eq!(price.at(b).unwrap().label.map(|label| label.1), Some(false));
    assert_eq!(field(&graph, "Item", "weight").at(b).unwrap().ty.wrap.non_null, 1);
    let requires = field(&graph, "Item", "tax").at(a).unwrap().requires.clone().unwrap();
    assert_eq!(super::super::field_set::print(&graph, &requires), "weight maker { ... on Maker { name } }");
    assert!(field(&graph, "Query", "items").at(a).unwrap().provides.is_some());
}

#[test]
fn types_know_their_keys_and_possible_types_in_each_subgraph() {
    let graph = Supergraph::read(FEDERATION_2).unwrap();
    let (a, b) = (Id::new(0), Id::new(1));
    let item = graph.get_type(graph.type_named("Item").unwrap());
    let keys = &item.at(b).unwrap().keys;
    assert_eq!(super::super::field_set::print(&graph, &keys[0].fields), "id maker { id }");
    assert!(!keys[0].resolvable && item.at(a).unwrap().keys[0].resolvable);
    let named = graph.get_type(graph.type_named("Named").unwrap());
    assert_eq!(named.possible.len(), 1);
    assert!(named.at(b).unwrap().interface_object && named.at(b).unwrap().possible.is_empty());
    let found = graph.get_type(graph.type_named("Found").unwrap());
    assert_eq!((found.kind, found.at(a).unwrap().possible.len(), found.at(b).unwrap().possible.len()), (TypeKind::Union, 1, 2));
    let color = graph.get_type(graph.type_named("Color").unwrap());
    assert_eq!(names(&graph, &color.values["BLUE"].subgraphs), "b");
    assert!(graph.type_named("join__Graph").is_none() && graph.type_named("audit__Level").is_none());
}

#[test]
fn clients_see_neither_features_nor_what_is_inaccessible_under_any_name() {
    let graph = Supergraph::read(FEDERATION_2).unwrap();
    let client = graph.client.to_string();
    assert!(!client.contains("secret") && !client.contains("join__") && !client.contains("audit") && !client.contains("@hidden"));
    assert!(client.contains("directive @cached(ttl: Int) on QUERY") && client.contains("tax(rate: Float = 0.2): Int"));
    assert!(field(&graph, "Item", "secret").inaccessible);
}

#[test]
fn federation_1_supergraphs_get_what_their_sdl_leaves_out() {
    let graph = Supergraph::read(
        r#"
schema @core(feature: "https://specs.apollo.dev/core/v0.1") @core(feature: "https://specs.apollo.dev/join/v0.1") { query: Query }
directive @core(feature: String!) repeatable on SCHEMA
directive @join__field(graph: join__Graph, requires: String, provides: String) on FIELD_DEFINITION
directive @join__type(graph: join__Graph!, key: String) repeatable on OBJECT | INTERFACE
directive @join__owner(graph: join__Graph!) on OBJECT | INTERFACE
directive @join__graph(name: String!, url: String!) on ENUM_VALUE
enum join__Graph { A @join__graph(name: "a" url: "") B @join__graph(name: "b" url: "") }
type Query { me: User @join__field(graph: A) }
type User @join__owner(graph: A) @join__type(graph: A, key: "id") @join__type(graph: B, key: "id") {
  id: ID! @join__field(graph: A)
  name: Name
  greeting: String @join__field(graph: B, requires: "name { first }")
}
type Name { first: String }
"#,
    )
    .unwrap();
    assert_eq!(names(&graph, &field(&graph, "User", "id").resolvers), "a b", "a key is resolved where it is a key");
    assert_eq!(names(&graph, &field(&graph, "User", "name").resolvers), "a", "the owner resolves what names no subgraph");
    assert_eq!(names(&graph, &field(&graph, "User", "name").external), "b", "what is required is external");
    assert_eq!(names(&graph, &field(&graph, "Name", "first").resolvers), "a b", "a value type is everywhere");
    assert!(graph.root(OperationKind::Query).is_some() && graph.root(OperationKind::Mutation).is_none());
}

#[test]
fn what_is_wrong_with_a_supergraph_is_told_all_at_once() {
    let errors = Supergraph::read(
        r#"
enum join__Graph { A @join__graph(name: "a", url: "") }
directive @join__graph(name: String!, url: String!) on ENUM_VALUE
type Query @join__type(graph: C) @join__type(graph: A, key: "missing") { a: Missing b: Int @join__field(graph: A, requires: "{") }
"#,
    )
    .unwrap_err();
    let text = errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>().join("\n");
    for part in ["subgraph `C`", "type `Missing`", "no field `missing`", "does not parse"] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    assert!(Supergraph::read("type Query {").unwrap_err()[0].places[0].at.is_some());
    assert!(Supergraph::read("type Query { a: Int }").unwrap_err()[0].message.contains("names no subgraph"));
}
