//! Whose packets are taken, where ours go, and what is told of the line.

use super::*;

#[test]
fn nothing_is_sent_or_played_before_the_media_is_negotiated() {
    let mut world = World::new();
    let call = CallKey(99);
    world.command(PlaneCommand::Open { call });
    world.command(PlaneCommand::Play { call, playback: PlaybackKey(1), prompts: [Prompt::Welcome].into() });
    world.ticks(30);
    assert_eq!((world.astray, world.events.len()), (0, 0));
}

#[test]
fn nothing_is_sent_to_an_address_from_which_nobody_has_spoken_or_acknowledged() {
    let mut world = World::new();
    let caller = world.call(None);
    for _ in 0..1_500 {
        world.quiet_tick();
    }
    assert!(world.callers[caller].packets.is_empty() && world.callers[caller].reports.is_empty());
    // The ACK has come: he is played something.
    world.play(caller, 1, &[Prompt::Welcome]);
    for _ in 0..600 {
        world.quiet_tick();
    }
    assert_eq!(world.callers[caller].packets.len(), 600);
    assert!(!world.callers[caller].reports.is_empty());
    // The other one is heard before his ACK comes.
    let early = world.call(None);
    world.ticks(10);
    assert_eq!(world.callers[early].packets.len(), 10);
}

#[test]
fn a_stranger_is_neither_heard_nor_sent_to() {
    let mut world = World::new();
    let (caller, listener) = (world.call(Some(1_000.0)), world.call(None));
    world.admit(&[caller, listener]);
    world.ticks(300);
    let stranger = SocketAddr::from(([198, 51, 100, 7], 9_999));
    let slot = world.callers[caller].slot;
    let mut forged = Caller::new(50, Some(2_000.0), usize::MAX);
    for ssrc in [forged.ssrc, world.callers[caller].ssrc] {
        forged.ssrc = ssrc;
        for _ in 0..100 {
            let datagram = forged.voice();
            world.plane.handle_rtp(slot, stranger, world.plane.next_tick_at(), &datagram);
            world.tick();
        }
    }
    assert!(world.callers[listener].hears(1_000.0, 90) && !world.callers[listener].hears(2_000.0, 90));
    assert_eq!(world.astray, 0, "RTP Bleed");
    world.command(PlaneCommand::Close { call: world.key(caller) });
    world.ticks(1);
    let closed = world.events.iter().find_map(|event| match event {
        PlaneEvent::Closed { statistics, .. } => Some(*statistics),
        _ => None,
    });
    let statistics = closed.unwrap();
    assert_eq!((statistics.packets_refused, statistics.packets_received, statistics.packets_lost), (200, 501, 0));
}

#[test]
fn a_caller_behind_address_translation_is_learned() {
    let mut world = World::new();
    let (caller, listener) = (world.call(Some(1_000.0)), world.call(None));
    let mut media = world.media(caller, Direction::SendRecv);
    media.remote_rtp = SocketAddr::from(([10, 0, 0, 5], 4_000));
    media.remote_rtcp = SocketAddr::from(([10, 0, 0, 5], 4_001));
    let signalled_from = world.callers[caller].address.ip();
    world.command(PlaneCommand::Negotiate { call: world.key(caller), signalled_from, media: media.into() });
    world.admit(&[caller, listener]);
    world.ticks(600);
    let (call, source) = (world.key(caller), world.callers[caller].address);
    assert!(world.events.contains(&PlaneEvent::SourceBound { call, source, as_agreed: false }));
    assert!(world.callers[listener].hears(1_000.0, 50));
    // His fifth packet makes a stream of them. What was sent before went to the address of his SDP, and nowhere.
    assert_eq!(world.callers[caller].packets.len(), 596);
    assert!(!world.callers[caller].reports.is_empty(), "RTCP goes beside it");
}

#[test]
fn after_a_stall_timestamps_tell_the_truth_and_the_voice_is_not_late() {
    let mut world = World::new();
    let (caller, listener) = (world.call(Some(1_000.0)), world.call(None));
    world.admit(&[caller, listener]);
    world.ticks(20);
    // The thread wakes ten ticks late, and leaves them out before it reads its sockets.
    let due = world.plane.next_tick_at();
    world.plane.skip(10);
    for late in 0..10 {
        for caller in [caller, listener] {
            let datagram = world.callers[caller].voice();
            let Caller { slot, address, .. } = world.callers[caller];
            world.plane.handle_rtp(slot, address, due + late * FRAME - FRAME / 2, &datagram);
        }
    }
    world.ticks(20);
    let [.., before, after] = world.callers[listener].packets[..=20] else { panic!() };
    assert_eq!((after.0, after.1), (before.0.wrapping_add(1), before.1.wrapping_add(11 * 160)));
    assert!(after.2);
    assert!(world.callers[listener].hears(1_000.0, 18));
    world.command(PlaneCommand::Close { call: world.key(caller) });
    world.ticks(1);
    let PlaneEvent::Closed { statistics, .. } = world.events.last().unwrap() else { panic!() };
    assert!(statistics.delay_ms_max <= 60, "{} ms", statistics.delay_ms_max);
}

#[test]
fn reports_tell_the_peer_what_we_sent_and_lost() {
    let mut world = World::new();
    let caller = world.call(Some(1_000.0));
    for tick in 0..2_000 {
        if tick % 10 == 0 {
            world.callers[caller].voice();
            world.quiet_tick();
        } else {
            world.tick();
        }
    }
    let caller = &world.callers[caller];
    assert!((5..=16).contains(&caller.reports.len()), "{} in 40 s", caller.reports.len());
    let report = caller.reports.last().unwrap();
    let block = report.block_about(caller.ssrc).unwrap();
    assert!((20..=30).contains(&block.fraction_lost), "{} of 256", block.fraction_lost);
    assert!(report.sender.unwrap().packets > 1_500 && !report.bye);
}

#[test]
fn a_silent_line_is_told_once_per_silence() {
    let mut world = World::new();
    world.call(None);
    let silent =
        |world: &World| world.events.iter().filter(|event| matches!(event, PlaneEvent::MediaSilent { .. })).count();
    world.ticks(2_000);
    assert_eq!(silent(&world), 0);
    for expected in [1, 2] {
        for _ in 0..4_000 {
            world.quiet_tick();
        }
        assert_eq!(silent(&world), expected);
        world.ticks(10);
    }
    // On hold nothing is expected.
    let media = world.media(0, Direction::Inactive);
    world.command(PlaneCommand::Negotiate {
        call: world.key(0),
        signalled_from: media.remote_rtp.ip(),
        media: media.into(),
    });
    for _ in 0..4_000 {
        world.quiet_tick();
    }
    assert_eq!(silent(&world), 2);
}

#[test]
fn every_caller_gets_one_packet_each_tick_whatever_happens_to_others() {
    let mut world = World::new();
    let steady = world.call(None);
    let mut random = StdRng::seed_from_u64(5);
    for tick in 0..500u64 {
        let call = CallKey(1_000 + random.random_range(0..20));
        let command = match random.random_range(0..9) {
            0 => PlaneCommand::Open { call },
            1 => {
                let media = world.media(steady, Direction::SendRecv);
                PlaneCommand::Negotiate { call, signalled_from: media.remote_rtp.ip(), media: media.into() }
            }
            2 => PlaneCommand::Background { call, background: Background::Music },
            3 => PlaneCommand::Admit { meeting: MeetingKey(random.random_range(0..3)), calls: [call].into() },
            4 => PlaneCommand::Play { call, playback: PlaybackKey(tick), prompts: [Prompt::Goodbye].into() },
            5 => PlaneCommand::StopPlayback { call },
            6 => PlaneCommand::Chime { meeting: MeetingKey(random.random_range(0..3)), chime: Chime::Exit },
            7 => PlaneCommand::Gather { call, meeting: MEETING },
            _ => PlaneCommand::Close { call },
        };
        world.command(command);
        for slot in 0..25 {
            let mut datagram = [0; 172];
            random.fill_bytes(&mut datagram);
            datagram[0] = 0x80;
            datagram[1] &= 0x08;
            let source = SocketAddr::from(([192, 0, 2, random.random_range(0..4)], 4_000));
            if slot != world.callers[steady].slot {
                let at = world.plane.next_tick_at();
                world.plane.handle_rtp(slot, source, at, &datagram[..random.random_range(0..173)]);
                world.plane.handle_rtcp(slot, source, at, &datagram[..random.random_range(0..173)]);
            }
        }
        world.tick();
        assert_eq!(world.callers[steady].packets.len() as u64, tick + 1);
    }
    let members: usize = world.plane.meetings.iter().flatten().map(|meeting| meeting.members).sum();
    let seated = world.plane.slots.iter().flatten().filter(|seat| seat.meeting.is_some()).count();
    assert_eq!(members, seated);
}
