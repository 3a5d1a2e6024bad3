//! Explorer: a page for browsers at the GraphQL endpoint, to write and send operations. It loads nothing from outside.
//!
//! Relied on by `pipeline`; configured by `explorer:`.

use bytes::Bytes;
use http::{HeaderValue, Method, Response, header};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{body::Body, exchange::Exchange};

/// The page.
const PAGE: &str = include_str!("explorer.html");
/// The page may run its own script and talk to its own origin, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page that browsers get at the GraphQL endpoint. It needs nothing from outside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExplorerConfig {
    /// Whether it is served. On in `--dev`.
    pub enabled: bool,
}

/// The page when a browser asks for one: a GET without an operation that prefers HTML.
pub fn page(exchange: &Exchange) -> Option<Response<Body>> {
    let accept = exchange.headers.get(header::ACCEPT)?.to_str().ok()?;
    let is_navigation = exchange.method == Method::GET && accept.contains("text/html");
    let has_operation = exchange.uri.query().is_some_and(|query| query.contains("query=") || query.contains("extensions="));
    if !is_navigation || has_operation {
        return None;
    }
    let mut response = Response::new(Body::full(Bytes::from_static(PAGE.as_bytes())));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    Some(response)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::exchange::Peer;

    #[test]
    fn only_a_browser_without_an_operation_gets_the_page() {
        for (method, uri, accept, is_page) in [
            ("GET", "/graphql", "text/html,application/xhtml+xml,*/*;q=0.8", true),
            ("GET", "/graphql", "application/json", false),
            ("GET", "/graphql?query=%7Bme%7D", "text/html", false),
            ("POST", "/graphql", "text/html", false),
        ] {
            let request = http::Request::builder().method(method).uri(uri).header("accept", accept).body(()).unwrap();
            let peer = Peer { address: "127.0.0.1:1".parse().unwrap(), is_tls: false };
            let exchange = Exchange::new(peer, request.into_parts().0, Duration::from_secs(1));
            assert_eq!(page(&exchange).is_some(), is_page, "{method} {uri} {accept}");
        }
        assert!(!PAGE.contains("https://") && !PAGE.contains("src="), "the page loads something");
    }
}
