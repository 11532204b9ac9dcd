//! The callers' telephones: SIP over one UDP socket, by Anteroom's own user agent client.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anteroom::sip::{
    Command, EndReason, Endpoint, EndpointConfig, Flow, HangUpReason, LocalMedia, OutgoingInvite, SipEvent,
};
use anteroom::words::ids::SessionKey;
use anteroom::words::media::Direction;
use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::Outcome;
use super::batch::{Inbox, stamped_socket};
use super::clock::Stamp;
use super::fleet::Fleet;
use super::keys::Typing;

/// More than any server is to be given here.
const TRANSACTIONS_MAX: usize = 1_000_000;

/// What a caller does once he is answered.
#[derive(Debug, Clone)]
pub enum Intent {
    Type(Typing),
    HangUp,
}

/// The calls of all callers, and how they went.
pub struct Phones {
    endpoint: Endpoint,
    socket: UdpSocket,
    flow: Flow,
    inbox: Inbox,
    calls: HashMap<SessionKey, Call>,
    /// The call of each caller.
    by_caller: Vec<Option<SessionKey>>,
    /// INVITE → 200 of every call that was answered since [`take_set_ups`](Phones::take_set_ups).
    set_ups: Vec<Duration>,
    /// Calls that ended otherwise than by our hanging up.
    pub failures: Vec<EndReason>,
}

struct Call {
    caller: usize,
    invited_at: Stamp,
    intent: Option<Intent>,
}

impl Phones {
    pub fn new(callers: usize, server: SocketAddr, seed: u64) -> Outcome<Phones> {
        let socket = stamped_socket()?;
        socket.connect(server)?;
        let flow = Flow::udp(socket.local_addr()?, server);
        let config = EndpointConfig { max_transactions: TRANSACTIONS_MAX, ..EndpointConfig::default() };
        Ok(Phones {
            endpoint: Endpoint::new(config, StdRng::seed_from_u64(seed)),
            socket,
            flow,
            inbox: Inbox::new(),
            calls: HashMap::new(),
            by_caller: vec![None; callers],
            set_ups: Vec::new(),
            failures: Vec::new(),
        })
    }

    /// Sends the caller's INVITE.
    pub fn call(&mut self, fleet: &mut Fleet, caller: usize, intent: Intent) -> Outcome<()> {
        let media = LocalMedia {
            rtp: fleet.address(caller).into(),
            codecs: vec![fleet.codec(caller)],
            telephone_event: true,
            direction: Direction::SendRecv,
        };
        let invite = OutgoingInvite {
            flow: self.flow,
            target: format!("sip:8000@{}", self.flow.remote),
            from: format!("sip:caller-{caller}@{}", self.flow.local.ip()),
            from_display: None,
            asserted_identity: None,
            media,
            offer: true,
            headers: Vec::new(),
        };
        let session = self.endpoint.invite(Instant::now(), invite)?;
        self.calls.insert(session, Call { caller, invited_at: Stamp::now(), intent: Some(intent) });
        self.by_caller[caller] = Some(session);
        self.transmit();
        Ok(())
    }

    pub fn hang_up(&mut self, fleet: &mut Fleet, caller: usize) {
        if let Some(session) = self.by_caller[caller] {
            let command = Command::HangUp { session, reason: HangUpReason::Normal };
            // A call that has just ended by itself needs no BYE.
            let _ = self.endpoint.handle_command(Instant::now(), command);
            self.settle(fleet, Stamp::now());
        }
    }

    pub fn is_idle(&self, caller: usize) -> bool {
        self.by_caller[caller].is_none()
    }

    /// The lowest caller who has no call.
    pub fn find_idle(&self) -> Option<usize> {
        self.by_caller.iter().position(Option::is_none)
    }

    pub fn in_calls(&self) -> usize {
        self.calls.len()
    }

    pub fn take_set_ups(&mut self) -> Vec<Duration> {
        std::mem::take(&mut self.set_ups)
    }

    /// Handles what came, and what is due.
    pub fn run(&mut self, fleet: &mut Fleet) {
        let mut messages: Vec<(Stamp, Bytes)> = Vec::new();
        self.inbox.drain(&self.socket, |_, at, bytes| messages.push((at, Bytes::copy_from_slice(bytes))));
        for (at, bytes) in messages {
            self.endpoint.handle_message(Instant::now(), &self.flow, bytes);
            self.settle(fleet, at);
        }
        let now = Instant::now();
        if self.endpoint.poll_timeout().is_some_and(|due| due <= now) {
            self.endpoint.handle_timeout(now);
            self.settle(fleet, Stamp::now());
        }
    }

    /// Handles what the endpoint says about what came `at` that time.
    fn settle(&mut self, fleet: &mut Fleet, at: Stamp) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                SipEvent::MediaAgreed { session, media } => {
                    if let Some(call) = self.calls.get(&session)
                        // Who hangs up at once has nothing to say.
                        && !matches!(call.intent, Some(Intent::HangUp))
                        && let SocketAddr::V4(remote) = media.remote_rtp
                    {
                        fleet.connect(call.caller, remote, media.telephone_event);
                    }
                }
                SipEvent::Established { session } => self.begin(fleet, session, at),
                SipEvent::Ended { session, reason } => self.end(fleet, session, reason),
                _ => {}
            }
        }
        self.transmit();
    }

    fn begin(&mut self, fleet: &mut Fleet, session: SessionKey, at: Stamp) {
        let Some(call) = self.calls.get_mut(&session) else {
            return;
        };
        self.set_ups.push(at.since(call.invited_at));
        match call.intent.take() {
            Some(Intent::Type(typing)) => fleet.type_keys(call.caller, typing),
            Some(Intent::HangUp) => {
                let command = Command::HangUp { session, reason: HangUpReason::Normal };
                let _ = self.endpoint.handle_command(Instant::now(), command);
            }
            None => {}
        }
    }

    fn end(&mut self, fleet: &mut Fleet, session: SessionKey, reason: EndReason) {
        let Some(call) = self.calls.remove(&session) else {
            return;
        };
        fleet.disconnect(call.caller);
        self.by_caller[call.caller] = None;
        if reason != EndReason::LocalBye {
            self.failures.push(reason);
        }
    }

    fn transmit(&mut self) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            // What the kernel does not take is sent again, as what the network loses is.
            let _ = self.socket.send(&transmit.bytes);
        }
    }
}
