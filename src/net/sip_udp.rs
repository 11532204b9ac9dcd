//! SIP over UDP: one socket, one task that drains it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::route::Routes;
use super::sip_inputs::{Offered, SipSender};
use super::sip_transport::canonical;
use crate::sip::{Flow, Transport};
use crate::words::limits;

/// The kernel keeps this much while the engine is busy: a burst of some thousand INVITEs.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

pub(super) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    // The kernel may grant less; that only shortens the burst that fits.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

/// Brings every datagram that its source may send to the engine, until that is gone. The socket is never blocked: what the
/// kernel would drop then could be a trunk's.
pub(super) async fn receive(socket: Arc<UdpSocket>, bound: SocketAddr, inputs: SipSender, routes: Arc<Routes>) {
    let mut buffer = BytesMut::zeroed(limits::SIP_MESSAGE_BYTES);
    loop {
        let Ok((length, remote)) = socket.recv_from(&mut buffer).await else {
            // An ICMP error of an earlier send; the socket itself is whole.
            continue;
        };
        let Some(datagram) = buffer.get(..length) else { continue };
        let remote = canonical(remote);
        let Some(standing) = inputs.judge(remote, datagram) else { continue };
        let local = SocketAddr::new(routes.local_address(bound.ip(), remote.ip()), bound.port());
        let flow = Flow { transport: Transport::Udp, local, remote, connection: 0 };
        if inputs.offer_datagram(standing, flow, datagram) == Offered::Closed {
            return;
        }
    }
}
