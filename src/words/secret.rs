//! Secrets are types. What a caller types and what opens a meeting can be compared and handed on, but not printed:
//! `Debug` is redacted, `Display` and `Serialize` do not exist, and the memory is cleared on drop.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What stands in every list, page and output where a PIN would be.
pub const MASK: &str = "***********";

/// One key of a telephone keypad: `0` to `9`, `*`, `#`, `A` to `D`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digit(u8);

impl Digit {
    pub const STAR: Digit = Digit(b'*');
    pub const POUND: Digit = Digit(b'#');

    /// `None` for a character that is on no keypad. Lower-case `a` to `d` are taken as upper case.
    pub fn from_char(key: char) -> Option<Digit> {
        match key.to_ascii_uppercase() {
            key @ ('0'..='9' | '*' | '#' | 'A'..='D') => Some(Digit(key as u8)),
            _ => None,
        }
    }

    /// RFC 4733 section 3.2, table 3: events 0 to 15. `None` for every other event.
    pub fn from_event_code(code: u8) -> Option<Digit> {
        b"0123456789*#ABCD".get(usize::from(code)).copied().map(Digit)
    }

    /// The RFC 4733 event code of this key, 0 to 15.
    pub fn event_code(self) -> u8 {
        match self.0 {
            b'0'..=b'9' => self.0 - b'0',
            b'*' => 10,
            b'#' => 11,
            letter => letter - b'A' + 12,
        }
    }

    /// The key itself, for whoever compares or collects it; never for a log.
    pub fn expose(self) -> char {
        char::from(self.0)
    }

    pub fn is_decimal(self) -> bool {
        self.0.is_ascii_digit()
    }
}

impl fmt::Debug for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digit(*)")
    }
}

/// A text nobody may read in a log: a PIN, a key, a password.
#[derive(Clone, Default, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for the one place that hashes, sends or shows it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one typed key. Reserve first: growth leaves a copy behind that `zeroize` can't reach.
    pub fn push(&mut self, digit: Digit) {
        self.0.push(digit.expose());
    }

    pub fn with_capacity(bytes: usize) -> Secret {
        Secret(String::with_capacity(bytes))
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_typed_is_printed() {
        let mut pin = Secret::with_capacity(12);
        for key in "8642".chars() {
            pin.push(Digit::from_char(key).unwrap());
        }
        let shown = format!("{:?} {:?}", pin, Digit::from_char('8'));
        assert!(!shown.contains('8') && !shown.contains("642"), "{shown}");
        assert_eq!(pin, Secret::new("8642"));
        assert_ne!(pin, Secret::new("8643"));
    }

    #[test]
    fn every_key_has_its_event_code() {
        for code in 0..16 {
            assert_eq!(Digit::from_event_code(code).unwrap().event_code(), code);
        }
        assert_eq!(Digit::from_event_code(16), None);
        assert_eq!(Digit::from_char('e'), None);
    }
}
