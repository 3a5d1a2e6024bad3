//! Subgraphs that answer wrongly, one row for each way: data and errors as the specification says.

use serde_json::{Value as Json, json};
use supergraph::plan::{
    Plan,
    shape::{LeafKind, OutputValue, ReadValue},
};

use super::support::*;

/// `{ me { id: ID!, age: Int, tags: [String!], best: Product } other: Int }` in one fetch, `best { price: Int! }` from another.
fn me() -> Plan {
    let user = vec![
        leaf("id", 0, required(), LeafKind::Id),
        leaf("age", 1, nullable(0), LeafKind::Int),
        leaf("tags", 2, supergraph::plan::shape::Wrap { lists: 1, non_null: 0b10 }, LeafKind::String),
        output("best", 3, nullable(0), OutputValue::Object(layout(2))),
    ];
    plan(
        vec![
            row(
                0,
                vec![output("me", 0, nullable(0), OutputValue::Object(layout(1))), leaf("other", 1, nullable(0), LeafKind::Int)],
            ),
            row(1, user),
            row(2, vec![leaf("price", 1, required(), LeafKind::Int)]),
        ],
        vec![
            reading(0, vec![reads("me", 0, 0, ReadValue::Object(read(1))), reads("other", 1, 0, ReadValue::Leaf)]),
            {
                let mut user = reading(
                    1,
                    vec![
                        reads("id", 0, 0, ReadValue::Leaf),
                        reads("alias_age", 1, 0, ReadValue::Leaf),
                        reads("tags", 2, 1, ReadValue::Leaf),
                        reads("best", 3, 0, ReadValue::Object(read(2))),
                    ],
                );
                user.typename = Some("__typename".into());
                user
            },
            reading(2, vec![reads("id", 0, 0, ReadValue::Leaf)]),
            {
                let mut product = reading(2, vec![reads("price", 1, 0, ReadValue::Leaf)]);
                product.typename = Some("__typename".into());
                product
            },
        ],
        vec![root_fetch(0, 0), entity_fetch(1, &[(2, 3)], &[0])],
    )
}

const GOOD: &str = r#"{"data":{"me":{"__typename":"User","id":"1","alias_age":30,"tags":["a"],"best":{"id":7}},"other":5}}"#;
const PRICE: &str = r#"{"data":{"_entities":[{"__typename":"Product","price":3}]}}"#;

/// The answer when the first subgraph says `first` and the second `second`.
fn answer(first: &str, second: &str) -> Json {
    run(me(), |subgraph, _| Ok(if subgraph == 0 { first } else { second }.to_owned()))
}

/// Errors as (path, code).
fn errors(answer: &Json) -> Vec<(String, String)> {
    let errors = answer["errors"].as_array().cloned().unwrap_or_default();
    errors
        .iter()
        .map(|error| {
            assert!(error["message"].is_string() && error.get("locations").is_none(), "{error}");
            (error["path"].to_string(), error["extensions"]["code"].as_str().unwrap().to_owned())
        })
        .collect()
}

fn expect(first: &str, second: &str, data: Json, expected: &[(&str, &str)]) {
    let answer = answer(first, second);
    assert_eq!(answer["data"], data, "data for {first:.80} and {second:.80}");
    let found = errors(&answer);
    let expected: Vec<_> = expected.iter().map(|(path, code)| ((*path).to_owned(), (*code).to_owned())).collect();
    assert_eq!(found, expected, "errors for {first:.80} and {second:.80}");
}

fn user(best: Json) -> Json {
    json!({"me":{"id":"1","age":30,"tags":["a"],"best":best},"other":5})
}

#[test]
fn a_right_answer_is_written_as_it_is() {
    expect(GOOD, PRICE, user(json!({"price":3})), &[]);
}

const INVALID: &str = "UPSTREAM_INVALID_RESPONSE";
const VALUE: &str = "SUBGRAPH_INVALID_VALUE";

#[test]
fn what_is_no_graphql_response_gives_null_and_an_error_at_each_field() {
    let deep = format!(r#"{{"data":{{"me":null,"x":{}{}}}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let cut = &GOOD[..GOOD.len() - 9];
    let twice = r#"{"data":{"me":null,"other":1,"other":2}}"#;
    let hidden_twice = r#"{"data":{"other":1,"me":null,"o\u0074her":2}}"#;
    let data_twice = r#"{"data":{"other":1},"data":{"other":2}}"#;
    let wordy =
        ["", "<html>", "null", "[]", "{}", "\"data\"", r#"{"data":[]}"#, r#"{"data":5}"#, r#"{"data":null}"#, r#"{"errors":[]}"#];
    let trailing = format!("{GOOD}{GOOD}");
    let errors = r#"{"data":{"other":1},"errors":"none"}"#;
    for text in [&deep, cut, twice, hidden_twice, data_twice, &trailing, errors].into_iter().chain(wordy) {
        expect(text, PRICE, json!({"me":null,"other":null}), &[(r#"["me"]"#, INVALID), (r#"["other"]"#, INVALID)]);
    }
}

#[test]
fn invalid_utf_8_is_no_answer() {
    let text = run_text(me(), |_, _| Ok(bytes::Bytes::from_static(b"{\"data\":{\"me\":null,\"other\":\"\xff\"}}")));
    let answer: Json = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["data"], json!({"me":null,"other":null}));
    assert_eq!(errors(&answer).len(), 2);
}

#[test]
fn a_wrong_entity_list_leaves_the_entities_without_their_fields() {
    let none = user(Json::Null);
    let path = r#"["me","best","price"]"#;
    for text in [
        r#"{"data":{"_entities":[]}}"#,
        r#"{"data":{"_entities":[{"price":3},{"price":4}]}}"#,
        r#"{"data":{"_entities":{"0":{"price":3}}}}"#,
        r#"{"data":{"_entities":[{"price":3}],"_entities":[{"price":4}]}}"#,
    ] {
        expect(GOOD, text, none.clone(), &[(path, INVALID)]);
    }
    // One that is not the entity that was asked for.
    expect(GOOD, r#"{"data":{"_entities":[{"__typename":"User","price":3}]}}"#, none.clone(), &[(path, VALUE)]);
    expect(GOOD, r#"{"data":{"_entities":[{"price":3,"__typename":"Nonsense"}]}}"#, none.clone(), &[(path, VALUE)]);
    expect(GOOD, r#"{"data":{"_entities":["price"]}}"#, none.clone(), &[(path, VALUE)]);
    // One that does not exist, or lacks a field that cannot be null.
    expect(GOOD, r#"{"data":{"_entities":[null]}}"#, none.clone(), &[(path, VALUE)]);
    expect(GOOD, r#"{"data":{"_entities":[{"__typename":"Product"}]}}"#, none.clone(), &[(path, VALUE)]);
    // No list at all, though it cannot be null.
    for text in [r#"{"data":{}}"#, r#"{"data":{"_entities":null}}"#] {
        expect(GOOD, text, none.clone(), &[(path, INVALID)]);
    }
    let text = r#"{"data":{"_entities":null},"errors":[{"message":"down","path":["_entities"]}]}"#;
    expect(GOOD, text, none, &[(path, "SUBGRAPH_ERROR")]);
}

#[test]
fn values_of_a_wrong_kind_are_errors_of_their_field() {
    let with = |from: &str, to: &str| GOOD.replace(from, to);
    let table = [
        (with("30", "\"30\""), json!({"id":"1","age":null,"tags":["a"],"best":{"price":3}}), vec![(r#"["me","age"]"#, VALUE)]),
        (
            with("30", "30000000000"),
            json!({"id":"1","age":null,"tags":["a"],"best":{"price":3}}),
            vec![(r#"["me","age"]"#, VALUE)],
        ),
        (with("[\"a\"]", "\"a\""), json!({"id":"1","age":30,"tags":null,"best":{"price":3}}), vec![(r#"["me","tags"]"#, VALUE)]),
        (
            with("[\"a\"]", "[\"a\",1]"),
            json!({"id":"1","age":30,"tags":null,"best":{"price":3}}),
            vec![(r#"["me","tags",1]"#, VALUE)],
        ),
        (
            with("[\"a\"]", "[null]"),
            json!({"id":"1","age":30,"tags":null,"best":{"price":3}}),
            vec![(r#"["me","tags",0]"#, VALUE)],
        ),
        (
            with("{\"id\":7}", "[{\"id\":7}]"),
            json!({"id":"1","age":30,"tags":["a"],"best":null}),
            vec![(r#"["me","best"]"#, VALUE)],
        ),
        (with("{\"id\":7}", "8"), json!({"id":"1","age":30,"tags":["a"],"best":null}), vec![(r#"["me","best"]"#, VALUE)]),
        (with("\"1\"", "true"), Json::Null, vec![(r#"["me","id"]"#, VALUE)]),
        (with("\"User\"", "\"Product\""), Json::Null, vec![(r#"["me"]"#, VALUE)]),
        (with("\"User\"", "\"Nonsense\""), Json::Null, vec![(r#"["me"]"#, VALUE)]),
        (with("\"User\"", "3"), Json::Null, vec![(r#"["me"]"#, VALUE)]),
    ];
    for (text, me, expected) in table {
        expect(&text, PRICE, json!({"me":me,"other":5}), &expected);
    }
}

#[test]
fn errors_of_subgraphs_keep_their_message_and_get_the_clients_path() {
    let first = r#"{"errors":[{"message":"no age","path":["me","alias_age"],"locations":[{"line":1,"column":1}],
        "extensions":{"code":"TOO_OLD","hint":1,"service":"forged"}}],"data":{"me":{"__typename":"User","id":"1","alias_age":null,"tags":[],"best":null},"other":5}}"#;
    let answer = answer(first, PRICE);
    assert_eq!(
        answer["errors"],
        json!([{"message":"no age","path":["me","age"],"extensions":{"code":"TOO_OLD","service":"users","hint":1}}])
    );
}

#[test]
fn errors_below_a_null_keep_the_rest_of_their_path() {
    let first = r#"{"errors":[{"message":"no tag","path":["me","tags",3]},{"message":"no price","path":["me","best","id"]}],
        "data":{"me":{"__typename":"User","id":"1","alias_age":1,"tags":null,"best":null},"other":5}}"#;
    let answer = answer(first, PRICE);
    assert_eq!(errors(&answer)[0].0, r#"["me","tags",3]"#);
    // The client did not ask for that id: the error belongs to the field above.
    assert_eq!(errors(&answer)[1].0, r#"["me","best"]"#);
}

#[test]
fn one_error_for_all_data_explains_every_field() {
    let all = json!({"me":null,"other":null});
    expect(
        r#"{"data":null,"errors":[{"message":"down"}]}"#,
        PRICE,
        all.clone(),
        &[(r#"["me"]"#, "SUBGRAPH_ERROR"), (r#"["other"]"#, "SUBGRAPH_ERROR")],
    );
    expect(r#"{"errors":[{"message":"bad","path":["other"]}]}"#, PRICE, all, &[(r#"["other"]"#, "SUBGRAPH_ERROR")]);
}

#[test]
fn errors_of_entities_are_reported_where_the_entities_are() {
    let text = r#"{"data":{"_entities":[null]},"errors":[{"message":"gone","path":["_entities",0,"price"],"extensions":{"code":"GONE"}}]}"#;
    expect(GOOD, text, user(Json::Null), &[(r#"["me","best","price"]"#, "GONE")]);
    let text = r#"{"data":null,"errors":[{"message":"gone","path":["_entities",0]}]}"#;
    expect(GOOD, text, user(Json::Null), &[(r#"["me","best"]"#, "SUBGRAPH_ERROR")]);
    let text = r#"{"data":{"_entities":[{"__typename":"Product","price":3}]},"errors":[{"message":"by the way"}]}"#;
    expect(GOOD, text, user(json!({"price":3})), &[("null", "SUBGRAPH_ERROR")]);
}

#[test]
fn hidden_errors_keep_their_path_and_lose_the_rest() {
    let mut plan = me();
    let mut fetches: Vec<_> = plan.fetches.iter().map(|(_, fetch)| fetch.clone()).collect();
    fetches[0].subgraph = supergraph::ids::Id::new(2);
    plan = super::support::plan(
        plan.shape.layouts.iter().map(|(_, layout)| layout.clone()).collect(),
        plan.shape.reads.iter().map(|(_, read)| read.clone()).collect(),
        fetches,
    );
    let text =
        r#"{"data":null,"errors":[{"message":"password is hunter2","path":["me"],"extensions":{"code":"SECRET","stack":"x"}}]}"#;
    let answer = run(plan, |_, _| Ok(text.into()));
    assert_eq!(
        answer["errors"],
        json!([{"message":"The subgraph `reviews` reported an error.","path":["me"],"extensions":{"code":"SUBGRAPH_ERROR","service":"reviews"}}])
    );
}
