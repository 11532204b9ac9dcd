//! Files that people write: fixtures, recordings of keys, impairments, the configuration. What is wrong is told in one
//! line, and no secret stands in it.

use std::path::Path;

use anteroom::config::Config;
use anteroom::replay::recorded::RecordedEvents;
use anteroom::replay::{FixtureFile, Impairment, Variables, wav};

const PIN: &str = "73519462801";
const CONFERENCE_ID: &str = "8264031";

/// A fixture is read and resolved, or its error is one line that names the file.
pub fn fixture(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let fixture = match FixtureFile::parse(Path::new("fuzzed.toml"), text.to_owned()) {
        Ok(fixture) => fixture,
        Err(error) => return one_line(&error.to_string(), text),
    };
    let _ = (fixture.server().users(), fixture.server().settings_toml());
    // A fuzzer has no business with files; what they hold is the property below.
    if text.contains("wav:") || text.contains("pcap:") || text.contains("\\") {
        return;
    }
    let mut variables = Variables::default();
    variables.set("pin", PIN);
    variables.set("conference_id", CONFERENCE_ID);
    if let Err(error) = fixture.resolve(&variables) {
        one_line(&error.to_string(), text);
    }
}

/// A capture or a WAV: what is in it, or one line.
pub fn recording(bytes: &[u8]) {
    match RecordedEvents::from_capture(bytes) {
        Ok(events) => assert!(events.presses() >= 1 && events.presses() <= events.packets().len()),
        Err(error) => one_line(&error.to_string(), ""),
    }
    match wav::parse_8khz(bytes) {
        Ok(samples) => assert!(samples.len() <= bytes.len()),
        Err(error) => one_line(&error.to_string(), ""),
    }
}

/// An impairment is shown as it is read again.
pub fn impairment(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match text.parse::<Impairment>() {
        Ok(impairment) => {
            let shown = impairment.to_string();
            let again: Impairment = shown.parse().expect("what is shown can be read");
            assert_eq!(again.to_string(), shown);
        }
        Err(error) => one_line(&error.to_string(), text),
    }
}

/// A configuration file is read, or its error is one line.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Config::from_toml(text, Path::new("fuzzed.toml")) {
        Ok(config) => {
            let _ = (config.sip.trunk_table(), config.rtp.port_pairs());
        }
        Err(error) => one_line(&error.to_string(), text),
    }
    let settings: Vec<&str> = text.lines().take(4).collect();
    if let Err(error) = Config::from_settings(&settings) {
        one_line(&error.to_string(), text);
    }
}

fn one_line(told: &str, text: &str) {
    assert!(!told.is_empty() && !told.contains('\n'), "not one line: {told:?}");
    for secret in [PIN, CONFERENCE_ID] {
        assert!(!told.contains(secret) || text.contains(secret), "a secret in {told:?}");
    }
}
