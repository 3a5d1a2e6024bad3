//! Costs of operations by the specification's rules, computed by hand.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may stop at the first surprise")]

use apollo_compiler::{ExecutableDocument, request::coerce_variable_values};
use serde_json::json;
use supergraph::model::Supergraph;

use super::*;
use formula::Estimate;

const SDL: &str = r#"
    schema
      @link(url: "https://specs.apollo.dev/link/v1.0")
      @link(url: "https://specs.apollo.dev/join/v0.3", for: EXECUTION)
      @link(url: "https://specs.apollo.dev/cost/v0.1", import: [{ name: "@listSize", as: "@size" }], as: "price")
    { query: Query mutation: Mutation }
    enum join__Graph { A @join__graph(name: "a", url: "") }
    type Query @join__type(graph: A) {
      book(id: ID): Book
      best: [Book]
      ten: [Book] @size(assumedSize: 5)
      some(first: Int, last: Int): [Book] @size(assumedSize: 7, slicingArguments: ["first", "last"])
      free(first: Int, last: Int): [Book] @size(assumedSize: 7, slicingArguments: ["first", "last"], requireOneSlicingArgument: false)
      paged(first: Int = 3): Page @size(slicingArguments: ["first"], sizedFields: ["items"])
      find(filter: Filter, tags: [String] @price(weight: 4)): Int
      media: [Media!]!
      dear: Int @price(weight: 9)
      level: Level
    }
    type Mutation @join__type(graph: A) { write: Book touch: Int }
    type Book implements Media @join__type(graph: A) @join__implements(graph: A, interface: "Media") {
      id: ID title: String author: Author publisher: Publisher next: Book
    }
    type Film implements Media @join__type(graph: A) @join__implements(graph: A, interface: "Media") @price(weight: 6) { id: ID cast: [Author] }
    interface Media @join__type(graph: A) { id: ID }
    type Author @join__type(graph: A) { name: String }
    type Publisher @join__type(graph: A) { address: Address @price(weight: 5) }
    type Address @join__type(graph: A) { zip: Int }
    type Page @join__type(graph: A) { items: [Book] more: [Book] total: Int }
    input Filter @join__type(graph: A) { text: String @price(weight: 2) and: [Filter] level: Level }
    enum Level @join__type(graph: A) @price(weight: 3) { LOW @join__enumValue(graph: A) }
"#;

fn estimate_of(text: &str, variables: serde_json::Value) -> Estimate {
    let supergraph = Supergraph::read(SDL).unwrap();
    let config = DemandControlConfig { enabled: true, ..DemandControlConfig::default() };
    let control = DemandControl::new(&config, &supergraph).unwrap();
    let document = ExecutableDocument::parse_and_validate(&supergraph.client, text, "operation").unwrap();
    let operation = document.operations.iter().next().unwrap();
    let formula = control.formula(&supergraph, &document, operation);
    let given: JsonMap = serde_json::from_value(variables).unwrap();
    let variables = coerce_variable_values(&supergraph.client, operation, &given).unwrap();
    formula.evaluate(&Pricing { supergraph: &supergraph, weights: &control.weights }, &variables)
}

fn cost(text: &str, variables: serde_json::Value) -> u64 {
    let estimate = estimate_of(text, variables);
    assert_eq!(estimate.fault, None, "{text}");
    estimate.cost
}

#[test]
fn objects_cost_one_leaves_nothing_and_lists_each_item() {
    for (text, expected) in [
        ("{ __typename level dear }", 3 + 9),
        ("{ book(id: 1) { title } }", 1),
        ("{ book { author { name } publisher { address { zip } } } }", 1 + 1 + 1 + 5),
        ("{ best { title author { name } } }", 10 * 2),
        ("{ ten { author { name } publisher { address { zip } } } }", 5 * (1 + 1 + 1 + 5)),
        ("mutation { touch }", 10),
        ("mutation { write { title } touch }", 11),
    ] {
        assert_eq!(cost(text, json!({})), expected, "{text}");
    }
}

#[test]
fn slicing_arguments_say_how_long_a_list_is() {
    let with = "query ($n: Int, $m: Int) { free(first: $n, last: $m) { title } }";
    for (text, variables, expected) in [
        ("{ some(first: 20) { title } }", json!({}), 20),
        ("{ some(first: -5) { title } }", json!({}), 0),
        ("{ some(first: 0) { title } }", json!({}), 0),
        ("query ($n: Int = 4) { some(last: $n) { title } }", json!({}), 4),
        ("query ($n: Int = 4) { some(last: $n, first: null) { title } }", json!({ "n": 6 }), 6),
        (with, json!({ "n": 2, "m": 8 }), 8),
        (with, json!({ "n": 2 }), 2),
        (with, json!({}), 7),
        ("{ free { title } }", json!({}), 7),
        // The size is for the field below; the other list has the usual one.
        ("{ paged(first: 6) { items { title } more { title } total } }", json!({}), 1 + 6 + 10),
        ("{ paged { x: items { title } } }", json!({}), 1 + 3),
        ("query ($n: Int) { paged(first: $n) { items { title } } }", json!({ "n": 2 }), 1 + 2),
    ] {
        assert_eq!(cost(text, variables.clone()), expected, "{text} {variables}");
    }
}

#[test]
fn exactly_one_slicing_argument_is_needed_unless_the_schema_says_otherwise() {
    let both = "query ($n: Int, $m: Int) { book { title } some(first: $n, last: $m) { title } }";
    for (text, variables, is_fault) in [
        ("{ some { title } }", json!({}), true),
        ("{ some(first: 1, last: 1) { title } }", json!({}), true),
        (both, json!({ "n": 1, "m": 1 }), true),
        (both, json!({ "n": 1, "m": null }), false),
        (both, json!({}), true),
        ("query ($yes: Boolean!) { some @skip(if: $yes) { title } }", json!({ "yes": true }), false),
        ("query ($yes: Boolean!) { some @skip(if: $yes) { title } }", json!({ "yes": false }), true),
    ] {
        let fault = estimate_of(text, variables.clone()).fault;
        assert_eq!(fault.is_some(), is_fault, "{text} {variables}");
        assert!(fault.is_none_or(|fault| fault.contains("`Query.some`")));
    }
}

#[test]
fn arguments_cost_what_their_values_weigh() {
    let by_variable = "query ($filter: Filter, $tags: [String]) { find(filter: $filter, tags: $tags) }";
    for (filter, tags, expected) in [
        (json!({ "text": "x" }), json!(null), 1 + 2),
        (json!({ "and": [{ "text": "x" }, { "level": "LOW" }, {}] }), json!(["a", "b"]), 1 + 3 + 1 + 1 + 3 + 4),
        (json!(null), json!([]), 4),
    ] {
        let literal =
            format!("{{ find(filter: {}, tags: {tags}) }}", filter.to_string().replace('"', " ").replace(" x ", "\"x\""));
        assert_eq!(cost(&literal, json!({})), expected, "{literal}");
        assert_eq!(cost(by_variable, json!({ "filter": filter, "tags": tags })), expected, "{filter}");
    }
}

#[test]
fn the_dearest_object_counts_and_fields_that_merge_count_once() {
    for (text, expected) in [
        ("{ media { id } }", 10),
        ("{ media { id ... on Book { author { name } next { id } } } }", 10 * (1 + 2)),
        ("{ media { ... on Book { author { name } } ... on Film { cast { name } } } }", 10 * (1 + 10)),
        ("{ book { author { name } } ...F } fragment F on Query { book { author { name } next { id } } }", 1 + 1 + 1),
    ] {
        assert_eq!(cost(text, json!({})), expected, "{text}");
    }
    let skipped = "query ($a: Boolean!, $b: Boolean!) { book @include(if: $a) { id } ... @skip(if: $b) { book { id } } }";
    for (a, b, expected) in [(true, false, 1), (false, false, 1), (true, true, 1), (false, true, 0)] {
        assert_eq!(cost(skipped, json!({ "a": a, "b": b })), expected, "{a} {b}");
    }
}

#[test]
fn nothing_overflows_and_doubling_fragments_are_cheap() {
    let mut text = "{ some(first: 2147483647) { ...F0 } }".to_owned();
    for level in 0..80 {
        text += &format!(" fragment F{level} on Book {{ x: next {{ ...F{0} }} y: next {{ ...F{0} }} }}", level + 1);
    }
    text += " fragment F80 on Book { id }";
    assert_eq!(cost(&text, json!({})), i64::MAX as u64);
    assert_eq!(cost("{ some(first: 2147483647) { next { id } } }", json!({})), 2_147_483_647 * 2);
}
