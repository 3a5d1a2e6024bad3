//! Limits: how large a request may be.
//!
//! Relied on by `pipeline`; the limits of operations are enforced by `graphql`, that of answers by `upstream`'s callers. Configured by `limits:`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Size;

/// Sizes of requests, operations and answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Deepest nesting of fields in an operation.
    pub max_depth: u32,
    /// Most fields of an operation, each counted where it is selected, fragments expanded.
    pub max_height: u32,
    /// Most aliases of an operation.
    pub max_aliases: u32,
    /// Most fields at the root of an operation.
    pub max_root_fields: u32,
    /// Most directives of an operation.
    pub max_directives: u32,
    /// Most tokens of a document.
    pub parser_max_tokens: usize,
    /// Deepest nesting of anything in a document.
    pub parser_max_recursion: usize,
    /// Most bytes of a request body.
    pub http_max_request_bytes: Size,
    /// Most bytes of a request's header section.
    pub http_max_header_bytes: Size,
    /// Most bytes of one subgraph's answer.
    pub max_subgraph_response_bytes: Size,
    /// Whether operations over `max_depth`, `max_height`, `max_aliases`, `max_root_fields` or `max_directives` are only logged and counted.
    pub warn_only: bool,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            max_depth: 15,
            max_height: 200,
            max_aliases: 30,
            max_root_fields: 20,
            max_directives: 50,
            parser_max_tokens: 15_000,
            parser_max_recursion: 500,
            http_max_request_bytes: Size(2_000_000),
            http_max_header_bytes: Size(64 << 10),
            max_subgraph_response_bytes: Size(64_000_000),
            warn_only: false,
        }
    }
}
