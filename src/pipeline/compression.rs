//! Compression: response encodings by what the client accepts.
//!
//! Relied on by `pipeline`; configured by `compression:`. Spec: <https://www.rfc-editor.org/rfc/rfc9110#name-accept-encoding>

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body::Body as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    body::Body,
    coding::{self, Encoded, Encoding},
    exchange::Exchange,
    units::Size,
};

/// How answers are compressed. Off unless `response` names an encoding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompressionConfig {
    /// Encodings, the preferred one first.
    pub response: Vec<Encoding>,
    /// Answers smaller than this are sent as they are.
    pub min_size: Size,
}

impl Default for CompressionConfig {
    fn default() -> Self {
        Self { response: Vec::new(), min_size: Size(1 << 10) }
    }
}

/// Bodies up to this size are encoded at once, so that their length can be told.
const AT_ONCE: usize = 64 << 10;

/// Media types that shrink, besides `text/*` and everything in JSON and XML.
const SHRINKING: [&str; 7] = [
    "application/json",
    "application/xml",
    "application/javascript",
    "application/graphql",
    "application/x-ndjson",
    "application/wasm",
    "image/svg+xml",
];

/// The encodings of one route.
#[derive(Clone, Debug)]
pub struct Compression {
    encodings: Vec<Encoding>,
    min_size: u64,
}

impl Compression {
    /// Those of the configuration; nothing when there are none.
    pub fn new(config: &CompressionConfig) -> Option<Self> {
        let is_on = !config.response.is_empty();
        is_on.then(|| Self { encodings: config.response.clone(), min_size: config.min_size.bytes() as u64 })
    }

    /// Encodes a response as the client prefers it, where that is of use and allowed.
    pub fn apply(&self, exchange: &Exchange, response: &mut Response<Body>) {
        if !is_compressible(response) {
            return;
        }
        let headers = response.headers_mut();
        let is_told = headers.get_all(header::VARY).iter().any(|value| names(value, "accept-encoding") || names(value, "*"));
        if !is_told {
            headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        let is_head = exchange.method == Method::HEAD;
        let size = if is_head { announced(response.headers()) } else { response.body().size_hint().exact() };
        let is_too_small = size.is_some_and(|size| size < self.min_size) || (is_head && size.is_none());
        let has_content = !matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let chosen = self.choose(&exchange.headers).filter(|_| has_content && !is_too_small);
        if let Some(encoding) = chosen
            && let Some(body) = encoded(encoding, std::mem::replace(response.body_mut(), Body::empty()))
        {
            *response.body_mut() = body;
            mark(encoding, response.headers_mut());
        }
    }

    /// The encoding that a client with these headers likes best; of equal ones, the first that is configured. Nothing when it would
    /// rather have the answer as it is, or does not say.
    fn choose(&self, headers: &HeaderMap) -> Option<Encoding> {
        let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let accepted: Vec<(String, u16)> = values.flat_map(|value| value.split(',')).filter_map(weighted).collect();
        let weight = |name: &str| accepted.iter().find(|(known, _)| known == name).map(|(_, weight)| *weight);
        let of = |encoding: &Encoding| {
            let alias = if *encoding == Encoding::Gzip { weight("x-gzip") } else { None };
            weight(encoding.name()).or(alias).or_else(|| weight("*")).unwrap_or(0)
        };
        // `max_by_key` takes the last of equal ones.
        let best = self.encodings.iter().rev().max_by_key(|encoding| of(encoding))?;
        (of(best) > 0 && of(best) >= weight("identity").unwrap_or(0)).then_some(*best)
    }
}

/// One element of `Accept-Encoding`: a name, and how gladly it is taken, in thousandths.
fn weighted(element: &str) -> Option<(String, u16)> {
    let mut parts = element.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?.to_ascii_lowercase();
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let weight = weight.map_or(Some(1.0), |weight| weight.parse::<f32>().ok())?;
    Some((name, (weight.clamp(0.0, 1.0) * 1000.0) as u16))
}

/// Whether any representation of this response may be encoded: then whether it is depends on the client.
fn is_compressible(response: &Response<Body>) -> bool {
    let (status, headers) = (response.status(), response.headers());
    let is_whole =
        !status.is_informational() && status != StatusCode::PARTIAL_CONTENT && !headers.contains_key(header::CONTENT_RANGE);
    let is_fixed = headers.get_all(header::CACHE_CONTROL).iter().any(|value| names(value, "no-transform"));
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    is_whole && !is_fixed && !headers.contains_key(header::CONTENT_ENCODING) && shrinks(media)
}

fn shrinks(media: &str) -> bool {
    let essence = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_structured = essence.ends_with("+json") || essence.ends_with("+xml");
    // Events are small, and some proxies and browsers hold back encoded ones.
    (essence.starts_with("text/") && essence != "text/event-stream") || is_structured || SHRINKING.contains(&essence.as_str())
}

/// Whether a list field has this element.
fn names(value: &HeaderValue, element: &str) -> bool {
    value.to_str().is_ok_and(|list| list.split(',').any(|own| own.trim().eq_ignore_ascii_case(element)))
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The body in this coding. An encoder fails only for want of memory, and then there is no body to send either.
fn encoded(encoding: Encoding, body: Body) -> Option<Body> {
    match body.bytes() {
        Some(bytes) if bytes.len() <= AT_ONCE => coding::encode(encoding, bytes).ok().map(Body::full),
        None if body.is_end_stream() => Some(body),
        _ => Encoded::new(encoding, body).ok().map(Body::stream),
    }
}

/// Says that the representation is another one: in this coding, of another length, equal in meaning only.
fn mark(encoding: Encoding, headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding.name()));
    for name in [header::CONTENT_LENGTH, header::ACCEPT_RANGES] {
        headers.remove(name);
    }
    let strong = headers.get(header::ETAG).filter(|tag| tag.as_bytes().starts_with(b"\""));
    if let Some(weak) = strong.and_then(|tag| HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()).ok()) {
        headers.insert(header::ETAG, weak);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    fn chosen(accept: &str) -> Option<&'static str> {
        let config =
            CompressionConfig { response: vec![Encoding::Zstd, Encoding::Br, Encoding::Gzip], ..CompressionConfig::default() };
        let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_str(accept).unwrap())]);
        Compression::new(&config).unwrap().choose(&headers).map(Encoding::name)
    }

    #[test]
    fn the_client_chooses_and_the_configuration_breaks_ties() {
        let table = [
            ("gzip, deflate, br, zstd", Some("zstd")),
            ("gzip, br", Some("br")),
            ("GZIP", Some("gzip")),
            ("x-gzip", Some("gzip")),
            ("gzip;q=1, br;q=0.9, zstd; q=0.8", Some("gzip")),
            ("*", Some("zstd")),
            ("*;q=0.1, br;q=0", Some("zstd")),
            ("zstd;q=0, *", Some("br")),
            ("gzip;q=0", None),
            ("identity", None),
            ("identity;q=1, gzip;q=0.5", None),
            ("identity;q=0.5, gzip;q=0.5", Some("gzip")),
            ("identity;q=0, gzip;q=0.001", Some("gzip")),
            ("deflate, compress", None),
            ("gzip;q=nonsense", None),
            ("", None),
        ];
        for (accept, expected) in table {
            assert_eq!(chosen(accept), expected, "{accept}");
        }
        assert!(Compression::new(&CompressionConfig::default()).is_none());
    }

    #[test]
    fn what_is_small_already_is_left_alone() {
        for media in ["application/json; charset=utf-8", "application/problem+json", "text/html", "image/svg+xml"] {
            assert!(shrinks(media), "{media}");
        }
        for media in ["image/png", "application/zip", "text/event-stream", "application/grpc", "", "application/octet-stream"] {
            assert!(!shrinks(media), "{media}");
        }
    }
}
