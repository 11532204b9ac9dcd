//! Many datagrams in one system call, each received one with the time at which the kernel had it: what is measured does
//! not depend on when the generator comes to read it.

use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt, sockopt,
};
use nix::sys::time::TimeSpec;

use super::clock::Stamp;

/// Datagrams in one system call.
const BATCH: usize = 64;

/// The longest datagram that is read whole: an answer to an INVITE, with room.
const DATAGRAM_BYTES: usize = 4096;

/// Wished for each socket; the kernel gives up to `net.core.rmem_max`.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// A non-blocking socket whose datagrams are stamped by the kernel.
pub fn stamped_socket() -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    prepare(&socket)?;
    Ok(socket)
}

/// Two sockets, the first on an even port and the second on the one above it, as RTP and RTCP want them.
pub fn stamped_pair() -> std::io::Result<(UdpSocket, UdpSocket)> {
    loop {
        let rtp = UdpSocket::bind("127.0.0.1:0")?;
        let port = rtp.local_addr()?.port();
        if port % 2 == 0
            && let Ok(rtcp) = UdpSocket::bind(("127.0.0.1", port + 1))
        {
            prepare(&rtp)?;
            return Ok((rtp, rtcp));
        }
    }
}

fn prepare(socket: &UdpSocket) -> std::io::Result<()> {
    socket.set_nonblocking(true)?;
    setsockopt(socket, sockopt::RcvBuf, &RECEIVE_BUFFER_BYTES)?;
    setsockopt(socket, sockopt::ReceiveTimestampns, &true)?;
    Ok(())
}

/// The buffers that datagrams are read into.
pub struct Inbox {
    headers: MultiHeaders<SockaddrIn>,
    buffers: Vec<[u8; DATAGRAM_BYTES]>,
}

impl Inbox {
    pub fn new() -> Inbox {
        Inbox {
            headers: MultiHeaders::preallocate(BATCH, Some(cmsg_space!(TimeSpec))),
            buffers: vec![[0; DATAGRAM_BYTES]; BATCH],
        }
    }

    /// Reads whatever there is.
    pub fn drain(&mut self, socket: &UdpSocket, mut each: impl FnMut(Option<SocketAddrV4>, Stamp, &[u8])) {
        loop {
            let mut slices: Vec<[IoSliceMut; 1]> =
                self.buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
            let read = recvmmsg(socket.as_raw_fd(), &mut self.headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None);
            // Nothing there, or the refusal of an earlier datagram: the next round reads on.
            let Ok(messages) = read else { return };
            let mut count = 0;
            for message in messages {
                count += 1;
                let source = message.address.map(|address| SocketAddrV4::new(address.ip(), address.port()));
                let stamp = message.cmsgs().ok().and_then(|mut all| all.find_map(|one| stamp_of(&one)));
                if let Some(bytes) = message.iovs().next() {
                    each(source, stamp.unwrap_or_else(Stamp::now), bytes);
                }
            }
            if count < BATCH {
                return;
            }
        }
    }
}

fn stamp_of(message: &ControlMessageOwned) -> Option<Stamp> {
    match message {
        ControlMessageOwned::ScmTimestampns(time) => Some(Stamp::from_duration(Duration::from(*time))),
        _ => None,
    }
}

/// What is to be sent through one socket.
pub struct Outbox {
    headers: MultiHeaders<SockaddrIn>,
}

impl Outbox {
    pub fn new() -> Outbox {
        Outbox { headers: MultiHeaders::preallocate(BATCH, None) }
    }

    /// Sends each packet to its address. Returns how many the kernel did not take.
    pub fn send(&mut self, socket: &UdpSocket, packets: &[(SocketAddrV4, &[u8])]) -> usize {
        let mut refused = 0;
        let mut left = packets;
        while !left.is_empty() {
            let batch = &left[..left.len().min(BATCH)];
            let slices: Vec<[IoSlice; 1]> = batch.iter().map(|(_, bytes)| [IoSlice::new(bytes)]).collect();
            let addresses: Vec<Option<SockaddrIn>> = batch.iter().map(|(to, _)| Some(SockaddrIn::from(*to))).collect();
            let no_control: [ControlMessage; 0] = [];
            let flags = MsgFlags::MSG_DONTWAIT;
            let sent = sendmmsg(socket.as_raw_fd(), &mut self.headers, slices.iter(), addresses, no_control, flags);
            let sent = match sent {
                Ok(results) => results.count(),
                Err(Errno::EINTR) => 0,
                Err(_) => {
                    refused += 1;
                    1
                }
            };
            left = &left[sent..];
        }
        refused
    }
}
