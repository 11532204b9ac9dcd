//! Our INVITE, from the first datagram to its ACK.
//!
//! ```text
//!   INVITE ──> 1xx ──> 2xx: ACK, and the call is up (or ACK and BYE: hung up meanwhile, no use, a fork's second answer)
//!               │  └─> 3xx-6xx: the transaction acknowledges
//!               └─ CANCEL ──> 487, or a 200 that was faster: ACK and BYE
//! ```

use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::RngExt;

use super::super::command::{CommandError, HangUpReason, OutgoingInvite};
use super::super::common::Common;
use super::super::dialog::{Dialog, LocalTag, MAX_FORWARDS, first_sequence};
use super::super::event::{EndReason, SipEvent};
use super::super::timers::SessionTimer;
use super::super::transaction::ClientKey;
use super::super::transaction::client::{ClientUser, Purpose};
use super::uac::{add_description, answered_interval};
use super::{InviteSession, Phase};
use crate::wire::sip::{CSeq, HeaderName, Headers, Method, NameAddr, Request, Response, Uri, ValueError};
use crate::words::ids::SessionKey;

/// How long after the last sign of life a called side may keep silent: a proxy's timer C, more than three minutes
/// (RFC 3261 section 16.6).
const PROCEEDING_MAX: Duration = Duration::from_secs(181);

/// Our INVITE has no final answer yet.
#[derive(Debug)]
pub(super) struct Calling {
    pub transaction: ClientKey,
    tag: LocalTag,
    has_offer: bool,
    has_progress: bool,
    cancel: Cancel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cancel {
    No,
    /// It has to wait for a provisional answer (section 9.1).
    Wanted,
    Sent,
}

impl InviteSession {
    /// Sends an INVITE.
    pub fn call(
        now: Instant,
        common: &mut Common,
        key: SessionKey,
        call: OutgoingInvite,
    ) -> Result<(InviteSession, LocalTag), CommandError> {
        let bad = |error: ValueError| CommandError::BadValue(error.to_string());
        let target = Uri::parse(call.target.as_bytes()).map_err(bad)?;
        let tag = LocalTag::new(&mut common.random);
        let from = NameAddr::new(Uri::parse(call.from.as_bytes()).map_err(bad)?)
            .with_display(call.from_display.as_deref().unwrap_or_default())
            .with_tag(tag.to_string());
        let (transaction, via) = common.new_branch(&call.flow);
        let phase = Phase::Calling(Calling {
            transaction,
            tag,
            has_offer: call.offer,
            has_progress: false,
            cancel: Cancel::No,
        });
        let mut session = InviteSession::new(key, call.flow, phase, None, common);
        let mut headers = Headers::new();
        headers.push(HeaderName::Via, via.to_bytes());
        headers.push(HeaderName::MaxForwards, MAX_FORWARDS);
        headers.push(HeaderName::From, from.to_bytes());
        headers.push(HeaderName::To, NameAddr::new(target.clone()).to_bytes());
        headers.push(HeaderName::CallId, format!("{:032x}", common.random.random::<u128>()));
        let number = first_sequence(&mut common.random);
        headers.push(HeaderName::CSeq, CSeq { number, method: Method::Invite }.to_bytes());
        common.describe_us(&mut headers, &call.flow, true);
        if let Some(identity) = &call.asserted_identity {
            let identity = NameAddr::new(Uri::parse(identity.as_bytes()).map_err(bad)?);
            headers.push(HeaderName::PAssertedIdentity, identity.to_bytes());
        }
        for (name, value) in &call.headers {
            headers.push(HeaderName::new(name.as_bytes()), value.clone());
        }
        let mut invite = Request { method: Method::Invite, uri: target, headers, body: Bytes::new() };
        if call.offer {
            add_description(&mut invite, session.description.offer(&call.media));
        }
        session.local = Some(call.media);
        let user = ClientUser { session: key, purpose: Purpose::Invite };
        common.clients.begin(now, transaction, call.flow, invite, user, &mut common.out);
        Ok((session, tag))
    }

    /// CANCEL, as soon as it may be sent.
    pub fn cancel(&mut self, now: Instant, common: &mut Common) -> Result<(), CommandError> {
        let key = self.key;
        let Phase::Calling(calling) = &mut self.phase else {
            return Err(CommandError::WrongState("its INVITE is answered already, or is not ours"));
        };
        if calling.cancel == Cancel::Sent {
            return Ok(());
        }
        if !calling.has_progress {
            calling.cancel = Cancel::Wanted;
            return Ok(());
        }
        calling.cancel = Cancel::Sent;
        let transaction = calling.transaction;
        common.out.timers.cancel(&mut self.limit);
        // Section 9.1: an INVITE that is not answered in 64·T1 after its CANCEL counts as cancelled.
        self.limit = self.set(now, common, common.out.timing.give_up(), SessionTimer::Proceeding);
        if let Some(invite) = common.clients.invite(transaction) {
            let cancel = cancel_of(invite);
            let user = ClientUser { session: key, purpose: Purpose::Cancel };
            let cancel_key = ClientKey { cancel: true, ..transaction };
            common.clients.begin(now, cancel_key, self.flow, cancel, user, &mut common.out);
        }
        Ok(())
    }

    pub(super) fn handle_proceeding_timer(&mut self, now: Instant, common: &mut Common) {
        let Phase::Calling(calling) = &self.phase else { return };
        if calling.cancel == Cancel::Sent {
            common.clients.remove(calling.transaction, &mut common.out);
            self.end(common, EndReason::Cancelled);
            self.finish(common);
        } else {
            self.end(common, EndReason::NoAnswer);
            // It has progressed, or the INVITE's own timer B would have come first: this can't be refused.
            let _ = self.cancel(now, common);
        }
    }

    pub(super) fn handle_progress(&mut self, now: Instant, common: &mut Common, response: &Response) {
        let Phase::Calling(calling) = &mut self.phase else {
            return;
        };
        let is_wanted = calling.cancel == Cancel::Wanted;
        calling.has_progress = true;
        if calling.cancel == Cancel::Sent {
            return;
        }
        common.out.timers.cancel(&mut self.limit);
        self.limit = self.set(now, common, PROCEEDING_MAX, SessionTimer::Proceeding);
        if response.status > 100 && !self.has_ended {
            common.out.event(SipEvent::Progress { session: self.key, status: response.status });
        }
        if is_wanted {
            let _ = self.cancel(now, common);
        }
    }

    pub(super) fn handle_invite_refused(&mut self, common: &mut Common, reason: EndReason) {
        let Phase::Calling(calling) = &self.phase else { return };
        let reason = match reason {
            EndReason::Refused { status: 487, .. } if calling.cancel != Cancel::No => EndReason::Cancelled,
            EndReason::NoAnswer if calling.cancel != Cancel::No => EndReason::Cancelled,
            other => other,
        };
        self.end(common, reason);
        self.finish(common);
    }

    pub(super) fn handle_invite_ok(
        &mut self,
        now: Instant,
        common: &mut Common,
        transaction: ClientKey,
        response: &Response,
    ) {
        let Some(dialog) = self.dialog_of(common, transaction, response) else {
            return;
        };
        if !matches!(self.phase, Phase::Calling(_)) {
            self.handle_invite_ok_again(now, common, &dialog);
            return;
        }
        let Phase::Calling(calling) = std::mem::replace(&mut self.phase, Phase::Confirmed) else {
            return;
        };
        common.out.timers.cancel(&mut self.limit);
        let sequence = dialog.local_sequence();
        self.dialog = Some(dialog);
        self.note_abilities(&response.headers);
        let described = match self.local.clone() {
            Some(local) => self.take_description(response, &local, calling.has_offer),
            None => return,
        };
        let (body, agreed) = match described {
            Ok((body, media)) => (body, Ok(media)),
            Err(unacceptable) => (None, Err(unacceptable)),
        };
        self.acknowledge(common, sequence, body);
        self.is_established = self.has_ended;
        if self.has_ended {
            // Hung up, or given up, while the 200 was on its way.
            self.leave(now, common, HangUpReason::Normal);
        } else if calling.cancel != Cancel::No {
            self.end(common, EndReason::Cancelled);
            self.leave(now, common, HangUpReason::Normal);
        } else {
            match agreed {
                Ok(media) => {
                    self.start_interval(now, common, answered_interval(&response.headers));
                    self.tell_agreed(common, media);
                    self.tell_established(common);
                }
                Err(unacceptable) => self.leave_for_want_of_media(now, common, unacceptable),
            }
        }
    }

    /// A 2xx after the first one: our ACK was lost, or the call was forked and somebody else answered too. That one gets
    /// its ACK, and BYE (section 13.2.2.4).
    fn handle_invite_ok_again(&mut self, now: Instant, common: &mut Common, dialog: &Dialog) {
        let is_ours = self.dialog.as_ref().is_some_and(|ours| ours.is_same(dialog));
        if is_ours {
            self.acknowledge_again(common, dialog.local_sequence());
            return;
        }
        let mut stray = dialog.clone();
        let hop = stray.next_hop(&self.flow);
        let (_, via) = common.new_branch(&hop);
        let ack = stray.ack(stray.local_sequence(), &via);
        common.out.transmit(hop, ack.write());
        let (key, via) = common.new_branch(&hop);
        let bye = stray.request(Method::Bye, &via);
        let user = ClientUser { session: self.key, purpose: Purpose::StrayBye };
        common.clients.begin(now, key, hop, bye, user, &mut common.out);
    }

    /// The dialog that a 2xx to our INVITE makes.
    fn dialog_of(&self, common: &Common, transaction: ClientKey, response: &Response) -> Option<Dialog> {
        let tag = match (&self.phase, &self.dialog) {
            (Phase::Calling(calling), _) => calling.tag,
            (_, Some(dialog)) => dialog.local_tag,
            _ => return None,
        };
        Some(Dialog::of_answer(common.clients.invite(transaction)?, response, tag))
    }
}

/// Section 9.1: the INVITE's Request-URI, Via, From, To, Call-ID, Route and number.
fn cancel_of(invite: &Request) -> Request {
    const KEPT: [HeaderName; 6] = [
        HeaderName::Via,
        HeaderName::Route,
        HeaderName::MaxForwards,
        HeaderName::From,
        HeaderName::To,
        HeaderName::CallId,
    ];
    let mut headers = Headers::new();
    for header in invite.headers.iter().filter(|header| KEPT.contains(&header.name)) {
        headers.push(header.name.clone(), header.value.clone());
    }
    if let Ok(cseq) = invite.headers.cseq() {
        headers.push(HeaderName::CSeq, CSeq { number: cseq.number, method: Method::Cancel }.to_bytes());
    }
    Request { method: Method::Cancel, uri: invite.uri.clone(), headers, body: Bytes::new() }
}
