//! Callers out of fixture files, in real time, against any SIP server: a tester's telephone exchange.
//!
//! ```text
//!  fixture.toml ─ fixture ─> Script ──deeds──> Phone ══ SIP, RTP ══> server
//!   ${variables}             (caller)            │
//!                               ^             listener ── 20 ms frames ──> ears
//!                               └───────────── hearings ─────────────────────┘
//!                                  timeline, report
//! ```
//!
//! | file | idea |
//! | --- | --- |
//! | [`fixture`] | what a fixture says: read, filled in and checked, with its line in every message |
//! | [`variables`], [`sound`], [`keys`] | its small languages: `${pin}`, `prompt:welcome`, `1234567#` |
//! | [`caller`], [`marks`] | one caller's script as a state machine; what others wait for |
//! | [`ears`] | what is heard: prompts, music, chimes, tones, silence |
//! | [`mouth`], [`listener`] | the RTP stream that goes out, and the line that comes in |
//! | [`coding`] | what is voice here, and octets there |
//! | [`impairment`] | a bad network between the two, from a seed |
//! | [`recorded`], [`capture`], [`wav`] | keys and sounds out of files |
//! | [`phone`], [`ear_threads`], [`scene`], [`target`] | sockets, threads, the clock: a scene in real time |
//! | [`timeline`], [`report`] | the story, and what it came to |
//! | [`under_test`] | a server of our own as a fixture assumes it |
//! | [`demo`] | the story that a newcomer sees and hears |
//!
//! Everything above `phone` is pure. Nothing that was typed is printed: the timeline says "7 keys + #".

pub mod caller;
pub mod capture;
pub mod coding;
pub mod demo;
pub mod ear_threads;
pub mod ears;
pub mod fixture;
pub mod impairment;
pub mod keys;
pub mod listener;
pub mod marks;
pub mod mouth;
pub mod phone;
pub mod recorded;
pub mod report;
pub mod scene;
pub mod sound;
pub mod target;
pub mod timeline;
pub mod under_test;
pub mod variables;
pub mod wav;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use ears::SoundLibrary;
pub use fixture::{Fixture, FixtureError, FixtureFile};
pub use impairment::Impairment;
pub use report::Report;
pub use target::{Target, TargetError};
pub use variables::Variables;

use self::sound::Sound;
use crate::net::audio;
use crate::words::prompt::{Chime, Prompt};

/// What all fixtures of a run have in common.
#[derive(Debug, Clone)]
pub struct Options {
    /// `sip:8000@HOST:PORT`, and `;transport=tcp` where that is wanted.
    pub to: String,
    pub variables: Variables,
    /// What prompts, chimes and music sound like.
    pub sounds: Arc<SoundLibrary>,
    /// A folder for one WAV per caller of what he heard. It is made if it is not there.
    pub recordings: Option<PathBuf>,
    /// A bad network for every caller, in place of what the fixtures say of it.
    pub impairment: Option<Impairment>,
}

/// Why nothing could be played.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Fixture(#[from] FixtureError),
    #[error("--to: {0}")]
    Target(#[from] TargetError),
    #[error("{}: {what}", path.display())]
    Recordings { path: PathBuf, what: std::io::Error },
    #[error("{0}")]
    Scene(String),
}

/// Plays fixtures one after the other, in real time: this blocks, so asynchronous code puts it on a thread of its own. All
/// of them are read and checked before the first one is played.
pub fn run(fixtures: &[PathBuf], options: &Options) -> Result<Report, RunError> {
    let read = |path: &PathBuf| FixtureFile::read(path)?.resolve(&options.variables);
    let fixtures = fixtures.iter().map(read).collect::<Result<Vec<_>, FixtureError>>()?;
    play(&fixtures, options)
}

/// Plays fixtures that were read before.
pub fn play(fixtures: &[Fixture], options: &Options) -> Result<Report, RunError> {
    let target = Target::resolve(&options.to)?;
    // The first one is checked as it begins.
    for fixture in fixtures.iter().skip(1) {
        scene::check(fixture, &options.sounds).map_err(RunError::Scene)?;
    }
    if let Some(folder) = &options.recordings {
        make_folder(folder)?;
    }
    let mut reports = Vec::new();
    for fixture in fixtures {
        reports.push(scene::play(fixture, &target, options).map_err(RunError::Scene)?);
    }
    Ok(Report { passed: reports.iter().all(|report| report.passed), fixtures: reports })
}

/// The sounds of an Anteroom that has none of its operator's.
pub fn shipped_sounds() -> SoundLibrary {
    let mut library = SoundLibrary::default();
    for prompt in Prompt::ALL {
        library.add(Sound::Prompt(prompt.key().to_owned()), &audio::shipped_prompt(*prompt));
    }
    for chime in Chime::ALL {
        library.add(Sound::Chime(chime.key().to_owned()), &audio::shipped_chime(chime));
    }
    library.add(Sound::Music, &audio::shipped_hold_music());
    library
}

fn make_folder(folder: &Path) -> Result<(), RunError> {
    std::fs::create_dir_all(folder).map_err(|what| RunError::Recordings { path: folder.to_owned(), what })
}

#[cfg(test)]
mod tests;
