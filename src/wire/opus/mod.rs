//! Opus (RFC 6716) at 16 kHz and with one channel, in packets of RTP (RFC 7587). The coder is Xiph's own library, which is
//! there where the program was built with the feature `opus`; without it no coder can be made.
//!
//! | what | how it is coded |
//! | --- | --- |
//! | voices ([`Encoder::for_voice`]) | SILK, 40 kbit/s, and in each packet once more, coarser, the voice of the packet before (in-band FEC) |
//! | prompts and music ([`Encoder::for_sounds`]) | CELT, 40 kbit/s: it suits music, and takes a fourth of the time |
//!
//! A decoder bears what other codecs' don't: packets of an encoder that was in another state. It was measured what is wrong then
//! (speech; below what is heard; beside two encoders of the same input, one of which had heard something else 200 ms before,
//! which differ by -16 dB):
//!
//! | the packet is of an encoder that | first 20 ms | after that |
//! | --- | --- | --- |
//! | begins with it | -5 dB | -15 dB |
//! | has heard the 20 ms before, too | -14 dB | -15 dB |
//! | has long been coding the same for others | -15 dB | -15 dB |

#[cfg_attr(feature = "opus", path = "library.rs")]
#[cfg_attr(not(feature = "opus"), path = "absent.rs")]
mod coder;

pub use coder::{Decoder, Encoder};

/// Whether this program can speak it.
pub const IS_BUILT_IN: bool = cfg!(feature = "opus");

/// Samples a second on our side of the coder.
pub const SAMPLE_RATE: u32 = 16_000;

/// What we send, voices and sounds alike, to whoever does not want less (`maxaveragebitrate`, RFC 7587 section 6.1).
pub const BITS_PER_SECOND: u32 = 40_000;

/// The least that anybody may want.
pub const BITS_PER_SECOND_MIN: u32 = 6_000;

/// The longest packet that we send: five times the average.
pub const SENT_BYTES_MAX: usize = 400;

/// The longest packet that is taken: one frame at the highest rate (RFC 6716 section 3.4, R2).
pub const RECEIVED_BYTES_MAX: usize = 1_275;

/// Samples in the longest packet, 120 ms (RFC 6716 section 3.4, R5).
pub const PACKET_SAMPLES_MAX: usize = 120 * SAMPLE_RATE as usize / 1_000;

/// How long the voice in a packet is, in samples at 8 kHz, by its first octets (RFC 6716 section 3.1). `None`: no packet, or
/// a longer one than there may be.
pub fn duration(packet: &[u8]) -> Option<u32> {
    let &toc = packet.first()?;
    let frame = match toc >> 3 {
        // SILK: 10, 20, 40, 60 ms.
        config @ 0..12 => [80, 160, 320, 480].get(usize::from(config & 3)).copied(),
        // Hybrid: 10, 20 ms.
        config @ 12..16 => [80, 160].get(usize::from(config & 1)).copied(),
        // CELT: 2.5, 5, 10, 20 ms.
        config => [20, 40, 80, 160].get(usize::from(config & 3)).copied(),
    }?;
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3F),
    };
    let duration: u32 = frame * frames;
    (1..=PACKET_SAMPLES_MAX as u32 / 2).contains(&duration).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_says_how_long_it_is() {
        for (packet, duration_ms) in [
            (&[0x08][..], Some(20.0)),       // SILK, one frame
            (&[0x48], Some(20.0)),           // SILK at 16 kHz
            (&[0x18], Some(60.0)),           // one frame of 60 ms
            (&[0x68], Some(20.0)),           // hybrid
            (&[0x80], Some(2.5)),            // CELT
            (&[0xB9, 1], Some(40.0)),        // CELT, two frames
            (&[0xBB, 0x06, 1], Some(120.0)), // six of 20 ms
            (&[0xBB, 0x07, 1], None),        // 140 ms
            (&[0xBB, 0x00, 1], None),        // none
            (&[0xBB], None),                 // how many it does not say
            (&[], None),
        ] {
            assert_eq!(duration(packet).map(|steps| f64::from(steps) / 8.0), duration_ms, "{packet:02x?}");
        }
    }
}
