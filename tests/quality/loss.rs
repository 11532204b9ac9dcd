//! PESQ with and without loss, beside the codec's ceiling and spandsp's concealment.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anteroom::words::media::{Codec, FRAME_SAMPLES};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::line::{coded, through_the_bridge};
use super::speech;

/// What spandsp's concealment reached in a trial of other speech, and what ours has to pass, in percent of packets lost.
const RATES: [(u32, f64); 4] = [(1, 3.74), (3, 3.32), (5, 2.94), (10, 2.45)];
const SEEDS: u64 = 4;

/// Recordings in a folder of their own, to be scored all at once.
pub struct Recordings {
    folder: PathBuf,
    pairs: Vec<(String, PathBuf, PathBuf)>,
}

impl Recordings {
    pub fn new(name: &str) -> Recordings {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Recordings { folder, pairs: Vec::new() }
    }

    pub fn add(&mut self, row: String, reference: &[i16], heard: &[i16]) {
        let number = self.pairs.len();
        let write = |name: String, samples: &[i16]| {
            let path = self.folder.join(name);
            std::fs::write(&path, samples.iter().flat_map(|sample| sample.to_ne_bytes()).collect::<Vec<u8>>()).unwrap();
            path
        };
        let reference = write(format!("{number}.ref"), reference);
        let heard = write(format!("{number}.out"), heard);
        self.pairs.push((row, reference, heard));
    }

    /// The mean score of each row, at this sampling rate.
    pub fn scores(self, rate: u32) -> impl Fn(&str) -> f64 {
        let list = self.folder.join("pairs");
        let lines: String = self.pairs.iter().map(|(_, a, b)| format!("{} {}\n", a.display(), b.display())).collect();
        std::fs::write(&list, lines).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let output = Command::new(root.join("target/test-venv/bin/python"))
            .arg(root.join("tests/quality/score.py"))
            .arg(rate.to_string())
            .arg(&list)
            .stderr(Stdio::inherit())
            .output()
            .expect(
                "target/test-venv has pesq: python3 -m venv target/test-venv; target/test-venv/bin/pip install pesq",
            );
        let scores: Vec<f64> =
            String::from_utf8(output.stdout).unwrap().lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(scores.len(), self.pairs.len());
        let rows: Vec<String> = self.pairs.iter().map(|(row, ..)| row.clone()).collect();
        std::fs::remove_dir_all(&self.folder).unwrap();
        move |row| {
            let of_row: Vec<f64> =
                rows.iter().zip(&scores).filter(|(name, _)| *name == row).map(|(_, &score)| score).collect();
            assert!(!of_row.is_empty(), "{row}");
            of_row.iter().sum::<f64>() / of_row.len() as f64
        }
    }
}

/// Which packets are lost. The first second is whole, so that what is measured is loss in speech.
pub fn losses(percent: u32, seed: u64, packets: usize) -> Vec<bool> {
    let mut random = StdRng::seed_from_u64(seed * 100 + u64::from(percent));
    (0..packets).map(|_| random.random_ratio(percent, 100)).collect()
}

/// What spandsp plays of streams with lost frames of 160 samples.
pub fn spandsp(streams: &[(Vec<i16>, Vec<bool>)]) -> Vec<Vec<i16>> {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plc");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/quality/plc.c");
    let compiled = Command::new("cc").arg("-O2").arg("-o").arg(&program).arg(source).arg("-lspandsp").status().unwrap();
    assert!(compiled.success());
    let mut bytes = Vec::new();
    for (voice, lost) in streams {
        bytes.push(2);
        for (frame, &lost) in voice.chunks_exact(FRAME_SAMPLES).zip(lost) {
            bytes.push(u8::from(lost));
            bytes.extend(frame.iter().flat_map(|&sample| if lost { 0 } else { sample }.to_ne_bytes()));
        }
    }
    let mut oracle = Command::new(&program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = oracle.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || input.write_all(&bytes).unwrap());
    let output = oracle.wait_with_output().unwrap();
    feeder.join().unwrap();
    let mut played = output
        .stdout
        .chunks_exact(2)
        .map(|pair| i16::from_ne_bytes([pair[0], pair[1]]))
        .collect::<Vec<i16>>()
        .into_iter();
    streams.iter().map(|(_, lost)| played.by_ref().take(lost.len() * FRAME_SAMPLES).collect()).collect()
}

#[test]
#[ignore = "needs pesq (PyPI), libspandsp-dev, espeak-ng and a C compiler; tests/run installs and runs it"]
fn pesq_of_speech_between_two_callers() {
    let speech: Vec<Vec<i16>> = speech::prompts().into_iter().chain(speech::synthesized()).collect();
    let mut recordings = Recordings::new("pesq");
    for voice in &speech {
        for codec in [Codec::Pcmu, Codec::Pcma] {
            recordings.add(format!("{codec} ceiling"), voice, &coded(codec, voice));
            recordings.add(format!("{codec}"), voice, &through_the_bridge(voice, [codec; 2], |_| Some(5_000)));
        }
        let both = coded(Codec::Pcma, &coded(Codec::Pcmu, voice));
        recordings.add("across ceiling".into(), voice, &both);
        let across = [Codec::Pcmu, Codec::Pcma];
        recordings.add("across".into(), voice, &through_the_bridge(voice, across, |_| Some(5_000)));
    }
    for (percent, _) in RATES {
        let mut streams = Vec::new();
        for (number, voice) in speech.iter().enumerate() {
            for seed in 0..SEEDS {
                let lost = losses(percent, seed * 100 + number as u64, voice.len() / FRAME_SAMPLES);
                let path = |packet: i64| (!lost[packet as usize]).then_some(5_000);
                let heard = through_the_bridge(voice, [Codec::Pcmu; 2], path);
                recordings.add(format!("{percent} % lost"), voice, &heard);
                streams.push((coded(Codec::Pcmu, voice), lost));
            }
        }
        for (place, heard) in spandsp(&streams).iter().enumerate() {
            let voice = &speech[place / SEEDS as usize];
            recordings.add(format!("{percent} % spandsp"), voice, heard);
        }
    }
    let score = recordings.scores(8_000);

    println!("PESQ, narrow band (ITU-T P.862), of {} recordings", speech.len());
    println!("| from caller to caller | PESQ | bound |");
    println!("| --- | --- | --- |");
    let mut missed = Vec::new();
    for (name, row) in [("µ-law", "PCMU"), ("A-law", "PCMA"), ("µ-law to A-law", "across")] {
        let (ours, ceiling) = (score(row), score(&format!("{row} ceiling")));
        println!("| {name}, no loss | {ours:.2} | within 0.05 of the codec's own {ceiling:.2} |");
        if ours < ceiling - 0.05 {
            missed.push(format!("{name}: {ours:.3} of {ceiling:.3}"));
        }
    }
    for (percent, of_trial) in RATES {
        let (ours, theirs) = (score(&format!("{percent} % lost")), score(&format!("{percent} % spandsp")));
        println!(
            "| {percent} % lost | {ours:.2} | above spandsp's {theirs:.2} on the same ({of_trial:.2} in another trial) |"
        );
        if ours <= theirs || ours <= of_trial {
            missed.push(format!("{percent} % lost: {ours:.3}, spandsp {theirs:.3} and {of_trial}"));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}
