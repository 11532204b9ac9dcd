//! One caller's script as a state machine. What happens to him goes in (an answer, a sound, the clock), what he does comes
//! out (dial, press, hang up). Pure.
//!
//! ```text
//!            at / when            200                last step, hangs_up, BYE
//!  Waiting ────────────> Calling ─────> Talking ───────────────────────────────> Over
//!                           └──────── refused, cancelled ──────────────────────────┘
//! ```
//!
//! Two clocks: `now` runs with the scene; what he hears is known later, when the ears have listened (`heard_to` says how
//! far they are). No expectation fails before the ears have heard everything up to its deadline, so a slow machine makes
//! a scene longer and not wrong.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::ears::{self, Hearing};
use super::fixture::{Action, Caller, Ending, Heard, MarkReference, Step};
use super::keys::KeyPresses;
use super::marks::{ANSWERED, DONE, ENDED, Marks};
use super::recorded::RecordedEvents;
use super::sound::{Sound, Speech};
use crate::words::media::Direction;

/// A call that is not answered by then fails, unless its script expects an end.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A forbidden sound counts when it is heard this long: the frame that fades is none.
const FORBIDDEN_MIN: Duration = Duration::from_millis(100);

/// While a sound goes on, its end may have been missed by this much.
const END_UNKNOWN: Duration = Duration::from_millis(450);

/// What a caller does.
#[derive(Debug, Clone)]
pub enum Deed {
    Dial,
    Say(Speech),
    Press(KeyPresses),
    PressRecorded(Arc<RecordedEvents>),
    HangUp,
    Cancel,
    Reinvite(Direction),
    /// Nothing to be done: others may have waited for it, and the story tells it.
    Mark(String),
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// By the server: BYE, or a final answer, or none.
    ByServer(Ending),
    /// By the caller.
    ByCaller,
    /// In a way that no fixture can ask for.
    Otherwise(String),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::ByServer(Ending::Cancelled) => f.write_str("the call was cancelled"),
            Ended::ByServer(Ending::NoAnswer) => f.write_str("the server did not answer"),
            Ended::ByServer(how) => write!(f, "the server ended the call ({how})"),
            Ended::ByCaller => f.write_str("hung up"),
            Ended::Otherwise(what) => f.write_str(what),
        }
    }
}

/// An expectation that was not met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub caller: String,
    /// Line of the fixture; `None` for `never_hears`.
    pub line: Option<usize>,
    pub at: Duration,
    pub expected: String,
    pub found: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Calling { since: Duration },
    Talking,
    Over,
}

/// "Not this sound, from then until then."
#[derive(Debug)]
struct Ban {
    line: Option<usize>,
    expected: String,
    sounds: Vec<Heard>,
    from: Duration,
    /// `None`: to the end of the call.
    to: Option<Duration>,
}

/// One caller on his way through his script.
#[derive(Debug)]
pub struct Script {
    caller: Caller,
    index: usize,
    phase: Phase,
    answered_at: Option<Duration>,
    ended: Option<(Duration, Ended)>,
    step: usize,
    step_since: Option<Duration>,
    previous_step_since: Duration,
    hearings: Vec<Hearing>,
    /// Hearings that an earlier step was about.
    used: BTreeSet<u32>,
    heard_to: Duration,
    heard_all: bool,
    bans: Vec<Ban>,
    mouth_busy: bool,
    hung_up: bool,
    deeds: VecDeque<Deed>,
    failure: Option<Failure>,
}

/// Whether a step is finished.
enum Verdict {
    Done,
    NotYet,
    /// What was found in its place.
    Failed(String),
}

impl Script {
    /// `index` is the caller's place in the fixture.
    pub fn new(caller: Caller, index: usize) -> Script {
        Script {
            caller,
            index,
            phase: Phase::Waiting,
            answered_at: None,
            ended: None,
            step: 0,
            step_since: None,
            previous_step_since: Duration::ZERO,
            hearings: Vec::new(),
            used: BTreeSet::new(),
            heard_to: Duration::ZERO,
            heard_all: false,
            bans: Vec::new(),
            mouth_busy: false,
            hung_up: false,
            deeds: VecDeque::new(),
            failure: None,
        }
    }

    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    pub fn answered_at(&self) -> Option<Duration> {
        self.answered_at
    }

    pub fn ended(&self) -> Option<&(Duration, Ended)> {
        self.ended.as_ref()
    }

    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    pub fn hearings(&self) -> &[Hearing] {
        &self.hearings
    }

    /// Nothing more will happen: the script ran to its end and every expectation is decided, or one failed.
    pub fn is_finished(&self) -> bool {
        self.failure.is_some()
            || (self.step >= self.caller.steps.len() && self.phase == Phase::Over && self.bans.is_empty())
    }

    /// The step that he is at, for a message.
    pub fn present_step(&self) -> Option<&Step> {
        self.caller.steps.get(self.step)
    }

    pub fn handle_answered(&mut self, now: Duration, marks: &mut Marks) {
        if matches!(self.phase, Phase::Calling { .. }) {
            self.phase = Phase::Talking;
            self.answered_at = Some(now);
            marks.set(self.index, ANSWERED, now);
            let never = std::mem::take(&mut self.caller.never_hears);
            if !never.is_empty() {
                let list: Vec<_> = never.iter().map(Heard::to_string).collect();
                let expected = format!("never hears {}", list.join(", "));
                self.bans.push(Ban { line: None, expected, sounds: never, from: now, to: None });
            }
        }
    }

    pub fn handle_ended(&mut self, now: Duration, ended: Ended, marks: &mut Marks) {
        if self.phase != Phase::Over {
            self.phase = Phase::Over;
            self.ended = Some((now, ended));
            marks.set(self.index, ENDED, now);
            if self.answered_at.is_none() {
                self.heard_all = true;
            }
        }
    }

    /// Something began, ended, or is known better.
    pub fn handle_hearing(&mut self, hearing: Hearing) {
        ears::record(&mut self.hearings, hearing);
    }

    /// The ears have listened to everything up to here; `all`: the call is over, and nothing more comes.
    pub fn handle_heard_to(&mut self, to: Duration, all: bool) {
        self.heard_to = self.heard_to.max(to);
        self.heard_all |= all;
    }

    /// To be called often (each frame): goes as far through the script as it can. `mouth_busy`: keys or a recording are
    /// still being sent.
    pub fn handle_tick(&mut self, now: Duration, mouth_busy: bool, marks: &mut Marks) {
        self.mouth_busy = mouth_busy;
        if self.failure.is_some() {
            return;
        }
        if self.phase == Phase::Waiting && self.is_time_to_dial(now, marks) {
            self.phase = Phase::Calling { since: now };
            self.deeds.push_back(Deed::Dial);
        }
        if self.phase == Phase::Waiting {
            return;
        }
        self.check_bans(now);
        while self.failure.is_none() {
            let Some(step) = self.caller.steps.get(self.step).cloned() else { break };
            if !self.may_begin(&step, now) {
                break;
            }
            let first_look = self.step_since.is_none();
            let since = *self.step_since.get_or_insert(now);
            match self.advance(&step, since, first_look, now, marks) {
                Verdict::Done => {
                    self.previous_step_since = since;
                    self.step_since = None;
                    self.step = self.step.saturating_add(1);
                }
                Verdict::NotYet => break,
                Verdict::Failed(found) => {
                    self.fail(Some(step.line), now, step.action.to_string(), found);
                }
            }
        }
        if self.failure.is_none() && self.step >= self.caller.steps.len() {
            marks.set(self.index, DONE, now);
            self.hang_up();
        }
    }

    /// What he does next.
    pub fn poll_deed(&mut self) -> Option<Deed> {
        self.deeds.pop_front()
    }

    /// The scene ran out of time.
    pub fn handle_time_limit(&mut self, now: Duration) {
        if self.is_finished() {
            return;
        }
        let (line, expected) = match self.present_step() {
            Some(step) => (Some(step.line), step.action.to_string()),
            None => (None, "the call's end".to_owned()),
        };
        self.fail(line, now, expected, "the scene's time_limit_s ran out".to_owned());
    }

    /// The tool could not do what the script wants.
    pub fn handle_trouble(&mut self, now: Duration, what: String) {
        let (line, expected) = match self.present_step() {
            Some(step) => (Some(step.line), step.action.to_string()),
            None => (None, "the call's end".to_owned()),
        };
        self.fail(line, now, expected, what);
    }

    fn is_time_to_dial(&self, now: Duration, marks: &Marks) -> bool {
        let begin = match &self.caller.calls.when {
            None => Some(Duration::ZERO),
            Some(mark) => marks.reached(mark),
        };
        begin.is_some_and(|begin| now >= begin.saturating_add(self.caller.calls.at))
    }

    /// Most steps need the answer; those that need none can come before it.
    fn may_begin(&mut self, step: &Step, now: Duration) -> bool {
        let Phase::Calling { since } = self.phase else { return true };
        if matches!(
            step.action,
            Action::Waits(_)
                | Action::WaitsFor { .. }
                | Action::Marks(_)
                | Action::Ends { .. }
                | Action::Cancels
                | Action::HangsUp
        ) {
            return true;
        }
        if now >= since.saturating_add(ANSWER_WITHIN) {
            self.fail(Some(step.line), now, step.action.to_string(), "no answer to the call".to_owned());
        }
        false
    }

    fn advance(&mut self, step: &Step, since: Duration, first_look: bool, now: Duration, marks: &mut Marks) -> Verdict {
        if self.is_cut_off(&step.action) {
            return Verdict::Failed(self.ended_text());
        }
        match &step.action {
            Action::Hears { sounds, within, for_at_least, whole } => {
                self.check_hears(sounds, since, *within, *for_at_least, *whole)
            }
            Action::NotHears { sounds, span } => {
                if first_look {
                    let to = since.saturating_add(*span);
                    self.ban(step, sounds, since, Some(to));
                }
                if now >= since.saturating_add(*span) { Verdict::Done } else { Verdict::NotYet }
            }
            Action::NoLongerHears { sounds, grace } => {
                self.ban(step, sounds, since.saturating_add(*grace), None);
                Verdict::Done
            }
            Action::Press(presses) => self.do_until_said(first_look, Deed::Press(presses.clone())),
            Action::PressRecorded(events) => self.do_until_said(first_look, Deed::PressRecorded(events.clone())),
            Action::Says { speech, to_the_end: true } => self.do_until_said(first_look, Deed::Say(speech.clone())),
            Action::Says { speech, to_the_end: false } => self.do_at_once(Deed::Say(speech.clone())),
            Action::Waits(span) if now >= since.saturating_add(*span) => Verdict::Done,
            Action::Waits(_) => Verdict::NotYet,
            Action::WaitsFor { mark, within } => wait_for(mark, since, *within, now, marks),
            Action::Marks(name) => {
                marks.set(self.index, name, now);
                self.do_at_once(Deed::Mark(name.clone()))
            }
            Action::Ends { how, within } => self.check_end(*how, since.saturating_add(*within), now),
            Action::HangsUp => {
                self.hang_up();
                if self.phase == Phase::Over { Verdict::Done } else { Verdict::NotYet }
            }
            Action::Cancels => {
                if !self.hung_up {
                    self.hung_up = true;
                    self.deeds.push_back(Deed::Cancel);
                }
                if self.phase == Phase::Over { Verdict::Done } else { Verdict::NotYet }
            }
            Action::Holds(direction) => self.do_at_once(Deed::Reinvite(*direction)),
            Action::Resumes => self.do_at_once(Deed::Reinvite(Direction::SendRecv)),
        }
    }

    /// Whether the call is over though this step needs it. What was said before its end may still be on its way to the
    /// ears.
    fn is_cut_off(&self, action: &Action) -> bool {
        let over = self.phase == Phase::Over && !self.hung_up;
        match action {
            Action::Ends { .. } | Action::Marks(_) => false,
            Action::Hears { .. } => over && self.heard_all && self.answered_at.is_none(),
            Action::Waits(_) | Action::WaitsFor { .. } => over && !self.end_was_expected(),
            _ => over,
        }
    }

    fn end_was_expected(&self) -> bool {
        let before = self.caller.steps.get(..self.step).unwrap_or_default();
        before.iter().any(|step| matches!(step.action, Action::Ends { .. } | Action::HangsUp | Action::Cancels))
    }

    fn ended_text(&self) -> String {
        match &self.ended {
            Some((at, ended)) => format!("{ended} at {:.3} s", at.as_secs_f64()),
            None => "the call is over".to_owned(),
        }
    }

    fn do_at_once(&mut self, deed: Deed) -> Verdict {
        self.deeds.push_back(deed);
        Verdict::Done
    }

    /// Begins at the first look, and is done when the mouth is.
    fn do_until_said(&mut self, first_look: bool, deed: Deed) -> Verdict {
        if first_look {
            self.mouth_busy = true;
            self.deeds.push_back(deed);
        }
        if self.mouth_busy { Verdict::NotYet } else { Verdict::Done }
    }

    fn check_hears(
        &mut self,
        sounds: &[Heard],
        since: Duration,
        within: Duration,
        for_at_least: Option<Duration>,
        whole: bool,
    ) -> Verdict {
        let deadline = since.saturating_add(within);
        let mut matched = Vec::new();
        let mut missing = Vec::new();
        for heard in sounds {
            match self.find(&heard.sound, since, deadline, for_at_least, whole, &matched) {
                Some(number) => matched.push(number),
                None => missing.push(heard.to_string()),
            }
        }
        if missing.is_empty() {
            let one_time: Vec<_> = self.hearings.iter().filter(|hearing| has_a_begin(&hearing.sound)).collect();
            let used = one_time.iter().map(|hearing| hearing.number).filter(|number| matched.contains(number));
            self.used.extend(used);
            return Verdict::Done;
        }
        // What began just before the deadline may need its time to be long enough, or whole.
        let longest =
            for_at_least.unwrap_or_default().max(if whole { Duration::from_secs(10) } else { Duration::ZERO });
        let is_under_way = self.hearings.iter().any(|hearing| {
            hearing.until.is_none()
                && hearing.from <= deadline
                && sounds.iter().any(|heard| heard.sound == hearing.sound)
        });
        let last_chance = if is_under_way { deadline.saturating_add(longest) } else { deadline };
        if self.heard_all || self.heard_to > last_chance.saturating_add(ears::LATENCY) {
            let mut found = format!("not heard: {}", missing.join(", "));
            if self.phase == Phase::Over && !self.hung_up {
                found = format!("{found}; {}", self.ended_text());
            }
            return Verdict::Failed(found);
        }
        Verdict::NotYet
    }

    fn find(
        &self,
        sound: &Sound,
        since: Duration,
        deadline: Duration,
        for_at_least: Option<Duration>,
        whole: bool,
        taken: &[u32],
    ) -> Option<u32> {
        let one_time = has_a_begin(sound);
        let found = self.hearings.iter().find(|hearing| {
            if hearing.sound != *sound || hearing.from > deadline || taken.contains(&hearing.number) {
                return false;
            }
            let end = hearing.until.unwrap_or(self.heard_to);
            if one_time {
                let fresh = !self.used.contains(&hearing.number) && end >= self.previous_step_since;
                let long_enough = for_at_least.is_none_or(|least| end.saturating_sub(hearing.from) >= least);
                fresh && long_enough && (!whole || hearing.whole)
            } else {
                let begin = hearing.from.max(since);
                let least = for_at_least.unwrap_or(least_span(sound));
                begin <= deadline && end.saturating_sub(begin) >= least
            }
        });
        found.map(|hearing| hearing.number)
    }

    fn check_end(&mut self, how: Ending, deadline: Duration, now: Duration) -> Verdict {
        match &self.ended {
            Some((at, Ended::ByServer(ended))) if *at <= deadline => {
                if how == Ending::Any || how == *ended {
                    Verdict::Done
                } else {
                    Verdict::Failed(self.ended_text())
                }
            }
            Some((at, Ended::Otherwise(_))) if *at <= deadline && how == Ending::Any => Verdict::Done,
            Some(_) => Verdict::Failed(self.ended_text()),
            None if now > deadline => Verdict::Failed("the call goes on".to_owned()),
            None => Verdict::NotYet,
        }
    }

    fn ban(&mut self, step: &Step, sounds: &[Heard], from: Duration, to: Option<Duration>) {
        self.bans.push(Ban {
            line: Some(step.line),
            expected: step.action.to_string(),
            sounds: sounds.to_vec(),
            from,
            to,
        });
    }

    /// Fails on what is heard against a ban, and drops the bans that are decided.
    fn check_bans(&mut self, now: Duration) {
        let mut broken = None;
        for ban in &self.bans {
            for heard in &ban.sounds {
                let offence = self.hearings.iter().filter(|hearing| hearing.sound == heard.sound).find_map(|hearing| {
                    let known_end = self.heard_to.saturating_sub(END_UNKNOWN);
                    let end = hearing.until.unwrap_or(known_end).min(ban.to.unwrap_or(Duration::MAX));
                    let begin = hearing.from.max(ban.from);
                    (end.saturating_sub(begin) >= FORBIDDEN_MIN).then_some((begin, end))
                });
                if let (Some((begin, end)), None) = (offence, &broken) {
                    let found =
                        format!("heard {heard} from {:.3} s to {:.3} s", begin.as_secs_f64(), end.as_secs_f64());
                    broken = Some((ban.line, ban.expected.clone(), found));
                }
            }
        }
        if let Some((line, expected, found)) = broken {
            self.fail(line, now, expected, found);
            return;
        }
        let (heard_to, heard_all) = (self.heard_to, self.heard_all);
        self.bans.retain(|ban| !heard_all && ban.to.is_none_or(|to| heard_to <= to.saturating_add(ears::LATENCY)));
    }

    fn hang_up(&mut self) {
        if !self.hung_up && self.phase != Phase::Over {
            self.hung_up = true;
            self.deeds.push_back(Deed::HangUp);
        }
    }

    fn fail(&mut self, line: Option<usize>, at: Duration, expected: String, found: String) {
        if self.failure.is_none() {
            self.failure = Some(Failure { caller: self.caller.name.clone(), line, at, expected, found });
        }
    }
}

fn wait_for(mark: &MarkReference, since: Duration, within: Duration, now: Duration, marks: &Marks) -> Verdict {
    if marks.reached(mark).is_some() {
        Verdict::Done
    } else if now > since.saturating_add(within) {
        Verdict::Failed(format!("{:?} was not reached", mark.text))
    } else {
        Verdict::NotYet
    }
}

/// Sounds that are played once, each time from their begin; each hearing of them answers one `hears`.
fn has_a_begin(sound: &Sound) -> bool {
    matches!(sound, Sound::Prompt(_) | Sound::Chime(_) | Sound::Wav(_))
}

/// How long a sound without a begin must last to count, unless the fixture says it.
fn least_span(sound: &Sound) -> Duration {
    Duration::from_millis(match sound {
        Sound::Silence => 1_000,
        Sound::Music => 500,
        Sound::Anything => 100,
        _ => 300,
    })
}

#[cfg(test)]
#[path = "caller_tests.rs"]
mod tests;
