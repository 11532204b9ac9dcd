//! What holds whatever comes. Each function takes any bytes, and panics where a promise is broken: that is all that a
//! fuzzer needs. The targets of `fuzz/` call them under libFuzzer; `tests/fuzzing` drives them by mutation on stable.
#![allow(dead_code, reason = "each fuzz target uses one of them")]

pub mod endpoint;
pub mod media;
pub mod script;
pub mod sip;
pub mod texts;

pub type Property = fn(&[u8]);

/// By the name of its target and of its corpus.
pub const ALL: [(&str, Property); 13] = [
    ("sip_message", sip::message),
    ("sip_stream", sip::stream),
    ("sip_endpoint", endpoint::endpoint),
    ("sdp", sip::description),
    ("rtp", media::rtp),
    ("rtcp", media::rtcp),
    ("telephone_events", media::telephone_events),
    ("g722", media::g722),
    ("media_plane", media::plane),
    ("fixture", texts::fixture),
    ("recording", texts::recording),
    ("impairment", texts::impairment),
    ("configuration", texts::configuration),
];
