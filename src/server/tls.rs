//! TLS towards clients.
//!
//! Relied on by `server`; configured by `tls:`. Spec: <https://www.rfc-editor.org/rfc/rfc8446>

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_rustls::rustls::{
    RootCertStore, ServerConfig,
    client::verify_server_name,
    crypto::aws_lc_rs::{Ticketer, default_provider},
    pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    server::{ClientHello, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::CertifiedKey,
};

/// HTTPS on the listening address. Without this block it speaks plain HTTP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// Certificates; the client's server name chooses among them, the first is the default.
    pub certificates: Vec<CertificateConfig>,
    /// Clients show certificates too; nobody is asked for one when absent.
    #[serde(default)]
    pub client_certificates: Option<ClientCertificatesConfig>,
    /// A plain listener that redirects everything here.
    #[serde(default)]
    pub redirect_from: Option<SocketAddr>,
}

/// Certificates of clients. A verified one goes to upstreams as `Client-Cert`, whatever the client says itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificatesConfig {
    /// A PEM file of the authorities that may have signed them.
    pub ca: PathBuf,
    /// A PEM file of lists of revoked ones.
    #[serde(default)]
    pub crl: Option<PathBuf>,
    /// Whether a client without one is refused.
    #[serde(default = "yes")]
    pub require: bool,
}

const fn yes() -> bool {
    true
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateConfig {
    /// A PEM file with the certificate and its chain.
    pub cert: PathBuf,
    /// A PEM file with the private key.
    pub key: PathBuf,
}

impl TlsConfig {
    /// The files that it names.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let own = self.certificates.iter().flat_map(|pair| [&pair.cert, &pair.key]);
        let clients = self.client_certificates.iter().flat_map(|clients| std::iter::once(&clients.ca).chain(&clients.crl));
        own.chain(clients).map(PathBuf::as_path)
    }
}

/// TLS 1.2 and 1.3 with the files that are there now; HTTP/2 and HTTP/1.1 are offered, and sessions can be resumed.
///
/// # Errors
/// Says which file cannot be used.
pub fn prepare(config: &TlsConfig) -> Result<Arc<ServerConfig>, String> {
    let keys = config.certificates.iter().map(certified).collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() {
        return Err("tls: there is no certificate".into());
    }
    let mut tls = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_client_cert_verifier(verifier(config.client_certificates.as_ref())?)
        .with_cert_resolver(Arc::new(Certificates(keys)));
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    tls.ticketer = Ticketer::new().map_err(|error| error.to_string())?;
    Ok(Arc::new(tls))
}

/// Who may connect: anybody, or those with a certificate of the right authorities.
fn verifier(config: Option<&ClientCertificatesConfig>) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let Some(ClientCertificatesConfig { ca, crl, require }) = config else { return Ok(WebPkiClientVerifier::no_client_auth()) };
    let wrong = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).map_err(|error| wrong(ca, &error))? {
        let certificate = certificate.map_err(|error| wrong(ca, &error))?;
        roots.add(certificate).map_err(|error| wrong(ca, &error))?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()));
    if let Some(path) = crl {
        let lists = CertificateRevocationListDer::pem_file_iter(path).and_then(|lists| lists.collect::<Result<Vec<_>, _>>());
        let lists = lists.map_err(|error| wrong(path, &error))?;
        if lists.is_empty() {
            // Nobody would be refused.
            return Err(wrong(path, &"there is no list of revoked certificates in it"));
        }
        builder = builder.with_crls(lists);
    }
    let builder = if *require { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| wrong(ca, &error))
}

/// A client's certificate as `Client-Cert` has it. Spec: <https://www.rfc-editor.org/rfc/rfc9440>
pub fn client_cert(certificate: &CertificateDer<'_>) -> Option<HeaderValue> {
    let value = format!(":{}:", STANDARD.encode(certificate));
    HeaderValue::try_from(value).ok()
}

fn certified(config: &CertificateConfig) -> Result<Arc<CertifiedKey>, String> {
    let CertificateConfig { cert, key } = config;
    let chain = CertificateDer::pem_file_iter(cert).and_then(|chain| chain.collect::<Result<Vec<_>, _>>());
    let chain = chain.map_err(|error| format!("{}: {error}", cert.display()))?;
    if chain.is_empty() {
        return Err(format!("{}: there is no certificate in it", cert.display()));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("{}: {error}", key.display()))?;
    let certified = CertifiedKey::from_der(chain, secret, &default_provider());
    certified.map(Arc::new).map_err(|error| format!("{} with {}: {error}", cert.display(), key.display()))
}

/// All certificates. Of those that the client can verify the first with its name counts, one with just that name before one with a
/// wildcard; and the first of all for those who ask for none of the names.
#[derive(Debug)]
struct Certificates(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        /// A label that no certificate has: what is good for it as well is good by a wildcard.
        const ANY: &str = "any-other-label";
        let name = |name: &str| ServerName::try_from(name.to_owned()).ok();
        let asked = hello.server_name().and_then(name);
        let sibling = hello.server_name().and_then(|asked| name(&format!("{ANY}.{}", asked.split_once('.')?.1)));
        let verifiable = || self.0.iter().filter(|key| key.key.choose_scheme(hello.signature_schemes()).is_some());
        let named = verifiable().filter(|key| is_for(key, asked.as_ref())).min_by_key(|key| is_for(key, sibling.as_ref()));
        named.or_else(|| verifiable().next()).or(self.0.first()).cloned()
    }
}

fn is_for(key: &CertifiedKey, name: Option<&ServerName<'_>>) -> bool {
    let own = key.cert.first().and_then(|certificate| ParsedCertificate::try_from(certificate).ok());
    own.zip(name).is_some_and(|(own, name)| verify_server_name(&own, name).is_ok())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use tokio_rustls::rustls::{
        ClientConfig, ClientConnection, SignatureScheme,
        crypto::{CryptoProvider, WebPkiSupportedAlgorithms},
        server::Acceptor,
    };

    use super::*;

    /// Which of the files is shown to a client that asks for this name and verifies only these signatures.
    fn shown(files: &[&str], name: &str, is_verified: fn(SignatureScheme) -> bool) -> String {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/tls");
        let pair = |name: &&str| CertificateConfig {
            cert: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}.key.pem")),
        };
        let all = files.iter().map(|file| certified(&pair(file)).unwrap()).collect::<Vec<_>>();
        let mut provider: CryptoProvider = default_provider();
        let WebPkiSupportedAlgorithms { all: algorithms, mapping } = provider.signature_verification_algorithms;
        let mapping: Vec<_> = mapping.iter().copied().filter(|(scheme, _)| is_verified(*scheme)).collect();
        provider.signature_verification_algorithms = WebPkiSupportedAlgorithms { all: algorithms, mapping: mapping.leak() };
        let client = ClientConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions().unwrap();
        let client = client.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
        let mut client = ClientConnection::new(Arc::new(client), name.to_owned().try_into().unwrap()).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        let mut acceptor = Acceptor::default();
        acceptor.read_tls(&mut bytes.as_slice()).unwrap();
        let accepted = acceptor.accept().unwrap().unwrap();
        let chosen = Certificates(all.clone()).resolve(accepted.client_hello()).unwrap();
        files[all.iter().position(|key| key.cert == chosen.cert).unwrap()].to_owned()
    }

    #[test]
    fn the_certificate_is_the_clients_by_name_and_by_what_it_can_verify() {
        let any = |_| true;
        let rsa = |scheme: SignatureScheme| format!("{scheme:?}").starts_with("RSA");
        let files = ["localhost", "wildcard", "exact", "exact-rsa"];
        for (name, is_verified, wanted) in [
            ("localhost", any as fn(_) -> _, "localhost"),
            ("api.example.com", any, "exact"),
            ("other.example.com", any, "wildcard"),
            ("a.b.example.com", any, "localhost"),
            ("example.com", any, "localhost"),
            ("API.Example.com", any, "exact"),
            ("api.example.com", rsa, "exact-rsa"),
            ("localhost", rsa, "exact-rsa"),
        ] {
            assert_eq!(shown(&files, name, is_verified), wanted, "{name}");
        }
    }
}
