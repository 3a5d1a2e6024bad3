//! A builder of plans and a driver that answers their fetches from a script.

use std::{sync::Arc, time::Duration};

use apollo_compiler::response::JsonMap;
use bytes::Bytes;
use serde_json::Value as Json;
use supergraph::{
    ids::{Id, IdVec, LayoutId, ReadId, SlotId, SubgraphId, TypeId},
    plan::{
        EntityBatch, EntityPosition, Fetch, OperationKind, Plan, Representation, RepresentationField, RepresentationTypename,
        RepresentationValue, Target,
        shape::{Layout, LeafKind, OutputField, OutputValue, Read, ReadField, ReadValue, Shape, TypeSet, Wrap},
    },
};

use crate::{
    body::Reader as _,
    error::{Error, ErrorKind},
    exchange::{Exchange, Peer},
    execute::{
        Request,
        errors::Service,
        fetch::{self, Outgoing},
        prepared::Prepared,
        run::Run,
        types::TypeNames,
    },
};

pub const ANY: LeafKind = LeafKind::Any;

pub fn layout(at: usize) -> LayoutId {
    LayoutId::new(at)
}

pub fn read(at: usize) -> ReadId {
    ReadId::new(at)
}

pub fn slot(at: usize) -> SlotId {
    SlotId::new(at)
}

pub fn type_id(at: usize) -> TypeId {
    TypeId::new(at)
}

/// A nullable value under this many lists.
pub fn nullable(lists: u8) -> Wrap {
    Wrap { lists, non_null: 0 }
}

/// A non-null value.
pub fn required() -> Wrap {
    Wrap { lists: 0, non_null: 1 }
}

pub fn output(key: &str, at: usize, wrap: Wrap, value: OutputValue) -> OutputField {
    OutputField { key: key.into(), slot: slot(at), types: None, condition: None, wrap, value, unreachable: None, part: None }
}

pub fn leaf(key: &str, at: usize, wrap: Wrap, kind: LeafKind) -> OutputField {
    output(key, at, wrap, OutputValue::Leaf(kind))
}

pub fn reads(key: &str, at: usize, lists: u8, value: ReadValue) -> ReadField {
    ReadField { key: key.into(), slot: slot(at), types: None, lists, value }
}

/// A layout whose objects are all of the type with this number.
pub fn row(of: usize, fields: Vec<OutputField>) -> Layout {
    Layout {
        slots: 8,
        path: Vec::new(),
        object_type: Some(type_id(of)),
        possible: TypeSet::new(vec![type_id(of)]),
        fields,
        orders: Vec::new(),
        is_untold: false,
        has_one_parent: false,
    }
}

pub fn reading(into: usize, fields: Vec<ReadField>) -> Read {
    Read { layout: layout(into), typename: None, object_type: None, fields }
}

pub fn root_fetch(subgraph: usize, into: usize) -> Fetch {
    Fetch {
        subgraph: SubgraphId::new(subgraph),
        kind: OperationKind::Query,
        document: format!("{{ root{into} }}"),
        opening: None,
        operation_name: None,
        variables: Vec::new(),
        target: Target::Root { layout: layout(0), read: read(into) },
        after: Vec::new(),
        condition: None,
        part: None,
    }
}

/// An entity fetch for the objects of one layout, keyed by the `id` in slot 0.
pub fn entity_fetch(subgraph: usize, positions: &[(usize, usize)], after: &[usize]) -> Fetch {
    let field = RepresentationField { key: "id".into(), slot: slot(0), types: None, value: RepresentationValue::Leaf };
    let representation = Representation { typename: RepresentationTypename::Concrete, fields: vec![field] };
    let at = |(of, by): &(usize, usize)| EntityPosition {
        layout: layout(*of),
        types: None,
        condition: None,
        representation: representation.clone(),
        read: read(*by),
        contexts: Vec::new(),
    };
    Fetch {
        target: Target::Entities(vec![EntityBatch {
            key: "_entities".into(),
            variable: "representations".into(),
            at: positions.iter().map(at).collect(),
            contexts: Vec::new(),
            selection: "".into(),
        }]),
        after: after.iter().map(|id| Id::new(*id)).collect(),
        document: "query($representations:[_Any!]!){_entities(representations:$representations){...}}".into(),
        ..root_fetch(subgraph, 0)
    }
}

pub fn plan(layouts: Vec<Layout>, reads: Vec<Read>, fetches: Vec<Fetch>) -> Plan {
    let mut plan = Plan {
        kind: OperationKind::Query,
        fetches: IdVec::default(),
        shape: Shape::default(),
        conditions: IdVec::default(),
        introspection: None,
        parts: IdVec::default(),
    };
    for layout in layouts {
        plan.shape.layouts.push(layout);
    }
    for read in reads {
        plan.shape.reads.push(read);
    }
    for fetch in fetches {
        plan.fetches.push(fetch);
    }
    plan
}

/// What the script says to a fetch: `Err` for a subgraph that cannot be reached.
pub type Reply = Result<String, ()>;

/// Runs a plan; `script` gets the subgraph's number and the request body. Types 0, 1, 2 are the objects Query, User and Product,
/// type 3 is the interface Node.
pub fn run(plan: Plan, mut script: impl FnMut(usize, Json) -> Reply) -> Json {
    let text = run_text(plan, move |subgraph, body| script(subgraph, body).map(Bytes::from).map_err(drop));
    serde_json::from_str(&text).expect("the answer is JSON")
}

/// The same, with bytes for answers and text for a result.
pub fn run_text(plan: Plan, script: impl FnMut(usize, Json) -> Result<Bytes, ()>) -> String {
    run_prepared(Prepared::new(plan), script)
}

/// The same for a plan that is prepared.
pub fn run_prepared(prepared: Prepared, mut script: impl FnMut(usize, Json) -> Result<Bytes, ()>) -> String {
    run_asked(prepared, |subgraph, outgoing| {
        let body = serde_json::from_slice(&outgoing.body).expect("the request is JSON");
        script(subgraph, body).map(http::Response::new)
    })
}

/// The same with a text that answers every fetch and arrives in pieces, which end at these places.
pub fn run_in_pieces(prepared: Prepared, text: &[u8], ends: &[usize]) -> String {
    run_asked(prepared, |_, outgoing| {
        let Some(mut check) = outgoing.check.take() else { return Ok(http::Response::new(text.to_vec().into())) };
        let (mut there, mut start) = (Vec::new(), 0);
        for end in ends.iter().copied().chain([text.len()]) {
            there.extend_from_slice(text.get(start..end).unwrap_or_default());
            start = start.max(end);
            check.more(&mut there);
        }
        let mut response = http::Response::new(check.end(there));
        check.tell(response.extensions_mut());
        Ok(response)
    })
}

fn run_asked(
    prepared: Prepared,
    mut script: impl FnMut(usize, &mut Outgoing<'_>) -> Result<http::Response<Bytes>, ()>,
) -> String {
    let exchange = exchange();
    let mut services = IdVec::default();
    for name in ["users", "products", "reviews"] {
        services.push(Service::new(name.into(), name != "reviews"));
    }
    let names = [("Query", true), ("User", true), ("Product", true), ("Node", false)];
    let types = Arc::new(TypeNames::new(names.map(|(name, is_object)| (Box::from(name), is_object))));
    let prepared = Arc::new(prepared);
    let variables = JsonMap::new();
    let request = Request {
        exchange: &exchange,
        plan: &prepared,
        services: &services,
        types: &types,
        variables: &variables,
        seeds: &[],
        limit: 1 << 20,
    };
    let mut run = Run::new(request);
    while let Some(id) = run.next_ready() {
        for mut outgoing in run.start(id) {
            let of = prepared.plan.fetches.get(id).unwrap().subgraph.index();
            let reply =
                script(of, &mut outgoing).map_err(|()| Error::new(ErrorKind::UpstreamUnreachable, "the secret address refused"));
            run.receive(fetch::Incoming { id, targets: outgoing.targets, reply, time: Duration::ZERO });
        }
    }
    String::from_utf8(run.write().unwrap().answer.json.to_vec()).expect("the answer is UTF-8")
}

fn exchange() -> Exchange {
    let (head, ()) = http::Request::new(()).into_parts();
    let peer = Peer { address: ([127, 0, 0, 1], 1).into(), is_tls: false };
    Exchange::new(peer, head, Duration::from_secs(1))
}
