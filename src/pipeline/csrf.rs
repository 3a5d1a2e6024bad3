//! CSRF: refuses requests that a web page of another origin could have sent without a preflight.
//!
//! Relied on by `pipeline`; configured by `csrf:`. Spec: <https://fetch.spec.whatwg.org/#simple-header>

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// On for GraphQL by default; a REST route has it when its own block says so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CsrfConfig {
    /// Whether requests are checked.
    pub enabled: bool,
    /// A request with any of these headers is let through, since a page cannot send one without a preflight. So is one whose
    /// content type forces a preflight, as `application/json` does.
    pub required_headers: Vec<String>,
}

impl Default for CsrfConfig {
    fn default() -> Self {
        Self { enabled: true, required_headers: ["x-apollo-operation-name", "apollo-require-preflight"].map(Into::into).into() }
    }
}
