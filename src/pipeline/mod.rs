//! What every client request goes through, GraphQL or REST: [`Pipeline::handle`] and the order in `run`.
//!
//! Relies on the targets (`graphql`, `rest`) only to call `Target::serve`. `snapshot` builds it, `server` feeds it.

pub mod access;
pub mod access_log;
pub mod auth;
pub mod cache;
pub mod compression;
pub mod concurrency;
pub mod cors;
pub mod csrf;
pub mod deprecation;
pub mod explorer;
pub mod failure;
pub mod jwks;
pub mod limits;
pub mod message;
pub mod observe;
pub mod path;
pub mod rate_limit;
pub mod request_id;
pub mod route;
pub mod server_timing;
pub mod trusted_proxies;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;

pub use self::route::Routes;
use self::{
    access::Access,
    auth::Auth,
    compression::Compression,
    concurrency::Concurrency,
    cors::Cors,
    csrf::Csrf,
    deprecation::Deprecation,
    limits::Limits,
    observe::{Observed, Observer},
    rate_limit::RateLimit,
    server_timing::ServerTiming,
    trusted_proxies::TrustedProxies,
};
use crate::{
    body::Body,
    error::{Error, ErrorKind},
    exchange::{Arrival, Exchange, Upload, websocket::Handshake, within},
    graphql, grpc, rest,
};

/// How long a request may take that has found no route yet.
const UNROUTED: Duration = Duration::from_secs(60);

/// The gateway from a request to its response, for one configuration.
#[derive(Debug)]
pub struct Pipeline {
    /// Where requests lead.
    pub routes: Routes,
    /// Whose word about the client is believed.
    pub trusted_proxies: TrustedProxies,
    /// Who learns of every exchange.
    pub observer: Arc<Observer>,
    /// Which clients learn how long it took.
    pub server_timing: ServerTiming,
}

/// What matched a request: what applies to it, and where it leads.
#[derive(Debug)]
pub struct Route {
    /// The name in `router.yaml`, in logs and in metrics.
    pub name: Arc<str>,
    /// The steps that apply.
    pub policy: Policy,
    /// Where it leads.
    pub target: Target,
    /// Whether another `Accept` would have led elsewhere, which caches must know. Set by [`Routes`].
    pub varies_by_accept: bool,
}

/// The configured steps of a route. What is `None` costs a branch.
#[derive(Debug)]
pub struct Policy {
    /// Whether browsers get a page.
    pub has_explorer: bool,
    /// Which web pages may call.
    pub cors: Option<Cors>,
    /// How large and how long.
    pub limits: Limits,
    /// No forged requests.
    pub csrf: Option<Csrf>,
    /// Who calls.
    pub auth: Option<Auth>,
    /// Who may call.
    pub access: Option<Access>,
    /// How often.
    pub rate_limit: Option<RateLimit>,
    /// How many at once.
    pub concurrency: Option<Concurrency>,
    /// How answers are encoded.
    pub compression: Option<Compression>,
    /// What is said of a route that is on its way out.
    pub deprecation: Option<Deprecation>,
}

/// Where a route leads.
#[derive(Debug)]
pub enum Target {
    /// To the graph.
    Graphql(Arc<graphql::Endpoint>),
    /// To upstreams, as it is.
    Rest(Box<rest::Proxy>),
    /// To several upstreams, whose answers become one.
    Aggregate(Box<rest::aggregate::Aggregate>),
}

impl Target {
    async fn serve(&self, exchange: &mut Exchange, body: Body) -> Result<Response<Body>, Error> {
        match self {
            // Large ones are kept out of the future of every exchange, which is moved several times.
            Self::Graphql(endpoint) => Box::pin(endpoint.serve(exchange, body)).await,
            Self::Rest(proxy) => proxy.serve(exchange, body).await,
            Self::Aggregate(aggregate) => Box::pin(aggregate.serve(exchange)).await,
        }
    }

    /// Whether it keeps to the deadline by itself, so that a second timer would be for nothing.
    fn is_punctual(&self) -> bool {
        matches!(self, Self::Rest(proxy) if proxy.is_punctual())
    }
}

/// An exchange that begins, and the body of its request.
pub type Received = (Box<Observed>, Body);

impl Pipeline {
    /// Begins an exchange with a request that has just arrived.
    pub fn receive(&self, arrival: Arrival, request: Request<Incoming>) -> Received {
        let (exchange, body) = receive(arrival, request);
        (self.observer.begin(exchange), body)
    }

    /// Answers one request, always.
    pub async fn handle(&self, (mut observed, body): Received) -> Response<Body> {
        let exchange = &mut observed.exchange;
        let mut matched = None;
        let result = self.run(exchange, body, &mut matched).await;
        let result = result.and_then(|response| switched_if_asked(exchange, response));
        let error = result.as_ref().err().map(|error| error.kind);
        let mut response = result.unwrap_or_else(|error| {
            let is_graphql = matched.is_some_and(|route| matches!(route.target, Target::Graphql(_)));
            failure::respond(error, exchange, is_graphql)
        });
        complete(exchange, matched, &mut response);
        self.server_timing.tell(exchange, response.headers_mut());
        if let Some(compression) = matched.and_then(|route| route.policy.compression.as_ref()) {
            compression.apply(exchange, &mut response);
        }
        observed.answered(response.status(), error);
        response.body_mut().keep(observed);
        response
    }

    /// The order of the gateway. GraphQL and REST differ only in `target.serve`.
    async fn run<'r>(
        &'r self,
        exchange: &mut Exchange,
        body: Body,
        matched: &mut Option<&'r Route>,
    ) -> Result<Response<Body>, Error> {
        self.trusted_proxies.identify(exchange);
        message::check(exchange)?; // 400, 405, 417
        if let Some(answer) = message::last_stop(exchange) {
            return Ok(answer);
        }
        let route = self.route(exchange)?; // 404, 405, 421
        *matched = Some(route);
        exchange.route = route.name.clone();
        let policy = &route.policy;
        if let Some(preflight) = policy.cors.as_ref().and_then(|cors| cors.preflight(exchange)) {
            return Ok(preflight);
        }
        if let Some(page) = policy.has_explorer.then(|| explorer::page(exchange)).flatten() {
            return Ok(page);
        }
        policy.limits.check(exchange)?; // 413, 414, 431
        if let Some(csrf) = &policy.csrf {
            csrf.check(exchange)?; // 400
        }
        if let Some(auth) = &policy.auth {
            auth.authenticate(exchange).await?; // 401
        }
        if let Some(access) = &policy.access {
            access.authorize(exchange)?; // 401, 403
        }
        if let Some(rate_limit) = &policy.rate_limit {
            rate_limit.take(exchange)?; // 429
        }
        let slot = policy.concurrency.as_ref().map(Concurrency::enter).transpose()?; // 503
        let body = policy.limits.guard(exchange, body);
        let (deadline, upload) = (exchange.deadline, exchange.upload.clone());
        let is_punctual = route.target.is_punctual();
        let work = route.target.serve(exchange, body);
        let mut response = match is_punctual {
            true => work.await?,
            false => timely(deadline, upload.as_deref(), work).await?, // 408, 504
        };
        if let Some(slot) = slot {
            // Released when the body ends, so streams count.
            response.body_mut().hold(slot);
        }
        if let Some(latest) = exchange.latest {
            response = response.map(|body| grpc::until(latest, body));
        }
        Ok(response)
    }

    /// The name of the route that takes a request.
    ///
    /// # Errors
    /// Why none does.
    pub fn route_of(&self, exchange: &mut Exchange) -> Result<Arc<str>, Error> {
        self.trusted_proxies.identify(exchange);
        message::check(exchange)?;
        self.route(exchange).map(|route| route.name.clone())
    }

    fn route(&self, exchange: &Exchange) -> Result<&Route, Error> {
        let path = path::normalise(exchange.uri.path())?;
        let host = message::without_port(message::authority(exchange));
        self.routes.find(exchange, host, &path)
    }
}

/// An exchange from a request that has just arrived.
fn receive(arrival: Arrival, mut request: Request<Incoming>) -> (Exchange, Body) {
    let is_websocket = Handshake::is_asked(&request);
    let is_upgrade = message::may_switch(request.version(), request.headers());
    let upgrade = (is_upgrade || is_websocket).then(|| hyper::upgrade::on(&mut request));
    let (mut head, incoming) = request.into_parts();
    message::join_cookies(head.version, &mut head.headers);
    let websocket = is_websocket.then(|| Handshake::translate(&mut head));
    let mut exchange = Exchange::arrived(arrival, head, UNROUTED);
    exchange.upgrade = upgrade;
    exchange.websocket = websocket;
    exchange.id = request_id::of(&exchange.headers);
    let body = if http_body::Body::is_end_stream(&incoming) { Body::empty() } else { incoming.into() };
    (exchange, body)
}

/// A success of what asked for a WebSocket over HTTP/2 means that it is there: no other answer may look like one.
fn switched_if_asked(exchange: &Exchange, response: Response<Body>) -> Result<Response<Body>, Error> {
    let is_untouched = exchange.websocket.is_some() && exchange.upgrade.is_some();
    if is_untouched && response.status().is_success() {
        return Err(Error::new(ErrorKind::UpstreamInvalid, "there is no WebSocket, the answer is that to a plain request"));
    }
    Ok(response)
}

/// What every response gets, whoever made it.
fn complete(exchange: &mut Exchange, route: Option<&Route>, response: &mut Response<Body>) {
    let headers = response.headers_mut();
    let mut last = None;
    for (name, value) in std::mem::take(&mut exchange.response_headers) {
        // The map gives a name once, and then its further values.
        last = name.or(last);
        if let Some(name) = &last {
            headers.append(name.clone(), value);
        }
    }
    if let Some(cors) = route.and_then(|route| route.policy.cors.as_ref()) {
        cors.mark(&exchange.headers, headers);
    }
    if route.is_some_and(|route| route.varies_by_accept) {
        headers.append(header::VARY, HeaderValue::from_static("accept"));
    }
    if let Some(deprecation) = route.and_then(|route| route.policy.deprecation.as_ref()) {
        deprecation.mark(headers);
    }
    if let Ok(id) = HeaderValue::from_str(&exchange.id) {
        headers.insert(request_id::HEADER, id);
    }
}

/// What a target answers, if it does so in time.
async fn timely(
    deadline: Instant,
    upload: Option<&Upload>,
    work: impl Future<Output = Result<Response<Body>, Error>>,
) -> Result<Response<Body>, Error> {
    let response = within(deadline, upload, work).await.unwrap_or_else(|| Err(late(upload)))?;
    if Instant::now() >= upload.map_or(deadline, |upload| deadline.max(upload.deadline())) {
        // The target noticed in the same moment, and would make an answer of it.
        return Err(late(upload));
    }
    Ok(response)
}

fn late(upload: Option<&Upload>) -> Error {
    if upload.is_some_and(Upload::is_awaited) {
        return Error::new(ErrorKind::RequestTimeout, "the request's body did not go on");
    }
    Error::new(ErrorKind::DeadlineExceeded, "the deadline of the exchange passed")
}

#[cfg(test)]
mod tests;
