//! Which RTP port pairs are free, and how one is opened.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use socket2::{Domain, Protocol, Socket, Type};

use super::udp_drain::stamp_arrivals;

/// The free pairs of a port range: RTP on the even port, RTCP on the odd one above it (RFC 3550 section 11).
///
/// They are given out in turn from a random start, so a pair rests as long as it can after a call: late packets of the
/// old call meet no new one, and the next port can't be told from outside.
#[derive(Debug)]
pub struct PortPool {
    /// RTP ports, the longest free first.
    free: VecDeque<u16>,
    pairs: usize,
    random: StdRng,
}

impl PortPool {
    /// `ports` as in `rtp.ports`; a lone port at either end is not used.
    pub fn new(ports: RangeInclusive<u16>, random: &mut StdRng) -> PortPool {
        let (first, last) = ports.into_inner();
        let mut free: VecDeque<u16> = (first..=last).filter(|&port| port % 2 == 0 && port < last && port > 0).collect();
        if !free.is_empty() {
            free.rotate_left(random.random_range(0..free.len()));
        }
        PortPool { pairs: free.len(), free, random: StdRng::from_rng(random) }
    }

    /// The RTP port of a pair that was free longest.
    pub fn take(&mut self) -> Option<u16> {
        self.free.pop_front()
    }

    /// A pair is free again.
    pub fn release(&mut self, rtp_port: u16) {
        debug_assert!(!self.free.contains(&rtp_port), "port {rtp_port} released twice");
        self.free.push_back(rtp_port);
    }

    /// The next pair comes from a random place of the range: where another program holds one port, it holds its neighbours.
    pub fn jump(&mut self) {
        if !self.free.is_empty() {
            self.free.rotate_left(self.random.random_range(0..self.free.len()));
        }
    }

    pub fn free(&self) -> usize {
        self.free.len()
    }

    pub fn pairs(&self) -> usize {
        self.pairs
    }
}

/// The sockets of one leg.
#[derive(Debug)]
pub struct PortPair {
    pub rtp: UdpSocket,
    pub rtcp: UdpSocket,
}

/// About a second of packets, should the media thread stall; what is older is of no use to anybody.
const RTP_RECEIVE_BUFFER_BYTES: usize = 64 * 1024;
const RTCP_RECEIVE_BUFFER_BYTES: usize = 8 * 1024;

/// Expedited forwarding (RFC 3246), as voice is marked (RFC 4594): DSCP 46 in the upper six bits.
const EXPEDITED_FORWARDING: u32 = 46 << 2;

/// Opens a pair, non-blocking, with arrivals stamped.
pub fn open_pair(address: IpAddr, rtp_port: u16) -> io::Result<PortPair> {
    let rtp = open(SocketAddr::new(address, rtp_port), RTP_RECEIVE_BUFFER_BYTES)?;
    let rtcp = open(SocketAddr::new(address, rtp_port.saturating_add(1)), RTCP_RECEIVE_BUFFER_BYTES)?;
    Ok(PortPair { rtp, rtcp })
}

fn open(address: SocketAddr, receive_buffer_bytes: usize) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
    // Marking is a courtesy to the network: where it isn't allowed the call goes on without.
    let _ = if address.is_ipv6() {
        socket.set_only_v6(true)?;
        socket.set_tclass_v6(EXPEDITED_FORWARDING)
    } else {
        socket.set_tos_v4(EXPEDITED_FORWARDING)
    };
    socket.set_recv_buffer_size(receive_buffer_bytes)?;
    socket.bind(&address.into())?;
    let socket = UdpSocket::from(socket);
    stamp_arrivals(&socket)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_even_within_the_range_and_given_out_once() {
        for (range, expected) in
            [(20_000..=20_009, 5), (20_001..=20_008, 3), (20_001..=20_001, 0), (65_534..=65_535, 1)]
        {
            let mut pool = PortPool::new(range.clone(), &mut StdRng::seed_from_u64(1));
            let mut taken: Vec<u16> = std::iter::from_fn(|| pool.take()).collect();
            taken.sort();
            assert_eq!(taken.len(), expected);
            assert_eq!(pool.pairs(), expected);
            assert!(taken.iter().all(|port| port % 2 == 0 && range.contains(port) && range.contains(&(port + 1))));
            assert!(taken.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }

    #[test]
    fn a_freed_pair_comes_last_and_the_start_is_random() {
        let pool = |seed| PortPool::new(20_000..=29_999, &mut StdRng::seed_from_u64(seed));
        assert_ne!(pool(1).take(), pool(2).take());
        let mut pool = pool(1);
        let first = pool.take().unwrap();
        pool.release(first);
        for _ in 1..5_000 {
            assert_ne!(pool.take(), Some(first));
        }
        assert_eq!(pool.take(), Some(first));
        assert_eq!(pool.take(), None);
    }

    #[test]
    fn a_jump_leaves_a_run_of_foreign_ports_behind_and_loses_no_pair() {
        let mut pool = PortPool::new(20_000..=29_999, &mut StdRng::seed_from_u64(1));
        // Another program holds the 1,000 pairs that would come next.
        let foreign: Vec<u16> = pool.free.iter().copied().take(1_000).collect();
        let tries = (1..).find(|_| {
            let port = pool.take().unwrap();
            let ours = !foreign.contains(&port);
            pool.release(port);
            pool.jump();
            ours
        });
        assert!(tries < Some(20), "{tries:?}");
        assert_eq!(pool.free(), 5_000);
    }

    #[test]
    fn a_pair_is_open_on_both_ports_or_not_at_all() {
        let loopback = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
        let mut pool = PortPool::new(41_000..=41_999, &mut StdRng::seed_from_u64(std::process::id().into()));
        let (port, pair) =
            std::iter::from_fn(|| pool.take()).find_map(|port| Some((port, open_pair(loopback, port).ok()?))).unwrap();
        assert_eq!(pair.rtp.local_addr().unwrap().port(), port);
        assert_eq!(pair.rtcp.local_addr().unwrap().port(), port + 1);
        assert_eq!(open_pair(loopback, port).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
