//! What waits in a media socket, with the time when it came.
//!
//! A media thread looks at its sockets once per tick only, but how the network behaves, and so how long voice must be
//! delayed, is a matter of milliseconds. So the kernel stamps each datagram on arrival.
//!
//! One datagram is read per system call. `recvmmsg` was measured beside it (500 sockets, 50 packets a second each, a read
//! and a write per packet): as nearly always exactly one datagram waits, its own overhead costs more than a second
//! `recvmsg` that finds nothing, and most of those are spared, since the caller says when to read on.
//!
//! io_uring was measured, too, on the same sockets by turns: all receives and all sends of a tick in two calls, the sockets
//! registered. Where a bare read and write cost 1, they cost 0.86 there with 500 sockets and 0.93 with 2,000; with the stamps,
//! which a ring gives by `recvmsg` only, 0.94 and 1.05, and the same without a ring 1.03 and 1.13. It would save a fifteenth of
//! what a caller costs. Asking for the stamp apart (`SIOCGSTAMPNS`) saves nothing.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant, SystemTime};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;

/// The longest datagram that is read whole; a longer one is no voice packet, and is cut.
const DATAGRAM_BYTES: usize = 2_048;

/// The kernel's stamps are of the wall clock; everything here runs by the monotonic one. Both are read together, each tick.
#[derive(Debug, Clone, Copy)]
pub struct Clocks {
    pub now: Instant,
    wall: SystemTime,
}

impl Clocks {
    pub fn read() -> Clocks {
        Clocks { now: Instant::now(), wall: SystemTime::now() }
    }

    /// When a stamped datagram came. Never in the future, and never longer ago than a socket could have held it, should
    /// somebody set the wall clock.
    fn received_at(&self, stamp: TimeSpec) -> Instant {
        const HELD_MAX: Duration = Duration::from_secs(2);
        let since_epoch = Duration::from(stamp);
        let age = self.wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().saturating_sub(since_epoch);
        self.now.checked_sub(age.min(HELD_MAX)).unwrap_or(self.now)
    }
}

/// Reads datagrams into one buffer.
pub struct UdpDrain {
    buffer: Box<[u8; DATAGRAM_BYTES]>,
    control: Vec<u8>,
}

impl Default for UdpDrain {
    fn default() -> UdpDrain {
        UdpDrain { buffer: Box::new([0; DATAGRAM_BYTES]), control: nix::cmsg_space!(TimeSpec) }
    }
}

impl UdpDrain {
    /// Gives the datagrams that wait in a non-blocking socket to `take`, up to `limit` and as long as it says `true`.
    pub fn drain(
        &mut self,
        socket: &UdpSocket,
        clocks: &Clocks,
        limit: usize,
        mut take: impl FnMut(SocketAddr, Instant, &[u8]) -> bool,
    ) {
        for _ in 0..limit {
            let mut slices = [IoSliceMut::new(&mut self.buffer[..])];
            let flags = MsgFlags::MSG_DONTWAIT;
            let received = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(&mut self.control), flags);
            let (length, source, received_at) = match received {
                Ok(message) => {
                    let stamp = message.cmsgs().ok().and_then(|mut all| {
                        all.find_map(|control| match control {
                            ControlMessageOwned::ScmTimestampns(stamp) => Some(stamp),
                            _ => None,
                        })
                    });
                    let received_at = stamp.map_or(clocks.now, |stamp| clocks.received_at(stamp));
                    (message.bytes, message.address.as_ref().and_then(socket_address), received_at)
                }
                // A connected socket tells here that an earlier packet reached no port. The next read may bring one.
                Err(Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::ENETUNREACH | Errno::EINTR) => continue,
                Err(_) => return,
            };
            let Some(source) = source else { continue };
            let datagram = self.buffer.get(..length).unwrap_or_default();
            if !take(source, received_at, datagram) {
                return;
            }
        }
    }
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(address) = address.as_sockaddr_in() {
        return Some(SocketAddr::new(IpAddr::V4(address.ip()), address.port()));
    }
    let address = address.as_sockaddr_in6()?;
    Some(SocketAddr::new(IpAddr::V6(address.ip()), address.port()))
}

/// Asks the kernel to stamp what comes.
pub fn stamp_arrivals(socket: &UdpSocket) -> io::Result<()> {
    Ok(setsockopt(socket, sockopt::ReceiveTimestampns, &true)?)
}

/// Makes a connected socket listen to everybody again.
pub fn disconnect(socket: &UdpSocket) -> io::Result<()> {
    let unspecified = libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
    let length = size_of::<libc::sockaddr>() as libc::socklen_t;
    // SAFETY: the descriptor is open as long as `socket` is borrowed, and the kernel only reads `length` bytes of an
    // address that lives on this stack. (Neither the standard library nor nix can name the address family AF_UNSPEC, by
    // which connect(2) undoes a connection.)
    let result = unsafe { libc::connect(socket.as_raw_fd(), &unspecified, length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (UdpSocket, UdpSocket) {
        let bind = || UdpSocket::bind("127.0.0.1:0").unwrap();
        let (ours, theirs) = (bind(), bind());
        ours.set_nonblocking(true).unwrap();
        stamp_arrivals(&ours).unwrap();
        (ours, theirs)
    }

    fn drain(ours: &UdpSocket, limit: usize, on: bool) -> Vec<(SocketAddr, Instant, Vec<u8>)> {
        let mut read = Vec::new();
        UdpDrain::default().drain(ours, &Clocks::read(), limit, |source, at, datagram| {
            read.push((source, at, datagram.to_vec()));
            on
        });
        read
    }

    #[test]
    fn datagrams_come_in_order_with_their_source_and_their_time() {
        let (ours, theirs) = pair();
        // The kernel begins to stamp some time after the first socket of the machine has asked for it.
        let stamped = (0..100).any(|_| {
            let before = Instant::now();
            for number in 0..5u8 {
                theirs.send_to(&[number; 20], ours.local_addr().unwrap()).unwrap();
            }
            let after = Instant::now();
            std::thread::sleep(Duration::from_millis(20));
            let read = drain(&ours, 16, true);
            assert_eq!(read.len(), 5);
            for (number, (source, _, datagram)) in read.iter().enumerate() {
                assert_eq!((*source, &datagram[..]), (theirs.local_addr().unwrap(), &[number as u8; 20][..]));
            }
            let slack = Duration::from_millis(2);
            read.iter().all(|(_, at, _)| *at + slack >= before && *at <= after + slack)
        });
        assert!(stamped, "the stamp is of the reading, not of the arrival");
        assert!(drain(&ours, 16, true).is_empty());
    }

    #[test]
    fn the_limit_and_the_caller_end_the_reading() {
        let (ours, theirs) = pair();
        for _ in 0..5 {
            theirs.send_to(&[0; 3], ours.local_addr().unwrap()).unwrap();
        }
        assert_eq!(drain(&ours, 2, true).len(), 2);
        assert_eq!(drain(&ours, 16, false).len(), 1);
        assert_eq!(drain(&ours, 16, true).len(), 2);
    }

    #[test]
    fn a_disconnected_socket_hears_everybody_on_the_same_port() {
        let (found, theirs) = pair();
        let (_, stranger) = pair();
        let port = found.local_addr().unwrap();
        drop(found);
        // A port that was asked for stays when the connection goes; one that the kernel chose would not.
        let ours = UdpSocket::bind(port).unwrap();
        ours.set_nonblocking(true).unwrap();
        let to = ours.local_addr().unwrap();
        ours.connect(theirs.local_addr().unwrap()).unwrap();
        stranger.send_to(&[1], to).unwrap();
        theirs.send_to(&[2], to).unwrap();
        assert_eq!(drain(&ours, 16, true).iter().map(|read| read.2[0]).collect::<Vec<_>>(), [2]);
        disconnect(&ours).unwrap();
        assert_eq!(ours.local_addr().unwrap(), to);
        stranger.send_to(&[3], to).unwrap();
        assert_eq!(drain(&ours, 16, true).iter().map(|read| read.2[0]).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn a_refused_packet_does_not_hide_the_next_datagram() {
        let (ours, theirs) = pair();
        let gone = theirs.local_addr().unwrap();
        drop(theirs);
        ours.connect(gone).unwrap();
        let _ = ours.send(&[0]);
        let back = UdpSocket::bind(gone).unwrap();
        back.send_to(&[9], ours.local_addr().unwrap()).unwrap();
        assert_eq!(drain(&ours, 16, true).len(), 1);
    }
}
