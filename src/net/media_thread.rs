//! All media threads: which call and which meeting is where; commands down, events up.
//!
//! Which call and which meeting is where is [`Router`]'s idea, and how a leg moves between two threads is
//! [`Station`](crate::media::Station)'s. Here are the threads, the channels between them, and the ports.

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

use crate::media::station::Message;
use crate::media::{Plane, PlaneCommand, PlaneEvent, PlaneSettings, Router, Sounds};
use crate::words::ids::CallKey;
use crate::words::media::Codec;

use super::media_loop::{LegSockets, MediaLoop, ThreadCommand, ThreadCounters};
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
    rtp_ports: HashMap<CallKey, u16>,
    router: Router,
    sounds: Arc<Sounds>,
    /// In which the sounds are encoded, or will soon be: each codec from its first call on.
    sounds_in: Vec<Codec>,
}

struct Thread {
    commands: SyncSender<ThreadCommand>,
    counters: Arc<ThreadCounters>,
    handle: Option<JoinHandle<()>>,
}

impl MediaThreads {
    pub fn start(settings: MediaThreadsSettings, sounds: Arc<Sounds>, mut random: StdRng) -> io::Result<MediaThreads> {
        let cores = || thread::available_parallelism().map_or(1, usize::from);
        let count = settings.threads.unwrap_or_else(cores).max(1);
        let (event_sender, events) = tokio::sync::mpsc::channel(EVENTS);
        let ports = PortPool::new(settings.ports, &mut random);
        let start = Instant::now();
        let router = Router::new(count);
        let sounds_in = Vec::new();
        let rtp_ports = HashMap::new();
        let mut all = MediaThreads { threads: Vec::new(), events, ports, rtp_ports, router, sounds, sounds_in };
        let (senders, inboxes): (Vec<_>, Vec<_>) = (0..count).map(|_| sync_channel(COMMANDS)).unzip();
        for (number, (commands, inbox)) in senders.iter().cloned().zip(inboxes).enumerate() {
            let counters = Arc::new(ThreadCounters::default());
            let mut seed = <StdRng as SeedableRng>::Seed::default();
            random.fill_bytes(&mut seed);
            let plane = Plane::new(start, Arc::clone(&all.sounds), settings.plane, StdRng::from_seed(seed));
            let media_loop = MediaLoop::new(plane, inbox, senders.clone(), event_sender.clone(), Arc::clone(&counters));
            let handle = thread::Builder::new().name(format!("media-{number}")).spawn(move || media_loop.run())?;
            all.threads.push(Thread { commands, counters, handle: Some(handle) });
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
                    let thread = self.router.open(call);
                    self.rtp_ports.insert(call, rtp_port);
                    self.send(thread, Message::Open { call, sockets: LegSockets::new(sockets) });
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
        if let PlaneCommand::Negotiate { media, .. } = &command
            && media.codec.is_wide()
            && !self.sounds_in.contains(&media.codec)
        {
            let (sounds, codec) = (Arc::clone(&self.sounds), media.codec);
            self.sounds_in.push(codec);
            // Where no thread can be had each caller goes on with an encoder of his own.
            let _ = thread::Builder::new().name(format!("encode-{codec}")).spawn(move || sounds.encode(codec));
        }
        let MediaThreads { router, threads, .. } = self;
        router.route(command, &mut |thread, message| send(threads, thread, message));
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

    /// Keeps the books about an event on its way to control.
    fn note(&mut self, event: PlaneEvent) -> PlaneEvent {
        if let PlaneEvent::Closed { call, .. } = event
            && let Some(rtp_port) = self.rtp_ports.remove(&call)
        {
            self.router.closed(call);
            self.ports.release(rtp_port);
        }
        event
    }

    fn send(&self, thread: usize, message: Message<LegSockets>) {
        send(&self.threads, thread, message);
    }
}

fn send(threads: &[Thread], thread: usize, message: Message<LegSockets>) {
    let message = ThreadCommand::Station(message);
    if threads.get(thread).is_none_or(|thread| thread.commands.send(message).is_err()) {
        error!(thread, "a media thread is gone: its calls have no voice");
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
