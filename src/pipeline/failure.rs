//! Failures as responses: problem details for REST, a list of errors for GraphQL.
//!
//! Relied on by `pipeline::handle`, the only place where an error becomes a response.
//! Spec: <https://www.rfc-editor.org/rfc/rfc9457>, <https://graphql.github.io/graphql-over-http/draft/#sec-Response>

use http::{HeaderValue, Response, Version, header};
use serde::Serialize;

use crate::{
    body::Body,
    error::{Error, ErrorKind, Source},
    exchange::Exchange,
    graphql,
    grpc::{self, is_grpc},
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
    if !is_graphql && is_grpc(&exchange.headers) {
        return grpc(error);
    }
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
    if kind == ErrorKind::BodyTooLarge || kind == ErrorKind::RequestTimeout || leaves_body(exchange) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A failure in gRPC's words: no body, the status in the only header section there is.
/// Spec: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#responses>
fn grpc(error: Error) -> Response<Body> {
    let status = match error.kind.status().as_u16() {
        401 => 16,
        403 => 7,
        404 | 405 | 421 => 12,
        413 | 414 | 429 | 431 => 8,
        408 | 504 => 4,
        502 | 503 => 14,
        _ => 13,
    };
    // What may stand in `grpc-message` as it is; everything else is escaped.
    let escape = |byte: u8| match byte {
        b' '..=b'~' if byte != b'%' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    let message: String = error.public_message().bytes().map(escape).collect();
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(grpc::STATUS, HeaderValue::from(status));
    headers.extend(HeaderValue::try_from(message).map(|message| (grpc::MESSAGE, message)));
    headers.extend(error.headers.into_iter().filter(|(name, _)| name == header::RETRY_AFTER));
    response
}

/// Whether the client may still be sending a body that nobody will read, which over HTTP/1 ends the connection. A small one has
/// come with its head.
fn leaves_body(exchange: &Exchange) -> bool {
    /// What is read at once.
    const SMALL: u64 = 8 << 10;
    let headers = &exchange.headers;
    let is_small = match headers.get(header::CONTENT_LENGTH).map(|length| length.to_str().ok().and_then(|it| it.parse().ok())) {
        Some(length) => length.is_some_and(|length: u64| length <= SMALL),
        None => !headers.contains_key(header::TRANSFER_ENCODING),
    };
    let is_over = exchange.upload.as_ref().is_some_and(|upload| upload.is_over());
    exchange.version <= Version::HTTP_11 && !is_over && (!is_small || headers.contains_key(header::EXPECT))
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may stop at the first surprise")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::exchange::Peer;

    #[test]
    fn a_grpc_client_is_told_in_its_own_words() {
        for (kind, media_type, status) in [
            (ErrorKind::Unauthenticated, "application/grpc", Some("16")),
            (ErrorKind::Forbidden, "application/grpc+proto", Some("7")),
            (ErrorKind::RateLimited, "Application/gRPC; x=y", Some("8")),
            (ErrorKind::NotFound, "application/grpc", Some("12")),
            (ErrorKind::UpstreamTimeout, "application/grpc", Some("4")),
            (ErrorKind::UpstreamUnreachable, "application/grpc", Some("14")),
            (ErrorKind::Bug, "application/grpc", Some("13")),
            (ErrorKind::Forbidden, "application/grpc-web", None),
            (ErrorKind::Forbidden, "application/json", None),
        ] {
            let (head, ()) = http::Request::post("/").header("content-type", media_type).body(()).unwrap().into_parts();
            let peer = Peer { address: "192.0.2.9:1".parse().unwrap(), is_tls: false };
            let exchange = Exchange::new(peer, head, Duration::ZERO);
            let response = respond(Error::new(kind, "50 % \u{fc}ber"), &exchange, false);
            assert_eq!(response.headers().get("grpc-status").map(|it| it.to_str().unwrap()), status, "{media_type}");
            assert_eq!(response.status().as_u16(), if status.is_some() { 200 } else { kind.status().as_u16() });
            if kind == ErrorKind::RateLimited {
                assert_eq!(response.headers()["grpc-message"], "50 %25 %C3%BCber");
            }
        }
    }
}
