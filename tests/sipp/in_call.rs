//! What changes in a call: hold, new addresses, late offers, session timers.

use std::time::Duration;

use crate::sipp::{Ear, Sipp};
use crate::support::Server;

const SOON: Duration = Duration::from_secs(10);

/// What the caller changes the media to, what the server answers, and where its packets go then.
struct Change {
    address: &'static str,
    elsewhere: bool,
    direction: &'static str,
    answer: &'static str,
    /// The version in the answer's o= line: one more whenever the answer is another than the last (RFC 3264 section 8).
    version: &'static str,
    heard: Heard,
}

#[derive(PartialEq)]
enum Heard {
    Nowhere,
    Here,
    Elsewhere,
}

const CHANGES: [Change; 7] = [
    Change {
        address: "127.0.0.1",
        elsewhere: false,
        direction: "sendonly",
        answer: "recvonly",
        version: "2",
        heard: Heard::Nowhere,
    },
    Change {
        address: "127.0.0.1",
        elsewhere: false,
        direction: "sendrecv",
        answer: "sendrecv",
        version: "3",
        heard: Heard::Here,
    },
    Change {
        address: "127.0.0.1",
        elsewhere: false,
        direction: "inactive",
        answer: "inactive",
        version: "4",
        heard: Heard::Nowhere,
    },
    Change {
        address: "127.0.0.1",
        elsewhere: false,
        direction: "sendrecv",
        answer: "sendrecv",
        version: "5",
        heard: Heard::Here,
    },
    // How hold was asked for before RFC 3264.
    Change {
        address: "0.0.0.0",
        elsewhere: false,
        direction: "sendrecv",
        answer: "recvonly",
        version: "6",
        heard: Heard::Nowhere,
    },
    Change {
        address: "127.0.0.1",
        elsewhere: false,
        direction: "sendrecv",
        answer: "sendrecv",
        version: "7",
        heard: Heard::Here,
    },
    Change {
        address: "127.0.0.1",
        elsewhere: true,
        direction: "sendrecv",
        answer: "sendrecv",
        version: "7",
        heard: Heard::Elsewhere,
    },
];

#[test]
#[ignore = "needs sipp (Debian: sip-tester); tests/run installs and runs it"]
fn a_caller_holds_resumes_and_moves_his_telephone() {
    let server = Server::start("sipp-hold", &[]);
    let (here, elsewhere) = (Ear::open(), Ear::open());
    let mut sipp = Sipp::new(&server, "hold").key("here", &here.port().to_string());
    for change in &CHANGES {
        let port = if change.elsewhere { elsewhere.port() } else { here.port() }.to_string();
        sipp = sipp.row(&[
            ("address", change.address),
            ("port", &port),
            ("direction", change.direction),
            ("version", change.version),
            ("answer", change.answer),
        ]);
    }
    let sipp = sipp.start();
    for (number, change) in CHANGES.iter().enumerate() {
        server.wait_for_lines("the caller changed the media", number + 1, SOON);
        // The last packet may be on its way; then there are 800 ms more until the next change.
        std::thread::sleep(Duration::from_millis(150));
        let before = (here.heard(), elsewhere.heard());
        std::thread::sleep(Duration::from_millis(500));
        let heard = (here.heard() - before.0, elsewhere.heard() - before.1);
        let expected = |at: Heard| if change.heard == at { 15..=35 } else { 0..=0 };
        let what = format!("after change {number}: {heard:?} packets here and elsewhere");
        assert!(expected(Heard::Here).contains(&heard.0), "{what}");
        assert!(expected(Heard::Elsewhere).contains(&heard.1), "{what}");
    }
    sipp.finish();
    let record = &server.wait_for_records(1, SOON)[0];
    assert_eq!((&record["ended"], &record["codec"]), (&"caller_hung_up".into(), &"PCMU".into()));
}

#[test]
#[ignore = "needs sipp (Debian: sip-tester); tests/run installs and runs it"]
fn a_reinvite_without_an_offer_gets_one() {
    let server = Server::start("sipp-reinvite", &[]);
    let elsewhere = Ear::open();
    Sipp::new(&server, "reinvite-without-offer").key("other_port", &elsewhere.port().to_string()).run();
    assert!((30..=60).contains(&elsewhere.heard()), "{} packets at the new port", elsewhere.heard());
    let changed = server.wait_for_line("the caller changed the media: both ways", SOON);
    assert!(changed.contains("PCMA"), "{changed}");
    assert_eq!(server.wait_for_records(1, SOON)[0]["codec"], "PCMA");
}

#[test]
#[ignore = "needs sipp (Debian: sip-tester); tests/run installs and runs it"]
fn an_invite_without_an_offer_gets_one() {
    let server = Server::start("sipp-late-offer", &[]);
    let outcome = Sipp::new(&server, "late-offer").run();
    assert!((20..=45).contains(&outcome.rtp_packets), "{} packets", outcome.rtp_packets);
    let record = &server.wait_for_records(1, SOON)[0];
    assert_eq!((&record["ended"], &record["codec"]), (&"caller_hung_up".into(), &"PCMA".into()));
}

#[test]
#[ignore = "needs sipp (Debian: sip-tester); tests/run installs and runs it"]
fn an_offer_that_nobody_answers_ends_the_call() {
    let server = Server::start("sipp-unanswered-offer", &[]);
    Sipp::new(&server, "late-offer-unanswered").run();
    let record = &server.wait_for_records(1, SOON)[0];
    assert!(record["why"].as_str().unwrap().contains("no answer to our offer"), "{record}");
    server.wait_for_metric("anteroom_calls", 0.0, SOON);
}

#[test]
#[ignore = "needs sipp (Debian: sip-tester); tests/run installs and runs it"]
fn update_holds_and_resumes_as_a_reinvite_does() {
    let server = Server::start("sipp-update", &[]);
    Sipp::new(&server, "update").run();
    server.wait_for_line("the caller changed the media: one way", SOON);
    server.wait_for_line("the caller changed the media: both ways", SOON);
    assert_eq!(server.wait_for_records(1, SOON)[0]["ended"], "caller_hung_up");
}

#[test]
#[ignore = "needs sipp (Debian: sip-tester); tests/run installs and runs it"]
fn a_session_timer_is_agreed_to_and_refreshed() {
    let server = Server::start("sipp-session-timer", &[]);
    Sipp::new(&server, "session-timer").run();
    let refused = server.wait_for_line("request refused", SOON);
    assert!(refused.contains("422"), "{refused}");
    assert_eq!(server.wait_for_records(1, SOON)[0]["ended"], "caller_hung_up");
}
