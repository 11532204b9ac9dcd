//! A PIN that waits in the outbox: sealed under a key that is derived from the server key, so that the database alone
//! never shows it. This is the one place besides the screen where a PIN exists, and it ends when the mail is gone.
//!
//! ChaCha20-Poly1305 (RFC 8439) under a key of its own (HKDF, RFC 5869). What a seal belongs to, its mail and the address
//! that it goes to, is bound into it: moved to another row, or with another address beside it, it does not open.

use std::fmt;

use rand::TryRng;
use rand::rngs::SysRng;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use zeroize::Zeroize;

use super::contract::{OpenError, StoreError};
use super::pin::PIN_DIGITS_MAX;
use super::server_key::ServerKey;
use crate::words::secret::Secret;

/// Another use of the server key gets another key.
const PURPOSE: &[u8] = b"anteroom: PINs in the outbox";

/// One byte for the length, then the digits, then zeroes: every seal is equally long, so it does not tell how long the
/// PIN is.
const PLAIN_BYTES: usize = 1 + PIN_DIGITS_MAX;

/// Seals PINs, and opens them again.
pub struct OutboxSeal(LessSafeKey);

impl OutboxSeal {
    pub fn new(key: &ServerKey) -> Result<OutboxSeal, OpenError> {
        let extracted = Salt::new(HKDF_SHA256, PURPOSE).extract(key.expose());
        // 32 bytes are asked for, and HKDF gives up to 8,160.
        let derived = extracted.expand(&[PURPOSE], &CHACHA20_POLY1305);
        let derived = derived.map_err(|_| OpenError::Random("no key for the outbox can be derived".to_owned()))?;
        Ok(OutboxSeal(LessSafeKey::new(UnboundKey::from(derived))))
    }

    /// `belongs_to` must be the same when it is opened.
    pub fn seal(&self, pin: &Secret, belongs_to: &str) -> Result<Vec<u8>, StoreError> {
        let refuse = |why: &str| StoreError::Unavailable(format!("the PIN can't be sealed for the outbox: {why}"));
        let digits = pin.expose().as_bytes();
        let mut plain = [0_u8; PLAIN_BYTES];
        let [length, room @ ..] = &mut plain;
        let (Ok(byte), Some(place)) = (u8::try_from(digits.len()), room.get_mut(..digits.len())) else {
            return Err(refuse("it is too long"));
        };
        *length = byte;
        place.copy_from_slice(digits);

        // 96 random bits under one key: the chance that two of a billion seals share a nonce is below 1 in 10^10.
        let mut nonce = [0_u8; NONCE_LEN];
        SysRng.try_fill_bytes(&mut nonce).map_err(|error| refuse(&error.to_string()))?;
        let (unique, bound) = (Nonce::assume_unique_for_key(nonce), Aad::from(belongs_to));
        let tag = self.0.seal_in_place_separate_tag(unique, bound, &mut plain);
        let tag = tag.map_err(|_| refuse("the cipher refused it"))?;
        Ok([&nonce[..], &plain[..], tag.as_ref()].concat())
    }

    /// `None`: another key made it, it belongs to another mail, or it was tampered with.
    pub fn open(&self, sealed: &[u8], belongs_to: &str) -> Option<Secret> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut opened = sealed.to_vec();
        let pin = self.0.open_in_place(nonce, Aad::from(belongs_to), &mut opened).ok().and_then(|plain| {
            let (length, digits) = plain.split_first()?;
            let digits = digits.get(..usize::from(*length))?;
            Some(Secret::new(std::str::from_utf8(digits).ok()?))
        });
        opened.zeroize();
        pin
    }
}

impl fmt::Debug for OutboxSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OutboxSeal(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal() -> OutboxSeal {
        OutboxSeal::new(&ServerKey::generate().unwrap()).unwrap()
    }

    #[test]
    fn what_was_sealed_opens_where_it_belongs_and_nowhere_else() {
        let (ours, other) = (seal(), seal());
        for pin in ["8642", "864197530246"] {
            let sealed = ours.seal(&Secret::new(pin), "mail-1 anna@example.com").unwrap();
            assert_eq!(ours.open(&sealed, "mail-1 anna@example.com"), Some(Secret::new(pin)));
            assert_eq!(ours.open(&sealed, "mail-1 mallory@example.com"), None);
            assert_eq!(other.open(&sealed, "mail-1 anna@example.com"), None);
            assert!(!sealed.windows(pin.len()).any(|part| part == pin.as_bytes()));
        }
    }

    #[test]
    fn a_seal_tells_nothing_of_the_pin_and_no_two_are_alike() {
        let seal = seal();
        let sealed: Vec<_> = ["1357", "1357", "864197530246"]
            .iter()
            .map(|pin| seal.seal(&Secret::new(*pin), "mail-1").unwrap())
            .collect();
        assert_ne!(sealed[0], sealed[1]);
        assert_eq!(sealed[0].len(), sealed[2].len());
        assert!(seal.seal(&Secret::new("1234567890123"), "mail-1").is_err());
    }

    #[test]
    fn whatever_was_changed_does_not_open() {
        let seal = seal();
        let sealed = seal.seal(&Secret::new("13579"), "mail-1").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(seal.open(&changed, "mail-1"), None, "byte {at}");
            assert_eq!(seal.open(&sealed[..at], "mail-1"), None, "cut at {at}");
        }
    }
}
