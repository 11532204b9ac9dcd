//! The SIP front end's sockets: bound at start, read into bounded queues, written without ever waiting.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

use super::route::Routes;
use super::sip_connections::Connections;
use super::sip_inputs::SipSender;
use super::sip_sources::Excess;
use super::{sip_tcp, sip_udp};
use crate::sip::{Transmit, Transport};

/// A socket could not be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error(
        "sip.listen: {transport} {address} can't be bound: {source} (is another SIP server running? choose another with --set sip.listen=ADDRESS:PORT)"
    )]
    Bind { transport: &'static str, address: SocketAddr, source: std::io::Error },
}

/// Counts of what was dropped at the sockets, for `/metrics`.
#[derive(Debug, Default)]
pub struct Drops {
    /// Datagrams that came while the engine's inputs were full.
    pub received: AtomicU64,
    /// Messages that a socket would not take at once. SIP sends them again.
    pub sent: AtomicU64,
    /// Connections refused for a limit.
    pub connections: AtomicU64,
    /// Connections closed to make room for others.
    pub evicted: AtomicU64,
    /// Messages of sources that sent more than they may, as [`Excess::ALL`] has them.
    excess: [AtomicU64; Excess::ALL.len()],
}

impl Drops {
    pub(super) fn count_excess(&self, why: Excess) {
        if let Some(count) = self.excess.get(why as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn excess(&self) -> [(Excess, u64); Excess::ALL.len()] {
        Excess::ALL.map(|why| (why, self.excess.get(why as usize).map_or(0, |count| count.load(Ordering::Relaxed))))
    }
}

/// All bound sockets. Dropping it ends their tasks.
pub struct SipTransport {
    udp: Vec<(SocketAddr, Arc<UdpSocket>)>,
    connections: Arc<Connections>,
    pub drops: Arc<Drops>,
    addresses: Vec<SocketAddr>,
    _tasks: JoinSet<()>,
}

impl SipTransport {
    /// Binds UDP and TCP at every address of `listen`; with port 0 both get the same free port.
    ///
    /// # Errors
    /// The first address that can't be bound, with the reason.
    pub async fn bind(
        listen: &[SocketAddr],
        inputs: SipSender,
        routes: Arc<Routes>,
    ) -> Result<SipTransport, BindError> {
        let drops = inputs.drops().clone();
        let connections = Arc::new(Connections::new(drops.clone()));
        let mut transport =
            SipTransport { udp: Vec::new(), connections, drops, addresses: Vec::new(), _tasks: JoinSet::new() };
        for &address in listen {
            let (udp, tcp) = bind_pair(address).await?;
            let bound = udp.local_addr().unwrap_or(address);
            let udp = Arc::new(udp);
            transport.addresses.push(bound);
            transport.udp.push((bound, udp.clone()));
            transport._tasks.spawn(sip_udp::receive(udp, bound, inputs.clone(), routes.clone()));
            transport._tasks.spawn(sip_tcp::accept(tcp, transport.connections.clone(), inputs.clone()));
        }
        Ok(transport)
    }

    /// The addresses that are really bound.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Sends, or drops and counts: the engine never waits for a socket, and SIP repeats what matters.
    pub fn transmit(&self, transmit: Transmit) {
        let sent = match transmit.flow.transport {
            Transport::Udp => self
                .socket_for(transmit.flow.local)
                .is_some_and(|socket| socket.try_send_to(&transmit.bytes, transmit.flow.remote).is_ok()),
            Transport::Tcp => self.connections.send(transmit.flow.connection, transmit.bytes),
        };
        if !sent {
            self.drops.sent.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The socket that a flow came in by: same port, and its address or the unspecified one of the same family.
    fn socket_for(&self, local: SocketAddr) -> Option<&UdpSocket> {
        let serves = |bound: &SocketAddr| {
            bound.port() == local.port()
                && (bound.ip() == local.ip() || (bound.ip().is_unspecified() && bound.is_ipv4() == local.is_ipv4()))
        };
        self.udp.iter().find(|(bound, _)| serves(bound)).map(|(_, socket)| socket.as_ref())
    }
}

/// UDP and TCP on the same port. A free port for one may be taken for the other: then the next free one is tried.
async fn bind_pair(address: SocketAddr) -> Result<(UdpSocket, TcpListener), BindError> {
    const TRIES: u32 = 16;
    let fail = |transport, address, source| BindError::Bind { transport, address, source };
    let mut tries = 0;
    loop {
        let udp = sip_udp::bind(address).map_err(|error| fail("UDP", address, error))?;
        let bound = udp.local_addr().map_err(|error| fail("UDP", address, error))?;
        tries += 1;
        match TcpListener::bind(bound).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(_) if address.port() == 0 && tries < TRIES => {}
            Err(error) => return Err(fail("TCP", bound, error)),
        }
    }
}

/// `::ffff:192.0.2.1` is IPv4 that came through an IPv6 socket: SIP and SDP must say `192.0.2.1`.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V6(ip) => SocketAddr::new(ip.to_canonical(), address.port()),
        IpAddr::V4(_) => address,
    }
}
