//! What is composed depends on nothing but the set of subgraphs, reads back, and prints the same again. The inputs are the
//! cases of `compose/`.

#![allow(clippy::unwrap_used, reason = "a failing test may panic")]

use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use supergraph::compose::{Source, compose};
use supergraph::document;
use supergraph::model::Supergraph;

fn cases() -> Vec<Vec<Source>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compose");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.is_dir()).map(|case| sources(&case)).collect()
}

fn sources(case: &Path) -> Vec<Source> {
    let mut files: Vec<PathBuf> = fs::read_dir(case.join("subgraphs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let source = |file: &PathBuf| {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        Source { url: format!("http://{name}.example"), sdl: fs::read_to_string(file).unwrap(), name }
    };
    files.iter().map(source).collect()
}

#[test]
fn what_is_composed_reads_back_and_prints_the_same_again() {
    for sources in cases() {
        let Ok(composition) = compose(&sources) else { continue };
        assert!(Supergraph::read(&composition.supergraph).is_ok(), "{}", composition.supergraph);
        let first = document::sdl(&composition.supergraph, "supergraph").unwrap().to_string();
        let second = document::sdl(&first, "supergraph").unwrap().to_string();
        assert_eq!(first, second);
    }
}

#[test]
fn the_order_of_subgraphs_does_not_matter() {
    let cases: Vec<Vec<Source>> = cases().into_iter().filter(|case| case.len() > 1).collect();
    let shuffled = prop::sample::select(cases).prop_flat_map(|case| (Just(case.clone()), Just(case).prop_shuffle()));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(100));
    let result = runner.run(&shuffled, |(sorted, shuffled)| {
        match (compose(&sorted), compose(&shuffled)) {
            (Ok(a), Ok(b)) => {
                prop_assert_eq!(a.supergraph, b.supergraph);
                prop_assert_eq!(a.api_schema, b.api_schema);
                prop_assert_eq!(a.hints, b.hints);
            }
            (Err(a), Err(b)) => prop_assert_eq!(a, b),
            _ => prop_assert!(false, "the outcome depends on the order"),
        }
        Ok(())
    });
    result.unwrap();
}
