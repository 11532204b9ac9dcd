//! Calls that have ended, for the console: each with the record that the file of call records has too.

use std::time::Duration;

use sqlx::AssertSqlSafe;

use super::contract::{StoreError, Timestamp};
use super::database::{Ask, Row, Sql, sql};
use super::keys::CallRecordKey;
use super::rows::common::{lowered, search_text};
use super::store::Store;

/// How long call records are kept, and how many at most: some 200 MB.
pub const CALL_RECORDS_KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);
pub const CALL_RECORDS_MAX: u32 = 200_000;

/// Records in one statement. Few different numbers, so that each statement is prepared once.
const RECORDS_AT_ONCE: [usize; 4] = [64, 16, 4, 1];

/// The record of a call, to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCall {
    pub ended_at: Timestamp,
    pub caller: String,
    pub conference_id: Option<String>,
    pub organizer: Option<String>,
    /// Why it ended, as the record's `ended` says.
    pub cause: String,
    /// One JSON document.
    pub record: String,
}

/// The record of a call, as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCall {
    pub key: CallRecordKey,
    pub ended_at: Timestamp,
    /// One JSON document.
    pub record: String,
}

/// Which call records a list shows, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallRecordPage {
    /// In the caller's number, the conference ID, the organizer or the cause.
    pub search: Option<String>,
    /// Begin below this record.
    pub before: Option<CallRecordKey>,
    pub limit: u32,
}

impl Store {
    pub async fn add_call_records(&self, calls: &[StoredCall]) -> Result<(), StoreError> {
        // Losing the last second of records with the mains is bearable: the file of call records has them too.
        let mut transaction = self.database().count(&[]).await?;
        let mut left = calls;
        while !left.is_empty() {
            let count = RECORDS_AT_ONCE.into_iter().find(|count| *count <= left.len()).unwrap_or(left.len());
            let (these, later) = left.split_at(count);
            left = later;
            transaction.execute(insert(these)).await?;
        }
        transaction.commit().await
    }

    pub async fn call_records(&self, page: &CallRecordPage) -> Result<Vec<KeptCall>, StoreError> {
        let list = sql("SELECT record_key, ended_at, record FROM call_records
              WHERE record_key < $1 AND ($2 IS NULL OR instr(search_text, $2) > 0)
              ORDER BY record_key DESC LIMIT $3")
        .bind(page.before.map_or(u64::MAX, |key| key.0))
        .bind(page.search.as_deref().map(lowered))
        .bind(page.limit);
        let call = |row: &Row| {
            Ok(KeptCall { key: row.get("record_key")?, ended_at: row.get("ended_at")?, record: row.get("record")? })
        };
        self.database().all(list).await?.iter().map(call).collect()
    }
}

fn insert(calls: &[StoredCall]) -> Sql {
    let places: Vec<String> =
        (0..calls.len()).map(|row| format!("(${}, ${}, ${})", 3 * row + 1, 3 * row + 2, 3 * row + 3)).collect();
    // Nothing in the text comes from outside.
    let text = format!("INSERT INTO call_records (ended_at, search_text, record) VALUES {}", places.join(", "));
    calls.iter().fold(sql(AssertSqlSafe(text)), |insert, call| {
        let parts = [Some(&call.caller), call.conference_id.as_ref(), call.organizer.as_ref(), Some(&call.cause)];
        let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
        insert.bind(call.ended_at).bind(search_text(&parts)).bind(&call.record)
    })
}
