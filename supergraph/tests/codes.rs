//! `docs/composition-codes.md` is the table of codes; `UPDATE_CASES=1` writes it. Every code that a case shows is in the table.

#![allow(clippy::unwrap_used, reason = "a failing test may panic")]

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use supergraph::compose::codes::{ERRORS, HINTS};

fn document() -> String {
    let mut out = String::from("# Codes of composition\n\nGenerated from the table in `supergraph/src/compose/codes.rs`.\n");
    out.push_str("`a:` and `b:` stand for subgraphs.\n\n## Errors\n\n| code | meaning | example |\n|---|---|---|\n");
    for (code, meaning, example) in ERRORS {
        let _ = writeln!(out, "| {code} | {meaning} | `{}` |", example.replace('|', "\\|"));
    }
    out.push_str("\n## Hints\n\n| code | level | meaning |\n|---|---|---|\n");
    for (code, level, meaning) in HINTS {
        let _ = writeln!(out, "| {code} | {} | {meaning} |", format!("{level:?}").to_uppercase());
    }
    out
}

#[test]
fn the_document_is_the_table() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/composition-codes.md");
    if std::env::var_os("UPDATE_CASES").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, document()).unwrap();
    }
    assert_eq!(fs::read_to_string(file).unwrap(), document());
}

#[test]
fn the_table_is_sorted_and_has_every_code_of_the_cases() {
    let errors: Vec<&str> = ERRORS.iter().map(|(code, ..)| *code).collect();
    let hints: Vec<&str> = HINTS.iter().map(|(code, ..)| *code).collect();
    assert!(errors.is_sorted() && hints.is_sorted());
    let known: BTreeSet<&str> = errors.into_iter().chain(hints).collect();
    let cases = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compose")).unwrap();
    for case in cases.map(|entry| entry.unwrap().path()) {
        let errors = fs::read_to_string(case.join("errors.txt")).unwrap_or_default();
        let hints = fs::read_to_string(case.join("hints.txt")).unwrap_or_default();
        let of_errors = errors.lines().filter_map(|line| line.split(' ').next());
        let of_hints = hints.lines().filter_map(|line| line.split(' ').nth(1));
        for code in of_errors
            .chain(of_hints)
            .filter(|word| word.len() > 6 && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'))
        {
            assert!(known.contains(code), "{code} of {} is not in the table", case.display());
        }
    }
}
