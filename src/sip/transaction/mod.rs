//! Transactions: one request and its answers, and the retransmissions that UDP needs (RFC 3261 section 17, RFC 6026).
//!
//! `server` answers requests, `client` sends them. Both know nothing of dialogs and sessions: they keep bytes, times and
//! the number of whoever they belong to.

pub(super) mod client;
pub(super) mod server;

pub use client::{ClientKey, ClientTimer};
pub use server::{ServerTimer, TransactionNumber};
