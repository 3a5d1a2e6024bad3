//! One run for each plan, what ends a run, and everything that tells plans apart.
#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use std::time::Duration;

use supergraph::compose::{Source as Sdl, compose};

use super::*;
use crate::busy::at_once;
use crate::graphql::{
    budget::Budget,
    operation::{Document, Rules},
};

const LINK: &str = r#"extend schema @link(url: "https://specs.apollo.dev/federation/v2.9",
    import: ["@key", "@shareable", "@override", "@authenticated"])"#;

/// A run that was given up ends within this time, in a debug build on a busy machine.
const SOON: Duration = Duration::from_secs(2);

fn supergraph(subgraphs: &[String]) -> Arc<Supergraph> {
    let source =
        |(index, sdl): (usize, &String)| Sdl { name: format!("s{index}"), url: String::new(), sdl: format!("{LINK} {sdl}") };
    let sources: Vec<Sdl> = subgraphs.iter().enumerate().map(source).collect();
    Arc::new(Supergraph::read(&compose(&sources).unwrap().supergraph).unwrap())
}

fn operation(supergraph: &Supergraph, text: &str, name: Option<&str>) -> Arc<Operation> {
    let budget = Budget { max_aliases: 1000, max_root_fields: 1000, max_height: 1000, ..Budget::default() };
    let rules = Rules { budget, introspection: false, demand_control: None };
    Document::new(text, supergraph, &rules).unwrap().operation(name).unwrap().clone()
}

/// Subgraphs that share almost everything, and an operation on them that is hard to plan.
fn hard() -> (Arc<Supergraph>, String) {
    let subgraph = |own: usize| {
        let shared: String = (0..5).map(|field| format!(" s{field}: Int @shareable")).collect();
        format!(
            "type Query {{ t: T @shareable }} type T @key(fields: \"id\") {{ id: ID! next: T @shareable v{own}: Int{shared} }}"
        )
    };
    let open = "s0 s1 s2 s3 s4 next { ".repeat(12);
    let text = format!("{{ t {{ {open} s0 v3 v7 v11 {} }} }}", "} ".repeat(12));
    (supergraph(&(0..20).map(subgraph).collect::<Vec<_>>()), text)
}

fn with_timeout(timeout: Duration) -> QueryPlanningConfig {
    QueryPlanningConfig { timeout: Span(timeout), ..QueryPlanningConfig::default() }
}

/// Waits until no thread plans any more; panics if that is not soon.
async fn idle(plans: &Plans) {
    let all = u32::try_from(at_once()).unwrap();
    tokio::time::timeout(SOON, plans.planner.runs.acquire_many(all)).await.unwrap().unwrap().forget();
    plans.planner.runs.add_permits(at_once());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn however_many_ask_at_once_there_is_one_run() {
    let (supergraph, text) = hard();
    let operation = operation(&supergraph, &text, None);
    let plans = Arc::new(Plans::new(supergraph, &with_timeout(Duration::from_secs(60))));
    let ask = || {
        let (plans, operation) = (plans.clone(), operation.clone());
        tokio::spawn(async move { plans.get(&operation, Vec::new(), "").await })
    };
    let asked: Vec<_> = (0..50).map(|_| ask()).collect();
    let (mut made, mut first) = (0, None);
    for task in asked {
        let (ready, source) = task.await.unwrap();
        made += usize::from(source == Source::Made);
        let ready = ready.unwrap();
        assert!(Arc::ptr_eq(first.get_or_insert_with(|| ready.clone()), &ready));
    }
    assert_eq!(made, 1);
    assert_eq!(plans.get(&operation, Vec::new(), "").await.1, Source::Cache);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_ends_when_everybody_has_left_and_not_before() {
    let (supergraph, text) = hard();
    let operation = operation(&supergraph, &text, None);
    let plans = Arc::new(Plans::new(supergraph, &with_timeout(Duration::from_secs(600))));
    let ask = || {
        let (plans, operation) = (plans.clone(), operation.clone());
        tokio::spawn(async move { plans.get(&operation, Vec::new(), "").await })
    };
    // With every place taken no run gets further than to wait for one.
    let all = u32::try_from(at_once()).unwrap();
    let places = plans.planner.runs.clone().acquire_many_owned(all).await.unwrap();
    let (first, second) = (ask(), ask());
    tokio::time::sleep(Duration::from_millis(50)).await;
    first.abort();
    second.abort();
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(places);
    idle(&plans).await;
    assert_eq!(plans.planner.cache.iter().count(), 0, "nobody waited for it");
    // Whoever stays gets the plan, though another client had it begun.
    let places = plans.planner.runs.clone().acquire_many_owned(all).await.unwrap();
    let first = ask();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let second = ask();
    tokio::time::sleep(Duration::from_millis(50)).await;
    first.abort();
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(places);
    let (ready, source) = second.await.unwrap();
    assert_eq!((ready.is_ok(), source), (true, Source::Shared));
    idle(&plans).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_run_is_an_error_and_leaves_no_thread_behind() {
    let (supergraph, text) = hard();
    let plans = Arc::new(Plans::new(supergraph.clone(), &with_timeout(Duration::ZERO)));
    let asked = (0..3 * at_once()).map(|index| {
        let plans = plans.clone();
        let operation = operation(&supergraph, &format!("query Q{index} {text}"), None);
        tokio::spawn(async move { plans.get(&operation, Vec::new(), "").await.0 })
    });
    for task in asked.collect::<Vec<_>>() {
        assert_eq!(task.await.unwrap().unwrap_err().kind, ErrorKind::PlanningFailed);
    }
    idle(&plans).await;
}

#[tokio::test]
async fn too_little_memory_is_the_clients_mistake() {
    let (supergraph, text) = hard();
    let operation = operation(&supergraph, &text, None);
    let config = QueryPlanningConfig { max_memory: Size(1000), ..QueryPlanningConfig::default() };
    let error = Plans::new(supergraph, &config).get(&operation, Vec::new(), "").await.0.unwrap_err();
    assert_eq!(error.kind, ErrorKind::OperationTooLarge);
}

/// The documents of a plan.
async fn documents(plans: &Plans, operation: &Arc<Operation>, denied: &[RequirementId], seed: &str) -> String {
    let ready = plans.get(operation, denied.to_vec(), seed).await.0.unwrap();
    let again = plans.get(operation, denied.to_vec(), seed).await.0.unwrap();
    assert!(Arc::ptr_eq(&ready, &again), "the same request has the same plan");
    let text = |id| String::from_utf8_lossy(ready.plan.head_of(id)).into_owned();
    ready.plan.plan.fetches.iter().map(|(id, fetch)| format!("{:?} {}\n", fetch.subgraph, text(id))).collect()
}

#[tokio::test]
async fn two_requests_that_differ_in_one_fact_never_share_a_plan() {
    let old = "type Query { t: T } type T @key(fields: \"id\") { id: ID! f: Int g: Int @authenticated }";
    let moved = "type T @key(fields: \"id\") { id: ID! f: Int @override(from: \"s0\", label: \"percent(50)\") }";
    let supergraph = supergraph(&[old.to_owned(), moved.to_owned()]);
    let plans = Plans::new(supergraph.clone(), &QueryPlanningConfig::default());
    let text = "query One { t { f g } } query Two { t { id } }";
    let (one, two) = (operation(&supergraph, text, Some("One")), operation(&supergraph, text, Some("Two")));
    let seeds: Vec<String> = (0..50).map(|seed| seed.to_string()).collect();
    let is_active = |seed: &&String| !active_labels(&supergraph, seed).is_empty();
    let (on, off) = (seeds.iter().find(is_active).unwrap(), seeds.iter().find(|seed| !is_active(seed)).unwrap());
    let base = documents(&plans, &one, &[], off).await;
    assert_eq!(base.lines().count(), 1, "{base}");
    let named = documents(&plans, &two, &[], off).await;
    assert!(named.contains("Two") && !named.contains(" f"), "{named}");
    let labelled = documents(&plans, &one, &[], on).await;
    assert_eq!(labelled.lines().count(), 2, "{labelled}");
    let denied = documents(&plans, &one, &one.planned.requirements, off).await;
    assert!(base.contains(" g") && !denied.contains(" g"), "{denied}");
    let both = documents(&plans, &one, &one.planned.requirements, on).await;
    assert!(both.lines().count() == 2 && !both.contains(" g"), "{both}");
    // Another schema has plans of its own, and no document of the old one.
    let next = supergraph_without_overrides(old);
    let plans = Plans::new(next.clone(), &QueryPlanningConfig::default());
    let changed = documents(&plans, &operation(&next, text, Some("One")), &[], on).await;
    assert_eq!(changed.lines().count(), 1, "{changed}");
}

fn supergraph_without_overrides(sdl: &str) -> Arc<Supergraph> {
    supergraph(&[sdl.to_owned(), "type T @key(fields: \"id\") { id: ID! h: Int }".to_owned()])
}

#[test]
fn shares_of_progressive_overrides_are_kept_to() {
    let old = "type Query { t: T } type T @key(fields: \"id\") { id: ID! a: Int b: Int c: Int d: Int e: Int f: Int }";
    let labels = ["percent(0)", "percent(0.5)", "percent(30)", "percent( 100 )", "percent(99.99999999)", "beta"];
    let field =
        |(name, label): (char, &&str)| format!(" {name}: Int @override(from: \"s0\", label: \"{}\")", label.replace(' ', ""));
    let fields: String = ('a'..).zip(&labels).map(field).collect();
    let supergraph = supergraph(&[old.to_owned(), format!("type T @key(fields: \"id\") {{ id: ID!{fields} }}")]);
    let mut counts = [0_usize; 6];
    for seed in 0..10_000 {
        let active = active_labels(&supergraph, &format!("request-{seed}"));
        for label in active {
            let text = &**supergraph.labels.get(label).unwrap();
            let index = labels.iter().position(|label| label.replace(' ', "") == text).unwrap();
            counts[index] += 1;
        }
    }
    let [none, few, some, all, most, other] = counts;
    assert_eq!((none, all, other), (0, 10_000, 0));
    assert!((20..=90).contains(&few), "{few}");
    assert!((2_800..=3_200).contains(&some), "{some}");
    assert!(most >= 9_990, "{most}");
}

#[tokio::test]
async fn as_many_operations_are_kept_as_are_allowed_and_have_room() {
    let supergraph = supergraph(&["type Query { t: T } type T @key(fields: \"id\") { id: ID! a: Int }".to_owned()]);
    let kept = async |cache: InMemoryConfig, fields: usize| {
        let text: String = (0..fields).map(|field| format!(" a{field}: a")).collect();
        let config = QueryPlanningConfig { cache: PlanCacheConfig { in_memory: cache }, ..QueryPlanningConfig::default() };
        let plans = Plans::new(supergraph.clone(), &config);
        for number in 0..40 {
            let operation = operation(&supergraph, &format!("query Q{number} {{ t {{{text} }} }}"), None);
            plans.get(&operation, Vec::new(), "").await.0.unwrap();
        }
        plans.planner.cache.run_pending_tasks().await;
        let bytes: usize = plans.planner.cache.iter().map(|(_, ready)| ready.bytes).sum();
        (plans.planner.cache.entry_count(), bytes)
    };
    assert_eq!(kept(InMemoryConfig { limit: 100, ..Default::default() }, 50).await.0, 40);
    assert_eq!(kept(InMemoryConfig { limit: 10, ..Default::default() }, 1).await.0, 10);
    assert_eq!(kept(InMemoryConfig { limit: 0, ..Default::default() }, 1).await.0, 0);
    let (count, bytes) = kept(InMemoryConfig { limit: 1000, max_size: Size(400 << 10) }, 200).await;
    assert!((2..20).contains(&count) && bytes <= 320 << 10, "{count} with {bytes} bytes");
    let (count, _) = kept(InMemoryConfig { limit: 1000, max_size: Size(10 << 10) }, 200).await;
    assert_eq!(count, 0, "each is larger than all may be");
}

#[test]
fn twice_the_fields_are_twice_the_memory() {
    let sdl = "type Query { t(a: [Int]): T } type T @key(fields: \"id\") { id: ID! a: Int }";
    let supergraph = supergraph(&[sdl.to_owned()]);
    let operation = |text: String| operation(&supergraph, &text, None);
    let bytes = |fields: usize| {
        let operation =
            operation(format!("{{{} }}", (0..fields).map(|field| format!(" a{field}: t {{ id }}")).collect::<String>()));
        let plan = plan(&supergraph, &Tables::new(&supergraph), &operation.planned, &PlanOptions::default()).unwrap();
        (operation.planned.bytes(), Prepared::new(plan).bytes())
    };
    let (once, twice) = (bytes(100), bytes(200));
    assert!((15 * once.0..=21 * once.0).contains(&(10 * twice.0)), "{once:?} {twice:?}");
    assert!((15 * once.1..=21 * once.1).contains(&(10 * twice.1)), "{once:?} {twice:?}");
}
