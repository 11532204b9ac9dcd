//! The organizer question, and the PIN.

use super::*;

#[test]
fn a_participant_stays_on_the_line() {
    let mut phone = Phone::asked_whether_organizer();
    phone.wait_ms(2_000);
    phone.wait_ms(4_999);
    assert_eq!(phone.story(), [""; 0], "five seconds from the end of the question");
    phone.wait_ms(1);
    assert_eq!(phone.story(), ["music", "play please-wait-for-organizer"]);
    assert_eq!(phone.notes.last(), Some(&Note::WaitsInLobby(START)));
}

#[test]
fn another_key_interrupts_the_question_and_star_still_answers_it() {
    let mut phone = Phone::asked_whether_organizer();
    phone.wait_ms(1_000);
    phone.press("0");
    assert_eq!(phone.story(), ["stop"]);
    phone.wait_ms(4_700);
    phone.press("*");
    assert_eq!(phone.story(), ["play enter-pin"]);
}

#[test]
fn an_organizer_who_missed_the_question_presses_star_in_the_lobby() {
    let mut phone = Phone::in_lobby();
    phone.wait_ms(600_000);
    phone.press("*");
    assert_eq!(phone.story(), ["silence", "play enter-pin"]);
    phone.press("86421");
    phone.wait_ms(5_000);
    assert_eq!(phone.story(), ["stop", "verify 86421"], "five seconds of nothing end the PIN");
    phone.pin(PinAnswer::Right);
    assert_eq!(phone.story(), ["authenticated"]);
}

#[test]
fn a_pin_has_four_to_twelve_digits() {
    let mut phone = Phone::asked_for_pin();
    phone.press("123456789012");
    assert_eq!(phone.story(), ["verify 123456789012"], "complete at the twelfth");
    phone.press("#");
    assert_eq!(phone.story(), [""; 0]);
    let mut phone = Phone::asked_for_pin();
    phone.press("864#");
    assert_eq!(phone.story(), ["play pin-invalid enter-pin"], "too short, wrong without asking the store");
    assert_eq!(phone.notes.last(), Some(&Note::PinWrong { tries_left: 2 }));
}

#[test]
fn three_wrong_pins_lead_to_the_lobby_as_a_participant() {
    let mut phone = Phone::asked_for_pin();
    for _ in 0..2 {
        phone.press("11111#");
        phone.story.clear();
        phone.pin(PinAnswer::Wrong);
        assert_eq!(phone.story(), ["play pin-invalid enter-pin"]);
    }
    phone.press("11111#");
    phone.story.clear();
    phone.pin(PinAnswer::Wrong);
    assert_eq!(phone.story(), ["music", "play pin-invalid too-many-tries"]);
    phone.wait_ms(10_000);
    phone.press("*");
    assert_eq!(phone.story(), ["play too-many-tries"], "a short word, and back to the music");
    phone.wait_ms(10_000);
    phone.tell(Input::Patience);
    assert_eq!(phone.story(), ["play please-wait-for-organizer"], "he is not asked to press star");
    phone.tell(Input::Admitted);
    phone.press("*7*6");
    assert_eq!(phone.story(), ["ToggleMute"]);
}

#[test]
fn the_three_tries_are_for_the_whole_call() {
    let mut phone = Phone::asked_for_pin();
    phone.press("11111#");
    phone.pin(PinAnswer::Wrong);
    phone.wait_ms(60_000);
    assert_eq!(phone.story().last().unwrap(), "play please-wait-for-organizer");
    phone.press("*22222#");
    phone.pin(PinAnswer::Wrong);
    phone.press("33333#");
    phone.pin(PinAnswer::Wrong);
    assert_eq!(phone.story().last().unwrap(), "play pin-invalid too-many-tries");
}

#[test]
fn a_used_up_budget_of_the_store_leads_to_the_lobby() {
    let mut phone = Phone::asked_for_pin();
    phone.press("86421#");
    phone.story.clear();
    phone.pin(PinAnswer::OutOfTries);
    assert_eq!(phone.story(), ["music", "play too-many-tries"]);
    assert_eq!(phone.notes[phone.notes.len() - 2..], [Note::PinTriesUsedUp, Note::WaitsInLobby(START)]);
}

#[test]
fn silence_at_the_pin_leads_to_the_lobby() {
    let mut phone = Phone::asked_for_pin();
    phone.wait_ms(9_500);
    assert_eq!(phone.story(), ["play enter-pin"]);
    phone.wait_ms(12_000);
    assert_eq!(phone.story(), ["music", "play please-wait-for-organizer"]);
    assert_eq!(phone.attendant_tries(), (3, 3));
}
