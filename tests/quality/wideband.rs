//! G.722 beside spandsp's, and its losses beside spandsp's concealment.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anteroom::media::concealment::WideConcealment;
use anteroom::net::audio;
use anteroom::wire::g722::{Decoder, Encoder};
use anteroom::words::media::Codec;
use anteroom::words::prompt::Prompt;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::line::{coded, through_the_bridge};
use super::loss::{self, Recordings};

/// What concealment has to pass, by percent of packets lost: a little less than it reaches.
const RATES: [(u32, f64); 4] = [(1, 3.85), (3, 3.15), (5, 2.55), (10, 1.85)];
const SEEDS: u64 = 2;

/// The shipped prompts at 16 kHz, one after another.
fn prompts() -> Vec<i16> {
    let mut prompts = Prompt::ALL.to_vec();
    prompts.sort_by_key(|prompt| prompt.key());
    prompts.into_iter().flat_map(audio::shipped_wide_prompt).collect()
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

/// What a listener hears of these codes when packets are lost, concealed as by a leg; and what spandsp is to conceal.
fn heard(codes: &[u8], lost: &[bool]) -> [Vec<i16>; 2] {
    let (mut decoder, mut standing) = (Decoder::default(), Decoder::default());
    let mut concealment = WideConcealment::default();
    let [mut concealed, mut bare] = [Vec::new(), Vec::new()];
    for (codes, &lost) in codes.chunks_exact(160).zip(lost) {
        let (mut frame, mut decoded) = ([0; 320], [0; 320]);
        if lost {
            concealment.conceal(&mut frame);
            decoder.follow(&frame);
        } else {
            decoder.decode(codes, &mut frame);
            concealment.heard(&mut frame);
            standing.decode(codes, &mut decoded);
        }
        concealed.extend(frame);
        bare.extend(decoded);
    }
    [concealed, bare]
}

#[test]
#[ignore = "needs pesq (PyPI), libspandsp-dev and a C compiler; tests/run installs and runs it"]
fn wide_band_pesq_of_lost_packets() {
    let prompts = prompts();
    let mut recordings = Recordings::new("wideband");
    let mut streams = Vec::new();
    // Files of some eight seconds, as ITU-T P.862 wants them.
    for (number, voice) in (0u64..).zip(prompts.chunks_exact(400 * 320)) {
        let mut codes = vec![0; voice.len() / 2];
        Encoder::default().encode(voice, &mut codes);
        recordings.add("once".into(), voice, &coded(Codec::G722, voice));
        recordings.add("twice".into(), voice, &coded(Codec::G722, &coded(Codec::G722, voice)));
        let bridged = through_the_bridge(voice, [Codec::G722; 2], |_| Some(5_000));
        recordings.add("bridged".into(), voice, &bridged);
        for (percent, _) in RATES {
            for seed in 0..SEEDS {
                let lost = loss::losses(percent, seed * 100 + number, 400);
                let [concealed, bare] = heard(&codes, &lost);
                recordings.add(format!("{percent} % lost"), voice, &concealed);
                let path = |packet: i64| (!lost[packet as usize]).then_some(5_000);
                let bridged = through_the_bridge(voice, [Codec::G722; 2], path);
                recordings.add(format!("{percent} % lost, bridged"), voice, &bridged);
                let halves = lost.iter().flat_map(|&lost| [lost; 2]).collect();
                streams.push((format!("{percent} % spandsp"), voice, (bare, halves)));
            }
        }
    }
    let (rows, streams): (Vec<_>, Vec<_>) = streams.into_iter().map(|(row, voice, s)| ((row, voice), s)).unzip();
    for ((row, voice), heard) in rows.into_iter().zip(loss::spandsp(&streams)) {
        recordings.add(row, voice, &heard);
    }
    let score = recordings.scores(16_000);

    println!("PESQ, wide band (ITU-T P.862.2), of {} recordings", prompts.len() / (400 * 320));
    println!("| G.722 | PESQ | bound |");
    println!("| --- | --- | --- |");
    let (ours, twice) = (score("bridged"), score("twice"));
    println!(
        "| from caller to caller, no loss | {ours:.2} | within 0.05 of two codings' {twice:.2}; one has {:.2} |",
        score("once")
    );
    let mut missed = Vec::new();
    // As the table has it, in hundredths: the soft ends of words that the gate takes cost 0.05.
    if ours < twice - 0.055 {
        missed.push(format!("no loss: {ours:.3} of {twice:.3}"));
    }
    for (percent, at_least) in RATES {
        let (ours, theirs) = (score(&format!("{percent} % lost")), score(&format!("{percent} % spandsp")));
        let bridged = score(&format!("{percent} % lost, bridged"));
        println!("| {percent} % lost | {ours:.2} | above spandsp's {theirs:.2} on the same, and {at_least} |");
        println!(
            "| {percent} % lost, from caller to caller, coded again | {bridged:.2} | above spandsp's {theirs:.2} |"
        );
        if bridged <= theirs {
            missed.push(format!("{percent} % lost, bridged: {bridged:.3}, spandsp {theirs:.3}"));
        }
        if ours <= theirs || ours < at_least {
            missed.push(format!("{percent} % lost: {ours:.3}, spandsp {theirs:.3}"));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}
