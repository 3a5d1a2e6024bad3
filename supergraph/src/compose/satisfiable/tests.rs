//! Bounds of the check: inputs on which an exploration of paths explodes are decided within the budget.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test fails by panicking.

use super::check;
use crate::diagnostics::Place;
use crate::model::Supergraph;
use std::fmt::Write;

fn unlocated(subgraph: &str, _: &str, _: Option<&str>) -> Place {
    Place { subgraph: Some(subgraph.to_owned()), at: None }
}

/// The codes that the check finds in a supergraph of `subgraphs` with these types.
fn codes(subgraphs: usize, types: &str) -> Vec<&'static str> {
    let mut sdl =
        String::from("schema @link(url: \"https://specs.apollo.dev/join/v0.3\") { query: Query }\nenum join__Graph {\n");
    (0..subgraphs).for_each(|index| writeln!(sdl, "S{index} @join__graph(name: \"s{index}\", url: \"\")").unwrap());
    let graph = Supergraph::read(&format!("{sdl}}}\n{types}")).unwrap();
    check(&graph, &unlocated).errors.into_iter().map(|error| error.code).collect()
}

/// A type that refers to itself through fields which every second subgraph shares, in ever other sets.
fn shared_graph(subgraphs: usize, fields: usize, key: impl Fn(usize) -> String) -> String {
    let mut types = String::from("type Query");
    (0..subgraphs).for_each(|index| write!(types, " @join__type(graph: S{index})").unwrap());
    types.push_str(" { node: Node }\ntype Node");
    (0..subgraphs).for_each(|index| write!(types, " @join__type(graph: S{index}, key: \"{}\")", key(index)).unwrap());
    types.push_str(" {\n  id: ID!\n");
    for field in 0..fields {
        let at: String = (0..subgraphs).filter(|index| (field >> (index % 5)) & 1 == 0).fold(String::new(), |mut text, index| {
            write!(text, " @join__field(graph: S{index})").unwrap();
            text
        });
        writeln!(types, "  n{field}: Node{at}\n  f{field}: String{at}").unwrap();
    }
    types + "}\n"
}

#[test]
fn many_subgraphs_that_share_many_fields_are_decided() {
    assert!(codes(20, &shared_graph(20, 30, |_| "id".to_owned())).is_empty());
}

#[test]
fn keys_that_depend_on_each_other_are_decided() {
    let chain =
        |index: usize| if index == 0 { "id".to_owned() } else { format!("id n{} {{ f{} }}", index % 30, (index + 7) % 30) };
    // Every subgraph resolves field 0, so that nothing is out of reach by the plain key of the first.
    assert!(!codes(12, &shared_graph(12, 30, chain)).contains(&"MAX_VALIDATION_SUBGRAPH_PATHS_EXCEEDED"));
}

#[test]
fn a_recursive_key_ends() {
    let types = r#"
type Query @join__type(graph: S0) { a: A @join__field(graph: S0) }
type A @join__type(graph: S0) @join__type(graph: S1, key: "b { a { b { x } } }") {
  b: B
  y: Int @join__field(graph: S1)
}
type B @join__type(graph: S0) @join__type(graph: S1, key: "a { b { x } }") {
  a: A
  x: Int @join__field(graph: S1)
}
"#;
    let found = codes(2, types);
    assert!(!found.is_empty() && found.iter().all(|code| *code == "SATISFIABILITY_ERROR"));
}

#[test]
fn a_requirement_that_an_interface_object_serves_is_found() {
    let types = r#"
type Query @join__type(graph: S0) { book: Book @join__field(graph: S0) }
interface Media @join__type(graph: S0, key: "id") @join__type(graph: S1, key: "id", isInterfaceObject: true) { id: ID! likes: Int @join__field(graph: S1) }
type Book implements Media @join__implements(graph: S0, interface: "Media") @join__type(graph: S0, key: "id") {
  id: ID! @join__field(graph: S0)
  likes: Int @join__field
  rank: Int @join__field(graph: S0, requires: "likes")
}
"#;
    assert_eq!(
        codes(2, &types.replace("likes: Int @join__field\n", "likes: Int @join__field(graph: S0, external: true)\n")),
        [""; 0]
    );
    assert_eq!(
        codes(2, &types.replace(", isInterfaceObject: true", "").replace("graph: S1, key: \"id\"", "graph: S1")),
        ["SATISFIABILITY_ERROR"; 2]
    );
}
