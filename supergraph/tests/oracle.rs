//! The solver against exhaustive search: on small random federations and operations nearly all of its plans cost as little as any
//! plan of no later stage could, and none has three requests more than the best.
//!
//! The oracle shares nothing with the planner. It takes a set of requests, each a subgraph at a stage, and finds by a fixpoint
//! whether they can answer the operation; then it looks for the cheapest such set. What a set costs is what the solver weighs:
//! a request counts 10, and 100 more for each stage that it waits for.
//! What the solver takes for the least that any plan can cost, at which its search ends, must not be more than that cheapest set costs.
//! Every plan is made in a debug build, so its documents are also valid for their subgraphs.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failing test may panic")]

mod random;

use apollo_compiler::ExecutableDocument;
use random::{Federation, Position, Random};
use supergraph::compose::compose;
use supergraph::ids::Id;
use supergraph::model::Supergraph;
use supergraph::plan::operation::Operation;
use supergraph::plan::{self, Plan, PlanOptions, PlanStage, Tables};

/// Stages that the search considers at most.
const STAGES: usize = 4;

/// Plans of a hundred that may cost more than the best; measured are 1.5.
const MOST_WORSE: usize = 2;

/// Operations of a hundred for which the search knows when it has found the best; measured are 80.
const LEAST_EXACT: usize = 60;

/// A set of requests: bit `stage * subgraphs + subgraph`.
type Requests = u32;

/// Never there.
const NEVER: usize = usize::MAX;

#[test]
fn nearly_all_plans_cost_what_the_best_plan_costs() {
    let (mut planned, mut exact, mut worse) = (0, 0, Vec::new());
    for seed in 0..seeds() {
        let mut random = Random::new(seed);
        let federation = Federation::new(&mut random);
        let Ok(composed) = compose(&federation.sources()) else { continue };
        let supergraph = Supergraph::read(&composed.supergraph).unwrap();
        let tables = Tables::new(&supergraph);
        for _ in 0..4 {
            let operation = federation.operation(&mut random);
            let text = federation.text(&operation);
            let plan = made(&supergraph, &tables, &text);
            let requests = requests(&federation, &supergraph, &plan);
            assert!(answers(&federation, &operation, requests), "seed {seed}: the plan cannot answer {text}");
            planned += 1;
            let least = least(&supergraph, &tables, &text);
            let better = cheaper(&federation, &operation, requests);
            let best = cost(&federation, better.unwrap_or(requests));
            assert!(least <= best, "seed {seed}: the search for {text} ends at {least}, but {best} is the least there is");
            exact += usize::from(least == best);
            if let Some(better) = better {
                let (ours, best) = (described(&federation, requests), described(&federation, better));
                let more = requests.count_ones().saturating_sub(better.count_ones());
                assert!(more <= 2, "seed {seed}: {text} by {ours}, but {best} would do");
                worse.push(format!("seed {seed}: {text} by {ours}, but {best} would do"));
            }
        }
    }
    assert!(planned as u64 > seeds(), "only {planned} operations were planned");
    assert!(exact * 100 >= planned * LEAST_EXACT, "what ends the search is the least there is for only {exact} of {planned}");
    let is_rare = worse.len() * 100 <= planned * MOST_WORSE;
    assert!(is_rare, "{} of {planned} plans are not the best:\n{}", worse.len(), worse.join("\n"));
}

fn seeds() -> u64 {
    std::env::var("ORACLE_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(100)
}

fn operation(supergraph: &Supergraph, text: &str) -> Operation {
    let document = ExecutableDocument::parse_and_validate(&supergraph.client, text, "operation").unwrap();
    Operation::new(supergraph, &document, None).unwrap()
}

fn made(supergraph: &Supergraph, tables: &Tables, text: &str) -> Plan {
    plan::plan(supergraph, tables, &operation(supergraph, text), &PlanOptions::default()).unwrap()
}

/// What the solver says every plan costs at least; a search ends when it has found that.
fn least(supergraph: &Supergraph, tables: &Tables, text: &str) -> usize {
    let operation = operation(supergraph, text);
    let choice = plan::print_stage(supergraph, tables, &operation, &PlanOptions::default(), PlanStage::Choice).unwrap();
    let number = choice.split_once("at the root, at least ").and_then(|(_, rest)| rest.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{choice}"))
}

/// The requests of a plan. The stage of each follows from what it waits for.
fn requests(federation: &Federation, supergraph: &Supergraph, plan: &Plan) -> Requests {
    let mut stages: Vec<usize> = Vec::new();
    let mut requests = 0;
    for (_, fetch) in plan.fetches.iter() {
        let stage = fetch.after.iter().map(|other| stages[other.index()] + 1).max().unwrap_or(0);
        stages.push(stage);
        let subgraph = federation.subgraph_named(&supergraph.subgraph(fetch.subgraph).name);
        let bit = 1 << (stage * federation.subgraphs + subgraph);
        assert_eq!(requests & bit, 0, "two requests of one stage to one subgraph");
        requests |= bit;
    }
    requests
}

fn each(federation: &Federation, requests: Requests) -> impl Iterator<Item = (usize, usize)> {
    let subgraphs = federation.subgraphs;
    (0..32).filter(move |bit| requests & (1 << bit) != 0).map(move |bit| (bit / subgraphs, bit % subgraphs))
}

fn cost(federation: &Federation, requests: Requests) -> usize {
    each(federation, requests).map(|(stage, _)| 10 + 100 * stage).sum()
}

fn described(federation: &Federation, requests: Requests) -> String {
    let each = each(federation, requests).map(|(stage, subgraph)| format!("s{subgraph}@{stage}"));
    each.collect::<Vec<_>>().join(" ")
}

/// A set of requests that answers the operation for less and has no later stage; the cheapest one.
fn cheaper(federation: &Federation, operation: &Position, than: Requests) -> Option<Requests> {
    let stages = each(federation, than).map(|(stage, _)| stage + 1).max().unwrap_or(0).min(STAGES);
    let than = cost(federation, than);
    let mut sets: Vec<(usize, Requests)> = Vec::new();
    let mut open: Vec<(usize, usize, Requests)> = vec![(0, 0, 0)];
    while let Some((bit, spent, set)) = open.pop() {
        if bit == stages * federation.subgraphs {
            sets.push((spent, set));
            continue;
        }
        open.push((bit + 1, spent, set));
        let more = spent + 10 + 100 * (bit / federation.subgraphs);
        if more < than {
            open.push((bit + 1, more, set | 1 << bit));
        }
    }
    sets.sort_unstable();
    sets.into_iter().map(|(_, set)| set).find(|set| answers(federation, operation, *set))
}

/// Whether these requests can answer the operation.
fn answers(federation: &Federation, operation: &Position, requests: Requests) -> bool {
    let mut doors = vec![NEVER; federation.subgraphs];
    each(federation, requests).filter(|(stage, _)| *stage == 0).for_each(|(_, subgraph)| doors[subgraph] = 0);
    gives(federation, operation, requests, doors)
}

/// Whether the objects at a position, which are there through these doors (the stage for each subgraph), get what is selected.
fn gives(federation: &Federation, position: &Position, requests: Requests, doors: Vec<usize>) -> bool {
    let ty = &federation.types[position.ty];
    let mut open = doors;
    // When each leaf is there, with the requirements of those that have any.
    let mut there = vec![NEVER; ty.fields.len()];
    loop {
        let before = (open.clone(), there.clone());
        for (index, field) in ty.fields.iter().enumerate() {
            for (subgraph, at) in field.at.iter().enumerate() {
                match at {
                    Some(None) => there[index] = there[index].min(open[subgraph]),
                    Some(Some(required)) => {
                        let keyed = entered(federation, position.ty, subgraph, requests, &before.1, there[*required]);
                        there[index] = there[index].min(keyed);
                    }
                    None => {}
                }
            }
        }
        for (subgraph, stage) in open.iter_mut().enumerate() {
            *stage = (*stage).min(entered(federation, position.ty, subgraph, requests, &before.1, 0));
        }
        if (&open, &there) == (&before.0, &before.1) {
            break;
        }
    }
    position.leaves.iter().all(|leaf| there[*leaf] != NEVER)
        && position.below.iter().all(|(field, below)| {
            let gives_field = |subgraph: usize| ty.fields[*field].at[subgraph] == Some(None);
            let doors = (0..federation.subgraphs).map(|subgraph| if gives_field(subgraph) { open[subgraph] } else { NEVER });
            gives(federation, below, requests, doors.collect())
        })
}

/// The first stage at which objects can be entered in a subgraph by a key, when something else is there at stage `also`.
fn entered(federation: &Federation, ty: usize, subgraph: usize, requests: Requests, there: &[usize], also: usize) -> usize {
    let keys = &federation.types[ty].keys[subgraph];
    let complete = keys.iter().map(|key| key.iter().map(|field| there[*field]).max().unwrap_or(NEVER)).min();
    let ready = complete.unwrap_or(NEVER).max(also);
    let stages = each(federation, requests).filter(|(stage, other)| *other == subgraph && ready < *stage);
    stages.map(|(stage, _)| stage).min().unwrap_or(NEVER)
}
