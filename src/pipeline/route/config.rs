//! The words of `match:` and `rewrite:`.
//!
//! Relied on by the rest of `route`, and by `config`, which asks what is wrong with them.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MediaType, Table, Wanted};
/// Which requests a route takes. All that is given must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MatchConfig {
    /// Host name without port: exact, `*.suffix`, or `*` for any.
    pub host: String,
    /// Path prefix, matched segment by segment: `/api` takes `/api` and `/api/x`, not `/apix`. `{name}` stands for one segment.
    /// With `=` before it the path must be the whole one; after `~` stands a regular expression, for the path as it is decoded.
    pub path: String,
    /// Methods; empty means all. `GET` includes `HEAD`.
    pub methods: Vec<String>,
    /// Headers and the value each must have. `*` is any value, and after `~` stands a regular expression. `!` is none at all, and before
    /// one of the others it says what there must not be: `!beta`, `!~b.*`. Of a header that is sent more than once, one value has to
    /// fit, or none must.
    pub headers: IndexMap<String, String>,
    /// A media type that the client must want, by its `Accept`, at least as much as those of other routes:
    /// `application/vnd.company.v2+json`. `*/*` wants none of them.
    pub accept: Option<String>,
    /// Query parameters and the value each must have, as for headers; compared decoded.
    pub query: IndexMap<String, String>,
}

impl Default for MatchConfig {
    fn default() -> Self {
        Self {
            host: "*".into(),
            path: "/".into(),
            methods: Vec::new(),
            headers: IndexMap::new(),
            accept: None,
            query: IndexMap::new(),
        }
    }
}

/// How a request changes on its way to the upstream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RewriteConfig {
    /// The new path. `{name}` is a segment that `match.path` named, `{rest}` what follows the matched prefix.
    pub path: Option<String>,
    /// The new method.
    pub method: Option<String>,
}

impl MatchConfig {
    /// What cannot be used, each with the key where it stands.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        problems.extend(Table::default().add(&self.path, 0).err().map(|error| ("path".to_owned(), error)));
        for (block, values) in [("headers", &self.headers), ("query", &self.query)] {
            let wrong = values.iter().filter_map(|(name, value)| Some((name, Wanted::new(value).err()?)));
            problems.extend(wrong.map(|(name, error)| (format!("{block}.{name}"), error)));
        }
        let accept = self.accept.as_deref().and_then(|accept| MediaType::new(accept).err());
        problems.extend(accept.map(|error| ("accept".to_owned(), error)));
        problems
    }
}
