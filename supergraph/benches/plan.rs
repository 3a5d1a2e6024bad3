//! Planning what is hard to plan: each family at its size and at twice that, in CPU time, and by how much it grows.
//!
//! `cargo bench -p supergraph --bench plan` prints all; a word after `--` chooses families by name. What is measured is planning
//! alone, without parsing and validating. Numbers are written down in benches/numbers.md of the workspace.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark that fails may panic")]

#[path = "../tests/families/mod.rs"]
mod families;

use apollo_compiler::ExecutableDocument;
use families::{FAMILIES, Family};
use supergraph::compose::{Source, compose};
use supergraph::model::Supergraph;
use supergraph::plan::operation::Operation;
use supergraph::plan::{self, PlanOptions, Tables};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    println!("{:<50} {:>12} {:>12} {:>7}", "family, n", "n, ms", "2n, ms", "growth");
    for family in FAMILIES.iter().filter(|family| chosen.is_empty() || chosen.iter().any(|word| family.name.contains(word))) {
        let (once, twice) = (time(family, family.size), time(family, 2 * family.size));
        let growth = twice / once;
        let name = format!("{}, {}", family.name, family.size);
        println!("{name:<50} {:>12.3} {:>12.3} {growth:>7.2}", once * 1e3, twice * 1e3);
    }
}

/// CPU seconds of this thread. The kernel counts in steps of some milliseconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

/// CPU seconds, the mean of several runs.
fn time(family: &Family, size: usize) -> f64 {
    let (subgraphs, text) = (family.make)(size);
    let source = |(index, sdl)| Source { name: format!("s{index}"), url: String::new(), sdl };
    let sources: Vec<Source> = subgraphs.into_iter().enumerate().map(source).collect();
    let supergraph = Supergraph::read(&compose(&sources).unwrap().supergraph).unwrap();
    let tables = Tables::new(&supergraph);
    let document = ExecutableDocument::parse_and_validate(&supergraph.client, text, "operation").unwrap();
    let operation = Operation::new(&supergraph, &document, None).unwrap();
    let (begun, mut runs) = (cpu(), 0.0);
    while runs == 0.0 || cpu() - begun < 0.5 {
        plan::plan(&supergraph, &tables, &operation, &PlanOptions::default()).unwrap();
        runs += 1.0;
    }
    (cpu() - begun) / runs
}
