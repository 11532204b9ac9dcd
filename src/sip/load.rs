//! The load that the server is rated for. A new INVITE above it gets 503 with Retry-After before it has cost anything: no
//! session, no transaction, no leg. Who is turned away is decided so that one peer's flood does not use up what others
//! need:
//!
//! ```text
//!   calls at once of its trunk       sip.trunks[].calls
//!   calls that nobody acknowledged   an eighth of all calls for one source, a quarter for one trunk
//!   calls a second                   limits.calls_per_second for all. Each trunk always has its equal share of it, and
//!                                    each source a small one, also while others ask for more; what nobody uses is
//!                                    everybody's
//! ```

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::rate::{Rate, TokenBucket};
use super::recent::Recent;
use super::trunk::TrunkTable;

/// Of the calls a second, the part that one source of a trunk has for itself.
const SOURCE_SHARE: f64 = 1.0 / 16.0;

/// Sources whose share is remembered. More that call at once share what is left. Some 150 octets each.
const SOURCES: usize = 4_096;

/// INVITEs that were turned away lately, so that a repetition gets the same answer and does not become a call behind it:
/// the repetitions of 13 s at 300 a second. Some 100 octets each.
const TURNED_AWAY: usize = 4_096;

/// Unacknowledged calls that every source and every trunk may have, however few calls there may be.
const UNACKNOWLEDGED_LEAST: usize = 16;

/// Why an INVITE of a trunk was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shed {
    /// As many calls are going on as may.
    Calls,
    /// The trunk has as many calls as it may have.
    TrunkCalls,
    /// Too many calls of this source, or of its trunk, wait for their ACK.
    Unacknowledged,
    /// More calls a second than the server is rated for.
    CallsPerSecond,
    /// The tables of sessions or transactions are full.
    Tables,
    /// The process is about to end.
    Draining,
}

impl Shed {
    pub const ALL: [Shed; 6] =
        [Shed::Calls, Shed::TrunkCalls, Shed::Unacknowledged, Shed::CallsPerSecond, Shed::Tables, Shed::Draining];

    /// One token for a metric's label.
    pub fn token(self) -> &'static str {
        match self {
            Shed::Calls => "calls",
            Shed::TrunkCalls => "trunk_calls",
            Shed::Unacknowledged => "unacknowledged",
            Shed::CallsPerSecond => "calls_per_second",
            Shed::Tables => "tables",
            Shed::Draining => "draining",
        }
    }

    /// For the log.
    pub fn words(self) -> &'static str {
        match self {
            Shed::Calls => "as many calls are going on as limits.calls allows",
            Shed::TrunkCalls => "its trunk has as many calls as sip.trunks[].calls allows",
            Shed::Unacknowledged => "too many calls from there were never acknowledged",
            Shed::CallsPerSecond => "more calls a second than limits.calls_per_second allows",
            Shed::Tables => "too many calls and transactions are remembered",
            Shed::Draining => "the server is about to end",
        }
    }
}

#[derive(Debug, Default)]
struct TrunkLoad {
    share: TokenBucket,
    calls: usize,
    unacknowledged: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Load {
    rate: Option<Rate>,
    unacknowledged_per_source: usize,
    unacknowledged_per_trunk: usize,
    all: TokenBucket,
    /// As many as are configured.
    trunks: HashMap<Arc<str>, TrunkLoad>,
    limits: HashMap<Arc<str>, usize>,
    sources: Recent<IpAddr, TokenBucket>,
    /// Sources with calls that wait for their ACK: bounded by the number of sessions.
    unacknowledged: HashMap<IpAddr, usize>,
    turned_away: Recent<u64, (Instant, Shed)>,
    /// How long an INVITE may be repeated: 64·T1.
    repeated_for: Duration,
}

/// What a session takes part of until it ends, by [`Load::begin`], [`Load::acknowledged`] and [`Load::end`].
#[derive(Debug, Clone)]
pub(super) struct Place {
    trunk: Arc<str>,
    source: IpAddr,
    is_acknowledged: bool,
}

impl Load {
    pub fn new(
        trunks: &TrunkTable,
        calls_per_second: Option<u32>,
        max_sessions: usize,
        repeated_for: Duration,
    ) -> Load {
        Load {
            rate: calls_per_second.map(|calls| Rate::per_second(f64::from(calls))),
            unacknowledged_per_source: (max_sessions / 8).max(UNACKNOWLEDGED_LEAST),
            unacknowledged_per_trunk: (max_sessions / 4).max(UNACKNOWLEDGED_LEAST),
            all: TokenBucket::default(),
            trunks: trunks.iter().map(|trunk| (trunk.name.clone(), TrunkLoad::default())).collect(),
            limits: trunks.iter().filter_map(|trunk| Some((trunk.name.clone(), trunk.calls?))).collect(),
            sources: Recent::new(SOURCES),
            unacknowledged: HashMap::new(),
            turned_away: Recent::new(TURNED_AWAY),
            repeated_for,
        }
    }

    /// Whether this very INVITE, by the hash of its transaction's key, was turned away a moment ago, and why.
    pub fn was_turned_away(&self, now: Instant, invite: u64) -> Option<Shed> {
        let (at, why) = self.turned_away.get(&invite)?;
        (now.saturating_duration_since(*at) < self.repeated_for).then_some(*why)
    }

    pub fn turn_away(&mut self, now: Instant, invite: u64, why: Shed) {
        *self.turned_away.entry(invite, || (now, why)) = (now, why);
    }

    /// May a trunk's new INVITE become a call, as far as the load goes? Asked once for each.
    pub fn admit(&mut self, now: Instant, trunk: &Arc<str>, source: IpAddr) -> Result<(), Shed> {
        let trunks = self.trunks.len().max(1) as f64;
        let of_trunk = self.trunks.entry(trunk.clone()).or_default();
        if self.limits.get(trunk).is_some_and(|limit| of_trunk.calls >= *limit) {
            return Err(Shed::TrunkCalls);
        }
        let of_source = self.unacknowledged.get(&source).copied().unwrap_or(0);
        if of_source >= self.unacknowledged_per_source || of_trunk.unacknowledged >= self.unacknowledged_per_trunk {
            return Err(Shed::Unacknowledged);
        }
        let Some(rate) = self.rate else { return Ok(()) };
        let share = Rate::per_second(rate.per_second / trunks);
        let small = Rate::per_second(rate.per_second * SOURCE_SHARE);
        let own = self.sources.entry(source, TokenBucket::default);
        let is_free = self.all.has_one(now, rate);
        // The shares may bring the whole into debt, which those above their share then pay by waiting.
        let is_due = !self.all.is_exhausted(now, rate)
            && (of_trunk.share.has_one(now, share)
                || (own.has_one(now, small) && !of_trunk.share.is_exhausted(now, share)));
        if !is_free && !is_due {
            return Err(Shed::CallsPerSecond);
        }
        self.all.charge(now, rate);
        of_trunk.share.charge(now, share);
        own.charge(now, small);
        Ok(())
    }

    /// A call of this trunk and source begins.
    pub fn begin(&mut self, trunk: Arc<str>, source: IpAddr) -> Place {
        let of_trunk = self.trunks.entry(trunk.clone()).or_default();
        of_trunk.calls = of_trunk.calls.saturating_add(1);
        of_trunk.unacknowledged = of_trunk.unacknowledged.saturating_add(1);
        let of_source = self.unacknowledged.entry(source).or_default();
        *of_source = of_source.saturating_add(1);
        Place { trunk, source, is_acknowledged: false }
    }

    /// It was acknowledged, or will never be.
    pub fn acknowledged(&mut self, place: &mut Place) {
        if std::mem::replace(&mut place.is_acknowledged, true) {
            return;
        }
        if let Some(of_trunk) = self.trunks.get_mut(&place.trunk) {
            of_trunk.unacknowledged = of_trunk.unacknowledged.saturating_sub(1);
        }
        if let Some(of_source) = self.unacknowledged.get_mut(&place.source) {
            *of_source = of_source.saturating_sub(1);
            if *of_source == 0 {
                self.unacknowledged.remove(&place.source);
            }
        }
    }

    pub fn end(&mut self, mut place: Place) {
        self.acknowledged(&mut place);
        if let Some(of_trunk) = self.trunks.get_mut(&place.trunk) {
            of_trunk.calls = of_trunk.calls.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Trunk;

    const FORGOTTEN: Duration = Duration::from_secs(32);

    fn trunk(name: &str, calls: Option<usize>) -> Trunk {
        Trunk { name: name.into(), from: vec!["192.0.2.0/24".parse().unwrap()], vouches: false, calls }
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    /// Asks each millisecond for `seconds`: each asker `(trunk, source, asks in a millisecond)`. How many were let in, of
    /// each, after the first two seconds, in which what was saved is used up.
    fn asked(load: &mut Load, seconds: u64, askers: &[(&str, u8, usize)]) -> Vec<f64> {
        let start = Instant::now();
        let mut admitted = vec![0_u32; askers.len()];
        for ms in 0..seconds * 1_000 {
            let now = start + Duration::from_millis(ms);
            for (asker, count) in askers.iter().zip(&mut admitted) {
                for _ in 0..asker.2 {
                    let is_in = load.admit(now, &asker.0.into(), address(asker.1)).is_ok();
                    *count += u32::from(is_in && ms >= 2_000);
                }
            }
        }
        admitted.iter().map(|count| f64::from(*count) / (seconds - 2) as f64).collect()
    }

    #[test]
    fn the_rate_holds_whoever_asks_and_one_trunks_flood_leaves_the_other_its_share() {
        let table = TrunkTable::new(vec![trunk("a", None), trunk("b", None)]);
        let new = || Load::new(&table, Some(100), 1_000, FORGOTTEN);
        let alone = asked(&mut new(), 12, &[("a", 1, 10)]);
        assert!((99.0..=101.0).contains(&alone[0]), "what nobody else uses is his: {alone:?}");
        let both = asked(&mut new(), 12, &[("a", 1, 100), ("b", 2, 1)]);
        assert!(both[1] >= 49.0, "b asks for 1,000 a second, and has its half at least: {both:?}");
        assert!((98.0..=102.0).contains(&(both[0] + both[1])), "{both:?}");
        let spoofed: Vec<(&str, u8, usize)> = (10..250).map(|last| ("a", last, 1)).chain([("b", 2, 1)]).collect();
        let spoofed = asked(&mut new(), 6, &spoofed);
        assert!(spoofed[240] >= 45.0, "{}", spoofed[240]);
        assert!(spoofed.iter().sum::<f64>() < 105.0);
    }

    #[test]
    fn one_source_leaves_the_others_of_its_trunk_a_share() {
        let table = TrunkTable::new(vec![trunk("a", None)]);
        let mut load = Load::new(&table, Some(160), 1_000, FORGOTTEN);
        let got = asked(&mut load, 12, &[("a", 1, 50), ("a", 2, 1)]);
        assert!(got[1] >= 9.0, "a sixteenth of 160 is 10: {got:?}");
        assert!((155.0..=165.0).contains(&(got[0] + got[1])), "{got:?}");
    }

    #[test]
    fn calls_of_a_trunk_and_calls_without_ack_are_bounded_and_their_places_come_back() {
        let table = TrunkTable::new(vec![trunk("small", Some(3)), trunk("large", None)]);
        let mut load = Load::new(&table, None, 400, FORGOTTEN);
        let now = Instant::now();
        let (small, large): (Arc<str>, Arc<str>) = ("small".into(), "large".into());
        let mut places: Vec<Place> = (0..3).map(|_| load.begin(small.clone(), address(1))).collect();
        assert_eq!(load.admit(now, &small, address(2)), Err(Shed::TrunkCalls));
        assert_eq!(load.admit(now, &large, address(1)), Ok(()));
        load.end(places.pop().unwrap());
        assert_eq!(load.admit(now, &small, address(2)), Ok(()));

        let mut silent: Vec<Place> = (0..50).map(|_| load.begin(large.clone(), address(9))).collect();
        assert_eq!(load.admit(now, &large, address(9)), Err(Shed::Unacknowledged));
        assert_eq!(load.admit(now, &large, address(8)), Ok(()), "another source of the same trunk");
        silent.extend((0..50).map(|_| load.begin(large.clone(), address(7))));
        assert_eq!(load.admit(now, &large, address(8)), Err(Shed::Unacknowledged), "a quarter of all for one trunk");
        for place in &mut silent {
            load.acknowledged(place);
            load.acknowledged(place);
        }
        assert_eq!(load.admit(now, &large, address(9)), Ok(()));
        silent.into_iter().chain(places).for_each(|place| load.end(place));
        assert!(load.unacknowledged.is_empty());
        assert!(load.trunks.values().all(|trunk| trunk.calls == 0 && trunk.unacknowledged == 0));
    }

    #[test]
    fn who_was_turned_away_is_turned_away_again_until_he_asks_anew() {
        let mut load = Load::new(&TrunkTable::default(), None, 400, FORGOTTEN);
        let now = Instant::now();
        load.turn_away(now, 7, Shed::Calls);
        assert_eq!(load.was_turned_away(now + FORGOTTEN / 2, 7), Some(Shed::Calls));
        assert_eq!(load.was_turned_away(now, 8), None);
        assert_eq!(load.was_turned_away(now + FORGOTTEN, 7), None);
        (0..100_000).for_each(|invite| load.turn_away(now, invite, Shed::Calls));
        assert_eq!(load.turned_away.len(), TURNED_AWAY);
    }
}
