//! Callers with G.722, among themselves and with others.

use anteroom::media::{Background, PlaneCommand, PlaneEvent};
use anteroom::net::audio;
use anteroom::words::ids::PlaybackKey;
use anteroom::words::media::{Codec, DigitMethod, FRAME_SAMPLES, WIDE_FRAME_SAMPLES};
use anteroom::words::prompt::Prompt;

use super::line::{Bridge, key};
use super::sounds::bend;
use super::speech;
use super::tones::{part, tones};

const AMPLITUDE: f64 = 2_500.0;

fn said(rate: f64, seconds: f64, hz: &[f64]) -> Vec<i16> {
    tones(hz, AMPLITUDE, rate, seconds)
}

/// How loud the last second has a tone, beside how loud it was said.
fn loudness(heard: &[i16], rate: f64, hz: f64) -> f64 {
    part(&heard[heard.len() - rate as usize..], hz, rate) / AMPLITUDE
}

#[test]
fn who_has_16_khz_hears_it_and_everybody_hears_everybody_else() {
    let mut bridge = Bridge::new();
    let [wide, narrow] = [Codec::G722, Codec::Pcmu].map(|codec| bridge.call(codec));
    let [hears_wide, hears_narrow] = [Codec::G722, Codec::Pcma].map(|codec| bridge.call(codec));
    bridge.admit(&[wide, narrow, hears_wide, hears_narrow]);
    bridge.say(wide, &said(16_000.0, 4.0, &[1_020.0, 5_310.0]), 0, |_| Some(2_000));
    bridge.say(narrow, &said(8_000.0, 4.0, &[440.0, 3_200.0]), 0, |_| Some(2_000));
    bridge.run(180);

    // 1,020 and 5,310 Hz are the one's, 440 and 3,200 the other's; 2,690 is what 5,310 would be folded to at 8 kHz, 4,800 what
    // 3,200 would be mirrored to at 16.
    let heard = |caller: usize, rate: f64, hz: f64| {
        let loudness = loudness(bridge.heard(caller), rate, hz);
        assert!(loudness < 0.02 || (0.85..1.2).contains(&loudness), "caller {caller}, {hz} Hz: {loudness}");
        loudness > 0.5
    };
    let wide_hears = |caller: usize| [1_020.0, 5_310.0, 440.0, 3_200.0, 4_800.0].map(|hz| heard(caller, 16_000.0, hz));
    let narrow_hears = |caller: usize| [1_020.0, 2_690.0, 440.0, 3_200.0].map(|hz| heard(caller, 8_000.0, hz));
    assert_eq!(wide_hears(hears_wide), [true, true, true, true, false]);
    assert_eq!(wide_hears(wide), [false, false, true, true, false], "not himself");
    assert_eq!(narrow_hears(hears_narrow), [true, false, true, true]);
    assert_eq!(narrow_hears(narrow), [true, false, false, false], "not himself");
}

#[test]
fn music_and_prompts_are_those_that_were_recorded() {
    let mut bridge = Bridge::new();
    let caller = bridge.call(Codec::G722);
    bridge.background(caller, Background::Music);
    bridge.run(500);
    let prompt = Prompt::EnterConferenceId;
    let begins = bridge.heard(caller).len();
    bridge.command(PlaneCommand::Play { call: key(caller), playback: PlaybackKey(1), prompts: [prompt].into() });
    bridge.run(100);
    let heard = bridge.heard(caller);
    let music = signal_to_noise(&audio::shipped_wide_hold_music(), &heard[..begins]);
    let prompt = signal_to_noise(&audio::shipped_wide_prompt(prompt), &heard[begins..]);
    assert!(music > 15.0 && prompt > 15.0, "music {music:.1} dB, prompt {prompt:.1} dB over the noise of coding");
}

/// In decibels, of what is heard some samples after it was said. G.722's filters delay by 22; the first frame is faded.
fn signal_to_noise(said: &[i16], heard: &[i16]) -> f64 {
    let from = WIDE_FRAME_SAMPLES;
    let length = said.len().min(heard.len()) - from - 40;
    let ratio = |delay: usize| {
        let pairs = said[from..].iter().zip(&heard[from + delay..]).take(length);
        let (mut signal, mut noise) = (0.0, 1.0);
        for (&said, &heard) in pairs {
            signal += f64::from(said).powi(2);
            noise += (f64::from(heard) - f64::from(said)).powi(2);
        }
        10.0 * (signal / noise).log10()
    };
    (0..40).map(ratio).fold(f64::MIN, f64::max)
}

/// Forty wait at different places of the music, and have just been admitted at once to somebody who speaks.
pub struct Admitted {
    pub bridge: Bridge,
    pub waits: Vec<usize>,
    /// Somebody with the same codec, who was in the meeting before.
    pub listener: usize,
    /// What each of them had heard by then.
    seams: Vec<usize>,
    seam_of_listener: usize,
}

impl Admitted {
    pub fn new(codec: Codec) -> Admitted {
        let mut bridge = Bridge::new();
        let (speaker, listener) = (bridge.call(Codec::Pcmu), bridge.call(codec));
        bridge.admit(&[speaker, listener]);
        bridge.say(speaker, &speech::prompts().concat().repeat(2), 0, |_| Some(2_000));
        let waits: Vec<usize> = (0..40)
            .map(|_| {
                let caller = bridge.call(codec);
                bridge.background(caller, Background::Music);
                bridge.run(17);
                caller
            })
            .collect();
        bridge.run(50);
        let seam_of_listener = bridge.heard(listener).len();
        let seams = waits.iter().map(|&caller| bridge.heard(caller).len()).collect();
        bridge.admit(&waits);
        Admitted { bridge, waits, listener, seams, seam_of_listener }
    }

    /// The sharpest bend of any of them within so many frames, as a ratio to those around it: of the music before, of the first
    /// of `music` that would have come, and of the meeting as the listener hears it.
    pub fn sharpest_bend(&self, codec: Codec, frames: usize, music: &[i16]) -> f64 {
        let change = frames * WIDE_FRAME_SAMPLES;
        let mut worst: f64 = 0.0;
        for (&caller, &seam) in self.waits.iter().zip(&self.seams) {
            let heard = self.bridge.heard(caller);
            let before = bend(&heard[seam - 60 * WIDE_FRAME_SAMPLES..seam]);
            let to_come = music.get(seam..).map_or(0, |rest| bend(&rest[..2 * WIDE_FRAME_SAMPLES]));
            let meeting = bend(&self.bridge.heard(self.listener)[self.seam_of_listener..][..change]);
            let usual = before.max(to_come).max(meeting);
            worst = worst.max(f64::from(bend(&heard[seam - 2..seam + change])) / f64::from(usual));
        }
        println!(
            "| sharpest bend where 40 callers with {codec} come from the music into the meeting | {worst:.2} of those around it | 1.5 |"
        );
        worst
    }
}

#[test]
fn from_the_music_into_the_meeting_without_a_click_and_soon_with_one_encoder_for_all() {
    let mut admitted = Admitted::new(Codec::G722);
    let Admitted { bridge, waits, .. } = &mut admitted;
    let alike = |bridge: &Bridge| waits.iter().all(|&caller| bridge.codes(caller) == bridge.codes(waits[0]));
    bridge.run(2);
    assert!(!alike(bridge), "each has left the music at another place");
    bridge.run(150);
    for _ in 0..200 {
        bridge.run(1);
        assert!(alike(bridge), "one encoder for all, and it stays one");
    }
    let worst = admitted.sharpest_bend(Codec::G722, 155, &[]);
    assert!(worst < 1.5, "{worst}");
}

/// In decibels, how much of what is heard is otherwise than in the other's ear. `None`: that is softer than this amplitude.
pub fn apart(heard: &[i16], others: &[i16], amplitude: f64) -> Option<f64> {
    let power = |samples: &mut dyn Iterator<Item = f64>| samples.map(|sample| sample * sample).sum::<f64>();
    let voice = power(&mut others.iter().map(|&sample| f64::from(sample)));
    let wrong = power(&mut heard.iter().zip(others).map(|(&a, &b)| f64::from(a) - f64::from(b)));
    (voice > WIDE_FRAME_SAMPLES as f64 * amplitude * amplitude).then(|| 10.0 * ((wrong + 1.0) / voice).log10())
}

/// Somebody speaks all the time; a caller says a word now and then, and another listens only. When the caller is silent both hear
/// the same, by whatever encoder.
#[test]
fn who_speaks_and_is_silent_again_hears_what_others_hear() {
    let mut bridge = Bridge::new();
    let (speaker, caller, listener) = (bridge.call(Codec::G722), bridge.call(Codec::G722), bridge.call(Codec::G722));
    bridge.admit(&[speaker, caller, listener]);
    let speech: Vec<i16> = speech::wide_prompts().concat();
    let ticks = speech.len() / WIDE_FRAME_SAMPLES;
    bridge.say(speaker, &speech, 0, |_| Some(2_000));
    let word = said(16_000.0, 0.3, &[3_000.0]);
    let mut shares = Vec::new();
    let mut ends = 0;
    for tick in 0..ticks {
        if tick % 70 == 50 {
            bridge.say(caller, &word, 0, |_| Some(2_000));
            // His gate stays open for a while.
            ends = tick + 15 + 20;
        }
        bridge.run(1);
        let frame = |caller: usize| bridge.heard(caller).rchunks(WIDE_FRAME_SAMPLES).next().unwrap();
        let (here, there) = (frame(caller), frame(listener));
        if tick > 60 && tick > ends {
            shares.extend(apart(here, there, 400.0));
        }
    }
    shares.sort_by(f64::total_cmp);
    // Where he comes back to the others' encoder a frame can be torn, if a word begins in just that one.
    let (middle, nearly_worst) = (shares[shares.len() / 2], shares[shares.len() * 99 / 100]);
    println!(
        "| who has spoken hears otherwise than who only listens, in G.722: half of {} frames, 99 % | {middle:.0}, {nearly_worst:.0} dB | -15 dB |",
        shares.len()
    );
    assert!(
        shares.len() > 200 && nearly_worst < -15.0,
        "{middle} {nearly_worst}, {:.1?}",
        &shares[shares.len() - 20..]
    );
}

#[test]
fn tones_of_a_wide_telephone_are_digits_and_are_heard_by_nobody() {
    let mut bridge = Bridge::new();
    let (caller, listener) = (bridge.call(Codec::G722), bridge.call(Codec::G722));
    bridge.admit(&[caller, listener]);
    let silence = vec![0; 4_800];
    let press = |low: f64, high: f64| said(16_000.0, 0.1, &[low, high]);
    let said = [silence.clone(), press(770.0, 1_336.0), silence.clone(), press(941.0, 1_477.0), silence].concat();
    bridge.say(caller, &said, 0, |_| Some(2_000));
    bridge.run(80);
    let digits: String = bridge
        .events
        .iter()
        .filter_map(|event| match event {
            PlaneEvent::Digit { digit, method: DigitMethod::InBand, .. } => Some(digit.expose()),
            _ => None,
        })
        .collect();
    assert_eq!(digits, "5#");
    let loudest = bridge.heard(listener).iter().map(|sample| sample.abs()).max().unwrap();
    // The first 20 ms of a tone are through before it is known as one, and only those (a telephone that sends events).
    let loud =
        bridge.heard(listener).chunks(WIDE_FRAME_SAMPLES).filter(|frame| frame.iter().any(|sample| sample.abs() > 500));
    assert!(loud.count() <= 4, "{loudest}");
}

#[test]
fn one_codec_after_the_other_in_one_call() {
    let mut bridge = Bridge::new();
    let (caller, speaker) = (bridge.call(Codec::Pcmu), bridge.call(Codec::G722));
    bridge.admit(&[caller, speaker]);
    bridge.say(speaker, &said(16_000.0, 8.0, &[1_020.0]), 0, |_| Some(2_000));
    bridge.run(50);
    for codec in [Codec::G722, Codec::Pcma, Codec::G722] {
        bridge.renegotiate(caller, codec);
        bridge.run(75);
        let rate = if codec.is_wide() { 16_000.0 } else { 8_000.0 };
        let loudness = loudness(bridge.heard(caller), rate, 1_020.0);
        assert!((0.85..1.2).contains(&loudness), "{codec}: {loudness}");
    }
    assert_eq!(bridge.codes(caller).len(), FRAME_SAMPLES);
}
