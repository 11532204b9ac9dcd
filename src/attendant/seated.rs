//! From the seat in the lobby to the end: what the meeting says becomes of the caller.

use std::time::Instant;

use super::attendant::{Attendant, Stage};
use super::interface::{Background, Effect, HangUpReason, Note, WaitsFor};
use super::keypad::Keypad;
use crate::words::prompt::Prompt;

impl Attendant {
    // ---- Waiting ---------------------------------------------------------------------------------------------------

    pub(super) fn told_to_wait(&mut self, now: Instant, waits_for: WaitsFor) {
        let before = self.waits_for.replace(waits_for);
        let is_news = before.is_none_or(|before| (before == WaitsFor::Start) != (waits_for == WaitsFor::Start));
        match self.stage {
            Stage::Seating if self.is_organizer_question_due(waits_for) => {
                self.stage = Stage::OrganizerQuestion;
                self.note(Note::AskedWhetherOrganizer);
                self.set_background(Background::Silence);
                self.play(now, &[Prompt::OrganizerQuestion]);
                self.act_on_typed_ahead(now);
            }
            Stage::Seating => {
                self.enter_lobby(now, &[]);
                self.act_on_typed_ahead(now);
            }
            Stage::Meeting => {
                self.leader = false;
                self.collector.clear();
                self.enter_lobby(now, &[]);
            }
            // The question was whether he starts the meeting: somebody else has.
            Stage::OrganizerQuestion if is_news => self.enter_lobby(now, &[]),
            Stage::Lobby if is_news => self.enter_lobby(now, &[]),
            Stage::OrganizerQuestion | Stage::Lobby | Stage::Pin => {}
            Stage::Ringing | Stage::ConferenceId | Stage::Closing(_) | Stage::Gone => self.waits_for = None,
        }
    }

    pub(super) fn is_organizer_question_due(&self, waits_for: WaitsFor) -> bool {
        let pin_starts_it = self.conference.as_ref().is_some_and(|conference| !conference.allow_anonymous_start);
        waits_for == WaitsFor::Start && pin_starts_it && self.pin_tries_left > 0
    }

    pub(super) fn enter_lobby(&mut self, now: Instant, first: &[Prompt]) {
        self.stage = Stage::Lobby;
        self.silences = 0;
        self.set_background(Background::Music);
        let waits_for = self.waits_for.unwrap_or(WaitsFor::Start);
        self.note(Note::WaitsInLobby(waits_for));
        let told: &[Prompt] = match waits_for {
            // "… Please stay on the line for the organizer." says it already.
            WaitsFor::Start if first.contains(&Prompt::TooManyTries) => &[],
            WaitsFor::Start => &[Prompt::PleaseWaitForOrganizer],
            WaitsFor::Admission { locked: true } => &[Prompt::MeetingLocked, Prompt::PleaseWaitForAdmission],
            WaitsFor::Admission { locked: false } => &[Prompt::PleaseWaitForAdmission],
        };
        self.play_then(now, first, told);
    }

    /// A word now and then to him who only waits; it interrupts nothing.
    pub(super) fn patience(&mut self, now: Instant) {
        if self.stage != Stage::Lobby || self.playback.is_some() {
            return;
        }
        self.note(Note::Patience);
        let word = match self.waits_for {
            Some(WaitsFor::Admission { .. }) => Prompt::PleaseWaitForAdmission,
            // The word of patience ends "If you are the organizer, press star": not for him whose tries are used up.
            _ if self.pin_tries_left == 0 => Prompt::PleaseWaitForOrganizer,
            _ => Prompt::Patience,
        };
        self.play(now, &[word]);
    }

    // ---- The meeting, and the end ----------------------------------------------------------------------------------

    /// Whether the meeting knows him: it decides what becomes of him.
    pub(super) fn is_seated(&self) -> bool {
        matches!(self.stage, Stage::Seating | Stage::OrganizerQuestion | Stage::Pin | Stage::Lobby | Stage::Meeting)
    }

    pub(super) fn admitted(&mut self) {
        if !self.is_seated() {
            return;
        }
        // The media plays the meeting to him already: nothing that was meant for the lobby may come after it.
        self.effects
            .retain(|effect| !matches!(effect, Effect::Play { .. } | Effect::StopPlayback | Effect::Background(_)));
        if self.stage != Stage::Pin || self.is_checking() {
            self.collector.clear();
        }
        self.stage = Stage::Meeting;
        self.waits_for = None;
        self.playback = None;
        self.background = None;
        self.silence_at = None;
        self.typed_ahead.clear();
        self.keypad = Keypad::default();
        self.note(Note::InMeeting);
    }

    pub(super) fn muted(&mut self, now: Instant, muted: bool) {
        if !self.is_seated() {
            return;
        }
        self.note(Note::Muted(muted));
        if self.stage == Stage::Meeting {
            self.play(now, &[if muted { Prompt::YouAreMuted } else { Prompt::YouAreUnmuted }]);
        }
    }

    /// The last words, and then BYE.
    pub(super) fn close(&mut self, now: Instant, last_words: &[Prompt], reason: HangUpReason) {
        self.stage = Stage::Closing(reason);
        self.waits_for = None;
        self.check = None;
        self.silence_at = None;
        self.conference_id_by = None;
        self.collector.clear();
        self.typed_ahead.clear();
        self.set_background(Background::Silence);
        self.play(now, last_words);
    }
}
