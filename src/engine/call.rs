//! One caller's path: his session, his attendant, his seat, and what his call record will say.

use std::time::Instant;

use crate::attendant::Attendant;
use crate::media::LegSurvey;
use crate::words::event::{CallRecord, Caller, EndCause, MeetingEnd, Reached};
use crate::words::ids::{CallKey, ConferenceId, MeetingKey, SessionKey};
use crate::words::media::{Direction, LegStatistics, NegotiatedMedia};

/// How far the two sides of a call (its session and its leg) have come.
///
/// ```text
///   INVITE ─▶ Opening ── ports bound, 200 sent ─▶ Answering ── ACK ─▶ Up ── BYE ─▶ Closing ── leg gone ─▶ (record)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The shell binds the leg's ports.
    Opening,
    /// 200 sent; the caller's ACK has not come.
    Answering,
    /// The attendant has the caller.
    Up,
    /// The session is over; the leg's ports are not free yet.
    Closing,
}

/// How a leg does at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Quality {
    /// Of full scale; the loudest since it was asked the last time.
    pub level_db: i8,
    /// Since it was asked the last time.
    pub loss_percent: f32,
    pub jitter_ms: f32,
    pub delay_ms: u32,
    received: u64,
    lost: u64,
}

/// Packets that a share of lost ones is told of: with fewer, one lost packet would look like a broken line.
const LOSS_OF_PACKETS_MIN: u64 = 25;

impl Quality {
    fn after(before: Option<Quality>, survey: &LegSurvey) -> Quality {
        let before = before.unwrap_or_default();
        let LegStatistics { packets_received, packets_lost, jitter_ms, .. } = survey.statistics;
        let received = packets_received.saturating_sub(before.received);
        // A late packet is lost first and found afterwards.
        let lost = packets_lost.saturating_sub(before.lost);
        let quality = Quality { level_db: survey.level_db, jitter_ms, delay_ms: survey.delay_ms, ..before };
        let expected = received.saturating_add(lost);
        if expected < LOSS_OF_PACKETS_MIN {
            return quality;
        }
        let loss_percent = 100.0 * lost as f32 / expected as f32;
        Quality { loss_percent, received: packets_received, lost: packets_lost, ..quality }
    }
}

/// One call.
pub struct Call {
    pub key: CallKey,
    pub session: SessionKey,
    pub stage: Stage,
    /// Whether the shell has opened a leg, which must be closed before the call is gone.
    pub has_leg: bool,
    pub attendant: Attendant,
    pub caller: Caller,
    pub media: Option<NegotiatedMedia>,
    /// Where he has a seat: waiting or in.
    pub meeting: Option<MeetingKey>,
    /// When he came into a meeting the last time.
    pub entered_at: Option<Instant>,
    /// He is heard in his meeting.
    pub talking: bool,
    /// What his media thread said last of his leg.
    pub quality: Option<Quality>,
    /// Authenticated: by PIN, or by his trunk's word.
    pub leader: bool,
    /// It was his trunk's word.
    pub vouched: bool,
    /// Why the meeting ended that he was in, until he is hung up for it.
    pub meeting_end: Option<MeetingEnd>,
    pub arrived_at: Instant,
    pub answered_at: Option<Instant>,
    pub reached: Reached,
    pub conference_id: Option<ConferenceId>,
    pub organizer: Option<String>,
    /// Where he was last, for the record of a call that has left its seat.
    pub last_meeting: Option<MeetingKey>,
    /// Why we decided to end it, before the session says that it has.
    pub end: Option<EndCause>,
    pub ended_at: Option<Instant>,
}

impl Call {
    pub fn new(key: CallKey, session: SessionKey, attendant: Attendant, caller: Caller, now: Instant) -> Call {
        Call {
            key,
            session,
            stage: Stage::Opening,
            has_leg: false,
            attendant,
            caller,
            media: None,
            meeting: None,
            entered_at: None,
            talking: false,
            quality: None,
            leader: false,
            vouched: false,
            meeting_end: None,
            arrived_at: now,
            answered_at: None,
            reached: Reached::Nothing,
            conference_id: None,
            organizer: None,
            last_meeting: None,
            end: None,
            ended_at: None,
        }
    }

    /// Whether the attendant has the caller on the line.
    pub fn session_is_up(&self) -> bool {
        self.stage == Stage::Up
    }

    pub fn surveyed(&mut self, survey: &LegSurvey) {
        self.quality = Some(Quality::after(self.quality, survey));
    }

    pub fn reach(&mut self, reached: Reached) {
        self.reached = self.reached.max(reached);
    }

    /// Whether the peer should be sending us voice.
    pub fn expects_voice(&self) -> bool {
        self.media.as_ref().is_some_and(|media| matches!(media.direction, Direction::SendRecv | Direction::RecvOnly))
    }

    /// The record, once the leg has told its statistics.
    pub fn into_record(self, now: Instant, statistics: LegStatistics) -> CallRecord {
        CallRecord {
            call: self.key,
            caller: self.caller,
            arrived_at: self.arrived_at,
            answered_at: self.answered_at,
            ended_at: self.ended_at.unwrap_or(now),
            reached: self.reached,
            conference_id: self.conference_id,
            organizer: self.organizer,
            meeting: self.last_meeting,
            leader: self.leader,
            end: self.end.unwrap_or(EndCause::CallerHungUp),
            statistics,
        }
    }
}
