//! What calls ask and leave behind: conferences, PINs to try, counts of wrong entries.

use super::common::{remember_caller, write_audit};
use super::{Judge, KeptPin, RightPin, Rows};
use crate::credentials::budget::{self, Budget, BudgetCount, Charge, Clear};
use crate::credentials::contract::{AuditEntry, StoreError, Timestamp};
use crate::credentials::database::{Ask, Transaction, sql};
use crate::words::answer::{Announcements, Conference};
use crate::words::ids::{ConferenceId, ConferenceKey};

impl Rows {
    pub async fn find_conference(&self, id: ConferenceId, now: Timestamp) -> Result<Option<Conference>, StoreError> {
        let find = sql("SELECT c.conference_key, u.user_key, u.identity, u.allow_anonymous_start, u.lobby_policy
             FROM conferences c JOIN users u ON u.user_key = c.organizer
             WHERE c.conference_id = $1 AND u.enabled AND (c.expires_at IS NULL OR c.expires_at > $2)")
        .bind(&id)
        .bind(now);
        let Some(row) = (&self.database).optional(find).await? else { return Ok(None) };
        Ok(Some(Conference {
            key: row.get("conference_key")?,
            organizer: row.get("user_key")?,
            organizer_identity: row.get("identity")?,
            allow_anonymous_start: row.get("allow_anonymous_start")?,
            lobby_policy: row.get("lobby_policy")?,
            announcements: Announcements::default(),
        }))
    }

    /// The PIN that starts this conference. `known_since`: a right PIN of this caller before that does not count any more.
    pub async fn find_pin(
        &self,
        conference: ConferenceKey,
        caller: &str,
        known_since: Timestamp,
    ) -> Result<Option<KeptPin>, StoreError> {
        let find = sql("SELECT u.user_key, u.identity, u.pin_hash, u.pin_digits, u.pin_generation,
                    (SELECT count(*) FROM known_callers k
                     WHERE k.organizer = u.user_key AND k.caller = $2 AND k.right_at > $3) AS known
             FROM conferences c JOIN users u ON u.user_key = c.organizer
             WHERE c.conference_key = $1 AND u.enabled")
        .bind(conference)
        .bind(caller)
        .bind(known_since);
        let Some(row) = (&self.database).optional(find).await? else { return Ok(None) };
        Ok(Some(KeptPin {
            organizer: row.get("user_key")?,
            organizer_identity: row.get("identity")?,
            hash: row.get("pin_hash")?,
            digits: row.get("pin_digits")?,
            generation: row.get("pin_generation")?,
            known_caller: row.get::<i64>("known")? > 0,
        }))
    }

    /// Reads the counts of all charges, and adds one to each if the judge says so; of many at once each sees the
    /// others'. The counts before are the answer.
    pub async fn charge(&self, now: Timestamp, charges: &[Charge], judge: &Judge<'_>) -> Result<Vec<u32>, StoreError> {
        let mut transaction = self.database.count(&locks(charges)).await?;
        let mut counts = Vec::with_capacity(charges.len());
        for charge in charges {
            counts.push(count_of(&mut transaction, charge, now).await?);
        }
        if judge(&counts) {
            for (charge, before) in charges.iter().zip(&counts) {
                // A row whose count does not stand any more begins anew.
                let text = if *before == 0 {
                    "INSERT INTO budgets (budget, subject, organizer, entries, ends_at) VALUES ($1, $2, $3, 1, $4)
                     ON CONFLICT (budget, subject) DO UPDATE SET entries = 1, ends_at = excluded.ends_at"
                } else {
                    "INSERT INTO budgets (budget, subject, organizer, entries, ends_at) VALUES ($1, $2, $3, 1, $4)
                     ON CONFLICT (budget, subject) DO UPDATE SET entries = budgets.entries + 1"
                };
                let add = sql(text)
                    .bind(charge.budget.name())
                    .bind(&charge.subject)
                    .bind(charge.organizer)
                    .bind(now.after(charge.budget.window()));
                transaction.execute(add).await?;
            }
            transaction.commit().await?;
        }
        Ok(counts)
    }

    /// Gives the charges back and remembers the caller, if the PIN's generation still is the one that was checked;
    /// otherwise false, and nothing is done.
    pub async fn pin_was_right(&self, now: Timestamp, right: &RightPin<'_>) -> Result<bool, StoreError> {
        let mut transaction = self.database.count(&locks(right.charges)).await?;
        // Written although nothing changes: a reset waits for this, or this for the reset.
        let holds = sql("UPDATE users SET pin_generation = pin_generation
                         WHERE user_key = $1 AND pin_generation = $2 AND enabled")
        .bind(right.organizer)
        .bind(right.generation);
        if transaction.execute(holds).await? == 0 {
            return Ok(false);
        }
        for charge in right.charges {
            for text in [
                "UPDATE budgets SET entries = entries - 1 WHERE budget = $1 AND subject = $2 AND entries > 0",
                "DELETE FROM budgets WHERE budget = $1 AND subject = $2 AND entries <= 0",
            ] {
                transaction.execute(sql(text).bind(charge.budget.name()).bind(&charge.subject)).await?;
            }
        }
        if let Some(caller) = right.caller {
            remember_caller(&mut transaction, right.organizer, caller, now).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    pub async fn budgets(&self, now: Timestamp) -> Result<Vec<BudgetCount>, StoreError> {
        let read = sql("SELECT budget, subject, organizer, entries, ends_at FROM budgets WHERE entries > 0");
        let rows = (&self.database).all(read).await?;
        let mut counts = Vec::with_capacity(rows.len());
        for row in rows {
            // A budget of another version's is not shown.
            let Some(budget) = Budget::from_name(&row.get::<String>("budget")?) else {
                continue;
            };
            let count = BudgetCount {
                budget,
                subject: row.get("subject")?,
                organizer: row.get("organizer")?,
                count: row.get("entries")?,
                ends_at: row.get("ends_at")?,
            };
            if budget::standing(budget, count.count, count.ends_at, now) > 0 {
                counts.push(count);
            }
        }
        Ok(counts)
    }

    /// How many counts were cleared.
    pub async fn clear_budgets(&self, clear: Clear<'_>, audit: &AuditEntry) -> Result<u64, StoreError> {
        let mut transaction = self.database.change("budgets").await?;
        let statement = match clear {
            Clear::All => sql("DELETE FROM budgets"),
            Clear::Organizer(key) => sql("DELETE FROM budgets WHERE organizer = $1").bind(key),
            Clear::Subject(subject) => sql("DELETE FROM budgets WHERE subject = $1").bind(subject),
        };
        let cleared = transaction.execute(statement).await?;
        write_audit(&mut transaction, audit).await?;
        transaction.commit().await?;
        Ok(cleared)
    }
}

/// What keeps two tries on the same subject apart.
fn locks(charges: &[Charge]) -> Vec<String> {
    charges.iter().map(|charge| format!("budget {} {}", charge.budget.name(), charge.subject)).collect()
}

async fn count_of(transaction: &mut Transaction, charge: &Charge, now: Timestamp) -> Result<u32, StoreError> {
    let read = sql("SELECT entries, ends_at FROM budgets WHERE budget = $1 AND subject = $2")
        .bind(charge.budget.name())
        .bind(&charge.subject);
    let Some(row) = transaction.optional(read).await? else { return Ok(0) };
    Ok(budget::standing(charge.budget, row.get("entries")?, row.get("ends_at")?, now))
}
