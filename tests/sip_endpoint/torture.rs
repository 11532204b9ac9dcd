//! The messages of RFC 4475 and RFC 5118 against an endpoint whose trunk is open: the statuses that the index allows.

use std::path::Path;

use anteroom::sip::Counts;
use anteroom::wire::sip::HeaderName;

use super::peer::*;

/// The index's regular expressions, as far as they go: `^(200|4(01|03)|1..)$`, or `none` for no answer.
fn admits(pattern: &str, status: &str) -> bool {
    fn alternatives(text: &str) -> Vec<String> {
        let mut all = vec![String::new()];
        let mut depth = 0;
        for character in text.chars() {
            match character {
                '(' => depth += 1,
                ')' => depth -= 1,
                '|' if depth == 0 => {
                    all.push(String::new());
                    continue;
                }
                _ => {}
            }
            all.last_mut().unwrap().push(character);
        }
        all
    }
    let pattern = pattern.trim_start_matches('^').trim_end_matches('$');
    let inner = pattern.strip_prefix('(').and_then(|text| text.strip_suffix(')')).unwrap_or(pattern);
    alternatives(inner).iter().any(|alternative| match alternative.split_once('(') {
        Some((head, tails)) => status
            .strip_prefix(head)
            .is_some_and(|rest| alternatives(tails.trim_end_matches(')')).iter().any(|tail| tail == rest)),
        None => {
            alternative.len() == status.len()
                && alternative.chars().zip(status.chars()).all(|(wanted, is)| wanted == '.' || wanted == is)
        }
    })
}

#[test]
fn the_index_is_read_rightly() {
    let ours = "^(1..|2..|4(01|03)|503|6..)$";
    for (status, expected) in
        [("100", true), ("200", true), ("401", true), ("404", false), ("503", true), ("504", false)]
    {
        assert_eq!(admits(ours, status), expected, "{status}");
    }
    assert!(admits("^400$", "400") && !admits("^400$", "401"));
    assert!(admits("none", "none") && admits("^(400|none)$", "none") && !admits("^400$", "none"));
}

#[test]
fn every_message_gets_an_answer_that_its_index_allows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture");
    let mut wrong = Vec::new();
    let mut count = 0;
    for folder in ["rfc4475", "rfc5118"] {
        let index = std::fs::read_to_string(root.join(folder).join("index.tsv")).unwrap();
        for row in index.lines().skip(1).filter(|row| !row.trim().is_empty()) {
            let columns: Vec<&str> = row.split('\t').collect();
            let (file, pattern) = (columns[0], columns[5]);
            let mut peer = Peer::new();
            let (now, flow) = (peer.now, peer.flow);
            let message = std::fs::read(root.join(folder).join(file)).unwrap();
            peer.endpoint.handle_message(now, &flow, message.into());
            // What is sent back may be as malformed as what came: only the status is read.
            let answers = peer.drain_transmits();
            let statuses: Vec<String> = answers
                .iter()
                .map(|answer| String::from_utf8_lossy(&answer.bytes).chars().skip("SIP/2.0 ".len()).take(3).collect())
                .collect();
            // The RFC printed this one with a Content-Length larger than its body, and the index has it corrected beside it:
            // as it is printed it is as wrong as clerr.dat.
            let is_misprinted = file == "ipv6-in-sdp.dat";
            let is_right = match statuses.as_slice() {
                [] => admits(pattern, "none"),
                [status] if is_misprinted => status == "400",
                [status] => admits(pattern, status),
                _ => false,
            };
            if !is_right {
                wrong.push(format!("{file}: {statuses:?}, not {pattern}"));
            }
            count += 1;
        }
    }
    assert_eq!(count, 64);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn answer_to(name: &str) -> anteroom::wire::sip::Response {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture").join(name);
    let mut peer = Peer::new();
    let answer = peer.ask(std::fs::read(path).unwrap());
    if answer.status != 100 {
        peer.assert_forgotten();
        assert_eq!(peer.endpoint.counts(), Counts::default());
    }
    answer
}

#[test]
fn what_the_notes_ask_for_besides() {
    let bad_extension = answer_to("rfc4475/bext01.dat");
    assert_eq!(bad_extension.status, 420);
    let unsupported = header(&bad_extension.headers, HeaderName::Unsupported);
    assert_eq!(unsupported, "nothingSupportsThis, nothingSupportsThisEither");
    let unknown_type = answer_to("rfc4475/invut.dat");
    assert!(header(&unknown_type.headers, HeaderName::Accept).contains("application/sdp"));
    assert_eq!(answer_to("rfc4475/zeromf.dat").status, 200, "no proxy: Max-Forwards 0 has arrived");
    assert_eq!(answer_to("rfc4475/badvers.dat").status, 505);
    assert_eq!(answer_to("rfc4475/inv2543.dat").status, 100);
    assert_eq!(answer_to("rfc4475/sdp01.dat").status, 406);
    assert_eq!(answer_to("rfc5118/mult-ip-in-sdp.fixcl.dat").status, 100);
    // 3.1.1.1: two Vias more than one line shows, all of them sent back.
    let odd = answer_to("rfc4475/wsinv.dat");
    assert_eq!(odd.headers.values(&HeaderName::Via).count(), 3);
}
