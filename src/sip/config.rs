//! What an endpoint is told once, and the bounds it keeps.

use std::net::SocketAddr;
use std::time::Duration;

use super::trunk::TrunkTable;
use crate::words::media::Codec;

/// RFC 3261 section 17.1.1.1: the estimate of the round trip from which all other timers follow.
pub const T1: Duration = Duration::from_millis(500);

/// RFC 3261 section 17.1.2.2: the longest distance between two retransmissions.
pub const T2: Duration = Duration::from_secs(4);

/// RFC 3261 section 17.1.2.2: the longest time that a message stays in the network.
pub const T4: Duration = Duration::from_secs(5);

/// Everything an [`Endpoint`](super::Endpoint) needs to know before its first message.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// Whose calls are taken. An endpoint that only calls (a UAC) may have none.
    pub trunks: TrunkTable,
    /// Sessions at one time, in both directions; the next INVITE gets 503.
    pub max_sessions: usize,
    /// Transactions at one time; the next request gets a stateless 503. Each call leaves some four of them behind for
    /// 64·T1, so 300 calls a second need 40,000.
    pub max_transactions: usize,
    /// Seconds in the Retry-After of a 503.
    pub retry_after_s: u32,
    /// The Server (and User-Agent) header of messages to trunks. Strangers never see it.
    pub server_header: Option<String>,
    pub strangers: Strangers,
    /// New calls a second that are taken; more get 503. `None`: as many as come.
    pub calls_per_second: Option<u32>,
    /// What Via and Contact say instead of the flow's own address: the first one of the flow's family is taken. Port 0
    /// stands for the flow's port.
    pub advertise: Vec<SocketAddr>,
    /// What an offer must have at least one of to become a call. In offers of ours they stand in this order.
    pub codecs: Vec<Codec>,
    /// The session interval we ask for where the peer supports session timers (RFC 4028). `None`: only the peer's own wish.
    pub session_expires: Option<Duration>,
    /// The shortest session interval we take (RFC 4028 section 5: not below 90 s).
    pub min_session_expires: Duration,
    pub t1: Duration,
    pub t2: Duration,
    pub t4: Duration,
}

impl Default for EndpointConfig {
    fn default() -> EndpointConfig {
        EndpointConfig {
            trunks: TrunkTable::default(),
            max_sessions: 10_000,
            max_transactions: 100_000,
            retry_after_s: 30,
            server_header: None,
            strangers: Strangers::Drop,
            calls_per_second: None,
            advertise: Vec::new(),
            codecs: Codec::PREFERRED.to_vec(),
            session_expires: Some(Duration::from_secs(1800)),
            min_session_expires: Duration::from_secs(90),
            t1: T1,
            t2: T2,
            t4: T4,
        }
    }
}

/// What a source that is in no trunk gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strangers {
    /// Nothing: for whoever scans addresses nobody is here.
    #[default]
    Drop,
    /// 403, or what else fits, in an answer that says nothing about us and is no larger than the question.
    Refuse,
}

/// Whether new calls are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    Open,
    /// As many calls are going on as may: a new INVITE gets 503.
    Full,
    /// The process is about to end: a new INVITE gets 503 with this Retry-After; what goes on goes on.
    Draining {
        retry_after_s: u32,
    },
}
