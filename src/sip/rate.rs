//! So many in a second, with some saved up: a token bucket under the caller's clock.

use std::time::Instant;

/// What comes at a steady rate, and how much of it may be saved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    pub per_second: f64,
    pub burst: f64,
}

impl Rate {
    /// One second's worth may be saved, and one at least.
    pub fn per_second(per_second: f64) -> Rate {
        Rate { per_second, burst: per_second.max(1.0) }
    }
}

/// A bucket is full when it is first looked at. It may be in debt, where somebody is let through by another right.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokenBucket {
    filled_at: Option<Instant>,
    tokens: f64,
}

impl TokenBucket {
    /// Whether one more may pass now.
    pub fn has_one(&mut self, now: Instant, rate: Rate) -> bool {
        self.level(now, rate) >= 1.0
    }

    /// Lets one pass, where it may.
    pub fn take(&mut self, now: Instant, rate: Rate) -> bool {
        let may_pass = self.has_one(now, rate);
        if may_pass {
            self.tokens -= 1.0;
        }
        may_pass
    }

    /// One passes whether it may or not. The debt ends at one burst: nobody waits longer for what others were given.
    pub fn charge(&mut self, now: Instant, rate: Rate) {
        self.tokens = (self.level(now, rate) - 1.0).max(-rate.burst);
    }

    /// Whether one more would be beyond the deepest debt.
    pub fn is_exhausted(&mut self, now: Instant, rate: Rate) -> bool {
        self.level(now, rate) - 1.0 < -rate.burst
    }

    fn level(&mut self, now: Instant, rate: Rate) -> f64 {
        let passed = self.filled_at.map(|at| now.saturating_duration_since(at).as_secs_f64());
        self.tokens = match passed {
            Some(passed) => (self.tokens + passed * rate.per_second).min(rate.burst),
            None => rate.burst,
        };
        // A clock that is asked out of order gives nothing twice.
        self.filled_at = Some(self.filled_at.map_or(now, |at| at.max(now)));
        self.tokens
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const RATE: Rate = Rate { per_second: 10.0, burst: 5.0 };

    fn taken(bucket: &mut TokenBucket, now: Instant) -> usize {
        (0..1_000).take_while(|_| bucket.take(now, RATE)).count()
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let (mut bucket, start) = (TokenBucket::default(), Instant::now());
        assert_eq!(taken(&mut bucket, start), 5);
        assert_eq!(taken(&mut bucket, start + Duration::from_millis(50)), 0);
        assert_eq!(taken(&mut bucket, start + Duration::from_millis(101)), 1);
        assert_eq!(taken(&mut bucket, start + Duration::from_millis(320)), 2);
        assert_eq!(taken(&mut bucket, start + Duration::from_secs(3600)), 5, "no more is saved than a burst");
        assert_eq!(taken(&mut bucket, start), 0, "an earlier time gives nothing");
        let in_a_second: usize =
            (1..=1_000).map(|ms| taken(&mut bucket, start + Duration::from_millis(3_600_000 + ms))).sum();
        assert_eq!(in_a_second, 10);
    }

    #[test]
    fn a_debt_has_an_end() {
        let (mut bucket, start) = (TokenBucket::default(), Instant::now());
        let charged = (0..1_000).take_while(|_| {
            let may = !bucket.is_exhausted(start, RATE);
            bucket.charge(start, RATE);
            may
        });
        assert_eq!(charged.count(), 10, "what was saved, and as much debt");
        assert!(!bucket.has_one(start + Duration::from_millis(590), RATE));
        assert!(bucket.has_one(start + Duration::from_millis(610), RATE));
    }
}
