//! What a caller with G.722 hears, encoded: shared with all who hear the same, and still without a break where he leaves them.
//!
//! The codes of G.722 are steps of an encoder that adapts, and the caller's decoder goes its steps. Whoever is given codes of an
//! encoder in another state hears a click. An encoder for each caller costs more than all else that is done for him. So a
//! caller shares codes as long as his decoder is in the state in which they were made, and has an encoder of his own
//! otherwise:
//!
//! ```text
//!   hold music, shared  ──▶ admitted: an encoder of his own,  ──▶ a pause of 40 ms, or three seconds  ──▶ the meeting,
//!                           in the state that the music's had     later: its state is near that of all     shared
//!   the meeting, shared ──▶ he speaks: an encoder of              others
//!                           his own, in the meeting's state
//! ```
//!
//! Two encoders that hear the same come near each other, for all that they remember fades (ITU-T G.722 clause 3.6.3). Not wholly:
//! in the first frame from the other one what is wrong is 15 dB below the voice, and after three frames no more than what
//! coding itself leaves (the table is in [`crate::wire::g722`]). At once it would be as loud as the voice; in a pause there is
//! nothing to be wrong.

use crate::wire::g722::Encoder;
use crate::words::media::{FRAME_SAMPLES, WIDE_FRAME_SAMPLES};

use super::ear::WideLine;
use super::mixer::{Codes, Mixer, WideSamples};
use super::source::{Place, Sounds};

/// So many frames a caller has an encoder of his own at most before he joins that of others who hear the same.
const JOINS_AFTER: u32 = 150;

/// After so many soft ones in a row he joins at once. Soft is below -40 dB of full scale: no voice is.
const SOFT_FRAMES: u32 = 2;
const SOFT: u16 = 320;

/// One caller's encoded line.
pub struct G722Line {
    /// In the state of the caller's decoder, unless `at` says what state that is.
    encoder: Encoder,
    /// The decoder has heard the sounds up to here, as they are encoded for everybody.
    at: Option<Place>,
    /// Frames that his own encoder has made of what others hear, too.
    alone: u32,
    /// The last of them in a row that were soft.
    soft: u32,
    codes: Codes,
}

impl Default for G722Line {
    fn default() -> G722Line {
        G722Line { encoder: Encoder::default(), at: None, alone: 0, soft: 0, codes: [0; FRAME_SAMPLES] }
    }
}

impl WideLine for G722Line {
    fn own(&mut self, sounds: &Sounds, _: Option<&mut Mixer>, samples: &WideSamples) -> &[u8] {
        (self.alone, self.soft) = (0, 0);
        self.encode(sounds, samples);
        &self.codes
    }

    fn sound<'a>(&'a mut self, sounds: &'a Sounds, place: Place) -> &'a [u8] {
        let shared = sounds.g722(place);
        if let Some(shared) = shared.filter(|_| self.at == Some(place)) {
            self.at = Some(sounds.after(place));
            return shared;
        }
        let samples = sounds.wide(place).unwrap_or(&[0; WIDE_FRAME_SAMPLES]);
        self.encode(sounds, samples);
        if shared.is_some() && self.joins(samples) {
            self.at = Some(sounds.after(place));
        }
        &self.codes
    }

    fn meeting<'a>(&'a mut self, sounds: &Sounds, mixer: &'a mut Mixer) -> &'a [u8] {
        let shared = mixer.shared_g722();
        if self.at.is_none() && self.encoder == *shared.before {
            self.codes = *shared.codes;
            self.encoder.clone_from(shared.after);
            return &self.codes;
        }
        self.encode(sounds, shared.samples);
        if self.joins(shared.samples) {
            self.encoder.clone_from(shared.after);
        }
        &self.codes
    }
}

impl G722Line {
    fn encode(&mut self, sounds: &Sounds, samples: &WideSamples) {
        if let Some(place) = self.at.take() {
            self.encoder = sounds.encoder_at(place);
        }
        self.encoder.encode(samples, &mut self.codes);
    }

    /// One more frame of the same was made. Whether the next may come from the others' encoder.
    fn joins(&mut self, samples: &WideSamples) -> bool {
        self.alone += 1;
        let is_soft = samples.iter().all(|sample| sample.unsigned_abs() < SOFT);
        self.soft = if is_soft { self.soft + 1 } else { 0 };
        let joins = self.alone >= JOINS_AFTER || self.soft >= SOFT_FRAMES;
        if joins {
            (self.alone, self.soft) = (0, 0);
        }
        joins
    }
}
