//! What of the path an upstream sees.

use super::router_to;
use crate::support::{Scripted, answer};

#[tokio::test]
async fn prefixes_are_stripped_and_paths_rewritten() {
    for (route, path, wanted) in [
        (", strip_prefix: /api/v1", "/api/v1/orders/1?x=1", "/orders/1?x=1"),
        (", strip_prefix: /api/v1", "/api/v1", "/"),
        (", strip_prefix: /api/v1", "/api/v10/x", "/api/v10/x"),
        (", rewrite: { path: \"/v2/{rest}\" }", "/a/b?c=%2F", "/v2/a/b?c=%2F"),
    ] {
        let upstream = Scripted::start(|_| answer(200, "", "{}")).await;
        let router = router_to(&upstream, route, "").await;
        assert_eq!(router.get(path).send().await.unwrap().status(), 200, "{path}");
        assert_eq!(upstream.take()[0].line().1, wanted, "{route}");
    }
}
