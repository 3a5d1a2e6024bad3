//! Values from contexts: which request they go into, and what a missing one means.

use serde_json::{Value as Json, json};
use supergraph::plan::{
    ContextLevel, ContextValue, ContextVariable, Plan, RepresentationField, RepresentationValue, Target,
    shape::{OutputValue, ReadValue, TypeSet},
};

use super::support::*;

/// `{ users { best { price } } }`: `price` takes the user's currency, which the client does not see.
fn prices() -> Plan {
    let mut product = row(2, vec![leaf("price", 1, nullable(0), ANY)]);
    product.has_one_parent = true;
    let mut fetch = entity_fetch(1, &[(2, 3)], &[0]);
    fetch.opening = Some("query($digits: Int, ".into());
    if let Target::Entities(batches) = &mut fetch.target {
        let currency =
            RepresentationField { key: "currency".into(), slot: slot(1), types: None, value: RepresentationValue::Leaf };
        let setters = TypeSet::new(vec![type_id(1)]);
        batches[0].contexts = vec![ContextVariable { name: "context_0_".into(), ty: "String".into() }];
        batches[0].selection = "{ price(in: $context_0_) }".into();
        batches[0].at[0].contexts = vec![ContextValue {
            levels: vec![
                ContextLevel { layout: layout(1), setters, fields: vec![currency], below: Some(slot(2)) },
                ContextLevel { layout: layout(2), setters: TypeSet::empty(), fields: Vec::new(), below: None },
            ],
        }];
    }
    plan(
        vec![
            row(0, vec![output("users", 0, nullable(1), OutputValue::Object(layout(1)))]),
            row(1, vec![output("best", 2, nullable(0), OutputValue::Object(layout(2)))]),
            product,
        ],
        vec![
            reading(0, vec![reads("users", 0, 1, ReadValue::Object(read(1)))]),
            reading(1, vec![reads("currency", 1, 0, ReadValue::Leaf), reads("best", 2, 0, ReadValue::Object(read(2)))]),
            reading(2, vec![reads("id", 0, 0, ReadValue::Leaf)]),
            reading(2, vec![reads("price", 1, 0, ReadValue::Leaf)]),
        ],
        vec![root_fetch(0, 0), fetch],
    )
}

/// The users' answer, and every later request with each price answered as `<currency><product>`.
fn ask(users: &Json) -> (Json, Vec<Json>) {
    let mut sent = Vec::new();
    let answer = run(prices(), |subgraph, body| {
        if subgraph == 0 {
            return Ok(json!({ "data": { "users": users } }).to_string());
        }
        let variables = body["variables"].as_object().unwrap();
        let mut data = json!({});
        for (name, value) in variables.iter().filter(|(name, _)| name.starts_with("representations")) {
            let end = name.trim_start_matches("representations");
            let currency = variables[&format!("context_0_{end}")].as_str().unwrap_or("none");
            let price = |item: &Json| json!({ "price": format!("{currency}{}", item["id"].as_str().unwrap()) });
            data[format!("_entities{end}")] = value.as_array().unwrap().iter().map(price).collect();
        }
        sent.push(body);
        Ok(json!({ "data": data }).to_string())
    });
    (answer, sent)
}

#[test]
fn one_value_goes_as_a_variable_of_the_plans_own_document() {
    let (answer, sent) = ask(&json!([
        { "currency": "EUR", "best": { "id": "1" } },
        { "currency": "EUR", "best": { "id": "2" } },
        { "currency": "EUR", "best": { "id": "1" } },
    ]));
    assert_eq!(answer["data"]["users"][1]["best"]["price"], "EUR2");
    let [only] = sent.as_slice() else { panic!("{sent:?}") };
    assert!(only["query"].as_str().unwrap().starts_with("query($representations:"));
    assert_eq!(
        only["variables"],
        json!({ "representations": [{ "__typename": "Product", "id": "1" }, { "__typename": "Product", "id": "2" }], "context_0_": "EUR" })
    );
}

#[test]
fn several_values_have_a_field_each() {
    let (answer, sent) = ask(&json!([
        { "currency": "EUR", "best": { "id": "1" } },
        { "currency": null, "best": { "id": "1" } },
        { "currency": "EUR", "best": { "id": "2" } },
    ]));
    let price = |index: usize| answer["data"]["users"][index]["best"]["price"].clone();
    assert_eq!([price(0), price(1), price(2)], ["EUR1", "none1", "EUR2"]);
    let [only] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(
        only["query"],
        "query($digits: Int, $representations_0: [_Any!]!, $context_0__0: String, $representations_1: [_Any!]!, $context_0__1: String) { \
         _entities_0: _entities(representations: $representations_0) { price(in: $context_0__0) } \
         _entities_1: _entities(representations: $representations_1) { price(in: $context_0__1) } }"
    );
    assert_eq!(only["variables"]["context_0__1"], json!(null));
}

#[test]
fn many_values_go_in_several_requests() {
    let users: Json = (0..120).map(|n| json!({ "currency": format!("c{n}-"), "best": { "id": "1" } })).collect();
    let (answer, sent) = ask(&users);
    assert_eq!(sent.len(), 3);
    for n in [0, 49, 50, 119] {
        assert_eq!(answer["data"]["users"][n]["best"]["price"], format!("c{n}-1"));
    }
}

#[test]
fn where_the_value_was_not_fetched_nothing_is_asked() {
    let (answer, sent) = ask(&json!([{ "best": { "id": "1" } }, { "currency": "EUR", "best": { "id": "1" } }]));
    assert_eq!(answer["data"]["users"], json!([{ "best": { "price": null } }, { "best": { "price": "EUR1" } }]));
    assert_eq!(sent.len(), 1);
}
