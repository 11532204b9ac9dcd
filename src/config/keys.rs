//! The three sources of the configuration as one table of keys, and the one line that says what is wrong and where.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::DEFAULT_FILE;
use super::value::{Allowed, Value};

/// What every environment variable of a key begins with.
const ENVIRONMENT_PREFIX: &str = "ANTEROOM_";

/// Variables of `anteroom replay`, not keys: `ANTEROOM_VAR_CONFERENCE_ID`.
const REPLAY_VARIABLE_PREFIX: &str = "ANTEROOM_VAR_";

/// The largest configuration file that is read. A longer one is something else.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where to look for keys.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// `--config`: must be there. `None`: [`DEFAULT_FILE`] where it exists.
    pub file: Option<PathBuf>,
    /// Name and value; those that do not begin with `ANTEROOM_` are passed over.
    pub environment: Vec<(String, String)>,
    /// `--set key=value`, in order.
    pub settings: Vec<String>,
}

/// Where one value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    File { path: PathBuf, line: usize },
    Environment(String),
    CommandLine,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File { path, line } => write!(f, "{}:{line}", path.display()),
            Source::Environment(name) => write!(f, "environment variable {name}"),
            Source::CommandLine => f.write_str("--set"),
        }
    }
}

/// One line: which key, where it was given, what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    /// One key was given without the other.
    pub(super) fn alone(key: &str, other: &str) -> ConfigError {
        ConfigError(format!("{key}: it needs {other} beside it: set both, or none"))
    }

    /// Two keys that don't go together, each right by itself.
    pub(super) fn refused(key: &str, allowed: &str) -> ConfigError {
        ConfigError(format!("{key}: write {allowed}"))
    }
}

/// All keys that were given, with their values and where they came from.
#[derive(Debug, Default)]
pub struct Keys {
    given: BTreeMap<String, (Value, Source)>,
    known: Vec<&'static str>,
}

impl Keys {
    /// Reads all three sources; also the path of the file that was read.
    pub(super) fn gather(sources: &Sources) -> Result<(Keys, Option<PathBuf>), ConfigError> {
        let file = match &sources.file {
            Some(file) => Some(file.clone()),
            None => Some(PathBuf::from(DEFAULT_FILE)).filter(|file| file.exists()),
        };
        let mut keys = match &file {
            Some(file) => Keys::from_toml(&read_file(file)?, file)?,
            None => Keys::default(),
        };
        for (name, value) in &sources.environment {
            keys.add_variable(name, value);
        }
        for setting in &sources.settings {
            keys.add_setting(setting)?;
        }
        Ok((keys, file))
    }

    pub(super) fn from_toml(text: &str, name: &Path) -> Result<Keys, ConfigError> {
        let table = DeTable::parse(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            // The parser's message may have lines of its own; the promise is one.
            let message = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
            ConfigError(format!("{}:{line}: {message}", name.display()))
        })?;
        let mut keys = Keys::default();
        keys.add_table("", table.get_ref(), text, name);
        Ok(keys)
    }

    /// Tables become dotted keys; lists, also those of tables, are one value.
    fn add_table(&mut self, section: &str, table: &DeTable<'_>, text: &str, name: &Path) {
        for (key, value) in table {
            let path =
                if section.is_empty() { key.get_ref().to_string() } else { format!("{section}.{}", key.get_ref()) };
            match value.get_ref() {
                DeValue::Table(inner) => self.add_table(&path, inner, text, name),
                other => {
                    let source = Source::File { path: name.to_owned(), line: line_of(text, key.span().start) };
                    self.given.insert(path, (Value::from_toml(other), source));
                }
            }
        }
    }

    fn add_variable(&mut self, name: &str, value: &str) {
        if name.starts_with(REPLAY_VARIABLE_PREFIX) {
            return;
        }
        if let Some(key) = name.strip_prefix(ENVIRONMENT_PREFIX) {
            let key = key.to_ascii_lowercase().replace("__", ".");
            self.given.insert(key, (Value::Bare(value.to_owned()), Source::Environment(name.to_owned())));
        }
    }

    pub(super) fn add_setting(&mut self, setting: &str) -> Result<(), ConfigError> {
        let (key, value) = setting
            .split_once('=')
            .ok_or_else(|| ConfigError("--set: write KEY=VALUE, such as --set sip.listen=127.0.0.1:5060".to_owned()))?;
        self.given.insert(key.trim().to_owned(), (Value::Bare(value.to_owned()), Source::CommandLine));
        Ok(())
    }

    /// Puts the key's value into `target`, where it was given.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&Value) -> Result<T, Allowed>,
        target: &mut T,
    ) -> Result<(), ConfigError> {
        self.known.push(key);
        if let Some((value, source)) = self.given.remove(key) {
            *target = read(&value).map_err(|allowed| ConfigError(format!("{key} ({source}): write {allowed}")))?;
        }
        Ok(())
    }

    /// Every key that was asked for.
    pub(super) fn known(&self) -> &[&'static str] {
        &self.known
    }

    /// To be called when all keys have been read: what is left over is none.
    pub(super) fn refuse_unknown(&self) -> Result<(), ConfigError> {
        let Some((key, (_, source))) = self.given.first_key_value() else {
            return Ok(());
        };
        let nearest = self.known.iter().min_by_key(|known| distance(known, key));
        let advice = match nearest {
            Some(nearest) if distance(nearest, key) <= nearest.len() / 2 => format!("did you mean {nearest}?"),
            _ => format!("the keys are {}", self.known.join(", ")),
        };
        let shown: String = key.chars().filter(|c| !c.is_control()).take(64).collect();
        Err(ConfigError(format!("{shown} ({source}): there is no such key; {advice}")))
    }
}

fn read_file(path: &Path) -> Result<String, ConfigError> {
    let refuse = |why: String| ConfigError(format!("{}: {why}", path.display()));
    let length = std::fs::metadata(path).map_err(|error| refuse(format!("can't be read: {error}")))?.len();
    if length > FILE_BYTES_MAX {
        return Err(refuse(format!("is larger than {FILE_BYTES_MAX} bytes: that is no configuration file")));
    }
    std::fs::read_to_string(path).map_err(|error| refuse(format!("can't be read: {error}")))
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count().saturating_add(1)
}

/// Levenshtein's edit distance, for "did you mean".
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(128).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, left) in left.chars().enumerate() {
        // `diagonal` is the cell above and to the left, `cell` the one just written.
        let mut diagonal = index;
        let mut cell = index.saturating_add(1);
        if let Some(first) = row.first_mut() {
            *first = cell;
        }
        for (above, right) in row.iter_mut().skip(1).zip(&right) {
            let replaced = diagonal.saturating_add(usize::from(left != *right));
            diagonal = *above;
            cell = replaced.min(above.saturating_add(1)).min(cell.saturating_add(1));
            *above = cell;
        }
    }
    row.last().copied().unwrap_or(0)
}
