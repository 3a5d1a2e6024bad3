//! Subgraphs as `subgraphs:` names them: where each answers, and where its schema comes from.
//!
//! Relied on by `config`, `check`, `reload` (which fetches the schemas) and `snapshot` (which calls them).

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::upstream::headers::InsertRule;

/// One subgraph: `url`, or `upstream` with `path`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SubgraphConfig {
    /// Where it answers GraphQL. Not needed with `supergraph.schema`, which names the addresses itself.
    pub url: Option<String>,
    /// The upstream whose endpoints are called, instead of `url`.
    pub upstream: Option<String>,
    /// The path on that upstream.
    pub path: Option<String>,
    /// Where its schema comes from; without it, the subgraph is asked for it: `{ _service { sdl } }`.
    pub schema: Option<SchemaConfig>,
}

/// Where a schema comes from: one of `file`, `subgraph_url` and `sdl`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SchemaConfig {
    /// A file with the SDL.
    pub file: Option<PathBuf>,
    /// Another address that is asked: `{ _service { sdl } }`.
    pub subgraph_url: Option<String>,
    /// Headers of that request.
    pub headers: Vec<InsertRule>,
    /// The SDL itself.
    pub sdl: Option<String>,
}

/// Where a schema comes from, as checked.
#[derive(Clone, Debug, PartialEq)]
pub enum SchemaSource<'a> {
    /// A file.
    File(&'a PathBuf),
    /// The SDL itself.
    Sdl(&'a str),
    /// An address that is asked, with these headers.
    Asked {
        /// The address; `None` when the subgraph's upstream is asked.
        url: Option<&'a str>,
        /// Further headers.
        headers: &'a [InsertRule],
    },
}

impl SubgraphConfig {
    /// Where its schema comes from.
    pub fn schema_source(&self) -> SchemaSource<'_> {
        match &self.schema {
            Some(SchemaConfig { file: Some(file), .. }) => SchemaSource::File(file),
            Some(SchemaConfig { sdl: Some(sdl), .. }) => SchemaSource::Sdl(sdl),
            Some(SchemaConfig { subgraph_url, headers, .. }) => {
                SchemaSource::Asked { url: subgraph_url.as_deref().or(self.url.as_deref()), headers }
            }
            None => SchemaSource::Asked { url: self.url.as_deref(), headers: &[] },
        }
    }
}
