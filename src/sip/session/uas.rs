//! The peer's requests, and our answers.

use std::time::Instant;

use bytes::Bytes;
use rand::RngExt;

use super::super::answer::AnswerBase;
use super::super::arrival::Arrival;
use super::super::body::session_description;
use super::super::command::{CommandError, LocalMedia, Refusal};
use super::super::common::Common;
use super::super::dialog::{Dialog, LocalTag};
use super::super::event::{EndReason, SipEvent};
use super::super::info_digit::{self, InfoBody};
use super::super::offer_answer::Unacceptable;
use super::super::refusals::Kind;
use super::super::rejection::Rejection;
use super::super::screening::{SessionRequest, screen_require, screen_session_request};
use super::super::timers::SessionTimer;
use super::super::transaction::TransactionNumber;
use super::{InviteSession, Phase, UNANSWERED_MAX, Unacknowledged};
use crate::wire::sdp::SessionDescription;
use crate::wire::sip::{HeaderName, Method};
use crate::words::ids::SessionKey;
use crate::words::media::NegotiatedMedia;

/// RFC 3261 section 14.2: the Retry-After of a 500 is a random number up to this.
const RETRY_AFTER_S_MAX: u32 = 10;

/// An INVITE that waits for our final answer.
#[derive(Debug)]
pub(in super::super) struct Invited {
    pub transaction: TransactionNumber,
    pub base: AnswerBase,
    pub flow: super::Flow,
    pub tag: LocalTag,
    pub sequence: u32,
    pub request: SessionRequest,
}

impl InviteSession {
    /// A call that passed every check and whose 100 is sent.
    pub fn of_invite(
        now: Instant,
        common: &mut Common,
        key: SessionKey,
        arrival: &Arrival,
        dialog: Dialog,
        invited: Invited,
    ) -> InviteSession {
        let mut session =
            InviteSession::new(key, arrival.flow, Phase::Invited(Box::new(invited)), Some(dialog), common);
        session.note_abilities(&arrival.request.headers);
        session.limit = session.set(now, common, UNANSWERED_MAX, SessionTimer::Unanswered);
        session
    }

    pub fn ring(&mut self, now: Instant, common: &mut Common) -> Result<(), CommandError> {
        let Phase::Invited(invited) = &self.phase else {
            return Err(self.not_invited());
        };
        let mut response = invited.base.answer(180, Some(&invited.tag.to_string()));
        common.describe_us(&mut response.headers, &self.flow, false);
        common.servers.answer_invite(now, invited.transaction, 180, response.write(), &mut common.out);
        Ok(())
    }

    /// 200, with the answer to the INVITE's offer or with our own offer.
    pub fn accept(&mut self, now: Instant, common: &mut Common, local: LocalMedia) -> Result<(), CommandError> {
        let Phase::Invited(invited) = &self.phase else {
            return Err(self.not_invited());
        };
        let (description, media) = match self.description.answer_or_offer(invited.request.offer.as_ref(), &local) {
            Ok(described) => described,
            Err(unacceptable) => {
                let why = unacceptable.why.clone();
                self.refuse_call(now, common, &unacceptable.into());
                return Err(CommandError::NoCommonMedia(why));
            }
        };
        let Phase::Invited(invited) = std::mem::replace(&mut self.phase, Phase::Confirmed) else {
            return Ok(());
        };
        common.out.timers.cancel(&mut self.limit);
        self.answer_with_ok(now, common, *invited, local, description, media);
        Ok(())
    }

    pub fn reject(&mut self, now: Instant, common: &mut Common, refusal: Refusal) -> Result<(), CommandError> {
        if !matches!(self.phase, Phase::Invited(_)) {
            return Err(self.not_invited());
        }
        let rejection = match refusal {
            Refusal::Full { retry_after_s } => Rejection::unavailable(retry_after_s, "full"),
            _ => Rejection::new(refusal.status(), ""),
        };
        self.refuse_call(now, common, &rejection);
        Ok(())
    }

    /// The caller gave up: 487 for the INVITE; the CANCEL itself is answered by the endpoint.
    pub fn handle_cancel(&mut self, now: Instant, common: &mut Common) {
        if matches!(self.phase, Phase::Invited(_)) {
            self.answer_invite(now, common, &Rejection::new(487, ""));
            self.end(common, EndReason::Cancelled);
            self.finish(common);
        }
    }

    /// The ACK for a 2xx of ours.
    pub fn handle_ack(&mut self, now: Instant, common: &mut Common, arrival: &Arrival) {
        if self.unacknowledged.as_ref().is_none_or(|ok| ok.sequence != arrival.sequence) {
            return;
        }
        let answer = session_description(&arrival.request.headers, &arrival.request.body).ok().flatten();
        self.handle_acknowledged(now, common, answer);
    }

    /// Any request in the dialog but ACK and CANCEL.
    pub fn handle_request(&mut self, now: Instant, common: &mut Common, arrival: &Arrival) {
        let Some(dialog) = &mut self.dialog else { return };
        let tag = dialog.local_tag;
        let method = &arrival.request.method;
        let outcome = if self.has_ended && *method != Method::Bye {
            Err(Rejection::no_such_dialog())
        } else if dialog.take_sequence(arrival.sequence).is_err() {
            Err(Rejection::out_of_order())
        } else {
            self.flow = arrival.flow;
            self.note_abilities(&arrival.request.headers);
            match method {
                Method::Bye => self.handle_bye(now, common, arrival, tag),
                Method::Invite => self.handle_reinvite(now, common, arrival, tag),
                Method::Update => self.handle_update(now, common, arrival, tag),
                Method::Info => self.handle_info(now, common, arrival, tag),
                Method::Options => self.handle_options(now, common, arrival, tag),
                other => Err(Rejection::method_not_allowed(other.as_str())),
            }
        };
        if let Err(rejection) = outcome {
            common.refuse(now, arrival, &rejection, Some(tag));
            common.note_refused(now, Kind::Status(rejection.status), Some(rejection.status), || {
                arrival.refused(rejection.why)
            });
        }
    }

    fn handle_bye(
        &mut self,
        now: Instant,
        common: &mut Common,
        arrival: &Arrival,
        tag: LocalTag,
    ) -> Result<(), Rejection> {
        self.answer_plainly(now, common, arrival, tag);
        self.answer_invite(now, common, &Rejection::new(487, ""));
        self.end(common, EndReason::RemoteBye);
        self.finish(common);
        Ok(())
    }

    fn handle_reinvite(
        &mut self,
        now: Instant,
        common: &mut Common,
        arrival: &Arrival,
        tag: LocalTag,
    ) -> Result<(), Rejection> {
        let Some(local) = self.local.clone().filter(|_| matches!(self.phase, Phase::Confirmed)) else {
            return Err(Rejection::overlapping(common.random.random_range(0..=RETRY_AFTER_S_MAX)));
        };
        self.check_glare()?;
        let request = screen_session_request(arrival, common.timer_wish())?;
        if !common.has_room() {
            return Err(Rejection::unavailable(common.config.retry_after_s, "too many transactions"));
        }
        let (description, media) = self.description.answer_or_offer(request.offer.as_ref(), &local)?;
        // Whoever sends a new INVITE has seen the 200 to the last one, though its ACK is late or lost (RFC 5407
        // section 3.1.5).
        self.handle_acknowledged(now, common, None);
        if let Some(dialog) = &mut self.dialog {
            dialog.refresh_target(&arrival.request.headers);
        }
        let transaction = common.servers.begin_invite(arrival.transaction_key(), arrival.answer_flow(), None);
        let invited = Invited {
            transaction,
            base: arrival.answer_base(),
            flow: arrival.answer_flow(),
            tag,
            sequence: arrival.sequence,
            request,
        };
        self.answer_with_ok(now, common, invited, local, description, media);
        Ok(())
    }

    /// RFC 3311 section 5.2.
    fn handle_update(
        &mut self,
        now: Instant,
        common: &mut Common,
        arrival: &Arrival,
        tag: LocalTag,
    ) -> Result<(), Rejection> {
        let request = screen_session_request(arrival, common.timer_wish())?;
        let is_confirmed = matches!(self.phase, Phase::Confirmed);
        let described = match (&request.offer, self.local.clone()) {
            (None, _) => None,
            (Some(offer), Some(local)) if is_confirmed => {
                self.check_glare()?;
                Some(self.description.answer(offer, &local)?)
            }
            (Some(_), _) => {
                return Err(Rejection::overlapping(common.random.random_range(0..=RETRY_AFTER_S_MAX)));
            }
        };
        if let Some(dialog) = &mut self.dialog {
            dialog.refresh_target(&arrival.request.headers);
        }
        let (description, media) = described.unzip();
        let interval = request.interval.filter(|_| is_confirmed);
        let response = common.session_ok(&arrival.answer_base(), &self.flow, tag, interval, description);
        common.answer_other(now, arrival, response);
        if is_confirmed {
            self.start_interval(now, common, interval);
        }
        if let Some(media) = media {
            self.tell_agreed(common, media);
        }
        Ok(())
    }

    fn handle_info(
        &mut self,
        now: Instant,
        common: &mut Common,
        arrival: &Arrival,
        tag: LocalTag,
    ) -> Result<(), Rejection> {
        let headers = &arrival.request.headers;
        screen_require(headers)?;
        if headers.contains(&HeaderName::InfoPackage) {
            // RFC 6086 section 4.2.2: we take none, and say so with an empty list.
            return Err(Rejection::new(469, "an INFO package that is not known here").with(HeaderName::RecvInfo, ""));
        }
        if !arrival.request.body.is_empty() {
            let media_type = headers.content_type().ok().flatten();
            if !media_type.is_some_and(|media_type| info_digit::is_read(&media_type)) {
                return Err(Rejection::new(415, "an INFO body that is not known here")
                    .with(HeaderName::Accept, info_digit::ACCEPTED));
            }
            match info_digit::read(&arrival.request.body) {
                InfoBody::Digit { digit, duration_ms } => {
                    common.out.event(SipEvent::InfoDigit { session: self.key, digit, duration_ms });
                }
                InfoBody::OtherSignal => {}
                InfoBody::Malformed => return Err(Rejection::new(400, "an INFO whose signal can't be read")),
            }
        }
        self.answer_plainly(now, common, arrival, tag);
        Ok(())
    }

    fn handle_options(
        &mut self,
        now: Instant,
        common: &mut Common,
        arrival: &Arrival,
        tag: LocalTag,
    ) -> Result<(), Rejection> {
        screen_require(&arrival.request.headers)?;
        let response = common.options_ok(&arrival.answer_base(), &self.flow, tag);
        common.answer_other(now, arrival, response);
        Ok(())
    }

    fn answer_plainly(&mut self, now: Instant, common: &mut Common, arrival: &Arrival, tag: LocalTag) {
        let response = arrival.answer_base().answer(200, Some(&tag.to_string()));
        common.answer_other(now, arrival, response);
    }

    /// An offer in either direction is open: no other may be made (RFC 3261 section 14.2, RFC 3311 section 5.2).
    fn check_glare(&self) -> Result<(), Rejection> {
        let awaits_answer = self.unacknowledged.as_ref().is_some_and(|ok| ok.offered.is_some());
        let has_asked = self.reoffer.as_ref().is_some_and(|reoffer| reoffer.is_exclusive);
        if awaits_answer || has_asked { Err(Rejection::request_pending()) } else { Ok(()) }
    }

    /// 200 to an INVITE, new or again, sent until its ACK comes.
    fn answer_with_ok(
        &mut self,
        now: Instant,
        common: &mut Common,
        invited: Invited,
        local: LocalMedia,
        description: Bytes,
        media: Option<NegotiatedMedia>,
    ) {
        let interval = invited.request.interval;
        let response = common.session_ok(&invited.base, &self.flow, invited.tag, interval, Some(description));
        let bytes = response.write();
        common.servers.answer_invite(now, invited.transaction, 200, bytes.clone(), &mut common.out);
        let first = common.out.timing.t1;
        let give_up = common.out.timing.give_up();
        self.unacknowledged = Some(Unacknowledged {
            sequence: invited.sequence,
            flow: invited.flow,
            bytes,
            interval: first,
            resend: self.set(now, common, first, SessionTimer::ResendOk),
            give_up: self.set(now, common, give_up, SessionTimer::GiveUpOk),
            offered: media.is_none().then(|| local.clone()),
        });
        self.local = Some(local);
        self.start_interval(now, common, interval);
        if let Some(media) = media {
            self.tell_agreed(common, media);
        }
    }

    pub(super) fn resend_ok(&mut self, now: Instant, common: &mut Common) {
        let Some(mut ok) = self.unacknowledged.take() else {
            return;
        };
        common.out.transmit(ok.flow, ok.bytes.clone());
        ok.interval = common.out.timing.backed_off(ok.interval);
        ok.resend = self.set(now, common, ok.interval, SessionTimer::ResendOk);
        self.unacknowledged = Some(ok);
    }

    /// Our 200 has arrived. `answer` is the ACK's description.
    fn handle_acknowledged(&mut self, now: Instant, common: &mut Common, answer: Option<Bytes>) {
        let Some(ok) = self.forget_ok(common) else { return };
        if let Some(reason) = self.hang_up_on_ack.take() {
            self.is_established = true;
            self.leave(now, common, reason);
            return;
        }
        if let Some(local) = ok.offered {
            let missing = || Unacceptable { code: 399, why: "the ACK has no answer to our offer".to_owned() };
            let agreed = answer
                .ok_or_else(missing)
                .and_then(|body| SessionDescription::parse(&body).map_err(Unacceptable::malformed))
                .and_then(|answer| self.description.take_answer(&answer, &local));
            match agreed {
                Ok(media) => self.tell_agreed(common, media),
                Err(unacceptable) => {
                    self.is_established = true;
                    self.end(common, EndReason::NoCommonMedia { why: unacceptable.why });
                    self.leave(now, common, super::HangUpReason::Failure);
                    return;
                }
            }
        }
        self.tell_established(common);
    }

    /// A final answer to the INVITE that waits for one; nothing where none does.
    pub(super) fn answer_invite(&mut self, now: Instant, common: &mut Common, rejection: &Rejection) {
        let Phase::Invited(invited) = &self.phase else { return };
        let mut response = invited.base.answer(rejection.status, Some(&invited.tag.to_string()));
        for (name, value) in &rejection.headers {
            response.headers.push(name.clone(), value.clone());
        }
        if let Some(name) = &common.config.server_header {
            response.headers.push(HeaderName::Server, name.clone());
        }
        common.servers.answer_invite(now, invited.transaction, rejection.status, response.write(), &mut common.out);
    }

    fn refuse_call(&mut self, now: Instant, common: &mut Common, rejection: &Rejection) {
        self.answer_invite(now, common, rejection);
        self.end(common, EndReason::Rejected { status: rejection.status });
        self.finish(common);
    }

    fn not_invited(&self) -> CommandError {
        match self.phase {
            Phase::Leaving | Phase::Over => CommandError::NoSuchSession,
            _ if self.has_ended => CommandError::NoSuchSession,
            _ => CommandError::WrongState("its INVITE is answered already"),
        }
    }
}
