//! The reference: who is where, which meeting runs, and by whose right. It hears what goes into the engine and what comes
//! out, and knows nothing of how the engine decides: everything that opens a door has to be justified by what has just
//! come in, and whoever has the right to be in has to be in when the step is over.

use std::collections::BTreeMap;

use anteroom::engine::{CallOverview, CallState, Counts, LiveCommand};
use anteroom::words::answer::{Conference, ConferenceAnswer, LobbyPolicy, PinAnswer};
use anteroom::words::event::{CallFact, Event, MeetingEnd, MeetingFact, StartedBy};
use anteroom::words::ids::{CallKey, ConferenceKey, LookupKey, MeetingKey};
use anteroom::words::prompt::Prompt;

/// What a call is in, as the caller would say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Ringing,
    /// He is asked for a conference ID.
    Attendant,
    /// He has a seat, and it is being decided where.
    Seating,
    /// He has a seat in the lobby, and is asked something: no music then.
    Asked,
    Lobby,
    Meeting,
    /// He hears the last words.
    Closing,
    Gone,
}

#[derive(Debug)]
pub struct CallModel {
    pub phone: usize,
    pub asserted: Option<String>,
    pub mode: Mode,
    /// In ticks.
    pub mode_since: u64,
    pub meeting: Option<MeetingKey>,
    /// Where he was in, and until when.
    pub left: Option<(MeetingKey, u64)>,
    pub muted: bool,
    pub muted_since: u64,
    leader: bool,
    found: Option<Conference>,
    asks: Option<LookupKey>,
    wrong_ids: u32,
    wrong_pins: u32,
    pin_tries_used_up: bool,
    id_tries_used_up: bool,
}

#[derive(Debug)]
struct MeetingModel {
    conference: Option<ConferenceKey>,
    started: bool,
    locked: bool,
    anonymous: bool,
    open_lobby: bool,
}

impl MeetingModel {
    /// What the organizer has decided comes with each arrival and each start.
    fn follow(&mut self, conference: &Conference) {
        self.conference = Some(conference.key);
        self.anonymous = conference.allow_anonymous_start;
        self.open_lobby = conference.lobby_policy == LobbyPolicy::Open;
    }
}

/// What the store said to a question of a caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Right,
    Wrong,
    OutOfTries,
    Unavailable,
}

/// What went into the engine in this step, as far as it gives rights.
#[derive(Debug, Default)]
struct Given {
    /// To the question that this call has open.
    answer: Option<(CallKey, Said)>,
    right_pin: Option<CallKey>,
    digit: Option<(CallKey, char)>,
    live: Option<LiveCommand>,
    started: Vec<MeetingKey>,
}

#[derive(Debug, Default)]
pub struct Model {
    pub calls: BTreeMap<CallKey, CallModel>,
    meetings: BTreeMap<MeetingKey, MeetingModel>,
    given: Given,
    pub tick: u64,
    pub wrong: Vec<String>,
    changed: bool,
    pub meetings_started: u64,
    pub admitted: u64,
}

impl Model {
    fn wrong(&mut self, what: String) {
        self.wrong.push(what);
    }

    pub fn call_arrived(&mut self, call: CallKey, phone: usize, asserted: Option<String>) {
        let model = CallModel {
            phone,
            asserted,
            mode: Mode::Ringing,
            mode_since: self.tick,
            meeting: None,
            left: None,
            muted: false,
            muted_since: 0,
            leader: false,
            found: None,
            asks: None,
            wrong_ids: 0,
            wrong_pins: 0,
            pin_tries_used_up: false,
            id_tries_used_up: false,
        };
        self.calls.insert(call, model);
    }

    fn set_mode(&mut self, call: CallKey, mode: Mode) {
        self.changed = true;
        let tick = self.tick;
        let Some(of) = self.calls.get_mut(&call) else { return };
        if matches!(mode, Mode::Closing | Mode::Gone) {
            if let Some(meeting) = of.meeting.take().filter(|_| of.mode == Mode::Meeting) {
                of.left = Some((meeting, tick));
            }
            of.asks = None;
        } else if of.mode == Mode::Meeting && mode != Mode::Meeting {
            of.left = of.meeting.map(|meeting| (meeting, tick));
            of.leader = false;
        }
        if of.mode != mode && of.mode != Mode::Gone {
            (of.mode, of.mode_since) = (mode, tick);
        }
    }

    // ---- What goes in ---------------------------------------------------------------------------------------------

    pub fn digit(&mut self, call: CallKey, key: char) {
        self.given.digit = Some((call, key));
    }

    pub fn live(&mut self, command: &LiveCommand) {
        if let LiveCommand::Start { conference, .. } = command {
            for meeting in self.meetings.values_mut().filter(|of| of.conference == Some(conference.key)) {
                meeting.follow(conference);
            }
        }
        self.given.live = Some(command.clone());
        self.changed = true;
    }

    /// Whether this call has this question open. An answer to any other falls on the floor.
    pub fn awaits(&self, call: CallKey, lookup: LookupKey) -> bool {
        self.calls.get(&call).is_some_and(|of| of.asks == Some(lookup))
    }

    /// To be called before the answer goes in.
    pub fn conference_answer(&mut self, call: CallKey, lookup: LookupKey, answer: &ConferenceAnswer) {
        let Some(of) = self.calls.get_mut(&call).filter(|of| of.asks == Some(lookup)) else { return };
        of.asks = None;
        let said = match answer {
            ConferenceAnswer::Found(conference) => {
                of.found = Some(conference.clone());
                Said::Right
            }
            ConferenceAnswer::UnknownAndOutOfTries => {
                of.id_tries_used_up = true;
                Said::Wrong
            }
            ConferenceAnswer::Unknown => Said::Wrong,
            ConferenceAnswer::Unavailable => Said::Unavailable,
        };
        self.given.answer = Some((call, said));
    }

    pub fn asked(&mut self, call: CallKey, lookup: LookupKey, for_pin: bool) {
        let Some(of) = self.calls.get_mut(&call) else { return };
        of.asks = Some(lookup);
        if for_pin && of.pin_tries_used_up {
            self.wrong(format!("{call} asks about a PIN though its tries are used up"));
        } else if for_pin && of.meeting.is_none() {
            self.wrong(format!("{call} asks about a PIN and has no seat"));
        } else if !for_pin && of.id_tries_used_up {
            self.wrong(format!("{call} asks about a conference ID though its tries are used up"));
        }
    }

    /// To be called before the answer goes in. What must follow is looked at when the step is over.
    pub fn pin_answer(&mut self, call: CallKey, lookup: LookupKey, answer: PinAnswer) {
        let Some(of) = self.calls.get_mut(&call).filter(|of| of.asks == Some(lookup)) else { return };
        of.asks = None;
        let said = match answer {
            PinAnswer::Right => {
                self.given.right_pin = Some(call);
                Said::Right
            }
            PinAnswer::OutOfTries => {
                of.pin_tries_used_up = true;
                Said::OutOfTries
            }
            PinAnswer::Wrong => Said::Wrong,
            PinAnswer::Unavailable => Said::Unavailable,
        };
        self.given.answer = Some((call, said));
    }

    // ---- What comes out -------------------------------------------------------------------------------------------

    pub fn gathered(&mut self, call: CallKey, meeting: MeetingKey) {
        let Some(of) = self.calls.get_mut(&call) else { return };
        let Some(found) = &of.found else {
            return self.wrong(format!("{call} gets a seat in {meeting} without a conference ID"));
        };
        of.meeting = Some(meeting);
        if let Some(meeting) = self.meetings.get_mut(&meeting) {
            meeting.follow(found);
        }
        self.set_mode(call, Mode::Seating);
    }

    pub fn played(&mut self, call: CallKey, prompts: &[Prompt]) {
        if prompts.contains(&Prompt::Goodbye) {
            self.set_mode(call, Mode::Closing);
        }
    }

    pub fn closed(&mut self, call: CallKey) {
        self.set_mode(call, Mode::Gone);
    }

    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Call { call, fact } => self.call_fact(*call, fact),
            Event::Meeting { meeting, fact } => self.meeting_fact(*meeting, fact),
            _ => {}
        }
    }

    fn call_fact(&mut self, call: CallKey, fact: &CallFact) {
        let tick = self.tick;
        self.hold_against_the_store(call, fact);
        let Some(of) = self.calls.get_mut(&call) else {
            return self.wrong(format!("{fact:?} of {call}, which is gone"));
        };
        match fact {
            CallFact::Established => self.set_mode(call, Mode::Attendant),
            CallFact::OrganizerAsked | CallFact::PinAsked => self.set_mode(call, Mode::Asked),
            CallFact::WaitsForStart { meeting } | CallFact::AwaitsAdmission { meeting } => {
                if of.meeting != Some(*meeting) {
                    self.wrong(format!("{call} waits for {meeting}, where it has no seat"));
                }
                self.set_mode(call, Mode::Lobby);
            }
            CallFact::EnteredMeeting { meeting, leader } => {
                of.leader |= *leader;
                self.entered(call, *meeting);
            }
            CallFact::BecameLeader => of.leader = true,
            CallFact::Muted | CallFact::Unmuted => {
                of.muted = *fact == CallFact::Muted;
                of.muted_since = tick;
            }
            CallFact::ConferenceUnknown { .. } => {
                of.wrong_ids += 1;
                if of.wrong_ids > 3 {
                    self.wrong(format!("{call} has tried more than three conference IDs"));
                }
            }
            CallFact::PinWrong { .. } => {
                of.wrong_pins += 1;
                of.pin_tries_used_up |= of.wrong_pins == 3;
                if of.wrong_pins > 3 {
                    self.wrong(format!("{call} has tried more than three PINs"));
                }
            }
            CallFact::PinTriesUsedUp => of.pin_tries_used_up = true,
            CallFact::StoreUnavailable => of.asks = None,
            CallFact::HangingUp { .. } => self.set_mode(call, Mode::Closing),
            _ => {}
        }
    }

    /// What a caller is told of his entry is what the store has just said to it. Where it was not asked, because so many
    /// digits can't be right, he may be told that they are wrong; but not while it still owes him an answer.
    fn hold_against_the_store(&mut self, call: CallKey, fact: &CallFact) {
        let Some(of) = self.calls.get(&call) else { return };
        let said = self.given.answer.and_then(|(of, said)| (of == call).then_some(said));
        let is_right = match fact {
            CallFact::ConferenceFound { organizer, .. } => {
                let is_his = of.found.as_ref().is_some_and(|found| found.organizer_identity == *organizer);
                said == Some(Said::Right) && is_his
            }
            CallFact::PinRight => said == Some(Said::Right),
            CallFact::ConferenceUnknown { .. } | CallFact::PinWrong { .. } => {
                matches!(said, None | Some(Said::Wrong)) && of.asks.is_none()
            }
            CallFact::PinTriesUsedUp => {
                matches!(said, None | Some(Said::Wrong | Said::OutOfTries)) && of.asks.is_none()
            }
            _ => true,
        };
        if !is_right {
            self.wrong(format!("{call} is told {fact:?}, and the store said {said:?}; open: {:?}", of.asks));
        }
    }

    fn entered(&mut self, call: CallKey, key: MeetingKey) {
        self.admitted += 1;
        let Some(meeting) = self.meetings.get(&key) else {
            return self.wrong(format!("{call} enters {key}, which is not there"));
        };
        let of = &self.calls[&call];
        let vouched = self.is_vouched(of);
        let given = &self.given;
        let is_open = meeting.started && !meeting.locked && meeting.open_lobby;
        let by_leader = self.key_of_leader('8', key);
        let first_of_anonymous = meeting.anonymous && given.started.contains(&key);
        let by_user = match given.live {
            Some(LiveCommand::Admit { meeting, call: one }) => meeting == key && one.is_none_or(|one| one == call),
            _ => false,
        };
        let right = is_open || given.right_pin == Some(call) || vouched || by_leader || first_of_anonymous || by_user;
        let (seated, started) = (of.meeting == Some(key), meeting.started);
        if !seated || !started || !right {
            self.wrong(format!(
                "{call} enters {key} without a right to: seated {seated}, started {started}, {meeting:?}"
            ));
        }
        self.set_mode(call, Mode::Meeting);
    }

    fn is_vouched(&self, of: &CallModel) -> bool {
        of.found.as_ref().is_some_and(|found| of.asserted.as_ref() == Some(&found.organizer_identity))
    }

    fn key_of_leader(&self, key: char, meeting: MeetingKey) -> bool {
        self.given.digit.is_some_and(|(call, digit)| {
            let of = self.calls.get(&call);
            digit == key && of.is_some_and(|of| of.leader && of.meeting == Some(meeting) && of.mode == Mode::Meeting)
        })
    }

    fn meeting_fact(&mut self, key: MeetingKey, fact: &MeetingFact) {
        self.changed = true;
        if let MeetingFact::Opened { .. } = fact {
            let mut meeting =
                MeetingModel { conference: None, started: false, locked: false, anonymous: false, open_lobby: true };
            if let Some(LiveCommand::Start { conference, .. }) = &self.given.live {
                meeting.follow(conference);
            }
            self.meetings.insert(key, meeting);
            return;
        }
        let live = self.given.live.clone();
        let by_key_seven = self.key_of_leader('7', key);
        let by_key_four = self.key_of_leader('4', key);
        let by_star = self.key_of_leader('*', key);
        let Some(meeting) = self.meetings.get_mut(&key) else {
            return self.wrong(format!("{fact:?} of {key}, which is not there"));
        };
        match fact {
            MeetingFact::Started { by, .. } => {
                if meeting.started {
                    self.wrong.push(format!("{key} starts twice"));
                }
                meeting.started = true;
                let anonymous = meeting.anonymous;
                self.given.started.push(key);
                self.meetings_started += 1;
                let seated = |of: &CallModel| of.meeting == Some(key);
                let right = match by {
                    StartedBy::LeaderPin => {
                        self.given.right_pin.and_then(|call| self.calls.get(&call)).is_some_and(seated)
                    }
                    StartedBy::AnonymousCaller => anonymous,
                    StartedBy::VouchedCall => {
                        self.calls.values().any(|of| seated(of) && of.mode == Mode::Seating && self.is_vouched(of))
                            || self.given.right_pin.is_some()
                    }
                    StartedBy::AuthenticatedUser => {
                        let of = self.meetings[&key].conference;
                        matches!(live, Some(LiveCommand::Start { conference, .. }) if Some(conference.key) == of)
                    }
                };
                if !right {
                    self.wrong(format!("{key} starts by {by:?}, and nobody has the right to"));
                }
            }
            MeetingFact::Locked(locked) => {
                meeting.locked = *locked;
                let by_user = matches!(live, Some(LiveCommand::Lock { meeting, .. }) if meeting == key);
                if !by_key_seven && !by_user {
                    self.wrong(format!("{key} is locked or unlocked by nobody"));
                }
            }
            MeetingFact::Ended { why } => {
                (meeting.started, meeting.locked) = (false, false);
                let by_user = matches!(live, Some(LiveCommand::End { meeting }) if meeting == key);
                if *why == MeetingEnd::Ended && !by_star && !by_user {
                    self.wrong(format!("{key} is ended by nobody"));
                }
            }
            MeetingFact::AllMuted { .. } => {
                let by_user = matches!(live, Some(LiveCommand::MuteAll { meeting, .. }) if meeting == key);
                if !by_key_four && !by_user {
                    self.wrong(format!("all in {key} are muted or unmuted by nobody"));
                }
            }
            MeetingFact::Over => (meeting.started, meeting.locked) = (false, false),
            MeetingFact::Closed => {
                self.meetings.remove(&key);
            }
            MeetingFact::Opened { .. } => {}
        }
    }

    // ---- When the step is over ------------------------------------------------------------------------------------

    pub fn step_is_over<'a>(&mut self, counts: Counts, calls: impl Iterator<Item = CallOverview<'a>>) {
        let given = std::mem::take(&mut self.given);
        if !std::mem::take(&mut self.changed) && given.right_pin.is_none() {
            return;
        }
        let mut wrong = Vec::new();
        let (mut waiting, mut inside) = (0, 0);
        for (call, of) in &self.calls {
            let meeting = of.meeting.and_then(|key| self.meetings.get(&key));
            if matches!(of.mode, Mode::Asked | Mode::Lobby | Mode::Meeting) && meeting.is_none() {
                wrong.push(format!("{call} is {:?} and has no meeting", of.mode));
            }
            match of.mode {
                Mode::Seating => wrong.push(format!("{call} has a seat, and nobody says where")),
                Mode::Asked | Mode::Lobby => {
                    waiting += 1;
                    if meeting.is_some_and(|m| m.started && !m.locked && m.open_lobby) {
                        wrong.push(format!("{call} is left behind: it waits, and its meeting takes everybody in"));
                    }
                    if meeting.is_some_and(|m| !m.started && m.anonymous) {
                        wrong.push(format!("{call} waits for a start that it may make itself"));
                    }
                }
                Mode::Meeting => {
                    inside += 1;
                    if meeting.is_some_and(|m| !m.started) {
                        wrong.push(format!("{call} is in a meeting that does not run"));
                    }
                }
                Mode::Ringing | Mode::Attendant | Mode::Closing | Mode::Gone => {}
            }
        }
        if (counts.waiting, counts.in_meeting, counts.meetings) != (waiting, inside, self.meetings.len()) {
            wrong.push(format!("{counts:?}, but {waiting} wait and {inside} are in {:?}", self.meetings));
        }
        for overview in calls {
            let mode = self.calls[&overview.key].mode;
            let is_right = match overview.state {
                CallState::Attendant => matches!(mode, Mode::Attendant | Mode::Closing),
                CallState::WaitsForStart | CallState::AwaitsAdmission => matches!(mode, Mode::Asked | Mode::Lobby),
                CallState::InMeeting => mode == Mode::Meeting,
            };
            if !is_right {
                wrong.push(format!("{} is {mode:?}, and shown as {:?}", overview.key, overview.state));
            }
        }
        if let Some(call) = given.right_pin {
            let of = &self.calls[&call];
            let is_live = !matches!(of.mode, Mode::Closing | Mode::Gone);
            if is_live && of.mode != Mode::Meeting {
                wrong.push(format!("{call} had the right PIN, and is {:?}", of.mode));
            }
        }
        self.wrong.extend(wrong);
    }

    /// The phones whose voices may be heard in a meeting now: those in it, and those who have just left.
    pub fn voices_of(&self, meeting: MeetingKey, grace: u64) -> u32 {
        let heard = |of: &&CallModel| {
            let is_in = of.mode == Mode::Meeting && of.meeting == Some(meeting);
            let muted = of.muted && self.tick > of.muted_since + grace;
            let was_in = of.left.is_some_and(|(left, tick)| left == meeting && self.tick <= tick + grace);
            (is_in && !muted) || was_in
        };
        self.calls.values().filter(heard).fold(0, |bits, of| bits | 1 << of.phone)
    }
}
