//! Loudness of what we play, and clicks where it begins, ends and repeats.

use anteroom::media::{Background, PlaneCommand};
use anteroom::net::audio;
use anteroom::words::ids::PlaybackKey;
use anteroom::words::media::{Codec, FRAME_SAMPLES};
use anteroom::words::prompt::Prompt;

use super::line::{Bridge, key};
use super::speech;

/// Loudness after ITU-R BS.1770 (gated, LUFS) of telephone voice.
pub fn loudness(samples: &[i16]) -> f64 {
    // Annex 1 gives both filters for 48 kHz; these are the same at 8 kHz (by the bilinear transform of their prototypes).
    let shelf = Biquad::high_shelf(1_681.97, 4.0, 0.7072);
    let high_pass = Biquad::high_pass(38.135, 0.5003);
    let weighted = high_pass.run(shelf.run(samples.iter().map(|&sample| f64::from(sample) / 32_768.0).collect()));
    let blocks: Vec<f64> = (0..weighted.len().saturating_sub(3_199))
        .step_by(800)
        .map(|at| weighted[at..at + 3_200].iter().map(|sample| sample * sample).sum::<f64>() / 3_200.0)
        .collect();
    let level = |power: f64| -0.691 + 10.0 * power.max(1e-12).log10();
    let mean = |over: f64| {
        let heard: Vec<f64> = blocks.iter().copied().filter(|&power| level(power) > over).collect();
        heard.iter().sum::<f64>() / heard.len().max(1) as f64
    };
    level(mean(level(mean(-70.0)) - 10.0))
}

struct Biquad {
    b: [f64; 3],
    a: [f64; 2],
}

impl Biquad {
    fn high_shelf(hz: f64, gain_db: f64, q: f64) -> Biquad {
        let k = (std::f64::consts::PI * hz / 8_000.0).tan();
        let high = 10f64.powf(gain_db / 20.0);
        let band = high.powf(0.499_67);
        let a0 = 1.0 + k / q + k * k;
        let b = [high + band * k / q + k * k, 2.0 * (k * k - high), high - band * k / q + k * k];
        Biquad { b: b.map(|value| value / a0), a: [2.0 * (k * k - 1.0) / a0, (1.0 - k / q + k * k) / a0] }
    }

    fn high_pass(hz: f64, q: f64) -> Biquad {
        let k = (std::f64::consts::PI * hz / 8_000.0).tan();
        let a0 = 1.0 + k / q + k * k;
        Biquad { b: [1.0, -2.0, 1.0], a: [2.0 * (k * k - 1.0) / a0, (1.0 - k / q + k * k) / a0] }
    }

    fn run(&self, samples: Vec<f64>) -> Vec<f64> {
        let (mut x, mut y) = ([0.0; 2], [0.0; 2]);
        let step = |sample: f64| {
            let out = self.b[0] * sample + self.b[1] * x[0] + self.b[2] * x[1] - self.a[0] * y[0] - self.a[1] * y[1];
            x = [sample, x[0]];
            y = [out, y[0]];
            out
        };
        samples.into_iter().map(step).collect()
    }
}

/// The most that the voice bends from one sample to the next: a click is a bend that no voice has.
pub fn bend(samples: &[i16]) -> i32 {
    let bends = samples.windows(3).map(|three| {
        let [a, b, c] = [three[0], three[1], three[2]].map(i32::from);
        (a - 2 * b + c).abs()
    });
    bends.max().unwrap_or(0)
}

fn play(bridge: &mut Bridge, caller: usize, prompts: &[Prompt]) {
    let command = PlaneCommand::Play { call: key(caller), playback: PlaybackKey(1), prompts: prompts.into() };
    bridge.command(command);
}

#[test]
fn prompts_and_music_and_voices_are_within_three_decibels_of_each_other() {
    let mut bridge = Bridge::new();
    let caller = bridge.call(Codec::Pcmu);
    bridge.background(caller, Background::Music);
    bridge.run(60 * 50);
    let music = loudness(bridge.heard(caller));
    let mut all = Vec::new();
    for &prompt in Prompt::ALL {
        let begins = bridge.heard(caller).len();
        play(&mut bridge, caller, &[prompt]);
        bridge.run((audio::shipped_prompt(prompt).len() / FRAME_SAMPLES) as i64);
        let level = loudness(&bridge.heard(caller)[begins..]);
        assert!((-1.0..=3.0).contains(&(level - music)), "{prompt:?}: {level:.1} LUFS, music {music:.1}");
        all.push(level);
    }
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    println!("| loudness of the music, and of the prompts | {music:.1}, {mean:.1} LUFS | within 3 dB |");
}

#[test]
fn nothing_clicks_where_it_begins_ends_or_repeats() {
    let mut bridge = Bridge::new();
    let (caller, speaker, waits) = (bridge.call(Codec::Pcmu), bridge.call(Codec::Pcma), bridge.call(Codec::Pcmu));
    bridge.admit(&[speaker]);
    bridge.background(waits, Background::Music);
    bridge.say(speaker, &speech::prompts().concat().repeat(3), 0, |_| Some(5_000));
    let music = audio::shipped_hold_music();
    let mut seams = Vec::new();
    let mut at = |bridge: &Bridge, what: &'static str| seams.push((bridge.heard(caller).len(), what));

    at(&bridge, "music begins");
    bridge.background(caller, Background::Music);
    bridge.run(2 * 50);
    for ticks in [7, 40, 61, 90, 133] {
        at(&bridge, "a prompt begins");
        play(&mut bridge, caller, &[Prompt::Patience, Prompt::Welcome]);
        bridge.run(ticks);
        at(&bridge, "a prompt is cut");
        bridge.command(PlaneCommand::StopPlayback { call: key(caller) });
        bridge.run(53);
    }
    at(&bridge, "a prompt that ends begins");
    play(&mut bridge, caller, &[Prompt::YouAreMuted]);
    bridge.run(60);
    at(&bridge, "music becomes the meeting");
    bridge.admit(&[caller]);
    bridge.run(70);
    at(&bridge, "the meeting becomes music");
    bridge.background(caller, Background::Music);
    bridge.run((music.len() / FRAME_SAMPLES) as i64 + 10);
    at(&bridge, "the meeting ends");
    bridge.background(caller, Background::Silence);
    bridge.run(10);

    let mut worst = (0.0, "");
    let mut check = |heard: &[i16], from: usize, what: &'static str| {
        let seam = from.saturating_sub(2)..(from + FRAME_SAMPLES + 2).min(heard.len());
        let before = &heard[seam.start.saturating_sub(5 * FRAME_SAMPLES)..seam.start];
        let after = &heard[seam.end..(seam.end + 5 * FRAME_SAMPLES).min(heard.len())];
        // A step of µ-law at the level of speech is 128 wide.
        let usual = bend(before).max(bend(after)).max(128);
        let found = f64::from(bend(&heard[seam])) / f64::from(usual);
        assert!(found <= 1.5, "{what}: {found:.2} times as sharp a bend as around it");
        if found > worst.0 {
            worst = (found, what);
        }
    };
    for (from, what) in seams {
        check(bridge.heard(caller), from, what);
    }
    check(bridge.heard(waits), music.len(), "the music repeats");
    println!(
        "| sharpest bend where a sound begins, ends or repeats | {:.2} of those around it ({}) | 1.5 |",
        worst.0, worst.1
    );
}
