//! CORS: which web pages of other origins may call us, and the answers to their preflights.
//!
//! Relied on by `pipeline`; configured by `cors:`. Spec: <https://fetch.spec.whatwg.org/#http-cors-protocol>

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
        ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{body::Body, exchange::Exchange, units::Span};

/// Which origins may read answers. Without this block none may.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CorsConfig {
    /// Origins (`https://app.example`), or `*` for any (not together with `allow_credentials`).
    pub origins: Vec<String>,
    /// Methods that preflights allow.
    pub methods: Vec<String>,
    /// Request headers that preflights allow; empty means whatever is asked for.
    pub allow_headers: Vec<String>,
    /// Response headers that pages may read.
    pub expose_headers: Vec<String>,
    /// Whether cookies and other credentials may be sent.
    pub allow_credentials: bool,
    /// How long a preflight's answer may be kept.
    pub max_age: Option<Span>,
    /// Other settings for other origins; the first policy that names the origin counts, then the settings above.
    pub policies: Vec<CorsPolicyConfig>,
}

impl Default for CorsConfig {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            methods: ["GET", "POST", "OPTIONS"].map(Into::into).into(),
            allow_headers: Vec::new(),
            expose_headers: Vec::new(),
            allow_credentials: false,
            max_age: None,
            policies: Vec::new(),
        }
    }
}

/// Settings for some origins; what is absent is taken from the block around it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CorsPolicyConfig {
    /// Origins (`https://app.example`).
    pub origins: Vec<String>,
    /// Methods that preflights allow.
    pub methods: Option<Vec<String>>,
    /// Request headers that preflights allow.
    pub allow_headers: Option<Vec<String>>,
    /// Response headers that pages may read.
    pub expose_headers: Option<Vec<String>>,
    /// Whether cookies and other credentials may be sent.
    pub allow_credentials: Option<bool>,
    /// How long a preflight's answer may be kept.
    pub max_age: Option<Span>,
}

/// What a response depends on when CORS is configured, whether or not the request was from another origin.
const VARIES: HeaderValue = HeaderValue::from_static("origin");
/// What a preflight's answer depends on.
const PREFLIGHT_VARIES: HeaderValue =
    HeaderValue::from_static("origin, access-control-request-method, access-control-request-headers");
const REQUEST_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// Answers preflights and marks responses.
#[derive(Debug)]
pub struct Cors {
    /// The first that names an origin counts.
    policies: Vec<Policy>,
}

/// What pages of some origins may do, ready to be sent.
#[derive(Debug)]
struct Policy {
    origins: Origins,
    methods: HeaderValue,
    /// `None`: whatever is asked for.
    allow_headers: Option<HeaderValue>,
    expose_headers: Option<HeaderValue>,
    allow_credentials: bool,
    max_age: Option<HeaderValue>,
}

#[derive(Debug)]
enum Origins {
    Any,
    Listed(Vec<HeaderValue>),
}

impl Cors {
    /// The rules of a configuration.
    ///
    /// # Errors
    /// Something in it cannot stand in a header, or credentials are allowed to any origin.
    pub fn new(config: &CorsConfig) -> Result<Self, String> {
        let mut policies = Vec::with_capacity(config.policies.len() + 1);
        for policy in &config.policies {
            policies.push(Policy::new(&CorsConfig {
                origins: policy.origins.clone(),
                methods: policy.methods.clone().unwrap_or_else(|| config.methods.clone()),
                allow_headers: policy.allow_headers.clone().unwrap_or_else(|| config.allow_headers.clone()),
                expose_headers: policy.expose_headers.clone().unwrap_or_else(|| config.expose_headers.clone()),
                allow_credentials: policy.allow_credentials.unwrap_or(config.allow_credentials),
                max_age: policy.max_age.or(config.max_age),
                policies: Vec::new(),
            })?);
        }
        policies.push(Policy::new(config)?);
        Ok(Self { policies })
    }

    /// The answer to a preflight; `None` when the request is none. An origin that may not call gets an answer without permission.
    pub fn preflight(&self, exchange: &Exchange) -> Option<Response<Body>> {
        let headers = &exchange.headers;
        let origin = headers.get(ORIGIN)?;
        if exchange.method != Method::OPTIONS || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().insert(VARY, PREFLIGHT_VARIES);
        if let Some(policy) = self.policy(origin) {
            policy.permit(origin, headers, response.headers_mut());
        }
        Some(response)
    }

    /// Tells the browser whether the page that asked may read the response.
    pub fn mark(&self, request: &HeaderMap, response: &mut HeaderMap) {
        response.append(VARY, VARIES);
        // What an upstream said of origins is replaced: two answers to one question would be refused by browsers.
        for name in [ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_EXPOSE_HEADERS] {
            response.remove(name);
        }
        let Some(origin) = request.get(ORIGIN) else { return };
        if let Some(policy) = self.policy(origin) {
            policy.allow(origin, response);
            if let Some(expose) = &policy.expose_headers {
                response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
            }
        }
    }

    fn policy(&self, origin: &HeaderValue) -> Option<&Policy> {
        self.policies.iter().find(|policy| match &policy.origins {
            Origins::Any => true,
            Origins::Listed(origins) => origins.contains(origin),
        })
    }
}

impl Policy {
    fn new(config: &CorsConfig) -> Result<Self, String> {
        let is_any = config.origins.iter().any(|origin| origin == "*");
        if is_any && config.allow_credentials {
            return Err(
                "cors: `allow_credentials` cannot be combined with the origin `*`: browsers refuse it, name the origins".into()
            );
        }
        let list =
            |words: &[String]| HeaderValue::try_from(words.join(", ")).map_err(|_| format!("cors: {words:?} cannot be sent"));
        let some = |words: &[String]| (!words.is_empty()).then(|| list(words)).transpose();
        let origins = match is_any {
            true => Origins::Any,
            false => Origins::Listed(config.origins.iter().map(|origin| listed(origin)).collect::<Result<_, _>>()?),
        };
        Ok(Self {
            origins,
            methods: list(&config.methods)?,
            allow_headers: some(&config.allow_headers)?,
            expose_headers: some(&config.expose_headers)?,
            allow_credentials: config.allow_credentials,
            max_age: config.max_age.map(|age| age.0.as_secs().into()),
        })
    }

    fn permit(&self, origin: &HeaderValue, request: &HeaderMap, response: &mut HeaderMap) {
        self.allow(origin, response);
        response.insert(ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
        if let Some(headers) = self.allow_headers.as_ref().or_else(|| request.get(ACCESS_CONTROL_REQUEST_HEADERS)) {
            response.insert(ACCESS_CONTROL_ALLOW_HEADERS, headers.clone());
        }
        if let Some(age) = &self.max_age {
            response.insert(ACCESS_CONTROL_MAX_AGE, age.clone());
        }
        if request.contains_key(REQUEST_PRIVATE_NETWORK) && matches!(self.origins, Origins::Listed(_)) {
            response.insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
        }
    }

    fn allow(&self, origin: &HeaderValue, response: &mut HeaderMap) {
        let allowed = match self.origins {
            Origins::Any => HeaderValue::from_static("*"),
            Origins::Listed(_) => origin.clone(),
        };
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        if self.allow_credentials {
            response.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}

/// An origin as browsers send it: scheme, host and port, without a path.
fn listed(origin: &str) -> Result<HeaderValue, String> {
    let wrong = || format!("cors: `{origin}` is not an origin: write scheme, host and port, as in https://app.example");
    let rest = origin.split_once("://").ok_or_else(wrong)?.1;
    if rest.is_empty() || rest.contains(['/', '*', ' ', '?']) {
        return Err(wrong());
    }
    HeaderValue::try_from(origin.to_ascii_lowercase()).map_err(|_| wrong())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::exchange::Peer;

    fn cors(config: serde_json::Value) -> Cors {
        Cors::new(&serde_json::from_value(config).unwrap()).unwrap()
    }

    fn request(method: Method, headers: &[(&str, &str)]) -> Exchange {
        let mut request = http::Request::builder().method(method).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let peer = Peer { address: "127.0.0.1:1".parse().unwrap(), is_tls: false };
        Exchange::new(peer, request.body(()).unwrap().into_parts().0, Duration::from_secs(1))
    }

    fn preflight(cors: &Cors, origin: &str) -> HeaderMap {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "x-a, content-type"),
        ];
        cors.preflight(&request(Method::OPTIONS, &headers)).unwrap().headers().clone()
    }

    #[test]
    fn a_listed_origin_is_permitted_and_another_is_answered_without_permission() {
        let cors =
            cors(json!({ "origins": ["https://app.example"], "methods": ["GET", "POST"], "allow_headers": ["Authorization"],
            "allow_credentials": true, "max_age": "2h" }));
        let permitted = preflight(&cors, "https://app.example");
        assert_eq!(permitted[ACCESS_CONTROL_ALLOW_ORIGIN], "https://app.example");
        assert_eq!(permitted[ACCESS_CONTROL_ALLOW_METHODS], "GET, POST");
        assert_eq!(permitted[ACCESS_CONTROL_ALLOW_HEADERS], "Authorization");
        assert_eq!(
            (&permitted[ACCESS_CONTROL_ALLOW_CREDENTIALS], &permitted[ACCESS_CONTROL_MAX_AGE]),
            (&"true".parse().unwrap(), &7200.into())
        );
        for other in ["https://app.example.evil", "http://app.example", "https://app.example:8443", "null"] {
            let headers = preflight(&cors, other);
            assert!(
                !headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) && !headers.contains_key(ACCESS_CONTROL_ALLOW_METHODS),
                "{other}"
            );
            assert!(headers.contains_key(VARY));
        }
    }

    #[test]
    fn only_options_with_origin_and_method_is_a_preflight() {
        let cors = cors(json!({ "origins": ["*"] }));
        let asked = ("access-control-request-method", "POST");
        for (method, headers) in [
            (Method::GET, vec![("origin", "https://a.example"), asked]),
            (Method::OPTIONS, vec![("origin", "https://a.example")]),
            (Method::OPTIONS, vec![asked]),
        ] {
            assert!(cors.preflight(&request(method, &headers)).is_none());
        }
        assert_eq!(preflight(&cors, "https://any.example")[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert_eq!(preflight(&cors, "https://any.example")[ACCESS_CONTROL_ALLOW_HEADERS], "x-a, content-type");
    }

    #[test]
    fn responses_always_vary_by_origin_and_an_upstreams_permission_is_replaced() {
        let cors = cors(json!({ "origins": ["https://app.example"], "expose_headers": ["X-Total"] }));
        let mut response = HeaderMap::new();
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        cors.mark(&HeaderMap::new(), &mut response);
        assert_eq!((response.get(ACCESS_CONTROL_ALLOW_ORIGIN), &response[VARY]), (None, &VARIES));
        let exchange = request(Method::GET, &[("origin", "https://app.example")]);
        let mut response = HeaderMap::new();
        cors.mark(&exchange.headers, &mut response);
        assert_eq!(response[ACCESS_CONTROL_ALLOW_ORIGIN], "https://app.example");
        assert_eq!(response[ACCESS_CONTROL_EXPOSE_HEADERS], "X-Total");
    }

    #[test]
    fn a_policy_of_its_own_for_some_origins_takes_the_rest_from_around_it() {
        let cors = cors(json!({ "origins": ["https://a.example"], "methods": ["GET"],
            "policies": [{ "origins": ["https://b.example"], "allow_credentials": true }] }));
        let (a, b) = (preflight(&cors, "https://a.example"), preflight(&cors, "https://b.example"));
        assert!(!a.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));
        assert_eq!(
            (&b[ACCESS_CONTROL_ALLOW_CREDENTIALS], &b[ACCESS_CONTROL_ALLOW_METHODS]),
            (&"true".parse().unwrap(), &"GET".parse().unwrap())
        );
    }

    #[test]
    fn what_browsers_would_refuse_is_refused_at_load() {
        for config in [
            json!({ "origins": ["*"], "allow_credentials": true }),
            json!({ "origins": ["https://app.example/"] }),
            json!({ "origins": ["app.example"] }),
            json!({ "origins": ["https://*.example"] }),
        ] {
            assert!(Cors::new(&serde_json::from_value(config.clone()).unwrap()).is_err(), "{config}");
        }
    }
}
