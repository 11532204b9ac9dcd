//! Two endpoints and thousands of calls over a network that loses, doubles and reorders, by a clock of its own.
//!
//! Whatever the network does, every call ends exactly once at each end, and nothing is left of it after 64·T1. What is
//! lost is sent again: calls that both ends want come up, and both ends agree on what they have agreed on.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use anteroom::sip::*;
use anteroom::words::ids::SessionKey;
use anteroom::words::media::{Codec, Direction, NegotiatedMedia};
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::peer::address;

/// How the network treats a datagram.
#[derive(Debug, Clone, Copy)]
struct Weather {
    loss: f64,
    doubling: f64,
    delay_ms: (u64, u64),
    reliable: bool,
}

const CALM: Weather = Weather { loss: 0.0, doubling: 0.0, delay_ms: (5, 6), reliable: false };
const ROUGH: Weather = Weather { loss: 0.15, doubling: 0.1, delay_ms: (1, 300), reliable: false };
const STORM: Weather = Weather { loss: 0.6, doubling: 0.3, delay_ms: (1, 3000), reliable: false };
const STREAM: Weather = Weather { loss: 0.0, doubling: 0.0, delay_ms: (20, 21), reliable: true };

/// One of the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Side {
    Caller,
    Server,
}

/// What happens at a moment.
enum What {
    Deliver { to: Side, flow: Flow, bytes: Bytes },
    Call,
    Command { side: Side, command: Command },
}

/// What one end knows of one session.
#[derive(Default)]
struct Seen {
    established: bool,
    agreed: Option<NegotiatedMedia>,
    ended: Option<EndReason>,
    digits: usize,
    /// How long the call was up at this end.
    up: Option<Instant>,
    up_for: Duration,
}

struct Network {
    now: Instant,
    random: StdRng,
    weather: Weather,
    queue: BTreeMap<(Instant, u64), What>,
    number: u64,
    endpoints: HashMap<Side, Endpoint>,
    seen: BTreeMap<(Side, u64), Seen>,
    /// The caller's session by its Call-ID, as the server is told it.
    pairs: Vec<(u64, u64)>,
    names: HashMap<String, u64>,
    /// What the server does with a call: the chance of a rejection, and of what happens while it is up.
    eventful: bool,
    refused: usize,
}

const CALLER: &str = "192.0.2.9:5060";
const SERVER: &str = "192.0.2.1:5060";

impl Network {
    fn new(seed: u64, weather: Weather, eventful: bool) -> Network {
        let config = || EndpointConfig { trunks: TrunkTable::open(), ..EndpointConfig::default() };
        let endpoint = |number| Endpoint::new(config(), StdRng::seed_from_u64(seed ^ number));
        Network {
            now: Instant::now(),
            random: StdRng::seed_from_u64(seed),
            weather,
            queue: BTreeMap::new(),
            number: 0,
            endpoints: HashMap::from([(Side::Caller, endpoint(1 << 40)), (Side::Server, endpoint(2 << 40))]),
            seen: BTreeMap::new(),
            pairs: Vec::new(),
            names: HashMap::new(),
            eventful,
            refused: 0,
        }
    }

    fn at(&mut self, after_ms: u64, what: What) {
        self.number += 1;
        self.queue.insert((self.now + Duration::from_millis(after_ms), self.number), what);
    }

    fn command(&mut self, after_ms: u64, side: Side, command: Command) {
        self.at(after_ms, What::Command { side, command });
    }

    fn endpoint(&mut self, side: Side) -> &mut Endpoint {
        self.endpoints.get_mut(&side).unwrap()
    }

    fn media(&mut self, side: Side, direction: Direction) -> LocalMedia {
        let rtp = if side == Side::Server { "192.0.2.1:20000" } else { "192.0.2.9:40000" };
        let mut codecs = vec![Codec::Pcmu, Codec::Pcma, Codec::G722];
        if self.random.random_bool(0.5) {
            codecs.reverse();
        }
        LocalMedia { rtp: address(rtp), codecs, telephone_event: true, direction }
    }

    /// Runs until nothing is left to happen.
    fn run(&mut self) {
        let mut events = 0;
        loop {
            let queued = self.queue.keys().next().map(|(at, _)| *at);
            let timeout = [Side::Caller, Side::Server]
                .into_iter()
                .filter_map(|side| Some((self.endpoints[&side].poll_timeout()?, side)))
                .min();
            let Some(now) = queued.into_iter().chain(timeout.map(|(at, _)| at)).min() else {
                break;
            };
            self.now = self.now.max(now);
            match timeout {
                Some((at, side)) if queued.is_none_or(|queued| at <= queued) => {
                    let now = self.now;
                    self.endpoint(side).handle_timeout(now);
                }
                _ => {
                    let (_, what) = self.queue.pop_first().unwrap();
                    self.happen(what);
                }
            }
            self.settle();
            events += 1;
            assert!(events < 20_000_000, "it never comes to rest");
        }
    }

    fn happen(&mut self, what: What) {
        let now = self.now;
        match what {
            What::Deliver { to, flow, bytes } => self.endpoint(to).handle_message(now, &flow, bytes),
            What::Command { side, command } => {
                // The session may have ended meanwhile, or have another offer on its way.
                let _ = self.endpoint(side).handle_command(now, command);
            }
            What::Call => self.call(),
        }
    }

    fn call(&mut self) {
        let media = self.media(Side::Caller, Direction::SendRecv);
        let name = format!("caller-{}", self.names.len());
        let connection = if self.weather.reliable { 1 } else { 0 };
        let transport = if self.weather.reliable { Transport::Tcp } else { Transport::Udp };
        let call = OutgoingInvite {
            flow: Flow { transport, local: address(CALLER), remote: address(SERVER), connection },
            target: "sip:8000@192.0.2.1".into(),
            from: format!("sip:{name}@192.0.2.9"),
            from_display: None,
            asserted_identity: None,
            media,
            offer: self.random.random_bool(0.8),
            headers: Vec::new(),
        };
        let now = self.now;
        let session = self.endpoint(Side::Caller).invite(now, call).unwrap();
        self.names.insert(name, session.0);
        self.seen.insert((Side::Caller, session.0), Seen::default());
        if self.eventful && self.random.random_bool(0.2) {
            let after = self.random.random_range(0..4000);
            self.command(after, Side::Caller, Command::Cancel { session });
        }
    }

    /// Takes everything out of both endpoints.
    fn settle(&mut self) {
        for side in [Side::Caller, Side::Server] {
            while let Some(transmit) = self.endpoint(side).poll_transmit() {
                self.transmit(side, transmit);
            }
            while let Some(event) = self.endpoint(side).poll_event() {
                self.event(side, event);
            }
        }
    }

    fn transmit(&mut self, from: Side, transmit: Transmit) {
        let weather = self.weather;
        let to = if from == Side::Caller { Side::Server } else { Side::Caller };
        let expected = if to == Side::Server { SERVER } else { CALLER };
        assert_eq!(transmit.flow.remote, address(expected), "{:?}", String::from_utf8_lossy(&transmit.bytes));
        let flow = Flow { local: transmit.flow.remote, remote: transmit.flow.local, ..transmit.flow };
        let copies = if self.random.random_bool(weather.doubling) { 2 } else { 1 };
        for _ in 0..copies {
            if !self.random.random_bool(weather.loss) {
                let after = self.random.random_range(weather.delay_ms.0..weather.delay_ms.1);
                self.at(after, What::Deliver { to, flow, bytes: transmit.bytes.clone() });
            }
        }
    }

    fn event(&mut self, side: Side, event: SipEvent) {
        match event {
            SipEvent::Incoming { session, call } => {
                assert_eq!(side, Side::Server);
                let theirs = self.names[&call.caller];
                self.pairs.push((theirs, session.0));
                assert!(self.seen.insert((side, session.0), Seen::default()).is_none());
                self.answer(session);
            }
            SipEvent::Refused(_) => self.refused += 1,
            SipEvent::MediaAgreed { session, media } => self.seen(side, session).agreed = Some(media),
            SipEvent::Established { session } => {
                let now = self.now;
                let seen = self.seen(side, session);
                assert!(!seen.established && seen.agreed.is_some(), "media first, and once");
                seen.established = true;
                seen.up = Some(now);
                self.live(side, session);
            }
            SipEvent::InfoDigit { session, .. } => self.seen(side, session).digits += 1,
            SipEvent::Ended { session, reason } => {
                let now = self.now;
                let seen = self.seen(side, session);
                seen.up_for = seen.up.map_or(Duration::ZERO, |up| now - up);
                seen.ended = Some(reason);
            }
            SipEvent::Progress { session, .. }
            | SipEvent::ReinviteAnswered { session, .. }
            | SipEvent::OptionsAnswered { session, .. } => {
                self.seen(side, session);
            }
        }
    }

    /// What is known of a session that has not ended.
    fn seen(&mut self, side: Side, session: SessionKey) -> &mut Seen {
        let seen = self.seen.get_mut(&(side, session.0)).expect("an event of a session that nobody knows");
        assert!(seen.ended.is_none(), "an event after the end: {:?}", seen.ended);
        seen
    }

    fn answer(&mut self, session: SessionKey) {
        if self.random.random_bool(0.5) {
            self.command(0, Side::Server, Command::Ring { session });
        }
        let after = self.random.random_range(0..3000);
        if self.eventful && self.random.random_bool(0.1) {
            self.command(after, Side::Server, Command::Reject { session, refusal: Refusal::Busy });
        } else {
            let media = self.media(Side::Server, Direction::SendRecv);
            self.command(after, Side::Server, Command::Accept { session, media });
        }
    }

    /// What an end does in a call that is up: things of all kinds in the first 20 s, and an end after 120 s.
    fn live(&mut self, side: Side, session: SessionKey) {
        if self.eventful {
            for _ in 0..self.random.random_range(0..4) {
                let after = self.random.random_range(0..20_000);
                let direction = [Direction::SendRecv, Direction::SendOnly, Direction::Inactive, Direction::RecvOnly];
                let direction = direction[self.random.random_range(0..direction.len())];
                let media = self.media(side, direction);
                let command = match self.random.random_range(0..6) {
                    0 | 1 => Command::Reinvite { session, media },
                    2 => Command::ReinviteWithoutOffer { session, media },
                    3 => Command::Update { session, media },
                    4 => Command::Options { session },
                    _ => Command::Info {
                        session,
                        content_type: "application/dtmf-relay".into(),
                        body: "Signal=5\r\nDuration=100\r\n".into(),
                    },
                };
                self.command(after, side, command);
            }
            if self.random.random_bool(0.1) {
                let after = self.random.random_range(0..10_000);
                self.command(after, side, Command::HangUp { session, reason: HangUpReason::Normal });
            }
        }
        let after = self.random.random_range(120_000..140_000);
        self.command(after, side, Command::HangUp { session, reason: HangUpReason::Normal });
    }

    /// Every call has ended at both ends, and nothing is left of it.
    fn assert_at_rest(&self) {
        for ((side, session), seen) in &self.seen {
            assert!(seen.ended.is_some(), "{side:?} {session} never ended");
        }
        for endpoint in self.endpoints.values() {
            assert_eq!(endpoint.counts(), Counts::default());
        }
    }

    fn ended(&self, side: Side, session: u64) -> &EndReason {
        self.seen[&(side, session)].ended.as_ref().unwrap()
    }
}

fn run(seed: u64, weather: Weather, eventful: bool, calls: u64) -> Network {
    let mut network = Network::new(seed, weather, eventful);
    for call in 0..calls {
        network.at(call * 7, What::Call);
    }
    network.run();
    network.assert_at_rest();
    network
}

#[test]
fn on_a_calm_network_every_call_comes_up_and_nothing_is_sent_twice() {
    for weather in [CALM, STREAM] {
        let network = run(1, weather, false, 1000);
        assert_eq!((network.pairs.len(), network.refused), (1000, 0));
        for (caller, server) in &network.pairs {
            let (caller, server) =
                (network.seen.get(&(Side::Caller, *caller)), network.seen.get(&(Side::Server, *server)));
            let (caller, server) = (caller.unwrap(), server.unwrap());
            assert!(caller.established && server.established);
            let (caller, server) = (caller.agreed.as_ref().unwrap(), server.agreed.as_ref().unwrap());
            assert_eq!((caller.codec, caller.telephone_event), (server.codec, server.telephone_event));
            assert_eq!(caller.remote_rtp, address("192.0.2.1:20000"));
            assert_eq!(server.remote_rtp, address("192.0.2.9:40000"));
        }
    }
}

#[test]
fn on_a_rough_network_every_call_comes_up_once() {
    for seed in 0..5 {
        let network = run(seed, ROUGH, false, 400);
        assert_eq!(network.pairs.len(), 400, "one call for each INVITE, however often it came");
        for (caller, server) in &network.pairs {
            let both = [&network.seen[&(Side::Caller, *caller)], &network.seen[&(Side::Server, *server)]];
            assert!(both.iter().all(|seen| seen.established));
            let reasons = [network.ended(Side::Caller, *caller), network.ended(Side::Server, *server)];
            let is_bye = |reason: &&EndReason| matches!(reason, EndReason::LocalBye | EndReason::RemoteBye);
            assert!(reasons.iter().all(is_bye), "{reasons:?}");
        }
    }
}

#[test]
fn eventful_calls_agree_at_both_ends() {
    let (mut digits, mut quiet) = (0, 0);
    for seed in 10..20 {
        let network = run(seed, ROUGH, true, 300);
        for (caller, server) in &network.pairs {
            let caller = &network.seen[&(Side::Caller, *caller)];
            let server = &network.seen[&(Side::Server, *server)];
            digits += caller.digits + server.digits;
            // Not those that ended while something was on its way.
            let is_quiet = caller.up_for.min(server.up_for) > Duration::from_secs(100);
            if let (true, Some(ours), Some(theirs)) = (is_quiet, &caller.agreed, &server.agreed) {
                let (to, from) = (ours.direction, theirs.direction);
                assert_eq!((to.sends(), to.receives()), (from.receives(), from.sends()), "seed {seed}");
                assert_eq!(ours.codec, theirs.codec, "seed {seed}");
                quiet += 1;
            }
        }
    }
    assert!(digits > 100 && quiet > 1000, "{digits} {quiet}");
}

#[test]
fn in_a_storm_nothing_is_left_behind() {
    for seed in 100..115 {
        let network = run(seed, STORM, true, 200);
        let whole = network.seen.values().filter(|seen| seen.established).count();
        assert!(whole > 0);
    }
    for seed in 200..205 {
        run(seed, STREAM, true, 200);
    }
}

/// What a call costs: `cargo test --release --test sip_endpoint -- --ignored --nocapture what_a_call_costs`.
#[test]
#[ignore = "a measurement"]
fn what_a_call_costs() {
    let calls = 20_000;
    let mut server = Endpoint::new(
        EndpointConfig { trunks: TrunkTable::open(), ..EndpointConfig::default() },
        StdRng::seed_from_u64(1),
    );
    let mut peer = super::peer::Peer::new();
    let flow = peer.flow;
    let mut messages = Vec::new();
    for call in 0..calls {
        peer.call_id = format!("call-{call}");
        peer.to_tag.clear();
        let invite = peer.request("INVITE", 1, &[], super::peer::OFFER);
        let ack = peer.request("ACK", 1, &[], "");
        let bye = peer.request("BYE", 2, &[], "");
        messages.push((Bytes::from(invite), ack, bye));
    }
    let start = Instant::now();
    let mut now = start;
    let mut largest = Counts::default();
    for (invite, ack, bye) in messages {
        // 300 calls a second, each of them up for the wink of an eye: timers as in real life.
        now += Duration::from_micros(3333);
        server.handle_timeout(now);
        server.handle_message(now, &flow, invite);
        let Some(SipEvent::Incoming { session, .. }) = server.poll_event() else { panic!() };
        server.handle_command(now, Command::Accept { session, media: super::peer::local_media() }).unwrap();
        let ok = std::iter::from_fn(|| server.poll_transmit()).last().unwrap();
        let text = String::from_utf8_lossy(&ok.bytes);
        let tag = text.split("To: <sip:8000@192.0.2.1>;tag=").nth(1).and_then(|rest| rest.get(..16)).unwrap();
        for request in [ack, bye] {
            let request = request.replace("To: <sip:8000@192.0.2.1>", &format!("To: <sip:8000@192.0.2.1>;tag={tag}"));
            server.handle_message(now, &flow, request.into());
        }
        while server.poll_transmit().is_some() {}
        let events: Vec<SipEvent> = std::iter::from_fn(|| server.poll_event()).collect();
        assert!(matches!(events.last(), Some(SipEvent::Ended { .. })), "{events:?}");
        let counts = server.counts();
        largest.transactions = largest.transactions.max(counts.transactions);
        largest.timers = largest.timers.max(counts.timers);
    }
    let spent = start.elapsed();
    println!("{:.1} µs a call, INVITE to BYE; at most {largest:?}", spent.as_secs_f64() * 1e6 / calls as f64);
    server.handle_timeout(now + Duration::from_secs(40));
    assert_eq!(server.counts(), Counts::default());
}
