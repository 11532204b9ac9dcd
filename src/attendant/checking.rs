//! One question to the store, for as long as its answer is awaited. The store may be quick, slow, or away:
//!
//! ```text
//!  asked ──────────────── answered                        the caller hears nothing of it
//!  asked ── 1 s ── hold ───────── answered                "Please hold."
//!  asked ── 1 s ── hold ───── 5 s ───── given up          "We can't check your entry just now."
//!  asked ─ away: hold ─ 1 s ─ asked ─ away ─ 1 s ─ asked ─ answered
//! ```
//!
//! A store that says it is away is asked again until its time is over: a restart of the store costs the caller a few
//! seconds and none of his tries.

use std::time::Instant;

use super::interface::{Question, Settings, Timer};
use crate::words::ids::LookupKey;

/// A question under way. The entry is cleared from memory with it.
#[derive(Debug)]
pub(super) struct Check {
    question: Question,
    /// `None`: the store said that it is away, and is not being asked at the moment.
    lookup: Option<LookupKey>,
    patience: Patience,
    ask_again_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
enum Patience {
    /// The caller knows of nothing until then.
    HoldAt(Instant),
    /// He has been told to hold.
    GiveUpAt(Instant),
}

impl Check {
    pub(super) fn new(now: Instant, lookup: LookupKey, question: Question, settings: &Settings) -> Check {
        Check {
            question,
            lookup: Some(lookup),
            patience: Patience::HoldAt(now + settings.hold_after),
            ask_again_at: None,
        }
    }

    pub(super) fn question(&self) -> &Question {
        &self.question
    }

    /// Whether an answer with this key is the one awaited. An answer to anything else came too late.
    pub(super) fn awaits(&self, lookup: LookupKey) -> bool {
        self.lookup == Some(lookup)
    }

    /// The caller holds from now on. `false`: he did already.
    pub(super) fn hold(&mut self, now: Instant, settings: &Settings) -> bool {
        let begins = matches!(self.patience, Patience::HoldAt(_));
        if begins {
            self.patience = Patience::GiveUpAt(now + settings.give_up_after);
        }
        begins
    }

    /// The store said that it is away.
    pub(super) fn store_away(&mut self, now: Instant, settings: &Settings) {
        self.lookup = None;
        self.ask_again_at = Some(now + settings.ask_again_after);
    }

    /// The store is asked again, by this key.
    pub(super) fn asked_again(&mut self, lookup: LookupKey) {
        self.lookup = Some(lookup);
        self.ask_again_at = None;
    }

    pub(super) fn next_timer(&self) -> (Instant, Timer) {
        let patience = match self.patience {
            Patience::HoldAt(at) => (at, Timer::Hold),
            Patience::GiveUpAt(at) => (at, Timer::GiveUp),
        };
        match self.ask_again_at {
            Some(at) if at < patience.0 => (at, Timer::AskAgain),
            _ => patience,
        }
    }
}
