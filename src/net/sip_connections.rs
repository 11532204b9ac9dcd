//! Which TCP connections are open. They are bounded for each address and over all; where no place is left, the one that was
//! silent longest makes room. A stranger never takes a trunk's place.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::sip_sources::{Standing, network_of};
use super::sip_transport::Drops;
use crate::words::limits;

/// Messages that wait for a peer that reads slowly.
const QUEUED_MESSAGES: usize = 64;

/// The open connections by number.
pub struct Connections {
    open: Mutex<Open>,
    next: AtomicU64,
    drops: Arc<Drops>,
}

#[derive(Default)]
struct Open {
    connections: HashMap<u64, Connection>,
    per_source: HashMap<IpAddr, usize>,
    strangers: usize,
}

struct Connection {
    /// Its address; a stranger's IPv6 network.
    source: IpAddr,
    standing: Standing,
    queue: mpsc::Sender<Bytes>,
    /// When it was opened, or brought its last message.
    heard_at: Instant,
}

impl Connections {
    pub(super) fn new(drops: Arc<Drops>) -> Connections {
        Connections { open: Mutex::default(), next: AtomicU64::new(1), drops }
    }

    /// Queues a message. `false` where the connection is gone or its peer does not read.
    pub(super) fn send(&self, connection: u64, bytes: Bytes) -> bool {
        let mut open = self.lock();
        let Some(to) = open.connections.get(&connection) else { return false };
        let taken = to.queue.try_send(bytes).is_ok();
        if !taken {
            // Without its queue the connection's writer ends, and with it the connection.
            open.remove(connection);
        }
        taken
    }

    /// Takes a place for a new connection, or `None` where there is none to be had.
    pub(super) fn enter(&self, address: IpAddr, standing: Standing) -> Option<(u64, mpsc::Receiver<Bytes>)> {
        let mut open = self.lock();
        let (source, at_most) = match standing {
            Standing::Trunk => (address, limits::TCP_CONNECTIONS_PER_ADDRESS),
            Standing::Stranger => (network_of(address), limits::TCP_CONNECTIONS_PER_STRANGER),
        };
        if open.per_source.get(&source).is_some_and(|count| *count >= at_most) || !self.make_room(&mut open, standing) {
            self.drops.connections.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let connection = self.next.fetch_add(1, Ordering::Relaxed);
        let (queue, queued) = mpsc::channel(QUEUED_MESSAGES);
        open.insert(connection, Connection { source, standing, queue, heard_at: Instant::now() });
        Some((connection, queued))
    }

    /// It has brought a message.
    pub(super) fn heard(&self, connection: u64) {
        if let Some(connection) = self.lock().connections.get_mut(&connection) {
            connection.heard_at = Instant::now();
        }
    }

    pub(super) fn leave(&self, connection: u64) {
        self.lock().remove(connection);
    }

    /// Whether there is a place, after the longest silent connection has given up its own where it must.
    fn make_room(&self, open: &mut Open, standing: Standing) -> bool {
        let is_full = open.connections.len() >= limits::TCP_CONNECTIONS;
        let victim = match standing {
            Standing::Stranger if is_full || open.strangers >= limits::TCP_CONNECTIONS_OF_STRANGERS => {
                open.longest_silent(Some(Standing::Stranger))
            }
            Standing::Trunk if is_full => open.longest_silent(Some(Standing::Stranger)).or(open.longest_silent(None)),
            _ => return true,
        };
        if let Some(victim) = victim {
            self.drops.evicted.fetch_add(1, Ordering::Relaxed);
            open.remove(victim);
        }
        victim.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Open {
    fn insert(&mut self, number: u64, connection: Connection) {
        let count = self.per_source.entry(connection.source).or_default();
        *count = count.saturating_add(1);
        self.strangers = self.strangers.saturating_add(usize::from(connection.standing == Standing::Stranger));
        self.connections.insert(number, connection);
    }

    fn remove(&mut self, number: u64) {
        let Some(connection) = self.connections.remove(&number) else { return };
        self.strangers = self.strangers.saturating_sub(usize::from(connection.standing == Standing::Stranger));
        if let Some(count) = self.per_source.get_mut(&connection.source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.per_source.remove(&connection.source);
            }
        }
    }

    fn longest_silent(&self, standing: Option<Standing>) -> Option<u64> {
        let of_standing = |connection: &Connection| standing.is_none_or(|standing| connection.standing == standing);
        let candidates = self.connections.iter().filter(|(_, connection)| of_standing(connection));
        candidates.min_by_key(|(_, connection)| connection.heard_at).map(|(number, _)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: usize) -> IpAddr {
        IpAddr::from(u32::try_from(0x0A00_0000 + number).unwrap().to_be_bytes())
    }

    #[test]
    fn the_longest_silent_one_makes_room_and_a_stranger_never_takes_a_trunks_place() {
        let drops = Arc::new(Drops::default());
        let connections = Connections::new(drops.clone());
        let is_open = |number: u64| connections.lock().connections.contains_key(&number);
        let enter = |number: usize, standing| connections.enter(address(number), standing);
        let strangers: Vec<_> = (0..100).filter_map(|number| enter(number, Standing::Stranger)).collect();
        assert_eq!(strangers.len(), 100, "each takes the place of the oldest");
        assert_eq!(connections.lock().connections.len(), limits::TCP_CONNECTIONS_OF_STRANGERS);
        assert!(!is_open(strangers[0].0) && is_open(strangers[99].0));

        let mut trunks: Vec<_> = (0..limits::TCP_CONNECTIONS).map(|n| enter(n, Standing::Trunk).unwrap()).collect();
        assert!(!is_open(strangers[99].0), "strangers go first");
        assert!(enter(5_000, Standing::Stranger).is_none(), "and get nobody else's place");
        connections.heard(trunks[0].0);
        assert!(enter(5_001, Standing::Trunk).is_some());
        assert!(is_open(trunks[0].0) && !is_open(trunks[1].0));
        assert!(trunks[1].1.try_recv().is_err_and(|error| error == mpsc::error::TryRecvError::Disconnected));
        assert_eq!(drops.connections.load(Ordering::Relaxed), 1);
        let numbers: Vec<u64> = connections.lock().connections.keys().copied().collect();
        numbers.into_iter().chain([1, 2, 3]).for_each(|number| connections.leave(number));
        let open = connections.lock();
        assert!(open.per_source.is_empty() && open.strangers == 0);
    }

    #[test]
    fn one_source_has_its_number_and_an_ipv6_network_is_one_source() {
        let connections = Connections::new(Arc::default());
        let trunk = (0..100).filter(|_| connections.enter(address(1), Standing::Trunk).is_some()).count();
        assert_eq!(trunk, limits::TCP_CONNECTIONS_PER_ADDRESS);
        let hosts = (0..100).map(|host| format!("2001:db8::{host:x}").parse().unwrap());
        let stranger = hosts.filter(|host| connections.enter(*host, Standing::Stranger).is_some()).count();
        assert_eq!(stranger, limits::TCP_CONNECTIONS_PER_STRANGER);
    }
}
