//! A caller on a live page, in words and figures.

use jiff::Timestamp;

use super::live::ago;
use super::words;
use crate::admin::live::{LiveCall, LiveCallState};

/// What a meter begins with, in dB of full scale: below it nobody hears anything.
const LEVEL_DB_MIN: i8 = -60;

/// From here on people hear it: loss in percent, jitter in milliseconds (the jitter buffer takes up what is less).
const LOSS_PERCENT_BAD: f32 = 3.0;
const JITTER_MS_BAD: f32 = 40.0;

/// What a list of callers shows of one.
#[derive(Debug, Clone)]
pub struct Person {
    pub key: String,
    pub caller: String,
    pub trunk: String,
    pub codec: String,
    pub leader: bool,
    pub muted: bool,
    pub talking: bool,
    pub in_meeting: bool,
    pub waits: bool,
    pub awaits_admission: bool,
    /// RFC 3339: script counts from there.
    pub since: String,
    /// For the meter: 0 is silence, 60 as loud as it gets.
    pub level: u8,
    pub level_text: String,
    pub loss: String,
    pub loss_is_bad: bool,
    pub jitter: String,
    pub jitter_is_bad: bool,
    pub delay: String,
}

impl Person {
    pub fn new(call: &LiveCall, now: Timestamp) -> Person {
        let level = call.level_db.unwrap_or(LEVEL_DB_MIN).clamp(LEVEL_DB_MIN, 0);
        let heard = level > LEVEL_DB_MIN;
        let unknown = || "–".to_owned();
        Person {
            key: call.key.to_string(),
            caller: if call.caller.is_empty() { "Withheld".to_owned() } else { call.caller.clone() },
            trunk: call.trunk.clone(),
            codec: words::codec(call.codec).to_owned(),
            leader: call.leader,
            muted: call.muted,
            talking: call.talking,
            in_meeting: call.state == LiveCallState::InMeeting,
            waits: matches!(call.state, LiveCallState::WaitsForStart | LiveCallState::AwaitsAdmission),
            awaits_admission: call.state == LiveCallState::AwaitsAdmission,
            since: ago(now, call.state_seconds),
            level: level.abs_diff(LEVEL_DB_MIN),
            level_text: if heard { format!("{level} dB").replace('-', "−") } else { "silent".to_owned() },
            loss: call.loss_percent.map_or_else(unknown, |loss| format!("{loss:.1} %")),
            loss_is_bad: call.loss_percent.is_some_and(|loss| loss >= LOSS_PERCENT_BAD),
            jitter: call.jitter_ms.map_or_else(unknown, |jitter| format!("{jitter:.0} ms")),
            jitter_is_bad: call.jitter_ms.is_some_and(|jitter| jitter >= JITTER_MS_BAD),
            delay: call.delay_ms.map_or_else(String::new, |delay| format!("{delay} ms")),
        }
    }
}
