//! What an operator can set, and what holds where he sets nothing.
//!
//! Every key can be given in three places; the later one wins:
//!
//! ```text
//!  config/anteroom.toml        [sip]                  the file: --config FILE, or config/anteroom.toml where it exists
//!                              listen = "…"
//!  environment                 ANTEROOM_SIP__LISTEN   two underscores part section and key
//!  command line                --set sip.listen=…     may stand several times
//! ```
//!
//! | file | idea |
//! | --- | --- |
//! | [`reading`] | every key in one place, with the way it is read and where it goes |
//! | [`keys`] | the three sources as one table of keys, and the one line that says what is wrong and where |
//! | [`value`] | from what is written to what is meant: addresses, port ranges, seconds, trunks |
//!
//! What an organization decides while the server runs (length of new PINs, announcements, budgets) is no configuration:
//! it lies in the credential store, see [`crate::credentials::Settings`].

pub mod keys;
pub mod reading;
pub mod value;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::sip::{Network, Strangers, Trunk, TrunkTable};
use crate::words::limits;
use crate::words::media::Codec;
use crate::words::secret::Secret;
pub use keys::{ConfigError, Sources};

/// The file that is read where `--config` names none. It need not exist.
pub const DEFAULT_FILE: &str = "config/anteroom.toml";

/// The whole configuration. `Config::default()` is what holds where nothing is set.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub store: StoreConfig,
    pub sip: SipConfig,
    pub rtp: RtpConfig,
    pub media: MediaConfig,
    pub limits: LimitsConfig,
    pub audio: AudioConfig,
    pub attendant: AttendantConfig,
    pub meeting: MeetingConfig,
    pub http: HttpConfig,
    pub mail: MailConfig,
    pub log: LogConfig,
    pub records: RecordsConfig,
    pub shutdown: ShutdownConfig,
    /// Numbers by which callers reach this server, for people to read: mails, invitations, `user show`.
    pub numbers: Vec<DialInNumber>,
    /// The file that was read, where there was one.
    pub file: Option<PathBuf>,
}

/// `store.*`: where the credentials lie.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreConfig {
    pub url: StoreUrl,
    /// The server key. `None`: beside the embedded store, with its name and `.key` (`anteroom.db`, `anteroom.key`).
    pub key_file: Option<PathBuf>,
}

/// What `store.url` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// `sqlite:PATH`.
    Sqlite(PathBuf),
    /// `postgres://USER[:PASSWORD]@HOST/DATABASE`.
    Postgres(Secret),
    /// `memory:` — gone with the process; for trials and tests.
    Memory,
}

/// `sip.*`: the signalling side.
#[derive(Debug, Clone, PartialEq)]
pub struct SipConfig {
    /// Each is opened for UDP and for TCP.
    pub listen: Vec<SocketAddr>,
    /// Whose calls are taken. Empty: loopback and private networks only, see [`SipConfig::trunk_table`].
    pub trunks: Vec<Trunk>,
    /// What Via and Contact say instead of the local address, one for each address family; port 0 stands for the port
    /// that listens.
    pub advertise: Vec<SocketAddr>,
    /// The session interval that is asked for (RFC 4028). `None`: only where the peer wishes one.
    pub session_expires: Option<Duration>,
    /// The Server header that trunks (never strangers) are shown.
    pub server_header: Option<String>,
    /// What a source that is in no trunk gets.
    pub strangers: Strangers,
    /// What is spoken, best first. (An answer takes the first of the offer's that is among them.)
    pub codecs: Vec<Codec>,
}

impl SipConfig {
    /// The configured trunks, or the local networks where none is configured.
    pub fn trunk_table(&self) -> TrunkTable {
        if self.trunks.is_empty() { TrunkTable::local_networks() } else { TrunkTable::new(self.trunks.clone()) }
    }
}

/// `rtp.*`: the media sockets.
#[derive(Debug, Clone, PartialEq)]
pub struct RtpConfig {
    /// The address that media sockets are bound to. `None`: the one on which the call's INVITE came.
    pub address: Option<IpAddr>,
    /// What SDP says instead of the bound address (behind NAT), one for each address family.
    pub advertise: Vec<IpAddr>,
    /// Ports of all calls: RTP on the even one, RTCP on the odd one above.
    pub ports: RangeInclusive<u16>,
}

impl RtpConfig {
    /// How many calls the ports suffice for.
    pub fn port_pairs(&self) -> usize {
        let first_even = u32::from(*self.ports.start()).next_multiple_of(2);
        let after_last = u32::from(*self.ports.end()).saturating_add(1);
        usize::try_from(after_last.saturating_sub(first_even) / 2).unwrap_or(usize::MAX)
    }
}

/// `media.*`.
#[derive(Debug, Clone, PartialEq)]
pub struct MediaConfig {
    /// `None`: one for each processor core.
    pub threads: Option<usize>,
    /// A caller from whom nothing is received for this long, although his telephone should send, is hung up: it may be
    /// gone without a BYE.
    pub silence: Duration,
    /// So many of those who speak at once in a meeting are heard: the loudest.
    pub talkers: usize,
}

/// `limits.*`.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitsConfig {
    /// Calls at once; the next INVITE gets 503.
    pub calls: usize,
    /// New calls in a second; the next INVITE gets 503. What a source may send otherwise follows from it.
    pub calls_per_second: u32,
    /// Callers in one meeting at once, those in its lobby among them.
    pub meeting_participants: usize,
}

/// `audio.*`: an operator's own sounds. A file that is not there falls back to the one built in.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AudioConfig {
    /// A folder with `welcome.wav`, `enter-pin.wav`, …
    pub prompts: Option<PathBuf>,
    /// The hold music, one file.
    pub hold: Option<PathBuf>,
    /// A folder with `entry.wav` and `exit.wav`.
    pub tones: Option<PathBuf>,
}

/// `attendant.*`: the times and tries of the caller's journey.
#[derive(Debug, Clone, PartialEq)]
pub struct AttendantConfig {
    /// Nothing is typed for this long: the prompt again.
    pub prompt_repeat: Duration,
    /// Between two digits; a longer pause ends the entry.
    pub between_digits: Duration,
    /// How long `*` is waited for after the organizer question.
    pub organizer_question: Duration,
    /// A `#` this soon after the last digit of a conference ID belongs to it.
    pub pound_grace: Duration,
    /// Conference IDs that one call may try.
    pub conference_id_tries: u32,
    /// PINs that one call may try.
    pub pin_tries: u32,
    /// "Please hold" until "we can't check your entry just now".
    pub store_patience: Duration,
}

/// `meeting.*`.
#[derive(Debug, Clone, PartialEq)]
pub struct MeetingConfig {
    /// A caller who has waited this long hears "Goodbye".
    pub lobby_timeout: Duration,
    /// Between two words of patience in the lobby.
    pub patience: Duration,
    pub leader_leaves: LeaderLeaves,
    /// For [`LeaderLeaves::End`]: how long the leader may take to return.
    pub leader_grace: Duration,
    /// A meeting with nobody authenticated left, and no anonymous start, ends after this.
    pub unattended_end: Duration,
}

/// What becomes of a meeting when its last leader leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaderLeaves {
    GoesOn,
    BackToLobby,
    End,
}

/// `http.*`.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpConfig {
    /// `None` (`off`): no HTTP at all.
    pub listen: Option<SocketAddr>,
    /// Whether `/metrics` is served.
    pub metrics: bool,
    /// `None`: HTTP without TLS, for loopback, or behind a proxy that has it.
    pub tls: Option<TlsFiles>,
    /// Whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Vec<Network>,
}

/// `http.tls_certificate` and `http.tls_key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// `mail.*`: the server that takes our mails.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailConfig {
    /// `None` (`off`): no mail is sent; what was asked for waits in the outbox.
    pub smtp: Option<SmtpServer>,
    pub tls: MailTls,
    /// Whom mails are from, where the organization has not said so in its settings.
    pub from: Option<String>,
    /// `None`: the server wants no sign-in.
    pub user: Option<String>,
    /// Read at each sign-in: a password in the configuration would be in every process list and backup of it.
    pub password_file: Option<PathBuf>,
    /// A certificate authority (PEM) that is trusted besides the operating system's.
    pub ca_file: Option<PathBuf>,
}

/// Where mails are handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpServer {
    pub host: String,
    pub port: u16,
}

impl SmtpServer {
    /// Whether it is this machine itself, so that nobody on a wire reads along.
    pub fn is_here(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// How the way to the mail server is protected. There are PINs in mails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MailTls {
    /// Plain at first, then TLS, and never a mail without (RFC 3207).
    #[default]
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// Only for a server on this machine.
    Off,
}

impl MailTls {
    fn usual_port(self) -> u16 {
        match self {
            MailTls::StartTls => 587,
            MailTls::Tls => 465,
            MailTls::Off => 25,
        }
    }
}

/// `log.*`.
#[derive(Debug, Clone, PartialEq)]
pub struct LogConfig {
    pub format: LogFormat,
    /// `info`, or a filter such as `anteroom=debug,warn`.
    pub level: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// `records.*`: one JSON line for each call that ended.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordsConfig {
    pub file: Records,
}

/// Where call records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Records {
    Off,
    /// `-`.
    StandardOutput,
    File(PathBuf),
}

/// `shutdown.*`.
#[derive(Debug, Clone, PartialEq)]
pub struct ShutdownConfig {
    /// How long calls in progress go on after SIGTERM.
    pub grace: Duration,
}

/// One of `numbers`: a telephone number that leads here.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DialInNumber {
    pub number: String,
    pub language: String,
    pub label: String,
    /// The one that is named first.
    pub default: bool,
}

impl Default for Config {
    fn default() -> Config {
        let seconds = Duration::from_secs;
        Config {
            store: StoreConfig { url: StoreUrl::Sqlite(PathBuf::from("anteroom.db")), key_file: None },
            sip: SipConfig {
                listen: vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, 5060))],
                trunks: Vec::new(),
                advertise: Vec::new(),
                session_expires: Some(seconds(1800)),
                server_header: Some("Anteroom".to_owned()),
                strangers: Strangers::Drop,
                codecs: Codec::PREFERRED.to_vec(),
            },
            rtp: RtpConfig { address: None, advertise: Vec::new(), ports: 20_000..=29_999 },
            media: MediaConfig { threads: None, silence: seconds(300), talkers: 4 },
            limits: LimitsConfig {
                calls: limits::CALLS,
                calls_per_second: limits::CALLS_PER_SECOND,
                meeting_participants: limits::CALLS,
            },
            audio: AudioConfig::default(),
            attendant: AttendantConfig {
                prompt_repeat: seconds(10),
                between_digits: seconds(5),
                organizer_question: seconds(5),
                pound_grace: seconds(2),
                conference_id_tries: 3,
                pin_tries: 3,
                store_patience: seconds(5),
            },
            meeting: MeetingConfig {
                lobby_timeout: seconds(60 * 60),
                patience: seconds(60),
                leader_leaves: LeaderLeaves::GoesOn,
                leader_grace: seconds(60),
                unattended_end: seconds(90 * 60),
            },
            http: HttpConfig {
                listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))),
                metrics: true,
                tls: None,
                trusted_proxies: Vec::new(),
            },
            mail: MailConfig::default(),
            log: LogConfig { format: LogFormat::Text, level: "info".to_owned() },
            records: RecordsConfig { file: Records::Off },
            shutdown: ShutdownConfig { grace: seconds(300) },
            numbers: Vec::new(),
            file: None,
        }
    }
}
