//! Datagrams that mean nothing, on every port that the server has open, while a call is up.

use std::sync::atomic::{AtomicBool, Ordering};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::caller::{Caller, SOON};
use super::mutation::{mutated, noise};
use super::raw::*;
use super::support::Server;
use super::torture;

/// Datagrams between two questions whether the server lives, which also let it catch up.
const BATCH: usize = 125;

/// What a peer of this call could send on its RTP or RTCP port, for mutation.
fn media_originals(caller: &Caller) -> Vec<Vec<u8>> {
    let stream = caller.stream();
    let rtp = |payload_type: u8, payload: &[u8]| {
        let mut packet = vec![0x80, payload_type];
        packet.extend(stream.sequence.to_be_bytes());
        packet.extend(stream.timestamp.to_be_bytes());
        packet.extend(stream.ssrc.to_be_bytes());
        packet.extend(payload);
        packet
    };
    let mut with_everything = rtp(0, &[0xFF; 160]);
    with_everything[0] |= 0x37; // padding, extension, seven contributing sources
    let mut sender_report = vec![0x81, 200, 0, 12];
    sender_report.extend(stream.ssrc.to_be_bytes());
    sender_report.extend([7; 44]);
    sender_report.extend([0x81, 203, 0, 1]);
    sender_report.extend(stream.ssrc.to_be_bytes());
    vec![rtp(0, &[0xFF; 160]), rtp(8, &[0xD5; 80]), rtp(101, &[11, 0x8A, 3, 0x20]), with_everything, sender_report]
}

/// Sends `count` datagrams of every kind, to every port, and looks at what they did.
fn storm(name: &str, network: &str, count: usize, seed: u64, grows_at_most_kib: u64) {
    let listen = format!("sip.listen={network}.1:0");
    let trunk = format!("sip.trunks=[{{name=\"carrier\", from=[\"{network}.2/32\"]}}]");
    // All of it is to be read, and answered where it can be.
    let all = ["limits.calls_per_second=100000", "sip.strangers=refuse"];
    let settings = [&listen, &trunk, "limits.calls=20", "log.level=info", all[0], all[1]];
    let mut server = Server::start(name, &settings);
    let organizer = server.enable("anna@example.com");
    let trunk = format!("{network}.2");
    let caller = Caller::call(server.sip, &trunk);
    caller.wait_established();
    caller.wait_heard(10);
    // To the lobby, where nobody minds how long a machine that is busy otherwise takes for all this.
    caller.press(&organizer.conference_id);
    server.wait_for_line("entered a conference ID that exists", SOON);

    let patience = Plug::new(&trunk, server.sip);
    let (friend, stranger) = (Plug::new(&trunk, server.sip), Plug::new(&format!("{network}.3"), server.sip));
    let rtp = caller.server_rtp();
    let rtcp = std::net::SocketAddr::new(rtp.ip(), rtp.port() + 1);
    let mut random = StdRng::seed_from_u64(seed);
    let changed = |random: &mut StdRng, originals: &[Vec<u8>]| {
        let (original, other) = (random.random_range(0..originals.len()), random.random_range(0..originals.len()));
        mutated(random, &originals[original], &originals[other])
    };
    let mut sip = torture::messages();
    sip.push(invite(friend.address, server.sip, "garbage", friend.address).into_bytes());
    sip.push(options(friend.address, server.sip, "garbage").into_bytes());
    let media = media_originals(&caller);
    let event_type = caller.event_payload_type();

    // The first tenth fills the tables and buffers that are filled once.
    let mut before = 0;
    let mut heard_before = caller.heard();
    let began = std::time::Instant::now();
    for number in 0..count {
        // One in 50 from the trunk itself, whose requests are remembered for 64·T1 and may become calls.
        let source = if number % 50 == 0 { &friend } else { &stranger };
        let is_noise = number % 5 == 0;
        match number % 4 {
            2 | 3 => {
                let datagram = if is_noise { noise(&mut random, 2_000) } else { changed(&mut random, &media) };
                stranger.send_to(&datagram, if number % 4 == 2 { rtp } else { rtcp });
                // The same from the peer that the leg listens to. (Not as his keys: those would count, and rightly.)
                if number % 40 == 2 && datagram.get(1).is_none_or(|octet| octet & 0x7F != event_type) {
                    caller.send_datagram(datagram);
                }
            }
            _ if is_noise => source.send(noise(&mut random, 1_500)),
            _ => source.send(changed(&mut random, &sip)),
        }
        if number % BATCH == BATCH - 1 {
            assert!(patience.ping(5), "no life after {number} datagrams");
            friend.drain();
            stranger.drain();
        }
        if number == count / 10 {
            before = server.resident_kib();
            heard_before = caller.heard();
        }
    }
    let grown = server.resident_kib().saturating_sub(before);
    let heard = caller.heard() - heard_before;
    let seconds = began.elapsed().as_secs_f64() * 0.9;
    println!("{count} datagrams: {grown} KiB more, {heard} packets heard in {seconds:.1} s");
    assert!(grown < grows_at_most_kib, "{grown} KiB more after {count} datagrams");
    // The voice went on all the while: 50 packets a second, as far as this machine had the time.
    assert!(heard as f64 > seconds * 40.0 - 10.0, "{heard} packets in {seconds} s");
    assert!(!caller.has_ended());
    // And the call is one still: its keys count.
    caller.wait_heard(25);
    caller.press("*");
    server.wait_for_line("is asked for the PIN", SOON);
    caller.hang_up();
    caller.wait_ended(SOON);
    assert_takes_a_call(&server, &trunk);
    assert_never_panicked(&mut server);
}

#[test]
fn a_call_survives_50_000_datagrams_of_garbage() {
    storm("garbage", "127.54.0", 50_000, 1, 16 << 10);
}

/// The same at length. It takes about half a minute:
///
/// ```text
/// cargo test --release --test robustness -- --ignored --nocapture a_million_datagrams
/// ```
#[test]
#[ignore = "long: see its comment"]
fn a_million_datagrams() {
    storm("million", "127.55.0", 1_000_000, 2, 64 << 10);
}

/// A flood faster than anybody could answer: what does not fit is dropped, what is held stays bounded, and the call goes on.
#[test]
fn a_flood_at_full_speed_is_dropped_not_queued() {
    let settings = ["sip.listen=127.56.0.1:0", "sip.trunks=[{name=\"c\", from=[\"127.56.0.2/32\"]}]", "log.level=info"];
    let mut server = Server::start("full-speed", &settings);
    let caller = Caller::call(server.sip, "127.56.0.2");
    caller.wait_established();
    let before = server.resident_kib();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let stranger = Plug::new("127.56.0.3", server.sip);
            let small = invite(stranger.address, server.sip, "flood", stranger.address);
            let padding = format!("Max-Forwards: 70\r\nX: {}", "x".repeat(60_000));
            let large = small.replacen("Max-Forwards: 70", &padding, 1);
            while !is_over.load(Ordering::Relaxed) {
                stranger.send(&large);
                stranger.send(&small);
                stranger.send_to(&large[..1_000], caller.server_rtp());
            }
        });
        caller.wait_heard(150);
        is_over.store(true, Ordering::Relaxed);
    });
    let grown = server.resident_kib().saturating_sub(before);
    println!("full speed: {grown} KiB more");
    assert!(grown < 64 << 10, "{grown} KiB wait for an engine that can't keep up");
    assert!(Plug::new("127.56.0.2", server.sip).ping(10));
    assert!(!caller.has_ended());
    caller.hang_up();
    caller.wait_ended(SOON);
    assert_never_panicked(&mut server);
}
