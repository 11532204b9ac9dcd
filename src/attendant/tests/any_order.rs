//! What holds in any order of anything.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::attendant::keypad::Command;

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
