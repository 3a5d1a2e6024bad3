//! Persisted documents: those of manifests, named by id or hash, and the safelist made of them.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use subgraphs_example::{Addresses, Example};

use crate::support::Router;

const LISTED: &str = "query Me {\n  me { id }\n}";
/// The id of a document. For the router it is a name: whoever writes the manifest vouches for it.
const HASH: &str = "0ef07a6b5ac04e0d5c8aa4b0c0c5d6f4a2b8e6d6a6c1b1a5e1f0b9c1d2e3f4a5";

/// A manifest beside no router, removed with the test.
struct Manifest(PathBuf);

impl Manifest {
    fn new(name: &str, text: &Value) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.json", std::process::id()));
        std::fs::write(&path, text.to_string()).unwrap();
        Self(path)
    }
}

impl Drop for Manifest {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn ask(router: &Router, body: Value) -> (u16, Value) {
    let response = router.client.post(router.url("/graphql")).json(&body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_default()
}

fn hashed(hash: &str) -> Value {
    json!({"extensions":{"persistedQuery":{"version":1,"sha256Hash":hash}}})
}

#[tokio::test]
async fn manifests_list_documents_by_id() {
    let apollo = Manifest::new(
        "apollo",
        &json!({"format":"apollo-persisted-query-manifest","version":1,
            "operations":[{"id":HASH,"name":"Me","type":"query","body":LISTED}]}),
    );
    let relay = Manifest::new("relay", &json!({"users-1": "{ users { id } }", "abc": "{ me { name } }"}));
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let config =
        format!("persisted_queries: {{ apq: false, manifests: [\"{}\", \"{}\"] }}\n", apollo.0.display(), relay.0.display());
    let router = Router::start_with(&example, &config).await;
    for body in [hashed(HASH), json!({"documentId":HASH}), json!({"documentId":format!("sha256:{HASH}")})] {
        let (status, answer) = ask(&router, body.clone()).await;
        assert_eq!((status, &answer["data"]["me"]["id"]), (200, &json!("1")), "{body}: {answer}");
    }
    assert!(ask(&router, json!({"documentId":"users-1"})).await.1["data"]["users"].is_array());
    let by_get = router.get("/graphql?documentId=abc").header("apollo-require-preflight", "1").send().await.unwrap();
    assert!(by_get.json::<Value>().await.unwrap()["data"]["me"]["name"].is_string());
    for body in [hashed(&HASH.replace('0', "1")), json!({"documentId":"nobody"}), json!({"documentId":"sha256:abc1"})] {
        let (_, answer) = ask(&router, body).await;
        assert_eq!(code(&answer), "PERSISTED_QUERY_NOT_FOUND", "{answer}");
    }
    // Without a safelist everything else runs too.
    assert_eq!(ask(&router, json!({"query":"{ me { username } }"})).await.0, 200);
    // A manifest that changes is read again.
    std::fs::write(&relay.0, json!({"late": "{ me { id } }"}).to_string()).unwrap();
    for _ in 0..100 {
        if ask(&router, json!({"documentId":"late"})).await.1["data"].is_object() {
            assert_eq!(code(&ask(&router, json!({"documentId":"abc"})).await.1), "PERSISTED_QUERY_NOT_FOUND");
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the changed manifest was not read");
}

#[tokio::test]
async fn a_safelist_lets_only_listed_documents_run() {
    let manifest = Manifest::new("safe", &json!({"me": LISTED}));
    let example = Example::start(Addresses::any_port()).await.unwrap();
    for require_id in [false, true] {
        let config = format!(
            "persisted_queries: {{ safelist: {{ enabled: true, require_id: {require_id} }}, manifests: [\"{}\"] }}\n",
            manifest.0.display()
        );
        let router = Router::start_with(&example, &config).await;
        assert_eq!(ask(&router, json!({"documentId":"me"})).await.0, 200);
        for listed in [LISTED, "query Me { me { id } }", "# a comment\nquery Me{me{id}}", "query Me { me, { id } },"] {
            let (status, answer) = ask(&router, json!({"query":listed})).await;
            match require_id {
                false => assert_eq!((status, &answer["data"]["me"]["id"]), (200, &json!("1")), "{listed}: {answer}"),
                true => assert_eq!((status, code(&answer)), (400, "PERSISTED_QUERY_REJECTED"), "{listed}: {answer}"),
            }
        }
        for other in [
            "{ me { id } }",
            "query Me { me { id name } }",
            "query Me { me { id } } query B { me { name } }",
            "{",
            "{ __typename }",
        ] {
            let (status, answer) = ask(&router, json!({"query":other})).await;
            assert_eq!((status, code(&answer)), (400, "PERSISTED_QUERY_REJECTED"), "{other}: {answer}");
        }
        // An unlisted document cannot be made known by its hash either.
        let typename = "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38";
        let mut registering = hashed(typename);
        registering["query"] = json!("{__typename}");
        assert_eq!(code(&ask(&router, registering).await.1), "PERSISTED_QUERY_REJECTED");
        assert_eq!(code(&ask(&router, hashed(typename)).await.1), "PERSISTED_QUERY_NOT_FOUND");
    }
}

#[tokio::test]
async fn a_manifest_that_cannot_be_used_is_told_at_the_start() {
    let manifest = Manifest::new("broken", &json!([1]));
    for path in [manifest.0.display().to_string(), "missing.json".into()] {
        let mut router = Router::spawn(&format!(
            "persisted_queries: {{ manifests: [\"{path}\"] }}\nsubgraphs: {{ a: {{ url: \"http://127.0.0.1:9/\", schema: {{ sdl: \"type Query {{ a: Int }}\" }} }} }}\n"
        ));
        assert!(!router.ended().await.success());
        assert!(router.log().contains(path.rsplit('/').next().unwrap()), "{}", router.log());
    }
}
