//! Whose calls are taken: networks by name.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

/// An address range in CIDR notation: `192.0.2.0/24`, `2001:db8::/32`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

/// The text was no address and no address range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no network: write an address, or an address range such as 192.0.2.0/24 or 2001:db8::/32")]
pub struct NotANetwork(pub String);

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Network, NotANetwork> {
        let wrong = || NotANetwork(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| wrong())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match bits {
            Some(bits) => bits.trim().parse().ok().filter(|bits| *bits <= longest).ok_or_else(wrong)?,
            None => longest,
        };
        Ok(Network { address, prefix_bits })
    }
}

impl Network {
    /// Whether the address lies in this range. An IPv4-mapped IPv6 address counts as the IPv4 address in it, as a
    /// dual-stack socket reports it.
    pub fn contains(&self, address: IpAddr) -> bool {
        fn same_head(left: u128, right: u128, width: u32, bits: u8) -> bool {
            let shift = width.saturating_sub(u32::from(bits));
            left.checked_shr(shift).unwrap_or(0) == right.checked_shr(shift).unwrap_or(0)
        }
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(address)) => {
                same_head(u128::from(net.to_bits()), u128::from(address.to_bits()), 32, self.prefix_bits)
            }
            (IpAddr::V6(net), IpAddr::V6(address)) => {
                same_head(net.to_bits(), address.to_bits(), 128, self.prefix_bits)
            }
            _ => false,
        }
    }
}

/// A peer that may call us.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trunk {
    pub name: Arc<str>,
    pub from: Vec<Network>,
    /// Whether this trunk's P-Asserted-Identity is believed (RFC 3325: it is in our trust domain).
    pub vouches: bool,
    /// Calls that it may have at once. `None`: as many as all together.
    pub calls: Option<usize>,
}

/// All trunks. The first one that has the source wins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrunkTable {
    trunks: Vec<Trunk>,
}

impl TrunkTable {
    pub fn new(trunks: Vec<Trunk>) -> TrunkTable {
        TrunkTable { trunks }
    }

    /// Every address there is. For tests and laboratories.
    pub fn open() -> TrunkTable {
        let everything = ["0.0.0.0/0", "::/0"].iter().filter_map(|net| net.parse().ok()).collect();
        TrunkTable::new(vec![Trunk { name: "open".into(), from: everything, ..Trunk::default() }])
    }

    /// Loopback, private and link-local networks: what is taken where nothing is configured.
    pub fn local_networks() -> TrunkTable {
        const LOCAL: [&str; 9] = [
            "127.0.0.0/8",    // RFC 1122
            "10.0.0.0/8",     // RFC 1918
            "172.16.0.0/12",  // RFC 1918
            "192.168.0.0/16", // RFC 1918
            "169.254.0.0/16", // RFC 3927
            "100.64.0.0/10",  // RFC 6598
            "::1/128",        // RFC 4291
            "fc00::/7",       // RFC 4193
            "fe80::/10",      // RFC 4291
        ];
        let networks = LOCAL.iter().filter_map(|net| net.parse().ok()).collect();
        TrunkTable::new(vec![Trunk { name: "local".into(), from: networks, ..Trunk::default() }])
    }

    pub fn find(&self, source: IpAddr) -> Option<&Trunk> {
        self.trunks.iter().find(|trunk| trunk.from.iter().any(|net| net.contains(source)))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Trunk> {
        self.trunks.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_their_addresses_and_no_others() {
        let cases = [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.6", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db9::1", true),
            ("10.0.0.0/8", "::ffff:10.2.3.4", true),
            ("172.16.0.0/12", "172.32.0.0", false),
        ];
        for (network, address, expected) in cases {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), expected, "{network:?} {address}");
        }
        for wrong in ["", "192.0.2.0/33", "::/129", "example.com", "192.0.2.0/", "192.0.2.0/-1"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_first_trunk_wins_and_strangers_have_none() {
        let trunk = |name: &str, from: &str| {
            let from = vec![from.parse().unwrap()];
            Trunk { name: name.into(), from, ..Trunk::default() }
        };
        let table = TrunkTable::new(vec![trunk("one", "192.0.2.1"), trunk("all", "192.0.2.0/24")]);
        let name = |source: &str| table.find(source.parse().unwrap()).map(|trunk| trunk.name.to_string());
        assert_eq!(name("192.0.2.1").as_deref(), Some("one"));
        assert_eq!(name("192.0.2.2").as_deref(), Some("all"));
        assert_eq!(name("203.0.113.1"), None);
        assert!(TrunkTable::local_networks().find("127.0.0.1".parse().unwrap()).is_some());
        assert!(TrunkTable::local_networks().find("8.8.8.8".parse().unwrap()).is_none());
        assert!(TrunkTable::open().find("2001:db8::5".parse().unwrap()).is_some());
    }
}
