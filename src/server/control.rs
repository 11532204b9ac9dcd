//! The one task that owns the engine. It brings inputs in, carries outputs out, and never waits for a socket, a media
//! thread or the store in between.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc};
use tokio::time::{MissedTickBehavior, interval, sleep_until, timeout};

use super::live::{HostedMeeting, LiveDesk, LiveRequest};
use crate::attendant::Question;
use crate::credentials::{self, Gate};
use crate::engine::{Counts, Engine, LiveDone, Origin, Output};
use crate::media::{PlaneCommand, PlaneEvent};
use crate::meeting;
use crate::net::media_thread::{MediaCounters, MediaThreads};
use crate::net::route::Routes;
use crate::net::sip_inputs::{SipInput, SipReceiver};
use crate::net::sip_transport::{Drops, SipTransport};
use crate::observe::Observer;
use crate::observe::http::{Health, Status};
use crate::observe::measures::ShellCounts;
use crate::sip::Refusals;
use crate::words::answer::{ConferenceAnswer, PinAnswer};
use crate::words::ids::{CallKey, LookupKey};
use crate::words::limits;

/// Inputs taken in one go before the outputs are carried out: enough to make the loop cheap under load, few enough that
/// an answer never waits behind a flood.
const INPUTS_AT_ONCE: usize = 32;

/// How often the figures for `/healthz` and `/metrics` are brought up to date.
const STATUS_EVERY: Duration = Duration::from_millis(200);

/// A status older than this means that the control task does not come round any more.
const STUCK_AFTER: Duration = Duration::from_secs(5);

/// A question that the store has not answered by then is over; the attendant gave up on it long before.
const LOOKUP_MAX: Duration = Duration::from_secs(30);

/// Answers of the store leave at whole multiples of this, counted from the question: an unknown conference ID is written
/// down and a known one is not, a wrong PIN is hashed and one without a try is not, and none of it can be heard. Longer
/// than any of them takes on a machine that is not overrun; shorter than a caller notices. A right PIN waits for nothing.
const ANSWER_STEP: Duration = Duration::from_millis(100);

/// After the last call of a shutdown: time for the answers to our BYEs, so that nobody repeats into the void.
const LINGER: Duration = Duration::from_millis(500);

/// What the process asks of the control task.
#[derive(Debug, Clone)]
pub enum Control {
    Drain {
        grace: Duration,
    },
    /// What the organization has decided about meetings.
    Meetings(meeting::Settings),
}

/// A store's answer on its way back.
#[derive(Debug)]
enum Answer {
    Conference { call: CallKey, lookup: LookupKey, answer: ConferenceAnswer },
    Pin { call: CallKey, lookup: LookupKey, answer: PinAnswer },
}

impl Answer {
    /// Whether the time that it took would tell a caller what he is not to know.
    fn tells_by_its_time(&self) -> bool {
        match self {
            Answer::Conference { answer, .. } => *answer != ConferenceAnswer::Unavailable,
            Answer::Pin { answer, .. } => matches!(answer, PinAnswer::Wrong | PinAnswer::OutOfTries),
        }
    }
}

/// When an answer leaves that came after `took`, counted from the question.
fn leaves_after(took: Duration, answer: &Answer) -> Duration {
    if !answer.tells_by_its_time() {
        return took;
    }
    let steps = took.as_nanos().div_ceil(ANSWER_STEP.as_nanos()).max(1);
    ANSWER_STEP.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX))
}

/// Everything that the engine's outputs go to, and its inputs come from.
pub struct Shell {
    pub transport: SipTransport,
    pub routes: Arc<Routes>,
    pub media: MediaThreads,
    pub gate: Arc<dyn Gate>,
    pub observer: Observer,
    pub status: Arc<SharedStatus>,
    pub live: LiveDesk,
}

/// See the module.
pub struct ControlTask {
    engine: Engine,
    transport: SipTransport,
    routes: Arc<Routes>,
    media: MediaThreads,
    gate: Arc<dyn Gate>,
    observer: Observer,
    status: Arc<SharedStatus>,
    live: LiveDesk,
    lookups: Arc<Semaphore>,
    answers: mpsc::Sender<Answer>,
    answered: mpsc::Receiver<Answer>,
    idle_since: Option<Instant>,
    /// Calls for which no ports could be opened.
    legs_refused: u64,
}

impl ControlTask {
    pub fn new(engine: Engine, shell: Shell) -> ControlTask {
        let Shell { transport, routes, media, gate, observer, status, live } = shell;
        let (answers, answered) = mpsc::channel(limits::LOOKUPS);
        let lookups = Arc::new(Semaphore::new(limits::LOOKUPS));
        ControlTask {
            engine,
            transport,
            routes,
            media,
            gate,
            observer,
            status,
            live,
            lookups,
            answers,
            answered,
            idle_since: None,
            legs_refused: 0,
        }
    }

    /// Runs until a shutdown is complete.
    pub async fn run(mut self, mut sip: SipReceiver, mut control: mpsc::Receiver<Control>) {
        let mut status_due = interval(STATUS_EVERY);
        status_due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.is_over() {
            let deadline = self.engine.poll_timeout();
            let timer = async {
                match deadline {
                    Some(at) => sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(input) = sip.recv() => {
                    self.sip_input(input);
                    for _ in 1..INPUTS_AT_ONCE {
                        let Ok(input) = sip.try_recv_of_trunk() else { break };
                        self.sip_input(input);
                    }
                }
                Some(event) = self.media.next_event() => {
                    self.media_event(event);
                    for _ in 1..INPUTS_AT_ONCE {
                        let Some(event) = self.media.try_next_event() else { break };
                        self.media_event(event);
                    }
                }
                Some(request) = self.live.next() => self.live_request(request),
                Some(answer) = self.answered.recv() => self.answer(answer),
                Some(order) = control.recv() => match order {
                    Control::Drain { grace } => self.engine.handle_shutdown(Instant::now(), grace),
                    Control::Meetings(settings) => self.engine.handle_meeting_settings(Instant::now(), settings),
                },
                () = timer => self.engine.handle_timeout(Instant::now()),
                _ = status_due.tick() => {
                    self.status.update(&self.engine, &self.media, self.legs_refused);
                    self.live.tick(Instant::now(), &self.engine);
                }
            }
            self.carry_out();
        }
        self.media.stop();
    }

    fn sip_input(&mut self, input: SipInput) {
        let now = Instant::now();
        match input {
            SipInput::Message { flow, bytes } => self.engine.handle_message(now, &flow, bytes),
            SipInput::ConnectionLost { connection } => self.engine.handle_connection_lost(now, connection),
        }
        // A 100 leaves before the next INVITE is read.
        self.transmit();
    }

    fn answer(&mut self, answer: Answer) {
        let now = Instant::now();
        match answer {
            Answer::Conference { call, lookup, answer } => {
                self.engine.handle_conference_answer(now, call, lookup, answer);
            }
            Answer::Pin { call, lookup, answer } => self.engine.handle_pin_answer(now, call, lookup, answer),
        }
    }

    fn media_event(&mut self, event: PlaneEvent) {
        let now = Instant::now();
        let is_survey = matches!(event, PlaneEvent::Survey { .. });
        self.engine.handle_media(now, event);
        if is_survey {
            self.live.survey_came(now, &self.engine);
        }
    }

    fn live_request(&mut self, request: LiveRequest) {
        let now = Instant::now();
        match request {
            LiveRequest::Snapshot { answer } => {
                if self.live.asked(now, &self.engine, answer) {
                    self.media.command(PlaneCommand::Survey);
                    self.live.survey_begins(now, self.media.threads());
                }
            }
            LiveRequest::Hosted { answer } => {
                // Who asked may have gone away.
                let _ = answer.send(HostedMeeting::all(&self.engine));
            }
            LiveRequest::Command { by, command, answer } => {
                let order = command.to_string();
                let done = self.engine.handle_live(now, command);
                match &done {
                    Ok(LiveDone { calls, already, .. }) => {
                        tracing::info!(by, calls, already, "from outside: {order}");
                    }
                    Err(why) => tracing::info!(by, "from outside, refused: {order}: {why}"),
                }
                // What follows from it is on its way before its sender learns that it was done.
                self.carry_out();
                let _ = answer.send(done);
            }
        }
    }

    fn transmit(&mut self) {
        while let Some(transmit) = self.engine.poll_transmit() {
            self.transport.transmit(transmit);
        }
    }

    fn carry_out(&mut self) {
        self.transmit();
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::OpenLeg { call, address, peer } => {
                    let address = match peer {
                        Some(peer) if peer.is_ipv4() != address.is_ipv4() => self.routes.address_towards(peer),
                        _ => address,
                    };
                    let opened = self.media.open_leg(call, address).map_err(|error| error.to_string());
                    self.legs_refused = self.legs_refused.saturating_add(u64::from(opened.is_err()));
                    self.engine.handle_leg_opened(Instant::now(), call, opened);
                    self.transmit();
                }
                Output::Media(command) => self.media.command(command),
                Output::Lookup { call, lookup, question, origin } => self.ask(call, lookup, question, &origin),
                Output::Event(event) => {
                    self.observer.handle(&event);
                    self.live.tell(&event, &self.engine);
                }
            }
        }
        self.observer.flush();
    }

    /// Asks the store in a task of its own.
    fn ask(&mut self, call: CallKey, lookup: LookupKey, question: Question, origin: &Origin) {
        let unavailable = match &question {
            Question::Conference { .. } => Answer::Conference { call, lookup, answer: ConferenceAnswer::Unavailable },
            Question::Pin { .. } => Answer::Pin { call, lookup, answer: PinAnswer::Unavailable },
        };
        let Ok(place) = self.lookups.clone().try_acquire_owned() else {
            tracing::error!(bound = limits::LOOKUPS, "more questions to the credential store than it answers");
            return self.answer(unavailable);
        };
        let (gate, answers) = (self.gate.clone(), self.answers.clone());
        let origin = credentials::Origin::new(&origin.caller, &origin.trunk);
        tokio::spawn(async move {
            let asked = async {
                match question {
                    Question::Conference { id } => {
                        let answer = gate.find_conference(&id, &origin).await.unwrap_or_else(|error| {
                            tracing::error!(%call, %error, "the credential store failed");
                            ConferenceAnswer::Unavailable
                        });
                        Answer::Conference { call, lookup, answer }
                    }
                    Question::Pin { conference, pin } => {
                        let answer = gate.verify_pin(conference, &pin, &origin).await.unwrap_or_else(|error| {
                            tracing::error!(%call, %error, "the credential store failed");
                            PinAnswer::Unavailable
                        });
                        Answer::Pin { call, lookup, answer }
                    }
                }
            };
            let asked_at = Instant::now();
            let answer = timeout(LOOKUP_MAX, asked).await.unwrap_or(unavailable);
            sleep_until((asked_at + leaves_after(asked_at.elapsed(), &answer)).into()).await;
            let _ = answers.send(answer).await;
            drop(place);
        });
    }

    /// Whether a shutdown has nothing left to wait for.
    fn is_over(&mut self) -> bool {
        if !self.engine.is_draining() {
            return false;
        }
        let counts = self.engine.counts();
        if counts.calls > 0 {
            self.idle_since = None;
            return false;
        }
        self.idle_since.get_or_insert_with(Instant::now).elapsed() >= LINGER
    }
}

/// What the HTTP pages read of the control task.
pub struct SharedStatus {
    latest: Mutex<Latest>,
    drops: Arc<Drops>,
}

struct Latest {
    at: Instant,
    draining: bool,
    counts: Counts,
    refusals: Refusals,
    media: MediaCounters,
    legs_refused: u64,
}

impl SharedStatus {
    pub fn new(drops: Arc<Drops>) -> SharedStatus {
        let latest = Latest {
            at: Instant::now(),
            draining: false,
            counts: Counts::default(),
            refusals: Refusals::default(),
            media: MediaCounters::default(),
            legs_refused: 0,
        };
        SharedStatus { latest: Mutex::new(latest), drops }
    }

    fn update(&self, engine: &Engine, media: &MediaThreads, legs_refused: u64) {
        let latest = Latest {
            at: Instant::now(),
            draining: engine.is_draining(),
            counts: engine.counts(),
            refusals: engine.refusals().clone(),
            media: media.counters(),
            legs_refused,
        };
        *self.lock() = latest;
    }

    fn lock(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Status for SharedStatus {
    fn health(&self) -> Health {
        let latest = self.lock();
        if latest.at.elapsed() > STUCK_AFTER {
            Health::Stuck
        } else if latest.draining {
            Health::Draining
        } else {
            Health::Ready
        }
    }

    fn counts(&self) -> ShellCounts {
        let latest = self.lock();
        let drops = &self.drops;
        ShellCounts {
            calls: latest.counts.calls as u64,
            waiting: latest.counts.waiting as u64,
            in_meeting: latest.counts.in_meeting as u64,
            meetings: latest.counts.meetings as u64,
            sip_transactions: latest.counts.transactions as u64,
            refusals: latest.refusals.clone(),
            sip_received_dropped: drops.received.load(Ordering::Relaxed),
            sip_sent_dropped: drops.sent.load(Ordering::Relaxed),
            sip_excess: drops.excess().map(|(why, count)| (why.token(), count)),
            sip_connections_evicted: drops.evicted.load(Ordering::Relaxed),
            sip_connections_refused: drops.connections.load(Ordering::Relaxed),
            media_ticks: latest.media.ticks,
            media_ticks_late: latest.media.ticks_late,
            media_ticks_skipped: latest.media.ticks_skipped,
            media_legs: latest.media.legs,
            legs_refused: latest.legs_refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::answer::{Announcements, Conference, LobbyPolicy};
    use crate::words::ids::{ConferenceKey, UserKey};

    fn conference(answer: ConferenceAnswer) -> Answer {
        Answer::Conference { call: CallKey(1), lookup: LookupKey(1), answer }
    }

    fn pin(answer: PinAnswer) -> Answer {
        Answer::Pin { call: CallKey(1), lookup: LookupKey(1), answer }
    }

    #[test]
    fn no_answer_tells_by_its_time_what_it_is() {
        let found = ConferenceAnswer::Found(Conference {
            key: ConferenceKey(1),
            organizer: UserKey(1),
            organizer_identity: "anna@example.com".into(),
            allow_anonymous_start: false,
            lobby_policy: LobbyPolicy::Open,
            announcements: Announcements::Tones,
        });
        let after = |took_us, answer: Answer| leaves_after(Duration::from_micros(took_us), &answer).as_micros();
        for took in [0, 1, 900, 30_000, 99_999, 100_000] {
            assert_eq!(after(took, conference(found.clone())), 100_000);
            assert_eq!(after(took, conference(ConferenceAnswer::Unknown)), 100_000);
            assert_eq!(after(took, conference(ConferenceAnswer::UnknownAndOutOfTries)), 100_000);
            assert_eq!(after(took, pin(PinAnswer::Wrong)), 100_000);
            assert_eq!(after(took, pin(PinAnswer::OutOfTries)), 100_000);
            // Whoever is right is not kept waiting; and that the store is away is no secret.
            assert_eq!(after(took, pin(PinAnswer::Right)), u128::from(took));
            assert_eq!(after(took, pin(PinAnswer::Unavailable)), u128::from(took));
        }
        assert_eq!(after(130_000, pin(PinAnswer::Wrong)), 200_000, "an overrun machine tells no more than that");
    }
}
