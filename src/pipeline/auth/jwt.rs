//! JSON Web Tokens: signature, issuer, audience and times, as RFC 8725 wants them checked.
//!
//! The algorithm is decided by the configuration and the key, never by the token. A verified token is remembered by its hash
//! until it expires or its keys change. Relied on by `auth`.
//! Spec: <https://www.rfc-editor.org/rfc/rfc7519>, <https://www.rfc-editor.org/rfc/rfc8725>

use std::{collections::HashSet, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use jsonwebtoken::{Algorithm, Validation, errors::ErrorKind};
use moka::sync::Cache;
use serde_json::{Map, Value};

use super::{Refusal, config::JwtConfig, identity, sources::Source};
use crate::{
    exchange::{Exchange, Identity},
    pipeline::jwks::{JwksConfig, KeySet, KeySets, Keys},
};

/// Most verified tokens that are remembered.
const MOST_TOKENS: u64 = 10_000;
/// The longest token that is looked at, in bytes.
const LONGEST_TOKEN: usize = 16 << 10;
/// Most keys that are tried for a token that names none.
const MOST_TRIES: usize = 8;

/// Verifies tokens.
#[derive(Debug)]
pub struct Jwt {
    issuers: Vec<Issuer>,
    sources: Vec<Source>,
    required_claims: Vec<String>,
    leeway: u64,
    verified: Cache<[u8; 32], Arc<Verified>>,
}

/// A key set and what it vouches for.
#[derive(Debug)]
struct Issuer {
    keys: Arc<KeySet>,
    algorithms: Vec<Algorithm>,
    rules: Validation,
}

/// A token that was good, and how long that holds.
#[derive(Debug)]
struct Verified {
    identity: Arc<Identity>,
    not_before: u64,
    expires: u64,
    issuer: usize,
    generation: u64,
}

impl Jwt {
    /// The verification that a configuration asks for. Must be called inside a Tokio runtime.
    pub fn new(config: &JwtConfig, key_sets: &KeySets) -> Result<Self, String> {
        Ok(Self {
            issuers: config.jwks.iter().map(|jwks| Issuer::new(jwks, key_sets)).collect::<Result<_, _>>()?,
            sources: config.sources.iter().map(Source::new).collect::<Result<_, _>>()?,
            // `nbf` is optional by RFC 7519, section 4.1.5: it is compared with the clock when it is there.
            required_claims: config.claims_to_verify.iter().filter(|claim| *claim != "nbf").cloned().collect(),
            leeway: config.leeway.0.as_secs(),
            verified: Cache::new(MOST_TOKENS),
        })
    }

    /// Who sends the token of this request. `now` is in seconds since the epoch.
    pub async fn identify(&self, exchange: &mut Exchange, now: u64) -> Result<Arc<Identity>, Refusal> {
        let mut token = None;
        for source in &self.sources {
            // Every source is looked at, so that a token in the query never goes on.
            let found = source.take(exchange)?;
            token = token.or(found);
        }
        let token = token.ok_or(Refusal::Missing)?;
        if token.len() > LONGEST_TOKEN {
            return Err(Refusal::Invalid("The token is too long"));
        }
        let hash = hash(token.as_bytes());
        if let Some(known) = self.verified.get(&hash)
            && self.holds(&known, now)
        {
            return Ok(known.identity.clone());
        }
        let verified = Arc::new(self.verify(&token, now).await?);
        self.verified.insert(hash, verified.clone());
        Ok(verified.identity.clone())
    }

    /// Whether what was verified earlier is still good.
    fn holds(&self, known: &Verified, now: u64) -> bool {
        let keys_are_the_same =
            self.issuers.get(known.issuer).is_some_and(|issuer| issuer.keys.keys().generation == known.generation);
        keys_are_the_same && now < known.expires && now >= known.not_before
    }

    async fn verify(&self, token: &str, now: u64) -> Result<Verified, Refusal> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| Refusal::Invalid("The token is malformed"))?;
        // Extensions that must be understood are not (RFC 7515, section 4.1.11), and an unencoded payload is one of them.
        if header.crit.is_some() || header.enc.is_some() || header.zip.is_some() {
            return Err(Refusal::Invalid("The token uses an extension that is not supported"));
        }
        let mut refusal = Refusal::Invalid("The token's key is not known");
        for (number, issuer) in self.issuers.iter().enumerate() {
            if !issuer.algorithms.contains(&header.alg) {
                refusal = Refusal::Invalid("The token's algorithm is not accepted");
                continue;
            }
            match issuer.claims(token, header.kid.as_deref(), header.alg).await {
                Ok((claims, generation)) => {
                    let (not_before, expires) = self.times(&claims, now)?;
                    return Ok(Verified { identity: identity(claims), not_before, expires, issuer: number, generation });
                }
                Err(reason) => refusal = reason,
            }
        }
        Err(refusal)
    }

    /// From when and until when the claims hold, leeway included; a refusal when that is not now.
    fn times(&self, claims: &Map<String, Value>, now: u64) -> Result<(u64, u64), Refusal> {
        if self.required_claims.iter().any(|name| claims.get(name).is_none_or(Value::is_null)) {
            return Err(Refusal::Invalid("The token lacks a required claim"));
        }
        let malformed = Refusal::Invalid("The token's times are malformed");
        let Ok(expires) = seconds(claims, "exp") else { return Err(malformed) };
        let (Ok(not_before), Ok(issued)) = (seconds(claims, "nbf"), seconds(claims, "iat")) else { return Err(malformed) };
        let expires = expires.map_or(u64::MAX, |expires| expires.saturating_add(self.leeway));
        let not_before = not_before.max(issued).unwrap_or(0).saturating_sub(self.leeway);
        match (now < expires, now >= not_before) {
            (false, _) => Err(Refusal::Invalid("The token has expired")),
            (_, false) => Err(Refusal::Invalid("The token is not valid yet")),
            _ => Ok((not_before, expires)),
        }
    }
}

/// A time claim in whole seconds (fractions are cut off); `Err` when it is there but not a time.
fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<u64>, ()> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::Number(number)) => match (number.as_u64(), number.as_f64()) {
            (Some(whole), _) => Ok(Some(whole)),
            (None, Some(fraction)) if fraction >= 0.0 => Ok(Some(fraction as u64)),
            _ => Err(()),
        },
        Some(_) => Err(()),
    }
}

impl Issuer {
    fn new(config: &JwksConfig, key_sets: &KeySets) -> Result<Self, String> {
        let mut rules = Validation::new(Algorithm::RS256);
        rules.required_spec_claims = HashSet::new();
        // Times are compared by `Jwt::times`, with a clock that tests can set.
        (rules.validate_exp, rules.validate_nbf) = (false, false);
        rules.validate_aud = !config.audiences.is_empty();
        if !config.audiences.is_empty() {
            rules.set_audience(&config.audiences);
            rules.required_spec_claims.insert("aud".to_owned());
        }
        if !config.issuers.is_empty() {
            rules.set_issuer(&config.issuers);
            rules.required_spec_claims.insert("iss".to_owned());
        }
        Ok(Self { keys: key_sets.get(config)?, algorithms: config.algorithms.clone(), rules })
    }

    /// The claims of a token that one of our keys signed, and the generation of the keys that said so.
    async fn claims(&self, token: &str, id: Option<&str>, algorithm: Algorithm) -> Result<(Map<String, Value>, u64), Refusal> {
        let mut keys = self.keys.keys();
        if keys.matching(id, algorithm).next().is_none() {
            keys = self.keys.newer_than(&keys).await;
        }
        if keys.generation == 0 {
            return Err(Refusal::Unavailable("the key set could not be fetched yet"));
        }
        self.decode(token, &keys, id, algorithm).map(|claims| (claims, keys.generation))
    }

    fn decode(&self, token: &str, keys: &Keys, id: Option<&str>, algorithm: Algorithm) -> Result<Map<String, Value>, Refusal> {
        let mut rules = self.rules.clone();
        rules.algorithms = vec![algorithm];
        let mut refusal = Refusal::Invalid("The token's key is not known");
        for key in keys.matching(id, algorithm).take(MOST_TRIES) {
            match jsonwebtoken::decode::<Map<String, Value>>(token, &key.decoding, &rules) {
                Ok(decoded) => return Ok(decoded.claims),
                Err(error) => refusal = Refusal::Invalid(reason(error.kind())),
            }
        }
        Err(refusal)
    }
}

fn reason(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidIssuer => "The token's issuer is not accepted",
        ErrorKind::InvalidAudience => "The token is meant for someone else",
        ErrorKind::MissingRequiredClaim(_) => "The token lacks a required claim",
        ErrorKind::InvalidSignature => "The token's signature is not valid",
        _ => "The token is not valid",
    }
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
#[path = "jwt_tests.rs"]
mod tests;
