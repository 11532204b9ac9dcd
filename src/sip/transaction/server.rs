//! Server transactions.
//!
//! ```text
//!   INVITE                                                     anything else
//!   ──────                                                     ─────────────
//!   Proceeding ──1xx──> (resent for each INVITE that comes     Answered: the answer is resent for each request that
//!      │                 again)                                  comes again, until J
//!      ├──2xx──> Accepted: INVITEs that come again are
//!      │           absorbed (the session resends its 200,
//!      │           RFC 6026), until L                           Over TCP nothing comes again: J and I are zero.
//!      └──3xx-6xx──> Completed: resent by G (UDP) and for each
//!                      INVITE, until ACK or H
//!                      └──ACK──> Confirmed: ACKs absorbed, until I
//! ```

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::super::flow::Flow;
use super::super::outbox::Outbox;
use super::super::timers::{Timer, TimerKey};
use crate::words::ids::SessionKey;

/// Names one server transaction while the process runs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransactionNumber(u64);

impl fmt::Debug for TransactionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "transaction-{}", self.0)
    }
}

/// The timers of RFC 3261 table 4 and RFC 6026 section 7.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerTimer {
    /// Resends a final answer to an INVITE.
    G,
    /// No ACK came for it.
    H,
    /// ACKs that come again have come by now.
    I,
    /// Requests that come again have come by now.
    J,
    /// INVITEs that come again after a 200 have come by now.
    L,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// INVITE: no final answer yet.
    Proceeding,
    /// INVITE: answered with 3xx to 6xx, and not acknowledged.
    Completed,
    /// INVITE: acknowledged.
    Confirmed,
    /// INVITE: answered with 2xx.
    Accepted,
    /// Not an INVITE: answered.
    Answered,
}

#[derive(Debug)]
struct ServerTransaction {
    key: Arc<[u8]>,
    state: State,
    /// Where answers go (RFC 3261 section 18.2.2).
    flow: Flow,
    /// The last answer; empty before the first one.
    answer: Bytes,
    /// The session that an INVITE belongs to, for CANCEL.
    session: Option<SessionKey>,
    resend_interval: Duration,
    resend: Option<TimerKey>,
    end: Option<TimerKey>,
}

/// What an ACK was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum AckOutcome {
    /// For a final answer that was no success: dealt with.
    Absorbed,
    /// For a 2xx: the session's.
    ForSession,
}

/// All server transactions.
#[derive(Debug, Default)]
pub(in super::super) struct ServerTransactions {
    by_key: HashMap<Arc<[u8]>, TransactionNumber>,
    transactions: HashMap<TransactionNumber, ServerTransaction>,
    last_number: u64,
}

impl ServerTransactions {
    pub fn len(&self) -> usize {
        self.transactions.len()
    }

    /// The transaction that a request with this key belongs to (RFC 3261 section 17.2.3).
    pub fn find(&self, key: &[u8]) -> Option<TransactionNumber> {
        self.by_key.get(key).copied()
    }

    /// The session whose INVITE this is, and whether it still waits for its final answer.
    pub fn session_of(&self, number: TransactionNumber) -> Option<(SessionKey, bool)> {
        let transaction = self.transactions.get(&number)?;
        Some((transaction.session?, transaction.state == State::Proceeding))
    }

    /// A new INVITE. Its answers follow by [`answer_invite`](Self::answer_invite).
    pub fn begin_invite(&mut self, key: Vec<u8>, flow: Flow, session: Option<SessionKey>) -> TransactionNumber {
        self.insert(key, flow, State::Proceeding, Bytes::new(), session)
    }

    /// A request other than INVITE, with its final answer. Over a reliable transport nothing is kept (timer J is zero).
    pub fn answer_other(&mut self, now: Instant, key: Vec<u8>, flow: Flow, answer: Bytes, out: &mut Outbox) {
        out.transmit(flow, answer.clone());
        if flow.transport.is_reliable() {
            return;
        }
        let number = self.insert(key, flow, State::Answered, answer, None);
        let end = out.set_in_row(now, out.timing.give_up(), timer(number, ServerTimer::J));
        if let Some(transaction) = self.transactions.get_mut(&number) {
            transaction.end = end;
        }
    }

    /// An answer of the session's to its INVITE. A second final answer is not sent: the caller asks the state first.
    pub fn answer_invite(
        &mut self,
        now: Instant,
        number: TransactionNumber,
        status: u16,
        answer: Bytes,
        out: &mut Outbox,
    ) {
        let Some(transaction) = self.transactions.get_mut(&number) else {
            return;
        };
        if transaction.state != State::Proceeding {
            return;
        }
        out.transmit(transaction.flow, answer.clone());
        match status {
            0..200 => transaction.answer = answer,
            200..300 => {
                // Timer L. The session resends the 200 itself, so its bytes are not needed here.
                transaction.state = State::Accepted;
                transaction.answer = Bytes::new();
                transaction.end = out.set_in_row(now, out.timing.give_up(), timer(number, ServerTimer::L));
            }
            _ => {
                transaction.state = State::Completed;
                transaction.answer = answer;
                transaction.resend_interval = out.timing.t1;
                transaction.end = out.set(now, out.timing.give_up(), timer(number, ServerTimer::H));
                if !transaction.flow.transport.is_reliable() {
                    transaction.resend = out.set(now, out.timing.t1, timer(number, ServerTimer::G));
                }
            }
        }
    }

    /// The same request came again.
    pub fn handle_request_again(&self, number: TransactionNumber, out: &mut Outbox) {
        let Some(transaction) = self.transactions.get(&number) else {
            return;
        };
        match transaction.state {
            State::Proceeding | State::Completed | State::Answered if !transaction.answer.is_empty() => {
                out.transmit(transaction.flow, transaction.answer.clone());
            }
            _ => {}
        }
    }

    /// An ACK whose branch is that of an INVITE here.
    pub fn handle_ack(&mut self, now: Instant, number: TransactionNumber, out: &mut Outbox) -> AckOutcome {
        let Some(transaction) = self.transactions.get_mut(&number) else {
            return AckOutcome::ForSession;
        };
        match transaction.state {
            State::Completed => {
                out.timers.cancel(&mut transaction.resend);
                out.timers.cancel(&mut transaction.end);
                transaction.state = State::Confirmed;
                transaction.answer = Bytes::new();
                if transaction.flow.transport.is_reliable() {
                    self.remove(number, out);
                } else {
                    transaction.end = out.set_in_row(now, out.timing.t4, timer(number, ServerTimer::I));
                }
                AckOutcome::Absorbed
            }
            State::Confirmed => AckOutcome::Absorbed,
            _ => AckOutcome::ForSession,
        }
    }

    pub fn handle_timer(&mut self, now: Instant, number: TransactionNumber, which: ServerTimer, out: &mut Outbox) {
        match which {
            ServerTimer::G => {
                let Some(transaction) = self.transactions.get_mut(&number) else {
                    return;
                };
                out.transmit(transaction.flow, transaction.answer.clone());
                transaction.resend_interval = out.timing.backed_off(transaction.resend_interval);
                transaction.resend = out.set(now, transaction.resend_interval, timer(number, ServerTimer::G));
            }
            // H: the peer never acknowledged a refusal. There is nothing left to end.
            ServerTimer::H | ServerTimer::I | ServerTimer::J | ServerTimer::L => self.remove(number, out),
        }
    }

    /// Ends a transaction at once: its connection is gone.
    pub fn remove(&mut self, number: TransactionNumber, out: &mut Outbox) {
        if let Some(mut transaction) = self.transactions.remove(&number) {
            out.timers.cancel(&mut transaction.resend);
            out.timers.cancel(&mut transaction.end);
            self.by_key.remove(&transaction.key);
        }
    }

    fn insert(
        &mut self,
        key: Vec<u8>,
        flow: Flow,
        state: State,
        answer: Bytes,
        session: Option<SessionKey>,
    ) -> TransactionNumber {
        self.last_number = self.last_number.wrapping_add(1);
        let number = TransactionNumber(self.last_number);
        let key: Arc<[u8]> = key.into();
        self.by_key.insert(key.clone(), number);
        let transaction = ServerTransaction {
            key,
            state,
            flow,
            answer,
            session,
            resend_interval: Duration::ZERO,
            resend: None,
            end: None,
        };
        self.transactions.insert(number, transaction);
        number
    }
}

fn timer(transaction: TransactionNumber, timer: ServerTimer) -> Timer {
    Timer::Server { transaction, timer }
}
