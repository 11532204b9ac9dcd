//! Prompts, hold music and chimes: encoded once per codec, played by cursor.

use crate::wire::g711;
use crate::words::media::{Codec, FRAME_SAMPLES};
use crate::words::prompt::{Chime, Prompt};

use super::mixer::{Codes, Samples};

/// Everything that can be played, shared by all media threads.
#[derive(Debug)]
pub struct Sounds {
    /// By the prompt's place in [`Prompt::ALL`].
    prompts: Vec<Sound>,
    music: Sound,
    /// Linear, since chimes are mixed: by the chime's place in [`Chime::ALL`].
    chimes: Vec<Vec<i16>>,
}

/// One recording, encoded.
#[derive(Debug)]
struct Sound {
    /// By [`Codec::index`]. One frame longer than the recording: a loop's beginning stands behind its end, so that a frame
    /// across the seam is one slice like every other.
    codes: [Box<[u8]>; Codec::ALL.len()],
    /// Samples before it ends, or begins anew.
    length: usize,
}

impl Sound {
    fn new(samples: &[i16], looped: bool) -> Sound {
        let beyond = if looped { samples } else { &[] };
        let extended: Vec<i16> = samples
            .iter()
            .copied()
            .chain(beyond.iter().cycle().copied().chain(std::iter::repeat(0)).take(FRAME_SAMPLES))
            .collect();
        let codes = Codec::ALL.map(|codec| extended.iter().map(|&sample| g711::encode(codec, sample)).collect());
        Sound { codes, length: samples.len() }
    }

    fn frame(&self, codec: Codec, cursor: usize) -> Option<&Codes> {
        self.codes.get(codec.index())?.get(cursor..)?.first_chunk()
    }
}

impl Sounds {
    /// From 8 kHz samples: every prompt, every chime, and the hold music, which is played in a loop.
    pub fn new(prompt: impl Fn(Prompt) -> Vec<i16>, chime: impl Fn(Chime) -> Vec<i16>, music: &[i16]) -> Sounds {
        Sounds {
            prompts: Prompt::ALL.iter().map(|&name| Sound::new(&prompt(name), false)).collect(),
            music: Sound::new(music, true),
            chimes: Chime::ALL.iter().map(|&name| chime(name)).collect(),
        }
    }

    /// Bytes held, for whoever adds up the memory.
    pub fn bytes(&self) -> usize {
        let encoded = |sound: &Sound| sound.codes.iter().map(|codes| codes.len()).sum::<usize>();
        let chimes: usize = self.chimes.iter().map(|chime| 2 * chime.len()).sum();
        self.prompts.iter().map(encoded).sum::<usize>() + encoded(&self.music) + chimes
    }

    fn prompt(&self, prompt: Prompt) -> Option<&Sound> {
        // The variants are numbered as they stand in ALL.
        self.prompts.get(prompt as usize)
    }

    /// The frame of the hold music at the cursor, which moves on. `None`: there is no music.
    pub fn music_frame(&self, codec: Codec, cursor: &mut usize) -> Option<&Codes> {
        let frame = self.music.frame(codec, *cursor);
        *cursor = (*cursor + FRAME_SAMPLES).checked_rem(self.music.length).unwrap_or(0);
        frame
    }

    /// Adds up to one frame of a chime to `out`, and says where it goes on; `None`: it ended.
    pub fn chime_frame(&self, chime: Chime, cursor: usize, out: &mut Samples) -> Option<usize> {
        let samples = self.chimes.get(chime as usize)?;
        *out = [0; FRAME_SAMPLES];
        for (out, &sample) in out.iter_mut().zip(samples.get(cursor..)?) {
            *out = sample;
        }
        let next = cursor + FRAME_SAMPLES;
        (next < samples.len()).then_some(next)
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
    pub fn frame<'a>(&mut self, sounds: &'a Sounds, codec: Codec) -> Option<&'a Codes> {
        loop {
            let sound = sounds.prompt(*self.prompts.get(self.next)?)?;
            if self.cursor < sound.length {
                let frame = sound.frame(codec, self.cursor);
                self.cursor += FRAME_SAMPLES;
                return frame;
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
        for codec in Codec::ALL {
            let mut playlist = Playlist::new([Prompt::Welcome, Prompt::EnterPin].into());
            let mut heard = Vec::new();
            while let Some(frame) = playlist.frame(&sounds, codec) {
                heard.push(frame.map(|code| g711::decode(codec, code)));
            }
            assert_eq!(heard.len(), 4);
            let near = |a: i16, b: i16| (a - b).abs() <= a.abs().max(200) / 16;
            assert!(near(heard[0][0], 400) && near(heard[1][80], 400) && near(heard[1][90], 0), "{:?}", heard[1]);
            assert!(near(heard[2][0], (Prompt::EnterPin as i16 + 1) * 400));
        }
        assert!(Playlist::new([].into()).frame(&sounds, Codec::Pcmu).is_none());
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
            heard.extend(sounds.music_frame(Codec::Pcma, &mut cursor).unwrap());
        }
        for (at, &code) in heard.iter().enumerate() {
            assert_eq!(code, g711::encode(Codec::Pcma, (at % 1000) as i16 * 20), "sample {at}");
        }
    }

    #[test]
    fn no_music_and_music_shorter_than_a_frame_are_no_trouble() {
        let with = |music: &[i16]| Sounds::new(|_| Vec::new(), |_| Vec::new(), music);
        let mut cursor = 0;
        let short = with(&[8000; 7]);
        for _ in 0..5 {
            assert_eq!(short.music_frame(Codec::Pcmu, &mut cursor), Some(&[g711::encode(Codec::Pcmu, 8000); 160]));
        }
        let none = with(&[]);
        let mut cursor = 0;
        for _ in 0..3 {
            none.music_frame(Codec::Pcmu, &mut cursor);
        }
        assert!(Playlist::new(Prompt::ALL.into()).frame(&none, Codec::Pcmu).is_none());
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
}
