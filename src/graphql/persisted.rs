//! Persisted documents: automatic persisted queries, documents listed in manifests, and the safelist made of these.
//!
//! Relied on by `graphql`. A client names a document by `documentId`, or by its hash in `extensions.persistedQuery`.
//! Spec: <https://github.com/graphql/graphql-over-http/blob/main/spec/Appendix%20A%20--%20Persisted%20Documents.md>

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use apollo_compiler::parser::Parser;
use aws_lc_rs::digest::{SHA256, digest};
use moka::sync::Cache;
use rustc_hash::{FxHashMap, FxHashSet};
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
    /// Files with listed documents: Apollo's manifests, or one JSON object from ids to documents. Read again when they change.
    pub manifests: Vec<PathBuf>,
}

/// Whether only listed documents may run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SafelistConfig {
    /// Refuse documents that are on no list. White space, commas and comments make no difference.
    pub enabled: bool,
    /// Refuse documents that are sent in full, even when they are listed.
    pub require_id: bool,
}

impl Default for PersistedQueriesConfig {
    fn default() -> Self {
        Self { apq: true, safelist: SafelistConfig::default(), manifests: Vec::new() }
    }
}

/// Documents kept for clients that send only their hash,
const MAX_DOCUMENTS: u32 = 10_000;
/// and the memory that they may take: fewer are kept where they are large.
const MAX_BYTES: u32 = 32 << 20;
/// Size of a document after which those that are not kept are dropped at once.
const LARGE: usize = 32 << 10;
/// Tokens and nesting up to which a document is compared with the list in spite of its spacing.
const MAX_TOKENS: usize = 15_000;
const MAX_NESTING: usize = 500;

/// Documents by name.
#[derive(Debug)]
pub struct Persisted {
    /// Absent when automatic persisted queries are off.
    automatic: Option<Cache<Box<str>, Arc<str>>>,
    /// Documents of the manifests, by id.
    listed: FxHashMap<Box<str>, Arc<str>>,
    /// Absent when any document may run.
    safelist: Option<Safelist>,
}

/// What may run.
#[derive(Debug)]
struct Safelist {
    /// Documents as they are listed, and in their normal form.
    texts: FxHashSet<Arc<str>>,
    /// Whether they must be named.
    require_id: bool,
}

/// Apollo's form of a manifest.
#[derive(Deserialize)]
struct Manifest {
    operations: Vec<Entry>,
}

/// One document of a manifest.
#[derive(Deserialize)]
struct Entry {
    id: Box<str>,
    body: Box<str>,
}

impl Persisted {
    /// What the manifests list.
    ///
    /// # Errors
    /// Says which manifest cannot be used.
    pub fn new(config: &PersistedQueriesConfig) -> Result<Self, String> {
        let mut listed: FxHashMap<Box<str>, Arc<str>> = FxHashMap::default();
        for path in &config.manifests {
            for Entry { id, body } in read(path).map_err(|error| format!("the manifest {}: {error}", path.display()))? {
                listed.insert(id, Arc::from(body));
            }
        }
        let safelist = config.safelist.enabled.then(|| Safelist {
            texts: listed.values().flat_map(|text| [Some(text.clone()), normal(text)]).flatten().collect(),
            require_id: config.safelist.require_id,
        });
        Ok(Self { automatic: config.apq.then(automatic), listed, safelist })
    }

    /// The document of a request: what it sends, or what its hash or id stands for.
    ///
    /// # Errors
    /// It has neither, the name is not known or does not belong to the document, or the document may not run.
    pub fn document(&self, request: &mut Request) -> Result<Arc<str>, Error> {
        let hash = hash_of(request)?;
        let id = request.document_id.take().map(String::into_boxed_str);
        let is_named = hash.is_some() || id.is_some();
        let text = request.query.take().filter(|text| !text.is_empty() || !is_named).map(Arc::<str>::from);
        let Some(text) = text else {
            return match hash.or(id) {
                Some(name) => self.named(&name),
                None => Err(Error::new(ErrorKind::GraphqlBadRequest, "The request has no query.")),
            };
        };
        self.check(&text)?;
        if let (Some(hash), Some(known)) = (hash, &self.automatic) {
            if !is_hash_of(&hash, &text) {
                return Err(Error::new(ErrorKind::GraphqlBadRequest, "The given sha256Hash is not that of the document."));
            }
            known.insert(hash, text.clone());
            if text.len() > LARGE {
                known.run_pending_tasks();
            }
        }
        Ok(text)
    }

    /// The document with this name: listed, or sent before.
    fn named(&self, name: &str) -> Result<Arc<str>, Error> {
        let hash = name.strip_prefix("sha256:").unwrap_or(name);
        let listed = self.listed.get(name).or_else(|| self.listed.get(hash)).cloned();
        let automatic = || self.automatic.as_ref()?.get(hash);
        listed.or_else(automatic).ok_or_else(|| Error::new(ErrorKind::PersistedQueryNotFound, "PersistedQueryNotFound"))
    }

    /// Refuses a document that was sent in full and may not be, or may not run at all.
    fn check(&self, text: &Arc<str>) -> Result<(), Error> {
        let Some(safelist) = &self.safelist else { return Ok(()) };
        let refused = |reason: &'static str| Err(Error::new(ErrorKind::PersistedQueryRejected, reason));
        if safelist.require_id {
            return refused("Operations must be named by the id of a persisted document.");
        }
        let is_listed = safelist.texts.contains(text) || normal(text).is_some_and(|text| safelist.texts.contains(&text));
        if is_listed { Ok(()) } else { refused("") }
    }
}

/// A cache for documents that clients have sent.
fn automatic() -> Cache<Box<str>, Arc<str>> {
    let least = MAX_BYTES.div_ceil(MAX_DOCUMENTS);
    let weight = move |_: &_, text: &Arc<str>| u32::try_from(text.len()).unwrap_or(u32::MAX).max(least);
    Cache::builder().max_capacity(MAX_BYTES.into()).weigher(weight).build()
}

/// The documents of a manifest.
fn read(path: &Path) -> Result<Vec<Entry>, String> {
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let value: Value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    if value.get("operations").is_some_and(Value::is_array) {
        let manifest: Manifest = serde_json::from_value(value).map_err(|error| error.to_string())?;
        return Ok(manifest.operations);
    }
    let documents: std::collections::BTreeMap<Box<str>, Box<str>> = serde_json::from_value(value)
        .map_err(|_| "neither a list of operations nor an object from ids to documents".to_owned())?;
    Ok(documents.into_iter().map(|(id, body)| Entry { id, body }).collect())
}

/// A document as it is printed; nothing for what does not parse.
fn normal(text: &str) -> Option<Arc<str>> {
    let document = Parser::new().token_limit(MAX_TOKENS).recursion_limit(MAX_NESTING).parse_ast(text, "operation").ok()?;
    Some(document.serialize().no_indent().to_string().into())
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
        let persisted = Persisted::new(&PersistedQueriesConfig::default()).unwrap();
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
    fn documents_that_clients_send_take_so_much_memory_at_most() {
        let persisted = Persisted::new(&PersistedQueriesConfig::default()).unwrap();
        for number in 0..100 {
            let text = format!("#{}\n{TYPENAME}{number}", " ".repeat(1 << 20));
            let hash: String = digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(persisted.document(&mut request(Some(&text), Some(&hash))).is_ok());
        }
        let known = persisted.automatic.unwrap();
        assert!((10..=32).contains(&known.iter().count()));
    }

    #[test]
    fn without_automatic_documents_only_whole_ones_run() {
        let persisted = Persisted::new(&PersistedQueriesConfig { apq: false, ..PersistedQueriesConfig::default() }).unwrap();
        assert!(persisted.document(&mut request(Some(TYPENAME), Some(HASH))).is_ok());
        assert!(persisted.document(&mut request(None, Some(HASH))).is_err());
    }
}
