//! What a call costs on a media thread, as a ratio to the floor: a bare loop that does only the unavoidable, one receive
//! and one send of 172 octets on a connected UDP socket per call and 20 ms.
//!
//! ```text
//! cargo test --release --test media_cost -- --ignored --nocapture        (CALLS=500 SECONDS=5 ROUNDS=3 ONLY=)
//! ```
//!
//! The peers run in a thread of their own in the same process; only the CPU time of the media thread, or of the floor's
//! thread, is counted. Each ratio is that of the medians of several rounds, floor and server in turn.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anteroom::media::{Background, PlaneCommand, PlaneSettings};
use anteroom::net::audio::{self, AudioSettings};
use anteroom::net::media_thread::{MediaThreads, MediaThreadsSettings};
use anteroom::wire::g711;
use anteroom::wire::rtp::{HEADER_BYTES, RtpHeader};
use anteroom::words::ids::{CallKey, MeetingKey};
use anteroom::words::media::{Codec, Direction, FRAME, NegotiatedMedia};
use rand::SeedableRng;
use rand::rngs::StdRng;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// CPU time of this process' threads whose name begins so.
fn cpu_time(thread: &str) -> Duration {
    let mut total = Duration::ZERO;
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path();
        if std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.starts_with(thread)) {
            let spent = std::fs::read_to_string(path.join("schedstat")).unwrap();
            total += Duration::from_nanos(spent.split(' ').next().unwrap().parse().unwrap());
        }
    }
    total
}

#[derive(Clone, Copy)]
enum Says {
    Silence,
    /// Below the gate, as on a line where nobody speaks.
    Noise,
    Speech,
}

/// The other ends: one socket per call, each sends and receives once per frame.
struct Peers {
    sockets: Arc<Vec<UdpSocket>>,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<Received>>,
}

#[derive(Default)]
struct Received {
    packets_per_call: Vec<u64>,
    largest_gap: Duration,
    seconds: f64,
}

impl Peers {
    fn new(calls: usize) -> Peers {
        let bind = |_| {
            let socket = UdpSocket::bind((LOOPBACK, 0)).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        };
        Peers { sockets: Arc::new((0..calls).map(bind).collect()), stop: Arc::default(), thread: None }
    }

    fn address(&self, call: usize) -> SocketAddr {
        self.sockets[call].local_addr().unwrap()
    }

    fn start(
        &mut self,
        codec: impl Fn(usize) -> Codec + Send + 'static,
        says: impl Fn(usize) -> Says + Send + 'static,
    ) {
        let (sockets, stop) = (Arc::clone(&self.sockets), Arc::clone(&self.stop));
        self.thread = Some(
            thread::Builder::new().name("peers".into()).spawn(move || peers(&sockets, &stop, codec, says)).unwrap(),
        );
    }

    fn finish(&mut self) -> Received {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

fn peers(
    sockets: &[UdpSocket],
    stop: &AtomicBool,
    codec: impl Fn(usize) -> Codec,
    says: impl Fn(usize) -> Says,
) -> Received {
    let speech = audio::shipped_hold_music();
    let mut received = Received { packets_per_call: vec![0; sockets.len()], ..Received::default() };
    let mut heard_at = vec![None; sockets.len()];
    let start = Instant::now();
    let mut buffer = [0; 2048];
    for frame in 0u32.. {
        thread::sleep((start + FRAME * frame).saturating_duration_since(Instant::now()));
        if stop.load(Ordering::Relaxed) {
            break;
        }
        for (call, socket) in sockets.iter().enumerate() {
            while socket.recv(&mut buffer).is_ok() {
                received.packets_per_call[call] += 1;
                let now = Instant::now();
                if let Some(before) = heard_at[call].replace(now)
                    && frame > 60
                {
                    received.largest_gap = received.largest_gap.max(now - before);
                }
            }
            let codec = codec(call);
            let mut datagram = [0; 172];
            let header = RtpHeader {
                payload_type: codec.static_payload_type(),
                marker: false,
                sequence: frame as u16,
                timestamp: frame * 160,
                ssrc: call as u32,
            };
            header.write(datagram.first_chunk_mut::<HEADER_BYTES>().unwrap());
            for (at, octet) in datagram[HEADER_BYTES..].iter_mut().enumerate() {
                let sample = match says(call) {
                    Says::Silence => 0,
                    Says::Noise => ((at * 7919 + call) % 160) as i16 - 80,
                    Says::Speech => speech[(call * 997 + frame as usize * 160 + at) % speech.len()],
                };
                *octet = g711::encode(codec.law().unwrap(), sample);
            }
            // Nothing that the floor would be spared.
            let _ = socket.send(&datagram);
        }
    }
    received.seconds = start.elapsed().as_secs_f64();
    received
}

fn run_floor(calls: usize, seconds: u64) -> f64 {
    let mut peers = Peers::new(calls);
    let ours: Vec<UdpSocket> = (0..calls)
        .map(|call| {
            let socket = UdpSocket::bind((LOOPBACK, 0)).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket.connect(peers.address(call)).unwrap();
            peers.sockets[call].connect(socket.local_addr().unwrap()).unwrap();
            socket
        })
        .collect();
    peers.start(|_| Codec::Pcmu, |_| Says::Silence);
    let stop = Arc::clone(&peers.stop);
    let floor = thread::Builder::new().name("floor".into()).spawn(move || {
        let start = Instant::now();
        let mut buffer = [0; 172];
        for frame in 0u32.. {
            thread::sleep((start + FRAME * frame).saturating_duration_since(Instant::now()));
            if stop.load(Ordering::Relaxed) {
                break;
            }
            for socket in &ours {
                let _ = socket.recv(&mut buffer);
                let _ = socket.send(&buffer);
            }
        }
    });
    let spent = measure("floor", seconds);
    peers.finish();
    floor.unwrap().join().unwrap();
    spent / (calls as f64 * seconds as f64)
}

/// CPU seconds that the threads take in so many seconds, after a time to settle.
fn measure(thread: &str, seconds: u64) -> f64 {
    std::thread::sleep(Duration::from_secs(1));
    let before = cpu_time(thread);
    std::thread::sleep(Duration::from_secs(seconds));
    (cpu_time(thread) - before).as_secs_f64()
}

struct Scenario {
    name: &'static str,
    codec: fn(usize) -> Codec,
    says: fn(usize, usize) -> Says,
    background: fn(usize) -> Background,
}

fn pcmu(_: usize) -> Codec {
    Codec::Pcmu
}

fn a_third_on_the_other_law(call: usize) -> Codec {
    if call.is_multiple_of(3) { Codec::Pcma } else { Codec::Pcmu }
}

const SCENARIOS: [Scenario; 7] = [
    Scenario { name: "waiting, silent", codec: pcmu, says: |_, _| Says::Silence, background: |_| Background::Music },
    Scenario { name: "waiting, line noise", codec: pcmu, says: |_, _| Says::Noise, background: |_| Background::Music },
    Scenario { name: "waiting, speaking", codec: pcmu, says: |_, _| Says::Speech, background: |_| Background::Music },
    Scenario {
        name: "one meeting, 3 talk",
        codec: pcmu,
        says: |call, _| if call < 3 { Says::Speech } else { Says::Noise },
        background: |_| Background::Meeting(MeetingKey(1)),
    },
    Scenario {
        name: "one meeting, 3 talk, a third in A-law",
        codec: a_third_on_the_other_law,
        says: |call, _| if call < 3 { Says::Speech } else { Says::Noise },
        background: |_| Background::Meeting(MeetingKey(1)),
    },
    Scenario {
        name: "meetings of 4, 2 talk",
        codec: pcmu,
        says: |call, _| if call % 4 < 2 { Says::Speech } else { Says::Noise },
        background: |call| Background::Meeting(MeetingKey(call as u64 / 4)),
    },
    Scenario {
        name: "one meeting, all talk",
        codec: pcmu,
        says: |_, _| Says::Speech,
        background: |_| Background::Meeting(MeetingKey(1)),
    },
];

fn run_scenario(scenario: &Scenario, calls: usize, seconds: u64) -> (f64, Received) {
    let settings = MediaThreadsSettings { threads: Some(1), ports: 30_000..=59_999, plane: PlaneSettings::default() };
    let sounds = audio::load(&AudioSettings::default()).unwrap();
    let mut media = MediaThreads::start(settings, sounds, StdRng::seed_from_u64(1)).unwrap();
    let mut peers = Peers::new(calls);
    for number in 0..calls {
        let call = CallKey(number as u64 + 1);
        let ours = media.open_leg(call, LOOPBACK).unwrap();
        peers.sockets[number].connect(ours).unwrap();
        let codec = (scenario.codec)(number);
        let remote_rtp = peers.address(number);
        let negotiated = NegotiatedMedia {
            remote_rtp,
            remote_rtcp: SocketAddr::new(remote_rtp.ip(), 9),
            codec,
            payload_type: codec.static_payload_type(),
            telephone_event: Some(101),
            direction: Direction::SendRecv,
        };
        media.command(PlaneCommand::Negotiate { call, signalled_from: negotiated.remote_rtp.ip(), media: negotiated });
        media.command(PlaneCommand::Background { call, background: (scenario.background)(number) });
    }
    let says = scenario.says;
    peers.start(scenario.codec, move |call| says(call, calls));
    let spent = measure("media-", seconds);
    let received = peers.finish();
    media.stop();
    (spent / (calls as f64 * seconds as f64), received)
}

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
#[ignore = "a benchmark of some minutes: run it alone, in release"]
fn cost_of_a_call_as_a_ratio_to_the_floor() {
    let (calls, seconds, rounds) =
        (from_environment("CALLS", 500) as usize, from_environment("SECONDS", 5), from_environment("ROUNDS", 3));
    let only = std::env::var("ONLY").unwrap_or_default();
    let mut costs: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    let mut floors = Vec::new();
    println!("{calls} calls, {rounds} rounds of {seconds} s");
    for _ in 0..rounds {
        floors.push(run_floor(calls, seconds));
        for (number, scenario) in SCENARIOS.iter().enumerate().filter(|(_, scenario)| scenario.name.contains(&only)) {
            let (cost, received) = run_scenario(scenario, calls, seconds);
            costs.entry(number).or_default().push(cost);
            let fewest = *received.packets_per_call.iter().min().unwrap() as f64 / received.seconds;
            let gap = received.largest_gap.as_millis();
            println!("  {:40} at least {fewest:.2} packets a second, largest gap {gap} ms", scenario.name);
        }
        floors.push(run_floor(calls, seconds));
    }
    let floor = median(&mut floors);
    println!("floor: {:.1} µs of CPU per call-second, {:.2} µs per frame", floor * 1e6, floor * 1e6 / 50.0);
    for (number, cost) in &mut costs {
        let cost = median(cost);
        println!("{:40} {:6.1} µs  {:.2} × floor", SCENARIOS[*number].name, cost * 1e6, cost / floor);
    }
}
