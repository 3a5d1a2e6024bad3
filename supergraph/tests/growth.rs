//! The time of planning grows about linearly with the operation, on everything that is known to be hard to plan.
//!
//! Measured is CPU time of a debug build, with the check of fetch documents in it; `cargo bench -p supergraph --bench plan` measures
//! planning alone, at full size.
#![allow(clippy::unwrap_used, reason = "a failing test may panic")]

mod families;

use apollo_compiler::ExecutableDocument;
use families::{FAMILIES, Family};
use std::fs;
use supergraph::compose::{Source, compose};
use supergraph::model::Supergraph;
use supergraph::plan::operation::Operation;
use supergraph::plan::{self, PlanOptions, Tables};

/// How much longer an operation of twice the size may take: twice, and half as much again for what a busy machine adds.
const MOST_GROWTH: f64 = 3.0;

/// Below so many seconds more nothing can be said.
const LEAST: f64 = 0.02;

#[test]
fn planning_time_grows_with_the_operation_and_no_faster() {
    for family in FAMILIES {
        let half = seconds(family, family.size / 2);
        let whole = seconds(family, family.size);
        let is_linear = whole < MOST_GROWTH * half + LEAST;
        assert!(is_linear, "{}: {half:.4} s for {}, {whole:.4} s for twice that", family.name, family.size / 2);
    }
}

/// CPU seconds of this thread. The kernel counts in steps of some milliseconds.
fn cpu() -> f64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

/// What planning an operation of this size takes.
fn seconds(family: &Family, size: usize) -> f64 {
    let (subgraphs, text) = (family.make)(size);
    let source = |(index, sdl)| Source { name: format!("s{index}"), url: String::new(), sdl };
    let sources: Vec<Source> = subgraphs.into_iter().enumerate().map(source).collect();
    let supergraph = Supergraph::read(&compose(&sources).unwrap().supergraph).unwrap();
    let tables = Tables::new(&supergraph);
    let document = ExecutableDocument::parse_and_validate(&supergraph.client, text, "operation").unwrap();
    let operation = Operation::new(&supergraph, &document, None).unwrap();
    plan::plan(&supergraph, &tables, &operation, &PlanOptions::default()).unwrap();
    let (begun, mut runs) = (cpu(), 0.0);
    while runs == 0.0 || (cpu() - begun < 0.1 && runs < 20.0) {
        plan::plan(&supergraph, &tables, &operation, &PlanOptions::default()).unwrap();
        runs += 1.0;
    }
    (cpu() - begun) / runs
}
