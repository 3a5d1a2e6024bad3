//! TLS in front: certificates of clients, and the way from HTTP to HTTPS.

use std::net::{SocketAddr, TcpListener};

use reqwest::{Certificate, Client, Identity, redirect::Policy};

use crate::support::{Router, Scripted, answer};

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
async fn plain_requests_are_sent_to_https() {
    let upstream = Scripted::start(|_| answer(200, "", "fine")).await;
    let from: SocketAddr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let router = router(&upstream, &format!("redirect_from: {from}")).await;
    let client = client(&router, None);
    let port = router.address().port();
    let response = client.post(format!("http://{from}/a%2Fb?c=d&")).header("host", "a.example").body("x").send().await.unwrap();
    assert_eq!(response.status(), 308, "the method stays");
    assert_eq!(response.headers()["location"], format!("https://a.example:{port}/a%2Fb?c=d&"));
    assert_eq!(client.get(format!("https://localhost:{port}/")).send().await.unwrap().status(), 200);
    assert_eq!(upstream.take().len(), 1);
}
