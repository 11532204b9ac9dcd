//! What is heard of a caller who has 16 kHz: his packets decoded, and what is missing of them made up for.

use crate::wire::{g722, opus};
use crate::words::media::{Codec, WIDE_FRAME_SAMPLES};

use super::concealment::WideConcealment;
use super::mixer::{Samples, WideSamples};
use super::received_frame::{Part, ReceivedFrame, Run};
use super::resample::Downsampler;

/// One caller's voice at 16 kHz.
pub struct WideVoice {
    decoder: Decoder,
    samples: WideSamples,
    /// The frame before it, where a caller is heard one frame later than he speaks.
    before: WideSamples,
    downsampler: Downsampler,
}

enum Decoder {
    G722(Box<G722Decoder>),
    Opus(Box<OpusDecoder>),
}

#[derive(Default)]
struct G722Decoder {
    decoder: g722::Decoder,
    concealment: WideConcealment,
}

/// A decoder, and the packet that it decoded last: a frame can end in its middle.
struct OpusDecoder {
    decoder: opus::Decoder,
    sequence: Option<u16>,
    decoded: [i16; opus::PACKET_SAMPLES_MAX],
    length: usize,
}

impl WideVoice {
    /// `None`: voice in this codec has 8 kHz, or can't be decoded here.
    pub fn of(codec: Codec) -> Option<WideVoice> {
        let decoder = match codec {
            Codec::Pcmu | Codec::Pcma => return None,
            Codec::G722 => Decoder::G722(Box::default()),
            Codec::Opus => Decoder::Opus(Box::new(OpusDecoder {
                decoder: opus::Decoder::new()?,
                sequence: None,
                decoded: [0; opus::PACKET_SAMPLES_MAX],
                length: 0,
            })),
        };
        let silence = [0; WIDE_FRAME_SAMPLES];
        Some(WideVoice { decoder, samples: silence, before: silence, downsampler: Downsampler::default() })
    }

    /// Another stream begins.
    pub fn begin_stream(&mut self) {
        match &mut self.decoder {
            Decoder::G722(g722) => g722.decoder = g722::Decoder::default(),
            Decoder::Opus(opus) => {
                opus.decoder.reset();
                opus.sequence = None;
            }
        }
    }

    /// Whether a frame has to be decoded before it can be said how loud it is.
    ///
    /// G.722 tells how far the voice is from what was predicted: of a steady tone little. So it is looked at decoded as long as
    /// the gate is open. Opus tells nothing.
    pub fn is_decoded_first(&self, gate_is_open: bool) -> bool {
        match self.decoder {
            Decoder::G722(_) => gate_is_open,
            Decoder::Opus(_) => true,
        }
    }

    /// This frame.
    pub fn samples(&self) -> &WideSamples {
        &self.samples
    }

    pub fn samples_mut(&mut self) -> &mut WideSamples {
        &mut self.samples
    }

    /// This frame at 8 kHz. Once for each.
    pub fn narrow(&mut self) -> Samples {
        self.downsampler.frame(&self.samples)
    }

    /// The frame before this one takes its place, and this one is kept for the next time.
    pub fn hold_back(&mut self) {
        std::mem::swap(&mut self.samples, &mut self.before);
    }

    /// A part of the voice could be left out and would hardly be missed.
    pub fn repeats_itself(&self) -> bool {
        match &self.decoder {
            Decoder::G722(g722) => g722.concealment.repeats_itself(),
            Decoder::Opus(_) => false,
        }
    }

    /// Decodes a frame and fills its holes.
    pub fn decode(&mut self, frame: &ReceivedFrame) {
        match &mut self.decoder {
            Decoder::G722(g722) => g722.decode(frame, &mut self.samples),
            Decoder::Opus(opus) => opus.decode(frame, &mut self.samples),
        }
    }

    /// The frame is not decoded.
    pub fn quiet(&mut self, frame: &ReceivedFrame) {
        if let Decoder::G722(g722) = &mut self.decoder {
            g722.skip(frame);
        }
        self.downsampler = Downsampler::default();
    }
}

impl G722Decoder {
    /// What stands in for codes that are missing is heard by the decoder, too, so that those behind fit.
    fn decode(&mut self, frame: &ReceivedFrame, samples: &mut WideSamples) {
        for Run { begin, end, next, lost } in frame.runs() {
            let codes = frame.codes.get(begin..end).filter(|codes| !codes.is_empty());
            if let (Some(codes), Some(heard)) = (codes, samples.get_mut(2 * begin..2 * end)) {
                self.decoder.decode(codes, heard);
                self.concealment.heard(heard);
            }
            if let Some(missing) = samples.get_mut(2 * end..2 * next).filter(|missing| !missing.is_empty()) {
                if lost {
                    self.concealment.conceal(missing);
                } else {
                    missing.fill(0);
                    self.concealment.heard(missing);
                }
                self.decoder.follow(missing);
            }
        }
    }

    fn skip(&mut self, frame: &ReceivedFrame) {
        for Run { begin, end, .. } in frame.runs() {
            self.decoder.skip(frame.codes.get(begin..end).unwrap_or_default());
        }
        self.concealment.quiet();
    }
}

impl OpusDecoder {
    fn decode(&mut self, frame: &ReceivedFrame, samples: &mut WideSamples) {
        let mut at = 0;
        while let Some(part) = frame.part(at) {
            let length = match part {
                Part::Packet { length, .. } | Part::Missing { length, .. } => length,
            };
            let Some(out) = samples.get_mut(2 * at..2 * (at + length)) else { return };
            at += length;
            match part {
                Part::Packet { packet, from, sequence, .. } => self.packet(packet, sequence, 2 * from, out),
                // What was never sent is made up for, too: of somebody's silence the decoder knows best how it sounds.
                Part::Missing { next, .. } => {
                    let restored = next.is_some_and(|next| self.decoder.restore(next, out));
                    if !restored {
                        self.decoder.conceal(out);
                    }
                }
            }
        }
    }

    fn packet(&mut self, packet: &[u8], sequence: u16, from: usize, out: &mut [i16]) {
        if self.sequence != Some(sequence) {
            self.sequence = Some(sequence);
            self.length = self.decoder.decode(packet, &mut self.decoded[..]);
        }
        match self.decoded.get(from..from + out.len()).filter(|_| from + out.len() <= self.length) {
            Some(decoded) => out.copy_from_slice(decoded),
            None => self.decoder.conceal(out),
        }
    }
}
