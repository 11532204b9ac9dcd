//! Via (RFC 3261 section 20.42), with `rport` (RFC 3581).

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;

use super::params::Params;
use super::scan::{ValueError, cut, is_token, piece, trim};
use super::uri::Host;

/// What a branch begins with when it identifies a transaction (RFC 3261 section 8.1.1.7).
const MAGIC_COOKIE: &[u8] = b"z9hG4bK";

/// The transport that a Via names. Unknown ones are fine everywhere but at the top of a message that one sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViaTransport {
    Udp,
    Tcp,
    Tls,
    Other(Bytes),
}

impl ViaTransport {
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            ViaTransport::Udp => b"UDP",
            ViaTransport::Tcp => b"TCP",
            ViaTransport::Tls => b"TLS",
            ViaTransport::Other(name) => name,
        }
    }
}

/// One hop.
#[derive(Clone, PartialEq, Eq)]
pub struct Via {
    pub transport: ViaTransport,
    /// The sender's own idea of its address.
    pub host: Host,
    pub port: Option<u16>,
    pub params: Params,
}

impl Via {
    /// A hop of our own: `branch` with its magic cookie, and `rport`, which asks for the answer to where we sent from.
    pub fn new(transport: ViaTransport, sent_by: SocketAddr, branch: impl Into<Bytes>) -> Via {
        Via {
            transport,
            host: sent_by.ip().into(),
            port: Some(sent_by.port()),
            params: Params::new().with("branch", Some(branch)).with("rport", None::<Bytes>),
        }
    }

    /// Reads one value of a Via header. The protocol's name and version may be any tokens: a request of another version
    /// is answered 505, and for that its Via must be read.
    pub fn parse(text: &[u8]) -> Result<Via, ValueError> {
        Self::parse_bytes(&Bytes::copy_from_slice(text))
    }

    /// [`Via::parse`] without a copy: the pieces share the memory of `whole`.
    pub fn parse_bytes(whole: &Bytes) -> Result<Via, ValueError> {
        let malformed = ValueError("malformed Via");
        let slash = |text: &[u8]| text.iter().position(|&byte| byte == b'/').ok_or(malformed);
        let (name, rest) = cut(whole, slash(whole)?);
        let (version, rest) = cut(rest, slash(rest)?);
        let rest = trim(rest);
        let blank = rest.iter().position(|byte| b" \t".contains(byte)).ok_or(malformed)?;
        let (transport, rest) = cut(rest, blank);
        if ![trim(name), trim(version), transport].into_iter().all(is_token) {
            return Err(malformed);
        }
        let (sent_by, params) = match rest.iter().position(|&byte| byte == b';') {
            Some(at) => cut(rest, at),
            None => (rest, &[][..]),
        };
        let (host, port) = Host::parse_with_port(whole, trim(sent_by))?;
        let transport = match transport {
            name if name.eq_ignore_ascii_case(b"UDP") => ViaTransport::Udp,
            name if name.eq_ignore_ascii_case(b"TCP") => ViaTransport::Tcp,
            name if name.eq_ignore_ascii_case(b"TLS") => ViaTransport::Tls,
            name => ViaTransport::Other(piece(whole, name)),
        };
        Ok(Via { transport, host, port, params: Params::parse(whole, params)? })
    }

    /// The branch as it is.
    pub fn branch(&self) -> Option<&Bytes> {
        self.params.get("branch")
    }

    /// The branch where it identifies the transaction. `None` from an element of RFC 2543, and where nothing follows the
    /// magic cookie (RFC 4475 section 3.2.1): such a request is matched by its other headers (RFC 3261 section 17.2.3).
    pub fn unique_branch(&self) -> Option<&Bytes> {
        self.branch().filter(|branch| {
            branch.len() > MAGIC_COOKIE.len()
                && branch.get(..MAGIC_COOKIE.len()).is_some_and(|cookie| cookie.eq_ignore_ascii_case(MAGIC_COOKIE))
        })
    }

    /// Whether the sender asks for the answer to the port it sent from.
    pub fn wants_rport(&self) -> bool {
        self.params.has("rport")
    }

    /// Writes down where the request came from: `received` where it differs from sent-by or `rport` is asked for
    /// (RFC 3261 section 18.2.1, RFC 3581 section 4), and `rport`'s value. A `received` of the sender's own is not believed.
    pub fn stamp(&mut self, source: SocketAddr) {
        let source_ip = source.ip().to_canonical();
        let asked = self.wants_rport();
        if asked {
            self.params.set("rport", Some(source.port().to_string()));
        }
        if asked || self.host.ip().map(|address| address.to_canonical()) != Some(source_ip) {
            self.params.set("received", Some(source_ip.to_string()));
        } else {
            self.params.remove("received");
        }
    }

    /// For the wire.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(96);
        out.extend_from_slice(b"SIP/2.0/");
        out.extend_from_slice(self.transport.as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.host.to_string().as_bytes());
        if let Some(port) = self.port {
            out.extend_from_slice(format!(":{port}").as_bytes());
        }
        self.params.write_to(&mut out);
        out.into()
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}

impl fmt::Debug for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Via {
        Via::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn blanks_where_the_grammar_allows_them() {
        let via = parse(" SIP  /    2.0   / UDP  192.168.255.111   ; branch= z9hG4bK30239 ");
        assert_eq!(via.to_bytes(), "SIP/2.0/UDP 192.168.255.111;branch=z9hG4bK30239");
        assert_eq!(parse("SIP/2.0/tcp host : 5070").port, Some(5070));
    }

    #[test]
    fn branches() {
        let branch = |text: &str| parse(text).unique_branch().cloned();
        assert_eq!(branch("SIP/2.0/UDP h;branch=z9hG4bKas3-111").unwrap(), "z9hG4bKas3-111");
        assert_eq!(branch("SIP/2.0/UDP h;branch=z9hG4bK"), None);
        assert_eq!(branch("SIP/2.0/UDP h;branch=390skdjuw"), None);
        assert_eq!(branch("SIP/2.0/UDP h"), None);
        assert_eq!(parse("SIP/2.0/TCP h;branch=z9hG4bK-.!%66*_+`'~").branch().unwrap(), "z9hG4bK-.!%66*_+`'~");
    }

    #[test]
    fn the_source_is_stamped() {
        let source: SocketAddr = "192.0.2.9:40000".parse().unwrap();
        let stamped = |text: &str, source: SocketAddr| {
            let mut via = parse(text);
            via.stamp(source);
            via.to_string()
        };
        assert_eq!(stamped("SIP/2.0/UDP 192.0.2.9:5060;branch=x", source), "SIP/2.0/UDP 192.0.2.9:5060;branch=x");
        assert_eq!(
            stamped("SIP/2.0/UDP host;branch=x;received=1.2.3.4", source),
            "SIP/2.0/UDP host;branch=x;received=192.0.2.9"
        );
        assert_eq!(
            stamped("SIP/2.0/UDP 192.0.2.9;rport;branch=x", source),
            "SIP/2.0/UDP 192.0.2.9;rport=40000;branch=x;received=192.0.2.9"
        );
        assert_eq!(stamped("SIP/2.0/UDP 192.0.2.9;received=1.2.3.4", source), "SIP/2.0/UDP 192.0.2.9");
        let mapped: SocketAddr = "[::ffff:192.0.2.9]:5060".parse().unwrap();
        assert_eq!(stamped("SIP/2.0/UDP 192.0.2.9", mapped), "SIP/2.0/UDP 192.0.2.9");
    }

    #[test]
    fn malformed_ones_are_refused() {
        for bad in
            ["", ";", "SIP/2.0/UDP", "SIP/2.0/UDP ", "SIP/2.0 UDP host", "SIP/2.0/U DP ho st", "SIP/2.0/UDP ;branch=x"]
        {
            assert!(Via::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
