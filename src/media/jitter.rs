//! The jitter buffer: what was received and is not yet due, in the order of its timestamps.
//!
//! It knows no clock. When something is due, and how much delay that takes, is `playout`'s idea.
//!
//! ```text
//!   received:  5  6  8  7  7  10          read from 5 on:  5 6 7 8 gap(20 ms) 10
//! ```

use crate::wire::opus;

/// Octets in one chunk of [`Unit::Octets`]: 20 ms of G.711. A longer packet takes several.
pub const CHUNK_BYTES: usize = 160;

/// How many chunks wait at most: 480 ms of 20 ms packets, 240 ms of 10 ms packets. More than `playout` ever delays.
pub const CHUNKS: usize = 24;

/// The longest packet that is taken, 120 ms. RFC 3551 section 4.2 asks receivers for up to 200 ms, which no telephone
/// sends; what is longer is not taken for voice.
pub const PACKET_BYTES_MAX: usize = 6 * CHUNK_BYTES;

/// The shortest, 2.5 ms: what cuts its voice finer than any telephone only means to make us work.
pub const PACKET_BYTES_MIN: usize = 20;

/// The shortest of [`Unit::Packets`], 10 ms: RFC 7587 section 6.1 lets us ask for 20, and nobody sends less.
const PACKET_STEPS_MIN: u32 = 80;

/// What can be decoded for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Each octet, and each is one step (G.711, G.722).
    Octets,
    /// A packet only, and not without those before it (Opus).
    Packets,
}

impl Unit {
    /// A chunk at its longest.
    fn chunk_bytes(self) -> usize {
        match self {
            Unit::Octets => CHUNK_BYTES,
            Unit::Packets => opus::RECEIVED_BYTES_MAX,
        }
    }
}

/// How far `later` is ahead of `earlier`, in steps of 1/8000 s; negative when it is behind. Right as long as they are
/// less than half the range (74 hours) apart.
#[inline]
pub fn steps_ahead(later: u32, earlier: u32) -> i32 {
    later.wrapping_sub(earlier) as i32
}

/// Packets, or parts of long ones, ordered by timestamp.
pub struct JitterBuffer {
    unit: Unit,
    chunks: [Chunk; CHUNKS],
    /// What is in the chunks, [`Unit::chunk_bytes`] for each.
    codes: Box<[u8]>,
    /// Indices into `chunks`, earliest timestamp first; the first `length` of them count.
    order: [u8; CHUNKS],
    length: usize,
    /// One bit per chunk in use. The lowest free one is taken, so that a steady stream stays in the same cache lines.
    used: u32,
}

#[derive(Clone, Copy)]
struct Chunk {
    timestamp: u32,
    sequence: u16,
    /// As long as it is heard.
    steps: u16,
    bytes: u16,
}

impl Chunk {
    const EMPTY: Chunk = Chunk { timestamp: 0, sequence: 0, steps: 0, bytes: 0 };

    fn end(&self) -> u32 {
        self.timestamp.wrapping_add(u32::from(self.steps))
    }
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insertion {
    Stored,
    /// Something is there already for this time.
    Duplicate,
    /// The latest chunk gave way, or this packet did: more is waiting than can ever be played in time.
    Overflow,
}

/// What is at one place of the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Stretch<'a> {
    /// A chunk, of which the first steps lie before the asked timestamp, and the sequence number of the packet it came in.
    Codes { chunk: &'a [u8], from: usize, steps: usize, sequence: u16 },
    /// Nothing for `steps`, up to a chunk of a packet with this sequence number.
    Gap { steps: u32, next: &'a [u8], next_sequence: u16 },
    /// Nothing any more.
    End,
}

impl JitterBuffer {
    pub fn new(unit: Unit) -> JitterBuffer {
        let codes = vec![0; CHUNKS * unit.chunk_bytes()].into();
        JitterBuffer { unit, chunks: [Chunk::EMPTY; CHUNKS], codes, order: [0; CHUNKS], length: 0, used: 0 }
    }

    pub fn unit(&self) -> Unit {
        self.unit
    }

    pub fn clear(&mut self) {
        self.length = 0;
        self.used = 0;
    }

    /// How many steps a payload is heard. `None`: it is none of voice.
    pub fn steps_of(&self, payload: &[u8]) -> Option<u32> {
        match self.unit {
            Unit::Octets => {
                (PACKET_BYTES_MIN..=PACKET_BYTES_MAX).contains(&payload.len()).then_some(payload.len() as u32)
            }
            Unit::Packets => {
                let steps = opus::duration(payload).filter(|&steps| steps >= PACKET_STEPS_MIN)?;
                (payload.len() <= opus::RECEIVED_BYTES_MAX).then_some(steps)
            }
        }
    }

    /// Takes a packet's payload, which is heard for so many `steps` ([`JitterBuffer::steps_of`]).
    pub fn insert(&mut self, sequence: u16, timestamp: u32, payload: &[u8], steps: u32) -> Insertion {
        if self.unit == Unit::Packets {
            return self.insert_chunk(sequence, timestamp, payload, steps);
        }
        let mut begin = timestamp;
        for codes in payload.chunks(CHUNK_BYTES) {
            match self.insert_chunk(sequence, begin, codes, codes.len() as u32) {
                Insertion::Stored => {}
                refused => return refused,
            }
            begin = begin.wrapping_add(CHUNK_BYTES as u32);
        }
        Insertion::Stored
    }

    fn insert_chunk(&mut self, sequence: u16, timestamp: u32, codes: &[u8], steps: u32) -> Insertion {
        // Almost every packet is later than all that wait: look from the end.
        let mut place = self.length;
        while let Some(chunk) = place.checked_sub(1).and_then(|before| self.at(before)) {
            match steps_ahead(timestamp, chunk.timestamp) {
                0 => return Insertion::Duplicate,
                ahead if ahead > 0 => break,
                _ => place -= 1,
            }
        }
        if self.unit == Unit::Packets && self.overlaps(place, timestamp, steps) {
            return Insertion::Duplicate;
        }
        if self.length == CHUNKS {
            return Insertion::Overflow;
        }
        let free = self.used.trailing_ones();
        let Some(chunk) = self.chunks.get_mut(free as usize) else { return Insertion::Overflow };
        *chunk = Chunk { timestamp, sequence, steps: steps as u16, bytes: codes.len() as u16 };
        let place_of_codes = free as usize * self.unit.chunk_bytes();
        if let Some(target) = self.codes.get_mut(place_of_codes..place_of_codes + codes.len()) {
            target.copy_from_slice(codes);
        }
        self.used |= 1 << free;
        self.order.copy_within(place..self.length, place + 1);
        if let Some(entry) = self.order.get_mut(place) {
            *entry = free as u8;
        }
        self.length += 1;
        Insertion::Stored
    }

    /// No encoder makes two packets for one moment. Each is decoded whole, so whoever sends 120 ms of which one step is played
    /// would make us work for all of it, three times a frame.
    fn overlaps(&self, place: usize, timestamp: u32, steps: u32) -> bool {
        let before = place.checked_sub(1).and_then(|before| self.at(before));
        let end = timestamp.wrapping_add(steps);
        before.is_some_and(|chunk| steps_ahead(chunk.end(), timestamp) > 0)
            || self.at(place).is_some_and(|behind| steps_ahead(end, behind.timestamp) > 0)
    }

    /// What is at `timestamp`. What lies before it is let go.
    pub fn read(&mut self, timestamp: u32) -> Stretch<'_> {
        let mut passed = 0;
        while self.at(passed).is_some_and(|chunk| steps_ahead(chunk.end(), timestamp) <= 0) {
            passed += 1;
        }
        self.release(passed);
        let Some((chunk, codes)) = self.first() else { return Stretch::End };
        match steps_ahead(timestamp, chunk.timestamp) {
            into if into >= 0 => {
                let from = into as usize;
                Stretch::Codes {
                    chunk: codes,
                    from,
                    steps: usize::from(chunk.steps).saturating_sub(from),
                    sequence: chunk.sequence,
                }
            }
            before => Stretch::Gap { steps: before.unsigned_abs(), next: codes, next_sequence: chunk.sequence },
        }
    }

    fn first(&self) -> Option<(&Chunk, &[u8])> {
        let &index = self.order.first().filter(|_| self.length > 0)?;
        let chunk = self.chunks.get(usize::from(index))?;
        let place = usize::from(index) * self.unit.chunk_bytes();
        Some((chunk, self.codes.get(place..place + usize::from(chunk.bytes))?))
    }

    /// How far the end of the latest packet is ahead of `timestamp`; zero or less when nothing is left to play.
    pub fn steps_waiting(&self, timestamp: u32) -> i32 {
        self.length.checked_sub(1).and_then(|last| self.at(last)).map_or(0, |chunk| steps_ahead(chunk.end(), timestamp))
    }

    fn at(&self, place: usize) -> Option<&Chunk> {
        if place >= self.length {
            return None;
        }
        self.order.get(place).and_then(|&index| self.chunks.get(usize::from(index)))
    }

    fn release(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        for &index in self.order.iter().take(count) {
            self.used &= !(1 << index);
        }
        self.order.copy_within(count..self.length, 0);
        self.length -= count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(number: u32) -> [u8; 160] {
        [number as u8; 160]
    }

    /// Reads `steps` from `from` on: the first octet of each stretch and how long it is; gaps as `None`.
    fn read_all(buffer: &mut JitterBuffer, from: u32, steps: u32) -> Vec<(Option<u8>, u32)> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < steps {
            let (what, length) = match buffer.read(from.wrapping_add(at)) {
                Stretch::Codes { chunk, from, steps, .. } => (Some(chunk[from]), steps as u32),
                Stretch::Gap { steps, .. } => (None, steps),
                Stretch::End => (None, steps - at),
            };
            let length = length.min(steps - at);
            found.push((what, length));
            at += length;
        }
        found
    }

    #[test]
    fn packets_come_out_in_order_whatever_order_they_came_in() {
        for base in [0u32, 1_000, u32::MAX - 400] {
            let mut buffer = JitterBuffer::new(Unit::Octets);
            for number in [0u32, 1, 3, 2, 2, 5] {
                let stored = buffer.insert(number as u16, base.wrapping_add(number * 160), &packet(number), 160);
                let again = number == 2 && stored == Insertion::Duplicate;
                assert!(stored == Insertion::Stored || again);
            }
            let found = read_all(&mut buffer, base, 6 * 160);
            let expected = [Some(0), Some(1), Some(2), Some(3), None, Some(5)].map(|what| (what, 160));
            assert_eq!(found, expected);
            assert_eq!(buffer.read(base.wrapping_add(960)), Stretch::End);
            assert_eq!(buffer.used, 0);
        }
    }

    #[test]
    fn packets_of_10_30_and_40_ms_are_read_in_frames_of_20() {
        for bytes in [80usize, 240, 320] {
            let mut buffer = JitterBuffer::new(Unit::Octets);
            for number in 0..4u32 {
                let payload: Vec<u8> = (0..bytes as u32).map(|at| ((number * bytes as u32 + at) / 10) as u8).collect();
                buffer.insert(number as u16, number * bytes as u32, &payload, bytes as u32);
            }
            let mut played = Vec::new();
            let mut at = 0u32;
            while let Stretch::Codes { chunk, from, steps, .. } = buffer.read(at) {
                let codes = &chunk[from..from + steps.min(50)];
                played.extend_from_slice(codes);
                at += codes.len() as u32;
            }
            let expected: Vec<u8> = (0..4 * bytes).map(|at| (at / 10) as u8).collect();
            assert_eq!(played, expected);
        }
    }

    #[test]
    fn a_gap_names_the_packet_behind_it() {
        let mut buffer = JitterBuffer::new(Unit::Octets);
        buffer.insert(7, 480, &packet(7), 160);
        assert_eq!(buffer.read(160), Stretch::Gap { steps: 320, next: &packet(7), next_sequence: 7 });
        assert_eq!(buffer.steps_waiting(160), 480);
    }

    #[test]
    fn a_packet_that_is_decoded_whole_is_read_whole() {
        let mut buffer = JitterBuffer::new(Unit::Packets);
        // Opus: two frames of 20 ms, and then one; as long as octets have no meaning.
        let (long, short) = ([&[0xB9][..], &[7; 1_000]].concat(), [0xB8, 9]);
        assert_eq!(
            (buffer.steps_of(&long), buffer.steps_of(&short), buffer.steps_of(&[0xA0, 1])),
            (Some(320), Some(160), None)
        );
        assert_eq!(buffer.insert(1, 0, &long, 320), Insertion::Stored);
        assert_eq!(buffer.insert(3, 480, &short, 160), Insertion::Stored);
        assert_eq!(buffer.read(160), Stretch::Codes { chunk: &long, from: 160, steps: 160, sequence: 1 });
        assert_eq!(buffer.read(320), Stretch::Gap { steps: 160, next: &short, next_sequence: 3 });
        assert_eq!(buffer.read(480), Stretch::Codes { chunk: &short, from: 0, steps: 160, sequence: 3 });
        assert_eq!(buffer.read(640), Stretch::End);
        buffer.insert(4, 800, &short, 160);
        for overlapping in [640 + 1, 800 - 1, 800 + 159] {
            assert_eq!(buffer.insert(5, overlapping, &short, 160), Insertion::Duplicate, "{overlapping}");
        }
        assert_eq!(buffer.insert(6, 640, &short, 160), Insertion::Stored);
        let too_long = [&[0xB8][..], &[0; opus::RECEIVED_BYTES_MAX]].concat();
        assert_eq!(buffer.steps_of(&too_long), None);
    }

    #[test]
    fn it_is_bounded() {
        let mut buffer = JitterBuffer::new(Unit::Octets);
        for number in 0..CHUNKS as u32 {
            assert_eq!(buffer.insert(number as u16, number * 160, &packet(number), 160), Insertion::Stored);
        }
        assert_eq!(buffer.insert(99, 160 * CHUNKS as u32, &packet(99), 160), Insertion::Overflow);
        assert_eq!(read_all(&mut buffer, 0, 160), [(Some(0), 160)]);
        buffer.clear();
        assert_eq!(buffer.read(0), Stretch::End);
    }
}
