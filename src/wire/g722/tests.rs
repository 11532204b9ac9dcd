//! The whole codec: the standard's sequences, levels, and what follows from its state.

use std::f64::consts::TAU;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::band::Bands;
use super::{Decoder, Encoder, LevelMeter};

/// What encoder and decoder delay together, in samples.
const DELAY: usize = 22;

fn encoded(samples: &[i16]) -> Vec<u8> {
    let mut codes = vec![0; samples.len() / 2];
    assert_eq!(Encoder::default().encode(samples, &mut codes), codes.len());
    codes
}

fn decoded(codes: &[u8]) -> Vec<i16> {
    let mut samples = vec![0; codes.len() * 2];
    assert_eq!(Decoder::default().decode(codes, &mut samples), codes.len());
    samples
}

fn tone(hertz: f64, amplitude: f64, length: usize) -> Vec<i16> {
    (0..length).map(|at| (amplitude * (TAU * hertz * at as f64 / 16_000.0).sin()).round() as i16).collect()
}

/// White noise so many dB below a full sine of 0 dBm0.
fn noise(dbm0: f64, length: usize) -> Vec<i16> {
    let mut random = StdRng::seed_from_u64(1);
    let rms = 16_142.0 * 10f64.powf(dbm0 / 20.0);
    let mut normal = || (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
    (0..length).map(|_| (rms * normal()).round() as i16).collect()
}

/// The shipped prompts, one after another.
fn speech() -> Vec<i16> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("audio/en/16k");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let samples = |path| hound::WavReader::open(path).unwrap().into_samples::<i16>().map(Result::unwrap).collect();
    paths.into_iter().flat_map::<Vec<i16>, _>(samples).collect()
}

fn energy(samples: impl IntoIterator<Item = f64>) -> f64 {
    samples.into_iter().map(|sample| sample * sample).sum::<f64>().max(1.0)
}

/// How far the error lies below what was meant, in dB.
fn signal_to_noise(meant: &[i16], heard: &[i16]) -> f64 {
    let errors = meant.iter().zip(heard).map(|(&meant, &heard)| f64::from(meant) - f64::from(heard));
    10.0 * (energy(meant.iter().map(|&sample| sample.into())) / energy(errors)).log10()
}

/// The amplitude of one tone in a signal.
fn amplitude(hertz: f64, signal: &[i16]) -> f64 {
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (at, &sample) in signal.iter().enumerate() {
        let phase = TAU * hertz * at as f64 / 16_000.0;
        real += f64::from(sample) * phase.cos();
        imaginary += f64::from(sample) * phase.sin();
    }
    2.0 * real.hypot(imaginary) / signal.len() as f64
}

/// The words of one sequence: lines of sixteen in hexadecimal, each with a checksum behind it.
fn sequence(name: &str) -> Option<Vec<u16>> {
    let folder = PathBuf::from(std::env::var_os("ANTEROOM_G722_VECTORS").expect("ANTEROOM_G722_VECTORS=DIR"));
    let text = std::fs::read_to_string(folder.join(name)).ok()?;
    let mut words = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| line.len() == 66 && !line.starts_with("/*")) {
        let sum = line[..64].bytes().fold(0, u8::wrapping_add);
        assert_eq!(sum.wrapping_add(u8::from_str_radix(&line[64..], 16).unwrap()), 0, "{name}: {line}");
        words.extend((0..64).step_by(4).map(|at| u16::from_str_radix(&line[at..at + 4], 16).unwrap()));
    }
    Some(words)
}

/// The digital test sequences of Appendix II, which go by the filters: one word is a sample of both bands, or a code, and
/// its lowest bit says that the coder is being reset.
#[test]
#[ignore = "needs the ITU-T's G.722 test sequences as text: ANTEROOM_G722_VECTORS=DIR (T1C1.XMT, T2R1.COD, T3L1.RC1, …)"]
fn the_test_sequences_of_the_standard() {
    let mut compared = 0;
    for (samples, codes) in [("T1C1.XMT", "T2R1.COD"), ("T1C2.XMT", "T2R2.COD")] {
        let (Some(samples), Some(codes)) = (sequence(samples), sequence(codes)) else { continue };
        let mut bands = Bands::default();
        for (number, (&word, &code)) in samples.iter().zip(&codes).filter(|(word, _)| *word & 1 == 0).enumerate() {
            let mut ours = [0];
            bands.encode(&[[word as i16 >> 1; 2]], &mut ours);
            assert_eq!(u16::from(ours[0]), code >> 8, "code {number}");
            compared += 1;
        }
    }
    for (codes, low_band, high_band) in [
        ("T2R1.COD", "T3L1.RC1", "T3H1.RC0"),
        ("T2R2.COD", "T3L2.RC1", "T3H2.RC0"),
        ("T1D3.COD", "T3L3.RC1", "T3H3.RC0"),
    ] {
        let (Some(codes), Some(low_band), Some(high_band)) = (sequence(codes), sequence(low_band), sequence(high_band))
        else {
            continue;
        };
        let mut bands = Bands::default();
        let samples = codes.iter().zip(low_band.iter().zip(&high_band)).filter(|(code, _)| *code & 1 == 0);
        for (number, (&code, (&low_sample, &high_sample))) in samples.enumerate() {
            let mut ours = [[0; 2]];
            bands.decode(&[(code >> 8) as u8], &mut ours);
            assert_eq!(ours[0].map(|sample| (sample << 1) as u16), [low_sample, high_sample], "samples {number}");
            compared += 1;
        }
    }
    println!("{compared} codes and pairs of samples are the standard's");
    assert!(compared > 0, "no sequence in ANTEROOM_G722_VECTORS");
}

#[test]
fn a_tone_keeps_its_level_through_the_pass_band() {
    for (hertz, tolerance_db) in [
        (50.0, 0.3),
        (100.0, 0.2),
        (300.0, 0.1),
        (1000.0, 0.1),
        (2000.0, 0.1),
        (3400.0, 0.3),
        (5000.0, 0.5),
        (7000.0, 1.0),
    ] {
        let sent = tone(hertz, 10_000.0, 16_000);
        let heard = decoded(&encoded(&sent));
        let change = 20.0 * (amplitude(hertz, &heard[1_600..]) / amplitude(hertz, &sent[1_600..])).log10();
        assert!(change.abs() < tolerance_db, "{hertz} Hz: {change:.2} dB");
    }
}

#[test]
fn tones_and_speech_are_near_to_what_they_were() {
    for (hertz, amplitude, at_least) in [
        (300.0, 10_000.0, 30.0),
        (1000.0, 10_000.0, 30.0),
        (1000.0, 32_767.0, 30.0),
        (3000.0, 10_000.0, 25.0),
        (5500.0, 10_000.0, 10.0),
        (1000.0, 100.0, 20.0),
    ] {
        let sent = tone(hertz, amplitude, 8_000);
        let ratio = signal_to_noise(&sent[1_000..7_900], &decoded(&encoded(&sent))[1_000 + DELAY..]);
        assert!(ratio > at_least, "{hertz} Hz at {amplitude}: {ratio:.1} dB");
    }
    let voice = speech();
    let ratio = signal_to_noise(&voice, &decoded(&encoded(&voice))[DELAY..]);
    assert!(ratio > 20.0, "speech: {ratio:.1} dB");
}

#[test]
fn the_loudest_sounds_are_limited_and_do_not_wrap() {
    let square: Vec<i16> = (0..3_200).map(|at| if at % 40 < 20 { i16::MAX } else { i16::MIN }).collect();
    let heard = decoded(&encoded(&square));
    for (at, (&sent, &heard)) in square.iter().zip(&heard[DELAY..]).enumerate().skip(400) {
        // Away from the edges, where the filters ring.
        if (5..15).contains(&(at % 20)) {
            assert!((i32::from(sent) - i32::from(heard)).abs() < 12_000, "{sent} came as {heard}");
        }
    }
}

#[test]
fn it_does_not_matter_in_which_pieces() {
    let voice = &speech()[..16_000];
    let whole = encoded(voice);
    let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
    let (mut codes, mut samples) = (Vec::new(), Vec::new());
    for piece in voice.chunks(226) {
        let mut some = vec![0; piece.len() / 2];
        encoder.encode(piece, &mut some);
        let mut heard = vec![0; some.len() * 2];
        decoder.decode(&some, &mut heard);
        codes.extend(some);
        samples.extend(heard);
    }
    assert_eq!(codes, whole);
    assert_eq!(samples, decoded(&whole));
}

#[test]
fn slices_of_unlike_length_stop_at_the_shorter() {
    let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
    let mut codes = [7; 4];
    assert_eq!(encoder.encode(&[0; 5], &mut codes), 2, "half a pair is no code");
    assert_eq!(codes[2..], [7; 2]);
    assert_eq!(encoder.encode(&[0; 100], &mut codes), 4);
    let mut samples = [7; 5];
    assert_eq!(decoder.decode(&codes, &mut samples), 2);
    assert_eq!(samples[4], 7);
    assert_eq!(decoder.decode(&[], &mut samples), 0);
    assert_eq!(encoder.encode(&[], &mut codes), 0);
}

/// What a listener's telephone does when he joins a stream in its midst.
#[test]
fn a_decoder_that_came_late_soon_says_the_same() {
    let codes = encoded(&speech());
    let heard = decoded(&codes);
    for late in (16_000..codes.len() - 16_000).step_by(7_777) {
        let joined = decoded(&codes[late..late + 16_000]);
        let meant = &heard[late * 2..];
        let ratio = signal_to_noise(&meant[3_200..6_400], &joined[3_200..6_400]);
        assert!(ratio > 15.0, "{ratio:.1} dB after 200 ms");
        assert_eq!(joined[24_000..], meant[24_000..32_000], "after 1.5 s it is the same to the last bit");
    }
}

/// Of two encoders of the same voice only a copy goes on with the same codes.
#[test]
fn a_copy_goes_on_where_its_original_is() {
    let voice = speech();
    let mut encoder = Encoder::default();
    let (mut codes, mut of_copy) = ([0; 160], [0; 160]);
    for frame in voice[..32_000].chunks(320) {
        encoder.encode(frame, &mut codes);
    }
    let mut copy = encoder;
    let mut stranger = Encoder::default();
    let mut differ = 0;
    for frame in voice[32_000..64_000].chunks(320) {
        encoder.encode(frame, &mut codes);
        copy.encode(frame, &mut of_copy);
        assert_eq!(codes, of_copy);
        stranger.encode(frame, &mut of_copy);
        differ += usize::from(codes != of_copy);
    }
    assert_eq!(differ, 100, "as the module says, they never agree");
}

#[test]
fn the_meter_decides_as_the_samples_would() {
    let peak = |samples: &[i16]| samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
    // (signal, frames that the gate may lose, frames that it may let in, of each thousand)
    let scaled = |by: i16| speech().iter().map(|sample| sample / by).collect::<Vec<i16>>();
    let signals = [
        ("speech", scaled(1), 2, 2),
        ("speech, 10 dB less", scaled(3), 8, 2),
        ("speech, 20 dB less", scaled(10), 10, 10),
        ("line noise of −50 dBm0", noise(-50.0, 160_000), 0, 0),
        ("noise of −45 dBm0", noise(-45.0, 160_000), 10, 50),
        ("noise of −40 dBm0", noise(-40.0, 160_000), 0, 0),
        ("silence", vec![0; 16_000], 0, 0),
    ];
    for (name, signal, lost, let_in) in signals {
        let (mut encoder, mut decoder, mut meter) = (Encoder::default(), Decoder::default(), LevelMeter::default());
        let gate = |open: &mut u8, peak: u16| {
            let passes = peak >= if *open == 0 { 320 } else { 160 };
            *open = if passes { 15 } else { open.saturating_sub(1) };
            *open > 0
        };
        let (mut by_samples, mut by_meter, mut missing, mut beyond, mut frames) = (0, 0, 0, 0, 0);
        for frame in signal.chunks_exact(320) {
            let (mut codes, mut heard) = ([0; 160], [0; 320]);
            encoder.encode(frame, &mut codes);
            decoder.decode(&codes, &mut heard);
            let passes = [gate(&mut by_samples, peak(&heard)), gate(&mut by_meter, meter.peak(&codes).unsigned_abs())];
            missing += usize::from(passes == [true, false]);
            beyond += usize::from(passes == [false, true]);
            frames += 1;
        }
        assert!(missing * 1000 <= lost * frames, "{name}: {missing} of {frames} frames lost");
        assert!(beyond * 1000 <= let_in * frames, "{name}: {beyond} of {frames} frames let in");
    }
}

/// What the meter is good for, and what not.
#[test]
fn a_tone_opens_a_gate_and_does_not_keep_it_open() {
    for hertz in [100.0, 440.0, 1000.0, 2000.0] {
        let mut meter = LevelMeter::default();
        let peaks: Vec<i16> =
            encoded(&tone(hertz, 2_000.0, 16_000)).chunks(160).map(|codes| meter.peak(codes)).collect();
        assert!(peaks[0] > 1_300, "{hertz} Hz: {peaks:?}");
        let mean = peaks[5..].iter().map(|&peak| i32::from(peak)).sum::<i32>() / (peaks.len() as i32 - 5);
        assert!(mean < 800, "{hertz} Hz: {peaks:?}");
    }
}

/// After a gap the voice is nearer to what it should be when the decoder followed what was played.
#[test]
fn a_decoder_that_followed_goes_on_better() {
    let voice = speech();
    let codes = encoded(&voice);
    let heard = decoded(&codes);
    let (mut following, mut standing) = (Vec::new(), Vec::new());
    let mut before = Decoder::default();
    for gap in (1_600..codes.len() - 1_600).step_by(1_600) {
        before.decode(&codes[gap - 1_600..gap], &mut [0; 3_200]);
        let (mut decoder, mut stood) = (before.clone(), before.clone());
        // The best that a concealment can do: it plays what was lost.
        decoder.follow(&heard[gap * 2..gap * 2 + 320]);
        let meant = &heard[gap * 2 + 320..][..1_600];
        let mut after = vec![0; 1_600];
        for (decoder, ratios) in [(&mut decoder, &mut following), (&mut stood, &mut standing)] {
            decoder.decode(&codes[gap + 160..gap + 960], &mut after);
            ratios.push(signal_to_noise(meant, &after));
        }
    }
    let mean = |ratios: &[f64]| ratios.iter().sum::<f64>() / ratios.len() as f64;
    assert!(mean(&following) > mean(&standing) + 3.0, "{:.1} and {:.1} dB", mean(&following), mean(&standing));
}

/// Voice behind a silence that was not decoded begins as it was meant, wherever in a word that is.
#[test]
fn a_decoder_that_skipped_silence_goes_on() {
    let speech = speech();
    let (mut meant, mut skipping, mut starting) = (Vec::new(), Vec::new(), Vec::new());
    for from in (0..speech.len() - 8_000).step_by(24_000) {
        let voice = [&speech[from..from + 3_200], &noise(-55.0, 4_800), &speech[from + 3_200..from + 6_400]].concat();
        let codes = encoded(&voice);
        meant.extend_from_slice(&decoded(&codes)[8_000..9_600]);
        let mut decoder = Decoder::default();
        decoder.decode(&codes[..1_600], &mut [0; 3_200]);
        for frame in codes[1_600..4_000].chunks(160) {
            decoder.skip(frame);
        }
        for (mut decoder, heard) in [(decoder, &mut skipping), (Decoder::default(), &mut starting)] {
            let mut some = [0; 1_600];
            decoder.decode(&codes[4_000..4_800], &mut some);
            heard.extend_from_slice(&some);
        }
    }
    let (skipped, started) = (signal_to_noise(&meant, &skipping), signal_to_noise(&meant, &starting));
    assert!(skipped > 15.0 && skipped > started + 8.0, "{skipped:.1} dB; {started:.1} dB with nothing to go on from");
}

#[test]
fn little_silence_is_decoded_wholly() {
    let codes = encoded(&speech()[..48_000]);
    let (mut decoder, mut skipping) = (Decoder::default(), Decoder::default());
    let mut at = 0;
    for skipped in [900, 77, 0, 960, 320, 641, 959] {
        let (mut heard, mut behind) = ([0; 2_400], [0; 2_400]);
        decoder.decode(&codes[at..at + skipped], &mut [0; 2_000]);
        for odd in codes[at..at + skipped].chunks(77) {
            skipping.skip(odd);
        }
        at += skipped;
        decoder.decode(&codes[at..at + 1_200], &mut heard);
        skipping.decode(&codes[at..at + 1_200], &mut behind);
        assert!(heard == behind, "{skipped} were skipped");
        at += 1_200;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes, no arithmetic overflows (these tests check it), and a state stays usable.
    #[test]
    fn every_stream_is_decoded(codes in prop::collection::vec(any::<u8>(), 0..2_000), cut in 0usize..400) {
        let (mut decoder, mut meter) = (Decoder::default(), LevelMeter::default());
        let mut samples = vec![0; codes.len() * 2];
        decoder.decode(&codes, &mut samples);
        decoder.follow(&samples[..cut.min(samples.len())]);
        decoder.decode(&codes, &mut samples);
        meter.peak(&codes);
        decoder.skip(&codes);
        decoder.decode(&codes, &mut samples);
    }

    #[test]
    fn every_sound_is_encoded(samples in prop::collection::vec(any::<i16>(), 0..4_000), extreme in any::<bool>()) {
        let loud = |sample: &i16| if *sample < 0 { i16::MIN } else { i16::MAX };
        let samples: Vec<i16> = if extreme { samples.iter().map(loud).collect() } else { samples };
        let codes = encoded(&samples[..samples.len() & !1]);
        decoded(&codes);
    }
}
