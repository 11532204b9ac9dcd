//! The meeting.

use super::*;

#[test]
fn the_trunk_vouches_for_the_organizer() {
    for (identity, line) in [
        ("anna@example.com", "arrive as leader"),
        ("Anna@Example.COM", "arrive as leader"),
        ("ben@example.com", "arrive"),
    ] {
        let mut phone = Phone::new(Some(identity));
        phone.tell(Input::Answered);
        phone.press("1234567");
        phone.conference(found());
        assert_eq!(phone.story().last().unwrap(), line);
    }
}

#[test]
fn the_start_takes_him_in_whatever_he_is_doing() {
    let in_pin_silence = || {
        let mut phone = Phone::asked_for_pin();
        phone.wait_ms(1_000);
        phone
    };
    for mut phone in [Phone::seating(), Phone::asked_whether_organizer(), in_pin_silence(), Phone::in_lobby()] {
        phone.tell(Input::Admitted);
        phone.wait_ms(600_000);
        assert_eq!(phone.story(), [""; 0]);
        assert_eq!(phone.notes.last(), Some(&Note::InMeeting));
    }
}

#[test]
fn effects_meant_for_the_lobby_do_not_survive_admission() {
    let mut phone = Phone::seating();
    let (now, attendant) = (phone.now, &mut phone.attendant);
    attendant.handle_input(now, Input::Waits(ADMISSION));
    attendant.handle_input(now, Input::Admitted);
    phone.drain();
    assert_eq!(phone.story(), [""; 0], "the media has the meeting on already: no music, no prompt after it");
    phone.tell(Input::Waits(START));
    assert_eq!(phone.story(), ["music", "play please-wait-for-organizer"], "and on the way back both come again");
}

#[test]
fn a_pin_under_way_is_honoured_in_the_meeting() {
    let mut phone = Phone::asked_for_pin();
    phone.press("86421#");
    phone.tell(Input::Admitted);
    phone.story.clear();
    phone.pin(PinAnswer::Right);
    assert_eq!(phone.story(), ["authenticated"]);
    phone.press("*7");
    assert_eq!(phone.story(), ["ToggleLock"]);

    for answer in [PinAnswer::Wrong, PinAnswer::OutOfTries, PinAnswer::Unavailable] {
        let mut phone = Phone::asked_for_pin();
        phone.press("86421#");
        phone.tell(Input::Admitted);
        phone.story.clear();
        phone.pin(answer);
        assert_eq!(phone.story(), [""; 0], "nothing is said into the meeting");
        phone.press("*7");
        assert_eq!(phone.story(), [""; 0]);
    }
}

#[test]
fn a_slow_store_says_nothing_into_the_meeting() {
    let mut phone = Phone::asked_for_pin();
    phone.press("86421#");
    phone.tell(Input::Admitted);
    phone.story.clear();
    phone.wait_ms(20_000);
    assert_eq!(phone.story(), [""; 0]);
    assert_eq!(phone.notes.last(), Some(&Note::StoreUnavailable));
}

#[test]
fn a_pin_half_typed_is_typed_to_its_end_in_the_meeting() {
    let mut phone = Phone::asked_for_pin();
    phone.press("86");
    phone.tell(Input::Admitted);
    phone.press("421#");
    assert_eq!(phone.story(), ["verify 86421"]);
    phone.pin(PinAnswer::Right);
    assert_eq!(phone.story(), ["authenticated"]);
    // It ends by a pause too; and `*` means that he knows where he is.
    let mut phone = Phone::asked_for_pin();
    phone.press("86421");
    phone.tell(Input::Admitted);
    phone.wait_ms(5_000);
    assert_eq!(phone.story(), ["verify 86421"]);
    let mut phone = Phone::asked_for_pin();
    phone.press("864");
    phone.tell(Input::Admitted);
    phone.press("*6");
    assert_eq!(phone.story(), ["ToggleMute"]);
    // What is too short is no try.
    let mut phone = Phone::asked_for_pin();
    phone.press("864");
    phone.tell(Input::Admitted);
    phone.wait_ms(5_000);
    assert_eq!((phone.story(), phone.attendant_tries()), (vec![], (3, 3)));
}

#[test]
fn keys_in_the_meeting() {
    let mut phone = Phone::in_meeting();
    phone.press("123#*6");
    assert_eq!(phone.story(), ["ToggleMute"]);
    phone.tell(Input::Muted(true));
    assert_eq!(phone.story(), ["play you-are-muted"]);
    phone.press("*6");
    assert_eq!(phone.story(), ["stop", "ToggleMute"]);
    phone.tell(Input::Muted(false));
    assert_eq!(phone.story(), ["play you-are-unmuted"]);
    phone.wait_ms(5_000);
    phone.press("*4*7*8*9**");
    assert_eq!(phone.story(), [""; 0], "a participant gives no leader's commands");
    phone.wait_ms(5_000);
    phone.press("*1*3*5");
    assert_eq!(phone.story(), ["Help", "RollCall", "RaiseHand"]);
}

#[test]
fn being_muted_is_told_in_the_meeting_only() {
    let mut phone = Phone::in_lobby();
    phone.tell(Input::Muted(true));
    assert_eq!(phone.story(), [""; 0]);
    assert_eq!(phone.notes.last(), Some(&Note::Muted(true)));
}

#[test]
fn a_leader_gives_the_leaders_commands() {
    let mut phone = Phone::asked_for_pin();
    phone.press("86421#");
    phone.pin(PinAnswer::Right);
    phone.tell(Input::Admitted);
    phone.story.clear();
    phone.press("*4*7*8*9**");
    assert_eq!(phone.story(), ["MuteAll", "ToggleLock", "AdmitWaiting", "ToggleAnnouncements", "EndMeeting"]);
}

#[test]
fn back_to_the_lobby_and_in_again() {
    let mut phone = Phone::in_meeting();
    phone.tell(Input::Waits(START));
    assert_eq!(phone.story(), ["music", "play please-wait-for-organizer"]);
    phone.press("*86421#");
    phone.story.clear();
    phone.pin(PinAnswer::Right);
    phone.tell(Input::Admitted);
    phone.press("*6");
    assert_eq!(phone.story(), ["authenticated", "ToggleMute"]);
}

#[test]
fn a_pin_half_typed_in_the_meeting_is_forgotten_on_the_way_back() {
    let mut phone = Phone::asked_for_pin();
    phone.press("8642");
    phone.tell(Input::Admitted);
    phone.tell(Input::Waits(START));
    phone.story.clear();
    phone.wait_ms(60_000);
    assert_eq!(phone.story(), [""; 0], "he hears music, and is asked for nothing");
}

#[test]
fn a_pin_verified_behind_his_back_survives_the_way_back_to_the_lobby() {
    let mut phone = Phone::asked_for_pin();
    phone.press("86421#");
    phone.tell(Input::Admitted);
    phone.tell(Input::Waits(START));
    phone.story.clear();
    let asked = phone.asked.clone();
    phone.press("*");
    assert_eq!(phone.story(), ["stop", "silence"], "it is being verified: he is not asked again");
    assert_eq!(phone.asked, asked);
    phone.pin(PinAnswer::Right);
    assert_eq!(phone.story(), ["authenticated"]);
}

#[test]
fn the_meeting_ends_for_whoever_has_a_seat() {
    for mut phone in [Phone::in_meeting(), Phone::in_lobby(), Phone::asked_for_pin(), Phone::asked_whether_organizer()]
    {
        phone.tell(Input::MeetingEnded);
        assert!(phone.story().ends_with(&["play meeting-ended goodbye".into()]));
        phone.wait_ms(4_000);
        assert_eq!(phone.story(), ["hang up: MeetingEnded"]);
    }
    let mut phone = Phone::in_meeting();
    phone.tell(Input::MeetingEnded);
    assert_eq!(phone.story(), ["silence", "play meeting-ended goodbye"], "the meeting's sound is off first");
}
