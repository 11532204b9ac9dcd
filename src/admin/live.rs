//! Live meetings for people: what is shown of them, and the operations on them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use utoipa::ToSchema;

use super::administrator::{AdminError, Administrator};
use crate::credentials::{LiveDeed, LiveRequestState};
use crate::engine::{CallOverview, CallState, Engine, LiveCommand, LiveDone, MeetingOverview};
use crate::server::live::Live;
use crate::words::event::{CallFact, Event, MeetingFact};
use crate::words::ids::{CallKey, ConferenceId, ConferenceKey, MeetingKey};

/// Everything that goes on at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LiveSnapshot {
    /// RFC 3339, UTC.
    pub taken_at: String,
    /// Callers on the line.
    pub calls: usize,
    pub waiting: usize,
    pub in_meetings: usize,
    /// In the order in which they were opened.
    pub meetings: Vec<LiveMeeting>,
    /// Calls with no meeting yet: the attendant asks them for a conference ID.
    pub attendants: Vec<LiveCall>,
}

/// A meeting with its lobby.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LiveMeeting {
    #[schema(value_type = String, example = "meeting-3")]
    pub key: MeetingKey,
    /// What its conference ID leads to; the same however often the ID is reset.
    #[schema(value_type = String, example = "conference-12")]
    pub conference: ConferenceKey,
    #[schema(example = "1234567")]
    pub conference_id: String,
    /// The organizer's identity.
    #[schema(example = "anna@example.com")]
    pub organizer: String,
    pub started: bool,
    pub locked: bool,
    /// Since it has somebody in it or in its lobby.
    pub open_seconds: u64,
    pub started_seconds: Option<u64>,
    pub waiting: usize,
    pub in_meeting: usize,
    /// In the lobby and in the meeting, in the order in which they called.
    pub calls: Vec<LiveCall>,
}

/// One caller.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LiveCall {
    #[schema(value_type = String, example = "call-17")]
    pub key: CallKey,
    /// The number he calls from, masked where the settings say so.
    pub caller: String,
    /// The number he dialled.
    pub called: String,
    pub trunk: String,
    /// `PCMU` or `PCMA`.
    pub codec: Option<&'static str>,
    pub state: LiveCallState,
    /// He authenticated as the organizer.
    pub leader: bool,
    pub muted: bool,
    /// He is heard at this moment.
    pub talking: bool,
    /// Since he called.
    pub seconds: u64,
    /// Since he waits or is in.
    pub state_seconds: u64,
    /// Of full scale, the loudest of the last moments; -90 is silence.
    pub level_db: Option<i8>,
    /// Of the packets of the last moments.
    pub loss_percent: Option<f32>,
    pub jitter_ms: Option<f32>,
    /// What the jitter buffer adds.
    pub delay_ms: Option<u32>,
}

/// Where a caller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LiveCallState {
    /// He is asked for a conference ID.
    Attendant,
    /// In the lobby: the meeting has not started.
    WaitsForStart,
    /// In the lobby: somebody must let him in.
    AwaitsAdmission,
    InMeeting,
}

impl From<CallState> for LiveCallState {
    fn from(state: CallState) -> LiveCallState {
        match state {
            CallState::Attendant => LiveCallState::Attendant,
            CallState::WaitsForStart => LiveCallState::WaitsForStart,
            CallState::AwaitsAdmission => LiveCallState::AwaitsAdmission,
            CallState::InMeeting => LiveCallState::InMeeting,
        }
    }
}

impl LiveSnapshot {
    /// What this engine has at `now`.
    pub fn of(engine: &Engine, now: Instant) -> LiveSnapshot {
        let mut meetings: Vec<LiveMeeting> = engine.meetings().map(|of| LiveMeeting::of(&of, now)).collect();
        let mut attendants = Vec::new();
        let mut calls = 0;
        for call in engine.calls() {
            calls += 1;
            let shown = LiveCall::of(&call, now);
            // Keys rise: they come out of the engine in order.
            let meeting = call.meeting.and_then(|key| meetings.binary_search_by_key(&key, |of| of.key).ok());
            match meeting.and_then(|index| meetings.get_mut(index)) {
                Some(meeting) => meeting.calls.push(shown),
                None => attendants.push(shown),
            }
        }
        LiveSnapshot {
            taken_at: jiff::Timestamp::now().to_string(),
            calls,
            waiting: meetings.iter().map(|of| of.waiting).sum(),
            in_meetings: meetings.iter().map(|of| of.in_meeting).sum(),
            meetings,
            attendants,
        }
    }

    pub fn meeting(&self, key: MeetingKey) -> Option<&LiveMeeting> {
        self.meetings.iter().find(|of| of.key == key)
    }

    /// Where this call waits or is in.
    fn meeting_of(&self, call: CallKey) -> Option<&LiveMeeting> {
        self.meetings.iter().find(|of| of.calls.iter().any(|other| other.key == call))
    }

    fn call(&self, key: CallKey) -> Option<&LiveCall> {
        let in_meetings = self.meetings.iter().flat_map(|of| &of.calls);
        in_meetings.chain(&self.attendants).find(|call| call.key == key)
    }

    /// The same with the callers' numbers masked.
    #[must_use]
    pub fn masked(&self) -> LiveSnapshot {
        let mut snapshot = self.clone();
        let in_meetings = snapshot.meetings.iter_mut().flat_map(|meeting| &mut meeting.calls);
        for call in in_meetings.chain(&mut snapshot.attendants) {
            call.caller = masked_number(&call.caller);
        }
        snapshot
    }
}

/// The last digits are enough to tell two callers apart, and too few to call somebody back.
pub fn masked_number(number: &str) -> String {
    const SHOWN: usize = 3;
    let length = number.chars().count();
    let hidden = length.saturating_sub(SHOWN).max(length.min(SHOWN));
    number.chars().enumerate().map(|(at, c)| if at < hidden { '•' } else { c }).collect()
}

impl LiveMeeting {
    fn of(of: &MeetingOverview<'_>, now: Instant) -> LiveMeeting {
        let seconds = |since: Instant| now.saturating_duration_since(since).as_secs();
        LiveMeeting {
            key: of.key,
            conference: of.conference,
            conference_id: of.conference_id.to_string(),
            organizer: of.organizer.to_owned(),
            started: of.started_at.is_some(),
            locked: of.locked,
            open_seconds: seconds(of.opened_at),
            started_seconds: of.started_at.map(seconds),
            waiting: of.waiting,
            in_meeting: of.in_meeting,
            calls: Vec::with_capacity(of.waiting.saturating_add(of.in_meeting)),
        }
    }
}

impl LiveCall {
    fn of(of: &CallOverview<'_>, now: Instant) -> LiveCall {
        let seconds = |since: Instant| now.saturating_duration_since(since).as_secs();
        LiveCall {
            key: of.key,
            caller: of.caller.number.clone(),
            called: of.caller.called.clone(),
            trunk: of.caller.trunk.to_string(),
            codec: of.codec.map(|codec| codec.name()),
            state: of.state.into(),
            leader: of.leader,
            muted: of.muted,
            talking: of.talking,
            seconds: seconds(of.arrived_at),
            state_seconds: seconds(of.since),
            level_db: of.quality.map(|quality| quality.level_db),
            loss_percent: of.quality.map(|quality| quality.loss_percent),
            jitter_ms: of.quality.map(|quality| quality.jitter_ms),
            delay_ms: of.quality.map(|quality| quality.delay_ms),
        }
    }
}

/// What happens live: enough to know what to look at again, and nothing that would have to be masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LiveEvent {
    pub kind: LiveEventKind,
    #[schema(value_type = Option<String>, example = "meeting-3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meeting: Option<MeetingKey>,
    #[schema(value_type = Option<String>, example = "call-17")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<CallKey>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LiveEventKind {
    CallArrived,
    CallWaits,
    CallAwaitsAdmission,
    CallEnteredMeeting,
    CallBecameLeader,
    CallMuted,
    CallUnmuted,
    CallTalks,
    CallFellSilent,
    CallEnded,
    MeetingOpened,
    MeetingStarted,
    MeetingLocked,
    MeetingUnlocked,
    MeetingEnded,
    /// Nobody is in it any more; whoever waits, waits for a new start.
    MeetingOver,
    /// Nobody is left, in the meeting or in its lobby.
    MeetingClosed,
}

impl LiveEventKind {
    /// As it stands in JSON, for the name of a server-sent event.
    pub fn name(self) -> &'static str {
        match self {
            LiveEventKind::CallArrived => "call_arrived",
            LiveEventKind::CallWaits => "call_waits",
            LiveEventKind::CallAwaitsAdmission => "call_awaits_admission",
            LiveEventKind::CallEnteredMeeting => "call_entered_meeting",
            LiveEventKind::CallBecameLeader => "call_became_leader",
            LiveEventKind::CallMuted => "call_muted",
            LiveEventKind::CallUnmuted => "call_unmuted",
            LiveEventKind::CallTalks => "call_talks",
            LiveEventKind::CallFellSilent => "call_fell_silent",
            LiveEventKind::CallEnded => "call_ended",
            LiveEventKind::MeetingOpened => "meeting_opened",
            LiveEventKind::MeetingStarted => "meeting_started",
            LiveEventKind::MeetingLocked => "meeting_locked",
            LiveEventKind::MeetingUnlocked => "meeting_unlocked",
            LiveEventKind::MeetingEnded => "meeting_ended",
            LiveEventKind::MeetingOver => "meeting_over",
            LiveEventKind::MeetingClosed => "meeting_closed",
        }
    }
}

impl LiveEvent {
    /// `None`: it changes nothing that is shown.
    pub fn of(event: &Event, engine: &Engine) -> Option<LiveEvent> {
        use LiveEventKind as Kind;
        let (kind, meeting, call) = match event {
            Event::CallArrived { call, .. } => (Kind::CallArrived, None, Some(*call)),
            Event::RequestRefused { .. } => return None,
            Event::Call { call, fact } => {
                let kind = match fact {
                    CallFact::WaitsForStart { .. } => Kind::CallWaits,
                    CallFact::AwaitsAdmission { .. } => Kind::CallAwaitsAdmission,
                    CallFact::EnteredMeeting { .. } => Kind::CallEnteredMeeting,
                    CallFact::BecameLeader => Kind::CallBecameLeader,
                    CallFact::Muted => Kind::CallMuted,
                    CallFact::Unmuted => Kind::CallUnmuted,
                    CallFact::Talking(true) => Kind::CallTalks,
                    CallFact::Talking(false) => Kind::CallFellSilent,
                    _ => return None,
                };
                (kind, engine.meeting_of(*call), Some(*call))
            }
            Event::Meeting { meeting, fact } => {
                let kind = match fact {
                    MeetingFact::Opened { .. } => Kind::MeetingOpened,
                    MeetingFact::Started { .. } => Kind::MeetingStarted,
                    MeetingFact::Locked(true) => Kind::MeetingLocked,
                    MeetingFact::Locked(false) => Kind::MeetingUnlocked,
                    // Each call tells it.
                    MeetingFact::AllMuted { .. } => return None,
                    MeetingFact::Ended { .. } => Kind::MeetingEnded,
                    MeetingFact::Over => Kind::MeetingOver,
                    MeetingFact::Closed => Kind::MeetingClosed,
                };
                (kind, Some(*meeting), None)
            }
            Event::CallEnded(record) => (Kind::CallEnded, record.meeting, Some(record.call)),
        };
        Some(LiveEvent { kind, meeting, call })
    }
}

/// What was done live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LiveDoneView {
    #[schema(value_type = Option<String>, example = "meeting-3")]
    pub meeting: Option<MeetingKey>,
    /// So many calls were let in, muted, removed or ended.
    pub calls: usize,
    /// It was so before, and nothing was done.
    pub already: bool,
}

impl From<LiveDone> for LiveDoneView {
    fn from(LiveDone { meeting, calls, already }: LiveDone) -> LiveDoneView {
        LiveDoneView { meeting, calls, already }
    }
}

impl Administrator<'_> {
    /// Starts the meeting of this conference ID without a PIN, as somebody who has signed in may; also before anybody
    /// calls. Whether he may start *this* one is for the caller to decide.
    pub async fn start_meeting(&self, live: &Live, id: &ConferenceId) -> Result<LiveDoneView, AdminError> {
        let conference = self.store().conference(id).await?.ok_or(AdminError::NoConference(*id))?;
        let by = self.actor().who.clone();
        self.act_live(live, LiveCommand::Start { conference, conference_id: *id, by }).await
    }

    /// Acts on what goes on.
    pub async fn act_live(&self, live: &Live, command: LiveCommand) -> Result<LiveDoneView, AdminError> {
        let before = live.snapshot().await?;
        let done = live.command(&self.actor().who, command.clone()).await?;
        // It is done: a store that is away must not say otherwise, nor keep an operator from ending a meeting.
        let masked = self.store().settings().await.is_ok_and(|settings| settings.mask_callers);
        let deed = deed(&command, &before, masked);
        if let Err(error) = self.store().audit_live(self.actor(), &deed).await {
            tracing::error!(%error, who = self.actor().who, "could not be written into the audit: {}", deed.detail);
        }
        Ok(done.into())
    }

    /// Everything that goes on, with the callers' numbers masked where the settings say so.
    pub async fn live(&self, live: &Live) -> Result<Arc<LiveSnapshot>, AdminError> {
        let snapshot = live.snapshot().await?;
        Ok(if self.store().settings().await?.mask_callers { Arc::new(snapshot.masked()) } else { snapshot })
    }

    /// The same from a shell: whichever server has the meeting of this conference ID does it. What it says of it.
    pub async fn ask_live(&self, action: LiveAction, conference_id: ConferenceId) -> Result<String, AdminError> {
        let conference = self.store().conference(&conference_id).await?;
        let conference = conference.ok_or(AdminError::NoConference(conference_id))?;
        let order = LiveOrder { action, conference_id }.to_string();
        let deed = LiveDeed {
            subject: conference_id.to_string(),
            detail: format!("asked for: {order}; organizer {}", conference.organizer_identity),
        };
        let key = self.store().post_live_request(self.actor(), &order, conference.key, &deed).await?;
        let asked_at = Instant::now();
        loop {
            tokio::time::sleep(OUTCOME_EVERY).await;
            match self.store().live_request(key).await? {
                LiveRequestState::Done(done) => return Ok(done),
                LiveRequestState::Failed(why) => return Err(AdminError::Refused(why)),
                LiveRequestState::Waits | LiveRequestState::Taken => {}
            }
            if asked_at.elapsed() >= TOLD_WITHIN {
                return Err(AdminError::NotTold(TOLD_WITHIN));
            }
            // Who asked is told that nothing was done: so nothing may be done later.
            if asked_at.elapsed() >= TAKEN_WITHIN && self.store().withdraw_live_request(key).await? {
                return Err(AdminError::NoServer(TAKEN_WITHIN));
            }
        }
    }
}

/// What is to be written of it into the audit: the keys of calls and meetings say nothing to who reads them later, so the
/// conference ID, the organizer and the caller stand beside them.
fn deed(command: &LiveCommand, now: &LiveSnapshot, masked: bool) -> LiveDeed {
    let (meeting, call) = match command {
        LiveCommand::Start { conference, conference_id, .. } => {
            let detail = format!("{command}; organizer {}", conference.organizer_identity);
            return LiveDeed { subject: conference_id.to_string(), detail };
        }
        LiveCommand::Mute { call, .. } | LiveCommand::Remove { call } => (now.meeting_of(*call), Some(*call)),
        LiveCommand::Admit { meeting, call } => (now.meeting(*meeting), *call),
        LiveCommand::MuteAll { meeting, .. } | LiveCommand::Lock { meeting, .. } | LiveCommand::End { meeting } => {
            (now.meeting(*meeting), None)
        }
        LiveCommand::DropWaiting { conference } | LiveCommand::Renumber { conference, .. } => {
            (now.meetings.iter().find(|of| of.conference == *conference), None)
        }
    };
    let mut detail = command.to_string();
    if let Some(call) = call.and_then(|key| now.call(key)) {
        let caller = if masked { masked_number(&call.caller) } else { call.caller.clone() };
        detail.push_str(&format!("; caller {caller}"));
    }
    if let Some(meeting) = meeting {
        detail.push_str(&format!("; organizer {}", meeting.organizer));
    }
    LiveDeed { subject: meeting.map(|of| of.conference_id.clone()).unwrap_or_default(), detail }
}

/// How often the outcome of what a shell has asked for is looked for; how long it waits for a server, and for the outcome.
/// A server looks once a second, and leaves what is another's to that one for two.
const OUTCOME_EVERY: Duration = Duration::from_millis(200);
const TAKEN_WITHIN: Duration = Duration::from_secs(10);
const TOLD_WITHIN: Duration = Duration::from_secs(20);

/// What a shell can want of the meeting of a conference ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveAction {
    Start,
    AdmitAll,
    Lock,
    Unlock,
    MuteAll,
    UnmuteAll,
    End,
}

impl LiveAction {
    const ALL: [LiveAction; 7] = [
        LiveAction::Start,
        LiveAction::AdmitAll,
        LiveAction::Lock,
        LiveAction::Unlock,
        LiveAction::MuteAll,
        LiveAction::UnmuteAll,
        LiveAction::End,
    ];

    fn name(self) -> &'static str {
        match self {
            LiveAction::Start => "start",
            LiveAction::AdmitAll => "admit-all",
            LiveAction::Lock => "lock",
            LiveAction::Unlock => "unlock",
            LiveAction::MuteAll => "mute-all",
            LiveAction::UnmuteAll => "unmute-all",
            LiveAction::End => "end",
        }
    }
}

/// An action and where, as it is written into the store for the server that has the meeting: `lock 1234567`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveOrder {
    pub action: LiveAction,
    pub conference_id: ConferenceId,
}

impl fmt::Display for LiveOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action.name(), self.conference_id)
    }
}

/// The text was written by another version, or by no server of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("that is no order for a live meeting")]
pub struct NotAnOrder;

impl FromStr for LiveOrder {
    type Err = NotAnOrder;

    fn from_str(text: &str) -> Result<LiveOrder, NotAnOrder> {
        let (name, id) = text.split_once(' ').ok_or(NotAnOrder)?;
        let action = LiveAction::ALL.into_iter().find(|action| action.name() == name).ok_or(NotAnOrder)?;
        Ok(LiveOrder { action, conference_id: id.parse().map_err(|_| NotAnOrder)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_number_shows_its_end_and_never_all_of_it() {
        let masked = |number: &str| masked_number(number);
        assert_eq!(masked("+4930123456"), "••••••••456");
        assert_eq!(masked("1234"), "•••4");
        assert_eq!(masked("112"), "•••");
        assert_eq!(masked(""), "");
    }

    #[test]
    fn an_order_is_read_as_it_is_written() {
        for action in LiveAction::ALL {
            let order = LiveOrder { action, conference_id: "1234567".parse().unwrap() };
            assert_eq!(order.to_string().parse(), Ok(order));
        }
        for wrong in ["", "lock", "lock 12", "dance 1234567", "lock  1234567"] {
            assert_eq!(wrong.parse::<LiveOrder>(), Err(NotAnOrder), "{wrong:?}");
        }
    }

    #[test]
    fn an_event_is_named_as_its_json_says() {
        let event = LiveEvent { kind: LiveEventKind::CallTalks, meeting: Some(MeetingKey(3)), call: Some(CallKey(17)) };
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(json, r#"{"kind":"call_talks","meeting":"meeting-3","call":"call-17"}"#);
        assert!(json.contains(event.kind.name()));
    }
}
