//! Redirects: a plain listener that sends everybody to the encrypted one.
//!
//! Relied on by `app`; configured by `tls.redirect_from`. Spec: <https://www.rfc-editor.org/rfc/rfc9110#name-308-permanent-redirect>

use http::{HeaderValue, Request, Response, StatusCode, header, uri::Authority};

use crate::body::Body;

/// The answer to a request that came unencrypted, where HTTPS listens on `port`: the same target there, with the same method.
pub fn to_https<B>(request: &Request<B>, port: u16) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let location = location(request, port);
    *response.status_mut() = if location.is_some() { StatusCode::PERMANENT_REDIRECT } else { StatusCode::BAD_REQUEST };
    let headers = response.headers_mut();
    match location {
        Some(location) => headers.insert(header::LOCATION, location),
        None => headers.insert(header::CONNECTION, HeaderValue::from_static("close")),
    };
    response
}

fn location<B>(request: &Request<B>, port: u16) -> Option<HeaderValue> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let field = hosts.next().and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let authority = request.uri().authority().cloned().or(field).filter(|authority| !authority.as_str().contains('@'))?;
    let host = authority.host();
    let target = request.uri().path_and_query()?.as_str();
    if hosts.next().is_some() || host.is_empty() || !target.starts_with('/') {
        return None;
    }
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    HeaderValue::try_from(format!("https://{host}{port}{target}")).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn everything_but_scheme_and_port_stays() {
        for (target, host, port, wanted) in [
            ("/a%2F?b=c&", "a.example", 443, Some("https://a.example/a%2F?b=c&")),
            ("/", "a.example:80", 8443, Some("https://a.example:8443/")),
            ("/", "[::1]:80", 443, Some("https://[::1]/")),
            ("http://b.example/x", "a.example", 443, Some("https://b.example/x")),
            ("/", "user@a.example", 443, None),
            ("/", "a b", 443, None),
            ("*", "a.example", 443, None),
        ] {
            let request = Request::builder().uri(target).header("host", host).body(()).unwrap();
            let response = to_https(&request, port);
            assert_eq!(response.headers().get("location").map(|it| it.to_str().unwrap()), wanted, "{target} {host}");
            assert_eq!(response.status(), if wanted.is_some() { 308 } else { 400 });
        }
        let twice = Request::builder().uri("/").header("host", "a").header("host", "b").body(()).unwrap();
        assert_eq!(to_https(&twice, 443).status(), 400);
    }
}
