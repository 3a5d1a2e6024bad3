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
pub mod jwks;
pub mod limits;
pub mod observe;
pub mod rate_limit;
pub mod route;

use http::{Request, Response};
use hyper::body::Incoming;

use crate::{
    body::Body,
    error::Error,
    exchange::{Exchange, Peer},
    rest,
};
pub use route::Routes;

/// The gateway from a request to its response, for one configuration.
#[derive(Debug)]
pub struct Pipeline {
    /// Where requests lead.
    pub routes: Routes,
}

/// What matched a request: what applies to it, and where it leads.
#[derive(Debug)]
pub struct Route {
    /// The name in `router.yaml`, in logs and in metrics.
    pub name: std::sync::Arc<str>,
    /// The steps that apply.
    pub policy: Policy,
    /// Where it leads.
    pub target: Target,
}

/// The configured steps of a route. What is `None` costs a branch.
#[derive(Debug, Default)]
pub struct Policy {}

/// Where a route leads.
#[derive(Debug)]
pub enum Target {
    /// To upstreams, as it is.
    Rest(rest::Proxy),
}

impl Target {
    async fn serve(&self, exchange: &mut Exchange, body: Body) -> Result<Response<Body>, Error> {
        match self {
            Self::Rest(proxy) => proxy.serve(exchange, body).await,
        }
    }
}

impl Pipeline {
    /// Answers one request, always.
    pub async fn handle(&self, peer: Peer, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let mut exchange = Exchange::new(peer, head, std::time::Duration::from_secs(60));
        match self.run(&mut exchange, body.into()).await {
            Ok(response) => response,
            Err(error) => {
                let mut response = Response::new(Body::full(error.to_string()));
                *response.status_mut() = error.kind.status();
                response
            }
        }
    }

    async fn run(&self, exchange: &mut Exchange, body: Body) -> Result<Response<Body>, Error> {
        let route = self.routes.find(exchange)?;
        route.target.serve(exchange, body).await
    }
}
