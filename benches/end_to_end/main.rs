//! The end-to-end benchmark: the reference operation through the whole router, over real sockets.
//!
//! `cargo bench --bench end_to_end -- --requests 4000 --connections 50 [--rival 'NAME=COMMAND']`
//!
//! Starts the example subgraphs in this process (pinned to one core together with the load generator) and each router alone on
//! the other core, and prints for each load: requests per second, latency percentiles, CPU seconds of the router alone per
//! 1,000 requests, and its peak memory. A rival's COMMAND is run by `sh` with `{port}` and `{supergraph}` replaced; it must answer
//! on `/graphql`. With `--telemetry on` it prints what metrics, traces and the access log cost instead, with `--routes on` what
//! 1,000 routes cost, with `--large on` what it takes to answer with 7 MB from one subgraph. `--router PATH` measures another binary
//! of ours than the one just built. Where nginx is installed, its cost of proxying a 200-byte answer is printed as the yardstick.

mod large;
mod load;
mod process;
mod routes;
mod telemetry;

use std::{
    fmt::Write as _,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use load::{Load, Report};
use process::{Router, free_port};
use subgraphs_example::{Addresses, Example, Upstream};

/// The operation of the public benchmark: users and top products, four levels deep.
const OPERATION: &str = include_str!("reference.graphql");

/// What the command line asks for.
struct Options {
    requests: usize,
    connections: usize,
    rivals: Vec<(String, String)>,
    telemetry: bool,
    routes: bool,
    large: bool,
    router: Option<PathBuf>,
}

fn main() -> io::Result<()> {
    let options = options()?;
    process::pin_self(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(run(&options))
}

fn options() -> io::Result<Options> {
    let mut options = Options {
        requests: 2_000,
        connections: 50,
        rivals: Vec::new(),
        telemetry: false,
        routes: false,
        large: false,
        router: None,
    };
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| io::Error::other(format!("{word} needs a value")))?;
        match word.as_str() {
            "--requests" => options.requests = value.parse().map_err(io::Error::other)?,
            "--connections" => options.connections = value.parse().map_err(io::Error::other)?,
            "--telemetry" => options.telemetry = value == "on",
            "--routes" => options.routes = value == "on",
            "--large" => options.large = value == "on",
            "--router" => options.router = Some(value.into()),
            "--rival" => {
                let (name, command) = value.split_once('=').ok_or_else(|| io::Error::other("--rival takes NAME=COMMAND"))?;
                options.rivals.push((name.to_owned(), command.to_owned()));
            }
            _ => return Err(io::Error::other(format!("{word} is not known: see the head of benches/end_to_end/main.rs"))),
        }
    }
    Ok(options)
}

async fn run(options: &Options) -> io::Result<()> {
    let example = Example::start(Addresses::any_port()).await?;
    let folder = std::env::temp_dir().join(format!("supergate-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    if options.large {
        large::run(options, &folder).await?;
        return std::fs::remove_dir_all(&folder);
    }
    if options.telemetry {
        telemetry::run(options, &example, &folder).await?;
        return std::fs::remove_dir_all(&folder);
    }
    if options.routes {
        routes::run(options, &example, &folder).await?;
        return std::fs::remove_dir_all(&folder);
    }
    println!("{:<44}{:>9}{:>9}{:>9}{:>9}{:>12}{:>9}", "load", "req/s", "p50 ms", "p95 ms", "p99 ms", "CPU s/1000", "MiB");
    if let Some(yardstick) = nginx(&example, &folder, options).await? {
        print(&yardstick);
    }
    for (deduplicate, suffix) in [(false, ""), (true, ", de-duplicated")] {
        let config = folder.join(format!("router-{deduplicate}.yaml"));
        let router = Router::supergate(options.router.as_deref(), &config, |port| router_yaml(&example, port, deduplicate))?;
        router.ready().await?;
        for load in loads(options, router.address) {
            let name = format!("supergate: {}{suffix}", load.name);
            print(&measure(&router, load.named(name)).await?);
            if deduplicate {
                break;
            }
        }
    }
    let supergraph = process::compose(&folder.join("router-false.yaml"), &folder)?;
    for (name, command) in &options.rivals {
        let router = Router::command(command, &supergraph)?;
        router.ready().await?;
        for load in loads(options, router.address) {
            let title = format!("{name}: {}", load.name);
            print(&measure(&router, load.named(title)).await?);
        }
    }
    std::fs::remove_dir_all(&folder)
}

/// Identical requests, 200 operations in turn, and every operation new.
fn loads(options: &Options, address: SocketAddr) -> Vec<Load> {
    let graphql = |name: &str, different: usize| {
        let bodies = (0..different).map(|number| request_body(address, number)).collect();
        Load { name: name.to_owned(), address, bodies, requests: options.requests, connections: options.connections }
    };
    vec![
        graphql("all requests identical", 1),
        graphql("200 different operations in turn", 200),
        graphql("every operation new", options.requests + options.requests / 5),
    ]
}

/// One HTTP request: the reference operation under a name of its own.
fn request_body(address: SocketAddr, number: usize) -> Vec<u8> {
    let operation = OPERATION.replace("TestQuery {", &format!("TestQuery{number} {{ number{number}: __typename"));
    let body = serde_json::json!({ "query": operation }).to_string();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nAccept: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body.into_bytes()].concat()
}

/// Warms up with a fifth of the load, then measures.
async fn measure(router: &Router, load: Load) -> io::Result<Report> {
    load.warm_up().run().await?;
    let before = router.cpu()?;
    let mut report = load.after_warm_up().run().await?;
    report.cpu = router.cpu()?.checked_sub(before);
    report.peak_memory = router.peak_memory();
    Ok(report)
}

fn print(report: &Report) {
    let mut line = format!("{:<44}{:>9.0}", report.name, report.per_second());
    for share in [0.50, 0.95, 0.99] {
        let _ = write!(line, "{:>9.2}", report.latency(share).as_secs_f64() * 1e3);
    }
    let cpu = report.cpu.map_or(f64::NAN, |cpu| cpu.as_secs_f64() * 1e3 / report.answers() as f64);
    let _ = write!(line, "{cpu:>12.4}{:>9.0}", report.peak_memory as f64 / f64::from(1 << 20));
    println!("{line}");
}

fn router_yaml(example: &Example, port: u16, deduplicate: bool) -> String {
    let mut yaml = format!(
        "supergraph:\n  listen: 127.0.0.1:{port}\n  query_planning: {{ cache: {{ in_memory: {{ limit: 1000 }} }} }}\n\
         traffic_shaping:\n  router: {{ deduplicate: {deduplicate} }}\n  all: {{ deduplicate_query: false }}\n\
         health_check: {{ listen: 127.0.0.1:{} }}\n\
         telemetry:\n  exporters: {{ metrics: {{ prometheus: {{ listen: 127.0.0.1:{} }} }} }}\n  access_log: {{ enabled: false }}\n",
        free_port(),
        free_port(),
    );
    yaml.push_str(&subgraphs_yaml(example));
    yaml
}

/// The example's subgraphs as a configuration names them.
fn subgraphs_yaml(example: &Example) -> String {
    let mut yaml = String::from("subgraphs:\n");
    for upstream in Upstream::SUBGRAPHS {
        let _ = writeln!(yaml, "  {}: {{ url: \"{}\" }}", upstream.name(), example.url(upstream));
    }
    yaml
}

/// nginx in front of an answer of 200 bytes: what one request costs a lean proxy on this machine.
async fn nginx(example: &Example, folder: &Path, options: &Options) -> io::Result<Option<Report>> {
    let Some(router) = Router::nginx(folder, example.address(Upstream::Orders))? else { return Ok(None) };
    tokio::time::sleep(Duration::from_millis(200)).await;
    let request = format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", router.address).into_bytes();
    let load = Load {
        name: "nginx, one small answer proxied".to_owned(),
        address: router.address,
        bodies: vec![request],
        requests: options.requests * 10,
        connections: options.connections,
    };
    measure(&router, load).await.map(Some)
}
