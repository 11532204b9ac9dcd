//! Who dials: whose keys a media thread takes as they come, and not at its next tick.
//!
//! ```text
//!   tick ───────────────── 20 ms ──────────────── tick
//!          ▲ 4        ▲ 2           ▲ #
//!          └──────────┴─────────────┴── told at once
//! ```
//!
//! After the last digit of a PIN a whole lobby waits, so it shall not wait for a tick besides. To be woken by every packet
//! costs several times what a packet costs by itself, therefore only by those of callers who pressed a key just now. The
//! first key of a number still comes with a tick.

use std::time::{Duration, Instant};

use crate::words::ids::CallKey;

/// Callers who dial at once, on one thread. With more of them the machine has other work, and theirs come with a tick.
pub(super) const DIALLING_MAX: usize = 16;

/// How long after a key another one may come: the attendant waits for 5 s.
const DIALS_ON: Duration = Duration::from_secs(6);

/// Calls whose caller pressed a key not long ago.
pub(super) struct Dialling {
    /// With the time of the last key.
    calls: Vec<(CallKey, Instant)>,
}

impl Default for Dialling {
    fn default() -> Dialling {
        Dialling { calls: Vec::with_capacity(DIALLING_MAX) }
    }
}

impl Dialling {
    /// This caller has pressed a key.
    pub(super) fn pressed(&mut self, now: Instant, call: CallKey) {
        self.forget_old(now);
        if let Some((_, last_key_at)) = self.calls.iter_mut().find(|(known, _)| *known == call) {
            *last_key_at = now;
        } else if self.calls.len() < DIALLING_MAX {
            self.calls.push((call, now));
        }
    }

    /// Who dials now: [`DIALLING_MAX`] at most.
    pub(super) fn calls(&mut self, now: Instant) -> impl Iterator<Item = CallKey> {
        self.forget_old(now);
        self.calls.iter().map(|(call, _)| *call)
    }

    fn forget_old(&mut self, now: Instant) {
        self.calls.retain(|(_, last_key_at)| now.saturating_duration_since(*last_key_at) < DIALS_ON);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dials(dialling: &mut Dialling, now: Instant) -> Vec<u64> {
        dialling.calls(now).map(|call| call.0).collect()
    }

    #[test]
    fn who_pressed_a_key_dials_until_he_has_not_for_a_while() {
        let start = Instant::now();
        let mut dialling = Dialling::default();
        assert!(dials(&mut dialling, start).is_empty());
        dialling.pressed(start, CallKey(1));
        dialling.pressed(start + Duration::from_secs(4), CallKey(2));
        dialling.pressed(start + Duration::from_secs(5), CallKey(1));
        assert_eq!(dials(&mut dialling, start + Duration::from_secs(9)), [1, 2]);
        assert_eq!(dials(&mut dialling, start + Duration::from_secs(10)), [1]);
        assert!(dials(&mut dialling, start + Duration::from_secs(11)).is_empty());
    }

    #[test]
    fn too_many_wait_for_the_tick_until_others_have_dialled() {
        let start = Instant::now();
        let mut dialling = Dialling::default();
        for call in 0..100 {
            dialling.pressed(start, CallKey(call));
        }
        assert_eq!(dials(&mut dialling, start).len(), DIALLING_MAX);
        dialling.pressed(start + DIALS_ON, CallKey(99));
        assert_eq!(dials(&mut dialling, start + DIALS_ON), [99]);
    }
}
