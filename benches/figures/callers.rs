//! The load generator: many callers, one thread, one clock.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use anteroom::words::media::FRAME;
use serde::Serialize;

use super::delivery::Delivery;
use super::fleet::{Fleet, SLOTS};
use super::floor::sleep_until;
use super::phones::{Intent, Phones};
use super::process::{Process, datagrams_dropped, first_of_all};
use super::{Outcome, wrong};

/// How far the generator may be behind before it leaves whole frames out: it was not called, or the machine stood still.
const BEHIND_MAX: Duration = FRAME;

pub struct Callers {
    pub fleet: Fleet,
    pub phones: Phones,
    next_slot: u64,
    next_slot_at: Instant,
    lateness: Lateness,
}

/// How well the generator kept its own time.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Lateness {
    pub slots: u64,
    /// Begun more than 5 ms after their time.
    pub slots_late: u64,
    pub late_ms_max: f64,
    /// Left out: callers said nothing for that long.
    pub frames_skipped: u64,
}

/// What a measurement of some seconds gave.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// Of the process that was watched, for each second of each call, in milliseconds.
    pub cpu_ms: f64,
    /// The same of the generator.
    pub generator_cpu_ms: f64,
    pub delivery: Delivery,
    /// Of all cores, the share that the process and the generator took. (What the kernel counts as busy it samples at its
    /// timer's ticks, and who wakes up by that timer is seen at all of them or at none.)
    pub machine_busy: f64,
    pub lateness: Lateness,
    /// Packets that were lost by the generator itself.
    pub generator_lost: u64,
}

impl Callers {
    pub fn new(callers: usize, server: SocketAddr, seed: u64) -> Outcome<Callers> {
        Ok(Callers {
            fleet: Fleet::new(callers)?,
            phones: Phones::new(callers, server, seed)?,
            next_slot: 0,
            next_slot_at: Instant::now(),
            lateness: Lateness::default(),
        })
    }

    /// One millisecond.
    fn step(&mut self) {
        let slot_length = FRAME / SLOTS as u32;
        sleep_until(self.next_slot_at);
        let behind = Instant::now().saturating_duration_since(self.next_slot_at);
        self.lateness.slots += 1;
        self.lateness.slots_late += u64::from(behind > Duration::from_millis(5));
        self.lateness.late_ms_max = self.lateness.late_ms_max.max(behind.as_secs_f64() * 1e3);
        if behind > BEHIND_MAX {
            let frames = (behind.as_nanos() / FRAME.as_nanos()) as u32;
            self.next_slot_at += frames * FRAME;
            self.lateness.frames_skipped += u64::from(frames);
        }
        self.fleet.run_slot(self.next_slot);
        self.phones.run(&mut self.fleet);
        self.next_slot += 1;
        self.next_slot_at += slot_length;
    }

    /// Lets the callers go on until `done`; whether it came to that within the time.
    pub fn run_until(&mut self, within: Duration, mut done: impl FnMut(&mut Callers) -> bool) -> bool {
        let deadline = Instant::now() + within;
        while !done(self) {
            if Instant::now() >= deadline {
                return false;
            }
            self.step();
        }
        true
    }

    pub fn run_for(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// These callers call, so many a second, and do what they intend.
    pub fn call(&mut self, callers: Range<usize>, rate: f64, intent: &Intent) -> Outcome<()> {
        let begin = Instant::now();
        let first = callers.start;
        for caller in callers {
            let due = begin + Duration::from_secs_f64((caller - first) as f64 / rate);
            self.run_for(due.saturating_duration_since(Instant::now()));
            self.phones.call(&mut self.fleet, caller, intent.clone())?;
        }
        Ok(())
    }

    /// Everybody hangs up, so many a second.
    pub fn hang_up_all(&mut self, rate: f64) {
        let begin = Instant::now();
        let in_calls: Vec<usize> = (0..self.fleet.len()).filter(|caller| !self.phones.is_idle(*caller)).collect();
        for (place, caller) in in_calls.into_iter().enumerate() {
            let due = begin + Duration::from_secs_f64(place as f64 / rate);
            self.run_for(due.saturating_duration_since(Instant::now()));
            self.phones.hang_up(&mut self.fleet, caller);
        }
        // The server's answers, and its freeing of what it held.
        self.run_for(Duration::from_millis(500));
    }

    /// Watches a process for some seconds, while the callers who are connected go on.
    pub fn measure(&mut self, process: &Process, calls: usize, seconds: Duration) -> Outcome<Measured> {
        let (own, ports) = (Process::own()?, self.fleet.ports());
        let lost = |fleet: &Fleet| datagrams_dropped(&ports) + fleet.unsent;
        let lost_before = lost(&self.fleet);
        self.lateness = Lateness::default();
        self.next_slot_at = self.next_slot_at.max(Instant::now());
        self.fleet.open_window();
        let (begin, cpu, own_cpu) = (Instant::now(), process.cpu_time()?, own.cpu_time()?);
        first_of_all(|| self.run_for(seconds));
        let call_seconds = begin.elapsed().as_secs_f64() * calls as f64;
        let cpu_ms = (process.cpu_time()? - cpu).as_secs_f64() * 1e3 / call_seconds;
        let generator_cpu_ms = (own.cpu_time()? - own_cpu).as_secs_f64() * 1e3 / call_seconds;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let machine_busy = (cpu_ms + generator_cpu_ms) * 1e-3 * calls as f64 / cores as f64;
        let delivery = self.fleet.close_window().ok_or_else(|| wrong("no measurement was open"))?;
        let generator_lost = lost(&self.fleet) - lost_before;
        Ok(Measured { cpu_ms, generator_cpu_ms, delivery, machine_busy, lateness: self.lateness, generator_lost })
    }
}
