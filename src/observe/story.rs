//! The log as a story: every line of one call stands in one span that names the caller, the number called, the SIP
//! Call-ID and, once it is known, the meeting. `grep` for the call's key and read from top to bottom.

use std::collections::HashMap;

use tracing::{Span, error, field, info, info_span, warn};

use crate::words::event::{CallFact, Caller, EndCause, Event, MeetingEnd, MeetingFact, StartedBy};
use crate::words::ids::{CallKey, MeetingKey};
use crate::words::media::Direction;

/// The spans of what is going on.
#[derive(Default)]
pub struct Story {
    calls: HashMap<CallKey, CallSpan>,
    meetings: HashMap<MeetingKey, Span>,
}

struct CallSpan {
    span: Span,
    /// Recorded already: the text format repeats a field that is recorded twice.
    meeting: Option<MeetingKey>,
}

impl Story {
    pub fn tell(&mut self, event: &Event) {
        match event {
            Event::CallArrived { call, caller } => self.open(*call, caller),
            Event::RequestRefused { source, method, status, caller, called, why, suppressed } => {
                let suppressed = Some(suppressed).filter(|count| **count > 0);
                info!(%source, method, answered = status, from = caller, to = called, suppressed, "request refused: {why}");
            }
            Event::Call { call, fact } => {
                let Some(told) = self.calls.get_mut(call) else { return };
                told.name_meeting(fact);
                told.span.in_scope(|| tell_call(fact));
            }
            Event::Meeting { meeting, fact } => {
                if let MeetingFact::Opened { conference_id, organizer } = fact {
                    let span = info_span!("meeting", key = %meeting, conference_id = %conference_id, organizer);
                    self.meetings.insert(*meeting, span);
                }
                if let Some(span) = self.meetings.get(meeting) {
                    span.in_scope(|| tell_meeting(fact));
                }
                if *fact == MeetingFact::Closed {
                    self.meetings.remove(meeting);
                }
            }
            Event::CallEnded(record) => {
                let Some(CallSpan { span, .. }) = self.calls.remove(&record.call) else { return };
                let talked = record.answered_at.map_or(0.0, |at| record.ended_at.duration_since(at).as_secs_f32());
                let statistics = &record.statistics;
                span.in_scope(|| {
                    info!(
                        reached = record.reached.token(),
                        seconds = format_args!("{talked:.1}"),
                        packets_received = statistics.packets_received,
                        packets_lost = statistics.packets_lost,
                        jitter_ms = format_args!("{:.1}", statistics.jitter_ms),
                        "the call is over: {}",
                        end_words(&record.end)
                    );
                });
            }
        }
    }

    fn open(&mut self, call: CallKey, caller: &Caller) {
        let span = info_span!(
            "call", key = %call, from = caller.number, to = caller.called, sip_call_id = caller.sip_call_id,
            meeting = field::Empty
        );
        span.in_scope(|| info!(trunk = &*caller.trunk, source = %caller.source, "a call comes in"));
        self.calls.insert(call, CallSpan { span, meeting: None });
    }
}

impl CallSpan {
    fn name_meeting(&mut self, fact: &CallFact) {
        if let CallFact::WaitsForStart { meeting }
        | CallFact::AwaitsAdmission { meeting }
        | CallFact::EnteredMeeting { meeting, .. } = fact
            && self.meeting.is_none()
        {
            self.meeting = Some(*meeting);
            self.span.record("meeting", field::display(meeting));
        }
    }
}

fn tell_call(fact: &CallFact) {
    match fact {
        CallFact::Answered { codec, telephone_event, remote_rtp } => {
            let keys = if *telephone_event { "RFC 4733" } else { "tones or INFO" };
            info!(%codec, keys, rtp = %remote_rtp, "answered");
        }
        CallFact::Established => info!("the caller is on the line and hears the welcome"),
        CallFact::MediaChanged { codec, direction, remote_rtp } => {
            let what = match direction {
                Direction::SendRecv => "both ways",
                Direction::SendOnly | Direction::RecvOnly => "one way",
                Direction::Inactive => "on hold",
            };
            info!(%codec, rtp = %remote_rtp, "the caller changed the media: {what}");
        }
        CallFact::ConferenceFound { conference_id, organizer } => {
            info!(%conference_id, organizer, "entered a conference ID that exists");
        }
        CallFact::ConferenceUnknown { tries_left } => info!(tries_left, "entered a conference ID that leads nowhere"),
        CallFact::EntryTimedOut => info!("entered nothing, or not enough, in time"),
        CallFact::VoiceFrom { source, as_agreed: true } => info!(%source, "voice comes from the agreed address"),
        CallFact::VoiceFrom { source, as_agreed: false } => {
            info!(%source, "voice comes from another address than agreed; sending there");
        }
        CallFact::OrganizerByIdentity => info!("is the organizer, by the word of the trunk"),
        CallFact::OrganizerAsked => info!("is asked whether this is the organizer"),
        CallFact::PinAsked => info!("is asked for the PIN"),
        CallFact::PinRight => info!("entered the right PIN"),
        // One caller's slip is no alert: what many of them add up to is, and the store raises it.
        CallFact::PinWrong { tries_left } => info!(tries_left, "entered a wrong PIN"),
        CallFact::PinTriesUsedUp => info!("has no further try of a PIN; goes on as a participant"),
        CallFact::StoreSlow => warn!("the credential store is slow; the caller is asked to hold"),
        CallFact::StoreUnavailable => {
            error!("the credential store did not answer; the caller is told, and keeps his place");
        }
        CallFact::WaitsForStart { .. } => info!("waits in the lobby for the meeting to start"),
        CallFact::AwaitsAdmission { .. } => info!("waits in the lobby to be let in"),
        CallFact::EnteredMeeting { leader: true, .. } => info!("is in the meeting, as its leader"),
        CallFact::EnteredMeeting { leader: false, .. } => info!("is in the meeting"),
        CallFact::BecameLeader => info!("is a leader of the meeting now"),
        CallFact::Muted => info!("muted"),
        CallFact::Unmuted => info!("unmuted"),
        // A conversation is no step of the story, and would drown it.
        CallFact::Talking(_) => {}
        CallFact::PlaybackLost => error!("the end of a prompt was never reported; going on without it"),
        CallFact::MediaSilent => warn!("nothing has been received from the caller for a long time"),
        CallFact::HangingUp { why } => info!("hanging up: {}", end_words(why)),
    }
}

fn tell_meeting(fact: &MeetingFact) {
    match fact {
        MeetingFact::Opened { .. } => info!("the meeting opens"),
        MeetingFact::Started { by, admitted } => info!(admitted, "the meeting starts, {}", started_words(*by)),
        MeetingFact::Locked(true) => info!("the meeting is locked"),
        MeetingFact::Locked(false) => info!("the meeting is unlocked"),
        MeetingFact::AllMuted { muted: true, changed } => info!(changed, "all but the leaders are muted"),
        MeetingFact::AllMuted { muted: false, changed } => info!(changed, "all are unmuted"),
        MeetingFact::Ended { why } => info!("the meeting ends: {}", meeting_end_words(*why)),
        MeetingFact::Over => info!("nobody is in the meeting any more"),
        MeetingFact::Closed => info!("nobody is left in the meeting"),
    }
}

fn started_words(by: StartedBy) -> &'static str {
    match by {
        StartedBy::LeaderPin => "by the leader's PIN",
        StartedBy::AnonymousCaller => "by its first caller (anonymous start is on)",
        StartedBy::VouchedCall => "by a call that its trunk vouches for",
        StartedBy::AuthenticatedUser => "by an authenticated user",
    }
}

fn meeting_end_words(why: MeetingEnd) -> &'static str {
    match why {
        MeetingEnd::LeaderLeft => "the leader left and did not return",
        MeetingEnd::NobodyAuthenticated => "nobody authenticated was left in it",
        MeetingEnd::Ended => "it was ended",
        MeetingEnd::Withdrawn => "it was cancelled, or its organizer was disabled",
    }
}

/// Why a call ended, in words.
pub fn end_words(end: &EndCause) -> String {
    match end {
        EndCause::CallerHungUp => "the caller hung up".into(),
        EndCause::CallerCancelled => "the caller gave up before the answer".into(),
        EndCause::NoAck => "the answer was never acknowledged".into(),
        EndCause::SessionExpired => "the session timer ran out: the caller vanished".into(),
        EndCause::TransportLost => "the connection broke".into(),
        EndCause::MediaSilent => "nothing was received from the caller for too long".into(),
        EndCause::ConferenceTriesUsedUp => "no try of a conference ID was left".into(),
        EndCause::NothingEntered => "the caller entered nothing".into(),
        EndCause::LobbyTimedOut => "the caller waited in the lobby as long as the settings allow".into(),
        EndCause::MeetingEnded(why) => format!("the meeting ended: {}", meeting_end_words(*why)),
        EndCause::MeetingFull => "the meeting is full".into(),
        EndCause::Removed => "the caller was removed from the meeting".into(),
        EndCause::ShuttingDown => "the server is shutting down".into(),
        EndCause::Refused { status, why } => format!("refused with {status}: {why}"),
        EndCause::Failed { why } => format!("failed: {why}"),
    }
}
