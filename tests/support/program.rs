//! The program that is tested and measured.

use std::path::Path;
use std::process::Command;

/// The binary with these settings, in a folder of its own, so that no configuration of the machine is read.
pub fn anteroom(folder: &Path, settings: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anteroom"));
    command.current_dir(folder).env_remove("RUST_LOG");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ANTEROOM_")) {
        command.env_remove(name);
    }
    for setting in settings {
        command.args(["--set", setting]);
    }
    command
}
