//! `supergate demo`: the example's subgraphs and REST service in this process, and a router in front of them.

use std::{io, net::SocketAddr};

use subgraphs_example::{Addresses, Example};

use super::{
    outcome::{Outcome, complain},
    serve,
};
use crate::{
    app,
    config::{Config, ConfigSource, Given},
};

/// The demo's router.yaml.
const CONFIG: &str = include_str!("demo.yaml");

/// Serves the demo.
pub fn run() -> io::Result<Outcome> {
    serve::with_runtime(async {
        let example = match Example::start(Addresses::demo()).await {
            Ok(example) => example,
            Err(error) => {
                return Outcome::failed(format_args!(
                    "the example services cannot listen on 127.0.0.1, ports 4001 to 4004 and 4010: {error}"
                ));
            }
        };
        let given = Given { source: ConfigSource::BuiltIn(CONFIG), is_development: true, ..Given::default() };
        let served = app::serve(given, announce).await;
        drop(example);
        serve::outcome(served)
    })
}

fn announce(address: SocketAddr, config: &Config) {
    let endpoint = serve::endpoint(address, config);
    let health = config.health_check.listen;
    let metrics = config.telemetry.exporters.metrics.prometheus.listen;
    complain(format_args!(
        r#"
Supergate's demo: four subgraphs and a REST service behind one router.

  GraphQL    {endpoint}   (open it in a browser for the explorer)
  REST       http://{address}/api/v1/orders
  readiness  http://{health}/health/ready
  metrics    http://{metrics}/metrics

Try a query that four services answer together:

  curl {endpoint} -H 'content-type: application/json' \
    -d '{{"query":"{{ topProducts(first: 1) {{ name price shippingEstimate reviews {{ author {{ username name }} }} }} }}"}}'

and a REST call through the same router:

  curl http://{address}/api/v1/orders/1

Ctrl-C ends it.
"#
    ));
}
