//! Sounds for tests: made by arithmetic, told apart like recorded ones.

use std::f32::consts::TAU;
use std::sync::Arc;

use super::SoundLibrary;
use crate::replay::sound::Sound;

/// Babble with the shape of speech: syllables of a few harmonics each, all different by their seed.
pub fn babble(seed: u32, seconds: f32) -> Vec<i16> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / (1 << 24) as f32
    };
    let mut samples = Vec::new();
    while samples.len() < (seconds * 8_000.0) as usize {
        let length = 800 + (random() * 1_200.0) as usize;
        let pitch = 90.0 + 80.0 * random();
        let strengths: Vec<f32> = (0..20).map(|_| random() * random()).collect();
        let phases: Vec<f32> = (0..20).map(|_| random() * TAU).collect();
        for n in 0..length {
            let rise = (std::f32::consts::PI * n as f32 / length as f32).sin();
            let value: f32 = strengths
                .iter()
                .zip(&phases)
                .enumerate()
                .map(|(k, (strength, phase))| {
                    strength * (TAU * pitch * (k + 2) as f32 * n as f32 / 8_000.0 + phase).sin()
                })
                .sum();
            samples.push((value * rise * 1_500.0) as i16);
        }
    }
    samples.truncate((seconds * 8_000.0) as usize);
    samples
}

pub fn tone(hz: f32, seconds: f32, amplitude: f32) -> Vec<i16> {
    (0..(seconds * 8_000.0) as usize).map(|n| (amplitude * (TAU * hz * n as f32 / 8_000.0).sin()) as i16).collect()
}

pub fn silence(seconds: f32) -> Vec<i16> {
    vec![0; (seconds * 8_000.0) as usize]
}

pub fn prompt(key: &str) -> Sound {
    Sound::Prompt(key.to_owned())
}

pub fn synthetic() -> Arc<SoundLibrary> {
    let mut library = SoundLibrary::default();
    for key in 1..=6 {
        assert!(library.add(prompt(&key.to_string()), &babble(key, 2.0)));
    }
    assert!(
        library.add(Sound::Chime("entry".into()), &[tone(512.0, 0.2, 4_000.0), tone(640.0, 0.25, 3_000.0)].concat())
    );
    assert!(library.add(Sound::Music, &babble(99, 20.0)));
    Arc::new(library)
}
