//! What happens in a call that is up.

use std::time::Duration;

use anteroom::sip::*;
use anteroom::wire::sip::{HeaderName, Message, Method, Request, Response};
use anteroom::words::media::{Codec, Direction, NegotiatedMedia};

use super::peer::*;

/// The offer with another line at its end, and a later version.
fn offer_with(line: &str) -> String {
    OFFER.replace("o=caller 1 1 ", "o=caller 1 2 ") + line
}

/// A re-INVITE and its ACK; gives back the answer and what was agreed on, if anything changed.
fn reinvite(peer: &mut Peer, cseq: u32, body: &str) -> (Response, Option<NegotiatedMedia>) {
    let text = peer.request("INVITE", cseq, &[], body);
    let answer = peer.ask(text);
    peer.ack(cseq, "");
    let agreed = peer.events().into_iter().find_map(|event| match event {
        SipEvent::MediaAgreed { media, .. } => Some(media),
        _ => None,
    });
    (answer, agreed)
}

#[test]
fn hold_and_resume() {
    let (mut peer, _) = Peer::up(&[], config());
    let cases = [
        ("a=sendonly\r\n", Direction::RecvOnly, Direction::RecvOnly),
        ("a=inactive\r\n", Direction::Inactive, Direction::Inactive),
        ("a=recvonly\r\n", Direction::SendOnly, Direction::SendOnly),
        ("a=sendrecv\r\n", Direction::SendRecv, Direction::SendRecv),
    ];
    let mut versions = vec![1];
    for (cseq, (line, answered, ours)) in (2..).zip(cases) {
        let (answer, agreed) = reinvite(&mut peer, cseq, &offer_with(line));
        let answer = sdp(&answer.body);
        assert_eq!((answer.sections[0].direction, agreed.unwrap().direction), (answered, ours), "{line}");
        versions.push(answer.origin.version);
    }
    assert_eq!(versions, [1, 2, 3, 4, 5], "each change counts up");
    let (answer, agreed) = reinvite(&mut peer, 6, &offer_with("a=sendrecv\r\n"));
    assert_eq!((sdp(&answer.body).origin.version, agreed), (5, None), "nothing changed, nothing is told");

    // The hold of RFC 2543.
    let old = OFFER.replace("c=IN IP4 192.0.2.9", "c=IN IP4 0.0.0.0");
    let (answer, agreed) = reinvite(&mut peer, 7, &old);
    assert_eq!(sdp(&answer.body).sections[0].direction, Direction::RecvOnly);
    assert_eq!(agreed.unwrap().direction, Direction::RecvOnly);
    assert_eq!(peer.endpoint.counts().sessions, 1);
}

#[test]
fn the_media_moves_elsewhere() {
    let (mut peer, _) = Peer::up(&[], config());
    let moved =
        OFFER.replace("c=IN IP4 192.0.2.9", "c=IN IP4 198.51.100.4").replace("40000", "41000") + "a=rtcp:55000\r\n";
    let (_, agreed) = reinvite(&mut peer, 2, &moved);
    let agreed = agreed.unwrap();
    assert_eq!(agreed.remote_rtp, address("198.51.100.4:41000"));
    assert_eq!(agreed.remote_rtcp, address("198.51.100.4:55000"));
    let (answer, agreed) = reinvite(&mut peer, 3, &OFFER.replace("8 0 101", "0 97").replace("101", "97"));
    let agreed = agreed.unwrap();
    assert_eq!((agreed.codec, agreed.telephone_event), (Codec::Pcmu, Some(97)));
    assert_eq!(sdp(&answer.body).sections[0].formats, ["0", "97"]);
}

#[test]
fn a_reinvite_without_offer_gets_everything_we_have() {
    let (mut peer, _) = Peer::up(&[], config());
    reinvite(&mut peer, 2, &offer_with("a=sendonly\r\n"));
    let text = peer.request("INVITE", 3, &[], "");
    let ok = peer.ask(text);
    let offer = sdp(&ok.body);
    assert_eq!(offer.sections[0].formats, ["0", "8", "9", "101"]);
    assert_eq!((offer.sections[0].direction, offer.origin.version), (Direction::SendRecv, 3));
    // Until the answer comes, no other offer may be made.
    let crossing = peer.request("INVITE", 4, &[], OFFER);
    assert_eq!(peer.ask(crossing).status, 491);
    let crossing = peer.request("UPDATE", 5, &[], OFFER);
    assert_eq!(peer.ask(crossing).status, 491);
    peer.ack(3, &OFFER.replace("8 0 101", "0 101"));
    let events = peer.events();
    let agreed = events.iter().find_map(|event| match event {
        SipEvent::MediaAgreed { media, .. } => Some(media),
        _ => None,
    });
    assert_eq!(agreed.map(|media| (media.codec, media.direction)), Some((Codec::Pcmu, Direction::SendRecv)));
}

#[test]
fn other_streams_are_refused_in_their_place() {
    let video = "m=video 50000 RTP/AVP 31\r\nm=audio 40002 RTP/SAVP 0\r\n";
    let (head, voice) = OFFER.split_once("m=audio").unwrap();
    let offer = format!("{head}{video}m=audio{voice}m=application 9 UDP/BFCP *\r\n");
    let mut peer = Peer::new();
    let session = peer.invite(&[], &offer);
    let answer = sdp(&peer.accept(session).body);
    let ports: Vec<u16> = answer.sections.iter().map(|section| section.port).collect();
    assert_eq!(ports, [0, 0, 20000, 0]);
    assert_eq!(answer.sections[0].formats, ["31"]);
    peer.ack(1, "");
    // An offer of ours keeps every m-line (RFC 3264 section 8).
    let text = peer.request("INVITE", 2, &[], "");
    let again = sdp(&peer.ask(text).body);
    let ports: Vec<u16> = again.sections.iter().map(|section| section.port).collect();
    assert_eq!(ports, [0, 0, 20000, 0]);
}

#[test]
fn an_offer_that_does_not_fit_leaves_the_call_as_it_was() {
    let (mut peer, _) = Peer::up(&[], config());
    let (answer, agreed) = reinvite(&mut peer, 2, &OFFER.replace("8 0 101", "18"));
    assert_eq!((answer.status, agreed), (488, None));
    let (answer, agreed) = reinvite(&mut peer, 3, &OFFER.replace("m=audio 40000", "m=audio 0"));
    assert_eq!((answer.status, agreed), (488, None));
    let (answer, agreed) = reinvite(&mut peer, 4, OFFER);
    assert_eq!((answer.status, agreed), (200, None));
    assert_eq!(sdp(&answer.body).origin.version, 1);
    for (cseq, extra, body, status) in [
        (5, "Require: replaces", OFFER, 420),
        (6, "Content-Type: text/plain", "x", 415),
        (7, "Accept: a/b", OFFER, 406),
    ] {
        let text = peer.request("INVITE", cseq, &[extra], body);
        assert_eq!(peer.ask(text).status, status);
        peer.ack(cseq, "");
    }
    assert_eq!(peer.endpoint.counts().sessions, 1);
}

#[test]
fn the_200_to_a_reinvite_is_sent_until_its_ack() {
    let (mut peer, _) = Peer::up(&[], config());
    let text = peer.request("INVITE", 2, &[], OFFER);
    let ok = peer.ask(&text);
    assert!(peer.send(&text).is_empty(), "the session sends its 200 itself");
    let sent = peer.wait(Duration::from_secs(2));
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|(_, message)| *message == Message::Response(ok.clone())));
    peer.ack(1, "");
    assert_eq!(peer.wait(Duration::from_secs(4)).len(), 1, "that was the ACK of another INVITE");
    peer.ack(2, "");
    assert!(peer.wait(FORGOTTEN).is_empty());

    let text = peer.request("INVITE", 3, &[], OFFER);
    peer.ask(&text);
    let sent = peer.wait(Duration::from_secs(32));
    assert!(matches!(sent.last(), Some((_, Message::Request(bye))) if bye.method == Method::Bye));
    assert_eq!(ended(&peer.events()), [EndReason::NoAck]);
    peer.assert_forgotten();
}

#[test]
fn a_reinvite_proves_that_the_200_has_arrived() {
    let mut peer = Peer::new();
    let session = peer.invite(&[], OFFER);
    peer.accept(session);
    peer.events();
    // The ACK is lost, or still on its way.
    let text = peer.request("INVITE", 2, &[], &offer_with("a=sendonly\r\n"));
    assert_eq!(peer.ask(text).status, 200);
    assert!(peer.events().contains(&SipEvent::Established { session }));
    peer.ack(1, "");
    peer.ack(2, "");
    assert!(peer.wait(FORGOTTEN).is_empty());
}

#[test]
fn update_changes_the_media_without_an_ack() {
    let (mut peer, session) = Peer::up(&[], config());
    let text = peer.request("UPDATE", 2, &["Contact: <sip:anna@192.0.2.77:5070>"], &offer_with("a=sendonly\r\n"));
    let ok = peer.ask(&text);
    assert_eq!((ok.status, sdp(&ok.body).sections[0].direction), (200, Direction::RecvOnly));
    assert_eq!(peer.ask(&text), ok, "the same UPDATE, the same answer");
    assert!(matches!(&peer.events()[..], [SipEvent::MediaAgreed { .. }]));
    let text = peer.request("UPDATE", 3, &["Contact: <sip:anna@192.0.2.77:5070>"], "");
    let ok = peer.ask(text);
    assert_eq!((ok.status, ok.body.len()), (200, 0));
    let text = peer.request("UPDATE", 4, &["Contact: <sip:anna@192.0.2.77:5070>"], &OFFER.replace("8 0 101", "18"));
    assert_eq!(peer.ask(text).status, 488);
    peer.events();
    // It was a target refresh too.
    peer.endpoint.handle_command(peer.now, Command::HangUp { session, reason: HangUpReason::Normal }).unwrap();
    let [bye] = &peer.drain_transmits()[..] else { panic!() };
    assert_eq!(bye.flow.remote, address("192.0.2.77:5070"));
    assert!(bye.bytes.starts_with(b"BYE sip:anna@192.0.2.77:5070 SIP/2.0\r\n"));
}

#[test]
fn while_the_invite_is_open_no_other_offer_is_taken() {
    let mut peer = Peer::new();
    let session = peer.invite(&[], OFFER);
    peer.to_tag = tag_of(&response(peer.command(Command::Ring { session })));
    for (cseq, method) in [(2, "INVITE"), (3, "UPDATE")] {
        let text = peer.request(method, cseq, &[], OFFER);
        let answer = peer.ask(text);
        assert_eq!(answer.status, 500);
        let retry_after: u32 = header(&answer.headers, HeaderName::RetryAfter).parse().unwrap();
        assert!(retry_after <= 10);
    }
    let text = peer.request("UPDATE", 4, &[], "");
    assert_eq!(peer.ask(text).status, 200);
    peer.accept(session);
    peer.ack(1, "");
    assert!(ended(&peer.events()).is_empty());
}

#[test]
fn gaps_in_cseq_are_fine_and_steps_back_are_not() {
    let (mut peer, _) = Peer::up(&[], config());
    for (cseq, status) in [(5, 200), (4000, 200), (4000, 500), (3, 500), (4001, 200)] {
        let text = peer.request("OPTIONS", cseq, &[], "");
        assert_eq!(peer.ask(text).status, status, "{cseq}");
    }
    let bye = peer.request("BYE", 2_147_483_647, &[], "");
    assert_eq!(peer.ask(bye).status, 200);
}

#[test]
fn keys_by_info() {
    let (mut peer, session) = Peer::up(&[], config());
    let relay = "Content-Type: application/dtmf-relay";
    let text = peer.request("INFO", 2, &[relay], "Signal=8\r\nDuration=240\r\n");
    assert_eq!(peer.ask(&text).status, 200);
    assert_eq!(peer.ask(&text).status, 200, "the same INFO is the same key press");
    let events = peer.events();
    let [SipEvent::InfoDigit { session: told, digit, duration_ms }] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((*told, digit.expose(), *duration_ms), (session, '8', 240));
    assert!(!format!("{events:?}").contains('8'), "a typed key is never printed");
    let text = peer.request("INFO", 3, &["Content-Type: application/dtmf"], "#");
    assert_eq!(peer.ask(text).status, 200);
    assert_eq!(peer.events().len(), 1);

    let cases = [
        (4, relay, "Signal=flash\r\n", 200),
        (5, relay, "Duration=5\r\n", 400),
        (6, "Content-Type: application/media_control+xml", "<x/>", 415),
        (7, "Info-Package: dtmf", "", 469),
        (8, "X: y", "", 200),
        (9, "Require: x", "", 420),
    ];
    for (cseq, extra, body, status) in cases {
        let text = peer.request("INFO", cseq, &[extra], body);
        assert_eq!(peer.ask(text).status, status, "{extra} {body}");
    }
    let events = peer.events();
    assert!(events.iter().all(|event| matches!(event, SipEvent::Refused(_))), "{events:?}");
    assert!(!format!("{events:?}").contains("Duration"), "nothing of a body is told");
}

#[test]
fn other_methods_in_a_call() {
    let (mut peer, _) = Peer::up(&[], config());
    for (cseq, method, status) in [(2, "OPTIONS", 200), (3, "REFER", 405), (4, "MESSAGE", 405), (5, "PRACK", 405)] {
        let text = peer.request(method, cseq, &[], "");
        let answer = peer.ask(text);
        assert_eq!(answer.status, status);
        assert!(header(&answer.headers, HeaderName::Allow).contains("UPDATE"));
    }
    assert!(ended(&peer.events()).is_empty());
}

fn bye_of(peer: &mut Peer, session: anteroom::words::ids::SessionKey) -> (Transmit, Request) {
    peer.endpoint.handle_command(peer.now, Command::HangUp { session, reason: HangUpReason::Normal }).unwrap();
    let sent = peer.drain_transmits().remove(0);
    let Message::Request(bye) = Message::parse(&sent.bytes).unwrap() else { panic!() };
    (sent, bye)
}

#[test]
fn the_route_is_kept() {
    let routes = ["Record-Route: <sip:192.0.2.50;lr>, <sip:198.51.100.50:5070;lr;x=1>"];
    let mut peer = Peer::new();
    let session = peer.invite(&routes, OFFER);
    let ok = peer.accept(session);
    assert_eq!(header(&ok.headers, HeaderName::RecordRoute), "<sip:192.0.2.50;lr>, <sip:198.51.100.50:5070;lr;x=1>");
    peer.ack(1, "");
    let (sent, bye) = bye_of(&mut peer, session);
    let hops: Vec<_> = bye.headers.get_all(&HeaderName::Route).map(|value| value.as_ref()).collect();
    assert_eq!(hops, [&b"<sip:192.0.2.50;lr>"[..], b"<sip:198.51.100.50:5070;lr;x=1>"]);
    assert_eq!(bye.uri.to_string(), "sip:anna@192.0.2.9:5060");
    assert_eq!(sent.flow.remote, address("192.0.2.50:5060"));
    assert_eq!(bye.headers.from().unwrap().tag().unwrap(), peer.to_tag.as_str());
    assert_eq!(bye.headers.to().unwrap().tag().unwrap(), "theirs");

    // A first hop of RFC 2543 is itself the Request-URI.
    let mut peer = Peer::new();
    let session = peer.invite(&["Record-Route: <sip:192.0.2.50>, <sip:198.51.100.50;lr>"], OFFER);
    peer.accept(session);
    peer.ack(1, "");
    let (sent, bye) = bye_of(&mut peer, session);
    let hops: Vec<_> = bye.headers.get_all(&HeaderName::Route).map(|value| value.as_ref()).collect();
    assert_eq!(hops, [&b"<sip:198.51.100.50;lr>"[..], b"<sip:anna@192.0.2.9:5060>"]);
    assert_eq!((bye.uri.to_string().as_str(), sent.flow.remote), ("sip:192.0.2.50", address("192.0.2.50:5060")));
}

#[test]
fn the_way_back_through_a_nat() {
    // Contact and Via say a private address: what comes from elsewhere is answered there.
    let mut peer = Peer::new();
    peer.flow.remote = address("203.0.113.7:61000");
    let text = peer.request("INVITE", 1, &["Contact: <sip:anna@10.0.0.5:5060>"], OFFER);
    let text = text.replace("UDP 192.0.2.9:5060;", "UDP 10.0.0.5:5060;rport;");
    assert_eq!(peer.ask(text).status, 100);
    let events = peer.events();
    let [SipEvent::Incoming { session, .. }] = events.as_slice() else { panic!("{events:?}") };
    peer.accept(*session);
    peer.ack(1, "");
    let (sent, bye) = bye_of(&mut peer, *session);
    assert_eq!((sent.flow.remote, bye.uri.to_string().as_str()), (peer.flow.remote, "sip:anna@10.0.0.5:5060"));

    // A Contact with headers does not write ours.
    let mut peer = Peer::new();
    let session = peer.invite(&["Contact: <sip:anna@192.0.2.9:5060?Route=%3Csip:evil%3E>"], OFFER);
    peer.accept(session);
    peer.ack(1, "");
    let (_, bye) = bye_of(&mut peer, session);
    assert_eq!(bye.uri.to_string(), "sip:anna@192.0.2.9:5060");
}

#[test]
fn an_advertised_address_stands_in_contact_and_via() {
    let advertise = vec![address("[2001:db8::99]:0"), address("203.0.113.99:5080")];
    let (mut peer, session) = Peer::up(&[], EndpointConfig { advertise, ..config() });
    let text = peer.request("OPTIONS", 2, &[], "");
    let options = peer.ask(text);
    assert_eq!(header(&options.headers, HeaderName::Contact), "<sip:203.0.113.99:5080>");
    let (_, bye) = bye_of(&mut peer, session);
    assert!(bye.headers.top_via().unwrap().to_string().starts_with("SIP/2.0/UDP 203.0.113.99:5080;"));

    let mut peer = Peer::new();
    peer.flow = Flow::tcp(address("[2001:db8::1]:5060"), address("[2001:db8::9]:41000"), 2);
    let text = peer.request("OPTIONS", 2, &[], "");
    let options = peer.ask(text);
    assert_eq!(header(&options.headers, HeaderName::Contact), "<sip:[2001:db8::1]:5060;transport=tcp>");
}

#[test]
fn our_bye_crosses_with_theirs() {
    let (mut peer, session) = Peer::up(&[], config());
    let bye = request(peer.command(Command::HangUp { session, reason: HangUpReason::Normal }));
    let theirs = peer.request("BYE", 2, &[], "");
    assert_eq!(peer.ask(theirs).status, 200);
    assert_eq!(ended(&peer.events()), [EndReason::LocalBye]);
    assert!(peer.answer(&bye, 481, &[], "").is_empty());
    peer.assert_forgotten();
}

#[test]
fn our_bye_is_sent_until_it_is_answered() {
    let (mut peer, session) = Peer::up(&[], config());
    peer.command(Command::HangUp { session, reason: HangUpReason::Normal });
    let options = peer.request("INFO", 2, &[], "");
    assert_eq!(peer.ask(options).status, 481, "the call is over");
    let sent = peer.wait(FORGOTTEN);
    let times: Vec<u128> = sent.iter().map(|(at, _)| at.as_millis()).collect();
    assert_eq!(times, [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    peer.assert_forgotten();
}

#[test]
fn our_reinvite_meets_theirs() {
    let (mut peer, session) = Peer::up(&[], config());
    let hold = LocalMedia { direction: Direction::SendOnly, ..local_media() };
    let ours = request(peer.command(Command::Reinvite { session, media: hold.clone() }));
    assert_eq!(sdp(&ours.body).sections[0].direction, Direction::SendOnly);
    let theirs = peer.request("INVITE", 2, &[], OFFER);
    assert_eq!(peer.ask(theirs).status, 491);
    let theirs = peer.request("UPDATE", 3, &[], OFFER);
    assert_eq!(peer.ask(theirs).status, 491);
    let again = peer.endpoint.handle_command(peer.now, Command::Update { session, media: hold.clone() });
    assert!(matches!(again, Err(CommandError::WrongState(_))));
    let ack = request(peer.answer(&ours, 491, &[], ""));
    assert_eq!(ack.method, Method::Ack);
    peer.events();
    // Both try again.
    let theirs = peer.request("INVITE", 4, &[], OFFER);
    assert_eq!(peer.ask(theirs).status, 200);
    peer.ack(4, "");
    let ours = request(peer.command(Command::Reinvite { session, media: hold }));
    let answer = OFFER.replace("8 0 101", "8 101") + "a=recvonly\r\n";
    let ack = request(peer.answer(&ours, 200, &[], &answer));
    assert_eq!(ack.method, Method::Ack);
    let again = request(peer.answer(&ours, 200, &[], &answer));
    assert_eq!(again, ack, "the 200 again: the same ACK");
    let events = peer.events();
    let [SipEvent::ReinviteAnswered { status: 200, .. }, SipEvent::MediaAgreed { media, .. }] = events.as_slice()
    else {
        panic!("{events:?}")
    };
    assert_eq!(media.direction, Direction::SendOnly);
}

#[test]
fn a_peer_that_lost_the_call_ends_it() {
    for (status, reason) in [(481, 481), (408, 408)] {
        let (mut peer, session) = Peer::up(&[], config());
        let info = request(peer.command(Command::Info {
            session,
            content_type: "application/dtmf-relay".into(),
            body: "Signal=1\r\nDuration=100\r\n".into(),
        }));
        assert_eq!(info.method, Method::Info);
        let bye = request(peer.answer(&info, status, &[], ""));
        assert_eq!(bye.method, Method::Bye);
        assert_eq!(ended(&peer.events()), [EndReason::DialogGone { status: reason }]);
        peer.assert_forgotten();
    }
    let (mut peer, session) = Peer::up(&[], config());
    let options = request(peer.command(Command::Options { session }));
    assert!(peer.answer(&options, 405, &[], "").is_empty(), "any other answer is a sign of life");
    assert_eq!(peer.events(), [SipEvent::OptionsAnswered { session, status: 405 }]);
}

#[test]
fn the_peer_refreshes_or_the_call_ends() {
    let timer = ["Supported: timer", "Session-Expires: 600;refresher=uac"];
    let mut peer = Peer::new();
    let session = peer.invite(&timer, OFFER);
    let ok = peer.accept(session);
    assert_eq!(header(&ok.headers, HeaderName::SessionExpires), "600;refresher=uac");
    assert_eq!(header(&ok.headers, HeaderName::Require), "timer");
    peer.ack(1, "");
    peer.wait(Duration::from_secs(500));
    let refresh = peer.request("UPDATE", 2, &timer, "");
    let ok = peer.ask(refresh);
    assert_eq!(header(&ok.headers, HeaderName::SessionExpires), "600;refresher=uac");
    assert!(peer.wait(Duration::from_secs(567)).is_empty());
    peer.events();
    let sent = peer.wait(Duration::from_secs(1));
    assert!(matches!(&sent[..], [(_, Message::Request(bye))] if bye.method == Method::Bye), "{sent:?}");
    assert_eq!(ended(&peer.events()), [EndReason::SessionTimerExpired]);
    peer.assert_forgotten();
}

#[test]
fn we_refresh_where_the_peer_can_not() {
    // A proxy put Session-Expires in; the caller takes UPDATE.
    let mut peer = Peer::new();
    let extra = ["Session-Expires: 600", "Allow: INVITE, ACK, BYE, UPDATE"];
    let session = peer.invite(&extra, OFFER);
    let ok = peer.accept(session);
    assert_eq!(header(&ok.headers, HeaderName::SessionExpires), "600;refresher=uas");
    assert_eq!(header(&ok.headers, HeaderName::Require), "");
    peer.ack(1, "");
    peer.events();
    let sent = peer.wait(Duration::from_secs(300));
    let [(at, Message::Request(update))] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((at.as_secs(), &update.method, update.body.len()), (300, &Method::Update, 0));
    assert_eq!(header(&update.headers, HeaderName::SessionExpires), "600;refresher=uac");
    peer.answer(update, 200, &[(HeaderName::SessionExpires, "600;refresher=uac")], "");
    let sent = peer.wait(Duration::from_secs(300));
    let [(_, Message::Request(update))] = &sent[..] else { panic!("{sent:?}") };
    // It does not take UPDATE after all: the same by re-INVITE.
    peer.answer(update, 501, &[], "");
    let sent = peer.wait(Duration::from_secs(2));
    let [(_, Message::Request(invite))] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((&invite.method, sdp(&invite.body).origin.version), (&Method::Invite, 1));
    let ack = request(peer.answer(invite, 200, &[], &OFFER.replace("8 0 101", "8 101")));
    assert_eq!(ack.method, Method::Ack);
    assert!(peer.events().is_empty(), "a refresh is nobody's business");
    // Silence is the end.
    let sent = peer.wait(Duration::from_secs(400));
    assert!(matches!(sent.last(), Some((_, Message::Request(bye))) if bye.method == Method::Bye));
    assert_eq!(ended(&peer.events()), [EndReason::DialogGone { status: 408 }]);
    peer.assert_forgotten();
}

#[test]
fn a_peer_without_the_extension_is_asked_and_lives_as_long_as_it_answers_anything() {
    let (mut peer, _) = Peer::up(&[], config());
    for status in [200, 488, 500] {
        let sent = peer.wait(Duration::from_secs(900));
        let [(_, Message::Request(invite))] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!((&invite.method, sdp(&invite.body).origin.version), (&Method::Invite, 1));
        let body = if status == 200 { OFFER.replace("8 0 101", "8 101") } else { String::new() };
        assert_eq!(request(peer.answer(invite, status, &[], &body)).method, Method::Ack);
    }
    assert!(peer.events().is_empty());
    let sent = peer.wait(Duration::from_secs(1000));
    assert!(matches!(sent.last(), Some((_, Message::Request(bye))) if bye.method == Method::Bye));
    assert_eq!(ended(&peer.events()), [EndReason::DialogGone { status: 408 }]);
    peer.assert_forgotten();
}

#[test]
fn without_an_interval_there_is_no_session_timer() {
    let (mut peer, _) = Peer::up(&[], EndpointConfig { session_expires: None, ..config() });
    assert!(peer.wait(Duration::from_secs(100_000)).is_empty());
    assert_eq!(peer.endpoint.counts(), Counts { sessions: 1, transactions: 0, timers: 0 });
}
