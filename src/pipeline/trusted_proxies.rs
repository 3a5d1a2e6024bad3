//! Trusted proxies: whose word about the client's address is believed.
//!
//! Relied on by `pipeline`; configured by `trusted_proxies:`. Spec: <https://www.rfc-editor.org/rfc/rfc7239>

use std::net::{IpAddr, SocketAddr};

use crate::{exchange::Exchange, units::Network};

/// Most addresses of one chain that are looked at; a longer chain is somebody's joke.
const LONGEST: usize = 64;

/// Networks of proxies that are ours.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Vec<Network>,
}

impl TrustedProxies {
    /// Those of the configuration.
    pub fn new(networks: &[Network]) -> Self {
        Self { networks: networks.to_vec() }
    }

    /// Finds out who the client is: the peer, unless it is a proxy of ours; then the last address of `X-Forwarded-For`, or of
    /// `Forwarded` where there is none, that is not one of ours. Never the first, which the client writes itself.
    pub fn identify(&self, exchange: &mut Exchange) {
        exchange.is_peer_trusted = self.trusts(exchange.client_ip);
        if !exchange.is_peer_trusted {
            return;
        }
        let lines = |name: &str| exchange.headers.get_all(name).into_iter().rev().filter_map(|line| line.to_str().ok());
        let client = if exchange.headers.contains_key("x-forwarded-for") {
            self.last_stranger(lines("x-forwarded-for").flat_map(|line| line.rsplit(',')).map(str::trim))
        } else {
            self.last_stranger(lines("forwarded").flat_map(|line| hops(line).into_iter().rev()))
        };
        exchange.client_ip = client.unwrap_or(exchange.client_ip);
    }

    /// The first address, from the near end of a chain, that is not ours; the farthest of ours before something that is none.
    fn last_stranger<'a>(&self, chain: impl Iterator<Item = &'a str>) -> Option<IpAddr> {
        let mut farthest = None;
        for address in chain.take(LONGEST).map_while(address) {
            farthest = Some(address);
            if !self.trusts(address) {
                break;
            }
        }
        farthest
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }
}

/// The `for` of each element of a `Forwarded` line, empty where it has none. Spec: <https://www.rfc-editor.org/rfc/rfc7239#section-4>
fn hops(line: &str) -> Vec<&str> {
    fn node(element: &str) -> &str {
        let mut pairs = outside_quotes(element, ';').into_iter().filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| name.eq_ignore_ascii_case("for")).map_or("", |(_, node)| node.trim_matches('"'))
    }
    outside_quotes(line, ',').into_iter().map(node).collect()
}

/// The parts between separators that do not stand in a quoted string.
fn outside_quotes(text: &str, separator: char) -> Vec<&str> {
    let mut is_quoted = false;
    let is_end = |letter: char| {
        is_quoted ^= letter == '"';
        letter == separator && !is_quoted
    };
    text.split(is_end).collect()
}

/// An address as proxies write it: with or without a port, IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = || text.parse::<IpAddr>().ok();
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare().or_else(bracketed).or_else(with_port).map(|address| address.to_canonical())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::exchange::Peer;

    fn client(peer: &str, chain: &[&str]) -> String {
        let mut head = http::Request::new(()).into_parts().0;
        for line in chain {
            head.headers.append("x-forwarded-for", line.parse().unwrap());
        }
        let peer = Peer { address: SocketAddr::new(peer.parse().unwrap(), 9), is_tls: false };
        let mut exchange = Exchange::new(peer, head, Duration::ZERO);
        let networks = ["10.0.0.0/8", "::1/128"].map(|text| Network(text.parse().unwrap()));
        TrustedProxies::new(&networks).identify(&mut exchange);
        exchange.client_ip.to_string()
    }

    #[test]
    fn only_our_proxies_are_believed_and_only_up_to_the_first_stranger() {
        for (peer, chain, expected) in [
            ("192.0.2.1", &["1.2.3.4"] as &[_], "192.0.2.1"),
            ("10.0.0.1", &["1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &["6.6.6.6, 1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &["6.6.6.6", "1.2.3.4, 10.9.9.9"], "1.2.3.4"),
            ("10.0.0.1", &["6.6.6.6, garbage, 10.9.9.9"], "10.9.9.9"),
            ("10.0.0.1", &["[2001:db8::7]:443"], "2001:db8::7"),
            ("10.0.0.1", &["1.2.3.4:5678"], "1.2.3.4"),
            ("::ffff:10.0.0.1", &["::ffff:1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", &[], "10.0.0.1"),
        ] {
            assert_eq!(client(peer, chain), expected, "{peer} {chain:?}");
        }
    }

    #[test]
    fn forwarded_is_read_where_there_is_no_other_chain() {
        let networks = ["10.0.0.0/8".parse().unwrap()];
        for (lines, expected) in [
            (&["for=1.2.3.4"] as &[_], "1.2.3.4"),
            (&["for=6.6.6.6, For=1.2.3.4;proto=https, for=10.9.9.9"], "1.2.3.4"),
            (&["for=6.6.6.6", "for=\"[2001:db8::7]:443\";by=\"a,b;for=x\""], "2001:db8::7"),
            (&["for=6.6.6.6, for=_hidden, for=10.9.9.9"], "10.9.9.9"),
            (&["for=6.6.6.6, proto=https"], "10.0.0.1"),
            (&["for=unknown"], "10.0.0.1"),
            (&["\"for=6.6.6.6"], "10.0.0.1"),
        ] {
            let mut request = http::Request::get("/");
            for line in lines {
                request = request.header("forwarded", *line);
            }
            let (head, ()) = request.body(()).unwrap().into_parts();
            let peer = Peer { address: "10.0.0.1:9".parse().unwrap(), is_tls: false };
            let mut exchange = Exchange::new(peer, head, Duration::ZERO);
            TrustedProxies::new(&networks).identify(&mut exchange);
            assert_eq!(exchange.client_ip.to_string(), expected, "{lines:?}");
        }
    }
}
