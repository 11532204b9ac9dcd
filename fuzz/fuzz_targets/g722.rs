#![no_main]

#[path = "../../tests/fuzzing/properties/mod.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::media::g722(bytes));
