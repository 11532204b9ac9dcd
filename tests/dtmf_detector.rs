//! The detector of tones in voice, held to the limits of ITU-T Q.24 and to silence on speech and music.
//!
//! The ignored tests compare it with spandsp (`libspandsp-dev`, a C compiler) and try it on hours of speech
//! (`espeak-ng`, and a folder of recordings):
//!
//! ```text
//! cargo test --release --test dtmf_detector -- --ignored --nocapture
//! ANTEROOM_SPEECH=/usr/share/asterisk cargo test --release --test dtmf_detector -- --ignored speech --nocapture
//! ```

#[path = "oracle/signals.rs"]
mod signals;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anteroom::media::dtmf::tones::ToneDetector;
use anteroom::words::media::FRAME_SAMPLES;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use signals::{Echo, KEYS, Keys, amplitude, companded, sines};

/// One row of the table: sequences of keys, each as one signal.
struct Row {
    name: &'static str,
    wanted: Wanted,
    sequences: Vec<String>,
    signals: Vec<Vec<i16>>,
}

#[derive(PartialEq)]
enum Wanted {
    Every,
    None,
}

impl Row {
    /// 320 presses: each key ten times in a row, and all keys in ten different orders. They are pressed in each of
    /// the `ways` in turn.
    fn new(name: &'static str, wanted: Wanted, ways: &[Keys]) -> Row {
        let mut random = StdRng::seed_from_u64(name.len() as u64);
        let mut sequences: Vec<String> = KEYS.chars().map(|key| String::from(key).repeat(10)).collect();
        for _ in 0..10 {
            let mut keys: Vec<char> = KEYS.chars().collect();
            keys.shuffle(&mut random);
            sequences.push(keys.into_iter().collect());
        }
        let way = ways.iter().cycle();
        let signals = sequences.iter().zip(way).map(|(keys, way)| way.samples(keys, random.random())).collect();
        Row { name, wanted, sequences, signals }
    }

    fn sent(&self) -> usize {
        self.sequences.iter().map(String::len).sum()
    }

    /// Digits found as they were sent, and digits beyond those.
    fn score(&self, found: &[String]) -> (usize, usize) {
        let right: usize = self.sequences.iter().zip(found).map(|(sent, found)| common(sent, found)).sum();
        (right, found.iter().map(String::len).sum::<usize>() - right)
    }
}

fn table() -> Vec<Row> {
    use Wanted::{Every, None};
    let keys = Keys::default();
    let both = |shift: f64| Keys { low_shift: shift, high_shift: shift, ..keys.clone() };
    let apart = |shift: f64| Keys { low_shift: shift, high_shift: -shift, ..keys.clone() };
    let one = |low_shift: f64, high_shift: f64| Keys { low_shift, high_shift, on_ms: 500.0, ..keys.clone() };
    let level = |low_dbm0: f64, high_dbm0: f64| Keys { low_dbm0, high_dbm0, ..keys.clone() };
    let noise = |ratio: f64| Keys { signal_to_noise_db: Some(ratio), ..keys.clone() };
    let echo = |delay_ms: f64| Keys { echo: Some(Echo { delay_ms, level_db: -10.0 }), ..keys.clone() };
    let broken = |at: f64, on_ms: f64| Keys { on_ms, break_at_ms: at, break_ms: 10.0, ..keys.clone() };
    let quick = |keys: Keys| Keys { on_ms: 40.0, off_ms: 40.0, ..keys };
    let prompt = |loss_db: f64| Keys { background: prompt_echo(loss_db), ..keys.clone() };
    let mut rows = vec![
        Row::new("50 ms on, 50 off", Every, std::slice::from_ref(&keys)),
        Row::new("40 ms on, 40 off", Every, &[quick(keys.clone())]),
        Row::new("both tones ±1.5 %", Every, &[both(0.015), both(-0.015), apart(0.015), apart(-0.015)]),
        Row::new("both tones ±3.5 %", None, &[both(0.035), both(-0.035), apart(0.035), apart(-0.035)]),
        Row::new(
            "one tone ±3.5 %, 500 ms",
            None,
            &[one(0.035, 0.0), one(-0.035, 0.0), one(0.0, 0.035), one(0.0, -0.035)],
        ),
        Row::new("low tone +7.7 dB", Every, &[level(-10.0, -17.7)]),
        Row::new("high tone +3.7 dB", Every, &[level(-13.7, -10.0)]),
        Row::new("0 dBm0", Every, &[level(0.0, 0.0)]),
        Row::new("-25 dBm0", Every, &[level(-25.0, -25.0)]),
        Row::new("-55 dBm0", None, &[level(-55.0, -55.0)]),
        Row::new("S/N 15 dB, 40/40 ms", Every, &[quick(noise(15.0))]),
        Row::new("S/N 10 dB", Every, &[noise(10.0)]),
        Row::new("23 ms on", None, &[Keys { on_ms: 23.0, ..keys.clone() }]),
        Row::new("23 ms on, S/N 15 dB", None, &[Keys { on_ms: 23.0, ..noise(15.0) }]),
        Row::new("a 10 ms break in 100", Every, &[30.0, 45.0, 60.0, 75.0, 85.0].map(|at| broken(at, 100.0))),
        Row::new("a 10 ms break in 50", Every, &[5.0, 15.0, 20.0, 25.0, 35.0].map(|at| broken(at, 50.0))),
        Row::new("echo 20 ms, -10 dB", Every, &[echo(20.0)]),
        Row::new("the same at 40/40 ms", Every, &[quick(echo(20.0))]),
        Row::new("echo 30 to 200 ms, -10 dB", Every, &[echo(30.0), echo(60.0), echo(100.0), echo(200.0)]),
        Row::new("while a prompt comes back", Every, &[prompt(-10.0)]),
    ];
    // Everything at once that Q.24 lets come together.
    let worst = Keys { low_dbm0: -20.0, high_dbm0: -27.7, ..quick(apart(0.015)) };
    rows.push(Row::new("40/40, ±1.5 %, twist, S/N 15", Every, &[Keys { signal_to_noise_db: Some(15.0), ..worst }]));
    rows
}

#[test]
fn every_row_of_the_table() {
    for row in table() {
        let found: Vec<String> = row.signals.iter().map(|signal| digits(signal)).collect();
        let wanted = if row.wanted == Wanted::Every { row.sent() } else { 0 };
        assert_eq!(row.score(&found), (wanted, 0), "{}", row.name);
    }
}

/// Each key that is found is found soon, and its tone does not get into the mix: from the first frame on that is all
/// tone, every frame up to its end is withheld.
#[test]
fn a_tone_is_withheld_from_the_first_whole_frame_on() {
    for start in 0..FRAME_SAMPLES {
        for key in KEYS.chars() {
            let silence = 800;
            let tone = Keys { on_ms: 80.0, ..Keys::default() }.samples(&key.to_string(), 5);
            let first = tone.iter().position(|&sample| sample != 0).unwrap();
            let signal = [vec![0; silence + start], tone[first..].to_vec()].concat();
            let end = silence + start + 640;

            let (mut detector, mut pressed_at) = (ToneDetector::default(), None);
            for (number, frame) in signal.chunks_exact(FRAME_SAMPLES).enumerate() {
                let sighting = detector.process(frame);
                let (from, to) = (number * FRAME_SAMPLES, (number + 1) * FRAME_SAMPLES);
                if from >= silence + start && from < end {
                    assert!(sighting.tone_present, "frame {number} of a tone that begins at {}", silence + start);
                }
                if from > end + 400 || to < silence {
                    assert!(!sighting.tone_present, "frame {number} is silence");
                }
                if sighting.pressed.is_some() {
                    assert_eq!(sighting.pressed, sighting.held);
                    pressed_at = Some(to);
                }
            }
            let delay = pressed_at.expect("a digit") - silence - start;
            assert!((240..=440).contains(&delay), "found after {} ms", delay / 8);
        }
    }
}

#[test]
fn a_held_key_is_one_digit() {
    let long = Keys { on_ms: 20_000.0, signal_to_noise_db: Some(15.0), ..Keys::default() };
    assert_eq!(digits(&long.samples("5", 1)), "5");
}

#[test]
fn one_key_right_after_another_is_found() {
    let keys = Keys { off_ms: 0.0, ..Keys::default() };
    assert_eq!(digits(&keys.samples(KEYS, 1)), KEYS);
}

/// Tones that other things on telephone lines make, at a usual level and a high one.
#[test]
fn the_other_tones_of_the_network_are_no_digits() {
    const TONES: &[(&str, &[f64])] = &[
        ("dial tone, North America", &[350.0, 440.0]),
        ("ringing tone, North America", &[440.0, 480.0]),
        ("busy tone, North America", &[480.0, 620.0]),
        ("tones of Europe", &[425.0]),
        ("special information tone", &[950.0]),
        ("special information tone", &[1400.0]),
        ("special information tone", &[1800.0]),
        ("fax, calling", &[1100.0]),
        ("fax, answering", &[2100.0]),
        ("a row alone", &[770.0]),
        ("a column alone", &[1336.0]),
        ("two rows", &[697.0, 941.0]),
        ("two columns", &[1209.0, 1477.0]),
        ("a row and its octave", &[697.0, 1394.0]),
        ("a pair and a third tone", &[770.0, 1336.0, 2500.0]),
        ("three rows and columns", &[697.0, 852.0, 1209.0]),
    ];
    for (name, tones) in TONES {
        for level in [-13.0, -3.0 - 3.0 * tones.len() as f64] {
            let parts: Vec<(f64, f64)> = tones.iter().map(|&hertz| (hertz, level)).collect();
            assert_eq!(digits(&sines(&parts, 2000.0)), "", "{name} at {level} dBm0");
        }
    }
}

#[test]
fn noise_and_clicks_are_no_digits() {
    let mut random = StdRng::seed_from_u64(3);
    for level in [-50.0, -30.0, -10.0] {
        let keys = Keys { low_dbm0: level, high_dbm0: level, signal_to_noise_db: Some(0.0), ..Keys::default() };
        let noise = Keys { on_ms: 0.0, off_ms: 60_000.0, ..keys };
        assert_eq!(digits(&noise.samples("1", random.random())), "");
    }
    let clicks: Vec<f64> = (0..480_000).map(|_| if random.random_ratio(1, 90) { 20_000.0 } else { 0.0 }).collect();
    assert_eq!(digits(&companded(&clicks)), "");
}

#[test]
fn our_own_prompts_and_music_are_no_digits() {
    for (path, signal) in recordings(&shipped_audio()) {
        for gain in [0.5, 1.0, 2.0] {
            let louder: Vec<f64> = signal.iter().map(|&sample| f64::from(sample) * gain).collect();
            assert_eq!(digits(&companded(&louder)), "", "{}", path.display());
        }
    }
}

#[test]
fn frames_of_an_odd_length_do_no_harm() {
    let mut detector = ToneDetector::default();
    for length in [0, 1, 159, 161, 1000] {
        assert_eq!(detector.process(&vec![0; length]).pressed, None);
    }
}

#[test]
#[ignore = "needs libspandsp-dev and a C compiler"]
fn the_table_beside_spandsp() {
    println!("{:<30} {:>5} | {:>5} {:>6} | {:>7} {:>6}", "digits found", "sent", "ours", "extra", "spandsp", "extra");
    for row in table() {
        let ours: Vec<String> = row.signals.iter().map(|signal| digits(signal)).collect();
        let (right, extra) = row.score(&ours);
        let (oracle_right, oracle_extra) = row.score(&spandsp(&row.signals));
        let name = if row.wanted == Wanted::None { format!("{} (none)", row.name) } else { row.name.into() };
        println!("{name:<30} {:>5} | {right:>5} {extra:>6} | {oracle_right:>7} {oracle_extra:>6}", row.sent());
    }
}

/// How long a frame takes. Told, not asserted: the machine may be busy.
#[test]
#[ignore = "measures; use --release"]
fn cost_of_a_frame() {
    let prompts = recordings(&shipped_audio().join("en")).concat_samples();
    let music = recordings(&shipped_audio().join("hold")).concat_samples();
    let key = Keys { on_ms: 5000.0, ..Keys::default() }.samples("5", 1);
    for (name, signal) in [("silence", vec![0; 160_000]), ("speech", prompts), ("music", music), ("a held key", key)] {
        let mut best = Duration::MAX;
        for _ in 0..20 {
            let (mut detector, start) = (ToneDetector::default(), Instant::now());
            for frame in signal.chunks_exact(FRAME_SAMPLES) {
                std::hint::black_box(detector.process(frame));
            }
            best = best.min(start.elapsed());
        }
        println!("{name:<12} {} ns a frame", best.as_nanos() as usize / (signal.len() / FRAME_SAMPLES));
    }
}

/// Hours of speech in which no digit is: recordings in the folder `ANTEROOM_SPEECH`, and espeak-ng's voices.
#[test]
#[ignore = "needs libspandsp-dev, a C compiler, and espeak-ng or ANTEROOM_SPEECH; takes minutes"]
fn no_digit_in_hours_of_speech() {
    let recorded = std::env::var_os("ANTEROOM_SPEECH").map(|folder| recordings(Path::new(&folder))).unwrap_or_default();
    let (mut hours, mut found) = (0.0, 0);
    let mut listen = |name: &str, signals: &[Vec<i16>]| {
        let (mut withheld, mut ours) = (0, 0);
        for signal in signals {
            let mut detector = ToneDetector::default();
            for frame in signal.chunks_exact(FRAME_SAMPLES) {
                let sighting = detector.process(frame);
                withheld += usize::from(sighting.tone_present);
                ours += usize::from(sighting.pressed.is_some());
            }
        }
        let theirs: usize = spandsp(signals).iter().map(String::len).sum();
        let length = signals.iter().map(Vec::len).sum::<usize>() as f64 / 8000.0 / 3600.0;
        println!("{name:<20} {length:.2} h: ours {ours} digits ({withheld} frames withheld), spandsp {theirs} digits");
        hours += length;
        found += ours;
    };
    listen("espeak-ng", &espeak_speech());
    // The same recorded voices higher and lower: other pitches, other vowels.
    for speed in [1.0, 0.75, 0.85, 0.93, 1.08, 1.2, 1.35] {
        let signals: Vec<Vec<i16>> = recorded.iter().map(|(_, signal)| played_at(speed, signal)).collect();
        listen(&format!("recorded, speed {speed}"), &signals);
    }
    assert_eq!(found, 0);
    assert!(hours > 1.0, "no speech to listen to");
}

fn digits(signal: &[i16]) -> String {
    let mut detector = ToneDetector::default();
    let pressed = signal.chunks_exact(FRAME_SAMPLES).filter_map(|frame| detector.process(frame).pressed);
    pressed.map(|digit| digit.expose()).collect()
}

/// Length of the longest common subsequence.
fn common(sent: &str, found: &str) -> usize {
    let found: Vec<char> = found.chars().collect();
    let mut lengths = vec![0; found.len() + 1];
    for key in sent.chars() {
        let mut diagonal = 0;
        for (n, &other) in found.iter().enumerate() {
            let above = lengths[n + 1];
            lengths[n + 1] = if key == other { diagonal + 1 } else { above.max(lengths[n]) };
            diagonal = above;
        }
    }
    lengths[found.len()]
}

fn shipped_audio() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("audio")
}

/// Our prompts as they come back from a line that reflects them.
fn prompt_echo(loss_db: f64) -> Vec<f64> {
    let prompts = recordings(&shipped_audio().join("en")).concat_samples();
    prompts.into_iter().map(|sample| f64::from(sample) * amplitude(loss_db)).collect()
}

/// All WAVs of 8 kHz in a folder and the folders in it.
fn recordings(folder: &Path) -> Vec<(PathBuf, Vec<i16>)> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(recordings(&path));
        } else if path.extension().is_some_and(|extension| extension == "wav") {
            let mut reader = hound::WavReader::open(&path).unwrap();
            if reader.spec().sample_rate == 8000 && reader.spec().channels == 1 {
                found.push((path, reader.samples::<i16>().map(Result::unwrap).collect()));
            }
        }
    }
    found.sort();
    found
}

trait ConcatSamples {
    fn concat_samples(self) -> Vec<i16>;
}

impl ConcatSamples for Vec<(PathBuf, Vec<i16>)> {
    fn concat_samples(self) -> Vec<i16> {
        self.into_iter().flat_map(|(_, signal)| signal).collect()
    }
}

/// A recording played faster or slower, between its samples by a straight line.
fn played_at(speed: f64, signal: &[i16]) -> Vec<i16> {
    let at = |n: usize| {
        let place = n as f64 * speed;
        let (from, part) = (place as usize, place.fract());
        let (a, b) = (f64::from(*signal.get(from)?), f64::from(*signal.get(from + 1)?));
        Some(a + (b - a) * part)
    };
    companded(&(0..).map_while(at).collect::<Vec<f64>>())
}

/// What spandsp finds in each signal.
fn spandsp(signals: &[Vec<i16>]) -> Vec<String> {
    let folder = std::env::temp_dir().join(format!("anteroom-oracle-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let program = folder.join("dtmf");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/dtmf.c");
    let compiled = Command::new("cc").arg("-O2").arg("-o").arg(&program).arg(source).arg("-lspandsp").status().unwrap();
    assert!(compiled.success());

    let mut oracle = Command::new(&program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = oracle.stdin.take().unwrap();
    for signal in signals {
        let bytes: Vec<u8> = signal.iter().flat_map(|sample| sample.to_ne_bytes()).collect();
        input.write_all(&(signal.len() as u32).to_ne_bytes()).unwrap();
        input.write_all(&bytes).unwrap();
    }
    drop(input);
    let output = oracle.wait_with_output().unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(String::from).collect()
}

/// A text in several languages and voices, at several pitches.
fn espeak_speech() -> Vec<Vec<i16>> {
    const TEXTS: &[(&str, &str)] =
        &[("en", include_str!("oracle/speech_en.txt")), ("de", include_str!("oracle/speech_de.txt"))];
    let mut speech = Vec::new();
    for (language, text) in TEXTS {
        for variant in ["", "+m1", "+m3", "+m7", "+f1", "+f2", "+f4", "+croak", "+whisper"] {
            for pitch in ["10", "35", "50", "65", "90"] {
                let mut espeak = Command::new("espeak-ng");
                espeak.args(["-v", &format!("{language}{variant}"), "-p", pitch, "-a", "150", "--stdout", text]);
                let Ok(output) = espeak.output() else { return speech };
                speech.push(telephone_band(&output.stdout));
            }
        }
    }
    speech
}

/// espeak-ng's WAV of 22,050 Hz at 8 kHz, low-passed by averaging what lies between.
fn telephone_band(wav: &[u8]) -> Vec<i16> {
    let samples: Vec<f64> = wav
        .get(44..)
        .unwrap_or_default()
        .chunks_exact(2)
        .map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]])))
        .collect();
    let ratio = 22_050.0 / 8000.0;
    let at = |n: usize| {
        let (from, to) = ((n as f64 * ratio) as usize, ((n + 1) as f64 * ratio) as usize);
        samples.get(from..to).map(|part| part.iter().sum::<f64>() / part.len() as f64)
    };
    companded(&(0..).map_while(at).collect::<Vec<f64>>())
}
