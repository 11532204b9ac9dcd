//! G.711, the two companding laws of the telephone network (ITU-T G.711, tables 1a to 2b).
//!
//! Samples are 16-bit linear at 8 kHz: µ-law's 14-bit scale shifted left by two bits, A-law's 13-bit scale by three. So
//! the highest µ-law level is ±32124, and the highest A-law level ±32256. A sine of that peak is +3.17 dBm0 and
//! +3.14 dBm0.
//!
//! Both directions are look-ups in tables made at compile time. The arithmetic shift that makes an encoder's index is
//! also how ITU-T's own software (G.191) treats a sample that lies exactly between two levels.

use crate::words::media::Law;

/// One code's linear sample. (The tables have an entry for every index that can come: no look-up can fail.)
#[inline]
pub fn decode(law: Law, code: u8) -> i16 {
    match law {
        Law::Mu => ULAW_DECODED[usize::from(code)],
        Law::A => ALAW_DECODED[usize::from(code)],
    }
}

/// The code whose level is nearest to `sample`. What is beyond the highest level gets the highest level.
#[inline]
pub fn encode(law: Law, sample: i16) -> u8 {
    match law {
        Law::Mu => ULAW_ENCODED[usize::from((sample >> 2) as u16 & ULAW_INDEX_MASK)],
        Law::A => ALAW_ENCODED[usize::from((sample >> 4) as u16 & ALAW_INDEX_MASK)],
    }
}

/// Decodes as many codes as both slices hold, and says how many that were.
#[inline]
pub fn decode_into(law: Law, codes: &[u8], samples: &mut [i16]) -> usize {
    let table = match law {
        Law::Mu => &ULAW_DECODED,
        Law::A => &ALAW_DECODED,
    };
    for (sample, &code) in samples.iter_mut().zip(codes) {
        *sample = table[usize::from(code)];
    }
    samples.len().min(codes.len())
}

/// Encodes as many samples as both slices hold, and says how many that were.
#[inline]
pub fn encode_into(law: Law, samples: &[i16], codes: &mut [u8]) -> usize {
    for (code, &sample) in codes.iter_mut().zip(samples) {
        *code = encode(law, sample);
    }
    samples.len().min(codes.len())
}

/// The code of silence: what `encode` makes of zero.
pub const fn silence(law: Law) -> u8 {
    match law {
        Law::Mu => 0xFF,
        Law::A => 0xD5,
    }
}

const ULAW_INDEX_MASK: u16 = 0x3FFF; // 14 bits
const ALAW_INDEX_MASK: u16 = 0x0FFF; // 13 bits, of which the lowest decides nothing: the finest step is two wide

static ULAW_DECODED: [i16; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = ulaw_decoded(code as u8);
        code += 1;
    }
    table
};

static ALAW_DECODED: [i16; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = alaw_decoded(code as u8);
        code += 1;
    }
    table
};

static ULAW_ENCODED: [u8; 1 << 14] = {
    let mut table = [0; 1 << 14];
    let mut index = 0;
    while index < table.len() {
        // Bit 13 is the sign. A negative index counts down from the top, so its complement is its magnitude.
        let negative = index >> 13 == 1;
        let magnitude = if negative { !index & 0x1FFF } else { index };
        table[index] = ulaw_encoded(negative, magnitude as u32);
        index += 1;
    }
    table
};

static ALAW_ENCODED: [u8; 1 << 12] = {
    let mut table = [0; 1 << 12];
    let mut index = 0;
    while index < table.len() {
        let negative = index >> 11 == 1;
        let magnitude = if negative { !index & 0x7FF } else { index };
        table[index] = alaw_encoded(negative, magnitude as u32);
        index += 1;
    }
    table
};

/// Added to a 14-bit magnitude, it makes each of the eight segments begin at a power of two (33, 64 + 2, …), so that
/// the segment is the position of the highest bit.
const ULAW_BIAS: u32 = 33;

const fn ulaw_decoded(code: u8) -> i16 {
    let code = !code; // all bits are inverted on the line (table 2a, note 2)
    let segment = (code >> 4) & 7;
    let step = (code & 0x0F) as u32;
    let magnitude = ((2 * step + ULAW_BIAS) << segment) - ULAW_BIAS;
    let sample = (magnitude << 2) as i16;
    if code & 0x80 != 0 { -sample } else { sample }
}

const fn ulaw_encoded(negative: bool, magnitude: u32) -> u8 {
    let biased = if magnitude + ULAW_BIAS > 0x1FFF { 0x1FFF } else { magnitude + ULAW_BIAS };
    let segment = biased.ilog2() - 5; // biased is at least 33
    let step = (biased >> (segment + 1)) & 0x0F;
    let sign = if negative { 0x80 } else { 0 };
    !(sign | (segment << 4) as u8 | step as u8)
}

/// Every second bit is inverted on the line (table 1a, note 2).
const ALAW_LINE_INVERSION: u8 = 0x55;

const fn alaw_decoded(code: u8) -> i16 {
    let code = code ^ ALAW_LINE_INVERSION;
    let segment = (code >> 4) & 7;
    let step = (code & 0x0F) as u32;
    // In units of half the finest step: each level lies in the middle of its interval. Segments 0 and 1 are alike.
    let magnitude = if segment == 0 { 2 * step + 1 } else { (2 * step + 33) << (segment - 1) };
    let sample = (magnitude << 3) as i16;
    if code & 0x80 != 0 { sample } else { -sample } // in A-law the set bit means positive
}

const fn alaw_encoded(negative: bool, magnitude: u32) -> u8 {
    // In units of the finest step.
    let (segment, step) = if magnitude < 32 {
        (magnitude >> 4, magnitude & 0x0F)
    } else {
        let segment = magnitude.ilog2() - 3;
        (segment, (magnitude >> (segment - 1)) & 0x0F)
    };
    let sign = if negative { 0 } else { 0x80 };
    (sign | (segment << 4) as u8 | step as u8) ^ ALAW_LINE_INVERSION
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The positive half of table 2a/G.711 in its own (14-bit) units: the decision values x1 to x128.
    fn ulaw_decision_values() -> Vec<i32> {
        let mut values = vec![0, 1];
        for (steps, width) in [(15, 2), (16, 4), (16, 8), (16, 16), (16, 32), (16, 64), (16, 128), (16, 256)] {
            for _ in 0..steps {
                values.push(values[values.len() - 1] + width);
            }
        }
        assert_eq!(values.len(), 129);
        assert_eq!((values[1], values[16], values[32], values[112], values[128]), (1, 31, 95, 4063, 8159));
        values
    }

    /// The positive half of table 1a/G.711 in its own (13-bit) units.
    fn alaw_decision_values() -> Vec<i32> {
        let mut values = vec![0];
        for (steps, width) in [(32, 2), (16, 4), (16, 8), (16, 16), (16, 32), (16, 64), (16, 128)] {
            for _ in 0..steps {
                values.push(values[values.len() - 1] + width);
            }
        }
        assert_eq!(values.len(), 129);
        assert_eq!((values[16], values[32], values[112], values[128]), (32, 64, 2048, 4096));
        values
    }

    /// The 128 positive levels on the 16-bit scale, from the bottom: each in the middle between two decision values,
    /// except that µ-law's first is 0.
    fn levels(law: Law) -> Vec<i32> {
        match law {
            Law::Mu => {
                let x = ulaw_decision_values();
                (0..128).map(|n| if n == 0 { 0 } else { (x[n] + x[n + 1]) * 2 }).collect()
            }
            Law::A => {
                let x = alaw_decision_values();
                (0..128).map(|n| (x[n] + x[n + 1]) * 4).collect()
            }
        }
    }

    fn positive_code(law: Law, level: usize) -> u8 {
        match law {
            Law::Mu => 0xFF - level as u8,
            Law::A => (0x80 | level as u8) ^ 0x55,
        }
    }

    #[test]
    fn every_code_has_the_level_of_the_standard() {
        for law in Law::ALL {
            for (number, level) in levels(law).into_iter().enumerate() {
                let code = positive_code(law, number);
                assert_eq!(i32::from(decode(law, code)), level, "{law:?} {code:#x}");
                assert_eq!(i32::from(decode(law, code ^ 0x80)), -level, "{law:?} {:#x}", code ^ 0x80);
            }
        }
        // As printed in every table of the codes.
        assert_eq!(decode(Law::Mu, 0x80), 32124);
        assert_eq!(decode(Law::Mu, 0x00), -32124);
        assert_eq!(decode(Law::A, 0xAA), 32256);
        assert_eq!(decode(Law::A, 0x2A), -32256);
        assert_eq!(decode(Law::A, 0xD5), 8);
    }

    #[test]
    fn every_sample_is_encoded_between_its_decision_values() {
        for law in Law::ALL {
            let (decisions, scale) = match law {
                Law::Mu => (ulaw_decision_values(), 4),
                Law::A => (alaw_decision_values(), 8),
            };
            for sample in i16::MIN..=i16::MAX {
                let code = encode(law, sample);
                let negative = sample < 0;
                let number = (0..128).find(|&n| {
                    let found = positive_code(law, n) ^ if negative { 0x80 } else { 0 };
                    found == code
                });
                let number = number.unwrap_or_else(|| panic!("{law:?}: {sample} has the wrong sign"));
                let magnitude = i32::from(sample).abs();
                assert!(decisions[number] * scale <= magnitude, "{law:?}: {sample} too high");
                assert!(magnitude <= decisions[number + 1] * scale || number == 127, "{law:?}: {sample} too low");
            }
        }
    }

    #[test]
    fn a_decoded_code_is_encoded_as_itself() {
        for law in Law::ALL {
            for code in 0..=255u8 {
                let again = encode(law, decode(law, code));
                // µ-law has two zeroes, and a linear sample has one.
                if !(law == Law::Mu && code == 0x7F) {
                    assert_eq!(again, code, "{law:?}");
                }
            }
        }
    }

    #[test]
    fn silence_is_the_code_of_zero() {
        for law in Law::ALL {
            assert_eq!(silence(law), encode(law, 0));
        }
    }

    #[test]
    fn slices_of_unlike_length_stop_at_the_shorter() {
        let mut samples = [7; 4];
        assert_eq!(decode_into(Law::Mu, &[0xFF, 0x80], &mut samples), 2);
        assert_eq!(samples, [0, 32124, 7, 7]);
        let mut codes = [1; 1];
        assert_eq!(encode_into(Law::A, &[0, 0], &mut codes), 1);
        assert_eq!(codes, [0xD5]);
    }
}
