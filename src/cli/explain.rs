//! `supergate explain route`: which route takes a request, and which would if that were not there.
//!
//! Relies on `snapshot`, which finds routes as it does for real requests.

use std::{io, net::Ipv4Addr, time::Duration};

use http::{HeaderName, HeaderValue, Request};

use super::{
    ExplainRouteArgs,
    outcome::{Outcome, print},
};
use crate::{
    config::Config,
    exchange::{Exchange, Peer},
    snapshot::{Foundation, Snapshot},
};

/// Explains one request.
pub fn route(args: &ExplainRouteArgs) -> io::Result<Outcome> {
    let mut config = match Config::load(&args.config) {
        Ok(config) => config,
        Err(refused) => return Ok(Outcome::wrong(refused)),
    };
    // Nothing that is made here gets to run: the runtime is entered, but never waits for anything.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _inside = runtime.enter();
    let mut verdict = "takes it";
    let listener = config.all_listeners().find(|listener| listener.name == args.listener).map(|listener| listener.place());
    loop {
        let mut exchange = match exchange(args) {
            Ok(exchange) => exchange,
            Err(message) => return Ok(Outcome::wrong(message)),
        };
        let snapshot = match Snapshot::build(&config, None, &Foundation::silent()) {
            Ok(snapshot) => snapshot,
            Err(message) => return Ok(Outcome::wrong(format!("{}: {message}", args.config.display()))),
        };
        let found = listener.as_deref().and_then(|place| snapshot.find(place)).and_then(|at| snapshot.pipeline(at));
        let Some(pipeline) = found else {
            let names = config.all_listeners().map(|listener| listener.name.to_owned()).collect::<Vec<_>>().join("`, `");
            return Ok(Outcome::wrong(format!("there is no listener `{}`; known are `{names}`", args.listener)));
        };
        let taken = match pipeline.route_of(&mut exchange) {
            Ok(name) => name,
            Err(error) if verdict == "takes it" => {
                print(format_args!("no route takes it: {} {}", error.kind.status(), error.kind.code()))?;
                return Ok(Outcome::Wrong);
            }
            Err(_) => return Ok(Outcome::Done),
        };
        print(format_args!("{taken}\t{verdict}"))?;
        verdict = "would take it next";
        let before = config.routes.len();
        config.headers.routes.shift_remove(&*taken);
        config.routes.retain(|route| *route.name != *taken);
        if config.routes.len() == before {
            // The graph's own route, which cannot be left out.
            return Ok(Outcome::Done);
        }
    }
}

/// The request, as if a client of this machine had sent it.
fn exchange(args: &ExplainRouteArgs) -> Result<Exchange, String> {
    let mut request = Request::new(());
    *request.uri_mut() = args.url.parse().map_err(|error| format!("`{}`: {error}", args.url))?;
    *request.method_mut() = args.method.parse().map_err(|error| format!("`{}`: {error}", args.method))?;
    let headers = request.headers_mut();
    for field in &args.header {
        let (name, value) = field.split_once(':').ok_or_else(|| format!("`{field}`: a header is written as NAME: VALUE"))?;
        let name = HeaderName::try_from(name.trim()).map_err(|error| format!("`{field}`: {error}"))?;
        headers.append(name, HeaderValue::try_from(value.trim()).map_err(|error| format!("`{field}`: {error}"))?);
    }
    let host = request.uri().authority().map_or("localhost", http::uri::Authority::as_str);
    let host = HeaderValue::try_from(host).map_err(|error| format!("`{}`: {error}", args.url))?;
    request.headers_mut().entry(http::header::HOST).or_insert(host);
    let peer = Peer { address: (Ipv4Addr::LOCALHOST, 0).into(), is_tls: false };
    Ok(Exchange::new(peer, request.into_parts().0, Duration::from_secs(1)))
}
