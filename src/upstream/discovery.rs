//! Discovery: the endpoints of an upstream, listed or by DNS.
//!
//! Relied on by `upstream`; configured by `upstreams.<name>.endpoints:` and `dns:`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One address of an upstream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointConfig {
    /// `http://` or `https://`, host, port, and a path that goes before the request's.
    pub url: String,
    /// Its share of calls, relative to the other endpoints'.
    #[serde(default = "one")]
    pub weight: u32,
}

const fn one() -> u32 {
    1
}

/// Endpoints by DNS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DnsConfig {
    /// The name that is asked for.
    pub host: String,
    /// The port of its addresses; SRV records have their own.
    pub port: Option<u16>,
    /// The kind of record.
    #[serde(rename = "type", default)]
    pub record: DnsRecord,
}

/// A kind of DNS record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum DnsRecord {
    /// Addresses, IPv4 and IPv6.
    #[default]
    A,
    /// Hosts, ports, priorities and weights.
    Srv,
}
