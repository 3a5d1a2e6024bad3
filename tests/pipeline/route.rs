//! Which route a request takes: rules as their users know them, by path, template, header, query, method, stage and version.

use std::collections::BTreeMap;

use subgraphs_example::{Addresses, Example, Upstream};

use crate::support::{Kind, Recorded, Router, Scripted, answer, header, jwt_config, on_both, on_both_with};

#[tokio::test]
async fn paths_match_by_segment_and_methods_are_checked() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let orders = example.url(Upstream::Orders);
    let router = Router::start(&format!(
        "subgraphs: {{ accounts: {{ url: \"{}\" }} }}\n\
         routes:\n\
         \x20 - {{ name: read, match: {{ path: /api/v1/orders, methods: [GET] }}, upstream: orders, strip_prefix: /api/v1 }}\n\
         \x20 - {{ name: echo, match: {{ path: /echo }}, upstream: orders }}\n\
         upstreams: {{ orders: {{ endpoints: [{{ url: \"{orders}\" }}] }} }}\n",
        example.url(Upstream::Accounts),
    ))
    .await;
    let status = async |path: &str| router.get(path).send().await.unwrap().status().as_u16();
    assert_eq!(status("/api/v1/orders").await, 200);
    assert_eq!(status("/api/v1/orders/3").await, 200);
    assert_eq!(status("/api/v1/ordersx").await, 404);
    assert_eq!(status("/nowhere").await, 404);
    let refused = router.client.post(router.url("/api/v1/orders")).send().await.unwrap();
    assert_eq!((refused.status().as_u16(), header(&refused, "allow").contains("GET")), (405, true));
    let echo: serde_json::Value = router.get("/echo/a?x=1&x=2&y=%20").send().await.unwrap().json().await.unwrap();
    assert_eq!(echo["target"], "/echo/a?x=1&x=2&y=%20");
}

#[tokio::test]
async fn a_path_that_could_be_read_in_two_ways_is_refused() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let router = Router::start_with(&example, "").await;
    for path in ["/api/v1/..%2forders", "/api/v1/%2e%2e/x", "/api/v1/a%00b", "/api/v1/a%5cb", "/api/v1/a%2fb"] {
        let answer = router.raw(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
    }
}

#[tokio::test]
async fn what_no_route_takes_is_told_apart() {
    on_both("", async |side| {
        let send = |method: &str, path: &str| side.router.client.request(method.parse().unwrap(), side.router.url(path)).send();
        let refused = send("DELETE", side.path()).await.unwrap();
        assert_eq!(refused.status(), 405);
        let allow = header(&refused, "allow");
        assert!(allow.contains("GET") && allow.contains("POST"), "{allow:?}");
        assert_eq!(send("POST", "/nowhere").await.unwrap().status(), 404);
        let doubtful =
            format!("POST {}/%2e%2e/x HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", side.path());
        assert!(side.router.raw(&doubtful).await.starts_with("HTTP/1.1 400 "));
        assert!(side.arrived().is_empty());
    })
    .await;
}

/// The blocks at the top hold for both kinds; a route's own block replaces them for that route alone.
#[tokio::test]
async fn a_route_can_override_any_policy() {
    let general = "limits: { http_max_request_bytes: 10 }\nratelimit: { rules: [{ name: none, key: [client_ip], rate: 1/1h }] }\n\
                   authorization: { deny_ips: [127.0.0.1] }\ncors: { origins: [\"https://app.example\"] }\n\
                   headers: { all: { request: [{ insert: { name: x-from, value: top } }] } }\n";
    let own = "limits: { http_max_request_bytes: 1KiB }, ratelimit: { rules: [] }, authorization: { deny_ips: [] }, authentication: { require: false }, \
               cors: { origins: [\"https://other.example\"] }, headers: { request: [{ insert: { name: x-from, value: own } }] }";
    on_both_with(own, &format!("{general}{}", jwt_config()), async |side| {
        for _ in 0..2 {
            let response = side.request().header("origin", "https://other.example").send().await.unwrap();
            if side.kind == Kind::Graphql {
                assert_ne!(response.status(), 200);
                assert_eq!(header(&response, "access-control-allow-origin"), "");
                assert!(side.arrived().is_empty());
            } else {
                assert_eq!(response.status(), 200);
                assert_eq!(header(&response, "access-control-allow-origin"), "https://other.example");
                assert_eq!(side.arrived_once().field("x-from"), ["own"]);
            }
        }
    })
    .await;
}

/// Upstreams that answer with their names, and a router with these routes to them.
async fn router<const N: usize>(
    names: [&'static str; N],
    routes: &str,
    more: &str,
) -> (Router, BTreeMap<&'static str, Scripted>) {
    let mut all = BTreeMap::new();
    for name in names {
        all.insert(name, Scripted::start(move |_| answer(200, "", name)).await);
    }
    let upstreams: String =
        all.iter().map(|(name, it)| format!("  {name}: {{ endpoints: [{{ url: \"{}\" }}] }}\n", it.url())).collect();
    (Router::start(&format!("routes:\n{routes}upstreams:\n{upstreams}{more}")).await, all)
}

/// What a request head comes to: the name of the upstream, or the status.
async fn reaches(router: &Router, head: &str) -> String {
    let head = head.replace('\n', "\r\n");
    let answer = router.raw(&format!("{head}\r\nhost: a.example\r\nconnection: close\r\n\r\n")).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    match head.split(' ').nth(1) {
        Some("200") => body.to_owned(),
        status => status.unwrap_or_default().to_owned(),
    }
}

async fn check(router: &Router, table: &[(&str, &str)]) {
    for (head, wanted) in table {
        let method = if head.starts_with('/') { "GET " } else { "" };
        let (line, fields) = head.split_once('\n').unwrap_or((head, ""));
        let fields = if fields.is_empty() { String::new() } else { format!("\n{fields}") };
        assert_eq!(reaches(router, &format!("{method}{line} HTTP/1.1{fields}")).await, *wanted, "{head:?}");
    }
}

#[tokio::test]
async fn a_prefix_ends_where_a_segment_ends() {
    let routes = "  - { name: users, match: { path: /api/users }, upstream: users }\n  \
                  - { name: orders, match: { path: /api/orders/ }, upstream: orders }\n  \
                  - { name: products, match: { path: /api/products }, upstream: products }\n";
    let (router, _up) = router(["users", "orders", "products"], routes, "").await;
    check(
        &router,
        &[
            ("/api/users", "users"),
            ("/api/users/", "users"),
            ("/api/users/7/name?x=1", "users"),
            ("/api/users?x", "users"),
            ("/api/usersX", "404"),
            ("/api/user", "404"),
            ("/api/Users", "404"),
            ("/api/orders", "orders"),
            ("/api/orders/1", "orders"),
            ("/api/products", "products"),
            ("/api", "404"),
            ("/", "404"),
        ],
    )
    .await;
}

#[tokio::test]
async fn templates_exact_paths_expressions_and_headers_lead_where_they_say() {
    let routes = "  - { name: any, match: { path: / }, upstream: any }\n  \
                  - { name: user, match: { path: \"/users/{id}\" }, upstream: user }\n  \
                  - { name: me, match: { path: \"=/users/me\" }, upstream: me }\n  \
                  - { name: orders, match: { path: \"/users/{id}/orders\" }, upstream: orders }\n  \
                  - { name: image, match: { path: \"~/img/[a-z]+[.]png\" }, upstream: image }\n  \
                  - { name: equal, match: { path: /h, headers: { X-A: \"1\" } }, upstream: equal }\n  \
                  - { name: like, match: { path: /h, headers: { X-A: \"~[2-4]\" } }, upstream: like }\n  \
                  - { name: both, match: { path: /h, headers: { X-A: \"1\", X-B: \"*\" } }, upstream: both }\n  \
                  - { name: absent, match: { path: /n, headers: { X-A: \"!\" } }, upstream: absent }\n";
    let names = ["any", "user", "me", "orders", "image", "equal", "like", "both", "absent"];
    let (router, _up) = router(names, routes, "").await;
    check(
        &router,
        &[
            ("/users", "any"),
            ("/users/", "any"),
            ("/users/7", "user"),
            ("/users/7/x", "user"),
            ("/users/me", "me"),
            ("/users/me/orders", "orders"),
            ("/users/7/orders/9", "orders"),
            ("/users/%6de", "me"),
            ("/img/cat.png", "image"),
            ("/img/cat.png/x", "any"),
            ("/x/img/cat.png", "any"),
            ("/h", "any"),
            ("/h\nX-A: 1", "equal"),
            ("/h\nx-a: 1\nX-B:", "both"),
            ("/h\nX-A: 3", "like"),
            ("/h\nX-A: 33", "any"),
            ("/h\nX-A: 9\nX-A: 1", "equal"),
            ("/n", "absent"),
            ("/n\nX-A:", "any"),
        ],
    )
    .await;
}

#[tokio::test]
async fn query_parameters_are_compared_decoded_and_one_of_several_is_enough() {
    let routes = "  - { name: any, match: { path: / }, upstream: any }\n  \
                  - { name: equal, match: { path: /q, query: { v: \"a b\" } }, upstream: equal }\n  \
                  - { name: like, match: { path: /q, query: { v: \"~[0-9]+\" } }, upstream: like }\n  \
                  - { name: there, match: { path: /q, query: { \"w[]\": \"*\" } }, upstream: there }\n";
    let (router, up) = router(["any", "equal", "like", "there"], routes, "").await;
    check(
        &router,
        &[
            ("/q", "any"),
            ("/q?v=a%20b", "equal"),
            ("/q?%76=a%20b", "equal"),
            ("/q?v=x&v=a%20b&z", "equal"),
            ("/q?v=12", "like"),
            ("/q?v=12x", "any"),
            ("/q?V=12", "any"),
            ("/q?w[]", "there"),
            ("/q?w%5b%5d=", "there"),
            ("/q?&&=&", "any"),
            ("/q?v=%zz", "any"),
        ],
    )
    .await;
    assert_eq!(up["equal"].take()[2].line().1, "/q?v=x&v=a%20b&z", "whatever was read of it, it goes on as it came");
}

#[tokio::test]
async fn methods_that_a_path_does_not_have_are_named() {
    let routes = "  - { name: users, match: { path: /api/v1/users, methods: [GET, POST, PUT, DELETE] }, upstream: users }\n";
    let (router, up) = router(["users"], routes, "").await;
    check(
        &router,
        &[
            ("/api/v1/users", "users"),
            ("POST /api/v1/users", "users"),
            ("DELETE /api/v1/users/1", "users"),
            ("PATCH /api/v1/users/1", "405"),
            ("OPTIONS /api/v1/users", "405"),
            ("get /api/v1/users", "405"),
            ("PATCH /api/v1/others", "404"),
        ],
    )
    .await;
    up["users"].take();
    let head = router.raw("HEAD /api/v1/users HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    assert_eq!(up["users"].take()[0].line().0, "HEAD");
    let refused = router.raw("PATCH /api/v1/users HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(refused.contains("allow: DELETE, GET, HEAD, POST, PUT\r\n"), "{refused}");
}

#[tokio::test]
async fn what_is_not_stripped_stays_byte_for_byte() {
    let routes = "  - { name: kept, match: { path: /kept }, upstream: up }\n  \
                  - { name: stripped, match: { path: /api/v1 }, strip_path: true, upstream: up }\n  \
                  - { name: template, match: { path: \"/of/{who}\" }, strip_path: true, upstream: up }\n";
    let (router, up) = router(["up"], routes, "").await;
    for (target, wanted, prefix) in [
        ("/kept//a;b=c/%7e%41?x=%2F&&y=a+b?", "/kept//a;b=c/%7e%41?x=%2F&&y=a+b?", None),
        ("/kept?", "/kept?", None),
        ("/api/v1/a;x=1/%c3%a4?q=%2f", "/a;x=1/%c3%a4?q=%2f", Some("/api/v1")),
        ("/api/v1", "/", Some("/api/v1")),
        ("/api/v1/", "/", Some("/api/v1")),
        ("/api/v1?x", "/?x", Some("/api/v1")),
        ("/api/v1?", "/?", Some("/api/v1")),
        ("/api//v1//x", "//x", Some("/api//v1")),
        ("/%61pi/v1/x", "/x", Some("/%61pi/v1")),
        ("/of/ada/books?x=1", "/books?x=1", Some("/of/ada")),
    ] {
        assert_eq!(reaches(&router, &format!("GET {target} HTTP/1.1")).await, "up", "{target}");
        let got = up["up"].take().remove(0);
        assert_eq!(got.line().1, wanted, "{target}");
        assert_eq!(got.field("x-forwarded-prefix"), prefix.into_iter().collect::<Vec<_>>(), "{target}");
    }
}

#[tokio::test]
async fn host_and_path_must_both_fit_and_alternatives_are_further_routes() {
    let routes = "  - { name: one, match: { host: api.company.com, path: /v1 }, upstream: users }\n  \
                  - { name: two, match: { host: api.company.org, path: /v1 }, upstream: users }\n  \
                  - { name: not, match: { host: api.company.com, path: /v1, headers: { X-Old: \"*\" } }, upstream: old }\n";
    let (router, _up) = router(["users", "old"], routes, "").await;
    let ask = async |host: &str, path: &str, field: &str| {
        let answer = router.raw(&format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{field}connection: close\r\n\r\n")).await;
        (answer.split(' ').nth(1).unwrap_or_default().to_owned(), answer.rsplit("\r\n\r\n").next().unwrap_or_default().to_owned())
    };
    let users = || ("200".to_owned(), "users".to_owned());
    assert_eq!(ask("api.company.com", "/v1/x", "").await, users());
    assert_eq!(ask("api.company.org:8080", "/v1", "").await, users());
    assert_eq!(ask("api.company.com", "/v1", "x-old: 1\r\n").await.1, "old", "all but these");
    assert_eq!(ask("api.company.com", "/v2", "").await.0, "404");
    assert_eq!(ask("other.org", "/v1", "").await.0, "421");
}

#[tokio::test]
async fn a_stage_is_a_prefix_with_a_catch_all_and_what_overrides_it() {
    let routes = "  - { name: prod, match: { path: /prod }, strip_path: true, upstream: all }\n  \
                  - { name: get, match: { path: \"/prod/users/{id}\", methods: [GET] }, strip_prefix: /prod, upstream: get }\n  \
                  - { name: put, match: { path: \"/prod/users/{id}\", methods: [PUT] }, rewrite: { path: \"/v2/of/{id}\" }, upstream: put,\n      \
                      headers: { request: [{ insert: { name: X-Stage, value: prod } }, { rename: { from: X-Old, to: X-New } }] } }\n";
    let (router, up) = router(["all", "get", "put"], routes, "").await;
    check(
        &router,
        &[
            ("/prod/users/7", "get"),
            ("PUT /prod/users/7?x=1\nX-Old: 5\ncontent-length: 0", "put"),
            ("DELETE /prod/users/7", "all"),
            ("/prod", "all"),
            ("/prod/anything/else", "all"),
            ("/dev/users/7", "404"),
        ],
    )
    .await;
    assert_eq!(up["get"].take()[0].line().1, "/users/7");
    let changed = up["put"].take().remove(0);
    assert_eq!(changed.line().1, "/v2/of/7?x=1");
    assert_eq!((changed.field("x-stage"), changed.field("x-new")), (vec!["prod"], vec!["5"]));
    assert!(changed.field("x-old").is_empty());
}

#[tokio::test]
async fn one_service_may_have_several_routes_and_each_request_is_recorded_once() {
    let routes =
        "  - { name: one, match: { path: /one }, upstream: up }\n  - { name: two, match: { path: /two }, upstream: up }\n";
    let (router, up) = router(["up"], routes, "").await;
    let ask = async |count: usize, path: &str| {
        for _ in 0..count {
            let response = router.get(path).send().await.unwrap();
            let _ = response.bytes().await;
        }
    };
    futures_util::future::join4(ask(40, "/one"), ask(30, "/two"), ask(20, "/none"), ask(10, "/one/x%2fy")).await;
    assert_eq!(up["up"].requests().len(), 70, "what is refused goes nowhere, and is recorded all the same");
    let started = std::time::Instant::now();
    let lines = |route: &str| router.log().lines().filter(|line| line.contains("\"request_id\"") && line.contains(route)).count();
    while lines("") < 100 {
        assert!(started.elapsed() < std::time::Duration::from_secs(10), "{} lines", lines(""));
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!((lines(""), lines("\"route\":\"two\"")), (100, 30));
    assert_eq!(router.metric("api_requests_total", &[]).await, 100.0);
    assert_eq!(router.metric("api_requests_total", &["route=\"two\""]).await, 30.0);
}

#[tokio::test]
async fn the_most_specific_quota_counts_and_all_of_its_rules_do() {
    let routes = "  - { name: own, match: { path: /own }, upstream: up, ratelimit: { rules: [\n      \
                      { name: few, key: [client_ip], rate: 5/1h }, { name: fewer, key: [header:X-User], rate: 2/1h }] } }\n  \
                  - { name: general, match: { path: /general }, upstream: up }\n";
    let general = "ratelimit: { rules: [{ name: general, key: [client_ip], rate: 3/1h }] }\n";
    let (router, _up) = router(["up"], routes, general).await;
    let ask = async |path: &str, user: &str| router.get(path).header("X-User", user).send().await.unwrap().status().as_u16();
    for status in [200, 200, 200, 429] {
        assert_eq!(ask("/general", "a").await, status);
    }
    for (user, status) in [("a", 200), ("a", 200), ("a", 429), ("b", 200), ("b", 200)] {
        assert_eq!(ask("/own", user).await, status, "{user}: the quota at the top was used up, and is not this route's");
    }
    assert_eq!(ask("/own", "c").await, 429, "the rule for addresses counts beside the one for users");
}

/// The example of a user of Kong: versions by path and by header, the stable one by default, paths as they are.
#[tokio::test]
async fn kongs_example_of_versions_runs() {
    let routes = "  - { name: v1, match: { path: /api/v1/users, methods: [GET, POST, PUT, DELETE] }, upstream: v1 }\n  \
                  - { name: v2, match: { path: /api/v2/users, methods: [GET, POST, PUT, DELETE] }, upstream: v2 }\n  \
                  - { name: by-header, match: { path: /api/users, headers: { X-API-Version: \"2\" } }, upstream: v2 }\n  \
                  - { name: default, match: { path: /api/users }, upstream: v1 }\n";
    let (router, up) = router(["v1", "v2"], routes, "").await;
    check(
        &router,
        &[
            ("/api/v1/users/1", "v1"),
            ("/api/v2/users/1", "v2"),
            ("/api/users\nX-API-Version: 2", "v2"),
            ("/api/users\nX-API-Version: 1", "v1"),
            ("/api/users", "v1"),
            ("/api/v3/users", "404"),
        ],
    )
    .await;
    assert_eq!(up["v1"].take()[0].line().1, "/api/v1/users/1");
}

#[tokio::test]
async fn or_and_not_make_any_combination() {
    let routes = "  - { name: new, match: { host: api.company.com, path: /v1, headers: { X-Stage: \"!beta\", X-Old: \"!~1[0-9]\" } },\n      \
                      or: [{ host: \"*.company.org\", path: \"/{tenant}/v1\", query: { old: \"!\" } }, { path: \"=/ping\", methods: [GET] }],\n      \
                      strip_path: true, upstream: new }\n  \
                  - { name: old, match: { path: /v1 }, upstream: old }\n";
    let (router, up) = router(["new", "old"], routes, "").await;
    let ask = async |method: &str, host: &str, path: &str, fields: &str| {
        let answer = router.raw(&format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n{fields}connection: close\r\n\r\n")).await;
        let body = answer.rsplit("\r\n\r\n").next().unwrap_or_default().to_owned();
        if answer.starts_with("HTTP/1.1 200 ") { body } else { answer.split(' ').nth(1).unwrap_or_default().to_owned() }
    };
    for (method, host, path, fields, wanted) in [
        ("GET", "api.company.com", "/v1/a", "", "new"),
        ("GET", "api.company.com", "/v1", "x-stage: alpha\r\n", "new"),
        ("GET", "api.company.com", "/v1", "x-stage: beta\r\n", "old"),
        ("GET", "api.company.com", "/v1", "x-stage: alpha\r\nx-stage: beta\r\n", "old"),
        ("GET", "api.company.com", "/v1", "x-old: 12\r\n", "old"),
        ("GET", "api.company.com", "/v1", "x-old: 123\r\n", "new"),
        ("GET", "eu.company.org", "/acme/v1/b", "", "new"),
        ("GET", "eu.company.org", "/acme/v1/b?old", "", "404"),
        ("GET", "other.example", "/ping", "", "new"),
        ("POST", "other.example", "/ping", "content-length: 0\r\n", "405"),
        ("GET", "other.example", "/v1", "", "old"),
    ] {
        assert_eq!(ask(method, host, path, fields).await, wanted, "{method} {host} {path} {fields}");
    }
    let targets: Vec<_> = up["new"].take().iter().map(|request| request.line().1.to_owned()).collect();
    assert_eq!(targets, ["/a", "/", "/", "/b", "/"], "each match strips its own path");
}

#[tokio::test]
async fn paths_of_the_configuration_may_be_encoded_and_a_plus_is_no_space() {
    let upstream = Scripted::start(|request: &Recorded| answer(200, "", request.line().1)).await;
    let router = Router::start(&format!(
        "routes:\n  - {{ name: encoded, match: {{ path: /caf%C3%A9 }}, upstream: one }}\n\
         \x20 - {{ name: plus, match: {{ path: /c++ }}, upstream: one, strip_path: true }}\n\
         upstreams: {{ one: {{ endpoints: [{{ url: \"{}\" }}] }} }}\n",
        upstream.url()
    ))
    .await;
    for (path, left) in [("/caf%C3%A9/x", "/caf%C3%A9/x"), ("/c++/x", "/x"), ("/c%2B%2b/x?a+b", "/x?a+b")] {
        let response = router.get(path).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.text().await.unwrap().as_str()), (200, left), "{path}");
    }
    assert_eq!(router.get("/c%20%20/x").send().await.unwrap().status(), 404);
}
