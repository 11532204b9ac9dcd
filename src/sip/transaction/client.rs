//! Client transactions.
//!
//! ```text
//!   INVITE                                                 anything else
//!   ──────                                                 ─────────────
//!   Calling: sent again by A (UDP), until B                Trying: sent again by E (UDP), until F
//!      ├──1xx──> Proceeding ─┐                                ├──1xx──> Proceeding: E is T2 now
//!      ├──2xx──> Accepted <──┤ each 2xx goes to the           └──final─> Completed: answers that come again
//!      │                     │ session, which acknowledges               are absorbed, until K
//!      │                     │ it; until M (RFC 6026)
//!      └──3xx-6xx─> Completed┘ ACK now and for each that
//!                              comes again, until D        Over TCP nothing is sent again: D and K are zero.
//! ```

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::super::flow::Flow;
use super::super::outbox::Outbox;
use super::super::timers::{Timer, TimerKey};
use crate::wire::sip::{CSeq, HeaderName, Headers, Message, Method, Request, Response};
use crate::words::ids::SessionKey;

/// RFC 3261 table 4, timer D: at least 32 s over UDP.
const TIMER_D: Duration = Duration::from_secs(32);

/// Names one client transaction: the number in its branch, and whether it is the CANCEL of the INVITE with that branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientKey {
    pub(in super::super) branch: u64,
    pub(in super::super) cancel: bool,
}

/// The timers of RFC 3261 table 4 and RFC 6026 section 7.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientTimer {
    /// Sends the INVITE again.
    A,
    /// No answer to the INVITE.
    B,
    /// Refusals of the INVITE that come again have come by now.
    D,
    /// Sends another request again.
    E,
    /// No final answer to another request.
    F,
    /// Answers that come again have come by now.
    K,
    /// 2xx that come again, or from other branches of a fork, have come by now.
    M,
}

/// What a session sent a request for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Purpose {
    Invite,
    Cancel,
    Reinvite,
    Update,
    Bye,
    /// Ends the dialog of a second 200 to a forked INVITE.
    StrayBye,
    Info,
    Options,
}

/// Whose transaction it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct ClientUser {
    pub session: SessionKey,
    pub purpose: Purpose,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Calling, or Trying.
    Waiting,
    Proceeding,
    /// INVITE: a 2xx came.
    Accepted,
    /// A final answer came; for an INVITE none of the 2xx.
    Completed,
}

struct ClientTransaction {
    user: ClientUser,
    state: State,
    flow: Flow,
    /// The request as it was sent.
    bytes: Bytes,
    /// INVITE: what an ACK for a refusal is made from; then the ACK itself is in `bytes`.
    invite: Option<Box<Request>>,
    resend_interval: Duration,
    resend: Option<TimerKey>,
    end: Option<TimerKey>,
}

/// All client transactions.
#[derive(Default)]
pub(in super::super) struct ClientTransactions {
    transactions: HashMap<ClientKey, ClientTransaction>,
}

impl ClientTransactions {
    pub fn len(&self) -> usize {
        self.transactions.len()
    }

    /// Sends a request whose top Via has the branch of `key`.
    pub fn begin(
        &mut self,
        now: Instant,
        key: ClientKey,
        flow: Flow,
        request: Request,
        user: ClientUser,
        out: &mut Outbox,
    ) {
        let is_invite = request.method == Method::Invite;
        let message = Message::Request(request);
        let bytes = message.write();
        let Message::Request(request) = message else { return };
        out.transmit(flow, bytes.clone());
        let (resend, end) = if is_invite { (ClientTimer::A, ClientTimer::B) } else { (ClientTimer::E, ClientTimer::F) };
        let resend = if flow.transport.is_reliable() { None } else { out.set(now, out.timing.t1, timer(key, resend)) };
        let transaction = ClientTransaction {
            user,
            state: State::Waiting,
            flow,
            bytes,
            invite: is_invite.then(|| Box::new(request)),
            resend_interval: out.timing.t1,
            resend,
            end: out.set(now, out.timing.give_up(), timer(key, end)),
        };
        self.transactions.insert(key, transaction);
    }

    /// Takes an answer. Gives back whose it is where the session must look at it: each provisional one, the first final
    /// one, and each 2xx to an INVITE.
    pub fn handle_response(
        &mut self,
        now: Instant,
        key: ClientKey,
        response: &Response,
        out: &mut Outbox,
    ) -> Option<ClientUser> {
        let transaction = self.transactions.get_mut(&key)?;
        let user = transaction.user;
        let is_invite = transaction.invite.is_some();
        let is_reliable = transaction.flow.transport.is_reliable();
        match (transaction.state, response.status) {
            (State::Waiting, 0..200) => {
                transaction.state = State::Proceeding;
                if is_invite {
                    // From here on the session decides how long it waits.
                    out.timers.cancel(&mut transaction.resend);
                    out.timers.cancel(&mut transaction.end);
                } else {
                    transaction.resend_interval = out.timing.t2;
                }
                Some(user)
            }
            (State::Proceeding, 0..200) => Some(user),
            (State::Waiting | State::Proceeding, 200..300) if is_invite => {
                out.timers.cancel(&mut transaction.resend);
                out.timers.cancel(&mut transaction.end);
                transaction.state = State::Accepted;
                transaction.end = out.set_in_row(now, out.timing.give_up(), timer(key, ClientTimer::M));
                Some(user)
            }
            (State::Accepted, 200..300) => Some(user),
            (State::Waiting | State::Proceeding, _) => {
                out.timers.cancel(&mut transaction.resend);
                out.timers.cancel(&mut transaction.end);
                transaction.state = State::Completed;
                if let Some(invite) = &transaction.invite {
                    transaction.bytes = acknowledge_refusal(invite, response);
                    out.transmit(transaction.flow, transaction.bytes.clone());
                }
                if is_reliable {
                    self.transactions.remove(&key);
                } else {
                    let (after, name) =
                        if is_invite { (TIMER_D, ClientTimer::D) } else { (out.timing.t4, ClientTimer::K) };
                    transaction.end = out.set_in_row(now, after, timer(key, name));
                }
                Some(user)
            }
            (State::Completed, 300..) if is_invite => {
                out.transmit(transaction.flow, transaction.bytes.clone());
                None
            }
            _ => None,
        }
    }

    /// Gives back whose transaction ended without a final answer.
    pub fn handle_timer(
        &mut self,
        now: Instant,
        key: ClientKey,
        which: ClientTimer,
        out: &mut Outbox,
    ) -> Option<ClientUser> {
        match which {
            ClientTimer::A | ClientTimer::E => {
                let transaction = self.transactions.get_mut(&key)?;
                out.transmit(transaction.flow, transaction.bytes.clone());
                // A doubles without a limit other than B's; E doubles up to T2 (sections 17.1.1.2 and 17.1.2.2).
                transaction.resend_interval = match which {
                    ClientTimer::A => transaction.resend_interval.saturating_mul(2),
                    _ => out.timing.backed_off(transaction.resend_interval),
                };
                transaction.resend = out.set(now, transaction.resend_interval, timer(key, which));
                None
            }
            ClientTimer::B | ClientTimer::F => self.remove(key, out),
            ClientTimer::D | ClientTimer::K | ClientTimer::M => {
                self.remove(key, out);
                None
            }
        }
    }

    /// The INVITE of a transaction, for its CANCEL and for the dialog that an answer makes.
    pub fn invite(&self, key: ClientKey) -> Option<&Request> {
        self.transactions.get(&key)?.invite.as_deref()
    }

    /// Forgets a transaction and its timers.
    pub fn remove(&mut self, key: ClientKey, out: &mut Outbox) -> Option<ClientUser> {
        let mut transaction = self.transactions.remove(&key)?;
        out.timers.cancel(&mut transaction.resend);
        out.timers.cancel(&mut transaction.end);
        Some(transaction.user)
    }
}

fn timer(transaction: ClientKey, timer: ClientTimer) -> Timer {
    Timer::Client { transaction, timer }
}

/// The ACK for a final answer that is no success: the INVITE's own transaction, with the answer's To (section 17.1.1.3).
fn acknowledge_refusal(invite: &Request, response: &Response) -> Bytes {
    const KEPT: [HeaderName; 5] =
        [HeaderName::Via, HeaderName::Route, HeaderName::MaxForwards, HeaderName::From, HeaderName::CallId];
    let mut headers = Headers::new();
    for header in invite.headers.iter().filter(|header| KEPT.contains(&header.name)) {
        headers.push(header.name.clone(), header.value.clone());
    }
    let to = response.headers.get(&HeaderName::To).or_else(|| invite.headers.get(&HeaderName::To));
    headers.push(HeaderName::To, to.cloned().unwrap_or_default());
    if let Ok(cseq) = invite.headers.cseq() {
        headers.push(HeaderName::CSeq, CSeq { number: cseq.number, method: Method::Ack }.to_bytes());
    }
    Request { method: Method::Ack, uri: invite.uri.clone(), headers, body: Bytes::new() }.write()
}
