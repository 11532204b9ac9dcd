//! SIP over UDP: one socket, one task that drains it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::route::Routes;
use super::sip_transport::{Drops, SipInput, canonical, has_room_for};
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

/// Brings every datagram to the engine until it is gone. When the engine's inputs are full the datagram is dropped, not
/// the socket blocked: SIP over UDP repeats itself, and a queue of stale requests helps nobody.
pub(super) async fn receive(
    socket: Arc<UdpSocket>,
    bound: SocketAddr,
    inputs: mpsc::Sender<SipInput>,
    routes: Arc<Routes>,
    drops: Arc<Drops>,
) {
    let mut buffer = BytesMut::zeroed(limits::SIP_MESSAGE_BYTES);
    loop {
        let Ok((length, remote)) = socket.recv_from(&mut buffer).await else {
            // An ICMP error of an earlier send; the socket itself is whole.
            continue;
        };
        let Some(datagram) = buffer.get(..length) else { continue };
        if !has_room_for(&inputs, length) {
            drops.received.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let remote = canonical(remote);
        let local = SocketAddr::new(routes.local_address(bound.ip(), remote.ip()), bound.port());
        let flow = Flow { transport: Transport::Udp, local, remote, connection: 0 };
        match inputs.try_send(SipInput::Message { flow, bytes: Bytes::copy_from_slice(datagram) }) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                drops.received.fetch_add(1, Ordering::Relaxed);
            }
            Err(mpsc::error::TrySendError::Closed(_)) => return,
        }
    }
}
