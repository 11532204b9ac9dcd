//! What every session works with: the configuration, the random source, the transactions, and the way out.

use std::hash::{DefaultHasher, Hasher};
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;

use super::answer::AnswerBase;
use super::arrival::Arrival;
use super::body::ACCEPTED;
use super::config::EndpointConfig;
use super::dialog::LocalTag;
use super::event::{RefusedRequest, SipEvent};
use super::flow::{Flow, Transport};
use super::outbox::{Outbox, Timing};
use super::refusals::{Kind, Refused};
use super::rejection::Rejection;
use super::session_timer::{Refresher, SessionInterval, TimerWish};
use super::transaction::ClientKey;
use super::transaction::client::ClientTransactions;
use super::transaction::server::ServerTransactions;
use crate::wire::sip::{
    HeaderName, Headers, Host, Method, NameAddr, Params, Refresher as RefresherParam, Response, SessionExpires, SipUri,
    Uri, Via, ViaTransport,
};

/// The methods we answer to.
pub(super) const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE";

/// The extensions we know (RFC 4028).
pub(super) const SUPPORTED: &str = "timer";

/// Answers larger than this are not kept for a request that comes again; it is dealt with again then. Usual ones have
/// 500 bytes. Without this bound 64 KiB of Via, times every transaction, would be memory for whoever sends them.
const KEPT_ANSWER_BYTES_MAX: usize = 4 * 1024;

/// What a branch of RFC 3261 begins with.
const MAGIC_COOKIE: &str = "z9hG4bK";

pub(super) struct Common {
    pub config: EndpointConfig,
    pub random: StdRng,
    pub out: Outbox,
    pub servers: ServerTransactions,
    pub clients: ClientTransactions,
    pub refused: Refused,
    /// What tags of stateless answers are made with.
    tag_secret: u128,
}

impl Common {
    pub fn new(config: EndpointConfig, mut random: StdRng) -> Common {
        let timing = Timing { t1: config.t1, t2: config.t2, t4: config.t4 };
        Common {
            tag_secret: random.random(),
            config,
            random,
            out: Outbox::new(timing),
            servers: ServerTransactions::default(),
            clients: ClientTransactions::default(),
            refused: Refused::default(),
        }
    }

    pub fn transactions(&self) -> usize {
        self.servers.len().saturating_add(self.clients.len())
    }

    /// Whether another transaction may be kept.
    pub fn has_room(&self) -> bool {
        self.transactions() < self.config.max_transactions
    }

    pub fn timer_wish(&self) -> TimerWish {
        let seconds = |duration: std::time::Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
        TimerWish {
            expires_s: self.config.session_expires.map(seconds),
            min_s: seconds(self.config.min_session_expires),
        }
    }

    /// What we call ourselves on this flow.
    fn address(&self, flow: &Flow) -> SocketAddr {
        let is_ipv4 = flow.remote.ip().to_canonical().is_ipv4();
        let advertised = self.config.advertise.iter().find(|address| address.is_ipv4() == is_ipv4);
        let mut address = advertised.copied().unwrap_or(flow.local);
        address.set_ip(address.ip().to_canonical());
        if address.port() == 0 {
            address.set_port(flow.local.port());
        }
        address
    }

    /// Our Contact on this flow.
    pub fn contact(&self, flow: &Flow) -> Bytes {
        let address = self.address(flow);
        let params = match flow.transport {
            Transport::Udp => Params::new(),
            Transport::Tcp => Params::new().with("transport", Some("tcp")),
        };
        let (host, port) = (Host::from(address.ip()), Some(address.port()));
        let uri = SipUri { secure: false, user: None, password: None, host, port, params, headers: None };
        NameAddr::new(Uri::Sip(uri)).to_bytes()
    }

    /// A new client transaction on this flow, and its Via.
    pub fn new_branch(&mut self, flow: &Flow) -> (ClientKey, Via) {
        let branch: u64 = self.random.random();
        (ClientKey { branch, cancel: false }, self.via(branch, flow))
    }

    fn via(&self, branch: u64, flow: &Flow) -> Via {
        let transport = match flow.transport {
            Transport::Udp => ViaTransport::Udp,
            Transport::Tcp => ViaTransport::Tcp,
        };
        Via::new(transport, self.address(flow), format!("{MAGIC_COOKIE}{branch:016x}"))
    }

    /// The headers that say what we can: in every INVITE and UPDATE of ours, and in the 200 to one.
    pub fn describe_us(&self, headers: &mut Headers, flow: &Flow, is_request: bool) {
        headers.push(HeaderName::Contact, self.contact(flow));
        headers.push(HeaderName::Allow, ALLOW);
        headers.push(HeaderName::Supported, SUPPORTED);
        if let Some(name) = &self.config.server_header {
            let header = if is_request { HeaderName::UserAgent } else { HeaderName::Server };
            headers.push(header, name.clone());
        }
    }

    /// The 200 to an INVITE or UPDATE of the dialog with this tag.
    pub fn session_ok(
        &self,
        base: &AnswerBase,
        flow: &Flow,
        tag: LocalTag,
        interval: Option<SessionInterval>,
        description: Option<Bytes>,
    ) -> Response {
        let mut response = base.answer(200, Some(&tag.to_string()));
        self.describe_us(&mut response.headers, flow, false);
        if let Some(interval) = interval {
            // In an answer `uac` is the peer. It must know of the duty that we leave to it (RFC 4028 section 9).
            let refresher = match interval.refresher {
                Refresher::Peer => {
                    response.headers.push(HeaderName::Require, SUPPORTED);
                    RefresherParam::Uac
                }
                Refresher::Us => RefresherParam::Uas,
            };
            let value = SessionExpires { interval_s: interval.interval_s, refresher: Some(refresher) };
            response.headers.push(HeaderName::SessionExpires, value.to_bytes());
        }
        if let Some(description) = description {
            response.headers.push(HeaderName::ContentType, "application/sdp");
            response.body = description;
        }
        response
    }

    /// The 200 to an OPTIONS of a trunk: what an INVITE would find here (section 11.2).
    pub fn options_ok(&self, base: &AnswerBase, flow: &Flow, tag: LocalTag) -> Response {
        let mut response = base.answer(200, Some(&tag.to_string()));
        self.describe_us(&mut response.headers, flow, false);
        response.headers.push(HeaderName::Accept, ACCEPTED);
        response
    }

    /// Answers a request other than INVITE, and keeps the answer for when it comes again.
    pub fn answer_other(&mut self, now: Instant, arrival: &Arrival, response: Response) {
        self.answer_other_with(now, arrival, write_answer(arrival, response));
    }

    fn answer_other_with(&mut self, now: Instant, arrival: &Arrival, bytes: Bytes) {
        let flow = arrival.answer_flow();
        if self.has_room() && bytes.len() <= KEPT_ANSWER_BYTES_MAX {
            self.servers.answer_other(now, arrival.transaction_key(), flow, bytes, &mut self.out);
        } else {
            self.out.transmit(flow, bytes);
        }
    }

    /// Refuses a request of a trunk, or one in a dialog: with a transaction where there is room for one, and otherwise
    /// statelessly, which does as well as long as the peer sends its request again (RFC 3261 section 8.2.7).
    pub fn refuse(&mut self, now: Instant, arrival: &Arrival, rejection: &Rejection, tag: Option<LocalTag>) {
        let bytes = self.write_refusal(arrival, rejection, tag);
        let is_kept = self.has_room() && bytes.len() <= KEPT_ANSWER_BYTES_MAX;
        if arrival.request.method == Method::Invite && is_kept {
            let number = self.servers.begin_invite(arrival.transaction_key(), arrival.answer_flow(), None);
            self.servers.answer_invite(now, number, rejection.status, bytes, &mut self.out);
        } else {
            self.answer_other_with(now, arrival, bytes);
        }
    }

    /// Refuses a request of a trunk, and keeps nothing of it.
    pub fn refuse_and_forget(&mut self, arrival: &Arrival, rejection: &Rejection) {
        let bytes = self.write_refusal(arrival, rejection, None);
        self.out.transmit(arrival.answer_flow(), bytes);
    }

    fn write_refusal(&self, arrival: &Arrival, rejection: &Rejection, tag: Option<LocalTag>) -> Bytes {
        let tag = tag.unwrap_or_else(|| self.stateless_tag(&arrival.transaction_key()));
        let mut response = arrival.answer_base().answer(rejection.status, Some(&tag.to_string()));
        for (name, value) in &rejection.headers {
            response.headers.push(name.clone(), value.clone());
        }
        if let Some(name) = &self.config.server_header {
            response.headers.push(HeaderName::Server, name.clone());
        }
        write_answer(arrival, response)
    }

    /// Counts a refused request, and tells of it where it is not one of a flood.
    pub fn note_refused(
        &mut self,
        now: Instant,
        kind: Kind,
        status: Option<u16>,
        describe: impl FnOnce() -> RefusedRequest,
    ) {
        if let Some(told) = self.refused.note(now, kind, status, describe) {
            self.out.event(SipEvent::Refused(told));
        }
    }

    /// The tag of an answer that is forgotten as soon as it is sent: the same for the same request (section 8.2.7).
    pub fn stateless_tag(&self, request: &[u8]) -> LocalTag {
        LocalTag::from_bits(self.hash(request))
    }

    /// A number for a request that its sender can't foresee.
    pub fn hash(&self, request: &[u8]) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write_u128(self.tag_secret);
        hasher.write(request);
        hasher.finish()
    }
}

/// How many times as large as the question an answer over UDP to a trunk may be. What RFC 3261 asks for (Allow in a 405,
/// section 21.4.6) fits for any usual question, and who forges a trunk's address gains next to nothing.
const AMPLIFICATION_MAX: usize = 2;

/// An answer that nobody's forged question makes much larger than it was: what can be spared is left out, the least
/// important first. (The least that can be said, with our tag and where the question came from, may have some 60 bytes more than a
/// question in shortest form. It is said all the same: a trunk that gets no answer takes us for gone.)
fn write_answer(arrival: &Arrival, mut response: Response) -> Bytes {
    const SPARED: [HeaderName; 7] = [
        HeaderName::Server,
        HeaderName::Supported,
        HeaderName::Accept,
        HeaderName::Allow,
        HeaderName::Contact,
        HeaderName::Warning,
        HeaderName::AcceptEncoding,
    ];
    let mut bytes = response.write();
    if !arrival.may_be_forged() {
        return bytes;
    }
    for name in SPARED {
        if bytes.len() <= arrival.bytes.saturating_mul(AMPLIFICATION_MAX) {
            break;
        }
        if response.headers.remove(&name) > 0 {
            bytes = response.write();
        }
    }
    bytes
}

/// The number in a branch of ours.
pub(super) fn own_branch(via: &Via) -> Option<u64> {
    let number = via.branch()?.strip_prefix(MAGIC_COOKIE.as_bytes())?;
    let text = std::str::from_utf8(number).ok().filter(|text| text.len() == 16)?;
    u64::from_str_radix(text, 16).ok()
}
