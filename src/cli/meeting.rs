//! `anteroom meeting …`: planned ones, and those that go on now.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::Failure;
use super::output::{Output, fields, note, table};
use crate::admin::live::LiveAction;
use crate::admin::{Administrator, MeetingView, moment};
use crate::credentials::{Cursor, Identity, MeetingChange, MeetingPage, MeetingPlan, Timestamp};
use crate::words::ids::ConferenceId;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Plan a meeting with a conference ID of its own; the organizer's PIN starts it
    Schedule {
        organizer: Identity,
        #[arg(long)]
        subject: String,
        /// Such as 2026-11-24T09:00+01:00; without an offset it is UTC
        #[arg(long, value_name = "TIME", value_parser = moment::parse)]
        starts: Timestamp,
        #[command(flatten)]
        ends: EndArguments,
    },
    /// Planned meetings, in the order in which they start
    List {
        /// Only this organizer's
        #[arg(long, value_name = "IDENTITY")]
        organizer: Option<Identity>,
        /// Only those that end at this time or later
        #[arg(long, value_name = "TIME", value_parser = moment::parse)]
        from: Option<Timestamp>,
        /// Where the next page begins, as the one before said
        #[arg(long, value_name = "PLACE")]
        after: Option<Cursor>,
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// One planned meeting
    Show { conference_id: ConferenceId },
    /// The text, or the calendar file, for those who are invited
    Invitation {
        conference_id: ConferenceId,
        /// The calendar file (iCalendar), such as for > meeting.ics
        #[arg(long)]
        calendar: bool,
    },
    /// Change subject or times; the conference ID stays
    Change {
        conference_id: ConferenceId,
        #[command(flatten)]
        change: ChangeArguments,
    },
    /// Refuse the meeting's conference ID from now on
    Cancel {
        conference_id: ConferenceId,
        /// Print the calendar file that takes it out of calendars
        #[arg(long)]
        calendar: bool,
    },
    /// Start a meeting without a PIN, on the server where its callers wait; also before anybody calls
    Start { conference_id: ConferenceId },
    /// Let in all who wait in the lobby of a meeting that runs
    Admit { conference_id: ConferenceId },
    /// New callers wait in the lobby from now on
    Lock { conference_id: ConferenceId },
    /// New callers are let in again
    Unlock { conference_id: ConferenceId },
    /// Mute all but the leaders
    Mute { conference_id: ConferenceId },
    /// Unmute all
    Unmute { conference_id: ConferenceId },
    /// End a meeting that runs for all, its lobby included
    End { conference_id: ConferenceId },
}

/// What a server has done to a live meeting.
#[derive(Serialize)]
struct LiveOutcome {
    conference_id: String,
    done: String,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct EndArguments {
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    ends: Option<Timestamp>,
    /// Instead of the end: how long it lasts
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=44_640))]
    minutes: Option<u32>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct ChangeArguments {
    #[arg(long)]
    subject: Option<String>,
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    starts: Option<Timestamp>,
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    ends: Option<Timestamp>,
}

impl Command {
    pub async fn run(self, administrator: &Administrator<'_>, output: &Output) -> Result<(), Failure> {
        match self {
            Command::Schedule { organizer, subject, starts, ends } => {
                let lasts = std::time::Duration::from_secs(u64::from(ends.minutes.unwrap_or(0)).saturating_mul(60));
                let plan =
                    MeetingPlan { subject, starts_at: starts, ends_at: ends.ends.unwrap_or(starts.after(lasts)) };
                output.show(&administrator.schedule_meeting(&organizer, &plan).await?, meeting_text);
            }
            Command::List { organizer, from, after, limit } => {
                let page = MeetingPage { organizer: None, from, after, limit };
                let list = administrator.scheduled_meetings(organizer.as_ref(), &page).await?;
                output.show(&list.meetings, |meetings| meetings_text(meetings));
                if let Some(next) = list.next {
                    note(&format!("there are more: --after {next}"));
                }
            }
            Command::Show { conference_id } => {
                output.show(&administrator.scheduled_meeting(&conference_id).await?, meeting_text);
            }
            Command::Invitation { conference_id, calendar } => {
                let invitation = administrator.invitation(&conference_id).await?;
                output.show(&invitation, |shown| if calendar { shown.calendar.clone() } else { shown.text.clone() });
            }
            Command::Change { conference_id, change } => {
                let ChangeArguments { subject, starts, ends } = change;
                let change = MeetingChange { subject, starts_at: starts, ends_at: ends };
                output.show(&administrator.change_meeting(&conference_id, &change).await?, meeting_text);
            }
            Command::Cancel { conference_id, calendar } => {
                let cancelled = administrator.cancel_meeting(&conference_id).await?;
                output.show(&cancelled, |shown| if calendar { shown.calendar.clone() } else { shown.text.clone() });
            }
            Command::Start { conference_id } => ask(administrator, output, LiveAction::Start, conference_id).await?,
            Command::Admit { conference_id } => ask(administrator, output, LiveAction::AdmitAll, conference_id).await?,
            Command::Lock { conference_id } => ask(administrator, output, LiveAction::Lock, conference_id).await?,
            Command::Unlock { conference_id } => ask(administrator, output, LiveAction::Unlock, conference_id).await?,
            Command::Mute { conference_id } => ask(administrator, output, LiveAction::MuteAll, conference_id).await?,
            Command::Unmute { conference_id } => {
                ask(administrator, output, LiveAction::UnmuteAll, conference_id).await?;
            }
            Command::End { conference_id } => ask(administrator, output, LiveAction::End, conference_id).await?,
        }
        Ok(())
    }
}

/// Has a server do it, and prints what came of it.
async fn ask(
    administrator: &Administrator<'_>,
    output: &Output,
    action: LiveAction,
    conference_id: ConferenceId,
) -> Result<(), Failure> {
    let done = administrator.ask_live(action, conference_id).await?;
    let outcome = LiveOutcome { conference_id: conference_id.to_string(), done };
    output.show(&outcome, |outcome| format!("{}: {}\n", outcome.conference_id, outcome.done));
    Ok(())
}

fn meeting_text(meeting: &MeetingView) -> String {
    fields(&[
        ("conference_id", meeting.conference_id.clone()),
        ("subject", meeting.subject.clone()),
        ("organizer", meeting.organizer.clone()),
        ("starts_at", meeting.starts_at.clone()),
        ("ends_at", meeting.ends_at.clone()),
        ("expires_at", meeting.expires_at.clone()),
    ])
}

fn meetings_text(meetings: &[MeetingView]) -> String {
    let row = |meeting: &MeetingView| {
        let MeetingView { conference_id, organizer, subject, starts_at, ends_at, .. } = meeting.clone();
        [conference_id, starts_at, ends_at, organizer, subject]
    };
    let rows: Vec<_> = meetings.iter().map(row).collect();
    table(["CONFERENCE ID", "STARTS", "ENDS", "ORGANIZER", "SUBJECT"], &rows, "no planned meetings")
}
