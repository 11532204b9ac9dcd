//! What is said: the shipped prompts, and a synthesizer's voices beside them.

use std::process::Command;

use anteroom::net::audio;
use anteroom::words::prompt::Prompt;

/// The shipped prompts at 8 kHz.
pub fn prompts() -> Vec<Vec<i16>> {
    files(8_000, audio::shipped_prompt)
}

/// The same at 16 kHz.
pub fn wide_prompts() -> Vec<Vec<i16>> {
    files(16_000, audio::shipped_wide_prompt)
}

/// One after the other with pauses of half a second, in files of some eight seconds, as ITU-T P.862 wants them.
fn files(rate: usize, shipped: fn(Prompt) -> Vec<i16>) -> Vec<Vec<i16>> {
    let pause = vec![0; rate / 2];
    let mut files = Vec::new();
    let mut file = pause.clone();
    for &prompt in Prompt::ALL {
        file.extend(shipped(prompt));
        file.extend(&pause);
        if file.len() > 7 * rate {
            files.push(std::mem::replace(&mut file, pause.clone()));
        }
    }
    files
}

/// Women and men by `espeak-ng`, high and low.
pub fn synthesized() -> Vec<Vec<i16>> {
    const TEXT: &str = "The minutes of the last meeting were sent on Monday. Does anybody want to add something? \
                        Then let us begin with the numbers of the third quarter.";
    let voice = |(variant, pitch): (&str, &str)| {
        let mut espeak = Command::new("espeak-ng");
        espeak.args(["-v", variant, "-p", pitch, "-a", "100", "-s", "150", "--stdout", TEXT]);
        let output = espeak.output().expect("espeak-ng is installed (Debian: espeak-ng)");
        telephone_band(&output.stdout)
    };
    [("en+f2", "60"), ("en+f4", "75"), ("en+m3", "35"), ("en", "50")].map(voice).into()
}

/// The WAV of 22,050 Hz at 8 kHz, low-passed by averaging what lies between.
fn telephone_band(wav: &[u8]) -> Vec<i16> {
    let samples: Vec<f64> =
        wav[44..].chunks_exact(2).map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]]))).collect();
    let ratio = 22_050.0 / 8_000.0;
    let at = |n: usize| {
        let (from, to) = ((n as f64 * ratio) as usize, ((n + 1) as f64 * ratio) as usize);
        samples.get(from..to).map(|part| part.iter().sum::<f64>() / part.len() as f64)
    };
    let voiced: Vec<f64> = (0..).map_while(at).collect();
    // As loud as the prompts are: -26 dB of full scale at their peaks' level and no clipping.
    let peak = voiced.iter().fold(1.0f64, |peak, sample| peak.max(sample.abs()));
    voiced.iter().map(|sample| (sample * 18_000.0 / peak) as i16).collect()
}
