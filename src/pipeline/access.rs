//! Access: whether the one who asks may use the route at all, by scope and by address.
//!
//! Relied on by `pipeline`; configured by `authorization:`. Fields and types are guarded by `graphql::authz`.

use http::{HeaderValue, header::WWW_AUTHENTICATE};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, ErrorKind},
    exchange::Exchange,
    graphql::authz::AuthorizationDirectivesConfig,
    units::Network,
};

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

/// Lets those pass who may.
#[derive(Debug)]
pub struct Access {
    require_scopes: Vec<String>,
    allow: Vec<Network>,
    deny: Vec<Network>,
}

impl Access {
    /// The check of a configuration; none when it asks for nothing.
    pub fn new(config: &AuthorizationConfig) -> Option<Self> {
        let AuthorizationConfig { require_scopes, allow_ips, deny_ips, .. } = config.clone();
        let is_needed = !(require_scopes.is_empty() && allow_ips.is_empty() && deny_ips.is_empty());
        is_needed.then_some(Self { require_scopes, allow: allow_ips, deny: deny_ips })
    }

    /// Whether this one may use the route: the network first, then the scopes.
    ///
    /// # Errors
    /// `Forbidden`, or `Unauthenticated` where scopes are needed of somebody who has not said who they are; for a lacking scope with
    /// a challenge that names what is needed (RFC 6750, section 3.1).
    pub fn authorize(&self, exchange: &Exchange) -> Result<(), Error> {
        let is_within = |networks: &[Network]| networks.iter().any(|network| network.contains(exchange.client_ip));
        if is_within(&self.deny) || !(self.allow.is_empty() || is_within(&self.allow)) {
            return Err(Error::new(ErrorKind::Forbidden, "Access is denied from this address."));
        }
        let granted = exchange.identity.as_ref().map(|identity| identity.scopes.as_slice()).unwrap_or_default();
        if self.require_scopes.iter().all(|scope| granted.iter().any(|own| **own == *scope)) {
            return Ok(());
        }
        let (error, reason) = match exchange.identity {
            Some(_) => {
                let detail = "The token does not grant the scopes that are needed here.";
                (Error::new(ErrorKind::Forbidden, detail), r#"error="insufficient_scope", "#)
            }
            None => (Error::new(ErrorKind::Unauthenticated, "Missing credentials: scopes are needed here."), ""),
        };
        let needed = self.require_scopes.join(" ");
        Err(match HeaderValue::try_from(format!(r#"Bearer realm="supergate", {reason}scope="{needed}""#)) {
            Ok(challenge) => error.with_header(WWW_AUTHENTICATE, challenge),
            Err(_) => error,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use std::{sync::Arc, time::Duration};

    use serde_json::json;

    use super::*;
    use crate::exchange::{Identity, Peer};

    fn exchange(address: &str) -> Exchange {
        let (head, ()) = http::Request::get("/").body(()).unwrap().into_parts();
        let peer = Peer { address: format!("{address}:1").parse().unwrap(), is_tls: false };
        Exchange::new(peer, head, Duration::from_secs(1))
    }

    fn check(config: serde_json::Value, address: &str, scopes: &[&str]) -> Result<(), Error> {
        let access = Access::new(&serde_json::from_value(config).unwrap()).unwrap();
        let mut exchange = exchange(address);
        let scopes = scopes.iter().map(|scope| (*scope).into()).collect();
        exchange.identity = Some(Arc::new(Identity { scopes, ..Identity::default() }));
        access.authorize(&exchange)
    }

    #[test]
    fn every_scope_is_needed_and_the_challenge_names_them() {
        let config = json!({ "require_scopes": ["read", "write"] });
        assert!(check(config.clone(), "192.0.2.1", &["write", "read", "more"]).is_ok());
        for scopes in [&["read"][..], &[], &["read write"]] {
            let error = check(config.clone(), "192.0.2.1", scopes).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Forbidden);
            assert!(error.headers[0].1.to_str().unwrap().contains(r#"error="insufficient_scope", scope="read write""#));
        }
        let nobody =
            Access::new(&serde_json::from_value(config).unwrap()).unwrap().authorize(&exchange("192.0.2.1")).unwrap_err();
        assert_eq!(nobody.kind, ErrorKind::Unauthenticated);
        assert_eq!(nobody.headers[0].1, r#"Bearer realm="supergate", scope="read write""#);
    }

    #[test]
    fn deny_wins_over_allow_and_mapped_addresses_are_ipv4() {
        let config = json!({ "allow_ips": ["192.0.2.0/24", "2001:db8::/32"], "deny_ips": ["192.0.2.66"] });
        for (address, passes) in [
            ("192.0.2.1", true),
            ("[::ffff:192.0.2.1]", true),
            ("[2001:db8::1]", true),
            ("192.0.2.66", false),
            ("[::ffff:192.0.2.66]", false),
            ("198.51.100.1", false),
        ] {
            assert_eq!(check(config.clone(), address, &[]).is_ok(), passes, "{address}");
        }
    }

    #[test]
    fn asking_for_nothing_is_no_check() {
        assert!(Access::new(&AuthorizationConfig::default()).is_none());
    }
}
