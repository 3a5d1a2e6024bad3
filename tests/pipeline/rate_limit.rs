//! Quotas, on both kinds of route.

use serde_json::json;

use crate::support::{header, jwt_config, on_both, token};

#[tokio::test]
async fn beyond_the_burst_requests_are_refused_with_a_time_to_come_back() {
    on_both("ratelimit: { rules: [{ name: per-ip, key: [client_ip], rate: 3/1m }] }\n", async |side| {
        for _ in 0..3 {
            let response = side.send().await;
            assert_eq!(response.status(), 200);
            assert!(header(&response, "ratelimit").contains("per-ip"), "{:?}", response.headers());
            assert!(header(&response, "ratelimit-policy").contains("q=3"), "{:?}", response.headers());
        }
        let refused = side.send().await;
        assert_eq!(refused.status(), 429);
        let seconds: u64 = header(&refused, "retry-after").parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
        assert!(header(&refused, "ratelimit").contains("r=0"), "{:?}", refused.headers());
        assert_eq!(side.arrived().len(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_header_and_a_claim_can_be_the_key() {
    on_both("ratelimit: { rules: [{ name: per-key, key: [\"header:X-Key\"], rate: 1/1m }] }\n", async |side| {
        for (key, status) in [("a", 200), ("b", 200), ("a", 429), ("b", 429), ("c", 200)] {
            assert_eq!(side.request().header("x-key", key).send().await.unwrap().status(), status, "{key}");
        }
    })
    .await;
    let config = format!("{}ratelimit: {{ rules: [{{ name: per-user, key: [\"claim:sub\"], rate: 1/1m }}] }}\n", jwt_config());
    on_both(&config, async |side| {
        for (user, status) in [("a", 200), ("b", 200), ("a", 429), ("b", 429)] {
            let response = side.request().bearer_auth(token(json!({ "sub": user }))).send().await.unwrap();
            assert_eq!(response.status(), status, "{user}");
        }
        assert_eq!(side.send().await.status(), 401, "a request that is refused earlier costs no quota and needs none");
    })
    .await;
}

#[tokio::test]
async fn the_global_bucket_holds_for_all() {
    on_both("ratelimit: { global: { capacity: 2, interval: 1m } }\n", async |side| {
        let statuses = [side.send().await, side.send().await, side.send().await].map(|response| response.status().as_u16());
        assert_eq!(statuses, [200, 200, 429]);
    })
    .await;
}

#[tokio::test]
async fn quotas_are_exact_when_requests_come_together() {
    on_both("ratelimit: { rules: [{ name: per-ip, key: [client_ip], rate: 20/1h }] }\n", async |side| {
        let sent = (0..60).map(|_| async { side.send().await.status().as_u16() });
        let statuses = futures_util::future::join_all(sent).await;
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 20);
        assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 40);
    })
    .await;
}
