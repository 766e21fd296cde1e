//! How many connections one address has open.
//!
//! Must not know what they are used for. One address that opens all it can must not take the places of the others.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};

use super::proxies::Proxies;
use crate::locks::lock;

/// Counts open connections by address.
#[derive(Debug, Clone)]
pub(super) struct Crowd {
    /// Zero: no limit.
    max: usize,
    proxies: Proxies,
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection that counts, for as long as this lives.
#[derive(Debug)]
pub(super) struct Guest {
    /// None for those who are not counted.
    counted: Option<(Crowd, IpAddr)>,
}

impl Crowd {
    pub(super) fn new(max: usize, proxies: Proxies) -> Self {
        Self { max, proxies, counts: Arc::default() }
    }

    /// Lets a connection in unless its address has as many as it may. A proxy brings everybody's: it is not counted,
    /// and neither is this machine, where a proxy or a probe is at home.
    pub(super) fn admit(&self, peer: IpAddr) -> Option<Guest> {
        let peer = peer.to_canonical();
        if self.max == 0 || peer.is_loopback() || self.proxies.trusts(peer) {
            return Some(Guest { counted: None });
        }
        let key = network(peer);
        let mut counts = self.counts();
        let count = counts.entry(key).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Guest { counted: Some((self.clone(), key)) })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        lock(&self.counts)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let Some((crowd, key)) = &self.counted else { return };
        let mut counts = crowd.counts();
        if let Some(count) = counts.get_mut(key) {
            *count -= 1;
            // The map holds no address without a connection: it stays as small as the connections are few.
            if *count == 0 {
                counts.remove(key);
            }
        }
    }
}

/// What counts as one address: of version 6 the first 64 bits, since whoever has one address has all below those.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(max: usize) -> Crowd {
        let proxies: Proxies = serde_json::from_str(r#"["192.0.2.7"]"#).expect("proxies");
        Crowd::new(max, proxies)
    }

    fn admit(crowd: &Crowd, peer: &str) -> Option<Guest> {
        crowd.admit(peer.parse().expect("address"))
    }

    #[test]
    fn an_address_has_no_more_than_it_may_and_others_are_not_affected() {
        let crowd = crowd(2);
        let first = admit(&crowd, "203.0.113.9");
        let second = admit(&crowd, "::ffff:203.0.113.9");
        assert!(first.is_some() && second.is_some());
        assert!(admit(&crowd, "203.0.113.9").is_none());
        assert!(admit(&crowd, "203.0.113.10").is_some());
        drop(first);
        assert!(admit(&crowd, "203.0.113.9").is_some());
        drop(second);
        assert!(crowd.counts().is_empty());
    }

    #[test]
    fn version_6_is_counted_by_network() {
        let crowd = crowd(1);
        let _guest = admit(&crowd, "2001:db8:1:2::1");
        assert!(admit(&crowd, "2001:db8:1:2:ffff::1").is_none());
        assert!(admit(&crowd, "2001:db8:1:3::1").is_some());
    }

    #[test]
    fn proxies_and_this_machine_are_not_counted_and_zero_means_no_limit() {
        for (max, peer) in [(1, "127.0.0.1"), (1, "::1"), (1, "192.0.2.7"), (0, "203.0.113.9")] {
            let crowd = crowd(max);
            let guests: Vec<_> = (0..10).map(|_| admit(&crowd, peer)).collect();
            assert!(guests.iter().all(Option::is_some), "{peer}");
            assert!(crowd.counts().is_empty());
        }
    }
}
