//! A bad network between a caller and the server: `loss=5%,burst=3,jitter=60ms,reorder=2%,duplicate=1%,no-marker,seed=7`.
//! Pure and seeded: the n-th packet of a caller's way meets the same fate at each run.
//!
//! ```text
//!             lost?      delayed (in order)      overtaken?     twice?
//!  packet ──┬─────────────┬───────────────────────┬──────────────┬────▶ due at
//!           └ gone        └ 0 … jitter            └ 30 … 70 ms   └ and once more
//! ```
//!
//! Only RTP is impaired. SIP repeats what is lost, and has its own tests.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

/// A longer delay is an outage. It also bounds what is on its way: two seconds of packets.
const JITTER_MS_MAX: u64 = 2_000;

/// Lost packets in a row. More than a second of them is an outage, too.
const BURST_MAX: f64 = 50.0;

/// A packet that is overtaken comes this much later: one to three packets of 20 ms pass it.
const HELD_BACK_MS: (f64, f64) = (30.0, 70.0);

/// A second copy comes at once, or up to two packets later.
const COPY_LATER_MS: f64 = 40.0;

/// Packets on their way at once. An ordinary stream has 100 of them at the longest delay; a flood is cut here.
const UNDERWAY_MAX: usize = 1_000;

/// What can be written, for messages.
pub const FORM: &str = "loss=5%, burst=3, jitter=60ms, reorder=2%, duplicate=1%, no-marker, only=to-server, seed=7";

/// Which way a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    ToServer,
    FromServer,
}

/// What a network does to packets.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Impairment {
    /// Shares of all packets are from 0 to 1.
    loss: f64,
    /// Losses come in runs of this many on average. `None`: each packet on its own.
    burst: Option<f64>,
    jitter_ms: u64,
    reorder: f64,
    duplicate: f64,
    no_marker: bool,
    /// `None`: both ways.
    only: Option<Way>,
    seed: u64,
}

/// The text names no impairment.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ImpairmentError {
    #[error("{0:?} is no impairment: write some of {FORM}")]
    Unknown(String),
    #[error("{key}: {value:?} is not {wanted}")]
    Value { key: &'static str, value: String, wanted: &'static str },
    #[error("{0} is there twice")]
    Twice(&'static str),
    #[error("nothing is impaired: write some of {FORM}")]
    Nothing,
    #[error("burst says how losses come together, and there is no loss")]
    BurstOfNothing,
    #[error("losses in runs of {0} can't be that many: write a longer burst, or a smaller loss")]
    BurstTooShort(f64),
}

const KEYS: [&str; 8] = ["loss", "burst", "jitter", "reorder", "duplicate", "no-marker", "only", "seed"];

impl FromStr for Impairment {
    type Err = ImpairmentError;

    fn from_str(text: &str) -> Result<Impairment, ImpairmentError> {
        let mut impairment = Impairment::default();
        let mut seen: Vec<&'static str> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').map_or((part, None), |(name, value)| (name, Some(value)));
            let unknown = || ImpairmentError::Unknown(part.to_owned());
            let key = KEYS.into_iter().find(|key| *key == name.trim()).ok_or_else(unknown)?;
            if seen.contains(&key) {
                return Err(ImpairmentError::Twice(key));
            }
            seen.push(key);
            match (key, value.map(str::trim)) {
                ("no-marker", None) => impairment.no_marker = true,
                ("no-marker", Some(_)) | (_, None) => return Err(unknown()),
                (_, Some(value)) => impairment.set(key, value)?,
            }
        }
        if !seen.iter().any(|key| ["loss", "jitter", "reorder", "duplicate", "no-marker"].contains(key)) {
            return Err(ImpairmentError::Nothing);
        }
        match impairment.burst {
            Some(_) if impairment.loss == 0.0 => Err(ImpairmentError::BurstOfNothing),
            Some(burst) if impairment.burst_begins(burst) > 1.0 => Err(ImpairmentError::BurstTooShort(burst)),
            _ => Ok(impairment),
        }
    }
}

impl fmt::Display for Impairment {
    /// As it is read again: the line that repeats a run.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |f: &mut fmt::Formatter<'_>, key: &str, share: f64| match share {
            0.0 => Ok(()),
            share => write!(f, "{key}={}%,", (share * 1e8).round() / 1e6),
        };
        share(f, "loss", self.loss)?;
        if let Some(burst) = self.burst {
            write!(f, "burst={burst},")?;
        }
        if self.jitter_ms > 0 || *self == self.nothing() {
            write!(f, "jitter={}ms,", self.jitter_ms)?;
        }
        share(f, "reorder", self.reorder)?;
        share(f, "duplicate", self.duplicate)?;
        if self.no_marker {
            f.write_str("no-marker,")?;
        }
        match self.only {
            None => {}
            Some(Way::ToServer) => f.write_str("only=to-server,")?,
            Some(Way::FromServer) => f.write_str("only=from-server,")?,
        }
        write!(f, "seed={}", self.seed)
    }
}

impl Impairment {
    /// The way of one caller's packets through this network. `None`: this way is not impaired.
    pub fn path(&self, caller: usize, way: Way) -> Option<ImpairedPath> {
        let impaired = self.only.is_none_or(|only| only == way);
        impaired.then(|| ImpairedPath {
            impairment: *self,
            random: source_of_chance(self.seed, caller, way),
            in_burst: false,
            last_due: Duration::ZERO,
            underway: BTreeMap::new(),
            next: 0,
            counts: PathCounts::default(),
        })
    }

    fn set(&mut self, key: &'static str, value: &str) -> Result<(), ImpairmentError> {
        let wrong = |wanted| ImpairmentError::Value { key, value: value.to_owned(), wanted };
        let share = || {
            let percent = value.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
            percent
                .filter(|percent| (0.0..=100.0).contains(percent))
                .map(|percent| percent / 100.0)
                .ok_or_else(|| wrong("a share from 0% to 100%"))
        };
        match key {
            "loss" => self.loss = share()?,
            "reorder" => self.reorder = share()?,
            "duplicate" => self.duplicate = share()?,
            "burst" => {
                let burst = value.parse::<f64>().ok().filter(|burst| (1.0..=BURST_MAX).contains(burst));
                self.burst = Some(burst.ok_or_else(|| wrong("a number of packets from 1 to 50"))?);
            }
            "jitter" => {
                let number = value.strip_suffix("ms").and_then(|number| number.trim().parse::<u64>().ok());
                let number = number.filter(|number| *number <= JITTER_MS_MAX);
                self.jitter_ms = number.ok_or_else(|| wrong("a time from 0ms to 2000ms"))?;
            }
            "only" => {
                self.only = Some(match value {
                    "to-server" => Way::ToServer,
                    "from-server" => Way::FromServer,
                    _ => return Err(wrong("to-server or from-server")),
                });
            }
            _ => self.seed = value.parse().map_err(|_| wrong("a whole number"))?,
        }
        Ok(())
    }

    /// The chance that a run of losses begins, so that in all the share of the lost is as asked (Gilbert's model: a run
    /// goes on with a chance of 1 − 1/burst).
    fn burst_begins(&self, burst: f64) -> f64 {
        if self.loss < 1.0 { self.loss / (burst * (1.0 - self.loss)) } else { f64::INFINITY }
    }

    /// The same without anything that is done to packets.
    fn nothing(&self) -> Impairment {
        Impairment { only: self.only, seed: self.seed, ..Impairment::default() }
    }
}

/// What has been done to the packets of one way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PathCounts {
    /// All that were handed in.
    pub packets: u64,
    pub lost: u64,
    /// Let others pass.
    pub held_back: u64,
    pub duplicated: u64,
    pub markers_cleared: u64,
    /// The longest delay, of packets in order and of those held back.
    pub delay_ms_max: u64,
}

impl fmt::Display for PathCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "of {} packets {} lost", self.packets, self.lost)?;
        for (count, what) in
            [(self.held_back, "held back"), (self.duplicated, "duplicated"), (self.markers_cleared, "unmarked")]
        {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        if self.delay_ms_max > 0 { write!(f, ", delay up to {} ms", self.delay_ms_max) } else { Ok(()) }
    }
}

/// One caller's packets on one way.
#[derive(Debug)]
pub struct ImpairedPath {
    impairment: Impairment,
    random: StdRng,
    in_burst: bool,
    /// When the last packet in order arrives: jitter alone lets none overtake it.
    last_due: Duration,
    underway: BTreeMap<(Duration, u64), Vec<u8>>,
    next: u64,
    counts: PathCounts,
}

/// Everything that chance decides about one packet. All of it is drawn for each, so that what happens to one packet does
/// not depend on what happened to those before it.
struct Fate {
    loss: f64,
    delay: f64,
    reorder: f64,
    held_back: f64,
    duplicate: f64,
    copy_later: f64,
}

impl ImpairedPath {
    /// A packet begins its way. It is polled when it arrives, if it does.
    pub fn handle_packet(&mut self, now: Duration, mut packet: Vec<u8>) {
        let mut draw = || self.random.random_range(0.0..1.0);
        let fate = Fate {
            loss: draw(),
            delay: draw(),
            reorder: draw(),
            held_back: draw(),
            duplicate: draw(),
            copy_later: draw(),
        };
        self.counts.packets = self.counts.packets.saturating_add(1);
        if self.is_lost(fate.loss) || self.underway.len() >= UNDERWAY_MAX {
            self.counts.lost = self.counts.lost.saturating_add(1);
            return;
        }
        if self.impairment.no_marker && clear_marker(&mut packet) {
            self.counts.markers_cleared = self.counts.markers_cleared.saturating_add(1);
        }
        // Below two seconds, as f64 holds it exactly enough.
        let in_order =
            now.saturating_add(milliseconds(fate.delay * self.impairment.jitter_ms as f64)).max(self.last_due);
        self.last_due = in_order;
        let mut due = in_order;
        if fate.reorder < self.impairment.reorder {
            let (least, most) = HELD_BACK_MS;
            due = due.saturating_add(milliseconds(least + fate.held_back * (most - least)));
            self.counts.held_back = self.counts.held_back.saturating_add(1);
        }
        let delay_ms = u64::try_from(due.saturating_sub(now).as_millis()).unwrap_or(u64::MAX);
        self.counts.delay_ms_max = self.counts.delay_ms_max.max(delay_ms);
        if fate.duplicate < self.impairment.duplicate {
            self.counts.duplicated = self.counts.duplicated.saturating_add(1);
            self.send(due.saturating_add(milliseconds(fate.copy_later * COPY_LATER_MS)), packet.clone());
        }
        self.send(due, packet);
    }

    /// The next packet that has arrived.
    pub fn poll_packet(&mut self, now: Duration) -> Option<Vec<u8>> {
        let first = self.underway.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(first.remove())
    }

    /// When the next one arrives.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.underway.first_key_value().map(|((due, _), _)| *due)
    }

    pub fn counts(&self) -> PathCounts {
        self.counts
    }

    fn is_lost(&mut self, chance: f64) -> bool {
        match self.impairment.burst {
            None => chance < self.impairment.loss,
            Some(burst) => {
                let threshold = if self.in_burst { 1.0 - 1.0 / burst } else { self.impairment.burst_begins(burst) };
                self.in_burst = chance < threshold;
                self.in_burst
            }
        }
    }

    fn send(&mut self, due: Duration, packet: Vec<u8>) {
        self.underway.insert((due, self.next), packet);
        self.next = self.next.wrapping_add(1);
    }
}

fn milliseconds(number: f64) -> Duration {
    Duration::try_from_secs_f64(number / 1_000.0).unwrap_or_default()
}

/// RFC 3550 section 5.1: the highest bit of the second octet. Whether there was one to clear.
fn clear_marker(packet: &mut [u8]) -> bool {
    match packet {
        [first, second, ..] if *first >> 6 == 2 && *second & 0x80 != 0 => {
            *second &= 0x7F;
            true
        }
        _ => false,
    }
}

/// Each caller and each way has a source of its own: what happens to one does not change what happens to another.
fn source_of_chance(seed: u64, caller: usize, way: Way) -> StdRng {
    let mut whole = [0u8; 32];
    let caller = u64::try_from(caller).unwrap_or(u64::MAX);
    let way = u64::from(way == Way::FromServer);
    let parts = [seed, caller, way].into_iter().flat_map(u64::to_le_bytes);
    whole.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
    StdRng::from_seed(whole)
}

#[cfg(test)]
#[path = "impairment_tests.rs"]
mod tests;
