//! Which of our addresses a peer reaches us by. A socket bound to `0.0.0.0` doesn't tell; the kernel's routing does.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Mutex;

/// Remembered peers. A trunk has a handful of addresses; what strangers make us remember must not grow.
const REMEMBERED: usize = 4_096;

/// The local address towards each peer, asked of the kernel once.
#[derive(Default)]
pub struct Routes {
    known: Mutex<HashMap<IpAddr, IpAddr>>,
}

impl Routes {
    /// The address that `peer` sees us under when we send from a socket bound to `bound`. Falls back to loopback where the
    /// kernel has no route: nothing could be sent there anyway.
    pub fn local_address(&self, bound: IpAddr, peer: IpAddr) -> IpAddr {
        if bound.is_unspecified() { self.address_towards(peer) } else { bound }
    }

    /// The address that the kernel would send from to `peer`.
    pub fn address_towards(&self, peer: IpAddr) -> IpAddr {
        let mut known = self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(&address) = known.get(&peer) {
            return address;
        }
        let address = ask_the_kernel(peer);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(peer, address);
        address
    }
}

/// Connecting a UDP socket sends nothing; it only makes the kernel choose the source address.
fn ask_the_kernel(peer: IpAddr) -> IpAddr {
    let (any, loopback): (IpAddr, IpAddr) = match peer {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::LOCALHOST.into()),
    };
    UdpSocket::bind(SocketAddr::new(any, 0))
        .and_then(|socket| {
            socket.connect(SocketAddr::new(peer, 9))?;
            socket.local_addr()
        })
        .map_or(loopback, |address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_address_is_its_own_answer() {
        let bound = "192.0.2.7".parse().unwrap();
        assert_eq!(Routes::default().local_address(bound, "198.51.100.1".parse().unwrap()), bound);
    }

    #[test]
    fn loopback_reaches_us_over_loopback() {
        let routes = Routes::default();
        let any = Ipv4Addr::UNSPECIFIED.into();
        assert_eq!(routes.local_address(any, Ipv4Addr::LOCALHOST.into()), IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
}
