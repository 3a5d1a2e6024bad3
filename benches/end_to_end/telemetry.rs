//! The cost of being seen from outside: the CPU time of a router with metrics, OTLP traces of every request and the access log, as a
//! ratio to the same router with none of them.
//!
//! So does each of the three alone. All routers run all the time and are asked in turn, so that whatever else the machine does meets
//! all of them; the medians are compared.

use std::{fmt::Write as _, future::IntoFuture as _, io, net::SocketAddr, path::Path, time::Duration};

use axum::{Router as Routes, routing::post};
use subgraphs_example::{Example, Upstream};

use crate::{
    Options,
    load::Load,
    process::{Router, free_port},
    request_body, subgraphs_yaml,
};

/// Turns of each router.
const TURNS: usize = 5;

/// What can be seen from outside.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Metrics,
    AccessLog,
    Traces,
}

/// What is switched on.
const VARIANTS: &[(&str, &[Part])] = &[
    ("nothing", &[]),
    ("metrics", &[Part::Metrics]),
    ("access log", &[Part::AccessLog]),
    ("traces", &[Part::Traces]),
    ("all", &[Part::Metrics, Part::AccessLog, Part::Traces]),
];

/// Measures and prints a line for operations and one for REST calls.
pub async fn run(options: &Options, example: &Example, folder: &Path) -> io::Result<()> {
    let collector = collector().await?;
    let start = |on: &[Part]| {
        let config = folder.join(format!("telemetry-{on:?}.yaml"));
        Router::supergate(options.router.as_deref(), &config, |port| router_yaml(example, port, on, collector))
    };
    let routers = VARIANTS.iter().map(|(_, on)| start(on)).collect::<io::Result<Vec<_>>>()?;
    for router in &routers {
        router.ready().await?;
    }
    println!("{:<30}{:<20}{:>16}{:>9}", "load", "on", "CPU s/1000", "ratio");
    for (name, requests, request) in [
        ("the reference operation", options.requests, operation as fn(SocketAddr) -> Vec<u8>),
        ("a REST call", options.requests * 10, call),
    ] {
        let mut costs = vec![Vec::new(); routers.len()];
        // The first turn fills caches and pools.
        for turn in 0..=TURNS {
            for (router, costs) in routers.iter().zip(&mut costs) {
                let bodies = vec![request(router.address)];
                let load =
                    Load { name: name.to_owned(), address: router.address, bodies, requests, connections: options.connections };
                let before = router.cpu()?;
                load.run().await?;
                // Spans leave in batches; what is on its way belongs to this turn.
                tokio::time::sleep(Duration::from_millis(600)).await;
                let cost = router.cpu()?.saturating_sub(before).as_secs_f64() * 1e3 / requests as f64;
                costs.extend((turn > 0).then_some(cost));
            }
        }
        let costs: Vec<f64> = costs.into_iter().map(median).collect();
        let none = costs.first().copied().unwrap_or(f64::NAN);
        for ((variant, _), cost) in VARIANTS.iter().zip(costs) {
            println!("{name:<30}{variant:<20}{cost:>16.4}{:>9.3}", cost / none);
        }
    }
    Ok(())
}

fn median(mut costs: Vec<f64>) -> f64 {
    costs.sort_by(f64::total_cmp);
    costs.get(costs.len() / 2).copied().unwrap_or(f64::NAN)
}

fn operation(address: SocketAddr) -> Vec<u8> {
    request_body(address, 0)
}

fn call(address: SocketAddr) -> Vec<u8> {
    format!("GET /api/v1/orders/1 HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes()
}

/// Takes spans and forgets them.
async fn collector() -> io::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let routes = Routes::new().route("/v1/traces", post(async |_: axum::body::Bytes| ()));
    tokio::spawn(axum::serve(listener, routes).into_future());
    Ok(address)
}

fn router_yaml(example: &Example, port: u16, on: &[Part], collector: SocketAddr) -> String {
    let (metrics, access_log, traces) = (on.contains(&Part::Metrics), on.contains(&Part::AccessLog), on.contains(&Part::Traces));
    let mut yaml = format!(
        "supergraph: {{ listen: 127.0.0.1:{port} }}\n\
         traffic_shaping: {{ all: {{ deduplicate_query: false }} }}\n\
         health_check: {{ listen: 127.0.0.1:{} }}\n\
         telemetry:\n  exporters:\n    metrics: {{ prometheus: {{ enabled: {metrics}, listen: 127.0.0.1:{} }} }}\n    \
         tracing: {{ otlp: {{ enabled: {traces}, endpoint: \"http://{collector}\", protocol: http }} }}\n  \
         access_log: {{ enabled: {access_log} }}\n\
         routes:\n  - {{ name: orders, match: {{ path: /api/v1 }}, upstream: orders, strip_prefix: /api/v1 }}\n\
         upstreams:\n  orders: {{ endpoints: [{{ url: \"{}\" }}] }}\n",
        free_port(),
        free_port(),
        example.url(Upstream::Orders),
    );
    let _ = write!(yaml, "{}", subgraphs_yaml(example));
    yaml
}
