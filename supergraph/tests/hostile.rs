//! Hostile and mutated SDL: composition answers, with an error where one is due, and never crashes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test may panic")]

use proptest::prelude::*;
use supergraph::compose::{Source, compose};
use supergraph::document::{sdl, sdl_without_locations};

const LINK: &str =
    "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.9\", import: [\"@key\" \"@external\" \"@provides\"]) ";

/// The codes of the errors of one subgraph, without repetitions.
fn codes(sdl: String) -> Vec<&'static str> {
    let source = Source { name: "hostile".to_owned(), url: String::new(), sdl };
    let mut codes: Vec<_> = compose(&[source]).err().unwrap_or_default().iter().map(|error| error.code).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

fn nest(open: &str, inside: &str, close: &str) -> String {
    const DEPTH: usize = 100_000;
    format!("{}{inside}{}", open.repeat(DEPTH), close.repeat(DEPTH))
}

#[test]
fn deep_nesting_is_refused() {
    assert_eq!(codes(format!("type Query {{ a: {} }}", nest("[", "Int", "]"))), ["INVALID_GRAPHQL"]);
    assert_eq!(codes(format!("type Query {{ a(b: Int = {}): Int }}", nest("[", "1", "]"))), ["INVALID_GRAPHQL"]);
    assert_eq!(codes(format!("type Query {{ a(b: Int = {}): Int }}", nest("{c:", "1", "}"))), ["INVALID_GRAPHQL"]);
    let key = nest("a {", "id", "}");
    let types = format!("type Query {{ t: T }} type T @key(fields: \"{key}\") {{ id: ID! a: T }}");
    assert_eq!(codes(format!("{LINK}{types}")), ["KEY_INVALID_FIELDS"]);
}

#[test]
fn recursive_types_and_keys_are_no_problem() {
    let key = format!("{}id{}", "a {".repeat(100), "}".repeat(100));
    let types = format!("type Query {{ t: T }} type T @key(fields: \"{key}\") {{ id: ID! a: T }}");
    assert_eq!(codes(format!("{LINK}{types}")), Vec::<&str>::new());
}

#[test]
fn large_schemas_are_read() {
    let fields = |count: usize, ty: &str| (0..count).map(|index| format!("f{index}: {ty} ")).collect::<String>();
    assert_eq!(codes(format!("type Query {{ {} }}", fields(20_000, "Int"))), Vec::<&str>::new());
    let set = (0..2_000).map(|index| format!("f{index} ")).collect::<String>();
    let entity = format!("type Query {{ t: T }} type T @key(fields: \"{set}\") {{ {} }}", fields(2_000, "ID!"));
    assert_eq!(codes(format!("{LINK}{entity}")), Vec::<&str>::new());
    let inputs = (0..5_000).map(|index| format!("input I{index} {{ a: I{}! }} ", (index + 1) % 5_000)).collect::<String>();
    assert_eq!(codes(format!("type Query {{ a(b: I0): Int }} {inputs}")), ["INVALID_GRAPHQL"]);
    assert_eq!(codes(format!("type Query {{ {} }}", fields(5_000, "Missing"))), ["INVALID_GRAPHQL"]);
}

/// Pieces of SDL that make something of each other.
fn pieces() -> impl Strategy<Value = Vec<&'static str>> {
    const PIECES: &[&str] = &[
        "type",
        "Query",
        "T",
        "interface",
        "I",
        "union",
        "U",
        "enum",
        "E",
        "input",
        "N",
        "scalar",
        "S",
        "extend",
        "schema",
        "directive",
        "implements",
        "&",
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "!",
        ":",
        "=",
        "|",
        "@",
        "a",
        "b",
        "id",
        "Int",
        "ID",
        "\"id\"",
        "\"a { b }\"",
        "\"\"\"x\"\"\"",
        "1",
        "-1.5",
        "true",
        "null",
        "$",
        "...",
        "#c\n",
        "on",
        "FIELD_DEFINITION",
        "OBJECT",
        "repeatable",
        "@key(fields: \"id\")",
        "@external",
        "@shareable",
        "@requires(fields: \"a\")",
        "@provides(fields: \"b\")",
        "@override(from: \"x\")",
        "type T @key(fields: \"id\") { id: ID! a: Int }",
        "type Query { t: T }",
        "extend type T { b: Int @external }",
        "interface I { a: Int }",
        "query: Query",
        "id: ID!",
        "a: Int",
        "t: T",
        "a(b: Int = 1): I",
    ];
    prop::collection::vec(prop::sample::select(PIECES), 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_answered(text in "\\PC{0,80}") {
        codes(text);
    }

    #[test]
    fn any_pieces_are_answered(pieces in pieces(), is_federation_2: bool) {
        let link = if is_federation_2 { LINK } else { "" };
        codes(format!("{link} {}", pieces.join(" ")));
    }

    #[test]
    fn the_fast_parser_reads_what_the_other_reads(pieces in pieces()) {
        let text = pieces.join(" ");
        if let Some(fast) = sdl_without_locations(&text) {
            let slow = sdl(&text, "test");
            prop_assert_eq!(Some(fast.definitions), slow.ok().map(|document| document.definitions));
        }
    }
}
