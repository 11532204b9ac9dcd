//! Scheduled meetings, each with a conference ID of its own, and their invitations.

use serde::Serialize;
use utoipa::ToSchema;

use super::administrator::{AdminError, Administrator};
use crate::credentials::{Identity, MeetingChange, MeetingPage, MeetingPlan, ScheduledMeeting};
use crate::mail::{Invitation, numbers_for};
use crate::words::ids::ConferenceId;

/// A scheduled meeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MeetingView {
    #[schema(example = "1234567")]
    pub conference_id: String,
    #[schema(example = "anna@example.com")]
    pub organizer: String,
    pub subject: String,
    /// RFC 3339, UTC.
    pub starts_at: String,
    pub ends_at: String,
    /// From then on the conference ID is unknown.
    pub expires_at: String,
    pub created_at: String,
    /// Goes up with each change.
    pub revision: u32,
}

impl From<&ScheduledMeeting> for MeetingView {
    fn from(meeting: &ScheduledMeeting) -> MeetingView {
        MeetingView {
            conference_id: meeting.conference_id.to_string(),
            organizer: meeting.organizer_identity.clone(),
            subject: meeting.subject.clone(),
            starts_at: meeting.starts_at.to_string(),
            ends_at: meeting.ends_at.to_string(),
            expires_at: meeting.expires_at.to_string(),
            created_at: meeting.created_at.to_string(),
            revision: meeting.revision,
        }
    }
}

/// A page of a list, and where the next one begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MeetingsView {
    pub meetings: Vec<MeetingView>,
    /// Hand it back for the next page. `None`: this was the last one.
    pub next: Option<String>,
}

/// What an organizer sends to the people he invites.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct InvitationView {
    pub subject: String,
    /// To paste into a mail.
    pub text: String,
    /// An iCalendar file (RFC 5545).
    pub calendar: String,
}

impl Administrator<'_> {
    pub async fn schedule_meeting(&self, organizer: &Identity, plan: &MeetingPlan) -> Result<MeetingView, AdminError> {
        Ok(MeetingView::from(&self.store().schedule_meeting(self.actor(), organizer, plan).await?))
    }

    /// Those that have not expired, in the order in which they start. `organizer`: his only.
    pub async fn scheduled_meetings(
        &self,
        organizer: Option<&Identity>,
        page: &MeetingPage,
    ) -> Result<MeetingsView, AdminError> {
        let organizer = match organizer {
            Some(identity) => Some(self.store().user(identity).await?.key),
            None => page.organizer,
        };
        // One more than asked for tells whether there are more.
        let asked = MeetingPage { organizer, limit: page.limit.saturating_add(1), ..page.clone() };
        let mut meetings = self.store().meetings(&asked).await?;
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let more = meetings.len() > limit;
        meetings.truncate(limit);
        let next = meetings.last().filter(|_| more).map(|last| last.cursor().to_string());
        Ok(MeetingsView { meetings: meetings.iter().map(MeetingView::from).collect(), next })
    }

    pub async fn scheduled_meeting(&self, id: &ConferenceId) -> Result<MeetingView, AdminError> {
        Ok(MeetingView::from(&self.store().meeting_by_id(id).await?))
    }

    pub async fn change_meeting(&self, id: &ConferenceId, change: &MeetingChange) -> Result<MeetingView, AdminError> {
        if *change == MeetingChange::default() {
            return Err(AdminError::NothingToChange);
        }
        let key = self.store().meeting_by_id(id).await?.key;
        Ok(MeetingView::from(&self.store().change_meeting(self.actor(), key, change).await?))
    }

    /// Its conference ID is refused at once. The answer takes the meeting out of the calendars that have it.
    pub async fn cancel_meeting(&self, id: &ConferenceId) -> Result<InvitationView, AdminError> {
        let meeting = self.store().meeting_by_id(id).await?;
        let (organizer, numbers) = self.organizer_and_numbers(&meeting).await?;
        let cancelled = self.store().cancel_meeting(self.actor(), meeting.key).await?;
        let invitation = Invitation { meeting: &cancelled, organizer: &organizer, numbers: &numbers };
        let calendar = invitation.cancellation(self.store().now());
        Ok(InvitationView { subject: cancelled.subject.clone(), text: invitation.cancelled_text(), calendar })
    }

    pub async fn invitation(&self, id: &ConferenceId) -> Result<InvitationView, AdminError> {
        let meeting = self.store().meeting_by_id(id).await?;
        let (organizer, numbers) = self.organizer_and_numbers(&meeting).await?;
        let invitation = Invitation { meeting: &meeting, organizer: &organizer, numbers: &numbers };
        let calendar = invitation.calendar(self.store().now());
        Ok(InvitationView { subject: meeting.subject.clone(), text: invitation.text(), calendar })
    }

    async fn organizer_and_numbers(
        &self,
        meeting: &ScheduledMeeting,
    ) -> Result<(crate::credentials::User, Vec<crate::credentials::Number>), AdminError> {
        let organizer = self.store().user(&meeting.organizer_identity.parse()?).await?;
        let numbers = numbers_for(&organizer, self.store().numbers().await?);
        Ok((organizer, numbers))
    }
}
