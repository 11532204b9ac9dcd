//! Keys in the meeting: `*`, then one key within three seconds (DESIGN section 2).

use std::time::{Duration, Instant};

use crate::words::secret::Digit;

/// `*` and the key after it belong together within this time; then `*` is forgotten.
pub const COMMAND_WITHIN: Duration = Duration::from_secs(3);

/// What keys in the meeting ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    Help,
    RollCall,
    RaiseHand,
    /// Mute me, or unmute me.
    ToggleMute,
    MuteAll,
    ToggleLock,
    AdmitWaiting,
    ToggleAnnouncements,
    EndMeeting,
}

impl Command {
    /// Whether only a leader may ask for it.
    pub fn for_leader(self) -> bool {
        match self {
            Command::Help | Command::RollCall | Command::RaiseHand | Command::ToggleMute => false,
            Command::MuteAll
            | Command::ToggleLock
            | Command::AdmitWaiting
            | Command::ToggleAnnouncements
            | Command::EndMeeting => true,
        }
    }
}

/// Which key after `*` asks for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeypadTable(Vec<(char, Command)>);

impl Default for KeypadTable {
    fn default() -> KeypadTable {
        KeypadTable(vec![
            ('1', Command::Help),
            ('3', Command::RollCall),
            ('4', Command::MuteAll),
            ('5', Command::RaiseHand),
            ('6', Command::ToggleMute),
            ('7', Command::ToggleLock),
            ('8', Command::AdmitWaiting),
            ('9', Command::ToggleAnnouncements),
            ('*', Command::EndMeeting),
        ])
    }
}

impl KeypadTable {
    /// The command of `key`, if it has one.
    pub fn command(&self, key: Digit) -> Option<Command> {
        self.0.iter().find(|(of, _)| *of == key.expose()).map(|(_, command)| *command)
    }
}

/// Finds commands in one caller's key presses.
#[derive(Debug, Clone, Default)]
pub struct Keypad {
    star_at: Option<Instant>,
}

impl Keypad {
    /// One key press; the command that it completes.
    pub fn handle_digit(&mut self, now: Instant, key: Digit, table: &KeypadTable) -> Option<Command> {
        let begun = self.star_at.take().is_some_and(|at| now.saturating_duration_since(at) <= COMMAND_WITHIN);
        if begun {
            return table.command(key);
        }
        if key == Digit::STAR {
            self.star_at = Some(now);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pressed(keys: &str, gap: Duration) -> Vec<Option<Command>> {
        let table = KeypadTable::default();
        let mut keypad = Keypad::default();
        let mut now = Instant::now();
        keys.chars()
            .map(|name| {
                now += gap;
                keypad.handle_digit(now, Digit::from_char(name).unwrap(), &table)
            })
            .collect()
    }

    #[test]
    fn star_and_a_key_are_a_command() {
        let gap = Duration::from_millis(300);
        assert_eq!(pressed("*6", gap), [None, Some(Command::ToggleMute)]);
        assert_eq!(pressed("6", gap), [None]);
        assert_eq!(pressed("*66", gap), [None, Some(Command::ToggleMute), None]);
        assert_eq!(pressed("**", gap), [None, Some(Command::EndMeeting)]);
        assert_eq!(pressed("*2*6", gap), [None, None, None, Some(Command::ToggleMute)]);
        assert_eq!(pressed("*#6", gap), [None, None, None]);
    }

    #[test]
    fn star_is_forgotten_after_three_seconds() {
        assert_eq!(pressed("*6", COMMAND_WITHIN), [None, Some(Command::ToggleMute)]);
        let late = COMMAND_WITHIN + Duration::from_millis(1);
        assert_eq!(pressed("*6", late), [None, None]);
        assert_eq!(pressed("**", late), [None, None], "the second one begins anew");
    }

    #[test]
    fn every_command_has_a_key() {
        let table = KeypadTable::default();
        let named: Vec<Command> =
            "0123456789*#ABCD".chars().filter_map(|name| table.command(Digit::from_char(name).unwrap())).collect();
        assert_eq!(named.len(), 9);
        assert_eq!(named.iter().filter(|command| command.for_leader()).count(), 5);
    }
}
