//! TLS in front: certificates that change, sessions, certificates of clients, and the way from HTTP to HTTPS.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::{Certificate, Client, Identity, redirect::Policy};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion,
        crypto::aws_lc_rs::default_provider,
        pki_types::{CertificateDer, pem::PemObject},
        version::{TLS12, TLS13},
    },
};

use crate::support::{Router, Scripted, answer, free_ports};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/tls");

fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{FOLDER}/{name}")).unwrap()
}

async fn router(upstream: &Scripted, more: &str) -> Router {
    let url = upstream.url();
    Router::start(&format!(
        "routes: [{{ name: all, upstream: one }}]\nupstreams: {{ one: {{ endpoints: [{{ url: \"{url}\" }}] }} }}\n\
         tls: {{ certificates: [{{ cert: {FOLDER}/localhost.pem, key: {FOLDER}/localhost.key.pem }}], {more} }}\n"
    ))
    .await
}

/// A client that trusts the tests' authority, finds `localhost` where the router is, and shows a certificate if it has one.
fn client(router: &Router, identity: Option<&str>) -> Client {
    let builder = Client::builder()
        .tls_certs_only([Certificate::from_pem(&file("authority.pem")).unwrap()])
        .resolve("localhost", router.address())
        .redirect(Policy::none());
    let pem = |name: &str| [file(&format!("{name}.pem")), file(&format!("{name}.key.pem"))].concat();
    match identity {
        Some(name) => builder.identity(Identity::from_pem(&pem(name)).unwrap()).build().unwrap(),
        None => builder.build().unwrap(),
    }
}

#[tokio::test]
async fn clients_prove_who_they_are_and_upstreams_learn_it() {
    let upstream = Scripted::start(|_| answer(200, "", "fine")).await;
    for (is_required, without) in [(true, None), (false, Some(200))] {
        let settings = format!("client_certificates: {{ ca: {FOLDER}/authority.pem, require: {is_required} }}");
        let router = router(&upstream, &settings).await;
        let url = format!("https://localhost:{}/", router.address().port());
        let request = client(&router, Some("other")).get(&url).header("Client-Cert", ":Zm9yZ2Vk:");
        assert_eq!(request.send().await.unwrap().status(), 200);
        let got = upstream.take().remove(0);
        let pem = String::from_utf8(file("other.pem")).unwrap();
        let base64: String = pem.lines().filter(|line| !line.contains("-----")).collect();
        assert_eq!(got.field("client-cert"), [format!(":{base64}:")], "what the client says itself does not count");
        let response = client(&router, None).get(&url).header("Client-Cert", ":Zm9yZ2Vk:").send().await;
        assert_eq!(response.ok().map(|response| response.status().as_u16()), without);
        assert!(upstream.take().iter().all(|request| request.field("client-cert").is_empty()));
    }
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let upstream = Scripted::start(|_| answer(200, "", "fine")).await;
    // The leaf as its own authority: nothing that it has not signed is accepted, and it has signed nothing.
    let router = router(&upstream, &format!("client_certificates: {{ ca: {FOLDER}/localhost.pem, require: true }}")).await;
    let url = format!("https://localhost:{}/", router.address().port());
    assert!(client(&router, Some("other")).get(&url).send().await.is_err());
    assert!(upstream.take().is_empty());
}

#[tokio::test]
async fn a_client_that_is_revoked_stays_out_even_when_the_list_breaks() {
    let upstream = Scripted::start(|_| answer(200, "", "fine")).await;
    let list = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("revoked-{}.crl.pem", std::process::id()));
    std::fs::write(&list, file("clients.crl.pem")).unwrap();
    let router =
        router(&upstream, &format!("client_certificates: {{ ca: {FOLDER}/clients.pem, crl: {} }}", list.display())).await;
    let url = format!("https://localhost:{}/", router.address().port());
    let is_in = async |name: &str| client(&router, Some(name)).get(&url).send().await.is_ok();
    assert_eq!((is_in("kept").await, is_in("revoked").await, is_in("other").await), (true, false, false));

    std::fs::write(&list, "no list").unwrap();
    let started = Instant::now();
    while router.metric("config_reloads_total", &["outcome=\"error\""]).await < 1.0 {
        assert!(started.elapsed() < Duration::from_secs(10), "the list is taken:\n{}", router.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((is_in("kept").await, is_in("revoked").await), (true, false));
    std::fs::remove_file(&list).unwrap();
}

#[tokio::test]
async fn plain_requests_are_sent_to_https() {
    let upstream = Scripted::start(|_| answer(200, "", "fine")).await;
    let [from] = free_ports();
    let router = router(&upstream, &format!("redirect_from: {from}")).await;
    let client = client(&router, None);
    let port = router.address().port();
    let response = client.post(format!("http://{from}/a%2Fb?c=d&")).header("host", "a.example").body("x").send().await.unwrap();
    assert_eq!(response.status(), 308, "the method stays");
    assert_eq!(response.headers()["location"], format!("https://a.example:{port}/a%2Fb?c=d&"));
    assert_eq!(client.get(format!("https://localhost:{port}/")).send().await.unwrap().status(), 200);
    assert_eq!(upstream.take().len(), 1);
}

/// Begins TLS with a router, and gets an answer over it; how the handshake went.
async fn handshake(router: &Router, config: &Arc<ClientConfig>, name: &'static str) -> Result<HandshakeKind, std::io::Error> {
    let stream = TcpStream::connect(router.address()).await.unwrap();
    let mut stream = TlsConnector::from(config.clone()).connect(name.try_into().unwrap(), stream).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    // What matters is that it begins: tickets come with it.
    let _ = stream.read_to_string(&mut answer).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    Ok(stream.get_ref().1.handshake_kind().unwrap())
}

fn client_config(versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&file("authority.pem")).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider())).with_protocol_versions(versions).unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

#[tokio::test]
async fn sessions_are_resumed_in_both_versions() {
    let upstream = Scripted::start(|_| answer(200, "", "fine")).await;
    let router = router(&upstream, "").await;
    for version in [&TLS12, &TLS13] {
        let config = client_config(&[version]);
        assert_eq!(handshake(&router, &config, "localhost").await.unwrap(), HandshakeKind::Full, "{version:?}");
        assert_eq!(handshake(&router, &config, "localhost").await.unwrap(), HandshakeKind::Resumed, "{version:?}");
    }
}

#[tokio::test]
async fn new_certificates_are_taken_from_their_files_and_bad_ones_are_not() {
    let upstream = Scripted::start(|_| answer(200, "", "fine")).await;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("certificates-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let put = |from: &str| {
        for (from, to) in [(format!("{from}.pem"), "cert.pem"), (format!("{from}.key.pem"), "key.pem")] {
            std::fs::write(folder.join("new"), file(&from)).unwrap();
            std::fs::rename(folder.join("new"), folder.join(to)).unwrap();
        }
    };
    put("localhost");
    let (url, files) = (upstream.url(), folder.display());
    let router = Router::start(&format!(
        "supergraph: {{ poll_interval: 200ms }}\nroutes: [{{ name: all, upstream: one }}]\n\
         upstreams: {{ one: {{ endpoints: [{{ url: \"{url}\" }}] }} }}\n\
         tls: {{ certificates: [{{ cert: {files}/cert.pem, key: {files}/key.pem }}] }}\n"
    ))
    .await;
    let config = client_config(&[&TLS13]);
    handshake(&router, &config, "localhost").await.unwrap();
    assert!(handshake(&router, &config, "other").await.is_err());

    put("other");
    let started = Instant::now();
    while handshake(&router, &config, "other").await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(10), "the new certificate is not taken:\n{}", router.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // A client that has not been here before, so that no session is resumed.
    assert!(handshake(&router, &client_config(&[&TLS13]), "localhost").await.is_err(), "the old one is gone");

    std::fs::write(folder.join("cert.pem"), "no certificate").unwrap();
    let started = Instant::now();
    while router.metric("config_reloads_total", &["outcome=\"error\""]).await < 1.0 {
        assert!(started.elapsed() < Duration::from_secs(10), "nobody counts the bad file: {:?}", router.metrics().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(router.log().contains("cert.pem"), "{}", router.log());
    handshake(&router, &client_config(&[&TLS13]), "other").await.unwrap();
    assert!(router.readiness().await.unwrap().1.contains("cert.pem"), "readiness says why");

    put("localhost");
    let started = Instant::now();
    while handshake(&router, &client_config(&[&TLS13]), "localhost").await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(10), "a good one after a bad one is not taken:\n{}", router.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
