//! Tokens that must pass and tokens that must not, at a time of our choosing.

use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;

use super::*;
use crate::exchange::Peer;

const NOW: u64 = 1_700_000_000;
const SECRET: &[u8] = b"a secret of enough bytes for HS256!";

/// A verifier with one shared secret (`kid` `a`) and one elliptic-curve public key (`kid` `ec`).
async fn verifier(change: impl FnOnce(&mut JwtConfig)) -> (Jwt, EncodingKey) {
    let (private, public) = elliptic_curve_pair();
    let secret = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, SECRET);
    let document = json!({ "keys": [{ "kty": "oct", "kid": "a", "alg": "HS256", "k": secret }, public] });
    let name = format!("supergate-{}-{:?}.json", std::process::id(), std::thread::current().id());
    let file = std::env::temp_dir().join(name.replace(['(', ')'], ""));
    std::fs::write(&file, document.to_string()).unwrap();
    let jwks = JwksConfig {
        file: Some(file),
        issuers: vec!["https://idp.example".into()],
        audiences: vec!["api".into()],
        algorithms: vec![Algorithm::HS256, Algorithm::ES256],
        ..JwksConfig::default()
    };
    let mut config = JwtConfig { jwks: vec![jwks], ..JwtConfig::default() };
    change(&mut config);
    let jwt = Jwt::new(&config, &KeySets::default()).unwrap();
    while jwt.issuers[0].keys.keys().generation == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    (jwt, private)
}

fn elliptic_curve_pair() -> (EncodingKey, Value) {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    let random = aws_lc_rs::rand::SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).unwrap();
    let point = pair.public_key().as_ref();
    let encode = |bytes: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, bytes);
    let public = json!({ "kty": "EC", "crv": "P-256", "kid": "ec", "use": "sig", "x": encode(&point[1..33]), "y": encode(&point[33..65]) });
    (EncodingKey::from_ec_der(document.as_ref()), public)
}

fn good() -> Value {
    json!({ "sub": "ann", "iss": "https://idp.example", "aud": ["other", "api"], "exp": NOW + 60, "scope": "read write" })
}

fn header(algorithm: Algorithm, id: Option<&str>) -> Header {
    Header { kid: id.map(str::to_owned), ..Header::new(algorithm) }
}

fn signed(claims: &Value) -> String {
    jsonwebtoken::encode(&header(Algorithm::HS256, Some("a")), claims, &EncodingKey::from_secret(SECRET)).unwrap()
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = good();
    claims[name] = value;
    claims
}

async fn identify(jwt: &Jwt, token: &str, now: u64) -> Result<Arc<Identity>, Refusal> {
    let request = http::Request::get("/").header("authorization", format!("Bearer {token}")).body(()).unwrap();
    let peer = Peer { address: "127.0.0.1:1".parse().unwrap(), is_tls: false };
    let mut exchange = Exchange::new(peer, request.into_parts().0, Duration::from_secs(1));
    jwt.identify(&mut exchange, now).await
}

#[tokio::test]
async fn a_good_token_tells_who_and_what() {
    let (jwt, private) = verifier(|_| {}).await;
    let elliptic = jsonwebtoken::encode(&header(Algorithm::ES256, Some("ec")), &good(), &private).unwrap();
    for token in [signed(&good()), elliptic] {
        let identity = identify(&jwt, &token, NOW).await.unwrap();
        assert_eq!(&*identity.subject, "ann");
        assert_eq!(identity.scopes, ["read".into(), "write".into()] as [Box<str>; 2]);
        assert_eq!(identity.claims["aud"], json!(["other", "api"]));
    }
}

#[tokio::test]
async fn claims_that_do_not_fit_are_refused_with_the_reason() {
    let (jwt, _) = verifier(|_| {}).await;
    for (claims, reason) in [
        (with("exp", json!(NOW - 31)), "The token has expired"),
        (with("exp", json!("soon")), "The token's times are malformed"),
        (with("exp", json!(-5)), "The token's times are malformed"),
        (with("exp", Value::Null), "The token lacks a required claim"),
        (with("nbf", json!(NOW + 31)), "The token is not valid yet"),
        (with("iat", json!(NOW + 3_600)), "The token is not valid yet"),
        (with("iss", json!("https://evil.example")), "The token's issuer is not accepted"),
        (with("aud", json!("someone")), "The token is meant for someone else"),
        (with("aud", json!(["a", "b"])), "The token is meant for someone else"),
    ] {
        assert_eq!(identify(&jwt, &signed(&claims), NOW).await.unwrap_err(), Refusal::Invalid(reason), "{claims}");
    }
    for within_leeway in [with("exp", json!(NOW - 29)), with("nbf", json!(NOW + 29)), with("exp", json!(NOW as f64 + 0.5))] {
        assert!(identify(&jwt, &signed(&within_leeway), NOW).await.is_ok(), "{within_leeway}");
    }
}

#[tokio::test]
async fn the_token_does_not_choose_how_it_is_verified() {
    let (jwt, _) = verifier(|_| {}).await;
    let encode = |value: &Value| base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, value.to_string());
    let payload = encode(&good());
    let unsigned = format!("{}.{payload}.", encode(&json!({ "alg": "none", "kid": "a" })));
    let secret = EncodingKey::from_secret(SECRET);
    let other_algorithm = jsonwebtoken::encode(&header(Algorithm::HS384, Some("a")), &good(), &secret).unwrap();
    // The classic confusion: the public key's id with a symmetric algorithm.
    let confused = jsonwebtoken::encode(&header(Algorithm::HS256, Some("ec")), &good(), &secret).unwrap();
    let critical = Header { crit: Some(vec!["b64".into()]), ..header(Algorithm::HS256, Some("a")) };
    let critical = jsonwebtoken::encode(&critical, &good(), &secret).unwrap();
    let forged = format!("{}x", signed(&good()).trim_end_matches(|last: char| last.is_ascii_alphanumeric()));
    for token in [unsigned, other_algorithm, confused, critical, forged, "a.b".into(), String::new(), "x".repeat(20_000)] {
        let refusal = identify(&jwt, &token, NOW).await.unwrap_err();
        assert!(matches!(refusal, Refusal::Invalid(_)), "{token}: {refusal:?}");
    }
}

#[tokio::test]
async fn a_remembered_token_is_refused_once_it_expires_or_its_key_is_gone() {
    let (jwt, _) = verifier(|_| {}).await;
    let token = signed(&good());
    assert!(identify(&jwt, &token, NOW).await.is_ok());
    jwt.verified.run_pending_tasks();
    assert_eq!(jwt.verified.entry_count(), 1);
    assert_eq!(identify(&jwt, &token, NOW + 90).await.unwrap_err(), Refusal::Invalid("The token has expired"));
}

#[tokio::test]
async fn a_token_in_the_query_never_goes_on_even_when_another_one_counts() {
    let (jwt, _) =
        verifier(|config| config.sources.push(super::super::config::TokenSource::Query { query: "token".into() })).await;
    let request = http::Request::get("/?token=abc&x=1").header("authorization", format!("Bearer {}", signed(&good())));
    let peer = Peer { address: "127.0.0.1:1".parse().unwrap(), is_tls: false };
    let mut exchange = Exchange::new(peer, request.body(()).unwrap().into_parts().0, Duration::from_secs(1));
    assert!(jwt.identify(&mut exchange, NOW).await.is_ok());
    assert_eq!(exchange.uri, "/?x=1");
}
