//! Messages: whether a request is one that every HTTP parser reads in the same way; what hyper does not check itself.
//!
//! Relied on by `pipeline`, before everything else. Spec: <https://www.rfc-editor.org/rfc/rfc9112#name-message-body-length>,
//! <https://www.rfc-editor.org/rfc/rfc9110#name-host-and-authority>

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, Uri, Version, header};

use crate::{
    body::Body,
    error::{Error, ErrorKind},
    exchange::Exchange,
};

/// Checks framing, `Host`, `Expect` and the method, and drops header fields whose names have an underscore: behind a CGI-like
/// interface they cannot be told from those with a hyphen.
///
/// # Errors
/// 400, 405 or 417.
pub fn check(exchange: &mut Exchange) -> Result<(), Error> {
    if exchange.is_ambiguous {
        return Err(closing("the length of the body, or the end of a line, can be read in two ways"));
    }
    let headers = &exchange.headers;
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let is_chunked = codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if !is_chunked || codings.next().is_some() {
        return Err(closing("the only transfer coding is chunked"));
    }
    if matches!(exchange.method, Method::CONNECT | Method::TRACE) {
        let nothing = HeaderValue::from_static("");
        return Err(Error::new(ErrorKind::MethodNotAllowed, "").with_header(header::ALLOW, nothing));
    }
    if let Some(expectation) = headers.get(header::EXPECT)
        && !expectation.as_bytes().eq_ignore_ascii_case(b"100-continue")
    {
        return Err(Error::new(ErrorKind::ExpectationFailed, "only 100-continue can be expected"));
    }
    check_host(&exchange.uri, headers, exchange.version)?;
    if headers.keys().any(has_underscore) {
        let doubtful: Vec<HeaderName> = headers.keys().filter(|name| has_underscore(name)).cloned().collect();
        for name in doubtful {
            exchange.headers.remove(name);
        }
    }
    Ok(())
}

/// Puts the cookies of a request back into one line, which HTTP/2 clients may have cut for the sake of compression: whoever reads
/// HTTP/1.1, or a map of fields, expects one. Spec: <https://www.rfc-editor.org/rfc/rfc9113#section-8.2.3>
pub fn join_cookies(version: Version, headers: &mut HeaderMap) {
    let crumbs = || headers.get_all(header::COOKIE).iter();
    if version == Version::HTTP_2 && crumbs().nth(1).is_some() {
        let line = crumbs().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b"; "[..]);
        if let Ok(line) = HeaderValue::from_bytes(&line) {
            headers.insert(header::COOKIE, line);
        }
    }
}

/// Whether a request asks for another protocol, and may. One that carries requests of its own would bring them to the upstream past
/// every rule of ours: who asks for it is answered in the protocol of the question.
pub fn may_switch(version: Version, headers: &HeaderMap) -> bool {
    const CARRIERS: [&[u8]; 4] = [b"h2c", b"h2", b"http", b"tls"];
    let lines = || headers.get_all(header::UPGRADE).iter();
    let mut names = lines().flat_map(|line| line.as_bytes().split(|byte| matches!(byte, b',' | b'/'))).map(<[u8]>::trim_ascii);
    let is_asked = version == Version::HTTP_11 && lines().next().is_some();
    is_asked && !names.any(|name| CARRIERS.iter().any(|carrier| name.eq_ignore_ascii_case(carrier)))
}

/// The answer to a request that goes no further: `OPTIONS *` asks the server itself, and `Max-Forwards: 0` whoever has it.
/// Spec: <https://www.rfc-editor.org/rfc/rfc9110#name-max-forwards>
pub fn last_stop(exchange: &Exchange) -> Option<Response<Body>> {
    let is_for_us = || exchange.uri.path() == "*" || exchange.headers.get(header::MAX_FORWARDS).is_some_and(|most| most == "0");
    (exchange.method == Method::OPTIONS && is_for_us()).then(|| Response::new(Body::empty()))
}

/// The host that a request is for, with its port: the target's when it has one, the `Host` field's otherwise.
pub fn authority(exchange: &Exchange) -> &str {
    let field = || exchange.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    exchange.uri.authority().map(http::uri::Authority::as_str).or_else(field).unwrap_or_default()
}

/// A host without its port.
pub fn without_port(authority: &str) -> &str {
    let digits = authority.bytes().rev().take_while(u8::is_ascii_digit).count();
    authority.get(..authority.len() - digits).and_then(|rest| rest.strip_suffix(':')).unwrap_or(authority)
}

fn closing(reason: &'static str) -> Error {
    Error::new(ErrorKind::BadRequest, reason).with_header(header::CONNECTION, HeaderValue::from_static("close"))
}

fn has_underscore(name: &HeaderName) -> bool {
    name.as_str().contains('_')
}

fn check_host(uri: &Uri, headers: &HeaderMap, version: Version) -> Result<(), Error> {
    let mut fields = headers.get_all(header::HOST).iter();
    let field = fields.next();
    if fields.next().is_some() {
        return Err(closing("there is more than one Host field"));
    }
    if let Some(field) = field
        && !is_host(field.as_bytes())
    {
        return Err(closing("the Host field is not a host"));
    }
    match (uri.authority(), field) {
        (Some(authority), _) if !is_host(authority.as_str().as_bytes()) => Err(closing("the target's authority is not a host")),
        (Some(authority), Some(field))
            if version == Version::HTTP_2 && !field.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()) =>
        {
            Err(closing("the Host field and the target's authority differ"))
        }
        (None, None) if version >= Version::HTTP_11 => Err(closing("there is no Host field")),
        _ => Ok(()),
    }
}

/// Whether this is a name, an IPv4 address or a bracketed IPv6 address, with or without a port, which may be empty (RFC 3986, section
/// 3.2.3).
pub fn is_host(text: &[u8]) -> bool {
    let (host, port) = match text.iter().rposition(|byte| *byte == b':') {
        Some(colon) if !text.ends_with(b"]") => (text.get(..colon), text.get(colon + 1..)),
        _ => (Some(text), None),
    };
    let is_port = |port: &[u8]| {
        let is_number = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
        port.is_empty() || std::str::from_utf8(port).is_ok_and(is_number)
    };
    let is_name = |host: &[u8]| match host {
        [b'[', inner @ .., b']'] => {
            inner.contains(&b':') && inner.iter().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(byte))
        }
        _ => !host.is_empty() && host.iter().all(|byte| byte.is_ascii_alphanumeric() || b".-_~".contains(byte)),
    };
    host.is_some_and(is_name) && port.is_none_or(is_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_with_a_port_at_most() {
        for good in [
            "example.com",
            "EXAMPLE.com:80",
            "example.com:",
            "10.0.0.1",
            "[::1]",
            "[2001:db8::1]:8443",
            "a_b.internal",
            "localhost:65535",
        ] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            "a b",
            "user@host",
            "host/path",
            "a,b",
            "host:x",
            "host:65536",
            "host:80:80",
            "[::1",
            "::1",
            "[]",
            "h\0",
            "a?b",
            "host:+80",
            "[::1]x",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn the_port_is_no_part_of_the_name() {
        for (authority, host) in [("a.b:80", "a.b"), ("a.b:", "a.b"), ("a.b", "a.b"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]")] {
            assert_eq!(without_port(authority), host);
        }
    }
}
