//! The coders, by way of Xiph's library. It takes whatever is in a packet; what it can't decode it says so of.

use opus::{Application, Bitrate, Channels};

use super::{BITS_PER_SECOND, SAMPLE_RATE};

/// The library's scale of how hard the encoder works goes to 10. With 5 PESQ is 4.2 at 32 kbit/s, with 0 it is 3.8, with 10 it
/// is 4.3 in nearly twice the time.
const COMPLEXITY: i32 = 5;

/// So many packets in a hundred are expected to be lost. It decides what part of the bits goes to the voice of the packet before.
const LOSS_PERCENT: i32 = 10;

/// The library conceals in pieces of 2.5 ms.
const PIECE: usize = SAMPLE_RATE as usize / 400;

/// Makes packets of one stream.
pub struct Encoder(opus::Encoder);

impl Encoder {
    /// For what is said in a meeting. `None`: no memory.
    pub fn for_voice(bits_per_second: u32) -> Option<Encoder> {
        let mut encoder = Encoder::new(Application::Voip, bits_per_second)?;
        encoder.0.set_inband_fec(true).ok()?;
        encoder.0.set_packet_loss_perc(LOSS_PERCENT).ok()?;
        Some(encoder)
    }

    /// For what has been recorded.
    pub fn for_sounds() -> Option<Encoder> {
        Encoder::new(Application::LowDelay, BITS_PER_SECOND)
    }

    fn new(application: Application, bits_per_second: u32) -> Option<Encoder> {
        let mut encoder = opus::Encoder::new(SAMPLE_RATE, Channels::Mono, application).ok()?;
        encoder.set_bitrate(Bitrate::Bits(i32::try_from(bits_per_second).ok()?)).ok()?;
        encoder.set_complexity(COMPLEXITY).ok()?;
        Some(Encoder(encoder))
    }

    /// As if it had heard nothing yet.
    pub fn reset(&mut self) {
        // It can't fail.
        let _ = self.0.reset_state();
    }

    /// 20 ms of samples, or 10, 40 or 60; how many octets of `out` the packet has. 0: it can't be encoded, for its length.
    pub fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> usize {
        self.0.encode(samples, out).unwrap_or(0)
    }

    /// A packet that refers to none before it.
    pub fn encode_independently(&mut self, samples: &[i16], out: &mut [u8]) -> usize {
        let _ = self.0.set_prediction_disabled(true);
        let length = self.encode(samples, out);
        let _ = self.0.set_prediction_disabled(false);
        length
    }
}

/// Decodes one stream.
pub struct Decoder(opus::Decoder);

impl Decoder {
    /// `None`: no memory.
    pub fn new() -> Option<Decoder> {
        opus::Decoder::new(SAMPLE_RATE, Channels::Mono).ok().map(Decoder)
    }

    /// As if it had heard nothing yet.
    pub fn reset(&mut self) {
        let _ = self.0.reset_state();
    }

    /// The voice of a packet, of which `out` may be longer; how many samples there are. 0: it can't be decoded.
    pub fn decode(&mut self, packet: &[u8], out: &mut [i16]) -> usize {
        // An empty packet would be one that is lost, with `out` as long as it would have been.
        if packet.is_empty() { 0 } else { self.0.decode(packet, out, false).unwrap_or(0) }
    }

    /// What was lost before `next`, as that tells of it; where it doesn't, concealed. `out`: as long as what was lost, in pieces
    /// of 2.5 ms. `false`: nothing was done.
    pub fn restore(&mut self, next: &[u8], out: &mut [i16]) -> bool {
        let whole = !next.is_empty() && out.len().is_multiple_of(PIECE);
        whole && self.0.decode(next, out, true).is_ok()
    }

    /// What stands in for what was lost, or was never sent.
    pub fn conceal(&mut self, out: &mut [i16]) {
        let whole = out.len() / PIECE * PIECE;
        let (pieces, rest) = out.split_at_mut(whole);
        if pieces.is_empty() || self.0.decode(&[], pieces, false).is_err() {
            pieces.fill(0);
        }
        rest.fill(0);
    }
}
