//! Every status that a request can be refused with, and strangers.

use std::time::Duration;

use anteroom::sip::*;
use anteroom::wire::sip::HeaderName;

use super::peer::*;

/// What real requests have besides: answers to those that are too short for them leave out what can be spared.
const USUAL: &str = "User-Agent: a telephone of some name and version; Allow and Supported follow in most of them";

/// Sends an INVITE; gives back the status, the value of that header, and the words for the log.
fn refused(extra: &[&str], body: &str, name: HeaderName) -> (u16, String, String) {
    let mut peer = Peer::new();
    let invite = peer.request("INVITE", 1, extra, body);
    let answer = peer.ask(&invite);
    assert!(answer.headers.to().unwrap().tag().is_some(), "a tag on everything above 100");
    let events = peer.events();
    let [SipEvent::Refused(told)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((told.status, told.method.as_str()), (Some(answer.status), "INVITE"));
    assert_eq!((told.caller.as_deref(), told.called.as_deref()), (Some("anna"), Some("8000")));
    assert_eq!(peer.ask(&invite), answer, "the same INVITE, the same answer");
    assert!(peer.events().is_empty(), "and not told twice");
    peer.to_tag = tag_of(&answer);
    let ack = peer.request_in_branch("ACK", 1, peer.branch, &[], "");
    assert!(peer.send(ack).is_empty());
    assert!(peer.wait(Duration::from_secs(4)).is_empty());
    peer.assert_forgotten();
    (answer.status, header(&answer.headers, name), told.why.clone())
}

#[test]
fn extensions_and_types_that_are_not_known() {
    assert_eq!(refused(&["Require: 100rel, timer"], OFFER, HeaderName::Unsupported).1, "100rel");
    let (status, unsupported, _) = refused(&["Require: one", "Require: two"], OFFER, HeaderName::Unsupported);
    assert_eq!((status, unsupported.as_str()), (420, "one, two"));
    let (status, accept, _) = refused(&["Content-Type: text/plain"], "hello", HeaderName::Accept);
    assert_eq!((status, accept.as_str()), (415, "application/sdp, multipart/mixed"));
    let (status, accept, _) = refused(&["Content-Encoding: gzip"], OFFER, HeaderName::AcceptEncoding);
    assert_eq!((status, accept.as_str()), (415, "identity"));
    assert_eq!(refused(&["Accept: text/plain"], OFFER, HeaderName::Accept).0, 406);
}

#[test]
fn a_call_that_used_up_its_hops() {
    let mut peer = Peer::new();
    let invite = peer.request("INVITE", 1, &[], OFFER).replace("Max-Forwards: 70", "Max-Forwards: 0");
    assert_eq!(peer.ask(invite).status, 483);
    let options = peer.request("OPTIONS", 1, &[], "").replace("Max-Forwards: 70", "Max-Forwards: 0");
    assert_eq!(peer.ask(options).status, 200, "RFC 3261 section 11: a trace-route ends here");
}

#[test]
fn offers_that_can_not_become_a_call() {
    let cases: [(String, &str); 10] = [
        ("v=0\r\nnonsense".into(), "399"),
        (OFFER.replace("8 0 101", "18 101"), "305"),
        (OFFER.replace("8 0 101", "111") + "a=rtpmap:111 opus/48000/2\r\n", "305"),
        (OFFER.replace("RTP/AVP", "RTP/SAVP"), "302"),
        (OFFER.replace("RTP/AVP", "UDP/TLS/RTP/SAVPF"), "302"),
        (OFFER.replace("m=audio", "m=video"), "304"),
        (OFFER.replace("m=audio 40000", "m=audio 0"), "304"),
        (OFFER.replace("c=IN IP4 192.0.2.9", "c=IN IP4 phone.example.com"), "301"),
        (OFFER.replace("c=IN IP4 192.0.2.9", "c=IN IP4 224.2.1.1/127"), "301"),
        (OFFER.split("m=audio").next().unwrap().into(), "304"),
    ];
    for (offer, code) in cases {
        let (status, warning, why) = refused(&[USUAL], &offer, HeaderName::Warning);
        assert_eq!(status, 488, "{offer}");
        assert!(warning.starts_with(&format!("{code} anteroom \"")), "{warning}");
        assert!(warning.contains(&why.replace('"', "\\\"")), "{warning} {why}");
    }
}

#[test]
fn what_a_call_would_keep_is_bounded() {
    let route = format!("Record-Route: <sip:192.0.2.50;lr;x={}>", "y".repeat(7000));
    assert_eq!(refused(&[&route], OFFER, HeaderName::Warning).0, 513);
}

#[test]
fn large_answers_are_sent_and_not_kept() {
    for (method, status) in [("OPTIONS", 200), ("REGISTER", 405), ("INVITE", 513)] {
        let mut peer = Peer::new();
        let via = format!("Via: SIP/2.0/UDP 192.0.2.60;branch=z9hG4bK{}", "y".repeat(50_000));
        let body = if method == "INVITE" { OFFER } else { "" };
        let text = peer.request(method, 1, &[&via], body);
        assert_eq!(peer.ask(&text).status, status, "{method}");
        assert_eq!(peer.endpoint.counts().transactions, 0, "{method}");
    }
}

#[test]
fn session_intervals_that_are_too_small() {
    let asked = ["Session-Expires: 60", "Supported: timer"];
    let (status, min_se, _) = refused(&asked, OFFER, HeaderName::MinSe);
    assert_eq!((status, min_se.as_str()), (422, "90"));
}

#[test]
fn methods_schemes_and_dialogs_that_are_not_known() {
    for method in ["REGISTER", "SUBSCRIBE", "MESSAGE", "REFER", "PRACK", "PUBLISH", "NOTIFY", "DANCE"] {
        let mut peer = Peer::new();
        let text = peer.request(method, 1, &[USUAL], "");
        let answer = peer.ask(&text);
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(header(&answer.headers, HeaderName::Allow), "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE");
        peer.assert_forgotten();
    }
    for method in ["INVITE", "OPTIONS", "BYE"] {
        let mut peer = Peer::new();
        let text = peer.request(method, 1, &[], "").replace("sip:8000@192.0.2.1 SIP", "h323:8000@192.0.2.1 SIP");
        assert_eq!(peer.ask(&text).status, 416, "{method}");
    }
    for method in ["BYE", "INFO", "UPDATE"] {
        let mut peer = Peer::new();
        let text = peer.request(method, 1, &[], "");
        assert_eq!(peer.ask(&text).status, 481, "{method} without a To tag");
    }
    for (method, tag) in
        [("INVITE", "0123456789abcdef"), ("BYE", "nonsense"), ("OPTIONS", "x"), ("INFO", "fedcba9876543210")]
    {
        let mut peer = Peer::new();
        peer.to_tag = tag.into();
        let text = peer.request(method, 1, &[], "");
        assert_eq!(peer.ask(&text).status, 481, "{method}");
        let ack = peer.request("ACK", 1, &[], "");
        assert!(peer.send(ack).is_empty(), "an ACK is never answered");
        peer.assert_forgotten();
    }
}

#[test]
fn a_dialog_is_its_three_marks() {
    let (mut peer, _) = Peer::up(&[], config());
    let right = (peer.call_id.clone(), peer.from_tag.clone(), peer.to_tag.clone());
    let wrong = [
        ("other".to_string(), right.1.clone(), right.2.clone()),
        (right.0.clone(), "other".into(), right.2.clone()),
        (right.0.clone(), right.1.clone(), "0000000000000000".into()),
    ];
    for (call_id, from_tag, to_tag) in wrong {
        (peer.call_id, peer.from_tag, peer.to_tag) = (call_id, from_tag, to_tag);
        let bye = peer.request("BYE", 2, &[], "");
        assert_eq!(peer.ask(bye).status, 481);
    }
    (peer.call_id, peer.from_tag, peer.to_tag) = right;
    assert!(ended(&peer.events()).is_empty());
    let bye = peer.request("BYE", 2, &[], "");
    assert_eq!(peer.ask(bye).status, 200);
}

#[test]
fn a_full_house_says_when_to_come_again() {
    let mut peer = Peer::with(EndpointConfig { max_sessions: 2, retry_after_s: 12, ..config() });
    let mut answers = Vec::new();
    for call in 0..50 {
        peer.call_id = format!("flood-{call}");
        let invite = peer.request("INVITE", 1, &[], OFFER);
        answers.push(peer.ask(invite));
    }
    assert!(answers[..2].iter().all(|answer| answer.status == 100));
    for answer in &answers[2..] {
        assert_eq!((answer.status, header(&answer.headers, HeaderName::RetryAfter).as_str()), (503, "12"));
    }
    for event in peer.events() {
        if let SipEvent::Incoming { session, .. } = event {
            peer.accept(session);
        }
    }
    // No ACK ever comes.
    peer.wait(Duration::from_secs(40));
    assert_eq!(ended(&peer.events()), [EndReason::NoAck, EndReason::NoAck]);
    peer.assert_forgotten();
}

#[test]
fn a_flood_holds_no_more_than_its_bound() {
    let mut peer = Peer::with(EndpointConfig { max_transactions: 10, ..config() });
    for call in 0..10_000 {
        peer.call_id = format!("flood-{call}");
        let method = ["INVITE", "OPTIONS", "REGISTER"][call % 3];
        let text = peer.request(method, 1, &[], OFFER);
        assert_eq!(peer.send(&text).len(), 1, "answered without being remembered");
        assert!(peer.endpoint.counts().transactions <= 10);
    }
    let invite = peer.request("INVITE", 1, &[], OFFER);
    let busy = peer.ask(invite);
    assert_eq!((busy.status, header(&busy.headers, HeaderName::RetryAfter).as_str()), (503, "30"));
    peer.wait(Duration::from_secs(300));
    peer.assert_forgotten();
}

#[test]
fn before_its_end_the_server_takes_no_calls_and_keeps_those_it_has() {
    let (mut peer, _) = Peer::up(&[], config());
    peer.endpoint.set_accepting(Admission::Draining { retry_after_s: 300 });
    let (call_id, to_tag) = (std::mem::replace(&mut peer.call_id, "new".into()), std::mem::take(&mut peer.to_tag));
    for method in ["INVITE", "OPTIONS"] {
        let text = peer.request(method, 1, &[], "");
        let answer = peer.ask(&text);
        assert_eq!((answer.status, header(&answer.headers, HeaderName::RetryAfter).as_str()), (503, "300"), "{method}");
        let ack = peer.request_in_branch("ACK", 1, peer.branch, &[], "");
        peer.send(ack);
    }
    (peer.call_id, peer.to_tag) = (call_id, to_tag);
    let hold = peer.request("INVITE", 2, &[], &(OFFER.to_string() + "a=sendonly\r\n"));
    assert_eq!(peer.ask(hold).status, 200);
}

#[test]
fn no_answer_to_a_question_that_may_be_forged_is_much_larger_than_it() {
    let config = || EndpointConfig { server_header: Some("Anteroom of a long name".into()), ..config() };
    for (method, status) in [("OPTIONS", 200), ("REGISTER", 405), ("BYE", 481), ("INVITE", 415)] {
        for (extra, body) in [(&[][..], ""), (&["Content-Type: text/plain"][..], "no offer"), (&[USUAL][..], "")] {
            let mut peer = Peer::with(config());
            let text = peer.request(method, 1, extra, body);
            let answer = peer.ask(&text);
            if method != "INVITE" || answer.status != 100 {
                assert!(answer.status == status || body.is_empty(), "{method} {}", answer.status);
                let length = answer.write().len();
                assert!(length <= 2 * text.len(), "{length} bytes for {}: {method}", text.len());
            }
        }
    }
    // The least that can be said, to the least that can be asked.
    let mut peer = Peer::with(config());
    let small = "OPTIONS sip:a SIP/2.0\r\nv:SIP/2.0/UDP b;branch=z9hG4bK1;rport\r\nf:<sip:a>;tag=1\r\nt:<sip:a>\r\ni:1\r\n\
                 CSeq:1 OPTIONS\r\n\r\n";
    let length = peer.ask(small).write().len();
    assert!(length <= 2 * small.len(), "{length} bytes for {}", small.len());
}

/// One source of a trunk never acknowledges: it holds no more than its part of the calls, and others are served.
#[test]
fn calls_without_ack_are_an_eighth_of_all_for_one_source() {
    let mut peer = Peer::with(EndpointConfig { max_sessions: 400, ..config() });
    let mut statuses = Vec::new();
    for call in 0..100 {
        peer.call_id = format!("silent-{call}");
        let invite = peer.request("INVITE", 1, &[], OFFER);
        statuses.push(peer.ask(invite).status);
    }
    assert_eq!((statuses[49], statuses[50]), (100, 503));
    assert_eq!(peer.endpoint.counts().sessions, 50);
    assert_eq!(peer.endpoint.refusals().shed[&Shed::Unacknowledged], 50);
    peer.events().into_iter().for_each(|event| {
        if let SipEvent::Incoming { session, .. } = event {
            peer.accept(session);
        }
    });
    peer.wait(Duration::from_secs(40));
    peer.call_id = "at-last".into();
    peer.to_tag.clear();
    let invite = peer.request("INVITE", 1, &[], OFFER);
    assert_eq!(peer.ask(invite).status, 100, "their places are free again");
}

/// 300 INVITEs at once where 10 a second are taken: the others cost nothing, and a repetition changes nothing.
#[test]
fn above_the_rated_load_an_invite_gets_503_and_leaves_nothing_behind() {
    let mut peer = Peer::with(EndpointConfig { calls_per_second: Some(10), ..config() });
    let mut refused = None;
    for call in 0..300 {
        peer.call_id = format!("rush-{call}");
        let invite = peer.request("INVITE", 1, &[], OFFER);
        let answer = peer.ask(&invite);
        assert_eq!(answer.status, if call < 10 { 100 } else { 503 }, "{call}");
        if call >= 10 {
            let retry_after = header(&answer.headers, HeaderName::RetryAfter);
            assert!((1..=4).contains(&retry_after.parse::<u32>().unwrap()), "{retry_after}");
            refused = Some((invite, answer));
        }
        assert!(peer.endpoint.counts().transactions <= 10 && peer.endpoint.counts().sessions <= 10);
    }
    assert_eq!(peer.endpoint.refusals().shed[&Shed::CallsPerSecond], 290);
    let told = peer.events().iter().filter(|event| matches!(event, SipEvent::Refused(_))).count();
    assert_eq!(told, 20, "a flood fills no log");
    // There is room again; but this INVITE has its answer.
    peer.wait(Duration::from_secs(2));
    let (invite, answer) = refused.unwrap();
    assert_eq!(peer.ask(&invite), answer);
    assert_eq!(peer.endpoint.refusals().shed[&Shed::CallsPerSecond], 290, "counted once");
    peer.call_id = "anew".into();
    let invite = peer.request("INVITE", 1, &[], OFFER);
    assert_eq!(peer.ask(invite).status, 100);
}

fn stranger() -> Peer {
    let trunk =
        Trunk { name: "carrier".into(), from: vec!["198.51.100.0/24".parse().unwrap()], vouches: false, calls: None };
    Peer::with(EndpointConfig { trunks: TrunkTable::new(vec![trunk]), strangers: Strangers::Refuse, ..config() })
}

#[test]
fn strangers_learn_little_and_leave_nothing_behind() {
    let mut peer = stranger();
    for (method, status) in [("INVITE", 403), ("OPTIONS", 200), ("REGISTER", 405), ("BYE", 403), ("CANCEL", 481)] {
        let text =
            peer.request(method, 1, &["X-Filling: some more bytes, as any real request has them, to be answered"], "");
        let answer = peer.ask(&text);
        assert_eq!(answer.status, status, "{method}");
        assert!(answer.write().len() <= text.len());
        assert_eq!(header(&answer.headers, HeaderName::Server), "");
        assert_eq!(header(&answer.headers, HeaderName::Allow), "");
        assert_eq!(peer.ask(&text), answer, "a stateless answer is the same, tag and all");
        assert_eq!(peer.endpoint.counts(), Counts::default());
    }
    let ack = peer.request("ACK", 1, &[], "");
    assert!(peer.send(ack).is_empty());
    let events = peer.events();
    let Some(SipEvent::Refused(told)) = events.first() else { panic!("{events:?}") };
    assert_eq!((told.status, told.why.as_str()), (Some(403), "the source is in no trunk"));
    assert!(!events.iter().any(|event| matches!(event, SipEvent::Incoming { .. })));
}

#[test]
fn no_answer_to_a_stranger_is_larger_than_his_question() {
    let mut peer = stranger();
    let small = "INVITE sip:a@b SIP/2.0\r\nv:SIP/2.0/UDP b;branch=z9hG4bK1\r\nf:<sip:a@b>;tag=1\r\nt:<sip:a@b>\r\ni:1\r\n\
                 CSeq:1 INVITE\r\nm:<sip:a@b>\r\n\r\n";
    for text in [small.to_string(), small.replace("INVITE", "OPTIONS"), small.replace("CSeq:1", "CSeq:x")] {
        assert!(peer.send(&text).is_empty(), "{text}");
        let events = peer.events();
        let [SipEvent::Refused(told)] = events.as_slice() else {
            assert!(text.starts_with("OPTIONS"), "{events:?}");
            continue;
        };
        assert_eq!(told.status, None);
    }
    let mut silent = stranger();
    silent.endpoint = Endpoint::new(
        EndpointConfig { trunks: TrunkTable::default(), ..config() },
        rand::SeedableRng::seed_from_u64(1),
    );
    for method in ["INVITE", "OPTIONS", "REGISTER"] {
        let text = silent.request(method, 1, &["X-Filling: some more bytes, as any real request has them"], OFFER);
        assert!(silent.send(text).is_empty());
    }
}

#[test]
fn a_scan_fills_no_log() {
    let mut peer = stranger();
    for call in 0..1000 {
        peer.call_id = format!("scan-{call}");
        let text = peer.request("REGISTER", 1, &[], "");
        peer.send(text);
    }
    assert_eq!(peer.events().len(), 20);
    assert_eq!(peer.endpoint.refusals().by_status.values().sum::<u64>(), 1000, "all are counted");
    peer.wait(Duration::from_secs(60));
    for _ in 0..2 {
        let text = peer.request("REGISTER", 1, &[], "");
        peer.send(text);
    }
    let events = peer.events();
    let [SipEvent::Refused(told)] = events.as_slice() else { panic!("one line a minute: {events:?}") };
    assert_eq!(told.suppressed, 980);
}

#[test]
fn what_can_not_be_read_is_answered_and_forgotten() {
    let mut peer = Peer::new();
    let text = peer.request("INVITE", 1, &[], OFFER).replace("CSeq: 1 INVITE", "CSeq: 1 BYE");
    let answer = peer.ask(&text);
    assert_eq!(answer.status, 400);
    assert_eq!(answer.headers.top_via().unwrap().to_string(), "SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK-1");
    assert_eq!(peer.endpoint.counts(), Counts::default());
    let events = peer.events();
    let [SipEvent::Refused(told)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((told.status, told.why.as_str()), (Some(400), "CSeq names another method"));
    for garbage in
        [&b"\0\0\0\0"[..], b"GET / HTTP/1.1\r\n\r\n", b"INVITE sip:x SIP/2.0\r\n\r\n", b"\xff".repeat(2000).leak()]
    {
        assert!(peer.send(garbage).is_empty());
        assert_eq!(peer.events().len(), 1);
    }
    for keep_alive in ["\r\n\r\n", "\r\n"] {
        assert!(peer.send(keep_alive).is_empty());
        assert!(peer.events().is_empty());
    }
    assert_eq!(peer.endpoint.counts(), Counts::default());
}

#[test]
fn a_name_can_not_forge_a_line_of_the_log() {
    let mut peer = Peer::new();
    let invite = peer.request("INVITE", 1, &["Require: x"], OFFER).replace("sip:anna@", "sip:an%0d%0ana%1b[2J@");
    peer.ask(invite);
    let events = peer.events();
    let [SipEvent::Refused(told)] = events.as_slice() else { panic!("{events:?}") };
    let caller = told.caller.clone().unwrap();
    assert!(!caller.contains(char::is_control), "{caller:?}");
    let long = "9".repeat(2000);
    let mut peer = Peer::new();
    let invite = peer.request("INVITE", 1, &[], OFFER).replace("sip:anna@", &format!("sip:{long}@"));
    peer.ask(invite);
    let events = peer.events();
    let [SipEvent::Incoming { call, .. }] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(call.caller.len(), 128);
}

#[test]
fn stray_responses_are_dropped() {
    let mut peer = Peer::new();
    for status in [100, 200, 404] {
        let text = format!(
            "SIP/2.0 {status} X\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK0123456789abcdef\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:a@b>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
        );
        assert!(peer.send(text).is_empty());
    }
    assert!(peer.events().is_empty());
}
