//! Identical queries of clients in flight share one execution, and nothing else does.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::RequestBuilder;

use crate::support::{Router, Scripted, Step, answer};

/// A router that shares, in front of a subgraph that takes half a second and answers with the `Authorization` that it got.
async fn sharing() -> (Router, Scripted) {
    let subgraph = Scripted::start(|request| {
        let who = request.field("authorization").first().copied().unwrap_or("nobody").to_owned();
        let body = format!(r#"{{"data":{{"me":{{"id":"{who}"}},"touch":"{who}"}}}}"#);
        [vec![Step::Wait(Duration::from_millis(500))], answer(200, "", &body)].concat()
    })
    .await;
    let sdl = "type Query { me(a: Int): User } type Mutation { touch: ID } type User { id: ID }";
    let router = Router::start(&format!(
        "subgraphs: {{ a: {{ url: \"{}\", schema: {{ sdl: \"{sdl}\" }} }} }}\n\
         traffic_shaping: {{ router: {{ deduplicate: true }}, all: {{ deduplicate_query: false }} }}\n\
         headers: {{ all: {{ request: [{{ propagate: {{ named: authorization }} }}] }} }}\n",
        subgraph.url()
    ))
    .await;
    (router, subgraph)
}

fn me(router: &Router, user: &str) -> RequestBuilder {
    router.operation("{ me { id } }", serde_json::json!({})).header("authorization", user)
}

async fn text(request: RequestBuilder) -> String {
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.text().await.unwrap()
}

#[tokio::test]
async fn identical_queries_share_an_execution_and_users_share_nothing() {
    let (router, subgraph) = sharing().await;
    let users = ["ann", "bob"].repeat(6);
    let answers = join_all(users.iter().map(|user| text(me(&router, user)))).await;
    for (user, answer) in users.iter().zip(&answers) {
        assert_eq!(*answer, format!(r#"{{"data":{{"me":{{"id":"{user}"}}}}}}"#));
    }
    assert_eq!(subgraph.take().len(), 2, "one for each user");
    text(me(&router, "ann")).await;
    assert_eq!(subgraph.take().len(), 1, "what has ended is not used again");
}

#[tokio::test]
async fn what_differs_and_what_changes_something_is_executed_each_time() {
    let (router, subgraph) = sharing().await;
    let query = "query ($a: Int) { me(a: $a) { id } }";
    join_all((0..3).map(|a| text(router.operation(query, serde_json::json!({ "a": a }))))).await;
    assert_eq!(subgraph.take().len(), 3);
    join_all((0..3).map(|_| text(router.operation("mutation { touch }", serde_json::json!({}))))).await;
    assert_eq!(subgraph.take().len(), 3);
}

#[tokio::test]
async fn when_the_first_client_leaves_the_others_are_answered() {
    let (router, subgraph) = sharing().await;
    let first = me(&router, "ann").timeout(Duration::from_millis(250)).send();
    let second = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        text(me(&router, "ann")).await
    };
    let (first, second) = tokio::join!(first, second);
    assert!(first.is_err());
    assert_eq!(second, r#"{"data":{"me":{"id":"ann"}}}"#);
    assert_eq!(subgraph.take().len(), 2, "the second one's own");
}
