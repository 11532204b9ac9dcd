//! All media threads: which call and which meeting is where; commands down, events up.
//!
//! A call's leg is opened on the thread with the fewest legs. A meeting is where its first caller is; whoever comes to wait
//! for it later is moved there, so that its start is one command to one thread. A leg moves by value:
//!
//! ```text
//!   control            old thread                         new thread
//!      │── expect leg ────────────────────────────────────►│
//!      │── move leg ───►│                                  │
//!      │                │── leg and sockets ──────────────►│
//!      │── commands for the call ─────────────────────────►│  wait there for the leg, if they come first
//! ```

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::mpsc::Receiver as EventReceiver;
use tracing::error;

use crate::media::{Background, Plane, PlaneCommand, PlaneEvent, PlaneSettings, Sounds};
use crate::words::ids::{CallKey, MeetingKey};

use super::media_loop::{MediaLoop, ThreadCommand, ThreadCounters};
use super::ports::{PortPool, open_pair};

/// Commands on their way to one thread, which takes them each 20 ms. Should more come in between, the sender waits for
/// that long: a lost command would leave a caller behind.
const COMMANDS: usize = 4_096;

/// Events on their way to control, from all threads. When it is full the threads keep theirs.
const EVENTS: usize = 4_096;

/// Ports that are tried for one call, when other programs have taken some of our range.
const PORTS_TRIED: usize = 64;

#[derive(Debug, Clone)]
pub struct MediaThreadsSettings {
    /// How many threads; `None`: one per core.
    pub threads: Option<usize>,
    /// `rtp.ports`.
    pub ports: RangeInclusive<u16>,
    pub plane: PlaneSettings,
}

/// Why a call gets no media.
#[derive(Debug, thiserror::Error)]
pub enum OpenLegError {
    #[error("every port of rtp.ports is taken: widen the range, or lower limits.calls")]
    NoPort,
    #[error(
        "no RTP socket on {address}, nor on other ports of rtp.ports: {error} (another program may hold them: choose other ports)"
    )]
    Taken { address: SocketAddr, error: io::Error },
    #[error("no RTP socket on {address}: {error}")]
    Socket { address: SocketAddr, error: io::Error },
}

/// What the threads have counted since the start, added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MediaCounters {
    pub ticks: u64,
    /// Ticks that began more than 5 ms after their time.
    pub ticks_late: u64,
    /// Ticks left out after a stall.
    pub ticks_skipped: u64,
    /// Datagrams that the kernel did not take.
    pub send_errors: u64,
    /// Digits dropped because control did not take them.
    pub events_dropped: u64,
    /// Legs that live now.
    pub legs: u64,
    pub ports_free: u64,
}

/// The media threads, seen from control.
pub struct MediaThreads {
    threads: Vec<Thread>,
    events: EventReceiver<PlaneEvent>,
    ports: PortPool,
    calls: HashMap<CallKey, Routed>,
    meetings: HashMap<MeetingKey, RoutedMeeting>,
}

struct Thread {
    commands: SyncSender<ThreadCommand>,
    counters: Arc<ThreadCounters>,
    legs: usize,
    handle: Option<JoinHandle<()>>,
}

/// Where a call's leg is, or is on its way to.
struct Routed {
    thread: usize,
    rtp_port: u16,
    meeting: Option<MeetingKey>,
}

struct RoutedMeeting {
    thread: usize,
    calls: usize,
}

impl MediaThreads {
    pub fn start(settings: MediaThreadsSettings, sounds: Arc<Sounds>, mut random: StdRng) -> io::Result<MediaThreads> {
        let cores = || thread::available_parallelism().map_or(1, usize::from);
        let count = settings.threads.unwrap_or_else(cores).max(1);
        let (event_sender, events) = tokio::sync::mpsc::channel(EVENTS);
        let ports = PortPool::new(settings.ports, &mut random);
        let start = Instant::now();
        let mut all =
            MediaThreads { threads: Vec::new(), events, ports, calls: HashMap::new(), meetings: HashMap::new() };
        for number in 0..count {
            let (commands, inbox) = sync_channel(COMMANDS);
            let counters = Arc::new(ThreadCounters::default());
            let mut seed = <StdRng as SeedableRng>::Seed::default();
            random.fill_bytes(&mut seed);
            let plane = Plane::new(start, Arc::clone(&sounds), settings.plane, StdRng::from_seed(seed));
            let media_loop = MediaLoop::new(plane, inbox, event_sender.clone(), Arc::clone(&counters));
            let handle = thread::Builder::new().name(format!("media-{number}")).spawn(move || media_loop.run())?;
            all.threads.push(Thread { commands, counters, legs: 0, handle: Some(handle) });
        }
        Ok(all)
    }

    /// Takes a port pair on `address` for this call, and gives its leg to a media thread (it stands for
    /// [`PlaneCommand::Open`]). Returns the local RTP address; RTCP is on the port above it. The pair is free again when
    /// [`PlaneEvent::Closed`] came out of [`MediaThreads::next_event`].
    pub fn open_leg(&mut self, call: CallKey, address: IpAddr) -> Result<SocketAddr, OpenLegError> {
        let mut refused = None;
        for _ in 0..PORTS_TRIED {
            let Some(rtp_port) = self.ports.take() else { break };
            match open_pair(address, rtp_port) {
                Ok(sockets) => {
                    let thread = (0..self.threads.len()).min_by_key(|&thread| self.legs(thread)).unwrap_or(0);
                    self.calls.insert(call, Routed { thread, rtp_port, meeting: None });
                    self.count_leg(thread, 1);
                    self.send(thread, ThreadCommand::Open { call, sockets });
                    return Ok(SocketAddr::new(address, rtp_port));
                }
                Err(error) => {
                    self.ports.release(rtp_port);
                    let address = SocketAddr::new(address, rtp_port);
                    if error.kind() != io::ErrorKind::AddrInUse {
                        return Err(OpenLegError::Socket { address, error });
                    }
                    self.ports.jump();
                    refused = Some(OpenLegError::Taken { address, error });
                }
            }
        }
        Err(refused.unwrap_or(OpenLegError::NoPort))
    }

    /// Sends a command to the thread of its call or meeting; what has to move for it, moves. A command for a call or a
    /// meeting that is not here does nothing.
    pub fn command(&mut self, command: PlaneCommand) {
        let thread = match &command {
            // `open_leg` has opened it: there would be no sockets.
            PlaneCommand::Open { .. } => None,
            PlaneCommand::Survey => {
                for thread in 0..self.threads.len() {
                    self.send(thread, ThreadCommand::Plane(PlaneCommand::Survey));
                }
                None
            }
            PlaneCommand::Gather { call, meeting } => {
                self.gather(*call, *meeting);
                None
            }
            PlaneCommand::Admit { meeting, calls } => {
                calls.iter().fold(None, |found, &call| self.gather(call, *meeting).or(found))
            }
            PlaneCommand::Background { call, background: Background::Meeting(meeting) } => self.gather(*call, *meeting),
            PlaneCommand::Chime { meeting, .. } => self.meetings.get(meeting).map(|meeting| meeting.thread),
            PlaneCommand::Negotiate { call, .. }
            | PlaneCommand::Background { call, .. }
            | PlaneCommand::Play { call, .. }
            | PlaneCommand::StopPlayback { call }
            | PlaneCommand::InfoDigit { call, .. }
            | PlaneCommand::Mute { call, .. }
            | PlaneCommand::Close { call } => self.calls.get(call).map(|routed| routed.thread),
        };
        if let Some(thread) = thread {
            self.send(thread, ThreadCommand::Plane(command));
        }
    }

    /// The next event of any thread. Safe to cancel (`select!`). `None` after [`MediaThreads::stop`] only.
    pub async fn next_event(&mut self) -> Option<PlaneEvent> {
        let event = self.events.recv().await?;
        Some(self.note(event))
    }

    /// The next event, if one is there.
    pub fn try_next_event(&mut self) -> Option<PlaneEvent> {
        let event = self.events.try_recv().ok()?;
        Some(self.note(event))
    }

    /// How many there are: so many [`PlaneEvent::Survey`] answer one [`PlaneCommand::Survey`].
    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    pub fn counters(&self) -> MediaCounters {
        let sum = |of: fn(&ThreadCounters) -> &AtomicU64| {
            self.threads.iter().map(|thread| of(&thread.counters).load(Ordering::Relaxed)).sum()
        };
        MediaCounters {
            ticks: sum(|counters| &counters.ticks),
            ticks_late: sum(|counters| &counters.ticks_late),
            ticks_skipped: sum(|counters| &counters.ticks_skipped),
            send_errors: sum(|counters| &counters.send_errors),
            events_dropped: sum(|counters| &counters.events_dropped),
            legs: sum(|counters| &counters.legs),
            ports_free: self.ports.free() as u64,
        }
    }

    /// Ends the threads and closes their sockets, within a tick.
    pub fn stop(&mut self) {
        for thread in &self.threads {
            // A thread that is gone needs no telling.
            let _ = thread.commands.send(ThreadCommand::Stop);
        }
        for handle in self.threads.iter_mut().filter_map(|thread| thread.handle.take()) {
            if handle.join().is_err() {
                error!("a media thread ended in a panic");
            }
        }
    }

    /// Books the call among those of the meeting, and has its leg moved to the meeting's thread. Returns that; `None`: the
    /// call is not here.
    fn gather(&mut self, call: CallKey, meeting: MeetingKey) -> Option<usize> {
        let Routed { thread: from, meeting: before, .. } = *self.calls.get(&call)?;
        if before != Some(meeting) {
            let gathered = self.meetings.entry(meeting).or_insert(RoutedMeeting { thread: from, calls: 0 });
            gathered.calls += 1;
            self.leave(before);
        }
        let to = self.meetings.get(&meeting)?.thread;
        if let Some(routed) = self.calls.get_mut(&call) {
            routed.meeting = Some(meeting);
            routed.thread = to;
        }
        if from != to {
            let destination = self.threads.get(to)?.commands.clone();
            self.send(to, ThreadCommand::Expect { call });
            self.send(from, ThreadCommand::Move { call, to: destination });
            self.count_leg(from, -1);
            self.count_leg(to, 1);
        }
        Some(to)
    }

    fn leave(&mut self, meeting: Option<MeetingKey>) {
        let Some(key) = meeting else { return };
        if let Some(left) = self.meetings.get_mut(&key) {
            left.calls = left.calls.saturating_sub(1);
            if left.calls == 0 {
                self.meetings.remove(&key);
            }
        }
    }

    /// Keeps the books about an event on its way to control.
    fn note(&mut self, event: PlaneEvent) -> PlaneEvent {
        if let PlaneEvent::Closed { call, .. } = event
            && let Some(routed) = self.calls.remove(&call)
        {
            self.leave(routed.meeting);
            self.count_leg(routed.thread, -1);
            self.ports.release(routed.rtp_port);
        }
        event
    }

    fn legs(&self, thread: usize) -> usize {
        self.threads.get(thread).map_or(usize::MAX, |thread| thread.legs)
    }

    fn count_leg(&mut self, thread: usize, change: isize) {
        if let Some(thread) = self.threads.get_mut(thread) {
            thread.legs = thread.legs.saturating_add_signed(change);
        }
    }

    fn send(&self, thread: usize, command: ThreadCommand) {
        if self.threads.get(thread).is_none_or(|thread| thread.commands.send(command).is_err()) {
            error!(thread, "a media thread is gone: its calls have no voice");
        }
    }
}

impl Drop for MediaThreads {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
#[path = "tests/media_thread.rs"]
mod tests;
