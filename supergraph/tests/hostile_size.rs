//! Large and deeply nested SDL, one test a shape: composed or refused within a bound of CPU time.
//!
//! Each shape takes well under a second in a release build (`benches/numbers.md`). The bound is [`BOUND`], in CPU time of the thread,
//! because tests run unoptimised and beside others; what was quadratic took minutes at these sizes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test may panic")]

use std::fs;
use supergraph::compose::{MAX_DIAGNOSTICS, Source, compose};
use supergraph::diagnostics::Diagnostic;

/// CPU seconds that a shape may take in an unoptimised build.
const BOUND: f64 = 30.0;

const LINK: &str = "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.9\", import: [\"@key\", \"@shareable\", \
     \"@external\", \"@requires\", \"@provides\", \"@tag\", \"@override\", \"@requiresScopes\"]) ";

/// CPU seconds of this thread, where the system tells them.
fn cpu() -> f64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

/// Composes subgraphs called a, b and so on within the bound.
fn bounded(sdls: Vec<String>) -> Result<(), Vec<Diagnostic>> {
    let source = |(index, sdl)| Source { name: format!("s{index:03}"), url: String::new(), sdl };
    let sources: Vec<Source> = sdls.into_iter().enumerate().map(source).collect();
    let before = cpu();
    let result = compose(&sources).map(drop);
    let took = cpu() - before;
    assert!(took < BOUND, "{took} CPU seconds");
    result
}

fn many(count: usize, part: impl Fn(usize) -> String) -> String {
    (0..count).map(|index| part(index) + " ").collect()
}

fn codes(errors: &[Diagnostic]) -> Vec<&'static str> {
    let mut codes: Vec<_> = errors.iter().map(|error| error.code).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

#[test]
fn a_hundred_thousand_fields() {
    bounded(vec![format!("type Query {{ {} }}", many(100_000, |index| format!("f{index}: Int")))]).unwrap();
}

#[test]
fn twenty_thousand_entities() {
    let entities = |field: &str| many(20_000, |index| format!("type T{index} @key(fields: \"id\") {{ id: ID! {field}: Int }}"));
    bounded(vec![format!("{LINK} type Query {{ a: T0 }} {}", entities("a")), format!("{LINK} {}", entities("b"))]).unwrap();
}

#[test]
fn twenty_thousand_extensions_of_federation_1() {
    let own = many(20_000, |index| format!("type T{index} @key(fields: \"id\") {{ id: ID! a: Int }}"));
    let extended =
        many(20_000, |index| format!("extend type T{index} @key(fields: \"id\") {{ id: ID! @external a: Int @external }}"));
    bounded(vec![format!("type Query {{ a: Int }} {extended}"), own]).unwrap();
}

#[test]
fn unions_of_ten_thousand_members() {
    let members = |index: usize| format!("type T{index} @shareable {{ a: Int }}");
    let union: Vec<String> = (0..10_000).map(|index| format!("T{index}")).collect();
    let sdl = |query: &str| format!("{LINK} {query} union U = {} {}", union.join(" | "), many(10_000, members));
    bounded(vec![sdl("type Query { u: U }"), sdl("")]).unwrap();
}

#[test]
fn ten_thousand_enum_values_in_fifty_subgraphs() {
    let values = many(10_000, |index| format!("V{index}"));
    let sdl = |index: usize| format!("{} enum E {{ {values} }}", if index == 0 { "type Query { a: E }" } else { "" });
    bounded((0..50).map(sdl).collect()).unwrap();
}

#[test]
fn five_thousand_requirements() {
    let fields = many(5_000, |index| format!("a{index}: Int"));
    let requiring = many(5_000, |index| format!("a{index}: Int @external r{index}: Int @requires(fields: \"a{index}\")"));
    let ty = |fields: &str| format!("{LINK} type T @key(fields: \"id\") {{ id: ID! {fields} }}");
    bounded(vec![format!("{} type Query {{ t: T }}", ty(&fields)), ty(&requiring)]).unwrap();
}

#[test]
fn keys_of_two_thousand_fields_and_two_thousand_keys() {
    let fields = many(2_000, |index| format!("f{index}: ID!"));
    let set = many(2_000, |index| format!("f{index}"));
    bounded(vec![format!("{LINK} type Query {{ t: T }} type T @key(fields: \"{set}\") {{ {fields} }}")]).unwrap();
    let keys = many(2_000, |index| format!("@key(fields: \"f{index}\")"));
    bounded(vec![format!("{LINK} type Query {{ t: T }} type T {keys} {{ {fields} }}")]).unwrap();
}

#[test]
fn enormous_field_sets_are_refused() {
    let set = "id ".repeat(200_000);
    let errors = bounded(vec![format!("{LINK} type Query {{ t: T }} type T @key(fields: \"{set}\") {{ id: ID! }}")]).unwrap_err();
    assert_eq!(codes(&errors), ["KEY_INVALID_FIELDS"]);
}

#[test]
fn a_chain_of_keys_through_sixty_subgraphs() {
    let sdl = |index: usize| {
        let next = index + 1;
        let query = if index == 0 { "type Query { t: T }" } else { "" };
        format!(
            "{LINK} {query} type T @key(fields: \"k{index}\") @key(fields: \"k{next}\") \
             {{ k{index}: ID! @shareable k{next}: ID! @shareable f{index}: Int }}"
        )
    };
    bounded((0..60).map(sdl).collect()).unwrap();
}

#[test]
fn a_hundred_subgraphs_that_share_ten_keys() {
    let keys = many(10, |index| format!("@key(fields: \"k{index}\")"));
    let fields = many(10, |index| format!("k{index}: ID! @shareable"));
    let sdl = |subgraph: usize| {
        let types = many(20, |ty| format!("type T{ty} {keys} {{ {fields} f{subgraph}: Int o{subgraph}: T{} }}", (ty + 1) % 20));
        format!("{LINK} {} {types}", if subgraph == 0 { "type Query { t: T0 }" } else { "" })
    };
    bounded((0..100).map(sdl).collect()).unwrap();
}

#[test]
fn sixty_labels_that_lead_into_each_other() {
    let moved = |index: usize| {
        let next = (index + 1) % 60;
        format!("type T{index} @key(fields: \"id\") {{ id: ID! n: T{next} @override(from: \"s001\", label: \"l{index}\") }}")
    };
    let own = |index: usize| format!("type T{index} @key(fields: \"id\") {{ id: ID! n: T{} }}", (index + 1) % 60);
    bounded(vec![format!("{LINK} type Query {{ t: T0 }} {}", many(60, moved)), format!("{LINK} {}", many(60, own))]).unwrap();
}

#[test]
fn interfaces_that_implement_all_before_them() {
    let implements = |index: usize| {
        let all: Vec<String> = (0..index).map(|other| format!("I{other}")).collect();
        let implements = if index == 0 { String::new() } else { format!("implements {}", all.join(" & ")) };
        format!("interface I{index} {implements} {{ a: Int }}")
    };
    bounded(vec![format!("type Query {{ a: I0 }} {}", many(300, implements))]).unwrap();
    let one: Vec<String> = (0..1_000).map(|index| format!("I{index}")).collect();
    let interfaces = many(1_000, |index| format!("interface I{index} {{ a: Int }}"));
    bounded(vec![format!("type Query {{ a: J }} {interfaces} interface J implements {} {{ a: Int }}", one.join(" & "))]).unwrap();
}

#[test]
fn lists_of_applied_directives_and_of_their_arguments() {
    let tags = many(50_000, |index| format!("@tag(name: \"{index}\")"));
    let tagged = format!("{LINK} type Query {{ a: Int @shareable {tags} }}");
    bounded(vec![tagged.clone(), tagged]).unwrap();
    let defined = many(20_000, |index| format!("a{index}: Int"));
    let given = many(20_000, |index| format!("a{index}: 1"));
    bounded(vec![format!("directive @x({defined}) on FIELD_DEFINITION type Query {{ a: Int @x({given}) }}")]).unwrap();
}

#[test]
fn scopes_that_multiply() {
    let sdl = |subgraph: usize| {
        let ways = many(30, |index| format!("[\"s{subgraph}w{index}\"]"));
        format!("{LINK} type Query {{ a: Int @shareable @requiresScopes(scopes: [{ways}]) }}")
    };
    bounded((0..8).map(sdl).collect()).unwrap();
}

#[test]
fn of_many_errors_the_first_are_told_and_the_rest_are_counted() {
    let sdl = format!("type Query {{ {} }}", many(20_000, |index| format!("f{index}: Missing{index}")));
    let errors = bounded(vec![sdl]).unwrap_err();
    assert_eq!(errors.len(), MAX_DIAGNOSTICS);
    assert!(errors.last().unwrap().message.contains("19500 more"), "{}", errors.last().unwrap().message);
}

#[test]
fn no_kind_of_error_is_left_out() {
    let sdl = |extra: &str| format!("{LINK} type Query {{ {} }} {extra}", many(1_000, |index| format!("f{index}: Int")));
    let errors = bounded(vec![sdl("type Z { a: Int }"), sdl("type Z { a: String @shareable }")]).unwrap_err();
    assert_eq!(codes(&errors), ["FIELD_TYPE_MISMATCH", "INVALID_FIELD_SHARING"]);
}
