//! Key sets (JWKS) by URL or file: fetched in the background, kept when their source fails, shared by all routes and snapshots.
//!
//! A token with an unknown key id makes the set be fetched at once, but at most once in [`FORCED_INTERVAL`], however many such
//! tokens there are. Relied on by `auth`. Spec: <https://www.rfc-editor.org/rfc/rfc7517>

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use arc_swap::ArcSwap;
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, Jwk, KeyOperations, PublicKeyUse},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use crate::units::Span;

/// The shortest time between two fetches that unknown key ids cause.
pub const FORCED_INTERVAL: Duration = Duration::from_secs(30);
/// How soon a failed fetch is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// The largest key set that is read, in bytes.
const LARGEST_SET: usize = 1 << 20;
/// The longest RSA modulus, in base64 characters (8,192 bits): longer ones cost too much to verify with.
const LONGEST_MODULUS: usize = 1_366;
/// Most keys of one set.
const MOST_KEYS: usize = 100;

/// A key set and the tokens it vouches for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JwksConfig {
    /// Where the set is fetched; or `file`.
    pub url: Option<String>,
    /// A file that holds it; or `url`.
    pub file: Option<PathBuf>,
    /// Accepted `iss`; empty accepts any.
    pub issuers: Vec<String>,
    /// Accepted `aud`; empty accepts any.
    pub audiences: Vec<String>,
    /// Accepted signature algorithms. The token's own word is never enough.
    #[schemars(with = "Vec<String>")]
    pub algorithms: Vec<jsonwebtoken::Algorithm>,
    /// How often the set is fetched again. An unknown key id fetches it at once, within bounds.
    pub poll_interval: Span,
    /// How long a fetch may take.
    pub timeout: Span,
}

impl Default for JwksConfig {
    fn default() -> Self {
        Self {
            url: None,
            file: None,
            issuers: Vec::new(),
            audiences: Vec::new(),
            algorithms: vec![jsonwebtoken::Algorithm::RS256, jsonwebtoken::Algorithm::ES256],
            poll_interval: Span::seconds(600),
            timeout: Span::seconds(5),
        }
    }
}

/// All key sets of the process, so that routes and reloads share what was fetched.
#[derive(Debug, Default)]
pub struct KeySets {
    sets: Mutex<Vec<(Source, Weak<KeySet>)>>,
}

/// Where a key set comes from, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    url: Option<String>,
    file: Option<PathBuf>,
    poll_interval: Duration,
    timeout: Duration,
}

/// One key set.
#[derive(Debug)]
pub struct KeySet {
    source: Source,
    client: reqwest::Client,
    keys: ArcSwap<Keys>,
    /// When an unknown key id last caused a fetch. Asynchronous, because its holder is the one that fetches: the others wait
    /// for its answer instead of fetching too.
    forced: tokio::sync::Mutex<Option<Instant>>,
}

/// The keys of a set at one time.
#[derive(Debug, Default)]
pub struct Keys {
    /// 0 until the set was fetched, then one more with each change.
    pub generation: u64,
    keys: Vec<Key>,
    document: Value,
}

/// A key that signatures are verified with.
#[derive(Debug)]
pub struct Key {
    id: Option<String>,
    algorithm: Option<Algorithm>,
    /// The key itself.
    pub decoding: DecodingKey,
}

impl KeySets {
    /// The set that a configuration names, fetched for the first time in the background if it is new. Must be called inside a
    /// Tokio runtime.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn get(&self, config: &JwksConfig) -> Result<Arc<KeySet>, String> {
        let source = Source {
            url: config.url.clone(),
            file: config.file.clone(),
            poll_interval: config.poll_interval.0.max(RETRY_INTERVAL),
            timeout: config.timeout.0,
        };
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        sets.retain(|(_, set)| set.strong_count() > 0);
        if let Some(set) = sets.iter().find(|(known, _)| *known == source).and_then(|(_, set)| set.upgrade()) {
            return Ok(set);
        }
        let set = Arc::new(KeySet::new(source.clone())?);
        sets.push((source, Arc::downgrade(&set)));
        tokio::spawn(poll(Arc::downgrade(&set)));
        Ok(set)
    }
}

/// Fetches a set again and again, until nobody needs it.
async fn poll(set: Weak<KeySet>) {
    loop {
        let Some(alive) = set.upgrade() else { return };
        let pause = if alive.fetch().await { alive.source.poll_interval } else { RETRY_INTERVAL };
        drop(alive);
        tokio::time::sleep(pause).await;
    }
}

impl KeySet {
    fn new(source: Source) -> Result<Self, String> {
        let client = reqwest::Client::builder().timeout(source.timeout).build();
        let client = client.map_err(|error| format!("no HTTP client for the key set can be made: {error}"))?;
        Ok(Self { source, client, keys: ArcSwap::default(), forced: tokio::sync::Mutex::default() })
    }

    /// The keys as they are now.
    pub fn keys(&self) -> Arc<Keys> {
        self.keys.load_full()
    }

    /// Fetches the set because `seen` lacks a key, unless that was done a moment ago; gives the keys after that.
    pub async fn newer_than(&self, seen: &Keys) -> Arc<Keys> {
        let mut forced = self.forced.lock().await;
        let is_allowed = forced.is_none_or(|last| last.elapsed() >= FORCED_INTERVAL);
        if self.keys.load().generation == seen.generation && is_allowed {
            *forced = Some(Instant::now());
            self.fetch().await;
        }
        self.keys()
    }

    /// Fetches the set; what cannot be read leaves the old keys in place. Gives whether it could.
    async fn fetch(&self) -> bool {
        let document = match self.read().await {
            Ok(document) => document,
            Err(error) => {
                tracing::warn!(source = self.source.name(), error, "the key set could not be fetched; the last one is kept");
                return false;
            }
        };
        if self.keys.load().document != document {
            let generation = self.keys.load().generation + 1;
            let keys = usable_keys(&document);
            tracing::info!(source = self.source.name(), keys = keys.len(), "took a new key set");
            self.keys.store(Arc::new(Keys { generation, keys, document }));
        }
        true
    }

    async fn read(&self) -> Result<Value, String> {
        let bytes = match (&self.source.url, &self.source.file) {
            (Some(url), _) => self.download(url).await.map_err(|error| error.without_url().to_string())?,
            (None, Some(file)) => tokio::fs::read(file).await.map_err(|error| error.to_string())?,
            (None, None) => return Err("neither `url` nor `file` is set".to_owned()),
        };
        let document: Value = serde_json::from_slice(&bytes).map_err(|error| format!("it is not JSON: {error}"))?;
        if document.get("keys").is_some_and(Value::is_array) { Ok(document) } else { Err("it has no list `keys`".to_owned()) }
    }

    async fn download(&self, url: &str) -> Result<Vec<u8>, reqwest::Error> {
        let mut response = self.client.get(url).send().await?.error_for_status()?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > LARGEST_SET {
                bytes.clear();
                break;
            }
        }
        Ok(bytes)
    }
}

impl Source {
    fn name(&self) -> String {
        let url = self.url.as_deref().map(|url| url.split(['?', '#']).next().unwrap_or_default().to_owned());
        url.or_else(|| self.file.as_ref().map(|file| file.display().to_string())).unwrap_or_default()
    }
}

impl Keys {
    /// The keys that may have signed a token with this key id and algorithm.
    pub fn matching<'a>(&'a self, id: Option<&'a str>, algorithm: Algorithm) -> impl Iterator<Item = &'a Key> {
        self.keys.iter().filter(move |key| {
            (id.is_none() || key.id.as_deref() == id)
                && key.algorithm.is_none_or(|own| own == algorithm)
                && key.decoding.family() == algorithm.family()
        })
    }
}

/// The keys of a set that signatures can be verified with; the others (encryption keys, unknown types) are passed over.
fn usable_keys(document: &Value) -> Vec<Key> {
    let listed = document.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    listed.iter().take(MOST_KEYS).filter_map(usable_key).collect()
}

fn usable_key(document: &Value) -> Option<Key> {
    let key: Jwk = serde_json::from_value(document.clone()).ok()?;
    let is_for_signatures = key.common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature);
    let operations = key.common.key_operations.as_ref();
    let may_verify = operations.is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    let is_affordable = match &key.algorithm {
        AlgorithmParameters::RSA(rsa) => rsa.n.len() <= LONGEST_MODULUS,
        _ => true,
    };
    if !(is_for_signatures && may_verify && is_affordable) {
        return None;
    }
    let algorithm = match key.common.key_algorithm {
        Some(named) => Some(named.to_string().parse().ok()?),
        None => None,
    };
    Some(Key { id: key.common.key_id.clone(), algorithm, decoding: DecodingKey::from_jwk(&key).ok()? })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use std::{
        future::IntoFuture,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use axum::{Router, extract::State, routing::get};
    use serde_json::json;

    use super::*;

    /// An identity provider that counts how often it is asked.
    async fn provider(document: Value) -> (String, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let answer = async move |State(asked): State<Arc<AtomicUsize>>| {
            asked.fetch_add(1, Ordering::SeqCst);
            axum::Json(document)
        };
        let router = Router::new().route("/jwks.json", get(answer)).with_state(asked.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router).into_future());
        (url, asked)
    }

    fn shared_secret(id: &str) -> Value {
        json!({ "kty": "oct", "kid": id, "alg": "HS256", "k": "c2VjcmV0" })
    }

    async fn loaded(set: &KeySet) -> Arc<Keys> {
        while set.keys().generation == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        set.keys()
    }

    #[tokio::test]
    async fn unknown_key_ids_fetch_once_however_many_there_are() {
        let (url, asked) = provider(json!({ "keys": [shared_secret("a")] })).await;
        let sets = KeySets::default();
        let config = JwksConfig { url: Some(url), ..JwksConfig::default() };
        let set = sets.get(&config).unwrap();
        let keys = loaded(&set).await;
        assert_eq!(keys.matching(Some("a"), Algorithm::HS256).count(), 1);
        assert_eq!(keys.matching(Some("b"), Algorithm::HS256).count(), 0);
        let waits = (0..1_000).map(|_| set.newer_than(&keys));
        futures_util::future::join_all(waits).await;
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        assert!(Arc::ptr_eq(&set, &sets.get(&config).unwrap()), "a second route fetches nothing");
    }

    #[tokio::test]
    async fn a_source_that_fails_leaves_the_last_keys() {
        let path = std::env::temp_dir().join(format!("supergate-{}-jwks.json", std::process::id()));
        std::fs::write(&path, json!({ "keys": [shared_secret("a")] }).to_string()).unwrap();
        let set = KeySets::default().get(&JwksConfig { file: Some(path.clone()), ..JwksConfig::default() }).unwrap();
        let keys = loaded(&set).await;
        for broken in ["not JSON", r#"{"keys": 1}"#] {
            std::fs::write(&path, broken).unwrap();
            assert!(!set.fetch().await);
            assert_eq!(set.keys().generation, keys.generation);
        }
        std::fs::write(&path, json!({ "keys": [shared_secret("b")] }).to_string()).unwrap();
        assert!(set.fetch().await);
        assert_eq!(set.keys().matching(Some("b"), Algorithm::HS256).count(), 1);
    }

    #[test]
    fn keys_that_must_not_verify_are_passed_over() {
        let mut encryption = shared_secret("e");
        encryption["use"] = json!("enc");
        let mut signing_only = shared_secret("s");
        signing_only["key_ops"] = json!(["sign"]);
        let huge = json!({ "kty": "RSA", "kid": "h", "e": "AQAB", "n": "A".repeat(LONGEST_MODULUS + 1) });
        let odd = json!({ "kty": "quantum", "kid": "q" });
        let document = json!({ "keys": [encryption, signing_only, huge, odd, shared_secret("good")] });
        let keys = Keys { generation: 1, keys: usable_keys(&document), document };
        assert_eq!(keys.keys.iter().map(|key| key.id.as_deref()).collect::<Vec<_>>(), [Some("good")]);
        assert_eq!(keys.matching(None, Algorithm::HS256).count(), 1);
        assert_eq!(keys.matching(None, Algorithm::HS384).count(), 0, "the key's own algorithm binds");
        assert_eq!(keys.matching(None, Algorithm::RS256).count(), 0, "a shared secret is no public key");
    }
}
