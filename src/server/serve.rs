//! `anteroom serve`: the process around a running server: its log, its store, its signals and what it says to the person
//! who started it.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing_subscriber::EnvFilter;

use super::{RunningServer, StartError, start};
use crate::config::{Config, DialInNumber, LogFormat, StoreUrl};
use crate::credentials::example::reachable;
use crate::credentials::{Actor, FirstStart, NewNumber, OpenError, Store, StoreError, first_start_example};
use crate::mail;
use crate::observe::json_log::JsonLines;
use crate::words::limits;

/// Why `serve` ends with an error. One line each.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("log.level: {0} (give a level such as info, or a filter such as anteroom=debug,warn)")]
    LogLevel(String),
    #[error("the runtime could not be started: {0}")]
    Runtime(std::io::Error),
    #[error(transparent)]
    OpenStore(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("signals can't be received: {0}")]
    Signals(std::io::Error),
}

/// Runs a server until SIGTERM or SIGINT has ended it.
///
/// # Errors
/// What kept it from starting.
pub fn serve(config: &Config) -> Result<(), ServeError> {
    start_log(config)?;
    raise_open_files(config);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(ServeError::Runtime)?;
    runtime.block_on(run(config))
}

/// Each call has two sockets. What a process gets by default (1,024 open files, as a rule) would be used up at some 480
/// calls, and the operating system lets it have more if it asks.
fn raise_open_files(config: &Config) {
    let needed = u64::try_from(config.limits.calls.saturating_mul(2)).unwrap_or(u64::MAX).saturating_add(OTHER_FILES);
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    let raised = soft.max(needed.min(hard));
    let _ = setrlimit(Resource::RLIMIT_NOFILE, raised, hard);
    if hard < needed {
        tracing::warn!(
            hard,
            needed,
            "limits.calls needs more open files than the operating system allows: raise the limit (ulimit -Hn, or \
             LimitNOFILE of the service), or lower limits.calls"
        );
    }
}

/// Open files besides those of calls: SIP connections, the store, HTTP, the log.
const OTHER_FILES: u64 = limits::TCP_CONNECTIONS as u64 + 256;

/// How long a mail in the middle of being handed over is waited for when the server ends.
const MAIL_ENDS_WITHIN: Duration = Duration::from_secs(5);

async fn run(config: &Config) -> Result<(), ServeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;

    // Without a receiver this signal ends the process: a file that may not grow is answered as a full disk is.
    let _file_size = signal(SignalKind::from_raw(Signal::SIGXFSZ as i32)).map_err(ServeError::Signals)?;

    let store = Arc::new(Store::open(&config.store).await?);
    store.seed_numbers(&dial_in_numbers(config)).await?;
    let mut server = start(config, store.clone(), Some(store.clone())).await?;
    // Only once the server has started: the PIN is shown this one time. (And the operator who wrote a configuration knows
    // whom he wants to enable.)
    let example = match (&config.file, &config.store.url) {
        (None, StoreUrl::Sqlite(_)) => first_start_example(&store).await?,
        _ => None,
    };
    say_ready(config, &server, example.as_ref());
    if let Some(address) = server.http_address() {
        first_administrator(config, &store, address).await?;
    }
    let (mail_lives, mail_ends) = watch::channel(());
    let mails = tokio::spawn(mail::Worker::new(store.clone(), config.mail.clone()).run(mail_ends));

    tokio::select! {
        () = server.ended() => {
            tracing::error!("the engine ended by itself");
            return Ok(());
        }
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!(
        grace_s = config.shutdown.grace.as_secs(),
        "shutting down: new calls get 503, calls in progress may go on (a second signal ends them now)"
    );
    server.drain(config.shutdown.grace).await;
    tokio::select! {
        () = server.ended() => {}
        _ = terminate.recv() => server.stop().await,
        _ = interrupt.recv() => server.stop().await,
    }
    drop(mail_lives);
    // A mail that is being handed over is not handed over again, by the next server, for want of a moment.
    let _ = timeout(MAIL_ENDS_WITHIN, mails).await;
    tracing::info!("the server has ended");
    Ok(())
}

/// The numbers of the configuration, for a store that never had any.
fn dial_in_numbers(config: &Config) -> Vec<NewNumber> {
    let new = |number: &DialInNumber| NewNumber {
        number: number.number.clone(),
        language: number.language.clone(),
        label: number.label.clone(),
        is_default: number.default,
    };
    config.numbers.iter().map(new).collect()
}

fn say_ready(config: &Config, server: &RunningServer, example: Option<&FirstStart>) {
    let join = |addresses: &mut dyn Iterator<Item = String>| addresses.collect::<Vec<_>>().join(" ");
    let sip = join(&mut server.sip_addresses().iter().map(ToString::to_string));
    let http = server.http_address().map_or_else(|| "off".to_owned(), |address| address.to_string());
    tracing::info!(%sip, %http, "the server is ready");
    if config.sip.trunks.is_empty() {
        tracing::warn!("no trunk is configured (sip.trunks): calls are taken from loopback and private networks only");
    }
    if let Some(example) = example {
        // For the person at the terminal, once; the log never has a PIN.
        let _ = write!(std::io::stdout(), "{}", example.greeting(server.sip_addresses()));
    }
}

/// Whoever started the server may make himself its first administrator, by a link that works once. Like a PIN it is for
/// the person at the terminal; the log never has it. It stands behind a `#`, where no browser sends it to anybody.
async fn first_administrator(config: &Config, store: &Store, address: SocketAddr) -> Result<(), ServeError> {
    if !address.ip().is_loopback() && config.http.tls.is_none() && config.http.trusted_proxies.is_empty() {
        tracing::warn!(
            %address,
            "passwords and PINs cross the network in clear: set http.tls_certificate and http.tls_key, or keep http.listen \
             on loopback behind a proxy that has TLS"
        );
    }
    let Some((link, ends)) = store.first_link(&Actor::new("anteroom", "first start")).await? else {
        return Ok(());
    };
    let scheme = if config.http.tls.is_some() { "https" } else { "http" };
    let _ = write!(
        std::io::stdout(),
        "Nobody can sign in to the console yet. Make the first administrator by this link, which works once, until {ends}:\n\
         \n    {scheme}://{}/first-administrator#{}\n\n",
        reachable(address),
        link.expose()
    );
    Ok(())
}

fn start_log(config: &Config) -> Result<(), ServeError> {
    let filter = EnvFilter::try_new(&config.log.level).map_err(|error| ServeError::LogLevel(error.to_string()))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // A second server in one process (tests) keeps the log of the first.
    let _ = match config.log.format {
        LogFormat::Text => log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => log.json().event_format(JsonLines).try_init(),
    };
    Ok(())
}
