//! What happens in one run: the settings, the telephones, and what everybody does when. All of it comes from the seed, and
//! it is plain data, so that a failing run can be made smaller by leaving steps out.

use std::fmt;

use super::dice::Dice;
use super::sounds::VOICES_HZ;

/// One thing that somebody does. The only way in which anything happens in a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Action {
    // A caller:
    Dial,
    Press {
        key: char,
        hold_ms: u64,
    },
    Talk,
    Hush,
    /// re-INVITE: `a=sendonly` with music of his own, or `a=inactive`.
    Hold {
        inactive: bool,
    },
    Resume,
    /// re-INVITE with another RTP address.
    MoveAddress,
    /// The address changes and no re-INVITE tells of it (a new NAT binding).
    Rebind,
    /// OPTIONS in the dialog.
    Ask,
    /// An offerless re-INVITE.
    ReinviteWithoutOffer,
    Cancel,
    HangUp,
    /// No BYE, no packet, no answer any more.
    Vanish,
    GarbageSip,
    GarbageRtp,
    /// Somebody else sends voice to the port of this caller's leg.
    Stranger,
    LoseConnection,
    Weather(Weather),
    /// Of what he is sent, alone.
    WeatherDown(Weather),
    // The administrator:
    ResetPin {
        conference: usize,
    },
    ResetConferenceId {
        conference: usize,
    },
    Disable {
        conference: usize,
    },
    AllowAnonymous {
        conference: usize,
        allowed: bool,
    },
    AdmissionNeeded {
        conference: usize,
        needed: bool,
    },
    // The same, or an organizer at his console, in live meetings:
    Start {
        conference: usize,
    },
    AdmitAll {
        conference: usize,
    },
    /// This step's phone.
    AdmitOne {
        conference: usize,
    },
    Mute {
        muted: bool,
    },
    MuteAll {
        conference: usize,
        muted: bool,
    },
    Remove,
    Lock {
        conference: usize,
        locked: bool,
    },
    End {
        conference: usize,
    },
    DropWaiting {
        conference: usize,
    },
    Survey,
    /// All counts of wrong entries.
    ClearBudgets,
    /// In the organization's settings; `budget` by its place in `Budget::ALL`.
    BudgetLimit {
        budget: usize,
        limit: u32,
    },
    // The store:
    Store(Mood),
    // The machine:
    /// A media thread gets no processor for so many ticks.
    Stall {
        thread: usize,
        ticks: u64,
    },
    // The operator:
    ShutDown {
        grace_s: u64,
    },
}

/// What one direction of one caller's network does to a datagram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weather {
    pub delay_ms: u64,
    pub jitter_ms: u64,
    pub loss_percent: f64,
    /// How many datagrams a loss takes with it.
    pub burst: u64,
    pub doubled_percent: f64,
    /// What the caller sends (`up`) or is sent (`down`) is lost wholly, voice only.
    pub silent_up: bool,
}

impl Weather {
    pub const CLEAR: Weather =
        Weather { delay_ms: 10, jitter_ms: 0, loss_percent: 0.0, burst: 1, doubled_percent: 0.0, silent_up: false };

    pub fn is_clear(&self) -> bool {
        self.jitter_ms == 0 && self.loss_percent == 0.0 && !self.silent_up
    }

    fn roll(dice: &mut Dice) -> Weather {
        let mut weather = Weather::CLEAR;
        weather.delay_ms = dice.between(1, 120);
        match dice.between(0, 9) {
            0..=3 => {}
            4..=6 => weather.loss_percent = dice.between(1, 5) as f64,
            7 => (weather.loss_percent, weather.burst) = (dice.between(1, 20) as f64, dice.between(1, 10)),
            8 => weather.loss_percent = dice.between(20, 60) as f64,
            _ => weather.silent_up = true,
        }
        if dice.chance(40.0) {
            weather.jitter_ms = dice.between(1, 80);
        }
        if dice.chance(20.0) {
            weather.doubled_percent = dice.between(1, 30) as f64;
        }
        weather
    }
}

/// How the credential store answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mood {
    Quick,
    Slow {
        ms: u64,
    },
    /// "Unavailable", at once.
    Away,
    Silent,
    /// Nothing can be counted: so no entry is looked at that would have to be.
    ReadOnly,
    /// The answer comes, and comes again later.
    Twice {
        ms: u64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    Events,
    Info,
    InBand,
    /// As events and as tones: what some gateways do.
    EventsAndTones,
}

/// One telephone and its habits.
#[derive(Debug, Clone, PartialEq)]
pub struct PhonePlan {
    pub keys: Keys,
    pub a_law: bool,
    pub tcp: bool,
    pub offers: bool,
    pub session_timer: bool,
    /// His SDP names an address that leads nowhere: he is behind address translation.
    pub translated: bool,
    /// He never acknowledges a 200.
    pub no_ack: bool,
    /// The trunk says that he is the organizer of this conference.
    pub asserted: Option<usize>,
    /// Where in the 20 ms his packets leave.
    pub phase_us: u64,
    /// Packets stop while he is silent.
    pub suppresses_silence: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaderLeaves {
    GoesOn,
    BackToLobby,
    EndsAfterS(u64),
}

#[derive(Debug, Clone, PartialEq)]
pub struct ConferencePlan {
    pub id: String,
    pub pin: String,
    pub anonymous_start: bool,
    pub admission_needed: bool,
    pub tones: bool,
}

pub const DEFAULT_BUDGETS: [u32; 6] = [20, 300, 20, 50, 500, 20];

#[derive(Debug, Clone, PartialEq)]
pub struct SettingsPlan {
    pub planes: usize,
    pub port_pairs: usize,
    pub calls: usize,
    pub seats: usize,
    pub lobby_timeout_s: u64,
    pub patience_s: u64,
    pub nobody_authenticated_s: u64,
    pub nobody_came_s: u64,
    pub leader_leaves: LeaderLeaves,
    pub media_silent_s: u64,
    pub prompt_ms: u64,
    /// Messages that one media thread takes from another before it is full.
    pub thread_room: usize,
    /// What the organization's settings say, in the order of `Budget::ALL`.
    pub budgets: [u32; 6],
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    pub at_ms: u64,
    /// Whose. Not looked at for what the administrator, the store and the operator do.
    pub phone: usize,
    pub action: Action,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub seed: u64,
    pub settings: SettingsPlan,
    pub conferences: Vec<ConferencePlan>,
    pub phones: Vec<PhonePlan>,
    pub steps: Vec<Step>,
    /// Whoever is still there hangs up.
    pub end_ms: u64,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {:?}", self.seed, self.settings)?;
        for (number, conference) in self.conferences.iter().enumerate() {
            writeln!(f, "conference {number}: {conference:?}")?;
        }
        for (number, phone) in self.phones.iter().enumerate() {
            writeln!(f, "phone {number}: {phone:?}")?;
        }
        for Step { at_ms, phone, action } in &self.steps {
            writeln!(f, "{:>9.3}  phone {phone} {action:?}", *at_ms as f64 / 1000.0)?;
        }
        write!(f, "{:>9.3}  everybody hangs up", self.end_ms as f64 / 1000.0)
    }
}

impl Plan {
    pub fn roll(seed: u64) -> Plan {
        let mut dice = Dice::new(seed, 1);
        let dice = &mut dice;
        let phones = if dice.chance(10.0) { dice.between(5, 8) } else { dice.between(1, 4) } as usize;
        let settings = SettingsPlan {
            planes: *dice.pick(&[1, 1, 2, 3]),
            port_pairs: if dice.chance(5.0) { 2 } else { 16 },
            calls: if dice.chance(3.0) { 2 } else { 100 },
            seats: if dice.chance(5.0) { 2 } else { 100 },
            lobby_timeout_s: if dice.chance(10.0) { dice.between(2, 20) } else { 3600 },
            patience_s: dice.between(3, 60),
            nobody_authenticated_s: if dice.chance(10.0) { dice.between(2, 30) } else { 5400 },
            nobody_came_s: dice.between(1, 30),
            leader_leaves: match dice.between(0, 4) {
                0 | 1 => LeaderLeaves::GoesOn,
                2 | 3 => LeaderLeaves::BackToLobby,
                _ => LeaderLeaves::EndsAfterS(dice.between(1, 8)),
            },
            media_silent_s: dice.between(4, 10),
            prompt_ms: *dice.pick(&[40, 200, 500, 1200]),
            thread_room: if dice.chance(30.0) { dice.between(1, 3) as usize } else { 4096 },
            budgets: if dice.chance(40.0) {
                std::array::from_fn(|_| dice.between(1, 5) as u32)
            } else {
                DEFAULT_BUDGETS
            },
        };
        let conferences = ["1234567", "7654321"].iter().zip(["86420", "97531"]).map(|(id, pin)| ConferencePlan {
            id: (*id).into(),
            pin: pin.into(),
            anonymous_start: dice.chance(20.0),
            admission_needed: dice.chance(25.0),
            tones: dice.chance(70.0),
        });
        let conferences: Vec<ConferencePlan> = conferences.collect();
        let mut plan = Plan { seed, settings, conferences, phones: Vec::new(), steps: Vec::new(), end_ms: 0 };
        for number in 0..phones {
            plan.roll_phone(dice, number);
        }
        plan.roll_others(dice);
        plan.roll_stubborn(&mut Dice::new(seed, 3));
        plan.roll_patient(&mut Dice::new(seed, 4));
        plan.roll_budget_limits(&mut Dice::new(seed, 5));
        plan.roll_ways_down(&mut Dice::new(seed, 6));
        plan.steps.sort_by_key(|step| step.at_ms);
        plan.end_ms = plan.steps.last().map_or(0, |step| step.at_ms) + dice.between(100, 5_000);
        plan
    }

    fn roll_phone(&mut self, dice: &mut Dice, number: usize) {
        let conference = usize::from(dice.chance(20.0));
        let phone = PhonePlan {
            keys: *dice.pick(&[Keys::Events, Keys::Events, Keys::Info, Keys::InBand, Keys::EventsAndTones]),
            a_law: dice.chance(50.0),
            tcp: dice.chance(15.0),
            offers: dice.chance(90.0),
            session_timer: dice.chance(30.0),
            translated: dice.chance(20.0),
            no_ack: dice.chance(2.0),
            asserted: dice.chance(5.0).then_some(conference),
            phase_us: dice.between(0, 19_999),
            suppresses_silence: dice.chance(20.0),
        };
        self.phones.push(phone);
        let mut at = dice.between(0, 6_000);
        if dice.chance(50.0) {
            self.step(0, number, Action::Weather(Weather::roll(dice)));
        }
        let calls = if dice.chance(15.0) { 2 } else { 1 };
        for _ in 0..calls {
            at = self.roll_call(dice, number, conference, at) + dice.between(0, 3_000);
        }
    }

    /// One call from INVITE to its end; returns when that is.
    fn roll_call(&mut self, dice: &mut Dice, phone: usize, conference: usize, begin: u64) -> u64 {
        let mut at = begin;
        self.step(at, phone, Action::Dial);
        if dice.chance(4.0) {
            self.step(at + dice.between(0, 300), phone, Action::Cancel);
            return at + 1_000;
        }
        at += dice.between(150, 2_500);
        for _ in 0..dice.between(0, 25) / 23 {
            let wrong: String = (0..dice.between(1, 9)).map(|_| char::from(b'0' + dice.between(0, 9) as u8)).collect();
            at = self.press(dice, phone, &wrong, at) + dice.between(200, 6_000);
        }
        let mut keys = self.conferences[conference].id.clone();
        if dice.chance(60.0) {
            keys.push('#');
        }
        at = self.press(dice, phone, &keys, at);
        let leads = dice.chance(45.0);
        if leads {
            at += *dice.pick(&[100, 800, 2_500, 8_000, 15_000]) + dice.between(0, 1_500);
            for _ in 0..dice.between(0, 5) / 5 + dice.between(0, 4) / 4 {
                // Now and then the same one as others try.
                let wrong = if dice.chance(30.0) { 11_223 } else { dice.between(1_000, 99_999) };
                let wrong = format!("*{wrong}#");
                at = self.press(dice, phone, &wrong, at) + dice.between(100, 2_500);
            }
            let end = if dice.chance(85.0) { "#" } else { "" };
            let keys = format!("*{}{end}", self.conferences[conference].pin);
            at = self.press(dice, phone, &keys, at);
        }
        at += dice.between(300, 4_000);
        if dice.chance(70.0) {
            self.step(at, phone, Action::Talk);
        }
        for _ in 0..dice.between(0, 6) {
            at += dice.between(50, 5_000);
            at = self.roll_while_up(dice, phone, conference, at);
        }
        at += dice.between(100, 8_000);
        if dice.chance(70.0) {
            let end = if dice.chance(20.0) { Action::Vanish } else { Action::HangUp };
            self.step(at, phone, end);
        }
        at
    }

    fn roll_while_up(&mut self, dice: &mut Dice, phone: usize, conference: usize, at: u64) -> u64 {
        let action = match dice.between(0, 22) {
            0 => return self.press(dice, phone, "*6", at),
            1 => return self.press(dice, phone, "*4", at),
            2 => return self.press(dice, phone, "*7", at),
            3 | 4 => return self.press(dice, phone, "*8", at),
            5 => return self.press(dice, phone, "**", at),
            6 => {
                let keys = format!("*{}#", self.conferences[conference].pin);
                return self.press(dice, phone, &keys, at);
            }
            7 | 8 => Action::Talk,
            9 => Action::Hush,
            10 => Action::Hold { inactive: dice.chance(40.0) },
            11 | 12 => Action::Resume,
            13 => Action::MoveAddress,
            14 => Action::Rebind,
            15 => Action::Ask,
            16 => Action::ReinviteWithoutOffer,
            17 => Action::GarbageSip,
            18 => Action::GarbageRtp,
            19 => Action::Stranger,
            20 => Action::LoseConnection,
            21 => Action::Weather(Weather::roll(dice)),
            _ => {
                let key = *dice.pick(&['0', '5', '*', '#', 'A']);
                return self.press(dice, phone, &key.to_string(), at);
            }
        };
        self.step(at, phone, action);
        at
    }

    /// Now and then somebody tries one PIN after the other. By dice of his own: the others are as they are without him.
    fn roll_stubborn(&mut self, dice: &mut Dice) {
        let Some(phone) = self.roll_plain_phone(dice, 4.0) else { return };
        let mut at = dice.between(0, 6_000);
        self.step(at, phone, Action::Dial);
        let id = self.conferences[usize::from(dice.chance(20.0))].id.clone();
        at = self.press(dice, phone, &id, at + 1_500) + dice.between(200, 7_000);
        for _ in 0..dice.between(4, 8) {
            let wrong = format!("*{}#", dice.between(1_000, 99_999));
            at = self.press(dice, phone, &wrong, at) + dice.between(300, 3_000);
        }
    }

    /// Now and then the store takes longer than a caller is asked to wait, or says everything twice, and he enters it again:
    /// then an answer to his first entry comes while the second is looked at.
    fn roll_patient(&mut self, dice: &mut Dice) {
        let Some(phone) = self.roll_plain_phone(dice, 4.0) else { return };
        let ConferencePlan { id, pin, .. } = self.conferences[usize::from(dice.chance(20.0))].clone();
        let mut at = dice.between(0, 6_000);
        self.step(at, phone, Action::Dial);
        at += 1_500;
        let asks_for_pin = dice.chance(60.0);
        if asks_for_pin {
            at = self.enter(at, phone, &id) + dice.between(200, 3_000);
        }
        let entries =
            if asks_for_pin { [format!("*{pin}#"), "*98765#".to_owned()] } else { [id, "1111111".to_owned()] };
        let (first, second) = (dice.pick(&entries), dice.pick(&entries));
        let slow = Action::Store(Mood::Slow { ms: dice.between(7_000, 10_000) });
        if dice.chance(60.0) {
            self.step(at, phone, slow);
            at = self.enter(at, phone, first) + dice.between(6_000, 7_000);
        } else {
            self.step(at, phone, Action::Store(Mood::Twice { ms: dice.between(1_500, 4_000) }));
            at = self.enter(at, phone, first) + dice.between(200, 1_500);
            self.step(at, phone, slow);
        }
        at = self.enter(at, phone, second) + dice.between(100, 8_000);
        self.step(at, phone, Action::Store(Mood::Quick));
    }

    /// Now and then what the organization allows changes while callers use it up.
    fn roll_budget_limits(&mut self, dice: &mut Dice) {
        let end = self.steps.iter().map(|step| step.at_ms).max().unwrap_or(0);
        while dice.chance(15.0) {
            let budget = dice.between(0, DEFAULT_BUDGETS.len() as u64 - 1) as usize;
            let limit = if dice.chance(70.0) { dice.between(1, 5) as u32 } else { DEFAULT_BUDGETS[budget] };
            let at = dice.between(0, end);
            self.step(at, 0, Action::BudgetLimit { budget, limit });
        }
    }

    /// Now and then a caller's two ways differ.
    fn roll_ways_down(&mut self, dice: &mut Dice) {
        let is_weather = |step: &&Step| matches!(step.action, Action::Weather(_));
        let changes: Vec<(u64, usize)> =
            self.steps.iter().filter(is_weather).map(|step| (step.at_ms, step.phone)).collect();
        for (at_ms, phone) in changes {
            if dice.chance(30.0) {
                self.step(at_ms, phone, Action::WeatherDown(Weather::roll(dice)));
            }
        }
    }

    /// One more telephone without special habits; `None` mostly, or where there are enough.
    fn roll_plain_phone(&mut self, dice: &mut Dice, percent: f64) -> Option<usize> {
        if self.phones.len() == VOICES_HZ.len() || !dice.chance(percent) {
            return None;
        }
        self.phones.push(PhonePlan {
            keys: *dice.pick(&[Keys::Events, Keys::Info]),
            a_law: dice.chance(50.0),
            tcp: false,
            offers: true,
            session_timer: false,
            translated: dice.chance(20.0),
            no_ack: false,
            asserted: None,
            phase_us: dice.between(0, 19_999),
            suppresses_silence: false,
        });
        Some(self.phones.len() - 1)
    }

    fn roll_others(&mut self, dice: &mut Dice) {
        let end = self.steps.iter().map(|step| step.at_ms).max().unwrap_or(0);
        for _ in 0..dice.between(0, 9) / 4 {
            let conference = usize::from(dice.chance(20.0));
            let action = match dice.between(0, 12) {
                0 => Action::ResetPin { conference },
                1 => Action::ResetConferenceId { conference },
                2 => Action::Disable { conference },
                3 => Action::AllowAnonymous { conference, allowed: dice.chance(50.0) },
                4 => Action::AdmissionNeeded { conference, needed: dice.chance(50.0) },
                5 => Action::Store(Mood::Slow { ms: dice.between(100, 9_000) }),
                6 => Action::Store(Mood::Away),
                7 => Action::Store(Mood::Silent),
                8 => Action::Store(Mood::Twice { ms: dice.between(100, 3_000) }),
                9 => Action::Store(Mood::ReadOnly),
                10 => Action::ClearBudgets,
                11 => {
                    let thread = dice.between(0, self.settings.planes as u64 - 1) as usize;
                    Action::Stall { thread, ticks: *dice.pick(&[1, 2, 3, 4, 10, 40]) }
                }
                _ if dice.chance(20.0) => Action::ShutDown { grace_s: dice.between(0, 10) },
                _ => Action::Store(Mood::Quick),
            };
            let at = dice.between(0, end);
            self.step(at, 0, action);
            self.roll_live(dice, end);
            if matches!(action, Action::Store(_)) {
                self.step(at + dice.between(500, 8_000), 0, Action::Store(Mood::Quick));
            }
        }
    }

    fn roll_live(&mut self, dice: &mut Dice, end: u64) {
        for _ in 0..dice.between(0, 4) {
            let conference = usize::from(dice.chance(20.0));
            let (phone, once) = (dice.between(0, self.phones.len() as u64 - 1) as usize, dice.chance(50.0));
            let action = match dice.between(0, 10) {
                0 | 1 => Action::Start { conference },
                2 => Action::AdmitAll { conference },
                3 => Action::AdmitOne { conference },
                4 => Action::Mute { muted: once },
                5 => Action::MuteAll { conference, muted: once },
                6 => Action::Remove,
                7 => Action::Lock { conference, locked: once },
                8 => Action::End { conference },
                9 => Action::DropWaiting { conference },
                _ => Action::Survey,
            };
            let at = dice.between(0, end);
            self.step(at, phone, action);
        }
    }

    /// Presses keys one after the other, at human or inhuman speed; returns when the last one is up.
    fn press(&mut self, dice: &mut Dice, phone: usize, keys: &str, at: u64) -> u64 {
        let (hold, gap) = *dice.pick(&[(80, 80), (120, 200), (200, 400), (60, 60), (300, 900)]);
        let mut at = at;
        for key in keys.chars() {
            self.step(at, phone, Action::Press { key, hold_ms: hold });
            at += hold + gap + dice.between(0, gap / 2);
        }
        at
    }

    fn step(&mut self, at_ms: u64, phone: usize, action: Action) {
        self.steps.push(Step { at_ms, phone, action });
    }
}
