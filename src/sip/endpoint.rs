//! The endpoint: every message, command and deadline enters here, and finds its transaction and session.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use bytes::Bytes;
use rand::rngs::StdRng;

use super::answer::{AnswerBase, answer_flow};
use super::arrival::{Arrival, bounded, user_text};
use super::command::{Command, CommandError, OutgoingInvite};
use super::common::{Common, own_branch};
use super::config::{Admission, EndpointConfig, Strangers};
use super::dialog::{Dialog, LocalTag};
use super::event::{RefusedRequest, SipEvent};
use super::flow::{Flow, Transmit};
use super::load::{Load, Place, Shed};
use super::offer_answer::check_offer;
use super::refusals::{Kind, Refusals};
use super::rejection::Rejection;
use super::screening::{screen_hops, screen_request_line, screen_require, screen_session_request, screen_size};
use super::session::{InviteSession, Invited};
use super::timers::Timer;
use super::transaction::ClientKey;
use super::transaction::server::AckOutcome;
use crate::wire::sip::{Fault, HeaderName, Message, Method, ParseError, Request, Response};
use crate::words::ids::SessionKey;

/// Who is turned away because too many called in one second may come again after 1 to this many seconds: not all at once.
const RETRY_AFTER_S_MAX: u64 = 4;

/// How much the endpoint holds at the moment. All zero once every call is over and 64·T1 have passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub sessions: usize,
    pub transactions: usize,
    pub timers: usize,
}

/// A SIP user agent, server and client, without input or output.
///
/// After every `handle_…`, [`invite`](Endpoint::invite) and command, drain [`poll_transmit`](Endpoint::poll_transmit) and
/// [`poll_event`](Endpoint::poll_event), and call [`handle_timeout`](Endpoint::handle_timeout) at
/// [`poll_timeout`](Endpoint::poll_timeout).
pub struct Endpoint {
    common: Common,
    admission: Admission,
    sessions: HashMap<SessionKey, Entry>,
    by_tag: HashMap<LocalTag, SessionKey>,
    /// The INVITEs that made the sessions, by Call-ID and From tag: whichever comes again makes no second call.
    by_invite: HashMap<Box<[u8]>, SessionKey>,
    by_connection: BTreeSet<(u64, SessionKey)>,
    last_session: u64,
    load: Load,
}

/// A session, and by what it is found.
struct Entry {
    session: InviteSession,
    tag: LocalTag,
    invite: Option<Box<[u8]>>,
    connection: u64,
    /// The part of the load that it is, until it has ended. A call of ours is none.
    place: Option<Place>,
}

impl Endpoint {
    /// `random` makes tags, branches and Call-IDs: seed it from the operating system, or with a number in a test.
    pub fn new(config: EndpointConfig, random: StdRng) -> Endpoint {
        let repeated_for = config.t1.saturating_mul(64);
        Endpoint {
            load: Load::new(&config.trunks, config.calls_per_second, config.max_sessions, repeated_for),
            common: Common::new(config, random),
            admission: Admission::Open,
            sessions: HashMap::new(),
            by_tag: HashMap::new(),
            by_invite: HashMap::new(),
            by_connection: BTreeSet::new(),
            last_session: 0,
        }
    }

    /// One datagram, or one framed message of a connection.
    pub fn handle_message(&mut self, now: Instant, flow: &Flow, bytes: Bytes) {
        match Message::parse(&bytes) {
            Ok(Message::Request(request)) => self.handle_request(now, flow, request, bytes.len()),
            Ok(Message::Response(response)) => self.handle_response(now, &response),
            Err(error) => self.handle_malformed(now, flow, &error, bytes.len()),
        }
    }

    /// A TCP connection is gone. Calls in set-up on it end; calls that are up go on, since their media flows elsewhere
    /// and the peer may come back on another connection.
    pub fn handle_flow_lost(&mut self, _now: Instant, connection: u64) {
        let first = (connection, SessionKey(0));
        let last = (connection, SessionKey(u64::MAX));
        let lost: Vec<SessionKey> = self.by_connection.range(first..=last).map(|(_, key)| *key).collect();
        for key in lost.into_iter().filter(|_| connection != 0) {
            self.with_session(key, |session, common| session.handle_flow_lost(common));
        }
    }

    pub fn handle_command(&mut self, now: Instant, command: Command) -> Result<(), CommandError> {
        let outcome = match command {
            Command::Ring { session } => self.with_session(session, |session, common| session.ring(now, common)),
            Command::Accept { session, media } => {
                self.with_session(session, |session, common| session.accept(now, common, media))
            }
            Command::Reject { session, refusal } => {
                self.with_session(session, |session, common| session.reject(now, common, refusal))
            }
            Command::HangUp { session, reason } => {
                self.with_session(session, |session, common| session.hang_up(now, common, reason))
            }
            Command::Cancel { session } => self.with_session(session, |session, common| session.cancel(now, common)),
            Command::Info { session, content_type, body } => {
                self.with_session(session, |session, common| session.send_info(now, common, content_type, body))
            }
            Command::Reinvite { session, media } => self.with_session(session, |session, common| {
                session.send_reoffer(now, common, Method::Invite, media, true)
            }),
            Command::ReinviteWithoutOffer { session, media } => self.with_session(session, |session, common| {
                session.send_reoffer(now, common, Method::Invite, media, false)
            }),
            Command::Update { session, media } => self.with_session(session, |session, common| {
                session.send_reoffer(now, common, Method::Update, media, true)
            }),
            Command::Options { session } => {
                self.with_session(session, |session, common| session.send_options(now, common))
            }
        };
        outcome.unwrap_or(Err(CommandError::NoSuchSession))
    }

    /// Calls somebody. `Ended` follows once, whatever happens.
    pub fn invite(&mut self, now: Instant, call: OutgoingInvite) -> Result<SessionKey, CommandError> {
        if self.sessions.len() >= self.common.config.max_sessions || !self.common.has_room() {
            return Err(CommandError::Full);
        }
        let key = self.next_session();
        let (session, tag) = InviteSession::call(now, &mut self.common, key, call)?;
        self.insert(key, session, tag, None, None);
        Ok(key)
    }

    /// Does everything whose time has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.common.out.timers.pop_due(now) {
            match timer {
                Timer::Server { transaction, timer } => {
                    self.common.servers.handle_timer(now, transaction, timer, &mut self.common.out);
                }
                Timer::Client { transaction, timer } => {
                    let user = self.common.clients.handle_timer(now, transaction, timer, &mut self.common.out);
                    if let Some(user) = user {
                        self.with_session(user.session, |session, common| {
                            session.handle_no_response(now, common, transaction, user.purpose);
                        });
                    }
                }
                Timer::Session { session, timer } => {
                    self.with_session(session, |session, common| session.handle_timer(now, common, timer));
                }
            }
        }
    }

    /// When [`handle_timeout`](Endpoint::handle_timeout) is next needed.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_timer().map(|(at, _)| at)
    }

    /// The next deadline, and what it is for.
    pub fn next_timer(&self) -> Option<(Instant, Timer)> {
        self.common.out.timers.next()
    }

    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.common.out.transmits.pop_front()
    }

    pub fn poll_event(&mut self) -> Option<SipEvent> {
        self.common.out.events.pop_front()
    }

    /// Opens or closes the door for new calls.
    pub fn set_accepting(&mut self, admission: Admission) {
        self.admission = admission;
    }

    pub fn counts(&self) -> Counts {
        Counts {
            sessions: self.sessions.len(),
            transactions: self.common.transactions(),
            timers: self.common.out.timers.len(),
        }
    }

    /// Everything that was refused so far.
    pub fn refusals(&self) -> &Refusals {
        &self.common.refused.counts
    }

    fn handle_request(&mut self, now: Instant, flow: &Flow, request: Request, bytes: usize) {
        let trunk = self.common.config.trunks.find(flow.remote.ip());
        // What was parsed has all that this reads.
        let Ok(arrival) = Arrival::new(flow, trunk, bytes, request) else {
            return;
        };
        if arrival.request.method == Method::Ack {
            self.handle_ack(now, &arrival);
            return;
        }
        if let Some(number) = self.common.servers.find(&arrival.transaction_key()) {
            self.common.servers.handle_request_again(number, &mut self.common.out);
            return;
        }
        let outcome = match screen_request_line(&arrival) {
            Err(rejection) => Err(rejection),
            Ok(()) if arrival.request.method == Method::Cancel => self.handle_cancel(now, &arrival),
            Ok(()) if arrival.to.tag().is_some() => self.handle_in_dialog(now, &arrival),
            Ok(()) if !arrival.is_trusted() => self.handle_stranger(&arrival),
            Ok(()) => match arrival.request.method {
                Method::Invite => self.handle_invite(now, &arrival),
                Method::Options => self.handle_options(now, &arrival),
                _ => Err(Rejection::no_such_dialog()),
            },
        };
        if let Err(rejection) = outcome {
            self.refuse(now, &arrival, rejection);
        }
    }

    /// An INVITE of a trunk that belongs to no dialog: perhaps a call.
    fn handle_invite(&mut self, now: Instant, arrival: &Arrival) -> Result<(), Rejection> {
        let invite = arrival.invite_key();
        if self.by_invite.contains_key(&invite) {
            // The same INVITE by another way (section 8.2.2.2), or one that comes so late that its transaction is gone.
            return Err(Rejection::new(482, "this INVITE has come already, by another way"));
        }
        // Before anything is read closely, and before anything is kept.
        let number = self.common.hash(&arrival.transaction_key());
        if let Some(why) = self.load.was_turned_away(now, number) {
            self.turn_away(arrival, number, why);
            return Ok(());
        }
        if let Some(why) = self.overload(now, arrival) {
            self.turn_away(arrival, number, why);
            self.load.turn_away(now, number, why);
            self.common.note_refused(now, Kind::Shed(why), Some(503), || arrival.refused(why.words().to_owned()));
            return Ok(());
        }
        let request = screen_session_request(arrival, self.common.timer_wish())?;
        let offer = request.offer.as_ref();
        let peer_rtp = offer.map(|offer| check_offer(offer, &self.common.config.codecs)).transpose()?;
        screen_hops(arrival)?;
        screen_size(arrival)?;

        let key = self.next_session();
        let base = arrival.answer_base();
        let flow = arrival.answer_flow();
        let common = &mut self.common;
        let transaction = common.servers.begin_invite(arrival.transaction_key(), flow, Some(key));
        let mut trying = base.answer(100, None);
        if let Some(timestamp) = arrival.request.headers.get(&HeaderName::Timestamp) {
            // Section 8.2.6.1.
            trying.headers.push(HeaderName::Timestamp, timestamp.clone());
        }
        common.servers.answer_invite(now, transaction, 100, trying.write(), &mut common.out);
        let tag = LocalTag::new(&mut common.random);
        let dialog = Dialog::of_invite(arrival, tag, &mut common.random);
        let invited = Invited { transaction, base, flow, tag, sequence: arrival.sequence, request };
        let session = InviteSession::of_invite(now, common, key, arrival, dialog, invited);
        common.out.event(SipEvent::Incoming { session: key, call: arrival.incoming_call(peer_rtp) });
        let trunk = arrival.trunk.as_ref().map(|(name, _)| name.clone());
        let place = trunk.map(|trunk| self.load.begin(trunk, arrival.flow.remote.ip()));
        self.insert(key, session, tag, Some(invite), place);
        Ok(())
    }

    /// Why this new INVITE can't become a call now, however good it is.
    fn overload(&mut self, now: Instant, arrival: &Arrival) -> Option<Shed> {
        match self.admission {
            Admission::Draining { .. } => return Some(Shed::Draining),
            Admission::Full => return Some(Shed::Calls),
            Admission::Open => {}
        }
        if self.sessions.len() >= self.common.config.max_sessions || !self.common.has_room() {
            return Some(Shed::Tables);
        }
        let (trunk, _) = arrival.trunk.as_ref()?;
        self.load.admit(now, trunk, arrival.flow.remote.ip()).err()
    }

    /// 503, the same for the same INVITE, and nothing kept.
    fn turn_away(&mut self, arrival: &Arrival, number: u64, why: Shed) {
        let retry_after_s = match (why, self.admission) {
            (Shed::Draining, Admission::Draining { retry_after_s }) => retry_after_s,
            (Shed::CallsPerSecond, _) => u32::try_from(number % RETRY_AFTER_S_MAX).unwrap_or(0).saturating_add(1),
            _ => self.common.config.retry_after_s,
        };
        self.common.refuse_and_forget(arrival, &Rejection::unavailable(retry_after_s, why.words()));
    }

    /// Section 11: a trunk asks whether we are there.
    fn handle_options(&mut self, now: Instant, arrival: &Arrival) -> Result<(), Rejection> {
        screen_require(&arrival.request.headers)?;
        if let Admission::Draining { retry_after_s } = self.admission {
            return Err(Rejection::unavailable(retry_after_s, "the server is about to end"));
        }
        let tag = self.common.stateless_tag(&arrival.transaction_key());
        let response = self.common.options_ok(&arrival.answer_base(), &arrival.flow, tag);
        self.common.answer_other(now, arrival, response);
        Ok(())
    }

    fn handle_in_dialog(&mut self, now: Instant, arrival: &Arrival) -> Result<(), Rejection> {
        let key = self.find_session(arrival).ok_or_else(Rejection::no_such_dialog)?;
        self.with_session(key, |session, common| session.handle_request(now, common, arrival));
        Ok(())
    }

    fn handle_ack(&mut self, now: Instant, arrival: &Arrival) {
        let transaction = self.common.servers.find(&arrival.invite_transaction_key());
        let outcome = transaction.map(|number| self.common.servers.handle_ack(now, number, &mut self.common.out));
        if outcome == Some(AckOutcome::Absorbed) {
            return;
        }
        if let Some(key) = self.find_session(arrival) {
            self.with_session(key, |session, common| session.handle_ack(now, common, arrival));
        }
    }

    /// Section 9.2. The CANCEL's own answer has the tag of the INVITE's.
    fn handle_cancel(&mut self, now: Instant, arrival: &Arrival) -> Result<(), Rejection> {
        let invite = self.common.servers.find(&arrival.invite_transaction_key());
        let number = invite.ok_or_else(|| Rejection::new(481, "no such INVITE to cancel"))?;
        let session = self.common.servers.session_of(number);
        let tag = session.and_then(|(key, _)| self.sessions.get(&key)).map(|entry| entry.tag);
        let tag = tag.unwrap_or_else(|| self.common.stateless_tag(&arrival.invite_transaction_key()));
        let response = arrival.answer_base().answer(200, Some(&tag.to_string()));
        self.common.answer_other(now, arrival, response);
        if let Some((key, true)) = session {
            self.with_session(key, |session, common| session.handle_cancel(now, common));
        }
        Ok(())
    }

    /// A source that is in no trunk learns no more than that somebody is here.
    fn handle_stranger(&mut self, arrival: &Arrival) -> Result<(), Rejection> {
        if arrival.request.method != Method::Options {
            return Err(Rejection::new(403, "the source is in no trunk"));
        }
        if self.answer_stranger(arrival, 200) {
            return Ok(());
        }
        Err(Rejection::new(403, "the source is in no trunk"))
    }

    fn handle_response(&mut self, now: Instant, response: &Response) {
        // Section 18.1.2: another Via than ours alone: it was never for us.
        let mut vias = response.headers.values(&HeaderName::Via);
        if vias.next().is_none() || vias.next().is_some() {
            return;
        }
        let (Ok(via), Ok(cseq)) = (response.headers.top_via(), response.headers.cseq()) else {
            return;
        };
        let Some(branch) = own_branch(&via) else { return };
        let transaction = ClientKey { branch, cancel: cseq.method == Method::Cancel };
        let common = &mut self.common;
        let Some(user) = common.clients.handle_response(now, transaction, response, &mut common.out) else {
            return;
        };
        self.with_session(user.session, |session, common| {
            session.handle_response(now, common, transaction, user.purpose, response);
        });
    }

    /// What could not be read is answered, where it can be, and forgotten.
    fn handle_malformed(&mut self, now: Instant, flow: &Flow, error: &ParseError, bytes: usize) {
        let is_trusted = self.common.config.trunks.find(flow.remote.ip()).is_some();
        let mut status = None;
        let mut refused = RefusedRequest {
            suppressed: 0,
            flow: *flow,
            method: String::new(),
            status: None,
            caller: None,
            called: None,
            sip_call_id: None,
            why: error.to_string(),
        };
        if let Some(answer) = &error.answer {
            let headers = &answer.request.headers;
            let via = headers.top_via().ok();
            let base = AnswerBase::new(headers, via.as_ref(), flow);
            let call_id = headers.call_id().cloned().unwrap_or_default();
            let tag = self.common.stateless_tag(&call_id);
            let response = base.answer(answer.status, Some(&tag.to_string())).write();
            let is_small = response.len() <= bytes && self.answers_strangers();
            if is_trusted || is_small {
                status = Some(answer.status);
                let flow = via.map_or(*flow, |via| answer_flow(flow, &via));
                self.common.out.transmit(flow, response);
            }
            refused.caller = headers.from().ok().map(|from| user_text(&from.uri));
            refused.method = bounded(answer.request.method.as_str());
            refused.sip_call_id = Some(bounded(&String::from_utf8_lossy(&call_id)));
        } else if error.fault == Fault::KeepAlive {
            return;
        }
        let kind = if is_trusted { Kind::Unreadable } else { Kind::Stranger };
        self.common.note_refused(now, kind, status, || refused);
    }

    fn refuse(&mut self, now: Instant, arrival: &Arrival, rejection: Rejection) {
        let mut status = Some(rejection.status);
        let mut kind = Kind::Status(rejection.status);
        if arrival.is_trusted() {
            self.common.refuse(now, arrival, &rejection, None);
        } else {
            kind = Kind::Stranger;
            status = status.filter(|_| self.answer_stranger(arrival, rejection.status));
        }
        self.common.note_refused(now, kind, status, || arrival.refused(rejection.why));
    }

    /// Sends a stranger an answer that is not larger than his question: who forges a source address gains nothing by it.
    fn answer_stranger(&mut self, arrival: &Arrival, status: u16) -> bool {
        if !self.answers_strangers() {
            return false;
        }
        let tag = self.common.stateless_tag(&arrival.transaction_key());
        let bytes = arrival.answer_base().answer(status, Some(&tag.to_string())).write();
        let may_be_sent = bytes.len() <= arrival.bytes;
        if may_be_sent {
            self.common.out.transmit(arrival.answer_flow(), bytes);
        }
        may_be_sent
    }

    fn answers_strangers(&self) -> bool {
        self.common.config.strangers == Strangers::Refuse
    }

    /// The session in whose dialog a request is.
    fn find_session(&self, arrival: &Arrival) -> Option<SessionKey> {
        let key = *self.by_tag.get(&arrival.local_tag()?)?;
        let dialog = self.sessions.get(&key)?.session.dialog()?;
        dialog.matches(arrival.call_id(), arrival.from.tag()).then_some(key)
    }

    fn next_session(&mut self) -> SessionKey {
        self.last_session = self.last_session.wrapping_add(1);
        SessionKey(self.last_session)
    }

    fn insert(
        &mut self,
        key: SessionKey,
        session: InviteSession,
        tag: LocalTag,
        invite: Option<Box<[u8]>>,
        place: Option<Place>,
    ) {
        let connection = session.connection();
        if connection != 0 {
            self.by_connection.insert((connection, key));
        }
        self.by_tag.insert(tag, key);
        if let Some(invite) = &invite {
            self.by_invite.insert(invite.clone(), key);
        }
        self.sessions.insert(key, Entry { session, tag, invite, connection, place });
    }

    /// Lets a session do something, and takes it out when it is over. `None` where there is no such session.
    fn with_session<T>(
        &mut self,
        key: SessionKey,
        act: impl FnOnce(&mut InviteSession, &mut Common) -> T,
    ) -> Option<T> {
        let entry = self.sessions.get_mut(&key)?;
        let result = act(&mut entry.session, &mut self.common);
        let (before, after) = (entry.connection, entry.session.connection());
        entry.connection = after;
        let is_over = entry.session.is_over();
        if let Some(place) = entry.place.take_if(|_| entry.session.has_ended()) {
            self.load.end(place);
        } else if let Some(place) = entry.place.as_mut().filter(|_| !entry.session.awaits_ack()) {
            self.load.acknowledged(place);
        }
        if before != after || is_over {
            self.by_connection.remove(&(before, key));
        }
        if is_over {
            if let Some(entry) = self.sessions.remove(&key) {
                self.by_tag.remove(&entry.tag);
                entry.invite.map(|invite| self.by_invite.remove(&invite));
            }
        } else if before != after && after != 0 {
            self.by_connection.insert((after, key));
        }
        Some(result)
    }
}
