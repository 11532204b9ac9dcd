//! What a telephone's silence sounds like that sends no packets in it (comfort noise, RFC 3389).

use crate::wire::g711;
use crate::words::media::Law;

/// The loudest comfort noise that is believed, in decibels under overload. What is louder is no background.
const LOUDEST: u8 = 30;

/// What the peer's silence sounds like, as he said last.
#[derive(Debug, Clone, Copy)]
pub struct ComfortNoise {
    /// Where the silence began.
    pub timestamp: u32,
    pub sequence: u16,
    /// The samples are between this and its negative.
    amplitude: i16,
    random: u32,
}

impl ComfortNoise {
    /// From the first octet of its payload (RFC 3389 section 3.1).
    pub fn new(sequence: u16, timestamp: u32, level: u8) -> ComfortNoise {
        let level = f32::from((level & 0x7F).max(LOUDEST));
        // Of the power that is told: samples that are evenly distributed reach 1.73 times their root mean square.
        let amplitude = (32_768.0 * 1.732 * 10f32.powf(-level / 20.0)) as i16;
        ComfortNoise { timestamp, sequence, amplitude, random: timestamp }
    }

    /// The next codes of it.
    pub fn fill(&mut self, law: Law, codes: &mut [u8]) {
        for code in codes {
            self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let uniform = (self.random >> 16) as i16;
            *code = g711::encode(law, ((i32::from(uniform) * i32::from(self.amplitude)) >> 15) as i16);
        }
    }
}
