//! The way from the SIP sockets to the engine: two bounded queues. What trunks send is always taken first, so that no flood
//! of strangers makes them wait; and each message is weighed by its source before it may join a queue.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::{TryRecvError, TrySendError};

use super::sip_sources::{Dropped, Excess, Sources, Standing};
use super::sip_transport::Drops;
use crate::sip::Flow;
use crate::words::limits;

/// What the sockets bring.
#[derive(Debug)]
pub enum SipInput {
    /// One datagram, or one framed message of a stream.
    Message { flow: Flow, bytes: Bytes },
    /// The TCP connection of this number is gone.
    ConnectionLost { connection: u64 },
}

/// A message larger than this waits for the engine only while few others do. Without this bound a flood of 64 KiB each
/// would fill the engine's queue with a gigabyte.
const LARGE_BYTES: usize = 4 * 1024;
const LARGE_BEHIND_AT_MOST: usize = 256;

/// Strangers' messages that wait: at most 16 MiB, and a few milliseconds of work.
const STRANGERS_BEHIND: usize = 256;

/// Whether a message joined a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offered {
    Taken,
    /// The engine is behind.
    Behind,
    /// There is no engine any more.
    Closed,
}

/// The sockets' end.
#[derive(Clone)]
pub struct SipSender {
    trunks: mpsc::Sender<SipInput>,
    strangers: mpsc::Sender<SipInput>,
    sources: Arc<Mutex<Sources>>,
    drops: Arc<Drops>,
}

/// The engine's end.
pub struct SipReceiver {
    trunks: mpsc::Receiver<SipInput>,
    strangers: mpsc::Receiver<SipInput>,
}

/// Both ends, and the counts of what was dropped between them.
pub fn sip_inputs(sources: Sources) -> (SipSender, SipReceiver) {
    let (trunks, from_trunks) = mpsc::channel(limits::ENGINE_INPUTS);
    let (strangers, from_strangers) = mpsc::channel(STRANGERS_BEHIND);
    let sender = SipSender { trunks, strangers, sources: Arc::new(Mutex::new(sources)), drops: Arc::default() };
    (sender, SipReceiver { trunks: from_trunks, strangers: from_strangers })
}

impl SipSender {
    pub fn drops(&self) -> &Arc<Drops> {
        &self.drops
    }

    pub(super) fn standing(&self, source: SocketAddr) -> Standing {
        self.sources().standing(source.ip())
    }

    /// Whether a trunk's message, which can wait where it is, may be taken now.
    pub(super) fn may_pass(&self, source: SocketAddr, message: &[u8]) -> bool {
        self.sources().weigh(Instant::now(), source.ip(), message).is_ok()
    }

    /// Weighs a message by its source. Where it is too much it is counted, and told if it is not one of a flood.
    pub(super) fn judge(&self, source: SocketAddr, message: &[u8]) -> Option<Standing> {
        let judged = self.sources().judge(Instant::now(), source.ip(), message);
        match judged {
            Ok(standing) => Some(standing),
            Err(dropped) => {
                self.note(source, dropped);
                None
            }
        }
    }

    /// Queues a message that was found to be no excess.
    pub(super) fn offer(&self, standing: Standing, flow: Flow, bytes: Bytes) -> Offered {
        let queue = match standing {
            Standing::Trunk => &self.trunks,
            Standing::Stranger => &self.strangers,
        };
        let behind = queue.max_capacity().saturating_sub(queue.capacity());
        if bytes.len() > LARGE_BYTES && behind >= LARGE_BEHIND_AT_MOST {
            return Offered::Behind;
        }
        match queue.try_send(SipInput::Message { flow, bytes }) {
            Ok(()) => Offered::Taken,
            Err(TrySendError::Full(_)) => Offered::Behind,
            Err(TrySendError::Closed(_)) => Offered::Closed,
        }
    }

    /// One datagram: where it can't be taken at once it is dropped. SIP over UDP repeats itself, and a queue of stale
    /// requests helps nobody.
    pub(super) fn offer_datagram(&self, standing: Standing, flow: Flow, datagram: &[u8]) -> Offered {
        let offered = self.offer(standing, flow, Bytes::copy_from_slice(datagram));
        if offered == Offered::Behind {
            self.note_behind();
        }
        offered
    }

    pub(super) fn note_behind(&self) {
        self.drops.received.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) async fn connection_lost(&self, connection: u64) {
        let _ = self.trunks.send(SipInput::ConnectionLost { connection }).await;
    }

    fn note(&self, source: SocketAddr, Dropped { why, told }: Dropped) {
        self.drops.count_excess(why);
        let Some(suppressed) = told else { return };
        let suppressed = Some(suppressed).filter(|count| *count > 0);
        let (what, advice) = match why {
            Excess::Source => ("more SIP than its calls can need", "limits.calls_per_second sets the measure"),
            Excess::Questions => ("more OPTIONS, REGISTER or garbage than a trunk has to send", "they are no calls"),
            Excess::Trunk => ("with others of its trunk more SIP than calls can need", "are they all yours?"),
            Excess::Stranger | Excess::AllStrangers => ("too much SIP, and is in no trunk", "is sip.trunks complete?"),
        };
        tracing::warn!(%source, suppressed, "SIP dropped: the source sends {what} ({advice})");
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl SipReceiver {
    /// The next input; a stranger's only while no trunk's waits. `None` once no socket is left.
    pub async fn recv(&mut self) -> Option<SipInput> {
        tokio::select! {
            biased;
            Some(input) = self.trunks.recv() => Some(input),
            Some(input) = self.strangers.recv() => Some(input),
            else => None,
        }
    }

    /// What a trunk has sent, if it is there already.
    pub fn try_recv_of_trunk(&mut self) -> Result<SipInput, TryRecvError> {
        self.trunks.try_recv()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{Trunk, TrunkTable};

    #[tokio::test]
    async fn trunks_come_first_and_a_full_queue_of_strangers_takes_nobody_elses_place() {
        let from = vec!["192.0.2.1".parse().unwrap()];
        let table = TrunkTable::new(vec![Trunk { name: "a".into(), from, ..Trunk::default() }]);
        let (sender, mut receiver) = sip_inputs(Sources::new(table, 100_000));
        let local: SocketAddr = "192.0.2.9:5060".parse().unwrap();
        let send = |source: &str| {
            let source: SocketAddr = source.parse().unwrap();
            let standing = sender.judge(source, b"INVITE ").unwrap();
            sender.offer_datagram(standing, Flow::udp(local, source), b"INVITE ")
        };
        let strangers: Vec<Offered> = (0..1_000).map(|_| send("203.0.113.5:5060")).collect();
        assert_eq!(strangers.iter().filter(|offered| **offered == Offered::Taken).count(), STRANGERS_BEHIND);
        assert_eq!(sender.drops().received.load(Ordering::Relaxed), 1_000 - STRANGERS_BEHIND as u64);
        assert!((0..1_000).all(|_| send("192.0.2.1:5060") == Offered::Taken));
        for number in 0..1_000 + STRANGERS_BEHIND {
            let Some(SipInput::Message { flow, .. }) = receiver.recv().await else { panic!() };
            assert_eq!(flow.remote.ip().to_string() == "192.0.2.1", number < 1_000);
        }
        assert!(receiver.try_recv_of_trunk().is_err());
        drop(sender);
        assert!(receiver.recv().await.is_none());
    }
}
