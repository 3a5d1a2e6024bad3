//! The measurable house rules as tests: import arrows, sizes, file headers, names. CONTRIBUTING.md says what they are for.
//!
//! Relies on the source tree alone: files are read as text, with comments and the contents of strings blanked out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test fails by panicking.

#[path = "house/source.rs"] // Beside this file, so that it is not taken for a test of its own.
mod source;

#[path = "house/rows.rs"]
mod rows;

use std::collections::BTreeSet;

use source::{Source, read_all};

const MAX_FILE: usize = 400;
const MAX_FUNCTION: usize = 60;
const MAX_NESTING: usize = 3;
const MAX_PARAMETERS: usize = 5;

/// (file, rule, reason): what may break a rule, and why. An entry that is no longer needed fails the test too.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("src/pipeline/request_id.rs", "words", "every exchange has an id: there is nothing to configure"),
    (
        "src/pipeline/observe.rs",
        "siblings",
        "what `handle` does at an exchange's end: it counts, and writes the access log's line",
    ),
];

/// Who may import whom in `src/`: the arrows of ARCHITECTURE.md. `LEAVES` may be imported by all.
const ARROWS: &[(&str, &[&str])] = &[
    ("main", &["app", "cli"]),
    ("cli", &["app", "config", "reload", "snapshot"]),
    ("app", &["config", "reload", "server", "admin", "snapshot"]),
    ("reload", &["config", "snapshot", "upstream", "admin"]),
    ("config", &["pipeline", "graphql", "execute", "rest", "upstream", "server", "admin", "reload"]),
    ("server", &["snapshot", "pipeline"]),
    ("admin", &["snapshot"]),
    ("snapshot", &["config", "pipeline", "graphql", "execute", "rest", "upstream"]),
    ("pipeline", &["graphql", "rest"]),
    ("graphql", &["execute", "upstream"]),
    ("execute", &["upstream"]),
    ("rest", &["upstream"]),
    ("upstream", &[]),
];

/// Importable by every module, importing none of those above.
const LEAVES: &[&str] = &["exchange", "body", "busy", "coding", "error", "grpc", "telemetry", "units", "percent"];

/// Modules of `src/` that may use the crate `supergraph`.
const SUPERGRAPH_USERS: &[&str] = &["graphql", "execute", "snapshot", "reload", "app", "cli", "config"];

/// What the pure library may not touch.
const IMPURE: &[&str] =
    &["std::fs", "std::net", "std::time", "std::env", "std::thread", "std::process", "tokio", "http", "hyper", "tracing", "rand"];

/// Folders whose files do not import each other; only their `mod.rs` knows the order.
const SIBLINGS: &[&str] = &["src/pipeline/", "src/upstream/", "/rules/", "/passes/"];

/// Files of `src/pipeline` that are named after another word of `router.yaml` than their own.
const OTHER_WORDS: &[(&str, &str)] = &[
    ("auth", "authentication"),
    ("access", "authorization"),
    ("rate_limit", "ratelimit"),
    ("route", "routes"),
    ("concurrency", "concurrency_limit"),
    ("observe", "telemetry"),
];

fn check(rule: &str, findings: Vec<(String, String)>) {
    let excepted: BTreeSet<&str> = EXCEPTIONS.iter().filter(|entry| entry.1 == rule).map(|entry| entry.0).collect();
    let found: BTreeSet<&str> = findings.iter().map(|finding| finding.0.as_str()).collect();
    let stale: Vec<_> = excepted.difference(&found).collect();
    assert!(stale.is_empty(), "exceptions from \"{rule}\" that are no longer needed: {stale:?}");
    let broken: Vec<_> = findings.iter().filter(|finding| !excepted.contains(finding.0.as_str())).collect();
    let list: Vec<_> = broken.iter().map(|(file, what)| format!("  {file}: {what}")).collect();
    assert!(broken.is_empty(), "rule \"{rule}\" is broken by:\n{}\n", list.join("\n"));
}

fn findings(sources: &[Source], find: impl Fn(&Source) -> Vec<String>) -> Vec<(String, String)> {
    sources.iter().flat_map(|source| find(source).into_iter().map(|what| (source.path.clone(), what))).collect()
}

#[test]
fn every_file_says_what_it_is() {
    let all = read_all(&["src", "supergraph", "subgraphs-example", "tests", "benches"]);
    assert!(all.len() > 20, "the source tree was not found");
    check(
        "header",
        findings(&all, |source| {
            let is_described = source.text.starts_with("//! ");
            if is_described { vec![] } else { vec!["does not open with `//!`".to_owned()] }
        }),
    );
}

#[test]
fn files_and_functions_are_small() {
    let code = read_all(&["src", "supergraph/src", "subgraphs-example/src"]);
    check(
        "file size",
        findings(&code, |source| {
            let lines = source.code_lines();
            if lines > MAX_FILE { vec![format!("{lines} lines of code, {MAX_FILE} are allowed")] } else { vec![] }
        }),
    );
    check(
        "function size",
        findings(&code, |source| {
            let large = source.functions().into_iter().filter(|function| function.lines > MAX_FUNCTION);
            large
                .map(|function| format!("line {}: `{}` has {} lines of code", function.at, function.name, function.lines))
                .collect()
        }),
    );
    check(
        "parameters",
        findings(&code, |source| {
            let wide = source.functions().into_iter().filter(|function| function.parameters > MAX_PARAMETERS);
            wide.map(|function| format!("line {}: `{}` has {} parameters", function.at, function.name, function.parameters))
                .collect()
        }),
    );
    check(
        "nesting",
        findings(&code, |source| {
            let deep = source.functions().into_iter().filter(|function| function.nesting > MAX_NESTING);
            deep.map(|function| format!("line {}: `{}` nests {} levels", function.at, function.name, function.nesting)).collect()
        }),
    );
}

#[test]
fn imports_follow_the_arrows() {
    let gateway = read_all(&["src"]);
    check(
        "arrows",
        findings(&gateway, |source| {
            let module = source.module();
            let Some(from) = module.first().cloned() else { return vec![] };
            if from == "lib" {
                return vec![];
            }
            let arrows = ARROWS.iter().find(|arrow| arrow.0 == from).map(|arrow| arrow.1);
            if arrows.is_none() && !LEAVES.contains(&from.as_str()) {
                return vec![format!("module `{from}` is not in the table of arrows")];
            }
            let is_allowed = |to: &str| to == from || LEAVES.contains(&to) || arrows.is_some_and(|arrows| arrows.contains(&to));
            let imports = source.imports().into_iter().filter_map(|path| path.into_iter().next());
            let wrong: BTreeSet<_> = imports.filter(|to| !is_allowed(to)).collect();
            wrong.into_iter().map(|to| format!("`{from}` may not import `{to}`")).collect()
        }),
    );
    check(
        "users of supergraph",
        findings(&gateway, |source| {
            let from = source.module().first().cloned().unwrap_or_default();
            let uses = source.mentions("supergraph::") && !SUPERGRAPH_USERS.contains(&from.as_str());
            if uses { vec![format!("`{from}` may not use the crate supergraph")] } else { vec![] }
        }),
    );
}

#[test]
fn siblings_do_not_import_each_other() {
    let code = read_all(&["src", "supergraph/src"]);
    check(
        "siblings",
        findings(&code, |source| {
            let (folder, file) = source.path.rsplit_once('/').unwrap();
            let is_bound = SIBLINGS.iter().any(|siblings| format!("{folder}/").ends_with(siblings));
            if !is_bound || file == "mod.rs" {
                return vec![];
            }
            let own = source.module();
            let (own_name, parent) = own.split_last().unwrap();
            let siblings: BTreeSet<_> =
                code.iter().map(Source::module).filter(|it| it.len() == own.len() && it.starts_with(parent)).collect();
            let imports = source.imports().into_iter().filter(|path| path.len() >= own.len() && path.starts_with(parent));
            let wrong = imports
                .map(|path| path[..own.len()].to_vec())
                .filter(|path| siblings.contains(path) && path.last() != Some(own_name));
            wrong.map(|path| format!("imports its sibling `{}`", path.join("::"))).collect()
        }),
    );
}

#[test]
fn supergraph_is_pure_and_parses_in_one_place() {
    let library = read_all(&["supergraph/src"]);
    check(
        "purity",
        findings(&library, |source| {
            let touched =
                IMPURE.iter().filter(|name| source.mentions(&format!("{name}::")) || source.mentions(&format!("use {name};")));
            touched.map(|name| format!("uses `{name}`")).collect()
        }),
    );
    check(
        "parser",
        findings(&library, |source| {
            let is_elsewhere = source.mentions("Parser::") && source.path != "supergraph/src/document.rs";
            if is_elsewhere { vec!["calls the parser, which only `document.rs` does".to_owned()] } else { vec![] }
        }),
    );
}

#[test]
fn pipeline_files_are_words_of_router_yaml() {
    let read = |file: &str| std::fs::read_to_string(source::root().join(file)).expect(file);
    // The example shows most blocks; the type behind it has them all.
    let text = read("router.yaml") + &read("src/config.rs");
    let words: BTreeSet<&str> = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).collect();
    check(
        "words",
        findings(&read_all(&["src/pipeline"]), |source| {
            let module = source.module();
            let [_, own] = module.as_slice() else { return vec![] };
            let word = OTHER_WORDS.iter().find(|entry| entry.0 == own).map_or(own.as_str(), |entry| entry.1);
            if words.contains(word) { vec![] } else { vec![format!("router.yaml has no word `{word}`")] }
        }),
    );
}

#[test]
fn router_tests_are_named_after_what_they_test() {
    let folders = ["tests/pipeline", "tests/graphql", "tests/rest", "tests/upstream"];
    check(
        "test names",
        findings(&read_all(&folders), |source| {
            let tested = source.path.replacen("tests/", "src/", 1);
            let exists = source::root().join(&tested).exists() || source::root().join(tested.replace(".rs", "/mod.rs")).exists();
            if exists { vec![] } else { vec![format!("there is no {tested}")] }
        }),
    );
}
