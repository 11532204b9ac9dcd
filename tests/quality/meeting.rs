//! Who is heard in a meeting and how loud; what nobody hears.

use anteroom::media::{Background, PlaneCommand, PlaneEvent};
use anteroom::words::ids::MeetingKey;
use anteroom::words::media::{Codec, FRAME_SAMPLES};

use super::line::{Bridge, key};
use super::sounds::{bend, loudness};
use super::speech;
use super::tones::{part, tones};

const AMPLITUDE: f64 = 3_600.0;

fn tone(hz: f64, seconds: f64) -> Vec<i16> {
    tones(&[hz], AMPLITUDE, 8_000.0, seconds)
}

/// None of them near a DTMF tone, nor made of the others by what coding adds.
const TONES: [f64; 8] = [351.5, 447.0, 563.5, 1_867.0, 2_051.5, 2_239.0, 2_466.5, 2_653.0];

#[test]
fn the_loudest_four_are_heard_and_nobody_hears_himself_or_another_meeting() {
    let mut bridge = Bridge::new();
    let speakers: Vec<usize> = TONES.iter().map(|_| bridge.call(Codec::Pcmu)).collect();
    let (listener, elsewhere) = (bridge.call(Codec::Pcma), bridge.call(Codec::Pcma));
    bridge.admit(&[&speakers[..], &[listener]].concat());
    bridge.background(elsewhere, Background::Meeting(MeetingKey(2)));
    for (&speaker, &hz) in speakers.iter().zip(&TONES) {
        bridge.say(speaker, &tone(hz, 4.0), 0, |_| Some(2_000));
    }
    bridge.run(180);
    let last = |caller: usize| &bridge.heard(caller)[bridge.heard(caller).len() - 100 * FRAME_SAMPLES..];
    let heard = |caller: usize| TONES.map(|hz| part(last(caller), hz, 8_000.0) > 500.0);
    let by_listener = heard(listener);
    assert_eq!(by_listener.iter().filter(|&&is_heard| is_heard).count(), 4, "{by_listener:?}");
    for (place, &speaker) in speakers.iter().enumerate() {
        let mut expected = by_listener;
        expected[place] = false;
        assert_eq!(heard(speaker), expected);
        // 50 dB under what the others hear of him: the noise that coding makes.
        let own = part(last(speaker), TONES[place], 8_000.0);
        assert!(own < AMPLITUDE / 300.0, "{own} of {AMPLITUDE}");
    }
    let most = last(elsewhere).iter().map(|sample| sample.abs()).max().unwrap();
    assert!(most < 40, "the other meeting is silent, and not dead: {most}");
    assert!(loudness(last(elsewhere)) < -60.0 && last(elsewhere).iter().any(|&sample| sample != 0));
}

#[test]
fn no_first_syllable_is_cut_and_who_speaks_is_told_within_a_tenth_of_a_second() {
    let mut bridge = Bridge::new();
    let (speaker, listener) = (bridge.call(Codec::Pcmu), bridge.call(Codec::Pcmu));
    bridge.admit(&[speaker, listener]);
    let words = tone(700.0, 0.5);
    let said: Vec<i16> = [vec![0; 8_000], words.clone(), vec![0; 16_000], words.clone()].concat();
    bridge.say(speaker, &said, 0, |_| Some(2_000));
    bridge.run(240);
    let heard = bridge.heard(listener);
    let loud: Vec<usize> = (0..heard.len()).filter(|&at| heard[at].abs() > 300).collect();
    for begins in [8_000, 8_000 + words.len() + 16_000] {
        // Where the word would be without us, and 28 ms of delay.
        let first = *loud.iter().find(|&&at| at >= begins).unwrap();
        assert!(first - begins <= 28 * 8 + 8, "the word began {} ms late", (first - begins) / 8);
        // From its first period on it is as loud as it is.
        let peak = heard[first..first + 40].iter().map(|sample| sample.abs()).max().unwrap();
        assert!(f64::from(peak) > AMPLITUDE * 0.9, "{peak}");
    }

    bridge.events.clear();
    bridge.say(speaker, &words, 0, |_| Some(2_000));
    let told = PlaneEvent::Talking { call: key(speaker), talking: true };
    let ticks = (1..20).find(|_| {
        bridge.run(1);
        bridge.events.contains(&told)
    });
    // His first word is whole at the telephone after 20 ms.
    assert!(ticks.unwrap() <= 6, "{ticks:?} ticks");
}

#[test]
fn loud_and_soft_callers_sound_alike() {
    let said: Vec<i16> = speech::prompts().concat();
    let mut all = Vec::new();
    for gain in [0.35, 1.0, 3.0] {
        let mut bridge = Bridge::new();
        let (speaker, listener) = (bridge.call(Codec::Pcmu), bridge.call(Codec::Pcmu));
        bridge.admit(&[speaker, listener]);
        let said: Vec<i16> = said.iter().map(|&sample| (f64::from(sample) * gain) as i16).collect();
        bridge.say(speaker, &said, 0, |_| Some(2_000));
        bridge.run((said.len() / FRAME_SAMPLES) as i64);
        let heard = bridge.heard(listener);
        all.push(loudness(&heard[heard.len() / 2..]));
    }
    let [soft, usual, loud] = all[..] else { panic!() };
    println!(
        "| loudness of a caller 9 dB too soft, right, 9.5 dB too loud | {soft:.1}, {usual:.1}, {loud:.1} LUFS | within 4 dB |"
    );
    assert!((soft - usual).abs() < 4.0 && (loud - usual).abs() < 4.0, "{all:?}");
    assert!((-26.0..=-18.0).contains(&usual), "{usual}");
}

#[test]
fn who_is_muted_or_leaves_in_the_middle_of_a_word_ends_without_a_click() {
    let mut bridge = Bridge::new();
    let (speaker, leaves, listener) = (bridge.call(Codec::Pcmu), bridge.call(Codec::Pcmu), bridge.call(Codec::Pcmu));
    bridge.admit(&[speaker, leaves, listener]);
    bridge.say(speaker, &tone(300.0, 6.0), 0, |_| Some(2_000));
    bridge.say(leaves, &tone(450.0, 6.0), 0, |_| Some(2_000));
    bridge.run(50);
    for round in 0..20 {
        bridge.command(PlaneCommand::Mute { call: key(speaker), muted: round % 2 == 0 });
        bridge.run(7);
    }
    bridge.command(PlaneCommand::Close { call: key(leaves) });
    bridge.run(20);
    let heard = &bridge.heard(listener)[10 * FRAME_SAMPLES..];
    let usual = bend(&tone(300.0, 1.0)) + bend(&tone(450.0, 1.0));
    assert!(bend(heard) <= usual * 3, "a bend of {}, {usual} in the tones", bend(heard));
}
