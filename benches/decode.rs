//! Decode and write, measured against serde_json doing the same job through its `Value`.
//!
//! `cargo bench --bench decode`. Each figure is the best of many rounds; the ratios are what counts. The body is of the benchmark's
//! size and kind: users with reviews of products, long texts, 87 KB.
#![allow(clippy::expect_used, reason = "a benchmark may stop at the first surprise")]

mod executor;

use std::{hint::black_box, sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::{Map, Value};
use supergate::execute::{Request, fetch::Incoming, prepared::Prepared, run::Run, scan::Scanner, types::TypeNames};
use supergraph::{
    ids::{Id, IdVec, LayoutId, ReadId, SlotId, SubgraphId, TypeId},
    plan::{
        Fetch, OperationKind, Plan, Target,
        shape::{Layout, LeafKind, OutputField, OutputValue, Read, ReadField, ReadValue, Shape, TypeSet, Wrap},
    },
};

use executor::{Asked, best};

/// A field: its key, and for an object list the selection below.
type Field = (&'static str, LeafKind, Option<&'static [Field2]>);
type Field2 = (&'static str, LeafKind, Option<&'static [Field3]>);
type Field3 = (&'static str, LeafKind);

/// A field with the layout and read of what is below it.
type Shaped<'a> = (&'a str, LeafKind, Option<(LayoutId, ReadId)>);
/// A field of a review, with the keys of its products.
type PickedBelow<'a> = (&'a str, Option<Vec<&'a str>>);
/// A field of a user, with the fields of its reviews.
type Picked<'a> = (&'a str, Option<Vec<PickedBelow<'a>>>);

const PRODUCT: &[Field3] = &[
    ("inStock", LeafKind::Boolean),
    ("name", LeafKind::String),
    ("price", LeafKind::Int),
    ("shippingEstimate", LeafKind::Int),
    ("upc", LeafKind::String),
    ("weight", LeafKind::Int),
];
const REVIEW: &[Field2] =
    &[("id", LeafKind::Id, None), ("body", LeafKind::String, None), ("products", LeafKind::Any, Some(PRODUCT))];
const USER: &[Field] = &[
    ("id", LeafKind::Id, None),
    ("username", LeafKind::String, None),
    ("name", LeafKind::String, None),
    ("reviews", LeafKind::Any, Some(REVIEW)),
];

fn body() -> String {
    let product = |index: usize| {
        format!(
            r#"{{"inStock":{},"name":"Product {index}","price":{},"shippingEstimate":{},"upc":"{index}","weight":{}}}"#,
            index.is_multiple_of(2),
            index * 10,
            index * 5,
            index + 100
        )
    };
    let review = |index: usize| {
        let text = "Neither too heavy nor too \\\"light\\\"; it arrived on time, and the colour is what was shown. "
            .repeat(1 + index % 7);
        let products: Vec<_> = (index..index + 4).map(product).collect();
        format!(r#"{{"id":"{index}","body":"{text}","products":[{}]}}"#, products.join(","))
    };
    let user = |index: usize| {
        let reviews: Vec<_> = (index..index + 11).map(review).collect();
        format!(r#"{{"id":"{index}","username":"user{index}","name":"Name {index}","reviews":[{}]}}"#, reviews.join(","))
    };
    let users: Vec<_> = (0..11).map(user).collect();
    format!(r#"{{"data":{{"users":[{}]}}}}"#, users.join(","))
}

fn add(shape: &mut Shape, fields: Vec<Shaped<'_>>) -> (LayoutId, ReadId) {
    let (mut shown, mut read) = (Vec::new(), Vec::new());
    let object_type = Some(TypeId::new(0));
    for (at, (key, kind, below)) in fields.into_iter().enumerate() {
        let slot = SlotId::new(at);
        let lists = u8::from(below.is_some());
        let value = below.map_or(OutputValue::Leaf(kind), |(layout, _)| OutputValue::Object(layout));
        let wrap = Wrap { lists, non_null: 0 };
        shown.push(OutputField {
            key: key.into(),
            slot,
            types: None,
            condition: None,
            wrap,
            value,
            unreachable: None,
            part: None,
        });
        let value = below.map_or(ReadValue::Leaf, |(_, read)| ReadValue::Object(read));
        read.push(ReadField { key: key.into(), slot, types: None, lists, value });
    }
    let layout = Layout {
        slots: shown.len(),
        path: Vec::new(),
        object_type,
        possible: TypeSet::new(vec![TypeId::new(0)]),
        fields: shown,
        orders: Vec::new(),
        is_untold: false,
        has_one_parent: false,
    };
    let layout = shape.layouts.push(layout);
    (layout, shape.reads.push(Read { layout, typename: None, object_type: None, fields: read }))
}

/// The plan of `{ users { … } }` with one fetch. The root's layout must come first, so the shape is built from a placeholder.
fn plan() -> Plan {
    let mut shape = Shape::default();
    add(&mut shape, vec![("users", LeafKind::Any, None)]);
    let product = add(&mut shape, PRODUCT.iter().map(|(key, kind)| (*key, *kind, None)).collect());
    let review = add(&mut shape, REVIEW.iter().map(|(key, kind, below)| (*key, *kind, below.map(|_| product))).collect());
    let user = add(&mut shape, USER.iter().map(|(key, kind, below)| (*key, *kind, below.map(|_| review))).collect());
    if let Some(field) = shape.layouts.get_mut(LayoutId::new(0)).and_then(|root| root.fields.first_mut()) {
        (field.value, field.wrap.lists) = (OutputValue::Object(user.0), 1);
    }
    if let Some(field) = shape.reads.get_mut(ReadId::new(0)).and_then(|root| root.fields.first_mut()) {
        (field.value, field.lists) = (ReadValue::Object(user.1), 1);
    }
    let mut fetches = IdVec::default();
    fetches.push(Fetch {
        subgraph: SubgraphId::new(0),
        kind: OperationKind::Query,
        document: "{users{...}}".into(),
        opening: None,
        operation_name: None,
        variables: Vec::new(),
        target: Target::Root { layout: LayoutId::new(0), read: ReadId::new(0) },
        after: Vec::new(),
        condition: None,
        part: None,
    });
    Plan {
        kind: OperationKind::Query,
        fetches,
        shape,
        conditions: IdVec::default(),
        introspection: None,
        parts: IdVec::default(),
    }
}

/// What the executor does between a subgraph's answer and the client's.
fn ours(request: Request<'_>, body: &Bytes) -> Bytes {
    let mut run = Run::new(request);
    while let Some(id) = run.next_ready() {
        for outgoing in run.start(id) {
            let reply = Ok(http::Response::new(body.clone()));
            run.receive(Incoming { id, targets: outgoing.targets, reply, time: Duration::ZERO });
        }
    }
    run.write().expect("the answer is small").answer.json
}

fn project(fields: &[Picked<'_>], value: &Value) -> Value {
    let list = |value: &Value, each: &dyn Fn(&Value) -> Value| {
        value.as_array().map_or(Value::Null, |items| items.iter().map(each).collect())
    };
    let mut object = Map::new();
    for (key, below) in fields {
        let found = value.get(key).unwrap_or(&Value::Null);
        let taken = match below {
            None => found.clone(),
            Some(below) => list(found, &|item| {
                let mut object = Map::new();
                for (key, below) in below {
                    let found = item.get(key).unwrap_or(&Value::Null);
                    let taken = match below {
                        None => found.clone(),
                        Some(keys) => {
                            list(found, &|item| keys.iter().map(|key| ((*key).to_owned(), item[*key].clone())).collect())
                        }
                    };
                    object.insert((*key).to_owned(), taken);
                }
                Value::Object(object)
            }),
        };
        object.insert((*key).to_owned(), taken);
    }
    Value::Object(object)
}

/// The same with serde_json: parse to values, pick the client's fields in the client's order, print.
fn with_values(body: &[u8]) -> Vec<u8> {
    let answer: Value = serde_json::from_slice(body).expect("the body is JSON");
    let keys: Vec<&str> = PRODUCT.iter().map(|(key, _)| *key).collect();
    let review = REVIEW.iter().map(|(key, _, below)| (*key, below.map(|_| keys.clone()))).collect::<Vec<_>>();
    let user: Vec<_> = USER.iter().map(|(key, _, below)| (*key, below.map(|_| review.clone()))).collect();
    let users =
        answer["data"]["users"].as_array().map(|users| users.iter().map(|value| project(&user, value)).collect::<Value>());
    serde_json::to_vec(&serde_json::json!({"data":{"users": users}})).expect("values print")
}

fn main() {
    let body = Bytes::from(body());
    let passing = Arc::new(Prepared::new(plan()));
    let mut prepared = Prepared::new(plan());
    prepared.verbatim = None;
    let prepared = Arc::new(prepared);
    let asked = Asked::new(["users"], TypeNames::new([(Box::from("Any"), true)]));
    let (request, passed_on) = (asked.request(&prepared), asked.request(&passing));
    assert_eq!(ours(passed_on, &body), body, "this body can be passed on");
    let same = |json: &[u8]| serde_json::from_slice::<Value>(json).expect("the answer is JSON");
    assert_eq!(same(&ours(request, &body)), same(&with_values(&body)), "both give the same answer");

    let scan = best(|| {
        let _ = black_box(Scanner::new(black_box(&body)).value());
    });
    let ignore = best(|| {
        let _ = black_box(serde_json::from_slice::<serde::de::IgnoredAny>(black_box(&body)));
    });
    let decode_write = best(|| {
        black_box(ours(request, black_box(&body)));
    });
    let pass_on = best(|| {
        black_box(ours(passed_on, black_box(&body)));
    });
    let values = best(|| {
        black_box(with_values(black_box(&body)));
    });
    let kilobytes = body.len() / 1000;
    let report = |name: &str, time: Duration, reference: Duration| {
        println!(
            "{name:<44} {:>8.1} us  {:>5.2} of the reference",
            time.as_nanos() as f64 / 1000.0,
            time.as_secs_f64() / reference.as_secs_f64()
        );
    };
    println!("a body of {kilobytes} KB");
    report("serde_json: skip (reference)", ignore, ignore);
    report("scan", scan, ignore);
    report("serde_json: parse, project, print (reference)", values, values);
    report("decode and write", decode_write, values);
    report("check and pass on", pass_on, values);
}
