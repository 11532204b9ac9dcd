//! Which source is believed.
//!
//! Whoever finds an RTP port could talk into a call, or be sent its voice, if the last sender were believed (RTP Bleed).
//! So a leg listens to one address only, and the address is settled early:
//!
//! ```text
//!   negotiated                                       window ends
//!      │ ─── from the SDP's address: bound ───────────┼──── bound, whenever it comes ────►
//!      │ ─── from another: bound when a stream has ───┼──── refused
//!      │     come, the first wins (the peer is behind │
//!      │     address translation; the SDP's address   │
//!      │     may still take over)                     │
//! ```
//!
//! A stream is some packets one behind the other, at the pace of voice: who sprays a packet or two at every port, in the
//! hope that one of them waits for its caller, gets nothing.
//!
//! A re-INVITE that leaves the peer's address as it was (hold, session timer) settles nothing anew: a sprayer must not get
//! a fresh chance every fifteen minutes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// After a negotiation, how long a source that the SDP does not name may be learned. A peer that sends at all sends its
/// first packet within a second or two of its answer.
pub const LEARNING_WINDOW: Duration = Duration::from_secs(5);

/// After a changed address, how long the source that was bound before is not learned again: its packets are still on the
/// way. Afterwards it may be: address translation can show a new device under the old address.
const OLD_SOURCE_REFUSED: Duration = Duration::from_secs(1);

/// What makes a stream of packets: so many, of one SSRC and with rising sequence numbers, over at least so long. A caller
/// behind address translation is learned with his fifth packet, after 80 ms.
const STREAM_PACKETS: u32 = 5;
const STREAM_LASTS: Duration = Duration::from_millis(60);

/// Packets of a stream that may be missing between two of it, or be late by.
const STREAM_GAP: u16 = 10;

/// A stream has no longer pause; and while the source that is being looked at makes none, no other takes its turn.
const STREAM_PAUSE: Duration = Duration::from_millis(200);

/// The address a leg listens to and sends to.
#[derive(Debug, Default)]
pub struct SourceBinding {
    /// As the SDP says.
    agreed: Option<SocketAddr>,
    bound: Option<SocketAddr>,
    before: Option<SocketAddr>,
    negotiated_at: Option<Instant>,
    candidate: Option<Candidate>,
}

/// A source that the SDP does not name, and what has come from it.
#[derive(Debug)]
struct Candidate {
    source: SocketAddr,
    ssrc: u32,
    sequence: u16,
    packets: u32,
    first_at: Instant,
    last_at: Instant,
}

/// Whether a packet's source is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    Bound,
    /// It is, from this packet on.
    NewlyBound {
        as_agreed: bool,
    },
    /// It may be, if more comes from there. The packet itself is dropped.
    OnTrial,
    Refused,
}

impl SourceBinding {
    pub fn negotiate(&mut self, now: Instant, agreed: SocketAddr) {
        if self.agreed == Some(agreed) {
            return;
        }
        self.agreed = Some(agreed);
        self.before = self.bound.take();
        self.negotiated_at = Some(now);
        self.candidate = None;
    }

    /// Judges the source of a packet that is RTP of an agreed payload type.
    pub fn admit(&mut self, now: Instant, source: SocketAddr, ssrc: u32, sequence: u16) -> Admission {
        if self.bound == Some(source) {
            return Admission::Bound;
        }
        let Some(negotiated_at) = self.negotiated_at else { return Admission::Refused };
        let since = now.saturating_duration_since(negotiated_at);
        let in_window = since < LEARNING_WINDOW;
        let as_agreed = self.agreed == Some(source);
        let of_old = self.before == Some(source) && since < OLD_SOURCE_REFUSED;
        let may_be_learned = match self.bound {
            None => as_agreed || (in_window && !of_old),
            Some(_) => as_agreed && in_window,
        };
        if !may_be_learned {
            return Admission::Refused;
        }
        if !as_agreed && !self.is_stream(now, source, ssrc, sequence) {
            return Admission::OnTrial;
        }
        self.bound = Some(source);
        self.candidate = None;
        Admission::NewlyBound { as_agreed }
    }

    /// Whether this packet, with those before it, is enough of a stream to learn its source.
    fn is_stream(&mut self, now: Instant, source: SocketAddr, ssrc: u32, sequence: u16) -> bool {
        if let Some(candidate) = &mut self.candidate {
            let goes_on = now.saturating_duration_since(candidate.last_at) < STREAM_PAUSE;
            if candidate.source != source && goes_on {
                return false;
            }
            let ahead = sequence.wrapping_sub(candidate.sequence);
            if candidate.source == source && candidate.ssrc == ssrc && goes_on {
                if (1..=STREAM_GAP).contains(&ahead) {
                    candidate.sequence = sequence;
                    candidate.packets = candidate.packets.saturating_add(1);
                    candidate.last_at = now;
                    let lasts = now.saturating_duration_since(candidate.first_at);
                    return candidate.packets >= STREAM_PACKETS && lasts >= STREAM_LASTS;
                }
                if ahead == 0 || ahead >= u16::MAX - STREAM_GAP {
                    // A late one, or one that came twice.
                    return false;
                }
            }
        }
        self.candidate = Some(Candidate { source, ssrc, sequence, packets: 1, first_at: now, last_at: now });
        false
    }

    /// Where our packets go: to where the peer's come from, and before the first of them to where its SDP says.
    pub fn destination(&self) -> Option<SocketAddr> {
        self.bound.or(self.agreed)
    }

    pub fn bound(&self) -> Option<SocketAddr> {
        self.bound
    }

    /// The bound source, once it can't change before the next negotiation.
    pub fn settled(&self, now: Instant) -> Option<SocketAddr> {
        let window_over = self.negotiated_at.is_some_and(|at| now.saturating_duration_since(at) >= LEARNING_WINDOW);
        self.bound.filter(|_| window_over || self.bound == self.agreed)
    }

    pub fn is_as_agreed(&self) -> bool {
        self.bound.is_none() || self.bound == self.agreed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    const SECOND: Duration = Duration::from_secs(1);
    const PACKET: Duration = Duration::from_millis(20);

    fn admit(binding: &mut SourceBinding, now: Instant, source: SocketAddr) -> Admission {
        binding.admit(now, source, 1, 0)
    }

    /// What the fifth packet of a stream that begins at `now` is told; those before it are on trial.
    fn stream(binding: &mut SourceBinding, now: Instant, source: SocketAddr) -> Admission {
        for number in 0..4u16 {
            let told = binding.admit(now + PACKET * u32::from(number), source, 7, 65_534u16.wrapping_add(number));
            assert_eq!(told, Admission::OnTrial);
            assert_eq!(binding.destination(), binding.agreed);
        }
        binding.admit(now + 4 * PACKET, source, 7, 2)
    }

    #[test]
    fn the_agreed_address_is_bound_whenever_it_comes() {
        let start = Instant::now();
        let agreed = address("192.0.2.1:4000");
        let mut binding = SourceBinding::default();
        assert_eq!(admit(&mut binding, start, agreed), Admission::Refused, "nothing is agreed yet");
        binding.negotiate(start, agreed);
        assert_eq!(binding.destination(), Some(agreed));
        let late = start + 60 * SECOND;
        assert_eq!(admit(&mut binding, late, address("198.51.100.9:9")), Admission::Refused);
        assert_eq!(admit(&mut binding, late, agreed), Admission::NewlyBound { as_agreed: true });
        assert_eq!(admit(&mut binding, late + SECOND, agreed), Admission::Bound);
    }

    #[test]
    fn one_other_source_is_learned_in_the_window_and_then_no_other() {
        let start = Instant::now();
        let (agreed, real, attacker) =
            (address("10.0.0.5:4000"), address("192.0.2.1:61000"), address("198.51.100.9:9"));
        let mut binding = SourceBinding::default();
        binding.negotiate(start, agreed);
        assert_eq!(stream(&mut binding, start + SECOND, real), Admission::NewlyBound { as_agreed: false });
        assert_eq!(binding.destination(), Some(real));
        assert_eq!(admit(&mut binding, start + SECOND, attacker), Admission::Refused);
        assert_eq!(admit(&mut binding, start + 2 * SECOND, real), Admission::Bound);
        // A session timer's re-INVITE opens nothing.
        binding.negotiate(start + 900 * SECOND, agreed);
        assert_eq!(admit(&mut binding, start + 900 * SECOND, attacker), Admission::Refused);
        assert_eq!(admit(&mut binding, start + 900 * SECOND, real), Admission::Bound);
    }

    #[test]
    fn the_agreed_address_takes_over_from_a_faster_stranger() {
        let start = Instant::now();
        let (agreed, attacker) = (address("192.0.2.1:4000"), address("198.51.100.9:9"));
        let mut binding = SourceBinding::default();
        binding.negotiate(start, agreed);
        assert_eq!(stream(&mut binding, start, attacker), Admission::NewlyBound { as_agreed: false });
        assert_eq!(admit(&mut binding, start + SECOND, agreed), Admission::NewlyBound { as_agreed: true });
        assert_eq!(admit(&mut binding, start + SECOND, attacker), Admission::Refused);
    }

    #[test]
    fn a_changed_address_settles_anew_but_not_on_late_packets_of_the_old() {
        let start = Instant::now();
        let (old, new, seen) = (address("192.0.2.1:4000"), address("10.0.0.9:5000"), address("203.0.113.4:7000"));
        let mut binding = SourceBinding::default();
        binding.negotiate(start, old);
        admit(&mut binding, start, old);
        let again = start + 10 * SECOND;
        binding.negotiate(again, new);
        assert_eq!(binding.destination(), Some(new));
        assert_eq!(admit(&mut binding, again + SECOND / 10, old), Admission::Refused);
        assert_eq!(stream(&mut binding, again + SECOND / 5, seen), Admission::NewlyBound { as_agreed: false });
        assert_eq!(admit(&mut binding, again + 3 * SECOND, old), Admission::Refused);
    }
    #[test]
    fn a_packet_or_two_learn_nothing() {
        let start = Instant::now();
        let (agreed, attacker, real) =
            (address("10.0.0.5:4000"), address("198.51.100.9:9"), address("192.0.2.1:61000"));
        let mut binding = SourceBinding::default();
        binding.negotiate(start, agreed);
        // All at once, each time another SSRC, always the same number, numbers at random.
        let burst = (0..20).map(|number| (start, 7, number));
        let changing = (0..20).map(|number| (start + PACKET * number, number, number as u16));
        let same = (0..20).map(|number| (start + PACKET * (20 + number), 8, 30));
        let random = (0..20).map(|number| (start + PACKET * (40 + number), 9, (number * 7_919) as u16));
        let seldom = (0..8).map(|number| (start + SECOND * 3 / 2 + STREAM_PAUSE * number, 9, number as u16));
        for (at, ssrc, sequence) in burst.chain(changing).chain(same).chain(random).chain(seldom) {
            assert_eq!(binding.admit(at, attacker, ssrc, sequence), Admission::OnTrial);
        }
        assert_eq!(binding.destination(), Some(agreed));
        // Two at once: the first keeps its turn as long as it sends, and others can't disturb it.
        let at = start + 4 * SECOND;
        for number in 0..4u32 {
            let now = at + PACKET * number;
            assert_eq!(binding.admit(now, real, 1, number as u16), Admission::OnTrial);
            assert_eq!(binding.admit(now, attacker, 7, 100 + number as u16), Admission::OnTrial);
        }
        // One is late, one comes twice, one is lost.
        assert_eq!(binding.admit(at + 4 * PACKET, real, 1, 2), Admission::OnTrial);
        assert_eq!(binding.admit(at + 4 * PACKET, real, 1, 3), Admission::OnTrial);
        assert_eq!(binding.admit(at + 5 * PACKET, real, 1, 5), Admission::NewlyBound { as_agreed: false });
        assert_eq!(binding.admit(at + 5 * PACKET, attacker, 7, 105), Admission::Refused);
    }
}
