//! The ears against sounds of known place: synthetic ones, and the shipped ones where they are there.

use std::path::Path;

use super::test_sounds::{babble, prompt, silence, synthetic, tone};
use super::*;
use crate::wire::g711;
use crate::words::media::Law;

fn mixed(one: &[i16], other: &[i16]) -> Vec<i16> {
    one.iter().zip(other).map(|(a, b)| a.saturating_add(*b)).collect()
}

/// Plays a line through G.711 into ears that listen for `sounds`, and gives what they heard in the end.
fn heard(library: &Arc<SoundLibrary>, sounds: &[Sound], line: &[i16]) -> Vec<Hearing> {
    let mut ears = Ears::new(library, sounds).unwrap();
    let mut hearings = Vec::new();
    for (index, chunk) in line.chunks_exact(FRAME_SAMPLES).enumerate() {
        let mut frame = [0; FRAME_SAMPLES];
        for (to, from) in frame.iter_mut().zip(chunk) {
            *to = g711::decode(Law::Mu, g711::encode(Law::Mu, *from));
        }
        ears.hear(&HeardFrame { at: FRAME * index as u32, samples: frame, missing: false });
        while let Some(change) = ears.poll_change() {
            record(&mut hearings, change);
        }
    }
    hearings
}

fn near(time: Duration, seconds: f32, tolerance: f32) -> bool {
    (time.as_secs_f32() - seconds).abs() <= tolerance
}

#[test]
fn each_prompt_is_told_from_the_others_with_its_time_and_its_end() {
    let library = synthetic();
    let sounds: Vec<_> = (1..=6).map(|key| prompt(&key.to_string())).collect();
    for key in 1..=6 {
        // At every offset of the line's samples, not only at those of frames.
        let lead = 0.5 + key as f32 * 0.0137;
        let line = [silence(lead), babble(key, 2.0), silence(1.5)].concat();
        let hearings = heard(&library, &sounds, &line);
        assert_eq!(hearings.len(), 1, "{key}: {hearings:?}");
        assert_eq!(hearings[0].sound, prompt(&key.to_string()));
        assert!(hearings[0].whole, "{key}: {hearings:?}");
        assert!(near(hearings[0].from, lead, 0.03), "{key}: {hearings:?}");
        assert!(near(hearings[0].until.unwrap(), lead + 2.0, 0.2), "{key}: {hearings:?}");
    }
}

#[test]
fn a_prompt_that_is_cut_off_is_not_whole() {
    let library = synthetic();
    let cut = babble(3, 2.0)[..8_000].to_vec();
    for after in [silence(1.0), babble(5, 1.0), tone(1_140.0, 1.0, 3_000.0)] {
        let hearings = heard(&library, &[prompt("3")], &[silence(0.4), cut.clone(), after].concat());
        assert_eq!(hearings.len(), 1, "{hearings:?}");
        assert!(!hearings[0].whole && near(hearings[0].until.unwrap(), 1.4, 0.15), "{hearings:?}");
    }
}

#[test]
fn a_prompt_is_followed_when_a_jitter_buffer_shortens_or_stretches_a_pause() {
    let mut library = SoundLibrary::default();
    let (first, second) = (babble(7, 1.0), babble(8, 1.0));
    assert!(library.add(prompt("7"), &[&first[..], &silence(0.2), &second].concat()));
    let library = Arc::new(library);
    for pause in [0.1, 0.18, 0.22, 0.3] {
        let line = [&silence(0.4)[..], &first, &silence(pause), &second, &silence(1.0)].concat();
        let hearings = heard(&library, &[prompt("7")], &line);
        assert_eq!(hearings.len(), 1, "{pause}: {hearings:?}");
        assert!(hearings[0].whole && near(hearings[0].until.unwrap(), 2.4 + pause, 0.1), "{pause}: {hearings:?}");
    }
}

#[test]
fn the_same_prompt_again_is_heard_again() {
    let library = synthetic();
    let line = [silence(0.2), babble(2, 2.0), silence(0.3), babble(2, 2.0), silence(1.0)].concat();
    let hearings = heard(&library, &[prompt("2")], &line);
    assert_eq!(hearings.iter().filter(|hearing| hearing.whole).count(), 2, "{hearings:?}");
}

#[test]
fn music_is_recognized_from_any_place_round_its_seam_and_traced_to_its_beginning() {
    let library = synthetic();
    let music = babble(99, 20.0);
    let round = [&music[..], &music[..]].concat();
    for start in [0usize, 12_345, 100_003, 150_000] {
        let line = [silence(0.5), round[start..start + 40_000].to_vec(), silence(1.0)].concat();
        let hearings = heard(&library, &[Sound::Music, prompt("1")], &line);
        assert_eq!(hearings.len(), 1, "{start}: {hearings:?}");
        assert!(near(hearings[0].from, 0.5, 0.15), "{start}: {hearings:?}");
        assert!(near(hearings[0].until.unwrap(), 5.5, 0.2), "{start}: {hearings:?}");
    }
}

#[test]
fn neither_speech_nor_tones_nor_noise_are_music() {
    let library = synthetic();
    let line = [babble(500, 6.0), tone(440.0, 2.0, 3_000.0), babble(501, 6.0), tone(640.0, 1.0, 3_000.0)].concat();
    let sounds: Vec<_> = library.sounds().cloned().collect();
    assert_eq!(heard(&library, &sounds, &line), []);
}

#[test]
fn music_after_a_prompt_and_a_prompt_after_music() {
    let library = synthetic();
    let music = babble(99, 20.0);
    let line =
        [babble(4, 2.0), music[16_000..56_000].to_vec(), babble(5, 2.0), music[56_000..80_000].to_vec()].concat();
    let hearings = heard(&library, &[Sound::Music, prompt("4"), prompt("5")], &line);
    let story: Vec<_> = hearings.iter().map(|hearing| hearing.sound.to_string()).collect();
    assert_eq!(story, ["prompt:4", "music", "prompt:5", "music"], "{hearings:?}");
    assert!(near(hearings[1].from, 2.0, 0.15) && near(hearings[1].until.unwrap(), 7.0, 0.15), "{hearings:?}");
    assert!(near(hearings[3].from, 9.0, 0.15), "{hearings:?}");
}

#[test]
fn tones_are_told_apart_also_when_they_sound_together() {
    let library = synthetic();
    let sounds = [1_140, 1_281, 1_438].map(|hz| Sound::Tone { hz });
    let both = mixed(&tone(1_140.0, 1.0, 3_000.0), &tone(1_438.0, 1.0, 2_000.0));
    let line = [silence(0.5), tone(1_140.0, 1.0, 3_000.0), both, tone(1_438.0, 1.0, 2_000.0), silence(0.5)].concat();
    let hearings = heard(&library, &sounds, &line);
    assert_eq!(hearings.len(), 2, "{hearings:?}");
    assert_eq!((&hearings[0].sound, &hearings[1].sound), (&sounds[0], &sounds[2]));
    for (hearing, from, until) in [(&hearings[0], 0.5, 2.5), (&hearings[1], 1.5, 3.5)] {
        assert!(near(hearing.from, from, 0.1) && near(hearing.until.unwrap(), until, 0.1), "{hearings:?}");
    }
}

#[test]
fn a_chime_is_heard_while_somebody_talks_in_tones() {
    let library = synthetic();
    let chime = [tone(512.0, 0.2, 4_000.0), tone(640.0, 0.25, 3_000.0)].concat();
    let talk = tone(1_140.0, 3.0, 6_000.0);
    let line = mixed(&talk, &[silence(1.0), chime, silence(1.55)].concat());
    let hearings = heard(&library, &[Sound::Chime("entry".into())], &line);
    assert_eq!(hearings.len(), 1, "{hearings:?}");
    assert!(near(hearings[0].from, 1.0, 0.05) && hearings[0].whole, "{hearings:?}");
}

#[test]
fn silence_and_sound_take_turns() {
    let library = synthetic();
    let line = [silence(1.0), tone(300.0, 1.0, 1_000.0), silence(1.0)].concat();
    let hearings = heard(&library, &[Sound::Silence, Sound::Anything], &line);
    let story: Vec<_> = hearings.iter().map(|hearing| (hearing.sound.to_string(), hearing.from.as_millis())).collect();
    assert_eq!(story, [("silence".into(), 0), ("sound".into(), 1_000), ("silence".into(), 2_000)]);
}

#[test]
fn an_unknown_sound_is_named_with_those_that_exist() {
    let error = Ears::new(&synthetic(), &[prompt("welcom")]).unwrap_err().to_string();
    assert!(error.contains("prompt:welcom") && error.contains("chime:entry"), "{error}");
}

/// What the shipped fixtures take for voices: between the notes of the scale and off the tones of keys.
const TONES: [Sound; 7] = [
    Sound::Tone { hz: 1_077 },
    Sound::Tone { hz: 1_140 },
    Sound::Tone { hz: 1_438 },
    Sound::Tone { hz: 1_614 },
    Sound::Tone { hz: 1_710 },
    Sound::Tone { hz: 1_812 },
    Sound::Tone { hz: 2_033 },
];

fn shipped() -> Arc<SoundLibrary> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("audio");
    Arc::new(SoundLibrary::from_folder(&folder, "en").unwrap())
}

fn shipped_samples(inner: &str) -> Vec<(String, Vec<i16>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("audio").join(inner);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "wav"));
    files.sort();
    let key = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    files.iter().map(|path| (key(path), crate::replay::wav::read_8khz(path).unwrap())).collect()
}

#[test]
fn every_shipped_prompt_and_chime_is_told_from_every_other() {
    let library = shipped();
    let everything: Vec<_> = library.sounds().chain(&TONES).cloned().collect();
    let prompts = shipped_samples("en").into_iter().map(|(key, samples)| (prompt(&key), samples));
    let chimes = shipped_samples("tones").into_iter().map(|(key, samples)| (Sound::Chime(key), samples));
    for (sound, samples) in prompts.chain(chimes) {
        let hearings = heard(&library, &everything, &[silence(0.731), samples, silence(1.5)].concat());
        let heard: Vec<_> = hearings.iter().map(|hearing| (&hearing.sound, hearing.whole)).collect();
        assert_eq!(heard, [(&sound, true)], "{hearings:?}");
        assert!(near(hearings[0].from, 0.731, 0.05), "{hearings:?}");
    }
}

#[test]
fn chimes_one_after_the_other_hold_no_callers_tone() {
    // The overtones of their notes are steady, and last when several callers come at nearly the same time.
    for (_, chime) in shipped_samples("tones") {
        for lag in [0.04, 0.1, 0.2] {
            let mut line = silence(2.0);
            for n in 0..4 {
                let begin = 1_600 + (lag * 8_000.0 * n as f32) as usize;
                line[begin..].iter_mut().zip(&chime).for_each(|(sum, x)| *sum = sum.saturating_add(*x));
            }
            assert_eq!(heard(&shipped(), &TONES, &line), []);
        }
    }
}

#[test]
fn the_shipped_music_is_music_and_holds_no_callers_tone() {
    let library = shipped();
    let sounds: Vec<_> = library.sounds().chain(&TONES).cloned().collect();
    for (name, music) in shipped_samples("hold") {
        for start in (0..music.len() - 80_000).step_by(101_003) {
            let hearings = heard(&library, &sounds, &music[start..start + 80_000]);
            assert_eq!(hearings.len(), 1, "{name} from {start}: {hearings:?}");
            assert_eq!(hearings[0].sound, Sound::Music);
            assert!(
                near(hearings[0].from, 0.0, 0.15) && hearings[0].until.is_none(),
                "{name} from {start}: {hearings:?}"
            );
        }
        let hearings = heard(&library, &sounds, &music);
        assert_eq!(hearings.len(), 1, "{hearings:?}");
    }
}

/// What one caller's ears cost, in a meeting of strangers whose talk is nothing that is known: the dearest case.
#[test]
#[ignore = "a measurement: cargo test --release -- --ignored --nocapture cost_of_ears"]
fn cost_of_ears() {
    let library = shipped();
    let sounds: Vec<_> = library.sounds().chain(&TONES).cloned().collect();
    let line = babble(1_000, 60.0);
    let begun = std::time::Instant::now();
    heard(&library, &sounds, &line);
    println!("{:.2} % of a core for each caller", begun.elapsed().as_secs_f64() / 60.0 * 100.0);
}
