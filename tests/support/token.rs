//! Tokens and the key set that verifies them.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

/// The secret behind the only key of the set.
const SECRET: &[u8] = b"a secret of the tests, long enough for SHA-256";

/// An `authentication:` block that verifies what `token` makes.
pub fn jwt_config() -> String {
    jwt_config_with("require: true")
}

/// The same, with `more` of the block.
pub fn jwt_config_with(more: &str) -> String {
    let set = format!("file: {:?}, issuers: [tests], audiences: [gateway], algorithms: [HS256]", key_set());
    format!("authentication: {{ jwt: {{ jwks: [ {{ {set} }} ], leeway: 1s }}, {more} }}\n")
}

/// A file with a key set of one HS256 key, `test`.
fn key_set() -> &'static PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let key = URL_SAFE_NO_PAD.encode(SECRET);
        let set = json!({ "keys": [{ "kty": "oct", "kid": "test", "alg": "HS256", "use": "sig", "k": key }] });
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("jwks-{}.json", std::process::id()));
        std::fs::write(&file, set.to_string()).unwrap();
        file
    })
}

/// The time, in seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A token with these claims, which may override the usual ones: valid for a minute, issued by `tests` for `gateway`.
pub fn token(claims: Value) -> String {
    sign(claims, SECRET)
}

/// The same, signed with another secret.
pub fn forged(claims: Value) -> String {
    sign(claims, b"somebody else's secret, just as long as the first")
}

fn sign(claims: Value, secret: &[u8]) -> String {
    let mut all = json!({ "sub": "tester", "iss": "tests", "aud": "gateway", "iat": now(), "exp": now() + 60 });
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    let header = Header { kid: Some("test".to_owned()), ..Header::new(Algorithm::HS256) };
    encode(&header, &all, &EncodingKey::from_secret(secret)).unwrap()
}
