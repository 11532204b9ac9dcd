//! Every key there is, in one place, with the way it is read and where it goes.

use std::path::Path;

use super::keys::{ConfigError, Keys, Sources};
use super::{Config, MailTls, SmtpServer, TlsFiles, value};
use crate::media::floor::TALKERS_MAX;

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
        keys.read("sip.codecs", codecs, &mut config.sip.codecs)?;

        keys.read("rtp.address", optional(ip_address), &mut config.rtp.address)?;
        keys.read("rtp.advertise", optional_list(ip_addresses), &mut config.rtp.advertise)?;
        keys.read("rtp.ports", port_range, &mut config.rtp.ports)?;
        keys.read("media.threads", optional(count(1, 256)), &mut config.media.threads)?;
        keys.read("media.silence_s", seconds, &mut config.media.silence)?;
        // With one place nobody could break in on who has it.
        keys.read("media.talkers", count(2, TALKERS_MAX), &mut config.media.talkers)?;

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
    use super::super::*;
    use super::*;
    use crate::wire::opus;

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
            ("sip.codecs=PCMU,GSM", "PCMU, PCMA, G722"),
            ("sip.codecs=PCMU,pcmu", "each codec once"),
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
    fn opus_is_a_codec_where_it_is_built_in() {
        let with_opus = Config::from_settings(&["sip.codecs=opus,PCMA"]);
        if opus::IS_BUILT_IN {
            assert_eq!(with_opus.unwrap().sip.codecs, [Codec::Opus, Codec::Pcma]);
        } else {
            assert!(refused(&["sip.codecs=opus,PCMA"]).contains("--features opus"));
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
