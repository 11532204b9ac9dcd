//! The lobby and the meeting as one state machine: who is let in when, and when it ends.
//!
//! Whoever arrives waits first, whatever the rules say. Then, after each input, the doors are looked at once
//! ([`Room::open_doors`]): does the meeting start, who is let in, who has to be told what he waits for now? So there is one
//! place that lets people in, and no order of events can leave anybody behind.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::interface::{Effect, EndReason, Input, LeaderLeaves, Rules, Settings, Starter, Timer, WaitsFor};
use super::roster::{Roster, Seat};
use crate::words::answer::{Announcements, LobbyPolicy};
use crate::words::ids::CallKey;
use crate::words::prompt::Chime;

/// One conference's meeting and its lobby, for as long as anybody is in or waits.
///
/// Holds at any time: somebody is in only while the meeting runs; only a running meeting is locked; nobody waits before
/// an open door.
#[derive(Debug)]
pub struct Room {
    settings: Arc<Settings>,
    rules: Rules,
    roster: Roster,
    started: bool,
    locked: bool,
    /// What all that wait have been told that they wait for.
    told: WaitsFor,
    /// When a meeting ends that nobody authenticated is in.
    nobody_authenticated_at: Option<Instant>,
    /// When a meeting is over that runs with nobody in it.
    nobody_came_at: Option<Instant>,
    /// When a meeting ends whose leader has left.
    leader_grace_at: Option<Instant>,
    effects: VecDeque<Effect>,
}

/// Who gets through the door, even if it is closed.
enum Through {
    Nobody,
    This(CallKey),
    AllWaiting,
}

impl Room {
    pub fn new(settings: Arc<Settings>) -> Room {
        Room {
            settings,
            rules: Rules::default(),
            roster: Roster::default(),
            started: false,
            locked: false,
            told: WaitsFor::Start,
            nobody_authenticated_at: None,
            nobody_came_at: None,
            leader_grace_at: None,
            effects: VecDeque::new(),
        }
    }

    /// Something happened. Drain [`poll_effect`](Self::poll_effect) afterwards.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Arrive { call, leader, rules } => self.arrive(now, call, leader, rules),
            Input::Authenticated { call } => self.authenticated(now, call),
            Input::Depart { call } => self.depart(now, call),
            Input::StartByUser { identity, rules } => {
                self.rules = rules;
                self.start(Starter::User(identity));
                self.open_doors(now, Through::Nobody, None);
            }
            Input::ToggleMute { call } => self.mute(call, !self.roster.is_muted(call)),
            Input::SetMuted { call, muted } => self.mute(call, muted),
            Input::ToggleAllMuted => {
                let somebody_speaks = self.roster.who_may_be_muted().any(|(_, muted)| !muted);
                self.mute_all(somebody_speaks);
            }
            Input::SetAllMuted { muted } => self.mute_all(muted),
            Input::Lock => self.lock(now, true),
            Input::Unlock => self.lock(now, false),
            Input::AdmitWaiting { call } if self.started => {
                self.open_doors(now, call.map_or(Through::AllWaiting, Through::This), None);
            }
            Input::AdmitWaiting { .. } => {}
            Input::End => self.end(EndReason::Ended),
        }
        self.say_if_vacant();
    }

    /// Other times from now on. Who waits has waited since he came: a shorter lobby time-out can be over for him already.
    pub fn handle_settings(&mut self, settings: Arc<Settings>) {
        self.roster.set_lobby_timeout(settings.lobby_timeout);
        self.settings = settings;
    }

    /// The next thing to do for the meeting.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        while let Some(effect) = self.effects.pop_front() {
            // Somebody may have come since it was said.
            if !matches!(effect, Effect::Vacant) || self.is_vacant() {
                return Some(effect);
            }
        }
        None
    }

    /// When [`handle_timeout`](Self::handle_timeout) is wanted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_timer().map(|(at, _)| at)
    }

    /// The same, and why.
    pub fn next_timer(&self) -> Option<(Instant, Timer)> {
        let nobody = self.nobody_authenticated_at.map(|at| (at, Timer::NobodyAuthenticated));
        let empty = self.nobody_came_at.map(|at| (at, Timer::NobodyCame));
        let grace = self.leader_grace_at.map(|at| (at, Timer::LeaderGrace));
        [self.roster.next_alarm(), nobody, empty, grace].into_iter().flatten().min()
    }

    /// Time has passed. Too early or too often does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((_, timer)) = self.next_timer().filter(|(at, _)| *at <= now) {
            match timer {
                Timer::Patience(call) => {
                    // From now, not from when it was due: after a stall nobody hears two words in a row.
                    self.roster.snooze(call, self.patience().map(|after| now + after));
                    self.effects.push_back(Effect::Patience { call });
                }
                Timer::LobbyTimeout(call) => {
                    self.roster.remove(call);
                    self.effects.push_back(Effect::LobbyTimedOut { call });
                }
                Timer::NobodyAuthenticated => self.end(EndReason::NobodyAuthenticated),
                Timer::NobodyCame => {
                    self.over();
                    self.open_doors(now, Through::Nobody, None);
                }
                Timer::LeaderGrace => self.end(EndReason::LeaderLeft),
            }
            self.say_if_vacant();
        }
    }

    /// Whether the meeting runs.
    pub fn is_started(&self) -> bool {
        self.started
    }

    /// Whether nobody is let in without being admitted.
    pub fn is_locked(&self) -> bool {
        self.locked
    }

    /// How many are in the meeting.
    pub fn participants(&self) -> usize {
        self.roster.participants()
    }

    /// How many wait in the lobby.
    pub fn waiting(&self) -> usize {
        self.roster.waiting()
    }

    /// Whether nobody is in or waits, and no meeting runs. (An authenticated user can start one before anybody calls.)
    pub fn is_vacant(&self) -> bool {
        self.roster.is_empty() && !self.started
    }

    /// Who is here, and where.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    // ---- Coming ---------------------------------------------------------------------------------------------------

    fn arrive(&mut self, now: Instant, call: CallKey, leader: bool, rules: Rules) {
        if self.roster.contains(call) {
            return;
        }
        self.rules = rules;
        if self.roster.len() >= self.settings.seats && !leader {
            self.effects.push_back(Effect::Full { call });
            // The rules that he brought may be new ones.
            return self.open_doors(now, Through::Nobody, None);
        }
        self.wait(now, call);
        if leader {
            self.authenticated(now, call);
        } else {
            self.open_doors(now, Through::Nobody, Some(call));
        }
    }

    fn wait(&mut self, now: Instant, call: CallKey) {
        self.roster.wait(now, call, self.patience(), self.settings.lobby_timeout);
    }

    fn patience(&self) -> Option<Duration> {
        Some(self.settings.patience).filter(|after| !after.is_zero())
    }

    /// A leader starts the meeting that has not started, and no lock keeps him out of the one that has.
    fn authenticated(&mut self, now: Instant, call: CallKey) {
        if !self.roster.contains(call) {
            return;
        }
        self.start(Starter::Leader(call));
        self.open_doors(now, Through::This(call), None);
        self.roster.make_leader(call);
        self.set_timers(now);
    }

    fn start(&mut self, by: Starter) {
        if !self.started {
            self.started = true;
            self.effects.push_back(Effect::Started { by });
        }
    }

    /// Whether the meeting takes in whoever comes.
    fn is_open(&self) -> bool {
        self.started && !self.locked && self.rules.lobby_policy == LobbyPolicy::Open
    }

    /// Starts a meeting that needs nobody for it, lets in whoever may, and tells the others what they wait for: all of
    /// them if it has changed, else the `newcomer`.
    fn open_doors(&mut self, now: Instant, through: Through, newcomer: Option<CallKey>) {
        let mut through = through;
        if !self.started && self.rules.allow_anonymous_start {
            // Most often the newcomer. Or the organizer has allowed it meanwhile, or the ones who were in have left.
            if let Some(first) = self.roster.longest_waiting() {
                self.start(Starter::Anonymous(first));
                through = Through::This(first);
            }
        }
        let mut calls = match through {
            _ if self.is_open() => self.roster.who_waits(),
            Through::AllWaiting => self.roster.who_waits(),
            Through::This(call) => vec![call],
            Through::Nobody => Vec::new(),
        };
        calls.retain(|call| self.roster.let_in(*call));
        if !calls.is_empty() {
            self.effects.push_back(Effect::Admit { calls: calls.into() });
            self.chime(Chime::Entry);
        }
        self.tell_the_waiting(newcomer);
        self.set_timers(now);
    }

    fn tell_the_waiting(&mut self, newcomer: Option<CallKey>) {
        let waits_for = if self.started { WaitsFor::Admission { locked: self.locked } } else { WaitsFor::Start };
        let calls = if std::mem::replace(&mut self.told, waits_for) != waits_for {
            self.roster.who_waits()
        } else {
            newcomer.into_iter().filter(|call| self.roster.seat(*call) == Some(Seat::Waiting)).collect()
        };
        if !calls.is_empty() {
            self.effects.push_back(Effect::Wait { calls: calls.into(), waits_for });
        }
    }

    // ---- Being there ----------------------------------------------------------------------------------------------

    fn mute(&mut self, call: CallKey, muted: bool) {
        if matches!(self.roster.seat(call), Some(Seat::In { .. })) && self.roster.mute(call, muted) {
            self.effects.push_back(Effect::Muted { call, muted });
        }
    }

    fn mute_all(&mut self, muted: bool) {
        let calls: Vec<CallKey> =
            self.roster.who_may_be_muted().filter(|&(_, was)| was != muted).map(|(call, _)| call).collect();
        for &call in &calls {
            self.mute(call, muted);
        }
        if !calls.is_empty() {
            self.effects.push_back(Effect::AllMuted { muted, changed: calls.len() });
        }
    }

    fn lock(&mut self, now: Instant, locked: bool) {
        if self.started && std::mem::replace(&mut self.locked, locked) != locked {
            self.effects.push_back(Effect::Locked(locked));
            self.open_doors(now, Through::Nobody, None);
        }
    }

    // ---- Going ----------------------------------------------------------------------------------------------------

    fn depart(&mut self, now: Instant, call: CallKey) {
        let Some(seat) = self.roster.remove(call) else { return };
        let Seat::In { leader } = seat else { return };
        if self.roster.participants() == 0 {
            self.over();
        } else {
            if leader && self.roster.leaders() == 0 {
                self.last_leader_left(now);
            }
            if self.started {
                self.chime(Chime::Exit);
            }
        }
        self.open_doors(now, Through::Nobody, None);
    }

    fn chime(&mut self, chime: Chime) {
        match self.rules.announcements {
            Announcements::Tones => self.effects.push_back(Effect::Chime(chime)),
            Announcements::Off => {}
        }
    }

    fn last_leader_left(&mut self, now: Instant) {
        match self.settings.leader_leaves {
            LeaderLeaves::GoesOn => {}
            // Where the first caller starts the meeting, the lobby would start it again at once.
            LeaderLeaves::BackToLobby if self.rules.allow_anonymous_start => {}
            LeaderLeaves::BackToLobby => {
                self.over();
                for call in self.roster.who_is_in() {
                    self.wait(now, call);
                }
            }
            LeaderLeaves::EndsAfter(grace) => self.leader_grace_at = Some(now + grace),
        }
    }

    /// The meeting runs no more; whoever waits now waits for a start.
    fn over(&mut self) {
        self.started = false;
        self.locked = false;
        self.effects.push_back(Effect::Over);
    }

    /// It ends for all, in the lobby too.
    fn end(&mut self, why: EndReason) {
        self.started = false;
        self.locked = false;
        self.told = WaitsFor::Start;
        self.nobody_authenticated_at = None;
        self.nobody_came_at = None;
        self.leader_grace_at = None;
        self.effects.push_back(Effect::Ended { calls: self.roster.clear().into(), why });
    }

    /// A meeting without a leader has an end. So has, and sooner, one that a user has started and nobody comes to.
    fn set_timers(&mut self, now: Instant) {
        let is_led = self.roster.leaders() > 0;
        self.nobody_authenticated_at = (self.started && !is_led && !self.rules.allow_anonymous_start)
            .then(|| self.nobody_authenticated_at.unwrap_or(now + self.settings.nobody_authenticated));
        self.nobody_came_at = (self.started && self.roster.participants() == 0)
            .then(|| self.nobody_came_at.unwrap_or(now + self.settings.nobody_came));
        if is_led || !self.started {
            self.leader_grace_at = None;
        }
    }

    fn say_if_vacant(&mut self) {
        if self.is_vacant() {
            self.effects.push_back(Effect::Vacant);
        }
    }
}
