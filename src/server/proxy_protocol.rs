//! PROXY protocol: who the client of a connection is, told by the load balancer before everything else.
//!
//! Relied on by `server`; configured by `proxy_protocol:`, which makes it a must: a connection that does not begin with it, or
//! does not come from one of `trusted_proxies`, is closed. Spec: <https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt>

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{io::AsyncReadExt as _, net::TcpStream, time::sleep};

/// What version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Longest line of version 1.
const LINE: usize = 107;
/// Most bytes of addresses and further facts in version 2.
const FACTS: usize = 4_096;
/// Between looks at a header that arrives in pieces.
const PAUSE: Duration = Duration::from_millis(2);

/// Takes the header from the start of a connection: the client's address, or nothing when the proxy speaks for itself.
///
/// # Errors
/// The connection ends, or begins with something else.
pub async fn read(stream: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let mut start = [0; LINE];
    loop {
        let count = stream.peek(&mut start).await?;
        let seen = start.get(..count).unwrap_or_default();
        if seen.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if seen.starts_with(SIGNATURE) {
            return second(stream).await;
        }
        if let Some(end) = seen.windows(2).position(|pair| pair == b"\r\n").filter(|_| seen.starts_with(b"PROXY ")) {
            let mut line = vec![0; end + 2];
            stream.read_exact(&mut line).await?;
            return first(&line);
        }
        let is_possible =
            SIGNATURE.starts_with(seen) || (count < LINE && (seen.starts_with(b"PROXY ") || b"PROXY ".starts_with(seen)));
        if !is_possible {
            return Err(wrong("the connection does not begin with a PROXY header"));
        }
        sleep(PAUSE).await;
    }
}

/// Version 1: `PROXY TCP4 192.0.2.1 192.0.2.2 1234 443`, or `PROXY UNKNOWN` with anything behind it.
fn first(line: &[u8]) -> io::Result<Option<SocketAddr>> {
    let parse = || {
        let mut words = std::str::from_utf8(line).ok()?.trim_end().split(' ').skip(1);
        let family = words.next()?;
        if family == "UNKNOWN" {
            return Some(None);
        }
        let (source, _destination): (IpAddr, IpAddr) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let (port, _): (u16, u16) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let is_right = words.next().is_none() && matches!((family, source), ("TCP4", IpAddr::V4(_)) | ("TCP6", IpAddr::V6(_)));
        is_right.then(|| Some(SocketAddr::new(source, port)))
    };
    parse().ok_or_else(|| wrong("the PROXY line is malformed"))
}

/// Version 2: signature, version and command, family, length, addresses, and facts that nobody here needs.
async fn second(stream: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let mut head = [0; 16];
    stream.read_exact(&mut head).await?;
    let [.., command, family, high, low] = head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > FACTS {
        return Err(wrong("the PROXY header is too long"));
    }
    let mut facts = vec![0; length];
    stream.read_exact(&mut facts).await?;
    match (command, family >> 4) {
        (0x20, _) | (0x21, 0 | 3) => Ok(None),
        (0x21, 1 | 2) => addresses(&facts, family >> 4).map(Some).ok_or_else(|| wrong("the PROXY header has no addresses")),
        _ => Err(wrong("the PROXY header has an unknown version or command")),
    }
}

fn addresses(facts: &[u8], family: u8) -> Option<SocketAddr> {
    let port = |at: usize| Some(u16::from_be_bytes(*facts.get(at..)?.first_chunk()?));
    Some(if family == 1 {
        SocketAddr::new(Ipv4Addr::from(*facts.first_chunk::<4>()?).into(), port(8)?)
    } else {
        SocketAddr::new(Ipv6Addr::from(*facts.first_chunk::<16>()?).into(), port(32)?)
    })
}

fn wrong(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use tokio::{io::AsyncWriteExt as _, net::TcpListener};

    use super::*;

    /// What is read of these bytes, sent at once or one by one, and what is left.
    async fn sent(bytes: &[u8], is_slow: bool) -> (io::Result<Option<SocketAddr>>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let bytes = bytes.to_vec();
        let sending = tokio::spawn(async move {
            for piece in bytes.chunks(if is_slow { 7 } else { bytes.len() }) {
                let _ = client.write_all(piece).await;
                sleep(Duration::from_millis(1)).await;
            }
        });
        let read = tokio::time::timeout(Duration::from_secs(5), read(&mut server)).await.unwrap();
        sending.await.unwrap();
        let mut left = Vec::new();
        if read.is_ok() {
            server.read_to_end(&mut left).await.unwrap();
        }
        (read, left)
    }

    fn second(command: u8, family: u8, facts: &[u8]) -> Vec<u8> {
        let length = u16::try_from(facts.len()).unwrap().to_be_bytes();
        [SIGNATURE.as_slice(), &[command, family], &length, facts, b"GET /"].concat()
    }

    #[tokio::test]
    async fn clients_are_told_by_both_versions_and_what_follows_stays() {
        let v6: Vec<u8> = [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[7], &[0; 16], &[0, 80, 1, 187]].concat();
        for (bytes, client) in [
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 443\r\nGET /".to_vec(), Some("192.0.2.1:1234")),
            (b"PROXY TCP6 2001:db8::7 ::1 80 443\r\nGET /".to_vec(), Some("[2001:db8::7]:80")),
            (b"PROXY UNKNOWN whatever\r\nGET /".to_vec(), None),
            (second(0x21, 0x11, &[192, 0, 2, 1, 192, 0, 2, 2, 4, 210, 1, 187]), Some("192.0.2.1:1234")),
            (second(0x21, 0x11, &[192, 0, 2, 1, 192, 0, 2, 2, 4, 210, 1, 187, 4, 0, 1, 9]), Some("192.0.2.1:1234")),
            (second(0x21, 0x21, &v6), Some("[2001:db8::7]:80")),
            (second(0x20, 0x00, &[]), None),
            (second(0x21, 0x00, &[1, 2, 3]), None),
        ] {
            for is_slow in [false, true] {
                let (read, left) = sent(&bytes, is_slow).await;
                assert_eq!(read.unwrap(), client.map(|client| client.parse().unwrap()), "{bytes:?}");
                assert_eq!(left, b"GET /");
            }
        }
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        for bytes in [
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::7 ::1 80 443\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 192.0.2.2 99999 443\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 443 5\r\n".to_vec(),
            [b"PROXY TCP4 ".to_vec(), vec![b'1'; 200]].concat(),
            second(0x31, 0x11, &[0; 12]),
            second(0x21, 0x11, &[0; 6]),
            second(0x21, 0x11, &[0; 5_000]),
            b"\r\n\r\n\0\r\nQUIX".to_vec(),
        ] {
            assert!(sent(&bytes, false).await.0.is_err(), "{bytes:?}");
        }
    }
}
