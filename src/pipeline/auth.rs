//! Authentication: who is asking. Today by JSON Web Token; every scheme ends in an [`Identity`].
//!
//! Relied on by `pipeline`; relies on `jwks` for keys; configured by `authentication:`.
//! Spec: <https://www.rfc-editor.org/rfc/rfc6750>, <https://www.rfc-editor.org/rfc/rfc9110#name-authentication>

pub mod config;
mod jwt;
mod sources;

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use http::{HeaderValue, header::WWW_AUTHENTICATE};

pub use config::AuthenticationConfig;
use config::Require;
use jwt::Jwt;

use crate::{
    error::{Error, ErrorKind},
    exchange::{Exchange, Identity},
    pipeline::jwks::KeySets,
};

/// Finds out who asks.
#[derive(Debug)]
pub struct Auth {
    jwt: Option<Jwt>,
    require: Require,
}

/// Why a request is not authenticated.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// Nothing was presented.
    Missing,
    /// What was presented is not good, for this reason.
    Invalid(&'static str),
    /// It cannot be checked now.
    Unavailable(&'static str),
}

impl Auth {
    /// The authentication of this configuration. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// A key set is not described well enough to be fetched.
    pub fn new(config: &AuthenticationConfig, key_sets: &KeySets) -> Result<Self, String> {
        let jwt = config.jwt.as_ref().map(|jwt| Jwt::new(jwt, key_sets)).transpose()?;
        Ok(Self { jwt, require: config.require })
    }

    /// States in the exchange who asks. A token that is presented must be good, also where none is required.
    ///
    /// # Errors
    /// `Unauthenticated` with a challenge, or `UpstreamUnavailable` while no keys could be fetched yet.
    pub async fn authenticate(&self, exchange: &mut Exchange) -> Result<(), Error> {
        let Some(jwt) = &self.jwt else { return Ok(()) };
        match jwt.identify(exchange, now()).await {
            Ok(identity) => exchange.identity = Some(identity),
            Err(Refusal::Missing) if self.require == Require::Nothing => {}
            Err(refusal) => return Err(refusal.into()),
        }
        Ok(())
    }
}

/// Seconds since the epoch.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let (detail, challenge) = match refusal {
            Refusal::Unavailable(detail) => return Self::new(ErrorKind::UpstreamUnavailable, detail),
            // RFC 6750, section 3.1: no error code when no credentials were presented.
            Refusal::Missing => ("Missing credentials: a Bearer token is needed.", r#"Bearer realm="supergate""#.to_owned()),
            Refusal::Invalid(reason) => {
                (reason, format!(r#"Bearer realm="supergate", error="invalid_token", error_description="{reason}""#))
            }
        };
        let error = Self::new(ErrorKind::Unauthenticated, detail);
        match HeaderValue::try_from(challenge) {
            Ok(challenge) => error.with_header(WWW_AUTHENTICATE, challenge),
            Err(_) => error,
        }
    }
}

/// The identity of someone whose claims are verified.
fn identity(claims: serde_json::Map<String, serde_json::Value>) -> Arc<Identity> {
    use serde_json::Value;
    let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default().into();
    let scopes = match claims.get("scope").or_else(|| claims.get("scp")) {
        Some(Value::String(scopes)) => scopes.split_ascii_whitespace().map(Into::into).collect(),
        Some(Value::Array(scopes)) => scopes.iter().filter_map(Value::as_str).map(Into::into).collect(),
        _ => Vec::new(),
    };
    Arc::new(Identity { subject, scopes, claims })
}
