//! Entity fetches: representations, sharing, order, and what a missing input means.

use serde_json::{Value as Json, json};
use supergraph::plan::{
    Plan,
    shape::{OutputValue, ReadValue, TypeSet},
};

use super::support::*;

/// `{ users { id name friend { id name } } }`: ids from one subgraph, names from another, friends in a second position.
fn two_positions() -> Plan {
    let names = |of: usize| {
        row(
            1,
            vec![
                leaf("id", 0, nullable(0), ANY),
                leaf("name", 1, nullable(0), ANY),
                output("friend", 2, nullable(0), OutputValue::Object(layout(of))),
            ],
        )
    };
    let mut friend = names(2);
    friend.fields.pop();
    plan(
        vec![row(0, vec![output("users", 0, nullable(1), OutputValue::Object(layout(1)))]), names(2), friend],
        vec![
            reading(0, vec![reads("users", 0, 1, ReadValue::Object(read(1)))]),
            reading(1, vec![reads("id", 0, 0, ReadValue::Leaf), reads("friend", 2, 0, ReadValue::Object(read(2)))]),
            reading(2, vec![reads("id", 0, 0, ReadValue::Leaf)]),
            reading(1, vec![reads("name", 1, 0, ReadValue::Leaf)]),
            reading(2, vec![reads("name", 1, 0, ReadValue::Leaf)]),
        ],
        vec![root_fetch(0, 0), entity_fetch(1, &[(1, 3), (2, 4)], &[0])],
    )
}

const USERS: &str =
    r#"{"data":{"users":[{"id":"1","friend":{"id":"2"}},{"id":"2","friend":{"id":"1"}},{"id":"1","friend":null}]}}"#;

#[test]
fn equal_representations_are_sent_once_and_their_answer_goes_everywhere() {
    let mut sent = Vec::new();
    let answer = run(two_positions(), |subgraph, body| {
        if subgraph == 0 {
            return Ok(USERS.into());
        }
        sent.push(body["variables"]["representations"].clone());
        Ok(r#"{"data":{"_entities":[{"name":"one"},{"name":"two"}]}}"#.into())
    });
    assert_eq!(sent, [json!([{"__typename":"User","id":"1"}, {"__typename":"User","id":"2"}])]);
    assert_eq!(
        answer,
        json!({"data":{"users":[
            {"id":"1","name":"one","friend":{"id":"2","name":"two"}},
            {"id":"2","name":"two","friend":{"id":"1","name":"one"}},
            {"id":"1","name":"one","friend":null},
        ]}})
    );
}

#[test]
fn an_unreachable_subgraph_nulls_its_fields_only_and_says_so_at_each() {
    let answer = run(two_positions(), |subgraph, _| if subgraph == 0 { Ok(USERS.into()) } else { Err(()) });
    assert_eq!(answer["data"]["users"][1], json!({"id":"2","name":null,"friend":{"id":"1","name":null}}));
    let errors = answer["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 5);
    assert_eq!(errors[1]["path"], json!(["users", 0, "friend", "name"]));
    assert_eq!(errors[0]["extensions"], json!({"code":"UPSTREAM_UNREACHABLE","service":"products"}));
    assert!(!answer.to_string().contains("secret"));
}

#[test]
fn a_failure_that_hits_many_values_is_reported_a_few_times() {
    let users: Vec<_> = (0..500).map(|id| json!({"id": id, "friend": null})).collect();
    let answer = run(
        two_positions(),
        |subgraph, _| {
            if subgraph == 0 { Ok(json!({"data":{"users": users}}).to_string()) } else { Err(()) }
        },
    );
    assert_eq!(answer["data"]["users"].as_array().unwrap().len(), 500);
    assert_eq!(answer["errors"].as_array().unwrap().len(), 10);
}

#[test]
fn what_depends_on_a_failed_fetch_is_not_fetched_and_blames_it() {
    let answer = run(two_positions(), |subgraph, _| {
        assert_eq!(subgraph, 0, "nothing is known to ask for");
        Err(())
    });
    assert_eq!(answer["data"], json!({"users": null}));
    assert_eq!(answer["errors"][0]["path"], json!(["users"]));
}

#[test]
fn entities_that_a_subgraph_does_not_know_are_null_without_an_error() {
    let answer = run(two_positions(), |subgraph, _| {
        Ok(if subgraph == 0 { USERS.into() } else { r#"{"data":{"_entities":[null,{"name":"two"}]}}"#.into() })
    });
    assert_eq!(answer["data"]["users"][0], json!({"id":"1","name":null,"friend":{"id":"2","name":"two"}}));
    assert_eq!(answer.get("errors"), None);
}

#[test]
fn an_entity_fetch_of_some_types_leaves_the_others_alone() {
    let mut plan = two_positions();
    let mut layouts: Vec<_> = plan.shape.layouts.iter().map(|(_, layout)| layout.clone()).collect();
    layouts[1].object_type = None;
    layouts[1].possible = TypeSet::new(vec![type_id(1), type_id(2)]);
    layouts[1].fields.push(output("__typename", 0, required(), OutputValue::Typename));
    let mut into: Vec<_> = plan.shape.reads.iter().map(|(_, read)| read.clone()).collect();
    into[1].typename = Some("__typename".into());
    into[1].fields[1].types = Some(TypeSet::new(vec![type_id(1)]));
    let mut fetches: Vec<_> = plan.fetches.iter().map(|(_, fetch)| fetch.clone()).collect();
    if let supergraph::plan::Target::Entities(batches) = &mut fetches[1].target {
        batches[0].at.pop();
        batches[0].at[0].types = Some(TypeSet::new(vec![type_id(2)]));
    }
    plan = super::support::plan(layouts, into, fetches);
    let answer = run(plan, |subgraph, body| {
        if subgraph == 0 {
            // The second object has its type last.
            return Ok(
                r#"{"data":{"users":[{"__typename":"User","id":1,"friend":{"id":9}},{"id":2,"__typename":"Product"}]}}"#.into()
            );
        }
        assert_eq!(body["variables"]["representations"], json!([{"__typename":"Product","id":2}]));
        Ok(r#"{"data":{"_entities":[{"name":"two"}]}}"#.into())
    });
    assert_eq!(
        answer["data"]["users"],
        json!([
            {"id":1,"name":null,"friend":{"id":9,"name":null},"__typename":"User"},
            {"id":2,"name":"two","friend":null,"__typename":"Product"},
        ])
    );
}

#[test]
fn objects_of_an_occupied_slot_merge_and_lists_merge_item_by_item() {
    let (user, both) = (vec![leaf("id", 0, nullable(0), ANY), leaf("name", 1, nullable(0), ANY)], |at| {
        reads("users", 0, 1, ReadValue::Object(read(at)))
    });
    let plan = plan(
        vec![row(0, vec![output("users", 0, nullable(1), OutputValue::Object(layout(1)))]), row(1, user)],
        vec![
            reading(0, vec![both(1)]),
            reading(1, vec![reads("id", 0, 0, ReadValue::Leaf)]),
            reading(0, vec![both(3)]),
            reading(1, vec![reads("name", 1, 0, ReadValue::Leaf)]),
        ],
        vec![root_fetch(0, 0), root_fetch(1, 2)],
    );
    let answer = run(plan, |subgraph, _| {
        let users: Json = if subgraph == 0 {
            json!([{"id":1},null,{"id":3}])
        } else {
            json!([{"name":"a"},{"name":"b"},null,{"name":"surplus"}])
        };
        Ok(json!({"data":{"users":users}}).to_string())
    });
    assert_eq!(answer, json!({"data":{"users":[{"id":1,"name":"a"},{"id":null,"name":"b"},{"id":3,"name":null}]}}));
}

/// `{ users { name } }` where the subgraph knows only the interface: both slots of `name` are filled, and the type that a later
/// fetch tells decides which is written.
#[test]
fn what_an_interface_object_answers_counts_for_the_type_that_is_told_later() {
    let typed = |field: supergraph::plan::shape::ReadField, of: usize| supergraph::plan::shape::ReadField {
        types: Some(TypeSet::new(vec![type_id(of)])),
        ..field
    };
    let mut node = row(1, vec![leaf("name", 1, nullable(0), ANY), leaf("name", 2, nullable(0), ANY)]);
    node.object_type = None;
    node.possible = TypeSet::new(vec![type_id(1), type_id(2)]);
    node.fields[0].types = Some(TypeSet::new(vec![type_id(1)]));
    node.fields[1].types = Some(TypeSet::new(vec![type_id(2)]));
    let name = |at| reads("name", at, 0, ReadValue::Leaf);
    let mut first = reading(1, vec![typed(name(1), 1), typed(name(2), 2), reads("id", 0, 0, ReadValue::Leaf)]);
    first.typename = Some("__typename".into());
    let mut second = reading(1, Vec::new());
    second.typename = Some("__typename".into());
    let mut entities = entity_fetch(1, &[(1, 2)], &[0]);
    if let supergraph::plan::Target::Entities(batches) = &mut entities.target {
        batches[0].at[0].representation.typename = supergraph::plan::RepresentationTypename::Fixed("Node".into());
    }
    let plan = plan(
        vec![row(0, vec![output("users", 0, nullable(1), OutputValue::Object(layout(1)))]), node],
        vec![reading(0, vec![reads("users", 0, 1, ReadValue::Object(read(1)))]), first, second],
        vec![root_fetch(0, 0), entities],
    );
    let answer = run(plan, |subgraph, _| {
        Ok(if subgraph == 0 {
            r#"{"data":{"users":[{"__typename":"Node","name":"a","id":1},{"id":2,"name":"b","__typename":"Node"}]}}"#.into()
        } else {
            r#"{"data":{"_entities":[{"__typename":"User"},{"__typename":"Product"}]}}"#.into()
        })
    });
    assert_eq!(answer, json!({"data":{"users":[{"name":"a"},{"name":"b"}]}}));
}
