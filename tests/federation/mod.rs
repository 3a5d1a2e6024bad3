//! Whole federations end to end. Each folder here is a case over the example federation: `operation.graphql`, `variables.json`
//! where it has some, `answer.json`, and `why.md`. `reference` computes its answer from the data instead.

mod reference;

use std::path::Path;

use serde_json::{Value, json};
use subgraphs_example::{Addresses, Example};

use crate::support::Router;

#[tokio::test]
async fn cases_are_answered_as_written() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let router = Router::start_with(&example, "").await;
    let mut failed = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/federation")).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        count += 1;
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
        let variables = read("variables.json").map_or(json!({}), |text| serde_json::from_str(&text).unwrap());
        let operation = read("operation.graphql").unwrap();
        let wanted: Value = serde_json::from_str(&read("answer.json").unwrap()).unwrap();
        example.reviews().restore();
        let response = router.operation(&operation, variables).send().await.unwrap();
        let body = response.bytes().await.unwrap();
        let got = paths_only(serde_json::from_slice(&body).unwrap());
        if got != wanted {
            failed.push(format!("{}\n  wanted {wanted}\n  got    {got}", folder.file_name().unwrap().to_string_lossy()));
        }
    }
    assert!(count >= 10, "the cases were not found");
    assert!(failed.is_empty(), "{} of {count} cases failed:\n{}", failed.len(), failed.join("\n"));
}

/// Of an answer's errors a case states only the paths: messages are the subgraphs' own.
fn paths_only(mut answer: Value) -> Value {
    for error in answer.get_mut("errors").and_then(Value::as_array_mut).into_iter().flatten() {
        *error = json!({ "path": error["path"] });
    }
    answer
}
