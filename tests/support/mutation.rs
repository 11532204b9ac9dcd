//! Changes octets as broken and hostile peers do: some replaced, cut out, doubled, or taken from elsewhere.

use rand::rngs::StdRng;
use rand::{Rng, RngExt};

/// What means something to one parser or another.
const WORDS: [&[u8]; 24] = [
    b"\0",
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n ",
    b"-1",
    b"0",
    b"4294967296",
    b"99999999999999999999",
    b"<",
    b">",
    b"\"",
    b"\xff",
    b"::",
    b";;",
    b"%00",
    b"[::1]",
    b"SIP/2.0",
    b"Content-Length: 7\r\n",
    b"v: x\r\n",
    b"m=audio 0 RTP/AVP 0\r\n",
    b"= [",
    b"${",
    b" = true\n",
    b"\\u0000",
];

/// `original` with one to eight changes; now and then its end is the end of `other`.
pub fn mutated(random: &mut StdRng, original: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for _ in 0..random.random_range(1..=8) {
        let at = random.random_range(0..=bytes.len());
        let end = random.random_range(at..=bytes.len().min(at.saturating_add(40)));
        match random.random_range(0..8) {
            0 => {
                if let Some(octet) = bytes.get_mut(at) {
                    *octet = random.random();
                }
            }
            1 => {
                if let Some(octet) = bytes.get_mut(at) {
                    *octet ^= 1 << random.random_range(0..8);
                }
            }
            2 => drop(bytes.drain(at..end)),
            3 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            4 if random.random_bool(0.3) => bytes.truncate(at),
            5 if random.random_bool(0.5) => {
                let from = random.random_range(0..=other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            6 => {
                // A number becomes another one.
                if let Some(digit) = bytes.iter().skip(at).position(u8::is_ascii_digit) {
                    bytes[at + digit] = b'0' + random.random_range(0..10_u8);
                }
            }
            _ => {
                let word = WORDS[random.random_range(0..WORDS.len())];
                bytes.splice(at..at, word.iter().copied());
            }
        }
    }
    bytes
}

/// Octets that were never anything.
pub fn noise(random: &mut StdRng, most: usize) -> Vec<u8> {
    let mut bytes = vec![0; random.random_range(0..most)];
    random.fill_bytes(&mut bytes);
    bytes
}
