//! Files in the place of variables: forms that are passed on to the one subgraph that takes them.
//! Spec: <https://github.com/jaydenseric/graphql-multipart-request-spec>

use serde_json::{Value, json};

use crate::support::{Recorded, Router, Scripted, answer};

const ON: &str = "file_uploads: { enabled: true, max_files: 2 }\n";

/// A router in front of a subgraph that takes files and one that takes none.
async fn started(more: &str) -> (Router, Scripted) {
    let subgraph = Scripted::start(|_| answer(200, "", r#"{"data":{"store":"kept","all":2,"echo":"x"}}"#)).await;
    let takes = "scalar Upload type Query { a: Int } input In { file: Upload! name: String } type Mutation { store(file: Upload!, in: In): String all(files: [Upload!]!): Int }";
    let other = "scalar Upload type Mutation { other(file: Upload): String }";
    let url = subgraph.url();
    let router = Router::start(&format!(
        "subgraphs:\n  a: {{ url: \"{url}/a\", schema: {{ sdl: \"{takes}\" }} }}\n  b: {{ url: \"{url}/b\", schema: {{ sdl: \"{other}\" }} }}\n{more}"
    ))
    .await;
    (router, subgraph)
}

/// A form with these fields; a file has a name and a type.
fn form(operations: &Value, map: &Value, files: &[(&str, &str)]) -> String {
    let field = |name: &str, more: &str, text: &str| {
        format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{text}\r\n")
    };
    let mut text = field("operations", "", &operations.to_string()) + &field("map", "", &map.to_string());
    for (name, content) in files {
        text += &field(name, &format!("; filename=\"{name}.txt\"\r\nContent-Type: text/plain"), content);
    }
    text + "--edge--\r\n"
}

async fn send(router: &Router, body: String) -> (u16, Value) {
    let request = router.client.post(router.url("/graphql")).header("content-type", "multipart/form-data; boundary=edge");
    let response = request.header("apollo-require-preflight", "1").body(body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// The fields of the form that a subgraph got: name, headers, content.
fn parts(request: &Recorded) -> Vec<(String, String, String)> {
    let media = request.field("content-type")[0].to_owned();
    let boundary = media.strip_prefix("multipart/form-data; boundary=").unwrap_or_else(|| panic!("{media}")).to_owned();
    let text = String::from_utf8(request.body.clone()).unwrap();
    let (text, end) = text.split_once(&format!("\r\n--{boundary}--")).expect("it has an end");
    assert_eq!(end, "\r\n");
    let mut parts = Vec::new();
    for part in text.strip_prefix(&format!("--{boundary}\r\n")).unwrap().split(&format!("\r\n--{boundary}\r\n")) {
        let (head, content) = part.split_once("\r\n\r\n").unwrap();
        let name = head.split("name=\"").nth(1).unwrap().split('"').next().unwrap();
        parts.push((name.to_owned(), head.to_owned(), content.to_owned()));
    }
    parts
}

#[tokio::test]
async fn files_go_to_the_subgraph_that_takes_them() {
    let (router, subgraph) = started(ON).await;
    let query = "mutation($file: Upload!, $in: In) { store(file: $file, in: $in) }";
    let operations = json!({"query":query,"variables":{"file":null,"in":{"file":null,"name":"\u{0}n"}}});
    let large = "0123456789".repeat(20_000);
    let map = json!({"0":["variables.file"],"x":["variables.in.file"]});
    let (status, answer) = send(&router, form(&operations, &map, &[("0", "first"), ("stray", "?"), ("x", &large)])).await;
    assert_eq!((status, &answer), (200, &json!({"data":{"store":"kept"}})));
    let sent = subgraph.take();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].field("apollo-require-preflight"), ["true"]);
    let parts = parts(&sent[0]);
    let names: Vec<&str> = parts.iter().map(|part| part.0.as_str()).collect();
    assert_eq!(names, ["operations", "map", "0", "x"]);
    let got: Value = serde_json::from_str(&parts[0].2).unwrap();
    assert_eq!(got["variables"], json!({"file":null,"in":{"file":null,"name":"\u{0}n"}}));
    assert_eq!(serde_json::from_str::<Value>(&parts[1].2).unwrap(), map);
    assert!(parts[2].1.contains("filename=\"0.txt\"") && parts[2].1.to_lowercase().contains("content-type: text/plain"));
    assert_eq!((parts[2].2.as_str(), parts[3].2.len()), ("first", large.len()));
}

#[tokio::test]
async fn lists_of_files_keep_their_order() {
    let (router, subgraph) = started(ON).await;
    let operations = json!({"query":"mutation($files: [Upload!]!) { all(files: $files) }","variables":{"files":[null,null]}});
    let map = json!({"a":["variables.files.0"],"b":["variables.files.1"]});
    let (status, answer) = send(&router, form(&operations, &map, &[("a", "1"), ("b", "2")])).await;
    assert_eq!((status, &answer), (200, &json!({"data":{"all":2}})));
    assert_eq!(parts(&subgraph.take()[0]).len(), 4);
}

#[tokio::test]
async fn forms_that_are_no_requests_are_refused() {
    let (router, subgraph) = started(ON).await;
    let query = "mutation($file: Upload!) { store(file: $file) }";
    let operations = json!({"query":query,"variables":{"file":null}});
    let map = json!({"0":["variables.file"]});
    let several = json!({"query":"mutation($file: Upload!) { store(file: $file) other(file: $file) }","variables":{"file":null}});
    for body in [
        String::new(),
        "--edge--\r\n".into(),
        "nothing".into(),
        form(&operations, &json!({"0":["variables.nope"]}), &[("0", "x")]),
        form(&operations, &json!({"0":["query"]}), &[("0", "x")]),
        form(&operations, &json!({"0":["variables.file.1"]}), &[("0", "x")]),
        form(&operations, &json!([1]), &[]),
        form(&json!([operations]), &map, &[("0", "x")]),
        form(&operations, &json!({"0":["variables.file"],"1":["variables.file"],"2":["variables.file"]}), &[]),
        form(&several, &map, &[("0", "x")]),
    ] {
        let (status, answer) = send(&router, body.clone()).await;
        assert_eq!(
            (status, &answer["errors"][0]["extensions"]["code"]),
            (400, &json!("GRAPHQL_BAD_REQUEST")),
            "{body}: {answer}"
        );
    }
    assert!(subgraph.take().is_empty());
    // A file that is promised and does not come, and one that is too large, fail the field that wants them.
    let (_, answer) = send(&router, form(&operations, &map, &[])).await;
    assert!(answer["data"]["store"].is_null() && answer["errors"][0]["path"] == json!(["store"]), "{answer}");
    let (status, _) = send(&router, form(&operations, &map, &[("0", &"x".repeat(3 << 20))])).await;
    assert_eq!(status, 413);
    // Web pages can send forms without being asked: like any simple request this one needs a header.
    let request = router.client.post(router.url("/graphql")).header("content-type", "multipart/form-data; boundary=edge");
    assert_eq!(request.body(form(&operations, &map, &[("0", "x")])).send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn without_configuration_there_are_no_forms() {
    let (router, _subgraph) = started("").await;
    let operations = json!({"query":"{ a }"});
    assert_eq!(send(&router, form(&operations, &json!({}), &[])).await.0, 415);
}
