//! Several listeners in one process: routes, policies, TLS and numbers of their own, and their coming and going.

use std::{
    net::{SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use reqwest::{Certificate, Client, redirect::Policy};
use serde_json::json;
use subgraphs_example::{Addresses, Example};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Router, Scripted, Step, answer, free_ports, jwt_config, token};

/// Status and body of a `GET`.
async fn get(url: String) -> (u16, String) {
    let response = Client::new().get(url).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn public_and_private_have_routes_policies_and_numbers_of_their_own() {
    let public = Scripted::start(|_| answer(200, "", "public")).await;
    let (private, [inside]) = (Scripted::start(|_| answer(200, "", "private")).await, free_ports());
    let router = Router::start(&format!(
        "{}listeners:\n\
         - {{ name: inside, listen: \"{inside}\", authentication: {{ require: false }}, authorization: {{ allow_ips: [127.0.0.0/8] }},\n\
         \x20    rate_limit: {{ rules: [{{ name: few, key: [client_ip], algorithm: fixed_window, rate: 3/1h }}] }} }}\n\
         routes:\n\
         - {{ name: everywhere, match: {{ path: /orders }}, upstream: public }}\n\
         - {{ name: statistics, match: {{ path: /statistics }}, listeners: [inside], upstream: private }}\n\
         - {{ name: shop, match: {{ path: /shop }}, listeners: [default], upstream: public }}\n\
         - {{ name: shop-inside, match: {{ path: /shop }}, listeners: [inside], upstream: private, rate_limit: {{ rules: [] }} }}\n\
         upstreams:\n  public: {{ endpoints: [{{ url: \"{}\" }}] }}\n  private: {{ endpoints: [{{ url: \"{}\" }}] }}\n",
        jwt_config(),
        public.url(),
        private.url(),
    ))
    .await;
    let default = router.address();
    let authorization = format!("Bearer {}", token(json!({})));
    let with_token = async |path: &str| {
        let response = router.get(path).header("authorization", &authorization).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    // The public one asks who it is, and does not have what is private.
    assert_eq!(get(format!("http://{default}/orders")).await.0, 401);
    assert_eq!(with_token("/orders").await, (200, "public".into()));
    assert_eq!(with_token("/statistics").await.0, 404);
    assert_eq!(with_token("/shop").await, (200, "public".into()), "the same path leads elsewhere");
    // The private one asks nobody, and has a quota of its own.
    assert_eq!(get(format!("http://{inside}/shop")).await, (200, "private".into()));
    assert_eq!(get(format!("http://{inside}/statistics")).await, (200, "private".into()));
    assert_eq!(get(format!("http://{inside}/orders")).await, (200, "public".into()));
    assert_eq!(get(format!("http://{inside}/orders")).await.0, 200);
    assert_eq!(get(format!("http://{inside}/orders")).await.0, 429);
    assert_eq!(get(format!("http://{inside}/shop")).await.0, 200, "a route's own quotas come first");
    assert_eq!(with_token("/orders").await.0, 200, "the quota is that of the other listener");

    let count = async |labels: &[&str]| router.metric("api_requests_total", labels).await;
    assert!((count(&["listener=\"inside\"", "route=\"everywhere\"", "status_code=\"200\""]).await - 2.0).abs() < 0.1);
    assert!((count(&["listener=\"default\"", "route=\"everywhere\"", "status_code=\"200\""]).await - 2.0).abs() < 0.1);
    assert!((count(&["listener=\"inside\""]).await - 6.0).abs() < 0.1);
    let refused = router.metric("api_errors_total", &["listener=\"inside\"", "error_type=\"RATE_LIMITED\""]).await;
    assert!((refused - 1.0).abs() < 0.1);
    assert!(router.log().contains("\"listener\":\"inside\""), "{}", router.log());
}

#[tokio::test]
async fn the_graph_may_be_had_at_some_listeners_only() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let [graph] = free_ports();
    let router = Router::start_with(
        &example,
        &format!("supergraph: {{ listeners: [graph] }}\nlisteners: [{{ name: graph, listen: \"{graph}\" }}]\n"),
    )
    .await;
    let query = json!({ "query": "{ topProducts { name } }" });
    let answer = router.client.post(format!("http://{graph}/graphql")).json(&query).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.unwrap().starts_with("{\"data\""));
    assert_eq!(router.client.post(router.url("/graphql")).json(&query).send().await.unwrap().status(), 404);
    for address in [graph, router.address()] {
        assert_eq!(get(format!("http://{address}/api/v1/orders/1")).await.0, 200, "routes that name none are at all");
    }
}

#[tokio::test]
async fn the_graph_has_the_policies_of_its_listener() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let [inside] = free_ports();
    let more =
        format!("{}listeners: [{{ name: inside, listen: \"{inside}\", authentication: {{ require: false }} }}]\n", jwt_config());
    let router = Router::start_with(&example, &more).await;
    let query = json!({ "query": "{ topProducts { name } }" });
    let ask = async |url: String| router.client.post(url).json(&query).send().await.unwrap().status().as_u16();
    assert_eq!(ask(router.url("/graphql")).await, 401);
    assert_eq!(ask(format!("http://{inside}/graphql")).await, 200);
    assert_eq!(get(router.url("/api/v1/orders/1")).await.0, 401);
    assert_eq!(get(format!("http://{inside}/api/v1/orders/1")).await.0, 200);
}

#[tokio::test]
async fn each_listener_has_its_tls_its_redirect_and_its_introductions() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/tls");
    let upstream = Scripted::start(|_| answer(200, "", "fine")).await;
    let [secure, from, behind] = free_ports();
    let router = Router::start(&format!(
        "trusted_proxies: [127.0.0.0/8]\nroutes: [{{ name: all, upstream: one }}]\n\
         upstreams: {{ one: {{ endpoints: [{{ url: \"{}\" }}] }} }}\n\
         listeners:\n\
         - {{ name: secure, listen: \"{secure}\", trusted_proxies: [],\n\
         \x20    tls: {{ certificates: [{{ cert: {folder}/localhost.pem, key: {folder}/localhost.key.pem }}], redirect_from: \"{from}\" }} }}\n\
         - {{ name: behind, listen: \"{behind}\", proxy_protocol: true }}\n",
        upstream.url()
    ))
    .await;
    let authority = Certificate::from_pem(&std::fs::read(format!("{folder}/authority.pem")).unwrap()).unwrap();
    let client = Client::builder().tls_certs_only([authority]).resolve("localhost", secure).redirect(Policy::none());
    let client = client.build().unwrap();
    let forwarded = "192.0.2.9";
    let url = format!("https://localhost:{}/x", secure.port());
    let response = client.get(&url).header("x-forwarded-for", forwarded).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, reqwest::Version::HTTP_2));
    let got = upstream.take().remove(0);
    assert_eq!((got.field("x-forwarded-for"), got.field("x-forwarded-proto")), (vec!["127.0.0.1"], vec!["https"]));
    let response = client.get(format!("http://{from}/a?b")).header("host", "a.example").send().await.unwrap();
    assert_eq!(response.status(), 308);
    assert_eq!(response.headers()["location"], format!("https://a.example:{}/a?b", secure.port()));
    // The first one is plain, nobody introduces its connections, and it believes its proxies.
    assert_eq!(router.get("/x").header("x-forwarded-for", forwarded).send().await.unwrap().status(), 200);
    assert_eq!(upstream.take()[0].field("x-forwarded-for"), [format!("{forwarded}, 127.0.0.1")]);
    let mut stream = TcpStream::connect(behind).await.unwrap();
    let introduced = "PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(introduced.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(upstream.take()[0].field("x-forwarded-for"), ["192.0.2.7"]);
}

/// Waits until somebody listens, or nobody does.
async fn until(address: SocketAddr, is_open: bool, router: &Router) {
    let started = Instant::now();
    while TcpStream::connect(address).await.is_ok() != is_open {
        assert!(started.elapsed() < Duration::from_secs(15), "{address} open: {}\n{}", !is_open, router.log());
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

#[tokio::test]
async fn listeners_come_move_and_go_and_nobody_is_cut_off() {
    let slow = Scripted::start(|_| {
        let mut steps = vec![Step::Wait(Duration::from_millis(2_500))];
        steps.extend(answer(200, "", "slow"));
        steps
    })
    .await;
    let [first, second, taken] = free_ports();
    let url = slow.url();
    let config = |listeners: &str| {
        format!(
            "supergraph: {{ poll_interval: 200ms }}\nroutes: [{{ name: all, upstream: one }}]\n\
             upstreams: {{ one: {{ endpoints: [{{ url: \"{url}\" }}] }} }}\n\
             health_check: {{ listen: \"${{env.HEALTH}}\" }}\nadmin: {{ listen: \"${{env.ADMIN}}\" }}\n\
             telemetry: {{ exporters: {{ metrics: {{ prometheus: {{ listen: \"${{env.METRICS}}\" }} }} }} }}\n{listeners}"
        )
    };
    let router = Router::start(&config("")).await;
    router.rewrite_config(&config(&format!("listeners: [{{ name: more, listen: \"{first}\" }}]\n")));
    until(first, true, &router).await;
    let in_flight = tokio::spawn(get(format!("http://{first}/")));
    tokio::time::sleep(Duration::from_millis(300)).await;
    // It moves, and what is in flight at its old address is answered.
    router.rewrite_config(&config(&format!("listeners: [{{ name: more, listen: \"{second}\" }}]\n")));
    until(second, true, &router).await;
    until(first, false, &router).await;
    assert_eq!(in_flight.await.unwrap(), (200, "slow".into()));

    // What cannot be had changes nothing.
    let _there = TcpListener::bind(taken).unwrap();
    router.rewrite_config(&config(&format!("listeners: [{{ name: more, listen: \"{taken}\" }}]\n")));
    let started = Instant::now();
    while !router.log().contains(&format!("cannot listen on {taken}")) {
        assert!(started.elapsed() < Duration::from_secs(15), "{}", router.log());
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert_eq!(get(format!("http://{second}/")).await.0, 200);
    assert!(router.readiness().await.unwrap().1.contains("cannot listen"), "readiness says why");

    // SIGTERM ends all of them, and answers what is in flight at each.
    let in_flight = [tokio::spawn(get(format!("http://{second}/"))), tokio::spawn(get(router.url("/")))];
    tokio::time::sleep(Duration::from_millis(300)).await;
    router.terminate();
    for request in in_flight {
        assert_eq!(request.await.unwrap(), (200, "slow".into()));
    }
    let mut router = router;
    assert!(router.ended().await.success());
}
