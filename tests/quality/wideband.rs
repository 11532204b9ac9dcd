//! G.722 beside spandsp's.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anteroom::wire::g722::{Decoder, Encoder};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The shipped prompts at 16 kHz, one after another.
fn prompts() -> Vec<i16> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("audio/en/16k");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let samples = |path| hound::WavReader::open(path).unwrap().into_samples::<i16>().map(Result::unwrap).collect();
    paths.into_iter().flat_map::<Vec<i16>, _>(samples).collect()
}

/// What spandsp makes of it.
fn spandsp(direction: &str, bytes: Vec<u8>) -> Vec<u8> {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("g722");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/g722.c");
    let compiled = Command::new("cc").arg("-O2").arg("-o").arg(&program).arg(source).arg("-lspandsp").status().unwrap();
    assert!(compiled.success());
    let mut oracle =
        Command::new(&program).arg(direction).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = oracle.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || input.write_all(&bytes).unwrap());
    let output = oracle.wait_with_output().unwrap();
    feeder.join().unwrap();
    assert!(output.status.success());
    output.stdout
}

/// Speech and noise, loud and soft. (What overloads a band or a sample ITU-T's software limits, and ours; spandsp's bands
/// go on, and its samples wrap.)
#[test]
#[ignore = "needs libspandsp-dev and a C compiler; tests/run installs and runs it"]
fn g722_is_spandsps_bit_for_bit() {
    let mut random = StdRng::seed_from_u64(722);
    let mut samples = prompts();
    let whole = samples.len() / 320 * 320;
    samples.truncate(whole);
    for loudest in [3, 50, 1_000, 16_000] {
        samples.extend((0..320 * 200).map(|_| random.random_range(-loudest..=loudest)));
    }
    let bytes = |samples: &[i16]| samples.iter().flat_map(|sample| sample.to_ne_bytes()).collect::<Vec<u8>>();

    let mut codes = vec![0; samples.len() / 2];
    Encoder::default().encode(&samples, &mut codes);
    let theirs = spandsp("encode", bytes(&samples));
    assert_eq!(theirs.len(), codes.len());
    assert_eq!(codes.iter().zip(&theirs).position(|(ours, theirs)| ours != theirs), None, "first code that differs");

    let mut heard = vec![0; codes.len() * 2];
    Decoder::default().decode(&codes, &mut heard);
    let (heard, theirs) = (bytes(&heard), spandsp("decode", codes));
    assert_eq!(theirs.len(), heard.len());
    assert_eq!(heard.iter().zip(&theirs).position(|(ours, theirs)| ours != theirs), None, "first octet that differs");
}
