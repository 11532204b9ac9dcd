//! What the organization decides and wants done, brought from its store to the running engine: once a second, and it takes
//! effect without a restart. So a shell on any machine acts on the meetings of all servers that share the store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::control::{Control, SharedStatus};
use super::live::{HostedMeeting, Live};
use super::warnings::Warnings;
use crate::admin::live::{LiveAction, LiveOrder};
use crate::credentials::{LiveRequest, Settings, Store, StoreError};
use crate::engine::{LiveCommand, LiveDone};
use crate::meeting;
use crate::observe::http::Status;
use crate::observe::measures::Measures;
use crate::words::ids::{ConferenceKey, MeetingKey};

/// Two statements each time: cheap enough for a second, and a second is soon enough for somebody at a shell.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often what has had its time is thrown away. Nothing waits for it: what has had its time counts no more, whether its
/// row is still there or not.
const TIDY_EVERY: Duration = Duration::from_secs(60 * 60);

/// By whom, in the log, something is done that follows from what the store says.
const BY_THE_STORE: &str = "the store";

/// See the module.
pub struct Organization {
    pub store: Arc<Store>,
    pub live: Live,
    pub control: mpsc::Sender<Control>,
    /// What holds where the organization has decided nothing.
    pub configured: meeting::Settings,
    /// By which name this server takes requests.
    pub server: String,
    /// How many alerts are open is told there.
    pub measures: Arc<Measures>,
    /// What the server counts.
    pub status: Arc<SharedStatus>,
}

/// What was found the last time.
#[derive(Default)]
struct Known {
    settings: Option<meeting::Settings>,
    away: bool,
    tidied_at: Option<Instant>,
    warnings: Warnings,
}

impl Organization {
    /// Until the server has ended.
    pub async fn run(self) {
        let mut known = Known::default();
        let mut due = interval(LOOK_EVERY);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.control.is_closed() {
            due.tick().await;
            self.measures.upkeep();
            let looked = self.look(&mut known).await;
            match (looked, known.away) {
                (Err(error), false) => {
                    tracing::warn!(%error, "the store does not answer: new settings and requests from shells wait");
                    known.away = true;
                }
                (Ok(()), true) => {
                    tracing::info!("the store answers again");
                    known.away = false;
                }
                _ => {}
            }
        }
    }

    async fn look(&self, known: &mut Known) -> Result<(), StoreError> {
        let settings = meeting_settings(&self.configured, &self.store.settings().await?);
        if known.settings.as_ref() != Some(&settings) {
            known.settings = Some(settings.clone());
            // The server has ended: it needs no settings.
            let _ = self.control.send(Control::Meetings(settings)).await;
        }
        self.measures.set_open_alerts(self.store.open_alerts().await?);
        if known.tidied_at.is_none_or(|at| at.elapsed() >= TIDY_EVERY) {
            self.store.tidy().await?;
            known.tidied_at = Some(Instant::now());
        }
        self.raise_warnings(known).await?;
        let Ok(hosted) = self.live.hosted().await else { return Ok(()) };
        self.follow_conference_ids(&hosted).await?;
        let conferences: Vec<ConferenceKey> = hosted.iter().map(|of| of.conference).collect();
        for request in self.store.take_live_requests(&self.server, &conferences).await? {
            let meeting = hosted.iter().find(|of| of.conference == request.conference);
            let outcome = self.carry_out(&request, meeting.map(|of| of.meeting)).await?;
            self.store.finish_live_request(request.key, outcome.as_deref().map_err(String::as_str)).await?;
        }
        Ok(())
    }

    /// What the server sees of itself that somebody should look at.
    async fn raise_warnings(&self, known: &mut Known) -> Result<(), StoreError> {
        let now = Instant::now();
        for warning in known.warnings.due(now, &self.status.counts()) {
            let subject = format!("{} on {}", warning.what, self.server);
            self.store.raise_alert(warning.kind, &subject, &format!("{}: {}", self.server, warning.text)).await?;
            known.warnings.told(now, &warning);
        }
        Ok(())
    }

    /// An ID was reset: whoever waits or is in stays, and the meeting is shown under the new one. An organizer was
    /// disabled, or a meeting cancelled: a meeting that goes on goes on, and who waits is told goodbye, for nobody will
    /// start it.
    async fn follow_conference_ids(&self, hosted: &[HostedMeeting]) -> Result<(), StoreError> {
        if hosted.is_empty() {
            return Ok(());
        }
        let conferences: Vec<ConferenceKey> = hosted.iter().map(|of| of.conference).collect();
        let ids = self.store.conference_ids(&conferences).await?;
        for of in hosted {
            let conference = of.conference;
            let command = match ids.get(&conference) {
                Some(&conference_id) if conference_id != of.conference_id => {
                    LiveCommand::Renumber { conference, conference_id }
                }
                None if of.waiting > 0 => LiveCommand::DropWaiting { conference },
                _ => continue,
            };
            // The server has ended: nobody waits any more.
            let _ = self.live.command(BY_THE_STORE, command).await;
        }
        Ok(())
    }

    /// What was done, or why nothing was. The outer error: the store is away.
    async fn carry_out(
        &self,
        request: &LiveRequest,
        meeting: Option<MeetingKey>,
    ) -> Result<Result<String, String>, StoreError> {
        let Ok(LiveOrder { action, conference_id }) = request.action.parse() else {
            return Ok(Err(format!("this server does not know how to do it: {}", request.action)));
        };
        let Some(conference) = self.store.conference(&conference_id).await? else {
            return Ok(Err(format!("there is no conference ID {conference_id}")));
        };
        let by = request.actor.who.clone();
        let command = match (action, meeting) {
            (LiveAction::Start, _) => LiveCommand::Start { conference, conference_id, by },
            (LiveAction::AdmitAll, Some(meeting)) => LiveCommand::Admit { meeting, call: None },
            (LiveAction::Lock, Some(meeting)) => LiveCommand::Lock { meeting, locked: true },
            (LiveAction::Unlock, Some(meeting)) => LiveCommand::Lock { meeting, locked: false },
            (LiveAction::MuteAll, Some(meeting)) => LiveCommand::MuteAll { meeting, muted: true },
            (LiveAction::UnmuteAll, Some(meeting)) => LiveCommand::MuteAll { meeting, muted: false },
            (LiveAction::End, Some(meeting)) => LiveCommand::End { meeting },
            (_, None) => return Ok(Err(format!("no meeting of {conference_id} goes on"))),
        };
        let done = self.live.command(&request.actor.who, command).await;
        Ok(done.map(|done| done_words(action, &done)).map_err(|why| why.to_string()))
    }
}

/// What the organization has decided, over what the configuration says.
fn meeting_settings(configured: &meeting::Settings, settings: &Settings) -> meeting::Settings {
    let minutes = |minutes: u32| Duration::from_secs(u64::from(minutes).saturating_mul(60));
    let lobby_timeout = settings.lobby_timeout_min.map_or(configured.lobby_timeout, minutes);
    meeting::Settings { lobby_timeout, ..configured.clone() }
}

fn done_words(action: LiveAction, done: &LiveDone) -> String {
    let calls = match done.calls {
        0 => "no calls".to_owned(),
        1 => "1 call".to_owned(),
        calls => format!("{calls} calls"),
    };
    match (action, done.already) {
        (LiveAction::Start, true) => "it runs already".to_owned(),
        (LiveAction::Start, false) => format!("started; {calls} let in"),
        (LiveAction::AdmitAll, _) => format!("{calls} let in"),
        (LiveAction::Lock, true) => "it was locked already".to_owned(),
        (LiveAction::Lock, false) => "locked".to_owned(),
        (LiveAction::Unlock, true) => "it was not locked".to_owned(),
        (LiveAction::Unlock, false) => "unlocked".to_owned(),
        (LiveAction::MuteAll, _) => format!("{calls} muted"),
        (LiveAction::UnmuteAll, _) => format!("{calls} unmuted"),
        (LiveAction::End, _) => format!("ended; {calls} let go"),
    }
}
