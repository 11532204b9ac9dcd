//! Answered, and the conference ID.

use super::*;

#[test]
fn the_organizer_starts_his_meeting() {
    let mut phone = Phone::new(None);
    phone.tell(Input::Answered);
    assert_eq!(phone.story(), ["silence", "play welcome enter-conference-id"]);
    phone.wait_ms(5_000);
    phone.press("1234567");
    assert_eq!(phone.story(), ["look up 1234567"]);
    phone.conference(found());
    assert_eq!(phone.story(), ["arrive"]);
    phone.tell(Input::Waits(START));
    assert_eq!(phone.story(), ["play organizer-question"]);
    phone.press("#");
    assert_eq!(phone.story(), [""; 0], "the pound key that the prompt asked for does not talk down the question");
    phone.press("*");
    assert_eq!(phone.story(), ["stop", "play enter-pin"]);
    phone.press("86421#");
    assert_eq!(phone.story(), ["stop", "verify 86421"]);
    phone.pin(PinAnswer::Right);
    assert_eq!(phone.story(), ["authenticated"]);
    phone.tell(Input::Admitted);
    phone.wait_ms(3_600_000);
    assert_eq!(phone.story(), [""; 0], "nothing is said over the meeting");
    assert_eq!(
        phone.notes,
        [
            Note::ConferenceIdRight { id: "1234567".parse().unwrap(), conference: CONFERENCE },
            Note::AskedWhetherOrganizer,
            Note::AskedForPin,
            Note::PinRight,
            Note::InMeeting,
        ]
    );
}

#[test]
fn a_key_interrupts_the_prompt_and_counts() {
    let mut phone = Phone::answered();
    phone.story.clear();
    phone.press("1234567");
    assert_eq!(phone.story(), ["stop", "look up 1234567"]);
}

#[test]
fn keys_pressed_before_the_answer_count() {
    let mut phone = Phone::new(None);
    phone.press("1234567#");
    phone.tell(Input::Answered);
    assert_eq!(phone.story().last().unwrap(), "look up 1234567");
}

#[test]
fn everything_typed_ahead_in_one_go() {
    let mut phone = Phone::answered();
    phone.press("1234567#*86421#");
    assert_eq!(phone.story()[2..], ["stop", "look up 1234567", "play please-hold", "stop"]);
    phone.conference(found());
    phone.tell(Input::Waits(START));
    assert_eq!(phone.story().last().unwrap(), "verify 86421");
}

#[test]
fn what_was_typed_ahead_goes_nowhere_if_the_entry_was_wrong() {
    let mut phone = Phone::answered();
    phone.press("1234567#*86421#");
    phone.story.clear();
    phone.conference(ConferenceAnswer::Unknown);
    assert_eq!(phone.story(), ["play conference-id-invalid enter-conference-id"]);
    phone.press("7654321");
    assert_eq!(phone.story().last().unwrap(), "look up 7654321");
    phone.conference(found());
    phone.tell(Input::Waits(START));
    assert_eq!(phone.story().last().unwrap(), "play organizer-question", "nor later");
}

#[test]
fn impatient_keys_do_not_talk_down_the_question() {
    let mut phone = Phone::answered();
    phone.press("1234567");
    phone.wait_ms(2_000);
    phone.press("00##5");
    phone.story.clear();
    phone.conference(found());
    phone.tell(Input::Waits(START));
    assert_eq!(phone.story(), ["arrive", "play organizer-question"]);
}

#[test]
fn three_wrong_conference_ids() {
    let mut phone = Phone::answered();
    for tries_left in [2, 1] {
        phone.press("0000000#");
        phone.story.clear();
        phone.conference(ConferenceAnswer::Unknown);
        assert_eq!(phone.story(), ["play conference-id-invalid enter-conference-id"]);
        assert_eq!(phone.notes.last(), Some(&Note::ConferenceIdWrong { tries_left }));
    }
    phone.press("0000000");
    phone.conference(ConferenceAnswer::Unknown);
    assert_eq!(phone.story().last().unwrap(), "play conference-id-invalid goodbye");
    phone.press("1234567#");
    assert_eq!(phone.story(), [""; 0], "the last words are said to their end");
    phone.wait_ms(10_000);
    assert_eq!(phone.story(), ["hang up: NoValidConferenceId"]);
    assert_eq!(phone.attendant.poll_timeout(), None);
    phone.tell(Input::Answered);
    phone.tell(Input::MeetingEnded);
    phone.tell(Input::Muted(true));
    assert_eq!(phone.story(), [""; 0], "nothing comes after BYE");
}

#[test]
fn a_used_up_budget_ends_the_tries_at_once() {
    let mut phone = Phone::answered();
    phone.press("0000000");
    phone.conference(ConferenceAnswer::UnknownAndOutOfTries);
    assert_eq!(phone.story().last().unwrap(), "play conference-id-invalid goodbye");
}

#[test]
fn what_is_too_short_is_wrong_without_asking_the_store() {
    let mut phone = Phone::answered();
    phone.story.clear();
    phone.press("123456#");
    assert_eq!(phone.story(), ["stop", "play conference-id-invalid enter-conference-id"]);
    phone.press("123456");
    phone.story.clear();
    phone.wait_ms(4_999);
    assert_eq!(phone.story(), [""; 0]);
    phone.wait_ms(1);
    assert_eq!(phone.story(), ["play conference-id-invalid enter-conference-id"], "five seconds end an entry");
    assert_eq!(phone.notes.last(), Some(&Note::ConferenceIdWrong { tries_left: 1 }));
}

#[test]
fn a_bounced_key_costs_one_try_and_not_two() {
    let mut phone = Phone::answered();
    phone.press("1233456");
    phone.conference(ConferenceAnswer::Unknown);
    phone.story.clear();
    phone.press("7#");
    assert_eq!(phone.story(), [""; 0]);
    phone.wait_ms(2_000);
    phone.press("1234567");
    assert_eq!(phone.story(), ["stop", "look up 1234567"]);
}

#[test]
fn star_clears_the_entry() {
    let mut phone = Phone::answered();
    phone.press("9912*1234567");
    assert_eq!(phone.story().last().unwrap(), "look up 1234567");
}

#[test]
fn five_seconds_between_digits_are_counted_anew_with_each() {
    let mut phone = Phone::answered();
    for key in ["1", "2", "3", "4", "5", "6", "7"] {
        phone.wait_ms(4_700);
        phone.press(key);
    }
    assert_eq!(phone.story().last().unwrap(), "look up 1234567");
}

#[test]
fn a_digit_that_comes_after_the_pause_is_a_new_entry_even_before_the_timer_is_served() {
    let mut phone = Phone::answered();
    phone.press("123");
    phone.now += Duration::from_millis(5_001);
    phone.tell(Input::Digit(Digit::from_char('4').unwrap()));
    assert_eq!(phone.notes.last(), Some(&Note::ConferenceIdWrong { tries_left: 2 }));
    phone.press("567890#");
    assert_eq!(phone.story().last().unwrap(), "look up 4567890");
}

#[test]
fn silence_repeats_the_prompt_three_times_and_then_it_is_goodbye() {
    let mut phone = Phone::answered();
    phone.wait_ms(4_000);
    phone.story.clear();
    for _ in 0..3 {
        phone.wait_ms(9_999);
        assert_eq!(phone.story(), [""; 0]);
        phone.wait_ms(1);
        assert_eq!(phone.story(), ["play enter-conference-id"]);
        phone.wait_ms(2_000);
    }
    phone.wait_ms(12_000);
    assert_eq!(phone.story(), ["play goodbye", "hang up: NothingEntered"]);
}

#[test]
fn a_pound_key_alone_asks_again_and_uses_up_no_try() {
    let mut phone = Phone::answered();
    phone.story.clear();
    phone.press("#");
    assert_eq!(phone.story(), ["stop", "play enter-conference-id"]);
    phone.press("1234567");
    phone.conference(found());
    assert_eq!(phone.attendant_tries(), (3, 3));
}

#[test]
fn a_call_that_never_enters_anything_right_has_an_end() {
    let mut phone = Phone::answered();
    for _ in 0..700 {
        phone.wait_ms(400);
        phone.press("1*4");
    }
    assert_eq!(phone.story().iter().filter(|line| *line == "play goodbye").count(), 1);
    assert_eq!(phone.attendant.poll_timeout(), None);
}
