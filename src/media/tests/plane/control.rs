//! What control is told of a leg: keys, who talks, how it does; and legs that go or move.

use super::*;

#[test]
fn a_key_is_a_digit_and_is_heard_by_nobody() {
    let mut world = World::new();
    let (caller, listener) = (world.call(None), world.call(None));
    world.admit(&[caller, listener]);
    world.ticks(10);
    let event_at = world.callers[caller].timestamp;
    for step in 0..8u16 {
        let marker = step == 0;
        let mut datagram = world.callers[caller].header(EVENT_TYPE, marker).to_vec();
        datagram[4..8].copy_from_slice(&event_at.to_be_bytes());
        let end = if step >= 5 { 0x80 } else { 0 };
        let [high, low] = (160 * (step + 1).min(6)).to_be_bytes();
        datagram.extend([5, end | 10, high, low]);
        world.receive(caller, &datagram);
        world.quiet_tick();
        world.callers[caller].timestamp += 160;
    }
    world.ticks(10);
    assert_eq!(world.digits(), [(world.key(caller), '5', DigitMethod::Event)]);
    world.command(PlaneCommand::InfoDigit {
        call: world.key(listener),
        digit: Digit::from_char('7').unwrap(),
        duration_ms: 100,
    });
    world.ticks(1);
    assert_eq!(world.digits().last(), Some(&(world.key(listener), '7', DigitMethod::Info)));
    assert!(world.callers[listener].hears_nothing(25));
}

#[test]
fn tones_in_the_voice_are_digits_and_are_heard_by_nobody() {
    for telephone_event in [Some(EVENT_TYPE), None] {
        let mut world = World::new();
        let (caller, listener) = (world.call(None), world.call(None));
        let mut media = world.media(caller, Direction::SendRecv);
        media.telephone_event = telephone_event;
        media.from_peer.events = telephone_event.map(|payload_type| (payload_type, 8_000));
        world.command(PlaneCommand::Negotiate {
            call: world.key(caller),
            signalled_from: media.remote_rtp.ip(),
            media: media.into(),
        });
        world.admit(&[caller, listener]);
        world.ticks(10);
        // The tone of a 4, from the middle of one frame to the middle of another.
        for frame in 0..6 {
            let samples = (0..160).map(|at| {
                let at = frame * 160 + at;
                let sounds = (100..800).contains(&at);
                let phase = |hz: f32| (TAU * hz * at as f32 / 8000.0).sin();
                if sounds { (4_000.0 * phase(770.0) + 4_000.0 * phase(1_209.0)) as i16 } else { 0 }
            });
            let codec = world.callers[caller].codec;
            let payload: Vec<u8> = samples.map(|sample| g711::encode(codec.law().unwrap(), sample)).collect();
            let mut datagram = world.callers[caller].header(codec.payload_type(), false).to_vec();
            datagram.extend(payload);
            world.receive(caller, &datagram);
            world.callers[caller].timestamp += 160;
            world.quiet_tick();
        }
        world.ticks(20);
        assert_eq!(world.digits(), [(world.key(caller), '4', DigitMethod::InBand)]);
        let loud = world.callers[listener].heard.iter().filter(|sample| sample.abs() > 300).count();
        // Its first milliseconds, and 5 ms in which the last of them dies away.
        let allowed = if telephone_event.is_some() { 100 } else { 0 };
        assert!(loud <= allowed, "{loud} samples of the tone were let through");
    }
}

/// Ticks from the first voice until control is told that he talks, or no longer does.
fn ticks_until(world: &mut World, call: CallKey, talking: bool) -> usize {
    let told = PlaneEvent::Talking { call, talking };
    (1..100)
        .find(|_| {
            world.events.clear();
            world.tick();
            world.events.contains(&told)
        })
        .expect("control is told")
}

#[test]
fn who_talks_is_told_within_a_tenth_of_a_second_and_once() {
    let mut world = World::new();
    let (ben, cara) = (world.call(None), world.call(None));
    world.admit(&[ben, cara]);
    world.ticks(20);
    assert!(!world.events.iter().any(|event| matches!(event, PlaneEvent::Talking { .. })));
    let call = world.key(ben);
    world.callers[ben].hz = Some(400.0);
    // With what a packet waits in the jitter buffer. In ticks of 20 ms.
    assert!(ticks_until(&mut world, call, true) <= 5);
    world.events.clear();
    world.ticks(50);
    assert!(!world.events.iter().any(|event| matches!(event, PlaneEvent::Talking { .. })), "once");
    world.callers[ben].hz = None;
    let silent_after = ticks_until(&mut world, call, false);
    assert!((20..=40).contains(&silent_after), "{silent_after}: a pause between two words is none");

    // Muted he is not heard, and so does not talk; nor does anybody in a lobby.
    world.command(PlaneCommand::Mute { call, muted: true });
    world.callers[ben].hz = Some(400.0);
    let waits = world.call(Some(700.0));
    world.background(waits, Background::Music);
    world.events.clear();
    world.ticks(50);
    assert!(!world.events.iter().any(|event| matches!(event, PlaneEvent::Talking { .. })));
    world.command(PlaneCommand::Mute { call, muted: false });
    assert!(ticks_until(&mut world, call, true) <= 5);
    // Back to the lobby: he talks no more, whatever he says.
    world.background(ben, Background::Music);
    ticks_until(&mut world, call, false);
}

#[test]
fn a_survey_says_how_each_leg_does() {
    let mut world = World::new();
    let (loud, quiet) = (world.call(Some(400.0)), world.call(None));
    world.ticks(30);
    world.callers[quiet].sequence += 3;
    world.ticks(20);
    world.events.clear();
    world.command(PlaneCommand::Survey);
    world.tick();
    let PlaneEvent::Survey { legs } = &world.events[0] else { panic!("{:?}", world.events) };
    let of = |caller| legs.iter().find(|leg| leg.call == world.key(caller)).unwrap();
    // 5,000 of 32,768 is -16 dB.
    assert!((-18..=-14).contains(&of(loud).level_db), "{}", of(loud).level_db);
    assert!(of(quiet).level_db < -60, "{}", of(quiet).level_db);
    assert_eq!((of(loud).statistics.packets_lost, of(quiet).statistics.packets_lost), (0, 3));
    assert!((1..=40).contains(&of(loud).delay_ms), "{}", of(loud).delay_ms);
}

#[test]
fn a_closed_leg_says_goodbye_and_leaves_nothing() {
    let mut world = World::new();
    let (caller, other) = (world.call(Some(1_000.0)), world.call(None));
    world.admit(&[caller, other]);
    world.ticks(10);
    for caller in [caller, other] {
        world.command(PlaneCommand::Close { call: world.key(caller) });
        world.command(PlaneCommand::Close { call: world.key(caller) });
        world.play(caller, 1, &[Prompt::Goodbye]);
    }
    world.ticks(3);
    for caller in [caller, other] {
        assert!(world.callers[caller].reports.last().is_some_and(|report| report.bye));
        assert_eq!(world.callers[caller].packets.len(), 10);
        let call = world.key(caller);
        let closed = |event: &&PlaneEvent| matches!(event, PlaneEvent::Closed { call: closed, .. } if *closed == call);
        assert_eq!(world.events.iter().filter(closed).count(), 1);
    }
    let Plane { slots_by_call, meetings_by_key, meetings, .. } = &world.plane;
    assert!(slots_by_call.is_empty() && meetings_by_key.is_empty() && meetings.iter().all(Option::is_none));
    assert_eq!(world.plane.legs(), 0);
    world.call(None);
    assert_eq!(world.plane.slots.len(), 2, "a slot is used again");
}

#[test]
fn a_leg_moves_with_all_it_has() {
    let mut world = World::new();
    let (caller, other) = (world.call(Some(1_000.0)), world.call(None));
    world.admit(&[caller, other]);
    world.play(caller, 3, &[Prompt::YouAreMuted]);
    world.ticks(5);
    let call = world.key(caller);
    let leg = world.plane.take_leg(call).unwrap();
    assert_eq!((world.plane.slot_of(call), world.plane.legs()), (None, 1));
    assert_eq!(world.plane.meetings[0].as_ref().unwrap().members, 1);
    assert!(world.plane.take_leg(call).is_none());
    world.callers[caller].slot = world.plane.insert_leg(leg);
    world.ticks(15);
    assert!(world.events.iter().any(|event| matches!(event, PlaneEvent::PlaybackFinished { .. })));
    assert!(world.callers[other].hears(1_000.0, 8) && world.callers[caller].hears_nothing(4));
    let packets = &world.callers[caller].packets;
    assert!(packets.windows(2).all(|pair| pair[1].0 == pair[0].0.wrapping_add(1)), "one stream of packets");
}
