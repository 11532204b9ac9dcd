//! Many users at once, from a CSV file: each line is done by itself and has its own result, so a broken line costs nobody
//! else anything.
//!
//! ```text
//!  identity,name,email            the heading names the columns, in any order; identity must be there
//!  anna@example.com,Anna,anna@example.com
//! ```
//!
//! Columns are parted by commas, or by semicolons where the heading is (spreadsheets write what their country uses).

use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::administrator::Administrator;
use super::mailing::{Mail, Mailed};
use super::view::{EnabledView, ShownOnce};
use crate::credentials::{Identity, UserDetails};

/// The largest file that is read: some 50,000 lines.
pub const BULK_BYTES_MAX: usize = 4 << 20;

/// The most lines in one file. Each costs an argon2 hash: 10,000 are some five minutes of one core.
pub const BULK_LINES_MAX: usize = 10_000;

const COLUMNS: [&str; 4] = ["identity", "name", "email", "send_email_to"];

/// What is done to each user of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkAction {
    Enable,
    ResetPin,
}

/// Why a whole file is refused. Nothing of it was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BulkError {
    #[error("the CSV file is larger than {} MiB: part it", BULK_BYTES_MAX >> 20)]
    TooLarge,
    #[error("the CSV file has more than {BULK_LINES_MAX} lines: part it")]
    TooManyLines,
    #[error("the CSV file's first line must name its columns: identity, and where wanted name, email, send_email_to")]
    NoHeading,
    #[error("the CSV file has a column {name:?}: there are {}", COLUMNS.join(", "))]
    NoSuchColumn { name: String },
    #[error("the CSV file names the column {0} twice")]
    ColumnTwice(&'static str),
}

/// What became of one line.
#[derive(Debug, Serialize, ToSchema)]
pub struct BulkLine {
    /// As an editor counts: the heading is line 1.
    pub line: u64,
    pub identity: String,
    pub outcome: BulkOutcome,
    pub conference_id: Option<String>,
    /// The only time that it is shown.
    pub pin: Option<ShownOnce>,
    #[serde(flatten)]
    pub mailed: Mailed,
    /// Why it failed. Nothing was done to this user.
    pub error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BulkOutcome {
    Enabled,
    /// He was enabled before, and nothing changed.
    AlreadyEnabled,
    PinReset,
    Failed,
}

impl BulkOutcome {
    pub fn name(self) -> &'static str {
        match self {
            BulkOutcome::Enabled => "enabled",
            BulkOutcome::AlreadyEnabled => "already enabled",
            BulkOutcome::PinReset => "PIN reset",
            BulkOutcome::Failed => "failed",
        }
    }
}

/// A file that was looked at and can be worked through.
#[derive(Debug)]
pub struct BulkList(Vec<(u64, Result<BulkRow, String>)>);

#[derive(Debug)]
struct BulkRow {
    identity: Identity,
    details: UserDetails,
    send_to: Option<String>,
}

impl BulkList {
    /// # Errors
    /// What makes the whole file unusable. Broken lines are kept, and reported in their turn.
    pub fn read(csv: &[u8]) -> Result<BulkList, BulkError> {
        if csv.len() > BULK_BYTES_MAX {
            return Err(BulkError::TooLarge);
        }
        let csv = csv.strip_prefix(b"\xef\xbb\xbf").unwrap_or(csv);
        let heading = csv.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let delimiter = if heading.contains(&b';') { b';' } else { b',' };
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .has_headers(false)
            .trim(csv::Trim::All)
            .from_reader(csv);
        let mut records = reader.byte_records();
        let columns = match records.next() {
            Some(Ok(heading)) => columns(&heading)?,
            _ => return Err(BulkError::NoHeading),
        };
        let mut lines = Lines { csv, counted: 0, line: 1 };
        let (mut rows, mut first_lines) = (Vec::new(), HashMap::new());
        for record in records {
            if rows.len() >= BULK_LINES_MAX {
                return Err(BulkError::TooManyLines);
            }
            // Bytes are taken as they are, and the number of fields is free: only reading itself could fail.
            let Ok(record) = record else { continue };
            let line = lines.of(&record);
            let row = row(&record, &columns).and_then(|row| match first_lines.insert(row.identity.clone(), line) {
                None => Ok(row),
                Some(first) => {
                    first_lines.insert(row.identity.clone(), first);
                    Err(format!("{} stands in line {first} already", row.identity))
                }
            });
            rows.push((line, row));
        }
        Ok(BulkList(rows))
    }

    /// How many lines there are, the heading not among them.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Lines as an editor counts them. The reader's own count is one short where lines end in CR LF: for it the LF stands
/// before the next record.
struct Lines<'a> {
    csv: &'a [u8],
    /// Up to here they are counted.
    counted: usize,
    line: u64,
}

impl Lines<'_> {
    /// Records come in their order.
    fn of(&mut self, record: &csv::ByteRecord) -> u64 {
        let byte = record.position().map_or(0, csv::Position::byte);
        let rest = usize::try_from(byte).ok().and_then(|byte| self.csv.get(byte..)).unwrap_or_default();
        let begins = rest.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(rest.len());
        let at = self.csv.len().saturating_sub(rest.len()).saturating_add(begins);
        let passed = self.csv.get(self.counted..at).unwrap_or_default();
        let ends = passed.iter().filter(|byte| **byte == b'\n').count();
        self.line = self.line.saturating_add(u64::try_from(ends).unwrap_or(u64::MAX));
        self.counted = at.max(self.counted);
        self.line
    }
}

/// Which field has what.
fn columns(heading: &csv::ByteRecord) -> Result<Vec<&'static str>, BulkError> {
    let mut columns = Vec::new();
    for field in heading {
        let field = String::from_utf8_lossy(field).to_lowercase();
        let known = COLUMNS.into_iter().find(|column| *column == field).ok_or_else(|| {
            let shown = field.chars().filter(|c| !c.is_control()).take(40).collect();
            BulkError::NoSuchColumn { name: shown }
        })?;
        if columns.contains(&known) {
            return Err(BulkError::ColumnTwice(known));
        }
        columns.push(known);
    }
    if columns.contains(&"identity") { Ok(columns) } else { Err(BulkError::NoHeading) }
}

fn row(record: &csv::ByteRecord, columns: &[&str]) -> Result<BulkRow, String> {
    if record.len() > columns.len() {
        return Err(format!("it has {} fields, and the heading {}", record.len(), columns.len()));
    }
    let field = |name: &str| -> Result<Option<String>, String> {
        let field = columns.iter().position(|column| *column == name).and_then(|index| record.get(index));
        let text = std::str::from_utf8(field.unwrap_or_default()).map_err(|_| format!("its {name} is not UTF-8"))?;
        Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
    };
    let identity = field("identity")?.ok_or("it has no identity")?;
    let identity = identity.parse::<Identity>().map_err(|error| error.to_string())?;
    let details = UserDetails { name: field("name")?.unwrap_or_default(), email: field("email")? };
    Ok(BulkRow { identity, details, send_to: field("send_email_to")? })
}

impl Administrator<'_> {
    /// Works through a list; each line's result, in its order. `send`: as [`Mail::send`]. `done` is told after each line
    /// how many are done.
    pub async fn bulk(
        &self,
        list: BulkList,
        action: BulkAction,
        send: Option<bool>,
        mut done: impl FnMut(usize),
    ) -> Vec<BulkLine> {
        let mut results = Vec::with_capacity(list.len());
        for (line, row) in list.0 {
            let (identity, result) = match row {
                Ok(row) => (row.identity.to_string(), self.bulk_line(row, action, send).await),
                Err(error) => (String::new(), Err(error)),
            };
            results.push(match result {
                Ok(result) => BulkLine { line, ..result },
                Err(error) => BulkLine {
                    line,
                    identity,
                    outcome: BulkOutcome::Failed,
                    conference_id: None,
                    pin: None,
                    mailed: Mailed::default(),
                    error: Some(error),
                },
            });
            done(results.len());
        }
        results
    }

    async fn bulk_line(&self, row: BulkRow, action: BulkAction, send: Option<bool>) -> Result<BulkLine, String> {
        let BulkRow { identity, details, send_to } = row;
        let mail = Mail { send, to: send_to };
        let line = |outcome, conference_id, pin, mailed| BulkLine {
            line: 0,
            identity: identity.to_string(),
            outcome,
            conference_id,
            pin,
            mailed,
            error: None,
        };
        match action {
            BulkAction::Enable => {
                match self.enable_user(&identity, &details, &mail).await.map_err(|error| error.to_string())? {
                    EnabledView::New(new) => {
                        Ok(line(BulkOutcome::Enabled, Some(new.conference_id), Some(new.pin), new.mailed))
                    }
                    EnabledView::Already(user) => {
                        Ok(line(BulkOutcome::AlreadyEnabled, user.conference_id, None, Mailed::default()))
                    }
                }
            }
            BulkAction::ResetPin => {
                let new = self.reset_pin(&identity, &mail).await.map_err(|error| error.to_string())?;
                Ok(line(BulkOutcome::PinReset, Some(new.conference_id), Some(new.pin), new.mailed))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(list: &BulkList) -> Vec<String> {
        let line = |(line, row): &(u64, Result<BulkRow, String>)| match row {
            Ok(row) => format!("{line} {} {:?} {:?}", row.identity, row.details.name, row.details.email),
            Err(error) => format!("{line} {error}"),
        };
        list.0.iter().map(line).collect()
    }

    #[test]
    fn good_and_broken_lines_keep_their_numbers() {
        let csv = "\u{feff}Name,identity,email\r\n\"Anna, A.\",anna@example.com,a@example.com\r\n\r\n,,\r\nBob,bob@example.com\r\n\
                   X,two words,\r\nAgain,ANNA@example.com,\r\na,b@example.com,c,d\r\n\"two\nlines\",e@example.com,\r\nF,f@example.com";
        assert_eq!(
            shown(&BulkList::read(csv.as_bytes()).unwrap()),
            [
                "2 anna@example.com \"Anna, A.\" Some(\"a@example.com\")",
                "4 it has no identity",
                "5 bob@example.com \"Bob\" None",
                "6 an identity is a name such as anna@example.com: up to 128 characters, no spaces, no commas or quotes",
                "7 anna@example.com stands in line 2 already",
                "8 it has 4 fields, and the heading 3",
                "9 e@example.com \"two\\nlines\" None",
                "11 f@example.com \"F\" None",
            ]
        );
        let semicolons = BulkList::read(b"identity;name\nanna@example.com;Anna\xff\nbob@example.com;B,ob\n").unwrap();
        assert_eq!(shown(&semicolons), ["2 its name is not UTF-8", "3 bob@example.com \"B,ob\" None"]);
    }

    #[test]
    fn a_file_that_is_none_is_refused_whole() {
        let refused = |csv: &[u8]| BulkList::read(csv).unwrap_err();
        assert_eq!(refused(b""), BulkError::NoHeading);
        assert_eq!(refused(b"name,email\n"), BulkError::NoHeading);
        assert_eq!(
            refused(b"anna@example.com,Anna\n"),
            BulkError::NoSuchColumn { name: "anna@example.com".to_owned() }
        );
        assert_eq!(refused(b"identity,identity\n"), BulkError::ColumnTwice("identity"));
        assert_eq!(refused(&vec![b'x'; BULK_BYTES_MAX + 1]), BulkError::TooLarge);
        let long = "identity\n".to_owned() + &"a\n".repeat(BULK_LINES_MAX + 1);
        assert_eq!(refused(long.as_bytes()), BulkError::TooManyLines);
        assert!(BulkList::read(b"identity\n").unwrap().is_empty());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_break_the_reader(csv in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let _ = BulkList::read(&csv);
            let _ = BulkList::read(&[b"identity,name\n".as_slice(), &csv].concat());
        }
    }
}
