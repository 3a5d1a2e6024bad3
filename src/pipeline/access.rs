//! Access: whether the one who asks may use the route at all, by scope and by address.
//!
//! Relied on by `pipeline`; configured by `authorization:`. Fields and types are guarded by `graphql::authz`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Network;

/// What a request needs beyond credentials.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuthorizationConfig {
    /// Scopes that the token must have, all of them.
    pub require_scopes: Vec<String>,
    /// `@authenticated`, `@requiresScopes` and `@policy` in the schema.
    pub directives: AuthorizationDirectivesConfig,
    /// Client networks that may call; empty means all.
    pub allow_ips: Vec<Network>,
    /// Client networks that may not call, whatever `allow_ips` says.
    pub deny_ips: Vec<Network>,
}

/// How the schema's authorization directives are enforced.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuthorizationDirectivesConfig {
    /// Whether an operation with a forbidden field is refused as a whole, instead of answered without that field.
    pub reject_unauthorized: bool,
}
