//! The PROXY protocol, in from a load balancer and out to an upstream.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::support::{Router, Scripted, answer};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn the_client_is_whom_a_trusted_proxy_names_and_nothing_is_guessed() {
    let upstream = Scripted::start(|_| answer(200, "", "fine")).await;
    let config = |trusted: &str| {
        format!(
            "proxy_protocol: true\ntrusted_proxies: [{trusted}]\nroutes: [{{ name: all, upstream: one }}]\n\
             upstreams: {{ one: {{ endpoints: [{{ url: \"{}\" }}] }} }}\n",
            upstream.url()
        )
    };
    let router = Router::start(&config("127.0.0.0/8")).await;
    let version2 = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\x01\x02\x03\x0a\0\0\x01\x04\x01\0\x50";
    for (header, client) in [("PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n", "192.0.2.7"), (version2, "10.1.2.3")] {
        let answer = router.raw(&format!("{header}{GET}")).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{header:?}: {answer}");
        assert_eq!(upstream.take()[0].field("x-forwarded-for"), [client]);
    }
    for wrong in ["", "PROXY nonsense\r\n"] {
        assert_eq!(router.raw(&format!("{wrong}{GET}")).await, "", "{wrong:?}");
    }
    let router = Router::start(&config("192.0.2.0/24")).await;
    assert_eq!(router.raw(&format!("PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n{GET}")).await, "", "not from a trusted proxy");
    assert!(upstream.take().is_empty());
}

/// An upstream that wants the PROXY protocol: records what each connection begins with, and answers once.
async fn introduced() -> (String, Arc<Mutex<Vec<Vec<u8>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (url, seen) = (format!("http://{}", listener.local_addr().unwrap()), Arc::new(Mutex::new(Vec::new())));
    let record = seen.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"\r\n\r\n") && stream.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {}
            record.lock().unwrap().push(bytes);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine").await;
            tokio::spawn(async move {
                // Left open: it must be the router that does not use it again.
                tokio::time::sleep(Duration::from_secs(5)).await;
                drop(stream);
            });
        }
    });
    (url, seen)
}

#[tokio::test]
async fn upstreams_learn_whom_a_connection_is_for() {
    for (version, start) in
        [("v1", b"PROXY TCP4 192.0.2.7 127.0.0.1 0 ".as_slice()), ("v2", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07")]
    {
        let (url, seen) = introduced().await;
        let router = Router::start(&format!(
            "trusted_proxies: [127.0.0.0/8]\nroutes: [{{ name: all, upstream: one }}]\n\
             upstreams: {{ one: {{ endpoints: [{{ url: \"{url}\" }}], proxy_protocol: {version} }} }}\n"
        ))
        .await;
        for _ in 0..3 {
            let response = router.get("/").header("x-forwarded-for", "192.0.2.7").send().await.unwrap();
            assert_eq!(response.status(), 200);
            assert_eq!(response.text().await.unwrap(), "fine");
        }
        let seen = seen.lock().unwrap().clone();
        assert_eq!(seen.len(), 3, "no two calls share a connection");
        for bytes in seen {
            assert!(bytes.starts_with(start), "{:?}", String::from_utf8_lossy(&bytes));
            assert!(String::from_utf8_lossy(&bytes).contains("GET / HTTP/1.1\r\n"));
        }
    }
}
