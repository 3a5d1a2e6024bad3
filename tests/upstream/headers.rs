//! Header rules, on both kinds of route: what the upstream gets of a request, and the client of an answer.

use crate::support::{Kind, header, on_both};

#[tokio::test]
async fn requests_are_propagated_inserted_removed_and_renamed() {
    let config = "
headers:
  all:
    request:
      - propagate: { named: X-Tenant }
      - propagate: { matching: \"^x-trace-.*\" }
      - propagate: { named: X-Old }
      - propagate: { named: X-Internal-Debug }
      - insert: { name: X-Gateway-Version, value: \"2.0\" }
      - remove: { named: X-Internal-Debug }
      - rename: { from: X-Old, to: X-New }
";
    on_both(config, async |side| {
        let request = side.request().header("x-tenant", "t1").header("x-trace-a", "1").header("x-trace-b", "2");
        let request = request.header("x-internal-debug", "on").header("x-old", "moved").header("x-gateway-version", "forged");
        assert_eq!(request.send().await.unwrap().status(), 200);
        let got = side.arrived_once();
        assert_eq!(got.field("x-tenant"), ["t1"]);
        assert_eq!((got.field("x-trace-a"), got.field("x-trace-b")), (vec!["1"], vec!["2"]));
        assert_eq!(got.field("x-gateway-version"), ["2.0"]);
        assert!(got.field("x-internal-debug").is_empty() && got.field("x-old").is_empty(), "{}", got.head);
        assert_eq!(got.field("x-new"), ["moved"]);
    })
    .await;
}

#[tokio::test]
async fn what_concerns_one_connection_is_not_passed_on() {
    on_both("headers: { all: { request: [{ propagate: { matching: \".*\" } }] } }\n", async |side| {
        let request = side.request().header("connection", "x-hop").header("x-hop", "1").header("x-kept", "1");
        let request = request.header("keep-alive", "timeout=5").header("proxy-connection", "keep-alive").header("te", "gzip");
        assert_eq!(request.send().await.unwrap().status(), 200);
        let got = side.arrived_once();
        for name in ["x-hop", "keep-alive", "proxy-connection", "te"] {
            assert!(got.field(name).is_empty(), "{name} in {}", got.head);
        }
        assert_eq!(got.field("x-kept"), ["1"]);
        assert_eq!(got.field("content-length").len() + got.field("transfer-encoding").len(), 1, "{}", got.head);
    })
    .await;
}

#[tokio::test]
async fn responses_are_propagated_inserted_and_removed() {
    let config = "
headers:
  all:
    response:
      - propagate: { named: cache-control, algorithm: append }
      - insert: { name: X-Served-By, value: supergate }
      - remove: { named: Server }
      - remove: { named: X-Upstream }
";
    on_both(config, async |side| {
        let response = side.send().await;
        assert_eq!(header(&response, "cache-control"), "max-age=60");
        assert_eq!(header(&response, "x-served-by"), "supergate");
        assert_eq!((header(&response, "server"), header(&response, "x-upstream")), ("", ""));
    })
    .await;
}

#[tokio::test]
async fn without_rules_a_rest_route_passes_all_and_graphql_none() {
    on_both("", async |side| {
        let response = side.request().header("x-custom", "1").send().await.unwrap();
        let is_rest = side.kind == Kind::Rest;
        assert_eq!(header(&response, "x-upstream") == "yes", is_rest);
        assert_eq!(side.arrived_once().field("x-custom") == ["1"], is_rest);
    })
    .await;
}
