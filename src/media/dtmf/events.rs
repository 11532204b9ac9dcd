//! Receives RFC 4733 telephone-events: one digit per key press, at first sight.
//!
//! ```text
//!  key 5:  down ─────────────── up
//!  packets (sequence, timestamp, duration):
//!          7,8000,160  8,8000,320  9,8000,480 E  10,8000,480 E  11,8000,480 E
//!          └ "5"       └ the same press: same SSRC, timestamp and event
//! ```
//!
//! All packets of a press have the RTP timestamp at which it began (section 2.2.1), so any one of them tells of it, and
//! a press is lost only with all of its packets. It is neither needed that the first one has the marker bit, nor that
//! an end is seen. What stays the same press under another timestamp:
//!
//! - a key held for more than 65,535 units goes on in a new segment, which begins where the one before ended (section
//!   2.5.1.3);
//! - gateways that step the timestamp with each packet, which section 2.2.1 forbids: a key that is down can't be
//!   pressed, so a press that would begin while the same key is down is no press.

use crate::wire::rtp::RtpPacket;
use crate::wire::telephone_event::TelephoneEvent;
use crate::words::secret::Digit;

/// Presses that are remembered, so that their late packets aren't taken for new ones. At ten presses a second, faster
/// than anybody dials, that is 0.8 s.
const PRESSES: usize = 8;

/// A late packet of a press that was never seen counts as long as it is not more than half a second behind. After that it is a
/// packet that the network has kept for itself.
const LATE_MS_MAX: u32 = 500;

/// A segment that is not the last has this duration (section 2.5.1.3).
const SEGMENT_UNITS: u32 = 0xFFFF;

/// How far the packet that told of a press last may lie before the beginning of its next segment: 30 ms. Less than the
/// shortest pause between two presses of a key (40 ms, ITU-T Q.24), so that two presses stay two even if the end of the
/// first is lost.
const SEGMENT_GAP_MS: u32 = 30;

/// Receives the telephone-events of one leg.
pub struct EventReceiver {
    /// Units of the RTP clock in a millisecond: in these are timestamps and durations.
    units_per_ms: u32,
    /// The last presses, in a ring.
    presses: [Option<Press>; PRESSES],
    next: usize,
    newest: Option<Place>,
}

/// What one packet told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventSighting {
    /// A press not seen before.
    pub pressed: Option<Digit>,
    /// The key that this packet says is down (also at first sight), where nothing has told yet that it went up.
    pub held: Option<Digit>,
}

/// A press, or one segment of it.
#[derive(Clone, Copy)]
struct Press {
    ssrc: u32,
    timestamp: u32,
    event: u8,
    /// The longest seen.
    duration: u32,
    ended: bool,
}

/// How far a source has come.
#[derive(Clone, Copy)]
struct Place {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
}

impl Default for EventReceiver {
    fn default() -> EventReceiver {
        EventReceiver { units_per_ms: 8, presses: [None; PRESSES], next: 0, newest: None }
    }
}

impl EventReceiver {
    /// `clock_rate`: of the events, in Hz.
    pub fn negotiate(&mut self, clock_rate: u32) {
        self.units_per_ms = clock_rate / 1_000;
    }

    /// Takes one packet of the payload type agreed for `telephone-event`, in whatever order they come. Events that are
    /// no keys, and what is no event at all, tell nothing.
    pub fn handle(&mut self, packet: &RtpPacket<'_>) -> EventSighting {
        let Some(event) = TelephoneEvent::parse(packet.payload) else {
            return EventSighting::default();
        };
        let Some(digit) = event.digit() else {
            return EventSighting::default();
        };
        let told = Press {
            ssrc: packet.ssrc,
            timestamp: packet.timestamp,
            event: event.event,
            duration: u32::from(event.duration),
            ended: event.end,
        };

        let held = |press: &Press| (!press.ended).then_some(digit);
        if let Some(known) = self.presses.iter_mut().flatten().find(|press| press.is(&told)) {
            known.duration = known.duration.max(told.duration);
            known.ended |= told.ended;
            let held = held(known);
            self.advance(packet);
            return EventSighting { pressed: None, held };
        }

        let goes_on = self.presses.iter().flatten().any(|press| {
            let gap = SEGMENT_GAP_MS * self.units_per_ms;
            press.goes_on_as(&told, gap) || told.goes_on_as(press, gap)
        });
        if !goes_on && self.is_stale(packet) {
            return EventSighting::default();
        }
        if let Some(place) = self.presses.get_mut(self.next) {
            *place = Some(told);
        }
        self.next = (self.next + 1) % PRESSES;
        self.advance(packet);
        EventSighting { pressed: (!goes_on).then_some(digit), held: held(&told) }
    }

    fn advance(&mut self, packet: &RtpPacket<'_>) {
        let behind = self.newest.is_some_and(|newest| newest.is_ahead_of(packet));
        if !behind {
            self.newest = Some(Place { ssrc: packet.ssrc, sequence: packet.sequence, timestamp: packet.timestamp });
        }
    }

    /// Too late to be a press: behind the newest packet by sequence and by too long a time.
    fn is_stale(&self, packet: &RtpPacket<'_>) -> bool {
        self.newest.is_some_and(|newest| {
            newest.is_ahead_of(packet)
                && newest.timestamp.wrapping_sub(packet.timestamp) > LATE_MS_MAX * self.units_per_ms
        })
    }
}

impl Place {
    /// Both must be so: over a long pause the sequence alone has wrapped, and a sender that begins its clock anew goes
    /// on in its sequence.
    fn is_ahead_of(&self, packet: &RtpPacket<'_>) -> bool {
        self.ssrc == packet.ssrc
            && (self.sequence.wrapping_sub(packet.sequence) as i16) > 0
            && (self.timestamp.wrapping_sub(packet.timestamp) as i32) > 0
    }
}

impl Press {
    fn is(&self, other: &Press) -> bool {
        self.ssrc == other.ssrc && self.timestamp == other.timestamp && self.event == other.event
    }

    /// Is `later` the same key, still down? `gap`: [`SEGMENT_GAP_MS`] in units.
    fn goes_on_as(&self, later: &Press, gap: u32) -> bool {
        let distance = later.timestamp.wrapping_sub(self.timestamp);
        let same_key = self.ssrc == later.ssrc && self.event == later.event;
        let still_down = if self.ended {
            distance < self.duration
        } else {
            distance <= self.duration + gap || distance == SEGMENT_UNITS
        };
        same_key && still_down
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::rngs::StdRng;
    use rand::seq::SliceRandom;
    use rand::{RngExt, SeedableRng};

    #[derive(Clone, Copy, Debug)]
    struct Sent {
        ssrc: u32,
        sequence: u16,
        timestamp: u32,
        event: TelephoneEvent,
    }

    fn code(key: char) -> u8 {
        Digit::from_char(key).unwrap().event_code()
    }

    fn sent(sequence: u16, timestamp: u32, key: char, duration: u16, end: bool) -> Sent {
        Sent { ssrc: 1, sequence, timestamp, event: TelephoneEvent { event: code(key), end, volume: 10, duration } }
    }

    fn receive(receiver: &mut EventReceiver, sent: Sent) -> EventSighting {
        let payload = sent.event.write();
        receiver.handle(&RtpPacket {
            payload_type: 101,
            marker: false, // nothing depends on it
            sequence: sent.sequence,
            timestamp: sent.timestamp,
            ssrc: sent.ssrc,
            payload: &payload,
        })
    }

    fn digits(packets: &[Sent]) -> String {
        let mut receiver = EventReceiver::default();
        packets.iter().filter_map(|&sent| receive(&mut receiver, sent).pressed).map(Digit::expose).collect()
    }

    /// A sender as RFC 4733 has it: an update each 20 ms, the end three times, segments where it gets long.
    struct Sender {
        sequence: u16,
        timestamp: u32,
    }

    impl Sender {
        fn press(&mut self, key: char, on_ms: u32, off_ms: u32) -> Vec<Sent> {
            let mut packets = Vec::new();
            let (mut begun, mut left) = (self.timestamp, on_ms * 8);
            loop {
                let length = left.min(SEGMENT_UNITS);
                let last = left <= SEGMENT_UNITS;
                let mut push = |duration: u32, end: bool| {
                    packets.push(sent(self.sequence, begun, key, duration as u16, end));
                    self.sequence = self.sequence.wrapping_add(1);
                };
                for duration in (160..length).step_by(160) {
                    push(duration, false);
                }
                (0..if last { 3 } else { 1 }).for_each(|_| push(length, last));
                if last {
                    break;
                }
                begun = begun.wrapping_add(length);
                left -= length;
            }
            self.timestamp = self.timestamp.wrapping_add((on_ms + off_ms) * 8);
            // Voice between the keys counts in the sequence.
            self.sequence = self.sequence.wrapping_add((off_ms / 20) as u16);
            packets
        }
    }

    #[test]
    fn the_first_packet_tells() {
        let mut receiver = EventReceiver::default();
        let five = Digit::from_char('5');
        let first = receive(&mut receiver, sent(7, 8000, '5', 160, false));
        assert_eq!(first, EventSighting { pressed: five, held: five });
        let second = receive(&mut receiver, sent(8, 8000, '5', 320, false));
        assert_eq!(second, EventSighting { pressed: None, held: five });
        let end = receive(&mut receiver, sent(9, 8000, '5', 480, true));
        assert_eq!(end, EventSighting::default());
        let late = receive(&mut receiver, sent(8, 8000, '5', 320, false));
        assert_eq!(late, EventSighting::default(), "a late update does not press the key again");
    }

    #[test]
    fn any_one_packet_is_enough() {
        let packets = Sender { sequence: 65534, timestamp: u32::MAX - 200 }.press('9', 120, 50);
        for packet in &packets {
            assert_eq!(digits(&[*packet]), "9");
        }
    }

    #[test]
    fn the_same_key_twice_is_two_digits_though_all_ends_are_lost() {
        for (on_ms, off_ms) in [(40, 40), (50, 50), (100, 40)] {
            let mut sender = Sender { sequence: 0, timestamp: 0 };
            let packets: Vec<Sent> = (0..4).flat_map(|_| sender.press('7', on_ms, off_ms)).collect();
            assert_eq!(digits(&packets), "7777");
            let updates: Vec<Sent> = packets.into_iter().filter(|sent| !sent.event.end).collect();
            assert_eq!(digits(&updates), "7777");
        }
    }

    #[test]
    fn a_long_key_in_segments_is_one_digit() {
        let packets = Sender { sequence: 0xFF00, timestamp: 0xFFFF_0000 }.press('0', 30_000, 50);
        assert_eq!(packets.iter().map(|sent| sent.timestamp).collect::<std::collections::BTreeSet<_>>().len(), 4);
        assert_eq!(digits(&packets), "0");
        // What is around the seams is lost.
        let lossy: Vec<Sent> =
            packets.iter().copied().filter(|sent| sent.event.duration > 800 && sent.event.duration < 64_000).collect();
        assert_eq!(digits(&lossy), "0");
        // And nothing but segments' ends comes.
        let ends: Vec<Sent> = packets.into_iter().filter(|sent| sent.event.duration == 0xFFFF).collect();
        assert_eq!(digits(&ends), "0");
    }

    #[test]
    fn a_duration_that_wraps_instead_is_one_digit_too() {
        let packets: Vec<Sent> = (1..1000u16).map(|n| sent(n, 5, '3', n.wrapping_mul(160), false)).collect();
        assert_eq!(digits(&packets), "3");
    }

    #[test]
    fn a_timestamp_that_steps_with_each_packet_is_one_digit() {
        let press =
            |start: u32| (0..6u16).map(move |n| sent(n, start + 160 * u32::from(n), '4', 160 * (n.min(3) + 1), n >= 3));
        assert_eq!(digits(&press(1000).collect::<Vec<_>>()), "4");
        assert_eq!(digits(&press(1000).chain(press(3000)).collect::<Vec<_>>()), "44");
        assert_eq!(digits(&press(1000).rev().collect::<Vec<_>>()), "4");
    }

    #[test]
    fn another_source_is_another_press() {
        let first = sent(1, 100, '1', 160, false);
        assert_eq!(digits(&[first, Sent { ssrc: 2, ..first }, first, Sent { ssrc: 2, ..first }]), "11");
    }

    #[test]
    fn what_comes_too_late_is_no_press() {
        let newest = sent(1000, 100_000, '1', 160, false);
        assert_eq!(digits(&[newest, sent(990, 100_000 - 1600, '2', 160, true)]), "12", "reordered");
        assert_eq!(digits(&[newest, sent(900, 100_000 - 16_000, '2', 160, true)]), "1", "two seconds late");
        // A sender that starts its clock anew goes on in its sequence.
        assert_eq!(digits(&[newest, sent(1010, 500, '2', 160, false)]), "12");
        // Twelve minutes of voice later, half of the sequence numbers have gone by.
        assert_eq!(digits(&[newest, sent(1000u16.wrapping_add(36_000), 5_900_000, '2', 160, false)]), "12");
    }

    #[test]
    fn events_that_are_no_keys_tell_nothing() {
        let mut receiver = EventReceiver::default();
        for event in 16..=255 {
            let event = TelephoneEvent { event, end: false, volume: 0, duration: 160 };
            let sighting = receive(&mut receiver, Sent { ssrc: 1, sequence: 1, timestamp: 1, event });
            assert_eq!(sighting, EventSighting::default());
        }
        let packet =
            |payload| RtpPacket { payload_type: 101, marker: true, sequence: 1, timestamp: 1, ssrc: 1, payload };
        assert_eq!(receiver.handle(&packet(&[5, 0, 0])), EventSighting::default());
        // Nor do they stand in the way of a key.
        assert_eq!(receive(&mut receiver, sent(2, 1, '5', 160, false)).pressed, Digit::from_char('5'));
    }

    const KEYS: &[u8] = b"0123456789*#ABCD";

    proptest! {
        /// Whatever the network does short of losing all of a press' packets: every press is found once, and in order.
        #[test]
        fn every_press_once(
            seed in any::<u64>(),
            presses in prop::collection::vec((0..16usize, 40..400u32, 40..300u32), 1..30),
            sequence in any::<u16>(),
            timestamp in any::<u32>(),
        ) {
            let mut random = StdRng::seed_from_u64(seed);
            let mut sender = Sender { sequence, timestamp };
            let (mut arrived, mut typed) = (Vec::new(), String::new());
            for (key, on_ms, off_ms) in presses {
                let key = char::from(KEYS[key]);
                typed.push(key);
                let packets = sender.press(key, on_ms, off_ms);
                let kept = random.random_range(0..packets.len());
                let mut survivors = Vec::new();
                for (n, packet) in packets.into_iter().enumerate() {
                    if n == kept || random.random_ratio(1, 2) {
                        survivors.push(packet);
                    }
                    if n == kept || random.random_ratio(1, 8) {
                        survivors.push(packet);
                    }
                }
                survivors.shuffle(&mut random);
                arrived.extend(survivors);
                // Now and then a packet of an earlier press comes again.
                if random.random_ratio(1, 3) {
                    let earlier = random.random_range(0..arrived.len());
                    arrived.push(arrived[earlier]);
                }
            }
            prop_assert_eq!(digits(&arrived), typed);
        }
    }

    /// The goal of a dial-in server: no wrong digit and none lost in 100,000 presses at 5 % of loss.
    #[test]
    fn a_hundred_thousand_presses_at_five_percent_loss() {
        let mut random = StdRng::seed_from_u64(4733);
        let mut sender = Sender { sequence: random.random(), timestamp: random.random() };
        let mut receiver = EventReceiver::default();
        let (mut wrong, mut lost) = (0, 0);
        for _ in 0..100_000 {
            let key = char::from(KEYS[random.random_range(0..16)]);
            let packets = sender.press(key, random.random_range(50..200), random.random_range(50..200));
            let arrived = packets.into_iter().filter(|_| !random.random_ratio(1, 20));
            let found: Vec<char> =
                arrived.filter_map(|sent| receive(&mut receiver, sent).pressed).map(Digit::expose).collect();
            lost += usize::from(!found.contains(&key));
            wrong += found.iter().filter(|&&digit| digit != key).count() + found.len().saturating_sub(1);
        }
        assert_eq!((wrong, lost), (0, 0));
    }
}
