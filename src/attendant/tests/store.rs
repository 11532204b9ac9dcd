//! The store: slow, away, and late.

use super::*;

#[test]
fn a_slow_store() {
    let mut phone = Phone::answered();
    phone.press("1234567");
    phone.story.clear();
    phone.wait_ms(999);
    assert_eq!(phone.story(), [""; 0]);
    phone.wait_ms(1);
    assert_eq!(phone.story(), ["play please-hold"]);
    phone.wait_ms(3_000);
    phone.conference(found());
    assert_eq!(phone.story(), ["arrive"], "an answer in time needs no other word");
}

#[test]
fn a_store_that_does_not_answer() {
    let mut phone = Phone::answered();
    phone.press("1234567");
    phone.story.clear();
    phone.wait_ms(5_999);
    assert_eq!(phone.story(), ["play please-hold"]);
    phone.wait_ms(1);
    assert_eq!(phone.story(), ["play cannot-check enter-conference-id"]);
    phone.conference(found());
    assert_eq!(phone.story(), [""; 0], "too late: nothing is admitted by it");
    assert_eq!(phone.attendant_tries(), (3, 3));
    phone.press("1234567");
    phone.conference(found());
    assert_eq!(phone.story().last().unwrap(), "arrive");
}

#[test]
fn a_store_that_is_away_is_asked_again() {
    let mut phone = Phone::asked_for_pin();
    phone.press("86421#");
    phone.story.clear();
    let first = phone.asked.clone();
    phone.pin(PinAnswer::Unavailable);
    assert_eq!(phone.story(), ["play please-hold"]);
    phone.wait_ms(1_000);
    assert_eq!(phone.story(), ["verify 86421"]);
    assert_ne!(phone.asked, first, "with another key");
    let (stale, _) = first.unwrap();
    phone.tell(Input::Pin(stale, PinAnswer::Right));
    assert_eq!(phone.story(), [""; 0], "an old key opens nothing");
    phone.pin(PinAnswer::Right);
    assert_eq!(phone.story(), ["authenticated"]);
}

#[test]
fn a_store_that_stays_away_costs_no_try_and_no_place() {
    let mut phone = Phone::asked_for_pin();
    phone.press("86421#");
    phone.story.clear();
    for _ in 0..5 {
        phone.pin(PinAnswer::Unavailable);
        phone.wait_ms(1_000);
    }
    assert_eq!(phone.story().last().unwrap(), "play cannot-check enter-pin");
    assert_eq!(phone.attendant_tries(), (3, 3));
    phone.tell(Input::Admitted);
    assert_eq!(phone.notes.last(), Some(&Note::InMeeting));
}

#[test]
fn a_caller_who_has_hung_up_the_question_of_gets_no_answer_to_it() {
    let mut phone = Phone::asked_for_pin();
    phone.press("86421#");
    phone.tell(Input::MeetingEnded);
    phone.story.clear();
    phone.pin(PinAnswer::Right);
    assert_eq!(phone.story(), [""; 0]);
}

#[test]
fn a_lost_report_of_a_playback_leaves_nobody_stuck() {
    let mut phone = Phone::answered();
    phone.playing = None;
    phone.story.clear();
    phone.wait_ms(70_000);
    assert_eq!(phone.story(), ["play enter-conference-id"]);
    assert!(phone.notes.contains(&Note::PlaybackLost));
    let mut phone = Phone::in_lobby();
    phone.tell(Input::LobbyTimedOut);
    phone.playing = None;
    phone.wait_ms(60_000);
    assert_eq!(phone.story().last().unwrap(), "hang up: LobbyTimedOut");
}

#[test]
fn the_end_of_a_playback_that_was_replaced_says_nothing() {
    let mut phone = Phone::answered();
    let (old, _) = phone.playing.unwrap();
    phone.press("#");
    phone.story.clear();
    phone.tell(Input::PlaybackFinished(old));
    phone.wait_ms(11_999);
    assert_eq!(phone.story(), [""; 0], "ten seconds from the end of the prompt that plays");
    phone.wait_ms(1);
    assert_eq!(phone.story(), ["play enter-conference-id"]);
}
