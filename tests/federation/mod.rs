//! Whole federations end to end. A folder here is one federation: `subgraphs/*.graphql` on the world of `world.json`, or, without
//! those, the example's subgraphs. In it each `<operation>.graphql` says in its first line what it shows; `<operation>.json` is the
//! answer, `<operation>.variables.json` the variables. `reference` computes the reference operation's answer from the data.

mod reference;
mod unreachable;
mod wrong_answers;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use subgraphs_example::{Addresses, Example};

use crate::support::{Router, VirtualSubgraph};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/federation").join(name)
}

fn read(file: &Path) -> Option<Value> {
    std::fs::read_to_string(file).ok().map(|text| serde_json::from_str(&text).unwrap())
}

/// The files of a folder that end so, in order.
fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.to_string_lossy().ends_with(end)).collect();
    files.sort();
    files
}

/// Sends every operation of a folder and compares, `before` each. Of an answer's errors only the paths are compared, since
/// messages are the subgraphs' own.
async fn check(folder: &Path, router: &Router, before: impl Fn()) {
    let mut failed = Vec::new();
    let operations = files(folder, ".graphql");
    assert!(!operations.is_empty());
    for operation in operations {
        before();
        let text = std::fs::read_to_string(&operation).unwrap();
        assert!(text.starts_with("# "), "{operation:?} does not say what it shows");
        let variables = read(&operation.with_extension("variables.json")).unwrap_or(json!({}));
        let wanted = read(&operation.with_extension("json")).unwrap();
        let got = paths_only(router.operation(&text, variables).send().await.unwrap().json().await.unwrap());
        if got != wanted {
            failed.push(format!("{}\n  wanted {wanted}\n  got    {got}", operation.file_stem().unwrap().to_string_lossy()));
        }
    }
    assert!(failed.is_empty(), "{} operations are answered wrong:\n{}", failed.len(), failed.join("\n"));
}

fn paths_only(mut answer: Value) -> Value {
    for error in answer.get_mut("errors").and_then(Value::as_array_mut).into_iter().flatten() {
        *error = json!({ "path": error["path"] });
    }
    answer
}

/// Runs a federation of virtual subgraphs.
async fn check_virtual(name: &str) {
    let folder = folder(name);
    let world = Arc::new(read(&folder.join("world.json")).unwrap());
    let mut config = "include_subgraph_errors: { all: true }\nsubgraphs:\n".to_owned();
    for file in files(&folder.join("subgraphs"), ".graphql") {
        let subgraph = VirtualSubgraph::start(&std::fs::read_to_string(&file).unwrap(), world.clone()).await;
        config.push_str(&format!("  {}: {{ url: \"{}\" }}\n", file.file_stem().unwrap().to_string_lossy(), subgraph.url()));
    }
    check(&folder, &Router::start(&config).await, || {}).await;
}

#[tokio::test]
async fn contexts() {
    check_virtual("contexts").await;
}

#[tokio::test]
async fn example() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let router = Router::start_with(&example, "").await;
    check(&folder("example"), &router, || example.reviews().restore()).await;
}

#[tokio::test]
async fn abstract_types() {
    check_virtual("abstract_types").await;
}

#[tokio::test]
async fn interface_objects() {
    check_virtual("interface_objects").await;
}

#[tokio::test]
async fn keys() {
    check_virtual("keys").await;
}

#[tokio::test]
async fn nullability() {
    check_virtual("nullability").await;
}

#[tokio::test]
async fn requires() {
    check_virtual("requires").await;
}

#[tokio::test]
async fn root_reentry() {
    check_virtual("root_reentry").await;
}

#[tokio::test]
async fn shared_values() {
    check_virtual("shared_values").await;
}
