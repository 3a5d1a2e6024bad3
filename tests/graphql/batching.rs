//! Several requests in one, where that is configured, up to a number.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Router, Scripted, Step, answer};

async fn started(more: &str) -> (Router, Scripted) {
    let subgraph = Scripted::start(|request| {
        let asked: Value = serde_json::from_slice(&request.body).unwrap();
        let n = &asked["variables"]["n"];
        [vec![Step::Wait(Duration::from_millis(300))], answer(200, "x-n: 1\r\n", &json!({"data":{"n":n}}).to_string())].concat()
    })
    .await;
    let sdl = "type Query { n(n: Int): Int }";
    let config = format!("subgraphs: {{ a: {{ url: \"{}\", schema: {{ sdl: \"{sdl}\" }} }} }}\n{more}", subgraph.url());
    (Router::start(&config).await, subgraph)
}

async fn send(router: &Router, batch: &Value) -> (u16, Value) {
    let response = router.client.post(router.url("/graphql")).json(batch).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

fn request(n: i32) -> Value {
    json!({"query":"query($n: Int) { n(n: $n) }","variables":{"n":n}})
}

#[tokio::test]
async fn a_batch_is_answered_in_its_order_and_run_at_once() {
    let (router, _subgraph) = started("batching: { enabled: true, mode: batch_http_link, maximum_size: 5 }\n").await;
    let batch = json!([request(1), {"query":"{ nope }"}, request(3), {"query":"{"}, {"variables":{}}]);
    let start = Instant::now();
    let (status, answers) = send(&router, &batch).await;
    assert!(start.elapsed() < Duration::from_millis(590), "one after the other: {:?}", start.elapsed());
    assert_eq!((status, answers.as_array().unwrap().len()), (200, 5));
    assert_eq!((&answers[0], &answers[2]), (&json!({"data":{"n":1}}), &json!({"data":{"n":3}})));
    for (index, code) in [(1, "GRAPHQL_VALIDATION_FAILED"), (3, "GRAPHQL_PARSE_FAILED"), (4, "GRAPHQL_BAD_REQUEST")] {
        assert_eq!(answers[index]["errors"][0]["extensions"]["code"], code, "{answers}");
        assert!(answers[index].get("data").is_none());
    }
    // One alone is answered as one.
    assert_eq!(send(&router, &request(7)).await, (200, json!({"data":{"n":7}})));
    assert_eq!(send(&router, &json!([request(7)])).await, (200, json!([{"data":{"n":7}}])));
    for wrong in [json!([]), json!([1]), json!([[request(1)]]), json!([request(1), null]), Value::from(vec![request(1); 6])] {
        let (status, answer) = send(&router, &wrong).await;
        assert_eq!((status, &answer["errors"][0]["extensions"]["code"]), (400, &json!("GRAPHQL_BAD_REQUEST")), "{wrong}");
    }
}

#[tokio::test]
async fn without_configuration_there_are_no_batches() {
    let (router, subgraph) = started("").await;
    let (status, answer) = send(&router, &json!([request(1)])).await;
    assert_eq!((status, &answer["errors"][0]["extensions"]["code"]), (400, &json!("GRAPHQL_BAD_REQUEST")), "{answer}");
    assert!(subgraph.requests().is_empty());
}
