//! GraphQL over HTTP: media types, methods, status codes. Spec: <https://graphql.github.io/graphql-over-http/draft/>

use serde_json::{Value, json};
use subgraphs_example::{Addresses, Example};

use crate::support::{Router, header};

#[tokio::test]
async fn the_answer_has_the_media_type_that_is_accepted() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let router = Router::start_with(&example, "").await;
    for (accept, content_type) in [
        ("application/json", "application/json"),
        ("application/graphql-response+json", "application/graphql-response+json"),
        ("application/graphql-response+json, application/json;q=0.9", "application/graphql-response+json"),
        ("text/html, application/json;q=0.5", "application/json"),
    ] {
        let response = router.operation("{ me { id } }", json!({})).header("accept", accept).send().await.unwrap();
        assert_eq!(response.status(), 200, "{accept}");
        assert!(header(&response, "content-type").starts_with(content_type), "{accept}: {:?}", response.headers());
    }
    let refused = router.operation("{ me { id } }", json!({})).header("accept", "image/png").send().await.unwrap();
    assert_eq!(refused.status(), 406);
}

#[tokio::test]
async fn a_mutation_is_not_run_by_get() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let router = Router::start_with(&example, "").await;
    let mutation = "/graphql?query=mutation%7BaddReview(upc:%221%22,authorId:%221%22,body:%22x%22)%7Bid%7D%7D";
    let response = router.get(mutation).header("apollo-require-preflight", "1").send().await.unwrap();
    assert_eq!(response.status(), 405);
    assert_eq!(example.reviews().all().len(), 11);
}

#[tokio::test]
async fn a_body_that_is_no_request_is_a_400() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let router = Router::start_with(&example, "").await;
    for body in [
        "",
        "{",
        "[]",
        "1",
        "{}",
        r#"{"query":1}"#,
        r#"{"query":"{ me { id } }","variables":[]}"#,
        r#"{"query":"{ me { id } }","operationName":1}"#,
    ] {
        let request = router.client.post(router.url("/graphql")).header("content-type", "application/json").body(body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 400, "{body}");
        let answer: Value = response.json().await.unwrap();
        assert!(answer["errors"][0]["message"].is_string(), "{body}: {answer}");
    }
}

#[tokio::test]
async fn head_is_get_without_the_body_and_options_tells_the_methods() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let router = Router::start_with(&example, "").await;
    let url = router.url("/graphql?query=%7Bme%7Bid%7D%7D");
    let ask = async |method: reqwest::Method, url: &str| {
        let response = router.client.request(method, url).header("apollo-require-preflight", "1").send().await.unwrap();
        let (status, length) = (response.status().as_u16(), header(&response, "content-length").to_owned());
        let allow = header(&response, "allow").to_owned();
        (status, length, allow, response.text().await.unwrap())
    };
    let (status, length, _, text) = ask(reqwest::Method::GET, &url).await;
    assert_eq!((status, length), (200, text.len().to_string()));
    let (status, length, _, nothing) = ask(reqwest::Method::HEAD, &url).await;
    assert_eq!((status, length, nothing.as_str()), (200, text.len().to_string(), ""));
    let mutation = router.url("/graphql?query=mutation%7BaddReview(upc:%221%22,authorId:%221%22,body:%22x%22)%7Bid%7D%7D");
    assert_eq!(ask(reqwest::Method::HEAD, &mutation).await.0, 405);
    let (status, _, allow, nothing) = ask(reqwest::Method::OPTIONS, &url).await;
    assert_eq!((status, allow.as_str(), nothing.as_str()), (204, "GET, HEAD, OPTIONS, POST", ""));
    let (status, _, allow, _) = ask(reqwest::Method::PUT, &url).await;
    assert_eq!((status, allow.as_str()), (405, "GET, HEAD, OPTIONS, POST"));
}
