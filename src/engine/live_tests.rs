//! What an operator does to calls and meetings, and what the callers hear of it.

use std::time::Duration;

use super::tests::*;
use super::*;
use crate::media::{Background, PlaneEvent};
use crate::meeting;
use crate::words::answer::LobbyPolicy;
use crate::words::event::{CallFact, EndCause, MeetingEnd, MeetingFact, StartedBy};
use crate::words::ids::{CallKey, ConferenceKey, MeetingKey};
use crate::words::prompt::Prompt;

fn live(world: &mut World, command: LiveCommand) -> Result<LiveDone, LiveRefusal> {
    let done = world.engine.handle_live(world.now, command);
    world.settle();
    done
}

fn start(world: &World) -> LiveCommand {
    let conference_id = CONFERENCE_ID.parse().unwrap();
    LiveCommand::Start { conference: world.conference.clone(), conference_id, by: "anna@example.com".into() }
}

fn only_meeting(world: &World) -> MeetingKey {
    world.engine.meetings().next().unwrap().key
}

fn states(world: &World) -> Vec<(CallKey, CallState)> {
    world.engine.calls().map(|call| (call.key, call.state)).collect()
}

fn waiting(world: &mut World) -> CallKey {
    let (_, call) = world.dial();
    world.press(call, CONFERENCE_ID);
    world.seconds(10);
    call
}

#[test]
fn a_user_starts_his_meeting_and_the_whole_lobby_is_in_it() {
    let mut world = World::new(|_| {});
    let (ben, cara) = (waiting(&mut world), waiting(&mut world));
    assert_eq!(states(&world), [(ben, CallState::WaitsForStart), (cara, CallState::WaitsForStart)]);
    let order = start(&world);
    let meeting = only_meeting(&world);
    let done = live(&mut world, order.clone()).unwrap();
    assert_eq!(done, LiveDone { meeting: Some(meeting), calls: 2, already: false });
    assert_eq!(world.admits, [[ben, cara]], "one command takes all of them in");
    let started = MeetingFact::Started { by: StartedBy::AuthenticatedUser, admitted: 2 };
    assert!(world.meeting_facts.contains(&started), "{:?}", world.meeting_facts);
    assert_eq!(live(&mut world, order), Ok(LiveDone { meeting: Some(meeting), calls: 0, already: true }));
}

#[test]
fn a_meeting_opened_before_anybody_calls_takes_them_in_or_closes_after_a_while() {
    let mut world = World::new(|_| {});
    let order = start(&world);
    assert!(!live(&mut world, order.clone()).unwrap().already);
    world.seconds(14 * 60);
    let (session, call) = world.dial();
    world.press(call, CONFERENCE_ID);
    assert!(world.is_in_meeting(call));
    assert!(!world.told(call, |fact| matches!(fact, CallFact::OrganizerAsked)), "it has started");
    world.hang_up(session);
    world.assert_all_freed(1);

    live(&mut world, order).unwrap();
    world.seconds(15 * 60 + 1);
    assert_eq!(world.engine.meetings().count(), 0);
    assert_eq!(world.engine.counts(), Counts::default());
}

#[test]
fn admit_lock_mute_and_remove() {
    let mut world = World::new(|_| {});
    world.conference.lobby_policy = LobbyPolicy::WaitForAdmission;
    let (ben, cara, dora) = (waiting(&mut world), waiting(&mut world), waiting(&mut world));
    let meeting = only_meeting(&world);
    let admit = |call| LiveCommand::Admit { meeting, call };
    assert_eq!(live(&mut world, admit(None)), Err(LiveRefusal::NotStarted(meeting)));
    let order = start(&world);
    live(&mut world, order).unwrap();
    assert_eq!(states(&world)[0], (ben, CallState::AwaitsAdmission), "who must be admitted is not let in by a start");
    assert_eq!(live(&mut world, admit(Some(ben))).unwrap().calls, 1);
    assert!(live(&mut world, admit(Some(ben))).unwrap().already);
    assert_eq!(live(&mut world, admit(Some(CallKey(99)))), Err(LiveRefusal::NotWaiting(CallKey(99))));
    assert_eq!(live(&mut world, admit(None)).unwrap().calls, 2);
    assert!(live(&mut world, admit(None)).unwrap().already);

    let mute = |call, muted| LiveCommand::Mute { call, muted };
    assert_eq!(live(&mut world, mute(ben, true)).unwrap().calls, 1);
    assert!(world.legs[&ben].prompts.contains(&Prompt::YouAreMuted));
    assert!(live(&mut world, mute(ben, true)).unwrap().already);
    assert_eq!(live(&mut world, LiveCommand::MuteAll { meeting, muted: true }).unwrap().calls, 2);
    assert_eq!(live(&mut world, LiveCommand::MuteAll { meeting, muted: false }).unwrap().calls, 3);
    assert!(world.engine.calls().all(|call| !call.muted));

    assert!(!live(&mut world, LiveCommand::Lock { meeting, locked: true }).unwrap().already);
    assert!(live(&mut world, LiveCommand::Lock { meeting, locked: true }).unwrap().already);
    let (_, late) = world.dial();
    world.press(late, CONFERENCE_ID);
    assert!(world.legs[&late].prompts.contains(&Prompt::MeetingLocked));
    assert_eq!(live(&mut world, mute(late, true)), Err(LiveRefusal::NotInMeeting(late)));

    live(&mut world, LiveCommand::Remove { call: cara }).unwrap();
    assert_eq!(world.legs[&cara].background, Some(Background::Silence), "he hears nothing more of the meeting");
    assert!(world.legs[&cara].prompts.contains(&Prompt::Goodbye));
    world.seconds(3);
    assert_eq!(live(&mut world, LiveCommand::Remove { call: cara }), Err(LiveRefusal::NoCall(cara)));
    assert_eq!(world.records[0].end, EndCause::Removed);

    assert_eq!(live(&mut world, LiveCommand::End { meeting }).unwrap().calls, 3);
    world.seconds(60);
    assert_eq!(live(&mut world, LiveCommand::End { meeting }), Err(LiveRefusal::NoMeeting(meeting)));
    let ended = EndCause::MeetingEnded(MeetingEnd::Ended);
    assert!(world.records[1..].iter().all(|record| record.end == ended), "{:?}", world.records);
    assert!([ben, dora, late].iter().all(|call| !world.legs.contains_key(call)));
    world.assert_all_freed(4);
}

#[test]
fn whoever_waits_for_a_meeting_that_nobody_will_start_is_let_go() {
    let mut world = World::new(|_| {});
    waiting(&mut world);
    let conference = ConferenceKey(1);
    assert_eq!(live(&mut world, LiveCommand::DropWaiting { conference }).unwrap().calls, 1);
    world.seconds(10);
    assert_eq!(world.records[0].end, EndCause::MeetingEnded(MeetingEnd::Withdrawn));
    assert!(live(&mut world, LiveCommand::DropWaiting { conference }).unwrap().already);
    // Who is in goes on.
    let call = waiting(&mut world);
    let order = start(&world);
    live(&mut world, order).unwrap();
    assert!(live(&mut world, LiveCommand::DropWaiting { conference }).unwrap().already);
    assert!(world.is_in_meeting(call));
}

#[test]
fn a_meeting_with_another_conference_id_goes_on_under_it() {
    let mut world = World::new(|_| {});
    waiting(&mut world);
    let conference_id = "7654321".parse().unwrap();
    let renumber = LiveCommand::Renumber { conference: ConferenceKey(1), conference_id };
    assert!(!live(&mut world, renumber.clone()).unwrap().already);
    assert!(live(&mut world, renumber).unwrap().already);
    let of = world.engine.meetings().next().unwrap();
    assert_eq!((of.conference_id, of.waiting), (conference_id, 1));
    let nowhere = LiveCommand::Renumber { conference: ConferenceKey(99), conference_id };
    assert_eq!(live(&mut world, nowhere).unwrap().meeting, None);
}

#[test]
fn a_caller_is_removed_from_the_attendant_and_while_his_call_is_set_up() {
    let mut world = World::new(|_| {});
    let (_, call) = world.dial();
    live(&mut world, LiveCommand::Remove { call }).unwrap();
    world.seconds(5);
    assert_eq!(world.records[0].end, EndCause::Removed);
    world.hold_legs = true;
    world.dial_as(None);
    let (call, _) = world.wanted_legs[0];
    live(&mut world, LiveCommand::Remove { call }).unwrap();
    world.open_legs();
    world.settle();
    world.assert_all_freed(2);
    assert_eq!(world.records[1].end, EndCause::Removed);
}

#[test]
fn a_shorter_lobby_time_out_holds_for_those_who_wait_already() {
    let mut world = World::new(|_| {});
    waiting(&mut world);
    let settings = meeting::Settings { lobby_timeout: Duration::from_secs(5 * 60), ..meeting::Settings::default() };
    world.engine.handle_meeting_settings(world.now, settings);
    world.settle();
    world.seconds(4 * 60);
    assert!(world.records.is_empty());
    world.seconds(60);
    assert_eq!(world.records[0].end, EndCause::LobbyTimedOut);
}

#[test]
fn who_talks_is_told_once_and_forgotten_outside_of_the_meeting() {
    let mut world = World::new(|_| {});
    let call = waiting(&mut world);
    let order = start(&world);
    live(&mut world, order).unwrap();
    for talking in [true, true, false, true] {
        world.engine.handle_media(world.now, PlaneEvent::Talking { call, talking });
        world.settle();
    }
    let told: Vec<_> = world.facts.iter().filter(|(_, fact)| matches!(fact, CallFact::Talking(_))).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(world.engine.calls().all(|call| call.talking));
}

#[test]
fn the_leader_mutes_all_and_unmutes_all_by_keys() {
    let mut world = World::new(|_| {});
    let ben = waiting(&mut world);
    world.dial_as(Some("sip:anna@example.com"));
    let anna = *world.legs.keys().last().unwrap();
    world.press(anna, CONFERENCE_ID);
    world.press(ben, "*4");
    assert!(!world.told(ben, |fact| *fact == CallFact::Muted), "he is no leader");
    world.press(anna, "*4");
    let muted = |world: &World| world.engine.calls().map(|call| call.muted).collect::<Vec<_>>();
    assert_eq!(muted(&world), [true, false], "all but the leader");
    world.press(anna, "*4");
    assert_eq!(muted(&world), [false, false]);
    assert!(world.meeting_facts.contains(&MeetingFact::AllMuted { muted: false, changed: 1 }));
}
