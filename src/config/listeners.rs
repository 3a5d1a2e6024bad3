//! Listeners: every address that clients connect to, with what differs there.
//!
//! Relied on by `config`, `check`, `snapshot` and `app`.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Config;
use crate::{
    pipeline::{
        access::AuthorizationConfig, auth::AuthenticationConfig, compression::CompressionConfig, cors::CorsConfig,
        csrf::CsrfConfig, limits::LimitsConfig, rate_limit::RateLimitConfig,
    },
    server::{connection::ConnectionConfig, tls::TlsConfig},
    units::Network,
};

/// What the listener at `supergraph.listen` is called where routes name theirs.
pub const DEFAULT: &str = "default";

/// A further address that clients connect to, and what differs there from the blocks of the same names at the top. A route's own
/// block comes before its listener's. A field that is absent from a block keeps the value that it has at the top.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenerConfig {
    /// Name in `routes[].listeners`, metrics and logs; unique. `default` is the one at `supergraph.listen`.
    pub name: String,
    /// Where clients connect.
    pub listen: SocketAddr,
    /// HTTPS; plain HTTP when absent.
    pub tls: Option<TlsConfig>,
    /// Whether every connection comes from one of the trusted proxies and begins with the PROXY protocol (version 1 or 2).
    #[serde(default)]
    pub proxy_protocol: bool,
    /// Networks whose `X-Forwarded-*` and `Forwarded` headers are believed here.
    pub trusted_proxies: Option<Vec<Network>>,
    /// How long clients' connections live.
    pub connection: Option<ConnectionConfig>,
    /// Who may be asking.
    pub authentication: Option<AuthenticationConfig>,
    /// What a request needs beyond credentials.
    pub authorization: Option<AuthorizationConfig>,
    /// Quotas. `rate_limit` is the same.
    pub ratelimit: Option<RateLimitConfig>,
    /// Sizes of requests, operations and answers.
    pub limits: Option<LimitsConfig>,
    /// Which web pages of other origins may call.
    pub cors: Option<CorsConfig>,
    /// Protection of GraphQL against requests that a web page could forge.
    pub csrf: Option<CsrfConfig>,
    /// How answers are compressed.
    pub compression: Option<CompressionConfig>,
}

/// An address that clients connect to, with everything that the configuration says of it.
#[derive(Clone, Copy, Debug)]
pub struct Listener<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where it listens.
    pub listen: SocketAddr,
    /// HTTPS, unless it is plain.
    pub tls: Option<&'a TlsConfig>,
    /// Whether connections are introduced by proxies.
    pub proxy_protocol: bool,
    /// Whose word is believed.
    pub trusted_proxies: &'a [Network],
    /// How long connections live.
    pub connection: &'a ConnectionConfig,
    /// What differs there, unless it is the one at `supergraph.listen`.
    pub own: Option<&'a ListenerConfig>,
}

impl Listener<'_> {
    /// What stays the same as long as it listens where it does, whatever it is called: a new name need not end its connections.
    pub fn place(&self) -> String {
        match self.listen.port() {
            // Ports that the system chooses are told apart by who got them.
            0 => format!("{} {}", self.listen, self.name),
            _ => self.listen.to_string(),
        }
    }

    /// Whether what names these listeners, or none, is to be had there.
    pub fn has(&self, listeners: Option<&[String]>) -> bool {
        listeners.is_none_or(|names| names.iter().any(|name| name == self.name))
    }
}

impl Config {
    /// All listeners for clients, the one at `supergraph.listen` first.
    pub fn all_listeners(&self) -> impl Iterator<Item = Listener<'_>> {
        let default = Listener {
            name: DEFAULT,
            listen: self.supergraph.listen,
            tls: self.tls.as_ref(),
            proxy_protocol: self.proxy_protocol,
            trusted_proxies: &self.trusted_proxies,
            connection: &self.connection,
            own: None,
        };
        std::iter::once(default).chain(self.listeners.iter().map(|own| Listener {
            name: &own.name,
            listen: own.listen,
            tls: own.tls.as_ref(),
            proxy_protocol: own.proxy_protocol,
            trusted_proxies: own.trusted_proxies.as_ref().unwrap_or(&self.trusted_proxies),
            connection: own.connection.as_ref().unwrap_or(&self.connection),
            own: Some(own),
        }))
    }
}
