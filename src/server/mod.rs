//! The process: everything that the cores must not have, put together, started and stopped.
//!
//! ```text
//!   SIP sockets ─▶ ┌───────────────┐ ─▶ SIP sockets
//!   media threads ▶│ control task: │ ─▶ media threads
//!   store tasks ─▶ │ the engine    │ ─▶ store tasks, observers
//!                  └───────────────┘
//! ```
//!
//! | file | its idea |
//! | --- | --- |
//! | [`control`] | the one task that owns the engine |
//! | [`live`] | the running engine, for those who look on and act from outside |
//! | [`organization`] | what the organization decides and wants done, from its store to the engine |
//! | [`warnings`] | what a server sees of itself that somebody should look at |
//! | [`serve`] | the process around it: log, store, signals |
//! | [`settings`] | from the configuration to the settings of the cores |

pub mod control;
pub mod live;
pub mod organization;
pub mod serve;
pub mod settings;
pub mod warnings;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::{Config, Records};
use crate::credentials::{Gate, Store};
use crate::engine::Engine;
use crate::meeting;
use crate::net::audio::{self, AudioError};
use crate::net::media_thread::MediaThreads;
use crate::net::route::Routes;
use crate::net::sip_inputs::sip_inputs;
use crate::net::sip_sources::Sources;
use crate::net::sip_transport::{BindError, SipTransport};
use crate::observe::Observer;
use crate::observe::archive::CallArchive;
use crate::observe::http;
use crate::observe::measures::Measures;
use crate::observe::record::{RecordError, RecordTarget};
use crate::web::listener::HttpBindError;
use crate::web::tls::TlsError;
use crate::web::{self, Site};
pub use serve::{ServeError, serve};

use control::{Control, ControlTask, SharedStatus, Shell};
use live::Live;
use organization::Organization;

/// At its end the server waits for the store so long, to keep the last call records.
const KEEP_WITHIN: Duration = Duration::from_secs(5);

/// Why the server does not start. Each is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Sip(#[from] BindError),
    #[error(transparent)]
    Http(#[from] HttpBindError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Audio(#[from] AudioError),
    #[error(transparent)]
    Records(#[from] RecordError),
    #[error("the media threads could not be started: {0}")]
    Media(std::io::Error),
    #[error("the operating system gives no random numbers: {0}")]
    Random(String),
    #[error("the metrics could not be set up: {0}")]
    Metrics(String),
}

/// A server that runs. It ends when it is told to, or when it is dropped.
pub struct RunningServer {
    sip: Vec<SocketAddr>,
    http: Option<SocketAddr>,
    control: mpsc::Sender<Control>,
    live: Live,
    task: JoinHandle<()>,
    /// Brings the last call records into the store.
    keeper: Option<JoinHandle<()>>,
    /// Dropping it ends the HTTP server.
    _http_lives: watch::Sender<()>,
}

impl RunningServer {
    /// The addresses that SIP listens on, UDP and TCP.
    pub fn sip_addresses(&self) -> &[SocketAddr] {
        &self.sip
    }

    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http
    }

    /// What goes on, and what can be done about it.
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// No new calls; what goes on may go on for `grace`. Told again, the new grace time holds.
    pub async fn drain(&self, grace: Duration) {
        let _ = self.control.send(Control::Drain { grace }).await;
    }

    /// Waits until the server has ended, and its last call records are kept.
    pub async fn ended(&mut self) {
        if !self.task.is_finished() {
            let _ = (&mut self.task).await;
        }
        if let Some(keeper) = self.keeper.as_mut().filter(|keeper| !keeper.is_finished()) {
            let _ = timeout(KEEP_WITHIN, keeper).await;
        }
    }

    /// Hangs up everybody and ends.
    pub async fn stop(mut self) {
        self.drain(Duration::ZERO).await;
        self.ended().await;
    }
}

/// Starts a server in front of this gate. `store`: what the console and the API administer; without one there are neither.
///
/// # Errors
/// The first thing that could not be had, before any call is taken.
pub async fn start(
    config: &Config,
    gate: Arc<dyn Gate>,
    store: Option<Arc<Store>>,
) -> Result<RunningServer, StartError> {
    let mut random = StdRng::try_from_rng(&mut SysRng).map_err(|error| StartError::Random(error.to_string()))?;
    let sounds = audio::load(&settings::audio_settings(config))?;
    let measures = Arc::new(Measures::new().map_err(|error| StartError::Metrics(error.to_string()))?);
    let records = match &config.records.file {
        Records::Off => None,
        Records::StandardOutput => Some(RecordTarget::StandardOutput),
        Records::File(path) => Some(RecordTarget::File(PathBuf::clone(path))),
    };
    let (archive, keeper) = match &store {
        Some(store) => {
            let (archive, keeper) = CallArchive::new();
            (Some(archive), Some(tokio::spawn(keeper.run(store.clone()))))
        }
        None => (None, None),
    };
    let observer = Observer::new(records, archive, measures.clone())?;

    let routes = Arc::new(Routes::default());
    let sources = Sources::new(config.sip.trunk_table(), config.limits.calls_per_second);
    let (sip_sender, sip_inputs) = sip_inputs(sources);
    let transport = SipTransport::bind(&config.sip.listen, sip_sender, routes.clone()).await?;
    let tls = match &config.http.tls {
        Some(files) => Some(web::tls::acceptor(&files.certificate, &files.key)?),
        None => None,
    };
    let http_listener = match config.http.listen {
        Some(address) => Some(web::listener::bind(address).await?),
        None => None,
    };
    let http_address = http_listener.as_ref().and_then(|listener| listener.local_addr().ok());
    let media_random = StdRng::from_rng(&mut random);
    let media =
        MediaThreads::start(settings::media_settings(config), sounds, media_random).map_err(StartError::Media)?;

    let sip = transport.addresses().to_vec();
    let status = Arc::new(SharedStatus::new(transport.drops.clone()));
    let (control, control_inputs) = mpsc::channel(8);
    let engine_settings = settings::engine_settings(config);
    let configured = meeting::Settings::clone(&engine_settings.meeting);
    let engine = Engine::new(engine_settings, random);
    let (live, live_desk) = Live::new();
    let shell = Shell { transport, routes, media, gate, observer, status: status.clone(), live: live_desk };
    let task = ControlTask::new(engine, shell);
    let task = tokio::spawn(task.run(sip_inputs, control_inputs));

    if let Some(store) = &store {
        let server = server_name(&sip);
        let (live, control) = (live.clone(), control.clone());
        let organization = Organization {
            store: store.clone(),
            live,
            control,
            configured,
            server,
            measures: measures.clone(),
            status: status.clone(),
        };
        tokio::spawn(organization.run());
    }

    let (http_lives, mut http_ends) = watch::channel(());
    if let Some(listener) = http_listener {
        let ended = async move {
            let _ = http_ends.changed().await;
        };
        let mut pages = http::router(status, measures, config.http.metrics);
        if let Some(store) = store {
            pages = pages.merge(web::router(
                Site::new(store, live.clone(), &config.http.trusted_proxies).with_mail(&config.mail),
            ));
        }
        let pages = web::guarded(pages, config.http.trusted_proxies.clone().into());
        tokio::spawn(web::listener::serve(listener, tls, pages, ended));
    }
    Ok(RunningServer { sip, http: http_address, control, live, task, keeper, _http_lives: http_lives })
}

/// By which this server is told from others on the same store, in alerts and requests.
fn server_name(sip: &[SocketAddr]) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let address = sip.first().map(ToString::to_string).unwrap_or_default();
    format!("{} {address}", host.trim()).trim().to_owned()
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
