//! Live meetings from outside: what goes on, and what somebody who is on no telephone does about it.

use std::fmt;
use std::time::Instant;

use super::call::{Call, Quality, Stage};
use super::engine::{Engine, RunningMeeting};
use crate::attendant;
use crate::meeting::{self, roster::Seat};
use crate::words::answer::Conference;
use crate::words::event::{Caller, EndCause, MeetingEnd};
use crate::words::ids::{CallKey, ConferenceId, ConferenceKey, MeetingKey};
use crate::words::media::Codec;

/// What an authenticated user, an operator or an administrator wants done. Who may want what is decided before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveCommand {
    /// An authenticated user starts his meeting, without a PIN; also before anybody calls.
    Start {
        conference: Conference,
        conference_id: ConferenceId,
        by: String,
    },
    /// Let this one in, or all that wait.
    Admit {
        meeting: MeetingKey,
        call: Option<CallKey>,
    },
    Mute {
        call: CallKey,
        muted: bool,
    },
    /// All but the leaders.
    MuteAll {
        meeting: MeetingKey,
        muted: bool,
    },
    /// He hears "Goodbye", and is hung up; of the others he hears nothing more at once.
    Remove {
        call: CallKey,
    },
    Lock {
        meeting: MeetingKey,
        locked: bool,
    },
    /// For all, the lobby included.
    End {
        meeting: MeetingKey,
    },
    /// Nobody will start it any more (its user was disabled, or it was cancelled): who waits need not. Who is in goes on.
    DropWaiting {
        conference: ConferenceKey,
    },
    /// It is reached by another conference ID now. Who waits or is in stays.
    Renumber {
        conference: ConferenceKey,
        conference_id: ConferenceId,
    },
}

/// For the operator's log.
impl fmt::Display for LiveCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LiveCommand::Start { conference_id, by, .. } => write!(f, "start conference {conference_id} for {by}"),
            LiveCommand::Admit { meeting, call: Some(call) } => write!(f, "admit {call} to {meeting}"),
            LiveCommand::Admit { meeting, call: None } => write!(f, "admit all who wait to {meeting}"),
            LiveCommand::Mute { call, muted: true } => write!(f, "mute {call}"),
            LiveCommand::Mute { call, muted: false } => write!(f, "unmute {call}"),
            LiveCommand::MuteAll { meeting, muted: true } => write!(f, "mute all in {meeting}"),
            LiveCommand::MuteAll { meeting, muted: false } => write!(f, "unmute all in {meeting}"),
            LiveCommand::Remove { call } => write!(f, "remove {call}"),
            LiveCommand::Lock { meeting, locked: true } => write!(f, "lock {meeting}"),
            LiveCommand::Lock { meeting, locked: false } => write!(f, "unlock {meeting}"),
            LiveCommand::End { meeting } => write!(f, "end {meeting}"),
            LiveCommand::DropWaiting { conference } => write!(f, "let go who waits for {conference}"),
            LiveCommand::Renumber { conference, conference_id } => write!(f, "{conference} is {conference_id} now"),
        }
    }
}

/// It holds now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveDone {
    /// Where. `None`: there was nothing to do it to.
    pub meeting: Option<MeetingKey>,
    /// So many calls were let in, muted, removed or ended by it.
    pub calls: usize,
    /// It held before, and nothing was done.
    pub already: bool,
}

/// Why it is not done. Nothing was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LiveRefusal {
    #[error("there is no {0} any more")]
    NoMeeting(MeetingKey),
    #[error("there is no {0} any more")]
    NoCall(CallKey),
    #[error("{0} has not started; start it first")]
    NotStarted(MeetingKey),
    #[error("{0} does not wait in this lobby")]
    NotWaiting(CallKey),
    #[error("{0} is in no meeting")]
    NotInMeeting(CallKey),
    #[error("the server is shutting down; it starts no meeting any more")]
    Draining,
}

impl LiveRefusal {
    /// Whether what was named is not there (any more); otherwise it is, but not in such a state.
    pub fn is_gone(&self) -> bool {
        matches!(self, LiveRefusal::NoMeeting(_) | LiveRefusal::NoCall(_))
    }
}

/// Where a caller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallState {
    /// Asked for a conference ID; not in any lobby yet.
    Attendant,
    WaitsForStart,
    AwaitsAdmission,
    InMeeting,
}

/// One call, as it is now.
#[derive(Debug)]
pub struct CallOverview<'a> {
    pub key: CallKey,
    pub caller: &'a Caller,
    /// Where he waits or is in.
    pub meeting: Option<MeetingKey>,
    pub state: CallState,
    pub arrived_at: Instant,
    /// Since when he is in this state.
    pub since: Instant,
    pub leader: bool,
    pub muted: bool,
    pub talking: bool,
    pub codec: Option<Codec>,
    pub quality: Option<Quality>,
}

/// One meeting, as it is now.
#[derive(Debug)]
pub struct MeetingOverview<'a> {
    pub key: MeetingKey,
    pub conference: ConferenceKey,
    pub conference_id: ConferenceId,
    pub organizer: &'a str,
    pub opened_at: Instant,
    /// `None`: it has not started.
    pub started_at: Option<Instant>,
    pub locked: bool,
    pub waiting: usize,
    pub in_meeting: usize,
}

impl Engine {
    /// Does it at once; the answer says what was done, or why nothing was.
    ///
    /// # Errors
    /// What it names is not there any more, or is not in a state in which it could be done.
    pub fn handle_live(&mut self, now: Instant, command: LiveCommand) -> Result<LiveDone, LiveRefusal> {
        let done = match command {
            LiveCommand::Start { conference, conference_id, by } => {
                self.start_by_user(now, &conference, conference_id, by)
            }
            LiveCommand::Admit { meeting, call } => self.admit_waiting(now, meeting, call),
            LiveCommand::Mute { call, muted } => self.mute(now, call, muted),
            LiveCommand::MuteAll { meeting, muted } => {
                let before = self.muted_in(meeting);
                self.in_started(now, meeting, meeting::Input::SetAllMuted { muted }).map(|()| {
                    let calls = before.abs_diff(self.muted_in(meeting));
                    LiveDone { meeting: Some(meeting), calls, already: calls == 0 }
                })
            }
            LiveCommand::Remove { call } => self.remove(now, call),
            LiveCommand::Lock { meeting, locked } => self.lock(now, meeting, locked),
            LiveCommand::End { meeting } => self.end(now, meeting),
            LiveCommand::DropWaiting { conference } => Ok(self.drop_waiting(now, conference)),
            LiveCommand::Renumber { conference, conference_id } => Ok(self.renumber(conference, conference_id)),
        };
        self.settle(now);
        done
    }

    /// Every call whose caller is on the line, in the order in which they came.
    pub fn calls(&self) -> impl Iterator<Item = CallOverview<'_>> {
        self.calls.values().filter(|call| call.stage == Stage::Up).map(|call| self.call_overview(call))
    }

    /// Every meeting, with somebody in it or in its lobby, or open.
    pub fn meetings(&self) -> impl Iterator<Item = MeetingOverview<'_>> {
        self.meetings.iter().map(|(&key, of)| MeetingOverview {
            key,
            conference: of.conference,
            conference_id: of.conference_id,
            organizer: &of.organizer,
            opened_at: of.opened_at,
            started_at: of.started_at,
            locked: of.room.is_locked(),
            waiting: of.room.waiting(),
            in_meeting: of.room.participants(),
        })
    }

    fn call_overview<'a>(&'a self, call: &'a Call) -> CallOverview<'a> {
        let seat = call.meeting.and_then(|key| Some((key, self.meetings.get(&key)?)));
        let roster = seat.map(|(_, of)| of.room.roster());
        let state = match seat.and_then(|(_, of)| Some((of, of.room.roster().seat(call.key)?))) {
            None => CallState::Attendant,
            Some((_, Seat::In { .. })) => CallState::InMeeting,
            Some((of, Seat::Waiting)) if of.room.is_started() => CallState::AwaitsAdmission,
            Some((_, Seat::Waiting)) => CallState::WaitsForStart,
        };
        let since = match state {
            CallState::Attendant => None,
            CallState::InMeeting => call.entered_at,
            CallState::WaitsForStart | CallState::AwaitsAdmission => {
                roster.and_then(|roster| roster.waits_since(call.key))
            }
        };
        CallOverview {
            key: call.key,
            caller: &call.caller,
            meeting: seat.map(|(key, _)| key),
            state,
            arrived_at: call.arrived_at,
            since: since.unwrap_or(call.arrived_at),
            leader: roster.is_some_and(|roster| roster.seat(call.key) == Some(Seat::In { leader: true })),
            muted: roster.is_some_and(|roster| roster.is_muted(call.key)),
            talking: call.talking && state == CallState::InMeeting,
            codec: call.media.as_ref().map(|media| media.codec),
            quality: call.quality,
        }
    }

    /// Where this call waits or is in.
    pub fn meeting_of(&self, call: CallKey) -> Option<MeetingKey> {
        self.calls.get(&call)?.meeting
    }

    fn running(&self, meeting: MeetingKey) -> Result<&RunningMeeting, LiveRefusal> {
        self.meetings.get(&meeting).ok_or(LiveRefusal::NoMeeting(meeting))
    }

    fn started(&self, meeting: MeetingKey) -> Result<&RunningMeeting, LiveRefusal> {
        let running = self.running(meeting)?;
        if running.room.is_started() { Ok(running) } else { Err(LiveRefusal::NotStarted(meeting)) }
    }

    fn in_started(&mut self, now: Instant, meeting: MeetingKey, input: meeting::Input) -> Result<(), LiveRefusal> {
        self.started(meeting)?;
        self.tell_room(now, meeting, input);
        Ok(())
    }

    fn start_by_user(
        &mut self,
        now: Instant,
        conference: &Conference,
        id: ConferenceId,
        by: String,
    ) -> Result<LiveDone, LiveRefusal> {
        let meeting = match self.meeting_of.get(&conference.key) {
            Some(&meeting) => meeting,
            None if self.draining => return Err(LiveRefusal::Draining),
            None => self.new_meeting(now, conference, id),
        };
        let (before, already) =
            self.meetings.get(&meeting).map_or((0, false), |of| (of.room.participants(), of.room.is_started()));
        self.tell_room(now, meeting, meeting::Input::StartByUser { identity: by, rules: conference.into() });
        let after = self.meetings.get(&meeting).map_or(0, |of| of.room.participants());
        Ok(LiveDone { meeting: Some(meeting), calls: after.saturating_sub(before), already })
    }

    fn admit_waiting(
        &mut self,
        now: Instant,
        meeting: MeetingKey,
        call: Option<CallKey>,
    ) -> Result<LiveDone, LiveRefusal> {
        let room = &self.started(meeting)?.room;
        let waiting = room.waiting();
        if let Some(call) = call {
            match room.roster().seat(call) {
                Some(Seat::Waiting) => {}
                Some(Seat::In { .. }) => return Ok(LiveDone { meeting: Some(meeting), calls: 0, already: true }),
                None => return Err(LiveRefusal::NotWaiting(call)),
            }
        }
        self.tell_room(now, meeting, meeting::Input::AdmitWaiting { call });
        let calls = if call.is_some() { 1 } else { waiting };
        Ok(LiveDone { meeting: Some(meeting), calls, already: calls == 0 })
    }

    fn mute(&mut self, now: Instant, call: CallKey, muted: bool) -> Result<LiveDone, LiveRefusal> {
        let of = self.calls.get(&call).ok_or(LiveRefusal::NoCall(call))?;
        let meeting = of.meeting.ok_or(LiveRefusal::NotInMeeting(call))?;
        let roster = self.running(meeting)?.room.roster();
        if !matches!(roster.seat(call), Some(Seat::In { .. })) {
            return Err(LiveRefusal::NotInMeeting(call));
        }
        let already = roster.is_muted(call) == muted;
        self.tell_room(now, meeting, meeting::Input::SetMuted { call, muted });
        Ok(LiveDone { meeting: Some(meeting), calls: usize::from(!already), already })
    }

    fn muted_in(&self, meeting: MeetingKey) -> usize {
        let roster = self.meetings.get(&meeting).map(|of| of.room.roster());
        roster.map_or(0, |roster| roster.who_may_be_muted().filter(|&(_, muted)| muted).count())
    }

    fn remove(&mut self, now: Instant, key: CallKey) -> Result<LiveDone, LiveRefusal> {
        let call = self.calls.get(&key).filter(|call| call.stage != Stage::Closing);
        let call = call.ok_or(LiveRefusal::NoCall(key))?;
        let (is_up, meeting) = (call.session_is_up(), call.meeting);
        if is_up {
            self.let_go(now, key, attendant::Input::Removed);
        } else {
            self.hang_up(now, key, EndCause::Removed);
        }
        Ok(LiveDone { meeting, calls: 1, already: false })
    }

    /// He loses his seat, and hears the last words.
    fn let_go(&mut self, now: Instant, call: CallKey, words: attendant::Input) {
        if let Some(meeting) = self.calls.get(&call).and_then(|of| of.meeting) {
            self.unseat(call);
            self.tell_room(now, meeting, meeting::Input::Depart { call });
        }
        self.tell_attendant(now, call, words);
    }

    fn lock(&mut self, now: Instant, meeting: MeetingKey, locked: bool) -> Result<LiveDone, LiveRefusal> {
        let already = self.started(meeting)?.room.is_locked() == locked;
        self.tell_room(now, meeting, if locked { meeting::Input::Lock } else { meeting::Input::Unlock });
        Ok(LiveDone { meeting: Some(meeting), calls: 0, already })
    }

    fn end(&mut self, now: Instant, meeting: MeetingKey) -> Result<LiveDone, LiveRefusal> {
        let calls = self.running(meeting)?.room.roster().len();
        self.tell_room(now, meeting, meeting::Input::End);
        Ok(LiveDone { meeting: Some(meeting), calls, already: false })
    }

    fn drop_waiting(&mut self, now: Instant, conference: ConferenceKey) -> LiveDone {
        let meeting = self.meeting_of.get(&conference).copied();
        let waiting = meeting.and_then(|key| self.meetings.get(&key)).map(|of| of.room.roster().who_waits());
        let waiting = waiting.unwrap_or_default();
        for &call in &waiting {
            if let Some(of) = self.calls.get_mut(&call) {
                of.meeting_end = Some(MeetingEnd::Withdrawn);
            }
            self.let_go(now, call, attendant::Input::MeetingEnded);
        }
        LiveDone { meeting, calls: waiting.len(), already: waiting.is_empty() }
    }

    fn renumber(&mut self, conference: ConferenceKey, id: ConferenceId) -> LiveDone {
        let meeting = self.meeting_of.get(&conference).copied();
        let running = meeting.and_then(|key| self.meetings.get_mut(&key));
        let already = running.is_none_or(|of| std::mem::replace(&mut of.conference_id, id) == id);
        LiveDone { meeting, calls: 0, already }
    }
}
