//! What the attendant asks: the conference ID, the PIN, and the store whether they are right.

use std::time::Instant;

use super::attendant::{Attendant, Stage};
use super::checking::Check;
use super::interface::{Background, Effect, HangUpReason, Note, Question};
use crate::words::answer::{Conference, ConferenceAnswer, PinAnswer};
use crate::words::ids::{ConferenceId, LookupKey};
use crate::words::prompt::Prompt;
use crate::words::secret::Secret;

impl Attendant {
    // ---- The conference ID -----------------------------------------------------------------------------------------

    pub(super) fn answered(&mut self, now: Instant) {
        if self.stage != Stage::Ringing {
            return;
        }
        self.conference_id_by = Some(now + self.settings.conference_id_within);
        self.ask_for_conference_id(now, &[Prompt::Welcome]);
        self.act_on_typed_ahead(now);
    }

    pub(super) fn ask_for_conference_id(&mut self, now: Instant, first: &[Prompt]) {
        self.stage = Stage::ConferenceId;
        self.collector.begin(ConferenceId::DIGITS);
        self.set_background(Background::Silence);
        self.play_then(now, first, &[Prompt::EnterConferenceId]);
    }

    /// An entry is complete, at its last digit, by `#` or by a pause.
    pub(super) fn entered(&mut self, now: Instant, entry: Secret) {
        self.silences = 0;
        if self.stage == Stage::ConferenceId {
            // What has not seven digits is no conference ID, and nothing to ask the store about.
            match entry.expose().parse() {
                Ok(id) => self.ask_store(now, Question::Conference { id }),
                Err(_) => self.conference_id_wrong(now),
            }
            return;
        }
        let Some(conference) = self.conference.as_ref().map(|conference| conference.key) else {
            return;
        };
        if entry.len() >= self.settings.pin_digits_min {
            if self.check.is_none() && self.pin_tries_left > 0 {
                self.ask_store(now, Question::Pin { conference, pin: entry });
            }
        } else if self.stage == Stage::Pin {
            self.pin_wrong(now);
        }
    }

    pub(super) fn conference_answered(&mut self, now: Instant, lookup: LookupKey, answer: ConferenceAnswer) {
        let Some(check) = self.check.take_if(|check| check.awaits(lookup)) else {
            return;
        };
        let &Question::Conference { id } = check.question() else {
            return;
        };
        match answer {
            ConferenceAnswer::Found(conference) => self.take_seat(id, conference),
            ConferenceAnswer::Unknown => self.conference_id_wrong(now),
            ConferenceAnswer::UnknownAndOutOfTries => {
                self.conference_id_tries_left = 0;
                self.conference_id_wrong(now);
            }
            ConferenceAnswer::Unavailable => self.store_away(now, check),
        }
    }

    pub(super) fn conference_id_wrong(&mut self, now: Instant) {
        self.typed_ahead.clear();
        self.conference_id_tries_left = self.conference_id_tries_left.saturating_sub(1);
        self.note(Note::ConferenceIdWrong { tries_left: self.conference_id_tries_left });
        if self.conference_id_tries_left == 0 {
            let last_words = [Prompt::ConferenceIdInvalid, Prompt::Goodbye];
            return self.close(now, &last_words, HangUpReason::NoValidConferenceId);
        }
        self.ask_for_conference_id(now, &[Prompt::ConferenceIdInvalid]);
    }

    /// From here on he has a seat, whatever he is asked: when the meeting starts, he is in it.
    pub(super) fn take_seat(&mut self, id: ConferenceId, conference: Conference) {
        self.stage = Stage::Seating;
        self.conference_id_by = None;
        self.note(Note::ConferenceIdRight { id, conference: conference.key });
        // A SIP identity's host is compared without case (RFC 3261 section 19.1.4); the store spells users in small letters.
        self.leader =
            self.asserted_identity.as_ref().is_some_and(|who| who.eq_ignore_ascii_case(&conference.organizer_identity));
        if self.leader {
            self.note(Note::OrganizerByIdentity);
        }
        self.conference = Some(conference.clone());
        self.effects.push_back(Effect::Arrive { conference, leader: self.leader });
    }

    // ---- The PIN ---------------------------------------------------------------------------------------------------

    pub(super) fn star_for_pin(&mut self, now: Instant) {
        self.note(Note::AskedForPin);
        self.silences = 0;
        self.ask_for_pin(now, &[]);
    }

    pub(super) fn ask_for_pin(&mut self, now: Instant, first: &[Prompt]) {
        self.stage = Stage::Pin;
        self.collector.begin(self.settings.pin_digits_max);
        self.set_background(Background::Silence);
        if self.check.is_none() {
            self.play_then(now, first, &[Prompt::EnterPin]);
        }
    }

    pub(super) fn pin_answered(&mut self, now: Instant, lookup: LookupKey, answer: PinAnswer) {
        let Some(check) = self.check.take_if(|check| check.awaits(lookup)) else {
            return;
        };
        let &Question::Pin { conference, .. } = check.question() else {
            return;
        };
        match answer {
            PinAnswer::Right => {
                self.leader = true;
                self.note(Note::PinRight);
                if self.stage == Stage::Pin {
                    self.stage = Stage::Seating;
                }
                self.effects.push_back(Effect::Authenticated { conference });
            }
            PinAnswer::Wrong => self.pin_wrong(now),
            PinAnswer::OutOfTries => {
                self.pin_tries_left = 0;
                self.pin_tries_used_up(now, &[Prompt::TooManyTries]);
            }
            PinAnswer::Unavailable => self.store_away(now, check),
        }
    }

    /// Told to him who is asked for it; in the meeting, where he finished typing it, it only counts.
    pub(super) fn pin_wrong(&mut self, now: Instant) {
        self.typed_ahead.clear();
        self.pin_tries_left = self.pin_tries_left.saturating_sub(1);
        self.note(Note::PinWrong { tries_left: self.pin_tries_left });
        if self.pin_tries_left == 0 {
            self.pin_tries_used_up(now, &[Prompt::PinInvalid, Prompt::TooManyTries]);
        } else if self.stage == Stage::Pin {
            self.ask_for_pin(now, &[Prompt::PinInvalid]);
        }
    }

    pub(super) fn pin_tries_used_up(&mut self, now: Instant, told: &[Prompt]) {
        self.typed_ahead.clear();
        self.note(Note::PinTriesUsedUp);
        if self.stage == Stage::Pin {
            self.enter_lobby(now, told);
        }
    }

    // ---- Nothing entered -------------------------------------------------------------------------------------------

    /// A prompt was heard to its end.
    pub(super) fn prompt_heard(&mut self, now: Instant) {
        match self.stage {
            Stage::Closing(reason) => {
                self.stage = Stage::Gone;
                self.effects.push_back(Effect::HangUp(reason));
            }
            _ => self.listen(now),
        }
    }

    /// The caller's silence is counted from now.
    pub(super) fn listen(&mut self, now: Instant) {
        self.silence_at = match self.stage {
            Stage::ConferenceId | Stage::Pin => Some(now + self.settings.silence),
            Stage::OrganizerQuestion => Some(now + self.settings.organizer_question),
            _ => None,
        };
    }

    /// Nothing was entered in time, or `#` with nothing before it.
    pub(super) fn silence(&mut self, now: Instant) {
        self.silence_at = None;
        self.silences = self.silences.saturating_add(1);
        match self.stage {
            Stage::ConferenceId if self.silences > self.settings.conference_id_repeats => {
                self.close(now, &[Prompt::Goodbye], HangUpReason::NothingEntered);
            }
            Stage::ConferenceId => {
                self.note(Note::NothingEntered);
                self.ask_for_conference_id(now, &[]);
            }
            Stage::Pin if self.silences <= self.settings.pin_repeats => {
                self.note(Note::NothingEntered);
                self.ask_for_pin(now, &[]);
            }
            Stage::Pin | Stage::OrganizerQuestion => self.enter_lobby(now, &[]),
            _ => {}
        }
    }

    // ---- The store -------------------------------------------------------------------------------------------------

    /// Whether the caller waits for the store. (A PIN that is still being verified when the meeting takes him in, or sends
    /// him back, is verified behind his back.)
    pub(super) fn is_checking(&self) -> bool {
        self.check.is_some() && matches!(self.stage, Stage::ConferenceId | Stage::Pin)
    }

    pub(super) fn ask_store(&mut self, now: Instant, question: Question) {
        let lookup = LookupKey(self.keys.next());
        self.check = Some(Check::new(now, lookup, question.clone(), &self.settings));
        self.effects.push_back(Effect::Lookup { lookup, question });
    }

    pub(super) fn ask_store_again(&mut self) {
        let lookup = LookupKey(self.keys.next());
        if let Some(check) = &mut self.check {
            check.asked_again(lookup);
            let question = check.question().clone();
            self.effects.push_back(Effect::Lookup { lookup, question });
        }
    }

    pub(super) fn store_away(&mut self, now: Instant, mut check: Check) {
        check.store_away(now, &self.settings);
        self.check = Some(check);
        self.hold(now);
    }

    pub(super) fn hold(&mut self, now: Instant) {
        let begins = self.check.as_mut().is_some_and(|check| check.hold(now, &self.settings));
        if begins && self.is_checking() {
            self.note(Note::StoreSlow);
            self.play(now, &[Prompt::PleaseHold]);
        }
    }

    /// The store has had its time. He keeps his place and his tries, and may enter it again.
    pub(super) fn give_up(&mut self, now: Instant) {
        let was_told = self.is_checking();
        self.check = None;
        self.note(Note::StoreUnavailable);
        if !was_told {
            return;
        }
        self.typed_ahead.clear();
        match self.stage {
            Stage::ConferenceId => self.ask_for_conference_id(now, &[Prompt::CannotCheck]),
            _ => self.ask_for_pin(now, &[Prompt::CannotCheck]),
        }
    }
}
