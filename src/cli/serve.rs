//! `supergate serve`: the router, until it is told to end.

use std::{io, path::Path};

use super::{DEFAULT_CONFIG, ServeArgs, outcome::Outcome};
use crate::{
    app::{self, Failure},
    busy,
    config::{Config, ConfigSource, Given},
};

/// Serves as the arguments ask.
pub fn run(args: ServeArgs) -> io::Result<Outcome> {
    let is_default_there = Path::new(DEFAULT_CONFIG).exists();
    let source = match args.config {
        Some(path) => ConfigSource::File(path),
        None if is_default_there || args.supergraph.is_none() => ConfigSource::File(DEFAULT_CONFIG.into()),
        None => ConfigSource::Nowhere,
    };
    if args.supergraph.is_none() && matches!(&source, ConfigSource::File(path) if !path.exists()) {
        return Ok(Outcome::wrong(
            "there is no router.yaml here: name one with --config, give --supergraph, or see `supergate demo`",
        ));
    }
    let given = Given { source, supergraph: args.supergraph, listen: args.listen, is_development: args.dev };
    with_runtime(async { outcome(app::serve(given, |_, _| {}).await) })
}

/// Runs a future on as many threads as there are processors.
pub fn with_runtime(work: impl Future<Output = Outcome>) -> io::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(busy::WAITING).build()?;
    let outcome = runtime.block_on(work);
    // What still runs is of no use to anybody now.
    runtime.shutdown_background();
    Ok(outcome)
}

/// How serving ended.
pub fn outcome(served: Result<(), Failure>) -> Outcome {
    match served {
        Ok(()) => Outcome::Done,
        Err(Failure::Input(message)) => Outcome::wrong(message),
        Err(Failure::Start(message)) => Outcome::failed(message),
    }
}

/// The address of the GraphQL endpoint, for people.
pub fn endpoint(address: std::net::SocketAddr, config: &Config) -> String {
    format!("http://{address}{}", config.supergraph.path)
}
