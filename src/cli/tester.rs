//! `anteroom replay …` and `anteroom demo`: for testers and newcomers.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::Failure;
use super::output::{Output, note};
use crate::config::Config;
use crate::replay::{self, Options, RunError, SoundLibrary, Variables};

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
    let options = Options { to: arguments.to, variables, sounds: Arc::new(sounds), recordings: arguments.out };
    let report = replay::run(&arguments.fixtures, &options).map_err(|error| match error {
        RunError::Fixture(_) | RunError::Target(_) => Failure::Usage(error.to_string()),
        other => Failure::other(other),
    })?;
    output.show(&report, ToString::to_string);
    if report.passed { Ok(()) } else { Err(Failure::Shown) }
}

pub fn demo(arguments: DemoArguments, config: Config, output: &Output) -> Result<(), Failure> {
    let report = replay::demo::run(config, &arguments.out).map_err(Failure::other)?;
    output.show(&report, ToString::to_string);
    if !output.is_json() {
        note(&format!("What each caller heard is in {}", arguments.out.display()));
    }
    if report.passed { Ok(()) } else { Err(Failure::Shown) }
}
