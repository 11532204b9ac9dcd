//! The way between the telephones and the server: loss, bursts, jitter, reordering, duplicates, per caller and direction.

use super::dice::Dice;
use super::plan::Weather;

/// One direction of one caller's way.
#[derive(Debug)]
pub struct Path {
    pub weather: Weather,
    dice: Dice,
    burst_left: u64,
    /// Over TCP nothing overtakes.
    last_arrival: u64,
}

impl Path {
    pub fn new(seed: u64, of_what: u64) -> Path {
        Path { weather: Weather::CLEAR, dice: Dice::new(seed, of_what), burst_left: 0, last_arrival: 0 }
    }

    /// When the copies of a datagram that is sent `now` arrive: none, one or two.
    pub fn datagram(&mut self, now: u64) -> [Option<u64>; 2] {
        let weather = self.weather;
        let lost = if self.burst_left > 0 {
            self.burst_left -= 1;
            true
        } else {
            // As many bursts as lose this much in all.
            let begins = weather.loss_percent > 0.0 && self.dice.chance(weather.loss_percent / weather.burst as f64);
            if begins {
                self.burst_left = weather.burst - 1;
            }
            begins
        };
        let doubled = weather.doubled_percent > 0.0 && self.dice.chance(weather.doubled_percent);
        let first = (!lost).then(|| self.arrival(now));
        [first, doubled.then(|| self.arrival(now))]
    }

    /// When octets of a stream arrive: always, and in order.
    pub fn stream(&mut self, now: u64) -> u64 {
        self.last_arrival = self.arrival(now).max(self.last_arrival + 1);
        self.last_arrival
    }

    fn arrival(&mut self, now: u64) -> u64 {
        let Weather { delay_ms, jitter_ms, .. } = self.weather;
        let jitter_us = if jitter_ms > 0 { self.dice.between(0, jitter_ms * 1_000) } else { 0 };
        now + delay_ms * 1_000 + jitter_us
    }
}
