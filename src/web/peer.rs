//! Who is at the other end of a connection: the address that the socket knows, or, where that is a proxy which the
//! operator trusts, the one that the proxy names.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::http::{Extensions, HeaderMap, header::HeaderName};

use crate::sip::Network;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The other end of the connection on which a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    address: IpAddr,
    tls: bool,
}

impl Peer {
    pub fn new(address: SocketAddr, tls: bool) -> Peer {
        Peer { address: address.ip().to_canonical(), tls }
    }

    /// As the listener has put it into the request.
    pub fn of(extensions: &Extensions) -> Peer {
        // Without a listener (a test of the router) it is nobody's address, and so no proxy's.
        extensions.get().copied().unwrap_or(Peer { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), tls: false })
    }

    /// Where the request comes from. Each proxy adds the address that it saw at the end of `X-Forwarded-For`: the last one
    /// that is no trusted proxy's is the client's, and what stands before it the client may have made up.
    pub fn client(&self, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
        let mut client = self.address;
        let lines: Vec<&str> = headers.get_all(&FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
        for forwarded in lines.iter().flat_map(|line| line.split(',')).rev() {
            if !is_trusted(client, trusted) {
                break;
            }
            let Some(address) = forwarded_address(forwarded) else { break };
            client = address;
        }
        client
    }

    /// Whether the client's own connection is encrypted.
    pub fn is_secure(&self, headers: &HeaderMap, trusted: &[Network]) -> bool {
        let forwarded =
            || headers.get(&FORWARDED_PROTO).is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"));
        self.tls || (is_trusted(self.address, trusted) && forwarded())
    }
}

fn is_trusted(address: IpAddr, trusted: &[Network]) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

/// With or without a port, as proxies differ.
fn forwarded_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()];
        Peer::new(SocketAddr::new(peer.parse().unwrap(), 1), false).client(&headers, &trusted).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        assert_eq!(client("192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &["198.51.100.1, 203.0.113.9, 10.0.0.2"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &["198.51.100.1", "203.0.113.9:4711"]), "203.0.113.9");
        assert_eq!(client("::1", &["[2001:db8::7]"]), "2001:db8::7");
        assert_eq!(client("::ffff:10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        for nothing in [&[][..], &[""], &["unknown"], &["203.0.113.9, _hidden"]] {
            assert_eq!(client("10.0.0.1", nothing), "10.0.0.1");
        }
    }

    #[test]
    fn tls_is_our_own_or_a_trusted_proxys() {
        let mut headers = HeaderMap::new();
        headers.insert(FORWARDED_PROTO, "https".parse().unwrap());
        let peer = |address: &str, tls| Peer::new(SocketAddr::new(address.parse().unwrap(), 1), tls);
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        assert!(peer("10.0.0.1", false).is_secure(&headers, &trusted));
        assert!(!peer("192.0.2.1", false).is_secure(&headers, &trusted));
        assert!(peer("192.0.2.1", true).is_secure(&HeaderMap::new(), &trusted));
    }
}
