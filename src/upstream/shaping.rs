//! Shaping: how subgraphs are called.
//!
//! Relied on by `upstream`; configured by `traffic_shaping.all:` and `traffic_shaping.subgraphs:`.

use http::{HeaderValue, Request, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    body::Body,
    coding::{self, Encoding},
    error::Error,
    units::Span,
};

/// How subgraphs are called (`traffic_shaping.all`, and by name in `traffic_shaping.subgraphs`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ShapingConfig {
    /// How long a call may take, retries included.
    pub timeout: Span,
    /// Whether identical queries in flight share one call.
    pub deduplicate_query: bool,
    /// How request bodies are compressed; not at all when absent. Answers may then be compressed alike.
    pub compression: Option<RequestCompression>,
}

impl Default for ShapingConfig {
    fn default() -> Self {
        Self { timeout: Span::seconds(30), deduplicate_query: true, compression: None }
    }
}

/// A content coding of request bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RequestCompression {
    /// `gzip`
    Gzip,
}

/// Encodes the body of a request, and says that its answer may be encoded too.
///
/// # Errors
/// The encoder fails, which it does only for want of memory.
pub fn encode(encoding: Encoding, request: &mut Request<Body>) -> Result<(), Error> {
    let Some(bytes) = request.body().bytes() else { return Ok(()) };
    let encoded = coding::encode(encoding, bytes).map_err(|error| Error::bug(format!("a body cannot be encoded: {error}")))?;
    *request.body_mut() = Body::full(encoded);
    let name = HeaderValue::from_static(encoding.name());
    request.headers_mut().insert(header::CONTENT_ENCODING, name.clone());
    request.headers_mut().entry(header::ACCEPT_ENCODING).or_insert(name);
    Ok(())
}
