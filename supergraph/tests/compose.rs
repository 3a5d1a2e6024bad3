//! Composition cases: each folder of `tests/compose/` is a federation and what composition makes of it.
//!
//! ```text
//! <case>/subgraphs/<name>.graphql   the subgraphs
//! <case>/supergraph.graphql         the supergraph SDL ...
//! <case>/hints.txt                  ... and, if there are any, the hints: one line each, level, code and message
//! <case>/errors.txt                 or the errors: one line each, code, place and message
//! <case>/why.md                     one sentence: what the case shows
//! ```
//! `UPDATE_CASES=1` writes what composition makes today; the change is then reviewed like code.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use supergraph::compose::{Source, compose, compose_with_places};
use supergraph::diagnostics::Diagnostic;

#[test]
fn every_case_gives_what_it_expects() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compose");
    let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    cases.sort();
    assert!(!cases.is_empty(), "there are no cases in {}", folder.display());
    let failures: Vec<String> = cases.iter().filter_map(|case| check(case).err()).collect();
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

/// What is not about one place in one subgraph's SDL.
const PLACELESS: [&str; 2] = ["NO_QUERIES", "INVALID_SUBGRAPH_NAME"];

#[test]
fn every_error_and_every_hint_says_where() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compose");
    let cases = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let mut without = Vec::new();
    for case in cases {
        let diagnostics = match compose_with_places(&read_sources(&case)) {
            Ok(composition) => composition.hints,
            Err(errors) => errors,
        };
        let has_place = |diagnostic: &Diagnostic| diagnostic.places.iter().any(|place| place.at.is_some());
        let placeless = diagnostics.iter().filter(|diagnostic| !has_place(diagnostic) && !PLACELESS.contains(&diagnostic.code));
        without.extend(placeless.map(|diagnostic| format!("{}: {}: {}", case.display(), diagnostic.code, diagnostic.message)));
    }
    assert!(without.is_empty(), "{}", without.join("\n"));
}

/// Composes the subgraphs of a case, in both orders, and compares the outcome with the expectation.
fn check(case: &Path) -> Result<(), String> {
    let name = case.file_name().unwrap().to_string_lossy().into_owned();
    let mut sources = read_sources(case);
    let outcome = compose_to_files(&sources);
    sources.reverse();
    if compose_to_files(&sources) != outcome {
        return Err(format!("{name}: the order of the subgraphs changes the outcome"));
    }
    let why = fs::read_to_string(case.join("why.md")).unwrap_or_default();
    if why.trim().is_empty() {
        return Err(format!("{name}: why.md is missing"));
    }
    for (file, text) in outcome {
        let path = case.join(file);
        if std::env::var_os("UPDATE_CASES").is_some() {
            match text {
                Some(text) => fs::write(&path, text).unwrap(),
                None => drop(fs::remove_file(&path)),
            }
        } else if fs::read_to_string(&path).ok() != text {
            return Err(format!("{name}: {file} should be\n{}", text.as_deref().unwrap_or("(absent)")));
        }
    }
    Ok(())
}

fn read_sources(case: &Path) -> Vec<Source> {
    let mut files: Vec<PathBuf> = fs::read_dir(case.join("subgraphs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let source = |path: &PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        Source { url: format!("http://{name}.example"), sdl: fs::read_to_string(path).unwrap(), name }
    };
    files.iter().map(source).collect()
}

type Files = [(&'static str, Option<String>); 3];

fn compose_to_files(sources: &[Source]) -> Files {
    let (supergraph, hints, errors) = match compose(sources) {
        Ok(composition) => (Some(composition.supergraph), composition.hints, Vec::new()),
        Err(errors) => (None, Vec::new(), errors),
    };
    let lines = |diagnostics: &[Diagnostic], print: fn(&Diagnostic) -> String| {
        let lines: String = diagnostics.iter().map(print).collect();
        (!lines.is_empty()).then_some(lines)
    };
    [
        ("supergraph.graphql", supergraph),
        ("hints.txt", lines(&hints, |hint| format!("{:?} {} {}\n", hint.level, hint.code, hint.message))),
        ("errors.txt", lines(&errors, |error| format!("{} {} {}\n", error.code, place(error), error.message))),
    ]
}

/// The first place of an error: `subgraph:line:column`.
fn place(error: &Diagnostic) -> String {
    let Some(place) = error.places.first() else { return "-".to_owned() };
    let subgraph = place.subgraph.as_deref().unwrap_or("-");
    place.at.map_or(subgraph.to_owned(), |(line, column)| format!("{subgraph}:{line}:{column}"))
}
