//! Which source is believed.
//!
//! Whoever finds an RTP port could talk into a call, or be sent its voice, if the last sender were believed (RTP Bleed).
//! So a leg listens to one address only, and the address is settled early:
//!
//! ```text
//!   negotiated                                       window ends
//!      │ ─── from the SDP's address: bound ───────────┼──── bound, whenever it comes ────►
//!      │ ─── from another: bound when a stream has ───┼──── refused, unless it has the IP address that the
//!      │     come, the first wins (the peer is behind │     call's SIP came from and nobody is bound yet
//!      │     address translation; the SDP's address   │
//!      │     may still take over)                     │
//! ```
//!
//! Where the SDP names the IP address that its SIP came from, no translation is between that the peer does not know of. Only
//! that IP address is learned then, in the window and after it: its port may differ, and all others are strangers. Where the
//! two differ nobody can tell a stranger from a telephone behind address translation or a trunk's media machine, and the
//! window is open to all.
//!
//! The second row goes on after the window for one IP address, because a telephone behind address translation that sends
//! nothing while its caller is silent may send its first packet whenever he speaks. Who may take a leg over by that?
//! Somebody behind the same address translation as the caller, who may well have the caller's telephone in his hand. A
//! stranger who forges that IP address can be heard if he finds the port, but hears nothing: our packets go to the address
//! that he forged. And neither can do anything once the caller has been bound: then nobody else is, before the SDP names
//! another address. A source that was learned so late can be replaced by the SDP's own as long as one learned early.
//!
//! A stream is some packets one behind the other, at the pace of voice: who sprays a packet or two at every port, in the
//! hope that one of them waits for its caller, gets nothing.
//!
//! A re-INVITE that leaves the peer's address as it was (hold, session timer) settles nothing anew: a sprayer must not get
//! a fresh chance every fifteen minutes.

use std::net::{IpAddr, SocketAddr};
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
    /// Where the call's SIP came from.
    signalled_from: Option<IpAddr>,
    negotiated_at: Option<Instant>,
    /// Until then the SDP's address takes over from one that was learned.
    open_until: Option<Instant>,
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
    pub fn negotiate(&mut self, now: Instant, agreed: SocketAddr, signalled_from: IpAddr) {
        self.signalled_from = Some(signalled_from.to_canonical());
        if self.agreed == Some(agreed) {
            return;
        }
        self.agreed = Some(agreed);
        self.before = self.bound.take();
        self.negotiated_at = Some(now);
        self.open_until = now.checked_add(LEARNING_WINDOW);
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
        let as_signalled = self.signalled_from == Some(source.ip().to_canonical());
        let as_agreed = self.agreed == Some(source);
        let is_open_to_all = in_window && !self.is_untranslated();
        let of_old = self.before == Some(source) && since < OLD_SOURCE_REFUSED;
        let may_be_learned = match self.bound {
            None => as_agreed || ((is_open_to_all || as_signalled) && !of_old),
            Some(_) => as_agreed && self.is_open(now),
        };
        if !may_be_learned {
            return Admission::Refused;
        }
        if !as_agreed && !self.is_stream(now, source, ssrc, sequence) {
            return Admission::OnTrial;
        }
        self.bound = Some(source);
        self.candidate = None;
        if !as_agreed && !in_window {
            self.open_until = now.checked_add(LEARNING_WINDOW);
        }
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

    /// Whether the peer describes itself by the address that we see it at.
    fn is_untranslated(&self) -> bool {
        self.agreed.is_some_and(|agreed| self.signalled_from == Some(agreed.ip().to_canonical()))
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
        self.bound.filter(|_| !self.is_open(now) || self.bound == self.agreed)
    }

    fn is_open(&self, now: Instant) -> bool {
        self.open_until.is_some_and(|until| now < until)
    }

    pub fn is_as_agreed(&self) -> bool {
        self.bound.is_none() || self.bound == self.agreed
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// Where no packet of a test comes from.
    const SIGNALLED_FROM: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 200));
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

    fn assert_refuses_a_stream(binding: &mut SourceBinding, begins: Instant, source: SocketAddr) {
        for number in 0..20u16 {
            let now = begins + PACKET * u32::from(number);
            assert_eq!(binding.admit(now, source, 3, number), Admission::Refused);
        }
    }

    #[test]
    fn the_agreed_address_is_bound_whenever_it_comes() {
        let start = Instant::now();
        let agreed = address("192.0.2.1:4000");
        let mut binding = SourceBinding::default();
        assert_eq!(admit(&mut binding, start, agreed), Admission::Refused, "nothing is agreed yet");
        binding.negotiate(start, agreed, SIGNALLED_FROM);
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
        binding.negotiate(start, agreed, SIGNALLED_FROM);
        assert_eq!(stream(&mut binding, start + SECOND, real), Admission::NewlyBound { as_agreed: false });
        assert_eq!(binding.destination(), Some(real));
        assert_eq!(admit(&mut binding, start + SECOND, attacker), Admission::Refused);
        assert_eq!(admit(&mut binding, start + 2 * SECOND, real), Admission::Bound);
        // A session timer's re-INVITE opens nothing.
        binding.negotiate(start + 900 * SECOND, agreed, SIGNALLED_FROM);
        assert_eq!(admit(&mut binding, start + 900 * SECOND, attacker), Admission::Refused);
        assert_eq!(admit(&mut binding, start + 900 * SECOND, real), Admission::Bound);
    }

    #[test]
    fn the_agreed_address_takes_over_from_a_faster_stranger() {
        let start = Instant::now();
        let (agreed, attacker) = (address("192.0.2.1:4000"), address("198.51.100.9:9"));
        let mut binding = SourceBinding::default();
        binding.negotiate(start, agreed, SIGNALLED_FROM);
        assert_eq!(stream(&mut binding, start, attacker), Admission::NewlyBound { as_agreed: false });
        assert_eq!(admit(&mut binding, start + SECOND, agreed), Admission::NewlyBound { as_agreed: true });
        assert_eq!(admit(&mut binding, start + SECOND, attacker), Admission::Refused);
    }

    #[test]
    fn a_changed_address_settles_anew_but_not_on_late_packets_of_the_old() {
        let start = Instant::now();
        let (old, new, seen) = (address("192.0.2.1:4000"), address("10.0.0.9:5000"), address("203.0.113.4:7000"));
        let mut binding = SourceBinding::default();
        binding.negotiate(start, old, SIGNALLED_FROM);
        admit(&mut binding, start, old);
        let again = start + 10 * SECOND;
        binding.negotiate(again, new, SIGNALLED_FROM);
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
        binding.negotiate(start, agreed, SIGNALLED_FROM);
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

    #[test]
    fn who_is_silent_at_first_is_learned_late_and_only_where_his_call_came_from() {
        let start = Instant::now();
        let (agreed, real, attacker) =
            (address("10.0.0.5:4000"), address("192.0.2.1:61000"), address("198.51.100.9:9"));
        let mut binding = SourceBinding::default();
        // A socket for both families tells an IPv4 address like this.
        binding.negotiate(start, agreed, "::ffff:192.0.2.1".parse().unwrap());
        let late = start + 600 * SECOND;
        assert_refuses_a_stream(&mut binding, late - 10 * SECOND, attacker);
        assert_eq!(admit(&mut binding, late - SECOND, real), Admission::OnTrial, "one packet learns nothing");
        assert_eq!(stream(&mut binding, late, real), Admission::NewlyBound { as_agreed: false });
        assert_eq!(binding.destination(), Some(real));
        assert_eq!(binding.settled(late + SECOND), None, "the SDP's address may take over");
        // Somebody at the same address comes too late, and a session timer's re-INVITE changes nothing.
        let neighbour = address("192.0.2.1:50000");
        assert_eq!(admit(&mut binding, late + SECOND, neighbour), Admission::Refused);
        binding.negotiate(late + 900 * SECOND, agreed, real.ip());
        assert_eq!(admit(&mut binding, late + 900 * SECOND, neighbour), Admission::Refused);
        assert_eq!(binding.settled(late + 6 * SECOND), Some(real));
        assert_eq!(admit(&mut binding, late + 6 * SECOND, agreed), Admission::Refused);
    }

    #[test]
    fn a_peer_without_address_translation_is_learned_at_its_own_address_alone() {
        let start = Instant::now();
        let (agreed, other_port, attacker) =
            (address("192.0.2.1:4000"), address("192.0.2.1:61000"), address("198.51.100.9:9"));
        let mut binding = SourceBinding::default();
        binding.negotiate(start, agreed, "::ffff:192.0.2.1".parse().unwrap());
        assert_refuses_a_stream(&mut binding, start, attacker);
        assert_eq!(stream(&mut binding, start + SECOND, other_port), Admission::NewlyBound { as_agreed: false });
        // Nor by a changed address.
        let again = start + 60 * SECOND;
        binding.negotiate(again, address("192.0.2.1:4010"), agreed.ip());
        assert_refuses_a_stream(&mut binding, again, attacker);
        // A change to where the SIP does not come from opens the window to all.
        let moved = again + 60 * SECOND;
        binding.negotiate(moved, address("10.0.0.5:4000"), agreed.ip());
        assert_eq!(stream(&mut binding, moved, attacker), Admission::NewlyBound { as_agreed: false });
    }

    #[test]
    fn the_agreed_address_takes_over_from_a_neighbour_who_was_learned_late() {
        let start = Instant::now();
        let (agreed, neighbour) = (address("192.0.2.1:4000"), address("192.0.2.1:50000"));
        let mut binding = SourceBinding::default();
        binding.negotiate(start, agreed, agreed.ip());
        let late = start + 60 * SECOND;
        assert_eq!(stream(&mut binding, late, neighbour), Admission::NewlyBound { as_agreed: false });
        assert_eq!(admit(&mut binding, late + 2 * SECOND, agreed), Admission::NewlyBound { as_agreed: true });
        assert_eq!(admit(&mut binding, late + 2 * SECOND, neighbour), Admission::Refused);
    }
}
