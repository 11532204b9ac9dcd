//! What holds whatever comes ([`properties`]), with mutated inputs: the corpus of `fuzz/corpus`, the torture messages of
//! RFC 4475 and RFC 5118 and the shipped fixtures, each changed some tens of thousands of times, the same way at each run.
//! `FUZZ_TIMES=50 cargo test --test fuzzing` does fifty times as much. The same properties under libFuzzer, which looks
//! for its own way in: `fuzz/README.md`.

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

#[path = "../support/mutation.rs"]
mod mutation;
mod properties;

/// Every file in a folder with such an ending, in order.
fn files(folder: &str, ending: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.is_file() && path.to_string_lossy().ends_with(ending));
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// What a target begins with.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let mut corpus = files(&format!("fuzz/corpus/{target}"), "");
    match target {
        "sip_message" | "sip_stream" => {
            corpus.extend(files("tests/torture/rfc4475", ".dat"));
            corpus.extend(files("tests/torture/rfc5118", ".dat"));
        }
        "fixture" => corpus.extend(files("fixtures", ".toml")),
        "recording" => corpus.extend(files("fixtures/recordings", ".pcap")),
        "configuration" => corpus.extend(files("config", ".toml")),
        _ => {}
    }
    assert!(!corpus.is_empty(), "{target}: no corpus");
    corpus
}

/// Drives one property with its corpus, and with so many mutations of it.
fn drive(target: &str, inputs: usize) {
    let (_, property) = properties::ALL.into_iter().find(|(name, _)| *name == target).unwrap();
    let times: usize = std::env::var("FUZZ_TIMES").map_or(1, |times| times.parse().unwrap());
    let corpus = corpus(target);
    let mut random = StdRng::seed_from_u64(1);
    let mutations = (0..inputs * times).map(|number| {
        let mut pick = || &corpus[random.random_range(0..corpus.len())];
        let (original, other) = (pick(), pick());
        match number % 16 {
            0 => mutation::noise(&mut random, 600),
            _ => mutation::mutated(&mut random, original, other),
        }
    });
    for (number, input) in corpus.iter().cloned().chain(mutations).enumerate() {
        if catch_unwind(|| property(&input)).is_err() {
            let kept = std::env::temp_dir().join(format!("anteroom-fuzz-{target}-{number}"));
            std::fs::write(&kept, &input).unwrap();
            panic!("{target}: input {number} breaks it: {}\n{}", kept.display(), input.escape_ascii());
        }
    }
}

#[test]
fn every_target_of_libfuzzer_has_its_property_and_its_corpus() {
    let manifest = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/Cargo.toml")).unwrap();
    for (target, _) in properties::ALL {
        assert!(manifest.contains(&format!("name = \"{target}\"")), "fuzz/Cargo.toml knows nothing of {target}");
        assert!(!corpus(target).is_empty());
    }
    assert_eq!(manifest.matches("[[bin]]").count(), properties::ALL.len());
}

#[test]
fn sip_messages() {
    drive("sip_message", 30_000);
}

#[test]
fn sip_streams() {
    drive("sip_stream", 20_000);
}

#[test]
fn sip_endpoints() {
    drive("sip_endpoint", 4_000);
}

#[test]
fn session_descriptions() {
    drive("sdp", 30_000);
}

#[test]
fn rtp_packets() {
    drive("rtp", 50_000);
}

#[test]
fn rtcp_packets() {
    drive("rtcp", 50_000);
}

#[test]
fn telephone_events() {
    drive("telephone_events", 30_000);
}

#[test]
fn g722_streams() {
    drive("g722", 3_000);
}

#[test]
fn media_planes() {
    drive("media_plane", 4_000);
}

#[test]
fn fixtures() {
    drive("fixture", 10_000);
}

#[test]
fn recordings() {
    drive("recording", 10_000);
}

#[test]
fn impairments() {
    drive("impairment", 30_000);
}

#[test]
fn configurations() {
    drive("configuration", 10_000);
}
