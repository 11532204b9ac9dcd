//! One media thread: a plane, its sockets, and a tick each 20 ms by absolute deadline.
//!
//! ```text
//!   deadline ─► commands ─► sockets ─► tick: one packet to every leg ─► events ─► sleep to the next deadline
//! ```
//!
//! Nothing in the loop waits for anybody: commands are taken as far as they have come, sockets are non-blocking, and an
//! event that does not fit into its channel is kept for the next tick.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender as EventSender;
use tokio::sync::mpsc::error::TrySendError as TrySendEventError;
use tracing::warn;

use crate::media::leg::Leg;
use crate::media::plane::Stream;
use crate::media::{Background, Plane, PlaneCommand, PlaneEvent};
use crate::words::ids::{CallKey, MeetingKey};
use crate::words::media::FRAME;

use super::ports::PortPair;
use super::udp_drain::{Clocks, UdpDrain, disconnect};

/// Datagrams read from one socket in one tick. A peer sends one or two; a flood is left to the kernel to drop.
const DATAGRAMS_PER_TICK: usize = 16;

/// Each leg's RTP socket is read until it is empty this often, its RTCP socket looked at, and its connection reviewed:
/// about three times a second, a different part of the legs in each tick.
const THOROUGH_EACH_TICKS: usize = 16;

/// Ticks that are made up for after a stall. That many packets at once a peer's jitter buffer takes; more would be a storm
/// of packets that come too late anyway, so the rest is left out.
const CATCH_UP_TICKS: u32 = 3;

/// Commands that wait for one leg between two threads. That takes a tick or two, in which control sends a handful.
const HELD_COMMANDS_MAX: usize = 256;

/// A tick that begins this long after its time is counted as late.
const LATE: Duration = Duration::from_millis(5);

/// What a media thread is told. From one sender, so that a call's commands keep their order.
pub(super) enum ThreadCommand {
    Plane(PlaneCommand),
    Open {
        call: CallKey,
        sockets: PortPair,
    },
    /// The leg goes to another thread, which has been told to expect it.
    Move {
        call: CallKey,
        to: SyncSender<ThreadCommand>,
    },
    Expect {
        call: CallKey,
    },
    Arrive(Box<MovedLeg>),
    /// The expected leg was not where it was looked for.
    ExpectNoLonger {
        call: CallKey,
    },
    Stop,
}

/// A leg on its way between two threads.
pub(super) struct MovedLeg {
    leg: Box<Leg>,
    sockets: LegSockets,
}

/// What one thread has counted, for whoever reads it from outside.
#[derive(Debug, Default)]
pub(super) struct ThreadCounters {
    pub ticks: AtomicU64,
    pub ticks_late: AtomicU64,
    pub ticks_skipped: AtomicU64,
    pub send_errors: AtomicU64,
    pub events_dropped: AtomicU64,
    pub legs: AtomicU64,
}

struct LegSockets {
    pair: PortPair,
    /// The kernel finds the way to a connected peer faster, and drops what others send.
    connected: Option<SocketAddr>,
}

/// A call whose commands wait, in their order, until its leg is where it belongs.
struct Held {
    until: HeldUntil,
    commands: Vec<ThreadCommand>,
}

enum HeldUntil {
    /// The leg comes from another thread.
    Arrival,
    /// The thread that it goes to has room for it. Until then it is served here.
    Room(SyncSender<ThreadCommand>),
}

pub(super) struct MediaLoop {
    plane: Plane,
    /// By the plane's slots.
    sockets: Vec<Option<LegSockets>>,
    commands: Receiver<ThreadCommand>,
    events: EventSender<PlaneEvent>,
    /// Did not fit into the channel.
    event_kept: Option<PlaneEvent>,
    /// Calls whose legs are between two threads.
    held: HashMap<CallKey, Held>,
    counters: Arc<ThreadCounters>,
    drain: UdpDrain,
    ticks: usize,
}

impl MediaLoop {
    pub(super) fn new(
        plane: Plane,
        commands: Receiver<ThreadCommand>,
        events: EventSender<PlaneEvent>,
        counters: Arc<ThreadCounters>,
    ) -> MediaLoop {
        MediaLoop {
            plane,
            sockets: Vec::new(),
            commands,
            events,
            event_kept: None,
            held: HashMap::new(),
            counters,
            drain: UdpDrain::default(),
            ticks: 0,
        }
    }

    /// Until [`ThreadCommand::Stop`], or until nobody is left to command.
    pub(super) fn run(mut self) {
        loop {
            let early = self.plane.next_tick_at().saturating_duration_since(Instant::now());
            thread::sleep(early);
            self.make_up_for_a_stall();
            if !self.take_commands() {
                return;
            }
            self.retry_moves();
            self.read_sockets();
            self.tick();
            self.give_events();
        }
    }

    fn make_up_for_a_stall(&mut self) {
        let behind = Instant::now().saturating_duration_since(self.plane.next_tick_at());
        let ticks = u32::try_from(behind.as_nanos() / FRAME.as_nanos()).unwrap_or(u32::MAX);
        if behind > LATE {
            count(&self.counters.ticks_late, 1);
        }
        if ticks > CATCH_UP_TICKS {
            self.plane.skip(ticks);
            count(&self.counters.ticks_skipped, u64::from(ticks));
        }
    }

    /// `false`: it is over.
    fn take_commands(&mut self) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(ThreadCommand::Stop) | Err(TryRecvError::Disconnected) => return false,
                Ok(command) => self.handle_command(command),
                Err(TryRecvError::Empty) => return true,
            }
        }
    }

    fn handle_command(&mut self, command: ThreadCommand) {
        match command {
            ThreadCommand::Plane(PlaneCommand::Admit { meeting, calls }) if !self.held.is_empty() => {
                for call in calls {
                    let background = Background::Meeting(meeting);
                    self.handle_command(ThreadCommand::Plane(PlaneCommand::Background { call, background }));
                }
            }
            ThreadCommand::Arrive(moved) => self.take_in(*moved),
            ThreadCommand::ExpectNoLonger { call } => {
                self.held.remove(&call);
            }
            command => match self.held_by(&command) {
                Some(held) if held.commands.len() < HELD_COMMANDS_MAX => held.commands.push(command),
                Some(_) => warn!("a call gets more commands than its leg can wait for"),
                None => self.carry_out(command),
            },
        }
    }

    /// The call that this command has to wait for, if there is one. A chime waits for whoever is on his way into its
    /// meeting, so that he hears it too.
    fn held_by(&mut self, command: &ThreadCommand) -> Option<&mut Held> {
        if self.held.is_empty() {
            return None;
        }
        if let ThreadCommand::Plane(PlaneCommand::Chime { meeting, .. }) = command {
            return self.held.values_mut().find(|held| held.commands.iter().any(|command| enters(command, *meeting)));
        }
        self.held.get_mut(&call_of(command)?)
    }

    fn carry_out(&mut self, command: ThreadCommand) {
        match command {
            ThreadCommand::Plane(command) => {
                let negotiated = match command {
                    PlaneCommand::Negotiate { call, .. } => Some(call),
                    _ => None,
                };
                self.plane.handle_command(Instant::now(), command);
                if let Some(slot) = negotiated.and_then(|call| self.plane.slot_of(call)) {
                    self.review_connection(slot);
                }
            }
            ThreadCommand::Open { call, sockets } => {
                self.plane.handle_command(Instant::now(), PlaneCommand::Open { call });
                if let Some(slot) = self.plane.slot_of(call) {
                    self.keep_sockets(slot, LegSockets { pair: sockets, connected: None });
                }
            }
            ThreadCommand::Expect { call } => {
                self.held.insert(call, Held { until: HeldUntil::Arrival, commands: Vec::new() });
            }
            ThreadCommand::Move { call, to } => {
                if let Err(to) = self.move_leg(call, to) {
                    self.held.insert(call, Held { until: HeldUntil::Room(to), commands: Vec::new() });
                }
            }
            ThreadCommand::Arrive(_) | ThreadCommand::ExpectNoLonger { .. } | ThreadCommand::Stop => {}
        }
    }

    fn keep_sockets(&mut self, slot: usize, sockets: LegSockets) {
        if self.sockets.len() <= slot {
            self.sockets.resize_with(slot + 1, || None);
        }
        if let Some(place) = self.sockets.get_mut(slot) {
            *place = Some(sockets);
        }
    }

    // Legs that move.

    /// Takes in a leg with its sockets, and carries out what waited for it. The commands can send it on, and expect it
    /// back: what comes behind that waits again.
    fn take_in(&mut self, moved: MovedLeg) {
        let MovedLeg { leg, sockets } = moved;
        let call = leg.call();
        let slot = self.plane.insert_leg(leg);
        self.keep_sockets(slot, sockets);
        self.review_connection(slot);
        self.release(call);
    }

    fn release(&mut self, call: CallKey) {
        let waiting = self.held.remove(&call).map(|held| held.commands);
        for command in waiting.unwrap_or_default() {
            self.handle_command(command);
        }
    }

    /// Sends a leg to another thread. `Err`: that has no room for it now.
    fn move_leg(&mut self, call: CallKey, to: SyncSender<ThreadCommand>) -> Result<(), SyncSender<ThreadCommand>> {
        let found = self.plane.slot_of(call);
        let taken = self.plane.take_leg(call).zip(found.and_then(|slot| self.sockets.get_mut(slot)?.take()));
        let message = match taken {
            Some((leg, sockets)) => ThreadCommand::Arrive(Box::new(MovedLeg { leg, sockets })),
            None => ThreadCommand::ExpectNoLonger { call },
        };
        match to.try_send(message) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => Ok(()),
            Err(TrySendError::Full(message)) => {
                if let ThreadCommand::Arrive(moved) = message {
                    let MovedLeg { leg, sockets } = *moved;
                    let slot = self.plane.insert_leg(leg);
                    self.keep_sockets(slot, sockets);
                }
                Err(to)
            }
        }
    }

    fn retry_moves(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let ready = |(&call, held): (&CallKey, &Held)| match &held.until {
            HeldUntil::Room(to) => Some((call, to.clone())),
            HeldUntil::Arrival => None,
        };
        let waiting: Vec<_> = self.held.iter().filter_map(ready).collect();
        for (call, to) in waiting {
            if self.move_leg(call, to).is_ok() {
                self.release(call);
            }
        }
    }

    // Sockets.

    fn read_sockets(&mut self) {
        let clocks = Clocks::read();
        let MediaLoop { plane, sockets, drain, .. } = self;
        for (slot, place) in sockets.iter().enumerate() {
            let Some(LegSockets { pair, .. }) = place else { continue };
            let thorough = (slot + self.ticks).is_multiple_of(THOROUGH_EACH_TICKS);
            drain.drain(&pair.rtp, &clocks, DATAGRAMS_PER_TICK, |source, received_at, datagram| {
                let hungry = plane.handle_rtp(slot, source, received_at, datagram);
                // What came before the last tick was left over then: there can be more. What came since is most likely
                // all, and if it isn't the next tick finds it.
                thorough || hungry || clocks.now.saturating_duration_since(received_at) > FRAME
            });
            if thorough {
                drain.drain(&pair.rtcp, &clocks, DATAGRAMS_PER_TICK, |source, received_at, datagram| {
                    plane.handle_rtcp(slot, source, received_at, datagram);
                    true
                });
            }
        }
        let first = (THOROUGH_EACH_TICKS - self.ticks % THOROUGH_EACH_TICKS) % THOROUGH_EACH_TICKS;
        for slot in (first..self.sockets.len()).step_by(THOROUGH_EACH_TICKS) {
            self.review_connection(slot);
        }
    }

    /// Connects the RTP socket to the source that the leg listens to, once that is settled; and undoes it when a
    /// negotiation has opened the question again.
    fn review_connection(&mut self, slot: usize) {
        let settled = self.plane.settled_source(slot);
        let Some(Some(LegSockets { pair, connected })) = self.sockets.get_mut(slot) else { return };
        if *connected == settled {
            return;
        }
        let done = match settled {
            Some(source) => pair.rtp.connect(source),
            None => disconnect(&pair.rtp),
        };
        match done {
            Ok(()) => *connected = settled,
            // Sending and receiving work without; the plane refuses strangers itself. But a socket that hears the wrong
            // peer only must not stay so.
            Err(error) => {
                warn!(%error, "an RTP socket could not be connected");
                if disconnect(&pair.rtp).is_ok() {
                    *connected = None;
                }
            }
        }
    }

    fn tick(&mut self) {
        let MediaLoop { plane, sockets, counters, .. } = self;
        let mut errors = 0;
        let closed = plane.tick(&mut |slot, stream, destination, datagram| {
            let Some(Some(LegSockets { pair, connected })) = sockets.get(slot) else { return };
            let sent = match stream {
                Stream::Rtp if *connected == Some(destination) => pair.rtp.send(datagram),
                Stream::Rtp => pair.rtp.send_to(datagram, destination),
                Stream::Rtcp => pair.rtcp.send_to(datagram, destination),
            };
            // An earlier packet that reached no port is the peer's affair.
            errors += u64::from(sent.is_err_and(|error| error.kind() != io::ErrorKind::ConnectionRefused));
        });
        if closed > 0 {
            // Before control is told, which may then give the ports to another call.
            for (slot, place) in sockets.iter_mut().enumerate() {
                if !plane.has_leg(slot) {
                    *place = None;
                }
            }
        }
        self.ticks = self.ticks.wrapping_add(1);
        count(&counters.ticks, 1);
        if errors > 0 {
            count(&counters.send_errors, errors);
        }
        counters.legs.store(plane.legs() as u64, Ordering::Relaxed);
        counters.events_dropped.store(plane.events_dropped(), Ordering::Relaxed);
    }

    // Events.

    fn give_events(&mut self) {
        while let Some(event) = self.event_kept.take().or_else(|| self.next_event()) {
            match self.events.try_send(event) {
                Ok(()) | Err(TrySendEventError::Closed(_)) => {}
                Err(TrySendEventError::Full(event)) => {
                    self.event_kept = Some(event);
                    return;
                }
            }
        }
    }

    fn next_event(&mut self) -> Option<PlaneEvent> {
        let event = self.plane.poll_event()?;
        if let PlaneEvent::SourceBound { call, .. } = &event
            && let Some(slot) = self.plane.slot_of(*call)
        {
            self.review_connection(slot);
        }
        Some(event)
    }
}

/// The call whose leg the command is about.
fn call_of(command: &ThreadCommand) -> Option<CallKey> {
    match command {
        ThreadCommand::Open { call, .. } | ThreadCommand::Move { call, .. } | ThreadCommand::Expect { call } => {
            Some(*call)
        }
        ThreadCommand::Plane(
            PlaneCommand::Open { call }
            | PlaneCommand::Negotiate { call, .. }
            | PlaneCommand::Background { call, .. }
            | PlaneCommand::Play { call, .. }
            | PlaneCommand::StopPlayback { call }
            | PlaneCommand::InfoDigit { call, .. }
            | PlaneCommand::Gather { call, .. }
            | PlaneCommand::Mute { call, .. }
            | PlaneCommand::Close { call },
        ) => Some(*call),
        ThreadCommand::Plane(PlaneCommand::Admit { .. } | PlaneCommand::Chime { .. } | PlaneCommand::Survey)
        | ThreadCommand::Arrive(_)
        | ThreadCommand::ExpectNoLonger { .. }
        | ThreadCommand::Stop => None,
    }
}

/// The command makes its call a member of this meeting.
fn enters(command: &ThreadCommand, meeting: MeetingKey) -> bool {
    matches!(command, ThreadCommand::Plane(PlaneCommand::Background { background: Background::Meeting(entered), .. })
        if *entered == meeting)
}

/// One writer per counter, and nothing hangs on when others see it.
fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
