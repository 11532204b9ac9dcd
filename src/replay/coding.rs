//! A caller's voice at 8 kHz, and what is on the wire of it, in whatever codec.

use crate::media::resample::{Downsampler, Upsampler};
use crate::wire::{g711, g722};
use crate::words::media::{Codec, FRAME_SAMPLES, WIDE_FRAME_SAMPLES};

/// What a telephone's microphone goes through.
#[derive(Debug, Clone, Default)]
pub struct VoiceEncoder {
    upsampler: Upsampler,
    wide: g722::Encoder,
}

impl VoiceEncoder {
    pub fn frame(&mut self, codec: Codec, voice: &[i16; FRAME_SAMPLES]) -> [u8; FRAME_SAMPLES] {
        let mut codes = [0; FRAME_SAMPLES];
        match codec.law() {
            Some(law) => g711::encode_into(law, voice, &mut codes),
            None => self.wide.encode(&self.upsampler.frame(voice), &mut codes),
        };
        codes
    }
}

/// What a telephone's loudspeaker hangs on. Packets have to come in their order.
#[derive(Debug, Clone, Default)]
pub struct VoiceDecoder {
    downsampler: Downsampler,
    wide: g722::Decoder,
}

impl VoiceDecoder {
    /// A packet's voice at 8 kHz: a sample for each octet.
    pub fn packet(&mut self, codec: Codec, codes: &[u8]) -> Vec<i16> {
        let mut samples = vec![0; codes.len()];
        if let Some(law) = codec.law() {
            g711::decode_into(law, codes, &mut samples);
            return samples;
        }
        for (codes, samples) in codes.chunks(FRAME_SAMPLES).zip(samples.chunks_mut(FRAME_SAMPLES)) {
            let mut wide = [0; WIDE_FRAME_SAMPLES];
            self.wide.decode(codes, &mut wide);
            let narrow = self.downsampler.part(wide.get(..2 * codes.len()).unwrap_or_default());
            samples.iter_mut().zip(narrow).for_each(|(to, from)| *to = from);
        }
        samples
    }
}
