//! Subgraphs that answer wrongly, one row for each way, through the whole router: data and errors as the specification says.
//! What is no GraphQL response gives null and an error at each field it should have filled; a value that the schema does not have
//! there is an error of its own field; nothing else of the answer is lost.
//! Spec: <https://spec.graphql.org/September2025/#sec-Response>, <https://graphql.github.io/graphql-over-http/draft/#sec-Response>

use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Recorded, Router, Scripted, Step, answer};

const INVALID: &str = "UPSTREAM_INVALID_RESPONSE";
const VALUE: &str = "SUBGRAPH_INVALID_VALUE";
const REPORTED: &str = "SUBGRAPH_ERROR";

const LINK: &str =
    r#"extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key", "@inaccessible", "@shareable"])"#;
const A: &str = r#"
type Query { me: User users: [User] count: Int ratio: Float flag: Boolean text: String id: ID color: Color blob: JSON pet: Pet
  fish: Fish matrix: [[Int]] must: Must }
type Mutation { add: Int! }
type Must { deep: Deep! } type Deep { n: Int! }
type User @key(fields: "id") { id: ID! }
union Pet = Cat | Dog type Cat { name: String } type Dog { name: String bark: Int } type Fish { name: String }
enum Color { RED GREEN HIDDEN @inaccessible }
scalar JSON"#;
const B: &str = r#"type User @key(fields: "id") { id: ID! name: String! age: Int tags: [String!] }"#;

/// A router in front of two subgraphs that say what they are told to.
struct Table {
    router: Router,
    _subgraphs: Scripted,
    script: Arc<Mutex<[Vec<Step>; 2]>>,
    failed: Vec<String>,
}

impl Table {
    async fn start(more: &str) -> Self {
        let script = Arc::new(Mutex::new([Vec::new(), Vec::new()]));
        let told = script.clone();
        let subgraphs = Scripted::start(move |request: &Recorded| {
            let of = usize::from(request.line().1 == "/b");
            told.lock().unwrap()[of].clone()
        })
        .await;
        let url = subgraphs.url();
        let sdl = |sdl: &str| format!("{LINK}{sdl}").replace('\n', " ");
        let router = Router::start(&format!(
            "subgraphs:\n  a: {{ url: \"{url}/a\", schema: {{ sdl: '{}' }} }}\n  b: {{ url: \"{url}/b\", schema: {{ sdl: '{}' }} }}\n\
             limits: {{ max_subgraph_response_bytes: 64KiB }}\ntraffic_shaping: {{ all: {{ timeout: 2s }} }}\n{more}",
            sdl(A),
            sdl(B)
        ))
        .await;
        Self { router, _subgraphs: subgraphs, script, failed: Vec::new() }
    }

    /// One row: what the subgraphs say to an operation, and what the client must get: data, and errors as (path, code). An error
    /// without a path is `null`.
    async fn row(&mut self, operation: &str, says: [Vec<Step>; 2], data: Value, errors: Value) {
        let told = format!("{operation} <- {:.200} | {:.200}", shown(&says[0]), shown(&says[1]));
        *self.script.lock().unwrap() = says;
        let response = self.router.operation(operation, json!({})).send().await.unwrap();
        let status = response.status();
        let got: Value = response.json().await.unwrap();
        let found: Vec<Value> = got["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|error| {
                assert!(error["message"].is_string() && error.get("locations").is_none(), "{error}");
                json!([error["path"], error["extensions"]["code"]])
            })
            .collect();
        if status != 200 || got["data"] != data || Value::from(found) != errors {
            self.failed.push(format!("{told}\n  wanted {data} {errors}\n  got    {status} {got}"));
        }
    }

    /// One row of the first subgraph alone.
    async fn first(&mut self, operation: &str, says: Vec<Step>, data: Value, errors: Value) {
        self.row(operation, [says, Vec::new()], data, errors).await;
    }

    /// One row where only the first subgraph's JSON matters.
    async fn json(&mut self, operation: &str, says: &str, data: Value, errors: Value) {
        self.first(operation, answer(200, "", says), data, errors).await;
    }

    fn end(self) {
        assert!(self.failed.is_empty(), "{} rows are wrong:\n{}", self.failed.len(), self.failed.join("\n"));
    }
}

fn shown(steps: &[Step]) -> String {
    let text = |step: &Step| match step {
        Step::Send(bytes) => String::from_utf8_lossy(bytes).split_once("\r\n\r\n").map_or(String::new(), |it| it.1.to_owned()),
        other => format!("{other:?}"),
    };
    steps.iter().map(text).collect()
}

/// An answer with these fields, whose length is announced as it is.
fn raw(status: &str, fields: &str, body: &[u8]) -> Vec<Step> {
    let head = format!("HTTP/1.1 {status}\r\n{fields}content-length: {}\r\n\r\n", body.len());
    vec![Step::Send([head.as_bytes(), body].concat())]
}

const JSON: &str = "content-type: application/json\r\n";
const GOOD: &str = r#"{"data":{"me":{"id":"1"},"count":5}}"#;

#[tokio::test]
async fn what_is_no_graphql_response_is_an_error_of_every_field() {
    let mut table = Table::start("").await;
    let nothing = |code: &str| (json!({"me":null,"count":null}), json!([[["me"], code], [["count"], code]]));
    let deep = format!(r#"{{"data":{{"me":null,"count":1,"x":{}{}}}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let unclosed = format!(r#"{{"data":{{"me":{}"#, "[".repeat(10_000));
    let bodies: &[&str] = &[
        "",
        " ",
        "null",
        "true",
        "5",
        "\"data\"",
        "[]",
        "{}",
        "<html></html>",
        &GOOD[..GOOD.len() - 1],
        &GOOD[..20],
        r#"{"data":{"me":nul"#,
        r#"{"data":{"me":null,"count":5}},"#,
        r#"{"data":{"me":null,"count":5}}{}"#,
        r#"{"data":{"me":null,"count":05}}"#,
        r#"{"data":{"me":null,"count":NaN}}"#,
        r#"{"data":{"me":null,"count":5,}}"#,
        r#"{'data':{'me':null}}"#,
        r#"{"data":{"me":null,"count":5},}"#,
        r#"{"data":null}"#,
        r#"{"data":[]}"#,
        r#"{"data":"x"}"#,
        r#"{"data":5}"#,
        r#"{"errors":[]}"#,
        r#"{"errors":null}"#,
        r#"{"data":null,"errors":[]}"#,
        r#"{"data":null,"errors":null}"#,
        r#"{"data":{"me":null,"count":5},"errors":{}}"#,
        r#"{"data":{"me":null,"count":5},"errors":"no"}"#,
        // Twice the same: nobody knows which is meant.
        r#"{"data":{"me":null,"count":5,"count":6}}"#,
        r#"{"data":{"me":null,"count":5,"\u0063ount":6}}"#,
        r#"{"data":{"me":{"id":"1","id":"2"},"count":5}}"#,
        r#"{"data":{"count":5},"data":{"count":6}}"#,
        r#"{"data":{"count":5},"errors":[{"message":"a"}],"errors":[{"message":"b"}]}"#,
        "{\"data\":{\"me\":{\"id\":\"a\nb\"},\"count\":5}}",
        r#"{"data":{"me":{"id":"\ud800"},"count":5}}"#,
        r#"{"data":{"me":{"id":"\x"},"count":5}}"#,
        &deep,
        &unclosed,
    ];
    for body in bodies {
        let (data, errors) = nothing(INVALID);
        table.json("{ me { id } count }", body, data, errors).await;
    }
    let good = GOOD.as_bytes();
    let large = format!(r#"{{"data":{{"me":null,"count":5,"x":"{}"}}}}"#, "x".repeat(70 << 10));
    let head = format!("HTTP/1.1 200 OK\r\n{JSON}");
    let send = |text: String| Step::Send(text.into_bytes());
    let rows = [
        (raw("200 OK", JSON, b"{\"data\":{\"me\":{\"id\":\"\xff\"},\"count\":5}}"), INVALID),
        (raw("200 OK", JSON, b"\xef\xbb\xbf{\"data\":{\"me\":null,\"count\":5}}"), INVALID),
        (raw("200 OK", JSON, &GOOD.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()), INVALID),
        (raw("200 OK", JSON, large.as_bytes()), "UPSTREAM_RESPONSE_TOO_LARGE"),
        (
            vec![send(format!("{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n0\r\n\r\n", large.len()))],
            "UPSTREAM_RESPONSE_TOO_LARGE",
        ),
        (raw("200 OK", "content-type: text/html\r\n", good), INVALID),
        (raw("200 OK", "content-type: text/plain; charset=utf-8\r\n", good), INVALID),
        (raw("200 OK", "content-type: application/octet-stream\r\n", good), INVALID),
        (raw("500 Oops", "content-type: text/html\r\n", b"<html></html>"), INVALID),
        (raw("502 Bad", JSON, b"{\"message\":\"no\"}"), INVALID),
        (raw("404 Nope", "", b""), INVALID),
        (raw("401 Who", JSON, b"\"who\""), INVALID),
        (raw("302 There", "location: /elsewhere\r\n", b""), INVALID),
        (vec![send("HTTP/1.1 204 None\r\n\r\n".into())], INVALID),
        // The body ends before its time.
        (vec![send(format!("{head}content-length: 100\r\n\r\n{GOOD}")), Step::Close], INVALID),
        (vec![send(format!("{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n{GOOD}\r\n", GOOD.len())), Step::Close], INVALID),
        (vec![send(format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n{GOOD}\r\n0\r\n\r\n"))], INVALID),
        (vec![send("SSH-2.0-nothing\r\n\r\n".into())], INVALID),
        // Without a length the end of the connection is the end of the body, which was cut.
        (vec![send(format!("{head}connection: close\r\n\r\n{}", &GOOD[..30])), Step::Close], INVALID),
        (vec![send(format!("{head}content-length: 5\r\ncontent-length: {}\r\n\r\n{GOOD}", GOOD.len()))], INVALID),
        (vec![send(format!("{head}content-length: -1\r\n\r\n{GOOD}"))], INVALID),
        (vec![send(format!("{head}x: {}\r\ncontent-length: {}\r\n\r\n{GOOD}", "y".repeat(1 << 20), GOOD.len()))], INVALID),
        (vec![send("HTTP/1.1 101 Switching Protocols\r\nupgrade: other\r\nconnection: upgrade\r\n\r\n".into())], INVALID),
        (vec![Step::Reset], "UPSTREAM_UNREACHABLE"),
        (vec![Step::Close], "UPSTREAM_UNREACHABLE"),
        (vec![Step::Wait(Duration::from_secs(3))], "UPSTREAM_TIMEOUT"),
        (vec![send(format!("{head}content-length: 100\r\n\r\n{{")), Step::Wait(Duration::from_secs(3))], "UPSTREAM_TIMEOUT"),
    ];
    for (says, code) in rows {
        let (data, errors) = nothing(code);
        table.first("{ me { id } count }", says, data, errors).await;
    }
    table.end();
}

/// The bytes in each content coding.
fn encoded(bytes: &[u8]) -> [(&'static str, Vec<u8>); 5] {
    let read = |mut encoder: Box<dyn Read + '_>| {
        let mut out = Vec::new();
        encoder.read_to_end(&mut out).unwrap();
        out
    };
    let level = flate2::Compression::best();
    [
        ("identity", bytes.to_vec()),
        ("gzip", read(Box::new(flate2::read::GzEncoder::new(bytes, level)))),
        ("deflate", read(Box::new(flate2::read::ZlibEncoder::new(bytes, level)))),
        ("br", read(Box::new(brotli::CompressorReader::new(bytes, 4096, 5, 20)))),
        ("zstd", zstd::encode_all(bytes, 3).unwrap()),
    ]
}

#[tokio::test]
async fn what_cannot_be_decoded_is_no_answer() {
    let mut table = Table::start("").await;
    let operation = "{ me { id } count }";
    let row = |code: &str| (json!({"me":null,"count":null}), json!([[["me"], code], [["count"], code]]));
    // A bomb: megabytes of blanks in a few bytes.
    let bomb = format!("{}{GOOD}", " ".repeat(4 << 20));
    for (coding, body) in encoded(bomb.as_bytes()).into_iter().skip(1) {
        assert!(body.len() < 64 << 10);
        let (data, errors) = row("UPSTREAM_RESPONSE_TOO_LARGE");
        table.first(operation, raw("200 OK", &format!("{JSON}content-encoding: {coding}\r\n"), &body), data, errors).await;
    }
    for (coding, body) in encoded(GOOD.as_bytes()).into_iter().skip(1) {
        for body in [GOOD.as_bytes(), &body[..body.len() / 2]] {
            let (data, errors) = row(INVALID);
            table.first(operation, raw("200 OK", &format!("{JSON}content-encoding: {coding}\r\n"), body), data, errors).await;
        }
    }
    for coding in ["compress", "gzip, br"] {
        let (data, errors) = row(INVALID);
        let fields = format!("{JSON}content-encoding: {coding}\r\n");
        table.first(operation, raw("200 OK", &fields, GOOD.as_bytes()), data, errors).await;
    }
    table.end();
}

#[tokio::test]
async fn what_is_a_graphql_response_is_taken_whatever_stands_around_it() {
    let mut table = Table::start("").await;
    let (data, none) = (json!({"me":{"id":"1"},"count":5}), json!([]));
    let operation = "{ me { id } count }";
    for says in [
        answer(200, "", GOOD),
        answer(500, "", GOOD),
        raw("200 OK", "", GOOD.as_bytes()),
        raw("200 OK", "content-type: application/graphql-response+json; charset=utf-8\r\n", GOOD.as_bytes()),
        raw("200 OK", "content-type: Application/JSON\r\n", GOOD.as_bytes()),
        answer(200, "", "\r\n\t { \"data\" : { \"count\" : 5 , \"me\" : { \"id\" : \"1\" } } } \n"),
        answer(
            200,
            "",
            r#"{"extensions":{"a":[1]},"errors":null,"data":{"x":{"y":[]},"count":5,"me":{"z":1,"id":"1"}},"more":0}"#,
        ),
        answer(200, "", r#"{"data":{"\u006de":{"i\u0064":"1"},"count":5}}"#),
        answer(200, "", r#"{"data":{"me":{"id":1},"count":5.0}}"#),
    ] {
        table.first(operation, says, data.clone(), none.clone()).await;
    }
    let send = |text: &str| Step::Send(text.as_bytes().to_vec());
    let close = format!("{JSON}connection: close\r\n\r\n{GOOD}");
    let whole = format!("HTTP/1.1 200 OK\r\n{JSON}content-length: {}\r\n\r\n{GOOD}", GOOD.len());
    let (first, rest) = GOOD.split_at(9);
    let chunks = format!("{:x};name=value\r\n{first}\r\n{:X}\r\n{rest}\r\n0\r\nx-after: 1\r\n\r\n", first.len(), rest.len());
    for says in [
        vec![send(&format!("HTTP/1.1 200 OK\r\n{close}")), Step::Close],
        vec![send(&format!("HTTP/1.0 200 OK\r\n{close}")), Step::Close],
        vec![send(&format!("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n{whole}"))],
        vec![send(&format!("HTTP/1.1 200 OK\r\n{JSON}transfer-encoding: chunked\r\n\r\n{chunks}"))],
        // Byte by byte.
        whole.bytes().map(|byte| Step::Send(vec![byte])).collect(),
    ] {
        table.first(operation, says, data.clone(), none.clone()).await;
    }
    for (coding, body) in encoded(GOOD.as_bytes()) {
        let fields = format!("{JSON}content-encoding: {coding}\r\n");
        table.first(operation, raw("200 OK", &fields, &body), data.clone(), none.clone()).await;
    }
    // What may be null and is not there is null.
    table.json(operation, r#"{"data":{}}"#, json!({"me":null,"count":null}), none.clone()).await;
    table.json(operation, r#"{"data":{"count":5}}"#, json!({"me":null,"count":5}), none).await;
    table.end();
}

#[tokio::test]
async fn errors_of_subgraphs_keep_their_place() {
    let mut table = Table::start("include_subgraph_errors: { all: true }\n").await;
    let (operation, all) = ("{ me { id } count }", json!({"me":null,"count":null}));
    let everywhere = json!([[["me"], REPORTED], [["count"], REPORTED]]);
    for says in [
        answer(200, "", r#"{"data":null,"errors":[{"message":"m"}]}"#),
        answer(500, "", r#"{"errors":[{"message":"m"}]}"#),
        answer(400, "", r#"{"errors":[{"message":"m","locations":[{"line":1,"column":1}]}]}"#),
        answer(200, "", r#"{"errors":["m"]}"#),
        answer(200, "", r#"{"errors":[null]}"#),
        answer(200, "", r#"{"errors":[{}]}"#),
        answer(200, "", r#"{"errors":[{"message":5,"extensions":7,"path":null}]}"#),
        answer(200, "", r#"{"errors":[{"message":"m","path":"me"}]}"#),
        answer(200, "", r#"{"errors":[{"message":"m","path":[]}]}"#),
        answer(200, "", r#"{"errors":[{"message":"m","path":[true]}]}"#),
        answer(200, "", r#"{"errors":[{"message":"m","path":{"me":1}}]}"#),
    ] {
        table.first(operation, says, all.clone(), everywhere.clone()).await;
    }
    let rows = [
        // Errors without data, at the places that they name.
        (
            r#"{"errors":[{"message":"m","path":["me"]},{"message":"m","path":["count"],"extensions":{"code":"OWN"}}]}"#,
            all.clone(),
            json!([[["me"], REPORTED], [["count"], "OWN"]]),
        ),
        (
            r#"{"data":{"me":null,"count":5},"errors":[{"message":"m","path":["me","id"]}]}"#,
            json!({"me":null,"count":5}),
            json!([[["me", "id"], REPORTED]]),
        ),
        (
            r#"{"data":{"me":{"id":null},"count":5},"errors":[{"message":"m","path":["me","id"]}]}"#,
            json!({"me":null,"count":5}),
            json!([[["me", "id"], REPORTED]]),
        ),
        // Paths that lead nowhere: as far as they make sense, or none.
        (
            r#"{"data":{"me":{"id":"1"},"count":5},"errors":[{"message":"m","path":["nope"]}]}"#,
            json!({"me":{"id":"1"},"count":5}),
            json!([[null, REPORTED]]),
        ),
        (
            r#"{"data":{"me":{"id":"1"},"count":5},"errors":[{"message":"m","path":[0]}]}"#,
            json!({"me":{"id":"1"},"count":5}),
            json!([[null, REPORTED]]),
        ),
        (
            r#"{"data":{"me":{"id":"1"},"count":5},"errors":[{"message":"m","path":["me","nope"]}]}"#,
            json!({"me":{"id":"1"},"count":5}),
            json!([[["me"], REPORTED]]),
        ),
        (
            r#"{"data":{"me":{"id":"1"},"count":5},"errors":[{"message":"m","path":["me","id","x",3,"y"]}]}"#,
            json!({"me":{"id":"1"},"count":5}),
            json!([[["me", "id"], REPORTED]]),
        ),
        (
            r#"{"data":{"me":{"id":"1"},"count":5},"errors":[{"message":"m","path":["count",-1]}]}"#,
            json!({"me":{"id":"1"},"count":5}),
            json!([[["count"], REPORTED]]),
        ),
        (
            r#"{"data":{"me":{"id":"1"},"count":5},"errors":[{"message":"m","path":["count",1e400]}]}"#,
            all.clone(),
            json!([[["me"], INVALID], [["count"], INVALID]]),
        ),
        // An error beside complete data.
        (
            r#"{"data":{"me":{"id":"1"},"count":5},"errors":[{"message":"m"}]}"#,
            json!({"me":{"id":"1"},"count":5}),
            json!([[null, REPORTED]]),
        ),
        // Data that is wrong beside an error about something else.
        (
            r#"{"data":{"me":{"id":"1"},"count":"5"},"errors":[{"message":"m","path":["me","id"]}]}"#,
            json!({"me":{"id":"1"},"count":null}),
            json!([[["me", "id"], REPORTED], [["count"], VALUE]]),
        ),
    ];
    for (says, data, errors) in rows {
        table.json(operation, says, data, errors).await;
    }
    let item = r#"{"data":{"users":[{"id":"1"},null]},"errors":[{"message":"m","path":["users",1]},{"message":"m","path":["users",9]},{"message":"m","path":["users","x"]}]}"#;
    let errors = json!([[["users"], REPORTED], [["users"], REPORTED], [["users", 1], REPORTED]]);
    table.json("{ users { id } }", item, json!({"users":[{"id":"1"},null]}), errors).await;
    table.end();
}

#[tokio::test]
async fn entities_that_are_not_those_asked_for_leave_their_fields_empty() {
    let mut table = Table::start("include_subgraph_errors: { all: true }\n").await;
    let operation = "{ users { id age tags } count }";
    let first = r#"{"data":{"users":[{"__typename":"User","id":"1"},{"__typename":"User","id":"2"}],"count":5}}"#;
    let user = |id: &str, age: Value, tags: Value| json!({"id":id,"age":age,"tags":tags});
    let null = || Value::Null;
    let both = json!({"users":[user("1", null(), null()), user("2", null(), null())],"count":5});
    let missing = |code: &str| {
        json!([
            [["users", 0, "age"], code],
            [["users", 0, "tags"], code],
            [["users", 1, "age"], code],
            [["users", 1, "tags"], code]
        ])
    };
    let one = r#"{"__typename":"User","age":3,"tags":["a"]}"#;
    for (says, code) in [
        (r#"{"data":{"_entities":[]}}"#.to_owned(), INVALID),
        (format!(r#"{{"data":{{"_entities":[{one}]}}}}"#), INVALID),
        (format!(r#"{{"data":{{"_entities":[{one},{one},{one}]}}}}"#), INVALID),
        (format!(r#"{{"data":{{"_entities":[{one},{one}],"_entities":[{one},{one}]}}}}"#), INVALID),
        (format!(r#"{{"data":{{"_entities":{{"0":{one},"1":{one}}}}}}}"#), INVALID),
        (format!(r#"{{"data":{{"_entities":[{one},{{"age":3,"age":4}}]}}}}"#), INVALID),
        (format!(r#"{{"data":{{"_entities":[{one},{one}]"#), INVALID),
        (r#"{"data":{"_entities":null}}"#.to_owned(), INVALID),
        (r#"{"data":{"_entities":5}}"#.to_owned(), INVALID),
        (r#"{"data":{}}"#.to_owned(), INVALID),
        (r#"{"data":{"me":null}}"#.to_owned(), INVALID),
        (r#"{"data":null}"#.to_owned(), INVALID),
        (r#"{"data":null,"errors":[{"message":"m"}]}"#.to_owned(), REPORTED),
        (r#"{"data":{"_entities":null},"errors":[{"message":"m","path":["_entities"]}]}"#.to_owned(), REPORTED),
        (r#"{"errors":[{"message":"m","extensions":{"code":"OWN"}}]}"#.to_owned(), "OWN"),
        // Entities of another type, of none that there is, or no objects.
        (r#"{"data":{"_entities":[{"__typename":"Cat","age":3},{"__typename":"User2","age":3}]}}"#.to_owned(), VALUE),
        (r#"{"data":{"_entities":["User",[]]}}"#.to_owned(), VALUE),
        (
            r#"{"data":{"_entities":[{"__typename":5,"age":3,"tags":[]},{"__typename":null,"age":3,"tags":[]}]}}"#.to_owned(),
            VALUE,
        ),
    ] {
        table.row(operation, [answer(200, "", first), answer(200, "", &says)], both.clone(), missing(code)).await;
    }
    // One is wrong, the other one is not touched. An entity that does not exist is no error.
    let half = json!({"users":[user("1", json!(3), json!(["a"])), user("2", null(), null())],"count":5});
    for (second, errors) in [
        ("null", json!([])),
        ("{\"__typename\":\"User\"}", json!([])),
        ("[]", json!([[["users", 1, "age"], VALUE], [["users", 1, "tags"], VALUE]])),
        (
            "{\"__typename\":\"User\",\"age\":2147483648,\"tags\":[null]}",
            json!([[["users", 1, "age"], VALUE], [["users", 1, "tags", 0], VALUE]]),
        ),
        (
            "{\"__typename\":\"User\",\"age\":\"3\",\"tags\":\"a\"}",
            json!([[["users", 1, "age"], VALUE], [["users", 1, "tags"], VALUE]]),
        ),
    ] {
        let says = format!(r#"{{"data":{{"_entities":[{one},{second}]}}}}"#);
        table.row(operation, [answer(200, "", first), answer(200, "", &says)], half.clone(), errors).await;
    }
    let says = format!(
        r#"{{"data":{{"_entities":[{one},null]}},"errors":[{{"message":"m","path":["_entities",1,"age"]}},{{"message":"m","path":["_entities",7]}}]}}"#
    );
    let errors = json!([[null, REPORTED], [["users", 1, "age"], REPORTED]]);
    table.row(operation, [answer(200, "", first), answer(200, "", &says)], half, errors).await;
    // A field that cannot be null takes its object with it, once for each.
    let operation = "{ users { id name } count }";
    let gone = json!({"users":[{"id":"1","name":"x"},null],"count":5});
    for (second, code) in [("null", VALUE), ("{\"__typename\":\"User\"}", VALUE), ("{\"__typename\":\"User\",\"name\":5}", VALUE)]
    {
        let says = format!(r#"{{"data":{{"_entities":[{{"__typename":"User","name":"x"}},{second}]}}}}"#);
        let errors = json!([[["users", 1, "name"], code]]);
        table.row(operation, [answer(200, "", first), answer(200, "", &says)], gone.clone(), errors).await;
    }
    table
        .row(
            operation,
            [answer(200, "", first), vec![Step::Reset]],
            json!({"users":[null,null],"count":5}),
            json!([[["users", 0, "name"], "UPSTREAM_UNREACHABLE"], [["users", 1, "name"], "UPSTREAM_UNREACHABLE"]]),
        )
        .await;
    table.end();
}

#[tokio::test]
async fn each_value_is_coerced_as_its_type_has_it() {
    let mut table = Table::start("").await;
    let big = "123456789012345678901234567890.000000000000000000001e+2";
    // (field, value of the subgraph, what the client gets; nothing when it is an error)
    let rows: &[(&str, &str, Option<&str>)] = &[
        ("count", "2147483647", Some("2147483647")),
        ("count", "-2147483648", Some("-2147483648")),
        ("count", "2147483648", None),
        ("count", "-2147483649", None),
        ("count", "1e999", None),
        ("count", "99999999999999999999999999", None),
        ("count", "7.0", Some("7")),
        ("count", "1e3", Some("1000")),
        ("count", "7.5", None),
        ("count", "\"7\"", None),
        ("count", "true", None),
        ("count", "[7]", None),
        ("count", "{}", None),
        ("ratio", "7", Some("7")),
        ("ratio", "1.5e-7", Some("1.5e-7")),
        ("ratio", "1e999", None),
        ("ratio", "-1e999", None),
        ("ratio", "\"1.5\"", None),
        ("ratio", "false", None),
        ("ratio", "[1.5]", None),
        ("flag", "true", Some("true")),
        ("flag", "1", None),
        ("flag", "\"true\"", None),
        ("flag", "[]", None),
        ("text", "\"a\\u00e9\\n\"", Some("\"a\\u00e9\\n\"")),
        ("text", "5", None),
        ("text", "true", None),
        ("text", "{}", None),
        ("text", "[\"a\"]", None),
        ("id", "\"x\"", Some("\"x\"")),
        ("id", "12345678901234567890123", Some("\"12345678901234567890123\"")),
        ("id", "1.5", None),
        ("id", "true", None),
        ("id", "{\"id\":1}", None),
        ("id", "[1]", None),
        ("color", "\"RED\"", Some("\"RED\"")),
        ("color", "\"BLUE\"", None),
        ("color", "\"HIDDEN\"", None),
        ("color", "\"red\"", None),
        ("color", "0", None),
        ("color", "[\"RED\"]", None),
        ("color", "\"\\u0052ED\"", Some("\"RED\"")),
        ("blob", big, Some(big)),
        ("blob", "{\"a\":[1,{\"a\":2,\"a\":3}],\"n\":-0.0}", Some("{\"a\":[1,{\"a\":2,\"a\":3}],\"n\":-0.0}")),
        ("blob", "[[]]", Some("[[]]")),
        ("blob", "18446744073709551616", Some("18446744073709551616")),
    ];
    for (field, value, written) in rows {
        *table.script.lock().unwrap() =
            [answer(200, "", &format!(r#"{{"data":{{"{field}":{value},"flag2":true}}}}"#)), Vec::new()];
        let text = table.router.operation(&format!("{{ {field} }}"), json!({})).send().await.unwrap().text().await.unwrap();
        let is_right = match written {
            // Byte for byte: numbers keep their digits.
            Some(written) => text == format!(r#"{{"data":{{"{field}":{written}}}}}"#),
            None => {
                text.starts_with(&format!(r#"{{"data":{{"{field}":null}},"errors":[{{"#))
                    && text.contains(&format!(r#""path":["{field}"]"#))
                    && text.contains(VALUE)
            }
        };
        if !is_right {
            table.failed.push(format!("{field}: {value}\n  wanted {written:?}\n  got    {text}"));
        }
    }
    table.end();
}

#[tokio::test]
async fn objects_lists_and_nulls_stand_where_the_schema_has_them() {
    let mut table = Table::start("").await;
    let at = |path: Value| json!([[path, VALUE]]);
    let rows = [
        ("{ me { id } }", r#"{"me":[{"id":"1"}]}"#, json!({"me":null}), at(json!(["me"]))),
        ("{ me { id } }", r#"{"me":"1"}"#, json!({"me":null}), at(json!(["me"]))),
        ("{ me { id } }", r#"{"me":{"id":null}}"#, json!({"me":null}), at(json!(["me", "id"]))),
        ("{ me { id } }", r#"{"me":{}}"#, json!({"me":null}), at(json!(["me", "id"]))),
        ("{ me { __typename id } }", r#"{"me":{"__typename":"Cat","id":"1"}}"#, json!({"me":null}), at(json!(["me"]))),
        ("{ users { id } }", r#"{"users":{"id":"1"}}"#, json!({"users":null}), at(json!(["users"]))),
        (
            "{ users { id } }",
            r#"{"users":[{"id":"1"},7,null]}"#,
            json!({"users":[{"id":"1"},null,null]}),
            at(json!(["users", 1])),
        ),
        ("{ users { id } }", r#"{"users":[[{"id":"1"}]]}"#, json!({"users":[null]}), at(json!(["users", 0]))),
        ("{ matrix }", r#"{"matrix":[[1,2],null,[]]}"#, json!({"matrix":[[1,2],null,[]]}), json!([])),
        ("{ matrix }", r#"{"matrix":[1,[2]]}"#, json!({"matrix":[null,[2]]}), at(json!(["matrix", 0]))),
        (
            "{ matrix }",
            r#"{"matrix":[[1,"2"],[[3]]]}"#,
            json!({"matrix":[[1,null],[null]]}),
            json!([[["matrix", 0, 1], VALUE], [["matrix", 1, 0], VALUE]]),
        ),
        ("{ matrix }", r#"{"matrix":{"0":[1]}}"#, json!({"matrix":null}), at(json!(["matrix"]))),
        (
            "{ must { deep { n } } count }",
            r#"{"must":{"deep":{"n":null}},"count":5}"#,
            json!({"must":null,"count":5}),
            at(json!(["must", "deep", "n"])),
        ),
        (
            "{ must { deep { n } } count }",
            r#"{"must":{"deep":null},"count":5}"#,
            json!({"must":null,"count":5}),
            at(json!(["must", "deep"])),
        ),
        (
            "{ must { deep { n } } count }",
            r#"{"must":{"deep":[]},"count":5}"#,
            json!({"must":null,"count":5}),
            at(json!(["must", "deep"])),
        ),
        ("{ pet { ... on Dog { bark } } }", r#"{"pet":{"__typename":"Dog","bark":1}}"#, json!({"pet":{"bark":1}}), json!([])),
        ("{ pet { ... on Dog { bark } } }", r#"{"pet":{"__typename":"Fish","bark":1}}"#, json!({"pet":null}), at(json!(["pet"]))),
        ("{ pet { ... on Dog { bark } } }", r#"{"pet":{"__typename":"Bird","bark":1}}"#, json!({"pet":null}), at(json!(["pet"]))),
        ("{ pet { ... on Dog { bark } } }", r#"{"pet":{"__typename":"Pet","bark":1}}"#, json!({"pet":null}), at(json!(["pet"]))),
        ("{ pet { ... on Dog { bark } } }", r#"{"pet":{"bark":1}}"#, json!({"pet":null}), at(json!(["pet"]))),
        ("{ pet { __typename } }", r#"{"pet":{"__typename":7}}"#, json!({"pet":null}), at(json!(["pet"]))),
        ("{ pet { __typename } }", r#"{"pet":{}}"#, json!({"pet":null}), at(json!(["pet"]))),
        ("mutation { add }", r#"{"add":null}"#, Value::Null, at(json!(["add"]))),
        ("mutation { add }", r#"{"add":"1"}"#, Value::Null, at(json!(["add"]))),
        ("mutation { add }", r#"{}"#, Value::Null, at(json!(["add"]))),
    ];
    for (operation, data, wanted, errors) in rows {
        table.json(operation, &format!(r#"{{"data":{data}}}"#), wanted, errors).await;
    }
    table.end();
}
