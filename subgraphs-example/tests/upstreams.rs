//! Every upstream of the example over a real socket: what it answers, its SDL, and that it can be stopped and started alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test fails by panicking.

use axum::body::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use subgraphs_example::{Addresses, Example, Upstream, data};

fn client() -> Client<HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).build_http()
}

async fn send(method: &str, url: String, headers: &[(&str, &str)], body: &str) -> Response<Incoming> {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client().request(request.body(Full::from(body.to_owned())).unwrap()).await.unwrap()
}

async fn json_of(response: Response<Incoming>) -> Value {
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

async fn graphql(example: &Example, subgraph: Upstream, query: &str, variables: Value) -> Value {
    let body = json!({ "query": query, "variables": variables }).to_string();
    json_of(send("POST", example.url(subgraph), &[("content-type", "application/json")], &body).await).await
}

async fn entities(example: &Example, subgraph: Upstream, representations: Value, selection: &str) -> Value {
    let query = format!("query($r: [_Any!]!) {{ _entities(representations: $r) {{ {selection} }} }}");
    graphql(example, subgraph, &query, json!({ "r": representations })).await
}

async fn start() -> Example {
    Example::start(Addresses::any_port()).await.unwrap()
}

#[tokio::test]
async fn accounts_answers_users_and_entities() {
    let example = start().await;
    let answer =
        graphql(&example, Upstream::Accounts, r#"{ me { id } user(id: "3") { name birthday } users { username } }"#, json!({}))
            .await;
    assert_eq!(answer["data"]["me"]["id"], "1");
    assert_eq!(answer["data"]["user"], json!({ "name": "Grace Hopper", "birthday": 19061209 }));
    let usernames: Vec<_> = data::USERS.iter().map(|user| json!({ "username": user.username })).collect();
    assert_eq!(answer["data"]["users"], json!(usernames));
    let users = json!([{ "__typename": "User", "id": "2" }, { "__typename": "User", "id": "nobody" }]);
    let answer = entities(&example, Upstream::Accounts, users, "... on User { name }").await;
    assert_eq!(answer, json!({ "data": { "_entities": [{ "name": "Alan Turing" }, null] } }));
}

#[tokio::test]
async fn products_are_cut_to_first() {
    let example = start().await;
    for (arguments, expected) in [("", 5), ("(first: 2)", 2), ("(first: 100)", 9), ("(first: 0)", 0), ("(first: -1)", 0)] {
        let query = format!("{{ topProducts{arguments} {{ upc name price weight }} }}");
        let answer = graphql(&example, Upstream::Products, &query, json!({})).await;
        assert_eq!(answer["data"]["topProducts"].as_array().unwrap().len(), expected, "{arguments}");
    }
}

#[tokio::test]
async fn inventory_computes_shipping_from_the_representation() {
    let example = start().await;
    let products = json!([
        { "__typename": "Product", "upc": "1", "price": 10, "weight": 2500 },
        { "__typename": "Product", "upc": "1", "price": 1000, "weight": 2500 },
        { "__typename": "Product", "upc": "1" },
    ]);
    let answer = entities(&example, Upstream::Inventory, products, "... on Product { inStock shippingEstimate }").await;
    let estimates: Vec<_> =
        answer["data"]["_entities"].as_array().unwrap().iter().map(|it| it["shippingEstimate"].clone()).collect();
    assert_eq!(estimates, [json!(7), json!(0), json!(null)]);
    assert_eq!(answer["data"]["_entities"][0]["inStock"], true);
}

#[tokio::test]
async fn reviews_can_be_read_added_and_restored() {
    let example = start().await;
    let other = start().await;
    let entity = json!([{ "__typename": "User", "id": "1" }, { "__typename": "Product", "upc": "4" }]);
    let selection =
        "... on User { username reviews { id author { username } product { upc } } } ... on Product { reviews { id } }";
    let before = entities(&example, Upstream::Reviews, entity.clone(), selection).await;
    assert_eq!(before["data"]["_entities"][0]["username"], "ada");
    assert_eq!(
        before["data"]["_entities"][0]["reviews"][2],
        json!({ "id": "11", "author": { "username": "ada" }, "product": { "upc": "4" } })
    );
    assert_eq!(before["data"]["_entities"][1], json!({ "reviews": [{ "id": "5" }, { "id": "11" }] }));

    let mutation = r#"mutation { addReview(upc: "4", authorId: "6", body: "Fine.") { id body author { id } } }"#;
    let added = graphql(&example, Upstream::Reviews, mutation, json!({})).await;
    assert_eq!(added["data"]["addReview"], json!({ "id": "12", "body": "Fine.", "author": { "id": "6" } }));
    assert_eq!((example.reviews().all().len(), other.reviews().all().len()), (12, 11));
    example.reviews().restore();
    assert_eq!(entities(&example, Upstream::Reviews, entity, selection).await, before);

    let refused =
        graphql(&example, Upstream::Reviews, r#"mutation { addReview(upc: "none", authorId: "6", body: "") { id } }"#, json!({}))
            .await;
    assert_eq!(refused["data"], json!({ "addReview": null }));
    assert_eq!(refused["errors"][0]["path"], json!(["addReview"]));
}

#[tokio::test]
async fn review_added_streams_as_sse_and_multipart() {
    let example = start().await;
    let subscription = json!({ "query": "subscription { reviewAdded { id body } }" }).to_string();
    for (accept, content_type) in [
        ("text/event-stream", "text/event-stream"),
        ("multipart/mixed;subscriptionSpec=1.0", "multipart/mixed; boundary=\"graphql\"; subscriptionSpec=\"1.0\""),
    ] {
        let response = send("POST", example.url(Upstream::Reviews), &[("accept", accept)], &subscription).await;
        assert_eq!(response.headers()["content-type"], content_type);
        let mut body = response.into_body();
        // The stream subscribes when it is first polled, so reviews are added until one comes through.
        let seen = loop {
            graphql(
                &example,
                Upstream::Reviews,
                r#"mutation { addReview(upc: "1", authorId: "6", body: "streamed") { id } }"#,
                json!({}),
            )
            .await;
            match tokio::time::timeout(std::time::Duration::from_millis(100), body.frame()).await {
                Ok(frame) => {
                    let bytes = frame.unwrap().unwrap().into_data().unwrap();
                    let text = String::from_utf8(bytes.to_vec()).unwrap();
                    if text.contains("streamed") {
                        break text;
                    }
                }
                Err(_) => continue,
            }
        };
        assert!(seen.contains(r#""reviewAdded":{"id":""#), "{seen}");
    }
}

#[tokio::test]
async fn sdl_is_federation_2_with_the_promised_directives() {
    let example = start().await;
    let expected = [
        (Upstream::Accounts, vec![r#"type User @key(fields: "id")"#, "users: [User]", "username: String @shareable"]),
        (Upstream::Products, vec![r#"type Product @key(fields: "upc")"#, "topProducts(first: Int = 5): [Product]"]),
        (
            Upstream::Inventory,
            vec![r#"shippingEstimate: Int @requires(fields: "price weight")"#, "price: Int @external", "inStock: Boolean"],
        ),
        (
            Upstream::Reviews,
            vec![
                r#"author: User @provides(fields: "username")"#,
                "username: String @external",
                "addReview(",
                "type Subscription",
                "reviews: [Review]",
            ],
        ),
    ];
    for (subgraph, parts) in expected {
        let answer = graphql(&example, subgraph, "{ _service { sdl } }", json!({})).await;
        let sdl = answer["data"]["_service"]["sdl"].as_str().unwrap();
        for part in parts.iter().chain(&["@link(", "https://specs.apollo.dev/federation/v2"]) {
            assert!(sdl.contains(part), "{} lacks {part}:\n{sdl}", subgraph.name());
        }
    }
}

#[tokio::test]
async fn a_body_that_is_not_graphql_is_a_400() {
    let example = start().await;
    let response = send("POST", example.url(Upstream::Accounts), &[], "not json").await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn orders_are_paged_found_and_created() {
    let example = start().await;
    let base = example.url(Upstream::Orders);
    let page = json_of(send("GET", format!("{base}/orders?page=3&limit=10"), &[], "").await).await;
    assert_eq!((page["total"].clone(), page["orders"].as_array().unwrap().len()), (json!(25), 5));
    assert_eq!(page["orders"][0]["id"], 21);
    let one = json_of(send("GET", format!("{base}/orders/7"), &[], "").await).await;
    assert_eq!(one, serde_json::to_value(&data::orders()[6]).unwrap());
    assert_eq!(send("GET", format!("{base}/orders/999"), &[], "").await.status(), StatusCode::NOT_FOUND);

    let new = json!({ "user_id": "2", "upc": "8", "quantity": 3 }).to_string();
    let created = send("POST", format!("{base}/orders"), &[("content-type", "application/json")], &new).await;
    assert_eq!((created.status(), created.headers()["location"].to_str().unwrap()), (StatusCode::CREATED, "/orders/26"));
    assert_eq!(json_of(created).await["total"], 84);
    assert_eq!(example.orders().all().len(), 26);
    let unknown = json!({ "user_id": "2", "upc": "none", "quantity": 3 }).to_string();
    let refused = send("POST", format!("{base}/orders"), &[("content-type", "application/json")], &unknown).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn orders_upstream_is_slow_fails_and_echoes_as_asked() {
    let example = start().await;
    let base = example.url(Upstream::Orders);
    let started = std::time::Instant::now();
    assert_eq!(json_of(send("GET", format!("{base}/slow?ms=60"), &[], "").await).await, json!({ "slept_ms": 60 }));
    assert!(started.elapsed().as_millis() >= 60);
    for (code, expected) in [("503", 503), ("204", 204), ("1000", 400), ("100", 400)] {
        assert_eq!(send("GET", format!("{base}/status/{code}"), &[], "").await.status().as_u16(), expected);
    }
    let headers = [("x-second", "2"), ("x-first", "1"), ("x-second", "3")];
    let echo = json_of(send("PATCH", format!("{base}/echo/a%2Fb/../c?q=%20&&r"), &headers, "body").await).await;
    assert_eq!(
        (&echo["method"], &echo["target"], &echo["body"]),
        (&json!("PATCH"), &json!("/echo/a%2Fb/../c?q=%20&&r"), &json!("Ym9keQ=="))
    );
    let sent: Vec<_> =
        echo["headers"].as_array().unwrap().iter().filter(|it| it[0].as_str().unwrap().starts_with("x-")).cloned().collect();
    assert_eq!(sent, [json!(["x-second", "2"]), json!(["x-second", "3"]), json!(["x-first", "1"])]);
}

#[tokio::test]
async fn http2_is_served_on_the_same_port() {
    let example = start().await;
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let url = format!("{}/echo", example.url(Upstream::Orders)).parse().unwrap();
    let response = client.get(url).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
}

#[tokio::test]
async fn one_upstream_stops_and_restarts_on_its_port() {
    let mut example = start().await;
    let url = format!("http://{}/health", example.address(Upstream::Reviews));
    let pooled = client();
    assert!(pooled.get(url.parse().unwrap()).await.is_ok());
    let slow = tokio::spawn(pooled.get(format!("{}/slow?ms=30000", example.url(Upstream::Orders)).parse().unwrap()));
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    example.stop(Upstream::Reviews);
    example.stop(Upstream::Orders);
    assert!(slow.await.unwrap().is_err(), "a request in flight must fail when its upstream stops");
    assert!(client().get(url.parse().unwrap()).await.is_err());
    assert!(client().get(format!("http://{}/health", example.address(Upstream::Accounts)).parse().unwrap()).await.is_ok());
    example.restart(Upstream::Reviews).await.unwrap();
    assert!(client().get(url.parse().unwrap()).await.is_ok());
}
