//! INVITEs by the hundred: from sources of no trunk, beyond the limit of calls, and never acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anteroom::wire::sip::HeaderName;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::caller::{Caller, SOON};
use super::raw::*;
use super::support::Server;

/// Of a source in no trunk nothing stays, and nobody is sent more than he sent: a forged source address gains nothing.
#[test]
fn strangers_leave_nothing_behind_and_get_no_more_than_they_send() {
    let trunk = "sip.trunks=[{name=\"carrier\", from=[\"127.50.0.2/32\"]}]";
    // A rate at which none of these is too much: all are looked at.
    let rate = "limits.calls_per_second=100000";
    let settings = ["sip.listen=127.50.0.1:0", trunk, "sip.strangers=refuse", rate, "log.level=info"];
    let mut server = Server::start("flood-strangers", &settings);
    let patience = Plug::new("127.50.0.2", server.sip);
    let stranger = Plug::new("127.50.0.3", server.sip);
    let rtp = Plug::new("127.50.0.3", server.sip);
    let (mut sent_bytes, mut largest) = (0, BTreeMap::new());
    let (mut answered_bytes, mut statuses) = (0, BTreeMap::new());
    let mut receive = |sizes: &BTreeMap<String, usize>| {
        for answer in stranger.drain() {
            let text = String::from_utf8_lossy(&answer).into_owned();
            let call_id = text.lines().find_map(|line| line.strip_prefix("Call-ID: ")).unwrap().trim().to_owned();
            let question = sizes[&call_id];
            assert!(answer.len() <= question, "{} bytes for {question}: {text}", answer.len());
            assert!(!text.contains("Server:") && !text.contains("Contact:"), "{text}");
            answered_bytes += answer.len();
            *statuses.entry(status(&answer).unwrap()).or_insert(0) += 1;
        }
        statuses.get(&200).copied().unwrap_or(0)
    };
    let mut before = server.resident_kib();
    for number in 0..4_000 {
        let call_id = unique("s");
        let message = match number % 4 {
            0 => invite(stranger.address, server.sip, &call_id, rtp.address),
            1 => options(stranger.address, server.sip, &call_id),
            2 => request("BYE", "UDP", stranger.address, server.sip, &call_id, "").replace("8000@", ""),
            // The least that can be answered at all: every word of ours would be one too many.
            _ => format!(
                "INVITE sip:a SIP/2.0\r\nv:SIP/2.0/UDP h;branch=z9hG4bK{number};rport\r\nf:<sip:a>;tag=1\r\nt:<sip:a>\r\n\
                 i:{call_id}\r\nCSeq:1 INVITE\r\nMax-Forwards:1\r\nl:0\r\n\r\n"
            ),
        };
        sent_bytes += message.len();
        largest.insert(call_id, message.len());
        stranger.send(&message);
        if number % 50 == 49 {
            assert!(patience.ping(3), "the trunk is served all the while");
            receive(&largest);
        }
        if number == 1_000 {
            before = server.resident_kib();
        }
    }
    // The trunk's pings are answered before what strangers sent.
    let deadline = Instant::now() + SOON;
    // On a busy machine what strangers send is shed before anything else is.
    const ANSWERED_MIN: usize = 100;
    while receive(&largest) < ANSWERED_MIN {
        assert!(Instant::now() < deadline, "OPTIONS that are not answered");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(answered_bytes <= sent_bytes && answered_bytes > 0);
    assert_eq!(statuses.keys().copied().collect::<Vec<_>>(), [200, 403], "OPTIONS are answered, and nothing else");
    assert!((ANSWERED_MIN..=1_000).contains(&statuses[&200]), "{}", statuses[&200]);
    let grown = server.resident_kib().saturating_sub(before);
    assert!(grown < 4 << 10, "{grown} KiB for 3,000 messages of strangers");
    assert!(rtp.receive(Duration::from_millis(1)).is_none(), "voice for a stranger");
    // The trunk's pings are still remembered; of the strangers nothing is.
    assert!(server.metric("anteroom_sip_transactions") <= 100.0);
    assert_eq!(server.metric("anteroom_calls_total"), 0.0);
    let told = server.log_text().matches("request refused").count();
    assert!((1..=20).contains(&told), "some are told, not each of 3,000: {told}");
    assert_takes_a_call(&server, "127.50.0.2");
    assert_never_panicked(&mut server);
}

/// One call, however often its INVITE comes.
#[test]
fn an_invite_sent_again_and_again_is_one_call() {
    let mut server = Server::start("flood-again", &["sip.listen=127.51.0.1:0", "log.level=info"]);
    let plug = Plug::new("127.51.0.2", server.sip);
    let call_id = unique("again");
    let message = invite(plug.address, server.sip, &call_id, "127.51.0.2:4000".parse().unwrap());
    plug.send(&message);
    let ok = plug.wait_for_answer(&call_id, |status| status == 200);
    for number in 0..1_000 {
        plug.send(&message);
        // The same by another way (RFC 3261 section 8.2.2.2).
        plug.send(message.replacen("branch=z9hG4bK", &format!("branch=z9hG4bK{number}"), 1));
    }
    assert!(plug.ping(5));
    let twin = plug.drain();
    assert!(twin.iter().filter_map(|datagram| status(datagram)).all(|status| [200, 482].contains(&status)));
    assert_eq!(server.metric("anteroom_calls_total"), 1.0);
    plug.acknowledge_and_leave(&ok);
    assert_holds_no_call(&server);
    assert_never_panicked(&mut server);
}

/// The one slow test: nobody acknowledges, so each call lives for 64·T1 = 32 s.
///
/// ```text
///  0 s   60 INVITEs: 100 and 200 for 10 of them, 503 with Retry-After for the others; the 200s again and again
///        (no voice goes to the address that the INVITEs name: anybody's could stand there)
///  32 s  BYE for each of the 10, answered here
///  then  no call, no session, no leg, no transaction
/// ```
#[test]
fn calls_beyond_the_limit_get_503_and_those_never_acknowledged_are_given_up() {
    let settings = ["sip.listen=127.52.0.1:0", "limits.calls=10", "log.level=info"];
    let mut server = Server::start("flood-no-ack", &settings);
    let plug = Plug::new("127.52.0.2", server.sip);
    let victim = Plug::new("127.52.0.3", server.sip);
    let mut questions = BTreeMap::new();
    for _ in 0..60 {
        let call_id = unique("flood");
        let message = invite(plug.address, server.sip, &call_id, victim.address);
        questions.insert(call_id, message.len());
        plug.send(message);
    }
    let (mut accepted, mut refused, mut left) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut oks = 0;
    let began = Instant::now();
    // A call of the limit's is over when its BYE has come; a minute is twice what is due.
    while left.len() < 10 || accepted.len() + refused.len() < 60 {
        assert!(began.elapsed() < Duration::from_secs(60), "{} accepted, {} left", accepted.len(), left.len());
        let Some(datagram) = plug.receive(Duration::from_secs(1)) else { continue };
        if let Some(response) = response(&datagram) {
            let call_id = header(&response, &HeaderName::CallId);
            match response.status {
                100 => assert!(datagram.len() <= questions[&call_id]),
                503 => {
                    assert!(datagram.len() <= questions[&call_id]);
                    let retry_after = header(&response, &HeaderName::RetryAfter);
                    assert!(retry_after.parse::<u32>().is_ok_and(|seconds| seconds > 0), "{retry_after:?}");
                    let ack = invite(plug.address, server.sip, &call_id, victim.address);
                    plug.send(acknowledge_refusal(&ack, &header(&response, &HeaderName::To)));
                    refused.insert(call_id);
                }
                200 => {
                    oks += 1;
                    accepted.insert(call_id);
                }
                status => panic!("{status}"),
            }
        } else {
            let text = String::from_utf8_lossy(&datagram).into_owned();
            assert!(text.starts_with("BYE "), "{text}");
            let waited = began.elapsed();
            assert!(waited > Duration::from_secs(30), "given up after {waited:?}: the ACK could still have come");
            left.extend(text.lines().find_map(|line| line.strip_prefix("Call-ID: ")).map(str::to_owned));
            plug.send(ok_to(&datagram).unwrap());
        }
    }
    assert_eq!((accepted.len(), refused.len()), (10, 50));
    assert_eq!(left, accepted);
    // RFC 3261 section 13.3.1.4: after T1, then twice as long each time up to T2: ten times in 32 s.
    assert!((80..=120).contains(&oks), "{oks} 200s");
    assert!(victim.receive(Duration::from_millis(1)).is_none(), "voice for an address that never said a word");
    assert_holds_no_call(&server);
    // What transactions remember they remember for 64·T1 at most; those of the BYEs for T4 (5 s).
    server.wait_for_metric("anteroom_sip_transactions", 0.0, SOON);
    let records = server.records();
    assert_eq!(records.len(), 10, "{records:?}");
    assert!(records.iter().all(|record| record["ended"] == "no_ack"), "{records:?}");
    assert_takes_a_call(&server, "127.52.0.4");
    assert_never_panicked(&mut server);
}

/// RFC 3261 section 17.1.1.3: the INVITE's own branch, and the answer's To.
fn acknowledge_refusal(invite: &str, to: &str) -> String {
    let head = invite.split("\r\n\r\n").next().unwrap();
    let lines = head.split("\r\n").filter(|line| !line.starts_with("Content-"));
    let lines = lines.map(|line| match line.split_once(": ") {
        Some(("To", _)) => format!("To: {to}"),
        Some(("CSeq", _)) => "CSeq: 1 ACK".to_owned(),
        _ => line.replacen("INVITE ", "ACK ", 1),
    });
    format!("{}\r\nContent-Length: 0\r\n\r\n", lines.collect::<Vec<_>>().join("\r\n"))
}

/// Two sockets a call: the server asks for as many open files as its calls can need, whatever it was started with.
#[test]
fn the_open_files_that_all_calls_need_are_asked_for() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    // What a shell has as a rule; for this process it is enough, too.
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(1_024), hard).unwrap();
    let server = Server::start("open-files", &["sip.listen=127.57.0.1:0", "limits.calls=3000", "log.level=info"]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let soft: u64 = line.split_whitespace().next().unwrap().parse().unwrap();
    assert!(soft >= hard.min(7_000), "{line}");
    assert_eq!(hard < 7_000, server.log_text().contains("limits.calls needs more open files"));
}

/// While hundreds of calls come and are never acknowledged, they hold no more than a part of the places: a caller is
/// answered, as a rule before he has to ask twice (T1 = 500 ms).
#[test]
fn callers_are_served_during_a_flood() {
    let settings = ["sip.listen=127.53.0.1:0", "limits.calls=50", "log.level=info"];
    let mut server = Server::start("flood-served", &settings);
    let plug = Plug::new("127.53.0.2", server.sip);
    let victim: SocketAddr = "127.53.0.2:4000".parse().unwrap();
    let kept = Caller::call(server.sip, "127.53.0.3");
    kept.wait_established();
    let mut served_at_once = 0;
    for round in 0..5 {
        for _ in 0..200 {
            plug.send(invite(plug.address, server.sip, &unique("flood"), victim));
        }
        let other = Caller::call(server.sip, "127.53.0.4");
        other.wait_established();
        other.hang_up();
        other.wait_ended(SOON);
        served_at_once += u32::from(other.invites_sent() == 1);
        kept.wait_heard(25);
        assert!(!kept.has_ended(), "round {round}");
    }
    assert!(served_at_once >= 3, "only {served_at_once} of 5 without a repetition");
    // An eighth of the sessions, or 16 where that is less; and the one that is up.
    server.wait_for_metric("anteroom_calls", 17.0, SOON);
    kept.hang_up();
    kept.wait_ended(SOON);
    assert_never_panicked(&mut server);
}
