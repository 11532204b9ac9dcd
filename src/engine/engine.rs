//! The engine: every input enters here, and is settled before the next one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::StdRng;

use super::call::{Call, Stage};
use super::deadlines::{Deadlines, Owner};
use crate::attendant::{self, Attendant};
use crate::media::{PlaneCommand, PlaneEvent};
use crate::meeting::{self, Room};
use crate::sip::{
    Admission, Command, EndReason, Endpoint, EndpointConfig, Flow, HangUpReason, IncomingCall, LocalMedia, Refusal,
    Refusals, RefusedRequest, SipEvent, Transmit,
};
use crate::words::answer::{Conference, ConferenceAnswer, PinAnswer};
use crate::words::event::{CallFact, Caller, EndCause, Event, MeetingFact, Reached};
use crate::words::ids::{CallKey, ConferenceId, ConferenceKey, LookupKey, MeetingKey, SessionKey};
use crate::words::limits;
use crate::words::media::{Direction, LegStatistics, NegotiatedMedia};

/// What the operator has decided.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    pub sip: EndpointConfig,
    pub attendant: Arc<attendant::Settings>,
    pub meeting: Arc<meeting::Settings>,
    /// Calls at once; the next one gets 503.
    pub calls: usize,
    /// Seconds in the Retry-After of that 503.
    pub retry_after_s: u32,
    /// Where RTP sockets are bound. `None`: at the address that the caller's INVITE came to.
    pub rtp_address: Option<IpAddr>,
    /// What the SDP says instead of the bound address, where a router translates between the two.
    /// The first one of the call's address family is taken.
    pub rtp_advertise: Vec<IpAddr>,
    /// Whether a call from which nothing has been received for the plane's silence time is ended.
    pub hang_up_on_silence: bool,
}

impl Default for EngineSettings {
    fn default() -> EngineSettings {
        EngineSettings {
            sip: EndpointConfig::default(),
            attendant: Arc::default(),
            meeting: Arc::default(),
            calls: limits::CALLS,
            retry_after_s: 30,
            rtp_address: None,
            rtp_advertise: Vec::new(),
            hang_up_on_silence: true,
        }
    }
}

/// Who asks the credential store, for its budgets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    pub caller: String,
    pub trunk: Arc<str>,
}

/// What the shell does for the engine, in this order.
#[derive(Debug)]
pub enum Output {
    /// Bind two ports at `address`, open the leg, and tell the result with [`Engine::handle_leg_opened`]. Where `peer`,
    /// which the offer names for media, is of the other address family, bind at the address that reaches it instead.
    OpenLeg {
        call: CallKey,
        address: IpAddr,
        peer: Option<IpAddr>,
    },
    Media(PlaneCommand),
    /// Ask the store, and bring its answer with [`Engine::handle_conference_answer`] or
    /// [`Engine::handle_pin_answer`]; late, twice or never does no harm.
    Lookup {
        call: CallKey,
        lookup: LookupKey,
        question: attendant::Question,
        origin: Origin,
    },
    Event(Event),
}

/// How much is going on. All zero once every call is over and SIP's own timers have run out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls, including those whose ports are not free yet.
    pub calls: usize,
    pub waiting: usize,
    pub in_meeting: usize,
    pub meetings: usize,
    pub sessions: usize,
    pub transactions: usize,
    /// Timers of calls, rooms and SIP.
    pub timers: usize,
}

/// One running meeting with its lobby.
pub(super) struct RunningMeeting {
    pub room: Room,
    pub conference: ConferenceKey,
    pub conference_id: ConferenceId,
    pub organizer: String,
    pub opened_at: Instant,
    pub started_at: Option<Instant>,
}

/// All calls and meetings of one server.
pub struct Engine {
    pub(super) settings: EngineSettings,
    pub(super) endpoint: Endpoint,
    // Ordered, so that one seed gives one transcript.
    pub(super) calls: BTreeMap<CallKey, Call>,
    pub(super) sessions: HashMap<SessionKey, CallKey>,
    pub(super) meetings: BTreeMap<MeetingKey, RunningMeeting>,
    pub(super) meeting_of: HashMap<ConferenceKey, MeetingKey>,
    pub(super) deadlines: Deadlines,
    /// Calls and rooms whose effects have not been carried out yet.
    pub(super) unsettled: VecDeque<Owner>,
    pub(super) outputs: VecDeque<Output>,
    next_call: u64,
    pub(super) next_meeting: u64,
    pub(super) draining: bool,
}

impl Engine {
    /// `random` makes what SIP must not let others guess: seed it from the operating system, or with a number in a test.
    pub fn new(settings: EngineSettings, random: StdRng) -> Engine {
        Engine {
            endpoint: Endpoint::new(settings.sip.clone(), random),
            settings,
            calls: BTreeMap::new(),
            sessions: HashMap::new(),
            meetings: BTreeMap::new(),
            meeting_of: HashMap::new(),
            deadlines: Deadlines::default(),
            unsettled: VecDeque::new(),
            outputs: VecDeque::new(),
            next_call: 1,
            next_meeting: 1,
            draining: false,
        }
    }

    /// One SIP datagram, or one framed message of a connection.
    pub fn handle_message(&mut self, now: Instant, flow: &Flow, bytes: Bytes) {
        self.endpoint.set_accepting(self.admission());
        self.endpoint.handle_message(now, flow, bytes);
        self.settle(now);
    }

    pub fn handle_connection_lost(&mut self, now: Instant, connection: u64) {
        self.endpoint.handle_flow_lost(now, connection);
        self.settle(now);
    }

    /// The answer to [`Output::OpenLeg`]: the bound RTP address, or why there is none.
    pub fn handle_leg_opened(&mut self, now: Instant, call: CallKey, opened: Result<SocketAddr, String>) {
        let Some(of) = self.calls.get_mut(&call) else {
            if opened.is_ok() {
                self.media(PlaneCommand::Close { call });
            }
            return;
        };
        match opened {
            Ok(bound) => {
                of.has_leg = true;
                if of.stage == Stage::Closing {
                    // He gave up while the ports were being bound.
                    self.media(PlaneCommand::Close { call });
                } else {
                    self.answer(now, call, bound);
                }
            }
            Err(why) => {
                let session = of.session;
                of.end = Some(EndCause::Refused { status: 503, why });
                let refusal = Refusal::Full { retry_after_s: self.settings.retry_after_s };
                self.sip(now, Command::Reject { session, refusal });
            }
        }
        self.settle(now);
    }

    pub fn handle_media(&mut self, now: Instant, event: PlaneEvent) {
        match event {
            PlaneEvent::Digit { call, digit, method: _ } => {
                self.tell_attendant(now, call, attendant::Input::Digit(digit));
            }
            PlaneEvent::PlaybackFinished { call, playback } => {
                self.tell_attendant(now, call, attendant::Input::PlaybackFinished(playback));
            }
            PlaneEvent::SourceBound { call, source, as_agreed } => {
                if self.calls.contains_key(&call) {
                    self.fact(call, CallFact::VoiceFrom { source, as_agreed });
                }
            }
            PlaneEvent::Talking { call, talking } => self.talking(call, talking),
            PlaneEvent::Survey { legs } => {
                for leg in &legs {
                    if let Some(of) = self.calls.get_mut(&leg.call) {
                        of.surveyed(leg);
                    }
                }
            }
            PlaneEvent::MediaSilent { call } => self.media_silent(now, call),
            PlaneEvent::Closed { call, statistics } => self.leg_closed(now, call, statistics),
        }
        self.settle(now);
    }

    pub fn handle_conference_answer(
        &mut self,
        now: Instant,
        call: CallKey,
        lookup: LookupKey,
        answer: ConferenceAnswer,
    ) {
        self.tell_attendant(now, call, attendant::Input::Conference(lookup, answer));
        self.settle(now);
    }

    pub fn handle_pin_answer(&mut self, now: Instant, call: CallKey, lookup: LookupKey, answer: PinAnswer) {
        self.tell_attendant(now, call, attendant::Input::Pin(lookup, answer));
        self.settle(now);
    }

    /// What the organization decides about meetings, from now on; also for those that go on.
    pub fn handle_meeting_settings(&mut self, now: Instant, settings: meeting::Settings) {
        if *self.settings.meeting == settings {
            return;
        }
        self.settings.meeting = Arc::new(settings);
        for (&key, meeting) in &mut self.meetings {
            meeting.room.handle_settings(self.settings.meeting.clone());
            self.unsettled.push_back(Owner::Room(key));
        }
        self.settle(now);
    }

    /// No new calls; what goes on goes on for `grace`, then everybody is hung up.
    pub fn handle_shutdown(&mut self, now: Instant, grace: Duration) {
        self.draining = true;
        self.deadlines.set(Owner::Shutdown, now.checked_add(grace));
        self.settle(now);
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        while let Some(owner) = self.deadlines.pop_due(now) {
            match owner {
                Owner::Call(call) => {
                    if let Some(call) = self.calls.get_mut(&call) {
                        call.attendant.handle_timeout(now);
                    }
                }
                Owner::Room(meeting) => {
                    if let Some(meeting) = self.meetings.get_mut(&meeting) {
                        meeting.room.handle_timeout(now);
                    }
                }
                Owner::Shutdown => {
                    let calls: Vec<CallKey> = self.calls.keys().copied().collect();
                    for call in calls {
                        self.hang_up(now, call, EndCause::ShuttingDown);
                    }
                }
            }
            self.unsettled.push_back(owner);
            self.settle(now);
        }
        self.settle(now);
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        match (self.endpoint.poll_timeout(), self.deadlines.next()) {
            (Some(sip), Some(own)) => Some(sip.min(own)),
            (sip, own) => sip.or(own),
        }
    }

    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.endpoint.poll_transmit()
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// All SIP requests that were refused so far.
    pub fn refusals(&self) -> &Refusals {
        self.endpoint.refusals()
    }

    /// One message makes one call at most, so this holds until the next one.
    fn admission(&self) -> Admission {
        if self.draining {
            Admission::Draining { retry_after_s: self.settings.retry_after_s }
        } else if self.calls.len() >= self.settings.calls {
            Admission::Full
        } else {
            Admission::Open
        }
    }

    pub fn is_draining(&self) -> bool {
        self.draining
    }

    pub fn counts(&self) -> Counts {
        let sip = self.endpoint.counts();
        let rooms = || self.meetings.values().map(|meeting| &meeting.room);
        Counts {
            calls: self.calls.len(),
            waiting: rooms().map(Room::waiting).sum(),
            in_meeting: rooms().map(Room::participants).sum(),
            meetings: self.meetings.len(),
            sessions: sip.sessions,
            transactions: sip.transactions,
            timers: sip.timers + self.deadlines.len(),
        }
    }

    /// Carries out everything that follows from the last input, in whatever core, until nothing is left to do.
    pub(super) fn settle(&mut self, now: Instant) {
        loop {
            if let Some(event) = self.endpoint.poll_event() {
                self.sip_event(now, event);
            } else if let Some(owner) = self.unsettled.pop_front() {
                self.settle_owner(now, owner);
            } else {
                return;
            }
        }
    }

    fn sip_event(&mut self, now: Instant, event: SipEvent) {
        let session = match event {
            SipEvent::Incoming { session, call } => return self.incoming(now, session, call),
            SipEvent::Refused(request) => return self.request_refused(request),
            SipEvent::MediaAgreed { session, .. }
            | SipEvent::Established { session }
            | SipEvent::InfoDigit { session, .. }
            | SipEvent::Ended { session, .. }
            | SipEvent::Progress { session, .. }
            | SipEvent::ReinviteAnswered { session, .. }
            | SipEvent::OptionsAnswered { session, .. } => session,
        };
        let Some(&call) = self.sessions.get(&session) else { return };
        match event {
            SipEvent::MediaAgreed { media, .. } => self.media_agreed(now, call, media),
            SipEvent::Established { .. } => self.established(now, call),
            SipEvent::InfoDigit { digit, duration_ms, .. } => {
                self.media(PlaneCommand::InfoDigit { call, digit, duration_ms });
            }
            SipEvent::Ended { reason, .. } => self.ended(now, call, &reason),
            // The rest is told to whoever calls out; the server is called.
            _ => {}
        }
    }

    fn incoming(&mut self, now: Instant, session: SessionKey, incoming: IncomingCall) {
        let key = CallKey(self.next_call);
        self.next_call += 1;
        let caller = Caller {
            number: incoming.caller,
            called: incoming.called,
            sip_call_id: incoming.sip_call_id,
            trunk: incoming.trunk,
            source: incoming.flow.remote,
        };
        let attendant = Attendant::new(key, incoming.asserted_identity, self.settings.attendant.clone());
        self.outputs.push_back(Output::Event(Event::CallArrived { call: key, caller: caller.clone() }));
        self.calls.insert(key, Call::new(key, session, attendant, caller, now));
        self.sessions.insert(session, key);
        let address = self.settings.rtp_address.unwrap_or(incoming.flow.local.ip());
        self.outputs.push_back(Output::OpenLeg { call: key, address, peer: incoming.peer_rtp });
    }

    fn request_refused(&mut self, request: RefusedRequest) {
        self.outputs.push_back(Output::Event(Event::RequestRefused {
            source: request.flow.remote,
            method: request.method,
            status: request.status,
            caller: request.caller.unwrap_or_default(),
            called: request.called.unwrap_or_default(),
            why: request.why,
            suppressed: request.suppressed,
        }));
    }

    fn answer(&mut self, now: Instant, key: CallKey, bound: SocketAddr) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        call.stage = Stage::Answering;
        let session = call.session;
        let same_family = |advertised: &&IpAddr| advertised.is_ipv4() == bound.is_ipv4();
        let address = self.settings.rtp_advertise.iter().find(same_family).copied().unwrap_or(bound.ip());
        let media = LocalMedia {
            rtp: SocketAddr::new(address, bound.port()),
            codecs: self.settings.sip.codecs.clone(),
            telephone_event: true,
            direction: Direction::SendRecv,
        };
        self.sip(now, Command::Accept { session, media });
    }

    fn media_agreed(&mut self, now: Instant, key: CallKey, media: NegotiatedMedia) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let fact = if call.media.is_none() {
            CallFact::Answered {
                codec: media.codec,
                telephone_event: media.telephone_event.is_some(),
                remote_rtp: media.remote_rtp,
            }
        } else {
            CallFact::MediaChanged { codec: media.codec, direction: media.direction, remote_rtp: media.remote_rtp }
        };
        call.answered_at.get_or_insert(now);
        call.reach(Reached::Attendant);
        call.media = Some(media.clone());
        let signalled_from = call.caller.source.ip();
        self.fact(key, fact);
        self.media(PlaneCommand::Negotiate { call: key, media: media.into(), signalled_from });
    }

    fn established(&mut self, now: Instant, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key).filter(|call| call.stage == Stage::Answering) else { return };
        call.stage = Stage::Up;
        self.fact(key, CallFact::Established);
        self.tell_attendant(now, key, attendant::Input::Answered);
    }

    fn talking(&mut self, key: CallKey, talking: bool) {
        let Some(call) = self.calls.get_mut(&key).filter(|call| call.stage == Stage::Up) else { return };
        if std::mem::replace(&mut call.talking, talking) != talking {
            self.fact(key, CallFact::Talking(talking));
        }
    }

    fn media_silent(&mut self, now: Instant, key: CallKey) {
        let Some(call) = self.calls.get(&key).filter(|call| call.stage == Stage::Up) else { return };
        let vanished = call.expects_voice();
        self.fact(key, CallFact::MediaSilent);
        if vanished && self.settings.hang_up_on_silence {
            self.hang_up(now, key, EndCause::MediaSilent);
        }
    }

    /// Ends the call from our side. The session tells when it has ended.
    pub(super) fn hang_up(&mut self, now: Instant, key: CallKey, why: EndCause) {
        let Some(call) = self.calls.get_mut(&key).filter(|call| call.stage != Stage::Closing) else { return };
        let session = call.session;
        let reason = match why {
            EndCause::MediaSilent => HangUpReason::NoMedia,
            EndCause::ShuttingDown => HangUpReason::Shutdown,
            EndCause::Failed { .. } => HangUpReason::Failure,
            _ => HangUpReason::Normal,
        };
        if call.end.is_none() {
            call.end = Some(why.clone());
            self.fact(key, CallFact::HangingUp { why });
        }
        self.sip(now, Command::HangUp { session, reason });
    }

    fn ended(&mut self, now: Instant, key: CallKey, reason: &EndReason) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        call.end.get_or_insert_with(|| end_cause(reason));
        call.ended_at = Some(now);
        call.stage = Stage::Closing;
        let (session, has_leg, meeting) = (call.session, call.has_leg, call.meeting.take());
        self.sessions.remove(&session);
        self.deadlines.set(Owner::Call(key), None);
        if let Some(meeting) = meeting {
            self.tell_room(now, meeting, meeting::Input::Depart { call: key });
        }
        if has_leg {
            self.media(PlaneCommand::Close { call: key });
        } else {
            self.finish(now, key, LegStatistics::default());
        }
    }

    fn leg_closed(&mut self, now: Instant, key: CallKey, statistics: LegStatistics) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        call.has_leg = false;
        if call.stage == Stage::Closing {
            self.finish(now, key, statistics);
        } else {
            // A leg that is gone without our asking: a media thread was lost.
            self.hang_up(now, key, EndCause::Failed { why: "the call's media is gone".into() });
        }
    }

    /// The call is gone, and its record is written.
    fn finish(&mut self, now: Instant, key: CallKey, statistics: LegStatistics) {
        if let Some(call) = self.calls.remove(&key) {
            self.deadlines.set(Owner::Call(key), None);
            let record = call.into_record(now, statistics);
            self.outputs.push_back(Output::Event(Event::CallEnded(Box::new(record))));
        }
    }

    fn sip(&mut self, now: Instant, command: Command) {
        // An error means that the session ended meanwhile: `Ended` is on its way, and says why.
        let _ = self.endpoint.handle_command(now, command);
    }

    pub(super) fn media(&mut self, command: PlaneCommand) {
        self.outputs.push_back(Output::Media(command));
    }

    pub(super) fn fact(&mut self, call: CallKey, fact: CallFact) {
        self.outputs.push_back(Output::Event(Event::Call { call, fact }));
    }

    pub(super) fn meeting_fact(&mut self, meeting: MeetingKey, fact: MeetingFact) {
        self.outputs.push_back(Output::Event(Event::Meeting { meeting, fact }));
    }

    pub(super) fn new_meeting(&mut self, now: Instant, conference: &Conference, id: ConferenceId) -> MeetingKey {
        let key = MeetingKey(self.next_meeting);
        self.next_meeting += 1;
        let room = Room::new(self.settings.meeting.clone());
        let organizer = conference.organizer_identity.clone();
        let meeting = RunningMeeting {
            room,
            conference: conference.key,
            conference_id: id,
            organizer: organizer.clone(),
            opened_at: now,
            started_at: None,
        };
        self.meetings.insert(key, meeting);
        self.meeting_of.insert(conference.key, key);
        self.meeting_fact(key, MeetingFact::Opened { conference_id: id, organizer });
        key
    }
}

fn end_cause(reason: &EndReason) -> EndCause {
    match reason {
        EndReason::RemoteBye => EndCause::CallerHungUp,
        EndReason::Cancelled => EndCause::CallerCancelled,
        EndReason::NoAck => EndCause::NoAck,
        EndReason::SessionTimerExpired => EndCause::SessionExpired,
        EndReason::TransportLost => EndCause::TransportLost,
        EndReason::Rejected { status } => EndCause::Refused { status: *status, why: "the INVITE was refused".into() },
        EndReason::NoCommonMedia { why } => EndCause::Refused { status: 488, why: why.clone() },
        EndReason::DialogGone { status } => {
            EndCause::Failed { why: format!("the caller's side does not know the call any more ({status})") }
        }
        EndReason::LocalBye | EndReason::NoAnswer | EndReason::Refused { .. } => {
            EndCause::Failed { why: reason.to_string() }
        }
    }
}
