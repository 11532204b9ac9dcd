//! How long everything takes, and how much of it there is.

use std::time::Duration;

/// The two sizes of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Waiting callers, and callers of the one meeting.
    pub calls: usize,
    /// How often floor and server take turns.
    pub turns: usize,
    /// Of each measurement of calls that go on.
    pub measure: Duration,
    /// Before a measurement, for everything to be steady.
    pub warm_up: Duration,
    /// How often a meeting is started for each size of its lobby.
    pub starts: usize,
    /// Sizes of the lobby where meetings start.
    pub lobbies: Vec<usize>,
    /// For each rate of calls.
    pub set_up: Duration,
    /// Calls a second.
    pub rates: Vec<f64>,
    /// Calls of which the memory must not grow, and how fast they come.
    pub short_calls: usize,
    pub short_calls_rate: f64,
    /// Such calls for so long before the memory is looked at: SIP must remember what is over for 64·T1 = 32 s, so that
    /// only then as much is forgotten as comes.
    pub remembered: Duration,
    /// Leave the server's folder with its log and its call records behind.
    pub keep: bool,
    /// Further settings of the server, `key=value`.
    pub settings: Vec<String>,
}

impl Plan {
    /// Below five minutes.
    pub fn full(calls: usize) -> Plan {
        Plan {
            calls,
            turns: 2,
            measure: Duration::from_secs(10),
            warm_up: Duration::from_secs(1),
            starts: 5,
            lobbies: vec![50, 200, 500],
            set_up: Duration::from_secs(10),
            rates: vec![100.0, 300.0],
            short_calls: 20_000,
            short_calls_rate: 500.0,
            remembered: Duration::from_secs(33),
            keep: false,
            settings: Vec::new(),
        }
    }

    /// Below one minute; good for seeing that it works, not for figures to be told.
    pub fn quick(calls: usize) -> Plan {
        Plan {
            turns: 1,
            measure: Duration::from_secs(3),
            starts: 1,
            set_up: Duration::from_secs(2),
            short_calls: 2_000,
            remembered: Duration::ZERO,
            ..Plan::full(calls)
        }
    }
}
