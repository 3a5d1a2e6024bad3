//! Planning cases: each folder of `tests/plan/` is a federation, an operation and its plan.
//!
//! ```text
//! <case>/subgraphs/<name>.graphql   the subgraphs
//! <case>/operation.graphql          the operation
//! <case>/plan.txt                   its plan as text
//! <case>/stages.txt                 what each stage makes of it, where a case is about that
//! <case>/why.md                     one sentence: what the case shows
//! ```
//! Every fetch document is validated against the schema of its subgraph. `UPDATE_CASES=1` writes the plans of today; the change is
//! then reviewed like code.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test may panic")]

use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};
use std::fs;
use std::path::{Path, PathBuf};
use supergraph::compose::{Source, compose};
use supergraph::model::Supergraph;
use supergraph::plan::operation::Operation;
use supergraph::plan::{self, PlanOptions, PlanStage, Tables};

#[test]
fn every_case_has_its_plan() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plan");
    let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    cases.sort();
    assert!(!cases.is_empty(), "there are no cases in {}", folder.display());
    let failures: Vec<String> = cases.iter().filter_map(|case| check(case).err()).collect();
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

/// Plans the operation of a case and compares the plan.
fn check(case: &Path) -> Result<(), String> {
    let name = case.file_name().unwrap().to_string_lossy().into_owned();
    let sources = sources(case);
    let supergraph = Supergraph::read(&compose(&sources).unwrap().supergraph).unwrap();
    let tables = Tables::new(&supergraph);
    let text = fs::read_to_string(case.join("operation.graphql")).unwrap();
    let document = ExecutableDocument::parse_and_validate(&supergraph.client, text, "operation.graphql").unwrap();
    let operation = Operation::new(&supergraph, &document, None).unwrap();
    let options = PlanOptions::default();
    let plan = plan::plan(&supergraph, &tables, &operation, &options).unwrap();
    for (_, fetch) in plan.fetches.iter() {
        let subgraph = &supergraph.subgraph(fetch.subgraph).name;
        let source = sources.iter().find(|source| *source.name == **subgraph).unwrap();
        if let Err(errors) = ExecutableDocument::parse_and_validate(&schema(&source.sdl), &fetch.document, "fetch") {
            return Err(format!("{name}: {subgraph} refuses {}\n{errors}", fetch.document));
        }
    }
    if fs::read_to_string(case.join("why.md")).unwrap_or_default().trim().is_empty() {
        return Err(format!("{name}: why.md is missing"));
    }
    let printed = plan::print(&supergraph, &tables, &operation, &options).unwrap().text;
    expect(&case.join("plan.txt"), &printed)?;
    let path = case.join("stages.txt");
    if path.exists() {
        let stages = [PlanStage::Options, PlanStage::Choice, PlanStage::Fetches];
        let stage = |stage| plan::print_stage(&supergraph, &tables, &operation, &options, stage).unwrap();
        expect(&path, &stages.map(stage).join("\n"))?;
    }
    Ok(())
}

/// Compares with a file, or writes it.
fn expect(path: &Path, printed: &str) -> Result<(), String> {
    if std::env::var_os("UPDATE_CASES").is_some() {
        fs::write(path, printed).unwrap();
    } else if fs::read_to_string(path).ok().as_deref() != Some(printed) {
        return Err(format!("{} should be\n{printed}", path.display()));
    }
    Ok(())
}

fn sources(case: &Path) -> Vec<Source> {
    let mut files: Vec<PathBuf> = fs::read_dir(case.join("subgraphs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let source = |path: &PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        Source { url: format!("http://{name}.example"), sdl: fs::read_to_string(path).unwrap(), name }
    };
    files.iter().map(source).collect()
}

/// The schema that a subgraph answers with: its own SDL and the entities field. Definitions of federation directives are not
/// needed, since only operations are validated.
fn schema(sdl: &str) -> Valid<Schema> {
    let own = Schema::parse(sdl, "subgraph").unwrap_or_else(|errors| errors.partial);
    let entities: Vec<&str> =
        own.types.iter().filter(|(_, ty)| ty.is_object() && ty.directives().has("key")).map(|(name, _)| name.as_str()).collect();
    let mut text = sdl.to_owned();
    if !entities.is_empty() {
        text.push_str("\nscalar _Any\nunion _Entity = ");
        text.push_str(&entities.join(" | "));
        text.push_str("\nextend type Query { _entities(representations: [_Any!]!): [_Entity]! }\n");
    }
    if own.get_object("Query").is_none() {
        text.push_str("type Query { _none: Int }\n");
    }
    Valid::assume_valid(Schema::parse(text, "subgraph").unwrap_or_else(|errors| errors.partial))
}
