//! How calls begin and end.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::sipp::{Running, Sipp};
use crate::support::Server;

const SOON: Duration = Duration::from_secs(10);

/// Starts something while the server's process is stopped, and lets it go on after this time: what was sent to it meanwhile
/// lies in its sockets.
fn asleep(server: &Server, time: Duration, start: impl FnOnce() -> Running) -> Running {
    let process = Pid::from_raw(i32::try_from(server.pid()).unwrap());
    kill(process, Signal::SIGSTOP).unwrap();
    let running = start();
    std::thread::sleep(time);
    kill(process, Signal::SIGCONT).unwrap();
    running
}

#[test]
#[ignore = "needs sipp (Debian: sip-tester); tests/run installs and runs it"]
fn a_call_is_answered_heard_and_recorded_over_udp_and_over_tcp() {
    let server = Server::start("sipp-call", &[]);
    for (number, tcp) in [false, true].into_iter().enumerate() {
        let call = Sipp::new(&server, "call").lasting(Duration::from_millis(1000));
        let outcome = if tcp { call.tcp() } else { call }.run();
        assert!((40..=60).contains(&outcome.rtp_packets), "{} packets in a second", outcome.rtp_packets);
        let record = &server.wait_for_records(number + 1, SOON)[number];
        assert_eq!(record["from"], "sipp");
        assert_eq!(record["to"], "8000");
        assert_eq!(record["trunk"], "local");
        assert_eq!(record["reached"], "attendant");
        assert_eq!(record["ended"], "caller_hung_up");
        assert_eq!(record["codec"], "PCMU");
        assert!((0.9..2.0).contains(&record["talked_s"].as_f64().unwrap()), "{record}");
    }
    // The story of a call, in this order, and nothing refused.
    let log = server.log_text();
    let mut rest = log.as_str();
    for step in ["a call comes in", "answered", "the caller is on the line", "the call is over: the caller hung up"] {
        rest = rest.split_once(step).unwrap_or_else(|| panic!("{step:?} is missing in\n{log}")).1;
    }
    assert!(!log.contains("request refused"), "{log}");
}

#[test]
#[ignore = "needs sipp (Debian: sip-tester); tests/run installs and runs it"]
fn an_invite_that_comes_again_is_no_second_call() {
    let server = Server::start("sipp-retransmission", &[]);
    let sipp = asleep(&server, Duration::from_millis(900), || Sipp::new(&server, "retransmitted-invite").start());
    let outcome = sipp.finish();
    assert!(outcome.sent("INVITE") >= 3, "the server was not asleep for long enough");
    assert_eq!(server.wait_for_records(1, SOON).len(), 1);
    assert_eq!(server.metric("anteroom_calls_total"), 1.0);
    assert_eq!(server.metric("anteroom_requests_refused_total"), 0.0);
}

/// ```text
///   200        200          200       ACK, 1.8 s after the first
///   ├── 0.5 s ──┼─── 1.0 s ───┼─ 0.3 ──┤
/// ```
#[test]
#[ignore = "needs sipp (Debian: sip-tester); tests/run installs and runs it"]
fn the_200_is_repeated_until_its_ack_comes() {
    let server = Server::start("sipp-late-ack", &[]);
    let outcome = Sipp::new(&server, "late-ack").run();
    assert_eq!(outcome.answers(200, "INVITE").len(), 3);
    let record = &server.wait_for_records(1, SOON)[0];
    assert_eq!(record["ended"], "caller_hung_up");
    server.wait_for_line("the caller is on the line", SOON);
}

/// Slow: 64·T1 are 32 s. The repetitions come after 0.5, 1.5, 3.5, 7.5 s and then each 4 s.
#[test]
#[ignore = "needs sipp (Debian: sip-tester); tests/run installs and runs it"]
fn a_call_that_is_never_acknowledged_ends_after_64_t1() {
    let server = Server::start("sipp-never-acknowledged", &[]);
    let outcome = Sipp::new(&server, "never-acknowledged").run();
    let oks = outcome.answers(200, "INVITE").len();
    assert!((10..=11).contains(&oks), "{oks} times 200");
    let record = &server.wait_for_records(1, SOON)[0];
    assert_eq!(record["ended"], "no_ack");
    let talked = record["talked_s"].as_f64().unwrap();
    assert!((31.9..33.5).contains(&talked), "given up after {talked} s");
    assert!(!server.log_text().contains("the caller is on the line"));
    server.wait_for_metric("anteroom_calls", 0.0, SOON);
    server.wait_for_metric("anteroom_media_legs", 0.0, SOON);
}

/// The answer is made in less than a millisecond, so a CANCEL is nearly always too late. It is in time when it lies in
/// the socket already when the server, which was asleep, reads the INVITE.
#[test]
#[ignore = "needs sipp (Debian: sip-tester); tests/run installs and runs it"]
fn a_caller_who_cancels_gets_487_or_a_call_that_he_can_end() {
    const CALLS: usize = 20;
    let server = Server::start("sipp-cancel", &[]);
    let calls = || Sipp::new(&server, "cancel").calls(CALLS, 100).start();
    let outcome = asleep(&server, Duration::from_millis(400), calls).finish();

    let cancelled = outcome.answers(487, "INVITE").len();
    assert!(cancelled > 0, "all {CALLS} were answered before they could be cancelled");
    assert_eq!(outcome.answers(200, "CANCEL").len(), CALLS);
    let records = server.wait_for_records(CALLS, SOON);
    let ended = |how: &str| records.iter().filter(|record| record["ended"] == how).count();
    assert_eq!(ended("caller_cancelled"), cancelled);
    assert_eq!(ended("caller_hung_up"), CALLS - cancelled);
    let nothing = records.iter().filter(|record| record["reached"] == "nothing").count();
    assert_eq!(nothing, cancelled);
    server.wait_for_metric("anteroom_calls", 0.0, SOON);
    server.wait_for_metric("anteroom_media_legs", 0.0, SOON);
}

#[test]
#[ignore = "needs sipp (Debian: sip-tester); tests/run installs and runs it"]
fn a_cancel_after_the_answer_changes_nothing() {
    let server = Server::start("sipp-cancel-too-late", &[]);
    Sipp::new(&server, "cancel-too-late").run();
    assert_eq!(server.wait_for_records(1, SOON)[0]["ended"], "caller_hung_up");
}

#[test]
#[ignore = "needs sipp (Debian: sip-tester); tests/run installs and runs it"]
fn a_caller_may_hang_up_before_the_ack() {
    let server = Server::start("sipp-early-bye", &[]);
    let outcome = Sipp::new(&server, "early-bye").run();
    // After the BYE nobody waits for the ACK any more.
    assert_eq!(outcome.answers(200, "INVITE").len(), 1);
    assert_eq!(server.wait_for_records(1, SOON)[0]["ended"], "caller_hung_up");
    server.wait_for_metric("anteroom_calls", 0.0, SOON);
}

#[test]
#[ignore = "needs sipp (Debian: sip-tester); tests/run installs and runs it"]
fn the_same_invite_by_another_way_is_refused_and_the_call_goes_on() {
    let server = Server::start("sipp-merged", &[]);
    Sipp::new(&server, "merged").run();
    let refused = server.wait_for_line("request refused", SOON);
    assert!(refused.contains("482") && refused.contains("by another way"), "{refused}");
    let records = server.wait_for_records(1, SOON);
    assert_eq!((records.len(), &records[0]["ended"]), (1, &"caller_hung_up".into()));
}

#[test]
#[ignore = "needs sipp (Debian: sip-tester); tests/run installs and runs it"]
fn options_says_what_is_spoken_over_udp_and_over_tcp() {
    let server = Server::start("sipp-options", &[]);
    Sipp::new(&server, "options").run();
    Sipp::new(&server, "options").tcp().run();
    assert_eq!(server.metric("anteroom_calls_total"), 0.0);
}
