//! Failures as responses: problem details for REST, a list of errors for GraphQL.
//!
//! Relied on by `pipeline::handle`, the only place where an error becomes a response.
//! Spec: <https://www.rfc-editor.org/rfc/rfc9457>, <https://graphql.github.io/graphql-over-http/draft/#sec-Response>

use http::{HeaderValue, Response, header};
use serde::Serialize;

use crate::{
    body::Body,
    error::{Error, ErrorKind, Source},
    exchange::Exchange,
    graphql,
};

#[derive(Serialize)]
struct Details<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    request_id: &'a str,
}

/// The response to an exchange that failed.
pub fn respond(error: Error, exchange: &Exchange, is_graphql: bool) -> Response<Body> {
    log(&error, exchange);
    let kind = error.kind;
    let (media_type, status, json) = if is_graphql {
        let (media_type, status) = graphql::http::failure(&exchange.headers, kind);
        (media_type, status, graphql::http::errors(&error))
    } else {
        let title = kind.status().canonical_reason().unwrap_or_default();
        let (status, detail) = (kind.status().as_u16(), error.public_message());
        let problem = Details { r#type: "about:blank", title, status, detail, code: kind.code(), request_id: &exchange.id };
        (HeaderValue::from_static("application/problem+json"), kind.status(), serde_json::to_vec(&problem).unwrap_or_default())
    };
    let mut response = Response::new(Body::full(json));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for (name, value) in error.headers {
        headers.append(name, value);
    }
    if kind == ErrorKind::BodyTooLarge || kind == ErrorKind::RequestTimeout {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// What only we may know goes to the log.
fn log(error: &Error, exchange: &Exchange) {
    let (id, route, code) = (&*exchange.id, &*exchange.route, error.kind.code());
    match error.kind.source() {
        Source::Client => tracing::debug!(id, route, code, detail = %error.detail, "request refused"),
        Source::Upstream => tracing::warn!(id, route, code, detail = %error.detail, "an upstream failed"),
        Source::Internal if error.kind == ErrorKind::Bug => tracing::error!(id, route, code, detail = %error.detail, "a bug"),
        Source::Internal => tracing::warn!(id, route, code, detail = %error.detail, "request not served"),
    }
}
