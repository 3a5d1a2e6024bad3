//! The cost of many routes: the CPU time of a router with 1,000 routes of every kind, as a ratio to the same router with one.
//!
//! Both run all the time and are asked the same in turn; the medians are compared. What is asked is taken by routes of every kind
//! where there are many.

use std::{fmt::Write as _, io, net::SocketAddr, path::Path};

use subgraphs_example::{Example, Upstream};

use crate::{
    Options,
    load::Load,
    process::{Router, free_port},
};

/// Turns of each router.
const TURNS: usize = 9;
/// Routes of each of the five kinds.
const EACH: usize = 200;

/// Measures and prints a line for each kind of path.
pub async fn run(options: &Options, example: &Example, folder: &Path) -> io::Result<()> {
    let start = |each: usize| {
        let config = folder.join(format!("routes-{each}.yaml"));
        Router::supergate(options.router.as_deref(), &config, |port| router_yaml(example, port, each))
    };
    let routers = [start(0)?, start(EACH)?];
    for router in &routers {
        router.listens().await?;
    }
    println!("{:<22}{:>16}{:>16}{:>9}", "what is asked", "1 route, CPU s", "1,000 routes", "ratio");
    let requests = options.requests * 10;
    for (name, targets) in kinds() {
        let mut costs = [Vec::new(), Vec::new()];
        // The first turn fills pools.
        for turn in 0..=TURNS {
            for (router, costs) in routers.iter().zip(&mut costs) {
                let bodies = targets.iter().map(|target| request(router.address, target)).collect();
                let (name, address, connections) = (name.to_owned(), router.address, options.connections);
                let before = router.cpu()?;
                Load { name, address, bodies, requests, connections }.run().await?;
                let cost = router.cpu()?.saturating_sub(before).as_secs_f64() * 1e3 / requests as f64;
                costs.extend((turn > 0).then_some(cost));
            }
        }
        let [one, many] = costs.map(median);
        println!("{name:<22}{one:>16.4}{many:>16.4}{:>9.3}", many / one);
    }
    Ok(())
}

fn median(mut costs: Vec<f64>) -> f64 {
    costs.sort_by(f64::total_cmp);
    costs.get(costs.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Targets by the kind of route that takes them; a host stands before the path where it matters.
fn kinds() -> Vec<(&'static str, Vec<String>)> {
    let all = |target: fn(usize) -> String| (0..EACH).map(target).collect::<Vec<_>>();
    let kinds = vec![
        ("a prefix", all(|number| format!("/prefix{number}/x"))),
        ("an exact path", all(|number| format!("/exact/{number}"))),
        ("a template", all(|number| format!("/shop{number}/items/7"))),
        ("a regular expression", all(|number| format!("/like/a{number}z"))),
        ("a header and a query", all(|number| format!("/on{number}?v=2"))),
        ("none but the catch-all", vec!["/nothing/here".to_owned()]),
    ];
    let mixed = kinds.iter().flat_map(|(_, targets)| targets.iter().take(EACH / 5).cloned()).collect();
    kinds.into_iter().chain([("all of them in turn", mixed)]).collect()
}

fn request(address: SocketAddr, target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nX-Version: 2\r\n\r\n").into_bytes()
}

fn router_yaml(example: &Example, port: u16, each: usize) -> String {
    let mut yaml = format!(
        "supergraph: {{ listen: 127.0.0.1:{port} }}\nhealth_check: {{ listen: 127.0.0.1:{} }}\n\
         telemetry: {{ exporters: {{ metrics: {{ prometheus: {{ enabled: false }} }} }}, access_log: {{ enabled: false }} }}\n\
         upstreams: {{ one: {{ endpoints: [{{ url: \"{}\" }}] }} }}\n\
         routes:\n  - {{ name: all, match: {{ path: / }}, upstream: one, rewrite: {{ path: /health }}, strip_query: [v] }}\n",
        free_port(),
        example.url(Upstream::Orders),
    );
    for number in 0..each {
        for matches in [
            format!("path: /prefix{number}, methods: [GET]"),
            format!("path: \"=/exact/{number}\""),
            format!("path: \"/shop{number}/items/{{id}}\""),
            format!("path: \"~/like/[a-c]{number}z?\""),
            format!("path: /on{number}, headers: {{ X-Version: \"2\" }}, query: {{ v: \"2\" }}"),
        ] {
            let name = matches.bytes().filter(u8::is_ascii_alphanumeric).map(char::from).collect::<String>();
            let _ = writeln!(
                yaml,
                "  - {{ name: {name}, match: {{ {matches} }}, upstream: one, rewrite: {{ path: /health }}, strip_query: [v] }}"
            );
        }
    }
    yaml
}
