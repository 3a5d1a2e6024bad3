//! Subgraph answers through the executor, and what must hold for the client's answer whatever they say. `decode` and
//! `subgraph_answer` rely on it.

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use apollo_compiler::{ExecutableDocument, response::JsonMap};
use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::Value as Json;
use supergate::{
    body::Reader as _,
    exchange::{Exchange, Peer},
    execute::{
        Request, errors::Service, fetch::Incoming, prepared::Prepared, run::Run, types::TypeNames, verbatim::Check,
    },
};
use supergraph::{
    compose::{Source, compose},
    ids::{Id, IdVec, LayoutId},
    model::Supergraph,
    plan::{
        PlanOptions, Tables,
        operation::Operation,
        plan,
        shape::{LeafKind, OutputField, OutputValue, Shape},
    },
};

const SUBGRAPHS: [&str; 2] = [
    r#"type Query { me: User! users(first: Int): [User!] pets: [[Pet]] node: Node count: Int! ratio: Float flag: Boolean blob: JSON color: Color }
       type User implements Node @key(fields: "id") { id: ID! friend: User friends: [User!]! color: Color! }
       interface Node { id: ID! } union Pet = Cat | Dog
       type Cat @key(fields: "id") { id: ID! lives: Int! } type Dog implements Node { id: ID! bark: String owner: User }
       enum Color { RED GREEN } scalar JSON"#,
    r#"type User @key(fields: "id") { id: ID! name: String! age: Int tags: [String!] best: Cat }
       type Cat @key(fields: "id") { id: ID! name: String }"#,
];

const OPERATION: &str = "{ me { id name age friend { id name color } friends { name tags best { lives name } } }
    users(first: 3) { id color name tags best { id lives } }
    pets { __typename ... on Cat { id lives name } ... on Dog { bark owner { name } } }
    node { __typename id ... on User { name color } }
    n: count ratio flag blob color }";

/// An operation that one fetch answers, and that a right answer to it may be passed on for.
const PASSING: &str = "{ n: count ratio flag blob color me { id color friend { __typename id } friends { id color } }
    users(first: 3) { id color } __typename }";

/// A graph, and the plan of one operation on it.
pub struct World {
    prepared: Arc<Prepared>,
    types: Arc<TypeNames>,
    services: IdVec<supergraph::ids::SubgraphId, Service>,
}

pub static WORLD: LazyLock<World> = LazyLock::new(|| World::new(OPERATION));

/// A plan whose only answer may be passed on, and the same where it never is.
pub static TWINS: LazyLock<[World; 2]> = LazyLock::new(|| {
    let (passing, mut writing) = (World::new(PASSING), World::new(PASSING));
    assert!(passing.prepared.verbatim.is_some());
    Arc::get_mut(&mut writing.prepared).expect("nobody else has it").verbatim = None;
    [passing, writing]
});

impl World {
    fn new(operation: &str) -> Self {
        let named = |(sdl, name): (&&str, &str)| Source { name: name.to_owned(), url: String::new(), sdl: (*sdl).to_owned() };
        let sources: Vec<Source> = SUBGRAPHS.iter().zip(["users", "names"]).map(named).collect();
        let supergraph = Supergraph::read(&compose(&sources).expect("it composes").supergraph).expect("it reads back");
        let document = ExecutableDocument::parse_and_validate(&supergraph.client, operation, "operation").expect("it is valid");
        let operation = Operation::new(&supergraph, &document, None).expect("there is one");
        let plan = plan(&supergraph, &Tables::new(&supergraph), &operation, &PlanOptions::default()).expect("it can be planned");
        let mut services = IdVec::default();
        for (_, subgraph) in supergraph.subgraphs.iter() {
            services.push(Service::new((*subgraph.name).into(), true));
        }
        Self { prepared: Arc::new(Prepared::new(plan)), types: Arc::new(TypeNames::from(&supergraph)), services }
    }
}

/// Panics where a plan's answer depends on whether it may be passed on.
pub fn compare(bytes: &[u8]) {
    let [passing, writing] = &*TWINS;
    let [one, other] = [passing, writing].map(|world| run(world, |_| Bytes::copy_from_slice(bytes)));
    if one != other {
        assert_eq!(check(passing, &one), check(writing, &other));
    }
}

/// Runs the plan; `say` gets the number of the fetch, in the order in which they are sent.
pub fn run(world: &World, mut say: impl FnMut(usize) -> Bytes) -> String {
    let (head, ()) = http::Request::new(()).into_parts();
    let peer = Peer { address: ([127, 0, 0, 1], 1).into(), is_tls: false };
    let exchange = Exchange::new(peer, head, Duration::from_secs(1));
    let variables = JsonMap::new();
    let (plan, services, types) = (&world.prepared, &world.services, &world.types);
    let limit = 1 << 20;
    let mut run = Run::new(Request { exchange: &exchange, plan, services, types, variables: &variables, seeds: &[], limit });
    let started = Instant::now();
    let mut count = 0;
    while let Some(id) = run.next_ready() {
        for mut outgoing in run.start(id) {
            serde_json::from_slice::<IgnoredAny>(&outgoing.body).expect("what is sent is JSON");
            let reply = Ok(match outgoing.check.take() {
                Some(check) => in_pieces(check, &say(count)),
                None => http::Response::new(say(count)),
            });
            count += 1;
            run.receive(Incoming { id, targets: outgoing.targets, reply, time: started.elapsed() });
        }
    }
    let outcome = run.write();
    let json = outcome.map(|outcome| outcome.answer.json).unwrap_or_else(|_| Bytes::from_static(b"{\"data\":null}"));
    String::from_utf8(json.to_vec()).expect("UTF-8")
}

/// An answer that arrives in pieces and is checked meanwhile. Those that are one piece are checked later.
fn in_pieces(mut check: Box<Check>, text: &[u8]) -> http::Response<Bytes> {
    let size = [1, 7, 64, usize::MAX][text.len() % 4];
    if size > text.len() {
        return http::Response::new(Bytes::copy_from_slice(text));
    }
    let mut there = Vec::new();
    for piece in text.chunks(size) {
        there.extend_from_slice(piece);
        check.more(&mut there);
    }
    let mut response = http::Response::new(check.end(there));
    check.tell(response.extensions_mut());
    response
}

/// Panics where an answer is not one to the operation: other keys, values of another kind, null where it may not be, errors
/// without a message or with a path that leads beyond a null.
pub fn check(world: &World, text: &str) -> Json {
    serde_json::from_str::<IgnoredAny>(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    // JSON has numbers that this reader has not.
    let Ok(answer) = serde_json::from_str::<Json>(text) else { return Json::Null };
    let shape = &world.prepared.plan.shape;
    if !answer["data"].is_null() {
        object(shape, LayoutId::new(0), &answer["data"]);
    }
    for error in answer["errors"].as_array().into_iter().flatten() {
        assert!(error["message"].is_string() && error["extensions"]["code"].is_string(), "{error}");
        let mut value = &answer["data"];
        for step in error["path"].as_array().into_iter().flatten() {
            value = match (value, step) {
                (Json::Null, _) => break,
                (Json::Object(fields), Json::String(key)) => {
                    fields.get(key).unwrap_or_else(|| panic!("{error} leads nowhere: {text}"))
                }
                (Json::Array(items), Json::Number(index)) => {
                    let index = index.as_u64().and_then(|index| usize::try_from(index).ok());
                    index.and_then(|index| items.get(index)).unwrap_or_else(|| panic!("{error} leads nowhere: {text}"))
                }
                // An error below a leaf belongs to the leaf.
                _ => panic!("{error} leads through a leaf: {text}"),
            };
        }
    }
    answer
}

fn object(shape: &Shape, layout: LayoutId, value: &Json) {
    let (Some(layout), Some(fields)) = (shape.layouts.get(layout), value.as_object()) else { panic!("{value} is no object") };
    for field in &layout.fields {
        match fields.get(&*field.key) {
            Some(value) => position(shape, field, 0, value),
            None => assert!(field.types.is_some(), "`{}` is missing in {value}", field.key),
        }
    }
    for key in fields.keys() {
        assert!(layout.fields.iter().any(|field| *field.key == *key), "nobody asked for `{key}`");
    }
}

fn position(shape: &Shape, field: &OutputField, level: u8, value: &Json) {
    match value {
        Json::Null => assert!(field.wrap.non_null >> level & 1 == 0, "`{}` may not be null", field.key),
        Json::Array(items) if level < field.wrap.lists => items.iter().for_each(|item| position(shape, field, level + 1, item)),
        value if level == field.wrap.lists => named(shape, field, value),
        value => panic!("`{}` is a list, not {value}", field.key),
    }
}

fn named(shape: &Shape, field: &OutputField, value: &Json) {
    let fits = match &field.value {
        OutputValue::Object(layout) => return object(shape, *layout, value),
        OutputValue::Typename | OutputValue::Leaf(LeafKind::String | LeafKind::Id | LeafKind::Enum(_)) => value.is_string(),
        OutputValue::Leaf(LeafKind::Int) => {
            value.as_i64().is_some_and(|value| i32::try_from(value).is_ok()) || *value == Json::from(-0.0)
        }
        OutputValue::Leaf(LeafKind::Float) => value.is_number(),
        OutputValue::Leaf(LeafKind::Boolean) => value.is_boolean(),
        OutputValue::Leaf(LeafKind::Any) => true,
        OutputValue::Denied(_) => false,
    };
    assert!(fits, "`{}` cannot be {value}", field.key);
}
