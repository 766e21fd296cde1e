//! Whose word is taken on where a request comes from.
//!
//! Must not know what the address is used for. `X-Forwarded-For` can be written by anybody; only what trusted proxies
//! wrote into it counts, and they write on its right.

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use ipnet::IpNet;
use serde::de::{self, Deserialize, Deserializer};

use crate::settings::List;

/// Where a request comes from, as far as that can be known. Okta's address or a scanner's: for `debug` lines at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// `server.trusted_proxies`: addresses and networks of the proxies in front.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies(Arc<[IpNet]>);

impl Proxies {
    /// Whether an address is one of theirs.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The right-most address that is not a trusted proxy's: the peer itself, or whom it and those behind it tell of.
    ///
    /// What stands left of something unreadable is not believed; the proxy that passed it on is the answer then.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> ClientAddress {
        let mut client = peer.to_canonical();
        let told: Vec<&[u8]> =
            headers.get_all("x-forwarded-for").iter().flat_map(|line| line.as_bytes().split(|b| *b == b',')).collect();
        for hop in told.into_iter().rev() {
            match address(hop) {
                Some(next) if self.trusts(client) => client = next,
                _ => break,
            }
        }
        ClientAddress(client)
    }
}

/// One hop: an address, by some proxies written with its port.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse().map(|with_port: std::net::SocketAddr| with_port.ip()));
    address.ok().map(|a: IpAddr| a.to_canonical())
}

impl<'de> Deserialize<'de> for Proxies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let network = |text: &String| text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok();
        let networks: Option<_> = List::deserialize(deserializer)?.0.iter().map(network).collect();
        let rule = "must be a list of addresses or networks, such as \"192.0.2.7\" or \"10.0.0.0/8\"";
        networks.map(Self).ok_or_else(|| de::Error::custom(rule))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let networks = ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"].map(|n| n.parse().expect("network"));
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(line.as_bytes()).expect("value"));
        }
        Proxies(networks.into()).client(peer.parse().expect("address"), &headers).0.to_string()
    }

    #[test]
    fn the_client_is_the_rightmost_address_that_is_no_trusted_proxy() {
        for (peer, forwarded, expected, why) in [
            ("203.0.113.9", &[][..], "203.0.113.9", "nobody tells"),
            ("203.0.113.9", &["198.51.100.1"], "203.0.113.9", "a stranger's word counts for nothing"),
            ("10.1.1.1", &[], "10.1.1.1", "a proxy that tells nothing"),
            ("10.1.1.1", &["198.51.100.1"], "198.51.100.1", "a proxy is believed"),
            ("10.1.1.1", &["6.6.6.6, 198.51.100.1"], "198.51.100.1", "what the client itself wrote is not"),
            ("10.1.1.1", &["6.6.6.6, 198.51.100.1, 192.0.2.7"], "198.51.100.1", "a chain of two"),
            ("10.1.1.1", &["6.6.6.6", "198.51.100.1", "192.0.2.7"], "198.51.100.1", "in lines of their own"),
            ("10.1.1.1", &["10.2.2.2, 10.3.3.3"], "10.2.2.2", "proxies alone"),
            ("10.1.1.1", &["198.51.100.1, junk"], "10.1.1.1", "unreadable: nothing left of it is believed"),
            ("10.1.1.1", &["198.51.100.1, "], "10.1.1.1", "empty is unreadable"),
            ("10.1.1.1", &["unknown"], "10.1.1.1", "a word of the Forwarded header"),
            ("10.1.1.1", &["198.51.100.1:4711"], "198.51.100.1", "with a port"),
            ("10.1.1.1", &["[2001:4860::8]:443"], "2001:4860::8", "with a port, version 6"),
            ("10.1.1.1", &["[2001:4860::8]"], "2001:4860::8", "in brackets"),
            ("2001:db8::1", &["2001:4860::8"], "2001:4860::8", "a proxy of version 6"),
            ("::ffff:10.1.1.1", &["::ffff:198.51.100.1"], "198.51.100.1", "version 4 written as 6"),
            ("10.1.1.1", &["\u{feff}198.51.100.1"], "10.1.1.1", "an invisible character"),
        ] {
            assert_eq!(client(peer, forwarded), expected, "{why}");
        }
    }
}
