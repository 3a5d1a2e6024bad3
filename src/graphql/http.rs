//! GraphQL over HTTP: requests, media types and status codes.
//!
//! Relied on by `graphql` and, for failures, by `pipeline`. Spec: <https://graphql.github.io/graphql-over-http/draft/>

use std::borrow::Cow;

use apollo_compiler::response::JsonMap;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::file_uploads::{self, FileUploadsConfig};
use crate::{
    body::Body,
    coding::{self, Undecodable},
    error::{Error, ErrorKind, Location, Problem},
    exchange::Exchange,
    execute::uploads::Uploads,
};

/// One GraphQL request.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The document; absent when it is named by its hash.
    #[serde(default)]
    pub query: Option<String>,
    /// Which of the document's operations.
    #[serde(default)]
    pub operation_name: Option<String>,
    /// Values of its variables.
    #[serde(default)]
    pub variables: Option<JsonMap>,
    /// Everything else.
    #[serde(default)]
    pub extensions: Option<Map<String, Value>>,
    /// Which of the persisted documents.
    #[serde(default)]
    pub document_id: Option<String>,
    /// Files in the place of variables.
    #[serde(skip)]
    pub uploads: Option<Box<Uploads>>,
}

/// How requests are read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Size of a request's body once it is decoded (`limits.http_max_request_bytes`).
    pub max_bytes: usize,
    /// Files in the place of variables.
    pub file_uploads: FileUploadsConfig,
}

/// What one HTTP request asks for.
#[derive(Debug)]
pub enum Requests {
    /// One operation.
    One(Request),
    /// Several, in one list.
    Batch(Vec<Request>),
}

#[derive(Serialize)]
struct Answer<'a> {
    errors: Vec<Failure<'a>>,
}

#[derive(Serialize)]
struct Failure<'a> {
    message: &'a str,
    #[serde(skip_serializing_if = "<[Location]>::is_empty")]
    locations: &'a [Location],
    #[serde(skip_serializing_if = "<[Box<str>]>::is_empty")]
    path: &'a [Box<str>],
    extensions: Extensions,
}

#[derive(Serialize)]
struct Extensions {
    code: &'static str,
}

/// The methods of the endpoint.
const METHODS: &str = "GET, HEAD, OPTIONS, POST";

/// The media type of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// `application/graphql-response+json`: the status tells whether the operation was executed.
    Response,
    /// `application/json` because the client asked for it by name: 200 for every well-formed request.
    Json,
    /// `application/json` because the client takes anything.
    Any,
}

impl Media {
    /// The media type of the answer to a request with these headers; `None` when the client accepts none that there is. What a range
    /// says of a type counts before what a wider one says.
    pub fn negotiate(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let ranges: Vec<Range> = values.flat_map(|value| value.split(',')).filter_map(accepted).collect();
        let wanted = |media: Self| {
            let takes = ranges.iter().filter(|range| range.media == Self::Any || range.media == media);
            let closest = takes.max_by_key(|range| (range.closeness, range.quality))?;
            (closest.quality > 0).then_some((closest.quality, closest.closeness))
        };
        match (wanted(Self::Response), wanted(Self::Json)) {
            (None, None) => None,
            // Of equal ones the one that is named wins, then the more telling.
            (Some(response), json) if json.is_none_or(|json| response > json) => Some(Self::Response),
            (Some(response), json) if json == Some(response) && response.1 == NAMED => Some(Self::Response),
            (_, Some((_, NAMED))) => Some(Self::Json),
            _ => Some(Self::Any),
        }
    }

    fn of(headers: &HeaderMap) -> Self {
        Self::negotiate(headers).unwrap_or(Self::Any)
    }

    /// The value of `Content-Type`.
    pub fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Response => "application/graphql-response+json; charset=utf-8",
            Self::Json | Self::Any => "application/json; charset=utf-8",
        })
    }
}

/// One range of an `Accept` header.
#[derive(Clone, Copy, Debug)]
struct Range {
    /// What it takes; `Any` takes both.
    media: Media,
    /// How exactly it says so.
    closeness: u8,
    /// How gladly, in thousandths.
    quality: u16,
}

/// The closeness of a range that names the type.
const NAMED: u8 = 2;

fn accepted(range: &str) -> Option<Range> {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next()?.to_ascii_lowercase();
    let (media, closeness) = match name.as_str() {
        "application/graphql-response+json" => (Media::Response, NAMED),
        "application/json" => (Media::Json, NAMED),
        "application/*" => (Media::Any, 1),
        "*/*" => (Media::Any, 0),
        _ => return None,
    };
    let mut quality = 1000;
    for parameter in parts.filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=')?;
        match name.trim().to_ascii_lowercase().as_str() {
            "q" => quality = (value.trim().parse::<f32>().ok()?.clamp(0.0, 1.0) * 1000.0) as u16,
            "charset" if !is_utf8(value) => return None,
            _ => {}
        }
    }
    Some(Range { media, closeness, quality })
}

fn is_utf8(charset: &str) -> bool {
    matches!(charset.trim().trim_matches('"').to_ascii_lowercase().as_str(), "utf-8" | "utf8")
}

/// The media type of the answer.
///
/// # Errors
/// 406: the client accepts none of ours.
pub fn media(headers: &HeaderMap) -> Result<Media, Error> {
    if !headers.contains_key(header::ACCEPT) {
        return Ok(Media::Any);
    }
    let types = "application/graphql-response+json or application/json";
    Media::negotiate(headers).ok_or_else(|| Error::new(ErrorKind::NotAcceptable, format!("Only {types} can be produced.")))
}

/// Media type and status of a failure before execution, for a request with these headers. A client that asked for
/// `application/json` by name gets 200 for what is wrong with its document or variables, as that media type has it.
pub fn failure(headers: &HeaderMap, kind: ErrorKind) -> (HeaderValue, StatusCode) {
    let media = Media::of(headers);
    let is_of_operation = matches!(
        kind,
        ErrorKind::GraphqlParseFailed
            | ErrorKind::GraphqlValidationFailed
            | ErrorKind::BadUserInput
            | ErrorKind::OperationResolutionFailed
            | ErrorKind::OperationTooLarge
            | ErrorKind::UnauthorizedField
            | ErrorKind::CostTooHigh
            | ErrorKind::CostUnknown
    );
    let status = if is_of_operation && media == Media::Json { StatusCode::OK } else { kind.status() };
    (media.content_type(), status)
}

/// The GraphQL answer to a request that was not executed: one error, or one for each problem of the document.
pub fn errors<'a>(error: &'a Error) -> Vec<u8> {
    let extensions = || Extensions { code: error.kind.code() };
    let failure = |problem: &'a Problem| Failure {
        message: &problem.message,
        locations: &problem.locations,
        path: &problem.path,
        extensions: extensions(),
    };
    let mut errors: Vec<_> = error.problems.iter().map(failure).collect();
    if errors.is_empty() {
        errors.push(Failure { message: error.public_message(), locations: &[], path: &[], extensions: extensions() });
    }
    // Writing text into memory cannot fail.
    serde_json::to_vec(&Answer { errors }).unwrap_or_default()
}

/// The response with an answer.
pub fn respond(media: Media, json: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::full(json));
    response.headers_mut().insert(header::CONTENT_TYPE, media.content_type());
    response
}

/// Reads the GraphQL request of an exchange, or several.
///
/// # Errors
/// 405, 415, 413 or 400.
pub async fn read(exchange: &mut Exchange, body: Body, settings: &Reading) -> Result<Requests, Error> {
    match exchange.method {
        Method::GET | Method::HEAD => from_query(exchange.uri.query().unwrap_or_default()).map(Requests::One),
        Method::POST if settings.file_uploads.enabled && file_uploads::is_form(&exchange.headers) => {
            file_uploads::read(&exchange.headers, body, &settings.file_uploads).await.map(Requests::One)
        }
        Method::POST => {
            check_content_type(&exchange.headers)?;
            // The route's limits guard the body; what is over them ends it with the error that is told apart here.
            let body = body.collect(usize::MAX, ErrorKind::BodyTooLarge, ErrorKind::BadRequest).await?;
            from_body(&decoded(&mut exchange.headers, body, settings.max_bytes)?)
        }
        _ => Err(Error::new(ErrorKind::MethodNotAllowed, "GraphQL requests are sent with GET or POST.")
            .with_header(header::ALLOW, HeaderValue::from_static(METHODS))),
    }
}

/// A body without its content coding, which the headers say nothing about any more.
fn decoded(headers: &mut HeaderMap, body: Bytes, limit: usize) -> Result<Bytes, Error> {
    let decoded = coding::decode(headers, body, limit).map_err(|reason| match reason {
        Undecodable::Unknown => reason
            .error(ErrorKind::BodyTooLarge, ErrorKind::UnsupportedMediaType)
            .with_header(header::ACCEPT_ENCODING, HeaderValue::from_static("zstd, br, gzip, deflate")),
        _ => reason.error(ErrorKind::BodyTooLarge, ErrorKind::BadRequest),
    })?;
    headers.remove(header::CONTENT_ENCODING);
    Ok(decoded)
}

/// What is answered to `OPTIONS` that is no preflight.
pub fn options() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(METHODS));
    response
}

/// A mutation came by GET.
pub fn only_by_post() -> Error {
    Error::new(ErrorKind::MethodNotAllowed, "Only queries can be sent with GET.")
        .with_header(header::ALLOW, HeaderValue::from_static("POST"))
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Error> {
    let unsupported = || Error::new(ErrorKind::UnsupportedMediaType, "The content type must be application/json in UTF-8.");
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    // Of two nobody knows which is meant.
    let (Some(value), None) = (values.next(), values.next()) else { return Err(unsupported()) };
    let value = value.to_str().map_err(|_| unsupported())?;
    let mut parts = value.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/json"));
    let is_readable = parts
        .filter_map(|part| part.split_once('='))
        .all(|(name, value)| !name.trim().eq_ignore_ascii_case("charset") || is_utf8(value));
    if is_json && is_readable { Ok(()) } else { Err(unsupported()) }
}

fn malformed(detail: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::GraphqlBadRequest, detail)
}

fn from_body(body: &[u8]) -> Result<Requests, Error> {
    let no_request = |error| malformed(format!("The body is no GraphQL request: {error}."));
    if body.trim_ascii_start().first() == Some(&b'[') {
        return serde_json::from_slice(body).map(Requests::Batch).map_err(no_request);
    }
    serde_json::from_slice(body).map(Requests::One).map_err(no_request)
}

fn from_query(query: &str) -> Result<Request, Error> {
    let mut request = Request::default();
    let mut seen = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode_form(name)?;
        if !matches!(&*name, "query" | "operationName" | "variables" | "extensions" | "documentId") {
            continue;
        }
        if seen.contains(&name) {
            return Err(malformed(format!("The parameter `{name}` is given twice.")));
        }
        let value = decode_form(value)?;
        let no_json = |error| malformed(format!("The parameter `{name}` is no JSON object: {error}."));
        match &*name {
            "query" => request.query = Some(value),
            "documentId" => request.document_id = Some(value),
            "operationName" => request.operation_name = Some(value).filter(|name| !name.is_empty()),
            "variables" => request.variables = serde_json::from_str(&value).map_err(no_json)?,
            _ => request.extensions = serde_json::from_str(&value).map_err(no_json)?,
        }
        seen.push(name);
    }
    Ok(request)
}

/// Decodes `application/x-www-form-urlencoded` text.
fn decode_form(text: &str) -> Result<String, Error> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) => {
                let digit = |digit: &u8| char::from(*digit).to_digit(16);
                let (Some(high), Some(low)) = (digit(high), digit(low)) else {
                    return Err(malformed("The query string is not well encoded."));
                };
                // Two hexadecimal digits make a byte.
                bytes.push((high * 16 + low) as u8);
                rest = after;
            }
            (b'%', _) => return Err(malformed("The query string is not well encoded.")),
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| malformed("The query string is not UTF-8."))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    fn accept(value: &str) -> Option<Media> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, value.parse().unwrap());
        Media::negotiate(&headers)
    }

    #[test]
    fn the_clients_preference_decides_the_media_type() {
        let table = [
            ("application/json", Some(Media::Json)),
            ("application/graphql-response+json", Some(Media::Response)),
            ("application/json, application/graphql-response+json", Some(Media::Response)),
            ("application/json, application/graphql-response+json;q=0.5", Some(Media::Json)),
            ("*/*", Some(Media::Any)),
            ("application/*;q=0.1, text/html", Some(Media::Any)),
            ("text/html, application/json;q=0", None),
            ("application/json; charset=utf-8", Some(Media::Json)),
            ("application/json; charset=latin1", None),
            ("text/event-stream", None),
            ("", None),
            ("*/*, application/json;q=0", Some(Media::Response)),
            ("*/*, application/graphql-response+json;q=0", Some(Media::Any)),
            ("*/*;q=0", None),
            ("application/*, application/json;q=0, application/graphql-response+json;q=0", None),
            ("application/json;q=0.1, */*", Some(Media::Response)),
            ("application/json, */*;q=0.1", Some(Media::Json)),
            ("application/json, */*", Some(Media::Json)),
            ("application/json; q=0.5 , application/graphql-response+json ; Q=0.4", Some(Media::Json)),
            ("APPLICATION/JSON;charset=\"UTF-8\"", Some(Media::Json)),
            ("application/json;q=maybe", None),
        ];
        for (value, expected) in table {
            assert_eq!(accept(value), expected, "{value}");
        }
        assert_eq!(media(&HeaderMap::new()).unwrap(), Media::Any);
    }

    #[test]
    fn json_by_name_means_200_for_errors_of_the_operation_only() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        assert_eq!(failure(&headers, ErrorKind::GraphqlValidationFailed).1, StatusCode::OK);
        assert_eq!(failure(&headers, ErrorKind::GraphqlBadRequest).1, StatusCode::BAD_REQUEST);
        assert_eq!(failure(&headers, ErrorKind::Unauthenticated).1, StatusCode::UNAUTHORIZED);
        assert_eq!(failure(&HeaderMap::new(), ErrorKind::GraphqlValidationFailed).1, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn requests_come_in_the_query_string() {
        let request = from_query("query=%7B+a%20%7D&variables=%7B%22x%22:1%7D&operationName=&other=1").unwrap();
        assert_eq!(request.query.as_deref(), Some("{ a }"));
        assert_eq!(request.operation_name, None);
        assert_eq!(request.variables.unwrap().len(), 1);
        for bad in [
            "query=%",
            "query=%zz",
            "query=%ff",
            "query=a&query=b",
            "query=a&variables=[1]",
            "query=a&variables={",
            "query=a&extensions=3",
        ] {
            assert_eq!(from_query(bad).unwrap_err().kind, ErrorKind::GraphqlBadRequest, "{bad}");
        }
    }

    #[test]
    fn bodies_of_other_forms_are_refused() {
        for bad in [
            "",
            "{",
            "[1]",
            "[{\"query\":\"{a}\"}",
            "\"{a}\"",
            "{\"query\":1}",
            "{\"query\":\"{a}\",\"variables\":[]}",
            "{\"query\":\"{a}\",\"query\":\"{b}\"}",
        ] {
            assert_eq!(from_body(bad.as_bytes()).unwrap_err().kind, ErrorKind::GraphqlBadRequest, "{bad}");
        }
        assert!(from_body(br#"{"query":"{a}","variables":null,"operationName":null,"extensions":null,"id":7}"#).is_ok());
    }

    #[test]
    fn only_json_in_utf_8_is_read() {
        let table = [
            (Some("application/json"), true),
            (Some("Application/JSON; charset=UTF-8"), true),
            (Some("application/json; charset=\"utf-8\""), true),
            (Some("application/json; charset=latin1"), false),
            (Some("text/plain"), false),
            (None, false),
        ];
        for (value, expected) in table {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
            }
            assert_eq!(check_content_type(&headers).is_ok(), expected, "{value:?}");
        }
    }
}
