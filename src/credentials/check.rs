//! Whether a store is whole: what its tables can't hold by themselves is looked at here.

use super::contract::StoreError;
use super::database::{Ask, Database, Row, sql};
use super::store::{CONFERENCE_ID_RESTS, Store};

/// How many rows of one kind a finding names.
const NAMED: usize = 5;

/// Something that is not as it should be, in one line for people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding(pub String);

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Store {
    /// Everything that is wrong. Empty: the store is whole.
    pub async fn check(&self) -> Result<Vec<Finding>, StoreError> {
        let mut findings = Vec::new();
        let looks = [
            (
                "enabled users without a conference ID of their own",
                sql(
                    "SELECT identity AS shown FROM shown_users WHERE enabled AND conference_id IS NULL ORDER BY identity",
                ),
            ),
            (
                "disabled users who still have a conference ID",
                sql("SELECT u.identity AS shown FROM users u WHERE NOT u.enabled
                     AND EXISTS (SELECT 1 FROM conferences c WHERE c.organizer = u.user_key) ORDER BY u.identity"),
            ),
            (
                "conference IDs that are in use while they should rest",
                sql("SELECT c.conference_id AS shown FROM conferences c
                     JOIN retired_conference_ids r ON r.conference_id = c.conference_id
                     WHERE r.retired_at > $1 ORDER BY c.conference_id")
                .bind(self.now().before(CONFERENCE_ID_RESTS)),
            ),
            (
                "scheduled meetings without their times",
                sql("SELECT conference_id AS shown FROM conferences WHERE NOT personal
                     AND (subject IS NULL OR starts_at IS NULL OR ends_at IS NULL OR expires_at IS NULL)
                     ORDER BY conference_id"),
            ),
            (
                "users who are not found by their conference ID",
                sql("SELECT identity AS shown FROM shown_users WHERE instr(search_text, conference_id) = 0
                     ORDER BY identity"),
            ),
            (
                "users whose PIN is no argon2id hash",
                sql(
                    "SELECT identity AS shown FROM users WHERE enabled AND pin_hash NOT LIKE '$argon2id$%' ORDER BY identity",
                ),
            ),
        ];
        for (what, look) in looks {
            let rows = self.database().all(look).await?;
            if !rows.is_empty() {
                let named: Result<Vec<String>, _> = rows.iter().take(NAMED).map(|row| row.get("shown")).collect();
                let more = if rows.len() > NAMED { ", …" } else { "" };
                findings.push(Finding(format!("{} {what}: {}{more}", rows.len(), named?.join(", "))));
            }
        }
        if let Database::Sqlite(_) = self.database() {
            for row in self.database().all(sql("SELECT integrity_check AS shown FROM pragma_integrity_check")).await? {
                let line: String = row.get("shown")?;
                if line != "ok" {
                    findings.push(Finding(format!("the database file is damaged: {line}")));
                }
            }
            let broken =
                sql("SELECT \"table\" AS shown, count(*) AS rows FROM pragma_foreign_key_check GROUP BY \"table\"");
            let finding = |row: &Row| -> Result<Finding, StoreError> {
                let (table, rows) = (row.get::<String>("shown")?, row.get::<u64>("rows")?);
                Ok(Finding(format!("{rows} rows of the table {table} refer to rows that are not there")))
            };
            for row in self.database().all(broken).await? {
                findings.push(finding(&row)?);
            }
        }
        Ok(findings)
    }
}
