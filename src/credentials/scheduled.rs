//! Scheduled meetings: each with a conference ID of its own, which leads nowhere any more some time after its end.

use std::time::Duration;

use super::contract::{Actor, Identity, StoreError, Timestamp};
use super::database::{Ask, Row, sql};
use super::keys::Cursor;
use super::pin;
use super::rows::audit_entry;
use super::rows::common::{enabled_user, is_taken, user_lock, write_audit};
use super::store::{CONFERENCE_ID_DRAWS, Store};
use crate::words::ids::{ConferenceId, ConferenceKey, UserKey};

/// A meeting's conference ID is found for this long after its end: people come late, and talk on.
pub const MEETING_EXPIRES_AFTER: Duration = Duration::from_secs(60 * 24 * 60 * 60);

/// Meetings of one organizer that have not expired, at most. There are 9,000,000 conference IDs for all.
pub const MEETINGS_PER_ORGANIZER: u64 = 1_000;

/// Nobody plans further ahead, and nothing lasts longer.
const AHEAD_MAX: Duration = Duration::from_secs(5 * 366 * 24 * 60 * 60);
const LASTS_MAX: Duration = Duration::from_secs(31 * 24 * 60 * 60);

const SUBJECT_CHARS_MAX: usize = 200;

/// A meeting that somebody planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledMeeting {
    pub key: ConferenceKey,
    pub conference_id: ConferenceId,
    pub organizer: UserKey,
    pub organizer_identity: String,
    pub subject: String,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    /// From then on the conference ID is unknown.
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
    /// Goes up with each change: a calendar's SEQUENCE (RFC 5545, 3.8.7.4).
    pub revision: u32,
}

/// What is planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeetingPlan {
    pub subject: String,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
}

/// What of a plan is to change. `None` leaves it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MeetingChange {
    pub subject: Option<String>,
    pub starts_at: Option<Timestamp>,
    pub ends_at: Option<Timestamp>,
}

/// Which meetings a list shows, in the order in which they start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MeetingPage {
    pub organizer: Option<UserKey>,
    /// Those that end at this time or later.
    pub from: Option<Timestamp>,
    /// Begin after this one, see [`ScheduledMeeting::cursor`].
    pub after: Option<Cursor>,
    pub limit: u32,
}

impl ScheduledMeeting {
    /// Its place in lists.
    pub fn cursor(&self) -> Cursor {
        Cursor { at: self.starts_at, key: self.key.0 }
    }
}

impl MeetingPlan {
    fn checked(&self, now: Timestamp) -> Result<MeetingPlan, StoreError> {
        let refuse = |why: &str| Err(StoreError::Invalid(why.to_owned()));
        let subject = self.subject.trim().to_owned();
        if subject.is_empty() || subject.chars().count() > SUBJECT_CHARS_MAX || subject.contains(char::is_control) {
            return refuse("a subject has 1 to 200 characters, and no line breaks");
        }
        if self.ends_at <= self.starts_at {
            return refuse("a meeting ends after it starts");
        }
        if self.ends_at > self.starts_at.after(LASTS_MAX) {
            return refuse("a meeting lasts 31 days at most");
        }
        if self.ends_at <= now {
            return refuse("this meeting would be over already: its end must lie ahead");
        }
        if self.starts_at > now.after(AHEAD_MAX) {
            return refuse("a meeting starts within the next five years");
        }
        Ok(MeetingPlan { subject, ..*self })
    }
}

impl Store {
    /// Plans a meeting of an enabled user. His PIN starts it.
    pub async fn schedule_meeting(
        &self,
        actor: &Actor,
        organizer: &Identity,
        plan: &MeetingPlan,
    ) -> Result<ScheduledMeeting, StoreError> {
        let now = self.now();
        let plan = plan.checked(now)?;
        let user = self.user(organizer).await?;
        for _ in 0..CONFERENCE_ID_DRAWS {
            let id = pin::generate_conference_id()?;
            if self.gives_away_pin(user.key, &id).await? {
                continue;
            }
            let mut transaction = self.database().change(&user_lock(organizer)).await?;
            enabled_user(&mut transaction, organizer).await?;
            let open = sql("SELECT count(*) AS meetings FROM conferences
                            WHERE organizer = $1 AND NOT personal AND expires_at > $2")
            .bind(user.key)
            .bind(now);
            if transaction.one(open).await?.get::<u64>("meetings")? >= MEETINGS_PER_ORGANIZER {
                return Err(StoreError::Conflict(format!(
                    "{organizer} has {MEETINGS_PER_ORGANIZER} meetings that have not expired: cancel some first"
                )));
            }
            if is_taken(&mut transaction, &id, now).await? {
                continue;
            }
            let insert = sql("INSERT INTO conferences (conference_id, organizer, personal, created_at, subject,
                                                       starts_at, ends_at, expires_at)
                  VALUES ($1, $2, FALSE, $3, $4, $5, $6, $7)
                  ON CONFLICT (conference_id) DO NOTHING RETURNING conference_key")
            .bind(&id)
            .bind(user.key)
            .bind(now)
            .bind(&plan.subject)
            .bind(plan.starts_at)
            .bind(plan.ends_at)
            .bind(plan.ends_at.after(MEETING_EXPIRES_AFTER));
            let Some(row) = transaction.optional(insert).await? else { continue };
            let meeting = meeting(&mut transaction, row.get("conference_key")?).await?;
            let audit = audit_entry(now, actor, "meeting.schedule", id, detail(&meeting));
            write_audit(&mut transaction, &audit).await?;
            transaction.commit().await?;
            return Ok(meeting);
        }
        Err(StoreError::NoFreeConferenceId(CONFERENCE_ID_DRAWS))
    }

    /// Those that have not expired.
    pub async fn meetings(&self, page: &MeetingPage) -> Result<Vec<ScheduledMeeting>, StoreError> {
        let after = page.after.unwrap_or(Cursor { at: Timestamp(i64::MIN), key: 0 });
        let list = sql("SELECT * FROM shown_meetings
              WHERE (starts_at > $1 OR (starts_at = $1 AND conference_key > $2))
                AND expires_at > $3 AND ends_at >= $4 AND ($5 IS NULL OR organizer = $5)
              ORDER BY starts_at, conference_key LIMIT $6")
        .bind(after.at)
        .bind(after.key)
        .bind(self.now())
        .bind(page.from.unwrap_or(Timestamp(i64::MIN)))
        .bind(page.organizer)
        .bind(page.limit);
        self.database().all(list).await?.iter().map(meeting_from).collect()
    }

    pub async fn meeting_by_id(&self, id: &ConferenceId) -> Result<ScheduledMeeting, StoreError> {
        let row =
            self.database().optional(sql("SELECT * FROM shown_meetings WHERE conference_id = $1").bind(id)).await?;
        let meeting = row.as_ref().map(meeting_from).transpose()?.ok_or_else(|| no_meeting(id))?;
        self.open_meeting(meeting)
    }

    pub async fn change_meeting(
        &self,
        actor: &Actor,
        key: ConferenceKey,
        change: &MeetingChange,
    ) -> Result<ScheduledMeeting, StoreError> {
        let now = self.now();
        let mut transaction = self.database().change(&meeting_lock(key)).await?;
        let before = self.open_meeting(meeting(&mut transaction, key).await?)?;
        let plan = MeetingPlan {
            subject: change.subject.clone().unwrap_or_else(|| before.subject.clone()),
            starts_at: change.starts_at.unwrap_or(before.starts_at),
            ends_at: change.ends_at.unwrap_or(before.ends_at),
        };
        let plan = plan.checked(now)?;
        let update = sql("UPDATE conferences SET subject = $2, starts_at = $3, ends_at = $4, expires_at = $5,
                                                 revision = revision + 1
                          WHERE conference_key = $1")
        .bind(key)
        .bind(&plan.subject)
        .bind(plan.starts_at)
        .bind(plan.ends_at)
        .bind(plan.ends_at.after(MEETING_EXPIRES_AFTER));
        transaction.execute(update).await?;
        let after = meeting(&mut transaction, key).await?;
        let audit = audit_entry(now, actor, "meeting.change", after.conference_id, detail(&after));
        write_audit(&mut transaction, &audit).await?;
        transaction.commit().await?;
        Ok(after)
    }

    /// Its conference ID is refused at once, and rests.
    pub async fn cancel_meeting(&self, actor: &Actor, key: ConferenceKey) -> Result<ScheduledMeeting, StoreError> {
        let now = self.now();
        let mut transaction = self.database().change(&meeting_lock(key)).await?;
        let cancelled = self.open_meeting(meeting(&mut transaction, key).await?)?;
        let retire = sql("INSERT INTO retired_conference_ids (conference_id, organizer, retired_at) VALUES ($1, $2, $3)
              ON CONFLICT (conference_id) DO UPDATE SET organizer = excluded.organizer, retired_at = excluded.retired_at")
        .bind(&cancelled.conference_id)
        .bind(cancelled.organizer)
        .bind(now);
        transaction.execute(retire).await?;
        transaction.execute(sql("DELETE FROM conferences WHERE conference_key = $1").bind(key)).await?;
        let audit = audit_entry(now, actor, "meeting.cancel", cancelled.conference_id, detail(&cancelled));
        write_audit(&mut transaction, &audit).await?;
        transaction.commit().await?;
        Ok(cancelled)
    }

    /// One that has expired is not there any more.
    fn open_meeting(&self, meeting: ScheduledMeeting) -> Result<ScheduledMeeting, StoreError> {
        if meeting.expires_at > self.now() { Ok(meeting) } else { Err(no_meeting(meeting.conference_id)) }
    }
}

fn meeting_lock(key: ConferenceKey) -> String {
    format!("meeting {key}")
}

fn no_meeting(which: impl ToString) -> StoreError {
    StoreError::NotThere { what: "scheduled meeting", name: which.to_string() }
}

fn detail(meeting: &ScheduledMeeting) -> String {
    let ScheduledMeeting { organizer_identity, subject, starts_at, ends_at, .. } = meeting;
    format!("organizer={organizer_identity} from {starts_at} to {ends_at} subject={subject}")
}

fn meeting_from(row: &Row) -> Result<ScheduledMeeting, StoreError> {
    Ok(ScheduledMeeting {
        key: row.get("conference_key")?,
        conference_id: row.get("conference_id")?,
        organizer: row.get("organizer")?,
        organizer_identity: row.get("identity")?,
        subject: row.get("subject")?,
        starts_at: row.get("starts_at")?,
        ends_at: row.get("ends_at")?,
        expires_at: row.get("expires_at")?,
        created_at: row.get("created_at")?,
        revision: row.get("revision")?,
    })
}

async fn meeting(ask: &mut impl Ask, key: ConferenceKey) -> Result<ScheduledMeeting, StoreError> {
    let row = ask.optional(sql("SELECT * FROM shown_meetings WHERE conference_key = $1").bind(key)).await?;
    row.as_ref().map(meeting_from).transpose()?.ok_or_else(|| no_meeting(key))
}
