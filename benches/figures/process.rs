//! What a process costs, and what the machine is doing besides.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use rustix::process::setpriority_process;
use serde::Serialize;

use super::{Outcome, wrong};

/// A process that is watched.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    pid: Pid,
    cpu_clock: ClockId,
}

impl Process {
    pub fn new(pid: u32) -> Outcome<Process> {
        let pid = Pid::from_raw(i32::try_from(pid)?);
        Ok(Process { pid, cpu_clock: clock_getcpuclockid(pid)? })
    }

    /// This process.
    pub fn own() -> Outcome<Process> {
        Process::new(std::process::id())
    }

    /// User and system time of all its threads, also of those that have ended. It is utime + stime of `/proc/PID/stat`, in
    /// nanoseconds instead of ticks of 10 ms.
    pub fn cpu_time(&self) -> Outcome<Duration> {
        Ok(Duration::from(clock_gettime(self.cpu_clock)?))
    }

    /// Resident memory.
    pub fn resident_kib(&self) -> Outcome<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next()).ok_or_else(|| wrong("no VmRSS"))?;
        Ok(number.parse()?)
    }
}

/// The machine, and how busy it was.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    pub cores: usize,
    pub processor: String,
    pub load_1_min: f64,
    pub kernel: String,
}

impl Machine {
    pub fn look() -> Machine {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let load = read("/proc/loadavg");
        let processor = read("/proc/cpuinfo");
        let model = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Machine {
            cores: std::thread::available_parallelism().map_or(1, Into::into),
            processor: model.map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned()),
            load_1_min: load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(f64::NAN),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

/// Datagrams that the kernel threw away since the sockets on these ports had no room: if there are any, the generator was
/// the bottleneck.
pub fn datagrams_dropped(ports: &HashSet<u16>) -> u64 {
    let table = fs::read_to_string("/proc/net/udp").unwrap_or_default();
    let rows = table.lines().skip(1).filter_map(|line| {
        let mut columns = line.split_whitespace();
        let port = u16::from_str_radix(columns.nth(1)?.split_once(':')?.1, 16).ok()?;
        let drops: u64 = columns.last()?.parse().ok()?;
        ports.contains(&port).then_some(drops)
    });
    rows.sum()
}

/// As many open files as the system lets us have; the floor and the server inherit it.
pub fn raise_open_files() -> Outcome<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(hard)
}

/// The generator is the outside world, which does not wait for this machine's cores. Where it may, it goes first while
/// `measured` goes on; what it starts before and after has the usual priority.
pub fn first_of_all<T>(measured: impl FnOnce() -> T) -> T {
    const FIRST: i32 = -15;
    // Not everybody may; then the report says how late the generator was.
    let is_first = setpriority_process(None, FIRST).is_ok();
    let outcome = measured();
    if is_first {
        // Less can always be had.
        let _ = setpriority_process(None, 0);
    }
    outcome
}
