//! What a planning run may use: with too few tries, or in a hurry, it gives a plan of everything that was asked for, which may be longer;
//! with too little memory, or stopped, it gives a typed error, and soon.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test may panic")]

mod families;

use apollo_compiler::ExecutableDocument;
use families::{FAMILIES, Family};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use supergraph::compose::{Source, compose};
use supergraph::model::Supergraph;
use supergraph::plan::operation::Operation;
use supergraph::plan::{self, Limits, Pace, Plan, PlanError, PlanOptions, Tables};

/// A stopped run looks up that often, in a debug build on a busy machine.
const SOON: Duration = Duration::from_secs(2);

/// An operation that is hard to plan.
struct Hard {
    name: &'static str,
    supergraph: Supergraph,
    tables: Tables,
    operation: Operation,
}

impl Hard {
    fn new(family: &Family, size: usize) -> Self {
        let (subgraphs, text) = (family.make)(size);
        let source = |(index, sdl)| Source { name: format!("s{index}"), url: String::new(), sdl };
        let sources: Vec<Source> = subgraphs.into_iter().enumerate().map(source).collect();
        let supergraph = Supergraph::read(&compose(&sources).unwrap().supergraph).unwrap();
        let document = ExecutableDocument::parse_and_validate(&supergraph.client, text, "operation").unwrap();
        let operation = Operation::new(&supergraph, &document, None).unwrap();
        Self { name: family.name, tables: Tables::new(&supergraph), operation, supergraph }
    }

    fn plan(&self, limits: Limits, pace: &Arc<Pace>) -> Result<Plan, PlanError> {
        let options = PlanOptions { limits, pace: pace.clone(), ..PlanOptions::default() };
        plan::plan(&self.supergraph, &self.tables, &self.operation, &options)
    }

    /// Holds a plan to the best one: all that was asked for is in it. (That each document is valid is looked at in debug builds.)
    fn is_whole(&self, plan: &Plan) {
        assert_eq!(plan.shape.unreachable().count(), 0, "{}", self.name);
        let all = self.plan(Limits::default(), &Arc::default()).unwrap();
        let shown = |plan: &Plan| plan.shape.layouts.iter().map(|(_, layout)| layout.fields.len()).sum::<usize>();
        assert_eq!(shown(plan), shown(&all), "{}", self.name);
    }
}

fn small() -> impl Iterator<Item = Hard> {
    FAMILIES.iter().map(|family| Hard::new(family, (family.size / 4).max(3)))
}

#[test]
fn without_tries_a_plan_is_whole() {
    for hard in small() {
        for states in [0, 1, 2, 3] {
            let plan = hard.plan(Limits { states, ..Limits::default() }, &Arc::default()).unwrap();
            hard.is_whole(&plan);
        }
    }
}

#[test]
fn in_a_hurry_a_plan_is_whole() {
    for hard in small() {
        let pace = Arc::new(Pace::default());
        pace.hurry();
        hard.is_whole(&hard.plan(Limits::default(), &pace).unwrap());
    }
}

#[test]
fn with_too_little_memory_there_is_a_typed_error() {
    for hard in small() {
        for memory in [0, 1000] {
            let planned = hard.plan(Limits { memory, ..Limits::default() }, &Arc::default());
            assert_eq!(planned.unwrap_err(), PlanError::TooLarge, "{}", hard.name);
        }
    }
}

#[test]
fn stopped_before_it_starts_a_run_gives_nothing() {
    for hard in small() {
        let pace = Arc::new(Pace::default());
        pace.stop();
        assert_eq!(hard.plan(Limits::default(), &pace).unwrap_err(), PlanError::Stopped, "{}", hard.name);
    }
}

#[test]
fn stopped_while_it_runs_a_run_ends_soon() {
    for family in FAMILIES {
        let hard = Hard::new(family, family.size);
        let pace = Arc::new(Pace::default());
        let (planned, stopped) = thread::scope(|scope| {
            let run = scope.spawn(|| hard.plan(Limits::default(), &pace));
            thread::park_timeout(Duration::from_millis(1));
            pace.stop();
            let stopped = Instant::now();
            (run.join().unwrap(), stopped)
        });
        assert!(stopped.elapsed() < SOON, "{}: {:?}", family.name, stopped.elapsed());
        // What is planned within that time is planned.
        if let Err(error) = planned {
            assert_eq!(error, PlanError::Stopped, "{}", family.name);
        }
    }
}
