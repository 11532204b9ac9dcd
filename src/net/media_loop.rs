//! One media thread: a plane, its sockets, and a tick each 20 ms by absolute deadline.
//!
//! ```text
//!   deadline ─► commands ─► each socket, and its leg's turn ─► meetings ─► events ─► wait for the next deadline
//!                                                                                      └─► keys of callers who dial
//! ```
//!
//! Nothing in the loop waits for anybody: commands are taken as far as they have come, sockets are non-blocking, and an
//! event that does not fit into its channel is kept for the next tick.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use rustix::process::setpriority_process;
use tokio::sync::mpsc::Sender as EventSender;
use tokio::sync::mpsc::error::TrySendError as TrySendEventError;
use tracing::{debug, warn};

use crate::media::plane::Stream;
use crate::media::station::Message;
use crate::media::{Plane, PlaneEvent, Station};
use crate::words::media::{DigitMethod, FRAME};

use super::dialling::{DIALLING_MAX, Dialling};
use super::ports::PortPair;
use super::udp_drain::{Clocks, UdpDrain, disconnect};

/// Datagrams read from one socket in one tick. A peer sends one or two; a flood is left to the kernel to drop.
const DATAGRAMS_PER_TICK: usize = 16;

/// How often between two ticks those are looked at who dial: twice the packets that they should send. A flood is left for
/// the tick, and then to the kernel.
const EARLY_LOOKS_PER_TICK: usize = 2 * DIALLING_MAX;

/// Each leg's RTP socket is read until it is empty this often, its RTCP socket looked at, and its connection reviewed:
/// about three times a second, a different part of the legs in each tick.
const THOROUGH_EACH_TICKS: usize = 16;

/// Ticks that are made up for after a stall. That many packets at once a peer's jitter buffer takes; more would be a storm
/// of packets that come too late anyway, so the rest is left out.
const CATCH_UP_TICKS: u32 = 3;

/// A tick that begins this long after its time is counted as late.
const LATE: Duration = Duration::from_millis(5);

/// How much sooner than others a media thread gets a core that is wanted by several. Voice can't wait, and takes little: a
/// check of a PIN, a search in the console or another program on the machine can.
const NICENESS: i32 = -11;

/// What a media thread is told. Control's come from one sender, so that a call's commands keep their order.
pub(super) enum ThreadCommand {
    Station(Message<LegSockets>),
    Stop,
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

pub(super) struct LegSockets {
    pair: PortPair,
    /// The kernel finds the way to a connected peer faster, and drops what others send.
    connected: Option<SocketAddr>,
}

impl LegSockets {
    pub(super) fn new(pair: PortPair) -> LegSockets {
        LegSockets { pair, connected: None }
    }
}

pub(super) struct MediaLoop {
    station: Station<LegSockets>,
    commands: Receiver<ThreadCommand>,
    /// All threads, this one among them, by their numbers.
    threads: Vec<SyncSender<ThreadCommand>>,
    events: EventSender<PlaneEvent>,
    /// Did not fit into the channel.
    event_kept: Option<PlaneEvent>,
    counters: Arc<ThreadCounters>,
    drain: UdpDrain,
    dialling: Dialling,
    ticks: usize,
}

impl MediaLoop {
    pub(super) fn new(
        plane: Plane,
        commands: Receiver<ThreadCommand>,
        threads: Vec<SyncSender<ThreadCommand>>,
        events: EventSender<PlaneEvent>,
        counters: Arc<ThreadCounters>,
    ) -> MediaLoop {
        MediaLoop {
            station: Station::new(plane),
            commands,
            threads,
            events,
            event_kept: None,
            counters,
            drain: UdpDrain::default(),
            dialling: Dialling::default(),
            ticks: 0,
        }
    }

    /// Until [`ThreadCommand::Stop`].
    pub(super) fn run(mut self) {
        // Of this thread alone. Not everybody may: it takes root, CAP_SYS_NICE, or the service's LimitNICE.
        if let Err(error) = setpriority_process(None, NICENESS) {
            debug!(%error, "a media thread has no more priority than others");
        }
        loop {
            self.wait();
            self.make_up_for_a_stall();
            if !self.take_commands() {
                return;
            }
            self.retry_moves();
            self.tick();
            self.review_connections();
            self.give_events();
        }
    }

    /// Until the next tick is due. What callers who dial send meanwhile is taken as it comes.
    fn wait(&mut self) {
        for _ in 0..EARLY_LOOKS_PER_TICK {
            if !self.take_early() {
                break;
            }
            self.give_events();
        }
        thread::sleep(self.until_tick());
    }

    fn until_tick(&self) -> Duration {
        self.station.plane().next_tick_at().saturating_duration_since(Instant::now())
    }

    /// Waits until somebody who dials has sent something, and takes one datagram of each who has. `false`: nobody dials, or
    /// the next tick is due.
    fn take_early(&mut self) -> bool {
        let until_tick = self.until_tick();
        let MediaLoop { station, dialling, drain, .. } = self;
        let (plane, sockets) = station.parts();
        let socket = |slot: usize| sockets.get(slot).and_then(Option::as_ref).map(|sockets| &sockets.pair.rtp);
        let calls = dialling.calls(Instant::now());
        let mut dial = calls.filter_map(|call| plane.slot_of(call)).filter_map(|slot| Some((slot, socket(slot)?)));
        let Some(first) = dial.next().filter(|_| !until_tick.is_zero()) else { return false };
        // On the stack: this is done for every packet of somebody who dials.
        let mut places = [first; DIALLING_MAX];
        let mut count = 1;
        for (place, next) in places.iter_mut().skip(1).zip(dial) {
            *place = next;
            count += 1;
        }
        let mut looks = places.map(|(_, socket)| PollFd::new(socket.as_fd(), PollFlags::POLLIN));
        let looks = looks.get_mut(..count).unwrap_or_default();
        // What goes wrong here goes right in the tick.
        if ppoll(looks, Some(TimeSpec::from_duration(until_tick)), None).unwrap_or(0) == 0 {
            return false;
        }
        let clocks = Clocks::read();
        for ((slot, socket), look) in places.iter().zip(looks) {
            if look.any() == Some(true) {
                drain.drain(socket, &clocks, 1, |source, received_at, datagram| {
                    plane.handle_rtp(*slot, source, received_at, datagram);
                    false
                });
            }
        }
        true
    }

    fn make_up_for_a_stall(&mut self) {
        let behind = Instant::now().saturating_duration_since(self.station.plane().next_tick_at());
        let ticks = u32::try_from(behind.as_nanos() / FRAME.as_nanos()).unwrap_or(u32::MAX);
        if behind > LATE {
            count(&self.counters.ticks_late, 1);
        }
        if ticks > CATCH_UP_TICKS {
            self.station.parts().0.skip(ticks);
            count(&self.counters.ticks_skipped, u64::from(ticks));
        }
    }

    /// `false`: it is over.
    fn take_commands(&mut self) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(ThreadCommand::Stop) | Err(TryRecvError::Disconnected) => return false,
                Ok(ThreadCommand::Station(message)) => self.handle_message(message),
                Err(TryRecvError::Empty) => return true,
            }
        }
    }

    fn handle_message(&mut self, message: Message<LegSockets>) {
        let MediaLoop { station, threads, .. } = self;
        let lost_before = station.commands_lost();
        let changed = station.handle(Instant::now(), message, &mut |to, message| bring(threads, to, message));
        if station.commands_lost() > lost_before {
            warn!("a call gets more commands than its leg can wait for");
        }
        if let Some(slot) = changed {
            self.review_connection(slot);
        }
    }

    fn retry_moves(&mut self) {
        let MediaLoop { station, threads, .. } = self;
        station.retry_moves(Instant::now(), &mut |to, message| bring(threads, to, message));
    }

    // Sockets.

    /// One tick. Each leg's socket is read, and then the leg takes its turn, so that the socket and the leg are looked at
    /// once: with some hundred legs neither stays in the processor's cache for longer.
    fn tick(&mut self) {
        let clocks = Clocks::read();
        let MediaLoop { station, counters, drain, ticks, .. } = self;
        let (plane, sockets) = station.parts();
        let sockets: &[_] = sockets;
        let mut errors = 0;
        let mut out = |slot: usize, stream, destination, datagram: &[u8]| {
            let Some(Some(LegSockets { pair, connected })) = sockets.get(slot) else { return };
            let sent = match stream {
                Stream::Rtp if *connected == Some(destination) => pair.rtp.send(datagram),
                Stream::Rtp => pair.rtp.send_to(datagram, destination),
                Stream::Rtcp => pair.rtcp.send_to(datagram, destination),
            };
            // An earlier packet that reached no port is the peer's affair.
            errors += u64::from(sent.is_err_and(|error| error.kind() != io::ErrorKind::ConnectionRefused));
        };
        for (slot, place) in sockets.iter().enumerate() {
            if let Some(LegSockets { pair, .. }) = place {
                let thorough = (slot + *ticks).is_multiple_of(THOROUGH_EACH_TICKS);
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
            plane.take_turn(slot, &mut out);
        }
        let closed = plane.finish_tick(&mut out);
        if closed > 0 {
            // Before control is told, which may then give the ports to another call.
            station.drop_sockets_of_closed();
        }
        count(&counters.ticks, 1);
        if errors > 0 {
            count(&counters.send_errors, errors);
        }
        let plane = station.plane();
        counters.legs.store(plane.legs() as u64, Ordering::Relaxed);
        counters.events_dropped.store(plane.events_dropped(), Ordering::Relaxed);
    }

    fn review_connections(&mut self) {
        let first = (THOROUGH_EACH_TICKS - self.ticks % THOROUGH_EACH_TICKS) % THOROUGH_EACH_TICKS;
        for slot in (first..self.station.parts().1.len()).step_by(THOROUGH_EACH_TICKS) {
            self.review_connection(slot);
        }
        self.ticks = self.ticks.wrapping_add(1);
    }

    /// Connects the RTP socket to the source that the leg listens to, once that is settled; and undoes it when a
    /// negotiation has opened the question again.
    fn review_connection(&mut self, slot: usize) {
        let (plane, sockets) = self.station.parts();
        let settled = plane.settled_source(slot);
        let Some(Some(LegSockets { pair, connected })) = sockets.get_mut(slot) else { return };
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
        let event = self.station.parts().0.poll_event()?;
        match event {
            PlaneEvent::SourceBound { call, .. } => {
                if let Some(slot) = self.station.plane().slot_of(call) {
                    self.review_connection(slot);
                }
            }
            // A tone is found in a tick's frame, and an INFO comes another way.
            PlaneEvent::Digit { call, method: DigitMethod::Event, .. } => self.dialling.pressed(Instant::now(), call),
            _ => {}
        }
        Some(event)
    }
}

/// To another thread. What is gone has nothing to wait for.
fn bring(
    threads: &[SyncSender<ThreadCommand>],
    to: usize,
    message: Message<LegSockets>,
) -> Result<(), Message<LegSockets>> {
    let Some(thread) = threads.get(to) else { return Ok(()) };
    match thread.try_send(ThreadCommand::Station(message)) {
        Err(TrySendError::Full(ThreadCommand::Station(message))) => Err(message),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// One writer per counter, and nothing hangs on when others see it.
fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

#[cfg(test)]
#[path = "tests/media_loop.rs"]
mod tests;
