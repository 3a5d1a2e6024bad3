//! TLS towards upstreams: whom we trust and who we are.
//!
//! Relied on by `upstream`; configured by `upstreams.<name>.tls:`. Spec: <https://www.rfc-editor.org/rfc/rfc8446>

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls_platform_verifier::BuilderVerifierExt as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    },
};

use super::Secure;

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

impl UpstreamTlsConfig {
    /// The files that it names.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let own = self.client.iter().flat_map(|client| [&client.cert, &client.key]);
        self.ca.iter().chain(own).map(PathBuf::as_path)
    }
}

/// What is needed to reach `host` over TLS and to speak one of the protocols there.
///
/// # Errors
/// Says which file cannot be used, or that the name is none.
pub fn secure(config: &UpstreamTlsConfig, host: &str, protocols: &[&[u8]]) -> Result<Secure, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match &config.ca {
        None => builder.with_platform_verifier().map_err(|error| format!("the system's certificates: {error}"))?,
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
            }
            builder.with_root_certificates(roots)
        }
    };
    let mut tls = match &config.client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let key = PrivateKeyDer::from_pem_file(&client.key).map_err(|error| format!("{}: {error}", client.key.display()))?;
            let chain = certificates(&client.cert)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| format!("{}: {error}", client.cert.display()))?
        }
    };
    tls.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let name = config.server_name.as_deref().unwrap_or(host.trim_matches(['[', ']']));
    let name = ServerName::try_from(name.to_owned()).map_err(|_| format!("`{name}` cannot be a server's name"))?;
    Ok(Secure { connector: TlsConnector::from(Arc::new(tls)), name })
}

/// The same, to speak one of other protocols.
pub fn with_protocols(secure: &Secure, protocols: &[&[u8]]) -> Secure {
    let mut tls = ClientConfig::clone(secure.connector.config());
    tls.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Secure { connector: TlsConnector::from(Arc::new(tls)), name: secure.name.clone() }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>());
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(format!("{} has no certificate", path.display())),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}
