//! What is refused, and how it is explained: to the caller by a header, to the operator by one line of the log.

use std::time::Duration;

use crate::sipp::Sipp;
use crate::support::Server;

const SOON: Duration = Duration::from_secs(10);

/// An INVITE that is a good one but for what is named here.
struct Invite {
    change: (&'static str, &'static str),
    status: &'static str,
    /// Must be in the answer; a regular expression.
    expected: &'static str,
    /// Must be in the log's line.
    why: &'static str,
}

const INVITES: &[Invite] = &[
    Invite { change: ("uri", "mailto:anna@example.com"), status: "416", expected: "416", why: "scheme" },
    Invite {
        change: ("extra", "Require: 100rel, timer, x-unheard-of"),
        status: "420",
        expected: "Unsupported: 100rel, x-unheard-of",
        why: "an extension is required",
    },
    Invite { change: ("hops", "0"), status: "483", expected: "483", why: "Max-Forwards" },
    Invite { change: ("to_tag", ";tag=nobody"), status: "481", expected: "481", why: "no such call" },
    Invite { change: ("type", "text/plain"), status: "415", expected: "Accept: .*application/sdp", why: "no session" },
    Invite { change: ("extra", "Accept: text/plain"), status: "406", expected: "406", why: "does not accept" },
    Invite { change: ("profile", "RTP/SAVP"), status: "488", expected: "Warning: 302 ", why: "only RTP/AVP" },
    Invite { change: ("formats", "4 18"), status: "488", expected: "Warning: 305 ", why: "no codec in common" },
    Invite {
        change: ("extra", "Session-Expires: 10\n      Supported: timer"),
        status: "422",
        expected: "Min-SE: 90",
        why: "too small",
    },
];

const GOOD_INVITE: &[(&str, &str)] = &[
    ("uri", "sip:8000@[remote_ip]:[remote_port]"),
    ("to_tag", ""),
    ("hops", "70"),
    ("extra", "Subject: one of many"),
    ("type", "application/sdp"),
    ("profile", "RTP/AVP"),
    ("formats", "0 8"),
];

#[test]
#[ignore = "needs sipp (Debian: sip-tester); tests/run installs and runs it"]
fn an_invite_that_can_be_no_call_is_refused_with_the_reason() {
    let server = Server::start("sipp-refused-invites", &[]);
    let mut sipp = Sipp::new(&server, "refused-invites");
    for invite in INVITES {
        let mut row: Vec<(&str, &str)> = GOOD_INVITE.to_vec();
        row.iter_mut().filter(|(name, _)| *name == invite.change.0).for_each(|place| *place = invite.change);
        row.extend([("status", invite.status), ("expected", invite.expected)]);
        sipp = sipp.row(&row);
    }
    sipp.run();
    for (invite, line) in INVITES.iter().zip(server.wait_for_lines("request refused", INVITES.len(), SOON)) {
        assert!(line.contains(invite.status) && line.contains(invite.why), "{} {}: {line}", invite.status, invite.why);
        assert!(line.contains(r#""from":"sipp""#), "{line}");
    }
    server.wait_for_metric("anteroom_requests_refused_total", INVITES.len() as f64, SOON);
    assert_eq!(server.metric("anteroom_calls_total"), 0.0);
    assert_eq!(server.metric("anteroom_media_legs"), 0.0);
    // Nothing of it was repeated: every refusal had its ACK.
}

/// Method, To tag, further header, status, what must be in the answer.
const REQUESTS: &[[&str; 5]] = &[
    ["MESSAGE", "", "Subject: hello", "405", "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE"],
    ["REGISTER", "", "Expires: 60", "405", "Allow: INVITE"],
    ["JUGGLE", "", "Subject: three balls", "405", "Allow: INVITE"],
    ["OPTIONS", "", "Require: x-unheard-of", "420", "Unsupported: x-unheard-of"],
    ["BYE", ";tag=nobody", "Subject: over", "481", "481"],
    ["BYE", "", "Subject: over", "481", "481"],
    ["INFO", ";tag=nobody", "Subject: keys", "481", "481"],
    ["UPDATE", ";tag=nobody", "Subject: hold", "481", "481"],
    ["CANCEL", "", "Subject: never mind", "481", "481"],
];

#[test]
#[ignore = "needs sipp (Debian: sip-tester); tests/run installs and runs it"]
fn a_request_that_belongs_to_no_call_is_refused_with_the_reason() {
    let server = Server::start("sipp-refused-requests", &[]);
    let mut sipp = Sipp::new(&server, "refused-requests");
    for [method, to_tag, extra, status, expected] in REQUESTS {
        sipp = sipp.row(&[
            ("method", method),
            ("to_tag", to_tag),
            ("extra", extra),
            ("status", status),
            ("expected", expected),
        ]);
    }
    sipp.run();
    let lines = server.wait_for_lines("request refused", REQUESTS.len(), SOON);
    for ([method, _, _, status, _], line) in REQUESTS.iter().zip(lines) {
        assert!(
            line.contains(&format!(r#""method":"{method}""#)) && line.contains(status),
            "{method} {status}: {line}"
        );
    }
}
