//! What we add from mouth to ear, with and without jitter.

use anteroom::words::media::{Codec, FRAME_SAMPLES};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::line::Bridge;
use super::speech;

/// What lies between the moment at which a packet could be sent on, had it come over a perfect network, and that at which
/// we send its voice; in ms.
struct Delays {
    median: f64,
    most: f64,
}

/// Speech for `seconds`, as long as it takes.
fn talk(seconds: usize) -> Vec<i16> {
    speech::prompts().concat().into_iter().cycle().take(seconds * 8_000).collect()
}

/// More than 150 ms behind is not looked for.
const LAG_MAX: usize = 1_200;

/// How far `heard` is behind `said` around a place, in samples, by where the two are most alike.
fn lag(said: &[i16], heard: &[i16], around: usize) -> Option<usize> {
    const LENGTH: usize = 2_000;
    let said = said.get(around..around + LENGTH)?;
    let energy = |samples: &[i16]| samples.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>();
    // In a pause there is nothing to find.
    if energy(said) < 250_000.0 * LENGTH as f64 {
        return None;
    }
    let likeness = |lag: usize| {
        let heard = heard.get(around + lag..around + lag + LENGTH)?;
        let product: f64 = said.iter().zip(heard).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
        Some(product / (energy(said) * energy(heard)).sqrt().max(1.0))
    };
    let found = (0..LAG_MAX).filter_map(|lag| Some((likeness(lag)?, lag))).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (found.0 > 0.6).then_some(found.1)
}

/// The delays from the second `from` on; the network's own delay without jitter is `phase` microseconds.
fn delays(said: &[i16], from: usize, phase: i64, jitter: impl FnMut(i64) -> Option<i64>) -> Delays {
    let mut bridge = Bridge::new();
    let (speaker, listener) = (bridge.call(Codec::Pcmu), bridge.call(Codec::Pcmu));
    bridge.admit(&[speaker, listener]);
    let mut jitter = jitter;
    bridge.say(speaker, said, 0, |packet| Some(phase + jitter(packet)?));
    bridge.run((said.len() / FRAME_SAMPLES) as i64 + 20);
    let heard = bridge.heard(listener);
    let lags = (from * 8_000..said.len()).step_by(5_000).filter_map(|around| lag(said, heard, around));
    // The first sample heard is sent at 20 ms, when the first packet is whole.
    let mut delays: Vec<f64> = lags.map(|lag| lag as f64 / 8.0 - phase as f64 / 1_000.0).collect();
    assert!(delays.len() > 10, "{}", delays.len());
    delays.sort_by(f64::total_cmp);
    Delays { median: delays[delays.len() / 2], most: delays[delays.len() - 1] }
}

#[test]
fn what_we_add_from_mouth_to_ear_is_30_ms_at_most_where_there_is_no_jitter() {
    let said = talk(12);
    let mut most = 0.0f64;
    let mut sum = 0.0;
    for phase in (0..20).step_by(4) {
        let found = delays(&said, 1, phase * 1_000 + 500, |_| Some(0));
        most = most.max(found.most);
        sum += found.median / 5.0;
    }
    println!("| mouth to ear, added by us, no jitter | {sum:.0} ms, {most:.0} ms at most | 30 ms |");
    assert!(most <= 30.0, "{most} ms");
}

#[test]
fn with_jitter_the_delay_follows_it_and_no_further() {
    for jitter in [20i64, 60] {
        let mut random = StdRng::seed_from_u64(5);
        // A minute, the first half of it to learn.
        let found = delays(&talk(60), 30, 3_000, |_| Some(random.random_range(0..=jitter * 1_000)));
        println!(
            "| mouth to ear, with packets up to {jitter} ms late | {:.0} ms, {:.0} ms at most | {} ms |",
            found.median,
            found.most,
            jitter + 40
        );
        // The jitter itself has to be waited for, then 30 ms as without it, and 10 to be sure of it.
        assert!(found.most <= (jitter + 40) as f64, "{jitter} ms: {} ms", found.most);
    }
}
