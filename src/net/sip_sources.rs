//! How much one source may send. Asked for each message before anything is done with it, so that a flood costs no more
//! than this: a look into a table.
//!
//! ```text
//!   source in a trunk   its own bucket, and a smaller one for what is no part of a call (OPTIONS, REGISTER, anything that
//!                       is no SIP); then its trunk's bucket, which bounds what is sent in forged names of that trunk
//!   stranger            his own bucket, then that of all strangers; in another table, so that no number of strangers
//!                       makes a trunk's source forgotten
//! ```
//!
//! Nobody is banned: a bucket fills again, and its source is heard again. Every rate follows from
//! `limits.calls_per_second`.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Instant;

use crate::sip::TrunkTable;
use crate::sip::rate::{Rate, TokenBucket};
use crate::sip::recent::Recent;
use crate::sip::telling::Telling;

/// Messages of one call, at most: INVITE, ACK and BYE, a dozen keys as INFO, and the repetitions of all on a bad line.
const MESSAGES_PER_CALL: f64 = 20.0;

/// A trunk may send so many times what one of its sources may.
const SOURCES_PER_TRUNK: f64 = 2.0;

/// One stranger may send this part of what all may; and so many a second all the same, for the in-dialog requests of a
/// telephone that a trunk's proxy put through to us.
const STRANGER_SHARE: f64 = 0.1;
const STRANGER_LEAST: f64 = 10.0;

/// Sources that are remembered. Each costs some 200 octets: 2.5 MiB for all.
const TRUNK_SOURCES: usize = 4_096;
const STRANGERS: usize = 8_192;

/// Who sent a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Trunk,
    Stranger,
}

/// Why a message is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Excess {
    /// The source, which is in a trunk, sends more than all calls together need.
    Source,
    /// It asks more than a trunk has to ask outside of calls.
    Questions,
    /// Many sources of one trunk together.
    Trunk,
    Stranger,
    AllStrangers,
}

impl Excess {
    pub const ALL: [Excess; 5] =
        [Excess::Source, Excess::Questions, Excess::Trunk, Excess::Stranger, Excess::AllStrangers];

    /// One token for a metric's label.
    pub fn token(self) -> &'static str {
        match self {
            Excess::Source => "source",
            Excess::Questions => "questions",
            Excess::Trunk => "trunk",
            Excess::Stranger => "stranger",
            Excess::AllStrangers => "all_strangers",
        }
    }
}

#[derive(Debug, Default)]
struct TrunkSource {
    messages: TokenBucket,
    questions: TokenBucket,
}

/// A message that is not looked at, and where it is to be told: how many like it were passed over before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    pub why: Excess,
    pub told: Option<u64>,
}

/// See the module.
#[derive(Debug)]
pub struct Sources {
    table: TrunkTable,
    messages: Rate,
    questions: Rate,
    trunk: Rate,
    stranger: Rate,
    strangers: Rate,
    /// As many as are configured.
    trunks: HashMap<Arc<str>, TokenBucket>,
    of_trunks: Recent<IpAddr, TrunkSource>,
    of_strangers: Recent<IpAddr, TokenBucket>,
    all_strangers: TokenBucket,
    telling: Telling<Excess>,
}

impl Sources {
    pub fn new(table: TrunkTable, calls_per_second: u32) -> Sources {
        let calls = f64::from(calls_per_second);
        let messages = (calls * MESSAGES_PER_CALL).max(200.0);
        let strangers = calls.max(100.0);
        Sources {
            messages: Rate::per_second(messages),
            questions: Rate::per_second(calls.max(50.0)),
            trunk: Rate::per_second(messages * SOURCES_PER_TRUNK),
            stranger: Rate::per_second((strangers * STRANGER_SHARE).max(STRANGER_LEAST)),
            strangers: Rate::per_second(strangers),
            table,
            trunks: HashMap::new(),
            of_trunks: Recent::new(TRUNK_SOURCES),
            of_strangers: Recent::new(STRANGERS),
            all_strangers: TokenBucket::default(),
            telling: Telling::default(),
        }
    }

    pub fn standing(&self, source: IpAddr) -> Standing {
        if self.table.find(source).is_some() { Standing::Trunk } else { Standing::Stranger }
    }

    /// Whether this message may be looked at, and whose it is. One that may not is dropped.
    pub fn judge(&mut self, now: Instant, source: IpAddr, message: &[u8]) -> Result<Standing, Dropped> {
        self.weigh(now, source, message).map_err(|why| Dropped { why, told: self.telling.tell(now, why) })
    }

    /// The same for a message that may wait, and is asked for again.
    pub fn weigh(&mut self, now: Instant, source: IpAddr, message: &[u8]) -> Result<Standing, Excess> {
        let Some(trunk) = self.table.find(source) else {
            let own = self.of_strangers.entry(network_of(source), TokenBucket::default);
            if !own.take(now, self.stranger) {
                return Err(Excess::Stranger);
            }
            return if self.all_strangers.take(now, self.strangers) {
                Ok(Standing::Stranger)
            } else {
                Err(Excess::AllStrangers)
            };
        };
        let own = self.of_trunks.entry(source.to_canonical(), TrunkSource::default);
        if !belongs_to_a_call(message) && !own.questions.take(now, self.questions) {
            return Err(Excess::Questions);
        }
        if !own.messages.take(now, self.messages) {
            return Err(Excess::Source);
        }
        let all = match self.trunks.get_mut(&trunk.name) {
            Some(all) => all,
            None => self.trunks.entry(trunk.name.clone()).or_default(),
        };
        if all.take(now, self.trunk) { Ok(Standing::Trunk) } else { Err(Excess::Trunk) }
    }
}

/// Whoever has one IPv6 address has its /64.
pub(super) fn network_of(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address => address,
    }
}

/// By its first word alone. It need not be true: whatever it is, it is limited.
fn belongs_to_a_call(message: &[u8]) -> bool {
    const OF_CALLS: [&[u8]; 7] = [b"INVITE ", b"ACK ", b"BYE ", b"CANCEL ", b"INFO ", b"UPDATE ", b"SIP/2.0 "];
    OF_CALLS.iter().any(|word| message.starts_with(word))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sip::Trunk;

    const INVITE: &[u8] = b"INVITE sip:8000@192.0.2.1 SIP/2.0\r\n";
    const REGISTER: &[u8] = b"REGISTER sip:192.0.2.1 SIP/2.0\r\n";

    fn sources() -> Sources {
        let trunk = |name: &str, from: &str| {
            let from = vec![from.parse().unwrap()];
            Trunk { name: name.into(), from, ..Trunk::default() }
        };
        Sources::new(TrunkTable::new(vec![trunk("a", "192.0.2.0/24"), trunk("b", "198.51.100.7")]), 100)
    }

    fn v4(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// How many of `asks` a millisecond get through in ten seconds.
    fn passed(sources: &mut Sources, from: Instant, source: IpAddr, message: &[u8], asks: u32) -> u32 {
        let mut passed = 0;
        for ms in 0..10_000 {
            let now = from + Duration::from_millis(ms);
            passed += (0..asks).filter(|_| sources.judge(now, source, message).is_ok()).count() as u32;
        }
        passed
    }

    #[test]
    fn a_trunk_is_never_shut_out_by_what_others_send() {
        let (mut sources, start) = (sources(), Instant::now());
        // A million strangers, one of whom shouts; and a whole network in trunk a's name.
        for number in 0..1_000_000_u32 {
            let now = start + Duration::from_micros(u64::from(number) * 10);
            let stranger = IpAddr::from((0x0A00_0000 + number).to_be_bytes());
            let _ = sources.judge(now, stranger, INVITE);
            let _ = sources.judge(now, v4("203.0.113.9"), REGISTER);
            let _ = sources.judge(now, IpAddr::from([192, 0, 2, number as u8]), INVITE);
            if number % 10_000 == 0 {
                assert_eq!(sources.judge(now, v4("198.51.100.7"), INVITE), Ok(Standing::Trunk));
                assert_eq!(sources.judge(now, v4("198.51.100.7"), b"OPTIONS "), Ok(Standing::Trunk));
            }
        }
        assert!(sources.of_strangers.len() <= STRANGERS && sources.of_trunks.len() <= TRUNK_SOURCES);
    }

    #[test]
    fn each_has_his_rate_and_is_heard_again() {
        let start = Instant::now();
        let stranger = passed(&mut sources(), start, v4("203.0.113.9"), INVITE, 5);
        assert!((100..=120).contains(&stranger), "10 a second, and as many at once: {stranger}");
        let questions = passed(&mut sources(), start, v4("192.0.2.9"), REGISTER, 5);
        assert!((1_000..=1_101).contains(&questions), "{questions}");
        let calls = passed(&mut sources(), start, v4("192.0.2.9"), INVITE, 5);
        assert!((20_000..=22_001).contains(&calls), "{calls}");
        let mut sources = sources();
        while sources.judge(start, v4("203.0.113.9"), INVITE).is_ok() {}
        let told = sources.judge(start, v4("203.0.113.9"), INVITE).unwrap_err();
        assert_eq!(told, Dropped { why: Excess::Stranger, told: Some(0) });
        assert!(sources.judge(start + Duration::from_secs(1), v4("203.0.113.9"), INVITE).is_ok());
    }

    #[test]
    fn a_stranger_has_one_bucket_for_his_whole_ipv6_network() {
        let (mut sources, now) = (sources(), Instant::now());
        let passed = (0..1_000_u128).filter(|host| {
            let address = IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8 << 96) + host));
            sources.judge(now, address, INVITE).is_ok()
        });
        assert_eq!(passed.count(), 10);
        assert_eq!(sources.standing(v4("::ffff:192.0.2.3")), Standing::Trunk);
        assert_eq!(sources.standing(v4("2001:db8::1")), Standing::Stranger);
    }

    #[test]
    fn all_strangers_together_have_a_bound() {
        let (mut sources, now) = (sources(), Instant::now());
        let passed = (0..100_000_u32)
            .filter(|number| sources.judge(now, IpAddr::from((0x0A00_0000 + number).to_be_bytes()), INVITE).is_ok());
        assert_eq!(passed.count(), 100);
    }
}
