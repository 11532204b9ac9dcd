//! Who hears whom, music, prompts and chimes.

use super::*;

#[test]
fn who_waits_hears_music_and_nobody_hears_him() {
    let mut world = World::new();
    let waits = world.call(Some(400.0));
    let (a, b) = (world.call(Some(1_000.0)), world.call(None));
    world.background(waits, Background::Music);
    world.admit(&[a, b]);
    world.ticks(50);
    assert!(world.callers[waits].hears(MUSIC_HZ, 40));
    assert!(!world.callers[waits].hears(1_000.0, 40) && !world.callers[waits].hears(400.0, 40));
    assert!(world.callers[b].hears(1_000.0, 40));
    assert!(!world.callers[b].hears(400.0, 40) && !world.callers[b].hears(MUSIC_HZ, 40));
    assert!(world.callers[a].hears_nothing(40), "a hears himself");
}

#[test]
fn everybody_hears_the_others_in_his_own_codec_and_never_himself() {
    let mut world = World::new();
    let tones = [400.0, 700.0, 1_000.0, 1_900.0];
    let talkers: Vec<usize> = tones.map(|hz| world.call(Some(hz))).into();
    let listeners = [world.call(None), world.call(None), world.call(None), world.call(None)];
    let other_meeting = world.call(Some(2_600.0));
    world.admit(&[talkers.clone(), listeners.to_vec()].concat());
    world.background(other_meeting, Background::Meeting(MeetingKey(2)));
    world.ticks(40);
    for (&caller, own) in talkers.iter().zip(tones) {
        for hz in tones {
            assert_eq!(world.callers[caller].hears(hz, 30), hz != own, "{own} Hz of {hz} Hz");
        }
    }
    for caller in listeners {
        assert!(tones.iter().all(|&hz| world.callers[caller].hears(hz, 30)));
        assert!(!world.callers[caller].hears(2_600.0, 30));
    }
    assert!(world.callers[other_meeting].hears_nothing(30));
    // Two who only listen, with the same codec, got the very same packets.
    assert_eq!(world.callers[listeners[0]].heard[30 * 160..], world.callers[listeners[2]].heard[30 * 160..]);
}

#[test]
fn a_whole_lobby_is_in_the_mix_from_the_next_tick_on() {
    let mut world = World::new();
    let organizer = world.call(Some(1_000.0));
    let lobby: Vec<usize> = (0..20).map(|_| world.call(None)).collect();
    for &caller in &lobby {
        world.background(caller, Background::Music);
    }
    world.play(lobby[3], 9, &[Prompt::Patience]);
    world.ticks(4);
    world.admit(&[&[organizer][..], &lobby].concat());
    world.ticks(2);
    for &caller in &lobby {
        assert!(world.callers[caller].hears(1_000.0, 1), "the second frame is the meeting's");
        world.callers[caller].heard.drain(..5 * 160);
        assert!(!world.callers[caller].hears(MUSIC_HZ, 1) && !world.callers[caller].hears(PROMPT_HZ, 1));
    }
    world.ticks(20);
    let finished = |event: &PlaneEvent| matches!(event, PlaneEvent::PlaybackFinished { .. });
    assert!(!world.events.iter().any(finished), "the prompt was cut");
}

#[test]
fn no_change_of_what_is_heard_makes_a_step() {
    let mut world = World::new();
    let caller = world.call(None);
    let speaker = world.call(Some(500.0));
    world.background(speaker, Background::Meeting(MEETING));
    world.background(caller, Background::Music);
    world.ticks(7);
    world.play(caller, 1, &[Prompt::Welcome]);
    world.ticks(3);
    world.command(PlaneCommand::StopPlayback { call: world.key(caller) });
    world.ticks(5);
    world.admit(&[caller]);
    world.ticks(5);
    world.play(caller, 2, &[Prompt::YouAreMuted, Prompt::Goodbye]);
    world.ticks(30);
    world.background(caller, Background::Silence);
    world.ticks(5);
    let heard = &world.callers[caller].heard;
    let step = heard.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap();
    // 5000 at 900 Hz moves by 3,430 at most from one sample to the next.
    assert!(step < 3_700, "{step}");
}

#[test]
fn prompts_play_once_in_front_of_the_background_and_say_when_they_end() {
    let mut world = World::new();
    let caller = world.call(None);
    world.background(caller, Background::Music);
    world.play(caller, 5, &[Prompt::Welcome, Prompt::EnterPin]);
    world.ticks(20);
    assert!(world.callers[caller].hears(PROMPT_HZ, 18) && !world.callers[caller].hears(MUSIC_HZ, 18));
    let finished = |world: &World| {
        world.events.iter().filter(|event| matches!(event, PlaneEvent::PlaybackFinished { .. })).count()
    };
    assert_eq!(finished(&world), 0);
    world.ticks(1);
    let playback = PlaybackKey(5);
    assert!(world.events.contains(&PlaneEvent::PlaybackFinished { call: world.key(caller), playback }));
    world.ticks(20);
    assert!(world.callers[caller].hears(MUSIC_HZ, 18));
    // Stopped and replaced ones end without a word.
    world.play(caller, 6, &[Prompt::Welcome]);
    world.ticks(2);
    world.play(caller, 7, &[Prompt::Welcome]);
    world.ticks(2);
    world.command(PlaneCommand::StopPlayback { call: world.key(caller) });
    world.ticks(40);
    assert!(world.callers[caller].hears(MUSIC_HZ, 30));
    assert_eq!(finished(&world), 1);
    // Nothing to play is finished at once.
    world.play(caller, 8, &[]);
    world.ticks(1);
    assert_eq!(finished(&world), 2);
}

#[test]
fn who_is_muted_or_has_us_on_hold_is_not_heard() {
    let mut world = World::new();
    let (talker, listener) = (world.call(Some(1_000.0)), world.call(None));
    world.admit(&[talker, listener]);
    world.ticks(20);
    world.command(PlaneCommand::Mute { call: world.key(talker), muted: true });
    world.ticks(20);
    assert!(world.callers[listener].hears_nothing(18));
    world.command(PlaneCommand::Mute { call: world.key(talker), muted: false });
    world.ticks(20);
    assert!(world.callers[listener].hears(1_000.0, 18));
    // The peer sends only: music of his telephone system.
    let sent = world.callers[talker].packets.len();
    let media = world.media(talker, Direction::RecvOnly);
    world.command(PlaneCommand::Negotiate {
        call: world.key(talker),
        signalled_from: media.remote_rtp.ip(),
        media: media.into(),
    });
    world.ticks(20);
    assert!(world.callers[listener].hears_nothing(18));
    assert_eq!(world.callers[talker].packets.len(), sent, "and nothing is sent to him");
    let media = world.media(talker, Direction::SendRecv);
    world.command(PlaneCommand::Negotiate {
        call: world.key(talker),
        signalled_from: media.remote_rtp.ip(),
        media: media.into(),
    });
    world.ticks(20);
    assert!(world.callers[listener].hears(1_000.0, 18));
    let [before, after] = world.callers[talker].packets[sent - 1..=sent] else { panic!() };
    assert_eq!(after.0, before.0.wrapping_add(1), "no sequence number is left out");
    assert_eq!(after.1.wrapping_sub(before.1), 21 * 160, "but time went on");
    assert!(after.2, "marked as the start of a talkspurt");
}

#[test]
fn a_chime_is_heard_by_all_over_what_is_said() {
    let mut world = World::new();
    let (talker, listener, waits) = (world.call(Some(1_000.0)), world.call(None), world.call(None));
    world.background(waits, Background::Music);
    world.admit(&[talker, listener]);
    world.ticks(20);
    for _ in 0..5 {
        world.command(PlaneCommand::Chime { meeting: MEETING, chime: Chime::Entry });
    }
    world.ticks(10);
    assert!(world.callers[talker].hears(CHIME_HZ, 9) && !world.callers[talker].hears(1_000.0, 9));
    assert!(world.callers[listener].hears(CHIME_HZ, 9) && world.callers[listener].hears(1_000.0, 9));
    assert!(!world.callers[waits].hears(CHIME_HZ, 9));
    assert!(amplitude(&world.callers[talker].heard[22 * 160..28 * 160], CHIME_HZ) < 6_000.0, "five at once are one");
    world.ticks(10);
    assert!(world.callers[talker].hears_nothing(9));
}
