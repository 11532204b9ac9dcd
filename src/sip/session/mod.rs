//! One session: the INVITE usage of a dialog (RFC 3261 sections 13 to 15), as server and as client.
//!
//! ```text
//!   UAS  Invited ──Accept──> Confirmed ─┬─BYE comes──────────────────────────> Over
//!           │                           ├─HangUp, timer─> Leaving ─BYE answered┘
//!           └─Reject, CANCEL, BYE────────────────────────────────────────────> Over
//!   UAC  Calling ──2xx────> Confirmed
//!           └─3xx-6xx, time-out──────────────────────────────────────────────> Over
//! ```
//!
//! `Ended` is told at the moment the end is decided; the session stays for what still has to be said: a 200 until its ACK,
//! a CANCEL until the INVITE's answer, a BYE until its own.
//!
//! | file | idea |
//! | --- | --- |
//! | `mod` | the state, its end, its deadlines |
//! | `uas` | the peer's requests, and our answers |
//! | `calling` | our INVITE, from the first datagram to its ACK |
//! | `uac` | our requests in the dialog, and the peer's answers |

mod calling;
mod uac;
mod uas;

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::command::{CommandError, HangUpReason, LocalMedia, Refusal};
use super::common::Common;
use super::dialog::Dialog;
use super::event::{EndReason, SipEvent};
use super::flow::Flow;
use super::offer_answer::LocalDescription;
use super::rejection::Rejection;
use super::session_timer::SessionInterval;
use super::timers::{SessionTimer, Timer, TimerKey};
use crate::wire::sip::{HeaderName, Headers, Method};
use crate::words::ids::SessionKey;
use crate::words::media::NegotiatedMedia;

use super::transaction::client::Purpose;

pub(super) use uas::Invited;

use calling::Calling;
use uac::Reoffer;

/// How long an unanswered call waits for the engine, which takes milliseconds: only a fault leaves it ringing this long.
const UNANSWERED_MAX: Duration = Duration::from_secs(180);

#[derive(Debug)]
pub(super) struct InviteSession {
    key: SessionKey,
    /// The way by which the peer's last message in this dialog came.
    flow: Flow,
    phase: Phase,
    /// `None` while we call.
    dialog: Option<Dialog>,
    description: LocalDescription,
    /// Our side of the media as it is agreed on, or as it was offered with our INVITE.
    local: Option<LocalMedia>,
    agreed: Option<NegotiatedMedia>,
    /// A 200 of ours that waits for its ACK.
    unacknowledged: Option<Unacknowledged>,
    /// Our last ACK for a 2xx, and the CSeq it has: sent again for each 2xx that comes again.
    last_ack: Option<(u32, Flow, Bytes)>,
    /// Our re-INVITE or UPDATE that has no final answer yet.
    reoffer: Option<Reoffer>,
    /// The peer allows UPDATE, which refreshes a session without touching the media.
    peer_takes_update: bool,
    interval: Option<SessionInterval>,
    refresh: Option<TimerKey>,
    expire: Option<TimerKey>,
    /// `Unanswered` or `Proceeding`.
    limit: Option<TimerKey>,
    is_established: bool,
    has_ended: bool,
    /// Hung up before the ACK came: the BYE waits for it (section 15).
    hang_up_on_ack: Option<HangUpReason>,
}

#[derive(Debug)]
enum Phase {
    Invited(Box<Invited>),
    Calling(Calling),
    Confirmed,
    /// Our BYE is on its way.
    Leaving,
    Over,
}

/// A 200 is sent by the session until its ACK comes, over every transport (section 13.3.1.4).
#[derive(Debug)]
struct Unacknowledged {
    sequence: u32,
    flow: Flow,
    bytes: Bytes,
    interval: Duration,
    resend: Option<TimerKey>,
    give_up: Option<TimerKey>,
    /// The 200 carried an offer made from this, and the ACK brings the answer.
    offered: Option<LocalMedia>,
}

impl InviteSession {
    fn new(key: SessionKey, flow: Flow, phase: Phase, dialog: Option<Dialog>, common: &mut Common) -> InviteSession {
        InviteSession {
            key,
            flow,
            phase,
            dialog,
            description: LocalDescription::new(&mut common.random),
            local: None,
            agreed: None,
            unacknowledged: None,
            last_ack: None,
            reoffer: None,
            peer_takes_update: false,
            interval: None,
            refresh: None,
            expire: None,
            limit: None,
            is_established: false,
            has_ended: false,
            hang_up_on_ack: None,
        }
    }

    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// Nobody has acknowledged it yet, and it may still come to that.
    pub fn awaits_ack(&self) -> bool {
        !self.is_established && !self.has_ended
    }

    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    pub fn connection(&self) -> u64 {
        self.flow.connection
    }

    pub fn dialog(&self) -> Option<&Dialog> {
        self.dialog.as_ref()
    }

    /// Ends the session whatever its state. `Ended` is told at once.
    pub fn hang_up(&mut self, now: Instant, common: &mut Common, reason: HangUpReason) -> Result<(), CommandError> {
        if self.has_ended {
            return Err(CommandError::NoSuchSession);
        }
        match &self.phase {
            Phase::Invited(_) => {
                let rejection = Rejection::new(Refusal::Unavailable.status(), "hung up before the answer");
                self.answer_invite(now, common, &rejection);
                self.end(common, EndReason::LocalBye);
                self.finish(common);
            }
            Phase::Calling(_) => {
                self.end(common, EndReason::LocalBye);
                self.cancel(now, common)?;
            }
            Phase::Confirmed => {
                self.end(common, EndReason::LocalBye);
                if self.unacknowledged.is_some() && !self.is_established {
                    self.hang_up_on_ack = Some(reason);
                } else {
                    self.leave(now, common, reason);
                }
            }
            Phase::Leaving | Phase::Over => {}
        }
        Ok(())
    }

    /// The connection that this session was set up over is gone.
    pub fn handle_flow_lost(&mut self, common: &mut Common) {
        match &self.phase {
            Phase::Invited(invited) => common.servers.remove(invited.transaction, &mut common.out),
            Phase::Calling(calling) => {
                common.clients.remove(calling.transaction, &mut common.out);
            }
            Phase::Confirmed if self.unacknowledged.is_some() && !self.is_established => {}
            // The media flows elsewhere, and the peer may come back by another connection.
            _ => return,
        }
        self.end(common, EndReason::TransportLost);
        self.finish(common);
    }

    pub fn handle_timer(&mut self, now: Instant, common: &mut Common, timer: SessionTimer) {
        match timer {
            SessionTimer::Unanswered => {
                let rejection = Rejection::new(Refusal::Unavailable.status(), "not answered in time");
                self.answer_invite(now, common, &rejection);
                self.end(common, EndReason::Rejected { status: rejection.status });
                self.finish(common);
            }
            SessionTimer::Proceeding => self.handle_proceeding_timer(now, common),
            SessionTimer::ResendOk => self.resend_ok(now, common),
            SessionTimer::GiveUpOk => {
                self.forget_ok(common);
                self.end(common, EndReason::NoAck);
                self.leave(now, common, HangUpReason::Failure);
            }
            SessionTimer::Refresh => self.send_refresh(now, common),
            SessionTimer::Expire => {
                self.end(common, EndReason::SessionTimerExpired);
                self.leave(now, common, HangUpReason::NoMedia);
            }
        }
    }

    /// The session is over for whoever asked for it: told once. What remains is between us and the peer.
    fn end(&mut self, common: &mut Common, reason: EndReason) {
        for slot in [&mut self.refresh, &mut self.expire] {
            common.out.timers.cancel(slot);
        }
        if !self.has_ended {
            self.has_ended = true;
            common.out.event(SipEvent::Ended { session: self.key, reason });
        }
    }

    /// Nothing remains: the endpoint takes the session out.
    fn finish(&mut self, common: &mut Common) {
        self.forget_ok(common);
        for slot in [&mut self.refresh, &mut self.expire, &mut self.limit] {
            common.out.timers.cancel(slot);
        }
        self.phase = Phase::Over;
    }

    /// Sends BYE.
    fn leave(&mut self, now: Instant, common: &mut Common, reason: HangUpReason) {
        self.forget_ok(common);
        self.phase = Phase::Leaving;
        let sent = self.send(now, common, Method::Bye, Purpose::Bye, |_, request| {
            request.headers.push(HeaderName::Reason, reason_value(reason));
        });
        if sent.is_none() {
            self.finish(common);
        }
    }

    /// Stops sending a 200: it was acknowledged, or does not matter any more.
    fn forget_ok(&mut self, common: &mut Common) -> Option<Unacknowledged> {
        let mut unacknowledged = self.unacknowledged.take()?;
        common.out.timers.cancel(&mut unacknowledged.resend);
        common.out.timers.cancel(&mut unacknowledged.give_up);
        Some(unacknowledged)
    }

    fn tell_agreed(&mut self, common: &mut Common, media: NegotiatedMedia) {
        if !self.has_ended && self.agreed.as_ref() != Some(&media) {
            self.agreed = Some(media.clone());
            common.out.event(SipEvent::MediaAgreed { session: self.key, media });
        }
    }

    fn tell_established(&mut self, common: &mut Common) {
        if !self.has_ended && !self.is_established {
            common.out.event(SipEvent::Established { session: self.key });
        }
        self.is_established = true;
    }

    /// A 2xx has agreed on this interval: it starts anew, or there is none any more.
    fn start_interval(&mut self, now: Instant, common: &mut Common, interval: Option<SessionInterval>) {
        for slot in [&mut self.refresh, &mut self.expire] {
            common.out.timers.cancel(slot);
        }
        self.interval = interval;
        if let Some(interval) = interval.filter(|_| !self.has_ended) {
            self.expire = self.set(now, common, interval.expire_after(), SessionTimer::Expire);
            self.refresh =
                interval.refresh_after().and_then(|after| self.set(now, common, after, SessionTimer::Refresh));
        }
    }

    fn note_abilities(&mut self, headers: &Headers) {
        if headers.contains(&HeaderName::Allow) {
            self.peer_takes_update = headers.has_token(&HeaderName::Allow, Method::Update.as_str());
        }
    }

    fn set(&self, now: Instant, common: &mut Common, after: Duration, timer: SessionTimer) -> Option<TimerKey> {
        common.out.set(now, after, Timer::Session { session: self.key, timer })
    }
}

/// RFC 3326, with the causes of ITU-T Q.850.
fn reason_value(reason: HangUpReason) -> &'static str {
    match reason {
        HangUpReason::Normal => "Q.850;cause=16;text=\"Normal call clearing\"",
        HangUpReason::Shutdown => "Q.850;cause=41;text=\"Temporary failure\"",
        HangUpReason::NoMedia => "Q.850;cause=102;text=\"Recovery on timer expiry\"",
        HangUpReason::Failure => "Q.850;cause=38;text=\"Network out of order\"",
    }
}
