//! Many calls, too many calls, and the end of the server.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::keys::{Info, type_keys};
use crate::sipp::Sipp;
use crate::support::Server;

const SOON: Duration = Duration::from_secs(10);

/// 64·T1, for which SIP remembers what it has answered, and some more for a busy machine.
const FORGOTTEN: Duration = Duration::from_secs(40);

/// The UDP sockets that the server's process holds: by inode, since others on this machine may use the same ports.
fn udp_sockets(server: &Server) -> usize {
    let process = format!("/proc/{}", server.pid());
    let table = fs::read_to_string(format!("{process}/net/udp")).unwrap();
    let udp: HashSet<&str> = table.lines().skip(1).filter_map(|line| line.split_whitespace().nth(9)).collect();
    let files = fs::read_dir(format!("{process}/fd")).unwrap();
    let names = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    let is_udp = |name: &PathBuf| {
        let inode = name.to_str().and_then(|name| name.strip_prefix("socket:[")?.strip_suffix(']'));
        inode.is_some_and(|inode| udp.contains(inode))
    };
    names.filter(is_udp).count()
}

/// Slow: what SIP remembers of the calls is gone after 32 s.
#[test]
#[ignore = "needs sipp (Debian: sip-tester); tests/run installs and runs it"]
fn two_hundred_calls_at_fifty_a_second_all_complete_and_leave_nothing_behind() {
    const CALLS: usize = 200;
    // About 50 calls at once; the ports suffice for 100, so that each is used again and again.
    let server = Server::start("sipp-load", &["rtp.ports=9600-9799"]);
    let sockets = udp_sockets(&server);

    let calls = Sipp::new(&server, "call").calls(CALLS, 50).lasting(Duration::from_millis(1000)).start();
    server.wait_for_lines("a call comes in", CALLS / 2, SOON);
    assert!(udp_sockets(&server) > sockets + CALLS / 4, "two sockets for each call in progress");
    let outcome = calls.finish();
    assert_eq!(outcome.answers(200, "BYE").len(), CALLS);

    let records = server.wait_for_records(CALLS, SOON);
    assert_eq!(records.len(), CALLS);
    for record in &records {
        assert_eq!((&record["ended"], &record["reached"]), (&"caller_hung_up".into(), &"attendant".into()), "{record}");
    }
    server.wait_for_metric("anteroom_calls", 0.0, SOON);
    server.wait_for_metric("anteroom_media_legs", 0.0, SOON);
    assert_eq!(udp_sockets(&server), sockets, "sockets before and after");
    assert_eq!(server.metric("anteroom_calls_total"), CALLS as f64);
    assert_eq!(server.metric("anteroom_requests_refused_total"), 0.0);
    assert_eq!(server.metric("anteroom_sip_messages_dropped_total"), 0.0);
    assert!(server.metric("anteroom_sip_transactions") > 0.0, "late repetitions must still be recognized");
    server.wait_for_metric("anteroom_sip_transactions", 0.0, FORGOTTEN);
}

#[test]
#[ignore = "needs sipp (Debian: sip-tester); tests/run installs and runs it"]
fn one_call_too_many_gets_503_and_a_place_that_is_free_again_is_given() {
    let server = Server::start("sipp-limit", &["limits.calls=2"]);
    let calls = Sipp::new(&server, "call").calls(2, 50).lasting(Duration::from_millis(2500)).start();
    server.wait_for_lines("the caller is on the line", 2, SOON);
    Sipp::new(&server, "unavailable").run();
    let refused = server.wait_for_line("request refused", SOON);
    assert!(refused.contains("503") && refused.contains("limits.calls"), "{refused}");
    calls.finish();
    server.wait_for_metric("anteroom_calls", 0.0, SOON);
    Sipp::new(&server, "call").run();
    assert_eq!(server.wait_for_records(3, SOON).len(), 3);
}

/// Ten times the rated load. Nobody waits for an answer so long that he asks again, and music goes on in a call.
#[test]
#[ignore = "needs sipp (Debian: sip-tester); tests/run installs and runs it"]
fn above_the_rated_load_all_are_answered_at_once_and_a_call_in_progress_is_heard() {
    const RATE: usize = 20;
    const CALLS: usize = 600;
    let server = Server::start("sipp-rated", &[&format!("limits.calls_per_second={RATE}")]);
    let call = Sipp::new(&server, "until-bye").start();
    server.wait_for_line("the caller is on the line", SOON);
    let skipped_before = server.metric("anteroom_media_ticks_skipped_total");
    let (begun, heard_before) = (Instant::now(), call.ear.heard());
    let outcome = Sipp::new(&server, "rated").calls(CALLS, 10 * RATE).run();
    let (seconds, heard) = (begun.elapsed().as_secs_f64(), call.ear.heard() - heard_before);

    // SIPp repeats what has no answer after 500 ms.
    assert_eq!(outcome.sent("INVITE"), CALLS);
    let refused = outcome.answers(503, "INVITE").len();
    let taken = CALLS - refused;
    assert!(taken >= RATE && taken as f64 <= RATE as f64 * (seconds + 2.0), "{taken} in {seconds} s");
    server.wait_for_metric("anteroom_invites_shed_total", refused as f64, SOON);
    server.wait_for_metric("anteroom_calls_total", (taken + 1) as f64, SOON);
    let skipped = server.metric("anteroom_media_ticks_skipped_total") - skipped_before;
    assert!(heard as f64 + skipped >= 50.0 * seconds - 10.0, "{heard} packets in {seconds} s, {skipped} ticks skipped");
}

/// Each tick sends a packet to each of them: so where none is left out, and the kernel takes all, each gets his fifty a second.
#[test]
#[ignore = "needs sipp and a quiet machine: cargo test --release --test sipp two_thousand -- --ignored --nocapture"]
fn two_thousand_wait_with_music() {
    const CALLS: usize = 2_000;
    const WAIT: Duration = Duration::from_secs(20);
    let calls = format!("limits.calls={}", CALLS + 100);
    let server = Server::start("sipp-2000", &[&calls, "attendant.organizer_question_s=1", "rtp.ports=11000-15199"]);
    let organizer = server.enable("anna@example.com");
    let before_kib = server.resident_kib();
    let sipp = Sipp::new(&server, "info").calls(CALLS, 100).lasting(WAIT + Duration::from_secs(5));
    let waiting = type_keys(sipp, Info::DtmfRelay, &organizer.conference_id).start();
    server.wait_for_metric("anteroom_calls", CALLS as f64, WAIT + SOON);
    server.wait_for_lines("waits in the lobby", CALLS, SOON);

    let figures =
        ["anteroom_media_ticks_total", "anteroom_media_ticks_late_total", "anteroom_media_ticks_skipped_total"];
    let begun = figures.map(|name| server.metric(name));
    let (heard_before, clock) = (waiting.ear.heard(), Instant::now());
    std::thread::sleep(WAIT / 2);
    let [ticks, late, skipped] = [0, 1, 2].map(|at| server.metric(figures[at]) - begun[at]);
    let heard = (waiting.ear.heard() - heard_before) as f64 / clock.elapsed().as_secs_f64();
    let kib = (server.resident_kib() - before_kib) as f64 / CALLS as f64;
    println!(
        "{CALLS} wait: {ticks} ticks, {late} late, {skipped} left out; {kib:.1} KiB a call; one socket heard {heard:.0} packets/s"
    );
    waiting.finish();
    assert!(skipped <= ticks / 1000.0, "{skipped} of {ticks} ticks left out");
    assert!(kib <= 32.0, "{kib} KiB a call");
}

#[test]
#[ignore = "needs sipp (Debian: sip-tester); tests/run installs and runs it"]
fn after_sigterm_new_calls_get_503_and_calls_in_progress_the_grace_time() {
    let mut server = Server::start("sipp-sigterm", &["shutdown.grace_s=3"]);
    let call = Sipp::new(&server, "until-bye").start();
    server.wait_for_line("the caller is on the line", SOON);
    server.terminate();
    server.wait_for_line("shutting down", SOON);

    let before = call.ear.heard();
    Sipp::new(&server, "unavailable").run();
    std::thread::sleep(Duration::from_millis(1000));
    let (status, _) = server.get("/healthz");
    assert_eq!(status, 503, "a load balancer must send nobody any more");
    assert!(call.ear.heard() >= before + 40, "the call in progress is heard no more");

    call.finish();
    assert_eq!(server.wait(SOON), 0);
    let record = &server.records()[0];
    assert_eq!(record["ended"], "shutting_down");
    let talked = record["talked_s"].as_f64().unwrap();
    assert!((3.0..4.5).contains(&talked), "hung up after {talked} s");
    assert!(server.log_text().contains("the server has ended"));
}
