//! The command line: arguments in, one result out.
//!
//! ```text
//!  anteroom [--config FILE] [--set KEY=VALUE]… [--json] COMMAND …
//!                │
//!           config::Config ──▶ credentials::Store ──▶ admin::Administrator ──▶ text, or one JSON document
//! ```
//!
//! | file | its idea |
//! | --- | --- |
//! | `user`, `bulk`, `number`, `meeting`, `settings`, `outbox`, `account`, `watch` | the administrator's commands |
//! | `store` | the store as a whole: migrate, check, copy |
//! | `tester` | `replay` and `demo` |
//! | `output` | what is printed, and how |
//!
//! Exit status: 0 done; 1 refused or failed, with one line on standard error; 2 wrong usage, a wrong configuration among
//! it. Results go to standard output; notes for the reader go to standard error.

mod account;
mod bulk;
mod meeting;
mod number;
mod outbox;
mod output;
mod settings;
mod store;
mod tester;
mod user;
mod watch;

use std::ffi::OsString;
use std::fmt::Display;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::admin::{AdminError, Administrator};
use crate::config::{Config, ConfigError, Sources, StoreUrl};
use crate::credentials::{Actor, OpenError, Store};
use crate::server::serve::{ServeError, serve};
use output::Output;

/// The telephone side of your meetings: callers, a lobby with hold music, and a PIN that starts the meeting.
#[derive(Debug, Parser)]
#[command(name = "anteroom", version, arg_required_else_help = true, infer_subcommands = false)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
struct Common {
    /// The configuration file [default: config/anteroom.toml, where it exists]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One configuration key, over file and environment, such as sip.listen=127.0.0.1:5060; may be repeated
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Print one JSON document
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take calls: SIP, media and HTTP in one process
    Serve,
    /// Enable, show and change the people who may hold meetings
    #[command(subcommand)]
    User(user::Command),
    /// The numbers by which callers reach this organization
    #[command(subcommand)]
    Number(number::Command),
    /// Planned meetings, each with a conference ID of its own; and those that go on now: start, lock, admit, end
    #[command(subcommand)]
    Meeting(meeting::Command),
    /// What the organization has decided
    #[command(subcommand)]
    Settings(settings::Command),
    /// The store as a whole: tables, soundness, a copy in another database
    #[command(subcommand)]
    Store(store::Command),
    /// Wrong conference IDs and PINs that are counted against callers
    #[command(subcommand)]
    Budget(watch::BudgetCommand),
    /// People who sign in to the console, each with a role
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Programs that may use the API
    #[command(subcommand)]
    Token(account::TokenCommand),
    /// Mails to users: what waits, what was sent, what was given up
    #[command(subcommand)]
    Outbox(outbox::Command),
    /// What somebody should look at
    #[command(subcommand)]
    Alert(watch::AlertCommand),
    /// Calls that have ended, the newest first
    Calls(watch::CallsArguments),
    /// Who did what, and when
    Audit(watch::AuditArguments),
    /// Play callers from fixture files against a SIP server
    Replay(tester::ReplayArguments),
    /// The whole story on loopback, with a WAV of what each caller heard
    Demo(tester::DemoArguments),
}

/// Why a command ends with an error.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Other(String),
    /// It has been printed already.
    #[error("")]
    Shown,
}

impl Failure {
    fn other(error: impl Display) -> Failure {
        Failure::Other(error.to_string())
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Config(_) | Failure::Usage(_) => ExitCode::from(2),
            _ => ExitCode::from(1),
        }
    }
}

/// Runs the command that the process was called with.
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

/// Runs one command line, the program's name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    match carry_out(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !matches!(failure, Failure::Shown) {
                output::note(&format!("anteroom: {failure}"));
            }
            failure.exit_code()
        }
    }
}

fn carry_out(Arguments { common, command }: Arguments) -> Result<(), Failure> {
    let output = Output::new(common.json);
    match command {
        Command::Serve => Ok(serve(&common.load_config()?)?),
        Command::Replay(arguments) => tester::replay(arguments, &output),
        Command::Demo(arguments) => tester::demo(arguments, common.load_config()?, &output),
        Command::User(command) => administer(&common, async |administrator| command.run(administrator, &output).await),
        Command::Number(command) => {
            administer(&common, async |administrator| command.run(administrator, &output).await)
        }
        Command::Meeting(command) => {
            administer(&common, async |administrator| command.run(administrator, &output).await)
        }
        Command::Account(command) => {
            administer(&common, async |administrator| command.run(administrator, &output).await)
        }
        Command::Token(command) => administer(&common, async |administrator| command.run(administrator, &output).await),
        Command::Outbox(command) => {
            administer(&common, async |administrator| command.run(administrator, &output).await)
        }
        Command::Settings(command) => {
            administer(&common, async |administrator| command.run(administrator, &output).await)
        }
        Command::Store(command) => command.run(&common.load_config()?.store, &output),
        Command::Budget(command) => {
            administer(&common, async |administrator| command.run(administrator, &output).await)
        }
        Command::Alert(command) => administer(&common, async |administrator| command.run(administrator, &output).await),
        Command::Calls(command) => administer(&common, async |administrator| command.run(administrator, &output).await),
        Command::Audit(command) => administer(&common, async |administrator| command.run(administrator, &output).await),
    }
}

impl Common {
    fn load_config(&self) -> Result<Config, Failure> {
        // A variable that is no UTF-8 is none of ours.
        let environment = std::env::vars_os();
        let environment =
            environment.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let sources =
            Sources { file: self.config.clone(), environment: environment.collect(), settings: self.settings.clone() };
        Ok(Config::load(&sources)?)
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::other)
}

/// Opens the store and has the work done on it. It takes effect on the next digit, whether a server runs or not.
fn administer(
    common: &Common,
    work: impl AsyncFnOnce(&Administrator<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let config = common.load_config()?;
    match &config.store.url {
        StoreUrl::Memory => {
            return Err(Failure::other(
                "store.url is memory: such a store ends with its process; there is nothing to administer",
            ));
        }
        StoreUrl::Sqlite(path) if !path.exists() => {
            output::note(&format!("note: there was no store {}; a new one is made", path.display()));
        }
        StoreUrl::Sqlite(_) | StoreUrl::Postgres(_) => {}
    }
    runtime()?.block_on(async {
        let store = Store::open(&config.store).await?;
        let done = work(&Administrator::new(&store, actor()).with_mail(&config.mail)).await;
        store.close().await;
        done
    })
}

/// Who works at this shell: the account that the system knows, and the name that it goes by.
fn actor() -> Actor {
    let uid = std::fs::metadata("/proc/self").map(|metadata| metadata.uid().to_string());
    let uid = uid.unwrap_or_else(|_| "unknown".to_owned());
    let name = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|variable| std::env::var(variable).ok());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let plain = |text: &str| text.chars().filter(|c| !c.is_control()).take(64).collect::<String>();
    let who = match name {
        Some(name) => format!("{} (uid {uid})", plain(&name)),
        None => format!("uid {uid}"),
    };
    Actor::new(who, format!("command line on {}", plain(host.trim())))
}
