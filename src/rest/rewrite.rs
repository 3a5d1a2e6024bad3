//! Rewriting: the target and the headers with which a request goes on to an upstream.
//!
//! Relied on by `rest`; configured by `strip_prefix`, `strip_path` and `rewrite` of a route and by `trusted_proxies`.
//! Spec: <https://www.rfc-editor.org/rfc/rfc9110#name-message-forwarding>

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header, uri::PathAndQuery};

use crate::{
    error::{Error, ErrorKind},
    exchange::Exchange,
    percent::{unescape, unescape_form},
    upstream::headers::{is_hop_by_hop, nominated},
};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// What happens to a request's target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrite {
    /// To its path.
    pub path: PathRewrite,
    /// The parameters that are taken out of its query.
    pub strip_query: Vec<Box<str>>,
}

impl Rewrite {
    /// The target for the upstream, and the prefix that was taken from it.
    ///
    /// # Errors
    /// A bug: targets are put together from pieces of a valid one.
    pub fn target(&self, uri: &Uri) -> Result<(Uri, Option<HeaderValue>), Error> {
        let (uri, prefix) = self.path.target(uri)?;
        let Some(query) = uri.query().filter(|_| !self.strip_query.is_empty()) else { return Ok((uri, prefix)) };
        let name = |pair: &str| unescape_form(pair.split('=').next().unwrap_or_default()).into_owned();
        let kept: Vec<&str> =
            query.split('&').filter(|pair| !self.strip_query.iter().any(|strip| **strip == name(pair))).collect();
        let target = if kept.is_empty() { uri.path().to_owned() } else { format!("{}?{}", uri.path(), kept.join("&")) };
        let uri = target.parse().map_err(|_| Error::new(ErrorKind::BadPath, "the query cannot be rewritten"))?;
        Ok((uri, prefix))
    }
}

/// What happens to the path. Whatever of it stays, stays byte for byte, and so does the query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PathRewrite {
    /// Nothing.
    #[default]
    Keep,
    /// These segments go from its start, if it has them. One in braces stands for any.
    Strip(Box<[Box<str>]>),
    /// It is put together anew.
    Compose(Vec<Piece>),
}

/// A piece of a composed path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text.
    Literal(Box<str>),
    /// The segment at this position of the request's path.
    Segment(usize),
    /// What follows so many segments, without the slash before it.
    Rest(usize),
}

impl PathRewrite {
    /// Takes the segments of `prefix` from the start of paths.
    pub fn strip(prefix: &str) -> Self {
        let prefix: Box<[Box<str>]> =
            segments(prefix.trim_start_matches(['=', ' '])).map(|segment| unescape(segment).into()).collect();
        if prefix.is_empty() { Self::Keep } else { Self::Strip(prefix) }
    }

    /// Composes paths from `template`, where `{name}` is a segment that `pattern` (a route's `match.path`) names, and `{rest}`
    /// what follows the pattern.
    ///
    /// # Errors
    /// A name that the pattern does not have, a brace that does not close, or a template that is no path.
    pub fn compose(template: &str, pattern: &str) -> Result<Self, String> {
        let is_like = pattern.starts_with('~');
        let named: Vec<&str> = segments(pattern.trim_start_matches(['=', ' '])).filter(|_| !is_like).collect();
        if !template.starts_with('/') {
            return Err(format!("`{template}` does not begin with a slash"));
        }
        if !template.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@%{}".contains(&byte)) {
            return Err(format!("`{template}` is no path: other characters are percent-encoded, and the query stays as it is"));
        }
        let mut pieces = Vec::new();
        let mut left = template;
        while let Some((literal, after)) = left.split_once('{') {
            let Some((name, after)) = after.split_once('}') else { return Err(format!("a brace in `{template}` is not closed")) };
            pieces.push(Piece::Literal(literal.into()));
            let position =
                named.iter().position(|segment| segment.strip_prefix('{').and_then(|it| it.strip_suffix('}')) == Some(name));
            pieces.push(match position {
                Some(position) => Piece::Segment(position),
                None if name == "rest" && !is_like => Piece::Rest(named.len()),
                None => return Err(format!("`{pattern}` names no `{name}`")),
            });
            left = after;
        }
        pieces.push(Piece::Literal(left.into()));
        Ok(Self::Compose(pieces))
    }

    /// The target for the upstream, and the prefix that was taken from it.
    ///
    /// # Errors
    /// A bug: targets are put together from pieces of a valid one.
    pub fn target(&self, uri: &Uri) -> Result<(Uri, Option<HeaderValue>), Error> {
        let target = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
        let (new, prefix) = match self {
            Self::Keep if uri.authority().is_none() => return Ok((uri.clone(), None)),
            Self::Keep => (target.to_owned(), None),
            Self::Strip(prefix) => {
                let is_there = |wanted: &str, segment: &str| {
                    let name = segment.split(';').next().unwrap_or_default();
                    wanted.starts_with('{') || unescape(name) == *wanted
                };
                let common = prefix.iter().zip(segments(path)).take_while(|(wanted, segment)| is_there(wanted, segment)).count();
                let (prefix, rest) = path.split_at(if common == prefix.len() { end_of(path, common) } else { 0 });
                if prefix.is_empty() {
                    return Self::Keep.target(uri);
                }
                let slash = if rest.starts_with('/') { "" } else { "/" };
                (format!("{slash}{rest}{query}"), HeaderValue::from_str(prefix).ok())
            }
            Self::Compose(pieces) => {
                let mut new: String = pieces.iter().map(|piece| piece.of(path)).collect();
                new.push_str(query);
                (new, None)
            }
        };
        let uri = new.parse().map_err(|_| Error::new(ErrorKind::BadPath, "the path cannot be rewritten"))?;
        Ok((uri, prefix))
    }
}

impl Piece {
    fn of<'a>(&'a self, path: &'a str) -> &'a str {
        match self {
            Self::Literal(text) => text,
            Self::Segment(position) => segments(path).nth(*position).unwrap_or_default(),
            Self::Rest(count) => path.get(end_of(path, *count)..).unwrap_or_default().trim_start_matches('/'),
        }
    }
}

/// The segments of a path; empty ones do not count, as in the routes' reading.
pub fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

/// Where the first so many segments of a path end.
fn end_of(path: &str, count: usize) -> usize {
    match segments(path).nth(count.wrapping_sub(1)) {
        Some(last) => (last.as_ptr() as usize - path.as_ptr() as usize) + last.len(),
        None => 0,
    }
}

/// The headers with which a request goes on: all that are for the recipient, and what we say about the client. Nothing that the
/// client's `Connection` names goes on, and nothing that we say can be taken away by it.
pub fn request_headers(exchange: &Exchange, prefix: Option<HeaderValue>) -> HeaderMap {
    let client = &exchange.headers;
    let mut headers = HeaderMap::with_capacity(client.len() + 8);
    let nominated = nominated(client);
    for (name, value) in client {
        let is_ours = !exchange.is_peer_trusted && is_forwarding(name);
        if !(is_dropped(name) || is_ours || nominated.contains(name)) {
            headers.append(name.clone(), value.clone());
        }
    }
    say_who(exchange, &mut headers);
    if let Some(certificate) = &exchange.certificate {
        headers.insert(CLIENT_CERT, certificate.clone());
    }
    if let Some(prefix) = prefix {
        headers.insert(FORWARDED_PREFIX, prefix);
    }
    if let Ok(id) = HeaderValue::from_str(&exchange.id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.append(
        header::VIA,
        HeaderValue::from_static(if exchange.version == Version::HTTP_2 { "2 supergate" } else { "1.1 supergate" }),
    );
    let most = client.get(header::MAX_FORWARDS).filter(|_| exchange.method == Method::OPTIONS);
    if let Some(most) = most.and_then(|most| most.to_str().ok()?.parse::<u32>().ok()) {
        headers.insert(header::MAX_FORWARDS, HeaderValue::from(most.saturating_sub(1)));
    }
    if client.get(header::TE).is_some_and(|te| te.as_bytes().trim_ascii().eq_ignore_ascii_case(b"trailers")) {
        headers.insert(header::TE, TRAILERS);
    }
    if let (Some(_), Some(protocol)) = (&exchange.upgrade, client.get(header::UPGRADE)) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol.clone());
    }
    headers
}

/// The chain of proxies: a trusted one's word is added to, anybody else's is replaced.
fn say_who(exchange: &Exchange, headers: &mut HeaderMap) {
    // Of anybody else's words nothing is left here to be added to.
    let chain = if exchange.is_peer_trusted { add_to_chain(exchange, headers) } else { None };
    headers.insert(FORWARDED_FOR, chain.unwrap_or_else(|| exchange.from.clone()));
    let host = exchange.uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    if let Some(host) = host.or_else(|| exchange.headers.get(header::HOST).cloned()) {
        headers.insert(header::HOST, host.clone());
        headers.entry(FORWARDED_HOST).or_insert(host);
    }
    let scheme = if exchange.is_tls { "https" } else { "http" };
    headers.entry(FORWARDED_PROTO).or_insert(HeaderValue::from_static(scheme));
}

/// Adds the peer to what it said of the proxies before it; the chain for `X-Forwarded-For`, if there is one.
fn add_to_chain(exchange: &Exchange, headers: &mut HeaderMap) -> Option<HeaderValue> {
    let peer = exchange.peer.ip().to_canonical();
    if headers.contains_key(header::FORWARDED) {
        // A trusted proxy speaks the standard's language; it is answered in it too.
        let node = if peer.is_ipv6() { format!("for=\"[{peer}]\"") } else { format!("for={peer}") };
        if let Ok(node) = HeaderValue::try_from(node) {
            headers.append(header::FORWARDED, node);
        }
    }
    let mut chain = String::new();
    for line in headers.get_all(FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok()) {
        chain.push_str(line);
        chain.push_str(", ");
    }
    if chain.is_empty() {
        return None;
    }
    chain.push_str(&peer.to_string());
    HeaderValue::try_from(chain).ok()
}

/// What speaks of the way that a request came.
fn is_forwarding(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("x-forwarded-") || matches!(name, "forwarded" | "x-real-ip" | "client-cert" | "client-cert-chain")
}

/// What is for us alone, or is made anew for the next connection.
fn is_dropped(name: &HeaderName) -> bool {
    is_hop_by_hop(name) || matches!(name.as_str(), "content-length" | "expect" | "x-request-id" | "host")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::exchange::Peer;

    fn target(rewrite: &PathRewrite, uri: &str) -> (String, Option<String>) {
        let (uri, prefix) = rewrite.target(&uri.parse().unwrap()).unwrap();
        (uri.to_string(), prefix.map(|prefix| prefix.to_str().unwrap().into()))
    }

    #[test]
    fn what_stays_of_a_target_stays_byte_for_byte() {
        let strip = PathRewrite::strip("/api/v1");
        for (uri, left, prefix) in [
            ("/api/v1/orders?a=%2F&b=c", "/orders?a=%2F&b=c", "/api/v1"),
            ("/api/v1", "/", "/api/v1"),
            ("/api/v1?", "/?", "/api/v1"),
            ("/api/v1/", "/", "/api/v1"),
            ("//api/v1//a%20b;c", "//a%20b;c", "//api/v1"),
            ("/%61pi/v1;p/x", "/x", "/%61pi/v1;p"),
        ] {
            assert_eq!(target(&strip, uri), (left.into(), Some(prefix.into())), "{uri}");
        }
        for (prefix, uri) in [("/c++", "/c++/x"), ("/c++", "/c%2B%2b/x"), ("/caf%C3%A9", "/caf%c3%a9/x"), ("/a%20b", "/a%20b/x")]
        {
            assert_eq!(target(&PathRewrite::strip(prefix), uri).0, "/x", "{prefix} from {uri}");
        }
        for other in ["/api/v10/x", "/api", "/other"] {
            assert_eq!(target(&strip, other), (other.into(), None));
        }
        assert_eq!(target(&PathRewrite::strip("/t/{id}"), "/t/7/x"), ("/x".into(), Some("/t/7".into())));
        assert_eq!(target(&PathRewrite::Keep, "/a//b;x=%7e?"), ("/a//b;x=%7e?".into(), None));
        assert_eq!(target(&PathRewrite::Keep, "http://host/a?b"), ("/a?b".into(), None));
        assert_eq!(PathRewrite::strip("/"), PathRewrite::Keep);
    }

    #[test]
    fn parameters_are_taken_out_of_the_query_and_the_others_stay_as_they_are() {
        let rewrite = Rewrite { path: PathRewrite::Keep, strip_query: vec!["version".into()] };
        for (uri, left) in [
            ("/a?version=2", "/a"),
            ("/a?x=%2F&versio%6e=2&version&y", "/a?x=%2F&y"),
            ("/a?versions=2&&", "/a?versions=2&&"),
            ("/a", "/a"),
        ] {
            assert_eq!(rewrite.target(&uri.parse().unwrap()).unwrap().0.to_string(), left);
        }
    }

    #[test]
    fn paths_are_composed_from_named_segments_and_the_rest() {
        let rewrite = PathRewrite::compose("/v2/{id}/of/{rest}", "/users/{id}").unwrap();
        assert_eq!(target(&rewrite, "/users/a%20b/c/d?q"), ("/v2/a%20b/of/c/d?q".into(), None));
        assert_eq!(target(&rewrite, "/users/7"), ("/v2/7/of/".into(), None));
        for bad in ["v2", "/v2/{nobody}", "/v2/{id", "/v2?user={id}", "/v2 x", "/v2/é", "/v2#x"] {
            assert!(PathRewrite::compose(bad, "/users/{id}").is_err(), "{bad}");
        }
        assert!(PathRewrite::compose("/v2/{rest}", "~/users/.*").is_err(), "nobody knows where the rest begins");
        let fixed = PathRewrite::compose("/v2", "~/users/.*").unwrap();
        assert_eq!(target(&fixed, "/users/7?q"), ("/v2?q".into(), None));
    }

    fn forwarded(is_trusted: bool, headers: &[(&str, &str)]) -> HeaderMap {
        let mut request = http::Request::get("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let peer = Peer { address: "192.0.2.9:1".parse().unwrap(), is_tls: false };
        let mut exchange = Exchange::new(peer, head, Duration::ZERO);
        exchange.is_peer_trusted = is_trusted;
        exchange.id = "id-1".into();
        request_headers(&exchange, None)
    }

    #[test]
    fn a_stranger_cannot_say_where_it_comes_from_and_a_trusted_proxy_can() {
        let claims =
            [("host", "a.example"), ("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "https"), ("forwarded", "for=1.2.3.4")];
        let strange = forwarded(false, &claims);
        assert_eq!(strange["x-forwarded-for"], "192.0.2.9");
        assert_eq!(strange["x-forwarded-proto"], "http");
        assert_eq!(strange["x-forwarded-host"], "a.example");
        assert!(!strange.contains_key("forwarded"));
        let trusted = forwarded(true, &claims);
        assert_eq!(trusted["x-forwarded-for"], "1.2.3.4, 192.0.2.9");
        assert_eq!(trusted["x-forwarded-proto"], "https");
        assert_eq!(trusted["host"], "a.example");
        let chain: Vec<_> = trusted.get_all("forwarded").iter().collect();
        assert_eq!(chain, ["for=1.2.3.4", "for=192.0.2.9"]);
    }

    #[test]
    fn what_is_for_one_connection_stays_there_and_ours_cannot_be_nominated() {
        let headers = forwarded(
            false,
            &[
                ("host", "a.example"),
                ("connection", "close, X-Hop, X-Forwarded-For, X-Request-ID, Host, Via"),
                ("x-hop", "1"),
                ("keep-alive", "timeout=5"),
                ("transfer-encoding", "chunked"),
                ("te", "gzip"),
                ("upgrade", "h2c"),
                ("x-request-id", "forged"),
                ("authorization", "Bearer t"),
            ],
        );
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        let expected =
            ["authorization", "host", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-request-id"];
        assert_eq!(names, expected);
        assert_eq!(headers["x-request-id"], "id-1");
    }
}
