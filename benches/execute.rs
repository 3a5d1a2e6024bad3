//! One whole request without its network: the reference operation from its text to its answer, stage by stage.
//!
//! `cargo bench --bench execute`. The example subgraphs answer once; what they said is replayed. Each figure is the best of many
//! rounds, beside what serde_json takes to read the same answers into values and to print the same result.
#![allow(clippy::expect_used, reason = "a benchmark may stop at the first surprise")]

mod executor;

use std::{
    collections::HashMap,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::{Value, json};
use subgraphs_example::{Addresses, Example, Upstream};
use supergate::{
    execute::{Request, fetch::Incoming, prepared::Prepared, run::Run, types::TypeNames},
    graphql::{
        budget::Budget,
        operation::{Document, Rules},
    },
};
use supergraph::{
    compose::{Source, compose},
    ids::FetchId,
    model::Supergraph,
    plan::{PlanOptions, Tables, plan},
};

use executor::{Asked, best};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const OPERATION: &str = include_str!("end_to_end/reference.graphql");

/// What the subgraphs said to each fetch of the plan.
type Answers = HashMap<FetchId, Bytes>;

/// Time spent in each stage of executions.
#[derive(Clone, Copy, Debug, Default)]
struct Stages {
    represent: Duration,
    decode: Duration,
    write: Duration,
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("there is a runtime");
    let example = runtime.block_on(Example::start(Addresses::any_port())).expect("the example starts");
    let ask = |upstream: Upstream, body: Bytes| runtime.block_on(answer(example.url(upstream), body));
    let source = |upstream: Upstream| {
        let answer = ask(upstream, json!({ "query": "{ _service { sdl } }" }).to_string().into());
        let answer: Value = serde_json::from_slice(&answer).expect("the answer is JSON");
        let sdl = answer["data"]["_service"]["sdl"].as_str().expect("there is an SDL").to_owned();
        Source { name: upstream.name().into(), url: example.url(upstream), sdl }
    };
    let composed = compose(&Upstream::SUBGRAPHS.map(source)).expect("the example composes");
    let supergraph = Supergraph::read(&composed.supergraph).expect("the supergraph is one");
    let tables = Tables::new(&supergraph);
    let rules = Rules { budget: Budget::default(), introspection: true, demand_control: None };
    let document = || Document::new(black_box(OPERATION), &supergraph, &rules).expect("the operation is valid");
    let operation = document().operation(None).expect("there is one").clone();
    let planned = || plan(&supergraph, &tables, &operation.planned, &PlanOptions::default()).expect("there is a plan");
    let prepared = Arc::new(Prepared::new(planned()));

    let asked = Asked::new(supergraph.subgraphs.iter().map(|(_, subgraph)| &*subgraph.name), TypeNames::from(&supergraph));
    let request = asked.request(&prepared);
    let mut answers = Answers::new();
    let json = execute(request, |fetch, body| {
        let subgraph = prepared.plan.fetches.get(fetch).expect("it is one of the plan's").subgraph;
        let name = &supergraph.subgraph(subgraph).name;
        let upstream = Upstream::SUBGRAPHS.into_iter().find(|upstream| *upstream.name() == **name);
        answers.entry(fetch).or_insert_with(|| ask(upstream.expect("it is one of the example's"), body)).clone()
    });
    drop(example);
    report(&answers, &json.1, || execute(request, |fetch, _| answers[&fetch].clone()), document, || Prepared::new(planned()));
}

async fn answer(url: String, body: Bytes) -> Bytes {
    let request = reqwest::Client::new().post(url).header("content-type", "application/json").body(body);
    request.send().await.expect("the subgraph answers").bytes().await.expect("the answer ends")
}

/// Runs the plan with answers from `ask`.
fn execute(request: Request<'_>, mut ask: impl FnMut(FetchId, Bytes) -> Bytes) -> (Stages, Bytes) {
    let mut stages = Stages::default();
    let mut run = Run::new(request);
    while let Some(id) = run.next_ready() {
        let before = Instant::now();
        let requests = run.start(id);
        stages.represent += before.elapsed();
        for outgoing in requests {
            let reply = Ok(http::Response::new(ask(id, outgoing.body)));
            let before = Instant::now();
            run.receive(Incoming { id, targets: outgoing.targets, reply, time: Duration::ZERO });
            stages.decode += before.elapsed();
        }
    }
    let before = Instant::now();
    let outcome = run.write().expect("the answer is small");
    stages.write = before.elapsed();
    assert_eq!(outcome.answer.errors, 0, "the example makes no errors");
    (stages, outcome.answer.json)
}

fn report<D, P>(
    answers: &Answers,
    json: &Bytes,
    whole: impl Fn() -> (Stages, Bytes),
    document: impl Fn() -> D,
    planned: impl Fn() -> P,
) {
    let result: Value = serde_json::from_slice(json).expect("the answer is JSON");
    let values = best(|| {
        for answer in answers.values() {
            let _ = black_box(serde_json::from_slice::<Value>(black_box(answer)));
        }
        let _ = black_box(serde_json::to_vec(black_box(&result)));
    });
    let received: usize = answers.values().map(Bytes::len).sum();
    println!("{} fetches, {received} bytes from subgraphs, {} to the client", answers.len(), json.len());
    let print = |name: &str, time: Duration| {
        let ratio = time.as_secs_f64() / values.as_secs_f64();
        println!("{name:<44} {:>8.1} us  {ratio:>5.2} of the reference", time.as_nanos() as f64 / 1000.0);
    };
    print("serde_json: values of all, print (reference)", values);
    print("document: parse, validate, measure, lower", best(|| drop(black_box(document()))));
    print("plan and prepare", best(|| drop(black_box(planned()))));
    print("execute", best(|| drop(black_box(whole()))));
    let rounds: Vec<Stages> = (0..2_000).map(|_| whole().0).collect();
    let least = |stage: fn(&Stages) -> Duration| rounds.iter().map(stage).min().unwrap_or_default();
    print("  of which represent, and build requests", least(|stages| stages.represent));
    print("  of which decode", least(|stages| stages.decode));
    print("  of which write", least(|stages| stages.write));
}
