//! PINs and conference IDs: how they are made, and which PINs are too easy to guess.

use rand::TryRng;
use rand::rngs::SysRng;
use zeroize::Zeroize;

use super::contract::{Identity, StoreError};
use crate::words::ids::ConferenceId;
use crate::words::secret::Secret;

/// The fewest and the most digits of a PIN.
pub const PIN_DIGITS_MIN: usize = 4;
pub const PIN_DIGITS_MAX: usize = 12;

/// How many easy PINs in a row are thrown away before giving up. Of the 10,000 PINs of four digits about 150 are easy for
/// a given user: a thousand in a row are a broken random source, not bad luck.
const DRAWS_MAX: u32 = 1_000;

/// A new PIN, each digit from the operating system's random source, none of them easy for this user.
pub fn generate_pin(digits: usize, identity: &Identity, conference: &ConferenceId) -> Result<Secret, StoreError> {
    for _ in 0..DRAWS_MAX {
        let mut pin = Secret::with_capacity(digits);
        let mut drawn = random_digits(digits)?;
        drawn
            .iter()
            .filter_map(|digit| crate::words::secret::Digit::from_char(char::from(*digit)))
            .for_each(|d| pin.push(d));
        drawn.zeroize();
        if !is_easy(pin.expose(), identity, conference) {
            return Ok(pin);
        }
    }
    Err(StoreError::Unavailable("the random source gives nothing but easy PINs".to_owned()))
}

/// A new conference ID. It does not begin with 0, which spreadsheets drop.
pub fn generate_conference_id() -> Result<ConferenceId, StoreError> {
    for _ in 0..DRAWS_MAX {
        let digits = random_digits(ConferenceId::DIGITS)?;
        let text = String::from_utf8_lossy(&digits);
        if let (false, Ok(id)) = (text.starts_with('0'), text.parse()) {
            return Ok(id);
        }
    }
    Err(StoreError::Unavailable("the random source gives nothing but zeroes".to_owned()))
}

/// ASCII digits, all ten equally likely.
fn random_digits(count: usize) -> Result<Vec<u8>, StoreError> {
    let mut digits = Vec::with_capacity(count);
    let mut byte = [0_u8];
    while digits.len() < count {
        SysRng.try_fill_bytes(&mut byte).map_err(|error| {
            StoreError::Unavailable(format!("the operating system gives no random numbers: {error}"))
        })?;
        // 250 is the last multiple of 10 that fits: without this 0 to 5 would come more often.
        if let [drawn @ 0..250] = byte {
            digits.push(b'0' + drawn % 10);
        }
    }
    byte.zeroize();
    Ok(digits)
}

/// Whether somebody would try this PIN among the first: one digit repeated, a run up or down, a short pattern repeated,
/// or a part of what everybody knows of the user.
fn is_easy(pin: &str, identity: &Identity, conference: &ConferenceId) -> bool {
    let digits = pin.as_bytes();
    let runs = |step: u8| {
        digits.iter().zip(digits.iter().skip(1)).all(|(one, next)| (one - b'0' + step) % 10 == next.wrapping_sub(b'0'))
    };
    let repeats =
        |length: usize| digits.len() > length && digits.iter().zip(digits.iter().skip(length)).all(|(a, b)| a == b);
    let known_digits: String = identity.as_str().chars().filter(char::is_ascii_digit).collect();
    // Steps of 1 and of -1, round the corner too: 7890, 2109.
    runs(1)
        || runs(9)
        || (1..=digits.len() / 2).any(repeats)
        || is_part_of(pin, conference)
        || known_digits.contains(pin)
}

/// Whether the PIN stands in the conference ID.
pub fn is_part_of(pin: &str, conference: &ConferenceId) -> bool {
    conference.as_str().contains(pin)
}

/// All PINs of this length that stand in the conference ID. A new conference ID must not give away a PIN that is known
/// only as a hash: each of these is checked against it.
pub fn parts(conference: &ConferenceId, digits: usize) -> Vec<Secret> {
    let windows = conference.as_str().as_bytes().windows(digits.max(1));
    windows.map(|part| Secret::new(String::from_utf8_lossy(part))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(text: &str) -> Identity {
        text.parse().unwrap()
    }

    #[test]
    fn what_people_try_first_is_easy() {
        let conference = "8641975".parse().unwrap();
        let anna = identity("anna+49301739@example.com");
        let easy = ["0000", "77777", "1234", "56789", "7890", "4321", "21098", "1212", "727272", "493493", "12121"];
        let of_hers = ["8641", "41975", "864197", "4930", "01739"];
        for pin in easy.iter().chain(&of_hers) {
            assert!(is_easy(pin, &anna, &conference), "{pin}");
        }
        for pin in ["8642", "19283", "1357", "11223", "998877", "493021"] {
            assert!(!is_easy(pin, &anna, &conference), "{pin}");
        }
    }

    #[test]
    fn pins_have_the_asked_length_and_are_never_easy() {
        let anna = identity("anna@example.com");
        for digits in PIN_DIGITS_MIN..=PIN_DIGITS_MAX {
            for _ in 0..200 {
                let conference = generate_conference_id().unwrap();
                let pin = generate_pin(digits, &anna, &conference).unwrap();
                assert_eq!(pin.len(), digits);
                assert!(pin.expose().bytes().all(|byte| byte.is_ascii_digit()));
                assert!(!is_easy(pin.expose(), &anna, &conference));
                assert!(!conference.as_str().starts_with('0'));
            }
        }
    }

    /// Chi-squared with 9 degrees of freedom passes 40 once in some 130,000 runs by chance.
    #[test]
    fn all_digits_are_equally_likely() {
        let drawn = random_digits(100_000).unwrap();
        let mut counts = [0_f64; 10];
        for digit in drawn {
            counts[usize::from(digit - b'0')] += 1.0;
        }
        let chi_squared: f64 = counts.iter().map(|count| (count - 10_000.0).powi(2) / 10_000.0).sum();
        assert!(chi_squared < 40.0, "{counts:?}");
    }

    #[test]
    fn the_parts_of_a_conference_id() {
        let conference: ConferenceId = "1234567".parse().unwrap();
        let texts: Vec<_> = parts(&conference, 5).iter().map(|part| part.expose().to_owned()).collect();
        assert_eq!(texts, ["12345", "23456", "34567"]);
        assert!(parts(&conference, 8).is_empty());
    }
}
