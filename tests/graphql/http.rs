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

#[tokio::test]
async fn the_content_type_is_one_and_says_json_in_utf_8() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let router = Router::start_with(&example, "").await;
    let body = r#"{"query":"{ me { id } }"}"#;
    for (types, status) in [
        (vec!["application/json"], 200),
        (vec!["application/json; charset=utf-8"], 200),
        (vec!["Application/JSON ; charset=\"UTF-8\""], 200),
        (vec!["application/json; charset=iso-8859-1"], 415),
        (vec!["application/json; charset=utf-16"], 415),
        (vec!["application/graphql-response+json"], 415),
        (vec!["application/graphql"], 415),
        (vec!["application/json", "application/json"], 415),
        (vec!["application/json", "text/plain"], 415),
        (vec!["application/jsonx"], 415),
        (vec![], 415),
    ] {
        let mut request = router.client.post(router.url("/graphql")).header("apollo-require-preflight", "1").body(body);
        for ty in &types {
            request = request.header("content-type", *ty);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{types:?}");
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["errors"].is_array(), status != 200, "{types:?}: {answer}");
    }
}

#[tokio::test]
async fn each_parameter_of_a_request_is_of_its_kind() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let router = Router::start_with(&example, "").await;
    let post = async |body: &str| {
        let request = router.client.post(router.url("/graphql")).header("content-type", "application/json");
        let request = request.header("accept", "application/graphql-response+json").body(body.to_owned());
        request.send().await.unwrap().status().as_u16()
    };
    for (more, status) in [
        (r#""variables":null,"operationName":null,"extensions":null"#, 200),
        (r#""variables":{},"operationName":"","extensions":{"any":[1]}"#, 200),
        (r#""variables":{"nobody":1},"unknown":{"x":1}"#, 200),
        (r#""variables":"{}""#, 400),
        (r#""variables":0"#, 400),
        (r#""variables":[]"#, 400),
        (r#""extensions":"x""#, 400),
        (r#""extensions":[]"#, 400),
        (r#""operationName":{}"#, 400),
        (r#""operationName":"Nobody""#, 400),
        (r#""query":"{ me { name } }""#, 400),
    ] {
        assert_eq!(post(&format!(r#"{{"query":"{{ me {{ id }} }}",{more}}}"#)).await, status, "{more}");
    }
    for body in [
        r#"[{"query":"{ me { id } }"}]"#,
        "[]",
        "null",
        "\"{ me { id } }\"",
        "\u{feff}{\"query\":\"{ me { id } }\"}",
        "{\"query\":\"\"}",
        r#"{"query":null}"#,
    ] {
        assert_eq!(post(body).await, 400, "{body}");
    }
    let get = async |query: &str| {
        let request = router.get(&format!("/graphql?{query}")).header("apollo-require-preflight", "1");
        request.header("accept", "application/graphql-response+json").send().await.unwrap().status().as_u16()
    };
    for (query, status) in [
        ("query=%7Bme%7Bid%7D%7D", 200),
        ("query=%7Bme%7Bid%7D%7D&variables=%7B%7D&extensions=%7B%7D&operationName=", 200),
        ("query=%7Bme%7Bid%7D%7D&variables=null&other=1", 200),
        ("query=query+Q($a:Boolean!)%7Bme%7Bid@include(if:$a)%7D%7D&operationName=Q&variables=%7B%22a%22:true%7D", 200),
        ("query=%7Bme%7Bid%7D%7D&variables=%22%7B%7D%22", 400),
        ("query=%7Bme%7Bid%7D%7D&variables=%5B%5D", 400),
        ("query=%7Bme%7Bid%7D%7D&variables=%7B", 400),
        ("query=%7Bme%7Bid%7D%7D&extensions=1", 400),
        ("query=%7Bme%7Bid%7D%7D&query=%7Bme%7Bid%7D%7D", 400),
        ("query=%7Bme%7Bid%7D%7D&operationName=Nobody", 400),
        ("query=%ff", 400),
        ("query=%7", 400),
        ("query=", 400),
        ("", 400),
    ] {
        assert_eq!(get(query).await, status, "{query}");
    }
}
