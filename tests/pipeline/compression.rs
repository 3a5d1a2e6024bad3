//! Answers are encoded as the client prefers it, on GraphQL and REST alike, where that is of use and allowed.

use std::io::Read;

use reqwest::Response;
use serde_json::Value;

use crate::support::{Kind, Router, Scripted, answer, header, on_both};

const ON: &str = "compression: { response: [zstd, br, gzip], min_size: 16 }\n";

/// The body without its coding.
async fn decoded(response: Response) -> Vec<u8> {
    let coding = header(&response, "content-encoding").to_owned();
    let bytes = response.bytes().await.unwrap();
    let mut out = Vec::new();
    match coding.as_str() {
        "gzip" => flate2::read::GzDecoder::new(bytes.as_ref()).read_to_end(&mut out).map(drop).unwrap(),
        "br" => brotli::Decompressor::new(bytes.as_ref(), 4096).read_to_end(&mut out).map(drop).unwrap(),
        "zstd" => out = zstd::decode_all(bytes.as_ref()).unwrap(),
        "" => out = bytes.to_vec(),
        other => panic!("{other} was not accepted"),
    }
    out
}

#[tokio::test]
async fn the_client_chooses_the_coding_and_gets_the_same_bytes() {
    // The REST answer of the shared upstream is 10 bytes long.
    on_both("compression: { response: [zstd, br, gzip], min_size: 1 }\n", async |side| {
        let plain = side.send().await;
        assert_eq!((header(&plain, "content-encoding"), header(&plain, "vary")), ("", "accept-encoding"));
        let plain = plain.bytes().await.unwrap();
        for (accept, coding) in [
            ("gzip", "gzip"),
            ("br", "br"),
            ("gzip, deflate, br, zstd", "zstd"),
            ("gzip;q=1.0, br;q=0.5", "gzip"),
            ("*", "zstd"),
            ("identity", ""),
            ("gzip;q=0", ""),
            ("deflate", ""),
        ] {
            let response = side.request().header("accept-encoding", accept).send().await.unwrap();
            assert_eq!(header(&response, "content-encoding"), coding, "{accept}");
            assert_eq!(decoded(response).await, plain, "{accept}");
        }
    })
    .await;
}

#[tokio::test]
async fn off_and_too_small_leave_the_answer_alone() {
    for config in ["", "compression: { response: [gzip], min_size: 1KiB }\n"] {
        on_both(config, async |side| {
            let response = side.request().header("accept-encoding", "gzip").send().await.unwrap();
            assert_eq!(header(&response, "content-encoding"), "");
            assert!(response.headers().contains_key("content-length"));
        })
        .await;
    }
}

#[tokio::test]
async fn what_may_not_be_changed_is_not() {
    let upstream = Scripted::start(|request| {
        let long = "x".repeat(5000);
        match request.line().1 {
            "/etag" => answer(200, "etag: \"v1\"\r\naccept-ranges: bytes\r\nvary: origin\r\n", &long),
            "/weak" => answer(200, "etag: W/\"v1\"\r\nvary: Accept-Encoding\r\n", &long),
            "/fixed" => answer(200, "cache-control: private, no-transform\r\n", &long),
            "/part" => answer(206, "content-range: bytes 0-4999/9999\r\n", &long),
            "/done" => answer(200, "content-encoding: br\r\n", &long),
            _ => vec![crate::support::Step::Send(
                b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 4\r\n\r\npng!".to_vec(),
            )],
        }
    })
    .await;
    let router = Router::start(&format!(
        "{ON}routes: [{{ name: all, match: {{ path: / }}, upstream: all }}]\nupstreams: {{ all: {{ endpoints: [{{ url: \"{}\" }}] }} }}\n",
        upstream.url()
    ))
    .await;
    let get = async |path: &str| router.get(path).header("accept-encoding", "gzip").send().await.unwrap();
    let tagged = get("/etag").await;
    assert_eq!((header(&tagged, "content-encoding"), header(&tagged, "etag")), ("gzip", "W/\"v1\""));
    assert!(!tagged.headers().contains_key("accept-ranges"));
    let vary: Vec<_> = tagged.headers().get_all("vary").iter().collect();
    assert_eq!(vary, ["origin", "accept-encoding"]);
    let weak = get("/weak").await;
    assert_eq!((header(&weak, "etag"), weak.headers().get_all("vary").iter().count()), ("W/\"v1\"", 1));
    for (path, coding) in [("/fixed", ""), ("/part", ""), ("/done", "br"), ("/image", "")] {
        let response = get(path).await;
        assert_eq!(header(&response, "content-encoding"), coding, "{path}");
        assert!(response.headers().contains_key("content-length"), "{path}");
    }
    let head = router.client.head(router.url("/etag")).header("accept-encoding", "gzip");
    // The script answers with a body, which HEAD has not: the head alone counts, and it is that of GET.
    let head = head.send().await.unwrap();
    assert_eq!((header(&head, "content-encoding"), header(&head, "etag")), ("gzip", "W/\"v1\""));
}

#[tokio::test]
async fn bodies_of_requests_may_be_encoded_up_to_their_limit() {
    on_both("limits: { http_max_request_bytes: 100KB }\n", async |side| {
        if side.kind == Kind::Rest {
            return; // What goes through is not decoded.
        }
        let gzip = |text: &str| {
            let mut encoder = flate2::read::GzEncoder::new(text.as_bytes(), flate2::Compression::default());
            let mut out = Vec::new();
            encoder.read_to_end(&mut out).unwrap();
            out
        };
        let post = async |coding: &str, body: Vec<u8>| {
            let response = side.request().header("content-encoding", coding).body(body).send().await.unwrap();
            let (status, accepted) = (response.status().as_u16(), header(&response, "accept-encoding").to_owned());
            (status, accepted, response.json::<Value>().await.unwrap())
        };
        let query = r#"{"query":"{ me { id } }"}"#;
        for (coding, body) in [
            ("gzip", gzip(query)),
            ("zstd", zstd::encode_all(query.as_bytes(), 1).unwrap()),
            ("identity", query.as_bytes().to_vec()),
        ] {
            let (status, _, answer) = post(coding, body).await;
            assert_eq!((status, &answer["data"]["me"]["id"]), (200, &Value::from("1")), "{coding}: {answer}");
        }
        let (status, accepted, _) = post("compress", query.as_bytes().to_vec()).await;
        assert_eq!((status, accepted.as_str()), (415, "zstd, br, gzip, deflate"));
        let (status, _, answer) = post("gzip", query.as_bytes().to_vec()).await;
        assert_eq!(status, 400, "{answer}");
        // A megabyte of blanks in a kilobyte.
        let (status, _, answer) = post("gzip", gzip(&format!("{query}{}", " ".repeat(1 << 20)))).await;
        assert_eq!((status, &answer["errors"][0]["extensions"]["code"]), (413, &Value::from("PAYLOAD_TOO_LARGE")));
    })
    .await;
}
