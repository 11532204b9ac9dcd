//! Clocks that drift, packets that are late, twice or of another stream, silence that is not sent.

use std::f64::consts::TAU;

use anteroom::words::media::{Codec, FRAME_SAMPLES};

use super::line::{Bridge, coded, encoded, packet};
use super::sounds::bend;
use super::speech;

/// A voice that never pauses, as loud as is wanted: a vowel whose pitch wanders a little. After ten seconds it is where it began.
fn hum(seconds: usize) -> Vec<i16> {
    let mut phase = 0.0;
    let samples = (0..seconds * 8_000).map(|at| {
        let slow = (TAU * 0.3 * at as f64 / 8_000.0).sin();
        phase += TAU * (140.0 + 6.0 * slow) / 8_000.0;
        (2_900.0 * phase.sin() + 1_750.0 * (2.0 * phase).sin() + 950.0 * (5.0 * phase).sin()) as i16
    });
    samples.collect()
}

/// Speaker and listener, in a meeting.
fn two() -> (Bridge, usize, usize) {
    let mut bridge = Bridge::new();
    let (speaker, listener) = (bridge.call(Codec::Pcmu), bridge.call(Codec::Pcmu));
    bridge.admit(&[speaker, listener]);
    (bridge, speaker, listener)
}

/// No click is as soft as this: one and a half of the sharpest bend of the voice as it comes over the line.
fn usual_bend(voice: &[i16]) -> i32 {
    bend(&coded(Codec::Pcmu, voice)) * 3 / 2
}

/// Frames of 20 ms without voice.
fn silent_frames(heard: &[i16]) -> usize {
    heard.chunks(FRAME_SAMPLES).filter(|frame| frame.iter().all(|sample| sample.abs() < 100)).count()
}

#[test]
fn a_clock_that_drifts_for_an_hour_neither_delays_nor_clicks_though_the_caller_never_pauses() {
    for fast_ppm in [-200, 200] {
        let (mut bridge, speaker, listener) = two();
        let minute = hum(60);
        let frames = minute.len() / FRAME_SAMPLES;
        let queue = |bridge: &mut Bridge, minutes: usize| {
            for (number, samples) in minute.chunks_exact(FRAME_SAMPLES).enumerate() {
                let number = (minutes * frames + number) as i64;
                let whole_at = (number + 1) * 20_000;
                let whole_at = whole_at - whole_at * fast_ppm / 1_000_000 + 7_000;
                let numbers = (number as u16, (number * 160) as u32, 1);
                bridge.queue(speaker, whole_at, packet(0, numbers, &encoded(Codec::Pcmu, samples)));
            }
        };
        let mut worst = 0;
        let mut silent = 0;
        queue(&mut bridge, 0);
        // A minute at a time, and the next one is on its way.
        for round in 0..60 {
            queue(&mut bridge, round + 1);
            let before = bridge.heard(listener).len();
            bridge.run(frames as i64);
            let heard = &bridge.heard(listener)[before..];
            let heard = &heard[if round == 0 { 50 } else { 0 } * FRAME_SAMPLES..];
            worst = worst.max(bend(heard));
            silent += silent_frames(heard);
            bridge.forget();
        }
        let usual = usual_bend(&minute);
        let delay = bridge.hang_up(speaker).delay_ms_max;
        println!(
            "| {fast_ppm} ppm for an hour without a pause | {delay} ms at most, sharpest bend {worst} | 50 ms, {usual} |"
        );
        assert!(delay <= 50, "{fast_ppm} ppm: {delay} ms");
        assert!(worst <= usual, "{fast_ppm} ppm: a bend of {worst}, {usual} at most");
        assert_eq!(silent, 0, "{fast_ppm} ppm");
    }
}

#[test]
fn late_double_and_exchanged_packets_are_put_right() {
    let voice = hum(20);
    let (mut bridge, speaker, listener) = two();
    // Each tenth packet comes 25 ms late, and so behind the next one; each seventh comes twice.
    bridge.say(speaker, &voice, 0, |number| Some(if number % 10 == 3 { 25_000 } else { 1_000 }));
    bridge.double(speaker, 7);
    bridge.run(20 * 50);
    let heard = &bridge.heard(listener)[5 * 8_000..19 * 8_000];
    assert_eq!(silent_frames(heard), 0);
    assert!(bend(heard) <= usual_bend(&voice), "{} of {}", bend(heard), usual_bend(&voice));
}

#[test]
fn another_stream_is_followed_at_once_and_without_a_click() {
    let voice = hum(8);
    let (mut bridge, speaker, listener) = two();
    let frame = |number: usize| encoded(Codec::Pcmu, &voice[number * FRAME_SAMPLES..][..FRAME_SAMPLES]);
    for number in 0..390usize {
        // The telephone begins anew three times: other SSRC, other numbers, in the middle of a word.
        let stream = number as u32 / 100;
        let numbers = (
            (number as u16).wrapping_add((stream as u16).wrapping_mul(30_011)),
            number as u32 * 160 + stream.wrapping_mul(99_999_937),
            stream + 1,
        );
        bridge.queue(speaker, (number as i64 + 1) * 20_000 + 3_000, packet(0, numbers, &frame(number)));
    }
    bridge.run(390);
    let heard = &bridge.heard(listener)[10 * FRAME_SAMPLES..388 * FRAME_SAMPLES];
    assert!(silent_frames(heard) <= 6, "{} frames of silence", silent_frames(heard));
    assert!(bend(heard) <= usual_bend(&voice), "{} of {}", bend(heard), usual_bend(&voice));
}

/// What is heard of one who sends nothing in silence, but says at its beginning and each 200 ms how it sounds.
fn with_suppressed_silence(level: u8) -> (Vec<i16>, Vec<i16>) {
    let voice: Vec<i16> = hum(6);
    let (mut bridge, speaker, listener) = two();
    let mut sequence = 0u16;
    for number in 0..300usize {
        let speaks = number % 100 < 50;
        if !speaks && !number.is_multiple_of(10) {
            continue;
        }
        let numbers = (sequence, number as u32 * 160, 1);
        sequence += 1;
        let samples = &voice[number * FRAME_SAMPLES..][..FRAME_SAMPLES];
        let datagram = if speaks {
            packet(0, numbers, &encoded(Codec::Pcmu, samples))
        } else {
            packet(13, numbers, &[level, 90, 127])
        };
        bridge.queue(speaker, (number as i64 + 1) * 20_000 + 3_000, datagram);
    }
    bridge.run(302);
    let heard = bridge.heard(listener).to_vec();
    // The second pause, from where the gate has closed, and the second word.
    (heard[172 * FRAME_SAMPLES..198 * FRAME_SAMPLES].to_vec(), heard[103 * FRAME_SAMPLES..148 * FRAME_SAMPLES].to_vec())
}

#[test]
fn silence_that_is_not_sent_is_comfort_noise_and_no_loss() {
    let power = |samples: &[i16]| {
        let square: f64 = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum();
        10.0 * (square / samples.len() as f64 / 32_768f64.powi(2)).log10()
    };
    // A loud room is heard as loud as it says; a quiet one is as soft as every silent line.
    let (pause, word) = with_suppressed_silence(42);
    assert!((-44.0..=-40.0).contains(&power(&pause)), "{} dB", power(&pause));
    assert_eq!(silent_frames(&word), 0);
    let (pause, word) = with_suppressed_silence(70);
    assert!(power(&pause) < -62.0, "{} dB", power(&pause));
    assert_eq!(silent_frames(&word), 0);
    assert!(bend(&word) <= usual_bend(&hum(6)));
}

#[test]
fn speech_survives_ten_per_cent_of_late_packets() {
    // What comes too late is concealed until the delay has learned; afterwards nothing is missing.
    let said = speech::prompts().concat();
    let (mut bridge, speaker, listener) = two();
    bridge.say(speaker, &said, 0, |number| Some(if number % 10 == 7 { 55_000 } else { 2_000 }));
    bridge.run((said.len() / FRAME_SAMPLES) as i64);
    assert!(silent_frames(bridge.heard(listener)) < said.len() / FRAME_SAMPLES / 2);
    let late = bridge.hang_up(speaker).packets_late;
    assert!(late <= 12, "{late} packets of {} were late", said.len() / FRAME_SAMPLES);
}
