//! One answer of 7 MB from one subgraph: what a router adds to its latency, and how much memory it holds meanwhile.
//!
//! The subgraph alone, nginx in front of it and the routers are asked in turn, one request at a time, so that whatever else the machine
//! does meets all of them; medians are compared. The subgraph prints its answer anew for each request, as GraphQL servers do. Ours gets
//! an operation whose answer it can pass on as it comes, one that asks for `__typename` too, and one in another order than the answer's.

use std::{fmt::Write as _, future::IntoFuture as _, io, net::SocketAddr, path::Path, time::Duration};

use axum::{Router as Routes, http::header, routing::post};
use serde_json::{Value, json};

use crate::{
    Options,
    load::Load,
    process::{Router, free_port},
};

/// Rows of the answer, which make it 7 MB.
const ROWS: usize = 35_000;
/// Turns of each.
const TURNS: usize = 30;

const SDL: &str = "type Query { rows: [Row!]! } type Row { id: ID! name: String! price: Int weight: Float tags: [String!] maker: Maker } \
                   type Maker { id: ID! name: String country: String }";
const FIELDS: &str = "id name price weight tags maker { id name country }";

/// Measures and prints a line for each.
pub async fn run(options: &Options, folder: &Path) -> io::Result<()> {
    let (subgraph, size) = subgraph().await?;
    let config = folder.join("large.yaml");
    let ours = Router::supergate(options.router.as_deref(), &config, |port| router_yaml(port, subgraph))?;
    ours.ready().await?;
    let mut all = vec![("supergate, passed on", ours, FIELDS.to_owned())];
    if let Some(nginx) = Router::nginx(folder, subgraph)? {
        all.push(("nginx", nginx, FIELDS.to_owned()));
    }
    let supergraph = crate::process::compose(&config, folder)?;
    for (name, command) in &options.rivals {
        let rival = Router::command(command, &supergraph)?;
        rival.ready().await?;
        all.push((name, rival, FIELDS.to_owned()));
    }
    for (name, fields) in [
        ("supergate, with __typename", format!("{FIELDS} __typename")),
        ("supergate, decoded and written", format!("maker {{ country name id }} {FIELDS}")),
    ] {
        let config = folder.join(format!("large-{}.yaml", all.len()));
        let router = Router::supergate(options.router.as_deref(), &config, |port| router_yaml(port, subgraph))?;
        router.ready().await?;
        all.push((name, router, fields));
    }

    let idle: Vec<u64> = all.iter().map(|(_, router, _)| router.peak_memory()).collect();
    let mut latencies = vec![Vec::new(); all.len() + 1];
    // The first turn fills caches and pools.
    for turn in 0..=TURNS {
        let addresses =
            std::iter::once((subgraph, FIELDS)).chain(all.iter().map(|(_, router, fields)| (router.address, fields.as_str())));
        for ((address, fields), latencies) in addresses.zip(&mut latencies) {
            let report = once(address, fields).run().await?;
            if turn > 0 {
                latencies.push(report.latency(0.5));
            }
        }
    }
    println!("an answer of {:.1} MB, {TURNS} times", size as f64 / 1e6);
    println!("{:<34}{:>10}{:>10}{:>14}{:>22}", "who", "p50 ms", "min ms", "added, %", "memory / answer");
    let mut medians = latencies.iter_mut().map(|latencies| {
        latencies.sort_unstable();
        let at = |index: usize| latencies.get(index).copied().unwrap_or_default().as_secs_f64() * 1e3;
        (at(TURNS / 2), at(0))
    });
    let (direct, least) = medians.next().unwrap_or_default();
    println!("{:<34}{direct:>10.1}{least:>10.1}", "the subgraph alone");
    for (((name, router, _), idle), (median, least)) in all.iter().zip(idle).zip(medians) {
        let memory = (router.peak_memory() - idle) as f64 / size as f64;
        let added = (median / direct - 1.0) * 100.0;
        println!("{name:<34}{median:>10.1}{least:>10.1}{added:>14.1}{memory:>22.2}");
    }
    Ok(())
}

fn once(address: SocketAddr, fields: &str) -> Load {
    let body = json!({ "query": format!("{{ rows {{ {fields} }} }}") }).to_string();
    let mut request =
        format!("POST /graphql HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nConnection: close\r\n");
    let _ = write!(request, "Content-Length: {}\r\n\r\n{body}", body.len());
    Load { name: String::new(), address, bodies: vec![request.into_bytes()], requests: 1, connections: 1 }
}

/// A subgraph with one large answer, and the answer's size.
async fn subgraph() -> io::Result<(SocketAddr, usize)> {
    let row = |number: usize| {
        json!({ "id": number.to_string(), "name": format!("A row with the number {number} and \"quotes\""), "price": number * 7,
                "weight": number as f64 / 8.0, "tags": ["heavy", "in stock", "on sale"],
                "maker": { "id": format!("maker-{}", number % 97), "name": "Someone & Sons", "country": "Norway" } })
    };
    // In the order of the operation, which a map of values would not keep.
    let text = |row: Value| {
        let keys = ["id", "name", "price", "weight", "tags"];
        let fields: Vec<String> = keys.iter().map(|key| format!("\"{key}\":{}", row[*key])).collect();
        let maker = ["id", "name", "country"].map(|key| format!("\"{key}\":{}", row["maker"][key])).join(",");
        format!("{{{},\"maker\":{{{maker}}}}}", fields.join(","))
    };
    let rows: Vec<String> = (0..ROWS).map(|number| text(row(number))).collect();
    let print = |rows: &[String]| format!("{{\"data\":{{\"rows\":[{}]}}}}", rows.join(","));
    let size = print(&rows).len();
    let answer = move || async move { ([(header::CONTENT_TYPE, "application/json")], print(&rows)) };
    let listener = tokio::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let routes = Routes::new().route("/graphql", post(answer));
    tokio::spawn(axum::serve(listener, routes).into_future());
    tokio::time::sleep(Duration::from_millis(50)).await;
    Ok((address, size))
}

fn router_yaml(port: u16, subgraph: SocketAddr) -> String {
    format!(
        "supergraph: {{ listen: \"127.0.0.1:{port}\" }}\nhealth_check: {{ listen: \"127.0.0.1:{}\" }}\n\
         telemetry: {{ exporters: {{ metrics: {{ prometheus: {{ listen: \"127.0.0.1:{}\" }} }} }}, access_log: {{ enabled: false }} }}\n\
         subgraphs: {{ large: {{ url: \"http://{subgraph}/graphql\", schema: {{ sdl: \"{SDL}\" }} }} }}\n",
        free_port(),
        free_port(),
    )
}
