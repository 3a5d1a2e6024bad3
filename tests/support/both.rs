//! Runs one check twice, on a GraphQL operation and on a REST route: the policies of the pipeline are the same for both.

use std::time::Duration;

use reqwest::{RequestBuilder, Response};

use super::{Recorded, Router, Scripted, Step, answer};

/// What a request leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Graphql,
    Rest,
}

/// A router and an upstream behind it, seen through one kind of route.
pub struct Side {
    pub kind: Kind,
    pub router: Router,
    upstream: Scripted,
}

/// Runs `check` against a fresh router for each kind of route. `config` is added to the routes; the upstream answers at once.
pub async fn on_both(config: &str, check: impl AsyncFn(&Side)) {
    run(Duration::ZERO, "", config, check).await;
}

/// The same with an upstream that takes its time.
pub async fn on_both_after(wait: Duration, config: &str, check: impl AsyncFn(&Side)) {
    run(wait, "", config, check).await;
}

/// The same with blocks of its own for the REST route (`csrf: {}`), for a policy that only GraphQL has by default.
pub async fn on_both_with(route: &str, config: &str, check: impl AsyncFn(&Side)) {
    run(Duration::ZERO, route, config, check).await;
}

async fn run(wait: Duration, route: &str, config: &str, check: impl AsyncFn(&Side)) {
    for kind in [Kind::Graphql, Kind::Rest] {
        let side = Side::start(kind, wait, route, config).await;
        eprintln!("--- on {kind:?}");
        check(&side).await;
    }
}

impl Side {
    async fn start(kind: Kind, wait: Duration, route: &str, config: &str) -> Self {
        let upstream = Scripted::start(move |request| {
            let body = if request.line().1.starts_with("/graphql") { r#"{"data":{"me":{"id":"1"}}}"# } else { r#"{"id":"1"}"# };
            let fields = "server: scripted\r\nx-upstream: yes\r\ncache-control: max-age=60\r\n";
            [vec![Step::Wait(wait)], answer(200, fields, body)].concat()
        })
        .await;
        let url = upstream.url();
        let route = if route.is_empty() { String::new() } else { format!(", {route}") };
        let base = format!(
            "subgraphs:\n  accounts: {{ url: \"{url}/graphql\", schema: {{ sdl: \"type Query {{ me: User }} type User {{ id: ID }}\" }} }}\n\
             routes:\n  - {{ name: orders, match: {{ path: /api, methods: [GET, POST] }}, upstream: orders{route} }}\n\
             upstreams:\n  orders: {{ endpoints: [{{ url: \"{url}\" }}] }}\n"
        );
        Self { kind, router: Router::start(&format!("{base}{config}")).await, upstream }
    }

    /// The path that leads to this side.
    pub fn path(&self) -> &'static str {
        match self.kind {
            Kind::Graphql => "/graphql",
            Kind::Rest => "/api/orders",
        }
    }

    /// A `POST` that the upstream answers, to be completed and sent. Both kinds have the same body.
    pub fn request(&self) -> RequestBuilder {
        let body = r#"{"query":"{ me { id } }"}"#;
        self.router.client.post(self.router.url(self.path())).header("content-type", "application/json").body(body)
    }

    /// Sends `request` as it is.
    pub async fn send(&self) -> Response {
        self.request().send().await.unwrap()
    }

    /// What the upstream got since the last call.
    pub fn arrived(&self) -> Vec<Recorded> {
        self.upstream.take()
    }

    /// What the upstream got for one request, which must have been one request.
    pub fn arrived_once(&self) -> Recorded {
        let mut arrived = self.arrived();
        assert_eq!(arrived.len(), 1, "{arrived:?}");
        arrived.remove(0)
    }
}

/// A response header as text, empty when it is absent.
pub fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}
