//! From what is written to what is meant. Each reader gives the value, or the text of what it would have allowed.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::{DeTable, DeValue};
use tracing_subscriber::filter::LevelFilter;

use super::{DialInNumber, LeaderLeaves, LogFormat, MailTls, Records, StoreUrl};
use crate::credentials::database::postgres;
use crate::sip::{Network, Strangers, Trunk};
use crate::wire::opus;
use crate::words::media::Codec;
use crate::words::secret::Secret;

/// The longest time that can be set: a week. Timers need no more, and nothing overflows.
const SECONDS_MAX: f64 = 7.0 * 24.0 * 60.0 * 60.0;

/// What one source says for one key.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// From the environment or the command line, where quotes are the shell's: it is whatever the key wants it to be.
    Bare(String),
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    List(Vec<Value>),
    Table(Vec<(String, Value)>),
    /// A date or a number too large: no key takes it.
    Other,
}

impl Value {
    pub(super) fn from_toml(value: &DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Other, Value::Integer)
            }
            DeValue::Float(number) => number.as_str().parse().map_or(Value::Other, Value::Float),
            DeValue::Boolean(yes) => Value::Boolean(*yes),
            DeValue::Datetime(_) => Value::Other,
            DeValue::Array(items) => Value::List(items.iter().map(|item| Value::from_toml(item.get_ref())).collect()),
            DeValue::Table(table) => Value::from_table(table),
        }
    }

    fn from_table(table: &DeTable<'_>) -> Value {
        let entries = table.iter();
        Value::Table(
            entries.map(|(key, value)| (key.get_ref().to_string(), Value::from_toml(value.get_ref()))).collect(),
        )
    }

    fn as_text(&self) -> Option<&str> {
        match self {
            Value::Bare(text) | Value::Text(text) => Some(text.trim()).filter(|text| !text.is_empty()),
            _ => None,
        }
    }

    fn as_number(&self) -> Option<f64> {
        match self {
            Value::Bare(text) => text.trim().parse().ok(),
            // Seconds and counts are far below 2^53.
            Value::Integer(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            _ => None,
        }
    }

    fn as_integer(&self) -> Option<i64> {
        match self {
            Value::Bare(text) => text.trim().parse().ok(),
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// A list; one value alone is a list of one. A bare text is a TOML array (`[{name="a"}]`), or parted by commas.
    fn as_list(&self) -> Vec<Value> {
        match self {
            Value::List(items) => items.clone(),
            Value::Bare(text) => match DeValue::parse(text.trim()).map(|value| Value::from_toml(value.get_ref())) {
                Ok(Value::List(items)) => items,
                _ => text.split(',').map(|part| Value::Bare(part.trim().to_owned())).collect(),
            },
            one => vec![one.clone()],
        }
    }
}

/// What would have been allowed, as the end of the sentence "…: write ".
pub type Allowed = String;
type Read<T> = Result<T, Allowed>;

fn allow<T>(read: Option<T>, allowed: &str) -> Read<T> {
    read.ok_or_else(|| allowed.to_owned())
}

pub fn text(value: &Value) -> Read<String> {
    allow(value.as_text().map(str::to_owned), "a text")
}

/// The words `off` and `none` (and an empty text) take a key's value away, `auto` leaves it to the server.
pub fn optional<T>(read: impl Fn(&Value) -> Read<T>) -> impl Fn(&Value) -> Read<Option<T>> {
    move |value| match value {
        Value::Bare(text) | Value::Text(text) if matches!(text.trim(), "" | "off" | "none" | "auto") => Ok(None),
        value => read(value).map(Some).map_err(|allowed| format!("{allowed}, or \"off\"")),
    }
}

/// The same for a list: taken away it is empty.
pub fn optional_list<T>(read: impl Fn(&Value) -> Read<Vec<T>>) -> impl Fn(&Value) -> Read<Vec<T>> {
    let read = optional(read);
    move |value| read(value).map(Option::unwrap_or_default)
}

pub fn path(value: &Value) -> Read<PathBuf> {
    allow(value.as_text().map(PathBuf::from), "a path")
}

pub fn boolean(value: &Value) -> Read<bool> {
    let read = match value {
        Value::Boolean(yes) => Some(*yes),
        Value::Bare(text) => text.trim().parse().ok(),
        _ => None,
    };
    allow(read, "true or false")
}

pub fn count(least: usize, most: usize) -> impl Fn(&Value) -> Read<usize> {
    move |value| {
        let number = value.as_integer().and_then(|number| usize::try_from(number).ok());
        number
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| format!("a number from {least} to {most}"))
    }
}

pub fn tries(value: &Value) -> Read<u32> {
    let number = value.as_integer().and_then(|number| u32::try_from(number).ok());
    allow(number.filter(|number| (1..=10).contains(number)), "a number from 1 to 10")
}

fn seconds_from(least: f64, value: &Value) -> Option<Duration> {
    let number = value.as_number().filter(|number| (least..=SECONDS_MAX).contains(number))?;
    Duration::try_from_secs_f64(number).ok()
}

/// A time that must pass: not zero.
pub fn seconds(value: &Value) -> Read<Duration> {
    allow(seconds_from(0.001, value), "seconds, such as 5 or 0.5, at most a week (604800)")
}

/// A time that may be zero.
pub fn seconds_or_none(value: &Value) -> Read<Duration> {
    allow(seconds_from(0.0, value), "seconds, from 0 to a week (604800)")
}

/// RFC 4028 section 4: whole seconds, not below 90.
pub fn session_interval(value: &Value) -> Read<Duration> {
    let number = value.as_integer().and_then(|number| u64::try_from(number).ok());
    let read = number.filter(|number| (90..=86_400).contains(number)).map(Duration::from_secs);
    allow(read, "whole seconds from 90 (the least that RFC 4028 has) to 86400")
}

/// Text that can stand in a SIP header field.
pub fn header_text(value: &Value) -> Read<String> {
    let read = value.as_text().filter(|text| text.len() <= 64 && text.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
    allow(read.map(str::to_owned), "up to 64 printable ASCII characters")
}

fn list_of<T>(value: &Value, one: impl Fn(&Value) -> Option<T>, allowed: &str) -> Read<Vec<T>> {
    let list: Option<Vec<T>> = value.as_list().iter().map(one).collect();
    allow(list.filter(|list| !list.is_empty()), allowed)
}

fn one_address(value: &Value) -> Option<SocketAddr> {
    value.as_text()?.parse().ok()
}

pub fn address(value: &Value) -> Read<SocketAddr> {
    allow(one_address(value), "an address with its port, such as 127.0.0.1:8080 or [::1]:8080")
}

pub fn addresses(value: &Value) -> Read<Vec<SocketAddr>> {
    list_of(value, one_address, "one or more addresses with their port, such as 0.0.0.0:5060 or [::]:5060")
}

/// With its port, or without one: then port 0, which stands for "the one that listens".
pub fn advertised_addresses(value: &Value) -> Read<Vec<SocketAddr>> {
    let one = |value: &Value| {
        one_address(value)
            .or_else(|| Some(SocketAddr::new(one_ip(value)?, 0)))
            .filter(|address| !address.ip().is_unspecified())
    };
    list_of(
        value,
        one,
        "the address that others see, such as 203.0.113.7 or 203.0.113.7:5060; one for IPv4, one for IPv6",
    )
}

fn one_ip(value: &Value) -> Option<IpAddr> {
    value.as_text()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

pub fn ip_address(value: &Value) -> Read<IpAddr> {
    allow(one_ip(value), "an address without a port, such as 192.0.2.1 or 2001:db8::1")
}

pub fn ip_addresses(value: &Value) -> Read<Vec<IpAddr>> {
    let one = |value: &Value| one_ip(value).filter(|address| !address.is_unspecified());
    list_of(value, one, "the address that others see, without a port; one for IPv4, one for IPv6")
}

/// `20000-29999`. Two ports at least, none of them below 1024.
pub fn port_range(value: &Value) -> Read<RangeInclusive<u16>> {
    let read = || {
        let (first, last) = value.as_text()?.split_once('-')?;
        let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        let first_even = first.checked_next_multiple_of(2)?;
        (first >= 1024 && last > first_even).then_some(first..=last)
    };
    allow(read(), "a port range such as 20000-29999, from 1024 on, with at least one even port and the odd one above")
}

/// `sqlite:PATH` or `memory:`.
pub fn store_url(value: &Value) -> Read<StoreUrl> {
    let allowed = "sqlite:PATH or postgres://USER@HOST/DATABASE (or memory: for a trial that leaves nothing behind)";
    match value.as_text() {
        Some("memory:" | "sqlite::memory:") => Ok(StoreUrl::Memory),
        Some(url) if url.starts_with("postgres:") || url.starts_with("postgresql:") => {
            let url = Secret::new(url);
            allow(postgres::is_url(&url).then_some(StoreUrl::Postgres(url)), allowed)
        }
        Some(url) => {
            let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"));
            let plain = path.filter(|path| !path.is_empty() && !path.contains(['?', '\0']));
            allow(plain.map(|path| StoreUrl::Sqlite(PathBuf::from(path))), allowed)
        }
        None => Err(allowed.to_owned()),
    }
}

pub fn strangers(value: &Value) -> Read<Strangers> {
    match value.as_text() {
        Some("drop") => Ok(Strangers::Drop),
        Some("refuse") => Ok(Strangers::Refuse),
        _ => Err("drop or refuse".to_owned()),
    }
}

pub fn codecs(value: &Value) -> Read<Vec<Codec>> {
    let spoken = |codec: &Codec| *codec != Codec::Opus || opus::IS_BUILT_IN;
    let one = |value: &Value| Codec::named(value.as_text()?).filter(spoken);
    let names: Vec<&str> = Codec::ALL.into_iter().filter(spoken).map(Codec::name).collect();
    let missing =
        if opus::IS_BUILT_IN { "" } else { " (opus only with a program that was built with --features opus)" };
    let codecs = list_of(value, one, &format!("some of {}, best first{missing}", names.join(", ")))?;
    let twice = codecs.iter().enumerate().any(|(at, codec)| codecs.iter().skip(at + 1).any(|other| other == codec));
    if twice { Err("each codec once".to_owned()) } else { Ok(codecs) }
}

/// Calls a second.
pub fn calls_per_second(value: &Value) -> Read<u32> {
    let calls = count(1, 100_000)(value)?;
    u32::try_from(calls).map_err(|_| "a smaller number".to_owned())
}

pub fn leader_leaves(value: &Value) -> Read<LeaderLeaves> {
    match value.as_text() {
        Some("goes-on") => Ok(LeaderLeaves::GoesOn),
        Some("lobby") => Ok(LeaderLeaves::BackToLobby),
        Some("end") => Ok(LeaderLeaves::End),
        _ => Err("goes-on, lobby or end".to_owned()),
    }
}

/// A server's name or address, with or without its port.
pub fn host_and_port(value: &Value) -> Read<(String, Option<u16>)> {
    let read = || {
        let text = value.as_text()?;
        let (host, port) = match text.parse::<IpAddr>() {
            Ok(address) => (address.to_string(), None),
            Err(_) if text.ends_with(']') => (text.to_owned(), None),
            Err(_) => match text.rsplit_once(':') {
                Some((host, port)) => (host.to_owned(), Some(port.parse().ok().filter(|port| *port != 0)?)),
                None => (text.to_owned(), None),
            },
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let is_name = host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
        let is_host = !host.is_empty() && host.len() <= 253 && (is_name || host.parse::<IpAddr>().is_ok());
        is_host.then_some((host, port))
    };
    allow(read(), "a server with or without its port, such as mail.example.com:587 or [::1]:25")
}

/// One to which mail can be sent, without a name beside it.
pub fn mail_address(value: &Value) -> Read<String> {
    let read = value.as_text().filter(|text| text.parse::<lettre::Address>().is_ok());
    allow(read.map(str::to_owned), "a mail address such as anteroom@example.com")
}

/// How the way to the mail server is protected.
pub fn mail_tls(value: &Value) -> Read<MailTls> {
    match value.as_text() {
        Some("starttls") => Ok(MailTls::StartTls),
        Some("tls") => Ok(MailTls::Tls),
        Some("none") => Ok(MailTls::Off),
        _ => Err("starttls, tls or none".to_owned()),
    }
}

pub fn log_format(value: &Value) -> Read<LogFormat> {
    match value.as_text() {
        Some("text") => Ok(LogFormat::Text),
        Some("json") => Ok(LogFormat::Json),
        _ => Err("text or json".to_owned()),
    }
}

/// A level, or the filter language of `tracing-subscriber`.
pub fn log_level(value: &Value) -> Read<String> {
    // A filter takes any word alone for the name of a module, which would then be the only one that is heard of.
    let is_level = |part: &str| part.contains(['=', '[']) || part.trim().parse::<LevelFilter>().is_ok();
    let filter = value
        .as_text()
        .filter(|text| text.split(',').all(is_level) && tracing_subscriber::EnvFilter::try_new(text).is_ok());
    allow(
        filter.map(str::to_owned),
        "a level (error, warn, info, debug, trace), or a filter such as anteroom=debug,warn",
    )
}

pub fn records(value: &Value) -> Read<Records> {
    match value.as_text() {
        Some("off" | "none") => Ok(Records::Off),
        Some("-") => Ok(Records::StandardOutput),
        Some(path) => Ok(Records::File(PathBuf::from(path))),
        None => Err("a path, \"-\" for standard output, or \"off\"".to_owned()),
    }
}

/// The entries of a list of tables, each read by its keys; a key that no entry has is refused by name.
struct Entry<'a> {
    list: &'static str,
    /// From 1, as people count.
    number: usize,
    entries: &'a [(String, Value)],
}

impl<'a> Entry<'a> {
    fn each(list: &'static str, value: &'a [Value], known: &[&str], allowed: &str) -> Read<Vec<Entry<'a>>> {
        let mut read = Vec::new();
        for (index, item) in value.iter().enumerate() {
            let Value::Table(entries) = item else {
                return Err(allowed.to_owned());
            };
            if let Some((stranger, _)) = entries.iter().find(|(key, _)| !known.contains(&key.as_str())) {
                return Err(format!("{allowed} ({list} has no key {stranger:?})"));
            }
            read.push(Entry { list, number: index.saturating_add(1), entries });
        }
        Ok(read)
    }

    fn get<T>(&self, key: &str, read: impl Fn(&Value) -> Read<T>) -> Read<Option<T>> {
        let value = self.entries.iter().find(|(name, _)| name == key).map(|(_, value)| value);
        value.map(|value| read(value).map_err(|allowed| self.blame(key, &allowed))).transpose()
    }

    fn require<T>(&self, key: &str, read: impl Fn(&Value) -> Read<T>) -> Read<T> {
        self.get(key, read)?.ok_or_else(|| self.blame(key, "a value: it is needed"))
    }

    fn blame(&self, key: &str, allowed: &str) -> Allowed {
        format!("for {key} in {} number {} {allowed}", self.list, self.number)
    }
}

/// Tables of `name`, `from` (addresses and address ranges), `vouches` and `calls`.
pub fn trunks(value: &Value) -> Read<Vec<Trunk>> {
    let allowed = "a list of tables such as { name = \"carrier\", from = [\"192.0.2.0/24\"], vouches = false }";
    let items = value.as_list();
    let mut trunks: Vec<Trunk> = Vec::new();
    for entry in Entry::each("the trunk", &items, &["name", "from", "vouches", "calls"], allowed)? {
        let name = entry.require("name", text)?;
        if trunks.iter().any(|trunk| *trunk.name == *name) {
            return Err(entry.blame("name", "another name: this one is taken"));
        }
        let from = entry.require("from", networks)?;
        let vouches = entry.get("vouches", boolean)?.unwrap_or(false);
        let calls = entry.get("calls", optional(count(1, 100_000)))?.flatten();
        trunks.push(Trunk { name: name.into(), from, vouches, calls });
    }
    Ok(trunks)
}

pub fn networks(value: &Value) -> Read<Vec<Network>> {
    let one = |value: &Value| value.as_text()?.parse::<Network>().ok();
    list_of(value, one, "addresses and address ranges such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32")
}

/// Tables of `number`, `language`, `label` and `default`.
pub fn numbers(value: &Value) -> Read<Vec<DialInNumber>> {
    let allowed =
        "a list of tables such as { number = \"+49 30 1234\", language = \"en\", label = \"Berlin\", default = true }";
    let items = value.as_list();
    let mut numbers: Vec<DialInNumber> = Vec::new();
    for entry in Entry::each("the number", &items, &["number", "language", "label", "default"], allowed)? {
        let number = DialInNumber {
            number: entry.require("number", text)?,
            language: entry.get("language", text)?.unwrap_or_else(|| "en".to_owned()),
            label: entry.get("label", text)?.unwrap_or_default(),
            default: entry.get("default", boolean)?.unwrap_or(false),
        };
        if number.default && numbers.iter().any(|other| other.default) {
            return Err(entry.blame("default", "false: another number is the default already"));
        }
        numbers.push(number);
    }
    Ok(numbers)
}
