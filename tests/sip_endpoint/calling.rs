//! The endpoint as the one who calls.

use std::time::Duration;

use anteroom::sip::*;
use anteroom::wire::sip::{HeaderName, Message, Method, Request, Response};
use anteroom::words::ids::SessionKey;
use anteroom::words::media::{Codec, Direction};

use super::peer::*;

fn call() -> OutgoingInvite {
    OutgoingInvite {
        flow: Flow::udp(address(OURS), address(THEIRS)),
        target: "sip:8000@192.0.2.9:5060".into(),
        from: "sip:tester@192.0.2.1".into(),
        from_display: Some("Test \"quoted\"".into()),
        asserted_identity: Some("sip:anna@example.com".into()),
        media: local_media(),
        offer: true,
        headers: vec![("X-Test".into(), "one".into())],
    }
}

fn calling(call: OutgoingInvite) -> (Peer, SessionKey, Request) {
    let mut peer = Peer::new();
    let session = peer.endpoint.invite(peer.now, call).unwrap();
    let invite = request(peer.drain());
    assert_eq!(invite.method, Method::Invite);
    (peer, session, invite)
}

const ANSWER: &str = "v=0\r\no=callee 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
                      m=audio 40000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";

#[test]
fn a_call_that_is_answered() {
    let (mut peer, session, invite) = calling(call());
    assert_eq!(invite.uri.to_string(), "sip:8000@192.0.2.9:5060");
    assert_eq!(header(&invite.headers, HeaderName::PAssertedIdentity), "<sip:anna@example.com>");
    assert_eq!(header(&invite.headers, HeaderName::new(b"X-Test")), "one");
    assert_eq!(invite.headers.from().unwrap().display.unwrap(), "Test \"quoted\"");
    assert_eq!(sdp(&invite.body).sections[0].formats, ["0", "8", "9", "101"]);
    let sent = peer.wait(Duration::from_secs(4));
    assert_eq!(sent.iter().map(|(at, _)| at.as_millis()).collect::<Vec<_>>(), [500, 1500, 3500]);
    peer.answer(&invite, 100, &[], "");
    assert!(peer.wait(Duration::from_secs(60)).is_empty());
    peer.answer(&invite, 180, &[], "");
    assert_eq!(peer.events(), [SipEvent::Progress { session, status: 180 }]);

    let contact = [(HeaderName::RecordRoute, "<sip:192.0.2.50;lr>, <sip:192.0.2.51;lr>")];
    let ack = request(peer.answer(&invite, 200, &contact, ANSWER));
    assert_eq!((&ack.method, ack.body.len()), (&Method::Ack, 0));
    assert_eq!(ack.headers.cseq().unwrap().number, invite.headers.cseq().unwrap().number);
    assert_ne!(ack.headers.top_via().unwrap().branch(), invite.headers.top_via().unwrap().branch());
    let routes: Vec<_> = ack.headers.get_all(&HeaderName::Route).map(|value| value.as_ref()).collect();
    assert_eq!(routes, [&b"<sip:192.0.2.51;lr>"[..], b"<sip:192.0.2.50;lr>"], "the way back, turned round");
    assert_eq!(ack.uri.to_string(), "sip:anna@192.0.2.9:5060");
    let events = peer.events();
    let [SipEvent::MediaAgreed { media, .. }, SipEvent::Established { .. }] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!((media.codec, media.telephone_event), (Codec::Pcmu, Some(101)));
    assert_eq!(request(peer.answer(&invite, 200, &contact, ANSWER)), ack, "the 200 again: the same ACK");
    assert!(peer.events().is_empty());

    let bye = request(peer.command(Command::HangUp { session, reason: HangUpReason::Normal }));
    assert_eq!(bye.headers.cseq().unwrap().number, invite.headers.cseq().unwrap().number + 1);
    peer.answer(&bye, 200, &[], "");
    assert_eq!(ended(&peer.events()), [EndReason::LocalBye]);
    peer.assert_forgotten();
}

#[test]
fn a_call_that_is_refused() {
    let (mut peer, _, invite) = calling(call());
    let ack = request(peer.answer(&invite, 486, &[], ""));
    assert_eq!(ack.method, Method::Ack);
    assert_eq!(ack.headers.top_via().unwrap(), invite.headers.top_via().unwrap());
    assert_eq!(ack.headers.to().unwrap().tag().unwrap(), "theirs");
    assert_eq!(ended(&peer.events()), [EndReason::Refused { status: 486, reason: "Busy Here".into() }]);
    assert_eq!(request(peer.answer(&invite, 486, &[], "")), ack);
    assert!(peer.events().is_empty());
    peer.assert_forgotten();
}

#[test]
fn a_call_that_nobody_answers() {
    let (mut peer, _, _) = calling(call());
    let sent = peer.wait(Duration::from_secs(32));
    assert_eq!(sent.iter().map(|(at, _)| at.as_millis()).collect::<Vec<_>>(), [500, 1500, 3500, 7500, 15_500, 31_500]);
    assert_eq!(ended(&peer.events()), [EndReason::NoAnswer]);
    assert_eq!(peer.endpoint.counts(), Counts::default());

    // It rings, and nothing more: given up after three minutes, with CANCEL.
    let (mut peer, _, invite) = calling(call());
    peer.answer(&invite, 180, &[], "");
    peer.events();
    let sent = peer.wait(Duration::from_secs(181));
    assert!(matches!(&sent[..], [(_, Message::Request(cancel))] if cancel.method == Method::Cancel), "{sent:?}");
    assert_eq!(ended(&peer.events()), [EndReason::NoAnswer]);
    peer.wait(Duration::from_secs(60));
    assert!(peer.events().is_empty());
    assert_eq!(peer.endpoint.counts(), Counts::default(), "not even an answer to the CANCEL");
}

#[test]
fn cancel_waits_for_a_provisional_answer() {
    let (mut peer, session, invite) = calling(call());
    assert!(peer.command(Command::Cancel { session }).is_empty());
    let cancel = request(peer.answer(&invite, 100, &[], ""));
    assert_eq!(cancel.method, Method::Cancel);
    assert_eq!(cancel.headers.top_via().unwrap(), invite.headers.top_via().unwrap());
    assert_eq!(cancel.headers.cseq().unwrap().number, invite.headers.cseq().unwrap().number);
    assert!(cancel.headers.to().unwrap().tag().is_none());
    assert!(peer.answer(&cancel, 200, &[], "").is_empty());
    let ack = request(peer.answer(&invite, 487, &[], ""));
    assert_eq!(ack.method, Method::Ack);
    assert_eq!(ended(&peer.events()), [EndReason::Cancelled]);
    peer.assert_forgotten();
}

#[test]
fn a_cancel_that_comes_too_late_becomes_a_bye() {
    for hang_up in [false, true] {
        let (mut peer, session, invite) = calling(call());
        peer.answer(&invite, 180, &[], "");
        let command = match hang_up {
            true => Command::HangUp { session, reason: HangUpReason::Normal },
            false => Command::Cancel { session },
        };
        let cancel = request(peer.command(command));
        let sent = peer.answer(&invite, 200, &[], ANSWER);
        let methods: Vec<String> = sent.into_iter().map(|it| request(vec![it]).method.to_string()).collect();
        assert_eq!(methods, ["ACK", "BYE"]);
        peer.answer(&cancel, 200, &[], "");
        let reason = if hang_up { EndReason::LocalBye } else { EndReason::Cancelled };
        assert_eq!(ended(&peer.events()), [reason]);
        peer.assert_forgotten();
    }
}

#[test]
fn a_fork_that_answers_twice() {
    let (mut peer, session, invite) = calling(call());
    request(peer.answer(&invite, 200, &[], ANSWER));
    peer.events();
    let mut other = Response::answering(&invite.headers, 200, Some("another"));
    other.headers.push(HeaderName::Contact, "<sip:other@192.0.2.77>");
    let sent: Vec<Request> = peer.send(other.write()).into_iter().map(|message| request(vec![message])).collect();
    let [ack, bye] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!((&ack.method, &bye.method), (&Method::Ack, &Method::Bye));
    for request in [ack, bye] {
        assert_eq!(request.headers.to().unwrap().tag().unwrap(), "another");
        assert_eq!(request.uri.to_string(), "sip:other@192.0.2.77");
    }
    peer.answer(bye, 200, &[], "");
    assert!(peer.events().is_empty(), "the first answer's call goes on");
    let _ = request(peer.command(Command::Options { session }));
}

#[test]
fn an_invite_without_offer_answers_in_its_ack() {
    let (mut peer, _, invite) = calling(OutgoingInvite { offer: false, ..call() });
    assert!(invite.body.is_empty());
    let ack = request(peer.answer(&invite, 200, &[], OFFER));
    assert_eq!(sdp(&ack.body).sections[0].formats, ["8", "101"]);
    let events = peer.events();
    assert!(matches!(&events[..], [SipEvent::MediaAgreed { .. }, SipEvent::Established { .. }]), "{events:?}");
}

#[test]
fn an_answer_that_is_of_no_use_ends_the_call() {
    for body in ["", "v=1", &ANSWER.replace("0 101", "18"), &ANSWER.replace("audio 40000", "audio 0")] {
        let (mut peer, _, invite) = calling(call());
        let sent = peer.answer(&invite, 200, &[], body);
        let methods: Vec<String> = sent.into_iter().map(|it| request(vec![it]).method.to_string()).collect();
        assert_eq!(methods, ["ACK", "BYE"]);
        assert!(matches!(&ended(&peer.events())[..], [EndReason::NoCommonMedia { .. }]));
        peer.assert_forgotten();
    }
}

#[test]
fn commands_that_make_no_sense() {
    let (mut peer, session, invite) = calling(call());
    let wrong = [
        Command::Ring { session },
        Command::Accept { session, media: local_media() },
        Command::Reject { session, refusal: Refusal::Busy },
        Command::Info { session, content_type: "a/b".into(), body: "x".into() },
        Command::Reinvite { session, media: local_media() },
    ];
    for command in wrong {
        let outcome = peer.endpoint.handle_command(peer.now, command);
        assert!(matches!(outcome, Err(CommandError::WrongState(_))), "{outcome:?}");
    }
    assert!(peer.drain().is_empty());
    request(peer.answer(&invite, 200, &[], ANSWER));
    let outcome = peer.endpoint.handle_command(peer.now, Command::Cancel { session });
    assert!(matches!(outcome, Err(CommandError::WrongState(_))));
    let gone = Command::Ring { session: SessionKey(999) };
    assert_eq!(peer.endpoint.handle_command(peer.now, gone), Err(CommandError::NoSuchSession));
    for target in ["8000", "sip:", ""] {
        let bad = OutgoingInvite { target: target.into(), ..call() };
        let outcome = peer.endpoint.invite(peer.now, bad);
        assert!(matches!(outcome, Err(CommandError::BadValue(_))), "{outcome:?}");
    }
}

#[test]
fn we_ask_for_an_offer_in_mid_call() {
    let (mut peer, session, invite) = calling(call());
    request(peer.answer(&invite, 200, &[], ANSWER));
    peer.events();
    let media = LocalMedia { direction: Direction::Inactive, ..local_media() };
    let reinvite = request(peer.command(Command::ReinviteWithoutOffer { session, media }));
    assert!(reinvite.body.is_empty());
    let ack = request(peer.answer(&reinvite, 200, &[], OFFER));
    assert_eq!(sdp(&ack.body).sections[0].direction, Direction::Inactive);
    let events = peer.events();
    let [SipEvent::ReinviteAnswered { status: 200, .. }, SipEvent::MediaAgreed { media, .. }] = events.as_slice()
    else {
        panic!("{events:?}")
    };
    assert_eq!(media.direction, Direction::Inactive);
}

#[test]
fn the_callee_leaves_the_refresh_to_us() {
    let (mut peer, _, invite) = calling(call());
    let timer = [(HeaderName::SessionExpires, "200;refresher=uac"), (HeaderName::Allow, "INVITE, ACK, BYE, UPDATE")];
    request(peer.answer(&invite, 200, &timer, ANSWER));
    let sent = peer.wait(Duration::from_secs(100));
    assert!(matches!(&sent[..], [(_, Message::Request(update))] if update.method == Method::Update), "{sent:?}");
}
