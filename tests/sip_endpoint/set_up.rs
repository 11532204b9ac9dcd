//! INVITE to ACK.

use std::time::Duration;

use anteroom::sip::*;
use anteroom::wire::sip::{HeaderName, Message, Method};
use anteroom::words::media::{Codec, Direction, FromPeer, NegotiatedMedia};

use super::peer::*;

#[test]
fn a_call_from_invite_to_bye() {
    let mut peer = Peer::new();
    let invite = peer.request("INVITE", 1, &["Timestamp: 54"], OFFER);
    let trying = peer.ask(invite);
    assert_eq!((trying.status, header(&trying.headers, HeaderName::Timestamp).as_str()), (100, "54"));
    assert!(trying.headers.to().unwrap().tag().is_none());
    let events = peer.events();
    let [SipEvent::Incoming { session, call }] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((call.caller.as_str(), call.caller_display.as_str(), call.called.as_str()), ("anna", "Anna B", "8000"));
    assert_eq!((call.sip_call_id.as_str(), &*call.trunk, call.offer), ("call-1", "open", true));
    assert_eq!(call.peer_rtp, Some("192.0.2.9".parse().unwrap()));

    let ringing = response(peer.command(Command::Ring { session: *session }));
    assert_eq!(ringing.status, 180);
    let ok = peer.accept(*session);
    assert_eq!(tag_of(&ringing), tag_of(&ok));
    assert_eq!(header(&ok.headers, HeaderName::Contact), "<sip:192.0.2.1:5060>");
    assert_eq!(header(&ok.headers, HeaderName::Server), "Anteroom");
    assert_eq!(header(&ok.headers, HeaderName::ContentType), "application/sdp");
    let answer = sdp(&ok.body);
    let [voice] = answer.sections.as_slice() else { panic!("{answer:?}") };
    assert_eq!((voice.port, voice.formats.join(" ").as_str(), voice.ptime_ms), (20000, "8 101", Some(20)));
    let agreed = NegotiatedMedia {
        remote_rtp: address("192.0.2.9:40000"),
        remote_rtcp: address("192.0.2.9:40001"),
        codec: Codec::Pcma,
        payload_type: 8,
        bits_per_second_max: None,
        telephone_event: Some(101),
        from_peer: FromPeer { voice: 8, events: Some((101, 8_000)) },
        direction: Direction::SendRecv,
    };
    assert_eq!(peer.events(), [SipEvent::MediaAgreed { session: *session, media: agreed }]);

    assert!(peer.ack(1, "").is_empty());
    assert_eq!(peer.events(), [SipEvent::Established { session: *session }]);
    assert!(peer.wait(Duration::from_secs(20)).is_empty(), "an acknowledged 200 is not sent again");
    let bye = peer.request("BYE", 2, &[], "");
    assert_eq!(peer.ask(&bye).status, 200);
    assert_eq!(ended(&peer.events()), [EndReason::RemoteBye]);
    assert_eq!(peer.ask(&bye).status, 200, "the BYE again: the same answer");
    assert!(peer.events().is_empty());
    peer.assert_forgotten();
}

#[test]
fn the_200_is_sent_until_the_time_is_up_and_then_bye() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut peer = Peer::new();
        if transport == Transport::Tcp {
            peer.flow = Flow::tcp(address(OURS), address("192.0.2.9:41000"), 3);
        }
        let session = peer.invite(&[], OFFER);
        let ok = peer.accept(session);
        let sent = peer.wait(Duration::from_millis(31_999));
        let times: Vec<u128> = sent.iter().map(|(at, _)| at.as_millis()).collect();
        assert_eq!(times, [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
        assert!(sent.iter().all(|(_, message)| *message == Message::Response(ok.clone())));
        let sent = peer.wait(Duration::from_millis(1));
        assert!(matches!(&sent[..], [(_, Message::Request(bye))] if bye.method == Method::Bye), "{sent:?}");
        assert_eq!(ended(&peer.events()), [EndReason::NoAck]);
        peer.assert_forgotten();
    }
}

#[test]
fn an_invite_that_comes_again_is_the_same_call() {
    let mut peer = Peer::new();
    let invite = peer.request("INVITE", 1, &[], OFFER);
    assert_eq!(peer.ask(&invite).status, 100);
    assert_eq!(peer.ask(&invite).status, 100, "before the answer: the last provisional one");
    let events = peer.events();
    let [SipEvent::Incoming { session, .. }] = events.as_slice() else { panic!("{events:?}") };
    let session = *session;
    response(peer.command(Command::Ring { session }));
    assert_eq!(peer.ask(&invite).status, 180);
    peer.accept(session);
    assert!(peer.send(&invite).is_empty(), "after the 200: absorbed (RFC 6026)");
    peer.ack(1, "");
    assert!(peer.send(&invite).is_empty(), "late, after the ACK");
    peer.wait(Duration::from_secs(60));
    // So late that its transaction is forgotten: still no second call.
    assert_eq!(peer.ask(&invite).status, 482);
    let events = peer.events();
    assert!(!events.iter().any(|event| matches!(event, SipEvent::Incoming { .. })), "{events:?}");
    assert_eq!(peer.endpoint.counts().sessions, 1);
}

#[test]
fn an_invite_by_two_ways_is_one_call() {
    let mut peer = Peer::new();
    let session = peer.invite(&[], OFFER);
    let merged = peer.request("INVITE", 1, &[], OFFER);
    let loops = peer.ask(merged);
    assert_eq!(loops.status, 482);
    peer.accept(session);
    peer.ack(1, "");
    assert!(ended(&peer.events()).is_empty());
}

#[test]
fn cancel_ends_what_is_not_answered() {
    let mut peer = Peer::new();
    let session = peer.invite(&[], OFFER);
    let ringing = response(peer.command(Command::Ring { session }));
    let cancel = peer.request_in_branch("CANCEL", 1, peer.branch, &[], "");
    let answers = peer.send(&cancel);
    let statuses: Vec<u16> = answers.iter().map(|message| response(vec![message.clone()]).status).collect();
    assert_eq!(statuses, [200, 487]);
    assert!(answers.iter().all(|message| tag_of(&response(vec![message.clone()])) == tag_of(&ringing)));
    assert_eq!(ended(&peer.events()), [EndReason::Cancelled]);
    assert_eq!(peer.ask(&cancel).status, 200, "the CANCEL again");

    let resent = peer.wait(Duration::from_secs(4));
    assert_eq!(resent.iter().map(|(at, _)| at.as_millis()).collect::<Vec<_>>(), [500, 1500, 3500]);
    peer.to_tag = tag_of(&ringing);
    let ack = peer.request_in_branch("ACK", 1, peer.branch, &[], "");
    assert!(peer.send(&ack).is_empty());
    assert!(peer.wait(FORGOTTEN).is_empty(), "the ACK stops the 487");
    assert!(peer.send(&ack).is_empty());
    assert_eq!(peer.endpoint.counts(), Counts::default());
}

#[test]
fn cancel_comes_too_late_or_for_nothing() {
    let (mut peer, session) = Peer::up(&[], config());
    let invite_branch = peer.branch - 1;
    peer.to_tag.clear();
    let late = peer.request_in_branch("CANCEL", 1, invite_branch, &[], "");
    assert_eq!(peer.ask(late).status, 200);
    assert!(peer.events().is_empty(), "the call goes on");
    let stray = peer.request("CANCEL", 1, &[], "");
    assert_eq!(peer.ask(stray).status, 481);
    assert!(peer.endpoint.handle_command(peer.now, Command::HangUp { session, reason: HangUpReason::Normal }).is_ok());
}

#[test]
fn rejections_are_sent_until_their_ack() {
    let refusals = [
        (Refusal::Busy, 486),
        (Refusal::NotFound, 404),
        (Refusal::Declined, 603),
        (Refusal::Forbidden, 403),
        (Refusal::Unavailable, 480),
        (Refusal::InternalError, 500),
        (Refusal::Full { retry_after_s: 17 }, 503),
    ];
    for (refusal, status) in refusals {
        let mut peer = Peer::new();
        let session = peer.invite(&[], OFFER);
        let rejected = response(peer.command(Command::Reject { session, refusal }));
        assert_eq!(rejected.status, status);
        if status == 503 {
            assert_eq!(header(&rejected.headers, HeaderName::RetryAfter), "17");
        }
        assert!(rejected.headers.to().unwrap().tag().is_some());
        assert_eq!(ended(&peer.events()), [EndReason::Rejected { status }]);
        let resent = peer.wait(FORGOTTEN);
        assert_eq!(resent.len(), 10, "by timer G until timer H");
        assert_eq!(peer.endpoint.counts(), Counts::default());
        let gone = peer.endpoint.handle_command(peer.now, Command::Ring { session });
        assert_eq!(gone, Err(CommandError::NoSuchSession));
    }
}

#[test]
fn bye_before_the_answer_and_before_the_ack() {
    let mut peer = Peer::new();
    let session = peer.invite(&[], OFFER);
    peer.to_tag = tag_of(&response(peer.command(Command::Ring { session })));
    let bye = peer.request("BYE", 2, &[], "");
    let statuses: Vec<u16> = peer.send(bye).into_iter().map(|message| response(vec![message]).status).collect();
    assert_eq!(statuses, [200, 487]);
    assert_eq!(ended(&peer.events()), [EndReason::RemoteBye]);
    peer.assert_forgotten();

    let mut peer = Peer::new();
    let session = peer.invite(&[], OFFER);
    peer.accept(session);
    let bye = peer.request("BYE", 2, &[], "");
    assert_eq!(peer.ask(bye).status, 200);
    assert_eq!(ended(&peer.events()), [EndReason::RemoteBye]);
    assert!(peer.wait(Duration::from_secs(5)).is_empty(), "the 200 is not sent any more");
    assert!(peer.ack(1, "").is_empty(), "the ACK that comes after all");
    peer.assert_forgotten();
}

#[test]
fn our_bye_waits_for_the_ack() {
    let mut peer = Peer::new();
    let session = peer.invite(&[], OFFER);
    peer.accept(session);
    peer.events();
    let hang_up = Command::HangUp { session, reason: HangUpReason::Normal };
    assert!(peer.command(hang_up.clone()).is_empty(), "RFC 3261 section 15");
    assert_eq!(ended(&peer.events()), [EndReason::LocalBye]);
    assert_eq!(peer.endpoint.handle_command(peer.now, hang_up), Err(CommandError::NoSuchSession));
    assert_eq!(peer.wait(Duration::from_millis(500)).len(), 1, "the 200 is still due");
    let bye = request(peer.ack(1, ""));
    assert_eq!(bye.method, Method::Bye);
    assert_eq!(header(&bye.headers, HeaderName::Reason), "Q.850;cause=16;text=\"Normal call clearing\"");
    assert!(peer.answer(&bye, 200, &[], "").is_empty());
    assert!(peer.events().is_empty());
    peer.assert_forgotten();
}

#[test]
fn hanging_up_a_call_that_is_not_answered_refuses_it() {
    let mut peer = Peer::new();
    let session = peer.invite(&[], OFFER);
    let refused = response(peer.command(Command::HangUp { session, reason: HangUpReason::Shutdown }));
    assert_eq!(refused.status, 480);
    assert_eq!(ended(&peer.events()), [EndReason::LocalBye]);
    peer.assert_forgotten();
}

#[test]
fn nobody_answers_in_time() {
    let mut peer = Peer::new();
    peer.invite(&[], OFFER);
    let sent = peer.wait(Duration::from_secs(180));
    assert!(matches!(&sent[..], [(_, Message::Response(last))] if last.status == 480));
    assert_eq!(ended(&peer.events()), [EndReason::Rejected { status: 480 }]);
    peer.assert_forgotten();
}

#[test]
fn an_invite_without_offer_gets_ours() {
    let mut peer = Peer::new();
    let session = peer.invite(&[], "");
    let ok = peer.accept(session);
    let offer = sdp(&ok.body);
    assert_eq!(offer.sections[0].formats, ["0", "8", "9", "101"]);
    assert!(peer.events().is_empty(), "nothing is agreed yet");
    let answer = OFFER.replace("8 0 101", "0 101");
    peer.ack(1, &answer);
    let events = peer.events();
    let [SipEvent::MediaAgreed { media, .. }, SipEvent::Established { .. }] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!((media.codec, media.telephone_event), (Codec::Pcmu, Some(101)));

    for useless in ["", "v=1", &OFFER.replace("m=audio 40000", "m=audio 0")] {
        let mut peer = Peer::new();
        let session = peer.invite(&[], "");
        peer.accept(session);
        let bye = request(peer.ack(1, useless));
        assert_eq!(bye.method, Method::Bye);
        let events = peer.events();
        assert!(matches!(&events[..], [SipEvent::Ended { reason: EndReason::NoCommonMedia { .. }, .. }]), "{events:?}");
        peer.answer(&bye, 200, &[], "");
        peer.assert_forgotten();
    }
}

#[test]
fn media_that_does_not_fit_at_the_answer_is_refused() {
    let mut peer = Peer::new();
    let session = peer.invite(&[], OFFER);
    let media = LocalMedia { rtp: address("[2001:db8::1]:20000"), ..local_media() };
    let outcome = peer.endpoint.handle_command(peer.now, Command::Accept { session, media });
    assert!(matches!(outcome, Err(CommandError::NoCommonMedia(_))), "{outcome:?}");
    let refused = response(peer.drain());
    assert_eq!(refused.status, 488);
    assert!(header(&refused.headers, HeaderName::Warning).starts_with("300 anteroom "));
    assert_eq!(ended(&peer.events()), [EndReason::Rejected { status: 488 }]);
    peer.assert_forgotten();
}

#[test]
fn answers_go_where_the_question_came_from() {
    let mut peer = Peer::new();
    peer.flow.remote = address("198.51.100.7:33333");
    let sent_to = |peer: &mut Peer, via: &str| {
        let text = peer.request("OPTIONS", 1, &[], "");
        let line = text.lines().find(|line| line.starts_with("Via:")).unwrap().to_owned();
        peer.branch += 1;
        let text = text.replace(&line, &format!("Via: SIP/2.0/UDP {via};branch=z9hG4bK-via-{}", peer.branch));
        let flow = peer.flow;
        peer.endpoint.handle_message(peer.now, &flow, text.into());
        let [sent] = &peer.drain_transmits()[..] else { panic!() };
        let Message::Response(answer) = Message::parse(&sent.bytes).unwrap() else { panic!() };
        let via = answer.headers.top_via().unwrap();
        let param = |name| via.params.get(name).map(|value| String::from_utf8_lossy(value).into_owned());
        (sent.flow.remote.to_string(), param("received"), param("rport"))
    };
    let source = Some("198.51.100.7".to_string());
    assert_eq!(
        sent_to(&mut peer, "10.0.0.1:5070;rport"),
        ("198.51.100.7:33333".into(), source.clone(), Some("33333".into()))
    );
    assert_eq!(sent_to(&mut peer, "10.0.0.1:5070"), ("198.51.100.7:5070".into(), source.clone(), None));
    assert_eq!(sent_to(&mut peer, "pc.example.com"), ("198.51.100.7:5060".into(), source, None));
    assert_eq!(sent_to(&mut peer, "198.51.100.7:33333"), ("198.51.100.7:33333".into(), None, None));
    assert_eq!(
        sent_to(&mut peer, "10.0.0.1;maddr=203.0.113.5").0,
        "198.51.100.7:5060",
        "maddr could point our answers at anybody"
    );
}

#[test]
fn an_element_of_rfc_2543_can_call() {
    let mut peer = Peer::new();
    let old = |text: String| -> String {
        let text = text.replace(";tag=theirs", "");
        let start = text.find(";branch=").unwrap();
        let end = start + text[start..].find("\r\n").unwrap();
        format!("{}{}", &text[..start], &text[end..])
    };
    let invite = old(peer.request("INVITE", 1, &["Contact: <sip:anna@192.0.2.9:5060>"], OFFER));
    assert_eq!(peer.ask(&invite).status, 100);
    let events = peer.events();
    let [SipEvent::Incoming { session, .. }] = events.as_slice() else { panic!("{events:?}") };
    peer.accept(*session);
    assert!(peer.send(&invite).is_empty());
    let ack = old(peer.request("ACK", 1, &[], ""));
    assert!(peer.send(ack).is_empty());
    assert!(peer.events().contains(&SipEvent::Established { session: *session }));
    let bye = old(peer.request("BYE", 2, &[], ""));
    assert_eq!(peer.ask(bye).status, 200);
    peer.assert_forgotten();

    // And its ACK for a refusal is matched without a branch.
    let mut peer = Peer::new();
    let invite = old(peer.request("INVITE", 1, &["Require: 100rel"], OFFER));
    let refused = peer.ask(invite);
    peer.to_tag = tag_of(&refused);
    let ack = old(peer.request("ACK", 1, &[], ""));
    assert!(peer.send(ack).is_empty());
    assert!(peer.wait(Duration::from_secs(4)).is_empty());
}

#[test]
fn who_calls_and_who_is_called() {
    let cases = [
        ("tel:+1-201-555-0123", "sip:8000@192.0.2.1", "+1-201-555-0123", "8000"),
        ("sip:+4930123@gw.example.com;user=phone", "tel:+49-30-8000", "+4930123", "+49-30-8000"),
        ("sip:gw.example.com", "sip:192.0.2.1:5060;transport=udp", "gw.example.com", "192.0.2.1"),
        ("sips:a%00b@example.com", "sip:%38000@192.0.2.1", "a\u{fffd}b", "8000"),
    ];
    for (from, target, caller, called) in cases {
        let mut peer = Peer::new();
        let invite = peer.request("INVITE", 1, &[], OFFER);
        let invite = invite.replace("sip:anna@example.com", from);
        let invite = invite.replace("INVITE sip:8000@192.0.2.1 ", &format!("INVITE {target} "));
        assert_eq!(peer.ask(invite).status, 100, "{from}");
        let events = peer.events();
        let [SipEvent::Incoming { call, .. }] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((call.caller.as_str(), call.called.as_str()), (caller, called));
    }
    // A display name that is not UTF-8 is carried through in the answers, and shown as well as it can be.
    let mut peer = Peer::new();
    let invite = peer.request("INVITE", 1, &[], OFFER).into_bytes();
    let at = invite.windows(6).position(|window| window == b"Anna B").unwrap();
    let text = [&invite[..at], b"Caf\xe9", &invite[at + 6..]].concat();
    let trying = peer.ask(text);
    assert!(trying.headers.get(&HeaderName::From).unwrap().starts_with(b"\"Caf\xe9\""));
    let events = peer.events();
    let [SipEvent::Incoming { call, .. }] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(call.caller_display, "Caf\u{fffd}");
}

#[test]
fn an_asserted_identity_counts_only_where_the_trunk_vouches() {
    let identity = "P-Asserted-Identity: \"Anna\" <sip:anna@example.com>, <tel:+4930123>";
    for vouches in [false, true] {
        let trunk = Trunk { name: "carrier".into(), from: vec!["192.0.2.0/24".parse().unwrap()], vouches, calls: None };
        let mut peer = Peer::with(EndpointConfig { trunks: TrunkTable::new(vec![trunk]), ..config() });
        let invite = peer.request("INVITE", 1, &[identity], OFFER);
        peer.ask(invite);
        let events = peer.events();
        let [SipEvent::Incoming { call, .. }] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(call.asserted_identity.as_deref(), vouches.then_some("anna@example.com"));
        assert_eq!(&*call.trunk, "carrier");
    }
}

#[test]
fn a_lost_connection_ends_calls_in_set_up_only() {
    let mut peer = Peer::new();
    peer.flow = Flow::tcp(address(OURS), address("192.0.2.9:41000"), 5);
    peer.invite(&[], OFFER);
    peer.endpoint.handle_flow_lost(peer.now, 5);
    assert_eq!(ended(&peer.events()), [EndReason::TransportLost]);
    assert_eq!(peer.endpoint.counts(), Counts::default());

    let mut peer = Peer::new();
    peer.flow = Flow::tcp(address(OURS), address("192.0.2.9:41000"), 6);
    let session = peer.invite(&[], OFFER);
    peer.accept(session);
    peer.ack(1, "");
    peer.events();
    peer.endpoint.handle_flow_lost(peer.now, 6);
    assert!(peer.events().is_empty(), "its media flows elsewhere");
    // The peer comes back by another connection, and from then on we answer and speak there.
    peer.flow = Flow::tcp(address(OURS), address("192.0.2.9:41001"), 7);
    let options = peer.request("OPTIONS", 2, &[], "");
    assert_eq!(peer.ask(options).status, 200);
    peer.endpoint.handle_command(peer.now, Command::HangUp { session, reason: HangUpReason::Normal }).unwrap();
    let [bye] = &peer.drain_transmits()[..] else { panic!() };
    assert_eq!(bye.flow, peer.flow);
}

#[test]
fn over_tcp_refusals_are_sent_once() {
    let mut peer = Peer::new();
    peer.flow = Flow::tcp(address(OURS), address("192.0.2.9:41000"), 5);
    let session = peer.invite(&[], OFFER);
    let busy = response(peer.command(Command::Reject { session, refusal: Refusal::Busy }));
    assert!(peer.wait(Duration::from_secs(5)).is_empty());
    peer.to_tag = tag_of(&busy);
    let ack = peer.request_in_branch("ACK", 1, peer.branch, &[], "");
    peer.send(ack);
    assert_eq!(peer.endpoint.counts(), Counts::default(), "nothing to absorb over TCP");
}
