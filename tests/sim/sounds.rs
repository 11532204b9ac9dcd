//! What can be heard, made so that it is known again: prompts and music by their very octets, voices by their tone.

use std::collections::HashMap;
use std::f64::consts::TAU;
use std::sync::{Arc, OnceLock};

use anteroom::media::Sounds;
use anteroom::media::source::Recording;
use anteroom::wire::g711;
use anteroom::words::media::{FRAME_SAMPLES, Law};
use anteroom::words::prompt::{Chime, Prompt};

use super::dice::Dice;

pub type Codes = [u8; FRAME_SAMPLES];

/// One tone for each telephone. Multiples of 50 Hz, so that in a frame of 20 ms each is blind to the others, and none of
/// them near a frequency of DTMF.
pub const VOICES_HZ: [f64; 8] = [350.0, 450.0, 550.0, 2050.0, 2200.0, 2350.0, 2500.0, 2650.0];
const CHIME_HZ: f64 = 3_400.0;
const VOICE_AMPLITUDE: f64 = 2_000.0;

/// From here on a voice counts as heard: under a half of it, and far above what coding leaves of the others.
const HEARD: f32 = 700.0;

/// What is softer than this is silence.
const SILENT: i16 = 40;

const MUSIC_FRAMES: usize = 50;

/// What one frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    Silence,
    Music,
    Prompt(Prompt),
    /// A mix, or one sound that fades into another: voices have to be looked for.
    Other,
}

/// All sounds of a run with this length of prompts.
pub struct Heard {
    pub sounds: Arc<Sounds>,
    known: HashMap<Codes, Frame>,
}

fn noise(of_what: u64, samples: usize) -> Vec<i16> {
    let mut dice = Dice::new(77, of_what);
    (0..samples).map(|_| dice.between(0, 4_000) as i16 - 2_000).collect()
}

pub fn tone(hz: f64, amplitude: f64, from: usize) -> [i16; FRAME_SAMPLES] {
    std::array::from_fn(|at| (amplitude * (TAU * hz * (from + at) as f64 / 8_000.0).sin()) as i16)
}

pub fn encoded(law: Law, samples: &[i16]) -> Codes {
    let mut codes = [0; FRAME_SAMPLES];
    g711::encode_into(law, samples, &mut codes);
    codes
}

impl Heard {
    pub fn new(prompt_ms: u64) -> Heard {
        let frames = (prompt_ms / 20).max(1) as usize;
        let prompt = |prompt: Prompt| noise(100 + prompt as u64, frames * FRAME_SAMPLES);
        let chime = |_: Chime| (0..10).flat_map(|_| tone(CHIME_HZ, VOICE_AMPLITUDE, 0)).collect();
        let music = noise(1, MUSIC_FRAMES * FRAME_SAMPLES);
        let mut known = HashMap::new();
        for law in Law::ALL {
            known.insert([g711::silence(law); FRAME_SAMPLES], Frame::Silence);
            for frame in music.chunks(FRAME_SAMPLES) {
                known.insert(encoded(law, frame), Frame::Music);
            }
            for &name in Prompt::ALL {
                for frame in prompt(name).chunks(FRAME_SAMPLES) {
                    known.insert(encoded(law, frame), Frame::Prompt(name));
                }
            }
        }
        // Nobody here hears 16 kHz.
        let narrow = |samples| Recording::at_both_rates(samples, Vec::new());
        let sounds = Sounds::of(|name| narrow(prompt(name)), |name| narrow(chime(name)), &narrow(music));
        Heard { sounds: Arc::new(sounds), known }
    }

    pub fn classify(&self, law: Law, codes: &Codes) -> Frame {
        if let Some(&known) = self.known.get(codes) {
            return known;
        }
        // Nobody speaks: the noise of a line that is not dead.
        let is_silent = codes.iter().all(|&code| g711::decode(law, code).abs() < SILENT);
        if is_silent { Frame::Silence } else { Frame::Other }
    }
}

/// The encoded voice of a telephone: the same frame again and again.
pub fn voice(phone: usize, law: Law) -> &'static Codes {
    static VOICES: OnceLock<Vec<[Codes; 2]>> = OnceLock::new();
    let all = VOICES.get_or_init(|| {
        let of = |hz: &f64| Law::ALL.map(|law| encoded(law, &tone(*hz, VOICE_AMPLITUDE, 0)));
        VOICES_HZ.iter().map(of).collect()
    });
    &all[phone][law.index()]
}

/// Which of the voices 0 to `voices` are in a frame, as bits.
pub fn voices_in(law: Law, codes: &Codes, voices: usize) -> u32 {
    static TABLES: OnceLock<Vec<[[f32; FRAME_SAMPLES]; 2]>> = OnceLock::new();
    let tables = TABLES.get_or_init(|| {
        let wave =
            |hz: f64, shift: f64| std::array::from_fn(|at| (TAU * hz * at as f64 / 8_000.0 + shift).sin() as f32);
        VOICES_HZ.iter().map(|&hz| [wave(hz, 0.0), wave(hz, TAU / 4.0)]).collect()
    });
    let samples: [f32; FRAME_SAMPLES] = std::array::from_fn(|at| f32::from(g711::decode(law, codes[at])));
    let part = |table: &[f32; FRAME_SAMPLES]| {
        let mut sums = [0f32; 8];
        for (samples, table) in samples.chunks_exact(8).zip(table.chunks_exact(8)) {
            for lane in 0..8 {
                sums[lane] += samples[lane] * table[lane];
            }
        }
        sums.iter().sum::<f32>() / 80.0
    };
    let is_heard = |[sine, cosine]: &[[f32; FRAME_SAMPLES]; 2]| part(sine).hypot(part(cosine)) > HEARD;
    tables.iter().take(voices).enumerate().map(|(number, table)| u32::from(is_heard(table)) << number).sum()
}

/// One frame of a key's two tones.
pub fn key_tones(law: Law, key: char, from: usize) -> Codes {
    const ROWS: [(&str, f64); 4] = [("123A", 697.0), ("456B", 770.0), ("789C", 852.0), ("*0#D", 941.0)];
    const COLUMNS: [f64; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
    let found = ROWS.iter().find_map(|(keys, low)| Some((*low, COLUMNS[keys.find(key)?])));
    let (low, high) = found.expect("a key of a keypad");
    let (low, high) = (tone(low, 5_000.0, from), tone(high, 5_000.0, from));
    let both: Vec<i16> = low.iter().zip(high).map(|(&low, high)| low + high).collect();
    encoded(law, &both)
}
