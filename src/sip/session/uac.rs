//! Our requests in the dialog, and the peer's answers to all of our requests.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::super::arrival::bounded;
use super::super::body::session_description;
use super::super::command::{CommandError, HangUpReason, LocalMedia};
use super::super::common::Common;
use super::super::event::{EndReason, SipEvent};
use super::super::offer_answer::Unacceptable;
use super::super::session_timer::{Refresher, SessionInterval, take_answer};
use super::super::timers::SessionTimer;
use super::super::transaction::ClientKey;
use super::super::transaction::client::{ClientUser, Purpose};
use super::{InviteSession, Phase};
use crate::wire::sdp::SessionDescription;
use crate::wire::sip::{HeaderName, Headers, Method, Refresher as RefresherParam, Request, Response, SessionExpires};
use crate::words::media::NegotiatedMedia;

/// A refresh that crossed with another request tries again after this (RFC 3261 section 14.1, without its random part:
/// the peer has one).
const REFRESH_AGAIN: Duration = Duration::from_secs(2);

/// Our re-INVITE or UPDATE.
#[derive(Debug)]
pub(super) struct Reoffer {
    transaction: ClientKey,
    /// What we are to have if the peer agrees; `None` for a refresh.
    media: Option<LocalMedia>,
    /// Whether it carries an offer.
    has_offer: bool,
    /// Whether the peer has to wait with an offer of its own: not for an UPDATE that only refreshes.
    pub(super) is_exclusive: bool,
}

impl InviteSession {
    pub fn send_info(
        &mut self,
        now: Instant,
        common: &mut Common,
        content_type: String,
        body: Bytes,
    ) -> Result<(), CommandError> {
        self.check_confirmed()?;
        self.send(now, common, Method::Info, Purpose::Info, |_, request| {
            request.headers.push(HeaderName::ContentType, content_type);
            request.body = body;
        });
        Ok(())
    }

    pub fn send_options(&mut self, now: Instant, common: &mut Common) -> Result<(), CommandError> {
        self.check_confirmed()?;
        self.send(now, common, Method::Options, Purpose::Options, |_, _| {});
        Ok(())
    }

    /// A new offer of ours, by re-INVITE or UPDATE; `has_offer` false: a re-INVITE that asks the peer for one.
    pub fn send_reoffer(
        &mut self,
        now: Instant,
        common: &mut Common,
        method: Method,
        media: LocalMedia,
        has_offer: bool,
    ) -> Result<(), CommandError> {
        self.check_confirmed()?;
        if self.reoffer.is_some() || self.unacknowledged.is_some() {
            return Err(CommandError::WrongState("another offer is on its way"));
        }
        let description = has_offer.then(|| self.description.offer(&media));
        self.begin_reoffer(now, common, method, Some(media), description);
        Ok(())
    }

    /// Keeps the session alive (RFC 4028 section 7.4): by UPDATE without a body where the peer takes it, else by a
    /// re-INVITE that says what was said last.
    pub(super) fn send_refresh(&mut self, now: Instant, common: &mut Common) {
        if self.check_confirmed().is_err() {
            return;
        }
        if self.reoffer.is_some() || self.unacknowledged.is_some() {
            self.refresh = self.set(now, common, REFRESH_AGAIN, SessionTimer::Refresh);
        } else if self.peer_takes_update {
            self.begin_reoffer(now, common, Method::Update, None, None);
        } else {
            let description = self.description.repeat();
            self.begin_reoffer(now, common, Method::Invite, None, description);
        }
    }

    fn begin_reoffer(
        &mut self,
        now: Instant,
        common: &mut Common,
        method: Method,
        media: Option<LocalMedia>,
        description: Option<Bytes>,
    ) {
        let interval = self.interval;
        let has_offer = description.is_some();
        let is_exclusive = has_offer || method == Method::Invite;
        let flow = self.flow;
        let purpose = if method == Method::Invite { Purpose::Reinvite } else { Purpose::Update };
        let sent = self.send(now, common, method, purpose, |common, request| {
            common.describe_us(&mut request.headers, &flow, true);
            if let Some(interval) = interval {
                // Here `uac` is us.
                let refresher = match interval.refresher {
                    Refresher::Us => RefresherParam::Uac,
                    Refresher::Peer => RefresherParam::Uas,
                };
                let value = SessionExpires { interval_s: interval.interval_s, refresher: Some(refresher) };
                request.headers.push(HeaderName::SessionExpires, value.to_bytes());
            }
            if let Some(description) = description {
                add_description(request, description);
            }
        });
        self.reoffer = sent.map(|transaction| Reoffer { transaction, media, has_offer, is_exclusive });
    }

    /// Sends a request in the dialog.
    pub(super) fn send(
        &mut self,
        now: Instant,
        common: &mut Common,
        method: Method,
        purpose: Purpose,
        fill: impl FnOnce(&Common, &mut Request),
    ) -> Option<ClientKey> {
        let dialog = self.dialog.as_mut()?;
        let hop = dialog.next_hop(&self.flow);
        let (key, via) = common.new_branch(&hop);
        let mut request = dialog.request(method, &via);
        fill(common, &mut request);
        let user = ClientUser { session: self.key, purpose };
        common.clients.begin(now, key, hop, request, user, &mut common.out);
        Some(key)
    }

    /// An answer to a request of ours.
    pub fn handle_response(
        &mut self,
        now: Instant,
        common: &mut Common,
        transaction: ClientKey,
        purpose: Purpose,
        response: &Response,
    ) {
        match (purpose, response.status) {
            (Purpose::Invite, 0..200) => self.handle_progress(now, common, response),
            (Purpose::Invite, 200..300) => self.handle_invite_ok(now, common, transaction, response),
            (Purpose::Invite, status) => {
                let reason = bounded(&String::from_utf8_lossy(&response.reason));
                self.handle_invite_refused(common, EndReason::Refused { status, reason });
            }
            (_, 0..200) => {}
            (Purpose::Reinvite | Purpose::Update, 200..300) => {
                self.handle_reoffer_ok(now, common, transaction, response);
            }
            (purpose, status) => self.handle_final(now, common, transaction, purpose, status),
        }
    }

    /// A request of ours has got no final answer: taken as 408 (section 8.1.3.1).
    pub fn handle_no_response(&mut self, now: Instant, common: &mut Common, transaction: ClientKey, purpose: Purpose) {
        match purpose {
            Purpose::Invite => self.handle_invite_refused(common, EndReason::NoAnswer),
            purpose => self.handle_final(now, common, transaction, purpose, 408),
        }
    }

    fn handle_reoffer_ok(&mut self, now: Instant, common: &mut Common, transaction: ClientKey, response: &Response) {
        let Ok(cseq) = response.headers.cseq() else { return };
        let is_invite = cseq.method == Method::Invite;
        let Some(reoffer) = self.reoffer.take_if(|reoffer| reoffer.transaction == transaction) else {
            if is_invite {
                self.acknowledge_again(common, cseq.number);
            }
            return;
        };
        self.note_abilities(&response.headers);
        if let Some(dialog) = &mut self.dialog {
            dialog.refresh_target(&response.headers);
        }
        let local = reoffer.media.clone().or_else(|| self.local.clone());
        let described = match local {
            Some(local) if is_invite || reoffer.has_offer => {
                Some(self.take_description(response, &local, reoffer.has_offer))
            }
            _ => None,
        };
        let (body, agreed) = match described {
            Some(Ok((body, media))) => (body, Ok(Some(media))),
            Some(Err(unacceptable)) => (None, Err(unacceptable)),
            None => (None, Ok(None)),
        };
        if is_invite {
            self.acknowledge(common, cseq.number, body);
        }
        if self.check_confirmed().is_err() {
            return;
        }
        match agreed {
            Ok(media) => {
                let interval = answered_interval(&response.headers).or(self.interval);
                self.start_interval(now, common, interval);
                if let Some(local) = reoffer.media {
                    self.local = Some(local);
                    let (session, status) = (self.key, response.status);
                    common.out.event(SipEvent::ReinviteAnswered { session, status });
                }
                if let Some(media) = media {
                    self.tell_agreed(common, media);
                }
            }
            Err(unacceptable) => self.leave_for_want_of_media(now, common, unacceptable),
        }
    }

    /// A final answer that is no success, or, to a request that agrees on nothing, any.
    fn handle_final(
        &mut self,
        now: Instant,
        common: &mut Common,
        transaction: ClientKey,
        purpose: Purpose,
        status: u16,
    ) {
        let session = self.key;
        match purpose {
            Purpose::Invite | Purpose::Cancel | Purpose::StrayBye => return,
            Purpose::Bye => {
                self.finish(common);
                return;
            }
            Purpose::Reinvite | Purpose::Update => {
                let Some(reoffer) = self.reoffer.take_if(|reoffer| reoffer.transaction == transaction) else {
                    return;
                };
                let is_refresh = reoffer.media.is_none();
                if !is_refresh && !self.has_ended {
                    common.out.event(SipEvent::ReinviteAnswered { session, status });
                }
                if is_refresh && status == 491 {
                    self.refresh = self.set(now, common, REFRESH_AGAIN, SessionTimer::Refresh);
                }
                let takes_no_update = self.peer_takes_update && matches!(status, 405 | 501);
                if is_refresh && takes_no_update {
                    // It does not take what it said it would: the other way.
                    self.peer_takes_update = false;
                    self.refresh = self.set(now, common, REFRESH_AGAIN, SessionTimer::Refresh);
                } else if is_refresh && !matches!(status, 408 | 481 | 491) && self.check_confirmed().is_ok() {
                    // It does not want to be refreshed, but it is there.
                    self.start_interval(now, common, self.interval);
                }
            }
            Purpose::Options if !self.has_ended => {
                common.out.event(SipEvent::OptionsAnswered { session, status });
            }
            Purpose::Options | Purpose::Info => {}
        }
        // Section 12.2.1.2: the peer has lost the dialog, or itself.
        if matches!(status, 408 | 481) && self.check_confirmed().is_ok() {
            self.end(common, EndReason::DialogGone { status });
            self.leave(now, common, HangUpReason::Failure);
        }
    }

    /// What a 2xx says about the media: the answer to our offer, or an offer that our ACK answers with the body given
    /// back.
    pub(super) fn take_description(
        &mut self,
        response: &Response,
        local: &LocalMedia,
        has_offer: bool,
    ) -> Result<(Option<Bytes>, NegotiatedMedia), Unacceptable> {
        let missing = || Unacceptable { code: 399, why: "the 200 has no session description".to_owned() };
        let body = session_description(&response.headers, &response.body).ok().flatten().ok_or_else(missing)?;
        let theirs = SessionDescription::parse(&body).map_err(Unacceptable::malformed)?;
        if has_offer {
            Ok((None, self.description.take_answer(&theirs, local)?))
        } else {
            let (answer, media) = self.description.answer(&theirs, local)?;
            Ok((Some(answer), media))
        }
    }

    /// ACK for a 2xx (section 13.2.2.4): a request of its own, which nobody answers.
    pub(super) fn acknowledge(&mut self, common: &mut Common, sequence: u32, body: Option<Bytes>) {
        let Some(dialog) = &self.dialog else { return };
        let hop = dialog.next_hop(&self.flow);
        let (_, via) = common.new_branch(&hop);
        let mut ack = dialog.ack(sequence, &via);
        if let Some(body) = body {
            add_description(&mut ack, body);
        }
        let bytes = ack.write();
        common.out.transmit(hop, bytes.clone());
        self.last_ack = Some((sequence, hop, bytes));
    }

    pub(super) fn acknowledge_again(&mut self, common: &mut Common, sequence: u32) {
        if let Some((_, hop, bytes)) = self.last_ack.as_ref().filter(|(last, ..)| *last == sequence) {
            common.out.transmit(*hop, bytes.clone());
        }
    }

    pub(super) fn leave_for_want_of_media(&mut self, now: Instant, common: &mut Common, unacceptable: Unacceptable) {
        self.is_established = true;
        self.end(common, EndReason::NoCommonMedia { why: unacceptable.why });
        self.leave(now, common, HangUpReason::Failure);
    }

    fn check_confirmed(&self) -> Result<(), CommandError> {
        match self.phase {
            _ if self.has_ended => Err(CommandError::NoSuchSession),
            Phase::Confirmed => Ok(()),
            _ => Err(CommandError::WrongState("it is not answered yet")),
        }
    }
}

/// The interval in a 2xx to our INVITE or UPDATE; there `uac` is us.
pub(super) fn answered_interval(headers: &Headers) -> Option<SessionInterval> {
    let expires = headers.session_expires().ok().flatten()?;
    let refresher = expires.refresher.map(|refresher| match refresher {
        RefresherParam::Uac => Refresher::Us,
        RefresherParam::Uas => Refresher::Peer,
    });
    take_answer(Some(expires.interval_s), refresher)
}

pub(super) fn add_description(request: &mut Request, description: Bytes) {
    request.headers.push(HeaderName::ContentType, "application/sdp");
    request.body = description;
}
