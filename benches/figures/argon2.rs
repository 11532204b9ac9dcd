//! How long one check of a PIN takes: argon2id with the server's own costs. It is slow on purpose, and part of the time
//! from the last key to the meeting.

use std::time::{Duration, Instant};

use anteroom::credentials::hashing::PinHasher;
use anteroom::credentials::server_key::ServerKey;
use anteroom::words::secret::Secret;
use tokio::runtime::{Builder, Runtime};

use super::Outcome;

/// Checks that are made to know the time of one.
const CHECKS: usize = 3;

/// Checks the same PIN again and again.
pub struct PinCheck {
    runtime: Runtime,
    hasher: PinHasher,
    pin: Secret,
    hash: String,
}

impl PinCheck {
    pub fn new() -> Outcome<PinCheck> {
        let runtime = Builder::new_current_thread().build()?;
        let hasher = PinHasher::new(ServerKey::generate()?)?;
        let pin = Secret::new("86420");
        let hash = runtime.block_on(hasher.hash(&pin))?;
        Ok(PinCheck { runtime, hasher, pin, hash })
    }

    /// The median of a few.
    ///
    /// # Errors
    /// In words, so that it can cross to another thread.
    pub fn time(&self) -> Result<Duration, String> {
        let mut times = [Duration::ZERO; CHECKS];
        for time in &mut times {
            let begin = Instant::now();
            let checked = self.runtime.block_on(self.hasher.verify(&self.pin, &self.hash));
            checked.map_err(|error| error.to_string())?;
            *time = begin.elapsed();
        }
        times.sort();
        Ok(times[CHECKS / 2])
    }
}
