//! One frame of received voice, still encoded: what of it is there, and where it has holes.

use crate::wire::opus;
use crate::words::media::FRAME_SAMPLES;

use super::mixer::Codes;

/// Packets in one frame: each has 10 ms at least, and one can have begun before it. Whoever sends more has it concealed.
const PACKETS: usize = 3;

/// Holes in one frame that are kept apart. With packets of 10 ms and more there are two at most; whoever sends shreds
/// gets the rest of his frame concealed.
const GAPS: usize = 4;

/// One frame of received voice, still encoded, and where it has holes.
pub struct ReceivedFrame {
    /// Of a codec that has an octet for each step.
    pub codes: Codes,
    /// The largest magnitude of what is there (see [`level::peak`]); 0 for nothing, and for what can't be told undecoded.
    pub peak: u8,
    /// Of a codec that does not; in their order.
    packets: [PacketPart; PACKETS],
    packet_count: usize,
    /// What is in `packets`, and then the packet behind the last hole.
    bytes: Box<[PacketBytes; PACKETS + 1]>,
    gaps: [Gap; GAPS],
    gap_count: usize,
}

/// What of a frame is in one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PacketPart {
    /// Where in the frame, and how long there.
    pub start: usize,
    pub length: usize,
    /// Where in the packet it begins.
    pub from: usize,
    pub sequence: u16,
}

/// A packet's octets.
#[derive(Clone, Copy)]
struct PacketBytes {
    bytes: [u8; opus::RECEIVED_BYTES_MAX],
    length: usize,
}

impl PacketBytes {
    const EMPTY: PacketBytes = PacketBytes { bytes: [0; opus::RECEIVED_BYTES_MAX], length: 0 };

    fn get(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn set(&mut self, packet: &[u8]) {
        self.length = 0;
        if let Some(bytes) = self.bytes.get_mut(..packet.len()) {
            bytes.copy_from_slice(packet);
            self.length = packet.len();
        }
    }
}

/// A part of a frame, of a codec whose packets are decoded whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// What the packet holds from step `from` on.
    Packet { length: usize, packet: &'a [u8], from: usize, sequence: u16 },
    /// A hole. `next`: the packet right behind what was lost, where that is there already.
    Missing { length: usize, next: Option<&'a [u8]> },
}

/// What is there in a row, and the hole behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    pub begin: usize,
    pub end: usize,
    pub next: usize,
    /// See [`Gap::lost`].
    pub lost: bool,
}

/// A hole in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gap {
    pub start: usize,
    pub length: usize,
    /// A packet is missing. Otherwise the peer sent none, since there was nothing to hear.
    pub lost: bool,
}

impl Default for ReceivedFrame {
    fn default() -> ReceivedFrame {
        ReceivedFrame {
            codes: [0; FRAME_SAMPLES],
            peak: 0,
            packets: [PacketPart::default(); PACKETS],
            packet_count: 0,
            bytes: Box::new([PacketBytes::EMPTY; PACKETS + 1]),
            gaps: [Gap::default(); GAPS],
            gap_count: 0,
        }
    }
}

impl ReceivedFrame {
    pub fn gaps(&self) -> &[Gap] {
        self.gaps.get(..self.gap_count).unwrap_or_default()
    }

    /// The frame from its beginning to its end: so many steps that are there (`begin` to `end`), and then a hole up to `next`. Either
    /// can be empty.
    pub fn runs(&self) -> impl Iterator<Item = Run> {
        let holes = self.gaps().iter().map(|gap| (gap.start, gap.start + gap.length, gap.lost));
        holes
            .chain([(FRAME_SAMPLES, FRAME_SAMPLES, false)])
            .scan(0, |at, (end, next, lost)| Some(Run { begin: std::mem::replace(at, next), end, next, lost }))
    }

    /// What is at this step of a frame whose packets are decoded whole. `None`: the frame ends here.
    pub fn part(&self, at: usize) -> Option<Part<'_>> {
        let packets = self.packets.get(..self.packet_count).unwrap_or_default();
        if let Some(number) = packets.iter().position(|part| part.start == at) {
            let &PacketPart { length, from, sequence, .. } = packets.get(number)?;
            return Some(Part::Packet { length, packet: self.bytes.get(number)?.get(), from, sequence });
        }
        let length = packets.iter().map(|part| part.start).find(|&start| start > at).unwrap_or(FRAME_SAMPLES) - at;
        let ends_lost = self.gaps().last().is_some_and(|gap| gap.lost && gap.start + gap.length == at + length);
        let [.., behind] = &*self.bytes;
        let next = Some(behind.get()).filter(|bytes| ends_lost && !bytes.is_empty());
        (length > 0).then_some(Part::Missing { length, next })
    }

    /// A new frame begins.
    pub fn clear(&mut self) {
        self.peak = 0;
        self.gap_count = 0;
        self.packet_count = 0;
        let [.., behind] = &mut *self.bytes;
        behind.length = 0;
    }

    pub fn add_packet(&mut self, part: PacketPart, packet: &[u8]) {
        let bytes = self.bytes.get_mut(self.packet_count);
        if let (Some(place), Some(bytes)) = (self.packets.get_mut(self.packet_count), bytes) {
            *place = part;
            bytes.set(packet);
            self.packet_count += 1;
        }
    }

    /// What is right behind the last hole.
    pub fn set_behind(&mut self, packet: &[u8]) {
        let [.., behind] = &mut *self.bytes;
        behind.set(packet);
    }

    /// Nothing of the frame is there.
    pub fn set_empty(&mut self, lost: bool) {
        self.clear();
        self.add_gap(Gap { start: 0, length: FRAME_SAMPLES, lost });
    }

    pub fn add_gap(&mut self, gap: Gap) {
        // What is behind the hole before this one tells nothing of this one.
        let [.., behind] = &mut *self.bytes;
        behind.length = 0;
        if let Some(place) = self.gaps.get_mut(self.gap_count) {
            *place = gap;
            self.gap_count += 1;
        } else if let Some(last) = self.gaps.last_mut() {
            last.length = FRAME_SAMPLES - last.start;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_and_holes_come_in_their_order() {
        let mut frame = ReceivedFrame::default();
        for _ in 0..2 {
            frame.clear();
            frame.add_packet(PacketPart { start: 0, length: 40, from: 120, sequence: 7 }, &[1, 2]);
            frame.add_gap(Gap { start: 40, length: 40, lost: false });
            frame.add_packet(PacketPart { start: 80, length: 40, from: 0, sequence: 8 }, &[3]);
            frame.add_gap(Gap { start: 120, length: 40, lost: true });
            frame.set_behind(&[4, 5, 6]);
            let parts = [
                (0, Part::Packet { length: 40, packet: &[1, 2], from: 120, sequence: 7 }),
                (40, Part::Missing { length: 40, next: None }),
                (80, Part::Packet { length: 40, packet: &[3], from: 0, sequence: 8 }),
                (120, Part::Missing { length: 40, next: Some(&[4, 5, 6]) }),
            ];
            for (at, part) in parts {
                assert_eq!(frame.part(at), Some(part), "at {at}");
            }
            assert_eq!(frame.part(FRAME_SAMPLES), None);
        }
        frame.set_empty(true);
        assert_eq!(frame.part(0), Some(Part::Missing { length: FRAME_SAMPLES, next: None }));
    }

    #[test]
    fn a_hole_is_not_filled_from_a_packet_before_it() {
        let mut frame = ReceivedFrame::default();
        frame.clear();
        frame.add_gap(Gap { start: 0, length: 40, lost: true });
        frame.set_behind(&[1, 2]);
        frame.add_packet(PacketPart { start: 40, length: 80, from: 0, sequence: 8 }, &[1, 2]);
        frame.add_gap(Gap { start: 120, length: 40, lost: true });
        assert_eq!(frame.part(120), Some(Part::Missing { length: 40, next: None }));
    }
}
