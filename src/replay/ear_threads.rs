//! Ears at work, beside the thread that keeps the packets' time: recognizing takes longer now and then than a frame may.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::ears::{Ears, Hearing, SoundLibrary, UnknownSound};
use super::listener::HeardFrame;
use super::sound::Sound;
use crate::words::media::{FRAME, FRAME_SAMPLES};

/// Threads. On a machine with more cores than this, ears are not what takes the time.
const THREADS: usize = 4;

/// Batches that wait for one thread: with 250 callers on it, some two seconds.
const WAITING: usize = 25_000;

/// Silence after a call's end, so that its last second is understood as well: an anchor, two looks.
const AFTERMATH_FRAMES: u32 = 60;

enum Task {
    Listen {
        caller: usize,
        frames: Vec<HeardFrame>,
    },
    /// The call is over, and this was its last moment.
    Finish {
        caller: usize,
        at: Duration,
    },
}

/// What one caller's ears have to say.
#[derive(Debug)]
pub struct EarReport {
    pub caller: usize,
    pub changes: Vec<Hearing>,
    pub heard_to: Duration,
    /// Nothing more will come.
    pub all: bool,
}

/// The ears are so far behind that frames would have to be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this machine is too slow to listen to so many callers at once")]
pub struct TooSlow;

/// The threads with all callers' ears.
pub struct EarThreads {
    tasks: Vec<SyncSender<Task>>,
    reports: Receiver<EarReport>,
    threads: Vec<JoinHandle<()>>,
}

impl EarThreads {
    /// Ears for every caller, each listening for his sounds.
    pub fn start(library: &Arc<SoundLibrary>, listens_for: &[Vec<Sound>]) -> Result<EarThreads, UnknownSound> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let count = cores.min(THREADS).min(listens_for.len()).max(1);
        let mut ears: Vec<Vec<(usize, Ears)>> = (0..count).map(|_| Vec::new()).collect();
        for (caller, sounds) in listens_for.iter().enumerate() {
            if let Some(group) = ears.get_mut(caller % count) {
                group.push((caller, Ears::new(library, sounds)?));
            }
        }
        let (report, reports) = channel();
        let mut started = EarThreads { tasks: Vec::new(), reports, threads: Vec::new() };
        for group in ears {
            let (send, receive) = sync_channel(WAITING);
            let report = report.clone();
            started.tasks.push(send);
            started.threads.push(std::thread::spawn(move || work(group, &receive, &report)));
        }
        Ok(started)
    }

    pub fn listen(&self, caller: usize, frames: Vec<HeardFrame>) -> Result<(), TooSlow> {
        if frames.is_empty() { Ok(()) } else { self.send(caller, Task::Listen { caller, frames }) }
    }

    pub fn finish(&self, caller: usize, at: Duration) -> Result<(), TooSlow> {
        self.send(caller, Task::Finish { caller, at })
    }

    /// What was found out since the last call.
    pub fn poll_report(&self) -> Option<EarReport> {
        self.reports.try_recv().ok()
    }

    fn send(&self, caller: usize, task: Task) -> Result<(), TooSlow> {
        let thread = caller.checked_rem(self.tasks.len()).and_then(|index| self.tasks.get(index));
        match thread.map(|thread| thread.try_send(task)) {
            Some(Err(TrySendError::Full(_))) => Err(TooSlow),
            // A thread that is gone has no callers left to tell anything of.
            _ => Ok(()),
        }
    }
}

impl Drop for EarThreads {
    fn drop(&mut self) {
        self.tasks.clear();
        for thread in self.threads.drain(..) {
            // A panic in it was reported where it happened.
            let _ = thread.join();
        }
    }
}

fn work(mut ears: Vec<(usize, Ears)>, tasks: &Receiver<Task>, reports: &Sender<EarReport>) {
    while let Ok(task) = tasks.recv() {
        let (caller, frames, all) = match task {
            Task::Listen { caller, frames } => (caller, frames, false),
            Task::Finish { caller, at } => {
                let aftermath = (0..AFTERMATH_FRAMES)
                    .map(|n| HeardFrame {
                        at: at.saturating_add(FRAME.saturating_mul(n)),
                        samples: [0; FRAME_SAMPLES],
                        missing: false,
                    })
                    .collect();
                (caller, aftermath, true)
            }
        };
        let Some((_, ears)) = ears.iter_mut().find(|(each, _)| *each == caller) else { continue };
        let mut changes = Vec::new();
        let mut heard_to = Duration::ZERO;
        for frame in &frames {
            ears.hear(frame);
            heard_to = heard_to.max(frame.at);
            while let Some(change) = ears.poll_change() {
                changes.push(change);
            }
        }
        if reports.send(EarReport { caller, changes, heard_to, all }).is_err() {
            return;
        }
    }
}
