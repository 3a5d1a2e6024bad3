//! CSRF: refuses requests that a web page of another origin could have sent without a preflight.
//!
//! Relied on by `pipeline`; configured by `csrf:`. Spec: <https://fetch.spec.whatwg.org/#simple-header>

use http::{HeaderName, HeaderValue, Method, header::CONTENT_TYPE};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, ErrorKind},
    exchange::Exchange,
};

/// On for GraphQL by default; a REST route has it when its own block says so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CsrfConfig {
    /// Whether requests are checked.
    pub enabled: bool,
    /// A request with any of these headers is let through, since a page cannot send one without a preflight. So is one whose
    /// content type forces a preflight, as `application/json` does.
    pub required_headers: Vec<String>,
}

impl Default for CsrfConfig {
    fn default() -> Self {
        Self { enabled: true, required_headers: ["x-apollo-operation-name", "apollo-require-preflight"].map(Into::into).into() }
    }
}

/// The content types that a form or a script may send to another origin without asking first.
const SIMPLE_TYPES: [&str; 3] = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"];

/// Refuses what could be forged.
#[derive(Debug)]
pub struct Csrf {
    required_headers: Vec<HeaderName>,
}

impl Csrf {
    /// The check of a configuration; none when it is off.
    ///
    /// # Errors
    /// A required header's name is none.
    pub fn new(config: &CsrfConfig) -> Result<Option<Self>, String> {
        let parse = |name: &String| name.parse().map_err(|_| format!("csrf: `{name}` is not the name of a header"));
        let required_headers = config.required_headers.iter().map(parse).collect::<Result<_, _>>()?;
        Ok(config.enabled.then_some(Self { required_headers }))
    }

    /// Lets the request pass if no page could have sent it without a preflight; any method but GET, HEAD and POST needs one.
    ///
    /// # Errors
    /// `CsrfRejected`.
    pub fn check(&self, exchange: &Exchange) -> Result<(), Error> {
        let is_simple = matches!(exchange.method, Method::GET | Method::HEAD | Method::POST);
        let has_required = self.required_headers.iter().any(|name| exchange.headers.contains_key(name));
        if has_required || !is_simple || exchange.headers.get_all(CONTENT_TYPE).iter().any(forces_preflight) {
            return Ok(());
        }
        let names: Vec<&str> = self.required_headers.iter().map(HeaderName::as_str).collect();
        Err(Error::new(
            ErrorKind::CsrfRejected,
            format!(
                "This request could have been forged by a web page: send a content type such as application/json, or one of the headers {}.",
                names.join(", ")
            ),
        ))
    }
}

/// Whether a content type is one that browsers ask about first. One that does not parse counts as simple: browsers send those.
fn forces_preflight(value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else { return false };
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_token =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte));
    let is_type = essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype));
    is_type && !SIMPLE_TYPES.contains(&essence.as_str())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::exchange::Peer;

    fn exchange(request: http::Request<()>) -> Exchange {
        let peer = Peer { address: "127.0.0.1:1".parse().unwrap(), is_tls: false };
        Exchange::new(peer, request.into_parts().0, Duration::from_secs(1))
    }

    #[test]
    fn only_what_a_page_cannot_send_unasked_passes() {
        let csrf = Csrf::new(&CsrfConfig::default()).unwrap().unwrap();
        for (name, value, passes) in [
            ("content-type", "application/json", true),
            ("content-type", "Application/JSON; charset=utf-8", true),
            ("content-type", "text/plain", false),
            ("content-type", "text/plain; application/json", false),
            ("content-type", "multipart/form-data; boundary=x", false),
            ("content-type", "application/json, text/plain", false),
            ("content-type", "", false),
            ("accept", "*/*", false),
            ("apollo-require-preflight", "1", true),
            ("X-Apollo-Operation-Name", "Q", true),
        ] {
            let request = http::Request::post("/").header(name, value).body(()).unwrap();
            assert_eq!(csrf.check(&exchange(request)).is_ok(), passes, "{name}: {value}");
        }
        for (method, passes) in [("GET", false), ("HEAD", false), ("POST", false), ("PUT", true), ("OPTIONS", true)] {
            let request = http::Request::builder().method(method).uri("/").body(()).unwrap();
            assert_eq!(csrf.check(&exchange(request)).is_ok(), passes, "{method}");
        }
    }

    #[test]
    fn off_is_none() {
        assert!(Csrf::new(&CsrfConfig { enabled: false, ..CsrfConfig::default() }).unwrap().is_none());
    }
}
