//! Composition beside npm's @apollo/composition, in CPU time, in one run: `cargo bench -p supergraph --bench compose -- FOLDER`.
//!
//! FOLDER holds inputs (`{"id", "subgraphs": [{"name", "url", "sdl"}]}`, one a file) and `perf_node.mjs`, which times the other one;
//! that is left out unless `CONFORMANCE_NODE` names where npm installed it. Without FOLDER only the growth is measured: a
//! federation of n subgraphs that we make here, for n from 10 to 100.
#![allow(clippy::expect_used, reason = "a benchmark may stop at the first surprise")]

use std::{env, fs, hint::black_box, path::Path, process::Command};

use serde_json::Value;
use supergraph::compose::{Source, compose};

/// What the binary uses as well.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// CPU milliseconds of this thread.
fn cpu() -> f64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells the CPU time of threads");
    stat.split(' ').next().and_then(|text| text.parse::<f64>().ok()).expect("a number") / 1e6
}

/// Milliseconds of one composition, warm: the best of five rounds, each long enough for the clock.
fn measure(sources: &[Source]) -> (f64, bool) {
    let start = cpu();
    let is_ok = compose(sources).is_ok();
    let rounds = (200.0 / (cpu() - start).max(0.5)).ceil().clamp(1.0, 400.0);
    let round = |_| {
        let start = cpu();
        (0..rounds as usize).for_each(|_| drop(black_box(compose(black_box(sources)))));
        (cpu() - start) / rounds
    };
    ((0..5).map(round).fold(f64::MAX, f64::min), is_ok)
}

fn read(path: &Path) -> Vec<Source> {
    let text = fs::read_to_string(path).expect("the input is a file");
    let input: Value = serde_json::from_str(&text).expect("the input is JSON");
    let text = |subgraph: &Value, key: &str| subgraph[key].as_str().unwrap_or_default().to_owned();
    let source =
        |subgraph: &Value| Source { name: text(subgraph, "name"), url: text(subgraph, "url"), sdl: text(subgraph, "sdl") };
    input["subgraphs"].as_array().expect("there are subgraphs").iter().map(source).collect()
}

/// CPU milliseconds of the other one, the best of three, and whether it composed.
fn reference(folder: &Path, input: &Path) -> Option<(f64, bool)> {
    env::var_os("CONFORMANCE_NODE")?;
    let output = Command::new("node").arg(folder.join("perf_node.mjs")).arg("apollo").arg(input).arg("3").output().ok()?;
    let told: Value = serde_json::from_slice(&output.stdout).ok()?;
    Some((told["best_cpu_ms"].as_f64()?, told["runs"][0]["ok"].as_bool()?))
}

fn beside_the_reference(folder: &Path) {
    let mut inputs: Vec<_> = fs::read_dir(folder).expect("the folder is there").flatten().map(|entry| entry.path()).collect();
    inputs.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    inputs.sort();
    for input in inputs {
        let (ours, is_ok) = measure(&read(&input));
        let name = input.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        let outcome = if is_ok { "composes" } else { "is refused" };
        match reference(folder, &input) {
            Some((theirs, true)) => println!("{name:24} {outcome:10} {ours:9.2} ms | {theirs:8.0} ms | 1/{:.0}", theirs / ours),
            Some((theirs, false)) => println!("{name:24} {outcome:10} {ours:9.2} ms | {theirs:8.0} ms, refused"),
            None => println!("{name:24} {outcome:10} {ours:9.2} ms"),
        }
    }
}

/// A federation of `count` subgraphs of 40 types each: entities with two keys that refer to those of the next subgraph, an extension
/// of each of the next one's entities, and values that every ten subgraphs share.
fn federation(count: usize) -> Vec<Source> {
    let subgraph = |index: usize| {
        let (next, group) = ((index + 1) % count, index / 10);
        let mut sdl = String::from(
            "extend schema @link(url: \"https://specs.apollo.dev/federation/v2.9\", import: [\"@key\", \"@shareable\", \"@external\", \
             \"@requires\", \"@tag\"])\n",
        );
        for ty in 0..20 {
            sdl.push_str(&format!(
                "type E{index}_{ty} @key(fields: \"id\") @key(fields: \"sku\") {{ id: ID! sku: String! name(first: Int = 5): String \
                 @tag(name: \"a\") list: [V{group}_{}!] next: E{next}_{ty} }}\n\
                 type E{next}_{ty} @key(fields: \"id\") {{ id: ID! sku: String! @external by{index}: Int @requires(fields: \"sku\") }}\n",
                ty % 5
            ));
        }
        for ty in 0..5 {
            sdl.push_str(&format!("type V{group}_{ty} @shareable {{ a: Int b: String! c: [Float!] }}\n"));
        }
        sdl.push_str(&format!("type Query {{ e{index}(id: ID!): E{index}_0 all{index}: [E{index}_1!]! }}\n"));
        Source { name: format!("s{index:03}"), url: String::new(), sdl }
    };
    (0..count).map(subgraph).collect()
}

fn growth() {
    let mut first = None;
    for count in [10, 20, 40, 80, 100] {
        let sources = federation(count);
        let (took, is_ok) = measure(&sources);
        assert!(is_ok, "the federation of {count} subgraphs composes");
        let per_subgraph = took / count as f64;
        let relative = per_subgraph / *first.get_or_insert(per_subgraph);
        println!("{count:3} subgraphs, made here {took:9.2} ms, {per_subgraph:.3} ms a subgraph: {relative:.2} of that of ten");
    }
}

fn main() {
    // Cargo adds `--bench`.
    if let Some(folder) = env::args().skip(1).find(|argument| !argument.starts_with("--")) {
        println!("{:35} {:>12} | npm @apollo/composition", "CPU time", "ours");
        beside_the_reference(Path::new(&folder));
    }
    growth();
}
