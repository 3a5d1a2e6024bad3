//! Endpoints by DNS: asked again when records run out, kept when DNS fails, and never at the cost of a request.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::net::UdpSocket;

use crate::support::{Router, Scripted, answer};

/// What the name server says: addresses for A, services for SRV (priority, weight, port, name).
#[derive(Clone, Default)]
struct Zone {
    addresses: Vec<Ipv4Addr>,
    services: Vec<(u16, u16, u16, &'static str)>,
    is_broken: bool,
}

/// A name server for whatever name but those that begin with `gone`, with records that live for a second.
async fn name_server(zone: Arc<Mutex<Zone>>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut query = [0; 1500];
        while let Ok((count, client)) = socket.recv_from(&mut query).await {
            let reply = reply(&query[..count], &zone.lock().unwrap());
            let _ = socket.send_to(&reply, client).await;
        }
    });
    address
}

/// The answer to a query with one question. See RFC 1035, section 4.1.
fn reply(query: &[u8], zone: &Zone) -> Vec<u8> {
    let name_end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 1;
    let kind = u16::from_be_bytes([query[name_end], query[name_end + 1]]);
    let records: Vec<Vec<u8>> = match kind {
        _ if query[12..].starts_with(b"\x04gone") => vec![],
        1 => zone.addresses.iter().map(|address| address.octets().to_vec()).collect(),
        33 => zone.services.iter().map(|service| srv(*service)).collect(),
        _ => vec![],
    };
    let code = if zone.is_broken { 2 } else { 0 };
    let count = if zone.is_broken { 0 } else { records.len() as u8 };
    let mut reply = vec![query[0], query[1], 0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0];
    reply.extend(&query[12..name_end + 4]);
    for data in records.iter().take(count.into()) {
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1, 0, 0, 0, 1]);
        reply.extend((data.len() as u16).to_be_bytes());
        reply.extend(data);
    }
    reply
}

fn srv((priority, weight, port, name): (u16, u16, u16, &str)) -> Vec<u8> {
    let mut data: Vec<u8> = [priority, weight, port].into_iter().flat_map(u16::to_be_bytes).collect();
    for label in name.split('.') {
        data.push(label.len() as u8);
        data.extend(label.bytes());
    }
    data.push(0);
    data
}

/// Upstreams on further loopback addresses and one port, each answering with its number.
async fn upstreams<const N: usize>() -> ([Scripted; N], u16) {
    let first = Scripted::start_on(SocketAddr::from(([127, 0, 0, 1], 0)), |_| answer(200, "", "1")).await;
    let port = first.address().port();
    let mut all = vec![first];
    for number in 2..=N {
        let address = SocketAddr::from(([127, 0, 0, number as u8], port));
        all.push(Scripted::start_on(address, move |_| answer(200, "", &number.to_string())).await);
    }
    (all.try_into().unwrap_or_else(|_| unreachable!()), port)
}

fn local(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, number)
}

async fn router(server: SocketAddr, dns: &str) -> Router {
    let upstream = format!("one: {{ dns: {{ host: service.test, servers: [\"{server}\"], {dns} }} }}");
    Router::start(&format!("routes: [{{ name: all, upstream: one }}]\nupstreams: {{ {upstream} }}\n")).await
}

/// Which upstreams answer, over so many requests.
async fn answers(router: &Router, count: usize) -> Vec<usize> {
    let mut counts = vec![0; 5];
    for _ in 0..count {
        let response = router.get("/").send().await.unwrap();
        assert_eq!(response.status(), 200);
        counts[response.text().await.unwrap().parse::<usize>().unwrap()] += 1;
    }
    counts
}

async fn eventually(router: &Router, wanted: &[usize]) {
    let started = Instant::now();
    loop {
        let got = answers(router, 6).await;
        if got == wanted {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(8), "{got:?} instead of {wanted:?}:\n{}", router.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn addresses_follow_dns_and_the_last_ones_stay_when_it_fails() {
    let (_upstreams, port) = upstreams::<3>().await;
    let zone = Arc::new(Mutex::new(Zone { addresses: vec![local(1), local(2)], ..Zone::default() }));
    let server = name_server(zone.clone()).await;
    let router = router(server, &format!("port: {port}")).await;
    assert_eq!(answers(&router, 6).await, [0, 3, 3, 0, 0], "the first request waits for the first answer");
    zone.lock().unwrap().addresses = vec![local(3), local(2)];
    eventually(&router, &[0, 0, 3, 3, 0]).await;
    zone.lock().unwrap().is_broken = true;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(answers(&router, 6).await, [0, 0, 3, 3, 0], "a failure changes nothing");
    *zone.lock().unwrap() = Zone::default();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(answers(&router, 6).await, [0, 0, 3, 3, 0], "no addresses are a failure too");
    zone.lock().unwrap().addresses = vec![local(1)];
    eventually(&router, &[0, 6, 0, 0, 0]).await;
}

#[tokio::test]
async fn services_have_ports_weights_and_priorities() {
    let (_upstreams, port) = upstreams::<1>().await;
    let other = Scripted::start(|_| answer(200, "", "2")).await;
    let reserve = Scripted::start(|_| answer(200, "", "3")).await;
    let services =
        vec![(10, 2, port, "a.test"), (10, 1, other.address().port(), "b.test"), (20, 9, reserve.address().port(), "c.test")];
    let zone = Arc::new(Mutex::new(Zone { addresses: vec![local(1)], services, is_broken: false }));
    let server = name_server(zone.clone()).await;
    let router = router(server, "type: SRV").await;
    assert_eq!(answers(&router, 6).await, [0, 4, 2, 0, 0]);
    zone.lock().unwrap().services.retain(|service| service.0 == 20);
    eventually(&router, &[0, 0, 0, 6, 0]).await;
    zone.lock().unwrap().services = vec![(1, 1, port, "a.test"), (1, 9, port, "gone.test")];
    eventually(&router, &[0, 6, 0, 0, 0]).await;
}

#[tokio::test]
async fn flapping_records_fail_no_request() {
    let (_upstreams, port) = upstreams::<2>().await;
    let zone = Arc::new(Mutex::new(Zone { addresses: vec![local(1)], ..Zone::default() }));
    let server = name_server(zone.clone()).await;
    let router = router(server, &format!("port: {port}")).await;
    let started = Instant::now();
    let mut turn = 0;
    while started.elapsed() < Duration::from_secs(4) {
        turn += 1;
        let addresses = if turn % 2 == 0 { vec![local(1)] } else { vec![local(2), local(1)] };
        *zone.lock().unwrap() = Zone { addresses, services: vec![], is_broken: turn % 3 == 0 };
        answers(&router, 40).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_name_without_addresses_is_a_503() {
    let server = name_server(Arc::default()).await;
    let router = router(server, "port: 1").await;
    assert_eq!(router.get("/").send().await.unwrap().status(), 503);
}
