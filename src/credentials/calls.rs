//! What callers ask: where a conference ID leads, and whether a PIN starts the meeting.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::budget::{self, Budget, Charge, PinTry, Verdict};
use super::contract::{Origin, StoreError};
use super::database::{Ask, sql};
use super::rows::RightPin;
use super::store::Store;
use crate::words::answer::{Conference, ConferenceAnswer, PinAnswer};
use crate::words::ids::{ConferenceId, ConferenceKey};
use crate::words::secret::Secret;

/// Conferences that are asked for in one statement.
const CONFERENCES_AT_ONCE: usize = 100;

static CONFERENCE_IDS: LazyLock<SqlStr> = LazyLock::new(|| {
    let places: Vec<String> = (0..CONFERENCES_AT_ONCE).map(|place| format!("${}", place + 2)).collect();
    // Nothing in the text comes from outside.
    AssertSqlSafe(format!(
        "SELECT c.conference_key, c.conference_id FROM conferences c JOIN users u ON u.user_key = c.organizer
         WHERE u.enabled AND (c.expires_at IS NULL OR c.expires_at > $1) AND c.conference_key IN ({})",
        places.join(", ")
    ))
    .into_sql_str()
});

impl Store {
    /// What does this conference ID lead to? A wrong one is counted; a right one is found whatever the counts are, and
    /// needs nothing to be written.
    pub async fn find_conference(&self, id: &ConferenceId, origin: &Origin) -> Result<ConferenceAnswer, StoreError> {
        let settings = self.settings().await?;
        if let Some(conference) = self.rows().find_conference(*id, self.now()).await? {
            return Ok(ConferenceAnswer::Found(Conference { announcements: settings.announcements, ..conference }));
        }
        let charges = budget::conference_id_charges(origin, &settings);
        let judge = |counts: &[u32]| budget::judge_conference_id(&charges, counts);
        let counts = self.rows().charge(self.now(), &charges, &judge).await?;
        if judge(&counts) {
            self.alert_used_up(&charges, &counts).await;
            Ok(ConferenceAnswer::Unknown)
        } else {
            Ok(ConferenceAnswer::UnknownAndOutOfTries)
        }
    }

    /// What this conference ID leads to, for somebody who has signed in: nothing is counted.
    pub async fn conference(&self, id: &ConferenceId) -> Result<Option<Conference>, StoreError> {
        let settings = self.settings().await?;
        let found = self.rows().find_conference(*id, self.now()).await?;
        Ok(found.map(|conference| Conference { announcements: settings.announcements, ..conference }))
    }

    /// By which conference IDs these conferences are reached now. One that is not in the answer is gone for good: its
    /// organizer was disabled, or it was cancelled or has expired.
    pub async fn conference_ids(
        &self,
        conferences: &[ConferenceKey],
    ) -> Result<BTreeMap<ConferenceKey, ConferenceId>, StoreError> {
        let mut found = BTreeMap::new();
        for some in conferences.chunks(CONFERENCES_AT_ONCE) {
            let mut find = sql(CONFERENCE_IDS.clone()).bind(self.now());
            // The same text each time, so that it is prepared once: what is left of the places gets no conference's key.
            for place in 0..CONFERENCES_AT_ONCE {
                find = find.bind(some.get(place).copied().unwrap_or(ConferenceKey(0)));
            }
            for row in self.database().all(find).await? {
                found.insert(row.get("conference_key")?, row.get("conference_id")?);
            }
        }
        Ok(found)
    }

    /// Does this PIN start this meeting?
    ///
    /// ```text
    ///  charge all budgets ──refused──▶ OutOfTries            (counted first: many at once get no more tries than one)
    ///        │
    ///  argon2, always, also where there is nothing to check  (right, wrong and unknown take the same time)
    ///        │ right
    ///  still the PIN that holds? give the charges back       (a reset in between wins)
    /// ```
    pub async fn verify_pin(
        &self,
        conference: ConferenceKey,
        pin: &Secret,
        origin: &Origin,
    ) -> Result<PinAnswer, StoreError> {
        let now = self.now();
        let settings = self.settings().await?;
        let caller = budget::caller_subject(origin);
        let Some(kept) = self.rows().find_pin(conference, &caller, now.before(budget::KNOWN_CALLER_FOR)).await? else {
            self.hasher().verify_nothing(pin).await?;
            return Ok(PinAnswer::Wrong);
        };
        let fingerprint = self.hasher().fingerprint("pin", pin.expose())?;
        let entry = PinTry {
            organizer: kept.organizer,
            organizer_identity: &kept.organizer_identity,
            digits: kept.digits,
            origin,
            fingerprint: &fingerprint,
        };
        let charges = budget::pin_charges(&entry, &settings);
        let verdict = |counts: &[u32]| budget::judge_pin(&charges, counts, kept.known_caller);
        let take = |counts: &[u32]| !matches!(verdict(counts), Verdict::Refuse(_));
        let counts = self.rows().charge(now, &charges, &take).await?;
        let verdict = verdict(&counts);
        if let Verdict::Refuse(_) = verdict {
            return Ok(PinAnswer::OutOfTries);
        }
        let matches = self.hasher().verify(pin, &kept.hash).await?;
        if matches && verdict == Verdict::Check {
            let known = Some(caller.as_str()).filter(|_| !origin.caller().is_empty());
            let right =
                RightPin { organizer: kept.organizer, generation: kept.generation, charges: &charges, caller: known };
            if self.rows().pin_was_right(self.now(), &right).await? {
                return Ok(PinAnswer::Right);
            }
        }
        self.alert_used_up(&charges, &counts).await;
        Ok(PinAnswer::Wrong)
    }

    /// One line, one alert and one count at the moment in which a budget becomes used up, not one for each try after it.
    async fn alert_used_up(&self, charges: &[Charge], counts_before: &[u32]) {
        for (charge, before) in charges.iter().zip(counts_before) {
            if before.saturating_add(1) != charge.limit {
                continue;
            }
            let subject = if charge.budget == Budget::SamePin { "one PIN on many meetings" } else { &charge.subject };
            let Charge { budget, limit, .. } = charge;
            tracing::warn!(%budget, subject, limit, "a budget of wrong entries is used up");
            let text = format!("{budget} is used up for {subject}: {limit} wrong entries; somebody may be guessing");
            // The caller gets his answer whether the alert could be kept or not.
            if let Err(error) = self.raise_alert("budget-used-up", &format!("{budget} {subject}"), &text).await {
                tracing::warn!(%error, "an alert could not be kept");
            }
        }
    }
}
