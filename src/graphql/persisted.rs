//! Persisted documents: automatic persisted queries, and the safelist of registered ones.
//!
//! Relied on by `graphql`.

use std::{path::PathBuf, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use moka::sync::Cache;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::http::Request;
use crate::error::{Error, ErrorKind};

/// `persisted_queries`: operations that clients name by hash.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PersistedQueriesConfig {
    /// Automatic persisted queries: a client sends the hash alone, and the document once.
    pub apq: bool,
    /// Whether only listed documents may run.
    pub safelist: SafelistConfig,
    /// Files with listed documents.
    pub manifests: Vec<PathBuf>,
}

/// Whether only listed documents may run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SafelistConfig {
    /// Refuse documents that are on no list.
    pub enabled: bool,
    /// Refuse documents that are sent in full, even when they are listed.
    pub require_id: bool,
}

impl Default for PersistedQueriesConfig {
    fn default() -> Self {
        Self { apq: true, safelist: SafelistConfig::default(), manifests: Vec::new() }
    }
}

/// Documents kept for clients that send only their hash.
const MAX_DOCUMENTS: u64 = 10_000;

/// Documents by hash.
#[derive(Debug)]
pub struct Persisted {
    /// Absent when automatic persisted queries are off.
    automatic: Option<Cache<Box<str>, Arc<str>>>,
}

impl Persisted {
    /// Nothing registered yet.
    pub fn new(config: &PersistedQueriesConfig) -> Self {
        Self { automatic: config.apq.then(|| Cache::new(MAX_DOCUMENTS)) }
    }

    /// The document of a request: what it sends, or what its hash stands for.
    ///
    /// # Errors
    /// It has neither, the hash is not known, or does not belong to the document.
    pub fn document(&self, request: &mut Request) -> Result<Arc<str>, Error> {
        let hash = hash_of(request)?;
        let text = request.query.take().filter(|text| !text.is_empty() || hash.is_none()).map(Arc::<str>::from);
        match (hash, text, &self.automatic) {
            (None, Some(text), _) => Ok(text),
            (None, None, _) => Err(Error::new(ErrorKind::GraphqlBadRequest, "The request has no query.")),
            (Some(_), text, None) => text.ok_or_else(not_found),
            (Some(hash), None, Some(known)) => known.get(&hash).ok_or_else(not_found),
            (Some(hash), Some(text), Some(known)) => {
                if !is_hash_of(&hash, &text) {
                    return Err(Error::new(ErrorKind::GraphqlBadRequest, "The given sha256Hash is not that of the document."));
                }
                known.insert(hash, text.clone());
                Ok(text)
            }
        }
    }
}

/// `extensions.persistedQuery.sha256Hash` of a request.
fn hash_of(request: &Request) -> Result<Option<Box<str>>, Error> {
    let Some(named) = request.extensions.as_ref().and_then(|extensions| extensions.get("persistedQuery")) else {
        return Ok(None);
    };
    let hash = named.get("sha256Hash").and_then(Value::as_str).filter(|hash| hash.len() == 64);
    match (named.get("version").and_then(Value::as_u64), hash) {
        (Some(1), Some(hash)) => Ok(Some(hash.to_ascii_lowercase().into())),
        _ => Err(Error::new(
            ErrorKind::GraphqlBadRequest,
            "persistedQuery must have version 1 and a sha256Hash of 64 hexadecimal digits.",
        )),
    }
}

fn is_hash_of(hash: &str, text: &str) -> bool {
    let digest = digest(&SHA256, text.as_bytes());
    let hex = digest.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]);
    hex.map(|digit| char::from_digit(u32::from(digit), 16)).eq(hash.chars().map(Some))
}

fn not_found() -> Error {
    Error::new(ErrorKind::PersistedQueryNotFound, "PersistedQueryNotFound")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    const TYPENAME: &str = "{__typename}";
    const HASH: &str = "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38";

    fn request(query: Option<&str>, hash: Option<&str>) -> Request {
        let extensions = hash.map(|hash| serde_json::json!({"persistedQuery":{"version":1,"sha256Hash":hash}}));
        serde_json::from_value(serde_json::json!({"query": query, "extensions": extensions})).unwrap()
    }

    #[test]
    fn a_hash_stands_for_the_document_that_came_with_it_once() {
        let persisted = Persisted::new(&PersistedQueriesConfig::default());
        let shouted = HASH.to_uppercase();
        let ask = |query, hash| persisted.document(&mut request(query, hash)).map_err(|error| error.kind);
        assert_eq!(ask(None, Some(HASH)), Err(ErrorKind::PersistedQueryNotFound));
        assert_eq!(ask(Some("{other}"), Some(HASH)), Err(ErrorKind::GraphqlBadRequest));
        assert_eq!(ask(None, Some(HASH)), Err(ErrorKind::PersistedQueryNotFound));
        assert_eq!(ask(Some(TYPENAME), Some(HASH)).as_deref(), Ok(TYPENAME));
        assert_eq!(ask(None, Some(&shouted)).as_deref(), Ok(TYPENAME));
        assert_eq!(ask(None, Some("abc")), Err(ErrorKind::GraphqlBadRequest));
        assert_eq!(ask(None, None), Err(ErrorKind::GraphqlBadRequest));
    }

    #[test]
    fn without_automatic_documents_only_whole_ones_run() {
        let persisted = Persisted::new(&PersistedQueriesConfig { apq: false, ..PersistedQueriesConfig::default() });
        assert!(persisted.document(&mut request(Some(TYPENAME), Some(HASH))).is_ok());
        assert!(persisted.document(&mut request(None, Some(HASH))).is_err());
    }
}
