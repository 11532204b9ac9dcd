//! Throws away what has had its time. The server does it each hour; whatever is late is harmless, for nothing counts
//! longer than it should because its row is still there.

use super::alerts::{CLEARED_ALERTS_KEPT, OPEN_ALERTS_MAX};
use super::bearer::{SESSION_IDLE, SESSION_LASTS};
use super::contract::StoreError;
use super::database::{Ask, sql};
use super::outbox::ENDED_MAIL_KEPT;
use super::records::{CALL_RECORDS_KEPT, CALL_RECORDS_MAX};
use super::store::{CONFERENCE_ID_RESTS, Store};

impl Store {
    /// How many rows went. Each statement is whole in itself; one server at a time does it.
    pub async fn tidy(&self) -> Result<u64, StoreError> {
        let now = self.now();
        let statements = [
            sql("DELETE FROM budgets WHERE ends_at <= $1").bind(now),
            // The conference IDs of meetings that have expired rest first.
            sql("INSERT INTO retired_conference_ids (conference_id, organizer, retired_at)
                 SELECT conference_id, organizer, $1 FROM conferences WHERE NOT personal AND expires_at <= $1
                 ON CONFLICT (conference_id) DO UPDATE
                 SET organizer = excluded.organizer, retired_at = excluded.retired_at")
            .bind(now),
            sql("DELETE FROM conferences WHERE NOT personal AND expires_at <= $1").bind(now),
            sql("DELETE FROM retired_conference_ids WHERE retired_at <= $1").bind(now.before(CONFERENCE_ID_RESTS)),
            sql("DELETE FROM outbox WHERE state <> 'queued' AND ended_at <= $1").bind(now.before(ENDED_MAIL_KEPT)),
            sql("DELETE FROM sessions WHERE opened_at <= $1 OR seen_at <= $2")
                .bind(now.before(SESSION_LASTS))
                .bind(now.before(SESSION_IDLE)),
            sql("DELETE FROM links WHERE expires_at <= $1").bind(now),
            sql("DELETE FROM call_records WHERE ended_at <= $1").bind(now.before(CALL_RECORDS_KEPT)),
            sql("DELETE FROM call_records WHERE record_key <= (SELECT max(record_key) FROM call_records) - $1")
                .bind(CALL_RECORDS_MAX),
            sql("DELETE FROM alerts WHERE cleared_at <= $1").bind(now.before(CLEARED_ALERTS_KEPT)),
            sql("DELETE FROM alerts WHERE cleared_at IS NULL AND alert_key NOT IN
                 (SELECT alert_key FROM alerts WHERE cleared_at IS NULL ORDER BY last_at DESC, alert_key DESC LIMIT $1)")
            .bind(OPEN_ALERTS_MAX),
        ];
        let mut gone = 0_u64;
        for statement in statements {
            let mut transaction = self.database().change("tidy").await?;
            gone = gone.saturating_add(transaction.execute(statement).await?);
            transaction.commit().await?;
        }
        Ok(gone)
    }
}
