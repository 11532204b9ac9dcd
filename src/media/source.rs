//! Prompts, hold music and chimes: encoded once per codec, played by cursor.
//!
//! G.711 codes stand each for itself, so any place of a recording can follow any other. G.722 codes are the steps of an
//! encoder that adapts: to leave a recording in its middle one must know what state the encoder was in there. So a recording
//! keeps its samples at 16 kHz and the encoder's state at each 20 ms ([`super::g722_line`] says what is done with them). Packets
//! of Opus can be left and entered anywhere.

use std::sync::OnceLock;

use crate::wire::{g711, g722, opus};
use crate::words::media::{Codec, FRAME_SAMPLES, Law, WIDE_FRAME_SAMPLES};
use crate::words::prompt::{Chime, Prompt};

use super::mixer::{Codes, Samples, WideSamples};
use super::resample::upsampled;

/// Everything that can be played, shared by all media threads.
#[derive(Debug)]
pub struct Sounds {
    /// By the prompt's place in [`Prompt::ALL`].
    prompts: Vec<Sound>,
    music: Sound,
    /// A frame of silence.
    opus_silence: OnceLock<Box<[u8]>>,
    /// Linear, since chimes are mixed: by the chime's place in [`Chime::ALL`].
    chimes: Vec<Recording>,
}

/// The same recording at 8 and at 16 kHz.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recording {
    narrow: Vec<i16>,
    /// Twice as many samples.
    wide: Vec<i16>,
}

impl Recording {
    /// Both are cut or filled with silence to the length of `narrow`.
    pub fn at_both_rates(narrow: Vec<i16>, mut wide: Vec<i16>) -> Recording {
        wide.resize(2 * narrow.len(), 0);
        Recording { narrow, wide }
    }

    pub fn at_8_khz(narrow: Vec<i16>) -> Recording {
        let wide = upsampled(&narrow);
        Recording { narrow, wide }
    }

    /// A loop of whole frames, so that each time round it is cut into the same packets: what is left over behind the last whole
    /// one is faded into the beginning.
    pub fn in_whole_frames(self) -> Recording {
        let Recording { mut narrow, mut wide } = self;
        fold(&mut narrow, FRAME_SAMPLES);
        fold(&mut wide, WIDE_FRAME_SAMPLES);
        Recording { narrow, wide }
    }
}

/// A frame of a recording, by what it begins with: samples at 8 kHz, or codes, from the recording's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Music(usize),
    Prompt(Prompt, usize),
}

/// One recording, encoded.
#[derive(Debug)]
struct Sound {
    /// By [`Law::index`]. One frame longer than the recording: a loop's beginning stands behind its end, so that a frame
    /// across the seam is one slice like every other.
    codes: [Box<[u8]>; Law::ALL.len()],
    /// At 16 kHz, as much longer.
    wide: Box<[i16]>,
    g722: OnceLock<G722Codes>,
    opus: OnceLock<OpusPackets>,
    looped: bool,
    /// Samples at 8 kHz before it ends, or begins anew.
    length: usize,
}

/// A recording in Opus.
#[derive(Debug, Default)]
struct OpusPackets {
    octets: Vec<u8>,
    /// Where in them each packet ends, of 20 ms each.
    ends: Vec<usize>,
}

/// A recording in G.722.
#[derive(Debug)]
struct G722Codes {
    codes: Box<[u8]>,
    /// The encoder's state before each frame of the recording.
    states: Box<[g722::Encoder]>,
}

impl Sound {
    fn new(recording: &Recording, looped: bool) -> Sound {
        let narrow = extended(&recording.narrow, looped, FRAME_SAMPLES);
        let codes = Law::ALL.map(|law| narrow.iter().map(|&sample| g711::encode(law, sample)).collect());
        let wide = extended(&recording.wide, looped, WIDE_FRAME_SAMPLES).into();
        Sound { codes, wide, g722: OnceLock::new(), opus: OnceLock::new(), looped, length: recording.narrow.len() }
    }

    fn codes(&self, law: Law, cursor: usize) -> Option<&Codes> {
        self.codes.get(law.index())?.get(cursor..)?.first_chunk()
    }

    fn wide(&self, cursor: usize) -> Option<&WideSamples> {
        self.wide.get(2 * cursor..)?.first_chunk()
    }

    fn encode_g722(&self) -> G722Codes {
        let mut encoder = g722::Encoder::default();
        if self.looped {
            // The second time round it begins as it will begin from then on.
            encoder.encode(self.wide.get(..2 * self.length).unwrap_or_default(), &mut vec![0; self.length]);
        }
        let mut codes = vec![0; self.wide.len() / 2];
        let frames = self.wide.chunks(WIDE_FRAME_SAMPLES).zip(codes.chunks_mut(FRAME_SAMPLES));
        let states = frames.map(|(samples, codes)| {
            let before = encoder;
            encoder.encode(samples, codes);
            before
        });
        let states = states.collect();
        G722Codes { codes: codes.into(), states }
    }

    fn encode_opus(&self) -> OpusPackets {
        let mut packets = OpusPackets::default();
        let Some(mut encoder) = opus::Encoder::for_sounds() else { return packets };
        let mut packet = [0; opus::SENT_BYTES_MAX];
        // The frame behind the end is the first of a loop once more, and is not needed.
        let samples = self.wide.get(..2 * self.length).unwrap_or_default();
        for (number, frame) in samples.chunks(WIDE_FRAME_SAMPLES).enumerate() {
            let mut whole = [0; WIDE_FRAME_SAMPLES];
            copy_frame(frame, 0, &mut whole);
            // A loop comes back to the first.
            let length = if number == 0 {
                encoder.encode_independently(&whole, &mut packet)
            } else {
                encoder.encode(&whole, &mut packet)
            };
            packets.octets.extend_from_slice(packet.get(..length).unwrap_or_default());
            packets.ends.push(packets.octets.len());
        }
        packets
    }

    /// In Opus; only what begins with a whole number of frames is encoded ([`Recording::in_whole_frames`]).
    fn opus(&self, cursor: usize) -> Option<&[u8]> {
        let OpusPackets { octets, ends } = self.opus.get()?;
        let number = cursor.is_multiple_of(FRAME_SAMPLES).then_some(cursor / FRAME_SAMPLES)?;
        let begin = number.checked_sub(1).map_or(Some(0), |before| ends.get(before).copied())?;
        octets.get(begin..*ends.get(number)?).filter(|packet| !packet.is_empty())
    }

    /// The state of an encoder that has made all codes up to here.
    fn encoder_at(&self, cursor: usize) -> g722::Encoder {
        let frame = cursor / FRAME_SAMPLES;
        let states = self.g722.get().map(|encoded| &encoded.states);
        let mut encoder = states.and_then(|states| states.get(frame)).cloned().unwrap_or_default();
        let rest = self.wide.get(frame * WIDE_FRAME_SAMPLES..2 * cursor).unwrap_or_default();
        encoder.encode(rest, &mut [0; FRAME_SAMPLES]);
        encoder
    }
}

/// What does not fill a frame at the end goes out over the beginning. What is too short for that stays as it is.
fn fold(samples: &mut Vec<i16>, frame: usize) {
    let rest = samples.len() % frame;
    if samples.len() < 2 * frame {
        return;
    }
    let end = samples.split_off(samples.len() - rest);
    for (at, (sample, &old)) in samples.iter_mut().zip(&end).enumerate() {
        let weight = (at as f32 + 0.5) / rest as f32;
        *sample = (f32::from(old) * (1.0 - weight) + f32::from(*sample) * weight) as i16;
    }
}

/// A frame more than there is: a loop's beginning, or silence.
fn extended(samples: &[i16], looped: bool, frame: usize) -> Vec<i16> {
    let beyond = if looped { samples } else { &[] };
    let beyond = beyond.iter().cycle().copied().chain(std::iter::repeat(0)).take(frame);
    samples.iter().copied().chain(beyond).collect()
}

impl Sounds {
    /// From 8 kHz samples: every prompt, every chime, and the hold music, which is played in a loop.
    pub fn new(prompt: impl Fn(Prompt) -> Vec<i16>, chime: impl Fn(Chime) -> Vec<i16>, music: &[i16]) -> Sounds {
        let recording = Recording::at_8_khz;
        Sounds::of(|name| recording(prompt(name)), |name| recording(chime(name)), &recording(music.to_vec()))
    }

    /// From recordings at both rates.
    pub fn of(prompt: impl Fn(Prompt) -> Recording, chime: impl Fn(Chime) -> Recording, music: &Recording) -> Sounds {
        Sounds {
            prompts: Prompt::ALL.iter().map(|&name| Sound::new(&prompt(name), false)).collect(),
            music: Sound::new(music, true),
            opus_silence: OnceLock::new(),
            chimes: Chime::ALL.iter().map(|&name| chime(name)).collect(),
        }
    }

    /// Encodes everything in this codec. G.711 is done from the start; G.722 takes a tenth of a second, Opus a second. Until it
    /// is done each caller has an encoder of his own, so that nobody has to wait for it.
    pub fn encode(&self, codec: Codec) {
        if codec == Codec::Opus {
            self.opus_silence.get_or_init(opus_silence);
        }
        for sound in self.prompts.iter().chain([&self.music]) {
            match codec {
                Codec::Pcmu | Codec::Pcma => {}
                Codec::G722 => {
                    sound.g722.get_or_init(|| sound.encode_g722());
                }
                Codec::Opus => {
                    sound.opus.get_or_init(|| sound.encode_opus());
                }
            }
        }
    }

    fn sound(&self, place: Place) -> Option<(&Sound, usize)> {
        match place {
            Place::Music(cursor) => Some((&self.music, cursor)),
            // The variants are numbered as they stand in ALL.
            Place::Prompt(prompt, cursor) => Some((self.prompts.get(prompt as usize)?, cursor)),
        }
    }

    /// Where the hold music goes on, which moves on by a frame. `None`: there is no music.
    pub fn next_of_music(&self, cursor: &mut usize) -> Option<Place> {
        let place = (self.music.length > 0).then_some(Place::Music(*cursor));
        *cursor = self.after_music(*cursor);
        place
    }

    fn after_music(&self, cursor: usize) -> usize {
        (cursor + FRAME_SAMPLES).checked_rem(self.music.length).unwrap_or(0)
    }

    /// Where the frame behind this one begins.
    pub fn after(&self, place: Place) -> Place {
        match place {
            Place::Music(cursor) => Place::Music(self.after_music(cursor)),
            Place::Prompt(prompt, cursor) => Place::Prompt(prompt, cursor + FRAME_SAMPLES),
        }
    }

    pub fn codes(&self, place: Place, law: Law) -> Option<&Codes> {
        let (sound, cursor) = self.sound(place)?;
        sound.codes(law, cursor)
    }

    /// At 16 kHz.
    pub fn wide(&self, place: Place) -> Option<&WideSamples> {
        let (sound, cursor) = self.sound(place)?;
        sound.wide(cursor)
    }

    /// In G.722, as an encoder makes it that is in the state of [`Sounds::encoder_at`]. `None`: not encoded yet.
    pub fn g722(&self, place: Place) -> Option<&Codes> {
        let (sound, cursor) = self.sound(place)?;
        sound.g722.get()?.codes.get(cursor..)?.first_chunk()
    }

    /// A packet of Opus. `None`: not encoded yet, or never: what begins between two packets.
    pub fn opus(&self, place: Place) -> Option<&[u8]> {
        let (sound, cursor) = self.sound(place)?;
        sound.opus(cursor)
    }

    /// A packet of silence. `None`: not encoded yet.
    pub fn opus_silence(&self) -> Option<&[u8]> {
        self.opus_silence.get().map(|packet| &packet[..]).filter(|packet| !packet.is_empty())
    }

    /// The state of the encoder that has made all before this place.
    pub fn encoder_at(&self, place: Place) -> g722::Encoder {
        self.sound(place).map_or_else(g722::Encoder::default, |(sound, cursor)| sound.encoder_at(cursor))
    }

    /// One frame of a chime, and where it goes on; `None`: it ended.
    pub fn chime_frame(&self, chime: Chime, cursor: usize, out: &mut Samples) -> Option<usize> {
        let samples = &self.chimes.get(chime as usize)?.narrow;
        copy_frame(samples, cursor, out);
        let next = cursor + FRAME_SAMPLES;
        (next < samples.len()).then_some(next)
    }

    /// The same frame at 16 kHz.
    pub fn wide_chime_frame(&self, chime: Chime, cursor: usize, out: &mut WideSamples) {
        if let Some(chime) = self.chimes.get(chime as usize) {
            copy_frame(&chime.wide, 2 * cursor, out);
        }
    }
}

fn opus_silence() -> Box<[u8]> {
    let mut packet = [0; opus::SENT_BYTES_MAX];
    let encoder = opus::Encoder::for_sounds();
    let length = encoder.map_or(0, |mut encoder| encoder.encode_independently(&[0; WIDE_FRAME_SAMPLES], &mut packet));
    packet.get(..length).unwrap_or_default().into()
}

/// What is behind the end is silence.
fn copy_frame(samples: &[i16], from: usize, out: &mut [i16]) {
    out.fill(0);
    for (out, &sample) in out.iter_mut().zip(samples.get(from..).unwrap_or_default()) {
        *out = sample;
    }
}

/// Prompts that are played one after the other, and how far that is.
#[derive(Debug)]
pub struct Playlist {
    prompts: Box<[Prompt]>,
    /// Of `prompts`.
    next: usize,
    cursor: usize,
}

impl Playlist {
    pub fn new(prompts: Box<[Prompt]>) -> Playlist {
        Playlist { prompts, next: 0, cursor: 0 }
    }

    /// The next frame; `None`: the last prompt has ended. Each prompt begins with a frame of its own.
    pub fn next(&mut self, sounds: &Sounds) -> Option<Place> {
        loop {
            let place = Place::Prompt(*self.prompts.get(self.next)?, self.cursor);
            let (sound, cursor) = sounds.sound(place)?;
            if cursor < sound.length {
                self.cursor += FRAME_SAMPLES;
                return Some(place);
            }
            self.next += 1;
            self.cursor = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sounds() -> Sounds {
        let prompt = |prompt: Prompt| vec![(prompt as i16 + 1) * 400; 250 + 10 * prompt as usize];
        let music: Vec<i16> = (0..1000).map(|at| at * 20).collect();
        Sounds::new(prompt, |chime| vec![5000 + chime as i16; 400], &music)
    }

    #[test]
    fn prompts_follow_each_other_and_end() {
        let sounds = sounds();
        for law in Law::ALL {
            let mut playlist = Playlist::new([Prompt::Welcome, Prompt::EnterPin].into());
            let mut heard = Vec::new();
            while let Some(place) = playlist.next(&sounds) {
                heard.push(sounds.codes(place, law).unwrap().map(|code| g711::decode(law, code)));
            }
            assert_eq!(heard.len(), 4);
            let near = |a: i16, b: i16| (a - b).abs() <= a.abs().max(200) / 16;
            assert!(near(heard[0][0], 400) && near(heard[1][80], 400) && near(heard[1][90], 0), "{:?}", heard[1]);
            assert!(near(heard[2][0], (Prompt::EnterPin as i16 + 1) * 400));
        }
        assert!(Playlist::new([].into()).next(&sounds).is_none());
    }

    #[test]
    fn prompts_are_numbered_as_they_stand_in_all() {
        for (place, &prompt) in Prompt::ALL.iter().enumerate() {
            assert_eq!(place, prompt as usize);
        }
        for (place, &chime) in Chime::ALL.iter().enumerate() {
            assert_eq!(place, chime as usize);
        }
    }

    #[test]
    fn the_music_has_no_seam() {
        let sounds = sounds();
        let mut cursor = 0;
        let mut heard: Vec<u8> = Vec::new();
        for _ in 0..20 {
            let place = sounds.next_of_music(&mut cursor).unwrap();
            assert_eq!(sounds.after(place), Place::Music(cursor));
            heard.extend(sounds.codes(place, Law::A).unwrap());
        }
        for (at, &code) in heard.iter().enumerate() {
            assert_eq!(code, g711::encode(Law::A, (at % 1000) as i16 * 20), "sample {at}");
        }
    }

    #[test]
    fn no_music_and_music_shorter_than_a_frame_are_no_trouble() {
        let with = |music: &[i16]| Sounds::new(|_| Vec::new(), |_| Vec::new(), music);
        let mut cursor = 0;
        let short = with(&[8000; 7]);
        for _ in 0..5 {
            let place = short.next_of_music(&mut cursor).unwrap();
            assert_eq!(short.codes(place, Law::Mu), Some(&[g711::encode(Law::Mu, 8000); 160]));
        }
        let none = with(&[]);
        let mut cursor = 0;
        for _ in 0..3 {
            assert_eq!(none.next_of_music(&mut cursor), None);
        }
        assert!(Playlist::new(Prompt::ALL.into()).next(&none).is_none());
    }

    #[test]
    fn a_chime_ends_with_its_last_sample() {
        let sounds = sounds();
        let mut out = [0; FRAME_SAMPLES];
        assert_eq!(sounds.chime_frame(Chime::Exit, 0, &mut out), Some(160));
        assert_eq!(out, [5001; 160]);
        assert_eq!(sounds.chime_frame(Chime::Exit, 320, &mut out), None);
        assert_eq!((out[79], out[80]), (5001, 0));
    }

    #[cfg(feature = "opus")]
    #[test]
    fn music_of_any_length_is_encoded_once() {
        let hum: Vec<i16> = (0..16_000 + 80).map(|at| (8_000.0 * (at as f32 * 0.25).sin()) as i16).collect();
        let silence = Recording::at_8_khz(vec![0; 160]);
        let sounds = Sounds::of(|_| silence.clone(), |_| silence.clone(), &Recording::at_8_khz(hum).in_whole_frames());
        sounds.encode(Codec::Opus);
        let mut decoder = opus::Decoder::new().unwrap();
        let mut cursor = 0;
        let (mut alone, mut softest) = (0, i16::MAX);
        for tick in 0..250 {
            let place = sounds.next_of_music(&mut cursor).unwrap();
            let mut out = [0; WIDE_FRAME_SAMPLES];
            match sounds.opus(place) {
                Some(packet) => assert_eq!(decoder.decode(packet, &mut out), WIDE_FRAME_SAMPLES),
                None => alone += 1,
            }
            if (10..=101).contains(&tick) && sounds.opus(place).is_some() {
                let parts = out.chunks(80).map(|part| part.iter().map(|sample| sample.saturating_abs()).max().unwrap());
                softest = softest.min(parts.min().unwrap());
            }
        }
        assert!(alone == 0 && softest > 4_000);
    }
}
