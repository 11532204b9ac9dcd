//! Where a message came from, and where one goes.

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;

/// How SIP messages travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    Udp,
    Tcp,
}

impl Transport {
    /// As a Via header names it (RFC 3261 section 20.42).
    pub fn name(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        }
    }

    /// Whether the transport delivers in order or breaks, so that nothing is retransmitted over it.
    pub fn is_reliable(self) -> bool {
        self == Transport::Tcp
    }
}

/// One path between this endpoint and a peer: a pair of UDP addresses, or one TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flow {
    pub transport: Transport,
    /// Our address. Never unspecified where the shell can know it: it stands in Via and Contact unless the
    /// configuration advertises another one.
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// The shell's number for a TCP connection, never reused; 0 for UDP.
    pub connection: u64,
}

impl Flow {
    pub fn udp(local: SocketAddr, remote: SocketAddr) -> Flow {
        Flow { transport: Transport::Udp, local, remote, connection: 0 }
    }

    pub fn tcp(local: SocketAddr, remote: SocketAddr, connection: u64) -> Flow {
        Flow { transport: Transport::Tcp, local, remote, connection }
    }
}

/// One message to send: one datagram, or the next octets of a TCP connection (which may be gone by then: drop it).
/// `Debug` does not show the bytes: an INFO's body is what somebody typed.
#[derive(Clone, PartialEq, Eq)]
pub struct Transmit {
    pub flow: Flow,
    pub bytes: Bytes,
}

impl fmt::Debug for Transmit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes to {:?}", self.bytes.len(), self.flow)
    }
}
