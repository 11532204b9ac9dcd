//! The lobby.

use super::*;

#[test]
fn a_word_of_patience_interrupts_nothing() {
    let mut phone = Phone::asked_whether_organizer();
    phone.wait_ms(8_000);
    phone.story.clear();
    phone.tell(Input::Patience);
    assert_eq!(phone.story(), [""; 0], "he is just being told to wait");
    phone.wait_ms(60_000);
    phone.tell(Input::Patience);
    assert_eq!(phone.story(), ["play patience"]);
    phone.press("5");
    assert_eq!(phone.story(), ["stop"], "any key interrupts any prompt");
    let mut phone = Phone::asked_for_pin();
    phone.tell(Input::Patience);
    assert_eq!(phone.story(), [""; 0]);
}

#[test]
fn nobody_is_asked_for_a_pin_where_none_is_needed() {
    let mut phone = Phone::seating();
    phone.tell(Input::Admitted);
    phone.wait_ms(60_000);
    assert_eq!(phone.story(), [""; 0]);
    for (waits_for, told) in
        [(ADMISSION, "play please-wait-for-admission"), (LOCKED, "play meeting-locked please-wait-for-admission")]
    {
        let mut phone = Phone::seating();
        phone.tell(Input::Waits(waits_for));
        assert_eq!(phone.story(), ["music", told]);
        phone.wait_ms(10_000);
        phone.tell(Input::Patience);
        assert_eq!(phone.story(), ["play please-wait-for-admission"], "the organizer has arrived");
    }
}

#[test]
fn an_organizer_before_the_locked_door_can_still_use_his_pin() {
    let mut phone = Phone::seating();
    phone.tell(Input::Waits(LOCKED));
    phone.press("*86421#");
    phone.pin(PinAnswer::Right);
    assert_eq!(phone.story().last().unwrap(), "authenticated");
}

#[test]
fn a_start_that_takes_only_admitted_ones_in_is_told_to_who_waits() {
    let mut phone = Phone::in_lobby();
    phone.tell(Input::Waits(ADMISSION));
    assert_eq!(phone.story(), ["play please-wait-for-admission"]);
    phone.tell(Input::Waits(LOCKED));
    assert_eq!(phone.story(), [""; 0], "he waits for the same");
    let mut phone = Phone::asked_whether_organizer();
    phone.tell(Input::Waits(ADMISSION));
    assert_eq!(phone.story(), ["music", "play please-wait-for-admission"], "the question has answered itself");
    let mut phone = Phone::asked_for_pin();
    phone.tell(Input::Waits(ADMISSION));
    phone.press("86421#");
    assert_eq!(phone.story(), ["verify 86421"], "who types a PIN is left in peace");
}

#[test]
fn the_lobby_lets_nobody_wait_for_ever() {
    for mut phone in [Phone::in_lobby(), Phone::asked_for_pin(), Phone::asked_whether_organizer(), Phone::seating()] {
        phone.tell(Input::LobbyTimedOut);
        assert_eq!(phone.story().last().unwrap(), "play goodbye");
        phone.wait_ms(2_000);
        assert_eq!(phone.story(), ["hang up: LobbyTimedOut"]);
    }
}

#[test]
fn a_full_meeting() {
    let mut phone = Phone::seating();
    phone.tell(Input::MeetingFull);
    phone.wait_ms(4_000);
    assert_eq!(phone.story(), ["play meeting-full goodbye", "hang up: MeetingFull"]);
}
