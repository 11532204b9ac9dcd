//! `anteroom replay …` and `anteroom demo`: for testers and newcomers.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::Failure;
use super::output::{Output, note};
use crate::config::Config;
use crate::replay::{self, Impairment, Options, RunError, SoundLibrary, Variables};

#[derive(Debug, Args)]
pub struct ReplayArguments {
    /// Fixture files: who calls when, presses which keys, and must hear what
    #[arg(required = true, value_name = "FIXTURE")]
    fixtures: Vec<PathBuf>,
    /// The server, and the number that is called there
    #[arg(long, value_name = "SIP-URI", default_value = "sip:8000@127.0.0.1:5060")]
    to: String,
    /// A value for ${NAME} in the fixtures; the environment's ANTEROOM_VAR_NAME does the same, out of sight of others
    #[arg(long = "var", value_name = "NAME=VALUE")]
    variables: Vec<String>,
    /// Write what each caller heard as WAV files into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The sounds of the server that is called, where they are not those built in: a folder with en/, hold/ and tones/
    #[arg(long, value_name = "DIR")]
    audio: Option<PathBuf>,
    /// A bad network for every caller: loss=5%,burst=3,jitter=60ms,reorder=2%,duplicate=1%,no-marker,seed=7
    ///
    /// Some of these, with commas between. RTP packets are lost (burst: in runs of so many on average), delayed by up to
    /// the jitter in order, overtaken by others, sent twice, or lose their marker bit; both ways, unless only=to-server or
    /// only=from-server is said. What is done comes from the seed: with the same one each caller's n-th packet meets the
    /// same fate again. It takes the place of what a fixture says (impair = "…"); loss=0% is a good network.
    #[arg(long, value_name = "IMPAIRMENT")]
    impair: Option<String>,
}

#[derive(Debug, Args)]
pub struct DemoArguments {
    /// Where the WAV files go
    #[arg(long, value_name = "DIR", default_value = "demo")]
    out: PathBuf,
}

/// Plays fixtures. Exit status 1 where an expectation was not met, and 2 where there is nothing to play.
pub fn replay(arguments: ReplayArguments, output: &Output) -> Result<(), Failure> {
    let mut variables = Variables::from_environment(std::env::vars_os().filter_map(|(name, value)| {
        // A variable that is no UTF-8 is none of ours.
        Some((name.into_string().ok()?, value.into_string().ok()?))
    }));
    for assignment in &arguments.variables {
        variables.assign(assignment).map_err(|error| Failure::Usage(format!("--var: {error}")))?;
    }
    let sounds = match &arguments.audio {
        Some(folder) => SoundLibrary::from_folder(folder, "en").map_err(Failure::other)?,
        None => replay::shipped_sounds(),
    };
    let impairment = match &arguments.impair {
        None => None,
        Some(text) => {
            let read = text.parse::<Impairment>();
            Some(read.map_err(|error| Failure::Usage(format!("--impair: {error}")))?)
        }
    };
    let sounds = Arc::new(sounds);
    let options = Options { to: arguments.to, variables, sounds, recordings: arguments.out, impairment };
    let report = replay::run(&arguments.fixtures, &options).map_err(|error| match error {
        RunError::Fixture(_) | RunError::Target(_) => Failure::Usage(error.to_string()),
        other => Failure::other(other),
    })?;
    output.show(&report, ToString::to_string);
    if report.passed { Ok(()) } else { Err(Failure::Shown) }
}

pub fn demo(arguments: DemoArguments, config: Config, output: &Output) -> Result<(), Failure> {
    if !output.is_json() {
        note("Four people call, in real time. Their story takes about a minute, and is told at its end.");
    }
    let report = replay::demo::run(config, &arguments.out).map_err(Failure::other)?;
    output.show(&report, ToString::to_string);
    if !output.is_json() {
        note(&format!("What each caller heard is in {}", arguments.out.display()));
    }
    if report.passed { Ok(()) } else { Err(Failure::Shown) }
}
