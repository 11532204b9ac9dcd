//! What an operator should look at: raised by the server, cleared by a person. The same again counts up the one that is
//! open, so that a thing that goes on for hours is one line.

use std::time::Duration;

use super::contract::{Actor, StoreError, Timestamp};
use super::database::{Ask, Row, sql};
use super::keys::AlertKey;
use super::rows::audit_entry;
use super::rows::common::write_audit;
use super::store::Store;

/// Cleared alerts are kept for this long; of open ones so many, the oldest go.
pub const CLEARED_ALERTS_KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);
pub const OPEN_ALERTS_MAX: u32 = 10_000;

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    pub key: AlertKey,
    /// When it was first raised, and last.
    pub at: Timestamp,
    pub last_at: Timestamp,
    /// `budget-used-up`, …
    pub kind: String,
    /// On whom or what.
    pub subject: String,
    pub count: u32,
    /// For people.
    pub text: String,
    pub cleared_at: Option<Timestamp>,
    pub cleared_by: Option<String>,
}

/// Which alerts a list shows, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertPage {
    /// Also those that somebody cleared.
    pub cleared: bool,
    /// Begin below this one.
    pub before: Option<AlertKey>,
    pub limit: u32,
}

impl Store {
    pub async fn raise_alert(&self, kind: &str, subject: &str, text: &str) -> Result<(), StoreError> {
        let raise = sql("INSERT INTO alerts (kind, subject, text, count, at, last_at) VALUES ($1, $2, $3, 1, $4, $4)
              ON CONFLICT (kind, subject) WHERE cleared_at IS NULL
              DO UPDATE SET count = alerts.count + 1, last_at = excluded.last_at, text = excluded.text")
        .bind(kind)
        .bind(subject)
        .bind(text)
        .bind(self.now());
        // Callers raise them: it must not wait behind administrators.
        let mut transaction = self.database().count(&[]).await?;
        transaction.execute(raise).await?;
        transaction.commit().await
    }

    pub async fn alerts(&self, page: &AlertPage) -> Result<Vec<Alert>, StoreError> {
        let list = sql("SELECT * FROM alerts WHERE alert_key < $1 AND ($2 OR cleared_at IS NULL)
                        ORDER BY alert_key DESC LIMIT $3")
        .bind(page.before.map_or(u64::MAX, |key| key.0))
        .bind(page.cleared)
        .bind(page.limit);
        self.database().all(list).await?.iter().map(alert_from).collect()
    }

    /// How many nobody has cleared yet.
    pub async fn open_alerts(&self) -> Result<u64, StoreError> {
        let count = sql("SELECT count(*) AS alerts FROM alerts WHERE cleared_at IS NULL");
        self.database().one(count).await?.get("alerts")
    }

    /// Somebody has seen it. Twice changes nothing.
    pub async fn clear_alert(&self, actor: &Actor, key: AlertKey) -> Result<Alert, StoreError> {
        let now = self.now();
        let mut transaction = self.database().change("alerts").await?;
        let clear = sql("UPDATE alerts SET cleared_at = $2, cleared_by = $3
                         WHERE alert_key = $1 AND cleared_at IS NULL")
        .bind(key)
        .bind(now)
        .bind(&actor.who);
        let cleared = transaction.execute(clear).await?;
        let row = transaction.optional(sql("SELECT * FROM alerts WHERE alert_key = $1").bind(key)).await?;
        let none = || StoreError::NotThere { what: "alert", name: key.to_string() };
        let alert = alert_from(&row.ok_or_else(none)?)?;
        if cleared > 0 {
            let audit = audit_entry(now, actor, "alert.clear", &alert.subject, &alert.kind);
            write_audit(&mut transaction, &audit).await?;
        }
        transaction.commit().await?;
        Ok(alert)
    }
}

fn alert_from(row: &Row) -> Result<Alert, StoreError> {
    Ok(Alert {
        key: row.get("alert_key")?,
        at: row.get("at")?,
        last_at: row.get("last_at")?,
        kind: row.get("kind")?,
        subject: row.get("subject")?,
        count: row.get("count")?,
        text: row.get("text")?,
        cleared_at: row.get("cleared_at")?,
        cleared_by: row.get("cleared_by")?,
    })
}
