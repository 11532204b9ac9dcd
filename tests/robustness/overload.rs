//! More than the server is rated for, and what those feel who are in a call or want to be.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anteroom::wire::sip::HeaderName;

use super::caller::{Caller, SOON};
use super::raw::*;
use super::support::Server;

/// RFC 3261's T1: whoever waits longer asks again.
const PATIENCE: Duration = Duration::from_millis(500);

/// Sends so many messages a second until it is over, evenly enough, and drops what comes back. How many it were.
fn flood(plug: &Plug, per_second: u32, is_over: &AtomicBool, mut message: impl FnMut() -> String) -> u64 {
    let (began, mut sent) = (Instant::now(), 0);
    while !is_over.load(Ordering::Relaxed) {
        let due = (began.elapsed().as_secs_f64() * f64::from(per_second)) as u64;
        while sent < due {
            plug.send(message());
            sent += 1;
        }
        plug.drain();
        std::thread::sleep(Duration::from_millis(5));
    }
    sent
}

/// How long ten callers wait for their answer, one after the other; sorted.
fn set_ups(server: &Server, source: &str) -> Vec<Duration> {
    let mut all: Vec<Duration> = (0..10)
        .map(|_| {
            let began = Instant::now();
            let caller = Caller::call(server.sip, source);
            caller.server_rtp();
            let waited = began.elapsed();
            caller.wait_established();
            caller.hang_up();
            caller.wait_ended(SOON);
            waited
        })
        .collect();
    all.sort();
    all
}

/// Ten times the rated load: those above it are told within 200 ms when to come again, and leave nothing behind; a call in
/// progress loses no frame of its music.
#[test]
fn above_the_rated_load_new_calls_get_503_and_a_call_in_progress_loses_no_audio() {
    const RATE: usize = 50;
    const INVITES: usize = 1_500;
    let rate = format!("limits.calls_per_second={RATE}");
    // The plug's messages are each their own: none of them is a question too many for its source.
    let mut server = Server::start("overload-rate", &["sip.listen=127.70.0.1:0", &rate, "log.level=info"]);
    let caller = Caller::call(server.sip, "127.70.0.2");
    caller.wait_established();
    caller.wait_heard(25);
    let missed_before = caller.frames_missed();
    let skipped_before = server.metric("anteroom_media_ticks_skipped_total");

    let plug = Plug::new("127.70.0.3", server.sip);
    let (mut asked, mut refused, mut accepted) = (HashMap::new(), Vec::new(), 0);
    let (began, mut sent) = (Instant::now(), 0);
    while sent < INVITES || asked.len() > refused.len() + accepted {
        assert!(began.elapsed() < SOON, "{sent} sent, {} refused, {accepted} accepted", refused.len());
        let due = (began.elapsed().as_secs_f64() * 10.0 * RATE as f64) as usize;
        while sent < due.min(INVITES) {
            let call_id = unique("rate");
            plug.send(invite(plug.address, server.sip, &call_id, "127.70.0.3:4000".parse().unwrap()));
            asked.insert(call_id, (Instant::now(), false));
            sent += 1;
        }
        for datagram in plug.drain() {
            let Some(answer) = response(&datagram).filter(|answer| answer.status >= 200) else { continue };
            let Some((at, is_answered)) = asked.get_mut(&header(&answer, &HeaderName::CallId)) else { continue };
            if answer.headers.cseq().unwrap().method.as_str() != "INVITE" || std::mem::replace(is_answered, true) {
                continue;
            }
            if answer.status == 200 {
                accepted += 1;
                plug.send(in_dialog(&answer, plug.address, "ACK", 0));
                plug.send(in_dialog(&answer, plug.address, "BYE", 1));
            } else {
                assert_eq!(answer.status, 503);
                assert!(header(&answer, &HeaderName::RetryAfter).parse::<u32>().is_ok_and(|seconds| seconds >= 1));
                refused.push(at.elapsed());
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let seconds = began.elapsed().as_secs_f64();
    refused.sort();
    let at = |share: f64| refused[(refused.len() as f64 * share) as usize];
    let missed = caller.frames_missed() - missed_before;
    println!(
        "{INVITES} INVITEs in {seconds:.1} s: {accepted} accepted, {} refused, after {:?} (median), {:?} (99 %); frames missed: {missed}",
        refused.len(),
        at(0.5),
        at(0.99)
    );
    assert!(at(0.99) < Duration::from_millis(200), "{:?}", at(0.99));
    // What was saved, the rate, and a second for a busy machine.
    assert!(accepted as f64 <= RATE as f64 * (seconds + 2.0), "{accepted} in {seconds} s");
    assert!(accepted >= RATE);
    assert!(!caller.has_ended());
    // A machine that is too busy for the audio says so itself; what the flood alone would cost is none.
    let skipped = server.metric("anteroom_media_ticks_skipped_total") - skipped_before;
    assert!(missed as f64 <= skipped, "{missed} frames missed, {skipped} ticks skipped");
    // The figures are brought up to date some times a second.
    server.wait_for_metric("anteroom_invites_shed_total", refused.len() as f64, SOON);
    // What is remembered is of the calls that were accepted: INVITE, BYE.
    assert!(server.metric("anteroom_sip_transactions") <= 2.0 * accepted as f64 + 10.0);
    let told = server.log_text().matches("request refused").count();
    assert!((1..=20).contains(&told), "{told} lines");
    caller.hang_up();
    caller.wait_ended(SOON);
    assert_holds_no_call(&server);
    assert_never_panicked(&mut server);
}

/// REGISTER, OPTIONS and INVITE without ACK, of strangers and in a trunk's own name; half-open and one-byte-a-second
/// connections. Meanwhile callers of a trunk are answered as if nothing were.
#[test]
fn no_flood_makes_a_trunks_caller_wait() {
    let trunk = "sip.trunks=[{name=\"carrier\", from=[\"127.71.0.2/32\", \"127.71.0.4/32\"]}]";
    let settings = ["sip.listen=127.71.0.1:0", trunk, "limits.calls=400", "log.level=info"];
    let mut server = Server::start("overload-floods", &settings);
    let sip = server.sip;
    let kinds: [(&str, &str, &str, u32); 6] = [
        ("REGISTER of strangers", "127.71.0.3", "REGISTER", 10_000),
        ("OPTIONS of strangers", "127.71.0.3", "OPTIONS", 10_000),
        ("INVITE of strangers", "127.71.0.3", "INVITE", 10_000),
        ("REGISTER of another source of the trunk", "127.71.0.4", "REGISTER", 5_000),
        ("OPTIONS of another source of the trunk", "127.71.0.4", "OPTIONS", 5_000),
        ("INVITE without ACK of another source of the trunk", "127.71.0.4", "INVITE", 1_000),
    ];
    for (name, source, method, per_second) in kinds {
        let (is_over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
        let plug = Plug::new(source, sip);
        let waits = std::thread::scope(|scope| {
            scope.spawn(|| {
                let body = if method == "INVITE" { offer(plug.address) } else { String::new() };
                let message = || request(method, "UDP", plug.address, sip, &unique("f"), &body);
                sent.store(flood(&plug, per_second, &is_over, message), Ordering::Relaxed);
            });
            // Whatever the flood can fill is full by now.
            std::thread::sleep(Duration::from_millis(700));
            let waits = set_ups(&server, "127.71.0.2");
            is_over.store(true, Ordering::Relaxed);
            waits
        });
        println!("{name}: {sent:?} sent; answered after {:?} (median), {:?} (longest)", waits[5], waits[9]);
        assert!(waits[7] < PATIENCE, "{name}: {waits:?}");
    }

    let is_over = AtomicBool::new(false);
    let waits = std::thread::scope(|scope| {
        scope.spawn(|| {
            // Of strangers and of a trunk's other source; half of them say a byte now and then.
            let mut open: Vec<_> =
                (0..300).map(|n| connect(if n % 2 == 0 { "127.71.0.3" } else { "127.71.0.4" }, sip)).collect();
            while !is_over.load(Ordering::Relaxed) {
                for stream in open.iter_mut().step_by(2) {
                    write_some(stream, "O");
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let waits = set_ups(&server, "127.71.0.2");
        is_over.store(true, Ordering::Relaxed);
        waits
    });
    println!("300 half-open connections: answered after {:?} (median), {:?} (longest)", waits[5], waits[9]);
    assert!(waits[7] < PATIENCE, "{waits:?}");

    // The silent source has no more than its part; and each kind of flood is some lines, not thousands.
    assert!(server.metric("anteroom_calls") <= 80.0, "{}", server.metric("anteroom_calls"));
    assert!(server.metric("anteroom_sip_excess_total") > 10_000.0);
    let lines = server.log_text().lines().filter(|line| line.contains("dropped") || line.contains("refused")).count();
    assert!(lines < 200, "{lines} lines");
    assert_never_panicked(&mut server);
}

/// For a scanner nobody is here: no answer to anything, over UDP or TCP. The operator learns of him from the log.
#[test]
fn a_stranger_gets_nothing_at_all() {
    let trunk = "sip.trunks=[{name=\"carrier\", from=[\"127.72.0.2/32\"]}]";
    let mut server = Server::start("overload-silent", &["sip.listen=127.72.0.1:0", trunk, "log.level=info"]);
    let stranger = Plug::new("127.72.0.3", server.sip);
    let padding =
        "User-Agent: friendly-scanner, which sends enough for any answer to be no larger than it\r\nContent-Length";
    for method in ["OPTIONS", "INVITE", "REGISTER", "BYE", "CANCEL", "ACK", "DANCE"] {
        let message = request(method, "UDP", stranger.address, server.sip, &unique("s"), "");
        stranger.send(message.replacen("Content-Length", padding, 1));
        stranger.send(message.replacen("CSeq: 1", "CSeq: x", 1).replacen("Content-Length", padding, 1));
    }
    let mut stream = connect("127.72.0.3", server.sip);
    let message = request("OPTIONS", "TCP", stream.local_addr().unwrap(), server.sip, &unique("s"), "");
    assert!(write_some(&mut stream, message.replacen("Content-Length", padding, 1)));
    let (answer, _) = read_until_closed(&mut stream, Duration::from_millis(500));
    assert_eq!(answer, b"");
    assert!(Plug::new("127.72.0.2", server.sip).ping(5), "the trunk is answered");
    assert!(stranger.drain().is_empty());
    let line = server.wait_for_line("the source is in no trunk", SOON);
    assert!(line.contains("127.72.0.3"), "{line}");
    assert_never_panicked(&mut server);
}

/// One trunk has as many calls as it may have; the other has its own.
#[test]
fn a_trunks_calls_are_bounded_by_its_own_setting() {
    let trunks =
        "sip.trunks=[{name=\"small\", from=[\"127.73.0.2/32\"], calls=2}, {name=\"large\", from=[\"127.73.0.3/32\"]}]";
    let mut server = Server::start("overload-trunk", &["sip.listen=127.73.0.1:0", trunks, "log.level=info"]);
    let calls: Vec<Caller> = (0..2).map(|_| Caller::call(server.sip, "127.73.0.2")).collect();
    calls.iter().for_each(Caller::wait_established);
    let third = Caller::call(server.sip, "127.73.0.2");
    let end = third.wait_ended(SOON);
    assert!(matches!(end, anteroom::sip::EndReason::Refused { status: 503, .. }), "{end:?}");
    assert_takes_a_call(&server, "127.73.0.3");
    calls[0].hang_up();
    calls[0].wait_ended(SOON);
    assert_takes_a_call(&server, "127.73.0.2");
    server.wait_for_metric("anteroom_invites_shed_total", 1.0, SOON);
    // Whoever looks after the server is told which limit it was.
    server.wait_for_metric("anteroom_alerts_open", 1.0, SOON);
    let listed = server.command(&["alert", "list", "--json"]);
    let alerts: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(alerts[0]["kind"], "overload");
    let (subject, text) = (alerts[0]["subject"].as_str().unwrap(), alerts[0]["text"].as_str().unwrap());
    assert!(subject.starts_with("trunk-calls on ") && subject.ends_with(&server.sip.to_string()), "{subject}");
    assert!(text.contains("turned away with 503: 1;") && text.contains("sip.trunks[].calls"), "{text}");
    assert_never_panicked(&mut server);
}
