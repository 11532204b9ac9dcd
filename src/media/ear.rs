//! What a caller hears: prompts, hold music, his meeting.
//!
//! His *background* is silence, hold music, or his meeting; prompts are played in front of it. Wherever one follows the other in
//! the middle of a sound, the two are faded into each other over one frame.

use crate::wire::g711;
use crate::words::ids::PlaybackKey;
use crate::words::media::{Codec, FRAME_SAMPLES, Law, NegotiatedMedia, WIDE_FRAME_SAMPLES};
use crate::words::prompt::Prompt;

use super::Background;
use super::g722_line::G722Line;
use super::mixer::{Codes, Mixer, Samples, WideSamples};
use super::opus_line::OpusLine;
use super::source::{Place, Playlist, Sounds};
use super::voice::Voice;

/// One caller's ear.
pub struct Ear {
    background: Background,
    playback: Option<Playback>,
    music_cursor: usize,
    /// What the caller heard last, when the next frame is from another source.
    fade_from: Option<FadeFrom>,
    /// Where he hears 16 kHz.
    wide: Option<Box<dyn WideLine>>,
}

/// What makes packets of what a caller hears at 16 kHz. An empty one is not sent.
pub trait WideLine: Send {
    /// A frame that nobody else hears. `mixer`: of his meeting.
    fn own(&mut self, sounds: &Sounds, mixer: Option<&mut Mixer>, samples: &WideSamples) -> &[u8];

    /// A frame of silence.
    fn silence<'a>(&'a mut self, sounds: &'a Sounds, mixer: Option<&mut Mixer>) -> &'a [u8] {
        self.own(sounds, mixer, &[0; WIDE_FRAME_SAMPLES])
    }

    /// A frame of the sounds.
    fn sound<'a>(&'a mut self, sounds: &'a Sounds, place: Place) -> &'a [u8];

    /// What all hear who only listen to the meeting.
    fn meeting<'a>(&'a mut self, sounds: &Sounds, mixer: &'a mut Mixer) -> &'a [u8];

    /// The caller's decoder goes over to the meeting (`None`), or to this place of the sounds, without a frame in which it is faded
    /// into what he heard before.
    fn goes_over(&self, _to: Option<Place>) -> bool {
        false
    }
}

struct Playback {
    key: PlaybackKey,
    playlist: Playlist,
}

/// A sound that ends before it is over.
enum FadeFrom {
    /// There was none, or it had ended.
    Nothing,
    Music,
    Prompt(Playlist),
    Meeting,
}

/// Where a frame comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Silence,
    Sound(Place),
    Meeting,
}

impl Source {
    fn of(place: Option<Place>) -> Source {
        place.map_or(Source::Silence, Source::Sound)
    }
}

/// One frame for the caller.
pub struct Heard<'a> {
    /// The payload of its packet.
    pub codes: &'a [u8],
    /// The playback whose last frame was the one before.
    pub finished: Option<PlaybackKey>,
}

impl Default for Ear {
    fn default() -> Ear {
        Ear { background: Background::Silence, playback: None, music_cursor: 0, fade_from: None, wide: None }
    }
}

impl Ear {
    /// What comes is to be in this codec from now on.
    pub fn negotiate(&mut self, media: &NegotiatedMedia) {
        self.wide = match media.codec {
            Codec::Pcmu | Codec::Pcma => None,
            Codec::G722 => Some(Box::<G722Line>::default()),
            Codec::Opus => OpusLine::new(media.bits_per_second_max).map(|line| Box::new(line) as Box<dyn WideLine>),
        };
    }

    pub fn background(&self) -> Background {
        self.background
    }

    /// What the caller hears when no prompts are played to him. A meeting comes to the front: prompts end for it. `false`: he
    /// hears this already.
    pub fn set_background(&mut self, background: Background) -> bool {
        if matches!(background, Background::Meeting(_)) {
            self.stop_playback();
        }
        if background == self.background {
            return false;
        }
        if self.playback.is_none() {
            self.begin_fade();
        }
        self.background = background;
        true
    }

    pub fn play(&mut self, key: PlaybackKey, prompts: Box<[Prompt]>) {
        self.begin_fade();
        self.playback = Some(Playback { key, playlist: Playlist::new(prompts) });
    }

    pub fn stop_playback(&mut self) {
        if self.playback.is_some() {
            self.begin_fade();
            self.playback = None;
        }
    }

    /// What is heard now is about to be replaced. Of several changes between two frames only the first was heard.
    fn begin_fade(&mut self) {
        let Ear { playback, background, fade_from, .. } = self;
        fade_from.get_or_insert_with(|| match (playback.take(), background) {
            (Some(playback), _) => FadeFrom::Prompt(playback.playlist),
            (None, Background::Silence) => FadeFrom::Nothing,
            (None, Background::Music) => FadeFrom::Music,
            (None, Background::Meeting(_)) => FadeFrom::Meeting,
        });
    }

    /// The next frame. `mixer`: of the meeting that is the background; `voice`: the caller's own. `sends`: it will be sent.
    /// `scratch` is scratch space.
    pub fn frame<'a>(
        &'a mut self,
        codec: Codec,
        sounds: &'a Sounds,
        mixer: Option<&'a mut Mixer>,
        voice: &Voice,
        sends: bool,
        scratch: &'a mut Codes,
    ) -> Heard<'a> {
        let mut finished = None;
        let mut prompt = None;
        if let Some(playback) = &mut self.playback {
            prompt = playback.playlist.next(sounds);
            if prompt.is_none() {
                finished = Some(playback.key);
                self.playback = None;
                self.fade_from.get_or_insert(FadeFrom::Nothing);
            }
        }
        // Before the background's own cursor moves: the fade may need the frame that would have come.
        let old = self.fade_from.take().map(|from| match from {
            FadeFrom::Nothing => Source::Silence,
            FadeFrom::Music => Source::of(sounds.next_of_music(&mut self.music_cursor)),
            FadeFrom::Prompt(mut playlist) => Source::of(playlist.next(sounds)),
            FadeFrom::Meeting => Source::Meeting,
        });
        let new = match (prompt, self.background) {
            (Some(prompt), _) => Source::Sound(prompt),
            (None, Background::Music) => Source::of(sounds.next_of_music(&mut self.music_cursor)),
            (None, Background::Meeting(_)) => Source::Meeting,
            (None, Background::Silence) => Source::Silence,
        };
        let stage = Stage { sounds, mixer, voice };
        let codes = match (codec.law(), &mut self.wide) {
            (Some(law), _) => stage.narrow(law, new, old, scratch),
            // The caller's decoder hears nothing of it, so the encoder does not go on either.
            (None, Some(line)) if sends => stage.wide(line.as_mut(), new, old),
            (None, _) => &[],
        };
        Heard { codes, finished }
    }
}

/// What frames are made of.
struct Stage<'a, 'v> {
    sounds: &'a Sounds,
    mixer: Option<&'a mut Mixer>,
    voice: &'v Voice,
}

impl<'a> Stage<'a, '_> {
    fn narrow(self, law: Law, new: Source, old: Option<Source>, scratch: &'a mut Codes) -> &'a [u8] {
        if let Some(old) = old {
            let frame = faded(&self.narrow_samples(law, old), &self.narrow_samples(law, new));
            g711::encode_into(law, &frame, scratch);
            return scratch;
        }
        let Stage { sounds, mixer, voice } = self;
        match (new, mixer) {
            (Source::Sound(place), _) => sounds.codes(place, law).unwrap_or(silence(law)),
            (Source::Meeting, Some(mixer)) => match voice.own_part() {
                None => mixer.shared_codes(law),
                Some(own_part) => {
                    let mut others = [0; FRAME_SAMPLES];
                    mixer.without(&own_part, &mut others);
                    g711::encode_into(law, &others, scratch);
                    scratch
                }
            },
            (Source::Silence | Source::Meeting, _) => silence(law),
        }
    }

    fn narrow_samples(&self, law: Law, source: Source) -> Samples {
        let mut samples = [0; FRAME_SAMPLES];
        match (source, &self.mixer) {
            (Source::Sound(place), _) => {
                let codes = self.sounds.codes(place, law).unwrap_or(silence(law));
                g711::decode_into(law, codes, &mut samples);
            }
            (Source::Meeting, Some(mixer)) => match self.voice.own_part() {
                Some(own_part) => mixer.without(&own_part, &mut samples),
                None => samples = *mixer.shared(),
            },
            (Source::Silence | Source::Meeting, _) => {}
        }
        samples
    }

    fn wide(self, line: &'a mut dyn WideLine, new: Source, old: Option<Source>) -> &'a [u8] {
        let goes_over = match new {
            Source::Meeting => self.mixer.is_some() && self.voice.own_wide_part().is_none() && line.goes_over(None),
            Source::Sound(place) => line.goes_over(Some(place)),
            Source::Silence => false,
        };
        if let Some(old) = old.filter(|_| !goes_over) {
            let frame = faded(&self.wide_samples(old), &self.wide_samples(new));
            return line.own(self.sounds, self.mixer, &frame);
        }
        let Stage { sounds, mixer, voice } = self;
        match (new, mixer) {
            (Source::Sound(place), _) => line.sound(sounds, place),
            (Source::Meeting, Some(mixer)) => match voice.own_wide_part() {
                None => line.meeting(sounds, mixer),
                Some(own_part) => {
                    let mut others = [0; WIDE_FRAME_SAMPLES];
                    mixer.wide_without(&own_part, &mut others);
                    line.own(sounds, Some(mixer), &others)
                }
            },
            (Source::Silence | Source::Meeting, mixer) => line.silence(sounds, mixer),
        }
    }

    fn wide_samples(&self, source: Source) -> WideSamples {
        let mut samples = [0; WIDE_FRAME_SAMPLES];
        match (source, &self.mixer) {
            (Source::Sound(place), _) => samples = self.sounds.wide(place).copied().unwrap_or(samples),
            (Source::Meeting, Some(mixer)) => match self.voice.own_wide_part() {
                Some(own_part) => mixer.wide_without(&own_part, &mut samples),
                None => samples = *mixer.wide_shared(),
            },
            (Source::Silence | Source::Meeting, _) => {}
        }
        samples
    }
}

/// A frame of silence.
fn silence(law: Law) -> &'static Codes {
    const MU: Codes = [g711::silence(Law::Mu); FRAME_SAMPLES];
    const A: Codes = [g711::silence(Law::A); FRAME_SAMPLES];
    match law {
        Law::Mu => &MU,
        Law::A => &A,
    }
}

/// One frame in which `old` goes out and `new` comes in.
fn faded<const N: usize>(old: &[i16; N], new: &[i16; N]) -> [i16; N] {
    let mut frame = [0; N];
    for (at, ((out, &old), &new)) in frame.iter_mut().zip(old).zip(new).enumerate() {
        let weight = (at as i32 * 2 + 1) * 256 / (2 * N as i32);
        *out = ((i32::from(old) * (256 - weight) + i32::from(new) * weight) >> 8) as i16;
    }
    frame
}
