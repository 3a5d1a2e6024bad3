//! PROXY protocol towards upstreams: whom a connection is made for. Each client then has connections of its own.
//!
//! Relied on by `upstream`; configured by `upstreams.<name>.proxy_protocol:`.
//! Spec: <https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt>

use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProxyProtocol {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// For whom a call is made. Travels among the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client(pub SocketAddr);

impl ProxyProtocol {
    /// What a connection to `destination` begins with; without a client we speak for ourselves.
    pub fn header(self, client: Option<Client>, destination: SocketAddr) -> Vec<u8> {
        let ends = client.map(|Client(source)| (source, destination));
        match self {
            Self::V1 => first(ends),
            Self::V2 => second(ends),
        }
    }
}

fn first(ends: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    let Some((source, destination)) = ends else { return b"PROXY UNKNOWN\r\n".into() };
    let (from, to) = pair(source.ip(), destination.ip());
    let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
    format!("PROXY {family} {from} {to} {} {}\r\n", source.port(), destination.port()).into_bytes()
}

fn second(ends: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    let Some((source, destination)) = ends else {
        header.extend([0x20, 0, 0, 0]);
        return header;
    };
    match pair(source.ip(), destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            header.extend([0x21, 0x11, 0, 12]);
            header.extend(from.octets().iter().chain(&to.octets()));
        }
        (from, to) => {
            let wide = |address: IpAddr| match address {
                IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
                IpAddr::V6(address) => address.octets(),
            };
            header.extend([0x21, 0x21, 0, 36]);
            header.extend(wide(from).iter().chain(&wide(to)));
        }
    }
    header.extend(source.port().to_be_bytes().iter().chain(&destination.port().to_be_bytes()));
    header
}

/// Both addresses in one family.
fn pair(from: IpAddr, to: IpAddr) -> (IpAddr, IpAddr) {
    match (from.to_canonical(), to.to_canonical()) {
        (IpAddr::V4(from), IpAddr::V6(to)) => (from.to_ipv6_mapped().into(), to.into()),
        (IpAddr::V6(from), IpAddr::V4(to)) => (from.into(), to.to_ipv6_mapped().into()),
        same => same,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    fn header(version: ProxyProtocol, source: Option<&str>, destination: &str) -> Vec<u8> {
        version.header(source.map(|source| Client(source.parse().unwrap())), destination.parse().unwrap())
    }

    #[test]
    fn headers_are_those_of_the_specification() {
        let (source, destination) = (Some("192.0.2.1:1234"), "192.0.2.2:443");
        assert_eq!(header(ProxyProtocol::V1, source, destination), b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 443\r\n");
        let binary = [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".as_slice(), &[192, 0, 2, 1, 192, 0, 2, 2, 4, 210, 1, 187]].concat();
        assert_eq!(header(ProxyProtocol::V2, source, destination), binary);
        let (source, destination) = (Some("192.0.2.1:1"), "[2001:db8::1]:2");
        assert_eq!(header(ProxyProtocol::V1, source, destination), b"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 1 2\r\n");
        assert_eq!(header(ProxyProtocol::V2, source, destination).len(), 16 + 36);
        assert_eq!(header(ProxyProtocol::V1, None, destination), b"PROXY UNKNOWN\r\n");
        assert_eq!(header(ProxyProtocol::V2, None, destination), b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
    }
}
