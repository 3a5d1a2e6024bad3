//! Answers that are passed on as they came: only right ones, and what the client gets is what it would get otherwise.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value as Json;
use supergraph::{
    ids::{ConditionId, EnumId, Id},
    plan::{
        Plan,
        shape::{LeafKind, OutputValue, ReadValue, Wrap},
    },
};

use super::support::*;
use crate::{
    body::Reader as _,
    execute::{
        prepared::Prepared,
        types::TypeNames,
        verbatim::{Check, Checked},
    },
};

const RIGHT: &str = r#"{"data":{"users":[{"id":"1","n":-7,"color":"RED","best":{"x":1.5,"ok":true}},{"id":"2","n":8,"color":null,"best":null}],"tags":[["a"],[],null],"any":{"b":[1]}}}"#;

/// `{ users { id n color best { x ok } } tags any }` with `users: [User!]!`, `User.id: ID!`, `User.n: Int!`, `Best.ok: Boolean!` and
/// `tags: [[String!]]`.
fn typed() -> Plan {
    let list = |lists, non_null| Wrap { lists, non_null };
    let kept = || ReadValue::Leaf;
    let mut plan = plan(
        vec![
            row(
                0,
                vec![
                    output("users", 0, list(1, 0b11), OutputValue::Object(layout(1))),
                    leaf("tags", 1, list(2, 0b100), LeafKind::String),
                    leaf("any", 2, nullable(0), ANY),
                ],
            ),
            row(
                1,
                vec![
                    leaf("id", 0, required(), LeafKind::Id),
                    leaf("n", 1, required(), LeafKind::Int),
                    leaf("color", 2, nullable(0), LeafKind::Enum(EnumId::new(0))),
                    output("best", 3, nullable(0), OutputValue::Object(layout(2))),
                ],
            ),
            row(2, vec![leaf("x", 0, nullable(0), LeafKind::Float), leaf("ok", 1, required(), LeafKind::Boolean)]),
        ],
        vec![
            reading(
                0,
                vec![reads("users", 0, 1, ReadValue::Object(read(1))), reads("tags", 1, 2, kept()), reads("any", 2, 0, kept())],
            ),
            reading(
                1,
                vec![
                    reads("id", 0, 0, kept()),
                    reads("n", 1, 0, kept()),
                    reads("color", 2, 0, kept()),
                    reads("best", 3, 0, ReadValue::Object(read(2))),
                ],
            ),
            reading(2, vec![reads("x", 0, 0, kept()), reads("ok", 1, 0, kept())]),
        ],
        vec![root_fetch(0, 0)],
    );
    plan.shape.enums.push(vec!["BLUE".into(), "RED".into()]);
    plan
}

/// The answer to this text, and what it is when nothing is passed on. It is the same when the text arrives byte by byte.
fn both(plan: Plan, text: &[u8]) -> (String, String) {
    both_in_pieces(plan, text, &(0..text.len()).collect::<Vec<_>>())
}

/// The same with other pieces.
fn both_in_pieces(plan: Plan, text: &[u8], ends: &[usize]) -> (String, String) {
    let one = run_prepared(Prepared::new(plan.clone()), |_, _| Ok(text.to_vec().into()));
    assert_eq!(one, run_in_pieces(Prepared::new(plan.clone()), text, ends), "in pieces {ends:?}");
    let mut prepared = Prepared::new(plan);
    prepared.verbatim = None;
    (one, run_prepared(prepared, |_, _| Ok(text.to_vec().into())))
}

#[test]
fn a_right_answer_is_passed_on_with_its_spaces() {
    let (passed, written) = both(typed(), RIGHT.as_bytes());
    assert_eq!((passed.as_str(), written.as_str()), (RIGHT, RIGHT));
    let spaced = RIGHT.replace(',', " ,\n ").replace(':', ": ").replace("[]", "[ ]");
    let (passed, written) = both(typed(), spaced.as_bytes());
    let plain = RIGHT.replace(r#"{"b":[1]}"#, r#"{"b": [1]}"#);
    assert_eq!((passed.as_str(), written.as_str()), (spaced.as_str(), plain.as_str()));
}

#[test]
fn what_would_be_written_otherwise_is_written() {
    for (from, to) in [
        (r#""id":"1","n":-7"#, r#""n":-7,"id":"1""#),
        (r#""id":"1""#, r#""id":1"#),
        (r#""id":"1""#, r#""id":"1","id":"2""#),
        (r#""id":"1","#, ""),
        (r#""id":"1""#, r#""id":null"#),
        (r#""id":"1""#, r#""\u0069d":"1""#),
        (r#""n":-7"#, r#""n":-7.0"#),
        (r#""n":-7"#, r#""n":-7e0"#),
        (r#""n":-7"#, r#""n":12345678901"#),
        (r#""n":-7"#, r#""n":07"#),
        (r#""n":-7"#, r#""n":"7""#),
        (r#""RED""#, r#""GREEN""#),
        (r#""RED""#, r#""\u0052ED""#),
        (r#""x":1.5"#, r#""x":1e999"#),
        (r#""ok":true"#, r#""ok":true,"extra":1"#),
        (r#""ok":true"#, r#""ok":null"#),
        (r#""best":null"#, r#""best":{}"#),
        (r#""best":null"#, r#""best":[]"#),
        (r#"["a"]"#, "[null]"),
        (r#"["a"]"#, r#""a""#),
        (r#"["a"]"#, r#"["a",]"#),
        (r#"{"b":[1]}"#, r#"{"b":[1}"#),
        (r#"{"users":[{"#, r#"{"users":[null,{"#),
        (r#"{"data":"#, r#"{"errors":[],"data":"#),
        (r#"{"data":"#, r#"{"errors":[{"message":"x"}],"data":"#),
        ("]}}}", "]}}"),
        ("]}}}", "]}},\"data\":null}"),
        ("]}}}", "]}}}}"),
    ] {
        assert!(RIGHT.contains(from), "{from}");
        let text = RIGHT.replacen(from, to, 1);
        let (one, other) = both(typed(), text.as_bytes());
        assert_eq!(one, other, "{text}");
        assert_ne!(one, text);
    }
}

#[test]
fn plans_whose_answers_differ_from_the_subgraphs_pass_nothing_on() {
    assert!(Prepared::new(typed()).verbatim.is_some());
    let alter = |change: &dyn Fn(&mut Plan)| {
        let mut plan = typed();
        change(&mut plan);
        Prepared::new(plan).verbatim.is_some()
    };
    assert!(!alter(&|plan| {
        plan.fetches.push(entity_fetch(1, &[(1, 1)], &[0]));
    }));
    assert!(!alter(&|plan| plan.fetches.get_mut(Id::new(0)).unwrap().condition = Some(ConditionId::new(0))));
    let user = |plan: &mut Plan, change: &dyn Fn(&mut supergraph::plan::shape::Layout)| {
        change(plan.shape.layouts.get_mut(layout(1)).unwrap());
    };
    assert!(!alter(&|plan| user(plan, &|user| user.object_type = None)));
    assert!(!alter(&|plan| user(plan, &|user| user.fields.reverse())));
    assert!(!alter(&|plan| user(plan, &|user| drop(user.fields.pop()))));
    assert!(!alter(&|plan| user(plan, &|user| user.fields[0].key = "alias".into())));
    assert!(!alter(&|plan| user(plan, &|user| user.fields[0].condition = Some(ConditionId::new(0)))));
    assert!(!alter(&|plan| user(plan, &|user| user.fields[0].value = OutputValue::Typename)));
    let typename = || output("t", 7, required(), OutputValue::Typename);
    assert!(alter(&|plan| user(plan, &|user| user.fields.push(typename()))));
    assert!(!alter(&|plan| user(plan, &|user| user.fields = vec![typename()])));
    assert!(!alter(&|plan| user(plan, &|user| user.fields[0].value = OutputValue::Denied(Box::default()))));
    assert!(!alter(&|plan| plan.shape.reads.get_mut(read(1)).unwrap().typename = Some("__typename".into())));
}

#[test]
fn a_type_name_that_the_client_asked_for_first_must_be_the_right_one() {
    let name = output("__typename", 7, required(), OutputValue::Typename);
    let root = row(0, vec![output("me", 0, nullable(0), OutputValue::Object(layout(1)))]);
    let user = row(1, vec![name, leaf("id", 0, nullable(0), LeafKind::Id)]);
    let mut of_user = reading(1, vec![reads("id", 0, 0, ReadValue::Leaf)]);
    of_user.typename = Some("__typename".into());
    let reads = vec![reading(0, vec![reads("me", 0, 0, ReadValue::Object(read(1)))]), of_user];
    let plan = plan(vec![root, user], reads, vec![root_fetch(0, 0)]);
    let right = r#"{"data": {"me":{"__typename":"User","id":"1"}}}"#;
    assert_eq!(both(plan.clone(), right.as_bytes()).0, right);
    for wrong in [r#""Product""#, "null", "1", r#""""#] {
        let (one, other) = both(plan.clone(), right.replace(r#""User""#, wrong).as_bytes());
        assert_eq!(one, other);
        assert!(one.contains("errors"), "{wrong}: {one}");
    }
}

/// `typed()` with `__typename` in three places.
fn named() -> Plan {
    let mut plan = typed();
    let mut name_in = |at: usize, place: usize, key: &str| {
        let layout = plan.shape.layouts.get_mut(layout(at)).unwrap();
        layout.fields.insert(place, output(key, 7, required(), OutputValue::Typename));
    };
    name_in(0, 3, "__typename");
    name_in(1, 0, "__typename");
    name_in(1, 3, "again");
    name_in(2, 2, "__typename");
    plan
}

#[test]
fn type_names_that_the_plan_knows_are_put_in() {
    let expected = r#"{"data":{"users":[{"__typename":"User","id":"1","n":-7,"again":"User","color":"RED","best":{"x":1.5,"ok":true,"__typename":"Product"}},{"__typename":"User","id":"2","n":8,"again":"User","color":null,"best":null}],"tags":[["a"],[],null],"any":{"b":[1]},"__typename":"Query"}}"#;
    let (passed, written) = both(named(), RIGHT.as_bytes());
    assert_eq!((passed.as_str(), written.as_str()), (expected, expected));
    assert!(Prepared::new(named()).verbatim.is_some());
}

/// The check of an answer to this plan's fetch.
fn check(plan: Plan) -> Check {
    let types = TypeNames::new(["Query", "User", "Product"].map(|name| (Box::from(name), true)));
    Check::new(Arc::new(Prepared::new(plan)), Arc::new(types), 1 << 20)
}

/// Whether a text that arrives in pieces is passed on, and what became of it.
fn shown(plan: Plan, text: &[u8], size: usize) -> (Option<bool>, Bytes) {
    let mut check = check(plan);
    let mut there = Vec::new();
    for piece in text.chunks(size) {
        there.extend_from_slice(piece);
        check.more(&mut there);
    }
    let text = check.end(there);
    let mut extensions = http::Extensions::new();
    check.tell(&mut extensions);
    (extensions.get::<Checked>().map(|checked| checked.is_passed), text)
}

#[test]
fn a_wrong_answer_is_given_back_as_it_came_however_late_it_is_wrong() {
    for (from, to) in [("]}}}", "]}}"), (r#""n":8"#, r#""n":"8""#), (r#"{"x":1.5"#, r#"{"__typename":"Product","x":1.5"#)] {
        let text = RIGHT.replacen(from, to, 1);
        assert_ne!(text, RIGHT);
        for size in [1, 7, 50, 1000] {
            let (is_passed, given) = shown(named(), text.as_bytes(), size);
            assert_eq!((is_passed, std::str::from_utf8(&given)), (Some(false), Ok(text.as_str())));
        }
    }
}

#[test]
fn what_has_arrived_is_checked_before_the_rest_arrives() {
    let (begun, _) = RIGHT.split_at(RIGHT.find(r#"E"},{"id""#).unwrap_or(RIGHT.len() / 2));
    let before = begun.rfind(r#","color""#).unwrap();
    for size in [1, 7, 64] {
        let mut check = check(typed());
        let mut there = Vec::new();
        for piece in begun.as_bytes().chunks(size) {
            there.extend_from_slice(piece);
            check.more(&mut there);
        }
        // A value that is not there as a whole is left until twice as much of it is.
        let at: usize = (before.saturating_sub(20)..=begun.len())
            .rev()
            .find(|at| format!("{check:?}").contains(&format!("at: {at},")))
            .unwrap();
        assert!(at >= before.saturating_sub(size), "{at} of {before} bytes are checked");
    }
}

proptest! {
    #[test]
    fn whatever_a_subgraph_says_the_client_gets_the_same(
        places in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"\"{}[],:0159-eE.ntrufals\\ aid\x00\xff".to_vec())), 0..4),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
        has_names in any::<bool>(),
        ends in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut text = RIGHT.as_bytes().to_vec();
        for (place, byte) in places {
            let at = place.index(text.len());
            text[at] = byte;
        }
        if let Some(cut) = cut {
            text.truncate(cut.index(text.len()));
        }
        let mut ends: Vec<usize> = ends.iter().map(|end| end.index(text.len() + 1)).collect();
        ends.sort_unstable();
        let (one, other) = both_in_pieces(if has_names { named() } else { typed() }, &text, &ends);
        let read = |text: &str| serde_json::from_str::<Json>(text).unwrap();
        prop_assert_eq!(read(&one), read(&other));
    }
}
