//! The credential store of a run: right in what it says, and unreliable in when it says it. Its budgets are judged by the
//! rules of the real store ([`budget`]); a ledger beside them knows nothing of those rules but their limits.

use std::collections::{BTreeMap, BTreeSet};

use anteroom::attendant::Question;
use anteroom::credentials::budget::{self, Budget, Charge, PinTry, Verdict};
use anteroom::credentials::contract::Origin;
use anteroom::credentials::settings::Settings;
use anteroom::words::answer::{Announcements, Conference, ConferenceAnswer, LobbyPolicy, PinAnswer};
use anteroom::words::ids::{ConferenceId, ConferenceKey, UserKey};

use super::plan::{ConferencePlan, DEFAULT_BUDGETS, Mood};

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
    conference: Conference,
}

#[derive(Debug)]
pub struct Store {
    pub mood: Mood,
    rows: Vec<Row>,
    resets: u32,
    settings: Settings,
    limits: [u32; 6],
    /// Windows are an hour and more: within a run none ends.
    counts: BTreeMap<(Budget, String), u32>,
    known: BTreeSet<(String, UserKey)>,
    ledger: Ledger,
    pub wrong: Vec<String>,
}

/// Wrong entries that were looked at since the counts were cleared.
#[derive(Debug, Default)]
struct Ledger {
    conference_ids: BTreeMap<String, u32>,
    pins_of_caller: BTreeMap<String, u32>,
    /// By callers whom nobody knows.
    pins_of_organizer: BTreeMap<UserKey, u32>,
    same_pin: BTreeMap<String, u32>,
    of_trunk: u32,
}

impl Store {
    pub fn new(plans: &[ConferencePlan], limits: [u32; 6]) -> Store {
        let row = |(number, plan): (usize, &ConferencePlan)| Row {
            id: plan.id.clone(),
            pin: plan.pin.clone(),
            disabled: false,
            conference: Conference {
                key: ConferenceKey(number as u64 + 1),
                organizer: UserKey(number as u64 + 1),
                organizer_identity: format!("organizer{number}@example.com"),
                allow_anonymous_start: plan.anonymous_start,
                lobby_policy: policy(plan.admission_needed),
                announcements: if plan.tones { Announcements::Tones } else { Announcements::Off },
            },
        };
        let settings = Settings::default();
        assert_eq!(Budget::ALL.map(|budget| budget.limit(&settings)), DEFAULT_BUDGETS);
        let mut store = Store {
            mood: Mood::Quick,
            rows: plans.iter().enumerate().map(row).collect(),
            resets: 0,
            settings,
            limits,
            counts: BTreeMap::new(),
            known: BTreeSet::new(),
            ledger: Ledger::default(),
            wrong: Vec::new(),
        };
        limits.into_iter().enumerate().for_each(|(budget, limit)| store.set_limit(budget, limit));
        store
    }

    pub fn set_limit(&mut self, budget: usize, limit: u32) {
        let key = format!("budget_{}", Budget::ALL[budget].name().replace('-', "_"));
        self.settings.set(&key, &limit.to_string()).expect("a setting");
        self.limits[budget] = limit;
    }

    pub fn organizer(&self, conference: usize) -> String {
        self.rows[conference].conference.organizer_identity.clone()
    }

    pub fn conference(&self, conference: usize) -> (Conference, ConferenceId) {
        let row = &self.rows[conference];
        (row.conference.clone(), row.id.parse().expect("seven digits"))
    }

    /// As the store stands at this moment.
    pub fn answer(&mut self, question: &Question, origin: &Origin) -> Answer {
        match question {
            Question::Conference { id } => {
                let found = self.rows.iter().find(|row| row.id == id.as_str() && !row.disabled);
                Answer::Conference(match found {
                    Some(row) => ConferenceAnswer::Found(row.conference.clone()),
                    None if self.mood == Mood::ReadOnly => ConferenceAnswer::Unavailable,
                    None => self.unknown(origin),
                })
            }
            Question::Pin { conference, pin } => {
                let row = self.rows.iter().find(|row| row.conference.key == *conference && !row.disabled);
                Answer::Pin(match row {
                    Some(_) if self.mood == Mood::ReadOnly => PinAnswer::Unavailable,
                    Some(row) => {
                        let (organizer, is_right) = (row.conference.clone(), row.pin == pin.expose());
                        self.pin(&organizer, pin.expose(), is_right, origin)
                    }
                    None => PinAnswer::Wrong,
                })
            }
        }
    }

    fn unknown(&mut self, origin: &Origin) -> ConferenceAnswer {
        let charges = budget::conference_id_charges(origin, &self.settings);
        let counts = self.standing(&charges);
        if !budget::judge_conference_id(&charges, &counts) {
            return ConferenceAnswer::UnknownAndOutOfTries;
        }
        self.charge(&charges);
        let tries = self.ledger.conference_ids.entry(origin.caller().to_owned()).or_default();
        *tries += 1;
        if *tries > self.limits[0] || self.ledger.conference_ids.values().sum::<u32>() > self.limits[1] {
            self.wrong.push(format!("more wrong conference IDs than budgets: {:?}", self.ledger));
        }
        ConferenceAnswer::Unknown
    }

    fn pin(&mut self, of: &Conference, pin: &str, is_right: bool, origin: &Origin) -> PinAnswer {
        let entry = PinTry {
            organizer: of.organizer,
            organizer_identity: &of.organizer_identity,
            digits: 5,
            origin,
            fingerprint: pin,
        };
        let charges = budget::pin_charges(&entry, &self.settings);
        let counts = self.standing(&charges);
        let caller = (budget::caller_subject(origin), of.organizer);
        let known = self.known.contains(&caller);
        let verdict = budget::judge_pin(&charges, &counts, known);
        let wrong_of_caller = self.ledger.pins_of_caller.get(origin.caller()).copied().unwrap_or(0);
        if known && wrong_of_caller < self.limits[2] && verdict != Verdict::Check {
            self.wrong.push(format!("{caller:?} is known, and gets {verdict:?}"));
        }
        if let Verdict::Refuse(_) = verdict {
            return PinAnswer::OutOfTries;
        }
        if is_right && verdict == Verdict::Check {
            self.known.insert(caller);
            return PinAnswer::Right;
        }
        self.charge(&charges);
        let of_caller = wrong_of_caller + 1;
        self.ledger.pins_of_caller.insert(origin.caller().to_owned(), of_caller);
        if verdict == Verdict::Check {
            let factor =
                if wrong_of_caller <= budget::CLEAN_CALLER_WRONG_MAX { budget::CLEAN_CALLER_FACTOR } else { 1 };
            if !known {
                self.note_wrong_pin(of.organizer, pin, factor);
            }
        }
        if of_caller > self.limits[2] {
            self.wrong.push(format!("more wrong PINs of a caller than his budget: {:?}", self.ledger));
        }
        PinAnswer::Wrong
    }

    /// `factor`: by how much the limits are larger for this caller.
    fn note_wrong_pin(&mut self, organizer: UserKey, pin: &str, factor: u32) {
        let Ledger { pins_of_organizer, same_pin, of_trunk, .. } = &mut self.ledger;
        let (of_organizer, same) = (pins_of_organizer.entry(organizer).or_default(), same_pin.entry(pin.to_owned()));
        let same = same.or_default();
        (*of_organizer, *same, *of_trunk) = (*of_organizer + 1, *same + 1, *of_trunk + 1);
        let [_, _, _, organizer_max, trunk_max, same_max] = self.limits.map(|limit| limit * factor);
        if *of_organizer > organizer_max || *same > same_max || *of_trunk > trunk_max {
            self.wrong.push(format!("more wrong PINs than budgets: {:?}", self.ledger));
        }
    }

    fn standing(&self, charges: &[Charge]) -> Vec<u32> {
        let count = |charge: &Charge| self.counts.get(&(charge.budget, charge.subject.clone())).copied().unwrap_or(0);
        charges.iter().map(count).collect()
    }

    fn charge(&mut self, charges: &[Charge]) {
        for charge in charges {
            *self.counts.entry((charge.budget, charge.subject.clone())).or_default() += 1;
        }
    }

    pub fn clear_budgets(&mut self) {
        self.counts.clear();
        self.ledger = Ledger::default();
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
