//! The attendant's state: what comes in, what is due when, and what a key press means where. What follows from it is in
//! `asking` and `seated`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::checking::Check;
use super::collector::{Collector, Pauses, Pressed};
use super::interface::{Background, Effect, HangUpReason, Input, Note, Settings, Timer, WaitsFor};
use super::keypad::Keypad;
use crate::words::answer::Conference;
use crate::words::ids::{CallKey, PlaybackKey};
use crate::words::prompt::Prompt;
use crate::words::secret::Digit;

/// Keys pressed while nothing can be done with them yet (the call is just being answered, the store is asked) are kept
/// for what is asked next. `*`, a PIN of twelve digits and `#` fit; more is a hand on the keypad.
const TYPED_AHEAD: usize = 16;

/// One caller's attendant, from "Welcome." to his BYE.
#[derive(Debug)]
pub struct Attendant {
    pub(super) settings: Arc<Settings>,
    pub(super) asserted_identity: Option<String>,
    pub(super) keys: Keys,
    pub(super) stage: Stage,
    /// Where his conference ID leads to, once that is known.
    pub(super) conference: Option<Conference>,
    /// What his seat in the lobby waits for, while he has one there.
    pub(super) waits_for: Option<WaitsFor>,
    pub(super) leader: bool,
    pub(super) conference_id_tries_left: u32,
    pub(super) pin_tries_left: u32,
    /// Prompts in a row that nothing was entered to.
    pub(super) silences: u32,
    pub(super) collector: Collector,
    pub(super) typed_ahead: VecDeque<Digit>,
    pub(super) keypad: Keypad,
    pub(super) check: Option<Check>,
    pub(super) playback: Option<Playback>,
    /// The background last asked for. `None`: the meeting's, or nothing yet.
    pub(super) background: Option<Background>,
    /// When the silence of a caller who hears no prompt and types nothing is an answer.
    pub(super) silence_at: Option<Instant>,
    /// When a caller who has entered no right conference ID by then is let go.
    pub(super) conference_id_by: Option<Instant>,
    pub(super) effects: VecDeque<Effect>,
}

/// Where in the journey he is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not answered yet.
    Ringing,
    /// Asked for a conference ID, or it is being looked up.
    ConferenceId,
    /// The meeting is to say where he sits.
    Seating,
    OrganizerQuestion,
    /// Asked for a PIN, or it is being verified. He has a seat in the lobby.
    Pin,
    Lobby,
    Meeting,
    /// He hears the last words.
    Closing(HangUpReason),
    Gone,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Playback {
    key: PlaybackKey,
    lost_at: Instant,
}

/// Keys that no other call of this process has: the call's own in front, a count behind. A call would have to be asked
/// and told a million things before one came again.
#[derive(Debug)]
pub(super) struct Keys {
    call: CallKey,
    count: u64,
}

impl Keys {
    const COUNT_BITS: u32 = 20;

    pub(super) fn next(&mut self) -> u64 {
        self.count = (self.count + 1) & ((1 << Self::COUNT_BITS) - 1);
        (self.call.0 << Self::COUNT_BITS) | self.count
    }
}

impl Attendant {
    /// `asserted_identity`: whom the caller's trunk vouches that he is (`anna@example.com`), where it does.
    pub fn new(call: CallKey, asserted_identity: Option<String>, settings: Arc<Settings>) -> Attendant {
        let pauses = Pauses {
            between_digits: settings.between_digits,
            swallow_pound: settings.swallow_pound,
            overrun: settings.overrun,
        };
        Attendant {
            asserted_identity,
            keys: Keys { call, count: 0 },
            stage: Stage::Ringing,
            conference: None,
            waits_for: None,
            leader: false,
            conference_id_tries_left: settings.conference_id_tries,
            pin_tries_left: settings.pin_tries,
            silences: 0,
            collector: Collector::new(pauses),
            typed_ahead: VecDeque::new(),
            keypad: Keypad::default(),
            check: None,
            playback: None,
            background: None,
            silence_at: None,
            conference_id_by: None,
            effects: VecDeque::new(),
            settings,
        }
    }

    /// Something happened to the caller. Drain [`poll_effect`](Self::poll_effect) afterwards.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Answered => self.answered(now),
            Input::Digit(key) => {
                // A pause that is over by now has ended its entry before this key was pressed.
                self.handle_timeout(now);
                self.key_pressed(now, key);
            }
            Input::PlaybackFinished(playback) => {
                if self.playback.take_if(|playing| playing.key == playback).is_some() {
                    self.prompt_heard(now);
                }
            }
            Input::Conference(lookup, answer) => self.conference_answered(now, lookup, answer),
            Input::Pin(lookup, answer) => self.pin_answered(now, lookup, answer),
            Input::Waits(waits_for) => self.told_to_wait(now, waits_for),
            Input::Admitted => self.admitted(),
            Input::MeetingFull if self.stage == Stage::Seating => {
                self.close(now, &[Prompt::MeetingFull, Prompt::Goodbye], HangUpReason::MeetingFull);
            }
            Input::Patience => self.patience(now),
            Input::LobbyTimedOut if self.is_seated() => {
                self.close(now, &[Prompt::Goodbye], HangUpReason::LobbyTimedOut);
            }
            Input::MeetingEnded if self.is_seated() => {
                self.close(now, &[Prompt::MeetingEnded, Prompt::Goodbye], HangUpReason::MeetingEnded);
            }
            Input::Removed if !matches!(self.stage, Stage::Closing(_) | Stage::Gone) => {
                self.close(now, &[Prompt::Goodbye], HangUpReason::Removed);
            }
            Input::Removed => {}
            Input::MeetingFull | Input::LobbyTimedOut | Input::MeetingEnded => {}
            Input::Muted(muted) => self.muted(now, muted),
        }
    }

    /// The next thing to do for the attendant.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is wanted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_timer().map(|(at, _)| at)
    }

    /// The same, and why.
    pub fn next_timer(&self) -> Option<(Instant, Timer)> {
        if self.stage == Stage::Gone {
            return None;
        }
        let playback = self.playback.map(|playing| (playing.lost_at, Timer::Playback));
        let check = self.check.as_ref().map(Check::next_timer);
        let conference_id = self.conference_id_by.map(|at| (at, Timer::NoConferenceId));
        [playback, check, self.entry_timer(), conference_id].into_iter().flatten().min()
    }

    /// Time has passed. Too early or too often does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((_, timer)) = self.next_timer().filter(|(at, _)| *at <= now) {
            match timer {
                Timer::Silence => self.silence(now),
                Timer::BetweenDigits => {
                    let entry = self.collector.end_by_pause(now);
                    self.entered(now, entry);
                }
                Timer::Hold => self.hold(now),
                Timer::AskAgain => self.ask_store_again(),
                Timer::GiveUp => self.give_up(now),
                Timer::Playback => {
                    self.playback = None;
                    self.note(Note::PlaybackLost);
                    self.prompt_heard(now);
                }
                Timer::NoConferenceId => self.close(now, &[Prompt::Goodbye], HangUpReason::NoValidConferenceId),
            }
        }
    }

    /// What waits for the caller himself. Nothing does while the store is asked for what he entered.
    fn entry_timer(&self) -> Option<(Instant, Timer)> {
        if self.is_checking() {
            return None;
        }
        if let Some(at) = self.collector.poll_timeout() {
            return Some((at, Timer::BetweenDigits));
        }
        self.silence_at.map(|at| (at, Timer::Silence))
    }

    // ---- Key presses -----------------------------------------------------------------------------------------------

    fn key_pressed(&mut self, now: Instant, key: Digit) {
        // Nothing he could press changes the end of the call, so the last words are said to their end.
        if matches!(self.stage, Stage::Closing(_) | Stage::Gone) {
            return;
        }
        if self.collector.swallows(now, key) {
            return;
        }
        self.barge_in(now);
        if matches!(self.stage, Stage::Ringing | Stage::Seating) || self.is_checking() {
            if self.typed_ahead.len() < TYPED_AHEAD {
                self.typed_ahead.push_back(key);
            }
            return;
        }
        self.act_on(now, key);
    }

    fn act_on(&mut self, now: Instant, key: Digit) {
        match self.stage {
            Stage::ConferenceId | Stage::Pin => match self.collector.handle_digit(now, key) {
                Pressed::Complete(entry) => self.entered(now, entry),
                Pressed::Nothing => self.silence(now),
                Pressed::Typing | Pressed::Cleared | Pressed::Meaningless => {}
            },
            Stage::OrganizerQuestion if key == Digit::STAR => self.star_for_pin(now),
            Stage::Lobby if key == Digit::STAR && self.pin_tries_left == 0 => {
                self.play(now, &[Prompt::TooManyTries]);
            }
            Stage::Lobby if key == Digit::STAR => self.star_for_pin(now),
            Stage::Meeting => self.key_in_meeting(now, key),
            Stage::OrganizerQuestion | Stage::Lobby => {}
            Stage::Ringing | Stage::Seating | Stage::Closing(_) | Stage::Gone => {}
        }
    }

    /// In the meeting keys are commands. But a PIN that was half typed when the meeting took him in is typed to its end.
    fn key_in_meeting(&mut self, now: Instant, key: Digit) {
        if !self.collector.is_empty() {
            match self.collector.handle_digit(now, key) {
                Pressed::Complete(entry) => return self.entered(now, entry),
                Pressed::Cleared => {}
                Pressed::Typing | Pressed::Nothing | Pressed::Meaningless => return,
            }
        }
        let command = self.keypad.handle_digit(now, key, &self.settings.keypad);
        if let Some(command) = command.filter(|command| self.leader || !command.for_leader()) {
            self.effects.push_back(Effect::Command(command));
        }
    }

    /// What was typed ahead now has somebody to go to.
    pub(super) fn act_on_typed_ahead(&mut self, now: Instant) {
        while !self.is_checking() && self.stage != Stage::Seating {
            let Some(key) = self.typed_ahead.pop_front() else {
                return;
            };
            // Keys pressed before the question was put don't talk it down, unless they answer it.
            let idle = matches!(self.stage, Stage::OrganizerQuestion | Stage::Lobby) && key != Digit::STAR;
            if !idle && !self.collector.swallows(now, key) {
                self.barge_in(now);
                self.act_on(now, key);
            }
        }
    }

    /// Any key interrupts any prompt.
    fn barge_in(&mut self, now: Instant) {
        if self.playback.take().is_some() {
            self.effects.push_back(Effect::StopPlayback);
        }
        self.listen(now);
    }

    // ---- Effects ---------------------------------------------------------------------------------------------------

    pub(super) fn play_then(&mut self, now: Instant, first: &[Prompt], then: &[Prompt]) {
        self.play(now, &[first, then].concat());
    }

    pub(super) fn play(&mut self, now: Instant, prompts: &[Prompt]) {
        let key = PlaybackKey(self.keys.next());
        self.silence_at = None;
        self.playback = Some(Playback { key, lost_at: now + self.settings.playback_max });
        self.effects.push_back(Effect::Play { playback: key, prompts: prompts.into() });
    }

    pub(super) fn set_background(&mut self, background: Background) {
        if self.background.replace(background) != Some(background) {
            self.effects.push_back(Effect::Background(background));
        }
    }

    pub(super) fn note(&mut self, note: Note) {
        self.effects.push_back(Effect::Note(note));
    }
}

#[cfg(test)]
impl Attendant {
    /// Of conference IDs and of PINs.
    pub(super) fn tries_left(&self) -> (u32, u32) {
        (self.conference_id_tries_left, self.pin_tries_left)
    }

    /// Where a caller may be who is neither asked nor told anything: with the meeting (its word is awaited, or he waits
    /// there), in it, or gone.
    pub(super) fn resting_place(&self) -> Option<usize> {
        match self.stage {
            Stage::Seating | Stage::Lobby => Some(0),
            Stage::Meeting => Some(1),
            Stage::Gone => Some(2),
            _ => None,
        }
    }
}
