//! The caller's journey, row by row (DESIGN section 1), and the same machine under a hail of inputs in any order.

mod any_order;
mod conference_id;
mod lobby;
mod meeting;
mod pin;
mod store;

use std::sync::Arc;
use std::time::{Duration, Instant};

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

    fn attendant_tries(&self) -> (u32, u32) {
        self.attendant.tries_left()
    }

    /// What has happened since this was asked last.
    fn story(&mut self) -> Vec<String> {
        std::mem::take(&mut self.story)
    }
}
