//! argon2id with the server key: slow on purpose, so it runs off the async threads, few at a time.

use std::fmt;
use std::sync::Arc;
use std::thread::available_parallelism;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{self, PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use super::contract::{OpenError, StoreError};
use super::server_key::ServerKey;
use crate::words::secret::Secret;

/// The cost of one hash: 19 MiB, two passes, one lane (OWASP's least for argon2id, RFC 9106's shape). What protects a PIN
/// of five digits is the server key; the cost is the second wall, and must fit into the time that a caller waits.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashes at once, at most: each takes a core and 19 MiB. More of them would be no faster, and take the cores from the
/// media threads.
const AT_ONCE_MAX: usize = 4;

/// The fast keyed hash needs no more than argon2's least: what goes into it is protected by the key alone, see
/// [`PinHasher::fingerprint`].
const FINGERPRINT_MEMORY_KIB: u32 = Params::MIN_M_COST;
const FINGERPRINT_BYTES: usize = 16;

/// Makes and checks hashes of PINs.
pub struct PinHasher {
    key: Arc<ServerKey>,
    places: Arc<Semaphore>,
    /// The hash of nobody's PIN: checked where there is none, so that this takes the same time.
    decoy: String,
}

impl PinHasher {
    pub fn new(key: ServerKey) -> Result<PinHasher, OpenError> {
        let cores = available_parallelism().map_or(1, |cores| cores.get());
        let places = Arc::new(Semaphore::new(cores.clamp(1, AT_ONCE_MAX)));
        let decoy = hash(&key, b"no PIN has letters").map_err(|error| OpenError::Random(error.to_string()))?;
        Ok(PinHasher { key: Arc::new(key), places, decoy })
    }

    /// The hash to keep: a PHC text with its own salt and costs.
    pub async fn hash(&self, pin: &Secret) -> Result<String, StoreError> {
        let pin = pin.clone();
        self.off_thread(move |key| hash(key, pin.expose().as_bytes())).await
    }

    /// Whether this PIN made this hash. Takes the same time either way.
    pub async fn verify(&self, pin: &Secret, hash: &str) -> Result<bool, StoreError> {
        let (pin, hash) = (pin.clone(), hash.to_owned());
        self.off_thread(move |key| {
            let hash = PasswordHash::new(&hash)?;
            match argon2(key, params()?)?.verify_password(pin.expose().as_bytes(), &hash) {
                Ok(()) => Ok(true),
                Err(password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// As long as [`PinHasher::verify`], where there is no hash to check.
    pub async fn verify_nothing(&self, pin: &Secret) -> Result<(), StoreError> {
        self.verify(pin, &self.decoy).await.map(|_| ())
    }

    /// A fast keyed hash, by which the same entry is known again without being kept (one wrong PIN tried on many
    /// meetings). It is worth nothing without the server key; and who has that key and the database can try out PINs of
    /// five digits against their slow hashes as well.
    pub fn fingerprint(&self, purpose: &str, text: &str) -> Result<String, StoreError> {
        let fingerprint = || -> Result<String, argon2::Error> {
            let params = Params::new(FINGERPRINT_MEMORY_KIB, 1, 1, Some(FINGERPRINT_BYTES))?;
            let mut bytes = [0_u8; FINGERPRINT_BYTES];
            let argon2 = Argon2::new_with_secret(self.key.expose(), Algorithm::Argon2id, Version::V0x13, params)?;
            let salt = format!("anteroom {purpose}");
            argon2.hash_password_into(text.as_bytes(), salt.as_bytes(), &mut bytes)?;
            Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
        };
        fingerprint().map_err(|error| StoreError::Unavailable(format!("argon2: {error}")))
    }

    async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ServerKey) -> Result<T, password_hash::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let failed = |error: &dyn fmt::Display| StoreError::Unavailable(format!("argon2: {error}"));
        let place = self.places.clone().acquire_owned().await.map_err(|error| failed(&error))?;
        let key = self.key.clone();
        let worked = tokio::task::spawn_blocking(move || {
            // Held until the work is done, also when nobody waits for it any more.
            let _place = place;
            work(&key)
        });
        worked.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
    }
}

impl fmt::Debug for PinHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinHasher").finish_non_exhaustive()
    }
}

fn params() -> Result<Params, password_hash::Error> {
    Ok(Params::new(MEMORY_KIB, PASSES, LANES, None)?)
}

fn argon2(key: &ServerKey, params: Params) -> Result<Argon2<'_>, password_hash::Error> {
    Ok(Argon2::new_with_secret(key.expose(), Algorithm::Argon2id, Version::V0x13, params)?)
}

fn hash(key: &ServerKey, pin: &[u8]) -> Result<String, password_hash::Error> {
    Ok(argon2(key, params()?)?.hash_password(pin)?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn right_wrong_and_another_servers_key() {
        let hasher = PinHasher::new(ServerKey::generate().unwrap()).unwrap();
        let pin = Secret::new("86420");
        let kept = hasher.hash(&pin).await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_ne!(kept, hasher.hash(&pin).await.unwrap(), "each hash has its own salt");
        assert!(hasher.verify(&pin, &kept).await.unwrap());
        assert!(!hasher.verify(&Secret::new("86421"), &kept).await.unwrap());

        let thief = PinHasher::new(ServerKey::generate().unwrap()).unwrap();
        assert!(!thief.verify(&pin, &kept).await.unwrap(), "the database alone opens nothing");
        assert!(hasher.verify(&pin, "damaged").await.is_err());
    }

    #[test]
    fn fingerprints_depend_on_text_purpose_and_key() {
        let hasher = PinHasher::new(ServerKey::generate().unwrap()).unwrap();
        let other = PinHasher::new(ServerKey::generate().unwrap()).unwrap();
        let fingerprint = hasher.fingerprint("pin", "86420").unwrap();
        assert_eq!(fingerprint, hasher.fingerprint("pin", "86420").unwrap());
        assert_eq!(fingerprint.len(), 2 * FINGERPRINT_BYTES);
        assert_ne!(fingerprint, hasher.fingerprint("pin", "86421").unwrap());
        assert_ne!(fingerprint, hasher.fingerprint("key", "86420").unwrap());
        assert_ne!(fingerprint, other.fingerprint("pin", "86420").unwrap());
        assert!(!fingerprint.contains("86420"));
    }
}
