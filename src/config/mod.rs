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
//! | [`keys`] | the three sources as one table of keys, and the one line that says what is wrong and where |
//! | [`value`] | from what is written to what is meant: addresses, port ranges, seconds, trunks |
//!
//! What an organization decides while the server runs (length of new PINs, announcements, budgets) is no configuration:
//! it lies in the credential store, see [`crate::credentials::Settings`].

pub mod keys;
pub mod value;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::sip::{Network, Strangers, Trunk, TrunkTable};
use crate::words::limits;
use crate::words::secret::Secret;
use keys::Keys;
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
            },
            rtp: RtpConfig { address: None, advertise: Vec::new(), ports: 20_000..=29_999 },
            media: MediaConfig { threads: None, silence: seconds(300) },
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

impl Config {
    /// Reads the three sources. The error is one line: the key, where it was given, and what is allowed.
    pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
        let (mut keys, file) = Keys::gather(sources)?;
        let mut config = Config::read(&mut keys)?;
        config.file = file;
        Ok(config)
    }

    /// A configuration from a text in the file's format; `name` stands for the file in errors.
    pub fn from_toml(text: &str, name: &Path) -> Result<Config, ConfigError> {
        Config::read(&mut Keys::from_toml(text, name)?)
    }

    /// A configuration from `key=value` settings alone, as `--set` takes them.
    pub fn from_settings<S: AsRef<str>>(settings: &[S]) -> Result<Config, ConfigError> {
        let mut keys = Keys::default();
        for setting in settings {
            keys.add_setting(setting.as_ref())?;
        }
        Config::read(&mut keys)
    }

    /// The name of every key.
    pub fn keys() -> Vec<&'static str> {
        let mut keys = Keys::default();
        // Nothing is given, so nothing can be wrong.
        let _ = Config::read(&mut keys);
        keys.known().to_vec()
    }

    /// Every key there is, in one place, with the way it is read.
    fn read(keys: &mut Keys) -> Result<Config, ConfigError> {
        use value::*;
        let mut config = Config::default();

        keys.read("store.url", store_url, &mut config.store.url)?;
        keys.read("store.key_file", optional(path), &mut config.store.key_file)?;

        keys.read("sip.listen", addresses, &mut config.sip.listen)?;
        keys.read("sip.trunks", trunks, &mut config.sip.trunks)?;
        keys.read("sip.advertise", optional_list(advertised_addresses), &mut config.sip.advertise)?;
        keys.read("sip.session_expires_s", optional(session_interval), &mut config.sip.session_expires)?;
        keys.read("sip.server_header", optional(header_text), &mut config.sip.server_header)?;
        keys.read("sip.strangers", strangers, &mut config.sip.strangers)?;

        keys.read("rtp.address", optional(ip_address), &mut config.rtp.address)?;
        keys.read("rtp.advertise", optional_list(ip_addresses), &mut config.rtp.advertise)?;
        keys.read("rtp.ports", port_range, &mut config.rtp.ports)?;
        keys.read("media.threads", optional(count(1, 256)), &mut config.media.threads)?;
        keys.read("media.silence_s", seconds, &mut config.media.silence)?;

        keys.read("limits.calls", count(1, 100_000), &mut config.limits.calls)?;
        keys.read("limits.calls_per_second", calls_per_second, &mut config.limits.calls_per_second)?;
        keys.read("limits.meeting_participants", count(2, 100_000), &mut config.limits.meeting_participants)?;

        keys.read("audio.prompts", optional(path), &mut config.audio.prompts)?;
        keys.read("audio.hold", optional(path), &mut config.audio.hold)?;
        keys.read("audio.tones", optional(path), &mut config.audio.tones)?;

        let attendant = &mut config.attendant;
        keys.read("attendant.prompt_repeat_s", seconds, &mut attendant.prompt_repeat)?;
        keys.read("attendant.between_digits_s", seconds, &mut attendant.between_digits)?;
        keys.read("attendant.organizer_question_s", seconds, &mut attendant.organizer_question)?;
        keys.read("attendant.pound_grace_s", seconds, &mut attendant.pound_grace)?;
        keys.read("attendant.conference_id_tries", tries, &mut attendant.conference_id_tries)?;
        keys.read("attendant.pin_tries", tries, &mut attendant.pin_tries)?;
        keys.read("attendant.store_patience_s", seconds, &mut attendant.store_patience)?;

        let meeting = &mut config.meeting;
        keys.read("meeting.lobby_timeout_s", seconds, &mut meeting.lobby_timeout)?;
        keys.read("meeting.patience_s", seconds, &mut meeting.patience)?;
        keys.read("meeting.leader_leaves", leader_leaves, &mut meeting.leader_leaves)?;
        keys.read("meeting.leader_grace_s", seconds, &mut meeting.leader_grace)?;
        keys.read("meeting.unattended_end_s", seconds, &mut meeting.unattended_end)?;

        keys.read("http.listen", optional(address), &mut config.http.listen)?;
        keys.read("http.metrics", boolean, &mut config.http.metrics)?;
        let (mut certificate, mut key) = (None, None);
        keys.read("http.tls_certificate", optional(path), &mut certificate)?;
        keys.read("http.tls_key", optional(path), &mut key)?;
        config.http.tls = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
            (None, None) => None,
            (Some(_), None) => return Err(ConfigError::alone("http.tls_certificate", "http.tls_key")),
            (None, Some(_)) => return Err(ConfigError::alone("http.tls_key", "http.tls_certificate")),
        };
        keys.read("http.trusted_proxies", optional_list(networks), &mut config.http.trusted_proxies)?;

        let mail = &mut config.mail;
        let mut server = None;
        keys.read("mail.smtp", optional(host_and_port), &mut server)?;
        keys.read("mail.tls", mail_tls, &mut mail.tls)?;
        mail.smtp = server.map(|(host, port)| SmtpServer { host, port: port.unwrap_or(mail.tls.usual_port()) });
        keys.read("mail.from", optional(mail_address), &mut mail.from)?;
        keys.read("mail.user", optional(text), &mut mail.user)?;
        keys.read("mail.password_file", optional(path), &mut mail.password_file)?;
        keys.read("mail.ca_file", optional(path), &mut mail.ca_file)?;
        if mail.tls == MailTls::Off && mail.smtp.as_ref().is_some_and(|server| !server.is_here()) {
            return Err(ConfigError::refused(
                "mail.tls",
                "starttls or tls: only a mail server on this machine may do without",
            ));
        }
        match (&mail.user, &mail.password_file) {
            (Some(_), None) => return Err(ConfigError::alone("mail.user", "mail.password_file")),
            (None, Some(_)) => return Err(ConfigError::alone("mail.password_file", "mail.user")),
            _ => {}
        }

        keys.read("log.format", log_format, &mut config.log.format)?;
        keys.read("log.level", log_level, &mut config.log.level)?;
        keys.read("records.file", records, &mut config.records.file)?;
        keys.read("shutdown.grace_s", seconds_or_none, &mut config.shutdown.grace)?;
        keys.read("numbers", numbers, &mut config.numbers)?;

        keys.refuse_unknown()?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(settings: &[&str]) -> Config {
        Config::from_settings(settings).unwrap()
    }

    fn refused(settings: &[&str]) -> String {
        let error = Config::from_settings(settings).unwrap_err().to_string();
        assert!(!error.contains('\n'), "one line: {error}");
        error
    }

    fn toml(text: &str) -> Result<Config, ConfigError> {
        Config::from_toml(text, Path::new("a.toml"))
    }

    #[test]
    fn nothing_given_is_the_default() {
        assert_eq!(toml("").unwrap(), Config::default());
        assert_eq!(set(&[]), Config::default());
        assert_eq!(Config::default().rtp.port_pairs(), 5_000);
        assert!(Config::default().sip.trunk_table().find(IpAddr::V4(Ipv4Addr::LOCALHOST)).is_some());
    }

    /// Taken out of its comments, the example is the default, and it has every key.
    #[test]
    fn the_example_file_tells_the_truth() {
        let example = include_str!("../../config/anteroom.example.toml");
        let is_key = |rest: &&str| rest.starts_with(|c: char| c.is_ascii_lowercase());
        let plain: String = example
            .lines()
            .map(|line| line.strip_prefix('#').filter(is_key).unwrap_or(line).to_owned() + "\n")
            .collect();
        assert_eq!(toml(&plain).unwrap(), Config::default());

        let with_lists: String =
            plain.lines().map(|line| line.strip_prefix("## ").unwrap_or(line).to_owned() + "\n").collect();
        let config = toml(&with_lists).unwrap();
        assert_eq!(config.sip.trunks.len(), 1);
        assert_eq!(config.numbers.len(), 1);
        for key in Config::keys() {
            let (section, name) = key.split_once('.').unwrap_or(("", key));
            assert!(
                example.contains(&format!("#{name} =")) || example.contains(&format!("[[{key}]]")),
                "{section}.{name}"
            );
        }
        assert_eq!(toml(example).unwrap(), Config::default());
    }

    #[test]
    fn the_later_source_wins() {
        let folder = std::env::temp_dir().join(format!("anteroom-config-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("a.toml");
        std::fs::write(&file, "[limits]\ncalls = 1\n[sip]\nserver_header = \"file\"\n[log]\nlevel = \"warn\"\n")
            .unwrap();
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let sources = Sources {
            file: Some(file.clone()),
            environment: vec![
                variable("ANTEROOM_LIMITS__CALLS", "2"),
                variable("ANTEROOM_SIP__SERVER_HEADER", "environment"),
                variable("ANTEROOM_VAR_PIN", "of a fixture"),
                variable("PATH", "/bin"),
            ],
            settings: vec!["limits.calls=3".to_owned(), "limits.calls=4".to_owned()],
        };
        let config = Config::load(&sources);
        std::fs::remove_dir_all(&folder).unwrap();
        let config = config.unwrap();
        assert_eq!(config.limits.calls, 4);
        assert_eq!(config.sip.server_header.as_deref(), Some("environment"));
        assert_eq!(config.log.level, "warn");
        assert_eq!(config.file, Some(file));
    }

    #[test]
    fn what_the_shell_gives_is_read_like_the_file() {
        let file = toml(
            r#"
            numbers = [{ number = "+49 30 1" }]
            [sip]
            listen = ["127.0.0.1:5060", "[::1]:5060"]
            trunks = [{ name = "a", from = "192.0.2.0/24", vouches = true }, { name = "b", from = ["10.0.0.1", "::1"] }]
            session_expires_s = "off"
            [rtp]
            ports = "30000-30001"
            [attendant]
            pound_grace_s = 0.25
            [http]
            listen = "off"
            [meeting]
            leader_leaves = "end"
            "#,
        );
        let shell = set(&[
            r#"numbers=[{ number = "+49 30 1" }]"#,
            "sip.listen=127.0.0.1:5060,[::1]:5060",
            r#"sip.trunks=[{name="a",from="192.0.2.0/24",vouches=true},{name="b",from=["10.0.0.1","::1"]}]"#,
            "sip.session_expires_s=off",
            "rtp.ports=30000-30001",
            "attendant.pound_grace_s=0.25",
            "http.listen=",
            "meeting.leader_leaves=end",
        ]);
        assert_eq!(file.unwrap(), shell);
        assert_eq!(shell.rtp.port_pairs(), 1);
        assert!(shell.sip.trunk_table().find(IpAddr::V4(Ipv4Addr::LOCALHOST)).is_none());
        assert_eq!(set(&["store.url=sqlite:/var/x y.db"]).store.url, StoreUrl::Sqlite("/var/x y.db".into()));
        assert_eq!(set(&["sip.advertise=203.0.113.7"]).sip.advertise, vec!["203.0.113.7:0".parse().unwrap()]);
    }

    #[test]
    fn wrong_values_name_the_key_and_what_is_allowed() {
        for (setting, says) in [
            ("sip.listen=127.0.0.1", "with their port"),
            ("sip.listen=[]", "with their port"),
            ("rtp.ports=5000", "20000-29999"),
            ("rtp.ports=20001-20002", "even port"),
            ("rtp.ports=80-90", "1024"),
            ("limits.calls=0", "from 1 to 100000"),
            ("limits.calls=many", "from 1 to 100000"),
            ("attendant.between_digits_s=0", "seconds"),
            ("attendant.between_digits_s=nan", "seconds"),
            ("attendant.between_digits_s=-1", "seconds"),
            ("meeting.lobby_timeout_s=1e300", "604800"),
            ("sip.session_expires_s=89", "90"),
            ("log.format=xml", "text or json"),
            ("log.level=anteroom=loud", "debug"),
            ("store.url=postgres://anna:86420@db:port/x", "postgres://USER@HOST/DATABASE"),
            ("store.url=anteroom.db", "sqlite:PATH"),
            ("store.url=sqlite:", "sqlite:PATH"),
            ("http.metrics=yes", "true or false"),
            ("mail.smtp=mail.example.com:0", "mail.example.com:587"),
            ("mail.smtp=mail.example.com:x", "mail.example.com:587"),
            ("mail.from=anna", "anteroom@example.com"),
            ("mail.tls=maybe", "starttls, tls or none"),
            ("meeting.leader_leaves=never", "goes-on"),
            ("sip.trunks=carrier", "a list of tables"),
            ("sip.trunks=[{name=\"a\"}]", "for from in the trunk number 1"),
            ("sip.trunks=[{name=\"a\",from=\"192.0.2.0/33\"}]", "192.0.2.0/24"),
            ("sip.trunks=[{name=\"a\",from=\"::1\"},{name=\"a\",from=\"::2\"}]", "number 2 another name"),
            ("sip.trunks=[{name=\"a\",form=\"::1\"}]", "has no key \"form\""),
            ("numbers=[{label=\"x\"}]", "for number in the number number 1"),
        ] {
            let error = refused(&[setting]);
            let key = setting.split('=').next().unwrap();
            assert!(error.starts_with(&format!("{key} (--set): write ")), "{error}");
            assert!(error.contains(says), "{setting}: {error}");
            assert!(!error.contains("86420"), "a password is not repeated: {error}");
        }
    }

    #[test]
    fn mail_goes_out_protected_or_stays_on_this_machine() {
        let mail = set(&["mail.smtp=mail.example.com", "mail.user=anteroom", "mail.password_file=p"]).mail;
        assert_eq!(mail.smtp, Some(SmtpServer { host: "mail.example.com".to_owned(), port: 587 }));
        assert_eq!(set(&["mail.smtp=mail.example.com", "mail.tls=tls"]).mail.smtp.unwrap().port, 465);
        for here in ["localhost", "127.0.0.1:2525", "[::1]:2525"] {
            assert_eq!(set(&[&format!("mail.smtp={here}"), "mail.tls=none"]).mail.tls, MailTls::Off, "{here}");
        }
        assert_eq!(set(&["mail.smtp=[::1]", "mail.tls=none"]).mail.smtp.unwrap().port, 25);
        let error = refused(&["mail.smtp=mail.example.com:25", "mail.tls=none"]);
        assert_eq!(error, "mail.tls: write starttls or tls: only a mail server on this machine may do without");
        assert!(refused(&["mail.user=anteroom"]).starts_with("mail.user: it needs mail.password_file beside it"));
        assert!(refused(&["mail.password_file=p"]).starts_with("mail.password_file: it needs mail.user beside it"));
    }

    #[test]
    fn nothing_that_is_written_breaks_the_reader() {
        let long = "9".repeat(5_000);
        let odd = [
            "",
            " ",
            "-",
            "0",
            "-1",
            "1e999",
            "inf",
            "99999999999999999999",
            "65535-65535",
            "1024-65535",
            "[",
            "[[]]",
            "[{}]",
            "[{name=1}]",
            "{}",
            "[1, \"2\"]",
            "1979-05-27",
            "\0",
            "\n\n",
            "\u{1f980}",
            ",,,",
            "[::]",
            "::",
            "@",
            &long,
        ];
        for key in Config::keys() {
            for value in odd {
                if let Err(error) = Config::from_settings(&[format!("{key}={value}")]) {
                    let error = error.to_string();
                    assert!(error.starts_with(key) && error.lines().count() == 1 && error.len() < 300, "{error}");
                }
                if let Err(error) = toml(&format!("{key} = {value}")) {
                    assert_eq!(error.to_string().lines().count(), 1, "{error}");
                }
            }
        }
    }

    #[test]
    fn a_wrong_key_is_named_with_its_place_and_a_guess() {
        assert_eq!(refused(&["sip.lisen=1"]), "sip.lisen (--set): there is no such key; did you mean sip.listen?");
        assert!(refused(&["zzz=1"]).contains("the keys are store.url, "));
        assert!(refused(&["sip.listen"]).contains("KEY=VALUE"));
        let at = |text: &str| toml(text).unwrap_err().to_string();
        assert_eq!(
            at("[log]\nlevel = \"info\"\nfromat = \"json\"\n"),
            "log.fromat (a.toml:3): there is no such key; did you mean log.format?"
        );
        assert!(at("\n[log]\nformat = 5\n").starts_with("log.format (a.toml:3): write text or json"));
        let broken = at("[log]\nformat = \n");
        assert!(broken.starts_with("a.toml:2: ") && !broken.contains('\n'), "{broken}");

        let sources =
            Sources { environment: vec![("ANTEROOM_SIP_LISTEN".to_owned(), "x".to_owned())], ..Sources::default() };
        let error = Config::load(&sources).unwrap_err().to_string();
        assert!(error.contains("environment variable ANTEROOM_SIP_LISTEN") && error.contains("sip.listen?"), "{error}");
        let missing = Sources { file: Some("/nowhere/a.toml".into()), ..Sources::default() };
        assert!(Config::load(&missing).unwrap_err().to_string().starts_with("/nowhere/a.toml: can't be read"));
    }
}
