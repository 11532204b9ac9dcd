//! What a command line wants done to a live meeting. The meeting lives in a server, and the store is what both can reach:
//! the command line posts a request, the server that has the meeting takes it, and tells the end.

use std::time::Duration;

use super::contract::{Actor, AuditEntry, StoreError, Timestamp};
use super::database::{Ask, Row, damaged, sql};
use super::keys::LiveRequestKey;
use super::rows::audit_entry;
use super::rows::common::write_audit;
use super::store::Store;
use crate::words::ids::ConferenceKey;

/// The server that has the meeting is the first that may take a request; after this time any may: then none has it.
const FIRST_TO_ITS_SERVER: Duration = Duration::from_secs(2);

/// A request that nobody took within this time is not carried out any more: who asked has gone.
const WAITS_MAX: Duration = Duration::from_secs(30);

/// A request that a server has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveRequest {
    pub key: LiveRequestKey,
    /// `start`, `lock`, `admit call-17`, …: the words are those of who posts and who carries out.
    pub action: String,
    pub conference: ConferenceKey,
    pub actor: Actor,
    pub posted_at: Timestamp,
}

/// What somebody does to a live meeting, as the audit tells it to who reads it when the meeting is long over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveDeed {
    /// The meeting's conference ID, where it is known.
    pub subject: String,
    pub detail: String,
}

impl LiveDeed {
    fn entry(&self, now: Timestamp, actor: &Actor) -> AuditEntry {
        audit_entry(now, actor, "meeting.live", &self.subject, &self.detail)
    }
}

/// How far a request has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveRequestState {
    /// No server has taken it yet.
    Waits,
    Taken,
    Done(String),
    Failed(String),
}

impl Store {
    pub async fn post_live_request(
        &self,
        actor: &Actor,
        action: &str,
        conference: ConferenceKey,
        audited: &LiveDeed,
    ) -> Result<LiveRequestKey, StoreError> {
        let now = self.now();
        let mut transaction = self.database().change("live requests").await?;
        let old = sql("DELETE FROM live_requests WHERE posted_at <= $1").bind(now.before(2 * WAITS_MAX));
        transaction.execute(old).await?;
        let insert = sql("INSERT INTO live_requests (action, subject, who, came_from, posted_at)
              VALUES ($1, $2, $3, $4, $5) RETURNING request_key")
        .bind(action)
        .bind(conference.0.to_string())
        .bind(&actor.who)
        .bind(&actor.from)
        .bind(now);
        let key = transaction.one(insert).await?.get("request_key")?;
        write_audit(&mut transaction, &audited.entry(now, actor)).await?;
        transaction.commit().await?;
        Ok(key)
    }

    /// What was done to a live meeting, for the audit.
    pub async fn audit_live(&self, actor: &Actor, deed: &LiveDeed) -> Result<(), StoreError> {
        let mut transaction = self.database().change("audit").await?;
        write_audit(&mut transaction, &deed.entry(self.now(), actor)).await?;
        transaction.commit().await
    }

    /// Takes the requests that are for this server, which has these meetings. Each is taken by one server.
    pub async fn take_live_requests(
        &self,
        server: &str,
        hosted: &[ConferenceKey],
    ) -> Result<Vec<LiveRequest>, StoreError> {
        let now = self.now();
        let open = sql("SELECT request_key, action, subject, who, came_from, posted_at FROM live_requests
                        WHERE taken_by IS NULL AND posted_at > $1 ORDER BY request_key")
        .bind(now.before(WAITS_MAX));
        let mut taken = Vec::new();
        for row in self.database().all(open).await? {
            let request = request_from(&row)?;
            if !hosted.contains(&request.conference) && request.posted_at > now.before(FIRST_TO_ITS_SERVER) {
                continue;
            }
            let take = sql("UPDATE live_requests SET taken_by = $2 WHERE request_key = $1 AND taken_by IS NULL")
                .bind(request.key)
                .bind(server);
            if self.database().execute(take).await? == 1 {
                taken.push(request);
            }
        }
        Ok(taken)
    }

    /// What became of it, for who asked: done or refused, in words.
    pub async fn finish_live_request(
        &self,
        key: LiveRequestKey,
        outcome: Result<&str, &str>,
    ) -> Result<(), StoreError> {
        let (Ok(words) | Err(words)) = outcome;
        let finish = sql("UPDATE live_requests SET outcome = $2, failed = $3 WHERE request_key = $1")
            .bind(key)
            .bind(words)
            .bind(outcome.is_err());
        self.database().execute(finish).await?;
        Ok(())
    }

    /// Who asked waits no longer: no server takes it any more. `false`: one has taken it already.
    pub async fn withdraw_live_request(&self, key: LiveRequestKey) -> Result<bool, StoreError> {
        let withdraw = sql("DELETE FROM live_requests WHERE request_key = $1 AND taken_by IS NULL").bind(key);
        Ok(self.database().execute(withdraw).await? == 1)
    }

    pub async fn live_request(&self, key: LiveRequestKey) -> Result<LiveRequestState, StoreError> {
        let find = sql("SELECT taken_by, outcome, failed FROM live_requests WHERE request_key = $1").bind(key);
        let Some(row) = self.database().optional(find).await? else {
            return Err(StoreError::NotThere { what: "live request", name: key.to_string() });
        };
        let outcome: Option<String> = row.get("outcome")?;
        Ok(match (outcome, row.get::<Option<bool>>("failed")?, row.get::<Option<String>>("taken_by")?) {
            (Some(words), Some(true), _) => LiveRequestState::Failed(words),
            (Some(words), _, _) => LiveRequestState::Done(words),
            (None, _, Some(_)) => LiveRequestState::Taken,
            (None, _, None) => LiveRequestState::Waits,
        })
    }
}

fn request_from(row: &Row) -> Result<LiveRequest, StoreError> {
    let conference: String = row.get("subject")?;
    Ok(LiveRequest {
        key: row.get("request_key")?,
        action: row.get("action")?,
        conference: ConferenceKey(conference.parse().map_err(|_| damaged("subject"))?),
        actor: Actor { who: row.get("who")?, from: row.get("came_from")? },
        posted_at: row.get("posted_at")?,
    })
}
