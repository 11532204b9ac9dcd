//! What the network does, packet by packet; and what is heard through it.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::ears::{Ears, Hearing, record};
use super::super::listener::Listener;
use super::super::sound::Sound;
use super::super::{SoundLibrary, shipped_sounds};
use super::*;
use crate::net::audio::shipped_prompt;
use crate::wire::g711;
use crate::wire::rtp::{HEADER_BYTES, RtpHeader, RtpPacket};
use crate::words::media::{Codec, FRAME, FRAME_SAMPLES, Law};
use crate::words::prompt::Prompt;

fn packet(sequence: u16, samples: &[i16]) -> Vec<u8> {
    let mut header = [0; HEADER_BYTES];
    let timestamp = u32::from(sequence).wrapping_mul(160);
    RtpHeader { payload_type: 0, marker: sequence.is_multiple_of(10), sequence, timestamp, ssrc: 1 }.write(&mut header);
    let codes = samples.iter().map(|sample| g711::encode(Law::Mu, *sample));
    header.into_iter().chain(codes).collect()
}

/// So many packets, one each 20 ms, through a network; each that arrives with its time and sequence number.
fn through(text: &str, caller: usize, packets: u16) -> (Vec<(Duration, u16, bool)>, PathCounts) {
    let mut path = text.parse::<Impairment>().unwrap().path(caller, Way::ToServer).unwrap();
    let mut arrived = Vec::new();
    for millis in 0..u64::from(packets) * 20 + 5_000 {
        let now = Duration::from_millis(millis);
        if millis % 20 == 0 && millis < u64::from(packets) * 20 {
            path.handle_packet(now, packet((millis / 20) as u16, &[0; 4]));
        }
        while path.poll_timeout().is_some_and(|due| due <= now) {
            let bytes = path.poll_packet(now).unwrap();
            let rtp = RtpPacket::parse(&bytes).unwrap();
            arrived.push((now, rtp.sequence, rtp.marker));
        }
    }
    assert_eq!(path.poll_timeout(), None);
    (arrived, path.counts())
}

#[test]
fn as_many_are_lost_as_was_asked_alone_or_in_runs() {
    for (text, run) in [("loss=5%,seed=3", 1.05), ("loss=5%,burst=3,seed=3", 3.0), ("loss=30%,burst=6", 6.0)] {
        let (arrived, counts) = through(text, 0, 60_000);
        let share = counts.lost as f64 / 60_000.0;
        let asked = if text.contains("30%") { 0.3 } else { 0.05 };
        assert!((share - asked).abs() < 0.1 * asked, "{text}: {share}");
        assert_eq!(arrived.len() as u64, 60_000 - counts.lost);
        let runs = arrived.windows(2).filter(|pair| pair[1].1 - pair[0].1 > 1).count();
        let mean = counts.lost as f64 / runs as f64;
        assert!((mean - run).abs() < 0.1 * run, "{text}: runs of {mean}");
    }
    assert!(through("loss=100%", 0, 50).0.is_empty());
    assert_eq!(through("loss=0%", 0, 50).0.len(), 50);
}

#[test]
fn jitter_delays_and_keeps_the_order_and_reordering_breaks_it() {
    let (arrived, counts) = through("jitter=60ms", 0, 2_000);
    assert!(arrived.is_sorted_by_key(|(_, sequence, _)| *sequence) && arrived.len() == 2_000);
    let delays: Vec<_> =
        arrived.iter().map(|(at, sequence, _)| at.as_millis() as i64 - i64::from(*sequence) * 20).collect();
    assert!(delays.iter().all(|delay| (0..=61).contains(delay)));
    assert!(delays.iter().any(|delay| *delay < 10) && delays.iter().any(|delay| *delay > 50));
    assert!((50..=60).contains(&counts.delay_ms_max), "{counts:?}");

    let (arrived, counts) = through("reorder=10%", 0, 2_000);
    let overtaken = arrived.windows(2).filter(|pair| pair[1].1 < pair[0].1).count();
    assert!((150..250).contains(&overtaken) && counts.held_back >= overtaken as u64, "{overtaken} {counts:?}");
    assert_eq!(arrived.len(), 2_000);
}

#[test]
fn copies_come_and_markers_go() {
    let (arrived, counts) = through("duplicate=5%,no-marker", 0, 2_000);
    assert!((60..140).contains(&counts.duplicated), "{counts:?}");
    assert_eq!(arrived.len() as u64, 2_000 + counts.duplicated);
    assert!(arrived.iter().all(|(_, _, marker)| !marker));
    assert_eq!(counts.markers_cleared, 200);
}

#[test]
fn the_same_seed_does_the_same_and_another_seed_caller_or_way_does_not() {
    let everything = "loss=5%,burst=3,jitter=60ms,reorder=2%,duplicate=1%,no-marker,seed=7";
    let first = through(everything, 0, 3_000);
    assert_eq!(first, through(everything, 0, 3_000));
    assert_ne!(first, through(everything, 1, 3_000));
    assert_ne!(first, through(&everything.replace("seed=7", "seed=8"), 0, 3_000));
    // Nor does the fate of a packet hang on what else is done.
    let lost = |text: &str| {
        let arrived = through(text, 0, 3_000).0;
        (0..3_000).filter(|sequence| arrived.iter().all(|(_, arrived, _)| arrived != sequence)).collect::<Vec<u16>>()
    };
    assert_eq!(lost(everything), lost("loss=5%,burst=3,seed=7"));
    let impairment: Impairment = "loss=5%,only=from-server".parse().unwrap();
    assert!(impairment.path(0, Way::ToServer).is_none() && impairment.path(0, Way::FromServer).is_some());
}

#[test]
fn a_flood_is_cut_and_not_kept() {
    let mut path = "jitter=2000ms".parse::<Impairment>().unwrap().path(0, Way::FromServer).unwrap();
    for _ in 0..5_000 {
        path.handle_packet(Duration::ZERO, vec![0x80; 12]);
    }
    assert_eq!(path.counts().lost, 4_000);
}

#[test]
fn a_wrong_text_is_one_line_that_says_what_is_right() {
    for (text, told) in [
        ("", "nothing is impaired: write some of loss=5%"),
        ("seed=7", "nothing is impaired"),
        ("los=5%", "\"los=5%\" is no impairment: write some of loss=5%, burst=3, jitter=60ms"),
        ("loss", "\"loss\" is no impairment"),
        ("loss=5", "loss: \"5\" is not a share from 0% to 100%"),
        ("loss=101%", "loss: \"101%\" is not a share"),
        ("loss=NaN%", "loss: \"NaN%\" is not a share"),
        ("jitter=60", "jitter: \"60\" is not a time from 0ms to 2000ms"),
        ("jitter=1h", "jitter: \"1h\" is not a time"),
        ("loss=5%,burst=0", "burst: \"0\" is not a number of packets from 1 to 50"),
        ("burst=3,jitter=1ms", "burst says how losses come together, and there is no loss"),
        ("loss=90%,burst=2", "losses in runs of 2 can't be that many"),
        ("loss=100%,burst=2", "losses in runs of 2 can't be that many"),
        ("loss=1%,loss=2%", "loss is there twice"),
        ("no-marker=1", "\"no-marker=1\" is no impairment"),
        ("loss=1%,only=up", "only: \"up\" is not to-server or from-server"),
        ("loss=1%,seed=x", "seed: \"x\" is not a whole number"),
    ] {
        let error = text.parse::<Impairment>().unwrap_err().to_string();
        assert!(error.starts_with(told) && !error.contains('\n'), "{text}: {error}");
    }
}

/// What the ears find of a recorded prompt that a server plays through such a network.
fn heard_through(impairment: Impairment, caller: usize, prompt: Prompt, library: &Arc<SoundLibrary>) -> Vec<Hearing> {
    let sound = Sound::Prompt(prompt.key().to_owned());
    let mut ears = Ears::new(library, &[sound]).unwrap();
    let mut path = impairment.path(caller, Way::FromServer).unwrap();
    let mut listener = Listener::new();
    listener.negotiate(Duration::ZERO, Codec::Pcmu, 0);
    let line = [&[0; 4_000][..], &shipped_prompt(prompt), &[0; 12_000]].concat();
    let mut hearings: Vec<Hearing> = Vec::new();
    for (number, samples) in line.chunks(FRAME_SAMPLES).enumerate() {
        let now = FRAME * number as u32;
        path.handle_packet(now, packet(number as u16, samples));
        while let Some(arrived) = path.poll_packet(now) {
            listener.handle_packet(now, &arrived);
        }
        listener.handle_tick(now);
        for frame in listener.take_frames() {
            ears.hear(&frame);
        }
        while let Some(change) = ears.poll_change() {
            record(&mut hearings, change);
        }
    }
    hearings
}

/// The network is bad, but what a server plays is a recording: each of the shipped prompts is still found by ear.
#[test]
fn recorded_prompts_are_still_heard_to_their_ends_through_a_bad_network() {
    let library = Arc::new(shipped_sounds());
    let impairment = "loss=10%,jitter=40ms,reorder=2%,duplicate=2%,seed=7".parse().unwrap();
    for (caller, prompt) in Prompt::ALL.iter().enumerate() {
        let hearings = heard_through(impairment, caller, *prompt, &library);
        assert_eq!(hearings.len(), 1, "{prompt:?}: {hearings:?}");
        assert!(hearings[0].whole, "{prompt:?}: {hearings:?}");
    }
    // And one that does not come is not heard.
    assert!(heard_through("loss=100%".parse().unwrap(), 0, Prompt::Welcome, &library).is_empty());
}

proptest! {
    #[test]
    fn what_is_shown_reads_the_same(
        loss in 0_u32..=40, burst in 0_u32..=50, jitter in 0_u32..=2_000, reorder in 0_u32..=1_000,
        duplicate in 0_u32..=1_000, no_marker: bool, only in 0..3_usize, seed: u64,
    ) {
        let burst = if burst > 0 && loss > 0 { format!(",burst={burst}") } else { String::new() };
        let no_marker = if no_marker { ",no-marker" } else { "" };
        let only = ["", ",only=to-server", ",only=from-server"][only];
        let text = format!(
            "loss={loss}%{burst},jitter={jitter}ms,reorder={}%,duplicate={}%{no_marker}{only},seed={seed}",
            f64::from(reorder) / 10.0, f64::from(duplicate) / 10.0,
        );
        let read: Impairment = text.parse().unwrap();
        let shown = read.to_string();
        let again: Impairment = shown.parse().unwrap();
        prop_assert_eq!(again.to_string(), shown);
        prop_assert_eq!(read.burst, again.burst);
        prop_assert!((read.loss - again.loss).abs() < 1e-9);
    }
}
