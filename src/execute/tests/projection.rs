//! write(decode(x)) against serde_json's own projection of x, for random shapes, values, key orders and spacing.

use proptest::prelude::*;
use serde_json::{Map, Value as Json};
use supergraph::plan::shape::{Layout, OutputValue, Read, ReadValue};

use super::support::*;

/// A selection: fields with how many lists are around each, and what is inside.
#[derive(Clone, Debug)]
struct Selection(Vec<(String, u8, Option<Selection>)>);

fn selection() -> impl Strategy<Value = Selection> {
    let field = || ("[a-e]{1,3}", 0u8..3);
    let leaves = prop::collection::vec(field().prop_map(|(key, lists)| (key, lists, None)), 1..5).prop_map(Selection);
    leaves.prop_recursive(4, 24, 4, move |inner| {
        let child = prop_oneof![Just(None), inner.prop_map(Some)];
        prop::collection::vec((field(), child).prop_map(|((key, lists), child)| (key, lists, child)), 1..5).prop_map(Selection)
    })
}

/// The selection without fields of the same key.
fn distinct(selection: Selection) -> Selection {
    let mut seen = Vec::new();
    let mut fields = Vec::new();
    for (key, lists, child) in selection.0 {
        if !seen.contains(&key) {
            seen.push(key.clone());
            fields.push((key, lists, child.map(distinct)));
        }
    }
    Selection(fields)
}

fn build(selection: &Selection, layouts: &mut Vec<Layout>, into: &mut Vec<Read>) -> usize {
    let own = layouts.len();
    layouts.push(row(own.min(2), Vec::new()));
    into.push(reading(own, Vec::new()));
    for (at, (key, lists, child)) in selection.0.iter().enumerate() {
        let (shown, kept) = match child {
            None => (OutputValue::Leaf(ANY), ReadValue::Leaf),
            Some(child) => {
                let id = build(child, layouts, into);
                (OutputValue::Object(layout(id)), ReadValue::Object(read(id)))
            }
        };
        layouts[own].fields.push(output(key, at, nullable(*lists), shown));
        into[own].fields.push(reads(key, at, *lists, kept));
    }
    own
}

/// JSON text made from a stream of random numbers: what a subgraph could answer to the selection, out of order and with surplus keys.
fn answer(selection: &Selection, numbers: &mut impl FnMut() -> u32) -> String {
    let mut fields: Vec<String> = Vec::new();
    for (key, lists, child) in &selection.0 {
        if numbers().is_multiple_of(8) {
            fields.push(format!("\"x{}\": [{{\"deep\":[1,{{}}]}}]", fields.len()));
        }
        if !numbers().is_multiple_of(16) {
            fields.push(format!(
                "\"{key}\"{}{}",
                [":", " :\n", ": "][numbers() as usize % 3],
                value(*lists, child.as_ref(), numbers)
            ));
        }
    }
    if numbers().is_multiple_of(3) {
        fields.reverse();
    }
    format!("{{{}}}", fields.join([",", " , "][numbers() as usize % 2]))
}

fn value(lists: u8, child: Option<&Selection>, numbers: &mut impl FnMut() -> u32) -> String {
    if numbers().is_multiple_of(10) {
        return "null".into();
    }
    if lists > 0 {
        let items: Vec<_> = (0..numbers() % 4).map(|_| value(lists - 1, child, numbers)).collect();
        return format!("[{}]", items.join(","));
    }
    match child {
        Some(child) => answer(child, numbers),
        None => {
            let leaves = [
                "1",
                "-2.5e3",
                "\"a \\\"q\\\" \\u00e9 😀\"",
                "true",
                "\"\"",
                "{\"k\":[null]}",
                "\"long long long long long long long long text\"",
            ];
            leaves[numbers() as usize % leaves.len()].into()
        }
    }
}

/// What the client must get, computed the plain way.
fn project(selection: &Selection, value: &Json) -> Json {
    let mut object = Map::new();
    for (key, lists, child) in &selection.0 {
        let found = value.get(key).unwrap_or(&Json::Null);
        object.insert(key.clone(), project_value(*lists, child.as_ref(), found));
    }
    Json::Object(object)
}

fn project_value(lists: u8, child: Option<&Selection>, value: &Json) -> Json {
    match (value, lists, child) {
        (Json::Null, ..) => Json::Null,
        (Json::Array(items), 1.., _) => items.iter().map(|item| project_value(lists - 1, child, item)).collect(),
        (value, 0, Some(child)) => project(child, value),
        (value, ..) => value.clone(),
    }
}

proptest! {
    #[test]
    fn what_is_written_is_the_projection_of_what_was_read(selection in selection(), seed in any::<u32>()) {
        let selection = distinct(selection);
        let mut state = seed | 1;
        let mut numbers = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state >> 3
        };
        let data = answer(&selection, &mut numbers);
        let expected = project(&selection, &serde_json::from_str(&data).unwrap());
        let (mut layouts, mut into) = (Vec::new(), Vec::new());
        build(&selection, &mut layouts, &mut into);
        let plan = plan(layouts, into, vec![root_fetch(0, 0)]);
        let answer = run(plan, |_, _| Ok(format!("{{\"data\":{data}}}")));
        prop_assert_eq!(&answer["data"], &expected);
        prop_assert_eq!(answer.get("errors"), None);
    }

    #[test]
    fn no_cut_or_broken_answer_gives_data_or_stops_the_executor(
        selection in selection(), seed in any::<u32>(), cut in any::<prop::sample::Index>(), byte in any::<u8>(), keep in any::<bool>(),
    ) {
        let selection = distinct(selection);
        let mut state = seed | 1;
        let mut numbers = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 9
        };
        let mut text = format!("{{\"data\":{}}}", answer(&selection, &mut numbers)).into_bytes();
        let at = cut.index(text.len());
        if keep {
            text[at] = byte;
        } else {
            text.truncate(at);
        }
        let (mut layouts, mut into) = (Vec::new(), Vec::new());
        build(&selection, &mut layouts, &mut into);
        let is_json = serde_json::from_slice::<Json>(&text).is_ok();
        let plan = plan(layouts, into, vec![root_fetch(0, 0)]);
        let answer: Json = serde_json::from_str(&run_text(plan, |_, _| Ok(text.clone().into()))).unwrap();
        if !is_json {
            prop_assert!(answer["errors"].is_array());
            prop_assert!(answer["data"].as_object().unwrap().values().all(Json::is_null));
        }
    }
}

/// `{ nodes { ... on User { a b } b a } }`, as the rows have it: `b` and `a` for products, `a` and `b` for users.
#[test]
fn the_order_of_fields_may_depend_on_the_type() {
    use super::support::*;
    use supergraph::plan::order::Order;
    use supergraph::plan::shape::{OutputValue, ReadValue, TypeSet};
    let mut node = row(1, vec![leaf("a", 0, nullable(0), ANY), leaf("b", 1, nullable(0), ANY)]);
    (node.object_type, node.possible) = (None, TypeSet::new(vec![type_id(1), type_id(2)]));
    node.orders = vec![Order { types: TypeSet::new(vec![type_id(2)]), condition: None, fields: vec![1, 0] }];
    let mut read_node = reading(1, vec![reads("a", 0, 0, ReadValue::Leaf), reads("b", 1, 0, ReadValue::Leaf)]);
    read_node.typename = Some("__typename".into());
    let plan = plan(
        vec![row(0, vec![output("nodes", 0, nullable(1), OutputValue::Object(layout(1)))]), node],
        vec![reading(0, vec![reads("nodes", 0, 1, ReadValue::Object(read(1)))]), read_node],
        vec![root_fetch(0, 0)],
    );
    let nodes = r#"{"data":{"nodes":[{"__typename":"User","a":1,"b":2},{"__typename":"Product","a":3,"b":4}]}}"#;
    let text = run_text(plan, |_, _| Ok(nodes.into()));
    assert_eq!(text, r#"{"data":{"nodes":[{"a":1,"b":2},{"b":4,"a":3}]}}"#);
}
