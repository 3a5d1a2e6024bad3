//! Discovery: the endpoints of an upstream, listed or by DNS.
//!
//! Relied on by `upstream`; configured by `upstreams.<name>.endpoints:` and `dns:`.
//! Spec: <https://www.rfc-editor.org/rfc/rfc2782> for SRV records.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::{RData, rdata::SRV},
};
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
    /// Whether the endpoints speak HTTPS, with the configuration in `tls`.
    #[serde(default)]
    pub tls: bool,
    /// The servers that are asked; those of the system when absent.
    #[serde(default)]
    pub servers: Vec<SocketAddr>,
}

/// A kind of DNS record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum DnsRecord {
    /// Addresses, IPv4 and IPv6.
    #[default]
    A,
    /// Hosts, ports and weights; only the records of the lowest priority number are used.
    Srv,
}

/// How soon DNS is asked again at the earliest, whatever the lifetime of its records.
const SHORTEST: Duration = Duration::from_secs(1);
/// The same at the latest.
const LONGEST: Duration = Duration::from_secs(300);
/// The longest pause after DNS did not answer.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long one server may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most endpoints that are taken from one answer.
const MOST: usize = 1_000;

/// Asks DNS for the endpoints of one upstream.
pub struct Discovery {
    config: DnsConfig,
    resolver: TokioResolver,
}

/// What DNS said.
#[derive(Debug)]
pub struct Records {
    /// The endpoints, in an order that does not depend on the answer's.
    pub all: Vec<Record>,
    /// How long that is valid, within sensible bounds.
    pub lifetime: Duration,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// Where it is.
    pub address: SocketAddr,
    /// What it is called, with the port.
    pub host: String,
    /// Its share of calls.
    pub weight: u32,
}

impl Discovery {
    /// Of this configuration; nothing is asked yet.
    ///
    /// # Errors
    /// The system's configuration of DNS cannot be read.
    pub fn new(config: &DnsConfig) -> Result<Self, String> {
        let wrong = |error| format!("dns: {error}");
        let mut builder = match config.servers.as_slice() {
            [] => TokioResolver::builder_tokio().map_err(wrong)?,
            servers => {
                let servers = servers.iter().map(|server| {
                    let mut connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
                    connections.iter_mut().for_each(|connection| connection.port = server.port());
                    NameServerConfig::new(server.ip(), true, connections.into())
                });
                let resolver = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
                TokioResolver::builder_with_config(resolver, TokioRuntimeProvider::default())
            }
        };
        let options = builder.options_mut();
        // What is remembered, and for how long, is decided here.
        options.cache_size = 0;
        options.timeout = PATIENCE;
        options.attempts = 2;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        Ok(Self { config: config.clone(), resolver: builder.build().map_err(wrong)? })
    }

    /// The endpoints now.
    ///
    /// # Errors
    /// Nobody answers, or there are none.
    pub async fn resolve(&self) -> Result<Records, String> {
        let config = &self.config;
        let (mut all, valid_until) = match config.record {
            DnsRecord::A => {
                let usual = if config.tls { 443 } else { 80 };
                self.addresses(&config.host, config.port.unwrap_or(usual), 1).await.map_err(|error| error.to_string())?
            }
            DnsRecord::Srv => self.services().await?,
        };
        all.sort_unstable();
        all.dedup();
        all.truncate(MOST);
        let lifetime = valid_until.saturating_duration_since(Instant::now()).clamp(SHORTEST, LONGEST);
        if all.is_empty() { Err(format!("{} has no addresses", config.host)) } else { Ok(Records { all, lifetime }) }
    }

    /// How long to wait after so many failures in a row.
    pub fn pause(failures: u32) -> Duration {
        SHORTEST.saturating_mul(1 << failures.saturating_sub(1).min(8)).min(LONGEST_PAUSE)
    }

    async fn addresses(&self, host: &str, port: u16, weight: u32) -> Result<(Vec<Record>, Instant), NetError> {
        let found = self.resolver.lookup_ip(host).await?;
        let name = host.trim_end_matches('.');
        let record = |ip| Record { address: SocketAddr::new(ip, port), host: format!("{name}:{port}"), weight };
        Ok((found.iter().map(record).collect(), found.valid_until()))
    }

    async fn services(&self) -> Result<(Vec<Record>, Instant), String> {
        let found = self.resolver.srv_lookup(self.config.host.as_str()).await.map_err(|error| error.to_string())?;
        let services = found.answers().iter().filter_map(|record| match &record.data {
            RData::SRV(service) => Some(service),
            _ => None,
        });
        let services: Vec<&SRV> = services.take(MOST).collect();
        let first = services.iter().map(|service| service.priority).min().unwrap_or_default();
        let (mut all, mut valid_until) = (Vec::new(), found.valid_until());
        for service in services.into_iter().filter(|service| service.priority == first) {
            let weight = u32::from(service.weight).max(1);
            match self.addresses(&service.target.to_utf8(), service.port, weight).await {
                Ok((records, until)) => {
                    all.extend(records);
                    valid_until = valid_until.min(until);
                }
                // A host that does not exist takes none of the others with it.
                Err(error) if error.is_no_records_found() => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok((all, valid_until))
    }
}
