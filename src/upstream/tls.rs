//! TLS towards upstreams: whom we trust and who we are.
//!
//! Relied on by `upstream::pool`; configured by `upstreams.<name>.tls:`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// TLS of an upstream's `https` endpoints. Certificates are always verified.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamTlsConfig {
    /// A PEM file of authorities that are trusted instead of the usual ones.
    pub ca: Option<PathBuf>,
    /// The certificate that we show.
    pub client: Option<ClientCertificateConfig>,
    /// The name that the certificate must have, when it differs from the endpoint's host.
    pub server_name: Option<String>,
}

/// A certificate of ours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificateConfig {
    /// A PEM file with the certificate and its chain.
    pub cert: PathBuf,
    /// A PEM file with the private key.
    pub key: PathBuf,
}
