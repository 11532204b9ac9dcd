//! The caller's journey, row by row (DESIGN section 1), and the same machine under a hail of inputs in any order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::keypad::Command;
use super::*;
use crate::words::answer::{Announcements, Conference, ConferenceAnswer, LobbyPolicy, PinAnswer};
use crate::words::ids::{CallKey, ConferenceKey, LookupKey, PlaybackKey, UserKey};
use crate::words::prompt::Prompt;
use crate::words::secret::Digit;

/// Each prompt takes so long to say, in these tests.
const PROMPT: Duration = Duration::from_secs(2);

const START: WaitsFor = WaitsFor::Start;
const ADMISSION: WaitsFor = WaitsFor::Admission { locked: false };
const LOCKED: WaitsFor = WaitsFor::Admission { locked: true };

const CONFERENCE: ConferenceKey = ConferenceKey(40);

fn conference() -> Conference {
    Conference {
        key: CONFERENCE,
        organizer: UserKey(7),
        organizer_identity: "anna@example.com".into(),
        allow_anonymous_start: false,
        lobby_policy: LobbyPolicy::Open,
        announcements: Announcements::default(),
    }
}

fn found() -> ConferenceAnswer {
    ConferenceAnswer::Found(conference())
}

/// One caller with his telephone: plays what he is played, waits, presses keys, and writes down what happens to him.
struct Phone {
    attendant: Attendant,
    now: Instant,
    playing: Option<(PlaybackKey, Instant)>,
    asked: Option<(LookupKey, Question)>,
    story: Vec<String>,
    notes: Vec<Note>,
}

impl Phone {
    fn new(asserted_identity: Option<&str>) -> Phone {
        let settings = Arc::new(Settings::default());
        Phone {
            attendant: Attendant::new(CallKey(5), asserted_identity.map(str::to_owned), settings),
            now: Instant::now(),
            playing: None,
            asked: None,
            story: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn answered() -> Phone {
        let mut phone = Phone::new(None);
        phone.tell(Input::Answered);
        phone
    }

    /// He has entered the conference ID, and the meeting has not answered yet.
    fn seating() -> Phone {
        let mut phone = Phone::answered();
        phone.press("1234567");
        phone.conference(found());
        phone.story.clear();
        phone
    }

    /// He is asked whether he is the organizer.
    fn asked_whether_organizer() -> Phone {
        let mut phone = Phone::seating();
        phone.tell(Input::Waits(START));
        assert_eq!(phone.story(), ["play organizer-question"]);
        phone
    }

    /// He waits for the start, and has heard so.
    fn in_lobby() -> Phone {
        let mut phone = Phone::asked_whether_organizer();
        phone.wait_ms(9_000);
        assert_eq!(phone.story(), ["music", "play please-wait-for-organizer"]);
        phone
    }

    /// He is asked for the PIN, and has heard so.
    fn asked_for_pin() -> Phone {
        let mut phone = Phone::asked_whether_organizer();
        phone.press("*");
        phone.wait_ms(2_500);
        assert_eq!(phone.story(), ["stop", "play enter-pin"]);
        phone
    }

    fn in_meeting() -> Phone {
        let mut phone = Phone::in_lobby();
        phone.tell(Input::Admitted);
        assert_eq!(phone.story(), [""; 0]);
        phone
    }

    fn tell(&mut self, input: Input) {
        if matches!(input, Input::Admitted) {
            // The media cut it.
            self.playing = None;
        }
        self.attendant.handle_input(self.now, input);
        self.drain();
    }

    fn press(&mut self, keys: &str) {
        for key in keys.chars() {
            self.wait_ms(200);
            self.tell(Input::Digit(Digit::from_char(key).unwrap()));
        }
    }

    fn conference(&mut self, answer: ConferenceAnswer) {
        let (lookup, question) = self.asked.take().expect("a question is under way");
        assert!(matches!(question, Question::Conference { .. }));
        self.tell(Input::Conference(lookup, answer));
    }

    fn pin(&mut self, answer: PinAnswer) {
        let (lookup, question) = self.asked.take().expect("a question is under way");
        assert!(matches!(question, Question::Pin { conference: CONFERENCE, .. }));
        self.tell(Input::Pin(lookup, answer));
    }

    fn wait_ms(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        loop {
            let playback = self.playing.map(|(_, at)| at);
            let timer = self.attendant.poll_timeout();
            let Some(next) = [playback, timer].into_iter().flatten().min().filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            if playback == Some(next) {
                let (key, _) = self.playing.take().unwrap();
                self.attendant.handle_input(self.now, Input::PlaybackFinished(key));
            } else {
                self.attendant.handle_timeout(self.now);
            }
            self.drain();
        }
        self.now = end;
    }

    fn drain(&mut self) {
        while let Some(effect) = self.attendant.poll_effect() {
            let line = match effect {
                Effect::Play { playback, prompts } => {
                    self.playing = Some((playback, self.now + PROMPT * u32::try_from(prompts.len()).unwrap()));
                    format!("play {}", prompts.iter().map(|prompt| prompt.key()).collect::<Vec<_>>().join(" "))
                }
                Effect::StopPlayback => {
                    self.playing = None;
                    "stop".into()
                }
                Effect::Background(Background::Silence) => "silence".into(),
                Effect::Background(Background::Music) => "music".into(),
                Effect::Lookup { lookup, question } => {
                    let line = match &question {
                        Question::Conference { id } => format!("look up {id}"),
                        Question::Pin { pin, .. } => format!("verify {}", pin.expose()),
                    };
                    self.asked = Some((lookup, question));
                    line
                }
                Effect::Arrive { leader, .. } => format!("arrive{}", if leader { " as leader" } else { "" }),
                Effect::Authenticated { .. } => "authenticated".into(),
                Effect::Command(command) => format!("{command:?}"),
                Effect::HangUp(reason) => format!("hang up: {reason:?}"),
                Effect::Note(note) => {
                    self.notes.push(note);
                    continue;
                }
            };
            self.story.push(line);
        }
    }

    /// What has happened since this was asked last.
    fn story(&mut self) -> Vec<String> {
        std::mem::take(&mut self.story)
    }
}

// ---- Answered, conference ID --------------------------------------------------------------------------------------

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

// ---- The organizer question, and the PIN --------------------------------------------------------------------------

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

// ---- The lobby ----------------------------------------------------------------------------------------------------

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

// ---- The meeting --------------------------------------------------------------------------------------------------

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

// ---- The store ----------------------------------------------------------------------------------------------------

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

// ---- Any order of anything ----------------------------------------------------------------------------------------

#[test]
fn nothing_typed_is_printed() {
    let mut phone = Phone::answered();
    let mut shown = String::new();
    let mut press = |phone: &mut Phone, keys: &str| {
        for key in keys.chars() {
            let input = Input::Digit(Digit::from_char(key).unwrap());
            shown.push_str(&format!("{input:?}"));
            phone.attendant.handle_input(phone.now, input);
            shown.push_str(&format!("{:?}", phone.attendant));
        }
        while let Some(effect) = phone.attendant.poll_effect() {
            shown.push_str(&format!("{effect:?}"));
            if let Effect::Lookup { lookup, question } = effect {
                phone.asked = Some((lookup, question));
            }
        }
    };
    press(&mut phone, "9876543");
    phone.conference(ConferenceAnswer::Unknown);
    press(&mut phone, "*9876543");
    phone.conference(found());
    phone.tell(Input::Waits(START));
    press(&mut phone, "*98765#");
    assert!(shown.len() > 1_000 && !shown.contains("987"), "{shown}");
}

/// What must hold whatever comes in whatever order.
#[derive(Default)]
struct Watch {
    in_meeting: bool,
    found: bool,
    right_pins: u32,
    arrived: u32,
    authenticated: u32,
    wrong_pins: u32,
    wrong_ids: u32,
    last_words: bool,
    gone: bool,
    awaited: Option<LookupKey>,
    pending: Vec<(LookupKey, Question)>,
    playing: Vec<PlaybackKey>,
    /// The meeting knows him, as far as the engine would.
    seated: bool,
}

impl Watch {
    fn see(&mut self, effect: Effect) {
        assert!(!self.gone, "nothing comes after BYE, but {effect:?}");
        match effect {
            Effect::Play { playback, prompts } => {
                if self.in_meeting {
                    assert!(matches!(*prompts, [Prompt::YouAreMuted | Prompt::YouAreUnmuted]), "{prompts:?}");
                }
                assert!(!self.last_words, "after Goodbye comes nothing");
                self.last_words = prompts.last() == Some(&Prompt::Goodbye);
                self.playing.push(playback);
            }
            Effect::Background(background) => assert!(!self.in_meeting, "{background:?} in the meeting"),
            Effect::Lookup { lookup, question } => {
                assert!(!self.pending.iter().any(|(before, _)| *before == lookup), "a key comes once");
                self.awaited = Some(lookup);
                self.pending.push((lookup, question));
            }
            Effect::Arrive { .. } => {
                self.arrived += 1;
                assert!(self.found && self.arrived == 1);
                self.seated = true;
            }
            Effect::Authenticated { .. } => {
                self.authenticated += 1;
                assert!(self.seated && self.authenticated <= self.right_pins, "only by a right PIN");
            }
            Effect::Command(command) => {
                assert!(self.in_meeting);
                assert!(self.authenticated > 0 || !command.for_leader());
                assert_ne!(command, Command::RollCall, "never pressed here");
            }
            Effect::HangUp(_) => {
                assert!(self.last_words);
                self.gone = true;
            }
            Effect::StopPlayback => assert!(!self.last_words),
            Effect::Note(Note::PinWrong { .. }) => self.wrong_pins += 1,
            Effect::Note(Note::ConferenceIdWrong { .. }) => self.wrong_ids += 1,
            Effect::Note(_) => {}
        }
        assert!(self.wrong_pins <= 3 && self.wrong_ids <= 3, "three tries a call");
    }
}

#[test]
fn a_hail_of_inputs_in_any_order() {
    let mut ends = [0_u32; 3];
    for seed in 0..20_000 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut now = Instant::now();
        let mut attendant = Attendant::new(CallKey(seed), None, Arc::new(Settings::default()));
        let mut watch = Watch::default();
        let tries = |attendant: &Attendant| attendant.tries_left();
        for _ in 0..random.random_range(20..200) {
            now += Duration::from_millis(match random.random_range(0..10) {
                0 => random.random_range(0..15_000),
                1..4 => random.random_range(0..2_000),
                _ => random.random_range(0..300),
            });
            let input = match random.random_range(0..24) {
                0 => Input::Answered,
                1..9 => {
                    let keys = if random.random_range(0..3) == 0 { "*#67A" } else { "124560000" };
                    let key = keys.chars().nth(random.random_range(0..keys.len())).unwrap();
                    Input::Digit(Digit::from_char(key).unwrap())
                }
                9..14 if !watch.pending.is_empty() => {
                    // Old keys are answered as well: late answers.
                    let (lookup, question) = watch.pending[random.random_range(0..watch.pending.len())].clone();
                    let is_awaited = watch.awaited == Some(lookup);
                    match question {
                        Question::Conference { .. } => {
                            let answer = match random.random_range(0..6) {
                                0..2 => found(),
                                2..4 => ConferenceAnswer::Unknown,
                                4 => ConferenceAnswer::UnknownAndOutOfTries,
                                _ => ConferenceAnswer::Unavailable,
                            };
                            watch.found |= is_awaited && matches!(answer, ConferenceAnswer::Found(_));
                            Input::Conference(lookup, answer)
                        }
                        Question::Pin { .. } => {
                            let answer = match random.random_range(0..6) {
                                0 => PinAnswer::Right,
                                1..4 => PinAnswer::Wrong,
                                4 => PinAnswer::OutOfTries,
                                _ => PinAnswer::Unavailable,
                            };
                            watch.right_pins += u32::from(is_awaited && answer == PinAnswer::Right);
                            Input::Pin(lookup, answer)
                        }
                    }
                }
                14..17 if !watch.playing.is_empty() => {
                    Input::PlaybackFinished(watch.playing[random.random_range(0..watch.playing.len())])
                }
                // The meeting's word comes only to who has a seat.
                17 if watch.seated => Input::Waits([START, ADMISSION, LOCKED][random.random_range(0..3)]),
                18 if watch.seated => Input::Admitted,
                19 if watch.seated => Input::Muted(random.random_range(0..2) == 0),
                20 if watch.seated => Input::Patience,
                21 if watch.seated && random.random_range(0..8) == 0 => Input::LobbyTimedOut,
                22 if watch.seated && random.random_range(0..8) == 0 => Input::MeetingEnded,
                23 if watch.seated && random.random_range(0..8) == 0 => Input::MeetingFull,
                _ => {
                    attendant.handle_timeout(now);
                    assert!(attendant.poll_timeout().is_none_or(|at| at > now), "what was due is done");
                    Input::PlaybackFinished(PlaybackKey(0))
                }
            };
            if random.random_range(0..20) != 0 {
                // Most often the engine serves the timers in time.
                attendant.handle_timeout(now);
                while let Some(effect) = attendant.poll_effect() {
                    watch.see(effect);
                }
            }
            let before = tries(&attendant);
            let is_seat_lost = matches!(input, Input::LobbyTimedOut | Input::MeetingEnded);
            let (is_admitted, waits) = (matches!(input, Input::Admitted), matches!(input, Input::Waits(_)));
            if waits || is_seat_lost || matches!(input, Input::MeetingFull) {
                watch.in_meeting &= !(waits || is_seat_lost);
            }
            attendant.handle_input(now, input);
            if is_admitted && !watch.last_words && !watch.gone {
                watch.in_meeting = true;
            }
            watch.seated &= !is_seat_lost;
            while let Some(effect) = attendant.poll_effect() {
                watch.see(effect);
            }
            let after = tries(&attendant);
            assert!(after.0 <= before.0 && after.1 <= before.1, "tries never come back");
        }
        // Left alone with a dead store he is in the lobby, in the meeting, or gone: never stuck before a prompt.
        let limit = now + Duration::from_secs(20 * 60);
        attendant.handle_input(now, Input::Answered);
        while let Some(at) = attendant.poll_timeout().filter(|at| *at < limit) {
            attendant.handle_timeout(at);
        }
        let resting = attendant.resting_place().expect("a place to rest");
        ends[resting] += 1;
    }
    assert!(ends.iter().all(|count| *count > 200), "every end was reached: {ends:?}");
}

impl Phone {
    fn attendant_tries(&self) -> (u32, u32) {
        self.attendant.tries_left()
    }
}
