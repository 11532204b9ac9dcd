//! The credential store of a run: right in what it says, and unreliable in when it says it.

use anteroom::attendant::Question;
use anteroom::words::answer::{Announcements, Conference, ConferenceAnswer, LobbyPolicy, PinAnswer};
use anteroom::words::ids::{ConferenceId, ConferenceKey, UserKey};

use super::plan::{ConferencePlan, Mood};

/// Wrong PINs on one conference, over all calls, before no further one is looked at.
const PIN_BUDGET: u32 = 6;
const CONFERENCE_ID_BUDGET: u32 = 8;

#[derive(Debug, Clone)]
pub enum Answer {
    Conference(ConferenceAnswer),
    Pin(PinAnswer),
}

#[derive(Debug)]
struct Row {
    id: String,
    pin: String,
    disabled: bool,
    wrong_pins: u32,
    conference: Conference,
}

#[derive(Debug)]
pub struct Store {
    pub mood: Mood,
    rows: Vec<Row>,
    resets: u32,
    wrong_ids: u32,
}

impl Store {
    pub fn new(plans: &[ConferencePlan]) -> Store {
        let row = |(number, plan): (usize, &ConferencePlan)| Row {
            id: plan.id.clone(),
            pin: plan.pin.clone(),
            disabled: false,
            wrong_pins: 0,
            conference: Conference {
                key: ConferenceKey(number as u64 + 1),
                organizer: UserKey(number as u64 + 1),
                organizer_identity: format!("organizer{number}@example.com"),
                allow_anonymous_start: plan.anonymous_start,
                lobby_policy: policy(plan.admission_needed),
                announcements: if plan.tones { Announcements::Tones } else { Announcements::Off },
            },
        };
        Store { mood: Mood::Quick, rows: plans.iter().enumerate().map(row).collect(), resets: 0, wrong_ids: 0 }
    }

    pub fn organizer(&self, conference: usize) -> String {
        self.rows[conference].conference.organizer_identity.clone()
    }

    pub fn conference(&self, conference: usize) -> (Conference, ConferenceId) {
        let row = &self.rows[conference];
        (row.conference.clone(), row.id.parse().expect("seven digits"))
    }

    /// As the store stands at this moment.
    pub fn answer(&mut self, question: &Question) -> Answer {
        match question {
            Question::Conference { id } => {
                let found = self.rows.iter().find(|row| row.id == id.as_str() && !row.disabled);
                Answer::Conference(match found {
                    Some(row) => ConferenceAnswer::Found(row.conference.clone()),
                    None => {
                        self.wrong_ids += 1;
                        let used_up = self.wrong_ids > CONFERENCE_ID_BUDGET;
                        if used_up { ConferenceAnswer::UnknownAndOutOfTries } else { ConferenceAnswer::Unknown }
                    }
                })
            }
            Question::Pin { conference, pin } => {
                let row = self.rows.iter_mut().find(|row| row.conference.key == *conference && !row.disabled);
                Answer::Pin(match row {
                    Some(row) if row.wrong_pins >= PIN_BUDGET => PinAnswer::OutOfTries,
                    Some(row) if row.pin == pin.expose() => PinAnswer::Right,
                    Some(row) => {
                        row.wrong_pins += 1;
                        PinAnswer::Wrong
                    }
                    None => PinAnswer::Wrong,
                })
            }
        }
    }

    pub fn unavailable(question: &Question) -> Answer {
        match question {
            Question::Conference { .. } => Answer::Conference(ConferenceAnswer::Unavailable),
            Question::Pin { .. } => Answer::Pin(PinAnswer::Unavailable),
        }
    }

    pub fn reset_pin(&mut self, conference: usize) {
        self.resets += 1;
        self.rows[conference].pin = format!("{}", 20_000 + self.resets);
    }

    pub fn reset_conference_id(&mut self, conference: usize) {
        self.resets += 1;
        self.rows[conference].id = format!("{}", 3_000_000 + self.resets);
    }

    pub fn disable(&mut self, conference: usize) {
        self.rows[conference].disabled = true;
    }

    pub fn allow_anonymous(&mut self, conference: usize, allowed: bool) {
        self.rows[conference].conference.allow_anonymous_start = allowed;
    }

    pub fn need_admission(&mut self, conference: usize, needed: bool) {
        self.rows[conference].conference.lobby_policy = policy(needed);
    }
}

fn policy(admission_needed: bool) -> LobbyPolicy {
    if admission_needed { LobbyPolicy::WaitForAdmission } else { LobbyPolicy::Open }
}
