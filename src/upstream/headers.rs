//! Header rules: which headers go on to upstreams and back to clients, and how they change.
//!
//! Relied on by `upstream` (requests) and `pipeline` (responses); configured by `headers:`.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Header rules for all calls, and further ones by subgraph and by route, applied after those of `all`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HeadersConfig {
    /// For every upstream. On REST routes `propagate` has nothing to add: their headers go on anyway.
    pub all: HeaderRulesConfig,
    /// By subgraph.
    pub subgraphs: IndexMap<String, HeaderRulesConfig>,
    /// By REST route.
    pub routes: IndexMap<String, HeaderRulesConfig>,
}

/// Rules in the order in which they are applied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HeaderRulesConfig {
    /// For requests to upstreams.
    pub request: Vec<HeaderRule>,
    /// For responses to clients.
    pub response: Vec<HeaderRule>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeaderRule {
    /// Pass headers on.
    Propagate(PropagateRule),
    /// Set a header.
    Insert(InsertRule),
    /// Take headers away.
    Remove(RemoveRule),
    /// Give a header another name.
    Rename(RenameRule),
}

/// Pass headers on: one of `named` and `matching`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PropagateRule {
    /// The header's name.
    pub named: Option<String>,
    /// A regular expression for names in lower case.
    pub matching: Option<String>,
    /// The name it goes on under; only with `named`.
    pub rename: Option<String>,
    /// The value when the header is absent; only with `named`.
    pub default: Option<String>,
    /// Which values count when several upstreams answered with the header; only in `response`.
    pub algorithm: Option<PropagateAlgorithm>,
}

/// How the values of several answers become one header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PropagateAlgorithm {
    /// The first answer's.
    First,
    /// The last answer's.
    #[default]
    Last,
    /// All of them.
    Append,
}

/// Set a header, whatever it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InsertRule {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Take headers away: one of `named` and `matching`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RemoveRule {
    /// The header's name.
    pub named: Option<String>,
    /// A regular expression for names in lower case.
    pub matching: Option<String>,
}

/// Give a header another name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RenameRule {
    /// The name it has.
    pub from: String,
    /// The name it gets.
    pub to: String,
}
