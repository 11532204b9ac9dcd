//! What a caller with Opus hears, encoded: shared with all who hear the same.
//!
//! A decoder of Opus bears that its packets are of another encoder than those before, if that has heard 20 ms of the same (the
//! table is in [`crate::wire::opus`]). So whoever hears what others hear has their packets at once, and an encoder of his own
//! works only for what he alone hears:
//!
//! ```text
//!   hold music, as it was encoded once ──▶ the meeting, encoded once for all
//!   the meeting, for all ──▶ he speaks: his own encoder, which is given ──▶ he is silent: for all
//!                            what he heard last and goes on from there
//! ```

use crate::wire::opus;
use crate::words::media::WIDE_FRAME_SAMPLES;

use super::ear::WideLine;
use super::mixer::{Mixer, WideSamples};
use super::source::{Place, Sounds};

/// A caller's line.
pub struct OpusLine {
    encoder: opus::Encoder,
    /// Whose the packet was that he had last.
    last: Whose,
    /// He wants less than what is made for all.
    alone: bool,
    packet: [u8; opus::SENT_BYTES_MAX],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Own,
    Sounds,
    Meeting,
}

impl OpusLine {
    /// `bits_per_second_max`: what the peer wants at most. `None`: there is no memory, or the program was built without Opus.
    pub fn new(bits_per_second_max: Option<u32>) -> Option<OpusLine> {
        let bits = bits_per_second_max.map_or(opus::BITS_PER_SECOND, |bits| bits.min(opus::BITS_PER_SECOND));
        Some(OpusLine {
            encoder: opus::Encoder::for_voice(bits)?,
            last: Whose::Own,
            alone: bits < opus::BITS_PER_SECOND,
            packet: [0; opus::SENT_BYTES_MAX],
        })
    }

    fn encode(&mut self, samples: &WideSamples) -> &[u8] {
        self.last = Whose::Own;
        let length = self.encoder.encode(samples, &mut self.packet);
        self.packet.get(..length).unwrap_or_default()
    }
}

impl WideLine for OpusLine {
    fn own(&mut self, _: &Sounds, mixer: Option<&mut Mixer>, samples: &WideSamples) -> &[u8] {
        if self.last != Whose::Own {
            self.encoder.reset();
        }
        if let (Whose::Meeting, Some(mixer)) = (self.last, mixer) {
            self.encoder.encode(mixer.wide_shared_before(), &mut self.packet);
        }
        self.encode(samples)
    }

    /// To encode it costs as much as a voice, and who is asked for a number hears it most of the time.
    fn silence<'a>(&'a mut self, sounds: &'a Sounds, mixer: Option<&mut Mixer>) -> &'a [u8] {
        match sounds.opus_silence() {
            Some(shared) => {
                self.last = Whose::Sounds;
                shared
            }
            None => self.own(sounds, mixer, &[0; WIDE_FRAME_SAMPLES]),
        }
    }

    fn sound<'a>(&'a mut self, sounds: &'a Sounds, place: Place) -> &'a [u8] {
        match sounds.opus(place).filter(|_| !self.alone) {
            Some(shared) => {
                self.last = Whose::Sounds;
                shared
            }
            None => self.encode(sounds.wide(place).unwrap_or(&[0; WIDE_FRAME_SAMPLES])),
        }
    }

    fn meeting<'a>(&'a mut self, _: &Sounds, mixer: &'a mut Mixer) -> &'a [u8] {
        if self.alone {
            return self.encode(mixer.wide_shared());
        }
        self.last = Whose::Meeting;
        mixer.shared_opus()
    }

    /// Its decoders fade one way of coding into the other. A frame for each would cost as much as 15 that are only listened to, and
    /// all of a lobby would need theirs in the same tick. In the middle of a sound a decoder lacks what came before.
    fn goes_over(&self, to: Option<Place>) -> bool {
        !self.alone && to.is_none_or(|place| matches!(place, Place::Music(0) | Place::Prompt(_, 0)))
    }
}

#[cfg(all(test, feature = "opus"))]
mod tests {
    use super::*;
    use crate::media::source::{Recording, Sounds};
    use crate::words::media::Codec;

    #[test]
    fn who_wants_less_gets_less_and_by_himself() {
        let music: Vec<i16> = (0..16_000).map(|at| ((at * at / 50) % 9_000) as i16 - 4_500).collect();
        let silence = Recording::at_8_khz(vec![0; 160]);
        let sounds = Sounds::of(|_| silence.clone(), |_| silence.clone(), &Recording::at_8_khz(music));
        sounds.encode(Codec::Opus);
        let mean = |wanted: Option<u32>| {
            let mut line = OpusLine::new(wanted).unwrap();
            let mut cursor = 0;
            let octets = (0..100).map(|_| {
                let place = sounds.next_of_music(&mut cursor).unwrap();
                let shared = sounds.opus(place).unwrap().to_vec();
                let packet = line.sound(&sounds, place);
                assert_eq!(packet == shared, wanted.is_none_or(|bits| bits > 40_000));
                packet.len()
            });
            octets.sum::<usize>() as u32 * 8 * 50 / 100
        };
        let (all, less) = (mean(None), mean(Some(12_000)));
        assert!((30_000..50_000).contains(&all) && (6_000..15_000).contains(&less), "{all} and {less} bit/s");
        assert_eq!(mean(Some(510_000)), all);
    }
}
