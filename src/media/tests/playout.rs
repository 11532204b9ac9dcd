use super::*;
use crate::media::received_frame::Part;
use crate::wire::g711;
use crate::words::media::Law;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const CODEC: Codec = Codec::Pcmu;

/// A peer, a network and a playout under virtual time. The peer's voice tells which millisecond of his it is.
struct Simulation {
    playout: Playout,
    thresholds: Thresholds,
    start: Instant,
    /// Arrival in microseconds, sequence, timestamp, payload; earliest last.
    network: Vec<(i64, u16, u32, Vec<u8>)>,
    tick: i64,
    heard: Vec<Heard>,
    late: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Heard {
    /// In microseconds, from the beginning of the frame's first sample at the peer to the tick that played it.
    Voice {
        age: i64,
    },
    Silence,
    Lost,
    Nothing,
}

/// The phase of the peer's packets within our ticks, microseconds.
const PHASE: i64 = 7_000;

impl Simulation {
    fn new() -> Simulation {
        Simulation {
            playout: Playout::default(),
            thresholds: Thresholds::of(CODEC),
            start: Instant::now(),
            network: Vec::new(),
            tick: 0,
            heard: Vec::new(),
            late: 0,
        }
    }

    /// Packets of `ms` each, for `seconds`; `path` gives each packet's delay in microseconds, or loses it. `speaks` tells
    /// at which packets the peer isn't silent. The peer's clock runs `drift_ppm` fast.
    fn send(
        &mut self,
        seconds: i64,
        ms: i64,
        drift_ppm: i64,
        speaks: impl Fn(i64) -> bool,
        mut path: impl FnMut(i64) -> Option<i64>,
    ) {
        let samples = ms * 8;
        for number in 0..seconds * 1000 / ms {
            let sent_at = (number + 1) * ms * 1000;
            let sent_at = sent_at - sent_at * drift_ppm / 1_000_000 + PHASE;
            let Some(delay) = path(number) else { continue };
            let level = if speaks(number) { 8000 } else { 0 };
            let payload = vec![g711::encode(Law::Mu, level); samples as usize];
            self.network.push((sent_at + delay, number as u16, (number * samples) as u32, payload));
        }
        self.network.sort_by_key(|packet| -packet.0);
    }

    fn at(&self, micros: i64) -> Instant {
        self.start + Duration::from_micros(micros.max(0) as u64)
    }

    fn run(&mut self, seconds: i64) {
        for _ in 0..seconds * 50 {
            let next_tick = (self.tick + 1) * 20_000;
            while self.network.last().is_some_and(|packet| packet.0 <= next_tick) {
                let (arrived, sequence, timestamp, payload) = self.network.pop().unwrap();
                let (arrived, tick) = (self.at(arrived), self.at(next_tick));
                let arrival = self.playout.handle_packet(arrived, tick, sequence, timestamp, &payload);
                self.late += u32::from(arrival == Arrival::Late);
            }
            self.tick += 1;
            let mut frame = ReceivedFrame::default();
            if !self.playout.pull(&self.thresholds, &mut frame) {
                self.heard.push(Heard::Nothing);
                continue;
            }
            let after = self.playout.position.as_ref().map(|position| position.next_timestamp).unwrap();
            let spoken_at = i64::from(after.wrapping_sub(160) as i32) * 125;
            let lost = frame.gaps().iter().any(|gap| gap.lost);
            let loud = !self.thresholds.is_quiet(frame.peak);
            self.heard.push(match (lost, loud) {
                (true, _) => Heard::Lost,
                (false, true) => Heard::Voice { age: next_tick - spoken_at },
                (false, false) => Heard::Silence,
            });
        }
    }

    /// Lowest and highest delay from arrival on a perfect network to being played, in ms.
    fn delays(&self) -> (i64, i64) {
        let ages = self.heard.iter().filter_map(|heard| match heard {
            Heard::Voice { age } => Some(*age - 20_000 - PHASE),
            _ => None,
        });
        let (low, high) = ages.fold((i64::MAX, i64::MIN), |(low, high), age| (low.min(age), high.max(age)));
        (low / 1000, high / 1000)
    }

    fn count(&self, what: Heard) -> usize {
        self.heard.iter().filter(|&&heard| heard == what).count()
    }
}

/// Two seconds of speech, one of silence, as packets of 20 ms.
fn in_turns(number: i64) -> bool {
    number % 150 < 100
}

#[test]
fn with_no_jitter_all_is_played_and_waits_less_than_28_ms() {
    let mut simulation = Simulation::new();
    simulation.send(60, 20, 0, |_| true, |_| Some(0));
    simulation.run(60);
    assert!(simulation.delays().1 <= 28, "{:?}", simulation.delays());
    assert_eq!(simulation.heard.iter().filter(|heard| matches!(heard, Heard::Voice { .. })).count(), 2_999);
    assert_eq!((simulation.count(Heard::Lost), simulation.late), (0, 0));
    assert!(simulation.playout.delay_ms_max() <= 28);
}

#[test]
fn whatever_the_phase_no_packet_is_late() {
    for phase in 0..40 {
        let mut simulation = Simulation::new();
        simulation.send(30, 20, 0, in_turns, |_| Some(phase * 500));
        simulation.run(29);
        assert_eq!((simulation.count(Heard::Lost), simulation.late), (0, 0), "{phase}");
        let (low, high) = simulation.delays();
        assert!(low - phase / 2 >= 2 && high - phase / 2 <= 28, "{phase}: {low} to {high}");
    }
}

#[test]
fn packets_of_10_30_40_and_60_ms_are_played_whole() {
    for ms in [10, 30, 40, 60] {
        let mut simulation = Simulation::new();
        simulation.send(30, ms, 0, |_| true, |_| Some(0));
        simulation.run(28);
        assert!(simulation.count(Heard::Lost) <= 2, "{ms} ms: {} lost", simulation.count(Heard::Lost));
        assert_eq!(simulation.late, 0, "{ms} ms");
    }
}

#[test]
fn the_delay_grows_with_the_jitter_and_shrinks_after_it() {
    let mut simulation = Simulation::new();
    let mut random = StdRng::seed_from_u64(4);
    // Up to 60 ms for the first minute, then none for two.
    let path = |number| Some(if number < 3_000 { random.random_range(0..60_000) } else { 0 });
    simulation.send(180, 20, 0, in_turns, path);
    simulation.run(20);
    let learning = simulation.count(Heard::Lost);
    assert!(learning <= 15, "{learning} frames concealed while learning");
    simulation.heard.clear();
    simulation.run(40);
    let lost = simulation.count(Heard::Lost);
    assert!(lost <= 4, "{lost} of 2000 frames were not there in time");
    assert!(simulation.delays().1 <= 90, "{:?}", simulation.delays());
    simulation.run(60);
    simulation.heard.clear();
    simulation.run(59);
    assert!(simulation.delays().1 <= 30, "{:?} ms, long after the jitter", simulation.delays());
}

#[test]
fn drift_of_200_ppm_for_an_hour_neither_delays_nor_loses() {
    for drift in [-200, 200] {
        let mut simulation = Simulation::new();
        simulation.send(3_600, 20, drift, in_turns, |_| Some(0));
        // The age is told by the peer's clock: only look at what happened to frames.
        simulation.run(3_590);
        assert_eq!((simulation.count(Heard::Lost), simulation.late), (0, 0), "{drift} ppm");
        assert!(simulation.playout.delay_ms_max() <= 50, "{drift} ppm: {} ms", simulation.playout.delay_ms_max());
        // No speech was cut: a second of each three is silence, and at most that much of it went or came.
        let voice = simulation.heard.iter().filter(|heard| matches!(heard, Heard::Voice { .. })).count();
        assert!((119_600..=119_720).contains(&voice), "{drift} ppm: {voice}");
    }
}

#[test]
fn losses_cost_their_own_frames_only() {
    let mut simulation = Simulation::new();
    let mut random = StdRng::seed_from_u64(4);
    let mut lost = 0;
    simulation.send(
        60,
        20,
        0,
        |_| true,
        |_| {
            let drop = random.random_bool(0.05);
            lost += usize::from(drop);
            (!drop).then_some(0)
        },
    );
    simulation.run(59);
    assert!(simulation.count(Heard::Lost) <= lost, "{} of {lost}", simulation.count(Heard::Lost));
    assert!(simulation.delays().1 <= 28);
}

#[test]
fn reordered_packets_are_put_in_order_and_the_delay_learns_them() {
    let mut simulation = Simulation::new();
    simulation.send(60, 20, 0, in_turns, |number| Some(if number % 10 == 3 { 25_000 } else { 0 }));
    simulation.run(20);
    simulation.heard.clear();
    simulation.late = 0;
    simulation.run(39);
    assert_eq!((simulation.count(Heard::Lost), simulation.late), (0, 0));
}

#[test]
fn suppressed_silence_is_no_loss() {
    let mut simulation = Simulation::new();
    // Nothing is sent in silence, and sequence numbers go on without a hole.
    simulation.send(30, 20, 0, |_| true, |number| in_turns(number).then_some(0));
    for (sequence, packet) in simulation.network.iter_mut().rev().enumerate() {
        packet.1 = sequence as u16;
    }
    simulation.run(28);
    // At each end of speech a loss can't be told from silence until the next packet.
    assert_eq!(simulation.late, 0);
    assert!(simulation.delays().1 <= 28);
}

#[test]
fn a_stall_of_the_network_never_leaves_more_than_the_bound() {
    for stall in [100, 300, 1_000, 5_000i64] {
        let mut simulation = Simulation::new();
        // From 2 s on everything is held up, and comes at once.
        let path = |number: i64| Some(if number >= 100 { (100 * 20 + stall - number * 20).max(0) * 1000 } else { 0 });
        simulation.send(120, 20, 0, in_turns, path);
        simulation.run(10);
        assert!(simulation.delays().1 <= i64::from(DELAY_MAX_MS) + 20 + stall, "{stall}");
        simulation.run(1);
        simulation.heard.clear();
        simulation.run(30);
        assert!(simulation.delays().1 <= i64::from(DELAY_MAX_MS) + 20, "{stall}: {:?}", simulation.delays());
        simulation.run(30);
        simulation.heard.clear();
        simulation.run(40);
        assert!(simulation.delays().1 <= 30, "{stall}: {:?}", simulation.delays());
        assert_eq!(simulation.count(Heard::Lost), 0);
    }
}

#[test]
fn a_peer_whose_clock_jumps_is_followed_at_once() {
    for jump in [-4_000_000i32, -160 * 30, 160 * 30, 90_000_000] {
        let mut simulation = Simulation::new();
        simulation.send(20, 20, 0, |_| true, |_| Some(0));
        for packet in simulation.network.iter_mut().filter(|packet| packet.1 >= 500) {
            packet.2 = packet.2.wrapping_add(jump as u32);
        }
        simulation.run(19);
        assert!(simulation.count(Heard::Lost) + simulation.count(Heard::Silence) <= 3, "{jump}");
    }
}

#[test]
fn nothing_that_a_peer_sends_is_too_strange() {
    let mut random = StdRng::seed_from_u64(9);
    let thresholds = Thresholds::of(CODEC);
    let start = Instant::now();
    let mut playout = Playout::default();
    let mut frame = ReceivedFrame::default();
    for step in 0..200_000u64 {
        let now = start + Duration::from_millis(step);
        let length = random.random_range(0..1200);
        let (sequence, timestamp) = match random.random_range(0..3) {
            0 => (random.random(), random.random()),
            1 => (step as u16, (step * 8) as u32),
            _ => (random.random_range(0..100), random.random_range(0..2000)),
        };
        // Of Opus the first octet says how long it is.
        let payload = [random.random::<u8>(); 1200];
        playout.handle_packet(now, now + Duration::from_millis(5), sequence, timestamp, &payload[..length]);
        if step % 20 == 0 {
            playout.pull(&thresholds, &mut frame);
            let mut at = 0;
            while let Some(part) = frame.part(at) {
                let (Part::Packet { length, .. } | Part::Missing { length, .. }) = part;
                assert!(length > 0 && at + length <= FRAME_SAMPLES);
                at += length;
            }
            let mut at = 0;
            for gap in frame.gaps() {
                assert!(gap.start >= at && gap.start + gap.length <= FRAME_SAMPLES);
                at = gap.start + gap.length;
            }
        }
        playout.skip(u32::from(step % 5000 == 0));
        if step % 30_000 == 0 {
            playout.negotiate(if step % 60_000 == 0 { Codec::Opus } else { CODEC });
        }
    }
    assert!(playout.delay_ms_max() <= DELAY_MAX_MS as u32 + 40, "{}", playout.delay_ms_max());
}

#[test]
fn timestamps_half_the_range_away_are_no_trouble() {
    // A packet of 20 ms in either codec.
    let payload = [0x48; FRAME_SAMPLES];
    let start = Instant::now();
    for codec in [Codec::Pcmu, Codec::Opus] {
        for jump in [i32::MAX, i32::MAX - 100, i32::MIN, i32::MIN + 100] {
            let (mut playout, mut frame) = (Playout::default(), ReceivedFrame::default());
            playout.negotiate(codec);
            for (sequence, timestamp) in
                [(1, 0), (2, jump as u32), (3, (jump as u32).wrapping_add(160)), (9, 0), (5, jump as u32)]
            {
                let arrival = playout.handle_packet(start, start + FRAME, sequence, timestamp, &payload);
                assert_ne!(arrival, Arrival::NotVoice);
                playout.pull(&Thresholds::of(codec), &mut frame);
            }
        }
    }
}

#[test]
fn what_was_played_of_opus_is_not_decoded_again() {
    // A packet of 20 ms.
    let payload = [0x48; 60];
    let start = Instant::now();
    let (mut playout, mut frame) = (Playout::default(), ReceivedFrame::default());
    playout.negotiate(Codec::Opus);
    let takes = |playout: &mut Playout, tick: u16, sequence, timestamp| {
        let due = start + FRAME * u32::from(tick);
        playout.handle_packet(due - FRAME / 2, due, sequence, timestamp, &payload)
    };
    for number in 1..10 {
        let timestamp = u32::from(number) * 960;
        assert_eq!(takes(&mut playout, number, number, timestamp), Arrival::Kept);
        assert_eq!(takes(&mut playout, number, number, timestamp + 6), Arrival::Duplicate);
        playout.pull(&Thresholds::of(Codec::Opus), &mut frame);
    }
    assert_eq!(takes(&mut playout, 10, 10, 9 * 960 - 6), Arrival::Duplicate);
}
