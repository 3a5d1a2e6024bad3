//! The words of `authentication:`.
//!
//! Relied on by the rest of `auth`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de};

use crate::{pipeline::jwks::JwksConfig, units::Span};

/// How clients prove who they are. Without this block everybody is anonymous.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuthenticationConfig {
    /// Bearer tokens.
    pub jwt: Option<JwtConfig>,
    /// Keys of registered consumers.
    pub api_keys: Option<ApiKeysConfig>,
    /// User name and password.
    pub basic: Option<BasicConfig>,
    /// Ask another service.
    pub forward: Option<ForwardConfig>,
    /// Whether a request needs credentials: `true` or `any` for one of the above, `all` for each of them, `false` for none
    /// (those that are sent are checked all the same).
    pub require: Require,
}

impl Default for AuthenticationConfig {
    fn default() -> Self {
        Self { jwt: None, api_keys: None, basic: None, forward: None, require: Require::Any }
    }
}

/// Whether a request needs credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Require {
    /// `false`: anonymous requests pass.
    Nothing,
    /// `true` or `any`: one of the configured kinds.
    Any,
    /// `all`: each of the configured kinds.
    All,
}

impl Serialize for Require {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => serializer.serialize_bool(false),
            Self::Any => serializer.serialize_bool(true),
            Self::All => serializer.serialize_str("all"),
        }
    }
}

impl<'de> Deserialize<'de> for Require {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Word;
        impl de::Visitor<'_> for Word {
            type Value = Require;
            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("true, false, any or all")
            }
            fn visit_bool<E: de::Error>(self, is: bool) -> Result<Require, E> {
                Ok(if is { Require::Any } else { Require::Nothing })
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<Require, E> {
                match word {
                    "any" | "true" => Ok(Require::Any),
                    "all" => Ok(Require::All),
                    "false" => Ok(Require::Nothing),
                    _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }
        }
        deserializer.deserialize_any(Word)
    }
}

impl JsonSchema for Require {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Require".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "enum": [true, false, "any", "all"] })
    }
}

/// JSON Web Tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JwtConfig {
    /// Key sets, tried in order.
    pub jwks: Vec<JwksConfig>,
    /// Where a token is looked for; the first place that has one counts.
    pub sources: Vec<TokenSource>,
    /// Claims that every token must have; `exp` and `nbf` are also compared with the clock.
    pub claims_to_verify: Vec<String>,
    /// How far clocks may differ.
    pub leeway: Span,
}

impl Default for JwtConfig {
    fn default() -> Self {
        Self {
            jwks: Vec::new(),
            sources: vec![TokenSource::Header { header: "Authorization".into(), prefix: "Bearer".into() }],
            claims_to_verify: vec!["exp".into()],
            leeway: Span::seconds(30),
        }
    }
}

/// A place of a token in a request: `{ header, prefix }`, `{ cookie }` or `{ query }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "TokenSourceFields", untagged)]
pub enum TokenSource {
    /// A header.
    Header {
        /// Its name.
        header: String,
        /// The scheme before the token, without the space; empty for none.
        prefix: String,
    },
    /// A cookie.
    Cookie {
        /// Its name.
        cookie: String,
    },
    /// A parameter of the query; removed before the request goes on and before it is logged.
    Query {
        /// Its name.
        query: String,
    },
}

/// A place of a token in a request: one of `header`, `cookie` and `query`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TokenSourceFields {
    /// Name of a header.
    header: Option<String>,
    /// The scheme before the token in the header; `Bearer` when absent, empty for none.
    prefix: Option<String>,
    /// Name of a cookie.
    cookie: Option<String>,
    /// Name of a query parameter, removed before the request goes on and before it is logged.
    query: Option<String>,
}

impl TryFrom<TokenSourceFields> for TokenSource {
    type Error = &'static str;

    fn try_from(fields: TokenSourceFields) -> Result<Self, Self::Error> {
        match fields {
            TokenSourceFields { header: Some(header), prefix, cookie: None, query: None } => {
                Ok(Self::Header { header, prefix: prefix.unwrap_or_else(|| "Bearer".into()) })
            }
            TokenSourceFields { header: None, prefix: None, cookie: Some(cookie), query: None } => Ok(Self::Cookie { cookie }),
            TokenSourceFields { header: None, prefix: None, cookie: None, query: Some(query) } => Ok(Self::Query { query }),
            _ => Err("a token source is exactly one of `header` (with `prefix`), `cookie` and `query`"),
        }
    }
}

impl JsonSchema for TokenSource {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TokenSource".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        TokenSourceFields::json_schema(generator)
    }
}

/// Keys of registered consumers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeysConfig {
    /// A file with the keys' hashes, their consumers and plans.
    pub file: PathBuf,
    /// The header that carries a key.
    #[serde(default = "api_key_header")]
    pub header: String,
}

fn api_key_header() -> String {
    "X-API-Key".into()
}

/// User names and passwords (RFC 7617).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicConfig {
    /// A file as htpasswd writes it.
    pub file: PathBuf,
}

/// Another service decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForwardConfig {
    /// Whom to ask; any 2xx lets the request pass.
    pub url: String,
    /// Headers of its answer that are added to the request.
    #[serde(default)]
    pub response_headers: Vec<String>,
    /// How long it may take.
    #[serde(default = "five_seconds")]
    pub timeout: Span,
    /// How long an answer holds for the same credentials.
    pub cache_ttl: Option<Span>,
}

const fn five_seconds() -> Span {
    Span::seconds(5)
}
