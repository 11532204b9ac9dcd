//! Each key press is one digit: what every caller pressed, beside what the planes told of it.

use std::collections::BTreeMap;

use anteroom::words::ids::CallKey;

use super::phone::Pressed;
use super::plan::{Keys, Weather};

/// Up to here every press must arrive, once.
const LOSS_PERCENT: f64 = 5.0;

/// Up to here two presses can't change places on their way: keys are at least 120 ms apart.
const JITTER_MS: u64 = 40;

/// A key that went down so shortly before the end of the call may be lost with it.
const TAIL_US: u64 = 4_000_000;

#[derive(Debug)]
struct CallKeys {
    keys: Keys,
    weather: Weather,
    /// Holds, changed addresses: keys may be lost. Octets from nowhere: they may be pressed, too.
    disturbed: bool,
    spoiled: bool,
    /// A tone was taken to pieces before it was listened to.
    torn: bool,
    /// The first packets of a key may be what his address is learned from; then they are lost.
    learned_by_keys: bool,
    received: String,
    closed_at: u64,
    pressed: Vec<Pressed>,
}

#[derive(Debug, Default)]
pub struct KeyBook {
    calls: BTreeMap<String, CallKeys>,
    names: BTreeMap<CallKey, String>,
}

impl KeyBook {
    pub fn begins(&mut self, call_id: &str, keys: Keys, weather: Weather, learned_by_keys: bool) {
        let call = CallKeys {
            keys,
            weather,
            disturbed: false,
            spoiled: false,
            torn: false,
            learned_by_keys,
            received: String::new(),
            closed_at: u64::MAX,
            pressed: Vec::new(),
        };
        self.calls.insert(call_id.to_owned(), call);
    }

    pub fn is_call(&mut self, call: CallKey, call_id: &str) {
        self.names.insert(call, call_id.to_owned());
    }

    pub fn disturbed(&mut self, call_id: &str, spoiled: bool) {
        if let Some(call) = self.calls.get_mut(call_id) {
            call.disturbed = true;
            call.spoiled |= spoiled;
        }
    }

    /// In every call that is on.
    pub fn tones_are_torn(&mut self) {
        self.calls.values_mut().filter(|call| call.closed_at == u64::MAX).for_each(|call| call.torn = true);
    }

    pub fn weather(&mut self, call_id: &str, weather: Weather) {
        let Some(call) = self.calls.get_mut(call_id) else { return };
        let worst = &mut call.weather;
        worst.loss_percent = worst.loss_percent.max(weather.loss_percent);
        worst.burst = worst.burst.max(weather.burst);
        // A way that becomes shorter lets what comes later overtake.
        let shorter = worst.delay_ms.saturating_sub(weather.delay_ms);
        worst.jitter_ms = worst.jitter_ms.max(weather.jitter_ms + shorter);
        worst.doubled_percent = worst.doubled_percent.max(weather.doubled_percent);
        worst.silent_up |= weather.silent_up;
    }

    pub fn digit(&mut self, call: CallKey, key: char) {
        if let Some(call) = self.names.get(&call).and_then(|name| self.calls.get_mut(name)) {
            call.received.push(key);
        }
    }

    pub fn closes(&mut self, call: CallKey, now: u64) {
        if let Some(call) = self.names.get(&call).and_then(|name| self.calls.get_mut(name)) {
            call.closed_at = now;
        }
    }

    /// The telephone begins another call.
    pub fn ends(&mut self, call_id: &str, pressed: &[Pressed]) {
        if let Some(call) = self.calls.get_mut(call_id) {
            call.pressed = pressed.to_vec();
        }
    }

    /// How many keys were pressed in this call.
    pub fn pressed(&self, call: CallKey) -> usize {
        self.names.get(&call).and_then(|name| self.calls.get(name)).map_or(0, |call| call.pressed.len())
    }

    pub fn name_of(&self, call: CallKey) -> Option<&str> {
        self.names.get(&call).map(String::as_str)
    }

    /// What is wrong, once the leg is gone.
    pub fn check(&self, call: CallKey) -> Option<String> {
        let of = self.calls.get(self.names.get(&call)?)?;
        let pressed: String = of.pressed.iter().map(|pressed| pressed.key).collect();
        let Weather { loss_percent, burst, jitter_ms, silent_up, .. } = of.weather;
        let lossy = loss_percent > LOSS_PERCENT || burst > 1 || silent_up;
        // A tone that loss has torn can be two; where no event is left to say that it is one, it stays so.
        let is_torn = match of.keys {
            Keys::InBand => of.torn || loss_percent > 0.0 || jitter_ms > 0,
            Keys::EventsAndTones => of.torn || lossy,
            Keys::Events | Keys::Info => false,
        };
        let mismatch = || Some(format!("{call}: pressed {pressed}, received {} ({:?})", of.received, of.keys));
        if of.spoiled || is_torn {
            return None;
        }
        let count = |text: &str, key: char| text.chars().filter(|&other| other == key).count();
        if of.received.chars().any(|key| count(&of.received, key) > count(&pressed, key)) {
            return mismatch();
        }
        let has_void = of.pressed.iter().any(|pressed| pressed.void);
        // An event of 60 ms is five packets: the fifth tells the key, if none of them is lost. A tone is not heard twice.
        let is_short = match of.keys {
            Keys::Events | Keys::EventsAndTones => loss_percent > 0.0 || jitter_ms > 0,
            Keys::InBand => true,
            Keys::Info => false,
        };
        if of.disturbed || has_void || lossy || (of.learned_by_keys && is_short) {
            return None;
        }
        let must = of.pressed.iter().filter(|pressed| pressed.at.saturating_add(TAIL_US) < of.closed_at).count();
        if of.received.len() < must {
            return mismatch();
        }
        let in_order = jitter_ms <= JITTER_MS || of.keys == Keys::Info;
        if in_order && !pressed.starts_with(&of.received) {
            return mismatch();
        }
        let lacks = |key: char| count(&of.received, key) < count(&pressed[..must], key);
        if pressed[..must].chars().any(lacks) { mismatch() } else { None }
    }
}
