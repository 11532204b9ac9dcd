//! `anteroom demo`: a server on loopback, four people who call it, the timeline of what happened, and for each of them a
//! WAV of what he heard. The story is `fixtures/demo.toml`, the voices lie beside it; both are in the binary.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fixture::{FixtureError, FixtureFile};
use super::report::Report;
use super::under_test::{ServerUnderTest, UnderTestError};
use super::{Options, RunError};
use crate::config::Config;

const STORY: &str = include_str!("../../fixtures/demo.toml");

/// What the story's people say, by the names that it has for them.
const VOICES: [(&str, &[u8]); 4] = [
    ("voices/anna.wav", include_bytes!("../../fixtures/voices/anna.wav")),
    ("voices/ben.wav", include_bytes!("../../fixtures/voices/ben.wav")),
    ("voices/carla.wav", include_bytes!("../../fixtures/voices/carla.wav")),
    ("voices/david.wav", include_bytes!("../../fixtures/voices/david.wav")),
];

/// Why there was nothing to see.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("the runtime could not be started: {0}")]
    Runtime(std::io::Error),
    #[error(transparent)]
    Server(#[from] UnderTestError),
    #[error(transparent)]
    Story(#[from] FixtureError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("the callers' thread ended by itself: {0}")]
    Callers(tokio::task::JoinError),
}

/// Plays the whole story in real time, which takes most of a minute. The WAVs go into `out`.
pub fn run(config: Config, out: &Path) -> Result<Report, DemoError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(DemoError::Runtime)?;
    runtime.block_on(play(&config, out.to_owned()))
}

async fn play(config: &Config, out: PathBuf) -> Result<Report, DemoError> {
    let story = FixtureFile::parse(Path::new("demo.toml"), STORY.to_owned())?.with_files(VOICES);
    let server = ServerUnderTest::start(&story, config, None).await?;
    let fixture = story.resolve(&server.variables)?;
    let options = Options {
        to: server.to.clone(),
        variables: server.variables.clone(),
        sounds: Arc::new(super::shipped_sounds()),
        recordings: Some(out),
        impairment: None,
    };
    let played = tokio::task::spawn_blocking(move || super::play(&[fixture], &options)).await;
    server.stop().await;
    Ok(played.map_err(DemoError::Callers)??)
}
