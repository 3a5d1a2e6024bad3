//! `@defer` as parts of a plan. The oracle: whatever is deferred, everything that the operation without `@defer` fetches is fetched; no part
//! waits for one that is delivered after it; and what is not deferred fetches nothing that is, unless it cannot be had in another way.
//! Every document is validated against its subgraph, as in all debug builds.
//! Spec: <https://github.com/graphql/defer-stream-wg/discussions/69>
#![allow(clippy::unwrap_used, reason = "a failing test may panic")]

mod families;

use apollo_compiler::ast::{self, Argument, Definition, Directive, DirectiveList, InlineFragment, Selection, Value};
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Name, Node};
use families::FAMILIES;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use supergraph::compose::{Source, compose};
use supergraph::ids::{Id, LayoutId, PartId, ReadId};
use supergraph::model::Supergraph;
use supergraph::plan::operation::{Operation, OperationError};
use supergraph::plan::shape::{OutputField, PathElement, ReadValue};
use supergraph::plan::{self, Fetch, Plan, PlanOptions, Tables, Target};

const LINK: &str = r#"extend schema @link(url: "https://specs.apollo.dev/federation/v2.9",
    import: ["@key", "@requires", "@external", "@provides", "@shareable"])"#;

const A: &str = r#"
    type Query { t: T ts: [T!] i: I other: Int value: V }
    type Mutation { set: T touch: Int }
    interface I { id: ID! name: String }
    type T implements I @key(fields: "id") { id: ID! name: String a: Int next: T size: Int }
    type U implements I @key(fields: "id") { id: ID! name: String u: Int }
    type V { x: Int y: Int }"#;
const B: &str = r#"
    type T @key(fields: "id") { id: ID! b: Int deep: D size: Int @external cost: Int @requires(fields: "size") }
    type D @key(fields: "code") { code: ID! d: Int }"#;
const C: &str = r#"
    type D @key(fields: "code") { code: ID! e: Int }
    type U @key(fields: "id") { id: ID! c: Int }"#;

/// How a document's operation is read: with its `@defer` or without.
type Lower = fn(&Supergraph, &Valid<ExecutableDocument>, Option<&str>) -> Result<Operation, OperationError>;

struct World {
    supergraph: Supergraph,
    tables: Tables,
}

impl World {
    fn new(subgraphs: &[String]) -> Self {
        let source = |(index, sdl): (usize, &String)| Source { name: format!("s{index}"), url: String::new(), sdl: sdl.clone() };
        let sources: Vec<Source> = subgraphs.iter().enumerate().map(source).collect();
        let supergraph = Supergraph::read(&compose(&sources).unwrap().supergraph).unwrap();
        Self { tables: Tables::new(&supergraph), supergraph }
    }

    fn abc() -> Self {
        Self::new(&[A, B, C].map(|sdl| format!("{LINK} {sdl}")))
    }

    fn operation(&self, text: &str, lower: Lower) -> Operation {
        let document = ExecutableDocument::parse_and_validate(&self.supergraph.client_with_defer(), text, "operation").unwrap();
        lower(&self.supergraph, &document, None).unwrap()
    }

    /// Plans an operation and holds the plan to the oracle. Fields that are deferred and yet fetched by a part above.
    fn check(&self, text: &str) -> Vec<String> {
        let options = PlanOptions::default();
        let plan = |operation: &Operation| plan::plan(&self.supergraph, &self.tables, operation, &options).unwrap();
        let (deferred, whole) = (plan(&self.operation(text, Operation::with_defer)), plan(&self.operation(text, Operation::new)));
        assert!(whole.parts.is_empty() && whole.fetches.iter().all(|(_, fetch)| fetch.part.is_none()));
        let all = |plan: &Plan| {
            plan.fetches.iter().flat_map(|(_, fetch)| fields(plan, fetch)).map(|field| field.0).collect::<BTreeSet<_>>()
        };
        assert_eq!(all(&deferred), all(&whole), "{text}");
        let mut early = BTreeSet::new();
        for (_, fetch) in deferred.fetches.iter() {
            let own = chain(&deferred, fetch.part);
            for other in &fetch.after {
                let part = deferred.fetches.get(*other).unwrap().part;
                assert!(own.contains(&part), "{text}: {:?} waits for {part:?}", fetch.part);
            }
            for (field, part) in fields(&deferred, fetch) {
                let is_above = chain(&deferred, part).contains(&fetch.part);
                assert!(is_above || own.contains(&part), "{text}: {field} of {part:?} in {:?}", fetch.part);
                if part != fetch.part && is_above {
                    early.insert(field);
                }
            }
        }
        early.into_iter().collect()
    }

    fn text(&self, operation: &str) -> String {
        let operation = self.operation(operation, Operation::with_defer);
        plan::print_each(&self.supergraph, &self.tables, &operation, &PlanOptions::default()).unwrap().text
    }

    /// How many requests each part has, the primary one first.
    fn counts(&self, operation: &str) -> Vec<usize> {
        self.counts_without(operation, &[])
    }

    /// The same when these variables are false.
    fn counts_without(&self, operation: &str, undeferred: &[&str]) -> Vec<usize> {
        let undeferred = undeferred.iter().map(|variable| (*variable).into()).collect();
        let options = PlanOptions { undeferred, ..PlanOptions::default() };
        let operation = self.operation(operation, Operation::with_defer);
        let plan = plan::plan(&self.supergraph, &self.tables, &operation, &options).unwrap();
        let of = |part| plan.fetches.iter().filter(|(_, fetch)| fetch.part == part).count();
        std::iter::once(None).chain((0..plan.parts.len()).map(|part| Some(PartId::new(part)))).map(of).collect()
    }
}

fn chain(plan: &Plan, part: Option<PartId>) -> Vec<Option<PartId>> {
    let mut chain = vec![part];
    while let Some(Some(last)) = chain.last() {
        chain.push(plan.parts.get(*last).unwrap().above);
    }
    chain
}

/// The client's fields that a fetch reads, with their parts.
fn fields(plan: &Plan, fetch: &Fetch) -> Vec<(String, Option<PartId>)> {
    let mut open: Vec<ReadId> = match &fetch.target {
        Target::Root { read, .. } => vec![*read],
        Target::Entities(batches) => batches.iter().flat_map(|batch| &batch.at).map(|at| at.read).collect(),
    };
    let mut found = Vec::new();
    while let Some(read) = open.pop() {
        let read = plan.shape.reads.get(read).unwrap();
        for field in &read.fields {
            if let ReadValue::Object(below) = &field.value {
                open.push(*below);
            }
            let layout = plan.shape.layouts.get(read.layout).unwrap();
            let shown = |output: &&OutputField| output.slot == field.slot;
            found.extend(layout.fields.iter().find(shown).map(|output| (place(plan, read.layout, &output.key), output.part)));
        }
    }
    found
}

fn place(plan: &Plan, layout: LayoutId, key: &str) -> String {
    let steps = plan.shape.layouts.get(layout).unwrap().path.iter().map(|step| match step {
        PathElement::Field(key) => &**key,
        PathElement::Items => "@",
    });
    steps.chain([key]).collect::<Vec<_>>().join(".")
}

fn nothing() -> Vec<String> {
    Vec::new()
}

#[test]
fn what_is_deferred_is_fetched_later_by_a_key_from_what_is_not() {
    let world = World::abc();
    assert_eq!(world.check("{ t { a ... @defer(label: \"later\") { b } } }"), nothing());
    let text = world.text("{ t { a ... @defer(label: \"later\") { b } } }");
    let wanted = r#"QueryPlan {
  Defer {
    Primary {
      { t { a } }
      Fetch(service: "s0", id: 0) {
        {
          t {
            id
            a
          }
        }
      }
    }
    Deferred(path: "t", depends: [0], label: "later") {
      { b }
      Flatten(path: "t") {
        Fetch(service: "s1") {
          {
            ... on T {
              __typename
              id
            }
          } =>
          query($representations: [_Any!]!) {
            _entities(representations: $representations) {
              ... on T {
                b
              }
            }
          }
        }
      }
    }
  }
}
"#;
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&text).iter().collect::<BTreeSet<_>>(), words(wanted).iter().collect::<BTreeSet<_>>(), "{text}");
}

#[test]
fn a_subgraph_that_is_asked_anyway_is_asked_again_for_what_is_deferred() {
    let world = World::abc();
    assert_eq!(world.check("{ t { a ... @defer { name b } } }"), nothing());
    assert_eq!(world.counts("{ t { a ... @defer { name b } } }"), [1, 2]);
    // In an entity's own fetch, in lists, and at the root.
    assert_eq!(world.check("{ t { b ... @defer { deep { d e } } } }"), nothing());
    assert_eq!(world.check("{ ts { a ... @defer { b next { b } } } }"), nothing());
    assert_eq!(world.check("{ other ... @defer { t { a b } } }"), nothing());
    assert_eq!(world.counts("{ other ... @defer { t { a } } }"), [1, 1]);
}

#[test]
fn what_has_no_way_back_is_not_late() {
    let world = World::abc();
    assert_eq!(world.check("{ value { x ... @defer { y } } }"), ["value.y"]);
    // A key is needed for what is deferred itself.
    assert_eq!(world.check("{ t { a ... @defer { id b } } }"), ["t.id"]);
}

#[test]
fn required_fields_are_not_fetched_for_what_is_deferred_before_it() {
    let world = World::abc();
    assert_eq!(world.check("{ t { a b ... @defer { cost } } }"), nothing());
    let plan = world.text("{ t { b ... @defer { cost } } }");
    let primary = plan.split("Deferred").next().unwrap();
    assert!(!primary.contains("cost"), "{plan}");
}

#[test]
fn fragments_in_fragments_are_parts_of_parts() {
    let world = World::abc();
    let nested = "{ t { a ... @defer(label: \"one\") { name ... @defer(label: \"two\") { b } deep { d ... @defer(label: \"three\") { e } } } } }";
    assert_eq!(world.check(nested), nothing());
    assert_eq!(world.counts(nested).len(), 4);
    let text = world.text(nested);
    assert_eq!(text.matches("Defer {").count(), 2, "{text}");
    for label in ["one", "two", "three"] {
        assert!(text.contains(&format!("label: \"{label}\"")), "{text}");
    }
    // The outer one wins, and what is selected outside is not deferred.
    assert_eq!(world.counts("{ t { ... @defer { b ... @defer { b } } } }").len(), 2);
    assert_eq!(world.counts("{ t { b ... @defer { b } } }"), [2]);
    assert_eq!(world.counts("{ t { ...F ...F @defer } } fragment F on T { b }"), [2]);
}

#[test]
fn conditions_decide_what_is_deferred() {
    let world = World::abc();
    assert_eq!(world.counts("{ t { a ... @defer(if: false) { b } } }"), [2]);
    assert_eq!(world.counts("{ t { a ... @defer(if: true) { b } } }"), [1, 1]);
    let both = "query($yes: Boolean!) { t { a ... @defer { b @include(if: $yes) name @skip(if: $yes) } } }";
    assert_eq!(world.check(both), nothing());
    let text = world.text(both);
    assert!(text.contains("Include(if: $yes)") && !text.contains('@'), "{text}");
}

#[test]
fn a_variable_decides_between_two_plans() {
    let world = World::abc();
    let text = "query($later: Boolean!) { t { a ... @defer(if: $later, label: \"x\") { name b } } }";
    assert_eq!(world.counts_without(text, &[]), [1, 2]);
    // What is not deferred is planned as if there were no `@defer`.
    assert_eq!(world.counts_without(text, &["later"]), [2]);
    let both = world.text(text);
    let (with, without) = both.split_once("Skip(if: $later) {").unwrap();
    assert!(with.contains("Include(if: $later) {"), "{both}");
    assert!(with.contains("Deferred(path: \"t\", depends: [0], label: \"x\", if: $later)"), "{both}");
    assert!(!without.contains("Defer") && without.matches("Fetch(").count() == 2, "{both}");
    // A fragment in one that is not deferred, and a field that two fragments defer.
    let nested = "query($a: Boolean!, $b: Boolean!) { t { a ... @defer(if: $a) { name ... @defer(if: $b) { b } } } }";
    for (undeferred, counts) in [(&[][..], &[1, 1, 1][..]), (&["a"], &[1, 1]), (&["b"], &[1, 2]), (&["a", "b"], &[2])] {
        assert_eq!(world.counts_without(nested, undeferred), counts, "without {undeferred:?}");
    }
    let twice = "query($a: Boolean!, $b: Boolean!) { t { a ... @defer(if: $a) { b } ... @defer(if: $b) { b } } }";
    for (undeferred, counts) in [(&[][..], &[1, 1][..]), (&["a"], &[2]), (&["b"], &[2])] {
        assert_eq!(world.counts_without(twice, undeferred), counts, "without {undeferred:?}");
    }
    let text = world.text(nested);
    assert_eq!((text.matches("Include(").count(), text.matches("Skip(").count()), (3, 3), "{text}");
    // One that makes no difference makes no condition.
    assert!(!world.text("query($a: Boolean!) { t { a ... @defer(if: $a) { a } } }").contains("$a"));
}

#[test]
fn mutations_are_not_deferred_but_what_is_below_them_is() {
    let world = World::abc();
    assert_eq!(world.check("mutation { set { a ... @defer { b name } } touch }"), nothing());
    assert_eq!(world.counts("mutation { set { a ... @defer { b } } touch }"), [1, 1]);
}

#[test]
fn fragments_used_twice_are_parts_of_each_place() {
    let world = World::abc();
    let text = "{ t { ...F } ts { ...F } i { ... on T { ...F } ... on U { name ... @defer { c u } } } } fragment F on T { a ... @defer { b } }";
    assert_eq!(world.check(text), nothing());
    assert_eq!(world.counts(text).len(), 5);
}

/// Wraps some of the fields below the root in deferred fragments, as the bits of `seed` say.
fn defer_some(selections: &mut [Selection], seed: &mut u64, depth: usize) {
    for selection in selections.iter_mut() {
        match selection {
            Selection::Field(field) => defer_some(&mut field.make_mut().selection_set, seed, depth + 1),
            Selection::InlineFragment(fragment) => defer_some(&mut fragment.make_mut().selection_set, seed, depth + 1),
            Selection::FragmentSpread(_) => {}
        }
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if depth > 0 && *seed >> 61 == 0 {
            let label =
                Argument { name: Name::new_static_unchecked("label"), value: Node::new(Value::String(format!("l{seed}"))) };
            let directive = Directive { name: Name::new_static_unchecked("defer"), arguments: vec![Node::new(label)] };
            let directives = DirectiveList(vec![Node::new(directive)]);
            let inner = vec![selection.clone()];
            *selection =
                Selection::InlineFragment(Node::new(InlineFragment { type_condition: None, directives, selection_set: inner }));
        }
    }
}

fn deferring(text: &str, seed: u64) -> String {
    let mut document = ast::Document::parse(text, "operation").unwrap();
    let mut seed = seed;
    for definition in &mut document.definitions {
        match definition {
            Definition::OperationDefinition(operation) => defer_some(&mut operation.make_mut().selection_set, &mut seed, 0),
            Definition::FragmentDefinition(fragment) => defer_some(&mut fragment.make_mut().selection_set, &mut seed, 1),
            _ => {}
        }
    }
    document.to_string()
}

#[test]
fn the_cases_with_anything_deferred_fetch_the_same() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plan");
    let mut cases: Vec<PathBuf> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    cases.sort();
    for case in cases {
        let mut files: Vec<PathBuf> = fs::read_dir(case.join("subgraphs")).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let text = fs::read_to_string(case.join("operation.graphql")).unwrap();
        if text.contains("subscription") {
            continue;
        }
        let world = World::new(&files.iter().map(|file| fs::read_to_string(file).unwrap()).collect::<Vec<_>>());
        for seed in 0..10 {
            world.check(&deferring(&text, seed));
        }
    }
}

#[test]
fn what_is_hard_to_plan_can_be_deferred() {
    for family in FAMILIES {
        let (subgraphs, text) = (family.make)((family.size / 20).max(3));
        let world = World::new(&subgraphs);
        for seed in 0..3 {
            let early = world.check(&deferring(&text, seed));
            assert!(early.len() < 50, "{}: {early:?}", family.name);
        }
    }
}
