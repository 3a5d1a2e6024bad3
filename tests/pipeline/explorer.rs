//! The explorer in a real browser: it loads from the router alone, shows the schema, and runs the README's query.

use subgraphs_example::{Addresses, Example};

use crate::support::{Browser, Router};

/// The first operation and the first answer in README.md.
fn readme() -> (String, serde_json::Value) {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let line = |start: &str| {
        text.lines().map(str::trim).find_map(|line| Some(&line[line.find(start)?..])).unwrap_or_else(|| panic!("no {start}"))
    };
    let body: serde_json::Value = serde_json::from_str(line("{\"query\"").trim_end_matches('\'')).unwrap();
    (body["query"].as_str().unwrap().to_owned(), serde_json::from_str(line("{\"data\"")).unwrap())
}

#[tokio::test]
async fn a_browser_runs_the_readmes_query() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let router = Router::start_with(&example, "explorer: { enabled: true }\nsupergraph: { introspection: true }\n").await;
    let browser = Browser::start().await;
    browser.open(&router.url("/graphql")).await;
    assert_eq!(browser.run("return document.title").await, "Supergate explorer");
    let schema = browser.text("#docs", "topProducts").await;
    assert!(schema.contains("first: Int") && schema.contains("shippingEstimate"), "{schema}");

    let (query, answer) = readme();
    browser.write("#query", &query).await;
    browser.click("#run").await;
    assert!(browser.text("#state", " in ").await.starts_with("200 in "));
    let shown = browser.text("#answer", "topProducts").await;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), answer);

    browser.write("#query", "{ nonsense }").await;
    browser.click("#run").await;
    assert!(browser.text("#answer", "errors").await.contains("nonsense"));

    let loaded = browser.run("return performance.getEntriesByType('resource').map(entry => entry.name)").await;
    let loaded = loaded.as_array().unwrap();
    assert!(loaded.len() >= 3, "{loaded:?}");
    for url in loaded {
        assert!(url.as_str().unwrap().starts_with(&router.url("/")), "{url} is not ours");
    }
    browser.close().await;
}
